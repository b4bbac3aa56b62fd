"""The socket that listens for connections. The supervisor creates the socket, and all workers accept from it."""

import os
import socket

from seedmint.service.settings import Settings, SettingsError

_BACKLOG = 2048  # connections that the kernel keeps until a worker accepts them


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on `settings.host` and `settings.port`.

    Args:
        settings: The settings of the server.

    Raises:
        SettingsError: The address is in use or not available.
    """
    address = (str(settings.host), settings.port)
    family = socket.AF_INET6 if settings.host.version == 6 else socket.AF_INET
    is_dual_stack = settings.host.version == 6 and settings.host.is_unspecified and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=is_dual_stack)
    except OSError as error:
        message = f"cannot listen on {settings.host} port {settings.port}: {os.strerror(error.errno or 0)}"
        raise SettingsError(message, field="port", reason="unavailable") from None


def inherited_listener(descriptor: int) -> socket.socket:
    """Return the socket that a worker inherits from the supervisor. Processes of the worker do not inherit the socket.

    Args:
        descriptor: File descriptor of the socket.
    """
    listener = socket.socket(fileno=descriptor)
    listener.set_inheritable(False)
    return listener
