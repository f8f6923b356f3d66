"""What people really have, each with its right value. The inputs lie beside the project, see FAIRMOT_SHARED."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from blob_sequences import run_command_in_process
from tiny_downloads import prepare_config

from fairmot.data.dataset import DataConfig, JointDataset
from fairmot.data.index import LabelIndex, build_index
from fairmot.errors import DataError
from fairmot.evaluation.metrics import SequencePair, evaluate_pair
from fairmot.evaluation.sequences import find_ground_truth
from fairmot.media.picture import read_image
from fairmot.mot.benchmarks import Benchmark
from fairmot.mot.rows import read_ground_truth, read_results
from fairmot.prepare.check.examine import examine
from fairmot.prepare.command import DATA_SETS

pytestmark = pytest.mark.parity
SIZE_WH = np.array([384, 224])


@pytest.fixture
def case(shared: Path, request: pytest.FixtureRequest) -> Path:
    folder = shared / "cases" / request.param
    if not folder.is_dir():
        pytest.skip(f"not there: {folder}; see FAIRMOT_SHARED")
    return folder


def prepared(root: Path, output: Path, form: str = "mot") -> LabelIndex:
    """What training reads of a case; the check of it finds no error."""
    config = prepare_config("custom", root, output, name="mine", format=form, link=False)
    DATA_SETS["custom"](config)
    _, findings = examine(output)
    assert not [finding for finding in findings if finding.kind.severity.value == "error"]
    return build_index(str(output), {"mine": "mine.train"}, progress=False)


def frame_shown(folder: Path, image: str) -> str:
    """The name of the picture of the case that an image is a copy of."""
    content = Path(image).read_bytes()
    return next(path.name for path in sorted(folder.rglob("*")) if path.is_file() and path.read_bytes() == content)


def boxes_of(index: LabelIndex, image: int, size_wh: np.ndarray) -> np.ndarray:
    """[N, 4] left, top, width, height in pixels, in order of the left side."""
    rows = index.labels(image)[:, 2:].astype(float)
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:] / 2, rows[:, 2:]], axis=1) * np.tile(size_wh, 2)
    return boxes[np.argsort(boxes[:, 0])]


def truth_of(path: Path, frame: int) -> np.ndarray:
    rows = read_ground_truth(path)
    boxes = rows.boxes_xywh[(rows.frames == frame) & (rows.scores != 0)]
    return boxes[np.argsort(boxes[:, 0])]


NUMBERED = {
    "mot_names_from_0_gt_from_1": (12, lambda name: int(Path(name).stem) + 1),
    "mot_one_picture_lost": (19, lambda name: int(Path(name).stem)),
    "mot_every_fifth_frame": (12, lambda name: int(Path(name).stem)),
    "jpeg_bytes_behind_the_end": (12, lambda name: int(Path(name).stem)),
    "yolo_or_mot_bmp": (12, lambda name: int(Path(name).stem)),
    "exif_mot": (12, lambda name: int(Path(name).stem)),
}


@pytest.mark.parametrize("case", NUMBERED, indirect=True)
def test_every_picture_has_the_boxes_of_its_frame(case: Path, tmp_path: Path) -> None:
    count, frame_of = NUMBERED[case.name]
    index = prepared(case, tmp_path / "out")
    assert len(index) == count
    (gt,) = (case / "train").glob("*/gt/gt.txt")
    seen = set()
    for image in range(count):
        path = index.image_path(image)
        height, width = read_image(path).shape[:2]
        frame = frame_of(frame_shown(case, path))
        expected = truth_of(gt, frame)
        np.testing.assert_allclose(boxes_of(index, image, np.array([width, height])), expected, atol=0.01)
        seen.add(frame)
    assert len(seen) == count
    (sequence,), _ = find_ground_truth(tmp_path / "out/mine/images/train")
    assert sequence.frames is not None
    assert set(sequence.frames.tolist()) == seen
    (download,), _ = find_ground_truth(case / "train")
    np.testing.assert_array_equal(sequence.frames, download.frames)
    np.testing.assert_array_equal(sequence.counted().frames, download.counted().frames)
    data = DataConfig(root=str(tmp_path / "out"), train={"mine": "mine.train"}, input_size=[64, 96])
    samples = JointDataset(index, data, seed=0, ltrb=True, down_ratio=4, msra=False)
    assert samples[0][0].shape == (64, 96, 3)


@pytest.mark.parametrize("case", ["mot_names_from_0_gt_from_1", "mot_one_picture_lost"], indirect=True)
def test_the_same_boxes_score_the_same_before_and_after_preparing(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(case, tmp_path / "out")
    (gt,) = (case / "train").glob("*/gt/gt.txt")
    results = tmp_path / "results"
    results.mkdir()
    rows = [line.split(",") for line in gt.read_text().split()]
    (results / "gate.txt").write_text(
        "".join(f"{frame},{who},{float(x) + 4},{y},{w},{h},0.9\n" for frame, who, x, y, w, h, *_ in rows)
    )
    scores = []
    for name, root in (("before", case / "train"), ("after", tmp_path / "out/mine/images/train")):
        words = [f"gt={root}", f"results={results}", f"output={tmp_path / name}"]
        assert run_command_in_process(monkeypatch, "fairmot.evaluate", words) == 0
        scores.append(json.loads((tmp_path / name / "metrics.json").read_text()))
    assert scores[0] == scores[1]
    assert 50 < scores[0]["OVERALL"]["HOTA"] < 100


@pytest.mark.parametrize("case", ["mot_duplicate_id"], indirect=True)
def test_an_identity_twice_is_refused_at_both_doors(case: Path, tmp_path: Path) -> None:
    for door in (lambda: prepared(case, tmp_path / "out"), lambda: find_ground_truth(case / "train")):
        with pytest.raises(DataError, match=r"gt.txt:\d+: id 1 appears twice in frame 1, first on line 1"):
            door()


@pytest.mark.parametrize("case", ["exif_coco", "coco_cvat_track_id"], indirect=True)
def test_coco_gets_upright_sizes_and_identities(case: Path, tmp_path: Path) -> None:
    index = prepared(case, tmp_path / "out", "coco_video")
    content = json.loads((case / "annotations/train.json").read_text())
    names = {image["id"]: image["file_name"].rpartition("/")[2] for image in content["images"]}
    for image in range(len(index)):
        shown = frame_shown(case / "images", index.image_path(image))
        boxes = [one["bbox"] for one in content["annotations"] if names[one["image_id"]] == shown]
        expected = np.array(sorted(boxes), float)
        np.testing.assert_allclose(boxes_of(index, image, SIZE_WH), expected, atol=0.01)
        assert read_image(index.image_path(image)).shape == (224, 384, 3)
    known = {one["attributes"]["track_id"] for one in content["annotations"] if "attributes" in one}
    assert index.identities.counts == [len(known)]
    assert bool(known) == (case.name == "coco_cvat_track_id")


DIALECTS = ["results_7col", "results_header", "results_space", "results_tab", "results_trailing_comma"]


@pytest.mark.parametrize("case", DIALECTS, indirect=True)
def test_results_of_other_trackers(case: Path) -> None:
    """All are the same boxes: those of the ground truth, the ignored ones too."""
    results = read_results(case / "seq.txt")
    gt = read_ground_truth(case.parent / "results_gt/seq/gt/gt.txt")
    np.testing.assert_array_equal(results.frames, gt.frames)
    np.testing.assert_array_equal(results.ids, gt.ids)
    np.testing.assert_allclose(results.boxes_xywh, gt.boxes_xywh)
    np.testing.assert_array_equal(results.scores, -1 if case.name == "results_space" else 0.9)
    metrics = evaluate_pair(SequencePair("seq", gt, results, Benchmark.mot15))
    ignored = np.count_nonzero(gt.scores == 0)
    assert (metrics.misses, metrics.switches, metrics.false_positives) == (0, 0, ignored)


@pytest.mark.parametrize("case", ["results_sequence_without_people"], indirect=True)
def test_false_positives_where_nobody_is_count(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"gt={case / 'gt'}", f"results={case / 'res'}", f"output={tmp_path}"]
    assert run_command_in_process(monkeypatch, "fairmot.evaluate", words) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["cam-nobody"]["FP"] == 39
    assert round(metrics["cam-01"]["MOTA"], 1) == 46.7
    assert round(metrics["OVERALL"]["MOTA"], 1) == 25.0
    assert (tmp_path / "cam-nobody_tracks.png").is_file()
    assert cv2.imread(str(tmp_path / "overall.png")) is not None
