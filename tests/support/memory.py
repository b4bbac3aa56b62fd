"""Measures the memory of a server over time."""

import threading
import time

import numpy as np

from tests.support.servers import Server

_SECONDS = 0.2


class Memory:
    """Measures the resident memory of a server several times per second while the block runs."""

    def __init__(self, server: Server) -> None:
        """
        Args:
            server: The server.
        """
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._measure)
        self._samples: list[tuple[float, float]] = []  # seconds, MiB

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def begin(self) -> None:
        """Discard earlier measurements. Call this method after the warm-up of the server."""
        self._samples = [(time.monotonic(), self._server.memory())]

    def grown(self) -> float:
        """Return the difference between the maximum and the first measurement, in MiB."""
        return max(size for _, size in self._samples) - self._samples[0][1]

    def last(self) -> float:
        """Return the difference between the memory now and the first measurement, in MiB. Negative if memory was released."""
        return self._server.memory() - self._samples[0][1]

    def slope(self) -> float:
        """Return the slope of the linear regression of the memory, in MiB per hour."""
        seconds, sizes = np.array(self._samples).T
        return float(np.polyfit(seconds - seconds[0], sizes, 1)[0] * 3600)

    def _measure(self) -> None:
        while not self._end.wait(_SECONDS):
            self._samples.append((time.monotonic(), self._server.memory()))
