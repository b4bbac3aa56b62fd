"""A soak: everything that the service does, again and again, and the slope of its memory.

    python -m tests.faults.soak --minutes 60

Each turn asks for images, bulk answers of every kind, wrong things and probes, leaves early, and replaces a generator at times.
The first part of the time warms up. Exit status 1 where memory grows faster than the limit, or an answer is not as it must be.
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

WARM_UP = 0.3  # of the time
MIB_AN_HOUR = 60.0
MOST_MIB = 24.0
_MINUTES = 10.0


def soak(minutes: float) -> tuple[Memory, int, int]:
    """Returns what memory did, how many requests there were, and how many were not answered as they must be."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        generators.write(directory, "grey", 1)
        generators.write(directory, "rgb", 2, classes=("a", "b"), output=ImageOutput(height=32, width=32, channels=3))
        with serving(directory) as server, Memory(server) as memory:
            begun = False
            asked = wrong = turn = 0
            start = time.monotonic()
            while (gone := time.monotonic() - start) < minutes * 60:
                if not begun and gone > WARM_UP * minutes * 60:
                    memory.begin()
                    begun = True
                outcomes = _turn(server, turn)
                asked, wrong, turn = asked + len(outcomes), wrong + outcomes.count(False), turn + 1
                if turn % 50 == 0:
                    generators.write(directory, "grey", turn % 7)
        return memory, asked, wrong


def _turn(server: Server, turn: int) -> list[bool]:
    """One of everything. Whether each was answered as it must be."""
    client = server.client
    outcomes = []
    expected = {
        f"{server.pinned('rgb')}/{turn}.png?scale=2": 200,
        f"{server.pinned('rgb')}/{turn}.webp": 200,
        f"{server.pinned('grey')}/{turn}.npy": 200,
        f"/v1/models/grey/images/{turn}.png": 307,
        f"/v1/models/none-{turn}": 404,
        f"/scan/{turn}.php": 404,
        f"{server.pinned('rgb')}/{1 << 63}.png": 422,
        "/readyz": 200,
    }
    for path, status in expected.items():
        outcomes.append(client.get(path).status_code == status)
    for form in ("zip", "npz", "npy"):
        body = {"model": "rgb", "seeds": f"{turn}-{turn + 499}", "format": form}
        outcomes.append(client.post("/v1/sample", json=body).status_code == 200)
    outcomes.append(client.post("/sample", json={"model": "rgb", "seeds": [-1]}).status_code == 422)
    with httpx.stream("POST", f"{server.url}/v1/sample", json={"model": "rgb", "seeds": "0-9999"}) as left:
        outcomes.append(left.status_code in (200, 429))  # and leave
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=_MINUTES)
    minutes = parser.parse_args().minutes
    memory, asked, wrong = soak(minutes)
    print(f"{asked} requests in {minutes:g} minutes, {wrong} not answered as they must be")
    print(
        f"memory: {memory.slope():+.1f} MiB an hour at the end, {memory.grown():.1f} MiB in all (limit {MIB_AN_HOUR:g} an hour)"
    )
    sys.exit(int(wrong > 0 or (memory.slope() > MIB_AN_HOUR and memory.grown() > MOST_MIB)))


if __name__ == "__main__":
    main()
