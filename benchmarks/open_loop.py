"""Open-loop load: requests start at fixed times, even if earlier requests are still in flight.

The latency therefore includes the queue time that slow responses cause.
"""

import asyncio
import time
from collections.abc import Callable

import aiohttp

Request = tuple[str, str, str | None]  # method, URL, body


async def _run(request: Callable[[int], Request], rate: float, seconds: float) -> tuple[list[float], int]:
    latencies: list[float] = []
    failed = 0

    async def send(number: int, due: float) -> None:
        nonlocal failed
        method, url, body = request(number)
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            async with session.request(method, url, data=body, headers=headers) as response:
                await response.read()
                succeeded = response.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            succeeded = False
        if succeeded:
            latencies.append(time.monotonic() - due)
        else:
            failed += 1

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        began = time.monotonic()
        tasks = []
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.append(asyncio.create_task(send(number, due)))
        await asyncio.gather(*tasks)
    return latencies, failed


def open_loop(request: Callable[[int], Request], rate: float, seconds: float) -> tuple[list[float], int]:
    """Send requests at a constant rate.

    Args:
        request: Returns the method, URL and body of request number i.
        rate: Requests per second.
        seconds: Duration of the load in seconds.

    Returns:
        The latency of each successful request in seconds, from its scheduled start, and the number of failed requests.
    """
    return asyncio.run(_run(request, rate, seconds))
