"""Two classes from the network's heatmap to the text file, the picture and the scores."""

import json

import cv2
import numpy as np
import pytest
from blob_network import INPUT_SIZE_HW, BlobNetwork, walk
from blob_sequences import gt_text, write_sequence
from mindspore import ops

from fairmot.errors import ConfigError, DataError
from fairmot.evaluate.command import evaluate
from fairmot.evaluate.config import EvaluateConfig
from fairmot.evaluation.metrics import evaluate_sequence
from fairmot.evaluation.sequences import find_ground_truth
from fairmot.inference.network import NetworkDetector
from fairmot.inference.scoring import track_with_ground_truth
from fairmot.media.drawing import Painter
from fairmot.mot.benchmarks import Benchmark
from fairmot.mot.rows import class_column, read_ground_truth, read_results, result_rows, write_results
from fairmot.structures import Tracks
from fairmot.track.command import track
from fairmot.track.config import TrackConfig
from fairmot.tracking.config import TrackerConfig

ROW_OF_CLASS_2 = 48  # what is below this row of pixels


class TwoClassBlobs(BlobNetwork):
    """Red squares are of class 0, blue ones of class 1."""

    def construct(self, image):
        red = super().construct(image)
        blue = super().construct(ops.flip(image, (3,)))
        return ops.concat((red[0], blue[0]), 1), red[1], ops.maximum(red[2], blue[2]), red[3]


def coloured_walk(n_frames):
    """`walk`, its upper square red, its lower one blue (BGR)."""
    frames = walk(n_frames)
    for frame in frames:
        frame[:ROW_OF_CLASS_2, :, :2] = 0
        frame[ROW_OF_CLASS_2:, :, 1:] = 0
    return frames


@pytest.fixture(scope="module")
def detector():
    return NetworkDetector(TwoClassBlobs(), INPUT_SIZE_HW, max_objects=20, num_classes=2)


@pytest.fixture
def sequence(tmp_path):
    folder = write_sequence(tmp_path / "two")
    for number, frame in enumerate(coloured_walk(12), start=1):
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.png"), frame)
    rows = [line.split(",") for line in gt_text().split()]
    text = "".join(",".join([*row[:7], row[1], row[8]]) + "\n" for row in rows)  # id 1 is of class 1, id 2 of class 2
    (folder / "gt" / "gt.txt").write_text(text)
    return folder


def test_the_channel_of_a_peak_is_its_class(detector):
    (found,) = detector.detect(coloured_walk(1))
    found = found.select(found.scores > 0.5)
    upper = found.boxes_xyxy[:, 3] < ROW_OF_CLASS_2
    assert sorted(found.classes.tolist()) == [0, 1]
    np.testing.assert_array_equal(found.classes == 0, upper)


def run_track(monkeypatch, detector, sequence, output):
    monkeypatch.setattr(NetworkDetector, "from_checkpoint", lambda *_, **__: detector)
    tracker = TrackerConfig(conf_thres=0.5)
    return track(
        TrackConfig(
            source=str(sequence), checkpoint="run", output=str(output), tracker=tracker, frames=True, video=False
        )
    )


def test_classes_reach_the_text_file_with_ids_unique_over_them(monkeypatch, detector, sequence, tmp_path):
    run_track(monkeypatch, detector, sequence, tmp_path / "out")
    rows = [line.split(",") for line in (tmp_path / "out" / "two.txt").read_text().split()]
    assert len(rows) == 24
    assert {(row[1], row[7]) for row in rows} in ({("1", "1"), ("2", "2")}, {("1", "2"), ("2", "1")})
    assert all((float(row[3]) + float(row[5]) < ROW_OF_CLASS_2) == (row[7] == "1") for row in rows)
    assert {tuple(row[8:]) for row in rows} == {("-1", "-1")}
    read = read_results(tmp_path / "out" / "two.txt")
    assert sorted(set(read.classes.tolist())) == [1, 2]


def test_a_network_of_one_class_says_none(monkeypatch, sequence, tmp_path):
    run_track(monkeypatch, NetworkDetector(BlobNetwork(), INPUT_SIZE_HW), sequence, tmp_path / "out")
    lines = (tmp_path / "out" / "two.txt").read_text().split()
    assert len(lines) == 12  # blue means nothing to it
    assert all(line.endswith(",-1,-1,-1") for line in lines)


def test_matches_stay_within_a_class(detector, sequence, tmp_path):
    (truth,), _ = find_ground_truth(sequence)
    tracked = track_with_ground_truth(detector, truth, TrackerConfig(conf_thres=0.5))
    assert evaluate_sequence(truth.gt, tracked.results).mota == 100
    assert all(image.gt_count == 1 and image.correct[0] for image in tracked.images)
    assert len(tracked.images) == 24  # one a frame and class
    swapped = tracked.results.select(np.arange(len(tracked.results)))
    swapped.classes = 3 - swapped.classes
    scores = evaluate_sequence(truth.gt, swapped)
    assert (scores.mota, scores.matches) == (-100, 0)
    assert scores.hota_score == 0
    swapped.classes = class_column(swapped.classes, num_classes=1)
    assert evaluate_sequence(truth.gt, swapped).mota == 100


def test_one_class_can_be_scored_alone(sequence, tmp_path):
    gt = read_ground_truth(sequence / "gt" / "gt.txt")
    first = gt.classes == 1
    results = result_rows(gt.frames, gt.ids, gt.boxes_xywh, gt.scores, gt.classes)
    write_results(tmp_path / "results" / "two.txt", results.select(first | (gt.frames > 6)))
    settings = {"gt": str(sequence), "results": str(tmp_path / "results"), "output": str(tmp_path / "scores")}
    refusals = (
        ({"class_id": 3}, DataError, "the ground truth of two has no object of this class"),
        ({"class_id": 1, "benchmark": Benchmark.mot17}, ConfigError, "count pedestrians only"),
        ({"class_id": 0}, ValueError, "class_id=0: must be at least 1"),
    )
    for changes, kind, message in refusals:
        with pytest.raises(kind, match=message):
            evaluate(EvaluateConfig(**settings, **changes))
    evaluate(EvaluateConfig(**settings, class_id=2))
    figures = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert figures["two"]["MOTA"] == 50


def test_a_class_is_written_beside_its_identity():
    frame = np.zeros((120, 200, 3), np.uint8)
    boxes_xyxy, scores = np.array([[40.0, 40, 90, 110]]), np.ones(1, np.float32)
    one, two = (Tracks(np.array([7]), boxes_xyxy, scores, np.array([class_id])) for class_id in (0, 1))
    plain = Painter().draw(frame, one)
    np.testing.assert_array_equal(Painter().draw(frame, two), plain)
    labelled = [Painter(classes=True).draw(frame, tracks) for tracks in (one, two)]
    assert (labelled[0] != plain).any()
    assert (labelled[0] != labelled[1]).any()
