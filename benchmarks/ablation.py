"""Compares objectives, penalties, augmentations, rates and networks at equal CPU time.

    python -m benchmarks.ablation DIRECTORY [--recipe icons] [--minutes 2] [--seeds 0 1 2] [--cells NAME ...]

Each cell trains the recipe with the changes of the cell, in one thread, for as many steps as the CPU time allows, and then
measures the averaged generator as `seedmint evaluate` does. DIRECTORY keeps the runs; a finished cell is not trained again. The
table of the finished cells goes to benchmarks/results/ablation-RECIPE.txt, and two images of each class and cell to
ablation-RECIPE.webp.
"""

import argparse
import json
import re
import shutil
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.training import machine
from seedmint.models.files import write_whole
from seedmint.models.grid import arrange
from seedmint.training.datasets import load_splits
from seedmint.training.evaluation.image_sample import sample_seeds
from seedmint.training.evaluation.metric_families import measure, num_samples
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.export.served_generator import SeedSampler
from seedmint.training.recipes.files import load_recipe
from seedmint.training.recipes.schema import ImageMetric, Recipe
from seedmint.training.runs.directory import create_run
from seedmint.training.runs.progress import ProgressEvent
from seedmint.training.runs.trainer import Trainer

RESULTS = Path(__file__).parent / "results"
FAMILIES: tuple[ImageMetric, ...] = ("labels", "prdc", "frechet", "spectrum", "patches", "random-features")
COLUMNS = {
    "labels": "label-accuracy",
    "coverage": "coverage",
    "density": "density",
    "Fréchet": "frechet-cnn",
    "spectrum": "spectrum-difference",
    "finest": "spectrum-high",
    "patches": "patches-",
    "random": "random-conv",
}
"""Beginnings of the names of the metrics by the heading of the column."""
SAMPLES, SHOWN = 2000, 2
"""Measured images of a cell; images of each class in the picture."""
WARM_UP, TIMED = 10, 40
"""Steps before the measurement of the CPU time of a step, and steps of the measurement."""

_G = "generator={kind: convolutional, width: 48, upsampling: bilinear, style_dim: 64}"
_D = "discriminator={kind: convolutional, width: 48, spectral_norm: false}"
_SPECTRAL = "discriminator={kind: convolutional, width: 48}"
_R1 = "penalty={r1: {start: 0.5, end: 0.05, steps: STEPS}, every: 4}"
_R1_R2 = "penalty={r1: {start: 0.5, end: 0.05, steps: STEPS}, r2: {start: 0.5, end: 0.05, steps: STEPS}, every: 4}"
_ADAM = "kind: adam, beta1: 0.0, beta2: 0.99"
_NETWORKS = ("generator", "discriminator")
_FALLING = [f"rule.{network}={{{_ADAM}, learning_rate: {{start: 8e-4, end: 1e-4, steps: STEPS}}}}" for network in _NETWORKS]
_CONSTANT = [f"rule.{network}={{{_ADAM}, learning_rate: 4e-4}}" for network in _NETWORKS]
_RESIDUAL = ["generator={kind: residual, capacity: small}", "discriminator={kind: residual, capacity: small}"]
CELLS: dict[str, list[str]] = {
    "default: bilinear, style, R1, falling rates": [_G, _D, _R1, *_FALLING],
    "constant rates": [_G, _D, _R1, *_CONSTANT],
    "no style": [_G.replace("64", "0"), _D, _R1, *_FALLING],
    "transposed convolutions": [_G.replace("bilinear", "transposed"), _D, _R1, *_FALLING],
    "spectral normalization instead of R1": [_G, _SPECTRAL, "penalty={}", *_FALLING],
    "relativistic, R1 and R2": [_G, _D, "objective=relativistic", _R1_R2, *_FALLING],
    "hinge": [_G, _D, "objective=hinge", _R1, *_FALLING],
    "DiffAugment": [_G, _D, _R1, *_FALLING, "augmentation={kind: diffaugment, transforms: [translation, cutout]}"],
    "residual": [*_RESIDUAL, _R1, *_FALLING],
    "residual, relativistic, R1 and R2": [*_RESIDUAL, "objective=relativistic", _R1_R2, *_FALLING],
}
"""Changes of the recipe by the name of the cell. STEPS stands for the number of steps."""


@dataclass(frozen=True)
class Cell:
    """What a cell trains.

    Attributes:
        recipe: Name of the recipe.
        changes: Changes of the recipe.
        seed: The recipe's seed.
        seconds: CPU time of the training.
    """

    recipe: str
    changes: list[str]
    seed: int
    seconds: float

    def configure(self, steps: int, log: int = 100) -> Recipe:
        """Return the recipe of the cell.

        Args:
            steps: Iterations.
            log: Steps between two entries of the log.
        """
        common = ["threads=1", f"seed={self.seed}", f"steps={steps}", "ema=0.995", "precision=auto", f"every.log={log}"]
        quiet = ["every.preview=1000000", "every.preview_seconds=null", "every.checkpoint=1000000"]
        return load_recipe(self.recipe, [*common, *quiet, *(change.replace("STEPS", str(steps)) for change in self.changes)])


def _step_seconds(cell: Cell, directory: Path) -> float:
    """Return the CPU time of a step, seconds, without the first steps, which prepare the layers."""
    trainer = create_run(directory, cell.configure(WARM_UP + TIMED, log=WARM_UP), torch.device("cpu"))
    times: dict[int, float] = {}

    def note(_: ProgressEvent) -> None:
        times.setdefault(trainer.step, time.process_time())

    trainer.fit(note)
    _check_end(trainer)
    shutil.rmtree(directory)
    return (times[WARM_UP + TIMED] - times[WARM_UP]) / TIMED


def _check_end(trainer: Trainer) -> None:
    """End the program if a signal ended the training."""
    if trainer.step < trainer.recipe.steps:
        raise SystemExit(f"stopped at step {trainer.step}; start the command again to go on with this cell")


def run_cell(cell: Cell, directory: Path) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Train a cell and measure it.

    Args:
        cell: The cell.
        directory: Directory of the run; is replaced.

    Returns:
        Steps, CPU seconds and metrics; images, uint8[classes * SHOWN, height, width, channels], by class.
    """
    shutil.rmtree(directory, ignore_errors=True)
    steps = max(1, round(cell.seconds / _step_seconds(cell, directory)))
    trainer = create_run(directory, cell.configure(steps), torch.device("cpu"))
    start = time.process_time()
    trainer.fit()
    seconds = time.process_time() - start
    _check_end(trainer)
    recipe = trainer.recipe
    real = RealData(recipe.data, load_splits(recipe.data))
    sampler = SeedSampler.of_recipe(recipe, trainer.dataset, torch.device("cpu"))
    generator = trainer.algorithm.ema
    assert generator is not None
    families = [name for name in FAMILIES if name != "labels" or sampler.label_rule is not None]
    counts = {name: num_samples(name, SAMPLES, real) for name in families}
    sample = sample_seeds(partial(sampler.sample, generator), sampler.label_rule, max(counts.values()), real)
    metrics = {metric.metric: metric.value for name, n in counts.items() for metric in measure(name, sample, n)}
    classes = len(real.train.classes or ()) if sampler.label_rule is not None else 0
    labels = np.repeat(np.arange(classes), SHOWN) if classes else None
    images = sampler.sample(generator, np.arange(len(labels) if labels is not None else 10 * SHOWN), labels)
    return {"steps": trainer.step, "seconds": seconds, "metrics": metrics}, images


def write_table(directory: Path, recipe: str) -> None:
    """Write the table and the picture of all finished cells.

    Args:
        directory: Directory of the runs.
        recipe: Name of the recipe.
    """
    paths = list(directory.glob(f"{recipe}-*/result.json"))
    found = [(json.loads(path.read_text()), np.load(path.with_name("images.npy"))) for path in paths]
    found.sort(key=lambda pair: (list(CELLS).index(pair[0]["cell"]), pair[0]["seed"]))
    headings = " ".join(f"{heading:>8}" for heading in COLUMNS)
    lines = [
        machine(),
        f"recipe {recipe}; one thread; {SAMPLES:,} images of the averaged weights",
        "",
        f"{'cell':44} seed  CPU s  steps {headings}",
    ]
    for entry, _ in found:
        values = [
            next((v for k, v in entry["metrics"].items() if k.startswith(column)), float("nan")) for column in COLUMNS.values()
        ]
        row = f"{entry['cell']:44} {entry['seed']:4} {entry['seconds']:6.0f} {entry['steps']:6,} "
        lines.append(row + " ".join(f"{value:8.3f}" for value in values))
    print("\n".join(lines))
    write_whole(RESULTS / f"ablation-{recipe}.txt", ("\n".join(lines) + "\n").encode())
    rows = [arrange(images, len(images), 1, 255) for _, images in found]
    picture = np.concatenate([np.pad(row, ((0, 6), (0, 0), (0, 0)), constant_values=255) for row in rows])
    Image.fromarray(np.squeeze(picture)).save(RESULTS / f"ablation-{recipe}.webp", lossless=True)


def main() -> None:
    """Train the chosen cells, and write the table."""
    parser = argparse.ArgumentParser(description="Compare cells at equal CPU time.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--recipe", default="icons")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--cells", nargs="+", choices=list(CELLS), default=list(CELLS), metavar="NAME")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for name in arguments.cells:
            slug = re.sub("[^a-z0-9]+", "-", name.lower())
            directory = arguments.directory / f"{arguments.recipe}-{slug}-{seed}-{arguments.minutes:g}m"
            if (directory / "result.json").exists():
                continue
            print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
            result, images = run_cell(Cell(arguments.recipe, CELLS[name], seed, 60 * arguments.minutes), directory)
            np.save(directory / "images.npy", images)
            document = {"cell": name, "seed": seed, **result}
            write_whole(directory / "result.json", json.dumps(document, indent=2).encode())
            write_table(arguments.directory, arguments.recipe)


if __name__ == "__main__":
    main()
