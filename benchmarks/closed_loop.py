"""Closed-loop load by wrk: each connection sends its next request when it has received a response.

A slow response delays the next request, and no latency contains this delay. Therefore compare rates; compare latencies only
at the same number of connections. `benchmarks/open_loop.py` measures latencies that contain the delay.
"""

import itertools
import subprocess
from pathlib import Path

from benchmarks.servers import Running

SEEDS = itertools.count(1_000_000, 10_000_000)  # first seed of each load; no image is requested twice

_LUA = Path(__file__).parent / "seeds.lua"


def closed_loop(server: Running, connections: int, seconds: float, etag: str = "-") -> dict[str, float]:
    """Run one load.

    Args:
        server: The server.
        connections: Number of connections.
        seconds: Duration of the load, a whole number of seconds.
        etag: Value of If-None-Match, or "-" for none.

    Returns:
        rate: requests per second. p50, p99 and p99.9: latencies in ms. cpu: CPU time of the server per request in µs.
        failed: number of failures.
    """
    peer = server.peer
    before = server.cpu_seconds()
    load = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(_LUA), f"http://127.0.0.1:{server.port}", "--"]
    arguments = [peer.method, peer.path, peer.body or "-", str(next(SEEDS)), etag]
    output = subprocess.run([*load, *arguments], capture_output=True, text=True, check=True).stdout
    line = next(line for line in output.splitlines() if line.startswith("RESULT"))
    requests, duration, p50, p99, status, failed, p999 = (int(word) for word in line.split()[1:])
    return {
        "rate": requests / duration * 1e6,
        "p50": p50 / 1000,
        "p99": p99 / 1000,
        "p99.9": p999 / 1000,
        "cpu": (server.cpu_seconds() - before) / max(1, requests) * 1e6,
        "failed": status + failed,
    }
