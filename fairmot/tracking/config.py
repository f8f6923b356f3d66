"""The tracker's rules: keys, their defaults and what they may be."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

_LEAST_SMOOTHING_FRAMES = 0.5


class Cost(Enum):
    """What the first matching compares: appearance within the gate of the motion model, overlap, or both."""

    embedding = "embedding"
    giou_embedding = "giou_embedding"
    iou = "iou"
    iou_embedding = "iou_embedding"


@dataclass
class TrackerConfig:
    """The tracker's rules; the defaults are the paper's.

    Attributes:
        conf_thres: detections must score more than this to be matched and to start tracks.
        start_thres: what starts a track must score more than this too.
        track_buffer: frames, at 30 frames a second, for which a lost track may be found again.
        frame_rate: frames a second of the sequence.
        match_embedding: largest cost of a match by appearance and motion.
        match_iou: largest IoU distance of a match by overlap.
        match_lost: where the first matching is by overlap, lost tracks choose after the followed ones, with this as
            their limit (compare the cascade of Wojke et al., ICIP 2017); null: together, with match_iou.
        match_unconfirmed: the same for tracks seen only once.
        match_duplicate: a followed and a lost track closer than this are one; the one with the shorter history goes.
        cost: `embedding`, the cosine distance fused with the motion model's; or `giou_embedding`, the product of
            the GIoU distance (0 to 2) and the cosine distance; or `iou`, the IoU distance up to match_iou, as always
            where detections come without embeddings; or `iou_embedding`, the same with the cosine distance, which
            says who matches of those that overlap enough (compare Maggiolino et al., ICIP 2023).
        appearance_weight: share of the cosine distance in a fused cost; the rest is the squared Mahalanobis distance,
            or the IoU distance.
        smoothing: share of a track's running embedding that survives an update.
        byte: match weak detections too (Zhang et al., ECCV 2022).
        byte_lost: weak detections find lost tracks again too.
        low_thres: weak detections score more than this and at most conf_thres.
        match_low: largest IoU distance of a match with a weak detection.
        camera_motion: carry the tracks along with the background; `update` then needs the frames.
        min_box_area: boxes of this many square pixels or fewer are not reported.
        max_aspect: boxes with more than this width / height are not reported.
    """

    conf_thres: float = 0.4
    start_thres: float = 0.0
    track_buffer: int = 30
    frame_rate: float = 30.0
    match_embedding: float = 0.4
    match_iou: float = 0.5
    match_lost: float | None = None
    match_unconfirmed: float = 0.7
    match_duplicate: float = 0.15
    cost: Cost = Cost.embedding
    appearance_weight: float = 0.98
    smoothing: float = 0.9
    byte: bool = False
    byte_lost: bool = False
    low_thres: float = 0.2
    match_low: float = 0.4
    camera_motion: bool = False
    min_box_area: float = 100.0
    max_aspect: float = 1.6

    def __post_init__(self) -> None:
        shares = "conf_thres", "start_thres", "low_thres", "appearance_weight", "smoothing"
        distances = "match_iou", "match_unconfirmed", "match_duplicate", "match_low"
        for key in (*shares, *distances):
            if not 0 <= getattr(self, key) <= 1:
                raise ValueError(f"tracker.{key} must be from 0 to 1, got {getattr(self, key)}")
        if self.match_lost is not None and not 0 <= self.match_lost <= 1:
            raise ValueError(f"tracker.match_lost must be from 0 to 1, got {self.match_lost}")
        for key in ("track_buffer", "match_embedding", "min_box_area"):
            if not 0 <= getattr(self, key) < np.inf:
                raise ValueError(f"tracker.{key} must be finite and not negative, got {getattr(self, key)}")
        for key in ("frame_rate", "max_aspect"):
            if not 0 < getattr(self, key) < np.inf:
                raise ValueError(f"tracker.{key} must be finite and more than 0, got {getattr(self, key)}")
        if self.byte and not self.low_thres < self.conf_thres:
            raise ValueError(
                f"tracker.low_thres must be less than tracker.conf_thres, got {self.low_thres} and {self.conf_thres}"
            )


class Interpolation(Enum):
    """What happens to the rows of a finished sequence."""

    none = "none"
    linear = "linear"
    gaussian = "gaussian"


@dataclass
class InterpolationConfig:
    """How the tracks of a finished sequence are mended.

    Attributes:
        method: `none`; `linear` fills gaps on a straight line; `gaussian` then smooths all boxes as well.
        max_gap_frames: longer gaps stay open.
        smoothing_frames: standard deviation of the Gaussian weights, at least 0.5.
    """

    method: Interpolation = Interpolation.none
    max_gap_frames: int = 20
    smoothing_frames: float = 3.0

    def __post_init__(self) -> None:
        if self.max_gap_frames < 0:
            raise ValueError(f"interpolation.max_gap_frames must not be negative, got {self.max_gap_frames}")
        if not _LEAST_SMOOTHING_FRAMES <= self.smoothing_frames < float("inf"):
            raise ValueError(
                f"interpolation.smoothing_frames must be finite and at least {_LEAST_SMOOTHING_FRAMES}, "
                f"got {self.smoothing_frames}"
            )
