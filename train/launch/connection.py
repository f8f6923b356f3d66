"""What carries the messages between the launchers of two hosts."""

import contextlib
import json
import select
import socket
from typing import Any

_SEND_PATIENCE_S = 5
_LONGEST_BYTES = 1 << 20


class Connection:
    """A connection that carries messages, each a line of JSON.

    Args:
        connection: an open one.

    Attributes:
        closed: whether nothing more can be said or heard.
        peer: the address at its other end.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.closed = False
        self.peer = str(connection.getpeername()[0])
        self._connection = connection
        self._buffer = b""
        connection.settimeout(_SEND_PATIENCE_S)
        # A host that lost its power says nothing: notice within 20 s.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)

    @classmethod
    def to(cls, address: tuple[str, int]) -> "Connection":
        """Connect to who listens at `address`.

        Raises:
            OSError: nobody does, or not in time.
        """
        return cls(socket.create_connection(address, timeout=_SEND_PATIENCE_S))

    def send(self, message: dict[str, Any]) -> None:
        """Say something; `closed` is set where it cannot be said."""
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.closed = True

    def receive(self) -> list[dict[str, Any]]:
        """Whole messages that have arrived; `closed` is set once there will be no more, or one is far too long."""
        while not self.closed and select.select([self._connection], [], [], 0)[0]:
            try:
                data = self._connection.recv(65536)
            except OSError:
                data = b""
            self._buffer += data
            self.closed = not data or len(self._buffer) > _LONGEST_BYTES
        *lines, self._buffer = self._buffer.split(b"\n")
        messages = []
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                messages.append(json.loads(line))
        return [message for message in messages if isinstance(message, dict)]

    def close(self) -> None:
        """Hang up."""
        self.closed = True
        self._connection.close()
