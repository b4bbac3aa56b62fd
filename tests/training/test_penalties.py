"""The penalties and spectral normalization, compared with closed forms."""

import numpy as np
import pytest
import torch
from torch import nn

from seedmint.training import penalties
from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.networks import build_networks
from seedmint.training.optimization.optimizers import build_optimizer
from seedmint.training.recipes.schema import validate_recipe
from tests.support.recipes import recipe_document

SGD = {"kind": "momentum", "learning_rate": 1.0, "momentum": 0.0}


class Quadratic(nn.Module):
    """D(x) = x·Ax/2 with a symmetric A, so that ∇D(x) = Ax, and the gradient of |∇D(x)|²/2 in A is Ax xᵀ."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.from_numpy(a.copy()))

    def forward(self, x, label=None):
        x = x.flatten(1)
        return torch.einsum("mi,ij,mj->m", x, (self.a + self.a.T) / 2, x) / 2


def quadratic(d):
    a = np.random.default_rng(1).normal(size=(d, d))
    return (a + a.T) / 2


def test_zero_centered_penalty_and_its_gradient():
    a, x = quadratic(3), np.random.default_rng(2).normal(size=(5, 3))
    discriminator, points = Quadratic(a), torch.from_numpy(x).requires_grad_()
    penalty = penalties.zero_centered(discriminator(points), points)
    (gradient,) = torch.autograd.grad(penalty, discriminator.a)
    assert penalty.item() == pytest.approx(float((np.square(x @ a).sum(axis=1) / 2).mean()))
    expected = np.einsum("ij,mj,mk->ik", a, x, x) / len(x)
    np.testing.assert_allclose(gradient, (expected + expected.T) / 2, rtol=1e-12)


def test_one_centered_penalty_and_its_gradient():
    weights = torch.tensor([0.6, -1.2, 0.9], dtype=torch.float64, requires_grad=True)
    points = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    penalty = penalties.one_centered(points @ weights, points)
    (gradient,) = torch.autograd.grad(penalty, weights)
    norm = float(weights.norm())
    assert penalty.item() == pytest.approx((norm - 1) ** 2)
    torch.testing.assert_close(gradient, 2 * (norm - 1) * weights.detach() / norm)


def test_one_centered_penalty_is_finite_where_the_gradient_is_zero():
    weights = torch.zeros(3, requires_grad=True)
    points = torch.randn(4, 3, requires_grad=True)
    penalty = penalties.one_centered(points @ weights, points)
    (gradient,) = torch.autograd.grad(penalty, weights)
    assert penalty.item() == 1.0
    assert bool(gradient.isfinite().all())


def test_pixels_count_from_minus_1_to_1():
    weight = torch.randn(12)
    images, samples = torch.rand(5, 3, 2, 2, requires_grad=True), torch.rand(5, 12, requires_grad=True)
    of_images = penalties.zero_centered(images.flatten(1) @ weight, images)
    assert of_images.item() == pytest.approx(penalties.zero_centered(samples @ weight, samples).item() / 4)


class FixedMinibatches:
    """The same two minibatches of samples at every draw."""

    def __init__(self, x, z):
        self.x, self.z = torch.from_numpy(x), torch.from_numpy(z)

    def data(self, index):
        return self.x.clone(), None

    def noise(self):
        return self.z.clone()

    def labels(self):
        return None


class Identity(nn.Module):
    """G(z) = z + bias."""

    def __init__(self, d):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(d, dtype=torch.float64))

    def forward(self, z, label=None):
        return z + self.bias


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
def test_update_of_d_descends_scheduled_lazy_penalties(order):
    """With the objective E D(x) - E D(G(z)) and rate 1, each update of A is the closed form of its gradient."""
    schedule = {"start": 0.3, "end": 0.1, "steps": 4, "shape": "linear"}
    recipe = validate_recipe(
        recipe_document(
            data={"source": "ring-2d"},
            generator={"kind": "mlp"},
            discriminator={"kind": "mlp"},
            objective="wasserstein",
            order=order,
            penalty={"r1": schedule, "r2": 0.2, "every": 2},
            rule={"generator": {**SGD, "learning_rate": 1e-9}, "discriminator": {**SGD, "learning_rate": 0.1}},
            ema=0.0,
        ),
        "test",
    )
    random = np.random.default_rng(3)
    a, x, z = quadratic(2), random.normal(size=(6, 2)), random.normal(size=(6, 2))
    generator, discriminator = Identity(2), Quadratic(a)
    algorithm = Algorithm1(
        recipe,
        generator,
        discriminator,
        None,
        build_optimizer(recipe.rule.generator, generator.parameters()),
        build_optimizer(recipe.rule.discriminator, discriminator.parameters()),
        FixedMinibatches(x, z),
    )

    def moments(points):
        return points.T @ points / len(points)

    for iteration in range(5):
        algorithm.iterate(iteration)
        ascent = (moments(x) - moments(z)) / 2
        if iteration % 2 == 0:
            r1 = 0.3 - 0.05 * min(iteration, 4)
            penalty = 2 * (r1 * a @ moments(x) + 0.2 * a @ moments(z))
            ascent = ascent - (penalty + penalty.T) / 2
        a = a + 0.1 * ascent
        np.testing.assert_allclose(discriminator.a.detach(), a, rtol=1e-6, atol=1e-6)


def test_wgan_gp_measures_points_between_data_and_generated_examples():
    seen = []

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))

        def forward(self, x, label=None):
            seen.append(x.detach())
            return x @ self.w

    recipe = validate_recipe(
        recipe_document(
            data={"source": "ring-2d"},
            generator={"kind": "mlp"},
            discriminator={"kind": "mlp"},
            objective="wasserstein",
            penalty={"wgan_gp": 10.0},
            rule={"generator": SGD, "discriminator": {**SGD, "learning_rate": 0.01}},
            ema=0.0,
        ),
        "test",
    )
    x, z = np.zeros((64, 2)), np.tile([8.0, 0.0], (64, 1))
    generator, discriminator = Identity(2), Linear()
    optimizers = [
        build_optimizer(config, network.parameters())
        for config, network in ((recipe.rule.generator, generator), (recipe.rule.discriminator, discriminator))
    ]
    algorithm = Algorithm1(recipe, generator, discriminator, None, *optimizers, FixedMinibatches(x, z))
    algorithm.update_discriminator(torch.from_numpy(x), torch.from_numpy(z), None, 0)
    between = seen[2]
    assert bool((between[:, 1] == 0).all())
    assert float(between[:, 0].min()) < 1 < 7 < float(between[:, 0].max())
    ascent = torch.tensor([-8.0, 0.0], dtype=torch.float64) - 10 * 2 * (5 - 1) * torch.tensor([3.0, 4.0]) / 5
    torch.testing.assert_close(discriminator.w.detach(), torch.tensor([3.0, 4.0]) + 0.01 * ascent.double(), check_dtype=False)


@pytest.mark.parametrize("kind", ["residual", "mlp"])
def test_spectral_normalization_and_its_gradient(kind):
    """W/s has the largest singular value 1; the gradient of a function of W/s is (G - <G, W/s> u vᵀ) / s."""
    shape = (2,) if kind == "mlp" else (1, 8, 8)
    fields = {"kind": kind, "spectral_norm": True}
    document = recipe_document(generator={"kind": kind}, discriminator=fields, z_dim=4)
    _, discriminator = build_networks(validate_recipe(document, "test"), torch.zeros(shape), 0)
    layers = [module for module in discriminator.modules() if hasattr(module, "parametrizations")]
    assert len(layers) >= 3
    for layer in layers:
        original = layer.parametrizations.weight.original
        nn.init.normal_(original)
        with torch.no_grad():
            original += 2.0  # a gap between the two largest singular values, so that few power iterations suffice
        for _ in range(50):
            layer(torch.zeros(1, *([layer.in_features] if isinstance(layer, nn.Linear) else [layer.in_channels, 8, 8])))
        weight = layer.eval().weight
        slope = torch.randn_like(weight)
        (found,) = torch.autograd.grad((weight * slope).sum(), original)
        w = original.detach().flatten(1).double().numpy()
        u, s, v = np.linalg.svd(w, full_matrices=False)
        np.testing.assert_allclose(weight.detach().flatten(1), w / s[0], rtol=1e-3, atol=1e-4)
        g = slope.flatten(1).double().numpy()
        expected = (g - (g * w / s[0]).sum() * np.outer(u[:, 0], v[0])) / s[0]
        np.testing.assert_allclose(found.flatten(1), expected, atol=1e-3 * np.abs(expected).max())
