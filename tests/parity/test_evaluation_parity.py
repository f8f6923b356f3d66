"""The official figures: MOTChallenge's development kit and its sample results, TrackEval, motmetrics."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairmot.evaluation.metrics import SequenceMetrics, SequencePair, combine, evaluate_pair
from fairmot.mot.benchmarks import Benchmark, benchmark_of
from fairmot.mot.rows import read_ground_truth, read_results, result_rows

pytestmark = pytest.mark.parity

SAMPLES = ("TUD-Campus", "TUD-Stadtmitte")

# TrackEval at commit 12c8791 on the same four files; the last row is its COMBINED_SEQ.
TRACKEVAL = {
    "TUD-Campus": {"HOTA": 39.139744, "DetA": 41.804703, "AssA": 36.912068, "LocA": 77.005223},
    "TUD-Stadtmitte": {"HOTA": 39.784902, "DetA": 39.226757, "AssA": 40.884075, "LocA": 73.752118},
    "OVERALL": {"HOTA": 39.995709, "DetA": 39.768329, "AssA": 41.244953, "LocA": 73.248026},
}

# TrackEval, benchmark MOT17, when every row of gt.txt whatever its class, moved by (2, 3) px and resized
# by (1, -2) px, is handed in as the result: FP, HOTA, IDF1, MOTA. FN is 0 throughout.
DISTRACTORS = {
    "MOT17-02-FRCNN": (20, 80.5959, 89.7959, 77.2727),
    "MOT17-04-FRCNN": (424, 61.4071, 61.3139, -26.1905),
    "MOT17-05-FRCNN": (20, 69.9972, 81.8182, 55.5556),
    "MOT17-09-FRCNN": (8, 84.158, 85.7143, 66.6667),
    "MOT17-10-FRCNN": (25, 77.7467, 88.3721, 73.6842),
    "MOT17-11-FRCNN": (28, 82.5458, 89.4737, 76.4706),
    "MOT17-13-FRCNN": (65, 64.0689, 76.7025, 39.2523),
}


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    path = shared / "parity" / "eval"
    if not path.is_dir():
        pytest.skip(f"no {path}: the sample results of MOTChallenge are not part of the project")
    return path


@pytest.fixture(scope="module")
def samples(folder: Path) -> dict[str, SequenceMetrics]:
    return {
        name: evaluate_pair(
            SequencePair(
                name,
                read_ground_truth(folder / f"{name}.gt.txt"),
                read_results(folder / f"{name}.res.txt"),
                benchmark_of(name),
            )
        )
        for name in SAMPLES
    }


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "expected.json").read_text())


@pytest.mark.parametrize("name", SAMPLES)
def test_official_development_kit(samples: dict[str, SequenceMetrics], expected: dict[str, Any], name: str) -> None:
    figures, official = samples[name].figures(), expected[name]["official_devkit"]
    compared = official.keys() & figures.keys()
    assert len(compared) == 16
    for key in compared:
        assert round(figures[key], 2 if key == "FAR" else 1) == official[key], key


@pytest.mark.parametrize("name", SAMPLES)
def test_unrounded(samples: dict[str, SequenceMetrics], expected: dict[str, Any], name: str) -> None:
    metrics, computed = samples[name], expected[name]["computed_py_motmetrics_1_4_0"]
    figures = metrics.figures() | {
        "n_gt_boxes": metrics.gt_count,
        "n_pred_boxes": metrics.result_count,
        "n_frames": metrics.frame_count,
    }
    assert not computed.keys() - figures.keys()
    for key, value in computed.items():
        assert figures[key] == pytest.approx(value, abs=0 if isinstance(figures[key], int) else 1e-5), key


@pytest.mark.parametrize("name", TRACKEVAL)
def test_hota_of_the_official_evaluation(samples: dict[str, SequenceMetrics], name: str) -> None:
    metrics = combine(list(samples.values())) if name == "OVERALL" else samples[name]
    for key, value in TRACKEVAL[name].items():
        assert metrics.figures()[key] == pytest.approx(value, abs=1e-6), key


@pytest.mark.parametrize("name", DISTRACTORS)
def test_preprocessing_of_the_official_evaluation(shared: Path, name: str) -> None:
    path = shared / "data" / "MOT17-mini" / "train" / name / "gt" / "gt.txt"
    if not path.is_file():
        pytest.skip(f"no {path}: MOT17's ground truth is not part of the project")
    gt = read_ground_truth(path)
    results = result_rows(gt.frames, gt.ids, gt.boxes_xywh + np.array([2, 3, 1, -2]), np.ones(len(gt)))
    figures = evaluate_pair(SequencePair(name, gt, results, benchmark_of(name))).figures()
    false_positives, hota, idf1, mota = DISTRACTORS[name]
    assert (figures["FP"], figures["FN"]) == (false_positives, 0)
    assert (figures["HOTA"], figures["IDF1"], figures["MOTA"]) == pytest.approx((hota, idf1, mota), abs=1e-4)


@pytest.mark.parametrize("name", SAMPLES)
def test_ground_truth_as_result_is_perfect(folder: Path, name: str) -> None:
    gt = read_ground_truth(folder / f"{name}.gt.txt")
    figures = evaluate_pair(SequencePair(name, gt, gt, Benchmark.mot15)).figures()
    assert [figures[key] for key in ("MOTA", "IDF1", "HOTA")] == pytest.approx([100, 100, 100])
