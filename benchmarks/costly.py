"""Costly generators in service: latency, throughput, refusals and the honesty of `Retry-After` and deadlines.

python -m benchmarks.costly > benchmarks/results/costly.txt

Makes ONNX files of the cost of known networks, imports them with `seedmint models add`, and serves each one on two threads.
Clients without think time request images; a refused client waits for `Retry-After` seconds, as the server asks.
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
SECONDS = 60.0
READY_SECONDS = 300.0
THREADS = 2
# name -> sides of the feature maps, channels of each, 3x3 convolutions at each
NETWORKS = {
    "256x256": (((16, 384), (32, 320), (64, 224), (128, 112), (256, 72)), 2),
    "1024x1024": (((64, 256), (128, 160), (256, 104), (512, 60), (1024, 40)), 2),
}


@dataclass
class Measured:
    """What the clients saw.

    Attributes:
        latencies: Seconds of each image.
        refused: For each refusal, the status.
        promised: For each refused client, the seconds of `Retry-After`, and whether the next request succeeded.
    """

    latencies: list[float] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    promised: list[tuple[int, bool]] = field(default_factory=list)


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
            kernel = random.randn(channels, before, 3, 3).astype(np.float32) / np.sqrt(9 * before / 2)
            weights.append(numpy_helper.from_array(kernel, f"w{name}"))
            nodes.append(helper.make_node("Conv", [tensor, f"w{name}"], [name], pads=[1] * 4))
            nodes.append(helper.make_node("LeakyRelu", [name], [f"r{name}"], alpha=0.2))
            macs += side * side * channels * before * 9
            tensor, before = f"r{name}", channels
    weights.append(numpy_helper.from_array(random.randn(3, before, 1, 1).astype(np.float32) / np.sqrt(before), "w1"))
    nodes += [helper.make_node("Conv", [tensor, "w1"], ["rgb"]), helper.make_node("Tanh", ["rgb"], ["image"])]
    graph = helper.make_graph(
        nodes,
        "costly",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, side, side])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), macs / 1e9


def client(url: str, first_seed: int, until: float, measured: Measured, lock: threading.Lock) -> None:
    """Request images until a time. After a refusal, wait as long as the server asks.

    Args:
        url: URL of the images, up to the seed.
        first_seed: First seed of this client.
        until: End, in seconds of `time.monotonic`.
        measured: Receives the results.
        lock: Guards `measured`.
    """
    seed, waited = first_seed, None
    while time.monotonic() < until:
        started = time.perf_counter()
        try:
            with urllib.request.urlopen(f"{url}{seed}.png", timeout=120) as answer:
                answer.read()
            status, retry = 200, 0
        except urllib.error.HTTPError as error:
            status, retry = error.code, int(error.headers.get("Retry-After", "0"))
        with lock:
            if waited is not None:
                measured.promised.append((waited, status == 200))
            waited = None
            if status == 200:
                measured.latencies.append(time.perf_counter() - started)
            else:
                measured.refused[status] += 1
        seed += 1
        if retry:
            waited = retry
            time.sleep(retry)


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
        with running(seedmint(path + "0.png"), target / "costly.onnx", path + "0.png", READY_SECONDS) as server:
            measured, lock = Measured(), threading.Lock()
            until = time.monotonic() + SECONDS
            url = f"http://127.0.0.1:{server.port}{path}"
            threads = [threading.Thread(target=client, args=(url, 1 + i * 1000, until, measured, lock)) for i in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    latencies = sorted(measured.latencies)
    kept = sum(succeeded for _, succeeded in measured.promised)
    return [
        f"{name} ({macs:.0f} GMAC an image)",
        f"  import {import_seconds:.0f} s; largest batch on the card: {card['card']['max_batch']}",
        f"  {len(latencies)} images in {SECONDS:.0f} s: {len(latencies) / SECONDS:.2f} images/s",
        f"  latency: median {latencies[len(latencies) // 2]:.1f} s, longest {latencies[-1]:.1f} s",
        f"  refused: {dict(measured.refused) or 'none'}; after Retry-After {kept} of {len(measured.promised)} succeeded",
    ]


def main() -> None:
    """Print the table."""
    print(f"{CLIENTS} clients for {SECONDS:.0f} s, {THREADS} threads, {os.cpu_count()} processors")
    for name, (sides, convolutions) in NETWORKS.items():
        model, macs = network(sides, convolutions)
        for line in measure(name, model, macs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
