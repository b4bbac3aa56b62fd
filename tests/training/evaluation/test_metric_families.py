"""Measuring images whose quality is known: real ones, one image again and again, and copies."""

from typing import get_args

import numpy as np
import pytest

from seedmint.models.card import Metric
from seedmint.training.datasets import DataError
from seedmint.training.evaluation.metric_families import FAMILIES, Sample, measure, sample_of, samples_of, why_not
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.recipes.schema import Data, MetricName

N = 1400


@pytest.fixture
def digits():
    return RealData(Data(source="digits"))


def figures(name, sample, n) -> dict[str, Metric]:
    """The family's metrics by their names without the judge's."""
    return {metric.metric.split("-cnn-v2")[0]: metric for metric in measure(name, sample, n)}


@pytest.fixture
def real(mnist):
    """MNIST, its reference cut to every seventh test image."""
    real = RealData(Data(source="mnist"))
    assert real.test is not None
    real.reference = real.test.parted(7)[1]
    return real


def test_every_metric_of_a_recipe_can_be_measured():
    assert tuple(FAMILIES) == get_args(MetricName)


def test_a_perfect_generator_scores_as_real_images_do(real):
    """Training images in the generated ones' place."""
    perfect = Sample(*real.stand_in(N), real)
    quality = figures("prdc", perfect, N)
    assert quality["precision"].value > 0.9
    assert quality["recall"].value > 0.9
    assert quality["density"].value == pytest.approx(1, abs=0.15)
    assert quality["coverage"].value > 0.9
    labels = figures("labels", perfect, N)
    assert labels["label-accuracy"].value == pytest.approx(real.judge.accuracy, abs=0.01)
    assert labels["class-kl"].value < 2 * 9 / (2 * N)  # twice what chance makes of 10 classes
    kid = figures("kid", perfect, N)["kid"]
    assert abs(kid.value) < 3 * kid.standard_error
    worse = Sample(255 - perfect.images, perfect.asked, real)
    assert 50 * figures("frechet", perfect, N)["frechet"].value < figures("frechet", worse, N)["frechet"].value


def test_a_collapsed_generator_is_found_out(real):
    images, labels = real.stand_in(N)
    collapsed = Sample(images[:1].repeat(N, axis=0), labels, real)
    quality = figures("prdc", collapsed, N)
    assert quality["coverage"].value < 0.02
    assert quality["recall"].value == 0
    seen = figures("labels", collapsed, N)
    assert seen["class-kl"].value == pytest.approx(np.log(10), abs=0.2)
    assert seen["label-accuracy"].value == pytest.approx(0.1, abs=0.03)
    varied = Sample(images, labels, real)
    assert figures("frechet", collapsed, N)["frechet"].value > 50 * figures("frechet", varied, N)["frechet"].value
    kid = figures("kid", collapsed, N)["kid"]
    assert kid.value > 10 * kid.standard_error


def test_copies_of_training_images_are_found_out(real, monkeypatch):
    monkeypatch.setattr("seedmint.training.evaluation.reference_data.CONTROLS", 300)
    images, _ = real.stand_in(200)
    assert figures("nearest", Sample(images, None, real), 200)["copying"].value == 1
    unseen = figures("nearest", Sample(real.test.images[-200:], None, real), 200)["copying"]
    assert abs(unseen.value - 0.5) < 0.1  # the test set's second half is the harder one


def test_the_parzen_metric_is_the_papers(real):
    """Sigma by training images 50,000 to 50,999, the mean over all test images; against the formula in plain NumPy."""
    centres = real.stand_in(20)[0].reshape(20, -1) / 255
    metric = figures("parzen", Sample(real.stand_in(20)[0], None, real), 20)["parzen-log-likelihood"]
    sigmas = np.logspace(-1, 0, 10)

    def likelihoods(images, sigma):
        x = images.reshape(len(images), -1) / 255
        exponents = -np.array([np.sum((x - centre) ** 2, axis=1) for centre in centres]) / (2 * sigma**2)
        most = exponents.max(axis=0)
        return most + np.log(np.exp(exponents - most).mean(axis=0)) - 784 * np.log(sigma * np.sqrt(2 * np.pi))

    sigma = max(sigmas, key=lambda sigma: likelihoods(real.train.images[50_000:51_000], sigma).mean())
    expected = likelihoods(real.test.images, sigma)
    assert f"sigma {sigma:.4f}" in metric.protocol
    assert metric.value == pytest.approx(expected.mean(), rel=1e-9)
    assert metric.standard_error == pytest.approx(expected.std() / 100, rel=1e-9)


def test_the_protocol_says_which_images_and_which_judge(real):
    (metric,) = measure("frechet", Sample(*real.stand_in(50), real), 50)
    assert metric.metric == "frechet-cnn-v2-mnist"
    assert metric.samples == 50
    assert "seeds 0-49 against mnist test set, every 7th image (1,429 images)" in metric.protocol
    assert f"128 features of cnn-v2-mnist (weights {real.judge.digest[:8]})" in metric.protocol


def test_stacked_digits_are_judged_channel_by_channel(mnist):
    real = RealData(Data(source="stacked-mnist"))
    images, labels = real.stand_in(300)
    varied, collapsed = Sample(images, None, real), Sample(images[:1].repeat(300, axis=0), None, real)
    assert (varied.seen.labels == labels).mean() > 0.97
    assert varied.seen.features.shape == (300, 3 * 128)
    found = figures("modes", varied, 300)
    assert found["modes"].value == pytest.approx(len(np.unique(labels)), abs=6)
    assert figures("modes", collapsed, 300)["modes"].value == 1
    assert figures("modes", collapsed, 300)["mode-kl"].value > 6
    assert samples_of("modes", None) == 26_000
    assert why_not("modes", real, None) is None


def test_data_without_a_test_set_say_what_is_compared_with_what(digits):
    sample = Sample(*digits.stand_in(100), digits)
    assert "against digits (1,797 images; there is no test set)" in measure("frechet", sample, 100)[0].protocol
    assert "every 5th image" in measure("parzen", sample, 100)[0].protocol
    (copies,) = measure("nearest", sample, 100)
    assert "each among the others" in copies.protocol
    assert copies.value == 1


def test_images_come_from_the_seeds_with_the_seeds_own_labels(digits):
    sample = sample_of(
        lambda seeds: seeds.astype(np.uint8)[:, None, None, None] * np.ones((1, 8, 6, 1), np.uint8), 10, 9, digits
    )
    assert sample.images.shape == (9, 1, 8, 6)
    assert sample.images[:, 0, 0, 0].tolist() == list(range(9))
    assert sample.asked.tolist()[:3] == [7, 5, 8]  # as the README has them


def npz(path, n=40, side=8, **arrays):
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (n, side, side), dtype=np.uint8), **arrays)
    return RealData(Data(source="npz", path=str(path)))


def test_data_that_are_loaded_are_not_loaded_again(digits):
    real = RealData(Data(source="npz", path="/nowhere.npz", first=50), digits.train)
    assert real.reference is digits.train
    np.testing.assert_array_equal(real.train.images, digits.train.images[:50])


def test_what_does_not_apply_says_why(tmp_path, digits):
    bare = npz(tmp_path / "bare.npz")
    assert {name: why_not(name, bare, None) is None for name in FAMILIES} == {
        "parzen": True, "frechet": False, "kid": False, "prdc": False, "labels": False, "modes": False, "nearest": True
    }  # fmt: skip
    assert "bare has no labels" in why_not("frechet", bare, None)
    with pytest.raises(DataError, match="no labels"):
        measure("frechet", Sample(bare.train.images, None, bare), 20)
    assert "stacked-mnist alone" in why_not("modes", digits, None)
    assert "classes are not those" in why_not("labels", digits, ("a", "b"))
    assert why_not("labels", digits, digits.train.classes) is None
    gap = npz(tmp_path / "gap.npz", labels=np.arange(40) % 2, classes=["a", "b", "c"])
    assert "a class without images" in why_not("labels", gap, None)
    assert "4 to 128 pixels" in why_not("kid", npz(tmp_path / "tiny.npz", side=3, labels=np.arange(40) % 2), None)
    assert "fewer than 10" in why_not("parzen", npz(tmp_path / "few.npz", n=9), None)
