"""What waits for a generator: single images in one lane, pieces of bulk requests in the other, and the lanes take turns.

Filled on the event loop and emptied in the generator's thread, so that no run waits for the event loop to hand it over.
"""

import threading
from collections import deque
from typing import Literal

from seedmint.service.batching.execution import Item

QueueKind = Literal[0, 1]
SINGLE: QueueKind = 0
BULK: QueueKind = 1


class Queues:
    """Safe to use from several threads.

    Attributes:
        singles: single images that wait, without those that were withdrawn.
        busy: whether somebody takes, and will do so until nothing is left.
    """

    def __init__(self) -> None:
        self._lanes: tuple[deque[Item], deque[Item]] = (deque(), deque())
        self._turn: QueueKind = SINGLE
        self._lock = threading.Lock()
        self.singles = 0
        self.busy = False

    def put(self, lane: QueueKind, item: Item) -> bool:
        """Let an item wait. Says whether somebody has to begin to take."""
        with self._lock:
            item.queued = lane == SINGLE
            self.singles += item.queued
            self._lanes[lane].append(item)
            begins, self.busy = not self.busy, True
        return begins

    def take(self, room: int) -> tuple[list[Item], list[Item]]:
        """Items for a run of at most `room` images: from the lane whose turn it is, then from the other, as far as they fit.

        Returns:
            The items, and those passed over because nobody waits for them any more. Neither, and nothing is left: `busy`
            is over.
        """
        batch: list[Item] = []
        unwanted: list[Item] = []
        with self._lock:
            first = self._turn
            for lane in (first, BULK if first == SINGLE else SINGLE):
                waiting = self._lanes[lane]
                while waiting and (not waiting[0].wanted or len(waiting[0].seeds) <= room):
                    item = waiting.popleft()
                    self._settle(item)
                    if item.wanted:
                        # Whoever was not first in this run is so in the next.
                        self._turn = self._turn if batch else BULK if lane == SINGLE else SINGLE
                        batch.append(item)
                        room -= len(item.seeds)
                    else:
                        unwanted.append(item)
            self.busy = bool(batch or unwanted)
        return batch, unwanted

    def withdraw(self, item: Item) -> None:
        """An item waits no longer. It stays where it is, and is passed over."""
        with self._lock:
            self._settle(item)

    def waiting(self) -> list[Item]:
        """All items that are in the lanes now."""
        with self._lock:
            return [*self._lanes[SINGLE], *self._lanes[BULK]]

    def _settle(self, item: Item) -> None:
        self.singles -= item.queued
        item.queued = False
