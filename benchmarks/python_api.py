"""Compares the Python API with a loop of ONNX Runtime and NumPy, on blocks of 1,024 seeds.

    python benchmarks/python_api.py [GENERATOR...]

The loop draws noise and labels with NumPy's generator of random numbers and calls ONNX Runtime. Both use one CPU thread, and
each round measures the CPU time of both, so that neither other processes nor the speed of the machine matter.
"""

import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

import seedmint

_SEEDS = 1024
_ROUNDS = 41
_MAX_SECONDS = 20.0  # for each generator


def _loop(session: ort.InferenceSession, generator: seedmint.Generator, random: np.random.Generator) -> None:
    inputs: dict[str, NDArray[Any]] = {"z": random.standard_normal((_SEEDS, generator.card.noise.z_dim), np.float32)}
    if generator.classes:
        inputs["label"] = random.integers(len(generator.classes), size=_SEEDS)
    session.run(None, inputs)


def main(names: list[str]) -> None:
    print(f"blocks of {_SEEDS:,} seeds, one CPU thread, ONNX Runtime {ort.__version__}, {platform.machine()}")
    print("generator      µs per output    rate compared with the loop of ONNX Runtime")
    for name in names:
        generator = seedmint.load(name, threads=1)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(generator.source, options, providers=["CPUExecutionProvider"])
        random = np.random.default_rng(0)
        ratios: list[float] = []
        times: list[float] = []
        deadline = time.process_time() + _MAX_SECONDS
        while len(ratios) < _ROUNDS and (len(ratios) < 5 or time.process_time() < deadline):
            began = time.process_time()
            _loop(session, generator, random)
            middle = time.process_time()
            generator.outputs(range(_SEEDS))
            end = time.process_time()
            ratios.append((middle - began) / (end - middle))
            times.append((end - middle) / _SEEDS * 1e6)
        print(f"{name:<14} {statistics.median(times):>13.2f} {statistics.median(ratios):>15.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["mnist", "mnist-paper", "fashion-mnist", "digits", "ring-2d"])
