"""The two queues of a generator: one for single images, one for pieces of bulk requests. Batches take from them alternately.

The event loop adds entries, and the thread of the generator takes them, so that no batch waits for the event loop.
"""

import threading
from collections import deque
from queue import Empty, SimpleQueue
from typing import Literal

from seedmint.service.batching.execution import Entry

QueueKind = Literal[0, 1]
SINGLE: QueueKind = 0
BULK: QueueKind = 1

Queue = deque[Entry]


class Queues:
    """The two queues of a generator. Safe to use from several threads.

    Attributes:
        singles: Number of single images that wait, without withdrawn ones.
        is_busy: Whether a thread takes entries. The thread continues until both queues are empty, and may then wait for
            further entries.
    """

    def __init__(self) -> None:
        self._queues: tuple[Queue, Queue] = (deque(), deque())
        self._next: QueueKind = SINGLE
        self._lock = threading.Lock()
        self._is_waiting = False
        self._wakeups: SimpleQueue[None] = SimpleQueue()  # at most one
        self.singles = 0
        self.is_busy = False

    @property
    def is_single(self) -> bool:
        """Whether one single image waits, and nothing else."""
        return len(self._queues[SINGLE]) == 1 and not self._queues[BULK]

    def put(self, kind: QueueKind, entry: Entry) -> bool:
        """Add an entry.

        Args:
            kind: `SINGLE` or `BULK`.
            entry: The entry.

        Returns:
            Whether the caller must wake the thread that waits, or start a thread that takes entries.
        """
        with self._lock:
            if kind == SINGLE:
                entry.is_counted = True
                self.singles += 1
            self._queues[kind].append(entry)
            must_start, self.is_busy = not self.is_busy, True
        return must_start

    def get_batch(self, max_images: int) -> tuple[list[Entry], list[Entry]]:
        """Take the entries of the next batch. The queues are first alternately; the other queue fills the rest of the batch.

        Args:
            max_images: Most seeds of the batch.

        Returns:
            The entries of the batch, and the entries that were dropped because their clients no longer wait. If both are empty,
            then both queues are empty, `is_busy` is False, and the thread must call `wait`.
        """
        batch: list[Entry] = []
        dropped: list[Entry] = []
        with self._lock:
            first = self._next
            for kind in (first, _other(first)):
                queue = self._queues[kind]
                while queue and (not queue[0].is_pending or len(queue[0].seeds) <= max_images):
                    entry = queue.popleft()
                    if entry.is_counted:
                        entry.is_counted = False
                        self.singles -= 1
                    if not entry.is_pending:
                        dropped.append(entry)
                        continue
                    if not batch:  # the other queue is first in the next batch
                        self._next = _other(kind)
                    batch.append(entry)
                    max_images -= len(entry.seeds)
            self.is_busy = bool(batch or dropped)
            self._is_waiting = not self.is_busy
        return batch, dropped

    def wait(self, seconds: float) -> bool:
        """Wait until `wake` is called. Called by the thread that has found the queues empty.

        Args:
            seconds: Maximum time.

        Returns:
            Whether the thread must continue to take entries. Otherwise it must end.
        """
        try:
            self._wakeups.get(timeout=seconds)
        except Empty:
            with self._lock:
                if self._is_waiting:
                    self._is_waiting = False
                    return False
            self._wakeups.get()
        return True

    def wake(self) -> bool:
        """Wake the thread that waits.

        Returns:
            Whether a thread waited.
        """
        with self._lock:
            was_waiting, self._is_waiting = self._is_waiting, False
            if was_waiting:
                self._wakeups.put(None)
        return was_waiting

    def withdraw(self, entry: Entry) -> None:
        """Stop counting an entry. It stays in its queue until `get_batch` drops it.

        Args:
            entry: The entry. Its future is done.
        """
        with self._lock:
            if entry.is_counted:
                entry.is_counted = False
                self.singles -= 1

    def entries(self) -> list[Entry]:
        """Return all entries that are in the queues now."""
        with self._lock:
            return [*self._queues[SINGLE], *self._queues[BULK]]


def _other(kind: QueueKind) -> QueueKind:
    return BULK if kind == SINGLE else SINGLE
