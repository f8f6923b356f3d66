"""The processes below the launcher: starting, collecting and ending them. Linux only.

The launcher adopts the orphans among its descendants. What msrun has started becomes the launcher's own children
once msrun has ended, so their exit codes arrive here, and nothing below the launcher can get lost.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.05
_LEFTOVER_GRACE_S = 10.0
_UNKILLABLE_S = 30.0


def given_environment() -> dict[str, str]:
    """The environment as the user gave it, which the kernel keeps whatever has been imported since.

    Importing MindSpore adds to os.environ, and ranks must not take that for the user's.
    """
    return psutil.Process().environ()


def adopt_orphans() -> None:
    """From now on a descendant whose parent ends becomes a child of this process."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start(command: list[str], environment: dict[str, str], output: Path) -> int:
    """Start a program in a session of its own, which Ctrl-C at the terminal does not reach.

    Args:
        command: program with its path, and arguments.
        environment: the whole of it.
        output: file to which stdout and stderr are appended.

    Returns:
        The process id.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(output), append, 0o666),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)


def reap() -> dict[int, int]:
    """Exit codes of the children that have ended, by process id; a signal's number is negative."""
    codes = {}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            codes[pid] = os.waitstatus_to_exitcode(status)
    return codes


def state(pid: int) -> str:
    """One of psutil's STATUS_ words; empty when the process is gone."""
    try:
        return psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return ""


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that still live."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def end_all(at_once: Callable[[], set[int]], leave_time_s: float = 0.0) -> None:
    """Return when this process has no descendant any more.

    Args:
        at_once: whom to kill without waiting, asked again and again, since they may still be starting. Everything
            else (such as the process that delivers the last values to MLflow) has a few seconds to end by itself.
        leave_time_s: how long also those may end by themselves first.
    """
    began_at_s = time.monotonic()
    this = psutil.Process()
    # Ended ones that nobody has collected are among them.
    while living := {child.pid for child in this.children(recursive=True)}:
        passed_s = time.monotonic() - began_at_s - leave_time_s
        if passed_s > 0:
            send(living if passed_s > _LEFTOVER_GRACE_S else living & at_once(), signal.SIGKILL)
        if passed_s > _LEFTOVER_GRACE_S + _UNKILLABLE_S:
            print(f"warning: processes {sorted(living)} cannot be killed", file=sys.stderr, flush=True)
            return
        time.sleep(_POLL_S)
        reap()
