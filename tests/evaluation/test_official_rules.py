"""Matching and counting as MOTChallenge's official evaluation does, and where motmetrics differs."""

import numpy as np
import pytest
from evaluation_data import rows, walk

from fairmot.evaluation.metrics import SequencePair, combine, evaluate_sequence, score_pair
from fairmot.evaluation.rules import Rules
from fairmot.mot.benchmarks import Benchmark

# What TrackEval at commit 12c8791 says to `walk(seed, object_count=20)`; the last row is its COMBINED_SEQ.
FIGURES = ("HOTA", "MOTA", "IDF1", "MOTP", "MT", "PT", "ML", "FP", "FN", "IDs", "FM")
TRACKEVAL = [
    (48.554201, 68.157895, 63.745583, 78.144919, 4, 16, 0, 54, 159, 29, 149),
    (50.693341, 69.473684, 70.546985, 77.142272, 11, 9, 0, 57, 151, 24, 135),
    (51.643490, 69.210526, 71.994342, 76.892444, 9, 11, 0, 52, 158, 24, 132),
    (48.528289, 67.500000, 63.914591, 78.427450, 7, 13, 0, 53, 168, 26, 151),
    (49.893613, 68.585526, 67.561837, 77.646856, 31, 49, 0, 216, 636, 103, 567),
]


def test_a_crowd_is_scored_as_by_the_official_evaluation() -> None:
    walks = [walk(seed, object_count=20) for seed in range(4)]
    scored = [evaluate_sequence(*one) for one in walks]
    for metrics, expected in zip([*scored, combine(scored)], TRACKEVAL, strict=True):
        figures = metrics.figures()
        assert [figures[key] for key in FIGURES] == pytest.approx(expected, abs=1e-6)
    others = combine([evaluate_sequence(*one, rules=Rules.motmetrics) for one in walks]).figures()
    assert [others[key] for key in ("MT", "FP", "IDs", "FM")] == [35, 215, 97, 476]


@pytest.mark.parametrize(("rules", "switches", "overlap"), [(Rules.official, 1, 100), (Rules.motmetrics, 0, 70)])
def test_only_a_pair_of_the_last_frame_is_continued(rules: Rules, switches: int, overlap: float) -> None:
    """Track 5 is lost for a frame in which somebody else is seen; then 6 fits better than 5 does."""
    gt = rows((1, 1, 0, 0, 10, 10), (2, 1, 0, 0, 10, 10), (2, 2, 50, 0, 10, 10), (3, 1, 0, 0, 10, 10))
    results = rows((1, 5, 0, 0, 10, 10), (2, 9, 50, 0, 10, 10), (3, 5, 0, 0, 10, 7), (3, 6, 0, 0, 10, 10))
    metrics, events = score_pair(SequencePair("a", gt, results, Benchmark.none, rules))
    assert (metrics.switches, metrics.fragments, metrics.misses, metrics.false_positives) == (switches, 1, 1, 1)
    assert metrics.motp == pytest.approx((200 + overlap) / 3)
    of_last_frame = events.frames == 3
    kinds, ids = events.kinds[of_last_frame].tolist(), events.result_ids[of_last_frame].tolist()
    assert sorted(zip(kinds, ids, strict=True)) == (
        [("FP", 5), ("SWITCH", 6)] if switches else [("FP", 6), ("MATCH", 5)]
    )


def test_a_frame_that_one_side_has_alone_ends_no_pair() -> None:
    """The official evaluation passes over it: 5 is continued though 6 fits better, and nothing is a fragment."""
    gt = rows((1, 1, 0, 0, 10, 10), (2, 1, 0, 0, 10, 10), (4, 1, 0, 0, 10, 10))
    results = rows((1, 5, 0, 0, 10, 10), (3, 5, 0, 0, 10, 10), (4, 5, 0, 0, 10, 7), (4, 6, 0, 0, 10, 10))
    metrics = evaluate_sequence(gt, results)
    assert (metrics.switches, metrics.fragments, metrics.misses, metrics.false_positives) == (0, 0, 1, 2)
    assert metrics.overlap_sum == pytest.approx(1.7)


@pytest.mark.parametrize(
    ("found", "official", "motmetrics"),
    [(7, (0, 1, 0), (0, 1, 0)), (8, (0, 1, 0), (1, 0, 0)), (9, (1, 0, 0), (1, 0, 0)), (2, (0, 1, 0), (0, 1, 0)),
     (1, (0, 0, 1), (0, 0, 1))],
)  # fmt: skip
def test_mostly_tracked_is_above_four_fifths(
    found: int, official: tuple[int, ...], motmetrics: tuple[int, ...]
) -> None:
    gt = rows(*((t, 1, 0, 0, 9, 9) for t in range(1, 11)))
    results = rows(*((t, 5, 0, 0, 9, 9) for t in range(1, found + 1)))
    for rules, expected in ((Rules.official, official), (Rules.motmetrics, motmetrics)):
        metrics = evaluate_sequence(gt, results, rules=rules)
        assert (metrics.mostly_tracked, metrics.partially_tracked, metrics.mostly_lost) == expected


def test_an_overlap_of_half_matches_whatever_rounding_does() -> None:
    """Whole pixels and thirds, at places that floats cannot hold; half of them overlap by exactly one half."""
    places = 0.1 * np.arange(200) + 0.3
    gt = rows(*((t + 1, 1, x, x, 30, 20) for t, x in enumerate(places)))
    results = rows(*((t + 1, 1, x + 10, x, 30, 20) for t, x in enumerate(places)))
    assert evaluate_sequence(gt, results).matches == 200
