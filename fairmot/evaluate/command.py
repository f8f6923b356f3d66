"""Score tracks: python -m fairmot.evaluate gt=<sequences> results=<folder>|checkpoint=<run> output=<folder>."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fairmot.errors import ConfigError, DataError
from fairmot.evaluate.config import EvaluateConfig
from fairmot.evaluation.detection import ImageMatches, detection_metrics
from fairmot.evaluation.embedding import true_positive_rates
from fairmot.evaluation.metrics import OVERALL, SequenceMetrics, SequencePair, combine, evaluate_sequences
from fairmot.evaluation.plots import plot_overall, plot_sequence
from fairmot.evaluation.report import text_table, write_report
from fairmot.evaluation.results import read_all_results, with_something_to_score
from fairmot.evaluation.sequences import (
    GENERAL_RULES,
    GroundTruthSequence,
    find_ground_truth,
    require_objects,
    rules_of,
)
from fairmot.export.engine import open_with_engine
from fairmot.inference.scoring import Embeddings, embeddings_of_objects, frames_of, track_with_ground_truth
from fairmot.inference.trained_rules import say_whose_rules
from fairmot.mot.benchmarks import Benchmark
from fairmot.mot.rows import MotRows, write_results

_log = logging.getLogger(__name__)

Extras = dict[str, dict[str, float]]
"""Sequence, or OVERALL -> figures beside those of the tracks, by name."""


@dataclass(frozen=True)
class Scores:
    """What an evaluation found. `str` gives the table.

    Attributes:
        sequences: the metrics of each sequence.
        extras: what else was measured by the network itself: AP, and how well its embeddings tell people apart.
        written: what holds it, in words.
    """

    sequences: list[SequenceMetrics]
    extras: Extras
    written: str

    @property
    def overall(self) -> SequenceMetrics:
        """The metrics of all sequences together, as if they were one."""
        return combine(self.sequences)

    def __str__(self) -> str:
        figures = "".join(f"{name}  {value:.2f}\n" for name, value in self.extras.get(OVERALL, {}).items())
        return f"{text_table(self.sequences)}{figures}{self.written}"


def evaluate(config: EvaluateConfig) -> Scores:
    """Score one set of sequences and write the tables.

    Raises:
        ConfigError: the output is there already, or the device is not.
        DataError: ground truth, results or pictures that cannot be used, or an output that cannot be written.
        CheckpointError: the checkpoint cannot be used.
    """
    output = Path(config.output).expanduser()
    refuse_to_overwrite(output / "metrics.json", config.overwrite)
    sequences, skipped = find_ground_truth(Path(config.gt).expanduser(), config.benchmark)
    require_objects(config.gt, sequences)
    if config.results is not None:
        sequences = with_something_to_score(sequences, Path(config.results).expanduser(), skipped)
    _say_what_is_scored(sequences, skipped, config.benchmark)
    extras: Extras = {}
    if config.results is not None:
        results = read_all_results(Path(config.results).expanduser(), sequences)
    else:
        results, extras = _track(config, sequences, output / "results")
    pairs = _pairs(sequences, results, config)
    try:
        metrics = evaluate_sequences(pairs, config.workers, partial(plot_sequence, output) if config.plots else None)
        if config.plots:
            plot_overall(output / "overall.png", metrics)
        write_report(output, metrics, extras)
    except OSError as error:
        raise DataError(f"{error.filename or output}: cannot be written ({error.strerror})") from error
    plots = " and plots" if config.plots else ""
    written = f"wrote {output}/metrics.txt .md .csv .json{plots}; counted by rules={config.rules.value}"
    return Scores(metrics, extras, written)


def refuse_to_overwrite(path: Path, overwrite: bool) -> None:
    """Keep what an earlier call wrote.

    Raises:
        ConfigError: `path` is there and `overwrite` is off.
    """
    if path.exists() and not overwrite:
        raise ConfigError(f"output: {path} exists; choose another folder or set overwrite=true")


def _pairs(
    sequences: list[GroundTruthSequence], results: Mapping[str, MotRows], config: EvaluateConfig
) -> list[SequencePair]:
    """What is compared: everything, or the objects of one class."""
    pairs = [_pair(one, results[one.name], config) for one in sequences]
    if config.class_id is not None and not any(len(pair.gt) for pair in pairs):
        names = ", ".join(pair.name for pair in pairs)
        raise DataError(f"class_id={config.class_id}: the ground truth of {names} has no object of this class")
    return pairs


def _pair(sequence: GroundTruthSequence, results: MotRows, config: EvaluateConfig) -> SequencePair:
    gt, class_id = sequence.gt, config.class_id
    if class_id is not None:
        if sequence.benchmark not in (Benchmark.mot15, Benchmark.none):
            raise ConfigError(
                f"class_id={class_id}: {sequence.name} is scored by the rules of {sequence.benchmark.value}, which "
                "count pedestrians only; leave class_id out"
            )
        gt, results = gt.select(gt.classes == class_id), results.select(results.classes == class_id)
    return SequencePair(sequence.name, gt, results, sequence.benchmark, config.rules)


def _say_what_is_scored(
    sequences: list[GroundTruthSequence], skipped: Mapping[str, str], benchmark: Benchmark | None
) -> None:
    for name, reason in skipped.items():
        _log.warning("%s is left out: %s", name, reason)
    for one in sequences:
        for note in one.notes:
            _log.warning("%s: %s", one.name, note)
    unknown = [one.name for one in sequences if rules_of(one.name) is None]
    if unknown and benchmark is None:
        _log.info(
            "%s: not named by MOTChallenge: rows with flag 0 do not count and no other rule applies, as with "
            "benchmark=%s; benchmark= chooses another",
            ", ".join(unknown),
            GENERAL_RULES.value,
        )


def _track(
    config: EvaluateConfig, sequences: list[GroundTruthSequence], folder: Path
) -> tuple[dict[str, MotRows], Extras]:
    """Track every sequence; write and return the results, and the figures of detections and embeddings."""
    lengths = {one.name: frames_of(one).length or 0 for one in sequences}  # all are there before the first is tracked
    say_whose_rules(Path(str(config.checkpoint)))
    checkpoint, n_frames = Path(str(config.checkpoint)), sum(lengths.values())
    detector = open_with_engine(
        checkpoint, config.engine, config.device, batch_size=config.batch_size, n_frames=n_frames
    )
    if not detector.gives_embeddings:
        _log.info("%s gives no embeddings at chosen places: no embedding test", checkpoint)
    results: dict[str, MotRows] = {}
    images: dict[str, list[ImageMatches]] = {}
    embeddings: dict[str, Embeddings] = {}
    with tqdm(total=(1 + detector.gives_embeddings) * n_frames, unit="frame", disable=None) as bar:
        for one in sequences:
            bar.set_description(one.name)
            tracked = track_with_ground_truth(detector, one, config.tracker, watch=lambda _: bar.update())
            results[one.name], images[one.name] = tracked.results, tracked.images
            try:
                write_results(folder / f"{one.name}.txt", tracked.results)
            except OSError as error:
                raise DataError(f"{error.filename or folder}: cannot be written ({error.strerror})") from error
            if detector.gives_embeddings:
                embeddings[one.name] = embeddings_of_objects(detector, one, watch=bar.update)
    extras = {
        name: _extra_figures(images[name], [embeddings[name]] if embeddings else [])
        for name in results
        if any(image.gt_count for image in images[name])
    }
    everything = [image for name in results for image in images[name]]
    return results, {**extras, OVERALL: _extra_figures(everything, list(embeddings.values()))}


def _extra_figures(images: list[ImageMatches], embeddings: list[Embeddings]) -> dict[str, float]:
    """What the network is worth without a tracker, in percent, as the original's two tests measure it."""
    detections = detection_metrics(images)
    figures: dict[str, float] = {
        "AP": detections.average_precision,
        "image AP": detections.image_average_precision,
    }
    embeddings = [one for one in embeddings if len(one.ids)]
    if not embeddings:
        return figures
    # Identities of different sequences are different people.
    starts = np.cumsum([0, *(int(one.ids.max(initial=0)) + 1 for one in embeddings)])
    ids = np.concatenate([one.ids + start for one, start in zip(embeddings, starts, strict=False)])
    try:
        rates: dict[float, Any] = true_positive_rates(np.concatenate([one.vectors for one in embeddings]), ids)
    except DataError as error:
        _log.warning("no embedding test: %s", error)
        return figures
    return {**figures, **{f"TPR@FAR={rate:g}": 100 * share for rate, share in rates.items()}}


def evaluate_and_print(config: EvaluateConfig) -> None:
    """The command: `evaluate`, and its table."""
    print(evaluate(config))
