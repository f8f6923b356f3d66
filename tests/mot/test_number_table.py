"""Text files of numbers as other programs write them: all are the same numbers."""

from pathlib import Path

import numpy as np
import pytest

from fairmot.errors import DataError
from fairmot.mot.number_table import holds_rows, is_plain, read_table
from fairmot.mot.rows import read_results

ROWS = [[1, 7, 10.5, -2, 30, 40, 0.9, -1, -1, -1], [2, 7, 11, -2, 30, 40, 1, -1, -1, -1]]
LAYOUT = "frame,id,x,y,w,h,confidence,-1,-1,-1"


def text(separator: str = ",", end: str = "\n", columns: int = 10, form: str = "{:g}") -> str:
    return "".join(separator.join(form.format(cell) for cell in row[:columns]) + end for row in ROWS)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "file.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        text(),
        text(" "),
        text("\t"),
        text("\t", "\t\n"),
        text(" ", " \r\n"),
        text(";"),
        text(", "),
        text("   "),
        text(end=",\n"),
        text(end=", \r\n"),
        "\ufeff" + text(),
        "\n\n" + text() + "\n ",
        "frame,id,x,y,w,h,conf,a,b,c\n" + text(),
        "FrameId,Id,X,Y,Width,Height,Confidence,ClassId,Visibility,Unused\n" + text(),
        "# frame id bb_left bb_top bb_width bb_height conf x y z\n" + text(" "),
        "帧,编号,左,上,宽,高,分数,a,b,c\n" + text(),
        text(" ", form="{:.18e}"),
        text(form="{:.6f}"),
    ],
)
def test_dialects(tmp_path: Path, content: str) -> None:
    path = written(tmp_path, content)
    values, lines = read_table(path, range(6, 11), LAYOUT)
    np.testing.assert_allclose(values, ROWS, atol=1e-6)
    found = [number for number, line in enumerate(content.split("\n"), start=1) if line.strip("\ufeff \r")]
    assert lines == found[-2:]
    assert holds_rows(path)
    assert is_plain(path.read_bytes()) == (content in (text(), text(", "), text(form="{:.6f}")))


@pytest.mark.parametrize("columns", range(6, 11))
def test_results_of_6_to_10_columns(tmp_path: Path, columns: int) -> None:
    rows = read_results(written(tmp_path, text(columns=columns)))
    np.testing.assert_array_equal(rows.boxes_xywh[0], ROWS[0][2:6])
    np.testing.assert_array_equal(rows.scores, [0.9, 1] if columns > 6 else [1, 1])
    np.testing.assert_array_equal(rows.classes, [-1, -1])
    with_class = written(tmp_path, text(columns=columns).replace(",-1", ",3"))
    np.testing.assert_array_equal(read_results(with_class).classes, [3, 3] if columns > 7 else [-1, -1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("frame,id,x1,y1,x2,y2\n" + text(), ":1: the header names frame,id,x1,y1,x2,y2; expected frame,id,x,y,w,h"),
        ("id,frame,x,y,w,h\n" + text(), ":1: the header names id,frame,x,y,w,h; expected"),
        ("frame,id,x,y,w,h\n1,x,3,4,5,6\n", ":2: id 'x' is not a number"),
        (text() + "frame,id,x,y,w,h,c,a,b,c\n", ":3: frame 'frame' is not a number"),
        ("1;7;10,5;2;30;40\n", ":1: x '10,5' is not a number"),
        (text() + text("\t"), ":3: 1 columns, expected 10"),
        (text() + "3,8,1,1,5,5,,-1,-1,-1\n", ":3: confidence '' is not a number"),
        (text() + "3,8,1,1,5,5,٣,-1,-1,-1\n", ":3: confidence '٣' is not a number"),
        (text(columns=5), ":1: 5 columns, expected 6 to 10: frame,id,x,y,w,h"),
        (text() + text(end=",,\n"), ":3: 11 columns, expected 10"),
        ("frame id\n", None),
        (text().encode("utf-16"), ":1: cannot be read as MOTChallenge text: not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: str | bytes, message: str | None) -> None:
    path = written(tmp_path, content)
    if message is None:
        assert len(read_results(path)) == 0
        return
    with pytest.raises(DataError) as failure:
        read_results(path)
    assert str(failure.value).startswith(f"{path}{message}")


@pytest.mark.parametrize(
    "content",
    [b"Filmed in May.\n", b"person\ncar\n", b"\0\5\x16\7", b"# Results\nof today\n", b"name,frames\nday,80\n"],
)
def test_foreign_files_hold_no_rows(tmp_path: Path, content: bytes) -> None:
    assert not holds_rows(written(tmp_path, content))
