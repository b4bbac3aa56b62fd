"""Shows what bounds a training iteration on the CPU: the share of each operator in the CPU time.

    python -m benchmarks.training_profile        # writes benchmarks/results/training_profile.txt; needs MNIST

If all but the convolutions (or matrix products) took no time, the ratios of `benchmarks/training.py` would grow by the printed
factor, and no further.
"""

from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.training import machine
from seedmint.models.files import write_whole
from seedmint.training.datasets import load_dataset
from seedmint.training.recipes.files import load_recipe
from seedmint.training.runs.state import build_algorithm

WARM_UP_ITERATIONS, PROFILED_ITERATIONS = 3, 20
PAIRS = {
    "the paper's networks, m = 100": ("mnist-paper", ["ema=0", "ema_start=0"], "linear"),
    "convolutional networks, m = 64": ("mnist", ["m=64", "ema=0"], "convolution"),
}


def shares(name: str, overrides: list[str]) -> dict[str, float]:
    """Return the share of each operator in the CPU time of an iteration, largest first."""
    recipe = load_recipe(name, [*overrides, "order=alternating", "precision=float32"])
    algorithm = build_algorithm(recipe, load_dataset(recipe.data), torch.device("cpu"))
    for iteration in range(WARM_UP_ITERATIONS):
        algorithm.iterate(iteration)
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        for iteration in range(WARM_UP_ITERATIONS, WARM_UP_ITERATIONS + PROFILED_ITERATIONS):
            algorithm.iterate(iteration)
    times = {event.key: event.self_cpu_time_total for event in trace.key_averages()}
    total = sum(times.values())
    return {key: spent / total for key, spent in sorted(times.items(), key=lambda item: -item[1])}


def main() -> None:
    """Profile both pairs of networks and write the results."""
    torch.set_num_threads(1)
    lines = [machine(), "one thread, float32, alternating order; shares of the CPU time by torch.profiler"]
    for pair, (name, overrides, bounding) in PAIRS.items():
        by_operator = shares(name, overrides)
        share = sum(part for operator, part in by_operator.items() if bounding in operator)
        lines += ["", pair, *(f"  {operator:40} {part:6.1%}" for operator, part in list(by_operator.items())[:10])]
        lines.append(f"  all operators *{bounding}*: {share:.0%}; without any other time {1 / share:.2f} times faster")
        print("\n".join(lines), flush=True)
        write_whole(Path(__file__).parent / "results" / "training_profile.txt", ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
