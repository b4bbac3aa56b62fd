"""A bulk answer beside a loop of ONNX Runtime alone, and what each layer of the service adds to the loop.

python -m benchmarks.layers
"""

import argparse
import asyncio
import hashlib
import os
import platform
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()  # as in a worker: read when the service's metrics are made

import uvloop

from benchmarks.bulk import ROUNDS, SEEDS, alternated, ask, bulk_table, figures, loops, ratio
from benchmarks.servers import running, seedmint
from seedmint.models.seeds import Seeds
from seedmint.service.api.bulk_samples import stream
from seedmint.service.batching.batcher import Batcher
from seedmint.service.batching.model_repository import Served
from seedmint.service.encoders.archives import archive_writer
from seedmint.service.runtime.generator import open_generator
from seedmint.service.runtime.pieces import pieces
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext

_MODEL = Path(__file__).parent.parent / "models" / "mnist-paper.onnx"
_RESULT = Path(__file__).parent / "results" / "bulk.txt"


def layers_table(model: Path, path: str, rounds: int = ROUNDS) -> Iterator[str]:
    """Lines: what each layer between the loop and an npy answer adds to its time."""
    arrays, _ = loops(model)
    generator = open_generator(model)
    seeds = Seeds((range(SEEDS),))
    REQUEST_CONTEXT.set(RequestContext(b"benchmark"))

    def generated() -> None:
        for part, labels in pieces(generator, seeds, None):
            generator.generate(part, labels)

    async def batched(batcher: Batcher) -> None:
        asked = (batcher.submit_piece(*piece, 1.0) for piece in pieces(generator, seeds, None))
        making = deque(islice(asked, 2))
        while making:
            await making.popleft()
            making.extend(islice(asked, 1))

    async def streamed(served: Served) -> None:
        parts, writer = pieces(generator, seeds, None), archive_writer("npy", generator, SEEDS, 1.0)
        async for _ in stream(served, parts, writer, 1.0, "npy"):
            pass

    with ExitStack() as stack:
        loop = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        ours = stack.enter_context(running(seedmint(path), model, path))
        batcher = Batcher(generator, 1024)

        def on_loop(work: Callable[[], Awaitable[None]]) -> None:
            async def main() -> None:
                await work()

            loop.run(main())

        works: dict[str, Callable[[], None]] = {
            "a loop of ONNX Runtime": arrays,
            "the generator: checks": generated,
            "its batcher: a thread, turns, metrics": lambda: on_loop(lambda: batched(batcher)),
            "the stream: places, npy": lambda: on_loop(lambda: streamed(Served(generator, batcher))),
            "HTTP, to a client on the same machine": lambda: ask(ours, model.stem, "npy"),
        }
        times = alternated(works, rounds, {list(works)[-1]: ours})
        loop.run(batcher.close())
    yield f"the layers of an npy answer of {SEEDS:,} images, each with those above it, medians of {rounds} rounds"
    yield f"{'':42}{'ms':>10}{'CPU ms':>8}{'of the loop speed':>20}"
    for name, its in times.items():
        speed, cpu = figures(its)
        yield f"{name:42}{SEEDS / speed * 1000:10.1f}{cpu:8.1f}{ratio(times, name, next(iter(times))):20.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns of every work (default {ROUNDS})")
    rounds = parser.parse_args().rounds
    path = f"/v1/models/{_MODEL.stem}@{hashlib.sha256(_MODEL.read_bytes()).hexdigest()[:12]}/images/SEED.png"
    lines = [
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, load average "
        f"{os.getloadavg()[0]:.1f}",
        "a generator of 100-1200-1200-784, one thread, the client on the same processors",
        "",
        *bulk_table(_MODEL, path, rounds),
        "",
        *layers_table(_MODEL, path, rounds),
    ]
    text = "\n".join(lines)
    print(text)
    _RESULT.write_text(text + "\n")


if __name__ == "__main__":
    main()
