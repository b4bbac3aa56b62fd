"""The connection of one request: whether its client has disconnected, and head and body in one packet."""

import asyncio
from typing import Any

from seedmint.service.server.response_cycle import abort_connection, can_send_at_once, disconnect_check, send_together


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_aborted = False

    def is_closing(self) -> bool:
        return self.is_aborted

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.is_aborted = True


class Flow:
    write_paused = False


class Cycle:
    """The part of uvicorn's RequestResponseCycle that the functions use."""

    def __init__(self) -> None:
        self.transport: Any = Transport()
        self.flow = Flow()
        self.disconnected = False
        self.checks: list[bool] = []

    async def send(self, message: Any) -> None:
        check = disconnect_check(self.receive)
        assert check is not None
        self.checks.append(check())
        self.transport.write(message["body"])

    async def receive(self) -> Any: ...


async def plain(*_: Any) -> Any:
    """The `receive` or `send` of another server."""


def test_head_and_body_are_one_packet_and_the_client_can_be_checked_meanwhile():
    """An inference thread checks the clients of waiting images at any time."""
    cycle = Cycle()
    asyncio.run(send_together(cycle.send, {"body": b"head"}, {"body": b"body"}))
    assert cycle.checks == [False, False]
    assert cycle.transport.written == [b"headbody"]


def test_a_closed_or_lost_connection_is_disconnected():
    cycle = Cycle()
    check = disconnect_check(cycle.receive)
    assert check is not None
    assert not check()
    cycle.disconnected = True
    assert check()
    cycle.disconnected = False
    abort_connection(cycle.send)
    assert check()


def test_a_paused_connection_cannot_send_at_once():
    cycle = Cycle()
    assert can_send_at_once(cycle.send)
    cycle.flow.write_paused = True
    assert not can_send_at_once(cycle.send)


def test_other_servers_have_no_connection():
    assert disconnect_check(plain) is None
    assert not can_send_at_once(plain)
    abort_connection(plain)
