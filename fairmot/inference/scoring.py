"""What a network is worth on sequences with ground truth: tracks, and the detections they were made of."""

import dataclasses
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from fairmot.boxes import cxcywh_to_xyxy, xywh_to_cxcywh
from fairmot.errors import DataError
from fairmot.evaluation.detection import ImageMatches, match_detections
from fairmot.evaluation.sequences import GroundTruthSequence
from fairmot.inference.detector import Detector
from fairmot.inference.tracks import TrackedFrame, Watch, track_source
from fairmot.media.video import FrameSource, open_source
from fairmot.mot.rows import MotRows
from fairmot.structures import Detections
from fairmot.tracking.config import TrackerConfig


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
        DataError: it has none.
    """
    if sequence.folder is None or not (sequence.folder / "img1").is_dir():
        raise DataError(f"{sequence.name}: no folder img1 beside its ground truth: there are no frames to track")
    return open_source(str(sequence.folder))


def track_with_ground_truth(
    detector: Detector,
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
    objects = sequence.counted()
    images: list[ImageMatches] = []

    def compare(frame: TrackedFrame) -> None:
        here = objects.select(objects.frames == frame.number)
        images.extend(_matches(frame.detections, here, detector.num_classes))
        if watch is not None:
            watch(frame)

    results = track_source(detector, frames_of(sequence), config, skip_frames=skip_frames, watch=compare)
    return TrackedSequence(results, images)


def _matches(detections: Detections, objects: MotRows, num_classes: int) -> Iterator[ImageMatches]:
    """A frame's detections compared with its objects, each class for itself where there are several."""
    for class_id in range(num_classes):
        detected, true = detections, objects
        if num_classes > 1:
            detected = detections.select(detections.classes == class_id)
            true = objects.select(objects.classes == class_id + 1)
        yield match_detections(detected.boxes_xyxy, detected.scores, _xyxy(true.boxes_xywh))


def embeddings_of_objects(
    detector: Detector, sequence: GroundTruthSequence, watch: Callable[[int], object]
) -> Embeddings:
    """The network's embeddings at the true places of all objects of a sequence, so that nothing but they is judged.

    Args:
        detector: one that `gives_embeddings`.
        sequence: pictures and ground truth.
        watch: called with how many frames are done more.

    Raises:
        DataError: pictures are missing or cannot be read.
    """
    objects = sequence.counted()
    vectors, ids = [], []
    frames = frames_of(sequence).read()
    while batch := list(islice(frames, detector.batch_size)):
        present = [objects.select(objects.frames == frame.number) for frame in batch]
        seen = [(frame.picture, here) for frame, here in zip(batch, present, strict=True) if len(here)]
        vectors += detector.embeddings_at([picture for picture, _ in seen], [_xyxy(one.boxes_xywh) for _, one in seen])
        ids += [here.ids for _, here in seen]
        watch(len(batch))
    if not ids:
        return Embeddings(np.zeros((0, 0), np.float32), np.zeros(0, np.int64))
    return Embeddings(np.concatenate(vectors), np.concatenate(ids))


def _xyxy(boxes_xywh: np.ndarray) -> np.ndarray:
    return cxcywh_to_xyxy(xywh_to_cxcywh(boxes_xywh))
