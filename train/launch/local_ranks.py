"""The ranks of this host: who lives, who has ended and how, who still makes steps."""

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from train.launch import processes
from train.launch.plan import FIRST_STEP_FACTOR, HostPlan, whole_environment

_LAST_LINES = 20
_STACK_LINES = 60
_STACK_TIME_S = 2.0
_LINES_OF_STACKS = ("Thread 0x", "Current thread 0x", "  File ")
_STATES = {
    psutil.STATUS_RUNNING: "running",
    psutil.STATUS_STOPPED: "stopped (SIGSTOP)",
    psutil.STATUS_DISK_SLEEP: "waiting for a disk or a network file system",
}


@dataclass
class Rank:
    """One process that trains.

    Attributes:
        rank: its number among all ranks.
        log: where it writes.
        pid: None until it is known.
        exit_code: None until its work is over; a signal's number is negative.
        step: the step it reported last.
        moved_at_s: when it last gave a sign of life.
    """

    rank: int
    log: Path
    pid: int | None = None
    exit_code: int | None = None
    step: int = 0
    moved_at_s: float = 0.0
    beat_ns: int = 0

    def look(self, folder: Path, exited: dict[int, int]) -> None:
        """Take in what the rank has left in the launcher's folder and what the system says of it."""
        name = f"rank_{self.rank}"
        self.pid = self.pid or read_number(folder / f"{name}.pid")
        if self.exit_code is None:
            # Its own word comes first: after it a framework's clean-up may still crash.
            self.exit_code = read_number(folder / f"{name}.end")
        if self.exit_code is None and self.pid in exited:
            self.exit_code = exited[self.pid] or 1  # it cannot have finished without a word
        beat = folder / f"{name}.beat"
        try:
            beat_ns = beat.stat().st_mtime_ns
        except OSError:
            return
        if beat_ns != self.beat_ns:
            self.beat_ns, self.moved_at_s = beat_ns, time.monotonic()
            self.step = read_number(beat) or self.step

    def how_it_ended(self) -> str:
        """One sentence."""
        code = self.exit_code or 0
        if code >= 0:
            return f"rank {self.rank} ended with exit code {code}"
        hint = ", by hand or for lack of memory (see dmesg)" if -code == signal.SIGKILL else ""
        return f"rank {self.rank} was killed by signal {-code} ({signal.Signals(-code).name}{hint})"

    def last_lines(self) -> str:
        """The end of its log, for people."""
        return _quote(f"last lines of {self.log}", read_from(self.log, -64_000), _LAST_LINES)


class LocalRanks:
    """All processes that this host starts in one attempt.

    Args:
        host: what to start.
        folder: an empty one for the temporary files of this attempt.
        logs: where the ranks' logs are.
        attempt: its number, from 1.
    """

    def __init__(self, host: HostPlan, folder: Path, logs: Path, attempt: int) -> None:
        self.ranks = [Rank(plan.rank, logs / f"rank_{plan.rank}.log") for plan in host.ranks]
        self._host, self._folder, self._logs, self._attempt = host, folder, logs, attempt
        self._exited: dict[int, int] = {}
        self._asked: set[int] = set()
        self._msrun: int | None = None
        self._trouble = ""

    def start(self) -> None:
        """Start msrun, or every rank."""
        launch = {
            "launcher_pid": os.getpid(),
            "node_rank": self._host.node_rank,
            "attempt": self._attempt,
            "logs": str(self._logs.absolute()),
            "ranks": [asdict(plan) for plan in self._host.ranks],
        }
        (self._folder / "launch.json").write_text(json.dumps(launch))
        inherited = processes.given_environment()
        if self._host.starts_each:
            for local_rank, rank in enumerate(self.ranks):
                environment = whole_environment(self._host, inherited, local_rank)
                rank.pid = processes.start(self._host.command, environment, rank.log)
        else:
            environment = whole_environment(self._host, inherited, None)
            self._msrun = processes.start(self._host.command, environment, self._folder / "msrun.log")
        for rank in self.ranks:
            rank.moved_at_s = time.monotonic()

    def look(self) -> None:
        """See what has changed."""
        exited = processes.reap()
        self._exited |= exited
        for rank in self.ranks:
            rank.look(self._folder, self._exited)
        self._trouble = self._trouble or self._find_trouble(exited)

    def _find_trouble(self, exited: dict[int, int]) -> str:
        """What went wrong with a process that is no rank, or not yet."""
        if exited.get(self._msrun or -1):
            return f"msrun ended with exit code {exited[self._msrun]}"  # type: ignore[index]
        scheduler = read_number(self._folder / "scheduler.pid")
        if scheduler in self._exited and not self.finished:
            return (
                f"the scheduler ended (code {self._exited[scheduler]}) before the ranks; see {self._logs}/scheduler.log"
            )
        unknown = exited.keys() - {rank.pid for rank in self.ranks} - {self._msrun, scheduler}
        if any(exited[pid] for pid in unknown) and any(rank.pid is None for rank in self.ranks):
            return "a process ended before it could say which rank it is"
        return ""

    @property
    def finished(self) -> bool:
        """Whether all ranks have done their work."""
        return all(rank.exit_code == 0 for rank in self.ranks)

    @property
    def ended(self) -> bool:
        """Whether no rank works any more, for whatever reason."""
        return all(rank.exit_code is not None for rank in self.ranks)

    def fallen(self) -> list[Rank]:
        """The ranks that ended without having finished."""
        return [rank for rank in self.ranks if rank.exit_code]

    def trouble(self) -> tuple[str, str]:
        """What went wrong beside the ranks, and the lines that explain it; empty as long as all is well."""
        texts = [read_from(path, -64_000) for path in (self._folder / "msrun.log", *self._folder.glob("msrun/*.log"))]
        return self._trouble, _quote("msrun said", "".join(texts), _LAST_LINES) if self._trouble else ""

    def hung(self, timeout_s: float) -> bool:
        """Whether a rank has given no sign of life for so long; before its first step it compiles and has more time."""
        now = time.monotonic()
        return any(
            rank.exit_code is None and now - rank.moved_at_s > timeout_s * (1 if rank.step else FIRST_STEP_FACTOR)
            for rank in self.ranks
        )

    def explain_hang(self) -> str:
        """Let all ranks write their stacks into their logs; returns those of the ranks that are furthest behind."""
        now = time.monotonic()
        living = [rank for rank in self.ranks if rank.exit_code is None and rank.pid]
        states = {rank.rank: processes.state(rank.pid or 0) for rank in living}
        sizes = {rank.rank: rank.log.stat().st_size for rank in living if rank.log.exists()}
        pids = [rank.pid for rank in living if rank.pid]
        processes.send(pids, signal.SIGUSR1)
        processes.send(pids, signal.SIGCONT)  # a stopped process writes only once it runs again
        time.sleep(_STACK_TIME_S)
        behind = min((rank.step for rank in living), default=0)
        parts = []
        for rank in living:
            if rank.step == behind:
                state = _STATES.get(states[rank.rank], "asleep")
                title = (
                    f"rank {rank.rank}: step {rank.step}, silent for {now - rank.moved_at_s:.0f} s, {state}; its stack"
                )
                added = read_from(rank.log, sizes.get(rank.rank, 0))
                parts.append(_quote(title, _stacks_in(added) or added, _STACK_LINES))
        return "".join(parts)

    def ask_to_stop(self) -> None:
        """Send SIGTERM to every rank, once: a second one would keep it from saving."""
        pids = {rank.pid for rank in self.ranks if rank.pid and rank.exit_code is None} - self._asked
        self._asked |= pids
        processes.send(pids, signal.SIGTERM)

    def end(self, leave_time_s: float = 0.0) -> None:
        """Return when none of this host's processes is left; they may end by themselves for `leave_time_s`."""
        processes.end_all(self._known_pids, leave_time_s)

    def _known_pids(self) -> set[int]:
        for rank in self.ranks:
            rank.pid = rank.pid or read_number(self._folder / f"rank_{rank.rank}.pid")
        pids = {rank.pid for rank in self.ranks} | {self._msrun, read_number(self._folder / "scheduler.pid")}
        return {pid for pid in pids if pid}


class LogTail:
    """Shows what is added to a file.

    Args:
        path: the file; it may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def show(self) -> None:
        """Copy what is new to stdout. Nobody may be there any more to read it."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
            self._offset += len(data)
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        except OSError:
            return


def read_number(path: Path) -> int | None:
    """The integer in a file; None while there is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def read_from(path: Path, offset: int) -> str:
    """The text of a file from a byte offset on; a negative one counts from the end."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size + offset, 0) if offset < 0 else offset)
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def _quote(title: str, text: str, count: int) -> str:
    lines = text.rstrip().splitlines()[-count:]
    return f"--- {title} ---\n" + "".join(f"    {line}\n" for line in lines)


def _stacks_in(text: str) -> str:
    """The lines that faulthandler wrote: once the stopped process runs again, ranks may go on and log steps."""
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith(_LINES_OF_STACKS))
