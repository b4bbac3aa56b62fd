"""Time of a bulk response compared with a plain ONNX Runtime loop, and the time that each layer of the service adds.

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

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()  # as in a worker; the metrics module reads it on import

import uvloop

from benchmarks.bulk import ROUNDS, SEEDS, alternated, bulk_table, figures, loops, ratio, request_bulk
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
    """Yield the lines of a table with the time of each layer between the plain loop and an npy response.

    Args:
        model: The generator file.
        path: The pinned path of an image.
        rounds: The number of rounds.
    """
    arrays, _ = loops(model)
    generator = open_generator(model)
    seeds = Seeds((range(SEEDS),))
    REQUEST_CONTEXT.set(RequestContext(b"benchmark"))

    def generated() -> None:
        for part, labels in pieces(generator, seeds, None):
            generator.generate(part, labels)

    async def batched(batcher: Batcher) -> None:
        submitted = (batcher.submit_piece(*piece, 1.0) for piece in pieces(generator, seeds, None))
        pending = deque(islice(submitted, 2))
        while pending:
            await pending.popleft()
            pending.extend(islice(submitted, 1))

    async def streamed(served: Served) -> None:
        parts = ((*piece, None) for piece in pieces(generator, seeds, None))
        writer = archive_writer("npy", generator, SEEDS, 1.0)
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
            "plain ONNX Runtime loop": arrays,
            "generator: checks": generated,
            "batcher: thread, queue, metrics": lambda: on_loop(lambda: batched(batcher)),
            "stream: bulk slots, npy": lambda: on_loop(lambda: streamed(Served(generator, batcher))),
            "HTTP to a local client": lambda: request_bulk(ours, model.stem, "npy"),
        }
        times = alternated(works, rounds, {list(works)[-1]: ours})
        loop.run(batcher.close())
    yield f"layers of an npy response of {SEEDS:,} images; each row includes the rows above; medians of {rounds} rounds"
    yield f"{'':42}{'ms':>10}{'CPU ms':>8}{'relative speed':>20}"
    for name, layer_times in times.items():
        speed, cpu = figures(layer_times)
        yield f"{name:42}{SEEDS / speed * 1000:10.1f}{cpu:8.1f}{ratio(times, name, next(iter(times))):20.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"number of rounds (default {ROUNDS})")
    rounds = parser.parse_args().rounds
    path = f"/v1/models/{_MODEL.stem}@{hashlib.sha256(_MODEL.read_bytes()).hexdigest()[:12]}/images/SEED.png"
    lines = [
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, load average "
        f"{os.getloadavg()[0]:.1f}",
        "a generator of 100-1200-1200-784, one thread, client on the same CPUs",
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
