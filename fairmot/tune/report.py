"""What a search found: a table, the best rules as a file that `tracker=` takes, and a picture."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairmot.files import write_atomic
from fairmot.media.figures import save_figure, tidy
from fairmot.text_tables import aligned
from fairmot.tracking.config import TrackerConfig
from fairmot.tune.search import Search, Trial
from fairmot.tune.space import Dimension

TUNED = "tuned"
"""The file in the folder tracker/, so that --config-dir=<output> tracker=tuned takes it."""

_FIGURES = ("HOTA", "MOTA", "IDF1", "IDs")
_BLUE, _ORANGE, _GREY = "#1f77b4", "#e6872d", "#999999"
_MOST_KEYS_A_ROW = 4


def table(trials: Sequence[Trial], space: Sequence[Dimension]) -> list[str]:
    """Lines: figures over all sequences and searched values, a trial a line."""
    header = ["trial", *_FIGURES, *(one.key for one in space)]
    return aligned([header, *(_cells(trial, space) for trial in trials)], numbers=True)


def _cells(trial: Trial, space: Sequence[Dimension]) -> list[str]:
    name = str(trial.number) if trial.number else "start"
    figures = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in map(trial.figures.get, _FIGURES)]
    return [name, *figures, *(as_word(getattr(trial.rules, one.key)) for one in space)]


def as_word(value: Any) -> str:
    """A value of the tracker's as the command line and YAML take it."""
    if isinstance(value, Enum):
        return value.name
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def words_of(rules: TrackerConfig, other: TrackerConfig) -> list[str]:
    """What to type to get these rules from the others: tracker.match_iou=0.6 and so on."""
    keys = [field.name for field in fields(TrackerConfig)]
    changed = [key for key in keys if getattr(rules, key) != getattr(other, key)]
    return [f"tracker.{key}={as_word(getattr(rules, key))}" for key in changed]


def write_files(folder: Path, done: Search, space: Sequence[Dimension], objective: str) -> Path:
    """Write `trials.txt`, `trials.csv`, `trials.png` and `tracker/tuned.yaml`.

    Args:
        folder: made when absent.
        done: the search.
        space: what was searched.
        objective: the figure that was raised.

    Returns:
        The file of the best rules.

    Raises:
        OSError: the folder or the disk refuses.
    """
    ordered = sorted(done.trials, key=lambda trial: -trial.figures[objective])
    write_atomic(folder / "trials.txt", "\n".join(table(ordered, space)) + "\n")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    keys = [one.key for one in space]
    writer.writerow(["trial", *done.trials[0].figures, *keys])
    for trial in done.trials:
        writer.writerow([trial.number, *trial.figures.values(), *(as_word(getattr(trial.rules, key)) for key in keys)])
    write_atomic(folder / "trials.csv", stream.getvalue())
    plot_trials(folder / "trials.png", done, space, objective)
    best = done.best(objective)
    path = folder / "tracker" / f"{TUNED}.yaml"
    names = ", ".join(metrics.name for metrics in best.metrics)
    rules = {key: value for key, value in asdict(best.rules).items() if key != "frame_rate"}
    lines = [f"{key}: {as_word(value)}" for key, value in rules.items()]
    says = f"# {objective} {best.figures[objective]:.2f} over {names}: the best of {len(done.trials)} trials."
    write_atomic(path, "\n".join([says, *lines]) + "\n")
    return path


def plot_trials(path: Path, done: Search, space: Sequence[Dimension], objective: str) -> None:
    """The score over the trials, and over the values of every key that was searched; the best trial is marked.

    Args:
        path: the PNG file.
        done: the search.
        space: what was searched.
        objective: the figure that was raised.

    Raises:
        OSError: the folder or the disk refuses.
    """
    scores = np.array([trial.figures[objective] for trial in done.trials])
    best = int(scores.argmax())
    n_rows = -(-len(space) // _MOST_KEYS_A_ROW)
    figure = Figure((11, 3.4 + 2.6 * n_rows), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(3.4, 2.6 * n_rows), squeeze=False)[:, 0]
    axes = upper.subplots()
    axes.plot(scores, "o", color=_BLUE, markersize=4, label="a trial")
    axes.plot(np.maximum.accumulate(scores), color=_ORANGE, linewidth=1.4, label="best so far")
    axes.axhline(scores[0], color=_GREY, linewidth=0.8, linestyle="--", label=f"start, {scores[0]:.2f}")
    axes.set_title(f"{objective} over {len(scores)} trials, best {scores[best]:.2f}", loc="left", y=1)
    axes.set_xlabel("trial")
    axes.set_ylabel("%")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    tidy(axes)
    columns = min(len(space), _MOST_KEYS_A_ROW)
    below = lower.subplots(n_rows, columns, sharey=True, squeeze=False).ravel()
    for one, axes_of_key in zip(space, below, strict=False):
        _plot_key(axes_of_key, one, done, scores, best)
    for unused in below[len(space) :]:
        unused.set_visible(False)
    save_figure(figure, path)


def _plot_key(axes: Axes, one: Dimension, done: Search, scores: np.ndarray, best: int) -> None:
    values: list[Any] = [getattr(trial.rules, one.key) for trial in done.trials]
    if one.choices:
        words = list(dict.fromkeys([*one.choices, *map(as_word, values)]))
        values = [words.index(as_word(value)) for value in values]
        axes.set_xticks(range(len(words)), words)
    values = [np.nan if value is None else value for value in values]
    axes.plot(values, scores, "o", color=_BLUE, markersize=3)
    axes.plot(values[best], scores[best], "o", color=_ORANGE, markersize=7)
    axes.set_xlabel(one.key)
    tidy(axes)
