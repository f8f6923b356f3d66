"""Track the people of a video: python -m fairmot.track source=video.mp4 checkpoint=runs/mot20 output=tracked.

With detections= in place of checkpoint= there is no network: boxes, and embeddings where they were stored, are read.
"""

import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fairmot.addresses import is_address
from fairmot.detections.file import ENDING, write_detections
from fairmot.detections.find import detections_of_source, find_detections
from fairmot.detections.recorder import DetectionRecorder
from fairmot.detections.text import score_range_of
from fairmot.detections.tracks import track_detections
from fairmot.errors import ConfigError, DataError
from fairmot.export.engine import open_with_engine
from fairmot.inference.detector import Detector
from fairmot.inference.pipeline import StageTimes, in_background
from fairmot.inference.tracks import TrackedFrame, track_frames, track_stored_frames, with_frame_rate
from fairmot.inference.trained_rules import say_whose_rules
from fairmot.media.drawing import Painter
from fairmot.media.frame import Frame
from fairmot.media.video import FrameSource, open_source
from fairmot.media.video_writer import FramesWriter, VideoWriter
from fairmot.mot.rows import result_rows, track_rows, write_results
from fairmot.track.config import TrackConfig
from fairmot.tracking.config import TrackerConfig
from fairmot.tracking.interpolation import interpolate
from fairmot.tracking.tracker import Tracker, plausible

STAGES = ("read", "network", "tracker", "write")


@dataclass(frozen=True)
class Outputs:
    """Where the results of a source go; what is not wanted is None."""

    text: Path
    video: Path | None
    frames: Path | None
    detections: Path | None

    @property
    def wanted(self) -> list[Path]:
        """All that will be written."""
        return [path for path in (self.text, self.video, self.frames, self.detections) if path is not None]


@dataclass(frozen=True)
class Report:
    """What tracking a source gave and took.

    Attributes:
        n_frames: frames tracked.
        n_identities: identities in the text file.
        n_boxes: rows of the text file.
        elapsed_s: wall time from the first frame to the last, without loading and compiling.
        processor_s: what all threads worked in that time.
        stage_s: seconds of work in each of STAGES; they overlap.
        written: the result's files and folders.
    """

    n_frames: int
    n_identities: int
    n_boxes: int
    elapsed_s: float
    processor_s: float
    stage_s: dict[str, float]
    written: list[Path]

    def __str__(self) -> str:
        per_frame = 1e3 / max(1, self.n_frames)
        lines = [f"{'stage':<12}{'ms/frame':>10}"]
        lines += [f"{stage:<12}{self.stage_s[stage] * per_frame:>10.1f}" for stage in STAGES]
        frames_per_s = self.n_frames / self.elapsed_s
        lines.append(f"{'overlapped':<12}{self.elapsed_s * per_frame:>10.1f}   {frames_per_s:.1f} frames/s")
        lines.append(f"{'processor':<12}{self.processor_s * per_frame:>10.1f}   all threads")
        lines.append(f"{self.n_identities} identities, {self.n_boxes} boxes in {self.n_frames} frames")
        return "\n".join([*lines, *(f"wrote {path}" for path in self.written)])


def track(config: TrackConfig) -> Report:
    """Track one source and write the results; the text file, written last, says that all are whole.

    Raises:
        ConfigError: results are there already, or the device is not.
        DataError: frames cannot be read, or results not written.
        CheckpointError: the checkpoint cannot be used.
    """
    source = open_source(config.source, config.reconnect_s)
    outputs = choose_outputs(config, source.name)
    tracker_config = with_frame_rate(config.tracker, source)
    found = None
    if config.detections is not None:
        path = find_detections(config.detections, source.name)
        if path.resolve() in [one.resolve() for one in outputs.wanted]:
            raise ConfigError(f"output={config.output}: the result would replace {path}; choose another folder")
        found = detections_of_source(path, source, tracker_config, score_range_of(config.score_range))
    if found is None:
        detector = _open_network(config, source)
        to_tracks, num_classes = partial(track_frames, detector), detector.num_classes
    else:
        to_tracks, num_classes = partial(track_stored_frames, found), found.num_classes
    times, began_at_s, worked_before_s = StageTimes(), time.perf_counter(), time.process_time()
    if found is not None and source.frames is not None and not _needs_pictures(config):
        frames = source.frames[: config.max_frames].tolist()
        with times.measure("tracker"):
            rows, n_frames = track_detections(found, tracker_config, frames), len(frames)
    else:
        wanted = islice(source.read(), config.max_frames)
        with (
            closing(to_tracks(wanted, Tracker(tracker_config), times)) as tracks,
            # The tracker need not wait for the writing.
            closing(in_background(tracks, config.batch_size, source.stop)) as tracked,
        ):
            rows, n_frames = _write_pictures(tracked, source, config, tracker_config, outputs, num_classes, times)
    elapsed_s, processor_s = time.perf_counter() - began_at_s, time.process_time() - worked_before_s
    rows = interpolate(rows, config.interpolation)
    if source.frames is not None:  # between the numbers of every fifth frame are none
        rows = rows[np.isin(rows[:, 0], source.frames)]
    result = result_rows(rows[:, 0], rows[:, 1], rows[:, 2:6], rows[:, 6], rows[:, 7])
    _written(outputs.text, partial(write_results, rows=result))
    stage_s = {stage: times.seconds[stage] for stage in STAGES}
    return Report(n_frames, len(np.unique(rows[:, 1])), len(rows), elapsed_s, processor_s, stage_s, outputs.wanted)


def _open_network(config: TrackConfig, source: FrameSource) -> Detector:
    """The network, compiled."""
    checkpoint = Path(str(config.checkpoint))
    say_whose_rules(checkpoint)
    known = [count for count in (source.length, config.max_frames) if count is not None]
    detector = open_with_engine(
        checkpoint,
        config.engine,
        config.device,
        max_objects=config.max_objects,
        batch_size=config.batch_size,
        n_frames=min(known, default=None),
    )
    detector.detect([np.zeros((*source.size_hw, 3), np.uint8)])  # compiles, which no frame should wait for
    return detector


def _needs_pictures(config: TrackConfig) -> bool:
    return config.video or config.frames or config.tracker.camera_motion


def choose_outputs(config: TrackConfig, name: str) -> Outputs:
    """The files to write for a source of this name; none of them may destroy anything.

    Raises:
        ConfigError: one is there already and overwrite is off, or one is the source itself.
    """
    folder = Path(config.output).expanduser()
    video = folder / f"{name}.mp4" if config.video else None
    frames = folder / f"{name}_frames" if config.frames else None
    detections = folder / f"{name}{ENDING}" if config.store_detections else None
    outputs = Outputs(folder / f"{name}.txt", video, frames, detections)
    source = Path(config.source).expanduser().resolve()
    if not is_address(config.source) and {path.resolve() for path in outputs.wanted} & {source, *source.parents}:
        raise ConfigError(
            f"output={config.output}: the result would replace the source {source}; choose another folder"
        )
    existing = [str(path) for path in outputs.wanted if path.exists()]
    if existing and not config.overwrite:
        raise ConfigError(f"output={config.output}: {', '.join(existing)} exists; choose another or set overwrite=true")
    return outputs


def _write_pictures(
    tracked: Iterable[TrackedFrame],
    source: FrameSource,
    config: TrackConfig,
    tracker_config: TrackerConfig,
    outputs: Outputs,
    num_classes: int,
    times: StageTimes,
) -> tuple[np.ndarray, int]:
    """Draw and write every frame; return rows [R, 8] (frame, id, x, y, w, h, score, class) and the number of frames."""
    rows = [np.zeros((0, 8))]
    n_frames = 0
    recorder = DetectionRecorder(config.store_least_score)
    painter = Painter(config.trail_frames, config.scores, classes=num_classes > 1)
    known = [count for count in (source.length, config.max_frames) if count is not None]
    with ExitStack() as stack:
        sinks = _open_sinks(stack, outputs, tracker_config.frame_rate, source.size_hw)
        bar = stack.enter_context(tqdm(total=min(known, default=None), unit="frame", disable=None, file=sys.stderr))
        try:
            for number, time_s, picture, detections, tracks in tracked:
                n_frames += 1
                if outputs.detections is not None:
                    recorder.add(number, time_s, detections)
                shown = plausible(tracks, tracker_config)
                rows.append(track_rows(number, shown, num_classes))
                with times.measure("write"):
                    if sinks:
                        drawn = painter.draw(picture, shown, f"frame {number}  {len(shown)} tracks")
                    for write in sinks:
                        write(Frame(number, time_s, drawn))
                bar.update()
        except KeyboardInterrupt:
            if not source.is_live:  # a camera has no other end
                raise
    if outputs.detections is not None:
        found = recorder.finished(str(outputs.detections), source.size_hw, source.frame_rate, num_classes)
        _written(outputs.detections, partial(write_detections, found=found))
    return np.concatenate(rows), n_frames


def _written(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file, or say why it cannot be (DataError)."""
    try:
        write(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error


def _open_sinks(
    stack: ExitStack, outputs: Outputs, frame_rate: float, size_hw: tuple[int, int]
) -> list[Callable[[Frame], None]]:
    """What takes the drawn frames."""
    sinks: list[Callable[[Frame], None]] = []
    if outputs.video is not None:
        video = stack.enter_context(VideoWriter(outputs.video, frame_rate, size_hw))
        sinks.append(lambda frame: video.write(frame.picture, frame.time_s))
    if outputs.frames is not None:
        pictures = stack.enter_context(FramesWriter(outputs.frames))
        sinks.append(lambda frame: pictures.write(frame.picture, frame.number))
    return sinks


def track_and_print(config: TrackConfig) -> None:
    """The command: `track`, and what it reports."""
    print(track(config))
