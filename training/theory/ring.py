"""Eight narrow Gaussians on a circle: which modes does G find with each objective, without and with gradient penalties?

The data and the training are those of the source `ring-2d`; the networks are small multilayer perceptrons.
"""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from seedmint.training.datasets.generated import RING_MODES, RING_STD, load_generated
from seedmint.training.datasets.scaling import Scaling
from seedmint.training.evaluation.metrics.ring import ModeCounts, count_modes
from seedmint.training.objectives import OBJECTIVES
from seedmint.training.optimization.minibatches import stream_seed
from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.state import build_algorithm

PENALTIES: dict[str, dict[str, float]] = {"none": {}, "R1 and R2": {"r1": 0.1, "r2": 0.1}}
_SAMPLES = 2000
_RATE = {"start": 2e-3, "end": 2e-4, "steps": 1500}
_ADAM = {"kind": "adam", "learning_rate": _RATE, "beta1": 0.0, "beta2": 0.99}
_NETWORK = {"kind": "mlp", "width": 64, "layers": 2}


@dataclass(frozen=True)
class Result:
    """Result of the experiment.

    Attributes:
        samples: By objective and penalty: float32[2000, 2], generated after the training.
        counts: By objective and penalty: the modes with samples, and the share of samples near a mode.
    """

    samples: dict[tuple[str, str], Tensor]
    counts: dict[tuple[str, str], ModeCounts]


def run(seed: int = 0, steps: int = 1500) -> Result:
    """Train with each objective, without and with penalties.

    Args:
        seed: Seed of the weights and of all draws.
        steps: Iterations of Algorithm 1.
    """
    samples = {pair: _train(*pair, seed, steps) for pair in product(OBJECTIVES, PENALTIES)}
    counts = {pair: count_modes(points.numpy(), RING_MODES, RING_STD) for pair, points in samples.items()}
    return Result(samples, counts)


def _train(objective: str, penalty: str, seed: int, steps: int) -> Tensor:
    recipe = validate_recipe(
        {
            "name": "ring",
            "title": "Ring",
            "data": {"source": "ring-2d"},
            "z_dim": 2,
            "generator": _NETWORK,
            "discriminator": _NETWORK,
            "objective": objective,
            "penalty": PENALTIES[penalty],
            "m": 128,
            "steps": steps,
            "rule": {"generator": _ADAM, "discriminator": _ADAM},
            "ema": 0.99,
            "seed": seed,
        },
        "the experiment",
    )
    dataset = load_generated("ring-2d", "train")
    algorithm = build_algorithm(recipe, dataset, torch.device("cpu"))
    for step in range(steps):
        algorithm.iterate(step)
    torch.manual_seed(stream_seed(seed, 1 << 40))  # a stream that no iteration uses
    assert algorithm.ema is not None
    assert isinstance(dataset.scaling, Scaling)
    with torch.no_grad():
        standardized: Tensor = algorithm.ema(torch.randn(_SAMPLES, recipe.z_dim))
    mean, std = (torch.tensor(values).float() for values in (dataset.scaling.mean, dataset.scaling.std))
    return standardized * std + mean
