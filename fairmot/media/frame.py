"""A frame of a source: its picture, and where in the source it stands."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Frame(NamedTuple):
    """A picture and its place.

    Attributes:
        number: from 1, as the source counts: a frame that cannot be read keeps its number, and nothing bears it.
        time_s: since the source's first frame, seconds; None where nobody says.
        picture: uint8 [H, W, 3], BGR.
    """

    number: int
    time_s: float | None
    picture: np.ndarray


def counted(pictures: Iterable[np.ndarray]) -> Iterator[Frame]:
    """Frames of pictures [H, W, 3] of which nothing but their order is known."""
    return (Frame(number, None, picture) for number, picture in enumerate(pictures, start=1))
