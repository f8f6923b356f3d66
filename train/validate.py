"""Validation while training: track the validation sequences with the live network and score the tracks."""

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from fairmot.data.dataset import DataConfig, ValidationFrames
from fairmot.errors import DataError
from fairmot.evaluation.detection import ImageMatches, detection_metrics
from fairmot.evaluation.metrics import SequenceMetrics, SequencePair, combine, score_pair
from fairmot.evaluation.plots import plot_sequence, sequence_plots
from fairmot.evaluation.report import score_columns, write_report
from fairmot.evaluation.rules import Rules
from fairmot.evaluation.sequences import GroundTruthSequence, find_ground_truth, require_objects
from fairmot.files import write_atomic, write_json_atomic
from fairmot.inference.detector import Detector
from fairmot.inference.scoring import frames_of, track_with_ground_truth
from fairmot.inference.tracks import TrackedFrame
from fairmot.media.drawing import Painter, sheet
from fairmot.mot.numbering import number_pictures
from fairmot.mot.rows import write_results
from fairmot.tracking.config import TrackerConfig
from train.distributed import World
from train.heartbeat import beat
from train.shared_storage import is_listed, wait_until
from train.validation_video import ValidationVideo

_PATIENCE_S = 4 * 3600.0
_PICTURES, _COLUMNS = 6, 3
_MOST_SEQUENCES_SHOWN = 8
_MOST_SEQUENCES_FILMED = 3


@dataclass
class ValidationSequence:
    """A sequence to validate on.

    Attributes:
        sequence: its ground truth, of the frames that are tracked.
        frames: int64 [N], the numbers of its pictures, in order.
        skip_frames: how many of them, at the beginning, are left out.
        frame_rate: frames per second, None where nobody says.
    """

    sequence: GroundTruthSequence
    frames: np.ndarray
    skip_frames: int
    frame_rate: float | None

    @property
    def frame_count(self) -> int:
        """All pictures, those left out included."""
        return len(self.frames)


@dataclass
class Scores:
    """A validation's outcome.

    Attributes:
        values: MOTA, IDF1, HOTA and AP (of detections, at IoU 0.5) in percent, switches, and the seconds it took.
        sheet: a picture of tracked frames.
        table: the scores of each sequence and of all together, as MLflow reads tables.
        files: to look at: the tables, and of the first sequences plots of their tracks, and videos.
    """

    values: dict[str, float]
    sheet: Path
    table: Path
    files: list[Path]

    def __str__(self) -> str:
        return "  ".join(f"{name} {value:.1f}" for name, value in self.values.items())


@dataclass
class _Outcome:
    metrics: SequenceMetrics
    images: list[ImageMatches]
    picture: np.ndarray
    has_video: bool


def find_validation_sequences(config: DataConfig) -> list[ValidationSequence]:
    """The sequences `data.validation` names, opened and checked, in order of name.

    Raises:
        DataError: a pattern without a folder, two sequences of one name, or one that cannot be tracked and scored.
    """
    folders: dict[str, Path] = {}
    for pattern in config.validation:
        matches = [path for path in sorted(Path(config.root).glob(pattern)) if path.is_dir()]
        if not matches:
            raise DataError(
                f"data.validation: no folder {Path(config.root) / pattern}; name folders that hold img1 and "
                "gt/gt.txt, or set validate_every_epochs=0"
            )
        for path in matches:
            if folders.setdefault(path.name, path) != path:
                raise DataError(f"data.validation: {path} and {folders[path.name]} have the same name")
    found = [_open(folders[name], config.validation_frames) for name in sorted(folders)]
    where = f"data.validation={config.validation}, validation_frames={config.validation_frames.value}"
    require_objects(where, [one.sequence for one in found])
    return found


def _open(folder: Path, frames: ValidationFrames) -> ValidationSequence:
    (sequence,), _ = find_ground_truth(folder)
    frame_rate = frames_of(sequence).frame_rate
    numbers = number_pictures(folder).frames
    skip = len(numbers) // 2 if frames is ValidationFrames.second_half else 0  # as the lists of halves are cut
    if skip:
        sequence.gt = sequence.gt.select(sequence.gt.frames > numbers[skip - 1])
    return ValidationSequence(sequence, numbers, skip, frame_rate)


class Validator:
    """Tracks the validation sequences, shared among the ranks; every rank calls `run` at the same time.

    Args:
        open_detector: called once a validation, for a detector by the weights in training as they are then.
        sequences: what to track, the same on every rank.
        tracker: the tracker's rules.
        world: this rank among all.
        folder: of all validations, on storage that all ranks share.
        video_frames: how long the videos of the first sequences are at most; 0: none.
        rules: who matches and counts.

    Attributes:
        sequences: as given.
    """

    def __init__(
        self,
        open_detector: Callable[[], Detector],
        sequences: list[ValidationSequence],
        tracker: TrackerConfig,
        world: World,
        folder: Path,
        video_frames: int = 0,
        rules: Rules = Rules.official,
    ) -> None:
        self._open_detector = open_detector
        self.sequences = sequences
        self._tracker = tracker
        self._world = world
        self._folder = folder
        self._filmed = {entry.sequence.name for entry in sequences[:_MOST_SEQUENCES_FILMED]}
        self._video_frames = video_frames
        self._rules = rules

    def run(self, epoch: int) -> Scores | None:
        """Track this rank's share, wait for the others' and, on the lead rank, sum up.

        Writes to `epoch_<epoch>/` a result file for each sequence, the tables of metrics, a sheet of tracked frames and
        videos.

        Returns:
            The scores; None on the other ranks.

        Raises:
            DataError: a picture cannot be read.
            FairMOTError: the network's output is not finite, or another rank does not finish.
        """
        began_at_s = time.perf_counter()
        folder = self._folder / f"epoch_{epoch:03d}"
        share = self.sequences[self._world.rank :: self._world.size]
        for entry in share:
            self._outcome_path(folder, entry).unlink(missing_ok=True)
        self._world.barrier()  # from here on a file that is there is a new one
        self._track_all(share, folder, epoch)
        self._wait(folder)
        self._world.barrier()  # the lead removes what the others wait for
        if not self._world.is_lead:
            return None
        return self._sum_up(folder, epoch, began_at_s)

    def _track_all(self, share: list[ValidationSequence], folder: Path, epoch: int) -> None:
        if not share:
            return
        detector = self._open_detector()
        with tqdm(
            total=sum(entry.frame_count - entry.skip_frames for entry in share),
            desc=f"validation after epoch {epoch}",
            unit="frame",
            leave=False,
            disable=None if self._world.is_lead else True,
        ) as bar:
            for entry in share:
                outcome = self._track(entry, detector, folder, bar)
                write_atomic(self._outcome_path(folder, entry), pickle.dumps(outcome), sync=False)

    def _outcome_path(self, folder: Path, entry: ValidationSequence) -> Path:
        return folder / f".{entry.sequence.name}.outcome"

    def _track(self, entry: ValidationSequence, detector: Detector, folder: Path, bar: tqdm) -> _Outcome:
        sequence = entry.sequence
        painter, pictures = Painter(classes=detector.num_classes > 1), []
        chosen = np.linspace(entry.skip_frames + 1, entry.frame_count, _PICTURES).round().astype(int)
        shown = set(entry.frames[chosen - 1].tolist())

        video_path = _video_path(folder, sequence.name)
        most_frames = self._video_frames if sequence.name in self._filmed else 0
        video = ValidationVideo(video_path, entry.frame_rate or self._tracker.frame_rate, most_frames)

        def watch(frame: TrackedFrame) -> None:
            bar.update()
            beat()
            picture = painter.draw(frame.picture, frame.tracks, caption=f"{sequence.name}  {frame.number}")
            video.add(picture)
            if frame.number in shown:
                pictures.append(picture)

        with video:
            tracked = track_with_ground_truth(
                detector, sequence, self._tracker, skip_frames=entry.skip_frames, watch=watch
            )
        if video.is_broken:
            self._video_frames = 0  # said once
        write_results(folder / f"{sequence.name}.txt", tracked.results)
        pair = SequencePair(sequence.name, sequence.gt, tracked.results, sequence.benchmark, self._rules)
        metrics, events = score_pair(pair)
        plot_sequence(folder, sequence.name, events)
        return _Outcome(metrics, tracked.images, sheet(pictures, _COLUMNS), has_video=video_path.is_file())

    def _wait(self, folder: Path) -> None:
        """Until every rank has written its share: a collective operation would time out on sequences this unequal."""
        paths = [self._outcome_path(folder, entry) for entry in self.sequences]
        wait_until(lambda: all(map(is_listed, paths)), "the other ranks' validation sequences", _PATIENCE_S)

    def _sum_up(self, folder: Path, epoch: int, began_at_s: float) -> Scores:
        paths = [self._outcome_path(folder, entry) for entry in self.sequences]
        outcomes: list[_Outcome] = [pickle.loads(path.read_bytes()) for path in paths]
        metrics = [outcome.metrics for outcome in outcomes]
        write_report(folder, metrics)
        overall = combine(metrics)
        detections = detection_metrics([image for outcome in outcomes for image in outcome.images])
        values = {
            "MOTA": overall.mota,
            "IDF1": overall.idf1,
            "HOTA": overall.hota_score,
            "switches": float(overall.switches),
            "AP": detections.average_precision,
            "seconds": time.perf_counter() - began_at_s,
        }
        pictures = [outcome.picture for outcome in outcomes[:_MOST_SEQUENCES_SHOWN]]
        picture = sheet(pictures, columns=min(2, len(pictures)))
        sheet_path = folder / f"validation_epoch_{epoch:03d}.png"
        write_atomic(sheet_path, cv2.imencode(".png", picture)[1].tobytes(), sync=False)
        table_path = folder / "validation_scores.json"
        write_json_atomic(table_path, score_columns(metrics), sync=False)
        names = [entry.sequence.name for entry in self.sequences[:_MOST_SEQUENCES_SHOWN]]
        plots = [path for name in names for path in sequence_plots(folder, name)]
        pairs = zip(self.sequences, outcomes, strict=True)
        videos = [_video_path(folder, entry.sequence.name) for entry, outcome in pairs if outcome.has_video]
        files = [folder / "metrics.txt", folder / "metrics.csv", *plots, *videos]
        scores = Scores(values, sheet_path, table_path, files)
        for path in paths:
            path.unlink()
        tqdm.write(f"validation after epoch {epoch}  {scores}")
        return scores


def _video_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.mp4"
