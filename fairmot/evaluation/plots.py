"""Pictures of an evaluation, as PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairmot.evaluation.metrics import SequenceMetrics, combine
from fairmot.evaluation.rules import MatchEvents
from fairmot.media.figures import BLUE, BROWN, GREEN, ORANGE, PURPLE, RED, SKY, YELLOW, fitted_title, save_figure, tidy

_GT, _TRACKED, _FOUND = "#333333", BLUE, "#c6dbef"
_MISSED, _FALSE, _SWITCH, _ABSENT = ORANGE, PURPLE, RED, "#d9d9d9"
_TRACK_COLOURS = (BLUE, GREEN, SKY, PURPLE, YELLOW, BROWN)
_MOST_STEPS = 5_000
_MOST_TRACKS = 60
_MOST_ROWS, _MOST_COLUMNS = 40, 60
_BARS = {"HOTA": BLUE, "MOTA": ORANGE, "IDF1": GREEN, "DetA": "#9ecae1", "AssA": "#a3d9c5"}
_LOWEST_BAR = -100.0


def plot_sequence(folder: Path, name: str, events: MatchEvents) -> None:
    """`<name>_frames.png`, `<name>_tracks.png` and `<name>_identities.png`: see the three functions below.

    Args:
        folder: made when absent.
        name: the sequence.
        events: what `score_pair` counted in the sequence.

    Raises:
        OSError: the folder or the disk refuses.
    """
    for path, plot in zip(sequence_plots(folder, name), (plot_frames, plot_tracks, plot_identities), strict=True):
        plot(path, name, events)


def sequence_plots(folder: Path, name: str) -> list[Path]:
    """The files of `plot_sequence`, in the order of its description."""
    return [folder / f"{name}_{kind}.png" for kind in ("frames", "tracks", "identities")]


def plot_frames(path: str | Path, name: str, events: MatchEvents) -> None:
    """Over time: how many objects there are and are tracked; misses and false positives; identity switches.

    Args:
        path: the PNG file.
        name: the sequence, for the title.
        events: what `score_pair` counted in the sequence.

    Raises:
        OSError: the folder or the disk refuses.
    """
    first, last = _span(events)
    width = -(-(last - first + 1) // _MOST_STEPS)  # frames to a step of the curves
    steps = (last - first) // width + 1
    edges = first - 0.5 + width * np.arange(steps + 1)
    matched, switched, missed, false = (
        np.bincount((events.frames[events.kinds == kind] - first) // width, minlength=steps)
        for kind in ("MATCH", "SWITCH", "MISS", "FP")
    )
    found = matched + switched
    figure = Figure((11, 6.5), layout="constrained")
    counts, errors, switches = figure.subplots(3, 1, sharex=True, height_ratios=(5, 4, 0.7))
    line_width = 1.6 if last - first < 300 else 0.8
    # y=1, here and below: to place a title itself, matplotlib measures all labels once more.
    per = "frame" if width == 1 else f"{width} frames"
    counts.set_title(fitted_title(figure.get_figwidth(), f"{name}: objects per {per}"), loc="left", y=1)
    _fill(counts, edges, found, color=_FOUND, label="correctly tracked")
    for values, colour, label in ((found + missed, _GT, "ground truth"), (found + false, _TRACKED, "tracked")):
        counts.step(edges, _held(values), where="post", color=colour, linewidth=line_width, label=label)
    counts.set_ylim(bottom=0)
    errors.set_title(f"errors per {per}", loc="left", y=1)
    _fill(errors, edges, missed, color=_MISSED, label=f"missed ({missed.sum()})")
    _fill(errors, edges, -false, color=_FALSE, label=f"false positives ({false.sum()})")
    errors.axhline(0, color="#666666", linewidth=0.8)
    errors.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    places = first + width * np.flatnonzero(switched)
    switches.vlines(places, 0, 1, color=_SWITCH, linewidth=1.6, label=f"id switches ({switched.sum()})")
    switches.set_yticks([])
    switches.set_xlabel("frame")
    for axes in (counts, errors, switches):
        tidy(axes)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    for axes in (counts, errors):
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    switches.set_xlim(edges[0], edges[-1])
    save_figure(figure, path)


def plot_tracks(path: str | Path, name: str, events: MatchEvents) -> None:
    """One bar an identity of ground truth: thin and grey where missed, coloured where tracked, a colour an id.

    The longest identities are shown when there are more than fit.

    Args:
        path: the PNG file.
        name: the sequence, for the title.
        events: what `score_pair` counted in the sequence.

    Raises:
        OSError: the folder or the disk refuses.
    """
    in_gt = events.kinds != "FP"
    frames, gt_ids, result_ids = events.frames[in_gt], events.gt_ids[in_gt], events.result_ids[in_gt]
    identities, lengths = np.unique(gt_ids, return_counts=True)
    shown = np.sort(identities[np.argsort(-lengths, kind="stable")[:_MOST_TRACKS]])
    row_height = 0.28 if len(shown) <= 25 else 0.17
    figure = Figure((11, 1.9 + row_height * max(4, len(shown))), layout="constrained")
    axes = figure.subplots()
    rows = [(row, gt_ids == identity) for row, identity in enumerate(shown)]
    _draw_tracks(axes, [_bars(row, frames[here], result_ids[here]) for row, here in rows])
    axes.plot([], [], "s", color=_ABSENT, markersize=8, label="missed")
    axes.plot([], [], "s", color=_TRACK_COLOURS[0], markersize=8, label="tracked; new colour = new id")
    axes.plot([], [], "|", color=_SWITCH, markersize=12, markeredgewidth=2, label="identity switch")
    omitted = f" (the longest {len(shown)} of {len(identities)})" if len(shown) < len(identities) else ""
    axes.set_yticks(range(len(shown)), [f"{identity:.0f}" for identity in shown], fontsize=9 if row_height > 0.2 else 7)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_ylabel("identity")
    axes.set_xlabel("frame")
    first, last = _span(events)
    axes.set_xlim(first - 0.5, last + 0.5)
    tidy(axes)
    axes.grid(visible=False, axis="y")
    title = fitted_title(figure.get_figwidth(), f"{name}: tracks of the ground truth{omitted}")
    _title_over_legend(axes, title, columns=3)
    save_figure(figure, path)


def plot_identities(path: str | Path, name: str, events: MatchEvents) -> None:
    """Which track covers which identity of ground truth, as shares of the identity's frames.

    Perfect tracking is a dark diagonal; a second dark cell in a row is a split identity, in a column a merged track.
    Identities and tracks with the most frames are shown when there are more than fit.

    Args:
        path: the PNG file.
        name: the sequence, for the title.
        events: what `score_pair` counted in the sequence.

    Raises:
        OSError: the folder or the disk refuses.
    """
    identities, tracks, shares = _coverage(events)
    height, width = 0.22 * max(len(identities), 6), 0.26 * max(len(tracks), 8)
    figure = Figure((2.6 + width, 1.8 + height), layout="constrained")
    axes = figure.subplots()
    if len(identities):
        drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        figure.colorbar(drawn, ax=axes, label="share of the identity's frames")
    axes.set_yticks(range(len(identities)), [f"{identity:.0f}" for identity in identities], fontsize=7)
    labels = [*(f"{track:.0f}" for track in tracks), "missed"]
    axes.set_xticks(range(len(labels)), labels, fontsize=7, rotation=90)
    axes.tick_params(left=False, bottom=False)
    axes.axvline(len(tracks) - 0.5, color=_GT, linewidth=0.8)
    axes.set_xlabel("track")
    axes.set_ylabel("identity of ground truth")
    axes.set_title(fitted_title(figure.get_figwidth(), f"{name}: which track covers which identity"), loc="left", y=1)
    save_figure(figure, path)


def _span(events: MatchEvents) -> tuple[int, int]:
    """The first and the last frame in which anything is; 1, 1 where nothing is."""
    return (int(events.frames.min()), int(events.frames.max())) if len(events.frames) else (1, 1)


def _coverage(events: MatchEvents) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Identities [R], tracks [C], and [R, C + 1] shares of each identity's frames, the last column missed ones."""
    in_gt = events.kinds != "FP"
    gt_ids, result_ids = events.gt_ids[in_gt], events.result_ids[in_gt]
    identities, lengths = np.unique(gt_ids, return_counts=True)
    chosen = np.sort(np.argsort(-lengths, kind="stable")[:_MOST_ROWS])
    identities, lengths = identities[chosen], lengths[chosen]
    of_shown = np.isin(gt_ids, identities) & ~np.isnan(result_ids)
    tracks, column = np.unique(result_ids[of_shown], return_inverse=True)
    frames = np.zeros((len(identities), len(tracks)))
    np.add.at(frames, (np.searchsorted(identities, gt_ids[of_shown]), column), 1)
    longest = np.argsort(-frames.sum(0), kind="stable")[:_MOST_COLUMNS]
    longest = longest[np.argsort(frames[:, longest].argmax(0) if frames.size else longest, kind="stable")]
    missed = lengths - frames.sum(1)
    return identities, tracks[longest], np.column_stack([frames[:, longest], missed]) / lengths[:, None]


def plot_overall(path: str | Path, sequences: Sequence[SequenceMetrics]) -> None:
    """HOTA, MOTA, IDF1 and HOTA's two halves, side by side for every sequence and for all together.

    MOTA has no lower bound: bars end at -100, their labels say the value.

    Raises:
        ValueError: there is no sequence.
        OSError: the folder or the disk refuses.
    """
    rows = [*sequences, combine(sequences)]
    figures = [metrics.figures() for metrics in rows]
    drawn_to = {bar: [max(float(figure[bar]), _LOWEST_BAR) for figure in figures] for bar in _BARS}
    lowest = min(0.0, *(value for values in drawn_to.values() for value in values))
    figure = Figure((max(7, 1.5 + 1.5 * len(rows)), 5), layout="constrained")
    axes = figure.subplots()
    width = 0.84 / len(_BARS)
    for k, (bar, colour) in enumerate(_BARS.items()):
        places = np.arange(len(rows)) + (k - (len(_BARS) - 1) / 2) * width
        drawn = axes.bar(places, drawn_to[bar], width * 0.94, color=colour, label=bar)
        axes.bar_label(drawn, [f"{values[bar]:.0f}" for values in figures], fontsize=8, padding=1)
    axes.set_xticks(range(len(rows)), [metrics.name for metrics in rows], rotation=20 if len(rows) > 4 else 0)
    axes.get_xticklabels()[-1].set_fontweight("bold")
    axes.axvline(len(rows) - 1.5, color="#999999", linewidth=0.8, linestyle="--")
    axes.axhline(0, color="#666666", linewidth=0.8)
    axes.set_ylim(lowest - (0.08 * (108 - lowest) if lowest < 0 else 0), 108)  # room for the label below a bar
    axes.set_xlim(-0.55, len(rows) - 0.45)
    axes.set_ylabel("%")
    tidy(axes)
    axes.grid(visible=False, axis="x")
    _title_over_legend(axes, "Tracking scores", columns=len(_BARS))
    save_figure(figure, path)


def _fill(axes: Axes, edges: np.ndarray, values: np.ndarray, color: str, label: str) -> None:
    """A step between each two edges, filled to 0. Axes.stairs looks the same and takes several times as long."""
    axes.fill_between(edges, _held(values), step="post", linewidth=0, color=color, label=label)


def _held(values: np.ndarray) -> np.ndarray:
    """One a step -> one an edge: the last value reaches the last edge."""
    return np.append(values, values[-1])


def _draw_tracks(axes: Axes, tracks: list[tuple[np.ndarray, list[str], np.ndarray]]) -> None:
    """All bars of `_bars` as one artist, all switches as another: hundreds of artists take seconds."""
    if not tracks:
        return
    bars = np.concatenate([bars for bars, _, _ in tracks])
    colours = [colour for _, of_track, _ in tracks for colour in of_track]
    corners = bars[:, [0, 2, 0, 3, 1, 3, 1, 2]].reshape(-1, 4, 2)
    axes.add_collection(PolyCollection(corners, facecolors=colours, linewidth=0))
    places = np.concatenate([switches for _, _, switches in tracks])
    rows = np.repeat(np.arange(len(tracks)), [len(switches) for _, _, switches in tracks])
    axes.vlines(places, rows - 0.5, rows + 0.5, color=_SWITCH, linewidth=2)


def _bars(row: int, frames: np.ndarray, result_ids: np.ndarray) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Runs of one result id in consecutive frames become bars; NaN is a miss.

    Returns:
        Bars, [B, 4] as left, right, bottom, top; the colour of each; and [S] where the id switches.
    """
    ids = np.nan_to_num(result_ids, nan=-1)
    starts = np.flatnonzero(np.r_[True, (np.diff(frames) != 1) | (np.diff(ids) != 0)])
    ends = np.r_[starts[1:], len(frames)] - 1
    tracks = ids[starts]
    half_height = np.where(tracks < 0, 0.15, 0.38)
    bars = np.stack([frames[starts] - 0.5, frames[ends] + 0.5, row - half_height, row + half_height], axis=1)
    colours = {-1.0: _ABSENT}
    for track in tracks.tolist():
        colours.setdefault(track, _TRACK_COLOURS[(len(colours) - 1) % len(_TRACK_COLOURS)])
    is_found = tracks >= 0
    switched = np.flatnonzero(np.diff(tracks[is_found]) != 0) + 1
    return bars, [colours[track] for track in tracks.tolist()], bars[is_found][switched, 0]


def _title_over_legend(axes: Axes, title: str, columns: int) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, borderaxespad=0.1, handletextpad=0.4
    )
    axes.set_title(title, loc="left", y=1, pad=28)
