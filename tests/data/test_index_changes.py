"""The index beside edits that leave no trace in size and time, and beside other processes."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_data import person, rows, write_data_set

from fairmot.data import label_cache
from fairmot.data.index import LabelIndex, build_index

_BUILD = """
import logging, sys
from fairmot.data import index
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
index._UNSETTLED_NS = -(10**12)
print("ready", flush=True)
print(len(index.build_index(sys.argv[1], {"a": "a.train"}, progress=False).rows), "rows", flush=True)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user_cache"))
    write_data_set(tmp_path / "data", "a", [rows(person(0), person(1)), rows(), rows(person(2))])
    return tmp_path / "data"


def build(root: Path, **options: float) -> LabelIndex:
    return build_index(str(root), {"a": "a.train"}, progress=False, **options)


def edit_unnoticed(label: Path) -> None:
    """Another box, but size and modification time as before."""
    status = label.stat()
    label.write_text(label.read_text().replace("0.500000", "0.600000", 1))
    os.utime(label, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert label.stat().st_size == status.st_size


def test_an_edit_right_after_the_first_start_is_seen(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    label = root / "a/labels_with_ids/002.txt"
    for expected in (0.5, 0.6):
        assert build(root).labels(2)[0, 2] == np.float32(expected)
        edit_unnoticed(label)  # often in the same tick of the file system's clock as the writing before
    read = [message for message in caplog.messages if message.startswith("label index")]
    assert read == ["label index: 3 label files to read, 0 known"] * 2, "files of this moment are not vouched for"


def test_an_edit_with_its_time_set_back_is_seen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairmot.data.index._UNSETTLED_NS", -(10**12))
    build(root)
    time.sleep(0.05)  # a tick of the file system's clock and more
    edit_unnoticed(root / "a/labels_with_ids/002.txt")
    assert build(root).labels(2)[0, 2] == np.float32(0.6)


def test_lists_may_share_images(root: Path) -> None:
    (root / "half.train").write_text("a/images/002.png\n")
    lists = {"half": "half.train", "a": "a.train"}
    for _ in range(2):
        index = build_index(str(root), lists, progress=False)
        assert index.identities.counts == [3, 3]
        assert [index.labels(i)[:, 1].tolist() for i in range(4)] == [[2], [3, 4], [], [5]]


def test_a_link_to_labels_elsewhere(root: Path, tmp_path: Path) -> None:
    (root / "a/labels_with_ids").rename(tmp_path / "elsewhere")
    (root / "a/labels_with_ids").symlink_to(tmp_path / "elsewhere")
    assert len(build(root).rows) == 3
    (tmp_path / "elsewhere/001.txt").write_text("0 3 0.5 0.5 0.1 0.1\n")
    assert len(build(root).rows) == 4


def start(root: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", _BUILD, str(root)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_of_two_processes_one_reads_and_the_other_takes_over(root: Path) -> None:
    files = label_cache.cache_files(str(root), {"a": "a.train"}, None)
    with label_cache.only_builder(files, patience_s=0):
        processes = [start(root) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        assert [process.poll() for process in processes] == [None, None], "nobody goes on without the lock"
        assert not files[0].exists()
    outputs = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert [lines[-1] for lines in outputs] == ["3 rows", "3 rows"]
    read = [line for lines in outputs for line in lines if line.startswith("label index: ")]
    assert read == ["label index: 3 label files to read, 0 known"]


def test_a_holder_that_takes_too_long(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = label_cache.cache_files(str(root), {"a": "a.train"}, None)
    with label_cache.only_builder(files, patience_s=0):
        assert len(build(root, patience_s=0.3).rows) == 3
    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "waited 0 s for the process that holds" in message
    assert str(files[0].with_suffix(".lock")) in message
    assert files[0].exists(), "it is written all the same, and whole"


def test_waiting_is_said(root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairmot.locks._SILENCE_S", 0.1)
    files = label_cache.cache_files(str(root), {"a": "a.train"}, None)
    with label_cache.only_builder(files, patience_s=0), label_cache.only_builder(files, patience_s=0.5):
        pass
    assert "another process reads the labels, waiting for it" in caplog.text


def test_a_killed_holder_leaves_no_lock(root: Path) -> None:
    files = label_cache.cache_files(str(root), {"a": "a.train"}, None)
    hold = "import sys, time; from fairmot.data import label_cache as c; from pathlib import Path\n"
    hold += "with c.only_builder([Path(sys.argv[1])], 0): print('held', flush=True); time.sleep(60)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(files[0])], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.kill()
    began_s = time.monotonic()
    assert len(build(root, patience_s=30).rows) == 3
    assert time.monotonic() - began_s < 20, "it waited for a dead process"
