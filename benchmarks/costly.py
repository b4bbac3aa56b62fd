"""Costly generators in service: latency, throughput, refusals and the honesty of `Retry-After` and deadlines.

python -m benchmarks.costly > benchmarks/results/costly.txt

Makes ONNX files of the cost of known networks, imports them with `seedmint models add`, and serves each one on two threads.
Bursts of clients request one image each; a refused client waits for `Retry-After` seconds, and requests again.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.servers import running, seedmint

CLIENTS = 6
BURSTS = 4
MAX_ATTEMPTS = 10
READY_SECONDS = 300.0
THREADS = 2
# name -> sides of the feature maps, channels of each, 3x3 convolutions at each
NETWORKS = {
    "256x256": (((16, 384), (32, 320), (64, 224), (128, 112), (256, 72)), 2),
    "1024x1024": (((64, 256), (128, 160), (256, 104), (512, 60), (1024, 40)), 2),
}


@dataclass
class Measured:
    """Results of the clients.

    Attributes:
        latencies: Seconds of each image, without the time before a refusal.
        refused: Number of refusals, by status.
        attempts: For each image, the number of requests until the image came.
    """

    latencies: list[float] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    attempts: list[int] = field(default_factory=list)


def network(sides: tuple[tuple[int, int], ...], convolutions: int) -> tuple[onnx.ModelProto, float]:
    """Return a generator of upsampling and 3x3 convolutions, and its multiply-adds for one image.

    Args:
        sides: Side and channels of each resolution.
        convolutions: Convolutions at each resolution.
    """
    random = np.random.RandomState(0)
    nodes, weights, macs = [], [], 0
    side, channels = sides[0]
    weights += [numpy_helper.from_array(random.randn(64, channels).astype(np.float32), "w0")]
    weights += [numpy_helper.from_array(np.array([-1, channels, 1, 1], np.int64), "shape0")]
    weights += [numpy_helper.from_array(np.array([1, 1, side, side], np.int64), "tile0")]
    nodes += [helper.make_node("MatMul", ["z", "w0"], ["h0"]), helper.make_node("Reshape", ["h0", "shape0"], ["m0"])]
    nodes += [helper.make_node("Expand", ["m0", "tile0"], ["x"])]
    tensor, before = "x", channels
    for side, channels in sides:
        if side != sides[0][0]:
            weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), f"scale{side}"))
            nodes.append(helper.make_node("Resize", [tensor, "", f"scale{side}"], [f"up{side}"], mode="nearest"))
            tensor = f"up{side}"
        for i in range(convolutions):
            name = f"c{side}_{i}"
            kernel = random.randn(channels, before, 3, 3).astype(np.float32) * np.float32((9 * before / 2) ** -0.5)
            weights.append(numpy_helper.from_array(kernel, f"w{name}"))
            nodes.append(helper.make_node("Conv", [tensor, f"w{name}"], [name], pads=[1] * 4))
            nodes.append(helper.make_node("LeakyRelu", [name], [f"r{name}"], alpha=0.2))
            macs += side * side * channels * before * 9
            tensor, before = f"r{name}", channels
    weights.append(numpy_helper.from_array(random.randn(3, before, 1, 1).astype(np.float32) * np.float32(before**-0.5), "w1"))
    nodes += [helper.make_node("Conv", [tensor, "w1"], ["rgb"]), helper.make_node("Tanh", ["rgb"], ["image"])]
    graph = helper.make_graph(
        nodes,
        "costly",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, side, side])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), macs / 1e9


def client(url: str, seed: int, measured: Measured, lock: threading.Lock) -> None:
    """Request one image. After a refusal, wait as long as the server asks, and try again.

    Args:
        url: URL of the images, up to the seed.
        seed: The seed.
        measured: Receives the results.
        lock: Guards `measured`.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        started = time.perf_counter()
        try:
            with urllib.request.urlopen(f"{url}{seed}.png", timeout=120) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            with lock:
                measured.refused[error.code] += 1
            time.sleep(int(error.headers.get("Retry-After", "1")))
            continue
        with lock:
            measured.latencies.append(time.perf_counter() - started)
            measured.attempts.append(attempt)
        return


def measure(name: str, model: onnx.ModelProto, macs: float) -> list[str]:
    """Import a network, serve it, and return lines with the results.

    Args:
        name: Name of the network.
        model: The network.
        macs: Multiply-adds of one image, in 10^9.
    """
    environment = os.environ | {"SEEDMINT_THREADS": str(THREADS)}
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / "costly.onnx")
        target = Path(folder) / "models"
        target.mkdir()
        command = [
            sys.executable,
            "-m",
            "seedmint",
            "models",
            "add",
            str(Path(folder) / "costly.onnx"),
            "--models",
            str(target),
        ]
        started = time.perf_counter()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        import_seconds = time.perf_counter() - started
        show = [sys.executable, "-m", "seedmint", "models", "show", "costly", "--json", "--models", str(target)]
        card = json.loads(subprocess.run(show, env=environment, check=True, capture_output=True).stdout)
        path = f"/v1/models/costly@{card['digest'][:12]}/images/"
        os.environ["SEEDMINT_THREADS"] = str(THREADS)
        with running(seedmint(path + "SEED.png"), target / "costly.onnx", "/readyz", READY_SECONDS) as server:
            measured, lock = Measured(), threading.Lock()
            url = f"http://127.0.0.1:{server.port}{path}"
            started = time.perf_counter()
            for burst in range(BURSTS):
                seeds = range(1 + burst * CLIENTS, 1 + (burst + 1) * CLIENTS)
                threads = [threading.Thread(target=client, args=(url, seed, measured, lock)) for seed in seeds]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            seconds = time.perf_counter() - started
    latencies = sorted(measured.latencies)
    attempts = dict(sorted(Counter(measured.attempts).items()))
    return [
        f"{name} ({macs:.0f} GMAC an image)",
        f"  import {import_seconds:.0f} s; largest batch on the card: {card['card']['max_batch']}",
        f"  {len(latencies)} of {BURSTS * CLIENTS} images in {seconds:.0f} s: {len(latencies) / seconds:.2f} images/s",
        f"  time of an accepted request: median {latencies[len(latencies) // 2]:.1f} s, longest {latencies[-1]:.1f} s",
        f"  refused: {dict(measured.refused) or 'none'}; requests until the image came -> images: {attempts}",
    ]


def main() -> None:
    """Print the table."""
    print(
        f"{BURSTS} bursts of {CLIENTS} clients, {THREADS} threads, {os.cpu_count()} processors, load {os.getloadavg()[0]:.0f}"
    )
    for name, (sides, convolutions) in NETWORKS.items():
        model, macs = network(sides, convolutions)
        for line in measure(name, model, macs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
