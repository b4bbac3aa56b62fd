"""A worker's end of the connection to its supervisor, on the event loop of the worker."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable

from seedmint.service.server.control_channel import ChannelClosedError, ControlChannel, Message

_LOG = logging.getLogger(__name__)

Handler = Callable[[Message, int | None], None]
"""Handles a message and the descriptor of its file. The handler closes the file."""


class WorkerLink:
    """Passes the messages of the supervisor to the parts of the worker, and stops the worker when the supervisor has exited.

    Attributes:
        before_stop: Called once when the supervisor has exited: closes the socket that listens for connections, so that the
            port is free while the worker finishes its requests in flight.
    """

    def __init__(self, descriptor: int) -> None:
        """
        Args:
            descriptor: The socket that the worker has inherited.
        """
        connection = socket.socket(fileno=descriptor)
        connection.set_inheritable(False)
        self._channel = ControlChannel(connection)
        self._handlers: dict[str, Handler] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.before_stop: Callable[[], None] = _do_nothing

    def connect(self, handlers: dict[str, Handler]) -> None:
        """Handle messages from now on. Call this on the event loop.

        Args:
            handlers: The handler of the messages of each part, by `about`.
        """
        self._handlers = handlers
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._channel.fileno(), self._receive)

    def send(self, message: Message) -> None:
        """Send a message to the supervisor. Call this on the event loop.

        Args:
            message: The message.
        """
        self._channel.send(message)
        if self._channel.has_unsent and self._loop is not None:
            self._loop.add_writer(self._channel.fileno(), self._flush)

    def _flush(self) -> None:
        self._channel.flush()
        if not self._channel.has_unsent and self._loop is not None:
            self._loop.remove_writer(self._channel.fileno())

    def _receive(self) -> None:
        try:
            messages = self._channel.receive()
        except ChannelClosedError:
            self._stop()
            return
        for message, file in messages:
            handle = self._handlers.get(message["about"])
            if handle is not None:
                handle(message, file)
            elif file is not None:
                os.close(file)

    def _stop(self) -> None:
        assert self._loop is not None
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        _LOG.error("the supervisor has exited; stopping")
        self.before_stop()
        os.kill(os.getpid(), signal.SIGTERM)


def _do_nothing() -> None:
    pass


_LINKS: list[WorkerLink] = []  # one in a worker of `seedmint serve`, none elsewhere


def adopt(descriptor: int) -> WorkerLink:
    """Make an inherited socket the link of this process. Call it before the application is imported.

    Args:
        descriptor: The socket that the worker has inherited.
    """
    _LINKS.append(WorkerLink(descriptor))
    return _LINKS[0]


def supervisor_link() -> WorkerLink | None:
    """Return the link of this process; None in a process that `seedmint serve` did not start."""
    return _LINKS[0] if _LINKS else None
