"""Augmentation in Algorithm 1: only D receives augmented images, and ADA adapts p to D."""

import numpy as np
import pytest
import torch
from torch import nn

from seedmint.training.augmentation import Augmentation
from seedmint.training.datasets.dataset import Dataset
from seedmint.training.optimization.optimizers import build_optimizer
from seedmint.training.recipes.augmentation import Ada
from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.state import build_algorithm
from tests.support.recipes import recipe_document

STEPS = 200
CPU = torch.device("cpu")
DIFFAUGMENT = {"kind": "diffaugment"}
COLOR_AND_CUTOUT = {**DIFFAUGMENT, "transforms": ["color", "cutout"]}  # a linear D cannot see what a translation averages out
ADA = {"kind": "ada", "adaptive": False, "p": 0.5, "transforms": ["flip", "translate", "brightness", "luma_flip"]}


def build(dataset, **fields):
    document = recipe_document(
        generator={"kind": "residual", "capacity": "small", "width": 8},
        discriminator={"kind": "residual", "capacity": "small", "width": 8},
        **{"objective": "relativistic", **fields},
    )
    return build_algorithm(validate_recipe(document, "test"), dataset, CPU)


@pytest.fixture(scope="module")
def bright_images():
    """Images that are all the same: gray 200, with a black stripe of one pixel on the left."""
    images = np.full((64, 1, 8, 8), 200, np.uint8)
    images[:, :, :, 0] = 0
    return Dataset("bright", images, None, None, None)


@pytest.mark.parametrize("augmentation", [DIFFAUGMENT, ADA], ids=["diffaugment", "ada"])
def test_d_receives_augmented_images_and_g_returns_none(bright_images, augmentation):
    algorithm = build(bright_images, augmentation=augmentation, penalty={"r1": 1.0, "r2": 1.0})
    data = torch.from_numpy(bright_images.images[:1]).float() / 255
    received, generated = [], []
    algorithm.discriminator.register_forward_pre_hook(lambda _, inputs: received.append(inputs[0].detach()))
    algorithm.generator.register_forward_hook(lambda _, inputs, output: generated.append((inputs[0], output.detach())))
    algorithm.iterate(0)
    real, fake, g_fake, g_real = received
    for images in (real, g_real):
        changed = (images - data).abs().amax(dim=(1, 2, 3)) > 1e-3
        assert float(changed.float().mean()) > 0.5
    for images, (_, output) in zip((fake, g_fake), generated, strict=True):
        assert not torch.allclose(images, output, atol=1e-3)
    # G's outputs are those of a generator without augmentation, which has the same weights for the same seed.
    plain = build(bright_images)
    z, output = generated[0]
    assert torch.equal(plain.generator(z), output)


class OneImage(nn.Module):
    """G that generates one image, whose pixels are its parameters, for every z."""

    def __init__(self):
        super().__init__()
        self.pixels = nn.Parameter(torch.full((1, 1, 8, 8), 0.5))

    def forward(self, z, label=None):
        return self.pixels.expand(len(z), -1, -1, -1)


class Moments(nn.Module):
    """D that sees each pixel, and no more: the logit is a weighted sum of the pixels."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(1, 1, 8, 8))

    def forward(self, x, label=None):
        return (x * self.weights).sum(dim=(1, 2, 3))


@pytest.mark.parametrize("augmentation", [COLOR_AND_CUTOUT, ADA], ids=["diffaugment", "ada"])
def test_generator_learns_the_images_without_the_augmentation(bright_images, augmentation):
    """D never sees the data unchanged. Still G learns the stripe where it is in the data, and its exact gray."""
    rule = {"kind": "momentum", "momentum": 0.0}
    algorithm = build(
        bright_images,
        objective="wasserstein",
        augmentation=augmentation,
        penalty={"r1": 4.0},
        m=32,
        rule={"generator": {**rule, "learning_rate": 0.15}, "discriminator": {**rule, "learning_rate": 0.3}},
        ema=0.0,
    )
    algorithm.generator, algorithm.discriminator = OneImage(), Moments()
    for name in ("generator", "discriminator"):
        network, config = getattr(algorithm, name), getattr(algorithm.recipe.rule, name)
        setattr(algorithm, f"{name}_optimizer", build_optimizer(config, network.parameters()))
    mean = torch.zeros(1, 1, 8, 8)
    for step in range(STEPS):
        algorithm.iterate(step)
        mean += algorithm.generator.pixels.detach() * (step >= STEPS // 2) / (STEPS - STEPS // 2)
    expected = torch.from_numpy(bright_images.images[:1]).float() / 255
    leaked = algorithm.augmentation(expected.expand(2000, -1, -1, -1)).mean(dim=0, keepdim=True)
    distances = [float((image - expected).abs().mean()) for image in (mean, leaked)]
    assert distances[0] < 0.4 * distances[1]


@pytest.mark.parametrize(("probability", "expected"), [(0.9, 8 * 16 / 500), (0.1, 0.0)])
def test_p_follows_the_signs_of_d(probability, expected):
    augmentation = Augmentation(Ada(kind="ada", ramp=500), 1, 16, CPU)
    for update in range(9):  # p changes after 4 and 8 updates
        augmentation.observe(torch.full((16,), probability), update)
    assert float(augmentation.p) == pytest.approx(expected)
    assert augmentation.state[2] == 1.0


def test_p_stays_between_0_and_1():
    augmentation = Augmentation(Ada(kind="ada", ramp=1), 1, 16, CPU)
    for share, expected in ((1.0, 1.0), (0.0, 0.0)):
        for update in range(4):
            augmentation.observe(torch.full((16,), share), update)
        assert float(augmentation.p) == expected


def test_p_follows_a_schedule(bright_images):
    schedule = {"start": 0.1, "end": 0.5, "steps": 4, "shape": "linear"}
    algorithm = build(bright_images, augmentation={"kind": "ada", "adaptive": False, "p": schedule})
    found = []
    for step in range(6):
        algorithm.iterate(step)
        found.append(float(algorithm.augmentation.p))
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5])
