"""Time to compute z from seeds, compared with the usual random generators. Medians of alternating rounds, z_dim 100.

python benchmarks/noise.py
"""

import platform
import statistics
import time
from collections.abc import Callable

import numpy as np

from seedmint.models.noise import noise

Z_DIM = 100
ROUNDS = 31


def seconds(call: Callable[[], object], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats


def main() -> None:
    random = np.random.default_rng(0)
    contiguous = np.arange(4096, dtype=np.int64) + 10**12
    scattered = random.integers(0, 2**63 - 1, 4096, dtype=np.int64)
    rule = "philox-normal-v1"
    cases: list[tuple[str, int, int, Callable[[], object]]] = [
        ("4,096 contiguous seeds", 4096, 1, lambda: noise(rule, Z_DIM, contiguous)),
        ("4,096 scattered seeds", 4096, 1, lambda: noise(rule, Z_DIM, scattered)),
        ("64 scattered seeds", 64, 10, lambda: noise(rule, Z_DIM, scattered[:64])),
        ("1 seed", 1, 100, lambda: noise(rule, Z_DIM, scattered[:1])),
        ("RandomState(seed).randn(100)", 1, 20, lambda: np.random.RandomState(12345).randn(Z_DIM)),
        ("Generator(Philox(key=seed))", 1, 50, lambda: np.random.Generator(np.random.Philox(key=12345)).standard_normal(Z_DIM)),
    ]
    for *_, call in cases:
        call()
    rounds = [[seconds(call, repeats) / seeds for _, seeds, repeats, call in cases] for _ in range(ROUNDS)]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{rule}, z_dim {Z_DIM}, median of {ROUNDS} rounds\n")
    for (name, *_), median in zip(cases, medians, strict=True):
        print(f"{name:32} {median * 1e6:8.2f} us per seed {median / medians[0]:8.1f} x")


if __name__ == "__main__":
    main()
