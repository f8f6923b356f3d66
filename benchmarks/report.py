"""What benchmarks report: figures beside their references, cost curves, and both as table, JSON and picture."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fairmot.files import write_json_atomic
from fairmot.media.figures import BLUE, ORANGE, RED, save_figure, tidy

COLUMNS = ("what", "figure", "reference", "its figure", "ratio", "aim")
_GREY = "#666666"
_COLOURS, _STYLES = (BLUE, ORANGE, RED), ("o-", "s--", "^:")


@dataclass
class Row:
    """One figure.

    Attributes:
        what: was measured.
        figure: the value.
        unit: of the value; one that ends with /s is a rate, of which more is better.
        reference: what was measured beside it in the same run; empty: nothing.
        reference_figure: its value.
        most: the largest value aimed at.
        most_ratio: the largest ratio to the reference aimed at.
    """

    what: str
    figure: float
    unit: str
    reference: str = ""
    reference_figure: float | None = None
    most: float | None = None
    most_ratio: float | None = None

    @property
    def ratio(self) -> float | None:
        """Figure to reference."""
        return self.figure / self.reference_figure if self.reference_figure else None

    @property
    def cost(self) -> float | None:
        """The ratio turned so that less is better."""
        return 1 / self.ratio if self.ratio and self.unit.endswith("/s") else self.ratio

    def cells(self) -> tuple[str, ...]:
        """As a row of the table: COLUMNS."""
        aims = [] if self.most is None else [f"at most {self.most:g} {self.unit}"]
        aims += [] if self.most_ratio is None else [f"ratio at most {self.most_ratio:g}"]
        its = "" if self.reference_figure is None else f"{short(self.reference_figure)} {self.unit}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return self.what, f"{short(self.figure)} {self.unit}", self.reference, its, ratio, "; ".join(aims)


@dataclass
class Curve:
    """Cost as work grows.

    Attributes:
        title: what grows.
        x: how much of it.
        names: of the lines, with their units, such as `step, s`; the second one has an axis of its own.
        lines: values over x, one list a name.
    """

    title: str
    x: list[float]
    names: list[str]
    lines: list[list[float]]


@dataclass
class Part:
    """What one benchmark found.

    Attributes:
        rows: its figures.
        curves: its cost curves.
        details: everything it measured, as JSON.
    """

    rows: list[Row] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    details: Any = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Part":
        """The inverse of dataclasses.asdict."""
        rows, curves = [Row(**row) for row in values["rows"]], [Curve(**curve) for curve in values["curves"]]
        return cls(rows, curves, values["details"])


def publish(part: Part, output: str) -> None:
    """Print a benchmark's table, and its curves as tables; write its JSON where `output` names a file."""
    if part.rows:
        print(markdown(COLUMNS, (row.cells() for row in part.rows)))
    for curve in part.curves:
        print(f"\n{curve_table(curve)}")
    write_output(output, asdict(part))


def write_output(output: str, value: Any) -> None:
    """JSON where `output` names a file."""
    if output:
        write_json_atomic(output, value)


def curve_table(curve: Curve) -> str:
    """A curve as Markdown."""
    points = zip(curve.x, *curve.lines, strict=True)
    return markdown((curve.title, *curve.names), ((f"{x:,.10g}", *map(short, values)) for x, *values in points))


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ("---",) * len(columns), *rows))


def short(value: float) -> str:
    """Three digits that count."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(decimals, 0)}f}"


def ratios(results: Mapping[str, Mapping[str, float]], columns: Mapping[str, str]) -> str:
    """Cases as a Markdown table; `<name>_ratio` is computed from the first case's `<name>_s`.

    Args:
        results: values of each case by name.
        columns: names by what stands above their column.
    """
    first = next(iter(results.values()))
    rows = []
    for case, values in results.items():
        every = {**values, **{f"{key[:-2]}_ratio": values[key] / first[key] for key in values if key.endswith("_s")}}
        rows.append((case, *(f"{every[name]:.2f}" for name in columns.values())))
    return markdown(("case", *columns), rows)


def draw(path: Path, parts: Mapping[str, Part]) -> None:
    """One picture: every cost beside its reference, and every curve."""
    compared = [row for part in parts.values() for row in part.rows if row.cost]
    curves = [curve for part in parts.values() for curve in part.curves]
    rows_of_curves = [curves[start : start + 3] for start in range(0, len(curves), 3)]
    heights = [1 + 0.27 * len(compared)] + [3.2] * len(rows_of_curves)
    figure = Figure((15, sum(heights)), layout="constrained")
    upper, *others = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if compared:
        _draw_costs(upper.subplots(), compared)
    for row, below in zip(rows_of_curves, others, strict=True):
        for number, curve in enumerate(row, start=1):
            _draw_curve(below.add_subplot(1, 3, number), curve)
    save_figure(figure, path)


def _draw_costs(axes: Any, compared: list[Row]) -> None:
    costs = [row.cost for row in compared]
    places = range(len(compared))
    axes.barh(places, [cost - 1 for cost in costs], left=1, color=[BLUE if cost <= 1 else ORANGE for cost in costs])
    axes.set_yticks(places, [f"{row.what} / {row.reference}" for row in compared], fontsize=8)
    for place, row in enumerate(compared):
        axes.annotate(f" {row.cost:.2f}", (max(row.cost, 1), place), va="center", fontsize=8)
        if row.most_ratio is not None:
            axes.plot([row.most_ratio] * 2, [place - 0.45, place + 0.45], color=RED, linewidth=2)
    axes.axvline(1, color=_GREY, linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.invert_yaxis()
    axes.set_title("Cost beside the reference of the same run, which is 1: less is better; red: aim", loc="left")
    tidy(axes)


def _draw_curve(axes: Any, curve: Curve) -> None:
    """Lines of one unit share an axis; of two units the second has the axis to the right."""
    units = [name.rpartition(", ")[2] for name in curve.names]
    for number, (name, values) in enumerate(zip(curve.names, curve.lines, strict=True)):
        side = axes if units[number] == units[0] else axes.twinx()
        colour = _COLOURS[number]
        side.plot(curve.x, values, _STYLES[number], color=colour, markersize=4, label=name)
        top = max(max(line) for line, unit in zip(curve.lines, units, strict=True) if unit == units[number])
        side.set_ylim(0, 1.1 * top)
        if len(set(units)) == len(units):
            side.set_ylabel(name, color=colour)
    if len(set(units)) < len(units):
        axes.legend(fontsize=8)
    axes.set_xlabel(curve.title)
    if min(curve.x) > 0 and max(curve.x) / min(curve.x) > 20:
        axes.set_xscale("log")
    tidy(axes)


def progress(text: str) -> None:
    """Say on stderr what is done."""
    print(text, file=sys.stderr, flush=True)
