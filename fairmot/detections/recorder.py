"""Keeping a sequence's detections while it is tracked."""

import numpy as np

from fairmot.detections.sequence import SequenceDetections
from fairmot.structures import Detections


class DetectionRecorder:
    """Collects the detections of one sequence, frame by frame.

    Args:
        least_score: what scores less is left out: a network gives hundreds a frame that mean nothing.
    """

    def __init__(self, least_score: float) -> None:
        self._least_score = least_score
        self._frames: list[int] = []
        self._times_s: list[float | None] = []
        self._found: list[Detections] = []

    def add(self, frame: int, time_s: float | None, detections: Detections) -> None:
        """Take in the next frame: its number, its time where it has one, and all that was found there."""
        self._frames.append(frame)
        self._times_s.append(time_s)
        self._found.append(detections.select(detections.scores >= np.float32(self._least_score)))

    def finished(
        self, place: str, size_hw: tuple[int, int], frame_rate: float | None, num_classes: int
    ) -> SequenceDetections:
        """All of it; arguments as of `SequenceDetections`."""
        columns = ("boxes_xyxy", "scores", "embeddings", "classes")
        rows = Detections(np.zeros((0, 4)), np.zeros(0))
        if self._found:
            rows = Detections(*(np.concatenate([getattr(one, name) for one in self._found]) for name in columns))
        times_s = [time_s for time_s in self._times_s if time_s is not None]
        return SequenceDetections(
            place,
            np.array(self._frames, np.int64),
            np.array([len(one) for one in self._found], np.int64),
            rows,
            every_frame=True,
            times_s=np.array(times_s) if times_s and len(times_s) == len(self._frames) else None,
            size_hw=size_hw,
            frame_rate=frame_rate,
            num_classes=num_classes,
            least_score=self._least_score,
        )
