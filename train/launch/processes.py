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

_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.05
_LEFTOVER_GRACE_S = 10.0
_UNKILLABLE_S = 30.0


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
        (os.POSIX_SPAWN_OPEN, 1, str(output), append, 0o644),
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
    """The letter of /proc: R running, S asleep, D waiting for a disk, T stopped, Z ended; empty when it is gone."""
    return _parent_and_state(pid)[1]


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
    while living := _descendants():
        passed_s = time.monotonic() - began_at_s - leave_time_s
        if passed_s > 0:
            send(living if passed_s > _LEFTOVER_GRACE_S else living & at_once(), signal.SIGKILL)
        if passed_s > _LEFTOVER_GRACE_S + _UNKILLABLE_S:
            print(f"warning: processes {sorted(living)} cannot be killed", file=sys.stderr, flush=True)
            return
        time.sleep(_POLL_S)
        reap()


def _descendants() -> set[int]:
    """Process ids of everything below this process, ended ones that nobody has collected included."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208  (a thousand paths ten times a second)
        if entry.isdecimal():
            children.setdefault(_parent_and_state(int(entry))[0], []).append(int(entry))
    found: set[int] = set()
    waiting = children.get(os.getpid(), [])
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children.get(pid, [])
    return found


def _parent_and_state(pid: int) -> tuple[int, str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1, ""
    letter, parent = text.rpartition(")")[2].split()[:2]  # the name in brackets may hold anything
    return int(parent), letter
