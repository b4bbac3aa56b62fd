"""What one connection tells of itself to other threads."""

import asyncio
from typing import Any

from seedmint.service.server.connections import has_left, send_together


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written.append(data)


class Cycle:
    """As much of uvicorn's as is asked."""

    def __init__(self) -> None:
        self.transport: Any = Transport()
        self.disconnected = False
        self.answers: list[bool] = []

    async def send(self, message: Any) -> None:
        self.answers.append(has_left(self.receive)())
        self.transport.write(message["body"])

    async def receive(self) -> Any: ...


def test_one_may_ask_whether_a_client_has_left_while_its_answer_is_put_together():
    """A generator's thread does so for the pieces that wait, whenever it looks for work."""
    cycle = Cycle()
    asyncio.run(send_together(cycle.send, {"body": b"head"}, {"body": b"body"}))
    assert cycle.answers == [False, False]
    assert cycle.transport.written == [b"headbody"]
