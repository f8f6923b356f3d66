"""The official figures: MOTChallenge's development kit and its sample results, TrackEval, motmetrics."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairmot.evaluation.metrics import SequenceMetrics, SequencePair, combine, evaluate_pair
from fairmot.evaluation.rules import Rules
from fairmot.mot.benchmarks import Benchmark, benchmark_of
from fairmot.mot.rows import MotRows, read_ground_truth, read_results, result_rows

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


# TrackEval of `spoilt`: whole sequences of MOT15, excerpts of MOT17 with everything that distracts.
FIGURES = ("HOTA", "MOTA", "IDF1", "MOTP", "MT", "PT", "ML", "FP", "FN", "IDs", "FM")
SPOILT = {
    "TUD-Campus": (57.526426, 68.523677, 58.409786, 95.500199, 3, 5, 0, 17, 81, 15, 45),
    "TUD-Stadtmitte": (39.806852, 66.868512, 30.527817, 93.62463, 2, 8, 0, 53, 262, 68, 151),
    "ETH-Bahnhof": (45.174485, 31.043398, 45.318256, 91.074323, 69, 97, 5, 2112, 1269, 353, 747),
    "MOT17-02-FRCNN": (70.351721, 50.0, 74.576271, 93.303837, 10, 10, 2, 22, 21, 1, 3),
    "MOT17-04-FRCNN": (49.45438, -40.178571, 46.777547, 95.087962, 22, 19, 1, 372, 82, 17, 29),
    "MOT17-05-FRCNN": (58.16622, 28.888889, 62.626263, 88.393032, 5, 4, 0, 19, 10, 3, 4),
    "MOT17-09-FRCNN": (68.625293, 37.5, 68.0, 96.827352, 3, 2, 1, 8, 6, 1, 1),
    "MOT17-10-FRCNN": (66.363541, 46.315789, 69.74359, 92.05184, 6, 12, 1, 25, 20, 6, 8),
    "MOT17-11-FRCNN": (72.470745, 60.504202, 77.04918, 94.174115, 14, 3, 0, 25, 19, 3, 9),
    "MOT17-13-FRCNN": (56.579361, 12.149533, 60.465116, 87.491482, 7, 15, 0, 66, 22, 6, 11),
}


def spoilt(gt: MotRows) -> MotRows:
    """All rows of a ground truth with a tracker's faults, without chance: misses, gaps, boxes beside, other ids."""
    frames, ids = gt.frames, gt.ids
    seen = ((3 * frames + 7 * ids) % 11 > 0) & ((frames + 13 * ids) % 60 > 5)
    found_as = np.where((frames + ids) % 40 < 3, ids + 500, ids + 1000 * ((frames + 5 * ids) // 45))
    moved = np.stack([frames % 5 - 2, ids % 5 - 2, frames % 3 - 1, ids % 3 - 1], axis=1)
    moved[:, 0] += np.where((frames + 3 * ids) % 17 == 0, gt.boxes_xywh[:, 2] // 2, 0).astype(np.int64)
    return result_rows(frames, found_as, gt.boxes_xywh + moved, np.ones(len(gt))).select(seen)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    path = shared / "parity" / "eval"
    if not path.is_dir():
        pytest.skip(f"no {path}: the sample results of MOTChallenge are not part of the project")
    return path


@pytest.fixture(scope="module", params=Rules, ids=lambda rules: rules.value)
def samples(folder: Path, request: pytest.FixtureRequest) -> dict[str, SequenceMetrics]:
    return {
        name: evaluate_pair(
            SequencePair(
                name,
                read_ground_truth(folder / f"{name}.gt.txt"),
                read_results(folder / f"{name}.res.txt"),
                benchmark_of(name),
                request.param,
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


@pytest.mark.parametrize("name", SPOILT)
def test_whole_scores_of_the_official_evaluation(shared: Path, name: str) -> None:
    data_set = "MOT17-mini" if name.startswith("MOT17") else "MOT15"
    path = shared / "data" / data_set / "train" / name / "gt" / "gt.txt"
    if not path.is_file():
        pytest.skip(f"no {path}: MOTChallenge's ground truth is not part of the project")
    gt = read_ground_truth(path)
    figures = evaluate_pair(SequencePair(name, gt, spoilt(gt), benchmark_of(name))).figures()
    assert [figures[key] for key in FIGURES] == pytest.approx(SPOILT[name], abs=1e-6)


@pytest.mark.parametrize("name", SAMPLES)
def test_ground_truth_as_result_is_perfect(folder: Path, name: str) -> None:
    gt = read_ground_truth(folder / f"{name}.gt.txt")
    figures = evaluate_pair(SequencePair(name, gt, gt, Benchmark.mot15)).figures()
    assert [figures[key] for key in ("MOTA", "IDF1", "HOTA")] == pytest.approx([100, 100, 100])
