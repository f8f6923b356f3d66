from pathlib import Path

import numpy as np
import pytest
from evaluation_data import rows, walk

from fairmot.errors import DataError
from fairmot.mot.rows import MotRows, read_ground_truth, read_results, write_results

GOOD = "1,2,10,20,30,40,0.9,-1,-1,-1"


def written(folder: Path, text: str) -> Path:
    path = folder / "file.txt"
    path.write_text(text)
    return path


def test_read_results(tmp_path: Path) -> None:
    path = written(tmp_path, "3,7,1.5,-2,30,40,0.25,-1,-1,-1\r\n\n 1, 2, 1e1,20,30,40,1,-1,-1,-1")
    read = read_results(path)
    np.testing.assert_array_equal(read.frames, [3, 1])
    np.testing.assert_array_equal(read.ids, [7, 2])
    np.testing.assert_array_equal(read.boxes_xywh, [[1.5, -2.0, 30.0, 40.0], [10.0, 20.0, 30.0, 40.0]])
    np.testing.assert_array_equal(read.scores, [0.25, 1])
    np.testing.assert_array_equal(read.classes, [-1, -1])
    assert read.frames.dtype == read.ids.dtype == np.int64


@pytest.mark.parametrize("text", ["", "\n", "  \n\n"])
def test_an_empty_file_is_an_empty_result(tmp_path: Path, text: str) -> None:
    read = read_results(written(tmp_path, text))
    assert len(read) == 0
    assert read.boxes_xywh.shape == (0, 4)


def test_read_ground_truth_with_classes(tmp_path: Path) -> None:
    read = read_ground_truth(written(tmp_path, "1,1,912,484,97,109,0,7,0.5\n2,1,0,0,5,5,1,1,1\n"))
    np.testing.assert_array_equal(read.scores, [0, 1])
    np.testing.assert_array_equal(read.classes, [7, 1])
    np.testing.assert_array_equal(read.visibility, [0.5, 1])


def test_read_ground_truth_without_classes(tmp_path: Path) -> None:
    read = read_ground_truth(written(tmp_path, "1,1,212,204,20,57,0,-3.1784,16.34,0.45739\n"))
    np.testing.assert_array_equal(read.classes, [-1])
    np.testing.assert_array_equal(read.visibility, [-1])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,3,10,20,30,40,0.9,-1,-1", "9 columns, expected 10: frame,id"),
        ("1,3,10,20,30,40,0.9,-1,-1,-1,-1", "11 columns, expected 10"),
        ("1 3 10 20 30 40 0.9 -1 -1 -1", "1 columns, expected 10"),
        ("1,3,10,20,wide,40,0.9,-1,-1,-1", "'wide' is not a number"),
        ("1,3,10,20,,40,0.9,-1,-1,-1", "'' is not a number"),
        ("1,3,10,20,3_0,40,0.9,-1,-1,-1", "'3_0' is not a number"),
        ("1,3,nan,20,30,40,0.9,-1,-1,-1", "'nan' is not a finite number"),
        ("1,3,10,20,30,inf,0.9,-1,-1,-1", "'inf' is not a finite number"),
        ("1.5,3,10,20,30,40,0.9,-1,-1,-1", "frame 1.5 must be an integer"),
        ("1,3.5,10,20,30,40,0.9,-1,-1,-1", "id 3.5 must be an integer"),
        ("1,1e300,10,20,30,40,0.9,-1,-1,-1", "id 1e300 must be an integer"),
        ("0,3,10,20,30,40,0.9,-1,-1,-1", "frame 0 is below 1"),
        ("1000000000000,3,10,20,30,40,0.9,-1,-1,-1", "frame 1000000000000 is above 99999999"),
        ("1,-1,10,20,30,40,0.9,-1,-1,-1", "id -1 is negative"),
        ("1,3,10,20,0,40,0.9,-1,-1,-1", "width and height must be positive, not 0 x 40"),
        ("1,3,10,20,30,-4,0.9,-1,-1,-1", "width and height must be positive, not 30 x -4"),
        (GOOD, "id 2 appears twice in frame 1, first on line 1"),
    ],
)
def test_a_faulty_row_is_named_by_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    path = written(tmp_path, f"{GOOD}\n2,9,1,1,1,1,1,-1,-1,-1\n\n{row}\n{GOOD.replace('1,2', '8,8')}\n")
    with pytest.raises(DataError) as failure:
        read_results(path)
    assert str(failure.value).startswith(f"{path}:4: ")
    assert message in str(failure.value)


def test_the_first_faulty_row_is_reported(tmp_path: Path) -> None:
    path = written(tmp_path, f"{GOOD}\n{GOOD}\n0,1,1,1,1,1,1,-1,-1,-1\n")
    with pytest.raises(DataError, match=":2: id 2 appears twice"):
        read_results(path)


def test_ground_truth_that_does_not_count_may_have_no_size(tmp_path: Path) -> None:
    assert len(read_ground_truth(written(tmp_path, "1,1,5,5,0,0,0,8,0\n"))) == 1
    with pytest.raises(DataError, match=":1: width and height must be positive"):
        read_ground_truth(written(tmp_path, "1,1,5,5,0,0,1,1,0\n"))


def test_ground_truth_rows_must_be_alike(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=":2: 10 columns, expected 9"):
        read_ground_truth(written(tmp_path, "1,1,5,5,9,9,1,1,1\n2,1,5,5,9,9,1,-1,-1,-1\n"))
    with pytest.raises(DataError, match=r":1: class 1.5 must be an integer"):
        read_ground_truth(written(tmp_path, "1,1,5,5,9,9,1,1.5,1\n"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.txt: cannot be read"):
        read_results(tmp_path / "missing.txt")
    path = tmp_path / "binary.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"binary\.txt:1: cannot be read"):
        read_results(path)


def test_write_then_read(tmp_path: Path) -> None:
    _, results = walk(seed=1)
    results.scores = np.linspace(0, 1, len(results))
    path = tmp_path / "new" / "results.txt"
    write_results(path, results)
    read = read_results(path)
    order = np.lexsort((results.ids, results.frames))
    np.testing.assert_array_equal(read.frames, results.frames[order])
    np.testing.assert_array_equal(read.ids, results.ids[order])
    np.testing.assert_allclose(read.boxes_xywh, results.boxes_xywh[order], atol=5.01e-4)
    np.testing.assert_allclose(read.scores, results.scores[order], atol=5.01e-5)
    assert [entry.name for entry in path.parent.iterdir()] == ["results.txt"]


def test_the_text_written(tmp_path: Path) -> None:
    path = tmp_path / "results.txt"
    write_results(path, rows((2, 5, 1.23456, 2, 3, 4), (1, 6, 0, 0, 1, 1)))
    assert path.read_text() == (
        "1,6,0.000,0.000,1.000,1.000,1.0000,-1,-1,-1\n2,5,1.235,2.000,3.000,4.000,1.0000,-1,-1,-1\n"
    )
    write_results(path, rows())
    assert path.read_text() == ""


@pytest.mark.parametrize(
    "box", [(1, 2, 0, 0, 1e-9, 5), (0, 2, 0, 0, 5, 5), (1, -1, 0, 0, 5, 5), (1, 2, np.nan, 0, 5, 5), (1, 1, 9, 9, 5, 5)]
)
def test_what_could_not_be_read_is_not_written(
    tmp_path: Path, box: tuple[int, int, float, float, float, float]
) -> None:
    path = tmp_path / "results.txt"
    with pytest.raises(ValueError, match="row 1"):
        write_results(path, rows((1, 1, 0, 0, 5, 5), box))
    assert not path.exists()


def test_columns_of_different_lengths() -> None:
    column = np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="scores: 3 rows, but frames has 2"):
        MotRows(column, column, np.zeros((2, 4)), np.zeros(3), column, column)
    with pytest.raises(ValueError, match="boxes_xywh: shape"):
        MotRows(column, column, np.zeros((2, 5)), column, column, column)
