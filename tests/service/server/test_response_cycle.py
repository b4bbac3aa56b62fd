"""The connection of one request: it notices that the client has disconnected, and sends head and body in one packet."""

import asyncio
from typing import Any

from seedmint.service.server.response_cycle import abort_connection, can_send_without_waiting, disconnect_check, send_together


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
    """The part of uvicorn's RequestResponseCycle that the functions under test use."""

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


async def of_another_server(*_: Any) -> Any:
    """`receive` or `send` of a server other than uvicorn."""


def test_head_and_body_are_one_packet_and_the_connection_can_be_checked_meanwhile():
    """An inference thread can check at any time whether a waiting client is still connected."""
    cycle = Cycle()
    asyncio.run(send_together(cycle.send, {"body": b"head"}, {"body": b"body"}))
    assert cycle.checks == [False, False]
    assert cycle.transport.written == [b"headbody"]


def test_a_disconnect_and_an_abort_are_both_noticed():
    cycle = Cycle()
    check = disconnect_check(cycle.receive)
    assert check is not None
    assert not check()
    cycle.disconnected = True
    assert check()
    cycle.disconnected = False
    abort_connection(cycle.send)
    assert check()


def test_a_paused_connection_cannot_send_without_waiting():
    cycle = Cycle()
    assert can_send_without_waiting(cycle.send)
    cycle.flow.write_paused = True
    assert not can_send_without_waiting(cycle.send)


def test_functions_do_nothing_on_another_server():
    assert disconnect_check(of_another_server) is None
    assert not can_send_without_waiting(of_another_server)
    abort_connection(of_another_server)
