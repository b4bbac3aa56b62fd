"""The classifier: the weights that come with Seedmint, and those that are trained for other data."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load

from seedmint.training.datasets import load_splits
from seedmint.training.datasets.digits import load_digits
from seedmint.training.evaluation import classifier
from seedmint.training.evaluation.classifier import FEATURES, classifier_of
from seedmint.training.recipes.schema import Data


@pytest.fixture
def other(monkeypatch):
    """Splits of other data than the shipped weights are for, and a quick training."""
    monkeypatch.setattr(classifier, "_SAMPLES", 20_000)
    return load_digits().first(1500).parted(5)


@pytest.mark.parametrize(("source", "accuracy"), [("digits", 0.994), ("mnist", 0.994), ("fashion-mnist", 0.920)])
def test_shipped_weights_are_as_good_as_they_say(request, source, accuracy):
    if source != "digits":
        request.getfixturevalue("mnist")
    train, test = load_splits(Data(source=source))
    judge = classifier_of(train, test, source)
    assert judge.name == f"cnn-v2-{source}"
    assert judge.accuracy == pytest.approx(accuracy, abs=0.001)
    part = slice(0, 2000)
    right = (judge.see(test.images[part]).labels == test.labels[part]).mean()
    assert right == pytest.approx(judge.accuracy, abs=4 * (0.08 / 2000) ** 0.5)


def test_shipped_weights_that_were_changed_are_refused(monkeypatch, tmp_path):
    for path in classifier.WEIGHTS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr(classifier, "WEIGHTS", tmp_path)
    with pytest.raises(RuntimeError, match="cnn-v2-digits on this machine are not the published ones"):
        classifier_of(*load_splits(Data(source="digits")), "digits")


def test_a_trained_classifier_is_good_and_the_same_each_time(other, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "one"))
    one = classifier_of(*other, "My Data!")
    assert one.name == "cnn-v2-my-data"
    assert one.accuracy >= 0.9
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "two"))
    two = classifier_of(*other, "My Data!")
    assert (two.digest, two.accuracy) == (one.digest, one.accuracy)
    (cached,) = (tmp_path / "two" / "seedmint" / "classifiers").iterdir()
    cached.write_bytes(cached.read_bytes()[:100])
    assert classifier_of(*other, "My Data!").digest == one.digest  # a damaged cache is made anew


def test_training_and_loading_leave_the_random_numbers_of_others_alone(other):
    before = torch.random.get_rng_state()
    classifier_of(*other, "x")
    classifier_of(*other, "x")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_features_are_the_last_hidden_layer_in_evaluation_mode():
    """Computed once more from the file, by NumPy from the flattened layer on; equal within float32's rounding."""
    train, test = load_splits(Data(source="digits"))
    judge = classifier_of(train, test, "digits")
    seen = judge.see(test.images)
    weights = {
        key: array.astype(np.float64)
        for key, array in load((classifier.WEIGHTS / f"{judge.name}.safetensors").read_bytes()).items()
    }
    with torch.no_grad():
        flat = judge.network[:9](torch.from_numpy(test.images).float() / 255).double().numpy()
    linear = flat @ weights["10.weight"].T + weights["10.bias"]
    normal = (linear - weights["11.running_mean"]) / np.sqrt(weights["11.running_var"] + 1e-5)
    features = np.maximum(0, normal * weights["11.weight"] + weights["11.bias"])
    assert seen.features.shape == (len(test.images), FEATURES)
    assert seen.features == pytest.approx(features, abs=1e-4)
    assert (seen.labels == (features @ weights["14.weight"].T + weights["14.bias"]).argmax(axis=1)).all()
