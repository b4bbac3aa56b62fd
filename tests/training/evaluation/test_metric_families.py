"""Metrics of images of known quality: real images, one repeated image, and copies."""

from typing import get_args

import numpy as np
import pytest

from seedmint.models.noise import LabelRule
from seedmint.models.provenance import Metric
from seedmint.training.datasets import DataError
from seedmint.training.evaluation.image_sample import ImageSample, sample_seeds
from seedmint.training.evaluation.metric_families import FAMILIES, inapplicable_reason, measure, num_samples
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.schema import ImageMetric
from tests.support.errors import raises

N = 1400


@pytest.fixture
def digits():
    return RealData(Data(source="digits"))


def metrics_of(name, sample, n) -> dict[str, Metric]:
    """Return a family's metrics by name, without the classifier's name."""
    return {metric.metric.split("-cnn-v2")[0]: metric for metric in measure(name, sample, n)}


@pytest.fixture
def real(mnist):
    """MNIST with a seventh of the test images as the reference."""
    real = RealData(Data(source="mnist"))
    assert real.test is not None
    small = RealData(Data(source="mnist"), (real.train, real.test.first(1429)))
    small.__dict__["feature_extractor"] = real.feature_extractor
    return small


def baseline(real, n):
    """Return n training images by the draw, and their labels."""
    rows = real.train.draw_order[:n]
    return real.train.images[rows], real.train.labels[rows]


def test_every_metric_of_a_recipe_has_a_family():
    assert tuple(FAMILIES) == get_args(ImageMetric)


def test_scores_of_training_images(real):
    """Training images are the output of a perfect generator."""
    perfect = ImageSample(*baseline(real, N), real)
    quality = metrics_of("prdc", perfect, N)
    assert quality["precision"].value > 0.9
    assert quality["recall"].value > 0.9
    assert quality["density"].value == pytest.approx(1, abs=0.15)
    assert quality["coverage"].value > 0.9
    labels = metrics_of("labels", perfect, N)
    assert labels["label-accuracy"].value == pytest.approx(real.feature_extractor.accuracy, abs=0.01)
    assert labels["class-kl"].value < 2 * 9 / (2 * N)  # twice the expectation for 10 classes
    kid = metrics_of("kid", perfect, N)["kid"]
    assert abs(kid.value) < 3 * kid.standard_error
    worse = ImageSample(255 - perfect.images, perfect.labels, real)
    assert 50 * metrics_of("frechet", perfect, N)["frechet"].value < metrics_of("frechet", worse, N)["frechet"].value


def test_scores_of_a_collapsed_generator(real):
    images, labels = baseline(real, N)
    collapsed = ImageSample(images[:1].repeat(N, axis=0), labels, real)
    quality = metrics_of("prdc", collapsed, N)
    assert quality["coverage"].value < 0.02
    assert quality["recall"].value == 0
    labels_found = metrics_of("labels", collapsed, N)
    assert labels_found["class-kl"].value == pytest.approx(np.log(10), abs=0.2)
    assert labels_found["label-accuracy"].value == pytest.approx(0.1, abs=0.03)
    varied = ImageSample(images, labels, real)
    assert metrics_of("frechet", collapsed, N)["frechet"].value > 50 * metrics_of("frechet", varied, N)["frechet"].value
    kid = metrics_of("kid", collapsed, N)["kid"]
    assert kid.value > 10 * kid.standard_error


def test_copies_of_training_images_are_detected(real, monkeypatch):
    monkeypatch.setattr("seedmint.training.evaluation.reference_data.NUM_CONTROLS", 300)
    images, _ = baseline(real, 200)
    assert metrics_of("nearest", ImageSample(images, None, real), 200)["copying"].value == 1
    unseen = metrics_of("nearest", ImageSample(real.test.images[-200:], None, real), 200)["copying"]
    assert abs(unseen.value - 0.5) < 0.15


def test_parzen_metric_matches_the_paper(real):
    """A thousand drawn images select sigma; the mean is over all test images. NumPy computes the formula."""
    centers = baseline(real, 20)[0].reshape(20, -1) / 255
    metric = metrics_of("parzen", ImageSample(baseline(real, 20)[0], None, real), 20)["parzen-log-likelihood"]
    sigmas = np.logspace(-1, 0, 10)

    def likelihoods(images, sigma):
        x = images.reshape(len(images), -1) / 255
        exponents = -np.array([np.sum((x - center) ** 2, axis=1) for center in centers]) / (2 * sigma**2)
        largest = exponents.max(axis=0)
        return largest + np.log(np.exp(exponents - largest).mean(axis=0)) - 784 * np.log(sigma * np.sqrt(2 * np.pi))

    valid = real.train.images[real.train.draw_order[-1000:]]
    sigma = max(sigmas, key=lambda sigma: likelihoods(valid, sigma).mean())
    expected = likelihoods(real.test.images, sigma)
    assert f"sigma {sigma:.4f}" in metric.protocol
    assert metric.value == pytest.approx(expected.mean(), rel=1e-9)
    assert metric.standard_error == pytest.approx(expected.std() / 1429**0.5, rel=1e-9)


def test_protocol_names_the_images_and_the_classifier(real):
    (metric,) = measure("frechet", ImageSample(*baseline(real, 50), real), 50)
    assert metric.metric == "frechet-cnn-v2-mnist"
    assert metric.samples == 50
    assert "draw-v1; seeds 0-49 against mnist test set, 1429 by draw-v1 (1,429 images)" in metric.protocol
    assert f"128 features of cnn-v2-mnist (weights {real.feature_extractor.digest[:8]})" in metric.protocol


def test_stacked_digits_are_classified_by_channel(mnist):
    real = RealData(Data(source="stacked-mnist"))
    images, labels = baseline(real, 300)
    varied, collapsed = ImageSample(images, None, real), ImageSample(images[:1].repeat(300, axis=0), None, real)
    assert (varied.features.labels == labels).mean() > 0.97
    assert varied.features.vectors.shape == (300, 3 * 128)
    found = metrics_of("modes", varied, 300)
    assert found["modes"].value == pytest.approx(len(np.unique(labels)), abs=6)
    assert metrics_of("modes", collapsed, 300)["modes"].value == 1
    assert metrics_of("modes", collapsed, 300)["mode-kl"].value > 6
    assert num_samples("modes", None, real) == 26_000
    assert inapplicable_reason("modes", real, None) is None


def test_protocols_without_a_test_set(digits):
    sample = ImageSample(*baseline(digits, 100), digits)
    assert (
        "against one half of digits by draw-v1 (899 images; there is no test set)"
        in measure("frechet", sample, 100)[0].protocol
    )
    assert "179 other images of digits" in measure("parzen", sample, 100)[0].protocol
    copies, *_ = measure("nearest", sample, 100)
    assert "each among the others" in copies.protocol
    assert copies.value == 1


def test_images_use_the_labels_of_their_seeds(digits):
    sample = sample_seeds(
        lambda seeds: seeds.astype(np.uint8)[:, None, None, None] * np.ones((1, 8, 6, 1), np.uint8), LabelRule(10), 9, digits
    )
    assert sample.images.shape == (9, 1, 8, 6)
    assert sample.images[:, 0, 0, 0].tolist() == list(range(9))
    assert sample.labels.tolist()[:3] == [7, 5, 8]  # as in docs/noise-rule.md


def npz(path, n=40, side=8, **arrays):
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (n, side, side), dtype=np.uint8), **arrays)
    return RealData(Data(source="npz", path=str(path)))


def test_loaded_data_are_not_loaded_again(digits):
    real = RealData(Data(source="npz", path="/nowhere.npz", first=50), (digits.train, None))
    assert (len(real.train), len(real.reference), real.num_pool) == (50, 899, 719)


def test_families_that_do_not_apply_have_a_reason(tmp_path, digits):
    bare = npz(tmp_path / "bare.npz")
    assert {name: inapplicable_reason(name, bare, None) is None for name in FAMILIES} == {
        "parzen": True, "frechet": False, "kid": False, "prdc": False, "labels": False, "modes": False, "nearest": True,
        "spectrum": True, "patches": True, "random-features": True,
    }  # fmt: skip
    with raises(DataError, "no_labels"):
        measure("frechet", ImageSample(bare.train.images, None, bare), 20)
    assert inapplicable_reason("modes", digits, None) is not None
    assert inapplicable_reason("labels", digits, ("a", "b")) is not None
    assert inapplicable_reason("labels", digits, digits.train.classes) is None
    gap = npz(tmp_path / "gap.npz", labels=np.arange(40) % 2, classes=["a", "b", "c"])
    assert inapplicable_reason("labels", gap, None) is not None
    tiny = npz(tmp_path / "tiny.npz", side=3, labels=np.arange(40) % 2)
    assert inapplicable_reason("kid", tiny, None) is not None
    assert inapplicable_reason("parzen", npz(tmp_path / "few.npz", n=9), None) is not None
