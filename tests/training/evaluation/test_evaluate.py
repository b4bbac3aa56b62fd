"""The evaluation of a generator, and the metrics on its card."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from seedmint.models.card import Card, ImageOutput, Noise, read_card
from seedmint.models.errors import UserError
from seedmint.models.neighbours import MAX_PICTURE
from seedmint.models.noise import labels_of
from seedmint.models.provenance import Metric, Provenance
from seedmint.training.datasets.progress import ignore_progress
from seedmint.training.evaluation.evaluate import MIN_CLASSIFIER_ACCURACY, card_with_metrics, evaluate_generator
from seedmint.training.evaluation.metric_families import FAMILIES
from seedmint.training.evaluation.neighbours import nearest_training_images, picture_of, shows_images
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.evaluation.results import format_table, format_value, json_document
from seedmint.training.recipes.data import Data
from tests.support.errors import raises


class FakeGenerator:
    """A fake generator file that returns real digits. `wrong` of every ten images show the digit after their label."""

    content = b"fake"

    def __init__(self, real, wrong=0, classes="0123456789", side=8):
        self.card = Card(
            name="fake",
            title="Fake",
            noise=Noise(rule="philox-normal-v1", z_dim=1),
            classes=tuple(classes) if classes else None,
            output=ImageOutput(height=side, width=side, channels=1),
            provenance=Provenance(),
        )
        self.data, self.wrong = real.train, wrong

    def images(self, seeds):
        labels = labels_of(seeds, 10)
        shown_labels = np.where(seeds % 10 < self.wrong, (labels + 1) % 10, labels)
        rows = [np.flatnonzero(self.data.labels == label) for label in range(10)]
        return self.data.images[[rows[label][i % len(rows[label])] for i, label in enumerate(shown_labels)]].transpose(
            0, 2, 3, 1
        )


@pytest.fixture(scope="module")
def real():
    return RealData(Data(source="digits"))


def evaluate(generator, real, *names, samples=300):
    tasks = []
    evaluation = evaluate_generator(generator.card, generator.images, real, names or None, samples, tasks.append)
    return evaluation, tasks


@pytest.mark.parametrize("wrong", [0, 3, 10])
def test_label_accuracy(real, wrong):
    evaluation, _ = evaluate(FakeGenerator(real, wrong), real, "labels")
    accuracy, kl = evaluation.metrics
    assert accuracy.metric == "label-accuracy-cnn-v2-digits"
    assert accuracy.value == pytest.approx(1 - wrong / 10, abs=0.03)
    assert accuracy.standard_error == pytest.approx((accuracy.value * (1 - accuracy.value) / 300) ** 0.5)
    assert kl.metric == "class-kl-cnn-v2-digits"
    classes = evaluation.classes()
    assert [entry.name for entry in classes] == list("0123456789")
    requested = np.bincount(labels_of(np.arange(300), 10), minlength=10)
    assert np.average([entry.recognised for entry in classes], weights=requested) == pytest.approx(accuracy.value)
    assert sum(entry.generated for entry in classes) == pytest.approx(1)


def test_all_applicable_metrics_are_measured_by_default(real):
    evaluation, tasks = evaluate(FakeGenerator(real), real)
    assert list(evaluation.families) == [name for name in FAMILIES if name != "modes"]
    assert tasks == ["generate", *(task for name in evaluation.families for task in (name, f"{name} of real images"))]
    assert list(evaluation.skipped) == ["modes"]  # it counts the modes of stacked-mnist only
    assert set(evaluation.real_scores) == {metric.metric for metric in evaluation.metrics}
    assert all(metric.samples == 300 for metric in evaluation.metrics)
    text, document = format_table(evaluation, FakeGenerator(real)), json_document(evaluation, FakeGenerator(real))
    for metric in evaluation.metrics:
        assert metric.metric in text
        assert metric.protocol in text
        assert format_value(metric.value, metric.standard_error) in text
    assert [entry["metric"] for entry in document["metrics"]] == [metric.metric for metric in evaluation.metrics]
    assert evaluation.skipped["modes"] in text


def test_a_folder_has_held_out_images_to_compare_with(tmp_path):
    """The held-out images are the reference, and training images give the scores of real images."""
    images = RealData(Data(source="digits")).train.images[:300, 0]
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    folder = RealData(Data(source="folder", path=str(tmp_path)))
    assert folder.test is not None
    assert (len(folder.train) + len(folder.test), len(folder.reference)) == (300, len(folder.test))
    generator = FakeGenerator(RealData(Data(source="digits")), classes=None)
    evaluation, _ = evaluate(generator, folder, "spectrum", "patches", "random-features", "parzen", samples=100)
    assert set(evaluation.real_scores) == {metric.metric for metric in evaluation.metrics}
    assert all(f"{len(folder.test)} images" in metric.protocol for metric in evaluation.metrics)


def test_other_data_are_not_called_training_images(real):
    """Copies are found only among the generator's own training images: the digest on the card decides."""
    own = RealData(Data(source="digits"), None, ignore_progress, real.train.digest)
    other = RealData(Data(source="digits", first=1500), None, ignore_progress, real.train.digest)
    assert (own.is_training_data, other.is_training_data) == (True, False)
    evaluation, _ = evaluate(FakeGenerator(real), other, samples=50)
    assert set(evaluation.skipped) == {"modes", "nearest"}
    assert json_document(evaluation, FakeGenerator(real))["is_training_data"] is False
    with raises(UserError, "metric_does_not_apply", "metrics"):
        evaluate(FakeGenerator(real), other, "nearest")


def test_no_label_accuracy_without_labels(real):
    evaluation, _ = evaluate(FakeGenerator(real, classes=None), real, "labels")
    assert [metric.metric for metric in evaluation.metrics] == ["class-kl-cnn-v2-digits"]
    assert all(entry.recognised is None for entry in evaluation.classes())


def test_metrics_that_do_not_apply_are_refused(real):
    with raises(UserError, "metric_does_not_apply", "metrics"):
        evaluate(FakeGenerator(real), real, "parzen", "modes")
    with raises(UserError, "metric_does_not_apply", "metrics"):
        evaluate(FakeGenerator(real, classes="01234"), real, "labels")
    with raises(UserError, "shape_mismatch", "data"):
        evaluate(FakeGenerator(real, side=9), real, "parzen")


def test_new_metrics_replace_old_metrics_of_the_same_family(real):
    def metric(name):
        return Metric(metric=name, protocol="old", value=1, samples=1)

    generator = FakeGenerator(real)
    old = [metric(name) for name in ("label-accuracy", "frechet-cnn-v1-digits", "kid-cnn-v1-digits", "precision-of-others")]
    evaluation, _ = evaluate(generator, real, "frechet", "labels")
    card = card_with_metrics(generator.card.model_copy(update={"evaluation": tuple(old)}), evaluation)
    assert [entry.metric for entry in card.evaluation] == [
        "kid-cnn-v1-digits",
        "precision-of-others",
        "frechet-cnn-v2-digits",
        "label-accuracy-cnn-v2-digits",
        "class-kl-cnn-v2-digits",
    ]


def test_the_card_has_the_nearest_training_images(real):
    generator = FakeGenerator(real)
    evaluation, _ = evaluate(generator, real, "nearest", samples=100)
    neighbours = nearest_training_images(evaluation, with_images=True)
    images, train = generator.images(np.arange(100))[:16, :, :, 0], real.train.images[:, 0]
    distances = ((images[:, None].astype(float) - train) ** 2).sum((2, 3))
    assert neighbours.rows == tuple(distances.argmin(axis=1))
    assert neighbours.distances == (0.0,) * 16  # the fake images are training images
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(neighbours.picture))))
    np.testing.assert_array_equal(shown, np.concatenate(images, axis=1))
    card = card_with_metrics(generator.card, evaluation, neighbours)
    assert read_card(card.to_json()).neighbours == neighbours
    hidden = nearest_training_images(evaluation, with_images=False)
    assert (hidden.rows, hidden.picture) == (neighbours.rows, None)
    other, _ = evaluate(generator, real, "labels")
    assert nearest_training_images(other, with_images=True) is None
    assert card_with_metrics(card, other).neighbours == neighbours


@pytest.mark.parametrize(
    ("data", "is_public"),
    [
        (Data(source="digits"), True),
        (Data(source="mnist"), True),
        (Data(source="mnist", path="own"), False),
        (Data(source="folder", path="faces"), False),
    ],
)
def test_cards_show_images_of_private_data_only_if_the_user_asks(data, is_public):
    assert [shows_images(data, choice) for choice in (None, True, False)] == [is_public, True, False]


def test_large_training_images_are_reduced_until_they_fit_on_a_card():
    images = np.random.default_rng(0).integers(0, 256, (16, 96, 128, 3), np.uint8)
    picture = picture_of(images)
    shown = Image.open(io.BytesIO(base64.b64decode(picture)))
    assert len(picture) <= MAX_PICTURE
    assert shown.size == (16 * 32, 24)
    assert (shown.mode, picture_of(images[..., :1]) is not None) == ("RGB", True)


def test_classifier_is_evaluated_only_if_a_metric_uses_it(real):
    evaluation, _ = evaluate(FakeGenerator(real), real, "labels")
    assert evaluation.classifier_accuracy >= MIN_CLASSIFIER_ACCURACY
    assert evaluation.is_classifier_reliable
    assert evaluate(FakeGenerator(real), real, "parzen")[0].classifier_accuracy is None


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
def test_format_value(value, error, text):
    assert format_value(value, error) == text
