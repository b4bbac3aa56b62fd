"""The shipped classifiers: their files by the data of a generator, and the reference images."""

import hashlib
import struct

import numpy as np
import pytest

from seedmint.models.card import SampleOutput
from seedmint.models.classifier import CLASSIFIERS, classifier_file, reference_digest, reference_images
from seedmint.models.provenance import Dataset, Provenance
from tests.support import generators


@pytest.mark.parametrize(
    ("data", "file"),
    [
        ("mnist", "cnn-v2-mnist.onnx"),
        ("mnist, first 50000", "cnn-v2-mnist.onnx"),
        ("icons", "cnn-v2-icons.onnx"),
        ("fashion-mnist, a, b", "cnn-v2-fashion-mnist.onnx"),
        ("faces", None),
    ],
)
def test_a_generator_has_the_classifier_of_its_data(data: str, file: str | None):
    card = generators.card("one", provenance=Provenance(dataset=Dataset(name=data)))
    assert classifier_file(card) == (None if file is None else CLASSIFIERS / file)


def test_samples_and_generators_of_unknown_data_have_no_classifier():
    assert classifier_file(generators.card("one")) is None
    samples = SampleOutput(kind="sample", shape=(2,), names=("x", "y"))
    card = generators.card("one", output=samples, provenance=Provenance(dataset=Dataset(name="mnist")))
    assert classifier_file(card) is None


def test_the_reference_images_never_change():
    images = reference_images((28, 28, 1))
    assert (images.shape, images.dtype) == ((64, 28, 28, 1), np.uint8)
    assert set(np.unique(images)) == set(range(256))
    # Computed with Python's integers.
    assert images.reshape(-1)[:5].tolist() == [(i * 2654435761 >> 20) & 255 for i in range(5)]
    assert reference_images((128, 128, 1)).reshape(-1)[-1] == (64 * 128 * 128 - 1) * 2654435761 >> 20 & 255


def test_the_digest_is_that_of_little_endian_floats():
    probabilities = np.array([[0.25, 0.75]])
    assert reference_digest(probabilities) == hashlib.sha256(struct.pack("<2f", 0.25, 0.75)).hexdigest()
