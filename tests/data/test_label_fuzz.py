"""Hundreds of broken label, list and image files: taken rightly or refused with file and line, nothing else."""

import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from fuzzing import BYTES, mutants
from small_data import person, rows, write_data_set

from fairmot.data.image_list import read_entries
from fairmot.data.index import build_index
from fairmot.data.labels import parse_labels
from fairmot.errors import DataError
from fairmot.media.image_size import read_image_size
from fairmot.media.picture import read_image
from fairmot.prepare.check.examine import examine
from fairmot.prepare.check.findings import Kind

GOOD_LABELS = (
    b"0 0 0.500000 0.500000 0.100000 0.200000\n1 -1 -0.25 1.5 1e-1 2.9\n0 16777216 .5 5. 0 0.0\n".replace(
        b" 5. ", b" 1. "
    )
    + b"0 17 0.123456 0.654321 0.011111 0.099999\n"
)
WORDS = (
    *(b"nan", b"inf", b"-inf", b"Infinity", b"1e999", b"1e-999", b"-1", b"-2", b"-0", b"0x1", b"1_0", b"1,5", b""),
    *(b"16777217", b"99999999999999999999999", b"1.5", b"320", b"2.0000001", b"3.0001", b"-1.0001", b"+1", b"1e0"),
    *("\N{ARABIC-INDIC DIGIT ONE}".encode(), "½".encode(), b"\xff", b"\x00", b"0\x00", b"true", b"[1]", b"1e", b"."),
)


def replace_word(content: bytes, rng: np.random.Generator) -> bytes:
    words = re.split(rb"([ \n]+)", content)
    words[2 * int(rng.integers(0, len(words) // 2))] = WORDS[rng.integers(0, len(WORDS))]
    return b"".join(words)


def windows_lines(content: bytes, rng: np.random.Generator) -> bytes:
    return content.replace(b"\n", b"\r\n")


def other_encoding(content: bytes, rng: np.random.Generator) -> bytes:
    return content.decode("latin-1").encode(str(rng.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7"])))


def plain_parse(content: bytes) -> tuple[list[list[float]], int | None]:
    """The rows up to the first bad line, and that line: word by word, by the format's description."""
    found = []
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", content), start=1):
        words = [word for word in re.split(rb"[ \t\x0b\x0c]+", line) if word]
        if not words:
            continue
        if len(words) != 6 or not all(re.fullmatch(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", word) for word in words):
            return found, number
        class_id, identity, x, y, width, height = values = [float(word) for word in words]
        right = 0 <= class_id <= 2**24 and class_id % 1 == 0 and -1 <= identity <= 2**24 and identity % 1 == 0
        if not (right and -1 <= x <= 2 and -1 <= y <= 2 and 0 <= width <= 3 and 0 <= height <= 3):
            return found, number
        found.append(values)
    return found, None


def test_label_files() -> None:
    contents = mutants(GOOD_LABELS, (*BYTES, replace_word, replace_word, windows_lines, other_encoding), 400, seed=1)
    taken = 0
    for content in contents:
        expected, bad_line = plain_parse(content)
        try:
            parsed = parse_labels(content, "a/x.txt")
        except DataError as error:
            assert bad_line is not None, (content, str(error))
            assert str(error).startswith(f"a/x.txt:{bad_line}: "), (content, str(error))
            assert "\0" not in str(error) and len(str(error)) < 400, content
            continue
        assert bad_line is None, content
        assert parsed.dtype == np.float32
        np.testing.assert_array_equal(parsed, np.array(expected, np.float32).reshape(-1, 6), str(content))
        taken += 1
    assert 50 < taken < 350, "mutations that are all fine, or all broken, test nothing"


def test_the_doctor_names_the_same_lines(tmp_path: Path) -> None:
    contents = mutants(GOOD_LABELS, (*BYTES, replace_word, other_encoding), 150, seed=6)
    write_data_set(tmp_path, "a", [rows(person(0))] * len(contents))
    for number, content in enumerate(contents):
        (tmp_path / f"a/labels_with_ids/{number:03d}.txt").write_bytes(content)
    seen, findings = examine(tmp_path)
    bad_lines: dict[str, list[int]] = {}
    for finding in findings:
        if finding.kind is Kind.label_row:
            bad_lines.setdefault(Path(finding.file).stem, []).append(finding.line)
    for number, content in enumerate(contents):
        expected, bad_line = plain_parse(content)
        found = bad_lines.get(f"{number:03d}", [None])
        assert found[0] == bad_line, content
        kept = seen.rows[seen.row_offsets[number] : seen.row_offsets[number + 1]]
        filled = [line for line in re.split(rb"\r\n|\r|\n", content) if line.strip()]
        assert len(kept) == len(filled) - (bad_line is not None) * len(found)
        np.testing.assert_array_equal(kept[: len(expected)], np.array(expected, np.float32).reshape(-1, 6))


def test_list_files(tmp_path: Path) -> None:
    root = tmp_path / "data"
    lists = write_data_set(root, "a", [rows(person(0)), rows(person(1)), rows(), rows(person(2))])
    good = (root / "a.train").read_bytes()
    contents = mutants(good, (*BYTES, windows_lines, other_encoding), 140, seed=2)
    contents += [b"", b"\n\n", good + good, good.replace(b"/images/", b"/"), b"a/images\n", b"a/images/\n", b"/\n"]
    contents += [b"../" * 40 + b"\n", b"a/images/" + b"x" * 300 + b".png\n", (b"y" * 5000 + b"/images/x.png\n")]
    taken = 0
    for content in contents:
        (root / "a.train").write_bytes(content)
        expected, bad_line = plain_list(root, content)
        try:
            index = build_index(str(root), lists, str(tmp_path / "cache"), progress=False)
        except DataError as error:
            assert bad_line is not None, (content, str(error))
            place = f"{root / 'a.train'}" + (f":{bad_line}: " if bad_line else "")
            assert place in str(error), (content, str(error))
            continue
        assert bad_line is None, content
        assert index.image_paths == expected
        truth = {"000.png": [0], "001.png": [1], "002.png": [], "003.png": [2]}
        ids = [index.labels(i)[:, 1].tolist() for i in range(len(index))]
        assert ids == [truth[path.rpartition("/")[2]] for path in expected]
        taken += 1
    assert 15 < taken < 120, "mutations that are all fine, or all broken, test nothing"


def plain_list(root: Path, content: bytes) -> tuple[list[str], int | None]:
    """The images of a list file; the first bad line; 0: the file as a whole."""
    if b"\0" in content:
        return [], len(re.split(rb"\r\n|\r|\n", content.partition(b"\0")[0]))
    paths, faults = [], {"form": [], "missing": []}
    lines = re.split(rb"\r\n|\r|\n", content.removeprefix(b"\xef\xbb\xbf"))
    for number, line in enumerate(lines, start=1):
        try:
            path = line.decode("utf-8").strip()
        except UnicodeDecodeError:
            return [], number
        if not path:
            continue
        if path in paths or "/images/" not in f"/{path}":
            faults["form"].append(number)
        elif path.rpartition("/")[2] not in names_in(root, path.rpartition("/")[0]):
            faults["missing"].append(number)
        paths.append(path)
    if not paths:
        return [], 0
    first = (faults["form"] or faults["missing"] or [None])[0]
    return paths, first


def names_in(root: Path, folder: str) -> set[str]:
    try:
        return {path.name for path in (root / folder).iterdir()}
    except OSError:
        return set()


def test_entries_of_undecodable_lists_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.train"
    path.write_bytes(b"a/images/1.png\r\na/images/\xff.png\r\n")
    with pytest.raises(DataError, match=r"x\.train:2: not UTF-8"):
        read_entries(str(path))


def picture_files() -> list[bytes]:
    """A small JPEG and PNG, and headers that ask for the impossible."""
    picture = np.random.default_rng(3).integers(0, 256, (24, 40, 3), np.uint8)
    jpeg, png = (cv2.imencode(ending, picture)[1].tobytes() for ending in (".jpg", ".png"))
    frame = jpeg.index(b"\xff\xc0")
    sizes = [(0, 40), (24, 0), (65535, 65535), (40000, 40000), (20000, 20000), (1, 65535), (65500, 65500)]
    absurd = [jpeg[: frame + 5] + struct.pack(">HH", *size_hw) + jpeg[frame + 9 :] for size_hw in sizes]
    absurd += [png[:16] + struct.pack(">II", *size) + png[24:] for size in ((0, 24), (2**31 - 1,) * 2, (2**32 - 1, 1))]
    for length in (0, 1, 2, 3, 65535):  # of the first segment
        absurd.append(jpeg[:4] + struct.pack(">H", length) + jpeg[6:])
    absurd += [
        b"\xff\xd8" + b"\xff" * 5000,
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8",
        b"\x89PNG\r\n\x1a\n",
        b"",
        b"GIF89a",
        png[:33],
    ]
    absurd += [b"\xff\xd8" + b"\xff\xd0" * 4000 + b"\xff\xd9", jpeg[:frame] + b"\xff\xd9", jpeg * 2, png + jpeg]
    return [jpeg, png, *absurd, *mutants(jpeg, BYTES, 70, seed=4), *mutants(png, BYTES, 50, seed=5)]


def test_image_files(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    both = 0
    for content in picture_files():
        path.write_bytes(content)
        sizes: list[tuple[int, ...]] = []
        for read in (read_image_size, lambda path: read_image(str(path)).shape):
            try:
                sizes.append(read(path))
            except DataError as error:
                assert str(error).startswith(f"{path}: "), content[:80]
        assert all(min(size) > 0 for size in sizes)
        if len(sizes) == 2:
            both += 1
            assert sizes[0] == sizes[1][:2], (content[:80], sizes)
    assert both > 20
