"""The sizes of input that the networks take."""

from collections.abc import Sequence

_STRIDE = 32  # of the coarsest level of the backbones
_LONGEST = 8192


def check_input_size(key: str, size: Sequence[int]) -> None:
    """Refuse what is not a height and a width that every level of a network divides.

    Args:
        key: names the value in the message.
        size: height and width, pixels.

    Raises:
        ValueError: it is not.
    """
    if len(size) != 2 or min(size) < _STRIDE or max(size) > _LONGEST:
        raise ValueError(f"{key}={list(size)}: give [height,width] in pixels, {_STRIDE} at least, {_LONGEST} at most")
    if any(side % _STRIDE for side in size):
        nearest = [max(1, round(side / _STRIDE)) * _STRIDE for side in size]
        raise ValueError(f"{key}={list(size)}: sides must be multiples of {_STRIDE}; try {nearest}")
