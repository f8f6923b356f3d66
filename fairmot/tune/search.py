"""The search: rules are drawn, all sequences tracked by them without pictures, and the tracks scored."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from fairmot.detections.sequence import SequenceDetections
from fairmot.detections.tracks import track_detections
from fairmot.errors import ConfigError
from fairmot.evaluation.metrics import SequenceMetrics, SequencePair, combine, evaluate_pair
from fairmot.evaluation.sequences import GroundTruthSequence
from fairmot.mot.rows import result_rows
from fairmot.tracking.config import TrackerConfig
from fairmot.tune.space import Dimension

INSTALL = "pip install optuna"


@dataclass(frozen=True)
class Subject:
    """A sequence to track again and again.

    Attributes:
        truth: what should be found.
        found: its detections.
        frame_rate: frames a second, None where nobody says.
    """

    truth: GroundTruthSequence
    found: SequenceDetections
    frame_rate: float | None

    @property
    def frames(self) -> list[int]:
        """The numbers of the frames that are tracked: of the pictures, else up to the last one that anybody knows."""
        frames = self.truth.frames
        return list(range(1, self.truth.last_frame + 1)) if frames is None else frames.tolist()


@dataclass(frozen=True)
class Trial:
    """Rules, and what they are worth.

    Attributes:
        number: from 1; 0 are the rules that the search began with.
        rules: of the tracker.
        metrics: of every sequence.
    """

    number: int
    rules: TrackerConfig
    metrics: list[SequenceMetrics]

    @cached_property
    def figures(self) -> dict[str, float | int]:
        """Over all sequences, by MOTChallenge's names."""
        return combine(self.metrics).figures()


@dataclass
class Search:
    """What a search found.

    Attributes:
        trials: all that could be scored, the first one with the rules it began with.
        refused: how many drawn rules contradict each other, such as a low_thres above conf_thres.
        tracking_s: seconds of tracking.
        scoring_s: seconds of scoring.
        n_frames: frames that were tracked, all trials together.
    """

    trials: list[Trial]
    refused: int = 0
    tracking_s: float = 0.0
    scoring_s: float = 0.0
    n_frames: int = 0

    def best(self, objective: str) -> Trial:
        """The trial of the highest score, of equal ones the first."""
        return max(self.trials, key=lambda trial: trial.figures[objective])

    def score(self, number: int, rules: TrackerConfig, subjects: Sequence[Subject]) -> Trial:
        """Track and score all sequences, and remember the trial."""
        metrics = []
        for one in subjects:
            began_s = time.perf_counter()
            rows = track_detections(
                one.found, replace(rules, frame_rate=one.frame_rate or rules.frame_rate), one.frames
            )
            tracked_s = time.perf_counter()
            results = result_rows(rows[:, 0], rows[:, 1], rows[:, 2:6], rows[:, 6], rows[:, 7])
            metrics.append(evaluate_pair(SequencePair(one.truth.name, one.truth.gt, results, one.truth.benchmark)))
            self.tracking_s += tracked_s - began_s
            self.scoring_s += time.perf_counter() - tracked_s
            self.n_frames += len(one.frames)
        trial = Trial(number, rules, metrics)
        self.trials.append(trial)
        return trial


def import_optuna() -> Any:
    """Optuna, which only this command needs.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import optuna  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"fairmot.tune searches with Optuna, which is not installed: {INSTALL}") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def search(
    subjects: Sequence[Subject],
    start: TrackerConfig,
    space: Sequence[Dimension],
    objective: str,
    trials: int,
    seed: int,
    watch: Callable[[Search], object],
) -> Search:
    """Search rules by a tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011).

    Args:
        subjects: the sequences.
        start: the rules it begins with; what is not in the space stays as they say.
        space: what is searched.
        objective: name of the figure to raise.
        trials: how many rules are drawn.
        seed: of the drawing: equal ones give equal trials.
        watch: called after every trial.

    Raises:
        ConfigError: Optuna is missing, or the rules do not go with the detections.
    """
    optuna = import_optuna()
    done = Search([])
    first = done.score(0, start, subjects)
    watch(done)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    if all(one.contains(getattr(start, one.key)) for one in space):
        study.add_trial(
            optuna.trial.create_trial(
                params={one.key: one.drawn(getattr(start, one.key)) for one in space},
                distributions={one.key: _distribution(optuna, one) for one in space},
                value=first.figures[objective],
            )
        )

    def worth(trial: Any) -> float:
        try:
            drawn: dict[str, Any] = {one.key: one.value(_draw(trial, one)) for one in space}
            rules = replace(start, **drawn)
        except ValueError as error:
            done.refused += 1
            raise optuna.TrialPruned(str(error)) from error
        return float(done.score(len(done.trials) + done.refused, rules, subjects).figures[objective])

    study.optimize(worth, n_trials=trials, callbacks=[lambda *_: watch(done)])
    return done


def _distribution(optuna: Any, one: Dimension) -> Any:
    if one.choices:
        return optuna.distributions.CategoricalDistribution(one.choices)
    if one.kind is int:
        return optuna.distributions.IntDistribution(one.low, one.high)
    return optuna.distributions.FloatDistribution(one.low, one.high)


def _draw(trial: Any, one: Dimension) -> float | str:
    if one.choices:
        return trial.suggest_categorical(one.key, one.choices)
    if one.kind is int:
        return trial.suggest_int(one.key, one.low, one.high)
    return trial.suggest_float(one.key, one.low, one.high)
