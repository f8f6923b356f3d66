"""The curves of a run as a picture: losses, learning rate and the scores of its validations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.report.record import read_metrics

_FEWEST_POINTS_FOR_LINES = 60
_LEAST_RATIO_FOR_LOGARITHMS = 10
_PANELS: tuple[tuple[str, str, tuple[str, ...], bool], ...] = (
    ("total loss", "step", ("loss",), False),
    ("detection losses", "step", ("hm_loss", "wh_loss", "off_loss"), True),
    ("identity loss", "step", ("id_loss",), True),
    ("balance of the tasks", "step", ("s_det", "s_id"), False),
    ("learning rate", "step", ("learning_rate",), False),
    ("validation, percent", "epoch", tuple(f"epoch/validation/{name}" for name in ("HOTA", "MOTA", "IDF1")), False),
)
"""Title, what is counted below, metrics, and whether small values are to be readable beside large ones."""

Curves = Mapping[str, list[tuple[int, float]]]


def draw_curves(run_dir: Path) -> Path | None:
    """Draw what the run recorded so far as <run_dir>/losses.png; None when nothing was recorded yet."""
    metrics = read_metrics(run_dir)
    if len(metrics.get("loss", [])) < 2:
        return None
    # A second of import that a failing start need not pay.
    from matplotlib.figure import Figure  # noqa: PLC0415

    from fairmot.media.figures import save_figure  # noqa: PLC0415

    figure = Figure(figsize=(13, 7), dpi=100, layout="constrained")
    for axes, panel in zip(figure.subplots(2, 3).flat, _PANELS, strict=True):
        _draw_panel(axes, metrics, *panel)
    path = run_dir / "losses.png"
    save_figure(figure, path)
    return path


def _draw_panel(axes: Any, metrics: Curves, title: str, counted: str, names: tuple[str, ...], wide: bool) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 (see draw_curves)

    from fairmot.media.figures import BLUE, GREEN, ORANGE, tidy  # noqa: PLC0415

    known = [name for name in names if name in metrics]
    for name, colour in zip(names, (BLUE, ORANGE, GREEN), strict=False):
        points = metrics.get(name, [])
        steps, values = [step for step, _ in points], [value for _, value in points]
        few = len(points) < _FEWEST_POINTS_FOR_LINES
        axes.plot(steps, values, color=colour, linewidth=1.6 if few else 0.9, marker="." if few else "", label=name)
    above_zero = [value for name in known for _, value in metrics[name] if value > 0]
    if wide and above_zero and max(above_zero) >= _LEAST_RATIO_FOR_LOGARITHMS * min(above_zero):
        _scale_logarithmically(axes.yaxis)
    axes.set_title(title, loc="left")
    axes.set_xlabel(counted)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    tidy(axes)
    if not known:
        axes.text(0.5, 0.5, "none yet", transform=axes.transAxes, ha="center", color="#666666")
    elif len(names) > 1:
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, [label.rpartition("/")[2] for label in labels], frameon=False)


def _scale_logarithmically(axis: Any) -> None:
    """With plain numbers at 1, 2, 5, 10 and so on, where matplotlib would write powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator  # noqa: PLC0415 (see draw_curves)

    axis.axes.set_yscale("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
