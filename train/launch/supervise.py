"""One job from start to exit code: attempts, and who ends them."""

import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from fairmot.errors import ConfigError, FairMOTError
from fairmot.weights.checkpoint import whole_checkpoints
from train.launch import processes
from train.launch.hosts import Event, Hosts, Kind, Verdict
from train.launch.local_ranks import LocalRanks, LogTail
from train.launch.plan import HostPlan
from train.output import say

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


def supervise(
    prepare: Callable[[Path], HostPlan], run_dir: Path, limits: Limits, hosts: Hosts, signals: Signals
) -> int:
    """Run the job on this host, together with the other hosts.

    Args:
        prepare: what to start here, given a folder for its temporary files; called for every attempt.
        run_dir: the run directory of all ranks.
        limits: patience and restarts.
        hosts: the launchers of all hosts.
        signals: requests to stop.

    Returns:
        The exit code: 0 done, 1 failed (also to save what a signal asked for), 2 a rank refused its configuration, 130
        ended by a signal.
    """
    processes.adopt_orphans()
    attempt = 1
    while True:
        hosts.begin()
        newest = _newest_checkpoint(run_dir)
        with tempfile.TemporaryDirectory(prefix="fairmot-launch-") as folder:
            host = prepare(Path(folder))
            local_ranks = LocalRanks(host, Path(folder), run_dir / "logs", attempt)
            verdict = _Attempt(local_ranks, host.name, limits, hosts, signals, attempt).run()
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

    def __init__(
        self, local_ranks: LocalRanks, name: str, limits: Limits, hosts: Hosts, signals: Signals, attempt: int
    ) -> None:
        self._local_ranks, self._name, self._limits = local_ranks, name, limits
        self._hosts, self._signals, self._attempt = hosts, signals, attempt
        self._tail = LogTail(local_ranks.ranks[0].log) if local_ranks.ranks[0].rank == 0 else None
        self._stop_until_s: float | None = None
        self._failed_to_stop = False

    def run(self) -> Verdict:
        """Start, watch, end; returns what all hosts do next."""
        hosts, local_ranks = self._hosts, self._local_ranks
        if not self._signals.names:
            local_ranks.start()
        try:
            while hosts.verdict is None:
                local_ranks.look()
                self._show_progress()
                hosts.poll()
                if hosts.event is None:
                    self._notice()
                if hosts.event is not None:
                    self._react(hosts.event)
                elif local_ranks.finished:
                    hosts.report()
                if hosts.leads and hosts.all_reported:
                    hosts.announce(self._decide(hosts.event))
                time.sleep(_TICK_S)
        finally:
            # Nothing but the clean-up of finished ranks deserves patience here.
            local_ranks.end(_CLEAN_UP_TIME_S if local_ranks.finished and hosts.event is None else 0.0)
            self._show_progress()
        return hosts.verdict

    def _show_progress(self) -> None:
        if self._tail is not None:
            self._tail.show()

    def _notice(self) -> None:
        """Tell all hosts of the first thing that goes wrong here."""
        local_ranks = self._local_ranks
        fallen = local_ranks.fallen()
        trouble, explanation = local_ranks.trouble()
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
        elif local_ranks.hung(self._limits.hang_timeout_s):
            self._tell(Kind.hung, "a rank makes no steps (runtime.hang_timeout_s)")

    def _tell(self, kind: Kind, text: str) -> None:
        self._hosts.tell(Event(kind, text, self._name))

    def _react(self, event: Event) -> None:
        """End this host's ranks in the way that the event asks for."""
        now = time.monotonic()
        if self._stop_until_s is None:
            say(f"launch: {event.host}: {event.text}")
            self._stop_until_s = now + self._limits.stop_grace_s if event.kind is Kind.stopped else now
        # Ranks agree on the step after which they stop: without one of them the others would wait in vain.
        is_lost = any(rank.exit_code != INTERRUPTED for rank in self._local_ranks.fallen())
        if not (self._local_ranks.ended or is_lost) and now < self._stop_until_s and len(self._signals.names) < 2:
            self._local_ranks.ask_to_stop()
            return
        if event.kind is Kind.hung and not self._local_ranks.ended:
            say(self._local_ranks.explain_hang())
        if event.kind is Kind.stopped:
            self._notice_failed_stop()
        self._local_ranks.end()
        self._hosts.report()

    def _notice_failed_stop(self) -> None:
        """Whether ranks failed when asked to stop, as the one does that cannot save; a killed one fails others."""
        fallen = self._local_ranks.fallen()
        codes = {rank.exit_code for rank in fallen}
        self._failed_to_stop = FairMOTError.exit_code in codes and codes <= {FairMOTError.exit_code, INTERRUPTED}
        if self._failed_to_stop:
            failed = [rank for rank in fallen if rank.exit_code == FairMOTError.exit_code]
            self._show_progress()
            say("launch: " + "; ".join(rank.how_it_ended() for rank in failed))
            say("".join(rank.last_lines() for rank in failed))

    def _decide(self, event: Event | None) -> Verdict:
        if event is None:
            return Verdict(0)
        if event.kind is Kind.stopped or self._signals.names:
            return Verdict(FairMOTError.exit_code if self._failed_to_stop else INTERRUPTED)
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
