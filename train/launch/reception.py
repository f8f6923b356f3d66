"""Where the lead lets the launchers of the other hosts in, and nobody else.

Who connects gets a challenge, and has half a minute to answer it with the proof that it knows the job's key. Port
scanners, health checks and launchers of other jobs do not: they are dropped, with a line for people.
"""

import contextlib
import secrets
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fairmot.errors import FairMOTError
from train.launch.connection import Connection
from train.launch.job_key import proves

_HELLO_TIME_S = 30.0
_MOST_STRANGERS = 64
_MOST_LINES = 20


@dataclass
class Guest:
    """A launcher of this job.

    Attributes:
        connection: to it.
        node_rank: the number it says its host has.
        job: what it was told to start.
        challenge: to be answered by the lead, which has to prove itself too.
    """

    connection: Connection
    node_rank: int
    job: dict[str, Any]
    challenge: str


@dataclass
class _Stranger:
    connection: Connection
    challenge: str = field(default_factory=lambda: secrets.token_hex(16))
    came_at_s: float = field(default_factory=time.monotonic)


class Reception:
    """Listens while the hosts come together; leaving its context sends those away who are not known by then.

    Args:
        address: where to listen.
        key: of the job.
        say: prints who was dropped.

    Raises:
        FairMOTError: nobody can listen there.
    """

    def __init__(self, address: tuple[str, int], key: bytes, say: Callable[[str], None]) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        try:
            self._listener = socket.create_server(address, family=family)
        except OSError as error:
            raise FairMOTError(
                f"{address[0]} port {address[1]}: the launchers cannot meet there ({error.strerror}); "
                "another job? MASTER_PORT= chooses another port, and the one above it for the launchers"
            ) from error
        self._key, self._say = key, say
        self._strangers: list[_Stranger] = []
        self._dropped: set[str] = set()

    def guests(self, patience_s: float) -> list[Guest]:
        """Who has proved since the last call to be of this job; waits a little for newcomers.

        Args:
            patience_s: seconds.
        """
        has_room = len(self._strangers) < _MOST_STRANGERS
        if select.select([self._listener] if has_room else [], [], [], patience_s)[0]:
            with contextlib.suppress(OSError):  # gone again
                stranger = _Stranger(Connection(self._listener.accept()[0]))
                stranger.connection.send({"challenge": stranger.challenge})
                self._strangers.append(stranger)
        known, waiting = [], []
        for stranger in self._strangers:
            messages = stranger.connection.receive()
            guest = self._recognise(stranger, messages[0]) if messages else None
            if guest is not None:
                known.append(guest)
            elif messages or stranger.connection.closed or time.monotonic() - stranger.came_at_s > _HELLO_TIME_S:
                self._drop(stranger.connection)
            else:
                waiting.append(stranger)
        self._strangers = waiting
        return known

    def _recognise(self, stranger: _Stranger, message: dict[str, Any]) -> Guest | None:
        node_rank, job, challenge = (message.get(key) for key in ("hello", "job", "challenge"))
        is_known = proves(message.get("proof"), self._key, "hello", stranger.challenge, node_rank, job, challenge)
        if is_known and isinstance(node_rank, int) and isinstance(job, dict) and isinstance(challenge, str):
            return Guest(stranger.connection, node_rank, job, challenge)
        return None

    def _drop(self, connection: Connection) -> None:
        if connection.peer not in self._dropped and len(self._dropped) < _MOST_LINES:
            self._dropped.add(connection.peer)
            self._say(
                f"{connection.peer}: dropped, not a launcher of this job; if it was meant to be one, it has another "
                "run_dir, or another version of this program"
            )
        connection.close()

    def __enter__(self) -> "Reception":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for stranger in self._strangers:
            stranger.connection.close()
