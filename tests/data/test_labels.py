from pathlib import Path

import numpy as np
import pytest

from fairmot.data.labels import format_labels, label_path_for, outside_image, parse_labels, read_labels
from fairmot.errors import DataError


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("MOT17/images/train/02/img1/000001.jpg", "MOT17/labels_with_ids/train/02/img1/000001.txt"),
        ("images/a.png", "labels_with_ids/a.txt"),
        ("/data/images/x/images/b.jpeg", "/data/images/x/labels_with_ids/b.txt"),
        ("my_images/images/images.v2.jpg", "my_images/labels_with_ids/images.v2.txt"),
        ("images/images/c.jpg", "images/labels_with_ids/c.txt"),
        ("images/no_ending", "labels_with_ids/no_ending.txt"),
    ],
)
def test_label_path(image: str, label: str) -> None:
    assert label_path_for(image) == label


@pytest.mark.parametrize("image", ["MOT17/img1/000001.jpg", "my_images/a.jpg", "images"])
def test_label_path_needs_a_folder_named_images(image: str) -> None:
    with pytest.raises(DataError, match="no folder named 'images'"):
        label_path_for(image)


def test_parse() -> None:
    rows = parse_labels(b"0 3 0.5 0.25 1e-1 0.2\r\n\n1 -1 -0.1 1.2 0 2.9\n", "x.txt")
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.array([[0, 3, 0.5, 0.25, 0.1, 0.2], [1, -1, -0.1, 1.2, 0, 2.9]], np.float32))


@pytest.mark.parametrize("content", [b"", b"\n", b"  \r\n\n"])
def test_empty_file(content: bytes) -> None:
    assert parse_labels(content, "x.txt").shape == (0, 6)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"0 1 0.5 0.5 0.1", "5 columns, expected 6"),
        (b"0 1 0.5 0.5 0.1 0.1 9", "7 columns, expected 6"),
        (b"0,1,0.5,0.5,0.1,0.1", "1 columns, expected 6"),
        (b"0 1 0.5 half 0.1 0.1", "'half' is not a number"),
        (b"0 1 0.5 0.2_5 0.1 0.1", r"'0\.2_5' is not a number"),
        (b"0 1 0.5 \xff 0.1 0.1", "is not a number"),
        (b"0 1 nan 0.5 0.1 0.1", "'nan' is not a finite number"),
        (b"0 1 0.5 0.5 inf 0.1", "'inf' is not a finite number"),
        (b"0 1 0.5 0.5 0.1 1e999", "'1e999' is not a finite number"),
        (b"0 -2 0.5 0.5 0.1 0.1", "id -2 must be an integer"),
        (b"0 1.5 0.5 0.5 0.1 0.1", r"id 1\.5 must be an integer"),
        (b"0 16777217 0.5 0.5 0.1 0.1", "id 16777217 must be an integer"),
        (b"-1 1 0.5 0.5 0.1 0.1", "class -1 must be an integer"),
        (b"0.5 1 0.5 0.5 0.1 0.1", r"class 0\.5 must be an integer"),
        (b"0 1 0.5 0.5 -0.1 0.1", "is negative"),
        (b"0 1 320 240 64 128", "looks like pixels; divide by image width and height"),
        (b"0 1 -1.01 0.5 0.1 0.1", "looks like pixels"),
        (b"0 1 0.5 0.5 0.1 3.01", "looks like pixels"),
    ],
)
def test_bad_row_names_file_line_and_fault(row: bytes, message: str) -> None:
    good = b"0 1 0.5 0.5 0.1 0.1\n"
    with pytest.raises(DataError, match=message) as caught:
        parse_labels(good + b"\n" + row + b"\n" + good, "seq/000007.txt")
    assert str(caught.value).startswith("seq/000007.txt:3: ")


def test_format_is_read_back() -> None:
    rows = np.array([[0, 16777215, 0.123456, -0.5, 1.25, 0.000001], [2, -1, 1.5, 0, 0, 3]], np.float32)
    text = format_labels(rows)
    assert text.splitlines()[1] == "2 -1 1.500000 0.000000 0.000000 3.000000"
    np.testing.assert_allclose(parse_labels(text.encode(), "x"), rows, atol=5e-7)
    assert format_labels(np.zeros((0, 6), np.float32)) == ""


def test_read_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: cannot read"):
        read_labels(str(tmp_path / "none.txt"))


def test_outside_image() -> None:
    centres = [(0.5, 0.5), (-0.04, 0.5), (-0.06, 0.5), (1.06, 0.5), (0.5, 1.04), (0.5, -0.06)]
    rows = np.array([[0, 1, x, y, 0.1, 0.1] for x, y in centres], np.float32)
    assert outside_image(rows).tolist() == [False, False, True, True, False, True]
