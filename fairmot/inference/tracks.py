"""From the frames of a sequence to its tracks, by any detector."""

import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import NamedTuple

import numpy as np

from fairmot.detections.sequence import SequenceDetections
from fairmot.inference.detector import Detector
from fairmot.inference.pipeline import StageTimes, in_background
from fairmot.media.frame import Frame
from fairmot.media.video import FrameSource
from fairmot.mot.rows import MotRows, result_rows, track_rows
from fairmot.structures import Detections, Tracks
from fairmot.tracking.config import TrackerConfig
from fairmot.tracking.tracker import Tracker, plausible

_BATCHES_AHEAD = 2


class TrackedFrame(NamedTuple):
    """What is known of a frame once it is tracked.

    Attributes:
        number: of the frame in its source, from 1.
        time_s: since the source's first frame; None where nobody says.
        picture: uint8 [H, W, 3], BGR.
        detections: all of the network's, weak ones included, in descending order of score.
        tracks: what the tracker made of them.
    """

    number: int
    time_s: float | None
    picture: np.ndarray
    detections: Detections
    tracks: Tracks


Watch = Callable[[TrackedFrame], object]
"""Called with every frame that is tracked; its tracks are the plausible ones."""


def track_frames(
    detector: Detector, frames: Iterable[Frame], tracker: Tracker, times: StageTimes | None = None
) -> Generator[TrackedFrame, None, None]:
    """Track a sequence while it is read. Reading, the network and the caller work at the same time.

    Close it, or read it to its end: its threads then end too, also when it fails.

    Args:
        detector: finds the objects.
        frames: in order.
        tracker: a new one; it has seen no frame yet.
        times: receives the stages `read` (with the letterbox), `network` and `tracker`.

    Yields:
        Each frame, with its detections and tracks.

    Raises:
        FairMOTError: whatever the frames raise, or the network's output is not finite.
    """
    times = StageTimes() if times is None else times
    with closing(detect_frames(detector, frames, times)) as detected:
        yield from _followed(detected, tracker, times)


def detect_frames(
    detector: Detector, frames: Iterable[Frame], times: StageTimes | None = None
) -> Generator[tuple[Frame, Detections], None, None]:
    """Every frame with what the network finds in it; all else as of `track_frames`, without a tracker."""
    times = StageTimes() if times is None else times
    ahead = _BATCHES_AHEAD * detector.batch_size
    with (
        closing(in_background(times.each(_prepared(detector, frames), "read"), ahead)) as prepared,
        closing(in_background(_detected(detector, prepared, times), ahead)) as detected,
    ):
        yield from detected


def track_stored_frames(
    found: SequenceDetections, frames: Iterable[Frame], tracker: Tracker, times: StageTimes
) -> Generator[TrackedFrame, None, None]:
    """`track_frames` with detections that are there already. Close it, or read it to its end.

    Args:
        found: the detections.
        frames: in order, with the pictures that somebody wants to see.
        tracker: a new one; it has seen no frame yet.
        times: receives the stages `read` and `tracker`.

    Yields:
        Each frame, with its detections and tracks.

    Raises:
        FairMOTError: whatever the frames raise, or nothing is known of one of them.
    """
    with closing(in_background(times.each(frames, "read"), _BATCHES_AHEAD)) as read:
        yield from _followed(((frame, found.at(frame.number)) for frame in read), tracker, times)


def _followed(
    detected: Iterable[tuple[Frame, Detections]], tracker: Tracker, times: StageTimes
) -> Iterator[TrackedFrame]:
    for (number, time_s, picture), detections in detected:
        with times.measure("tracker"):
            tracks = tracker.update(detections, picture, time_s)
        yield TrackedFrame(number, time_s, picture, detections, tracks)


def _prepared(detector: Detector, frames: Iterable[Frame]) -> Iterator[tuple[Frame, np.ndarray]]:
    for frame in frames:
        yield frame, detector.prepare(frame.picture)


def _detected(
    detector: Detector, prepared: Iterator[tuple[Frame, np.ndarray]], times: StageTimes
) -> Iterator[tuple[Frame, Detections]]:
    while batch := list(islice(prepared, detector.batch_size)):
        frames, inputs = zip(*batch, strict=True)
        with times.measure("network"):
            detections = detector.infer(inputs, [frame.picture.shape[:2] for frame in frames])
        yield from zip(frames, detections, strict=True)


def track_source(
    detector: Detector,
    source: FrameSource,
    config: TrackerConfig,
    *,
    skip_frames: int = 0,
    watch: Watch | None = None,
) -> MotRows:
    """Track frames to their end and keep what is plausible, under the frames' numbers in their source.

    Args:
        detector: finds the objects.
        source: the frames.
        config: the tracker's rules; a source that knows its frame rate replaces theirs.
        skip_frames: frames at the beginning that are not tracked.
        watch: is shown every frame that is tracked.

    Raises:
        DataError: a frame cannot be read.
    """
    config = with_frame_rate(config, source)
    rows = [np.zeros((0, 8))]
    with closing(track_frames(detector, islice(source.read(), skip_frames, None), Tracker(config))) as tracked_frames:
        for tracked in tracked_frames:
            frame = tracked._replace(tracks=plausible(tracked.tracks, config))
            rows.append(track_rows(frame.number, frame.tracks, detector.num_classes))
            if watch is not None:
                watch(frame)
    table = np.concatenate(rows)
    return result_rows(table[:, 0], table[:, 1], table[:, 2:6], table[:, 6], table[:, 7])


def with_frame_rate(config: TrackerConfig, source: FrameSource) -> TrackerConfig:
    """The tracker's rules with the frame rate of a source that knows its own."""
    return dataclasses.replace(config, frame_rate=source.frame_rate or config.frame_rate)
