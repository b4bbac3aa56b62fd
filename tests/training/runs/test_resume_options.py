"""A resumed run equals an uninterrupted run, bit for bit, with each objective, penalty, schedule and augmentation."""

import pytest
import torch

from seedmint.training.datasets import load_dataset
from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.checkpoints import Checkpoint, list_checkpoints, load_checkpoint, save_checkpoint
from seedmint.training.runs.state import TrainerState, build_algorithm, tensors_of
from tests.support.recipes import ADAM, recipe_document

CPU = torch.device("cpu")
RESIDUAL = {"kind": "residual", "capacity": "small", "width": 4}
SCHEDULED_ADAM = {
    "kind": "adam",
    "learning_rate": {"start": 1e-3, "end": 1e-4, "steps": 9},
    "warmup": 5,
    "beta2": {"start": 0.9, "end": 0.99, "steps": 8, "shape": "linear"},
}
SCHEDULES = {
    "penalty": {"r1": {"start": 2.0, "end": 0.5, "steps": 7}, "r2": 1.0, "every": 2},
    "ema": {"start": 0.5, "end": 0.9, "steps": 9},
    "rule": {"generator": SCHEDULED_ADAM, "discriminator": SCHEDULED_ADAM},
}
NETWORKS = {"generator": RESIDUAL, "discriminator": RESIDUAL}
OPTIONS = {
    "relativistic, schedules, adaptive augmentation": {
        **NETWORKS,
        **SCHEDULES,
        "objective": "relativistic",
        "conditional": True,
        "augmentation": {"kind": "ada", "ramp": 300, "p": 0.3},
    },
    "simultaneous, bfloat16, diffaugment": {
        **NETWORKS,
        **SCHEDULES,
        "objective": "relativistic",
        "order": "simultaneous",
        "precision": "bfloat16",
        "augmentation": {"kind": "diffaugment"},
    },
    "wasserstein, wgan_gp, k = 3": {**NETWORKS, "objective": "wasserstein", "penalty": {"wgan_gp": 10.0}, "k": 3},
    "hinge, spectral normalization, momentum": {
        "generator": RESIDUAL,
        "discriminator": {**RESIDUAL, "spectral_norm": True},
        "objective": "hinge",
        "rule": {"generator": {"kind": "momentum", "learning_rate": 0.01}, "discriminator": ADAM},
    },
    "least squares, rmsprop": {
        **NETWORKS,
        "objective": "least-squares",
        "rule": {"generator": {"kind": "rmsprop", "learning_rate": 1e-3}, "discriminator": ADAM},
    },
}
STOP, END = 6, 13


@pytest.fixture(scope="module")
def dataset():
    return load_dataset(validate_recipe(recipe_document(), "test").data)


@pytest.mark.parametrize("name", OPTIONS)
def test_resumed_run_equals_uninterrupted_run(tmp_path, dataset, name):
    recipe = validate_recipe(recipe_document(m=8, **OPTIONS[name]), "test")
    whole = build_algorithm(recipe, dataset, CPU)
    for step in range(END):
        if step == STOP:
            save_checkpoint(tmp_path, Checkpoint(step, recipe.document(), {}, tensors_of(whole)))
        whole.iterate(step)
    torch.manual_seed(99)  # the state of the global generator must not matter
    checkpoint = load_checkpoint(list_checkpoints(tmp_path)[-1][1])
    assert validate_recipe(checkpoint.recipe, "checkpoint") == recipe
    state = TrainerState.initial(build_algorithm(recipe, dataset, CPU), CPU)
    metadata = {"sums": [0.0, 0.0, 0.0], "logged_step": 0, "diagnostic_counts": {}}
    state.restore(STOP, metadata, checkpoint.tensors)
    for step in range(STOP, END):
        state.algorithm.iterate(step)
    expected, found = tensors_of(whole), tensors_of(state.algorithm)
    assert expected.keys() == found.keys()
    for key, tensor in expected.items():
        assert tensor.numpy().tobytes() == found[key].numpy().tobytes(), key
    if "adaptive" in name:
        assert float(checkpoint.tensors["augmentation"][0]) not in (0.0, pytest.approx(0.3)), "p has changed"
        assert float(checkpoint.tensors["augmentation"][2]) == 2, "the checkpoint is between two changes of p"
