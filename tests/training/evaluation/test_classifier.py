"""The classifier: the shipped weights, and the weights trained for other data."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load

from seedmint.training.datasets import load_splits
from seedmint.training.datasets.digits import load_digits
from seedmint.training.evaluation import classifier
from seedmint.training.evaluation.classifier import load_classifier
from seedmint.training.evaluation.features import NUM_FEATURES
from seedmint.training.recipes.data import Data


@pytest.fixture
def other_splits(monkeypatch):
    """Splits of data without shipped weights, and a short training."""
    monkeypatch.setattr(classifier, "_MAX_EXAMPLES", 20_000)
    return load_digits().first(1500).holdout_every_n(5)


@pytest.mark.parametrize(
    ("source", "accuracy"),
    [("digits", 0.994), ("mnist", 0.994), ("fashion-mnist", 0.920), pytest.param("icons", 1.0, marks=pytest.mark.slow)],
)
def test_accuracy_of_shipped_weights(request, source, accuracy):
    if source.endswith("mnist"):
        request.getfixturevalue("mnist")
    train, test = load_splits(Data(source=source))
    extractor = load_classifier(train, test, source)
    assert extractor.name == f"cnn-v2-{source}"
    assert extractor.accuracy == pytest.approx(accuracy, abs=0.001)
    part = slice(0, 2000)
    accuracy_found = (extractor.extract(test.images[part]).labels == test.labels[part]).mean()
    assert accuracy_found == pytest.approx(extractor.accuracy, abs=4 * (0.08 / 2000) ** 0.5)


def test_changed_shipped_weights_are_refused(monkeypatch, tmp_path):
    for path in classifier.WEIGHTS_DIRECTORY.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr(classifier, "WEIGHTS_DIRECTORY", tmp_path)
    with pytest.raises(RuntimeError, match="cnn-v2-digits"):
        load_classifier(*load_splits(Data(source="digits")), "digits")


@pytest.mark.slow
def test_training_a_classifier_is_deterministic(other_splits, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "one"))
    one = load_classifier(*other_splits, "My Data!")
    assert one.name == "cnn-v2-my-data"
    assert one.accuracy >= 0.9
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "two"))
    backwards = (part.take(np.arange(len(part))[::-1], part.name) for part in other_splits)
    two = load_classifier(*backwards, "My Data!")  # the order of the examples does not matter
    assert (two.digest, two.accuracy) == (one.digest, one.accuracy)
    (cached,) = (tmp_path / "two" / "seedmint" / "classifiers").iterdir()
    cached.write_bytes(cached.read_bytes()[:100])
    assert load_classifier(*other_splits, "My Data!").digest == one.digest  # a damaged cache is replaced


def test_training_and_loading_keep_the_random_state(other_splits):
    before = torch.random.get_rng_state()
    load_classifier(*other_splits, "x")
    load_classifier(*other_splits, "x")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_features_are_the_last_hidden_layer():
    """NumPy computes the layers after the flattening from the file; the results agree within float32 rounding."""
    train, test = load_splits(Data(source="digits"))
    extractor = load_classifier(train, test, "digits")
    result = extractor.extract(test.images)
    weights = {
        key: array.astype(np.float64)
        for key, array in load((classifier.WEIGHTS_DIRECTORY / f"{extractor.name}.safetensors").read_bytes()).items()
    }
    with torch.no_grad():
        flat = extractor.network[:9](torch.from_numpy(test.images).float() / 255).double().numpy()
    linear = flat @ weights["10.weight"].T + weights["10.bias"]
    normal = (linear - weights["11.running_mean"]) / np.sqrt(weights["11.running_var"] + 1e-5)
    features = np.maximum(0, normal * weights["11.weight"] + weights["11.bias"])
    assert result.vectors.shape == (len(test.images), NUM_FEATURES)
    assert result.vectors == pytest.approx(features, abs=1e-4)
    assert (result.labels == (features @ weights["14.weight"].T + weights["14.bias"]).argmax(axis=1)).all()
