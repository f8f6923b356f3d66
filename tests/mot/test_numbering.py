"""Which frame a picture is, whatever its name and however ground truth counts."""

import re
from pathlib import Path

import numpy as np
import pytest

from fairmot.errors import DataError
from fairmot.mot.numbering import number_pictures
from fairmot.mot.rows import read_truth_file


def sequence(folder: Path, names: list[str], rows: list[int] | None, length: int | None = None) -> Path:
    (folder / "img1").mkdir(parents=True)
    for name in names:
        (folder / "img1" / name).touch()
    if rows is not None:
        (folder / "gt").mkdir()
        (folder / "gt/gt.txt").write_text("".join(f"{frame},1,0,0,9,9,1,1,1\n" for frame in rows))
    if length is not None:
        (folder / "seqinfo.ini").write_text(f"[Sequence]\nseqLength={length}\n")
    return folder


def jpgs(*numbers: int, form: str = "{:06d}.jpg") -> list[str]:
    return [form.format(number) for number in numbers]


FIRST_5 = range(1, 6)
CASES = {
    "plain": (jpgs(*FIRST_5), [1, 3], None, [1, 2, 3, 4, 5], 0),
    "without truth": (jpgs(*FIRST_5), None, None, [1, 2, 3, 4, 5], 0),
    "not padded, 10 behind 9": (jpgs(*range(8, 12), form="{}.png"), [8, 11], None, [8, 9, 10, 11], 0),
    "one lost": (jpgs(1, 2, 4, 5), [1, 2, 3, 4, 5], None, [1, 2, 4, 5], 0),
    "one lost, truth ends early": (jpgs(1, 2, 4, 5), [1, 3, 4], None, [1, 2, 4, 5], 0),
    "first lost": (jpgs(2, 3, 4, 5), [1, 2, 3, 4, 5], None, [2, 3, 4, 5], 0),
    "end lost": (jpgs(1, 2, 3), [1, 2, 3, 4, 5], 5, [1, 2, 3], 0),
    "end lost, rows within": (jpgs(1, 2, 3), [1, 2], 5, [1, 2, 3], 0),
    "one lost, length of the whole": (jpgs(1, 2, 4, 5), [3, 4], 5, [1, 2, 4, 5], 0),
    "from 0, truth from 1": (jpgs(*range(5)), [1, 2, 3, 4, 5], None, [1, 2, 3, 4, 5], 0),
    "from 0, truth from 0": (jpgs(*range(5)), [0, 1, 4], None, [1, 2, 3, 4, 5], 1),
    "from 0, one lost, truth from 1": (jpgs(0, 1, 3, 4), [1, 2, 3, 4, 5], None, [1, 2, 4, 5], 0),
    "from 0 without truth": (jpgs(*range(5)), None, None, [1, 2, 3, 4, 5], 0),
    "CVAT": (jpgs(*range(3), form="frame_{:06d}.PNG"), [1, 2, 3], None, [1, 2, 3], 0),
    "every fifth": (jpgs(1, 6, 11, 16), [1, 6, 11, 16], None, [1, 6, 11, 16], 0),
    "every fifth, truth counts pictures": (jpgs(1, 6, 11, 16), [1, 2, 3, 4], None, [1, 2, 3, 4], 0),
    "every fifth from 0, truth too": (jpgs(0, 5, 10, 15), [5, 10], None, [1, 6, 11, 16], 1),
    "clip, truth too": (jpgs(372, 373, 374), [372, 374], None, [372, 373, 374], 0),
    "clip, truth counts pictures": (jpgs(372, 373, 374), [1, 3], None, [1, 2, 3], 0),
    "clip within, length of the clip": (jpgs(3, 4, 5, 6), [1, 2, 3, 4], 4, [1, 2, 3, 4], 0),
    "clip within, length of the whole": (jpgs(3, 4, 5, 6), [1, 2, 3, 4], 9, [3, 4, 5, 6], 0),
    "clip without truth": (jpgs(372, 373), None, None, [372, 373], 0),
    "times": (jpgs(1698412345123, 1698412345156, form="{}.jpg"), [1, 2], None, [1, 2], 0),
    "dates": (["2024-05-02_10-59.jpg", "2024-05-02_11-00.jpg"], [1, 2], None, [1, 2], 0),
    "words": (["a.jpg", "b.jpg"], [0, 1], None, [1, 2], 1),
    "empty truth": (jpgs(0, 1), [], None, [1, 2], 0),
}


@pytest.mark.parametrize("case", CASES)
def test_numbers(case: str, tmp_path: Path) -> None:
    names, rows, length, frames, shift = CASES[case]
    folder = sequence(tmp_path / "s", names, rows, length)
    for truth in (None, *([read_truth_file(folder / "gt/gt.txt")] if rows is not None else [])):
        found = number_pictures(folder, truth)
        np.testing.assert_array_equal(found.frames, frames)
        assert [path.name for path in found.paths] == names
        assert found.row_shift == shift


REFUSED: list[tuple[list[str], list[int] | None, int | None, str]] = [
    (jpgs(1, 2, 3), [11, 12], None, "gt.txt:1: a row of frame 11; .* 11 to 12, but .* 3 pictures named 1 to 3"),
    (jpgs(1, 2, 3), [1, 0, 2], None, "gt.txt:2: a row of frame 0; .* frames 0 to 2, but .* named 1 to 3"),
    (jpgs(*range(3, 9)), [1, 2, 3, 4, 5, 6], None, "gt.txt:1: .* 1 to 6, but .* 6 pictures named 3 to 8: which"),
    (jpgs(*range(51, 56)), [1, 2], 90, "5 pictures named 51 to 55, of 90 by seqinfo.ini"),
    (["a.jpg", "b.jpg"], [1, 2, 3], None, "frame 3; .* 2 pictures without numbers in their names"),
    (["000001.jpg", "cover.jpg"], [1], None, "cover.jpg: an image's name must be its frame number"),
    (["000002.jpg", "2.jpg"], [1], None, "2.jpg: frame 2 is also 000002.jpg; delete one"),
    (["000002.jpg", "000002.png"], None, None, "000002.png: frame 2 is also 000002.jpg; delete one"),
    ([], None, None, "img1: no pictures"),
]


@pytest.mark.parametrize(("names", "rows", "length", "message"), REFUSED)
def test_what_cannot_be_told_is_refused_with_both_ranges(
    names: list[str], rows: list[int] | None, length: int | None, message: str, tmp_path: Path
) -> None:
    folder = sequence(tmp_path / "s", names, rows, length)
    truth = read_truth_file(folder / "gt/gt.txt") if rows is not None else None
    with pytest.raises(DataError, match=message):
        number_pictures(folder, truth)


def test_hidden_and_foreign_files_are_no_pictures(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "s", ["000001.jpg", "._000001.jpg", "Thumbs.db", "000002.JPEG", "notes.txt"], None)
    assert [path.name for path in number_pictures(folder).paths] == ["000001.jpg", "000002.JPEG"]


def test_rows_take_the_numbers_of_the_pictures(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "s", jpgs(0, 1, 3), [0, 1, 2, 3])
    truth = read_truth_file(folder / "gt/gt.txt")
    pictures = number_pictures(folder, truth)
    rows, has_picture = pictures.numbered(truth.rows)
    assert rows.frames.tolist() == [1, 2, 3, 4]
    assert has_picture.tolist() == [True, True, False, True]
    assert truth.rows.frames.tolist() == [0, 1, 2, 3]
    assert re.fullmatch("000000.jpg to 000003.jpg are frames 1 to 4; gt.txt counts from 0, .*", pictures.say()[0])


def test_what_is_not_as_named_is_said(tmp_path: Path) -> None:
    said = {
        case: number_pictures(sequence(tmp_path / case, names, rows, length)).say()
        for case, (names, rows, length, _, _) in CASES.items()
    }
    as_named = {case for case, (names, _, _, frames, _) in CASES.items() if jpgs(*frames) == names}
    assert {case for case, sentences in said.items() if not sentences} == as_named | {"not padded, 10 behind 9"}
    assert said["every fifth, truth counts pictures"] == ["000001.jpg to 000016.jpg are frames 1 to 4"]
