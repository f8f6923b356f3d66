"""Search the tracker's rules: python -m fairmot.tune gt=<sequences> checkpoint=<run>|detections=<files> output=..."""

import logging
import shlex
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from omegaconf import MISSING
from tqdm import tqdm

from fairmot.addresses import masked_address
from fairmot.cli.command import run_command, suggest
from fairmot.detections.text import score_range_of
from fairmot.detections.tracks import check_rules
from fairmot.device import Device
from fairmot.errors import ConfigError, DataError
from fairmot.evaluation.sequences import GroundTruthSequence, find_ground_truth, require_objects
from fairmot.inference.trained_rules import TrackerOfCheckpoint, say_whose_rules
from fairmot.mot.benchmarks import Benchmark
from fairmot.tracking.config import TrackerConfig
from fairmot.tune.mlflow_runs import log_search
from fairmot.tune.report import TUNED, table, words_of, write_files
from fairmot.tune.search import Search, Subject, import_optuna, search
from fairmot.tune.space import Dimension, default_space, parse_space
from fairmot.tune.subjects import subjects_of_checkpoint, subjects_of_files

_log = logging.getLogger(__name__)

_SHOWN = 10


class Objective(Enum):
    """The figure to raise."""

    HOTA = "HOTA"
    IDF1 = "IDF1"
    MOTA = "MOTA"


@dataclass
class TuneConfig(TrackerOfCheckpoint):
    """Everything `python -m fairmot.tune` can be told.

    Attributes:
        gt: folder of sequences (`<name>/gt/gt.txt`, or `<name>.txt`), or one sequence's folder.
        checkpoint: a checkpoint or run directory, or a file of fairmot.convert or fairmot.export: its network finds
            the objects once, and they are kept in <output>/detections.
        detections: instead of checkpoint, a folder with <name>_detections.safetensors, <name>.txt or
            <name>/det/det.txt for every sequence, or the file of a single one.
        score_range: confidences of a det.txt that count as 0 and 1, such as [0,100]; null: they are from 0 to 1.
        store_least_score: detections of the network that score less are not kept.
        output: folder for the table, the picture and the best rules.
        objective: what is raised, over all sequences together and by the official rules.
        trials: how many rules are drawn and scored.
        seed: of the drawing.
        space: the tracker's keys that are searched, each key=low..high or key=one/other; empty: thresholds and limits.
        held_out: sequences that the search does not see; the best rules are scored on them at the end.
        benchmark: whose pre-processing applies (which classes distract, rows with flag 0); null: that of each
            sequence's name.
        mlflow_uri: MLflow's server or store, which gets the search as a run and every trial as its child; null: none.
        mlflow_experiment: the experiment there; made if absent.
        overwrite: write over an earlier search.
        batch_size: frames that go through the network together.
        device: where the network runs: cpu, ascend, or auto: an NPU where one is found, else the CPU.
        tracker: the rules that the search begins with, and that hold where it does not search. frame_rate counts
            where a sequence does not know its own.
    """

    gt: str = MISSING
    checkpoint: str | None = None
    detections: str | None = None
    score_range: list[float] | None = None
    store_least_score: float = 0.1
    output: str = MISSING
    objective: Objective = Objective.HOTA
    trials: int = 100
    seed: int = 0
    space: list[str] = field(default_factory=list)
    held_out: list[str] = field(default_factory=list)
    benchmark: Benchmark | None = None
    mlflow_uri: str | None = None
    mlflow_experiment: str = "fairmot-tune"
    overwrite: bool = False
    batch_size: int = 1
    device: Device = Device.auto
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        if (self.checkpoint is None) == (self.detections is None):
            given = "neither was given" if self.checkpoint is None else "both were given"
            raise ValueError(f"give either checkpoint=<run or checkpoint> or detections=<file or folder>; {given}")
        for key in ("trials", "batch_size"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: must be at least 1")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed={self.seed}: must be from 0 to {2**32 - 1}")
        if not 0 <= self.store_least_score <= 1:
            raise ValueError(f"store_least_score={self.store_least_score}: must be from 0 to 1")
        if self.tracker.camera_motion:
            raise ValueError("tracker.camera_motion=true: needs pictures, and the search has none")
        if self.mlflow_uri is not None and masked_address(self.mlflow_uri) != self.mlflow_uri:
            raise ValueError(
                "mlflow_uri holds a user's name, a password or a key: take them out and export "
                "MLFLOW_TRACKING_USERNAME= and MLFLOW_TRACKING_PASSWORD="
            )
        score_range_of(self.score_range)


def tune(config: TuneConfig) -> None:
    """Search, and write and print what was found.

    Raises:
        ConfigError: a key or value of the space is refused, results are there already, or Optuna is missing.
        DataError: ground truth or detections that cannot be used, or an output that cannot be written.
        CheckpointError: the checkpoint cannot be used.
    """
    output, objective = Path(config.output).expanduser(), config.objective.value
    space = parse_space(config.space) if config.space else None
    import_optuna()  # missing, it is missed before the network runs
    if (output / "trials.txt").exists() and not config.overwrite:
        raise ConfigError(f"output: {output / 'trials.txt'} exists; choose another folder or set overwrite=true")
    sequences = _sequences(config)
    subjects = _subjects(config, sequences, output / "detections")
    least_score = max(one.found.least_score for one in subjects)
    embeddings = all(one.found.embedding_length for one in subjects)
    space = space or default_space(config.tracker, embeddings=embeddings, least_score=least_score)
    _refuse_weak_thresholds(space, config.tracker, subjects)
    searched = [one for one in subjects if one.truth.name not in config.held_out]
    with tqdm(total=config.trials + 1, unit="trial", disable=None, file=sys.stderr) as bar:

        def show(done: Search) -> None:
            bar.set_postfix_str(f"best {objective} {done.best(objective).figures[objective]:.2f}", refresh=False)
            bar.update()

        done = search(searched, config.tracker, space, objective, config.trials, config.seed, show)
    try:
        written = write_files(output, done, space, objective)
    except OSError as error:
        raise DataError(f"{error.filename or output}: cannot be written ({error.strerror})") from error
    _say(done, space, config, written)
    if held_out := [one for one in subjects if one.truth.name in config.held_out]:
        _say_held_out(done, space, objective, held_out)
    if config.mlflow_uri is not None:
        log_search(config.mlflow_uri, config.mlflow_experiment, done, space, objective, output)


def _sequences(config: TuneConfig) -> list[GroundTruthSequence]:
    """What is tracked and scored."""
    sequences, skipped = find_ground_truth(Path(config.gt).expanduser(), config.benchmark)
    for name, reason in skipped.items():
        _log.warning("%s is left out: %s", name, reason)
    names = [one.name for one in sequences]
    for name in config.held_out:
        if name not in names:
            raise ConfigError(f"held_out: no sequence '{name}' in {config.gt}{suggest(name, names)}")
    require_objects(config.gt, [one for one in sequences if one.name not in config.held_out])
    return sequences


def _subjects(config: TuneConfig, sequences: list[GroundTruthSequence], folder: Path) -> list[Subject]:
    if config.detections is not None:
        return subjects_of_files(sequences, config.detections, score_range_of(config.score_range))
    checkpoint = Path(str(config.checkpoint)).expanduser()
    say_whose_rules(checkpoint)
    return subjects_of_checkpoint(
        sequences, checkpoint, folder, config.store_least_score, config.device, config.batch_size
    )


def _refuse_weak_thresholds(space: list[Dimension], start: TrackerConfig, subjects: list[Subject]) -> None:
    """Refuse to search below the least score that was kept: these rules would be scored on what is not there."""
    for one in subjects:
        check_rules(start, one.found)
        for dimension in space:
            if dimension.key in ("conf_thres", "low_thres") and (dimension.low or 0) < one.found.least_score:
                raise ConfigError(
                    f"space: {dimension}: {one.found.place} holds only detections that score at least "
                    f"{one.found.least_score:g}; begin there, or store them again with a lower store_least_score="
                )


def _say(done: Search, space: list[Dimension], config: TuneConfig, written: Path) -> None:
    objective, output = config.objective.value, Path(config.output)
    best = done.best(objective)
    ordered = sorted(done.trials, key=lambda trial: -trial.figures[objective])
    shown = ordered[:_SHOWN] + [trial for trial in ordered[_SHOWN:] if trial.number == 0]
    print("\n".join(table(shown, space)))
    refused = f"; {done.refused} drawn rules contradict themselves and were passed over" if done.refused else ""
    total_s = done.tracking_s + done.scoring_s
    print(
        f"{len(done.trials)} trials, {done.n_frames} frames: {done.n_frames / done.tracking_s:.0f} frames/s tracked, "
        f"{done.n_frames / total_s:.0f} with scoring{refused}"
    )
    if best.number == 0:
        print(f"no trial has a higher {objective} than the rules the search began with")
    folder = shlex.quote(str(output))
    print(f"wrote {written} and {output}/trials.txt .csv .png; take the best rules with either of")
    print(f"  --config-dir={folder} tracker={TUNED}")
    print(f"  {' '.join(words_of(best.rules, TrackerConfig())) or 'tracker=default'}")


def _say_held_out(done: Search, space: list[Dimension], objective: str, subjects: list[Subject]) -> None:
    """The first and the best rules on sequences that the search has not seen."""
    apart, best = Search([]), done.best(objective)
    scored = [apart.score(trial.number, trial.rules, subjects) for trial in (done.trials[0], best)]
    print(f"held out, {', '.join(one.truth.name for one in subjects)}:")
    print("\n".join(table(scored, space)))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    run_command(tune, TuneConfig, "tune")
