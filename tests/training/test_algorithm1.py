"""Algorithm 1, compared step by step with plain NumPy; its parts, compared with closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.datasets import load_dataset
from seedmint.training.networks import build_networks
from seedmint.training.objectives import EQUILIBRIUM_VALUE, OBJECTIVES, minimax_loss, non_saturating_loss, value
from seedmint.training.optimization.minibatches import Minibatches
from seedmint.training.optimization.optimizers import apply_schedule, build_optimizer
from seedmint.training.recipes.optimizers import Adam, Momentum
from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.state import build_algorithm
from tests.support import numpy_algorithm1 as reference
from tests.support.recipes import recipe_document

M, Z, SIDE, CLASSES = 7, 5, 8, 3

MOMENTUM = {"learning_rate": 0.1, "decay": 1.1, "momentum": 0.4, "final_momentum": 0.7, "ramp": 6}
OPTIMIZERS = {
    "momentum": (MOMENTUM, lambda: reference.MomentumOptimizer(0.1, 0.4, 0.7, 6, 1.1)),
    "adam": (
        {"learning_rate": 0.01, "beta1": 0.5, "beta2": 0.99, "epsilon": 1e-6},
        lambda: reference.AdamOptimizer(0.01, 0.5, 0.99, 1e-6),
    ),
    "rmsprop": (
        {"learning_rate": 0.001, "alpha": 0.9, "epsilon": 1e-4},
        lambda: reference.RMSPropOptimizer(0.001, 0.9, 1e-4),
    ),
}


class Stream:
    """Draws random numbers in a fixed order. Both implementations draw the same numbers from the same seed."""

    def __init__(self, classes):
        self.random, self.classes = np.random.default_rng(0), classes

    def data(self):
        return self.random.random((M, SIDE * SIDE)), self.labels()

    def noise(self):
        return self.random.standard_normal((M, Z))

    def labels(self):
        return self.random.integers(0, self.classes, M) if self.classes else None


class RecordedMinibatches(Minibatches):
    """Minibatches in float64 from a `Stream`; records the draws."""

    def __init__(self, classes):
        self.stream, self.draws = Stream(classes), []

    def data(self, number):
        x, label = self.stream.data()
        self.draws.append((f"data {number}", x))
        return torch.from_numpy(x).view(M, 1, SIDE, SIDE), None if label is None else torch.from_numpy(label)

    def noise(self):
        z = self.stream.noise()
        self.draws.append(("noise", z))
        return torch.from_numpy(z)

    def labels(self):
        label = self.stream.labels()
        return None if label is None else torch.from_numpy(label)


def build_test_algorithm(objective, k, optimizer, settings, classes=0, order="alternating"):
    recipe = validate_recipe(
        recipe_document(
            objective=objective,
            order=order,
            k=k,
            m=M,
            z_dim=Z,
            generator={"kind": "paper", "width": 11, "layers": 1, "init": 0.5},
            discriminator={
                **{"kind": "paper", "width": 6, "pieces": 3, "layers": 1, "init": 0.5},
                **{"keep_input": 1.0, "keep_hidden": 1.0},
            },
            rule={"generator": {"kind": optimizer, **settings}, "discriminator": {"kind": optimizer, **settings}},
        ),
        "test",
    )
    torch.manual_seed(3)
    generator, discriminator = (n.double() for n in build_networks(recipe, torch.full((1, SIDE, SIDE), 0.3), classes))
    return Algorithm1(
        recipe,
        generator,
        discriminator,
        None,
        build_optimizer(recipe.rule.generator, generator.parameters()),
        build_optimizer(recipe.rule.discriminator, discriminator.parameters()),
        RecordedMinibatches(classes),
    )


PAPER_OBJECTIVES = ("minimax", "non-saturating")
NEW_OBJECTIVES = tuple(name for name in OBJECTIVES if name not in PAPER_OBJECTIVES)


def arrays(network):
    return [p.detach().numpy().copy() for p in network.parameters()]


@pytest.mark.parametrize(
    ("objective", "k", "optimizer", "classes"),
    [
        *itertools.product(PAPER_OBJECTIVES, [1, 3], OPTIMIZERS, [0, CLASSES]),
        *itertools.product(NEW_OBJECTIVES, [2], ["momentum"], [0, CLASSES]),
    ],
)
def test_iterations_match_numpy(objective, k, optimizer, classes):
    settings, reference_optimizer = OPTIMIZERS[optimizer]
    ours = build_test_algorithm(objective, k, optimizer, settings, classes)
    generator = reference.Generator(arrays(ours.generator))
    discriminator = reference.Discriminator(arrays(ours.discriminator), pieces=3)
    optimizers, stream = (reference_optimizer(), reference_optimizer()), Stream(classes)
    for iteration in range(5):
        statistics = ours.iterate(iteration)
        expected = reference.iterate(generator, discriminator, *optimizers, objective, k, stream, classes)
        assert statistics.tolist() == pytest.approx(expected, rel=1e-9)
        for network, theirs in ((ours.generator, generator), (ours.discriminator, discriminator)):
            for actual, target in zip(arrays(network), theirs.parameters, strict=True):
                np.testing.assert_allclose(actual, target, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(
    ("objective", "optimizer", "classes"),
    [
        *itertools.product(PAPER_OBJECTIVES, OPTIMIZERS, [0, CLASSES]),
        *itertools.product(NEW_OBJECTIVES, ["momentum"], [CLASSES]),
    ],
)
def test_simultaneous_iterations_match_numpy(objective, optimizer, classes):
    settings, reference_optimizer = OPTIMIZERS[optimizer]
    ours = build_test_algorithm(objective, 1, optimizer, settings, classes, "simultaneous")
    generator = reference.Generator(arrays(ours.generator))
    discriminator = reference.Discriminator(arrays(ours.discriminator), pieces=3)
    optimizers, stream = (reference_optimizer(), reference_optimizer()), Stream(classes)
    for iteration in range(5):
        statistics = ours.iterate(iteration)
        expected = reference.iterate_simultaneously(generator, discriminator, *optimizers, objective, stream, classes)
        assert statistics.tolist() == pytest.approx(expected, rel=1e-9)
        for network, theirs in ((ours.generator, generator), (ours.discriminator, discriminator)):
            for actual, target in zip(arrays(network), theirs.parameters, strict=True):
                np.testing.assert_allclose(actual, target, rtol=1e-8, atol=1e-11)
    assert [kind for kind, _ in ours.minibatches.draws[:2]] == ["data 0", "noise"]
    assert len(ours.minibatches.draws) == 10  # one batch of noise per iteration


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
def test_bfloat16_is_used_only_for_products(order):
    """One step with learning rate 1 equals the gradient, which has the precision of bfloat16 but is not rounded to it."""
    moved = {}
    for precision in ("float32", "bfloat16"):
        recipe = validate_recipe(
            recipe_document(
                order=order,
                precision=precision,
                generator={"kind": "paper", "width": 64, "init": 0.2},
                discriminator={"kind": "paper", "width": 80, "pieces": 1, "init": 0.2, "keep_input": 1.0, "keep_hidden": 1.0},
                rule={kind: {"kind": "momentum", "learning_rate": 1.0} for kind in ("generator", "discriminator")},
            ),
            "test",
        )
        algorithm = build_algorithm(recipe, load_dataset(recipe.data), torch.device("cpu"))
        before = torch.cat([p.detach().flatten().clone() for p in algorithm.discriminator.parameters()])
        statistics = algorithm.iterate(0)
        after = torch.cat([p.detach().flatten() for p in algorithm.discriminator.parameters()])
        assert after.dtype == statistics.dtype == torch.float32
        moved[precision] = after - before
    difference = float((moved["bfloat16"] - moved["float32"]).norm() / moved["float32"].norm())
    assert 0 < difference < 2**-5
    assert not torch.equal(after, after.bfloat16().float())


def test_each_update_draws_new_minibatches_in_the_order_of_algorithm_1():
    ours = build_test_algorithm("non-saturating", 2, "momentum", {"learning_rate": 0.1})
    ours.iterate(0)
    ours.iterate(1)
    kinds = [kind for kind, _ in ours.minibatches.draws]
    assert kinds == [*("data 0", "noise", "data 1", "noise", "noise"), *("data 2", "noise", "data 3", "noise", "noise")]
    draws = [array.tobytes() for _, array in ours.minibatches.draws]
    assert len(set(draws)) == len(draws)


def test_each_update_changes_only_its_own_network():
    ours = build_test_algorithm("minimax", 1, "momentum", {"learning_rate": 0.1})
    before = arrays(ours.generator), arrays(ours.discriminator)
    x, label = ours.minibatches.data(0)
    ours.update_discriminator(x, ours.minibatches.noise(), label, 0)
    assert all((a == b).all() for a, b in zip(before[0], arrays(ours.generator), strict=True))
    between = arrays(ours.discriminator)
    assert any((a != b).any() for a, b in zip(before[1], between, strict=True))
    ours.update_generator(ours.minibatches.noise(), ours.minibatches.labels(), 0)
    assert all((a == b).all() for a, b in zip(between, arrays(ours.discriminator), strict=True))
    assert any((a != b).any() for a, b in zip(before[0], arrays(ours.generator), strict=True))


def test_value_and_losses_match_the_paper():
    real, fake = torch.tensor([0.3, -1.2, 4.0]), torch.tensor([-0.5, 2.0, 0.1])
    d_real, d_fake = real.sigmoid().double(), fake.sigmoid().double()
    assert float(value(real, fake)) == pytest.approx(float(d_real.log().mean() + (1 - d_fake).log().mean()), rel=1e-6)
    assert float(minimax_loss(fake)) == pytest.approx(float((1 - d_fake).log().mean()), rel=1e-6)
    assert float(non_saturating_loss(fake)) == pytest.approx(float(-d_fake.log().mean()), rel=1e-6)
    even = torch.zeros(4)
    assert float(value(even, even)) == pytest.approx(-math.log(4)) == pytest.approx(EQUILIBRIUM_VALUE)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_equilibrium_values(name):
    """If p_g = p_data, the best D cannot separate them, so its output is constant; this test finds the best constant."""
    objective = OBJECTIVES[name]
    outputs = [torch.full((4,), float(c)) for c in torch.linspace(-3, 3, 601)]
    values = [float(objective.value(c, c)) for c in outputs]
    best = int(np.argmax(values))
    assert values[best] == pytest.approx(objective.equilibrium, abs=1e-4)
    for probabilities in objective.probabilities(outputs[best], outputs[best]):
        assert probabilities.tolist() == pytest.approx([0.5] * 4, abs=1e-2 if name != "hinge" else 0.5)


@pytest.mark.parametrize("logit", [-200.0, -40.0, 40.0, 200.0])
def test_losses_of_extreme_logits_are_finite(logit):
    fake = torch.tensor([logit], requires_grad=True)
    constant = torch.zeros(1)
    of_pairs = [f for o in OBJECTIVES.values() for f in (o.value, o.generator_loss)]
    for loss in (minimax_loss, non_saturating_loss, *(lambda f, g=g: g(constant, f) for g in of_pairs)):
        fake.grad = None
        result = loss(fake)
        result.backward()
        assert bool(torch.isfinite(result))
        assert bool(torch.isfinite(fake.grad).all())
    assert float(non_saturating_loss(torch.tensor([-200.0]))) == pytest.approx(200.0)
    assert float(minimax_loss(torch.tensor([200.0]))) == pytest.approx(-200.0)


def test_schedules_of_learning_rate_and_momentum():
    config = Momentum(kind="momentum", learning_rate=0.1, decay=1.5, floor=0.02, momentum=0.5, final_momentum=0.7, ramp=4)
    optimizer = build_optimizer(config, [torch.nn.Parameter(torch.zeros(1))])
    schedule = []
    for update in range(6):
        apply_schedule(config, optimizer, update)
        schedule.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
    assert [rate for rate, _ in schedule] == pytest.approx([0.1, 0.1 / 1.5, 0.1 / 2.25, 0.1 / 3.375, 0.02, 0.02])
    assert [momentum for _, momentum in schedule] == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.7])


def test_scheduled_learning_rate_with_warmup_and_scheduled_beta2():
    schedules = {"learning_rate": {"start": 0.4, "end": 0.2, "steps": 4, "shape": "linear"}, "warmup": 2}
    config = Adam.model_validate({"kind": "adam", **schedules, "beta2": {"start": 0.9, "end": 0.99, "steps": 2}})
    optimizer = build_optimizer(config, [torch.nn.Parameter(torch.zeros(1))])
    schedule = []
    for update in range(6):
        apply_schedule(config, optimizer, update)
        schedule.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"][1]))
    assert [rate for rate, _ in schedule] == pytest.approx([0.2, 0.35, 0.3, 0.25, 0.2, 0.2])
    assert [beta2 for _, beta2 in schedule] == pytest.approx([0.9, 0.945, 0.99, 0.99, 0.99, 0.99])


@pytest.mark.parametrize("floor", [0.0, 1e-6])
def test_learning_rate_stops_at_the_floor(floor):
    config = Momentum(kind="momentum", learning_rate=0.1, decay=2.0, floor=floor)
    optimizer = build_optimizer(config, [torch.nn.Parameter(torch.zeros(1))])
    for update in (1100, 10**6):
        apply_schedule(config, optimizer, update)
        assert optimizer.param_groups[0]["lr"] == floor
