"""The protocol of evaluations: no figure depends on the order of the rows, and real data score as a perfect generator."""

from dataclasses import dataclass

import numpy as np
import pytest

from seedmint.models.card import Card, ImageOutput, Noise
from seedmint.models.columns import NULL, Column
from seedmint.models.provenance import Provenance
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.dataset import DataError, TableColumns
from seedmint.training.datasets.generated import RING_MODES, RING_STD
from seedmint.training.evaluation.evaluate import evaluate_generator
from seedmint.training.evaluation.features import Features
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.evaluation.sample_metrics import RealSamples, measure_samples
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.schema import SAMPLE_METRICS
from tests.support.errors import raises

SIDE, CLASSES = 8, 4
CARD = Card(
    name="fake",
    title="Fake",
    noise=Noise(rule="philox-normal-v1", z_dim=1),
    output=ImageOutput(height=SIDE, width=SIDE, channels=1),
    provenance=Provenance(),
)
BALANCED, UNBALANCED = (0.25, 0.25, 0.25, 0.25), (0.7, 0.1, 0.1, 0.1)
FAMILIES = ("parzen", "frechet", "kid", "prdc", "labels", "nearest", "spectrum", "patches", "random-features")


@dataclass(frozen=True)
class FakeClassifier:
    """Features are fixed random projections; the label is the class with the nearest template."""

    name, digest, accuracy = "fake", "0" * 64, 1.0

    def extract(self, images):
        x = images.reshape(len(images), -1) / 255
        projection = np.random.default_rng(0).normal(size=(x.shape[1], 8)) / 8
        labels = ((x[:, None] - TEMPLATES.reshape(CLASSES, -1)) ** 2).sum(axis=2).argmin(axis=1)
        return Features(np.maximum(x @ projection, 0).astype(np.float32), labels)


TEMPLATES = np.random.default_rng(1).uniform(0.2, 0.8, (CLASSES, SIDE, SIDE))


def draw(random, n, shares, classes=range(CLASSES)):
    """Return n images and labels: templates of different brightness, with noise."""
    weights = np.array([shares[c] for c in classes])
    labels = random.choice(np.array(classes), n, p=weights / weights.sum())
    bright = random.normal(1, 0.15, (n, 1, 1))
    x = TEMPLATES[labels] * bright + random.normal(0, 0.08, (n, SIDE, SIDE))
    return (255 * x.clip(0, 1)).astype(np.uint8)[:, None], labels.astype(np.int64)


def real_data(n, m, shares, order=None):
    """Return training and test images, sorted by class, or in another order."""
    random = np.random.default_rng(2)
    parts = []
    for name, size in (("train", n), ("test", m)):
        images, labels = draw(random, size, shares)
        rows = np.argsort(labels, kind="stable") if order is None else order.permutation(size)
        parts.append(Dataset(name, images[rows], labels[rows], tuple("abcd"), None))
    real = RealData(Data(source="mnist"), (parts[0], parts[1]))
    real.__dict__["feature_extractor"] = FakeClassifier()
    return real


def evaluate(real, images, samples=None, names=FAMILIES):
    made = evaluate_generator(
        CARD, lambda seeds: images[: len(seeds)].transpose(0, 2, 3, 1), real, names, samples, lambda _: None
    )
    return {metric.metric: metric for metric in made.metrics}


def outside(metrics):
    return {name for name, metric in metrics.items() if not metric.interval[0] <= metric.value <= metric.interval[1]}


@pytest.mark.parametrize(("n", "m"), [(500, 200), (120, 40)])
@pytest.mark.parametrize("shares", [BALANCED, UNBALANCED])
def test_a_perfect_generator_is_within_every_interval(n, m, shares):
    real = real_data(n, m, shares)
    found = evaluate(real, draw(np.random.default_rng(5), n, shares)[0], n)
    assert outside(found) == set()
    assert {metric.real is None for metric in found.values()} == {False}


def test_the_order_of_the_rows_changes_no_figure():
    images = draw(np.random.default_rng(5), 300, UNBALANCED)[0]
    by_class = evaluate(real_data(300, 100, UNBALANCED), images, 200)
    shuffled = evaluate(real_data(300, 100, UNBALANCED, np.random.default_rng(9)), images, 200)
    assert by_class == shuffled


def test_a_subset_of_the_data_changes_only_what_is_called_training_data():
    """`data.first` takes a draw: all classes occur, and fresh images are within the intervals."""
    whole = real_data(700, 300, BALANCED)
    real = RealData(Data(source="mnist", first=100), (whole.train, whole.test))
    real.__dict__["feature_extractor"] = FakeClassifier()
    assert len(np.unique(real.train.labels)) == CLASSES
    found = evaluate(real, draw(np.random.default_rng(5), 500, BALANCED)[0], 500)
    assert {metric.samples for name, metric in found.items() if name.startswith("frechet")} == {500}
    assert outside(found) == set()


@pytest.mark.parametrize(("n", "m"), [(700, 300), (120, 40)])
@pytest.mark.parametrize("shares", [BALANCED, UNBALANCED])
def test_copies_are_outside_also_among_as_many_fresh_images(n, m, shares):
    real = real_data(n, m, shares)
    images = real.train.images[np.random.default_rng(6).permutation(n)]
    assert {"copying", "copying-cells", "copying-near"} <= outside(evaluate(real, images, n, ("nearest",)))
    images = images.copy()
    images[::2] = draw(np.random.default_rng(5), len(images[::2]), shares)[0]
    assert {"copying", "copying-near"} <= outside(evaluate(real, images, n, ("nearest",)))


def test_half_copies_are_outside_even_if_other_images_hide_them():
    """Half of the images are copies; the others are far from all training images, so that the mean is as for real images."""
    real = real_data(700, 300, BALANCED)
    random = np.random.default_rng(6)
    images = real.train.images[random.permutation(700)[:500]].copy()
    images[::2] = (255 * random.uniform(0, 1, (250, 1, SIDE, SIDE))).astype(np.uint8)
    found = evaluate(real, images, 500, ("nearest",))
    assert "copying" not in outside(found)
    assert "copying-near" in outside(found)


def test_copies_of_some_classes_are_outside_even_if_other_classes_hide_them():
    """Two classes are copied, and two are blurred by noise: in the cells of the first, all images are copies."""
    real = real_data(700, 300, BALANCED)
    random = np.random.default_rng(6)
    copied = real.train.images[np.flatnonzero(real.train.labels < 2)[:250]]
    noisy = draw(random, 250, BALANCED, (2, 3))[0] + random.normal(0, 40, (250, 1, SIDE, SIDE))
    found = evaluate(real, np.concatenate([copied, noisy.clip(0, 255).astype(np.uint8)]), 500, ("nearest",))
    assert "copying" not in outside(found)
    assert "copying-cells" in outside(found)


@pytest.mark.parametrize(("shares", "seen"), [(BALANCED, {"frechet-fake"}), (UNBALANCED, set())])
def test_a_dropped_class_is_outside(shares, seen):
    real = real_data(700, 300, shares)
    images = draw(np.random.default_rng(6), 500, shares, (0, 1, 2))[0]
    found = outside(evaluate(real, images, 500, ("frechet", "prdc", "labels")))
    assert {"coverage-fake", "class-kl-fake"} | seen <= found


TYPED = (
    Column(name="x", type="integer", first=0, count=4000),
    Column(name="y", type="integer", first=0, count=4000, nullable=True),
    Column(name="kind", type="text", categories=("common", "rare"), count=2),
)
KINDS = ("table", "typed", "series", "ring")
NAMES = {"table": ("x", "y"), "typed": ("x", "y", "kind"), "series": ("x",), "ring": ("x", "y")}


def samples_of(random, n, kind, rare_share=0.2):
    """Return rows of two dependent columns with a rare part, also as a typed table; series of eight steps; or the ring.

    The rare part of the ring are its last two modes.
    """
    rare = random.random(n) < rare_share
    if kind == "ring":
        mode = np.where(rare, random.integers(6, 8, n), random.integers(0, 6, n))
        return random.normal(RING_MODES[mode], RING_STD).astype(np.float32)
    x = random.normal(np.where(rare, 4.0, 0.0), 1.0)
    y = 0.5 * x + random.normal(size=n)
    if kind == "table":
        return np.stack([x, y], axis=1).astype(np.float32)
    if kind == "typed":
        numbers = np.rint(1500 + 250 * np.stack([x, y], axis=1)).clip(0, 3999)
        numbers[random.random(n) < 0.05, 1] = NULL
        return np.column_stack([numbers, rare]).astype(np.float32)
    return (np.sin(np.arange(8) / 3 + x[:, None])[:, :, None] + random.normal(0, 0.05, (n, 8, 1))).astype(np.float32)


def real_samples(kind, n, m, order=None):
    random, parts = np.random.default_rng(3), []
    for name, size in (("train", n), ("held out", m)):
        values = samples_of(random, size, kind)
        rows = np.argsort(values.reshape(size, -1)[:, 0]) if order is None else order.permutation(size)
        table = TableColumns(TYPED, ()) if kind == "typed" else None
        parts.append(Dataset(name, values[rows], None, None, None, NAMES[kind], table=table))
    data = Data(source="ring-2d") if kind == "ring" else Data(source="table", path="x")
    return RealSamples(data, *parts)


def measure(real, values, names=SAMPLE_METRICS):
    return {metric.metric: metric for metric in measure_samples(real, lambda seeds: values[seeds], names)}


@pytest.mark.parametrize(
    ("kind", "n", "m"),
    [
        *(("ring", 1500, 500), ("typed", 400, 150), pytest.param("typed", 120, 40, marks=pytest.mark.slow)),
        *((kind, n, m) for kind in ("table", "series") for n, m in ((1500, 500), (120, 40))),
    ],
)
def test_perfect_samples_are_within_every_interval(kind, n, m):
    real = real_samples(kind, n, m)
    found = measure(real, samples_of(np.random.default_rng(4), n, kind))
    assert outside(found) == set()
    assert {metric.standard_error is None or metric.real is None for metric in found.values()} == {False}


@pytest.mark.parametrize("kind", ["typed", "series"])
def test_one_held_out_sample_is_refused(kind):
    with raises(DataError, "too_few_samples", field="data"):
        measure(real_samples(kind, 4, 1), samples_of(np.random.default_rng(4), 4, kind))


@pytest.mark.parametrize("kind", ["table", "series", "ring", pytest.param("typed", marks=pytest.mark.slow)])
def test_the_order_of_samples_changes_no_figure(kind):
    n, m = (300, 150) if kind == "ring" else (120, 40)
    values = samples_of(np.random.default_rng(4), n, kind)
    assert measure(real_samples(kind, n, m), values) == measure(real_samples(kind, n, m, np.random.default_rng(8)), values)


DROPPED = {
    "table": {"wasserstein-1 of x", "kolmogorov-smirnov of x"},
    "typed": {"kolmogorov-smirnov of x", "total-variation of kind", "contingency-difference", "detection-auc"},
    "series": {"wasserstein-1 of x", "kolmogorov-smirnov of x"},
    "ring": {"modes", "mode-share-smallest", "mode-width-smallest"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_copied_and_dropped_samples_are_outside(kind):
    n, m = (400, 150) if kind == "typed" else (1500, 500)
    real = real_samples(kind, n, m)
    equal = {"exact-copies"} if kind == "typed" else set()
    copies = outside(measure(real, real.train.samples, ("records",)))
    assert {"closest-record", "closest-record-cells", "closest-record-near"} | equal <= copies
    half = samples_of(np.random.default_rng(4), n, kind)
    half[::2] = real.train.samples[::2]
    half[1::2, :2] = 3999 if kind == "typed" else half[1::2, :2] + 40  # far from all data
    assert {"closest-record-near"} | equal <= outside(measure(real, half, ("records",)))
    common = samples_of(np.random.default_rng(4), n, kind, rare_share=0)
    assert DROPPED[kind] <= outside(measure(real, common))


def test_narrow_modes_are_outside():
    real = real_samples("ring", 1500, 500)
    values = samples_of(np.random.default_rng(4), 1500, "ring")
    nearest = RING_MODES[((values[:, None] - RING_MODES) ** 2).sum(axis=2).argmin(axis=1)]
    found = outside(measure(real, (nearest + 0.6 * (values - nearest)).astype(np.float32)))
    assert {"mode-width-smallest", "mode-width-largest"} <= found
    assert "mode-share-largest" not in found
