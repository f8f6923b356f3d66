"""The process that compiles: shown, limited, and never left behind."""

import logging
import os
import re
import sys
import time

import psutil
import pytest

from fairmot.errors import FairMOTError
from train.simulate import watch
from train.simulate.watch import run_watched

SAYS = """
import sys, time
stamp = "2026-11-29-09:39:47.765.219: "
print(stamp + "Start compiling 'TrainOneStep.construct'.")
print(stamp + "Start performing graph optimization.", flush=True)
time.sleep(0.5)
sys.stdout.write(stamp + "Start generating")
sys.stdout.flush()
time.sleep(0.3)
print(" kernels.")
print(stamp + "End compiling 'TrainOneStep.construct'.", flush=True)
time.sleep(0.3)
sys.exit(3)
"""


def run(tmp_path, program: str, limit_s: float = 60) -> int:
    return run_watched([sys.executable, "-c", program], dict(os.environ), tmp_path / "log.txt", limit_s)


def test_every_stage_is_shown_once(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    assert run(tmp_path, SAYS) == 3
    shown = [re.sub(r"^dry run: +\d+ s  ", "", record.message) for record in caplog.records]
    assert shown == [
        "TrainOneStep: performing graph optimization",
        "TrainOneStep: generating kernels",
        "TrainOneStep: compiled, finishing",
    ]
    assert "Start generating kernels" in (tmp_path / "log.txt").read_text()


def test_a_long_stage_is_shown_again(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(watch, "_QUIET_S", 0.2)
    assert run(tmp_path, "import time; time.sleep(1)") == 0
    assert 2 <= len(caplog.records) <= 6
    assert "starting MindSpore" in caplog.records[0].message


def test_a_limit_ends_the_process_and_its_children(tmp_path):
    program = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
child.wait()
"""
    began_at_s = time.monotonic()
    with pytest.raises(FairMOTError, match=r"not compiled within simulate\.time_limit_s=2 seconds"):
        run(tmp_path, program, limit_s=2)
    assert time.monotonic() - began_at_s < 20
    grandchild = int((tmp_path / "log.txt").read_text())
    until_s = time.monotonic() + 20  # a signal takes a moment
    while is_alive(grandchild):
        assert time.monotonic() < until_s
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_whatever_interrupts_the_watching_ends_the_process(tmp_path, monkeypatch):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    before = psutil.Process().children()
    monkeypatch.setattr(watch.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "import time; time.sleep(60)")
    assert set(psutil.Process().children()) <= set(before)
