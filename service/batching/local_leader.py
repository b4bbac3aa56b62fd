"""Leads the generators of a process without a supervisor, such as a worker of `bentoml serve`."""

import asyncio
import os
from typing import Any

from seedmint.service.batching.generator_follower import GeneratorFollower
from seedmint.service.batching.generator_leader import GeneratorLeader
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.batching.place_scanner import PlaceScanner

_POLL_SECONDS = 0.1


class LocalLeader:
    """A leader whose only worker is its own process. Lives on one event loop; the scanner has a thread of its own."""

    def __init__(self, repository: ModelRepository, scanner: PlaceScanner) -> None:
        """
        Args:
            repository: The generators of this process.
            scanner: Finds the changes of the places of generators. The leader starts and closes it.
        """
        self._scanner = scanner
        self._leader = GeneratorLeader(scanner)
        self._follower = GeneratorFollower(repository, self._answer)
        self._leader.attach(self)

    def send(self, message: dict[str, Any], file: int | None = None) -> None:
        """Pass a message of the leader to the follower.

        Args:
            message: The message.
            file: An open file, which the follower closes.
        """
        self._follower.handle(message, None if file is None else os.dup(file))

    def _answer(self, message: dict[str, Any]) -> None:
        self._leader.handle(self, message)

    async def run(self) -> None:
        """Follow the places until the task is cancelled."""
        loads = asyncio.create_task(self._follower.run())
        self._scanner.start()
        try:
            while True:
                self._leader.poll()
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            loads.cancel()
            self.close()

    def close(self) -> None:
        """Stop the scans, and close all files."""
        self._leader.close()

    async def scan(self) -> None:
        """Scan once, and load what has changed. Use this without `run`."""
        self._leader.handle_scan(await asyncio.to_thread(self._scanner.scan))
        while not self._follower.is_idle:
            await self._follower.load_next()
