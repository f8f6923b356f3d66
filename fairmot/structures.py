"""What passes between the folders: what the network saw in a frame, and what the tracker made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Detections:
    """The objects found in one frame, in descending order of score as the decoder gives them.

    Attributes:
        boxes_xyxy: float64 [N, 4], pixels of the image; may reach beyond its border.
        scores: float32 [N].
        embeddings: float32 [N, D], of any length: the tracker normalises; without any when left out, [N, 0].
        classes: int64 [N]; all 0 when left out.

    Raises:
        ValueError: an array has the wrong shape or holds a value that is not finite; the message names the field.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    embeddings: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    classes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        self.boxes_xyxy = np.asarray(self.boxes_xyxy, np.float64)
        self.scores = np.asarray(self.scores, np.float32)
        self.embeddings = np.asarray(self.embeddings, np.float32)
        self.classes = np.asarray(self.classes, np.int64)
        count = len(self.boxes_xyxy)
        if self.embeddings.shape == (0, 0):
            self.embeddings = self.embeddings.reshape(count, 0)
        if not self.classes.size:
            self.classes = np.zeros(count, np.int64)
        for name, columns in (("boxes_xyxy", "4"), ("scores", ""), ("embeddings", "D"), ("classes", "")):
            self._check(name, count, columns)

    def _check(self, name: str, count: int, columns: str) -> None:
        """Refuse a field whose shape is not [count] or [count, columns], or that is not finite."""
        values = getattr(self, name)
        fits = values.ndim == (2 if columns else 1) and len(values) == count
        if not fits or (columns == "4" and values.shape[1] != 4):
            wanted = f"[{count}, {columns}]" if columns else f"[{count}]"
            raise ValueError(f"detections.{name} must be {wanted}, got {list(values.shape)}")
        if not np.isfinite(values).all():
            row = np.argwhere(~np.isfinite(values))[0, 0]
            raise ValueError(f"detections.{name} must be finite, row {row} is not")

    def __len__(self) -> int:
        return len(self.boxes_xyxy)

    def select(self, rows: np.ndarray) -> Detections:
        """The rows named by a boolean mask [N] or by indices, in their order."""
        part = object.__new__(Detections)  # without the checks: they have passed, and cost more than the rest
        part.boxes_xyxy, part.scores = self.boxes_xyxy[rows], self.scores[rows]
        part.embeddings, part.classes = self.embeddings[rows], self.classes[rows]
        return part


@dataclass
class Tracks:
    """The objects followed in one frame.

    Attributes:
        ids: int64 [T], from 1, unique in a sequence over all classes.
        boxes_xyxy: float64 [T, 4], pixels of the image, filtered by the motion model.
        scores: float32 [T], of the detection that this frame's box comes from.
        classes: int64 [T].
    """

    ids: np.ndarray
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, rows: np.ndarray) -> Tracks:
        """The rows named by a boolean mask [T] or by indices, in their order."""
        return Tracks(self.ids[rows], self.boxes_xyxy[rows], self.scores[rows], self.classes[rows])
