"""Label accuracy, against generators whose accuracy is known."""

import numpy as np
import pytest

from models.card import Card, ImageOutput, Noise, Provenance
from models.errors import UserError
from training import classifier
from training.datasets import load_splits
from training.evaluate import IMAGES_A_LABEL, label_accuracy
from training.recipe import Data


class Known:
    """A stand-in for a generator file that shows held-out digits, `wrong` in ten of them of the next label."""

    def __init__(self, test, wrong, classes="0123456789"):
        self.card = Card(
            name="known",
            title="Known",
            noise=Noise(rule="philox-normal-v1", z_dim=1),
            classes=tuple(classes) if classes else None,
            output=ImageOutput(height=8, width=8, channels=1),
            provenance=Provenance(),
        )
        self.test, self.wrong = test, wrong

    def images(self, seeds, labels):
        shown = np.where((seeds // 10) % 10 < self.wrong, (labels + 1) % 10, labels)
        rows = [np.flatnonzero(self.test.labels == label) for label in range(10)]
        picked = [rows[label][i % len(rows[label])] for i, label in enumerate(shown)]
        return self.test.images[picked].transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def splits():
    return load_splits(Data(source="digits"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture
def _quick(monkeypatch, cache):
    monkeypatch.setattr(classifier, "_SAMPLES", 60_000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("wrong", [0, 3, 10])
def test_the_share_of_right_images_is_found(splits, wrong):
    metric, shares, judge = label_accuracy(Known(splits[1], wrong), *splits)
    assert judge >= 0.97
    assert metric.samples == 10 * IMAGES_A_LABEL
    assert metric.value == pytest.approx(1 - wrong / 10, abs=0.03)
    assert np.mean(shares) == pytest.approx(metric.value)


@pytest.mark.usefixtures("_quick")
def test_the_classifier_is_good_and_the_same_each_time(splits, monkeypatch, tmp_path):
    one = classifier.classifier_of(*splits)
    assert one.accuracy >= 0.97
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    two = classifier.classifier_of(*splits)
    assert two.accuracy == one.accuracy
    assert (two.labels(splits[1].images) == one.labels(splits[1].images)).all()
    (cached,) = (tmp_path / "seedmint" / "classifiers").iterdir()
    cached.write_bytes(cached.read_bytes()[:100])
    assert classifier.classifier_of(*splits).accuracy == one.accuracy  # a damaged cache is made anew


@pytest.mark.parametrize("classes", [None, "01234"])
def test_other_classes_than_the_datas_are_refused(splits, classes):
    with pytest.raises(UserError, match="needs the same"):
        label_accuracy(Known(splits[1], 0, classes), *splits)
