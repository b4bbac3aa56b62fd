"""Parameters and memory of a run, computed before the networks exist."""

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from seedmint.models.contract import card_of
from seedmint.training.datasets import load_dataset
from seedmint.training.recipes.schema import RecipeError, validate_recipe
from seedmint.training.runs import requirements
from seedmint.training.runs.directory import create_run
from seedmint.training.runs.export_run import export_run
from seedmint.training.runs.requirements import requirements_of
from seedmint.training.runs.state import build_algorithm
from tests.support.errors import raises
from tests.support.recipes import recipe_document

CPU = torch.device("cpu")
RESIDUAL = {"kind": "residual", "capacity": "small"}


def parse(**fields):
    return validate_recipe(recipe_document(**fields), "test")


@pytest.mark.parametrize("penalty", [{}, {"r1": 1.0, "r2": 1.0}])
@pytest.mark.parametrize("kind", ["paper", "convolutional", "residual"])
def test_counts_match_the_networks(kind, penalty):
    recipe = parse(generator={"kind": kind}, discriminator={"kind": kind}, conditional=True, penalty=penalty)
    needs = requirements_of(recipe, (1, 8, 8), 10)
    algorithm = build_algorithm(recipe, load_dataset(recipe.data), CPU)
    counts = [sum(p.numel() for p in network.parameters()) for network in (algorithm.generator, algorithm.discriminator)]
    assert [needs.generator_parameters, needs.discriminator_parameters] == counts
    assert needs.generator_bytes == 5 * 4 * counts[0]  # weights, gradient, two averages of Adam, averaged weights
    assert needs.discriminator_bytes == 4 * 4 * counts[1]


def test_memory_of_a_minibatch_matches_autograd():
    recipe = parse(generator=RESIDUAL, discriminator=RESIDUAL, m=32)
    needs = requirements_of(recipe, (1, 16, 16), 0)
    assert needs.minibatch_bytes == pytest.approx(
        2 * requirements_of(parse(generator=RESIDUAL, discriminator=RESIDUAL, m=16), (1, 16, 16), 0).minibatch_bytes, rel=0.05
    )
    features = 32 * 16 * 16 * 16 * 4  # one feature map of full size
    assert 4 * features < needs.minibatch_bytes < 40 * features


def test_computing_them_draws_no_random_numbers():
    before = torch.get_rng_state()
    requirements_of(parse(generator=RESIDUAL, discriminator={**RESIDUAL, "spectral_norm": True}), (3, 20, 30), 2)
    assert torch.equal(before, torch.get_rng_state())


def test_computing_them_changes_no_network_that_another_thread_builds():
    def normalized() -> torch.Tensor:
        torch.manual_seed(0)
        return torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(5, 4)).eval().weight

    expected = normalized()
    with requirements._without_power_iterations():
        assert torch.equal(normalized(), expected)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("generator.width", {"generator": {"kind": "paper", "width": 4096}}),
        ("discriminator.width", {"discriminator": {"kind": "paper", "width": 1024}}),
        ("generator.capacity", {"generator": {"kind": "residual", "capacity": "large", "max_width": 2048, "width": 1024}}),
        ("m", {"m": 1000, "generator": {"kind": "paper", "width": 16}, "discriminator": RESIDUAL}),
    ],
)
def test_runs_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, monkeypatch, field, fields):
    monkeypatch.setattr(requirements, "free_memory", lambda device: 30_000_000)
    with raises(RecipeError, "too_large", field):
        create_run(tmp_path / "run", parse(**fields), CPU)
    assert not (tmp_path / "run").exists()


def test_long_series_have_a_limit_of_channels():
    recipe = parse(data={"source": "sines"}, generator={"kind": "sequence"}, discriminator={"kind": "sequence"})
    assert requirements_of(recipe, (5000, 1), 0).generator_parameters < 50_000_000


def test_oblong_images_with_opacity_can_be_trained_and_exported(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 12, 20, 4), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images)
    data = {"source": "npz", "path": str(tmp_path / "x.npz"), "channels": 4}
    every = {"log": 1, "preview": 1, "checkpoint": 1}
    recipe = parse(data=data, generator=RESIDUAL, discriminator=RESIDUAL, objective="relativistic", steps=1, every=every)
    create_run(tmp_path / "run", recipe, CPU).fit()
    assert Image.open(next((tmp_path / "run" / "previews").iterdir())).mode == "RGBA"
    card = card_of(onnx.load_from_string(export_run(tmp_path / "run", "mine", None, None, None)))
    assert (card.output.height, card.output.width, card.output.channels) == (12, 20, 4)
