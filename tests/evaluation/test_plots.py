import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluation_data import rows, walk
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from fairmot.evaluation.metrics import SequencePair, evaluate_sequence, score_pair
from fairmot.evaluation.plots import (
    _ABSENT,
    _bars,
    _coverage,
    plot_identities,
    plot_overall,
    plot_sequence,
    plot_tracks,
)
from fairmot.evaluation.rules import MatchEvents
from fairmot.mot.benchmarks import Benchmark
from fairmot.mot.rows import LARGEST_FRAME, MotRows


def size(path: Path) -> tuple[int, int]:
    """(height, width) from the header of a PNG file, which must be whole."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", content[16:24])
    return height, width


ONE_FRAME = rows((7, 1, 0, 0, 9, 9)), rows((7, 3, 0, 0, 9, 9))
NO_RESULTS = walk(3)[0], rows()


NOBODY = rows(), rows((7, 3, 0, 0, 9, 9))
PAIRS = {
    "walk": walk(3),
    "one frame": ONE_FRAME,
    "no results": NO_RESULTS,
    "nobody": NOBODY,
    "nothing": (rows(), rows()),
    "far apart": (rows((1, 1, 0, 0, 9, 9), (LARGEST_FRAME, 1, 0, 0, 9, 9)), rows((LARGEST_FRAME, 1, 0, 0, 9, 9))),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_pictures_of_a_sequence(tmp_path: Path, pair: tuple[MotRows, MotRows]) -> None:
    _, events = score_pair(SequencePair("walk", *pair, Benchmark.none))
    plot_sequence(tmp_path / "new", "walk", events)
    assert min(size(tmp_path / "new" / "walk_frames.png")) > 300
    assert min(size(tmp_path / "new" / "walk_identities.png")) > 200
    assert min(size(tmp_path / "new" / "walk_tracks.png")) > 200


def test_a_crowd_does_not_make_the_picture_grow_without_end(tmp_path: Path) -> None:
    count = 500
    crowd = MatchEvents(
        np.ones(count, np.int64), np.full(count, "MISS"), np.arange(count) * 1.0, np.full(count, np.nan)
    )
    plot_tracks(tmp_path / "tracks.png", "crowd", crowd)
    plot_identities(tmp_path / "identities.png", "crowd", crowd)
    assert size(tmp_path / "tracks.png")[0] < 2000
    assert size(tmp_path / "identities.png")[0] < 2000


def test_shares_of_an_identitys_frames() -> None:
    """Identity 1: two frames under track 9, one under 4, one missed; identity 2: one under 4; and a false positive."""
    kinds = np.array(["MATCH", "MATCH", "SWITCH", "MISS", "MATCH", "FP"])
    gt_ids, result_ids = np.array([1, 1, 1, 1, 2, np.nan]), np.array([9, 9, 4, np.nan, 4, 7])
    identities, tracks, shares = _coverage(MatchEvents(np.array([1, 2, 3, 4, 1, 1]), kinds, gt_ids, result_ids))
    assert identities.tolist() == [1, 2]
    columns = dict(zip([*tracks.tolist(), "missed"], shares.T.tolist(), strict=True))
    assert columns == {9: [0.5, 0], 4: [0.25, 1], "missed": [0.25, 0]}


def test_bars_of_a_track() -> None:
    """Frames 1 and 2 under 9, 3 missed, 4 under 9 again, 5 under 4; then a gap, and 8 under 9."""
    found = np.array([9, 9, np.nan, 9, 4, 9])
    bars, colours, switches = _bars(2, np.array([1, 2, 3, 4, 5, 8]), found)
    assert bars[:, :2].tolist() == [[0.5, 2.5], [2.5, 3.5], [3.5, 4.5], [4.5, 5.5], [7.5, 8.5]]
    assert bars[:, 2:].mean(1).tolist() == [2] * 5
    assert colours == [colours[0], _ABSENT, colours[0], colours[3], colours[0]]
    assert len(set(colours)) == 3
    assert switches.tolist() == [4.5, 7.5]


@pytest.mark.parametrize("count", [1, 7])
def test_overall(tmp_path: Path, count: int) -> None:
    sequences = [evaluate_sequence(*walk(seed), f"MOT17-{seed:02}-FRCNN") for seed in range(count)]
    plot_overall(tmp_path / "overall.png", sequences)
    assert size(tmp_path / "overall.png")[1] > 600


def drawn(monkeypatch: pytest.MonkeyPatch, plot: Callable[..., None], *arguments: object) -> Figure:
    """The figure that a plot would write, laid out."""
    figures: list[Figure] = []
    monkeypatch.setattr("fairmot.evaluation.plots.save_figure", lambda figure, path: figures.append(figure))
    plot("no file", *arguments)
    FigureCanvasAgg(figures[0]).draw()
    return figures[0]


def test_a_negative_scores_label_stands_clear_of_the_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = walk(3)
    noise = rows(*((frame, 100 + n, 700, 700, 5, 5) for frame in range(1, 40) for n in range(9)))
    figure = drawn(monkeypatch, plot_overall, [evaluate_sequence(found, noise, "noisy")])
    axes = figure.axes[0]
    labels = [text for text in axes.texts if text.get_text().startswith("-")]
    assert labels
    for label in labels:
        assert label.get_window_extent().y0 > axes.get_window_extent().y0


def test_the_title_of_a_narrow_picture_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    _, events = score_pair(SequencePair("walk", *ONE_FRAME, Benchmark.none))
    figure = drawn(monkeypatch, plot_identities, "MOT17-13-FRCNN-second-half", events)
    (title,) = [text for text in figure.findobj(Text) if "which track" in text.get_text()]
    assert title.get_window_extent().x1 <= figure.bbox.x1
