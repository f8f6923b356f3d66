"""All tracks of a sequence as one table of arrays: a track is a row."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from fairmot.structures import Detections
from fairmot.tracking import kalman
from fairmot.tracking.matching import normalize, xyah_to_xyxy, xyxy_to_xyah


@dataclass
class TrackTable:
    """The tracks that are followed or remembered.

    Attributes:
        ids: int64 [T].
        classes: int64 [T].
        scores: float32 [T], of the last detection.
        means: float64 [T, 8], state of the motion model.
        variances: float64 [T, 3, 4], its uncertainty.
        features: float32 [T, D], running embedding of length 1.
        first_frames: int64 [T], frame of the first detection.
        last_frames: int64 [T], frame of the last detection.
        last_seen: float64 [T], time of the last detection, in frames of the sequence's mean rate.
        confirmed: bool [T], seen often enough to be reported.
        expired: bool [T], was given up once: when lost again, it is forgotten at once.
    """

    ids: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    features: np.ndarray
    first_frames: np.ndarray
    last_frames: np.ndarray
    last_seen: np.ndarray
    confirmed: np.ndarray
    expired: np.ndarray

    @classmethod
    def start(cls, detections: Detections, first_id: int, frame: int, clock: float) -> TrackTable:
        """New tracks from detections with normalised embeddings; confirmed only in a sequence's first frame."""
        count = len(detections)
        means, variances = kalman.initiate(xyxy_to_xyah(detections.boxes_xyxy))
        return cls(
            ids=np.arange(first_id, first_id + count),
            classes=detections.classes,
            scores=detections.scores,
            means=means,
            variances=variances,
            features=detections.embeddings,
            first_frames=np.full(count, frame),
            last_frames=np.full(count, frame),
            last_seen=np.full(count, clock),
            confirmed=np.full(count, frame == 1),
            expired=np.zeros(count, bool),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> TrackTable:
        """A new table of these rows, in this order."""
        return TrackTable(*[getattr(self, name)[rows] for name in _COLUMNS])

    def join(self, other: TrackTable) -> TrackTable:
        """A new table of our rows, then the other's."""
        return TrackTable(*[np.concatenate([getattr(self, name), getattr(other, name)]) for name in _COLUMNS])

    def boxes_xyxy(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Boxes [..., 4] of these rows, pixels of the image."""
        return xyah_to_xyxy(self.means[rows])

    def move(self, similarity: np.ndarray) -> None:
        """Carry every track along with the camera's motion [2, 3]."""
        self.means, self.variances = kalman.move(self.means, self.variances, similarity)

    def predict(self, rows: np.ndarray, is_lost: np.ndarray) -> None:
        """Carry these rows [P] one frame on; those that are lost (bool [P]) keep their height."""
        means = self.means[rows]
        means[is_lost, 7] = 0
        self.means[rows], self.variances[rows] = kalman.predict(means, self.variances[rows])

    def correct(self, rows: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray, frame: int, clock: float) -> None:
        """Take in one detection for each of these rows [M], which confirms them."""
        self.means[rows], self.variances[rows] = kalman.update(
            self.means[rows], self.variances[rows], xyxy_to_xyah(boxes_xyxy)
        )
        self.scores[rows] = scores
        self.last_frames[rows] = frame
        self.last_seen[rows] = clock
        self.confirmed[rows] = True

    def blend(self, rows: np.ndarray, embeddings: np.ndarray, smoothing: float) -> None:
        """Running mean of the embeddings [M, D], which have length 1, normalised again."""
        self.features[rows] = normalize(
            np.float32(smoothing) * self.features[rows] + np.float32(1 - smoothing) * embeddings
        )


_COLUMNS = tuple(column.name for column in fields(TrackTable))
