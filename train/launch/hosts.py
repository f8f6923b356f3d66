"""The launchers of all hosts, agreeing on when to start, why to end and whether to start again.

The first host's launcher leads: it listens beside the scheduler's port, the others connect and stay connected. A
message is one line of JSON (see train.launch.connection).

    lead -> others   challenge, which only a launcher of the same job can answer (see train.launch.job_key)
    others -> lead   hello   who I am and what I was told to start; the lead refuses hosts that were told otherwise
    lead -> others   start   everybody is here; with the answer to the challenge of the other
    any -> all       event   the first thing that goes wrong on any host (a rank died, a signal came); it ends this
                             attempt everywhere, and decides how
    others -> lead   report  my ranks have finished, or none of them lives any more
    lead -> others   verdict after all reports: leave with this exit code, or start the next attempt in so many seconds

Reports come after a host's events on the same connection, so nothing of one attempt can reach the next. A connection
that breaks is a launcher that died: an event as well. Nothing but the key, which stays, is agreed through files: on
shared storage they would be seen late, and a file left by an earlier job would be believed.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from fairmot.errors import ConfigError, FairMOTError
from train.launch.connection import Connection
from train.launch.job_key import make_key, proof, proves, read_key
from train.launch.reception import Guest, Reception

_PATIENCE_S = 600
_SILENCE_S = 15


class Kind(str, Enum):
    """How an attempt ends before its work is done."""

    failed = "failed"
    hung = "hung"
    refused = "refused"
    stopped = "stopped"
    lost = "lost"


@dataclass(frozen=True)
class Event:
    """The reason why an attempt ends.

    Attributes:
        kind: what happened: a rank died; made no step; refused the configuration; a signal came; a host is gone.
        text: one sentence.
        host: where.
    """

    kind: Kind
    text: str
    host: str


@dataclass(frozen=True)
class Verdict:
    """What follows an attempt on all hosts: the end with `exit_code`, or, if that is None, a start in `pause_s`."""

    exit_code: int | None
    pause_s: float = 0.0


class Hosts:
    """The other hosts' launchers; none on a single host.

    Args:
        names: of all hosts; the first one leads.
        node_rank: which of them this is.
        address: where the lead listens.
        job: what this launcher was told to start.
        run_dir: the job's; all hosts share it.

    Attributes:
        event: why this attempt ends; None as long as all is well.
        verdict: what follows; None until all hosts have reported.
    """

    def __init__(
        self, names: list[str], node_rank: int, address: tuple[str, int], job: dict[str, Any], run_dir: Path
    ) -> None:
        self.event: Event | None = None
        self.verdict: Verdict | None = None
        self._names, self._node_rank, self._address, self._job = names, node_rank, address, job
        self._run_dir = run_dir
        self._connections: dict[int, Connection] = {}
        self._reported: set[int] = set()

    @property
    def leads(self) -> bool:
        """Whether this launcher decides."""
        return self._node_rank == 0

    @property
    def all_reported(self) -> bool:
        """On the lead: whether no host has anything left of this attempt."""
        return len(self._reported) == len(self._names)

    def gather(self, interrupted: Callable[[], bool], say: Callable[[str], None]) -> None:
        """Wait until all hosts' launchers are here.

        Args:
            interrupted: whether to give up.
            say: prints who is missing, and who was dropped.

        Raises:
            ConfigError: a host was told to start something else.
            FairMOTError: not all of them came in time, or the key is out of reach.
            KeyboardInterrupt: interrupted.
        """
        if len(self._names) == 1:
            return
        waiting = self._accept_all(say) if self.leads else self._join()
        began_at_s = said_at_s = time.monotonic()
        for missing in waiting:
            now = time.monotonic()
            if interrupted():
                raise KeyboardInterrupt
            if now - began_at_s > _PATIENCE_S:
                raise FairMOTError(f"waited {_PATIENCE_S} s for {missing}: is the launcher running there?")
            if now - said_at_s > _SILENCE_S:
                say(f"waiting for {missing}")
                said_at_s = now

    def begin(self) -> None:
        """Forget the attempt before."""
        self.event, self.verdict = None, None
        self._reported = set()

    def tell(self, event: Event) -> None:
        """Make an event of this host known; the first one counts."""
        if self.event is None:
            self.event = event
            self._send({"event": asdict(event)})

    def report(self) -> None:
        """Say that this host has nothing left to do in this attempt."""
        if self._node_rank not in self._reported:
            self._reported.add(self._node_rank)
            self._send({"report": self._node_rank})

    def announce(self, verdict: Verdict) -> None:
        """On the lead: tell everybody what follows."""
        self.verdict = verdict
        self._send({"verdict": asdict(verdict)})

    def poll(self) -> None:
        """Take in what the others have said."""
        for node_rank, connection in list(self._connections.items()):
            for message in connection.receive():
                self._take(node_rank, message)
            if connection.closed:
                del self._connections[node_rank]
                self._lose(node_rank)

    def close(self) -> None:
        """Leave the others."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _take(self, node_rank: int, message: dict[str, Any]) -> None:
        if "event" in message:
            fields = message["event"]
            event = Event(Kind(fields["kind"]), fields["text"], fields["host"])
            if self.leads:
                self.tell(event)
            else:
                self.event = self.event or event
        if "report" in message:
            self._reported.add(node_rank)
        if "verdict" in message:
            self.verdict = Verdict(**message["verdict"])

    def _lose(self, node_rank: int) -> None:
        self._reported.add(node_rank)
        if self.verdict is None:
            name = self._names[node_rank]
            self.tell(Event(Kind.lost, f"the launcher on {name} is gone", name))
            if not self.leads:
                self.verdict = Verdict(FairMOTError.exit_code)

    def _send(self, message: dict[str, Any]) -> None:
        for connection in self._connections.values():
            connection.send(message)

    def _accept_all(self, say: Callable[[str], None]) -> Iterator[str]:
        """The lead's part of `gather`: yields who is missing until nobody is."""
        key = make_key(self._run_dir)
        challenges: dict[int, str] = {}
        with Reception(self._address, key, say) as reception:
            while missing := [name for i, name in enumerate(self._names) if i and i not in self._connections]:
                yield ", ".join(missing)
                for guest in reception.guests(patience_s=0.2):
                    self._welcome(guest, key)
                    challenges[guest.node_rank] = guest.challenge
        for node_rank, connection in self._connections.items():
            connection.send({"start": proof(key, "start", challenges[node_rank])})

    def _welcome(self, guest: Guest, key: bytes) -> None:
        if guest.job == self._job:
            if guest.node_rank in self._connections:  # it was started again
                self._connections[guest.node_rank].close()
            self._connections[guest.node_rank] = guest.connection
            return
        name = dict(enumerate(self._names)).get(guest.node_rank, guest.connection.peer)
        difference = "; ".join(
            f"{what}: {guest.job.get(what)} there, {value} here"
            for what, value in self._job.items()
            if guest.job.get(what) != value
        )
        refusal = f"{self._names[0]} starts something else than {name}"
        guest.connection.send({"refused": refusal, "proof": proof(key, "refused", guest.challenge, refusal)})
        raise ConfigError(f"{name} was told to start something else: {difference}")

    def _join(self) -> Iterator[str]:
        """The others' part of `gather`: yields what is missing until the lead says start."""
        lead = self._names[0]
        while (key := read_key(self._run_dir)) is None:
            yield f"the key that {lead} leaves in {self._run_dir}, which all hosts must share"
            time.sleep(0.5)
        while 0 not in self._connections:
            with contextlib.suppress(OSError):
                self._connections[0] = Connection.to(self._address)
            if 0 not in self._connections:
                time.sleep(0.5)
            yield f"{lead} (port {self._address[1]})"
        connection, challenge, said = self._connections[0], secrets.token_hex(16), False
        while True:
            for message in connection.receive():
                if not said and isinstance(message.get("challenge"), str):
                    signed = proof(key, "hello", message["challenge"], self._node_rank, self._job, challenge)
                    said = True
                    connection.send(
                        {"hello": self._node_rank, "job": self._job, "challenge": challenge, "proof": signed}
                    )
                if proves(message.get("proof"), key, "refused", challenge, message.get("refused")):
                    raise ConfigError(message["refused"])
                if proves(message.get("start"), key, "start", challenge):
                    return
            if connection.closed:
                raise FairMOTError(f"the launcher on {lead} is gone, or is another job's: what it printed says which")
            yield f"the other hosts ({lead} knows which)" if said else f"a launcher on {lead} (port {self._address[1]})"
            time.sleep(0.1)
