"""Waiting for files and keeping second writers out."""

import subprocess
import sys
import threading
import time

import pytest

from fairmot.errors import FairMOTError
from train.shared_storage import is_listed, lock_run_dir, wait_until

TRY_TO_LOCK = (
    "import sys, pathlib; from train.shared_storage import lock_run_dir; lock_run_dir(pathlib.Path(sys.argv[1]))"
)


def try_to_lock(run_dir):
    words = [sys.executable, "-c", TRY_TO_LOCK, str(run_dir)]
    return subprocess.run(words, capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}, check=False)


def test_a_run_directory_has_one_writer(tmp_path):
    with lock_run_dir(tmp_path):
        second = try_to_lock(tmp_path)
        assert second.returncode != 0
        assert f"{tmp_path} is being written by another training (process " in second.stderr
    assert try_to_lock(tmp_path).returncode == 0


def test_waiting_ends_when_the_file_is_there_or_patience_is_over(tmp_path, capsys, monkeypatch):
    path = tmp_path / "made" / "file"
    assert not is_listed(path)

    def make():
        time.sleep(0.5)
        path.parent.mkdir()
        path.touch()

    threading.Thread(target=make).start()
    wait_until(lambda: is_listed(path), "a file", patience_s=20)
    monkeypatch.setattr("train.shared_storage._SILENCE_S", 0.1)
    with pytest.raises(FairMOTError, match="waited 1 s for another file; do all ranks share"):
        wait_until(lambda: False, "another file", patience_s=0.6)
    assert "waiting for another file" in capsys.readouterr().err
