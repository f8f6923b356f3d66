"""The original's tracker behind the same call as ours, for comparison: detections in, tracks out.

Its network, decoder and PyTorch are replaced by what hands the given detections through; association, Kalman filter and
bookkeeping are its own files, but for `bbox_overlaps`, whose Cython extension is written in NumPy here.
"""

import logging
import sys
import types
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from fairmot.structures import Detections


class Absent(types.ModuleType):
    """Stands for a module that the original imports and its measured part does not need."""

    __path__: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Passed:
    """An array, or nothing, where the original expects a tensor."""

    def __init__(self, values: np.ndarray | None = None) -> None:
        self._values = values

    def squeeze(self, _: int) -> "_Passed":
        return self

    def cpu(self) -> "_Passed":
        return self

    def sigmoid_(self) -> "_Passed":
        return self

    def numpy(self) -> np.ndarray | None:
        return self._values


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of [N, 4] and [M, 4], pixels counted inclusively."""
    width = np.minimum(boxes[:, None, 2], others[None, :, 2]) - np.maximum(boxes[:, None, 0], others[None, :, 0]) + 1
    height = np.minimum(boxes[:, None, 3], others[None, :, 3]) - np.maximum(boxes[:, None, 1], others[None, :, 1]) + 1
    common = np.maximum(width, 0) * np.maximum(height, 0)
    areas = [(some[:, 2] - some[:, 0] + 1) * (some[:, 3] - some[:, 1] + 1) for some in (boxes, others)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def original_tracker(repository: str) -> Callable[[], Callable[[Detections], object]]:
    """What makes new trackers by the original's files at `repository`."""
    np.float = float  # type: ignore[attr-defined]  # the alias that NumPy dropped
    sys.path.insert(0, str(Path(repository) / "src" / "lib"))
    for name in (
        "torch", "torch.nn", "torch.nn.functional", "cython_bbox", "models", "models.decode", "models.model",
        "models.utils", "utils", "utils.image", "utils.post_process", "tracking_utils.log", "tracking_utils.utils",
    ):  # fmt: skip
        sys.modules[name] = Absent(name)
    given: dict[str, Any] = {
        "torch.no_grad": nullcontext,
        "torch.nn": sys.modules["torch.nn"],
        "torch.nn.functional": sys.modules["torch.nn.functional"],
        "torch.nn.functional.normalize": lambda features, dim: features,
        "cython_bbox.bbox_overlaps": overlaps,
        "models.decode.mot_decode": lambda *_, **__: (None, None),
        "tracking_utils.log.logger": logging.getLogger("original"),
        "models.utils._tranpose_and_gather_feat": lambda features, _: features,
    }
    for name, value in given.items():
        module, _, attribute = name.rpartition(".")
        setattr(sys.modules[module], attribute, value)
    from tracker.multitracker import JDETracker  # noqa: PLC0415
    from tracking_utils.kalman_filter import KalmanFilter  # noqa: PLC0415

    class Tracker(JDETracker):
        """Without its network."""

        def __init__(self) -> None:
            self.opt = types.SimpleNamespace(
                conf_thres=0.4, K=500, down_ratio=4, reg_offset=True, ltrb=True, num_classes=1
            )
            self.tracked_stracks, self.lost_stracks, self.removed_stracks = [], [], []
            self.frame_id, self.det_thresh = 0, 0.4
            self.buffer_size = self.max_time_lost = 30
            self.kalman_filter = KalmanFilter()
            self._picture = np.empty((1080, 1920, 3), np.uint8)
            self._input = np.empty((1, 3, 608, 1088), np.float32)

        def model(self, _: np.ndarray) -> list[dict[str, _Passed]]:
            return [{"hm": _Passed(), "wh": _Passed(), "id": self._embeddings, "reg": _Passed()}]

        def post_process(self, *_: object) -> None:
            return None

        def merge_outputs(self, _: object) -> dict[int, np.ndarray]:
            return {1: self._boxes}

        def track(self, detections: Detections) -> object:
            self._boxes = np.column_stack([detections.boxes_xyxy, detections.scores]).astype(np.float32)
            self._embeddings = _Passed(detections.embeddings.copy())
            return self.update(self._input, self._picture)

    return lambda: Tracker().track
