"""Search the tracker's rules: python -m fairmot.tune gt=<sequences> checkpoint=<run>|detections=<files> output=..."""

import logging
import shlex
import sys
from pathlib import Path

from tqdm import tqdm

from fairmot.cli.command import suggest
from fairmot.detections.text import score_range_of
from fairmot.detections.tracks import check_rules
from fairmot.errors import ConfigError, DataError
from fairmot.evaluation.sequences import GroundTruthSequence, find_ground_truth, require_objects
from fairmot.inference.trained_rules import say_whose_rules
from fairmot.tracking.config import TrackerConfig
from fairmot.tune.config import TuneConfig
from fairmot.tune.mlflow_runs import log_search
from fairmot.tune.report import TUNED, table, words_of, write_files
from fairmot.tune.search import Search, Subject, import_optuna, search
from fairmot.tune.space import Dimension, default_space, parse_space
from fairmot.tune.subjects import subjects_of_checkpoint, subjects_of_files

_log = logging.getLogger(__name__)

_SHOWN = 10


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
