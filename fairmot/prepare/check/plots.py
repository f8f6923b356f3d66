"""A page of pictures of what a data root holds."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from fairmot.media.figures import BLUE, ORANGE, RED, save_figure, tidy
from fairmot.prepare.check.contents import Contents
from fairmot.prepare.check.statistics import aspects, box_sizes_px, list_table, track_lengths

_FEWEST_BINS, _MOST_BINS = 8, 40
_MOST_LISTS = 8
_LONGEST_NAME = 24


def plot_statistics(path: Path, contents: Contents) -> None:
    """Boxes an image, box sizes and proportions, where boxes are, track lengths, and the lists, as a PNG file.

    Raises:
        OSError: the folder or the disk refuses.
    """
    figure = Figure((14, 8.5), layout="constrained")
    figure.suptitle(
        f"{contents.root}: {len(contents.images):,} images, {len(contents.rows):,} boxes", x=0.01, ha="left"
    )
    (counts, heights, shapes), (places, tracks, lists) = figure.subplots(2, 3)
    _, heights_px = box_sizes_px(contents)
    _histogram(counts, np.diff(contents.row_offsets), "boxes an image", "images", whole=True)
    _histogram(heights, heights_px[heights_px > 0], "box height in pixels", "boxes", logarithmic=True)
    _histogram(shapes, aspects(contents), "box width : height", "boxes", logarithmic=True)
    _plot_places(places, contents.rows)
    _histogram(tracks, track_lengths(contents), "images an identity is in", "identities", logarithmic=True, whole=True)
    _plot_lists(lists, contents)
    save_figure(figure, path)


def _histogram(
    axes: Axes, values: np.ndarray, what: str, of_what: str, *, logarithmic: bool = False, whole: bool = False
) -> None:
    """Counts of `values` with their median; `whole`: integers, whose bars are never narrower than 1."""
    axes.set_xlabel(what)
    axes.set_ylabel(of_what)
    tidy(axes)
    if not len(values):
        _say(axes, "none")
        return
    axes.hist(values, _edges(values, logarithmic, whole).tolist(), color=BLUE)
    middle = float(np.median(values))
    axes.axvline(middle, color=RED, linewidth=1.2)
    axes.set_title(f"median {middle:.3g}, from {values.min():.3g} to {values.max():.3g}", loc="left", fontsize=10)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=30))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())


def _edges(values: np.ndarray, logarithmic: bool, whole: bool) -> np.ndarray:
    bins = int(np.clip(2 * np.sqrt(len(values)), _FEWEST_BINS, _MOST_BINS))
    margin = 0.5 if whole else 0.0
    low, high = float(values.min()) - margin, float(values.max()) + margin
    if high == low:
        low, high = 0.9 * low, 1.1 * high
    edges = (np.geomspace if logarithmic else np.linspace)(low, high, bins + 1)
    return np.unique(np.round(edges - 0.5) + 0.5) if whole else edges


def _plot_places(axes: Axes, rows: np.ndarray) -> None:
    """Where in the image the boxes' centres are, the image drawn as a frame."""
    axes.set_title("where box centres are", loc="left", fontsize=10)
    axes.set_xlabel("share of the image's width")
    axes.set_ylabel("share of its height")
    if not len(rows):
        _say(axes, "none")
        return
    across = np.linspace(-0.15, 1.15, 66)
    *_, drawn = axes.hist2d(np.clip(rows[:, 2], -0.15, 1.15), np.clip(rows[:, 3], -0.15, 1.15), across, norm=LogNorm())
    axes.plot([0, 1, 1, 0, 0], [0, 0, 1, 1, 0], color="#333333", linewidth=1)
    axes.invert_yaxis()
    axes.figure.colorbar(drawn, ax=axes, label="boxes")


def _plot_lists(axes: Axes, contents: Contents) -> None:
    """Images, boxes and identities of every list, as bars on a common logarithmic scale."""
    table = list_table(contents)[:_MOST_LISTS]
    omitted = f" (the first {len(table)} of {len(contents.lists)})" if len(table) < len(contents.lists) else ""
    axes.set_title(f"lists{omitted}", loc="left", fontsize=10)
    columns = {"images": "#9ecae1", "boxes": BLUE, "identities": ORANGE}
    for k, (column, colour) in enumerate(columns.items()):
        places = np.arange(len(table)) + (k - 1) * 0.27
        values = [int(row[column]) for row in table]
        bars = axes.barh(places, np.maximum(values, 0.8), 0.25, color=colour, label=column)
        axes.bar_label(bars, [f"{value:,}" for value in values], fontsize=8, padding=2)
    names = [str(row["name"]) for row in table]
    axes.set_yticks(range(len(table)), [name if len(name) <= _LONGEST_NAME else f"...{name[-21:]}" for name in names])
    axes.set_xscale("log")
    axes.set_xlim(0.8, 12 * max([1, *(int(row[column]) for row in table for column in columns)]))
    axes.set_ylim(len(table) - 0.4, -0.9 if len(table) > 2 else -1.2)
    tidy(axes)
    axes.legend(loc="upper right", ncols=3, frameon=False, fontsize=8)


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#666666")
