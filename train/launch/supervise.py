"""One job from start to exit code: attempts, and who ends them."""

import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from fairmot.errors import ConfigError, FairMOTError
from fairmot.weights.checkpoint import whole_checkpoints
from train.launch import processes
from train.launch.hosts import Event, Kind, Peers, Verdict
from train.launch.local_ranks import Crew, LogTail
from train.launch.plan import HostPlan

INTERRUPTED = 130
_TICK_S = 0.1
_CLEAN_UP_TIME_S = 15.0
_LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True)
class Limits:
    """What the configuration says of faults.

    Attributes:
        max_restarts: attempts after the first one.
        hang_timeout_s: how long a rank may make no step.
        stop_grace_s: how long ranks may take to save and leave after a signal.
    """

    max_restarts: int
    hang_timeout_s: float
    stop_grace_s: float


class Signals:
    """Counts the requests to stop: Ctrl-C, SIGTERM, and SIGHUP unless nohup has it ignored."""

    def __init__(self) -> None:
        self.names: list[str] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._notice)

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self.names.append(signal.Signals(number).name)


def say(text: str) -> None:
    """Print for people; a terminal that is gone must not end the job."""
    try:
        print(text.rstrip(), file=sys.stderr, flush=True)
    except OSError:
        return


def supervise(
    prepare: Callable[[Path], HostPlan], run_dir: Path, limits: Limits, peers: Peers, signals: Signals
) -> int:
    """Run the job on this host, together with the other hosts.

    Args:
        prepare: what to start here, given a folder for its temporary files; called for every attempt.
        run_dir: the run directory of all ranks.
        limits: patience and restarts.
        peers: the other hosts.
        signals: requests to stop.

    Returns:
        The exit code: 0 done, 1 failed, 2 a rank refused its configuration, 130 ended by a signal.
    """
    processes.adopt_orphans()
    attempt = 1
    while True:
        peers.begin()
        newest = _newest_checkpoint(run_dir)
        with tempfile.TemporaryDirectory(prefix="fairmot-launch-") as folder:
            host = prepare(Path(folder))
            crew = Crew(host, Path(folder), run_dir / "logs", attempt)
            verdict = _Attempt(crew, host.name, limits, peers, signals, attempt).run()
        if verdict.exit_code is not None:
            return verdict.exit_code
        progress = _newest_checkpoint(run_dir)
        say(
            f"launch: start {attempt + 1} of at most {limits.max_restarts + 1} in {verdict.pause_s:.0f} s, from "
            f"{progress or 'the beginning'}{'' if progress != newest else ' again'}"
        )
        _pause(verdict.pause_s, signals)
        attempt += 1


class _Attempt:
    """One start of all ranks, watched until nothing is left of it on any host."""

    def __init__(self, crew: Crew, name: str, limits: Limits, peers: Peers, signals: Signals, attempt: int) -> None:
        self._crew, self._name, self._limits = crew, name, limits
        self._peers, self._signals, self._attempt = peers, signals, attempt
        self._tail = LogTail(crew.ranks[0].log) if crew.ranks[0].rank == 0 else None
        self._stop_until_s: float | None = None

    def run(self) -> Verdict:
        """Start, watch, end; returns what all hosts do next."""
        peers, crew = self._peers, self._crew
        if not self._signals.names:
            crew.start()
        try:
            while peers.verdict is None:
                crew.look()
                self._show_progress()
                peers.poll()
                if peers.event is None:
                    self._notice()
                if peers.event is not None:
                    self._react(peers.event)
                elif crew.finished:
                    peers.report()
                if peers.leads and peers.all_reported:
                    peers.announce(self._decide(peers.event))
                time.sleep(_TICK_S)
        finally:
            # Nothing but the clean-up of finished ranks deserves patience here.
            crew.end(_CLEAN_UP_TIME_S if crew.finished and peers.event is None else 0.0)
            self._show_progress()
        return peers.verdict

    def _show_progress(self) -> None:
        if self._tail is not None:
            self._tail.show()

    def _notice(self) -> None:
        """Tell all hosts of the first thing that goes wrong here."""
        crew = self._crew
        fallen = crew.fallen()
        trouble, explanation = crew.trouble()
        if self._signals.names:
            self._tell(Kind.stopped, f"{self._signals.names[0]}: ending the ranks; once more: at once")
        elif fallen:
            codes = [rank.exit_code for rank in fallen]
            kind = Kind.stopped if set(codes) == {INTERRUPTED} else Kind.failed
            kind = Kind.refused if ConfigError.exit_code in codes else kind
            self._tell(kind, "; ".join(rank.how_it_ended() for rank in fallen))
            self._show_progress()
            say("".join(rank.last_lines() for rank in fallen))
        elif trouble:
            self._tell(Kind.failed, trouble)
            say(explanation)
        elif crew.hung(self._limits.hang_timeout_s):
            self._tell(Kind.hung, "a rank makes no steps (runtime.hang_timeout_s)")

    def _tell(self, kind: Kind, text: str) -> None:
        self._peers.tell(Event(kind, text, self._name))

    def _react(self, event: Event) -> None:
        """End this host's ranks in the way that the event asks for."""
        now = time.monotonic()
        if self._stop_until_s is None:
            say(f"launch: {event.host}: {event.text}")
            self._stop_until_s = now + self._limits.stop_grace_s if event.kind is Kind.stopped else now
        # Ranks agree on the step after which they stop: without one of them the others would wait in vain.
        is_lost = any(rank.exit_code != INTERRUPTED for rank in self._crew.fallen())
        if not (self._crew.ended or is_lost) and now < self._stop_until_s and len(self._signals.names) < 2:
            self._crew.ask_to_stop()
            return
        if event.kind is Kind.hung and not self._crew.ended:
            say(self._crew.explain_hang())
        self._crew.end()
        self._peers.report()

    def _decide(self, event: Event | None) -> Verdict:
        if event is None:
            return Verdict(0)
        if event.kind is Kind.stopped or self._signals.names:
            return Verdict(INTERRUPTED)
        if event.kind in (Kind.failed, Kind.hung) and self._attempt <= self._limits.max_restarts:
            return Verdict(None, min(2.0 ** (self._attempt - 1), _LONGEST_PAUSE_S))
        return Verdict(ConfigError.exit_code if event.kind is Kind.refused else FairMOTError.exit_code)


def _newest_checkpoint(run_dir: Path) -> str:
    found = whole_checkpoints(run_dir / "checkpoints")
    return found[-1].name if found else ""


def _pause(seconds: float, signals: Signals) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and not signals.names:
        time.sleep(_TICK_S)
