"""Faults drawn from a seed: any process of a job, at any moment, by any signal that ends one.

FAIRMOT_KILLS=20 FAIRMOT_KILL_RANKS=3 make a longer series of more ranks than CI's.
"""

import os
import random
import re
import signal
import time

import numpy as np
import pytest
from launched import Launched, is_free
from ranks import tensors
from small_run import curves, write_pictures

from fairmot.weights.checkpoint import read_checkpoint, whole_checkpoints

KILLS = int(os.environ.get("FAIRMOT_KILLS", "3"))
RANKS = int(os.environ.get("FAIRMOT_KILL_RANKS", "2"))
RESTARTS = 2
PICTURES = 13
EPOCHS = 3 * KILLS
STEPS_PER_EPOCH = PICTURES // (2 * RANKS)
STEPS = EPOCHS * STEPS_PER_EPOCH
SAVE_EVERY = 2
WITHIN_S = 30
# Not the network of one convolution: its steps would be over before the blow falls.
RUN = {"model": "dlaconv_34_narrow", "num_ranks": RANKS, "epochs": EPOCHS, "save_every_steps": SAVE_EVERY}
pytestmark = [pytest.mark.distributed, pytest.mark.timeout(300 + 180 * KILLS)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pictures(root, count=PICTURES)
    return root


def starts(job):
    return job.log(0).count(", process ")


def steps_since_start(job):
    """Lines of progress after the newest start, if any."""
    return job.log(0).rpartition(", process ")[2].count("\nstep ")


def is_at_epoch_border(job):
    """Whether the step last reported was an epoch's last one."""
    reported = re.findall(r"^step (\d+)/", job.log(0).rpartition(", process ")[2], re.MULTILINE)
    return bool(reported) and int(reported[-1]) % STEPS_PER_EPOCH == 0


def newest(run_dir):
    found = whole_checkpoints(run_dir / "checkpoints")
    return read_checkpoint(found[-1]).manifest["progress"]["step"] if found else 0


def wait_until(holds, job, what):
    until_s = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < until_s, f"{what}\n{job.said()}\n{job.log(0)}"
        time.sleep(0.05)


def strike(job, draw):
    """Kill one process of the job at a drawn moment; returns what was done, or None where the run was over before."""
    begun, steps, delay_s, at_border = starts(job), draw.randrange(4), draw.random(), draw.random() < 0.3
    wait_until(
        lambda: (
            job.process.poll() is not None
            or (steps_since_start(job) >= steps and (not at_border or is_at_epoch_border(job)))
        ),
        job,
        "no steps",
    )
    time.sleep(delay_s / 10 if at_border else delay_s)
    before = job.processes()
    if job.process.poll() is not None or not before:
        return None
    try:
        port = job.port()
    except (OSError, IndexError):  # rank 0 has not begun, or has ended
        port = None
    is_launcher = draw.random() < 0.25 or at_border
    if is_launcher:
        number = signal.SIGTERM if at_border else draw.choice([signal.SIGKILL, signal.SIGTERM])
        job.process.send_signal(number)
    else:
        number = draw.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
        try:
            os.kill(draw.choice(sorted(before)), number)
        except ProcessLookupError:
            return None
    return begun, before, port, is_launcher, number


def test_whatever_dies_the_job_ends_or_restarts_and_nothing_saved_is_lost(root, tmp_path):
    draw = random.Random(20261122)
    run_dir, kills, job, saved = tmp_path / "run", 0, None, 0
    try:
        while kills < KILLS and saved < STEPS:
            if job is None:
                job, strikes = Launched(root, run_dir, extra=[f"runtime.max_restarts={RESTARTS}"], **RUN), 0
                wait_until(lambda job=job: job.process.poll() is not None or job.processes(), job, "nothing started")
            struck = strike(job, draw)
            if struck is None:
                assert job.process.poll() in (0, None), job.said()
                if job.process.poll() == 0:
                    break
                continue
            begun, before, port, is_launcher, number = struck
            kills, strikes = kills + 1, strikes + 1
            killed_at_s = time.monotonic()
            if is_launcher or strikes > RESTARTS:
                code = job.end(timeout_s=90)
                expected = -number if number is signal.SIGKILL and is_launcher else 130 if is_launcher else 1
                assert code == expected or (code == 0 and newest(run_dir) == STEPS)  # it may just have finished
            wait_until(lambda before=before, job=job: not before.keys() & job.processes().keys(), job, "orphans")
            assert time.monotonic() - killed_at_s < WITHIN_S
            assert newest(run_dir) >= saved, "a checkpoint was lost"
            saved = newest(run_dir)
            if job.process.poll() is not None:
                assert job.is_gone(within_s=1), job.processes()
                assert port is None or is_free(port)
                job = None
            else:
                wait_until(lambda job=job, begun=begun: starts(job) > begun, job, "no restart")
        if job is not None:
            job.clear()
        assert kills >= KILLS // 2, "the run ended before it was hurt"
        print(f"{kills} kills, {saved} of {STEPS} steps saved by then")
        job = Launched(root, run_dir, **RUN)
        assert job.end() == 0, job.said()
        whole = Launched(root, tmp_path / "whole", **RUN)
        assert whole.end(timeout_s=200 + 5 * STEPS) == 0, whole.said()
        whole.clear()
    finally:
        if job is not None:
            job.clear()
    assert curves(run_dir) == curves(tmp_path / "whole")
    assert list(curves(run_dir)["loss"]) == list(range(1, STEPS + 1))
    ours, theirs = tensors(run_dir), tensors(tmp_path / "whole")
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)
