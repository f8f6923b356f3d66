import motmetrics
import numpy as np
import pandas  # type: ignore[import-untyped]
import pytest
from evaluation_data import rows, walk

from fairmot.errors import DataError
from fairmot.evaluation.metrics import (
    SequenceMetrics,
    SequencePair,
    combine,
    evaluate_pair,
    evaluate_sequence,
    evaluate_sequences,
    score_pair,
)
from fairmot.evaluation.rules import Rules
from fairmot.mot.benchmarks import Benchmark
from fairmot.mot.rows import MotRows

MOTMETRICS = {
    "IDF1": "idf1",
    "IDP": "idp",
    "IDR": "idr",
    "Rcll": "recall",
    "Prcn": "precision",
    "MOTA": "mota",
    "GT": "num_unique_objects",
    "MT": "mostly_tracked",
    "PT": "partially_tracked",
    "ML": "mostly_lost",
    "FP": "num_false_positives",
    "FN": "num_misses",
    "IDs": "num_switches",
    "FM": "num_fragmentations",
}


def frame(source: MotRows) -> pandas.DataFrame:
    index = pandas.MultiIndex.from_arrays([source.frames, source.ids], names=["FrameId", "Id"])
    return pandas.DataFrame(source.boxes_xywh, index=index, columns=["X", "Y", "Width", "Height"])


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_plain_recipe_of_motmetrics(seed: int) -> None:
    gt, results = walk(seed)
    accumulator = motmetrics.utils.compare_to_groundtruth(frame(gt), frame(results), "iou", distth=0.5)
    names = [*MOTMETRICS.values(), "motp", "num_frames"]
    expected = motmetrics.metrics.create().compute(accumulator, metrics=names, return_dataframe=False)
    metrics = evaluate_sequence(gt, results, rules=Rules.motmetrics)
    figures = metrics.figures()
    for ours, theirs in MOTMETRICS.items():
        scale = 1 if isinstance(figures[ours], int) else 100
        assert figures[ours] == pytest.approx(scale * expected[theirs], abs=1e-9), ours
    assert metrics.motp == pytest.approx(100 * (1 - expected["motp"]))
    assert metrics.frame_count == expected["num_frames"]
    assert metrics.switches > 0
    assert metrics.false_positives > 0


@pytest.mark.parametrize("frame_count", [1, 30])
def test_ground_truth_as_result_is_perfect(frame_count: int) -> None:
    gt, _ = walk(seed=3, frame_count=frame_count)
    figures = evaluate_sequence(gt, gt).figures()
    for name in ("HOTA", "MOTA", "IDF1", "DetA", "AssA", "LocA", "MOTP", "IDP", "IDR", "Rcll", "Prcn"):
        assert figures[name] == pytest.approx(100), name
    assert (figures["FP"], figures["FN"], figures["IDs"]) == (0, 0, 0)
    # The official rules count a fragment where the ground truth itself has a gap.
    gaps = [np.diff(np.sort(gt.frames[gt.ids == identity])) > 1 for identity in np.unique(gt.ids)]
    assert figures["FM"] == np.concatenate(gaps).sum() == (0 if frame_count == 1 else 11)
    assert figures["MT"] == figures["GT"] == len(np.unique(gt.ids))


def test_no_results_at_all() -> None:
    gt, _ = walk(seed=4)
    metrics = evaluate_sequence(gt, rows())
    figures = metrics.figures()
    assert (figures["MOTA"], figures["IDF1"], figures["HOTA"], figures["Prcn"], figures["MOTP"]) == (0, 0, 0, 0, 0)
    assert (figures["FN"], figures["FP"], figures["ML"]) == (len(gt), 0, 8)
    assert metrics.frame_count == 40


def test_results_that_hit_nothing() -> None:
    figures = evaluate_sequence(rows((1, 1, 0, 0, 9, 9)), rows((1, 1, 50, 0, 9, 9), (1, 2, 90, 0, 9, 9))).figures()
    assert (figures["MOTA"], figures["FP"], figures["FN"], figures["IDF1"], figures["HOTA"]) == (-200, 2, 1, 0, 0)


def test_frames_without_ground_truth_and_without_results_count() -> None:
    gt = rows((1, 1, 0, 0, 9, 9), (2, 1, 0, 0, 9, 9), (3, 1, 0, 0, 9, 9))
    results = rows((1, 5, 0, 0, 9, 9), (2, 5, 0, 0, 9, 9), (7, 5, 0, 0, 9, 9), (8, 5, 0, 0, 9, 9))
    metrics = evaluate_sequence(gt, results)
    assert (metrics.frame_count, metrics.matches, metrics.misses, metrics.false_positives) == (5, 2, 1, 2)
    assert metrics.mota == pytest.approx(0)
    assert metrics.false_alarm_rate == pytest.approx(2 / 5)
    assert metrics.idf1 == pytest.approx(100 * 2 * 2 / 7)


def test_a_switch_and_a_fragment() -> None:
    gt = rows(*((t, 1, 0, 0, 9, 9) for t in range(1, 7)))
    ghost = (3, 7, 50, 0, 9, 9)
    results = rows(*((t, 5 if t < 3 else 6, 0, 0, 9, 9) for t in (1, 2, 4, 5, 6)), ghost)
    metrics = evaluate_sequence(gt, results)
    assert (metrics.switches, metrics.fragments, metrics.misses) == (1, 1, 1)
    assert metrics.mota == pytest.approx(100 * (1 - 3 / 6))
    assert metrics.idf1 == pytest.approx(100 * 2 * 3 / 12)


def test_a_sequence_without_people_adds_its_false_positives() -> None:
    """One object found in two frames, and two ghosts where nobody is: 1 - 2 / 2; in the official evaluation too."""
    alone = evaluate_sequence(rows(), rows((1, 1, 0, 0, 9, 9), (4, 1, 0, 0, 9, 9)), "nobody")
    assert (alone.false_positives, alone.misses, alone.frame_count, alone.mota, alone.idf1) == (2, 0, 2, 0, 0)
    gt = rows((1, 1, 0, 0, 9, 9), (2, 1, 0, 0, 9, 9))
    both = combine([alone, evaluate_sequence(gt, gt, "somebody")])
    assert (both.false_positives, both.mota, both.gt_id_count) == (2, 0, 1)
    assert both.idf1 == pytest.approx(100 * 4 / 6)
    nothing = evaluate_sequence(rows(), rows(), "nothing")
    assert (nothing.false_positives, nothing.false_alarm_rate, nothing.hota_score) == (0, 0, 0)


def test_an_id_twice_in_a_frame() -> None:
    twice = rows((1, 1, 0, 0, 9, 9), (1, 1, 5, 0, 9, 9))
    once = rows((1, 1, 0, 0, 9, 9))
    with pytest.raises(DataError, match="s: results, row 1: id 1 appears twice in frame 1"):
        evaluate_sequence(once, twice, "s")
    with pytest.raises(DataError, match="s: ground truth, row 1: id 1 appears twice in frame 1"):
        evaluate_sequence(twice, once, "s")


def test_combined_is_as_one_long_sequence() -> None:
    walks = [walk(seed) for seed in (5, 6)]
    parts = [evaluate_sequence(gt, results, str(k)) for k, (gt, results) in enumerate(walks)]
    joined: list[MotRows] = []
    for side in (0, 1):
        first, second = (pair[side] for pair in walks)
        boxes = np.concatenate([first.boxes_xywh, second.boxes_xywh])
        frames = np.concatenate([first.frames, second.frames + 1000])
        ids = np.concatenate([first.ids, second.ids + 100_000])
        joined.append(rows(*zip(frames, ids, *boxes.T, strict=True)))
    whole = evaluate_sequence(joined[0], joined[1])
    assert combine(parts).figures() == pytest.approx(whole.figures())
    assert combine(parts).name == "OVERALL"
    with pytest.raises(ValueError, match="nothing to combine"):
        combine([])


def test_figures_belong_to_metrics_of_unequal_sequences() -> None:
    nine = rows(*((t, 1, 0, 0, 9, 9) for t in range(1, 10)))
    good = evaluate_sequence(nine, nine)
    bad = evaluate_sequence(rows((1, 1, 0, 0, 9, 9)), rows())
    assert combine([good, bad]).mota == pytest.approx(90)  # not the mean of 100 and 0


def test_workers_give_the_same_in_the_same_order() -> None:
    pairs = [SequencePair(f"walk-{seed}", *walk(seed), Benchmark.mot15) for seed in range(3)]
    alone, together = evaluate_sequences(pairs, workers=1), evaluate_sequences(pairs, workers=2)
    assert [metrics.name for metrics in together] == ["walk-0", "walk-1", "walk-2"]
    for left, right in zip(alone, together, strict=True):
        assert isinstance(right, SequenceMetrics)
        assert left.figures() == right.figures()


def test_a_pair_is_preprocessed_and_named_in_errors() -> None:
    gt = rows((1, 1, 0, 0, 9, 9), (1, 2, 50, 0, 9, 9))
    gt.classes = np.array([1, 8])
    pair = SequencePair("street", gt, rows((1, 1, 0, 0, 9, 9), (1, 2, 50, 0, 9, 9)), Benchmark.mot17)
    assert evaluate_pair(pair).mota == 100
    gt.classes[1] = 99
    with pytest.raises(DataError, match=r"street: ground truth, frame 1, id 2: class 99"):
        evaluate_pair(pair)


@pytest.mark.parametrize("rules", Rules)
def test_events_add_up_to_the_counts(rules: Rules) -> None:
    metrics, events = score_pair(SequencePair("walk", *walk(seed=7), Benchmark.none, rules))
    count = {kind: int((events.kinds == kind).sum()) for kind in ("MATCH", "SWITCH", "MISS", "FP")}
    assert count["MATCH"] + count["SWITCH"] == metrics.matches
    assert (count["SWITCH"], count["MISS"]) == (metrics.switches, metrics.misses)
    assert count["FP"] == metrics.false_positives
    assert sum(count.values()) == len(events.frames)
    assert (np.diff(events.frames) >= 0).all()
    np.testing.assert_array_equal(np.isnan(events.gt_ids), events.kinds == "FP")
    np.testing.assert_array_equal(np.isnan(events.result_ids), events.kinds == "MISS")
