"""Stored detections: what is written comes back, and what is not as it must be is refused."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fairmot.detections.file import read_detections, write_detections
from fairmot.detections.recorder import DetectionRecorder
from fairmot.errors import DataError
from fairmot.structures import Detections

HEADER = {
    "format_version": 1, "origin": "", "size_hw": [96, 160], "frame_rate": 30.0, "num_classes": 2, "least_score": 0.1
}  # fmt: skip


def found_by_a_network(length=3):
    """Four frames, the second of them empty: scores 0.9 and 0.05, of which the latter is not kept."""
    recorder = DetectionRecorder(0.1)
    for frame in (1, 2, 4, 5):
        count = 0 if frame == 2 else 2
        boxes_xyxy = frame + np.array([[0.1, 2, 30, 40], [5, 6, 70, 80]])[:count]
        embeddings = np.full((count, length), frame / 3, np.float32)
        recorder.add(frame, frame / 7, Detections(boxes_xyxy, [0.9, 0.05][:count], embeddings, [1, 0][:count]))
    return recorder.finished("seq", (96, 160), 30.0, 2)


def test_what_is_stored_comes_back_to_the_last_bit(tmp_path):
    written = found_by_a_network()
    write_detections(tmp_path / "a_detections.safetensors", written)
    read = read_detections(tmp_path / "a_detections.safetensors")
    for name in ("frames", "counts", "times_s"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    for field in dataclasses.fields(Detections):
        ours, theirs = getattr(read.rows, field.name), getattr(written.rows, field.name)
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert (read.size_hw, read.frame_rate, read.num_classes, read.least_score) == ((96, 160), 30.0, 2, 0.1)
    assert read.counts.tolist() == [1, 0, 1, 1]
    assert len(read.at(2)) == 0 and read.at(4).boxes_xyxy[0, 0] == 4.1


def test_a_frame_that_nobody_looked_at_is_an_error(tmp_path):
    write_detections(tmp_path / "a.safetensors", found_by_a_network())
    with pytest.raises(DataError, match=r"a\.safetensors: holds nothing of frame 3; it is of 4 frames, 1 to 5"):
        read_detections(tmp_path / "a.safetensors").at(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": np.array([1, 0, 1, 2])}, "counts are not those of the rows"),
        ({"counts": np.array([4, 0, -2, 1])}, "counts are not those of the rows"),
        ({"frames": np.array([1, 4, 2, 5])}, "frames do not rise"),
        ({"frames": np.array([0, 1, 2, 3])}, "frames do not rise from 1"),
        ({"frames": np.array([1, 2, 3, 10**12])}, "frames reach beyond"),
        ({"times_s": np.array([0.0, 2.0, 1.0, 3.0])}, "times_s must not fall"),
        ({"scores": np.array([0.5, 1.5, 0.5], np.float32)}, "scores must be from 0 to 1"),
        ({"scores": np.array([0.5, np.nan, 0.5], np.float32)}, "scores must be finite"),
        ({"scores": np.array([0.5, 0.5, 0.5])}, "scores: F64"),
        ({"boxes_xyxy": np.zeros((3, 5))}, r"boxes_xyxy must be \[3, 4\]"),
        ({"classes": np.array([0, 1, 2])}, "classes are not those of the header"),
        ({"embeddings": None}, "no array embeddings"),
        ({"extra": np.zeros(1)}, "array extra is not known"),
    ],
)
def test_arrays_that_cannot_be_detections_are_refused(tmp_path, change, message):
    path = tmp_path / "a.safetensors"
    write_detections(path, found_by_a_network())
    arrays = {name: array for name, array in (load_file(path) | change).items() if array is not None}
    save_file(arrays, path, {"fairmot_detections": json.dumps(HEADER)})
    with pytest.raises(DataError, match=rf"a\.safetensors: cannot be used as stored detections: .*{message}"):
        read_detections(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format version 2"),
        ({"size_hw": [0, 160]}, "size_hw"),
        ({"least_score": "low"}, "least_score"),
        ({"mine": 1}, "mine"),
    ],
)
def test_a_header_that_says_something_else_is_refused(tmp_path, change, message):
    path = tmp_path / "a.safetensors"
    write_detections(path, found_by_a_network())
    save_file(load_file(path), path, {"fairmot_detections": json.dumps(HEADER | change)})
    with pytest.raises(DataError, match=f"its header: .*{message}|{message}, this program"):
        read_detections(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 64, b"cut"])
def test_other_and_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "a.safetensors"
    write_detections(path, found_by_a_network())
    path.write_bytes(path.read_bytes()[:-9] if content == b"cut" else content)
    with pytest.raises(DataError, match=r"a\.safetensors: cannot be used as stored detections"):
        read_detections(path)
