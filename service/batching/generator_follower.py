"""Loads the generators of a worker, and puts versions into service when the leader announces them."""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any

from seedmint.service.batching.leader_state import ABOUT
from seedmint.service.batching.model_repository import ModelRepository, loaded_text
from seedmint.service.batching.place_scanner import reason_and_message
from seedmint.service.batching.place_states import PlaceState

_LOG = logging.getLogger(__name__)


class GeneratorFollower:
    """Handles the messages of the leader. Lives on one event loop; loads one generator at a time, in a thread."""

    def __init__(self, repository: ModelRepository, send: Callable[[dict[str, Any]], None]) -> None:
        """
        Args:
            repository: The generators of this worker.
            send: Sends a message to the leader.
        """
        self._repository = repository
        self._send = send
        self._loads: asyncio.Queue[tuple[int, str, int]] = asyncio.Queue()

    def handle(self, message: dict[str, Any], descriptor: int | None) -> None:
        """Handle a message of the leader. Only `load` takes time, and waits for earlier loads.

        Args:
            message: The message.
            descriptor: The file to load; None for other messages.
        """
        repository = self._repository
        match message["type"]:
            case "load":
                assert descriptor is not None
                self._loads.put_nowait((message["number"], message["stem"], descriptor))
            case "serve":
                repository.serve_held(message["number"], message["stem"])
            case "drop":
                repository.drop_held(message["number"])
            case "remove":
                repository.remove(message["stem"])
            case "state":
                places = (PlaceState(**place) for place in message["places"])
                repository.set_state(message["errors"], places, message["complete"])
            case "present":
                repository.set_present(message["stems"])

    async def run(self) -> None:
        """Load generators until the task is cancelled."""
        while True:
            await self.load_next()

    @property
    def is_idle(self) -> bool:
        """Whether no generator waits to be loaded."""
        return self._loads.empty()

    async def load_next(self) -> None:
        """Load the generator that has waited for the longest time, and tell the leader. Wait if there is none."""
        number, stem, descriptor = await self._loads.get()
        try:
            answer = await self._load(number, stem, descriptor)
        finally:
            os.close(descriptor)
        self._send({"about": ABOUT, "number": number, **answer})

    async def _load(self, number: int, stem: str, descriptor: int) -> dict[str, Any]:
        try:
            generator = await self._repository.hold(number, stem, descriptor)
        except Exception as error:
            reason, message = reason_and_message(error)
            return {"type": "refused", "reason": reason, "message": message}
        level, text = loaded_text(generator)
        return {"type": "loaded", "digest": generator.digest, "level": level, "text": text}
