import numpy as np
import pytest
from evaluation_data import rows

from fairmot.errors import DataError
from fairmot.evaluation.preprocess import preprocess
from fairmot.mot.benchmarks import Benchmark, benchmark_of
from fairmot.mot.rows import MotRows


@pytest.mark.parametrize(
    ("sequence", "benchmark"),
    [
        ("MOT17-02-FRCNN", Benchmark.mot17),
        ("MOT17-02", Benchmark.mot17),
        ("MOT16-13", Benchmark.mot16),
        ("MOT20-05", Benchmark.mot20),
        ("TUD-Campus", Benchmark.mot15),
        ("Venice-2", Benchmark.mot15),
    ],
)
def test_benchmark_of_a_name(sequence: str, benchmark: Benchmark) -> None:
    assert benchmark_of(sequence) is benchmark


@pytest.mark.parametrize("sequence", ["my_video", "MOT18-01", "TUD-Elsewhere", "none-1", "MOT", ""])
def test_other_names_ask_for_the_benchmark(sequence: str) -> None:
    with pytest.raises(DataError, match="benchmark=mot15, mot16, mot17, mot20, none"):
        benchmark_of(sequence)


def scene() -> tuple[MotRows, MotRows]:
    """One box of each of the 13 classes, 100 px apart, all flag 1 but one more pedestrian; a result on each."""
    classes = [*range(1, 14), 1]
    boxes = [(1, k + 1, 100.0 * k, 0, 50, 50) for k in range(len(classes))]
    gt = rows(*boxes)
    gt.classes = np.array(classes)
    gt.scores[-1] = 0
    return gt, rows(*((1, 50 + box[1], box[2] + 5, 0, 50, 50) for box in boxes))


@pytest.mark.parametrize(
    ("benchmark", "removed"),
    [
        (Benchmark.mot16, {2, 7, 8, 12}),
        (Benchmark.mot17, {2, 7, 8, 12}),
        (Benchmark.mot20, {2, 6, 7, 8, 12}),
    ],
)
def test_results_on_distractors_are_removed(benchmark: Benchmark, removed: set[int]) -> None:
    gt, results = scene()
    kept_gt, kept_results = preprocess(gt, results, benchmark)
    assert set(kept_gt.ids) == {1}  # the pedestrian that counts
    assert set(kept_results.ids) == {50 + k for k in range(1, 15)} - {50 + k for k in removed}


def test_mot15_only_drops_flag_0() -> None:
    gt, results = scene()
    kept_gt, kept_results = preprocess(gt, results, Benchmark.mot15)
    np.testing.assert_array_equal(kept_gt.ids, np.arange(1, 14))
    assert len(kept_results) == len(results)


def test_none_keeps_everything() -> None:
    gt, results = scene()
    kept_gt, kept_results = preprocess(gt, results, Benchmark.none)
    assert (len(kept_gt), len(kept_results)) == (14, 14)


def test_a_result_closer_to_a_pedestrian_stays() -> None:
    gt = rows((1, 1, 0, 0, 100, 100), (1, 2, 20, 0, 100, 100))
    gt.classes = np.array([1, 7])
    results = rows((1, 1, 5, 0, 100, 100))
    assert len(preprocess(gt, results, Benchmark.mot17)[1]) == 1
    gt.classes = np.array([7, 1])
    assert len(preprocess(gt, results, Benchmark.mot17)[1]) == 0


@pytest.mark.parametrize(("shift", "kept"), [(100 / 3, 0), (34, 1)])  # IoU exactly 1/2, and just below
def test_the_overlap_that_removes(shift: float, kept: int) -> None:
    gt = rows((1, 1, 0, 0, 100, 100), (2, 2, 0, 0, 9, 9))
    gt.classes = np.array([8, 1])
    assert len(preprocess(gt, rows((1, 1, shift, 0, 100, 100)), Benchmark.mot17)[1]) == kept


def test_a_distractor_in_another_frame_removes_nothing() -> None:
    gt = rows((2, 1, 0, 0, 100, 100))
    gt.classes = np.array([8])
    assert len(preprocess(gt, rows((1, 1, 0, 0, 100, 100)), Benchmark.mot20)[1]) == 1


def test_no_results() -> None:
    gt, _ = scene()
    kept_gt, kept_results = preprocess(gt, rows(), Benchmark.mot20)
    assert (len(kept_gt), len(kept_results)) == (1, 0)


@pytest.mark.parametrize(
    ("number", "message"), [(14, "class 14 is unknown to mot17"), (-1, "no class column.*benchmark=mot15")]
)
def test_unknown_classes(number: int, message: str) -> None:
    gt, results = scene()
    gt.classes[3] = number
    with pytest.raises(DataError, match=f"frame 1, id 4: {message}"):
        preprocess(gt, results, Benchmark.mot17)
