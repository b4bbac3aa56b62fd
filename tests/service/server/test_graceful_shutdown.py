"""Draining in one process, with a signal handler in place of a server's handler."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from seedmint.service.server.graceful_shutdown import GracefulShutdown


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """The signals that reach the handler of the server."""
    numbers: list[int] = []
    previous = {number: signal.signal(number, lambda n, _: numbers.append(n)) for number in (signal.SIGTERM, signal.SIGINT)}
    yield numbers
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("repeated", [signal.SIGTERM, signal.SIGINT])
def test_a_repeated_signal_does_not_interrupt_draining(handled: list[int], repeated: signal.Signals):
    """Process managers signal all processes of a group, and the supervisor forwards its own signal too."""

    async def scenario() -> None:
        shutdown = GracefulShutdown()
        shutdown.in_flight = 1
        assert shutdown.install()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(repeated)
        await asyncio.sleep(0.1)
        assert shutdown.draining
        assert handled == []
        shutdown.in_flight = 0
        while not handled:
            await asyncio.sleep(0.01)

    asyncio.run(scenario())
    assert handled == [signal.SIGTERM]
