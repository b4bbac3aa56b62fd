"""The memory of a server over time: how much it grew, and how steadily."""

import threading
import time

import numpy as np

from tests.support.servers import Server

_SECONDS = 0.2


class Memory:
    """Looks at a server's resident memory from time to time, for as long as its block lasts."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._looks: list[tuple[float, float]] = []  # seconds, MiB

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def begin(self) -> None:
        """Forget what was before: the server is warm now."""
        self._looks = [(time.monotonic(), self._server.memory())]

    def grown(self) -> float:
        """MiB from the beginning to the highest."""
        return max(size for _, size in self._looks) - self._looks[0][1]

    def last(self) -> float:
        """MiB from the beginning to now; less than nothing where memory was given back."""
        return self._server.memory() - self._looks[0][1]

    def slope(self) -> float:
        """MiB an hour, of the straight line that fits best."""
        seconds, sizes = np.array(self._looks).T
        return float(np.polyfit(seconds - seconds[0], sizes, 1)[0] * 3600)

    def _look(self) -> None:
        while not self._end.wait(_SECONDS):
            self._looks.append((time.monotonic(), self._server.memory()))
