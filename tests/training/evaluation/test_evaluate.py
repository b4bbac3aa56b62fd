"""The evaluation of a generator, and what comes of it on its card."""

import numpy as np
import pytest

from seedmint.models.card import Card, ImageOutput, Metric, Noise, Provenance
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of
from seedmint.training.evaluation.evaluate import TRUSTED_ACCURACY, card_with, evaluate_generator
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.evaluation.results import document, figure, table
from seedmint.training.recipes.schema import Data


class Known:
    """A stand-in for a generator file that shows real digits, `wrong` in ten of them of the next label."""

    content = b"known"

    def __init__(self, real, wrong=0, classes="0123456789", side=8):
        self.card = Card(
            name="known",
            title="Known",
            noise=Noise(rule="philox-normal-v1", z_dim=1),
            classes=tuple(classes) if classes else None,
            output=ImageOutput(height=side, width=side, channels=1),
            provenance=Provenance(),
        )
        self.data, self.wrong = real.train, wrong

    def images(self, seeds):
        labels = labels_of(seeds, 10)
        shown = np.where(seeds % 10 < self.wrong, (labels + 1) % 10, labels)
        rows = [np.flatnonzero(self.data.labels == label) for label in range(10)]
        return self.data.images[[rows[label][i % len(rows[label])] for i, label in enumerate(shown)]].transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def real():
    return RealData(Data(source="digits"))


def evaluated(known, real, *names, samples=300):
    tasks = []
    evaluation = evaluate_generator(known.card, known.images, real, names or None, samples, tasks.append)
    return evaluation, tasks


@pytest.mark.parametrize("wrong", [0, 3, 10])
def test_the_share_of_right_images_is_found(real, wrong):
    evaluation, _ = evaluated(Known(real, wrong), real, "labels")
    accuracy, kl = evaluation.metrics
    assert accuracy.metric == "label-accuracy-cnn-v2-digits"
    assert accuracy.value == pytest.approx(1 - wrong / 10, abs=0.03)
    assert accuracy.standard_error == pytest.approx((accuracy.value * (1 - accuracy.value) / 300) ** 0.5)
    assert kl.metric == "class-kl-cnn-v2-digits"
    classes = evaluation.classes()
    assert [entry.name for entry in classes] == list("0123456789")
    asked = np.bincount(labels_of(np.arange(300), 10), minlength=10)
    assert np.average([entry.recognised for entry in classes], weights=asked) == pytest.approx(accuracy.value)
    assert sum(entry.generated for entry in classes) == pytest.approx(1)


def test_by_default_all_that_applies_is_measured_and_shown(real):
    evaluation, tasks = evaluated(Known(real), real)
    assert list(evaluation.families) == ["parzen", "frechet", "kid", "prdc", "labels", "nearest"]
    assert tasks == ["generate", "parzen", "frechet", "kid", "prdc", "labels", "nearest"]
    assert evaluation.skipped == {"modes": "it counts the modes of stacked-mnist alone"}
    assert evaluation.real_scores == {}  # digits have no test set
    assert all(metric.samples == 300 for metric in evaluation.metrics)
    text, known = table(evaluation, Known(real)), document(evaluation, Known(real))
    for metric in evaluation.metrics:
        assert metric.metric in text
        assert metric.protocol in text
        assert figure(metric.value, metric.standard_error) in text
    assert [entry["metric"] for entry in known["metrics"]] == [metric.metric for metric in evaluation.metrics]
    assert "modes does not apply: it counts" in text


def test_real_images_are_scored_beside_where_there_is_a_test_set(mnist, monkeypatch):
    monkeypatch.setattr("seedmint.training.evaluation.reference_data.CONTROLS", 100)
    real = RealData(Data(source="mnist"))
    real.reference = real.test.parted(50)[1]
    known = Known(real, side=28)
    evaluation, tasks = evaluated(known, real, "prdc", "nearest", samples=100)
    assert tasks == ["generate", "prdc", "nearest", "prdc of real images"]
    assert set(evaluation.real_scores) == {metric.metric for metric in evaluation.families["prdc"]}
    assert evaluation.real_scores["precision-cnn-v2-mnist"] > 0.8
    assert "real images" in table(evaluation, known)


def test_without_labels_there_is_no_label_accuracy(real):
    evaluation, _ = evaluated(Known(real, classes=None), real, "labels")
    assert [metric.metric for metric in evaluation.metrics] == ["class-kl-cnn-v2-digits"]
    assert all(entry.recognised is None for entry in evaluation.classes())


def test_what_was_asked_for_and_does_not_apply_is_refused(real):
    with pytest.raises(UserError, match="--metrics: modes does not apply: it counts"):
        evaluated(Known(real), real, "parzen", "modes")
    with pytest.raises(UserError, match="--metrics: labels does not apply: the generator's classes"):
        evaluated(Known(real, classes="01234"), real, "labels")
    with pytest.raises(UserError, match="known makes images of shape"):
        evaluated(Known(real, side=9), real, "parzen")


def test_new_figures_take_the_place_of_old_ones_of_the_same_family(real):
    def metric(name):
        return Metric(metric=name, protocol="old", value=1, samples=1)

    known = Known(real)
    old = [metric(name) for name in ("label-accuracy", "frechet-cnn-v1-digits", "kid-cnn-v1-digits", "precision-of-others")]
    evaluation, _ = evaluated(known, real, "frechet", "labels")
    card = card_with(known.card.model_copy(update={"evaluation": tuple(old)}), evaluation)
    assert [entry.metric for entry in card.evaluation] == [
        "kid-cnn-v1-digits",
        "precision-of-others",
        "frechet-cnn-v2-digits",
        "label-accuracy-cnn-v2-digits",
        "class-kl-cnn-v2-digits",
    ]


def test_a_judge_is_trusted_or_not_where_there_is_one(real):
    evaluation, _ = evaluated(Known(real), real, "labels")
    assert evaluation.judge_accuracy >= TRUSTED_ACCURACY
    assert evaluation.judge_is_trusted
    assert evaluated(Known(real), real, "parzen")[0].judge_accuracy is None


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (138.3456, 1.62, "138.3 ± 1.6"),
        (0.49972, 0.0078, "0.4997 ± 0.0078"),
        (12345.6, 210.0, "12346 ± 210"),
        (0.98765, None, "0.9877"),
        (1.0, 0.0, "1"),
    ],
)
def test_figures_are_told_as_far_as_they_are_known(value, error, text):
    assert figure(value, error) == text
