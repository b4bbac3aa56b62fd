"""Access to the connection of one request. Everything that relies on uvicorn's `RequestResponseCycle`.

ASGI does not offer these functions. uvicorn passes the methods `receive` and `send` of a `RequestResponseCycle` to
the application; the functions use its attributes `disconnected`, `transport`, `flow.write_paused`, `chunked_encoding` and
`expected_content_length`. pyproject.toml pins uvicorn to one minor version for this reason. Under another server, such
as a test client, the functions do nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.types import Message, Receive, Send


def disconnect_check(receive: Receive) -> Callable[[], bool] | None:
    """Return a function that returns whether the client of a request has disconnected; None if the server is not uvicorn.

    The function does not wait, and may be called in any thread.

    Args:
        receive: The `receive` of the request.
    """
    cycle = getattr(receive, "__self__", None)
    # Of several pipelined requests, uvicorn sets `disconnected` only for the last one.
    return None if cycle is None else lambda: cycle.disconnected or cycle.transport.is_closing()


def can_send_without_waiting(send: Send) -> bool:
    """Return whether `send` returns without waiting for the client. False if the server is not uvicorn.

    Args:
        send: The `send` of the request.
    """
    flow = getattr(getattr(send, "__self__", None), "flow", None)
    return flow is not None and not flow.write_paused


async def send_together(send: Send, start: Message, body: Message) -> None:
    """Send the head of a response and its body in one packet, where uvicorn would write two.

    Call it only if `can_send_without_waiting(send)`.

    Args:
        send: The `send` of the request.
        start: The message `http.response.start`.
        body: The message `http.response.body`.
    """
    cycle: Any = send.__self__  # type: ignore[attr-defined]
    transport = cycle.transport
    buffer = cycle.transport = BufferingTransport(transport)
    try:
        await send(start)
        await send(body)
    finally:
        cycle.transport = transport
        if buffer.parts and not transport.is_closing():  # the client may have disconnected
            transport.write(b"".join(buffer.parts))
        if buffer.closed:
            transport.close()


async def send_until_close(send: Send, start: Message | None, body: Message) -> None:
    """Send a part of a response whose end is the end of the connection. uvicorn would send chunks, also to HTTP/1.0 clients.

    Args:
        send: The `send` of the request.
        start: The message `http.response.start`; None after the first part.
        body: The message `http.response.body`.
    """
    cycle = getattr(send, "__self__", None)
    if start is not None:
        if cycle is not None:
            cycle.chunked_encoding = False
        await send(start)
    if cycle is not None:
        cycle.expected_content_length = len(body.get("body", b""))  # of this part
    await send(body)


class BufferingTransport:
    """Replaces a transport while one response is written.

    Attributes:
        parts: The written bytes.
        closed: Whether to close the transport after the parts are written.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        """
        Args:
            transport: The replaced transport.
        """
        self.parts: list[bytes] = []
        self.closed = False
        self.write = self.parts.append
        self.is_closing = transport.is_closing  # an inference thread may call this through `disconnect_check`

    def close(self) -> None:
        self.closed = True


def abort_connection(send: Send) -> None:
    """Close the connection of a request at once. Data that the client has not read is lost.

    Args:
        send: The `send` of the request.
    """
    # `close` instead of `abort` would wait until the client has read everything that was written.
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
