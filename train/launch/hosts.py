"""The launchers of all hosts, agreeing on when to start, why to end and whether to start again.

The first host's launcher leads: it listens beside the scheduler's port, the others connect and stay connected. A
message is one line of JSON.

    others -> lead   hello   who I am and what I was told to start; the lead refuses hosts that were told otherwise
    lead -> others   start   everybody is here
    any -> all       event   the first thing that goes wrong on any host (a rank died, a signal came); it ends this
                             attempt everywhere, and decides how
    others -> lead   report  my ranks have finished, or none of them lives any more
    lead -> others   verdict after all reports: leave with this exit code, or start the next attempt in so many seconds

Reports come after a host's events on the same connection, so nothing of one attempt can reach the next. A connection
that breaks is a launcher that died: an event as well. Nothing is agreed through files: on shared storage they would
be seen late, and a file left by an earlier job would be believed.
"""

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from fairmot.errors import ConfigError, FairMOTError

_PATIENCE_S = 600
_SILENCE_S = 15
_SEND_PATIENCE_S = 5


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


class Peers:
    """The other hosts' launchers; none on a single host.

    Args:
        names: of all hosts; the first one leads.
        node_rank: which of them this is.
        address: where the lead listens.
        job: what this launcher was told to start.

    Attributes:
        event: why this attempt ends; None as long as all is well.
        verdict: what follows; None until all hosts have reported.
    """

    def __init__(self, names: list[str], node_rank: int, address: tuple[str, int], job: dict[str, Any]) -> None:
        self.event: Event | None = None
        self.verdict: Verdict | None = None
        self._names, self._node_rank, self._address, self._job = names, node_rank, address, job
        self._lines: dict[int, _Line] = {}
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
            say: prints who is missing.

        Raises:
            ConfigError: a host was told to start something else.
            FairMOTError: not all of them came in time.
            KeyboardInterrupt: interrupted.
        """
        if len(self._names) == 1:
            return
        waiting = self._accept_all() if self.leads else self._join()
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
        for node_rank, line in list(self._lines.items()):
            for message in line.receive():
                self._take(node_rank, message)
            if line.closed:
                del self._lines[node_rank]
                self._lose(node_rank)

    def close(self) -> None:
        """Leave the others."""
        for line in self._lines.values():
            line.close()
        self._lines.clear()

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
        for line in self._lines.values():
            line.send(message)

    def _accept_all(self) -> Iterator[str]:
        """The lead's part of `gather`: yields who is missing until nobody is."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        try:
            listener = socket.create_server(self._address, family=family)
        except OSError as error:
            raise FairMOTError(
                f"{self._address[0]} port {self._address[1]}: the launchers cannot meet there ({error.strerror}); "
                "another job? MASTER_PORT= chooses another port, and the one above it for the launchers"
            ) from error
        strangers: list[_Line] = []
        with listener:
            while missing := [name for i, name in enumerate(self._names) if i and i not in self._lines]:
                yield ", ".join(missing)
                if select.select([listener], [], [], 0.2)[0]:
                    strangers.append(_Line(listener.accept()[0]))
                for line in strangers:
                    for message in line.receive():
                        self._welcome(line, message)
                strangers = [line for line in strangers if not line.closed and line not in self._lines.values()]
        for line in strangers:
            line.close()
        self._send({"start": True})

    def _welcome(self, line: "_Line", message: dict[str, Any]) -> None:
        node_rank = message.get("hello")
        if not isinstance(node_rank, int) or not 0 < node_rank < len(self._names):
            line.close()  # nobody of ours
        elif message["job"] == self._job:
            self._lines[node_rank] = line
        else:
            difference = "; ".join(
                f"{key}: {message['job'].get(key)} there, {value} here"
                for key, value in self._job.items()
                if message["job"].get(key) != value
            )
            line.send({"refused": f"{self._names[0]} starts something else than {self._names[node_rank]}"})
            raise ConfigError(f"{self._names[node_rank]} was told to start something else: {difference}")

    def _join(self) -> Iterator[str]:
        """The others' part of `gather`: yields what is missing until the lead says start."""
        lead = self._names[0]
        while 0 not in self._lines:
            with contextlib.suppress(OSError):
                self._lines[0] = _Line(socket.create_connection(self._address, timeout=_SEND_PATIENCE_S))
            if 0 not in self._lines:
                time.sleep(0.5)
            yield f"{lead} (port {self._address[1]})"
        self._lines[0].send({"hello": self._node_rank, "job": self._job})
        while True:
            for message in self._lines[0].receive():
                if "refused" in message:
                    raise ConfigError(message["refused"])
                if "start" in message:
                    return
            if self._lines[0].closed:
                raise FairMOTError(f"the launcher on {lead} is gone")
            yield f"the other hosts ({lead} knows which)"
            time.sleep(0.1)


class _Line:
    """A connection that carries lines of JSON."""

    def __init__(self, connection: socket.socket) -> None:
        self.closed = False
        self._connection = connection
        self._buffer = b""
        connection.settimeout(_SEND_PATIENCE_S)
        # A host that lost its power says nothing: notice within 20 s.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)

    def send(self, message: dict[str, Any]) -> None:
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.closed = True

    def receive(self) -> list[dict[str, Any]]:
        """Whole messages that have arrived; `closed` is set once there will be no more."""
        while not self.closed and select.select([self._connection], [], [], 0)[0]:
            try:
                data = self._connection.recv(65536)
            except OSError:
                data = b""
            self.closed = not data
            self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        messages = []
        for line in lines:
            with contextlib.suppress(ValueError):
                messages.append(json.loads(line))
        return [message for message in messages if isinstance(message, dict)]

    def close(self) -> None:
        self.closed = True
        self._connection.close()
