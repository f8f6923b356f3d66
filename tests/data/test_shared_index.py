"""Labels of loose files that one process of a host reads and all of them map."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_data import person, rows, write_data_set

from fairmot.data.index import LabelIndex, build_index
from fairmot.data.shared_index import SharedIndex, share_index
from fairmot.errors import DataError
from fairmot.files import write_json_atomic

LISTS = {"a": "a.train", "b": "b.train"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    write_data_set(root, "a", [rows(person(0), person(4)), rows(), rows(person(2, x=0.3))])
    write_data_set(root, "b", [rows(person(1), person(-1))])
    write_json_atomic(root / "a.manifest.json", {"digest": "first"})
    return root


@pytest.fixture
def host(tmp_path: Path) -> Path:
    folder = tmp_path / "host"
    folder.mkdir()
    return folder


def build(root: Path, lists: dict[str, str] = LISTS) -> LabelIndex:
    return build_index(str(root), lists, str(root / "cache"), progress=False)


def read_already() -> LabelIndex:
    raise AssertionError("read again")


def test_the_first_reads_and_the_others_have_the_same(root: Path, host: Path) -> None:
    built = build(root)
    first = share_index(host, str(root), LISTS, lambda: build(root))
    second = share_index(host, str(root), LISTS, read_already)
    for index in (first, second):
        assert isinstance(index, SharedIndex)
        assert list(index.image_paths) == list(built.image_paths)
        for name in ("image_starts", "rows", "row_offsets"):
            np.testing.assert_array_equal(getattr(index, name), getattr(built, name))
        assert index.identities == built.identities and index.digest == built.digest == index.fingerprint
        assert index.summary() == built.summary() and index.place(3) == built.place(3)
        assert not index.rows.flags.owndata, "a copy of its own"


def test_a_data_set_made_anew_is_noticed_by_all(root: Path, host: Path) -> None:
    share_index(host, str(root), LISTS, lambda: build(root))
    write_json_atomic(root / "a.manifest.json", {"digest": "second"})
    index = share_index(host, str(root), LISTS, read_already)  # maps labels of before
    with pytest.raises(DataError, match="made anew"):
        index.check_unchanged()


def test_other_lists_are_read(root: Path, host: Path) -> None:
    share_index(host, str(root), LISTS, lambda: build(root))
    turned = {"b": "b.train", "a": "a.train"}
    assert share_index(host, str(root), turned, lambda: build(root, turned)).names == ["b", "a"]


def test_a_fault_is_everyones(root: Path, host: Path) -> None:
    (root / "b/labels_with_ids/000.txt").write_text("0 1 nonsense\n")
    for _ in range(2):
        with pytest.raises(DataError, match=r"000\.txt:1"):
            share_index(host, str(root), LISTS, lambda: build(root))
    assert not list(host.glob("*.npz")) and not list(host.glob("*.part"))


def test_without_room_each_reads_for_itself(
    root: Path, host: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(stream: object, **arrays: np.ndarray) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    built = build_index(str(root), LISTS, progress=False)
    monkeypatch.setattr(np, "savez", full)
    index = share_index(host, str(root), LISTS, lambda: built)
    assert index is built
    assert "No space left on device" in caplog.text and "TMPDIR" in caplog.text
    assert [path.suffix for path in host.iterdir()] == [".lock"]


def test_without_locks_each_reads_for_itself(
    root: Path, host: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*given: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fairmot.data.shared_index.lock_within", refuse)
    built = build(root)
    assert share_index(host, str(root), LISTS, lambda: built) is built
    assert "No locks available" in caplog.text


def test_processes_that_ask_together_read_once(root: Path, host: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "from fairmot.data.index import build_index\nfrom fairmot.data.shared_index import share_index\n"
        "root, host = sys.argv[1:]\nlists = {'a': 'a.train', 'b': 'b.train'}\n"
        "def build():\n    print('read', flush=True)\n    time.sleep(1)\n"
        "    return build_index(root, lists, root + '/cache', progress=False)\n"
        "print(share_index(Path(host), root, lists, build).digest)\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(root), str(host)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = "".join(process.communicate(timeout=60)[0] for process in started).split()
    assert said.count("read") == 1
    assert sorted(said)[:3] == [build(root).digest] * 3


def test_the_builder_may_be_killed(root: Path, host: Path) -> None:
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom fairmot.data.shared_index import share_index\n"
        "share_index(Path(sys.argv[2]), sys.argv[1], {'a': 'a.train', 'b': 'b.train'}, lambda: os.kill(os.getpid(), 9))"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(root), str(host)], check=False)
    assert killed.returncode == -9
    assert share_index(host, str(root), LISTS, lambda: build(root)).digest == build(root).digest
