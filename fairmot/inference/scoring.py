"""What a network is worth on sequences with ground truth: tracks, and the detections they were made of."""

import dataclasses
from collections.abc import Callable
from contextlib import closing
from itertools import islice

import numpy as np

from fairmot.boxes import cxcywh_to_xyxy, xywh_to_cxcywh
from fairmot.errors import DataError
from fairmot.evaluation.detection import ImageMatches, match_detections
from fairmot.evaluation.sequences import GroundTruthSequence
from fairmot.inference.detector import BatchDetector
from fairmot.inference.network import Detector, track_frames
from fairmot.media.video import FrameSource, open_source
from fairmot.mot.rows import MotRows, class_column, result_rows
from fairmot.structures import Detections, Tracks
from fairmot.tracking.tracker import Tracker, TrackerConfig, plausible

Watch = Callable[[int, np.ndarray, Tracks], None]
"""Called with every frame's number, picture and tracks."""


@dataclasses.dataclass
class TrackedSequence:
    """What came out of one sequence.

    Attributes:
        results: the tracks.
        images: for each frame, and each class where there are several, its detections, weak ones included, matched
            with the objects that count.
    """

    results: MotRows
    images: list[ImageMatches]


@dataclasses.dataclass
class Embeddings:
    """What the network says at the objects of the ground truth.

    Attributes:
        vectors: float32 [N, D] of length 1.
        ids: int64 [N].
    """

    vectors: np.ndarray
    ids: np.ndarray


def frames_of(sequence: GroundTruthSequence) -> FrameSource:
    """The pictures of a sequence.

    Raises:
        DataError: it has none, or its ground truth is of frames that are not there.
    """
    if sequence.folder is None or not (sequence.folder / "img1").is_dir():
        raise DataError(f"{sequence.name}: no folder img1 beside its ground truth: there are no frames to track")
    source = open_source(str(sequence.folder))
    last = int(sequence.counted().frames.max())
    if source.length is not None and last > source.length:
        raise DataError(
            f"{sequence.folder}: ground truth up to frame {last}, but img1 holds {source.length} pictures; "
            "is the download complete?"
        )
    return source


def track_with_ground_truth(
    detector: BatchDetector,
    sequence: GroundTruthSequence,
    config: TrackerConfig,
    *,
    skip_frames: int = 0,
    watch: Watch | None = None,
) -> TrackedSequence:
    """`track_source` of a sequence, and how its detections compare with the ground truth.

    Raises:
        DataError: pictures are missing or cannot be read.
    """
    source = frames_of(sequence)
    config = with_frame_rate(config, source)
    tracker = _MatchingTracker(config, sequence.counted(), skip_frames, detector.num_classes)
    results = track_source(detector, source, config, tracker, skip_frames=skip_frames, watch=watch)
    return TrackedSequence(results, tracker.images)


def track_source(
    detector: BatchDetector,
    source: FrameSource,
    config: TrackerConfig,
    tracker: Tracker,
    *,
    skip_frames: int = 0,
    watch: Watch | None = None,
) -> MotRows:
    """Track frames to their end and keep what is plausible.

    Args:
        detector: finds the objects.
        source: the frames.
        config: what the tracker was made from.
        tracker: a new one.
        skip_frames: frames at the beginning that are not tracked; numbers count on behind them.
        watch: is shown every frame that is tracked.

    Raises:
        DataError: a frame cannot be read.
    """
    rows = [np.zeros((0, 8))]
    with closing(track_frames(detector, islice(source, skip_frames, None), tracker)) as tracked:
        for position, frame, every_track in tracked:
            number, tracks = skip_frames + position, plausible(every_track, config)
            low, high = tracks.boxes_xyxy[:, :2], tracks.boxes_xyxy[:, 2:]
            numbers = np.full(len(tracks), number)
            classes = class_column(tracks.classes, detector.num_classes)
            rows.append(np.column_stack([numbers, tracks.ids, low, high - low, tracks.scores, classes]))
            if watch is not None:
                watch(number, frame, tracks)
    table = np.concatenate(rows)
    return result_rows(table[:, 0], table[:, 1], table[:, 2:6], table[:, 6], table[:, 7])


def with_frame_rate(config: TrackerConfig, source: FrameSource) -> TrackerConfig:
    """The tracker's rules with the frame rate of a source that knows its own."""
    return dataclasses.replace(config, frame_rate=source.frame_rate or config.frame_rate)


def embeddings_of_objects(detector: Detector, sequence: GroundTruthSequence, watch: Callable[[], object]) -> Embeddings:
    """The network's embeddings at the true places of all objects of a sequence, so that nothing but they is judged.

    Args:
        detector: around the network.
        sequence: pictures and ground truth.
        watch: called after every frame.

    Raises:
        DataError: pictures are missing or cannot be read.
    """
    objects = sequence.counted()
    vectors, ids = [], []
    for number, frame in enumerate(frames_of(sequence), start=1):
        here = objects.frames == number
        if here.any():
            vectors.append(detector.embeddings_at(frame, _xyxy(objects.boxes_xywh[here])))
            ids.append(objects.ids[here])
        watch()
    return Embeddings(np.concatenate(vectors), np.concatenate(ids))


def _xyxy(boxes_xywh: np.ndarray) -> np.ndarray:
    return cxcywh_to_xyxy(xywh_to_cxcywh(boxes_xywh))


class _MatchingTracker(Tracker):
    """A tracker that compares its detections with the ground truth as they pass."""

    def __init__(self, config: TrackerConfig, objects: MotRows, skipped_frames: int, num_classes: int) -> None:
        super().__init__(config)
        self.images: list[ImageMatches] = []
        self._objects = objects
        self._skipped_frames = skipped_frames
        self._num_classes = num_classes

    def update(self, detections: Detections, frame: np.ndarray | None = None) -> Tracks:
        """As a tracker does."""
        tracks = super().update(detections, frame)
        objects = self._objects.select(self._objects.frames == self._skipped_frames + self.n_frames)
        for class_id in range(self._num_classes):
            found, there = detections, objects
            if self._num_classes > 1:
                found = detections.select(detections.classes == class_id)
                there = objects.select(objects.classes == class_id + 1)
            self.images.append(match_detections(found.boxes_xyxy, found.scores, _xyxy(there.boxes_xywh)))
        return tracks
