"""Messages and open files between the supervisor and a worker."""

import asyncio
import os
import tempfile

import pytest

from seedmint.service.server.control_channel import ChannelClosedError, ControlChannel, channel_pair
from seedmint.service.server.worker_link import WorkerLink


def receive_all(channel: ControlChannel, count: int) -> list[tuple[dict[str, object], int | None]]:
    received: list[tuple[dict[str, object], int | None]] = []
    while len(received) < count:
        received += channel.receive()
    return received


def test_messages_arrive_in_order_with_their_files():
    near, socket = channel_pair()
    far = ControlChannel(socket)
    with tempfile.TemporaryFile() as first, tempfile.TemporaryFile() as second:
        first.write(b"first")
        second.write(b"second")
        first.flush()
        second.flush()
        near.send({"n": 1}, first.fileno())
        near.send({"n": 2})
        near.send({"n": 3}, second.fileno())
    received = receive_all(far, 3)
    assert [message for message, _ in received] == [{"n": 1}, {"n": 2}, {"n": 3}]
    contents = [None if file is None else os.pread(file, 10, 0) for _, file in received]
    assert contents == [b"first", None, b"second"]
    for _, file in received:
        if file is not None:
            assert not os.get_inheritable(file)
            os.close(file)
    near.close()
    with pytest.raises(ChannelClosedError):
        far.receive()
    far.close()


def test_messages_larger_than_the_buffer_of_the_kernel_do_not_block():
    near, socket = channel_pair()
    far = ControlChannel(socket)
    for number in range(20):
        near.send({"n": number, "text": "x" * 200_000})
    assert near.has_unsent
    received: list[tuple[dict[str, object], int | None]] = []
    while len(received) < 20:
        near.flush()
        received += far.receive()
    assert [message["n"] for message, _ in received] == list(range(20))
    far.close()
    near.send({"n": 21})  # the other end is closed: no error
    near.close()


def test_a_worker_stops_when_its_supervisor_has_gone(monkeypatch: pytest.MonkeyPatch):
    near, socket = channel_pair()
    stopped: list[object] = []
    monkeypatch.setattr("seedmint.service.server.worker_link.os.kill", lambda *arguments: stopped.append(arguments))

    async def scenario() -> None:
        link = WorkerLink(socket.detach())
        link.before_stop = lambda: stopped.append("listeners closed")
        messages: list[object] = []
        link.connect({"a": lambda message, file: messages.append(message["n"])})
        near.send({"about": "a", "n": 1})
        near.send({"about": "unknown"})
        link.send({"about": "b"})
        while not messages:
            await asyncio.sleep(0.001)
        assert near.receive() == [({"about": "b"}, None)]
        near.close()
        while len(stopped) < 2:
            await asyncio.sleep(0.001)

    asyncio.run(scenario())
    assert stopped[0] == "listeners closed"
