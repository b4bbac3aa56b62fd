"""Requests that begin by the clock, whether those before were answered or not: what a slow answer makes wait counts, too."""

import asyncio
import time
from collections.abc import Callable

import aiohttp

Asked = tuple[str, str, str | None]  # method, URL, body


async def _run(request: Callable[[int], Asked], rate: float, seconds: float) -> tuple[list[float], int]:
    waited: list[float] = []
    failed = 0

    async def ask(number: int, due: float) -> None:
        nonlocal failed
        method, url, body = request(number)
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            async with session.request(method, url, data=body, headers=headers) as answer:
                await answer.read()
                good = answer.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            good = False
        if good:
            waited.append(time.monotonic() - due)
        else:
            failed += 1

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        began = time.monotonic()
        tasks = []
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.append(asyncio.create_task(ask(number, due)))
        await asyncio.gather(*tasks)
    return waited, failed


def open_loop(request: Callable[[int], Asked], rate: float, seconds: float) -> tuple[list[float], int]:
    """Seconds from when each request was due until it was answered, and how many failed.

    Args:
        request: method, URL and body of request number i.
        rate: requests a second.
    """
    return asyncio.run(_run(request, rate, seconds))
