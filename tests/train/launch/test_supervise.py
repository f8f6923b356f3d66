"""How the launcher ends jobs, with ranks that are a few lines of Python."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).with_name("stand_in_launcher.py")
WORK = "beat(1); time.sleep(60)"


class Job:
    """A running launcher."""

    def __init__(self, run_dir, programs, **orders):
        self.run_dir = run_dir
        orders = {"run_dir": str(run_dir), "programs": programs, **orders}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(
            [sys.executable, str(LAUNCHER), json.dumps(orders)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def end(self, timeout_s=60):
        """Exit code and what was said to people."""
        self.output, said = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, said

    def log(self, rank):
        path = self.run_dir / "logs" / f"rank_{rank}.log"
        return path.read_text() if path.exists() else ""

    def wait_for(self, text, rank=0):
        until_s = time.monotonic() + 30
        while text not in self.log(rank):
            assert time.monotonic() < until_s, self.log(rank)
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)

    def processes(self):
        """Everything that still runs for this job."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and str(self.run_dir).encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts jobs whose processes can be recognised by their environment, and leaves none behind."""
    jobs = []

    def start(*programs, **orders):
        monkeypatch.setenv("TEST_JOB", str(tmp_path))
        jobs.append(Job(tmp_path, list(programs), **orders))
        return jobs[-1]

    yield start
    for job in jobs:
        job.process.kill()
        job.process.wait()
    for pid in jobs[0].processes():
        os.kill(pid, signal.SIGKILL)


def gone(job):
    until_s = time.monotonic() + 5
    while (left := job.processes()) and time.monotonic() < until_s:
        time.sleep(0.05)
    return not left


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_ranks_that_finish_end_the_job_with_0_and_rank_0_is_shown(start):
    job = start("print('step 1 of 1'); finish()", "finish()")
    code, said = job.end()
    assert code == 0, said
    assert "step 1 of 1" in job.output
    assert "rank 1 begins" not in job.output
    assert "rank 1 begins start 1" in job.log(1)


def test_a_crash_in_the_clean_up_of_a_finished_rank_is_no_failure(start):
    program = "(folder / f'rank_{rank}.end').write_text('0'); os.kill(os.getpid(), signal.SIGSEGV)"
    code, said = start("finish()", program).end()
    assert code == 0, said


@pytest.mark.slow
def test_finished_ranks_that_do_not_leave_are_ended(start):
    """A rank that is killed in its clean-up leaves the others waiting for it there."""
    stay = "(folder / f'rank_{rank}.end').write_text('0'); time.sleep(120)"
    killed = "(folder / f'rank_{rank}.end').write_text('0'); os.kill(os.getpid(), signal.SIGKILL)"
    job, began_s = start(stay, killed), time.monotonic()
    code, said = job.end()
    assert code == 0, said
    assert time.monotonic() - began_s < 30
    assert gone(job)


@pytest.mark.parametrize(
    ("program", "code", "sentence"),
    [
        ("print('no such picture'); finish(1)", 1, "rank 1 ended with exit code 1"),
        ("raise ValueError('no such picture')", 1, "rank 1 ended with exit code 1"),
        ("print('no such picture', flush=True); os._exit(0)", 1, "rank 1 ended with exit code 1"),
        ("print('no such picture'); finish(2)", 2, "rank 1 ended with exit code 2"),
        ("print('no such picture', flush=True); os.abort()", 1, "rank 1 was killed by signal 6 (SIGABRT)"),
        (
            "print('no such picture', flush=True); os.kill(os.getpid(), signal.SIGKILL)",
            1,
            "rank 1 was killed by signal 9 (SIGKILL, by hand or for lack of memory (see dmesg))",
        ),
    ],
)
def test_a_rank_that_falls_ends_the_others_and_is_quoted(start, program, code, sentence):
    job = start(WORK, "time.sleep(0.3); " + program)
    began_s = time.monotonic()
    ended_with, said = job.end()
    assert ended_with == code, said
    assert sentence in said
    assert "no such picture" in said.split("last lines of")[1]
    assert time.monotonic() - began_s < 20
    assert gone(job)


@pytest.mark.slow
def test_what_a_rank_leaves_behind_may_end_by_itself(start):
    """Such as the process that brings the last values to MLflow."""
    child = "import time; time.sleep(1); open('{}', 'w').write('delivered')"
    leave = "subprocess.Popen([sys.executable, '-c', {!r}], start_new_session=True); finish(1)"
    job = start("print()", WORK)
    job.end()
    delivered = job.run_dir / "delivered"
    code, said = start(leave.format(child.format(delivered)), WORK).end()
    assert code == 1, said
    assert delivered.read_text() == "delivered"
    assert gone(job)


ON_SIGTERM = "signal.signal(signal.SIGTERM, lambda *_: {}); print('works', flush=True); " + WORK
GENTLE = ON_SIGTERM.format("(print('saved', flush=True), finish(130))")
DEAF = ON_SIGTERM.format("print('deaf', flush=True)")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_ranks_save(start, number):
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the launcher inherits it; nohup has it ignored
    job = start(GENTLE, GENTLE)
    signal.signal(signal.SIGHUP, before)
    for rank in (0, 1):
        job.wait_for("works", rank)
    job.process.send_signal(number)
    code, said = job.end()
    assert code == 130, said
    assert [job.log(rank).count("saved") for rank in (0, 1)] == [1, 1]
    assert gone(job)


def test_ranks_that_do_not_leave_in_time_are_killed(start):
    job = start(GENTLE, DEAF, grace_s=1)
    for rank in (0, 1):
        job.wait_for("works", rank)
    job.process.send_signal(signal.SIGTERM)
    code, said = job.end()
    assert code == 130, said
    assert "deaf" in job.log(1)
    assert gone(job)


def test_a_rank_that_dies_of_the_signal_is_not_waited_for(start):
    job = start(DEAF, "print('works', flush=True); " + WORK, grace_s=60)
    for rank in (0, 1):
        job.wait_for("works", rank)
    began_s = time.monotonic()
    job.process.send_signal(signal.SIGTERM)
    code, said = job.end()
    assert code == 130, said
    assert time.monotonic() - began_s < 20
    assert gone(job)


def test_a_rank_that_cannot_save_when_asked_to_stop_fails_the_job(start):
    failing = ON_SIGTERM.format("(print('the disk is full', flush=True), finish(1))")
    job = start(failing, GENTLE, restarts=3)
    for rank in (0, 1):
        job.wait_for("works", rank)
    job.process.send_signal(signal.SIGTERM)
    code, said = job.end()
    assert code == 1, said
    assert "rank 0" in said.partition("SIGTERM")[2]
    assert "the disk is full" in said


def test_a_second_signal_kills_at_once(start):
    job = start(DEAF, grace_s=60)
    job.wait_for("works")
    job.process.send_signal(signal.SIGTERM)
    job.wait_for("deaf")
    job.process.send_signal(signal.SIGTERM)
    code, said = job.end(timeout_s=20)
    assert code == 130, said


def test_a_rank_that_was_asked_to_stop_by_somebody_else_stops_the_job(start):
    job = start("time.sleep(0.3); finish(130)", GENTLE, restarts=3)
    code, said = job.end()
    assert code == 130, said
    assert "saved" in job.log(1)


@pytest.mark.slow
def test_a_failure_is_followed_by_restarts(start):
    job = start("finish() if attempt == 3 else time.sleep(60)", "finish(0 if attempt == 3 else 1)", restarts=2)
    code, said = job.end()
    assert code == 0, said
    assert "start 2 of at most 3 in 1 s" in said
    assert "start 3 of at most 3 in 2 s" in said
    assert "rank 0 begins start 3" in job.log(0)


@pytest.mark.slow
def test_restarts_end(start):
    job = start("finish(1)", restarts=1)
    assert job.end()[0] == 1
    assert job.log(0).count("begins") == 2


@pytest.mark.parametrize("code", [2, 130])
def test_no_restart_after_a_refusal_or_a_signal(start, code):
    job = start(f"finish({code})", restarts=3)
    assert job.end()[0] == code
    assert job.log(0).count("begins") == 1


def test_a_hung_rank_is_reported_with_its_stack(start):
    """Rank 1 is stopped at step 3 as a debugger would stop it; rank 0 waits for it at step 4."""
    stuck = "def forgotten():\n    os.kill(os.getpid(), signal.SIGSTOP)\nbeat(3)\nforgotten()\n"
    goes_on = "for step in range(200):\n    print('goes on', flush=True)\ntime.sleep(60)"
    job = start("beat(4); time.sleep(60)", stuck + goes_on, hang_s=1.5)
    code, said = job.end()
    assert code == 1, said
    assert "a rank makes no steps" in said
    assert "rank 1: step 3, silent for" in said
    assert "stopped (SIGSTOP)" in said
    stack = said.split("its stack ---")[1].split("\n---")[0]
    assert "in forgotten" in stack
    assert "goes on" not in stack
    assert "rank 0: step 4" not in said
    assert gone(job)


@pytest.mark.slow
def test_a_rank_that_makes_steps_is_not_hung(start):
    """Before the first one it has thrice the time."""
    steps = "\ntime.sleep(2)\nfor step in range(1, 7):\n    beat(step); time.sleep(0.5)\nfinish()"
    code, said = start(steps, hang_s=1.5).end()
    assert code == 0, said


@pytest.fixture
def two_hosts(start):
    """Two launchers that meet over TCP, on this machine, one rank each."""

    def start_two(first, second, **orders):
        port = free_port()
        return [start(first, second, num_hosts=2, host=host, port=port, **orders) for host in (1, 0)][::-1]

    return start_two


@pytest.mark.slow
def test_two_hosts_work_until_both_have_finished(two_hosts):
    lead, other = two_hosts("finish()", "time.sleep(1); finish()")
    assert [lead.end()[0], other.end()[0]] == [0, 0]


@pytest.mark.parametrize("fallen", [0, 1])
@pytest.mark.slow
def test_a_failure_ends_and_restarts_both_hosts(two_hosts, fallen):
    programs = ["finish() if attempt == 2 else time.sleep(60)"] * 2
    programs[fallen] = "time.sleep(0.3); finish(0 if attempt == 2 else 1)"
    hosts = two_hosts(*programs, restarts=1)
    for host in hosts:
        code, said = host.end()
        assert code == 0, said
        assert f"127.0.0.{fallen + 1}: rank {fallen} ended with exit code 1" in said
        assert "start 2 of at most 2" in said


@pytest.mark.slow
def test_a_failure_without_restarts_ends_both_hosts(two_hosts):
    lead, other = two_hosts(WORK, "time.sleep(0.3); finish(1)")
    assert [lead.end()[0], other.end()[0]] == [1, 1]
    assert gone(lead)


@pytest.mark.slow
def test_a_signal_on_one_host_lets_all_ranks_save(two_hosts):
    lead, other = two_hosts(GENTLE, GENTLE)
    for rank in (0, 1):
        lead.wait_for("works", rank)
    other.process.send_signal(signal.SIGTERM)
    assert [lead.end()[0], other.end()[0]] == [130, 130]
    assert [lead.log(rank).count("saved") for rank in (0, 1)] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_launcher_that_is_gone_ends_the_job_without_restart(two_hosts, lost):
    hosts = two_hosts(WORK, WORK, restarts=3)
    for rank in (0, 1):
        hosts[0].wait_for("begins", rank)
    hosts[lost].process.kill()
    hosts[lost].process.wait()
    code, said = hosts[1 - lost].end()
    assert code == 1, said
    assert f"the launcher on 127.0.0.{lost + 1} is gone" in said


def test_a_host_that_was_told_something_else_is_refused(start):
    port = free_port()
    other = start("finish()", "finish()  # another", num_hosts=2, host=1, port=port)
    lead = start("finish()", "finish()", num_hosts=2, host=0, port=port)
    code, said = lead.end()
    assert code == 2, said
    assert "127.0.0.2 was told to start something else" in said
    assert other.end()[0] == 2
