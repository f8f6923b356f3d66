"""The doctor: every kind of finding from a data set made faulty by hand, and silence over a sound one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_data import person, rows, write_data_set

from fairmot.data.dataset import DataConfig, JointDataset
from fairmot.data.index import build_index
from fairmot.errors import DataError
from fairmot.prepare.check.contents import Contents
from fairmot.prepare.check.examine import examine
from fairmot.prepare.check.findings import Finding, Kind, Severity
from fairmot.prepare.check.lists import find_lists
from fairmot.prepare.check.plots import plot_statistics
from fairmot.prepare.check.report import as_json, as_text
from fairmot.prepare.check.run import draw_frames
from fairmot.prepare.check.statistics import list_table, statistics, track_lengths
from fairmot.prepare.command import prepare
from fairmot.prepare.config import PrepareConfig

SOUND = [rows(person(0), person(1, x=0.2)), rows(person(1, width=0.1)), rows(person(-1))]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Data set a: a.train with ids 0 and 1 over three images of 64x48 pixels; nothing is wrong with it."""
    write_data_set(tmp_path / "data", "a", SOUND)
    return tmp_path / "data"


def label(root: Path, number: int, name: str = "a") -> Path:
    return root / f"{name}/labels_with_ids/{number:03d}.txt"


def findings_of(root: Path, kind: Kind | None = None, **options: bool) -> list[tuple[str, int, str]]:
    """(file relative to root, line, message) of the findings of a kind; all others must not be there."""
    _, findings = examine(root, **options)
    assert kind is None or {finding.kind for finding in findings} <= {kind}, [str(finding) for finding in findings]
    return [(os.path.relpath(finding.file, root), finding.line, finding.message) for finding in findings]


def test_a_sound_data_set(root: Path) -> None:
    contents, findings = examine(root, decode=True)
    assert findings == []
    assert contents.images == [f"a/images/{number:03d}.png" for number in range(3)]
    assert contents.sizes_hw.tolist() == [[48, 64]] * 3
    index = build_index(str(root), {"a": "a.train"}, progress=False)
    np.testing.assert_array_equal(contents.rows, index.rows)
    np.testing.assert_array_equal(contents.row_offsets, index.row_offsets)
    assert as_text(contents, findings).endswith("nothing is wrong")


@pytest.mark.parametrize(
    ("content", "kind", "line", "message"),
    [
        (b"a/images/000.png\na/images/\xff.png\n", Kind.list_unreadable, 0, "a.train:2: not UTF-8"),
        (b"\n\n", Kind.list_empty, 0, "names no image"),
        (b"a/images/000.png\n\na//images/./000.png\n", Kind.listed_twice, 3, "already stands in line 1"),
        (b"a/images/000.png\na/000.png\n", Kind.no_images_folder, 2, "no folder named 'images'"),
        (b"a/images/000.png\na/images/9.png\n", Kind.image_missing, 2, "a/images/9.png does not exist"),
    ],
)
def test_lists(root: Path, content: bytes, kind: Kind, line: int, message: str) -> None:
    label(root, 1).write_text("0 1 0.5 0.5 0.1 0.5\n")
    (root / "a.train").write_bytes(content)
    if kind is not Kind.list_unreadable and kind is not Kind.list_empty:
        label(root, 0).write_text("0 0 0.5 0.5 0.1 0.5\n")
    ((file, found_line, text),) = findings_of(root, kind)
    assert (file, found_line) == ("a.train", line)
    assert message in text


def test_images_that_cannot_be_read(root: Path) -> None:
    (root / "a/images/000.png").write_bytes(b"")
    (root / "a/images/001.png").write_bytes(b"hello")
    assert findings_of(root, Kind.image_unreadable) == [
        ("a/images/000.png", 0, "is empty (0 bytes)"),
        ("a/images/001.png", 0, "neither a JPEG nor a PNG, BMP, WebP or TIFF image; is the download complete?"),
    ]


@pytest.mark.parametrize("decode", [False, True])
def test_an_image_cut_short_is_found(root: Path, decode: bool) -> None:
    path = root / "a/images/001.png"
    path.write_bytes(path.read_bytes()[:-200])
    ((file, _, message),) = findings_of(root, Kind.image_unreadable, decode=decode)
    assert file == "a/images/001.png"
    assert "cut short" in message


def test_an_image_that_only_decoding_finds_at_fault(root: Path) -> None:
    path = root / "a/images/001.png"
    content = path.read_bytes()
    path.write_bytes(content[:60] + bytes(200) + content[260:])
    assert findings_of(root) == []
    ((file, _, message),) = findings_of(root, Kind.image_unreadable, decode=True)
    assert (file, message.partition(" (")[0]) == ("a/images/001.png", "not a picture that can be decoded")


def test_ground_truth_that_validation_would_refuse(tmp_path: Path) -> None:
    folder = tmp_path / "mine/images/val/gate"
    image = folder / "img1/000001.png"
    image.parent.mkdir(parents=True)
    cv2.imwrite(str(image), np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "mine.val").write_text(f"{image.relative_to(tmp_path)}\n")
    write_labels = tmp_path / "mine/labels_with_ids/val/gate/img1/000001.txt"
    write_labels.parent.mkdir(parents=True)
    write_labels.write_text("0 0 0.5 0.5 0.5 0.5\n")
    (folder / "gt").mkdir()
    (folder / "gt/gt.txt").write_text("1,1,0,0,9,9,1,1,1\n1,1,5,5,9,9,1,1,1\n")
    ((file, line, message),) = findings_of(tmp_path, Kind.truth_unusable)
    assert (file, line) == ("mine/images/val/gate/gt/gt.txt", 2)
    assert message == "id 1 appears twice in frame 1, first on line 1"
    (folder / "gt/gt.txt").write_text("1,1,0,0,9,9,1,1,1\n")
    assert findings_of(tmp_path) == []


def test_a_list_for_training_without_a_box(root: Path) -> None:
    for number in range(3):
        label(root, number).write_text("")
    (finding,) = (finding for finding in examine(root)[1] if finding.kind is Kind.list_without_boxes)
    assert (finding.file, finding.message) == (str(root / "a.train"), "not one box in its 3 images")
    index = build_index(str(root), {"a": "a.train"}, progress=False)
    with pytest.raises(DataError, match="a: not one box in the labels of 3 images: nothing to train on"):
        JointDataset(index, DataConfig(str(root), {"a": "a.train"}), seed=0, ltrb=True, down_ratio=4, msra=False)


def test_every_bad_row_is_named_and_the_good_ones_count(root: Path) -> None:
    label(root, 0).write_bytes(b"0 0 0.5 0.5 0.1 0.5\n0 1 0.5\n\n0 1 0.2 0.5 nan 0.4\r\n0 1 0.5 0.5 0.1 0.5\n")
    assert findings_of(root, Kind.label_row) == [
        ("a/labels_with_ids/000.txt", 2, "3 columns, expected 6: class id x_center y_center width height"),
        ("a/labels_with_ids/000.txt", 4, "'nan' is not a finite number"),
    ]
    contents, _ = examine(root)
    assert contents.rows[: contents.row_offsets[1], 1].tolist() == [0, 1]
    assert contents.row_lines[: contents.row_offsets[1]].tolist() == [1, 5]


def test_a_label_file_that_is_a_folder(root: Path) -> None:
    label(root, 2).unlink()
    label(root, 2).mkdir()
    ((file, line, message),) = findings_of(root, Kind.label_row)
    assert (file, line, message) == ("a/labels_with_ids/002.txt", 0, "cannot read this label file: Is a directory")


def test_rows_and_identities_that_an_image_has_twice(root: Path) -> None:
    row = "0 0 0.5 0.5 0.1 0.5\n"
    label(root, 0).write_text(row + "0 1 0.2 0.5 0.1 0.5\n\n" + row + "0 0 0.6 0.5 0.1 0.5\n" + row)
    label(root, 1).write_text("0 -1 0.3 0.5 0.1 0.5\n0 -1 0.2 0.5 0.1 0.5\n0 1 0.2 0.5 0.1 0.5\n")
    _, findings = examine(root)
    assert [(finding.kind, finding.line, finding.message) for finding in findings] == [
        (Kind.identity_twice, 5, "id 0 has another box in line 1"),
        (Kind.row_twice, 4, "the same as line 1"),
        (Kind.row_twice, 6, "the same as line 1"),
    ]


def test_identities_of_two_classes(root: Path) -> None:
    label(root, 1).write_text("0 0 0.5 0.5 0.1 0.5\n2 1 0.2 0.5 0.1 0.5\n")
    place = f"{label(root, 0)}:2"
    assert findings_of(root, Kind.identity_of_two_classes) == [
        ("a/labels_with_ids/001.txt", 2, f"id 1 is of class 2 here and of class 0 in {place}")
    ]
    (root / "a_half.train").write_text((root / "a.train").read_text())
    assert len(findings_of(root)) == 1, "another list with the same images adds nothing"


def test_identities_are_those_of_one_data_set(root: Path) -> None:
    write_data_set(root, "b", [np.array([[1, 0, 0.5, 0.5, 0.1, 0.5]], np.float32)])
    assert findings_of(root) == []


def test_gaps_between_identities(root: Path) -> None:
    label(root, 1).write_text("".join(f"0 {identity} 0.{identity + 10} 0.5 0.1 0.5\n" for identity in (3, 5, 6, 9)))
    assert findings_of(root, Kind.identity_gap) == [("a.train", 0, "4 of 10 ids are never used: 2, 4, 7-8")]
    label(root, 1).write_text("".join(f"0 {identity} 0.5 0.5 0.1 0.5\n" for identity in (2, *range(4, 24, 2), 2**24)))
    ((_, _, message),) = findings_of(root, Kind.identity_gap)
    assert message == "16777203 of 16777217 ids are never used: 3, 5, 7, 9, 11, 13, 15, 17, ..."
    (root / "a.train").rename(root / "a.val")
    assert findings_of(root) == []


def test_boxes(root: Path) -> None:
    label(root, 2).write_text(
        "0 -1 0.5 0.5 0 0.5\n0 -1 0.3 0.5 0.01 0.5\n0 -1 0.3 0.5 0.02 0.5\n0 -1 -0.2 0.5 0.1 0.5\n0 -1 0 0.5 0.1 0.5\n"
    )
    _, findings = examine(root)
    assert [(finding.kind, finding.line) for finding in findings] == [
        (Kind.box_outside, 4),
        (Kind.box_without_area, 1),
        (Kind.box_without_area, 2),
    ]
    assert findings[2].message == "box size 0.010000 x 0.500000 (0.64 x 24.00 pixels)"


def test_images_without_boxes_and_labels_and_labels_without_image(root: Path) -> None:
    label(root, 0).write_text("0 0 0.5 0.5 0.1 0.5\n0 1 0.2 0.5 0.1 0.5\n")
    label(root, 1).write_text("\n")
    label(root, 2).rename(label(root, 7))
    _, findings = examine(root)
    assert [(finding.kind, os.path.relpath(finding.file, root)) for finding in findings] == [
        (Kind.image_without_boxes, "a/images/001.png"),
        (Kind.label_missing, "a/images/002.png"),
        (Kind.label_without_image, "a/labels_with_ids/007.txt"),
    ]


def test_a_list_without_any_label(root: Path) -> None:
    (root / "a/labels_with_ids").rename(root / "a/labels")
    ((file, _, message),) = findings_of(root, Kind.list_without_labels)
    assert file == "a.train"
    assert "none of its 3 images has a label file" in message
    (root / "a.train").rename(root / "a.test")
    assert findings_of(root) == [], "a test set has none"


def test_two_images_with_one_label_file(root: Path) -> None:
    (root / "a/images/000.jpg").write_bytes((root / "a/images/000.png").read_bytes())
    with (root / "a.train").open("a") as stream:
        stream.write("a/images/000.jpg\n")
    ((file, line, message),) = findings_of(root, Kind.label_shared)
    assert (file, line) == ("a.train", 4)
    assert message == "a/images/000.jpg and a/images/000.png have one label file"


@pytest.mark.parametrize(("name", "kind"), [("a.val", Kind.validation_in_training), ("b.val", Kind.shared_images)])
def test_validation_images_in_training(root: Path, name: str, kind: Kind) -> None:
    write_data_set(root, "c", [rows(person(0))])
    (root / "c.train").rename(root / name)
    with (root / name).open("a") as stream:
        stream.write("a/images/002.png\na/images/001.png\n")
    ((file, line, message),) = findings_of(root, kind)
    assert (file, line) == (name, 2)
    assert message.startswith("2 of 3 images also stand in a.train, the first is a/images/002.png")


def test_find_lists(root: Path, tmp_path: Path) -> None:
    for name in ("a_half.train", "a_half.val", "b.train", "a.manifest.json", "notes.txt"):
        (root / name).write_text("a/images/000.png\n")
    (tmp_path / "mine").write_text("a/images/000.png\n")
    assert [path.name for path in find_lists(root, "")] == ["a.train", "a_half.train", "a_half.val", "b.train"]
    assert [path.name for path in find_lists(root, "a")] == ["a.train", "a_half.train", "a_half.val"]
    assert find_lists(root, "a_half.val") == [root / "a_half.val"]
    assert find_lists(root, str(tmp_path / "mine")) == [tmp_path / "mine"]
    with pytest.raises(DataError, match=r"no list file c\.train, .*; there are: a\.train, a_half\.train"):
        find_lists(root, "c")
    with pytest.raises(DataError, match="no such folder"):
        find_lists(root / "nowhere", "")


def test_statistics(root: Path) -> None:
    write_data_set(root, "b", [rows(person(0)), rows(person(0, x=0.05)), rows(), rows(person(5))], size_hw=(100, 50))
    (root / "b_half.train").write_text("b/images/000.png\n")
    contents, _ = examine(root)
    assert list_table(contents)[1:] == [
        {"name": "b.train", "images": 4, "boxes": 3, "identities": 2, "largest_id": 5, "images_without_boxes": 1},
        {"name": "b_half.train", "images": 1, "boxes": 1, "identities": 1, "largest_id": 0, "images_without_boxes": 0},
    ]
    assert sorted(track_lengths(contents).tolist()) == [1, 1, 2, 2], "a list inside another one adds nothing"
    figures = statistics(contents)
    assert (figures["images"], figures["boxes"], figures["boxes_without_identity"]) == (7, 7, 1)
    assert figures["boxes_across_the_border"] == 1
    assert figures["image_sizes"] == {"50x100": 4, "64x48": 3}
    assert figures["boxes_per_image"] == {"p0": 0, "p5": 0.3, "p50": 1, "p95": 1.7, "p100": 2, "mean": 1}
    assert figures["box_height_px"]["p100"] == 40
    assert figures["box_width_by_height"]["p0"] == pytest.approx(50 * 0.2 / 40, abs=1e-3)


def test_text_shows_the_first_of_each_kind_and_json_all(root: Path) -> None:
    label(root, 0).write_text("0 1\n" * 8 + "0 0 0.5 0.5 0.1 0.5\n")
    contents, findings = examine(root)
    text = as_text(contents, findings)
    assert text.count("2 columns, expected 6") == 5
    assert "error: 8 label files and rows that cannot be used [label_row]" in text
    assert "  ... 3 more" in text
    assert text.endswith("8 errors, 0 warnings")
    assert as_text(contents, findings, None).count("2 columns, expected 6") == 8
    values = json.loads(json.dumps(as_json(contents, findings)))
    assert (values["errors"], values["warnings"], values["counts"]["label_row"]) == (8, 0, 8)
    assert values["counts"].keys() == Kind.__members__.keys()
    assert values["findings"][7] == {
        "kind": "label_row",
        "severity": "error",
        "file": str(label(root, 0)),
        "line": 8,
        "message": "2 columns, expected 6: class id x_center y_center width height",
    }


def test_kinds_that_training_refuses_are_errors() -> None:
    """What makes build_index or JointDataset raise; the other errors are wrong for certain."""
    refused = {"list_unreadable", "list_empty", "list_without_labels", "listed_twice", "no_images_folder"}
    refused |= {
        "truth_unusable",
        "list_without_boxes",
        "image_missing",
        "image_unreadable",
        "label_row",
        "identity_of_two_classes",
    }
    errors = {kind.name for kind in Kind if kind.severity is Severity.error}
    assert refused <= errors
    assert errors - refused == {"label_shared", "identity_twice", "validation_in_training"}


def test_frames_are_drawn_with_their_boxes(root: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(root / f"a/images/{number:03d}.png"), np.full((480, 640, 3), 128, np.uint8))
    label(root, 1).write_text("0 1 0.5 0.5 0.5 0.5\n")
    contents = examine(root)[0]
    picture = draw_frames(contents)
    assert picture is not None and picture.dtype == np.uint8
    cell_width = picture.shape[1] // 3
    second = picture[:, cell_width : 2 * cell_width].astype(int)
    left, middle = (
        second[:, cell_width // 4 - 4 : cell_width // 4 + 4],
        second[:, cell_width // 2 : cell_width // 2 + 1],
    )
    coloured = np.ptp(left, axis=2).max(1) > 60  # grey has no saturation
    assert coloured.mean() == pytest.approx(0.5, abs=0.1), "the box's left edge is half as high as its image"
    assert 0 < (np.ptp(middle, axis=2) > 60).mean() < 0.05


def test_no_frame_can_be_drawn(root: Path) -> None:
    for path in (root / "a/images").iterdir():
        path.write_bytes(b"hello")
    contents, findings = examine(root)
    assert [finding.kind for finding in findings] == [Kind.image_unreadable] * 3
    assert draw_frames(contents) is None


def test_a_check_with_warnings_succeeds(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    label(root, 1).write_text("")
    prepare(PrepareConfig(root="data", check=True))
    assert "0 errors, 1 warnings" in capsys.readouterr().out
    report = tmp_path / "runs/data_check"
    assert {path.name for path in report.iterdir()} == {"report.txt", "report.json", "statistics.png", "frames.jpg"}
    assert json.loads((report / "report.json").read_text())["counts"]["image_without_boxes"] == 1
    for name in ("statistics.png", "frames.jpg"):
        assert min(cv2.imread(str(report / name)).shape[:2]) > 400
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="output=file/x: the report cannot be written: Not a directory"):
        prepare(PrepareConfig(root="data", output="file/x", check=True))


def test_the_command_fails_over_errors(root: Path, tmp_path: Path) -> None:
    label(root, 1).write_text("0 1 0.5\n")
    words = ["check=true", "root=data", "dataset=a", "output=out", "decode=true"]
    result = subprocess.run(
        [sys.executable, "-m", "fairmot.prepare", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "data/a/labels_with_ids/001.txt:1: 3 columns" in result.stdout
    assert "error: 1 errors in data: out/report.txt" in result.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"root": "a", "output": "b"}, "dataset is empty"),
        ({"root": "a", "dataset": "mot17"}, "output is empty"),
        ({"root": " ", "check": True}, "root is empty"),
        ({"root": "a", "output": "b", "dataset": "mot17", "decode": True}, "decode is for check=true"),
    ],
)
def test_refused_settings(settings: dict[str, str | bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PrepareConfig(**settings)  # type: ignore[arg-type]


def test_findings_read_like_compiler_messages() -> None:
    assert str(Finding(Kind.label_row, "a.txt", 3, "wrong")) == "a.txt:3: wrong"
    assert str(Finding(Kind.label_missing, "a.png", 0, "gone")) == "a.png: gone"


def test_an_empty_data_set_is_drawn_and_written_all_the_same(root: Path) -> None:
    (root / "a.train").write_text("")
    contents, findings = examine(root)
    assert isinstance(contents, Contents)
    assert [finding.kind for finding in findings] == [Kind.list_empty]
    plot_statistics(root / "statistics.png", contents)
    assert cv2.imread(str(root / "statistics.png")) is not None
    assert as_json(contents, findings)["statistics"]["boxes_per_image"] is None
