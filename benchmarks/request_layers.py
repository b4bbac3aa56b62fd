"""CPU time of one image over HTTP, layer by layer, at 1, 16 and 64 connections. Requires wrk.

python -m benchmarks.request_layers

The rows of a process without HTTP run batches of as many images as there are connections. The last row is the CPU time of a
server under the closed-loop load of `benchmarks/serving.py`, where the batches can be smaller.
"""

import argparse
import asyncio
import hashlib
import os
import platform
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()  # as in a worker; the metrics module reads it on import

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.closed_loop import closed_loop
from benchmarks.servers import running, seedmint
from seedmint.service.batching.batcher import Batcher
from seedmint.service.encoders.images import encode, text_of
from seedmint.service.runtime.generator import Generator, open_generator
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext

_MODEL = Path(__file__).parent.parent / "models" / "mnist-paper.onnx"
_RESULT = Path(__file__).parent / "results" / "request_layers.txt"
_CONNECTIONS = (1, 16, 64)
_IMAGES = 1024  # of one round, for each row of a process without HTTP


def _png(generator: Generator, seed: int, image: NDArray[np.uint8]) -> bytes:
    return encode(image, "png", text_of(generator, seed, None, 1.0))


def _layers(generator: Generator, loop: asyncio.Runner, batcher: Batcher, size: int) -> dict[str, Callable[[range], object]]:
    """Return for each layer a function that makes batches of `size` images from their first seeds."""
    z = generator.noise(np.arange(size))

    def runs(firsts: range) -> None:
        for _ in firsts:
            generator.generate_from(z, None)

    def images(firsts: range) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for first in firsts:
            yield first, np.asarray(generator.generate(np.arange(first, first + size)))

    def encoded(firsts: range) -> None:
        for first, batch in images(firsts):
            for i, image in enumerate(batch):
                _png(generator, first + i, image)

    async def submitted(firsts: range) -> None:
        def finish(seed: int) -> Callable[[NDArray[np.uint8], object], bytes]:
            return lambda image, _: _png(generator, seed, image[0])

        for first in firsts:
            await asyncio.gather(*(batcher.submit(seed, None, 1.0, finish(seed)) for seed in range(first, first + size)))

    return {
        "ONNX Runtime": runs,
        "noise of the seed": lambda firsts: deque(images(firsts), maxlen=0),
        "PNG": encoded,
        "batcher: queue, futures, metrics": lambda firsts: loop.run(submitted(firsts)),
    }


def _in_process(rounds: int) -> dict[str, dict[int, float]]:
    """Return the CPU time in microseconds for each layer and batch size. Each layer includes the layers before it."""
    generator = open_generator(_MODEL)
    REQUEST_CONTEXT.set(RequestContext(b"benchmark"))
    found: dict[str, dict[int, float]] = {}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        batcher = Batcher(generator, 4096)
        for size in _CONNECTIONS:
            layers = _layers(generator, loop, batcher, size)
            times: dict[str, list[float]] = {name: [] for name in layers}
            for turn in range(rounds + 1):
                for name in layers if turn % 2 else reversed(layers):
                    began = time.process_time()
                    layers[name](range(turn * _IMAGES, (turn + 1) * _IMAGES, size))
                    if turn:
                        times[name].append((time.process_time() - began) / _IMAGES * 1e6)
            for name, values in times.items():
                found.setdefault(name, {})[size] = statistics.median(values)
        loop.run(batcher.close())
    return found


def _over_http(rounds: int, seconds: int) -> dict[int, float]:
    """Return the CPU time of the server per request in microseconds, for each number of connections."""
    path = f"/v1/models/{_MODEL.stem}@{hashlib.sha256(_MODEL.read_bytes()).hexdigest()[:12]}/images/SEED.png"
    times: dict[int, list[float]] = {connections: [] for connections in _CONNECTIONS}
    with running(seedmint(path), _MODEL, path) as server:
        for turn in range(rounds + 1):
            for connections in _CONNECTIONS:
                figures = closed_loop(server, connections, seconds)
                if turn:
                    times[connections].append(figures["cpu"])
    return {connections: statistics.median(values) for connections, values in times.items()}


def _table(found: dict[str, dict[int, float]]) -> Iterator[str]:
    yield f"{'layer':42}" + "".join(f"{connections:>9}" for connections in _CONNECTIONS)
    before = dict.fromkeys(_CONNECTIONS, 0.0)
    for name, times in found.items():
        yield f"{name:42}" + "".join(f"{times[connections] - before[connections]:9.1f}" for connections in _CONNECTIONS)
        before = times
    yield f"{'all':42}" + "".join(f"{before[connections]:9.1f}" for connections in _CONNECTIONS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="number of rounds (default 9)")
    parser.add_argument("--seconds", type=int, default=1, help="duration of one load in seconds (default 1)")
    options = parser.parse_args()
    lines = [
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, load average "
        f"{os.getloadavg()[0]:.1f}",
        f"CPU time of one image in µs at 1, 16 and 64 connections; medians of {options.rounds} rounds; one thread",
        "",
    ]
    layers = _in_process(options.rounds)
    layers["HTTP: sockets, protocol, event loop"] = _over_http(options.rounds, options.seconds)
    lines += _table(layers)
    text = "\n".join(lines)
    print(text)
    _RESULT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
