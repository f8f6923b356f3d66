"""What a data root holds, in memory."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fairmot.data.labels import label_path_for
from fairmot.prepare.check.lists import CheckedList


@dataclass(frozen=True, eq=False)
class Contents:
    """What the lists of a data root name, each image once.

    Attributes:
        root: the prepared data.
        lists: the list files.
        images: n paths relative to the root, in order of the lists.
        members: of each list, int64, the positions of its images in `images`.
        sizes_hw: int64 [n, 2], pixels; 0, 0 where unknown.
        rows: float32 [R, 6] usable label rows as `parse_labels` returns them, image after image.
        row_offsets: int64 [n + 1], where each image's rows begin.
        row_lines: int64 [R], the line of each row in its label file.
    """

    root: Path
    lists: list[CheckedList]
    images: list[str]
    members: list[np.ndarray]
    sizes_hw: np.ndarray
    rows: np.ndarray
    row_offsets: np.ndarray
    row_lines: np.ndarray

    @cached_property
    def row_images(self) -> np.ndarray:
        """int64 [R], the image of each row."""
        return np.repeat(np.arange(len(self.images)), np.diff(self.row_offsets))

    def identified_rows(self, members: np.ndarray) -> np.ndarray:
        """int64, the rows of these images that have an identity."""
        chosen = np.zeros(len(self.images), bool)
        chosen[members] = True
        return np.flatnonzero(chosen[self.row_images] & (self.rows[:, 1] >= 0))

    def identities(self, members: np.ndarray) -> np.ndarray:
        """int64, the ids of all boxes of these images that have one."""
        return self.rows[self.identified_rows(members), 1].astype(np.int64)

    def label_file(self, image: int) -> str:
        """Of an image."""
        return str(self.root / label_path_for(self.images[image]))
