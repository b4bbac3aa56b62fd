"""References: the digest, the stored values, and the difference of other outputs."""

import base64
import hashlib
import zlib

import numpy as np
import pytest

from seedmint.models.reference import (
    MadeWith,
    Reference,
    StoredValues,
    WrongReferenceError,
    digest_outputs,
    reference_of,
)
from tests.support.errors import raises

MADE_WITH = MadeWith(onnxruntime="1.31.1", machine="x86_64", features=("X86_V2", "X86_V3"), provider="cpu")


def images(n: int, height: int, width: int = 8, channels: int = 3) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (n, height, width, channels)).astype(np.uint8)


def test_the_digest_is_of_little_endian_values_in_c_order():
    outputs = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected = hashlib.sha256(outputs.astype("<f4").tobytes()).hexdigest()
    assert digest_outputs(outputs) == expected
    assert digest_outputs(outputs.astype(">f4")) == expected
    assert digest_outputs(np.asfortranarray(outputs)) == expected


@pytest.mark.parametrize(
    ("outputs", "seeds", "step"),
    [
        (np.zeros((64, 28, 28, 1), np.uint8), 64, 1),
        (images(64, 8), 32, 1),  # noise: 192 bytes an image, 16,384 characters hold 12,288 bytes
        (images(3, 8), 3, 1),
        (images(1, 64, 64, 4), 1, 2),  # 16,384 bytes
        (images(1, 12_277, 1, 1), 1, 1),  # 16,384 characters: zlib adds 11 bytes to noise
        (images(1, 12_280, 1, 1), 1, 2),
        (np.zeros((1, 512, 512, 1), np.uint8), 1, 1),  # 262,144 bytes
        (np.zeros((2, 1024, 1024, 3), np.uint8), 1, 16),  # at most 262,144 bytes without compression
        (np.random.RandomState(0).randn(64, 2).astype(np.float32), 64, 1),
        (np.random.RandomState(0).randn(2, 4096, 1).astype(np.float32), 1, 2),
    ],
)
def test_as_many_values_are_stored_as_the_size_allows(outputs: np.ndarray, seeds: int, step: int):
    reference = reference_of(outputs, MADE_WITH)
    assert (reference.seeds, reference.values.seeds, reference.values.step) == (len(outputs), seeds, step)
    assert reference.sha256 == digest_outputs(outputs)
    stored = reference.values.unpack(outputs.shape[1:], outputs.dtype.name)
    assert stored.dtype == outputs.dtype
    np.testing.assert_array_equal(stored, outputs[:seeds].reshape(-1)[::step])
    reference.check(outputs.shape[1:], outputs.dtype.name)
    assert reference.difference(outputs) == 0


def test_the_difference_is_the_greatest_among_the_stored_values():
    outputs = images(64, 8)
    reference = reference_of(outputs, MADE_WITH)
    other = outputs.copy()
    other[5, 0, 0, 0] ^= 1
    other[7, 3, 3, 1] = 255 - other[7, 3, 3, 1]
    other[50] = 0  # not stored
    assert reference.difference(other) == abs(int(other[7, 3, 3, 1]) - int(outputs[7, 3, 3, 1])) > 1
    assert reference_of(np.float32([[0.5], [-2]]), MADE_WITH).difference(np.float32([[0.5], [-2.25]])) == 0.25


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packed(b"not a zlib stream"), "damaged_values"),
        (packed(zlib.compress(bytes(11))), "wrong_number_of_values"),
        (packed(zlib.compress(bytes(13))), "wrong_number_of_values"),
        (packed(zlib.compress(bytes(12))[:-6]), "wrong_number_of_values"),
        (packed(zlib.compress(bytes(10_000_000))), "wrong_number_of_values"),  # small in the card, and large in memory
        ("A", "damaged_values"),
    ],
)
def test_damaged_values_are_refused(data: str, reason: str):
    values = StoredValues(seeds=3, step=1, data=data)
    reference = Reference(seeds=3, sha256="0" * 64, values=values, made_with=MADE_WITH)
    with raises(WrongReferenceError, reason):
        reference.check((2, 2, 1), "uint8")


def test_values_that_do_not_fit_the_output_are_refused():
    reference = reference_of(images(3, 8), MADE_WITH)
    for shape, reason in (((8, 8, 1), "wrong_number_of_values"), ((4096, 4096, 4), "values_too_large")):
        with raises(WrongReferenceError, reason):
            reference.check(shape, "uint8")
    fewer = reference.model_copy(update={"seeds": 2})
    with raises(WrongReferenceError, "too_many_seeds"):
        fewer.check((8, 8, 3), "uint8")
