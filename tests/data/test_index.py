import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_data import person, rows, write_data_set

from fairmot.data.index import LabelIndex, build_index
from fairmot.errors import DataError


@pytest.fixture(autouse=True)
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user_cache"))
    return tmp_path / "user_cache"


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files just written count as known, else every test would have to wait; test_index_changes has the real limit."""
    monkeypatch.setattr("fairmot.data.index._UNSETTLED_NS", -(10**12))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Data set a: ids 0..4 over 3 images; b: detection only; c: ids 0, 1."""
    root = tmp_path / "data"
    write_data_set(root, "a", [rows(person(0), person(4)), rows(), rows(person(2, x=0.3))])
    write_data_set(root, "b", [rows(person(-1))])
    write_data_set(root, "c", [rows(person(0), person(-1), person(1)), rows(person(1))])
    return root


LISTS = {"a": "a.train", "b": "b.train", "c": "c.train"}


def build(root: Path, **options: object) -> LabelIndex:
    return build_index(str(root), options.pop("lists", LISTS), progress=False, **options)  # type: ignore[arg-type]


def read_counts(caplog: pytest.LogCaptureFixture) -> list[str]:
    """How many label files each start had to read, as it logs it; a start that reads nothing logs nothing."""
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return [message.split(": ")[1] for message in messages if message.startswith("label index")]


def caches(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.npz"))


def test_content(root: Path) -> None:
    index = build(root)
    assert len(index) == 6
    assert index.names == ["a", "b", "c"]
    assert index.identities.counts == [5, 0, 2]
    assert index.identities.num_identities == 8
    assert index.max_objects_per_image == 3
    assert index.image_path(4) == str(root / "c/images/000.png")
    assert index.label_path(4) == str(root / "c/labels_with_ids/000.txt")
    assert index.labels(1).shape == (0, 6)
    assert index.labels(0)[:, 1].tolist() == [0, 4]
    assert index.labels(3)[:, 1].tolist() == [-1]
    assert index.labels(4)[:, 1].tolist() == [5, -1, 6]
    assert index.summary() == [
        {"name": "a", "images": 3, "boxes": 3, "identities": 5, "images_without_boxes": 1},
        {"name": "b", "images": 1, "boxes": 1, "identities": 0, "images_without_boxes": 0},
        {"name": "c", "images": 2, "boxes": 4, "identities": 2, "images_without_boxes": 0},
    ]


def test_labels_are_copies(root: Path) -> None:
    index = build(root)
    index.labels(4)[:] = 99
    assert index.labels(4)[:, 1].tolist() == [5, -1, 6]


def test_warm_start_gives_the_same_and_reads_nothing(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cold = build(root)
    assert read_counts(caplog) == ["6 label files to read, 0 known"]
    warm = build(root)
    assert read_counts(caplog) == []
    assert warm.digest == cold.digest
    np.testing.assert_array_equal(warm.rows, cold.rows)
    assert len(caches(root / ".fairmot_index")) == 1


def test_digest_follows_content_not_place(root: Path, tmp_path: Path) -> None:
    digest = build(root).digest
    moved = tmp_path / "elsewhere"
    shutil.copytree(root, moved, ignore=shutil.ignore_patterns(".fairmot_index"))
    assert build(moved).digest == digest
    (moved / "c/labels_with_ids/001.txt").write_text("0 1 0.5 0.5 0.2 0.41\n")
    assert build(moved).digest != digest
    assert build(root, lists={"a": "a.train", "c": "c.train", "b": "b.train"}).digest != digest


def test_an_edited_label_file_is_the_only_one_read_again(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    build(root)
    caplog.set_level(logging.INFO)
    with (root / "a/labels_with_ids/001.txt").open("a") as stream:
        stream.write("0 6 0.5 0.5 0.1 0.1\n")
    index = build(root)
    assert read_counts(caplog) == ["1 label files to read, 5 known"]
    assert index.labels(1)[:, 1].tolist() == [6]
    assert index.labels(2)[:, 1].tolist() == [2]
    assert index.identities.counts == [7, 0, 2]
    build(root)
    assert read_counts(caplog) == []


def test_an_edit_of_the_same_size_is_seen_by_its_time(root: Path) -> None:
    build(root)
    label = root / "b/labels_with_ids/000.txt"
    label.write_text(label.read_text().replace("0.500000", "0.600000"))
    status = label.stat()
    os.utime(label, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    assert build(root).labels(3)[0, 2] == np.float32(0.6)


def test_a_touched_file_is_read_again_and_changes_nothing(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    digest = build(root).digest
    caplog.set_level(logging.INFO)
    os.utime(root / "a/labels_with_ids/000.txt", ns=(1, 1))
    assert build(root).digest == digest
    assert read_counts(caplog) == ["1 label files to read, 5 known"]


def test_image_added_to_and_removed_from_a_list(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    build(root)
    caplog.set_level(logging.INFO)
    write_data_set(root, "d", [rows(person(0)), rows(person(3))])
    (root / "b.train").write_text("d/images/001.png\n\nb/images/000.png\n")
    index = build(root)
    assert read_counts(caplog) == ["1 label files to read, 6 known"]
    assert index.labels(3)[:, 1].tolist() == [5 + 3]
    assert index.labels(4)[:, 1].tolist() == [-1]
    (root / "b.train").write_text("b/images/000.png\n")
    index = build(root)
    assert index.identities.counts == [5, 0, 2]
    assert index.labels(3)[:, 1].tolist() == [-1]


def test_deleted_and_returned_label_file(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    build(root)
    label = root / "c/labels_with_ids/000.txt"
    content = label.read_text()
    label.unlink()
    index = build(root)
    assert index.labels(4).shape == (0, 6)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [f"1 images have no label file and count as empty, the first: {label}"]
    label.write_text(content)
    assert len(build(root).labels(4)) == 3


def test_deleted_image_is_missed_on_a_warm_start(root: Path) -> None:
    build(root)
    (root / "a/images/001.png").unlink()
    with pytest.raises(DataError, match=r"a\.train:2: image .*a/images/001\.png does not exist"):
        build(root)


@pytest.mark.parametrize("damage", ["half", "empty", "text", "bit", "older format", "parts"])
def test_a_damaged_cache_is_rebuilt_in_silence(damage: str, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    digest = build(root).digest
    (cache,) = caches(root / ".fairmot_index")
    whole = cache.read_bytes()
    arrays = dict(np.load(cache))
    if damage in ("older format", "parts"):
        changed = {"format": 0} if damage == "older format" else {"row_offsets": arrays["row_offsets"][:-1]}
        np.savez(cache, **(arrays | changed))
    elif damage == "bit":
        place = whole.index(arrays["rows"].tobytes()) + 13
        cache.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    else:
        cache.write_bytes({"half": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[damage])
    assert build(root).digest == digest
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert cache.read_bytes() != b""
    caplog.set_level(logging.INFO)
    build(root)
    assert read_counts(caplog) == []


def test_root_that_cannot_be_written_uses_the_users_cache(
    root: Path, user_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / ".fairmot_index").write_text("a file where the folder should be; holds for the superuser too")
    build(root)
    assert len(caches(user_cache / "fairmot")) == 1
    caplog.set_level(logging.INFO)
    build(root)
    assert read_counts(caplog) == []


def test_the_newest_cache_counts(root: Path, user_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    build(root)
    (root / "a/labels_with_ids/001.txt").write_text("0 1 0.5 0.5 0.1 0.1\n")
    (root / ".fairmot_index").rename(root / "aside")
    (root / ".fairmot_index").write_text("in the way")
    build(root)
    (root / ".fairmot_index").unlink()
    (root / "aside").rename(root / ".fairmot_index")
    caplog.set_level(logging.INFO)
    build(root)
    assert read_counts(caplog) == []


def test_nowhere_to_write_costs_only_a_log_line(root: Path, user_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / ".fairmot_index").write_text("")
    user_cache.write_text("")
    caplog.set_level(logging.INFO)
    assert len(build(root)) == 6
    assert "no label cache was written: every start reads all label files" in caplog.messages


def test_explicit_cache_dir_is_the_only_place(root: Path, user_cache: Path, tmp_path: Path) -> None:
    build(root, cache_dir=str(tmp_path / "mine" / "cache"))
    assert len(caches(tmp_path / "mine")) == 1
    assert not (root / ".fairmot_index").exists()
    assert not user_cache.exists()


def test_explicit_cache_dir_that_cannot_be_written_is_an_error(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"data\.cache_dir=.*file/cache cannot be written"):
        build(root, cache_dir=str(tmp_path / "file" / "cache"))


def test_boxes_outside_the_image_are_kept_and_mentioned_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    label = root / "c/labels_with_ids/000.txt"
    label.write_text("0 0 0.5 0.5 0.1 0.1\n\n0 0 -0.2 0.5 0.1 0.1\n0 1 0.5 1.5 0.1 0.1\n")
    assert len(build(root).labels(4)) == 3
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == [f"2 boxes lie wholly outside their image (kept, as in MOTChallenge): {label}:3"]


def test_missing_root(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.root=.*nowhere is not a folder"):
        build(tmp_path / "nowhere")


def test_no_data_sets(root: Path) -> None:
    with pytest.raises(DataError, match="name at least one data set"):
        build(root, lists={})


def test_missing_list(root: Path) -> None:
    with pytest.raises(DataError, match=r"data set 'a': cannot read its list file .*none\.train"):
        build(root, lists={"a": "none.train"})


def test_list_may_lie_outside_the_root(root: Path, tmp_path: Path) -> None:
    shutil.move(root / "a.train", tmp_path / "a.train")
    assert len(build(root, lists={"a": str(tmp_path / "a.train")})) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\n \n", r"data set 'b': its list file .*b\.train names no image"),
        ("b/images/000.png\n\nb/images/9.png\n", r"b\.train:3: image .*b/images/9\.png does not exist"),
        ("b/pictures/000.png\n", r"b\.train:1: b/pictures/000\.png: no folder named 'images'"),
        (
            "b/images/000.png\n\nb/images/000.png\n",
            r"b\.train:3: b/images/000\.png already stands in line 1; remove one",
        ),
    ],
)
def test_bad_lists(root: Path, content: str, message: str) -> None:
    (root / "b.train").write_text(content)
    with pytest.raises(DataError, match=message):
        build(root)


def test_zero_byte_image(root: Path) -> None:
    (root / "c/images/001.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"c\.train:2: image .*c/images/001\.png is empty \(0 bytes\)"):
        build(root)


def test_labels_in_the_wrong_place(root: Path) -> None:
    (root / "c/labels_with_ids").rename(root / "c/labels")
    with pytest.raises(DataError, match=r"data set 'c': none of its 2 .* at .*c/labels_with_ids/000\.txt"):
        build(root)


def test_many_faults_come_as_one_error(tmp_path: Path) -> None:
    root = tmp_path / "data"
    lists = write_data_set(root, "a", [rows(person(0))] * 9)
    for number in range(1, 9):
        (root / f"a/labels_with_ids/{number:03d}.txt").write_text("0 1 0.5 0.5 0.1 0.1\n0 1 320 240 60 90\n")
    with pytest.raises(DataError) as caught:
        build(root, lists=lists)
    message = str(caught.value)
    assert message.count("looks like pixels") == 5
    assert f"{root}/a/labels_with_ids/001.txt:2: " in message
    assert "8 faults in all" in message
    assert not caches(root), "refused labels must not be cached"
