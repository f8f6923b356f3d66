"""A detector's text file as detections, and whether they can be of a source."""

import numpy as np
import pytest

from fairmot.detections.find import find_detections
from fairmot.detections.text import read_detection_text, score_range_of
from fairmot.detections.tracks import track_detections
from fairmot.errors import ConfigError, DataError
from fairmot.tracking.config import TrackerConfig


def write(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def test_rows_become_boxes_in_order_of_score(tmp_path):
    found = read_detection_text(
        write(
            tmp_path / "det.txt", "3,-1,10,20,30,40,0.5,-1,-1,-1", "1,-1,1,2,3,4,1,-1,-1,-1", "3,-1,0,0,2,2,0.75,0,0,0"
        )
    )
    assert found.frames.tolist() == [1, 3] and found.embedding_length == 0
    np.testing.assert_array_equal(found.at(3).scores, np.float32([0.75, 0.5]))
    np.testing.assert_array_equal(found.at(3).boxes_xyxy, [[0, 0, 2, 2], [10, 20, 40, 60]])
    assert len(found.at(2)) == 0  # nothing was found there
    assert [frame for frame, _, _ in found.timed()] == [1, 2, 3]


def test_confidences_of_another_scale_are_refused_until_somebody_says_which(tmp_path):
    path = write(tmp_path / "det.txt", "1,-1,1,2,3,4,20", "1,-1,1,2,3,4,60", "1,-1,1,2,3,4,150")
    with pytest.raises(DataError, match=r"det\.txt: its confidences are from 20 to 150.*score_range=\[20,150\]"):
        read_detection_text(path)
    np.testing.assert_allclose(read_detection_text(path, (40, 120)).at(1).scores, [1, 0.25, 0])


@pytest.mark.parametrize("values", [[1], [2, 1], [0, float("inf")]])
def test_a_score_range_is_two_rising_numbers(values):
    with pytest.raises(ValueError, match="score_range="):
        score_range_of(values)


@pytest.mark.parametrize(
    ("row", "message"),
    [("1,-1,1,2,0,4,0.5", "width and height"), ("0,-1,1,2,3,4,0.5", "frame 0"), ("1,-1,1,2,3,4", "6 columns")],
)
def test_rows_that_are_no_detections_are_refused(tmp_path, row, message):
    with pytest.raises(DataError, match=rf"det\.txt:1: .*{message}"):
        read_detection_text(write(tmp_path / "det.txt", row))


def test_a_folder_holds_them_under_one_of_three_names(tmp_path):
    det = write(tmp_path / "seq" / "det" / "det.txt", "1,-1,1,2,3,4,1")
    assert find_detections(str(tmp_path), "seq") == det
    text = write(tmp_path / "seq.txt", "1,-1,1,2,3,4,1")
    assert find_detections(str(tmp_path), "seq") == text
    stored = write(tmp_path / "seq_detections.safetensors")
    assert find_detections(str(tmp_path), "seq") == stored
    with pytest.raises(DataError, match=r"nothing of other in this folder; looked for other_detections\.safetensors"):
        find_detections(str(tmp_path), "other")


@pytest.mark.parametrize(
    ("size_hw", "frames", "message"),
    [
        ((48, 64), [1, 2], "2 of 2 boxes lie beside the picture: those of seq have 64x48 pixels"),
        ((480, 640), [3, 4], "of frames 1 to 2, but seq has frames 3 to 4"),
    ],
)
def test_detections_of_something_else_are_refused(tmp_path, size_hw, frames, message):
    found = read_detection_text(write(tmp_path / "det.txt", "1,-1,100,2,3,4,1", "2,-1,100,2,3,4,1"))
    assert found.check_source("seq", (480, 640), np.array([2])) == 1
    with pytest.raises(DataError, match=message):
        found.check_source("seq", size_hw, np.array(frames))


def test_one_box_that_walks_is_one_track(tmp_path):
    rows = [f"{frame},-1,{10 + 2 * frame},20,20,40,0.9" for frame in (1, 2, 3, 6, 7)]
    found = read_detection_text(write(tmp_path / "det.txt", *rows))
    tracked = track_detections(found, TrackerConfig())
    assert tracked[:, 0].tolist() == [1, 2, 3, 6, 7] and set(tracked[:, 1]) == {1}
    with pytest.raises(ConfigError, match="camera_motion=true needs pictures"):
        track_detections(found, TrackerConfig(camera_motion=True))
