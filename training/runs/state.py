"""All that a run's future depends on: built from a recipe, taken out as tensors, put back."""

import copy

import torch
from torch import Tensor, nn, optim

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.datasets import Dataset
from seedmint.training.networks import build_networks
from seedmint.training.optimization.minibatches import Minibatches, step_seed
from seedmint.training.optimization.optimizers import build_rule
from seedmint.training.recipes.schema import Recipe

_INITIAL = (1 << 63) - 1  # the stream of random numbers that initial weights are drawn from


def build(recipe: Recipe, dataset: Dataset, device: torch.device) -> Algorithm1:
    """Algorithm 1 before its first iteration, by the recipe.

    Raises:
        UserError: recipe and data do not fit each other.
    """
    classes = len(dataset.classes) if recipe.conditional and dataset.classes is not None else 0
    minibatches = Minibatches(dataset, recipe.conditional, recipe.m, recipe.prior, recipe.z_dim, recipe.seed, device)
    marginals = torch.from_numpy(dataset.marginals()).float()
    torch.manual_seed(step_seed(recipe.seed, _INITIAL))
    generator, discriminator = (network.to(device).train() for network in build_networks(recipe, marginals, classes))
    ema = copy.deepcopy(generator).eval().requires_grad_(False) if recipe.ema else None
    return Algorithm1(
        recipe=recipe,
        generator=generator,
        discriminator=discriminator,
        ema=ema,
        generator_rule=build_rule(recipe.rule.generator, generator.parameters()),
        discriminator_rule=build_rule(recipe.rule.discriminator, discriminator.parameters()),
        minibatches=minibatches,
    )


def tensors_of(algorithm: Algorithm1) -> dict[str, Tensor]:
    """Every tensor of the networks and the learning rules, by name; contiguous, on the CPU."""
    found = {}
    for part, network in _networks(algorithm).items():
        for key, tensor in network.state_dict().items():
            found[f"{part}/{key}"] = tensor
    for part, rule in _rules(algorithm).items():
        for index, entries in rule.state_dict()["state"].items():
            for key, tensor in entries.items():
                if tensor is not None:
                    found[f"{part}/{index}/{key}"] = tensor
    return {key: tensor.detach().cpu().contiguous() for key, tensor in found.items()}


def restore(algorithm: Algorithm1, tensors: dict[str, Tensor]) -> None:
    """Put back what `tensors_of` took out.

    Raises:
        RuntimeError: the tensors are those of other networks.
    """
    for part, network in _networks(algorithm).items():
        found = _under(tensors, part)
        if part == "ema" and not found:  # an average that is still to begin
            found = _under(tensors, "generator")
        network.load_state_dict(found)
    for part, rule in _rules(algorithm).items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _under(tensors, part).items():
            index, _, entry = key.partition("/")
            state.setdefault(int(index), {})[entry] = tensor
        rule.load_state_dict({"state": state, "param_groups": rule.state_dict()["param_groups"]})


def nonfinite(algorithm: Algorithm1) -> str | None:
    """The name of a tensor that holds a NaN or an infinity, or None. D comes first, since it is updated first."""
    for part in ("discriminator", "generator"):
        network, rule = _networks(algorithm)[part], _rules(algorithm)[f"{part}_rule"]
        named = [(f"{part}.{name}", tensor) for name, tensor in network.state_dict().items()]
        for name, parameter in network.named_parameters(part):
            named += [
                (f"{key} of {name}", tensor) for key, tensor in rule.state.get(parameter, {}).items() if tensor is not None
            ]
        for name, tensor in named:
            if not bool(tensor.isfinite().all()):
                return name
    return None


def _networks(algorithm: Algorithm1) -> dict[str, nn.Module]:
    parts = {"generator": algorithm.generator, "discriminator": algorithm.discriminator}
    return parts if algorithm.ema is None else {**parts, "ema": algorithm.ema}


def _rules(algorithm: Algorithm1) -> dict[str, optim.Optimizer]:
    return {"generator_rule": algorithm.generator_rule, "discriminator_rule": algorithm.discriminator_rule}


def _under(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{part}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{part}/")}
