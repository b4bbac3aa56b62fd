"""Token buckets in memory that all workers of a server share, so that the limits of a client count over all workers.

The table is a file without a name, mapped by all workers: sets of eight clients. The hash of a client selects its set; in a
full set, a new client replaces the client with the oldest request. A lock on one byte of the file protects each set. The kernel
releases the locks of a process that dies.
"""

import fcntl
import hashlib
import mmap
import os
import secrets
import select
import tempfile
import time
from typing import Any, Protocol

from seedmint.service.server.token_bucket import Clock, spend

ABOUT = "limits"
CLIENTS = 16384
_WAYS = 8  # clients in one set
_SETS = CLIENTS // _WAYS
_FIELDS = 8  # of 8 bytes for one client: hash, time of the latest request, tokens and time of two buckets; two are unused
_KEY, _USED, _BUCKETS = 0, 1, 2
_SIZE = CLIENTS * _FIELDS * 8
_LOCK_SECONDS = 0.5  # longer than any process holds a lock, unless the process is stopped
_PAUSE_SECONDS = 0.0001


class Link(Protocol):
    """The connection to one worker."""

    def send(self, message: dict[str, Any], file: int | None = None) -> None:
        """Send a message.

        Args:
            message: The message.
            file: An open file that the worker receives.
        """


class LimitLeader:
    """Creates the table, and passes it to all workers."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            file.truncate(_SIZE)
            self._descriptor = os.dup(file.fileno())
        self._salt = secrets.token_hex(16)

    def attach(self, link: Link) -> None:
        """Send the table to a new worker.

        Args:
            link: The connection to the worker.
        """
        link.send({"about": ABOUT, "type": "table", "salt": self._salt}, self._descriptor)

    def detach(self, link: Link) -> None:
        """Do nothing: the counts of a worker that has exited stay in the table.

        Args:
            link: The connection to the worker.
        """

    def handle(self, link: Link, message: dict[str, Any]) -> None:
        """Do nothing: workers do not answer.

        Args:
            link: The connection to the worker.
            message: A message of the worker.
        """

    def poll(self) -> None:
        """Do nothing: the table is memory that all workers share."""

    def reload(self) -> None:
        """Do nothing: the limits are settings."""

    def close(self) -> None:
        """Close the table."""
        os.close(self._descriptor)


class SharedTable:
    """The table of all clients, in one worker."""

    def __init__(self, descriptor: int, salt: bytes, clock: Clock = time.monotonic) -> None:
        """
        Args:
            descriptor: Descriptor of the table. The table owns it.
            salt: Secret of the server, so that no client can choose the set of its address.
            clock: Returns monotonic seconds, which are the same in all processes.
        """
        self._descriptor = descriptor
        self._salt = salt
        self._map = mmap.mmap(descriptor, _SIZE)
        view = memoryview(self._map)
        self.keys, self.values = view.cast("Q"), view.cast("d")
        self.clock = clock

    def hash_of(self, name: str) -> int:
        """Return the hash of a client, which is not 0.

        Args:
            name: Name of the API key of the client, or its address.
        """
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, key=self._salt).digest(), "little") or 1

    def lock(self, key: int) -> bool:
        """Lock the set of a client. If a stopped process holds the lock, go on without: one request may then not be counted.

        Args:
            key: Hash of the client.

        Returns:
            Whether the set is locked, and needs `unlock`.
        """
        number = key % _SETS
        deadline: float | None = None
        while True:
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
                return True
            except OSError:
                now = time.monotonic()
                deadline = deadline or now + _LOCK_SECONDS
                if now > deadline:
                    return False
                select.select([], [], [], _PAUSE_SECONDS)

    def unlock(self, key: int) -> None:
        """Unlock the set of a client.

        Args:
            key: Hash of the client.
        """
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, key % _SETS)

    def find(self, key: int, sizes: tuple[float, float]) -> int:
        """Return the index of a client's first field; add the client if its set does not contain it. Lock the set first.

        Args:
            key: Hash of the client.
            sizes: Sizes of the two buckets, for a new client.
        """
        keys, values = self.keys, self.values
        first = key % _SETS * _WAYS * _FIELDS
        entries = range(first, first + _WAYS * _FIELDS, _FIELDS)
        for entry in entries:
            if keys[entry] == key:
                return entry
        entry = min(entries, key=lambda entry: values[entry + _USED] if keys[entry] else 0.0)
        now = self.clock()
        keys[entry] = key
        values[entry + _USED] = now
        for bucket, size in enumerate(sizes):
            values[entry + _BUCKETS + 2 * bucket] = size
            values[entry + _BUCKETS + 2 * bucket + 1] = now
        return entry


class SharedBucket:
    """A token bucket in the table: holds at most `size` tokens, and gains `rate` tokens per second.

    Attributes:
        size: Maximum number of tokens.
    """

    __slots__ = ("_key", "_offset", "_rate", "_sizes", "_table", "size")

    def __init__(self, table: SharedTable, key: int, number: int, rate: float, sizes: tuple[float, float]) -> None:
        """
        Args:
            table: The table.
            key: Hash of the client.
            number: Number of the bucket, 0 or 1.
            rate: Tokens per second.
            sizes: Sizes of both buckets of the client.
        """
        self.size = sizes[number]
        self._table = table
        self._key = key
        self._offset = _BUCKETS + 2 * number
        self._rate = rate
        self._sizes = sizes

    def consume(self, tokens: float) -> float:
        """Remove tokens, if the bucket holds enough.

        Args:
            tokens: Number of tokens.

        Returns:
            0 if the tokens were removed; otherwise as `Bucket.consume`.
        """
        table, key = self._table, self._key
        is_locked = table.lock(key)
        try:
            entry = table.find(key, self._sizes)
            values, index = table.values, entry + self._offset
            now = table.clock()
            values[index], wait = spend(values[index], now - values[index + 1], self._rate, self.size, tokens)
            values[index + 1] = values[entry + _USED] = now
            return wait
        finally:
            if is_locked:
                table.unlock(key)

    def refund(self, tokens: float) -> None:
        """Return tokens that were removed.

        Args:
            tokens: Number of tokens.
        """
        table, key = self._table, self._key
        is_locked = table.lock(key)
        try:
            values, index = table.values, table.find(key, self._sizes) + self._offset
            values[index] = min(self.size, values[index] + tokens)
        finally:
            if is_locked:
                table.unlock(key)
