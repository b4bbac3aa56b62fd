"""The socket that listens for connections. The supervisor creates the socket, and all workers accept from it."""

import errno
import os
import socket
from pathlib import Path

from seedmint.service.settings import Settings, SettingsError

_SOCKET_MODE = 0o666  # of a Unix socket: the permissions of its directory decide who may connect
_CURES = {errno.EADDRINUSE: ": choose another port", errno.EACCES: ": choose a port from 1024 on"}
_BACKLOG = 2048  # connections that the kernel keeps until a worker accepts them


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on `settings.unix_socket`, or on `settings.host` and `settings.port`.

    Args:
        settings: The settings of the server.

    Raises:
        SettingsError: The address is in use or not available.
    """
    return _listen_on_port(settings) if settings.unix_socket is None else _listen_on_path(settings.unix_socket)


def _listen_on_path(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket() and not _has_listener(path):
            path.unlink()  # left by a server that was killed
        listener.bind(str(path))
        path.chmod(_SOCKET_MODE)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)  # a path that is too long has no errno
        message = f"cannot listen on {path}: {reason}"
        raise SettingsError(message, field="unix_socket", reason="unavailable") from None
    return listener


def _has_listener(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True


def _listen_on_port(settings: Settings) -> socket.socket:
    address = (str(settings.host), settings.port)
    family = socket.AF_INET6 if settings.host.version == 6 else socket.AF_INET
    is_dual_stack = settings.host.version == 6 and settings.host.is_unspecified and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=is_dual_stack)
    except OSError as error:
        cure = _CURES.get(error.errno or 0, "")
        message = f"cannot listen on {settings.host} port {settings.port}: {os.strerror(error.errno or 0)}{cure}"
        raise SettingsError(message, field="port", reason="unavailable") from None


def inherited_listener(descriptor: int) -> socket.socket:
    """Return the socket that a worker inherits from the supervisor. Processes of the worker do not inherit the socket.

    Args:
        descriptor: File descriptor of the socket.
    """
    listener = socket.socket(fileno=descriptor)
    listener.set_inheritable(False)
    return listener
