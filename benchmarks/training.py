"""Compares the time of a training iteration with a plain loop as in PyTorch's DCGAN tutorial: same networks, same m.

    python -m benchmarks.training        # writes benchmarks/results/training.txt; needs MNIST, see docs/training.md

Each variant has its own process, and only one process computes at a time. On the CPU, the ratios use the CPU time of the
process (user and system), which is independent of other programs; on a GPU, they use the wall time.
"""

import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Examples

from seedmint.models.files import write_whole
from seedmint.training.datasets import Dataset, load_dataset
from seedmint.training.networks import build_networks
from seedmint.training.networks.linear import Linear
from seedmint.training.recipes.files import load_recipe
from seedmint.training.recipes.optimizers import Momentum
from seedmint.training.recipes.schema import Recipe
from seedmint.training.runs.state import build_algorithm

NUM_ROUNDS, ROUND_ITERATIONS, WARM_UP_ITERATIONS = 11, 5, 3
PLAIN = "plain loop"
PAIRS = {
    "the paper's networks, m = 100": ("mnist-paper", ["ema=0", "ema_start=0"]),
    "convolutional networks, m = 128": ("mnist", ["m=128", "ema=0"]),
    "convolutional networks, m = 64": ("mnist", ["m=64", "ema=0"]),
}
ORDERS, PRECISIONS = ("alternating", "simultaneous"), ("float32", "bfloat16")


class Images(Examples[tuple[Tensor, int]]):
    """Returns one image at a time as a tensor."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        assert self.dataset.labels is not None
        return torch.from_numpy(self.dataset.images[index]).float().div(255), int(self.dataset.labels[index])


class PlainLoop:
    """The loop of PyTorch's DCGAN tutorial.

    Two backward passes for D's losses on data and on generated images, a second pass of these images through D for G, BCELoss
    on probabilities, `.item()` for the printed numbers, and default optimizers.

    Args:
        recipe: Gives the networks, m and z_dim.
        dataset: The training data.
        device: Device of the training.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, device: torch.device) -> None:
        torch.manual_seed(0)
        marginals = torch.from_numpy(dataset.images.mean(axis=0) / 255).float()
        classes = len(dataset.classes or ()) if recipe.conditional else 0
        self.generator, self.discriminator = (n.to(device) for n in build_networks(recipe, marginals, classes))
        for module in (*self.generator.modules(), *self.discriminator.modules()):
            if isinstance(module, Linear):
                module.__class__ = nn.Linear  # type: ignore[assignment]  # as in the tutorial
        self.recipe, self.device, self.criterion = recipe, device, nn.BCELoss()
        self.optimizers = [self._optimizer(network) for network in (self.generator, self.discriminator)]
        self.loader = DataLoader(Images(dataset), batch_size=recipe.m, shuffle=True, drop_last=True)
        self.batches = self._batches()
        self.printed: list[float] = []

    def _optimizer(self, network: nn.Module) -> optim.Optimizer:
        if isinstance(self.recipe.rule.generator, Momentum):
            return optim.SGD(network.parameters(), lr=0.01, momentum=0.5)
        return optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from self.loader

    def iterate(self, _: int) -> None:
        """Run one iteration."""
        images, labels = next(self.batches)
        x, label = images.to(self.device), labels.to(self.device) if self.recipe.conditional else None
        ones, zeros = torch.ones(len(x), device=self.device), torch.zeros(len(x), device=self.device)
        generator_optimizer, discriminator_optimizer = self.optimizers

        self.discriminator.zero_grad()
        output = torch.sigmoid(self.discriminator(x, label))
        loss_real = self.criterion(output, ones)
        loss_real.backward()
        d_x = output.mean().item()
        fake = self.generator(torch.randn(len(x), self.recipe.z_dim, device=self.device), label)
        output = torch.sigmoid(self.discriminator(fake.detach(), label))
        loss_fake = self.criterion(output, zeros)
        loss_fake.backward()
        d_g_z = output.mean().item()
        discriminator_optimizer.step()

        self.generator.zero_grad()
        loss = self.criterion(torch.sigmoid(self.discriminator(fake, label)), ones)
        loss.backward()
        generator_optimizer.step()
        self.printed = [(loss_real + loss_fake).item(), loss.item(), d_x, d_g_z]


def run_variant(connection: Connection, name: str, overrides: list[str], kind: str, device: torch.device) -> None:
    """Run one round for each message, and send the CPU time and the wall time of an iteration, in seconds."""
    recipe = load_recipe(name, overrides)
    torch.set_num_threads(recipe.num_threads)
    dataset = load_dataset(recipe.data)
    loop = PlainLoop(recipe, dataset, device) if kind == PLAIN else build_algorithm(recipe, dataset, device)
    begin = 0
    for count in (WARM_UP_ITERATIONS, *[ROUND_ITERATIONS] * NUM_ROUNDS):
        connection.recv()
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        for iteration in range(begin, begin + count):
            loop.iterate(iteration)
        if device.type == "cuda":
            torch.cuda.synchronize()
        connection.send(((time.process_time() - cpu_start) / count, (time.perf_counter() - wall_start) / count))
        begin += count


def measure(name: str, overrides: list[str], device: torch.device) -> dict[str, list[tuple[float, float]]]:
    """Return the CPU time and the wall time of an iteration, in seconds, of each variant in each round."""
    context = multiprocessing.get_context("spawn")
    kinds = {PLAIN: ["precision=float32"]}
    kinds |= {f"seedmint, {o}, {p}": [f"order={o}", f"precision={p}"] for o in ORDERS for p in PRECISIONS}
    processes, connections = [], {}
    for kind, more in kinds.items():
        connections[kind], child_connection = context.Pipe()
        processes.append(
            context.Process(target=run_variant, args=(child_connection, name, [*overrides, *more], kind, device), daemon=True)
        )
        processes[-1].start()
        child_connection.close()
    rounds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for _ in range(1 + NUM_ROUNDS):
        for kind, connection in connections.items():
            connection.send(None)
            rounds[kind].append(connection.recv())
    for process in processes:
        process.join()
    return {kind: times[1:] for kind, times in rounds.items()}


def machine() -> str:
    """Return the processor, the load and the versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    load = f"load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{model}, {os.cpu_count()} cores, {load}{gpu}; Python {platform.python_version()}, torch {torch.__version__}"


def main() -> None:
    """Run all comparisons and write the results."""
    lines = [
        machine(),
        f"medians of {NUM_ROUNDS} rounds of {ROUND_ITERATIONS} iterations, one thread; milliseconds per iteration",
    ]
    devices = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
    for device in devices:
        clock = 0 if device.type == "cpu" else 1
        for pair, (name, overrides) in PAIRS.items():
            rounds = measure(name, overrides, device)
            heading = f"{pair}, {device.type}"
            lines += ["", f"{heading:44} {'CPU':>8} {'wall':>8} {'plain / this':>13}"]
            for kind, times in rounds.items():
                cpu, wall = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
                ratio = statistics.median(p[clock] / t[clock] for p, t in zip(rounds[PLAIN], times, strict=True))
                lines.append(f"{kind:44} {cpu:8.1f} {wall:8.1f} {ratio:11.2f} x")
            print("\n".join(lines), flush=True)
            write_whole(Path(__file__).parent / "results" / "training.txt", ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
