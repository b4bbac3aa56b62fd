"""Compares the Python API with ONNX Runtime alone, on blocks of 1,024 seeds.

    python benchmarks/python_api.py [GENERATOR...]

Both use one CPU thread. Each round measures both, so that the ratio does not depend on the speed of the machine. The
time of the Python API includes noise and labels.
"""

import statistics
import sys
import time
from pathlib import Path

import onnxruntime as ort

sys.path.insert(0, str(Path(__file__).parent.parent))

import seedmint

_SEEDS = 1024
_ROUNDS = 15


def main(names: list[str]) -> None:
    for name in names:
        generator = seedmint.load(name, threads=1)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(generator.source, options, providers=["CPUExecutionProvider"])
        z, labels = generator.noise(range(_SEEDS)), generator.labels(range(_SEEDS))
        inputs = {"z": z} if labels is None else {"z": z, "label": labels}
        ratios, rates = [], []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            session.run(None, inputs)
            middle = time.perf_counter()
            generator.outputs(range(_SEEDS))
            end = time.perf_counter()
            ratios.append((middle - began) / (end - middle))
            rates.append(_SEEDS / (end - middle))
        print(f"{name:<14} {statistics.median(rates):>9,.0f} per second, {statistics.median(ratios):.2f} of ONNX Runtime alone")


if __name__ == "__main__":
    main(sys.argv[1:] or ["mnist", "mnist-paper", "fashion-mnist", "digits"])
