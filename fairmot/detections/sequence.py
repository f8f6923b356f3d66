"""All detections of a sequence, frame by frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fairmot.errors import DataError
from fairmot.structures import Detections


@dataclass(frozen=True)
class SequenceDetections:
    """What was found in a sequence.

    Attributes:
        place: where it stands, for messages.
        frames: int64 [F], the numbers of the frames that `counts` speaks of, rising, from 1.
        counts: int64 [F], detections in each.
        rows: all of them, in the order of frames; within a frame in descending order of score.
        every_frame: `frames` are all that were looked at: nothing is known of others. False: nothing is in others.
        times_s: float64 [F], since the sequence's first frame, seconds; None: frames follow each other evenly.
        size_hw: height and width of the pictures, pixels; None where nobody says.
        frame_rate: frames a second; None where nobody says.
        num_classes: how many classes were told apart.
        least_score: what scores less was left out.
    """

    place: str
    frames: np.ndarray
    counts: np.ndarray
    rows: Detections
    every_frame: bool = False
    times_s: np.ndarray | None = None
    size_hw: tuple[int, int] | None = None
    frame_rate: float | None = None
    num_classes: int = 1
    least_score: float = 0.0

    @property
    def embedding_length(self) -> int:
        """Numbers of an embedding; 0: there are boxes only."""
        return self.rows.embeddings.shape[1]

    @cached_property
    def by_frame(self) -> dict[int, Detections]:
        """The detections of each frame of `frames`, by its number."""
        starts = np.cumsum(self.counts) - self.counts
        parts = zip(self.frames.tolist(), starts.tolist(), self.counts.tolist(), strict=True)
        return {frame: self.rows.select(np.arange(start, start + count)) for frame, start, count in parts}

    def at(self, frame: int) -> Detections:
        """The detections of a frame.

        Raises:
            DataError: nobody looked at this frame.
        """
        found = self.by_frame.get(frame)
        if found is not None:
            return found
        if self.every_frame:
            raise DataError(
                f"{self.place}: holds nothing of frame {frame}; it is of {len(self.frames)} frames, {self._span()}. "
                "Store the detections of the whole source, or stop with max_frames="
            )
        return self.rows.select(np.zeros(0, np.int64))

    def timed(self, frames: Sequence[int] | None = None) -> Iterator[tuple[int, float | None, Detections]]:
        """Number, time and detections of every frame.

        Args:
            frames: numbers, rising; None: those of `frames`, and where these are not all that there were, the ones
                between them.

        Raises:
            DataError: see `at`.
        """
        if frames is None:
            last = int(self.frames[-1]) if len(self.frames) else 0
            frames = self.frames.tolist() if self.every_frame else range(1, last + 1)
        times_s = {} if self.times_s is None else dict(zip(self.frames.tolist(), self.times_s.tolist(), strict=True))
        for frame in frames:
            yield frame, times_s.get(frame), self.at(frame)

    def check_source(self, source: str, size_hw: tuple[int, int] | None, frames: np.ndarray | None) -> int:
        """Refuse to be used with pictures that these detections cannot be of.

        Args:
            source: the pictures' name, for messages.
            size_hw: height and width of the pictures, pixels; None: not known.
            frames: int64, numbers of its frames; None: not known.

        Returns:
            How many frames with detections the source does not have, as a part of a sequence does not.

        Raises:
            DataError: another size, most boxes beside the picture, or not one frame in common.
        """
        if size_hw is not None and self.size_hw is not None and self.size_hw != size_hw:
            raise DataError(
                f"{self.place}: of pictures of {_shown(self.size_hw)} pixels, but those of {source} have "
                f"{_shown(size_hw)}: they are of another source"
            )
        if size_hw is not None and self.size_hw is None:
            self._refuse_beside(source, size_hw)
        if frames is None:
            return 0
        with_boxes = self.frames[self.counts > 0]
        missing = ~np.isin(with_boxes, frames)
        if len(with_boxes) and missing.all():
            raise DataError(
                f"{self.place}: of frames {self._span()}, but {source} has frames {frames[0]} to {frames[-1]}: they "
                "are of another sequence, or numbered otherwise; frames count from 1"
            )
        return int(np.count_nonzero(missing))

    def _refuse_beside(self, source: str, size_hw: tuple[int, int]) -> None:
        """Boxes may reach over the border; where one in ten lies wholly beyond it, the pictures have another size."""
        height, width = size_hw
        left, top, right, bottom = self.rows.boxes_xyxy.T
        beside = (right <= 0) | (bottom <= 0) | (left >= width) | (top >= height)
        if 10 * np.count_nonzero(beside) > len(beside):
            raise DataError(
                f"{self.place}: {np.count_nonzero(beside)} of {len(beside)} boxes lie beside the picture: those of "
                f"{source} have {_shown(size_hw)} pixels, these detections are of another size or another source"
            )

    def _span(self) -> str:
        return f"{self.frames[0]} to {self.frames[-1]}" if len(self.frames) else "none"


def _shown(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]}x{size_hw[0]}"
