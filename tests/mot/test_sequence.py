"""Where sequences are, and what is said of folders that are left out."""

import re
from pathlib import Path

import pytest

from fairmot.errors import DataError
from fairmot.mot.sequence import find_sequences


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def names(root: Path) -> list[str]:
    return [folder.name for folder in find_sequences(str(root))]


@pytest.mark.parametrize(
    ("paths", "found", "warnings"),
    [
        (["train/a/img1/1.jpg", "val/b/img1/1.jpg"], ["a", "b"], []),
        (["train/a/img1/1.jpg", "day/img1/1.jpg"], ["a"], [r"day: a sequence must stand directly in .*/train/; move"]),
        (["train/a/img1/1.jpg", "train/old/b/img1/1.jpg"], ["a"], [r"train/old/b: a sequence must stand directly in"]),
        (["a/img1/1.jpg", "x/y/b/img1/1.jpg"], ["a"], [r"x/y/b: a sequence must stand"]),
        (
            ["train/a/img1/1.jpg", "train/b/img/1.jpg"],
            ["a"],
            [r"train/b: its pictures are in img/; rename .*/b/img to"],
        ),
        (["a/img1/1.jpg", "b/images/1.jpg", "b/gt/gt.txt"], ["a"], [r"b: its pictures are in images/; rename"]),
        (["a/img1/1.jpg", "b/1.jpg", "b/gt/gt.txt"], ["a"], [r"b: no folder img1 beside its gt/; its pictures belong"]),
        (["a/img1/1.jpg", ".b/img1/1.jpg", "__MACOSX/img1/._1.jpg", "@eaDir/img1/1.jpg"], ["a"], []),
        (["a/img1/1.jpg", "a/gt/gt.txt", "a/det/det.txt", "notes/1.txt"], ["a"], []),
        (["img1/1.jpg", "gt/gt.txt"], ["cvat"], []),
        (["img1/1.jpg", "gt/gt.txt", "more/img1/1.jpg"], ["cvat"], [r"more: a sequence must stand"]),
    ],
)
def test_found_and_left_out(
    paths: list[str], found: list[str], warnings: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert names(touch(tmp_path / "cvat", *paths)) == found
    assert len(caplog.messages) == len(warnings), caplog.messages
    for message, expected in zip(caplog.messages, warnings, strict=True):
        assert re.search(f"left out: .*{expected}", message)


@pytest.mark.parametrize(
    ("paths", "hint"),
    [
        (["train/a/img/1.jpg", "train/a/gt/gt.txt"], r"\n.*train/a: its pictures are in img/; rename .*/img to img1"),
        (["x/train/a/img1/1.jpg"], r"\n.*x/train/a: a sequence must stand directly in .*, or give its folder as root"),
        ([], ""),
    ],
)
def test_an_error_says_what_was_nearly_found(paths: list[str], hint: str, tmp_path: Path) -> None:
    (tmp_path / "cvat").mkdir()
    with pytest.raises(DataError, match=f"no sequences found; looked for .*{hint}"):
        names(touch(tmp_path / "cvat", *paths))
