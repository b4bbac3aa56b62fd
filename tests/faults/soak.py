"""A soak test: sends requests of all kinds for a long time, and measures the growth of memory.

    python -m tests.faults.soak --minutes 60

Each round requests images, bulk responses of each format, invalid URLs and probes, and closes one connection before the end
of its response. Every 50th round replaces a generator. Memory is measured after a warm-up time. The exit status is 1 if
memory grows faster than the limit, or if a response has an unexpected status.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import httpx

from seedmint.models.card import ImageOutput
from tests.support import generators
from tests.support.memory import Memory
from tests.support.servers import Server, serving

WARM_UP = 0.3  # share of the time
MAX_MIB_PER_HOUR = 60.0
MAX_GROWTH_MIB = 24.0
_MINUTES = 10.0


def soak(minutes: float) -> tuple[Memory, int, int]:
    """Run the soak test.

    Args:
        minutes: Duration.

    Returns:
        The measured memory, the number of requests, and the number of responses with an unexpected status.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        generators.write(directory, "grey", 1)
        generators.write(directory, "rgb", 2, classes=("a", "b"), output=ImageOutput(height=32, width=32, channels=3))
        with serving(directory) as server, Memory(server) as memory:
            is_warm = False
            requests = unexpected = rounds = 0
            start = time.monotonic()
            while (elapsed := time.monotonic() - start) < minutes * 60:
                if not is_warm and elapsed > WARM_UP * minutes * 60:
                    memory.begin()
                    is_warm = True
                outcomes = _send_round(server, rounds)
                requests, unexpected, rounds = requests + len(outcomes), unexpected + outcomes.count(False), rounds + 1
                if rounds % 50 == 0:
                    generators.write(directory, "grey", rounds % 7)
        return memory, requests, unexpected


def _send_round(server: Server, number: int) -> list[bool]:
    """Send one request of each kind. Return whether each response has the expected status."""
    client = server.client
    outcomes = []
    expected = {
        f"{server.pinned('rgb')}/{number}.png?scale=2": 200,
        f"{server.pinned('rgb')}/{number}.webp": 200,
        f"{server.pinned('grey')}/{number}.npy": 200,
        f"/v1/models/grey/images/{number}.png": 307,
        f"/v1/models/none-{number}": 404,
        f"/scan/{number}.php": 404,
        f"{server.pinned('rgb')}/{1 << 63}.png": 422,
        "/readyz": 200,
    }
    for path, status in expected.items():
        outcomes.append(client.get(path).status_code == status)
    for form in ("zip", "npz", "npy"):
        body = {"model": "rgb", "seeds": f"{number}-{number + 499}", "format": form}
        outcomes.append(client.post("/v1/sample", json=body).status_code == 200)
    outcomes.append(client.post("/sample", json={"model": "rgb", "seeds": [-1]}).status_code == 422)
    with httpx.stream("POST", f"{server.url}/v1/sample", json={"model": "rgb", "seeds": "0-9999"}) as unread:
        outcomes.append(unread.status_code in (200, 429))  # the connection is closed before the end of the response
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=_MINUTES)
    minutes = parser.parse_args().minutes
    memory, requests, unexpected = soak(minutes)
    print(f"{requests} requests in {minutes:g} minutes, {unexpected} responses with an unexpected status")
    print(
        f"memory: {memory.slope():+.1f} MiB per hour, {memory.grown():.1f} MiB in total (limit {MAX_MIB_PER_HOUR:g} per hour)"
    )
    sys.exit(int(unexpected > 0 or (memory.slope() > MAX_MIB_PER_HOUR and memory.grown() > MAX_GROWTH_MIB)))


if __name__ == "__main__":
    main()
