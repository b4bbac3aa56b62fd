"""Maps a function over images in threads, in order and with bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_WAITING = 4  # items for each thread


def ordered_map(function: Callable[[_In], _Out], items: Iterable[_In], threads: int) -> Iterator[_Out]:
    """Yield the results in the order of the items. At most a few items are in memory.

    Pillow decodes and resizes without Python's global lock, so threads use all processors.

    Args:
        function: Called in a thread for each item.
        items: Taken one after another in the calling thread.
        threads: Number of threads; it does not change the results.
    """
    pending: deque[Future[_Out]] = deque()
    with ThreadPoolExecutor(threads, "decode") as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= _WAITING * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
