"""The sign of life that a launched rank gives."""

import errno
import os
from pathlib import Path

from train.heartbeat import HEARTBEAT_VARIABLE, beat


def test_a_beat_without_a_step_is_a_sign_of_life_that_keeps_the_step(tmp_path, monkeypatch):
    path = tmp_path / "rank_0.beat"
    monkeypatch.setenv(HEARTBEAT_VARIABLE, str(path))
    beat()
    assert path.read_text() == ""  # alive, and no step made yet
    beat(3)
    made_at_ns = path.stat().st_mtime_ns
    while path.stat().st_mtime_ns == made_at_ns:
        beat()
    assert path.read_text() == "3"


def test_without_a_launcher_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv(HEARTBEAT_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    beat(1)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_no_end_and_no_silence(tmp_path, monkeypatch):
    path = tmp_path / "rank_0.beat"
    monkeypatch.setenv(HEARTBEAT_VARIABLE, str(path))
    beat(3)
    os.utime(path, (0, 0))

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    beat(4)
    assert path.stat().st_mtime > 0


def test_a_folder_that_is_gone_is_no_end(tmp_path, monkeypatch):
    monkeypatch.setenv(HEARTBEAT_VARIABLE, str(tmp_path / "gone" / "rank_0.beat"))
    beat()
    beat(4)
