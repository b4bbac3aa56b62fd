"""The connection between the supervisor and one worker: JSON messages over Unix sockets, each with at most one open file.

A worker notices the end of its supervisor at once, because the kernel closes the supervisor's end of the connection.
"""

import json
import os
import socket
from collections import deque
from typing import Any

Message = dict[str, Any]
"""`about` names the part of the server that handles the message, and `type` the kind of the message."""

_LENGTH_BYTES = 4
_HAS_FILE = "file"
_RECEIVED_BYTES = 256 << 10
_MAX_FILES = 64  # of one call of `recvmsg`; the kernel passes the files of one message at a time


class ChannelClosedError(Exception):
    """The process at the other end has closed the connection, or has exited."""


class ControlChannel:
    """One end of the connection. Never blocks: `flush` writes what the kernel accepts."""

    def __init__(self, connection: socket.socket) -> None:
        """
        Args:
            connection: A stream socket of a pair of Unix sockets. The channel owns the socket.
        """
        connection.setblocking(False)
        self._socket = connection
        self._unsent: deque[tuple[memoryview, int | None]] = deque()
        self._received = bytearray()
        self._files: deque[int] = deque()

    def fileno(self) -> int:
        """Return the file descriptor of the connection, for `select`."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether a message waits until the kernel accepts more."""
        return bool(self._unsent)

    def send(self, message: Message, file: int | None = None) -> None:
        """Send a message, now or at the next calls of `flush`.

        Args:
            message: The message.
            file: Descriptor of a file that the other process receives as a descriptor of its own; the caller keeps `file`.
        """
        if file is not None:
            message = {**message, _HAS_FILE: True}
        content = json.dumps(message).encode()
        framed = len(content).to_bytes(_LENGTH_BYTES, "big") + content
        self._unsent.append((memoryview(framed), None if file is None else os.dup(file)))
        self.flush()

    def flush(self) -> None:
        """Write as many bytes as the kernel accepts. A closed connection discards them; `receive` reports it."""
        while self._unsent:
            data, file = self._unsent[0]
            try:
                count = socket.send_fds(self._socket, [data], [] if file is None else [file])
            except BlockingIOError:
                return
            except OSError:
                self._discard()
                return
            if file is not None:
                os.close(file)
            self._unsent.popleft()
            if count < len(data):
                self._unsent.appendleft((data[count:], None))

    def receive(self) -> list[tuple[Message, int | None]]:
        """Return the messages that have arrived, each with the descriptor of its file; the caller closes the files.

        Raises:
            ChannelClosedError: The connection is closed. Messages that arrived earlier were returned.
        """
        is_closed = False
        while True:
            try:
                data, files, _, _ = socket.recv_fds(self._socket, _RECEIVED_BYTES, _MAX_FILES)
            except BlockingIOError:
                break
            except OSError:
                data, files = b"", []
            for file in files:
                os.set_inheritable(file, False)
            self._files += files
            if not data:
                is_closed = True
                break
            self._received += data
        messages = self._messages()
        if is_closed and not messages:
            raise ChannelClosedError
        return messages

    def close(self) -> None:
        """Close the connection, and discard messages that were not sent."""
        self._discard()
        for file in self._files:
            os.close(file)
        self._files.clear()
        self._socket.close()

    def _messages(self) -> list[tuple[Message, int | None]]:
        messages: list[tuple[Message, int | None]] = []
        received = self._received
        while len(received) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(received[:_LENGTH_BYTES], "big")
            if len(received) < end:
                break
            message = json.loads(received[_LENGTH_BYTES:end])
            del received[:end]
            messages.append((message, self._files.popleft() if message.pop(_HAS_FILE, False) else None))
        return messages

    def _discard(self) -> None:
        for _, file in self._unsent:
            if file is not None:
                os.close(file)
        self._unsent.clear()


def channel_pair() -> tuple[ControlChannel, socket.socket]:
    """Return the supervisor's end of a new connection, and the socket that a worker inherits."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return ControlChannel(near), far
