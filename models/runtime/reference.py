"""Computes the reference of a generator file, and writes cards into generator files."""

import platform
import time
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seedmint.models.card import CARD_KEY, Card, CardError, read_card
from seedmint.models.noise import labels_of, noise
from seedmint.models.reference import MAX_REFERENCE_SEEDS, MadeWith, Reference, reference_of
from seedmint.models.runtime.generator_file import checked_card, parse_model
from seedmint.models.runtime.generator_session import GeneratorSession
from seedmint.models.runtime.provider import Provider

_MAX_SECONDS = 2.0  # for the outputs of a reference: a slow generator has a reference of fewer seeds
_MAX_BYTES = 64 << 20  # of the outputs of a reference: so has a generator of large images


def made_with(provider: Provider) -> MadeWith:
    """Return what computes the outputs in this process.

    Args:
        provider: Execution provider of ONNX Runtime.
    """
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return MadeWith(
        onnxruntime=onnxruntime.__version__,
        machine=platform.machine(),
        features=(*extensions["baseline"], *extensions["found"]),
        provider=provider,
    )


def reference_outputs(session: GeneratorSession, count: int) -> NDArray[Any]:
    """Return the outputs of the first seeds, with the label that each seed determines and truncation 1.

    Args:
        session: The generator.
        count: Number of seeds.

    Returns:
        uint8[count, height, width, channels] or float32[count, ...].

    Raises:
        UserError: A run failed.
    """
    card = session.card
    seeds = np.arange(count, dtype=np.int64)
    z = noise(card.noise.rule, card.noise.z_dim, seeds)
    labels = None if card.classes is None else labels_of(seeds, len(card.classes))
    batches = [slice(start, start + session.max_batch) for start in range(0, count, session.max_batch)]
    return np.concatenate([session.run(z[rows], None if labels is None else labels[rows]) for rows in batches])


def compute_reference(content: bytes, provider: Provider = "cpu", threads: int = 1) -> Reference:
    """Return the reference of a generator file, computed on this machine.

    Args:
        content: The bytes of a generator file. A reference in its card is ignored.
        provider: Execution provider of ONNX Runtime.
        threads: CPU threads of one run.

    Raises:
        UserError: The file violates the contract, or a run failed.
    """
    session = GeneratorSession(content, provider, threads)
    started = time.thread_time()  # processor time: the reference must not depend on what else the machine does
    size = reference_outputs(session, 1).nbytes
    seconds = time.thread_time() - started
    count = MAX_REFERENCE_SEEDS
    while count > 1 and (count * seconds > _MAX_SECONDS or count * size > _MAX_BYTES):
        count //= 2
    return reference_of(reference_outputs(session, count), made_with(provider))


def with_reference(content: bytes, provider: Provider = "cpu", threads: int = 1) -> bytes:
    """Return the same generator file with a reference that this machine computed.

    Args:
        content: The bytes of a generator file.
        provider: Execution provider of ONNX Runtime.
        threads: CPU threads of one run.

    Raises:
        UserError: The file violates the contract, or a run failed.
    """
    reference = compute_reference(content, provider, threads)
    return with_card(content, checked_card(content).model_copy(update={"reference": reference}))


def with_card(content: bytes, card: Card) -> bytes:
    """Return the same generator with another card. The file's digest and the generator's URLs change with the card.

    Args:
        content: The bytes of an ONNX file.
        card: The new card.

    Raises:
        CardError: The card changes when it is written and read.
        GeneratorError: The bytes are not an ONNX file.
    """
    text = card.to_json()
    if read_card(text) != card:
        raise CardError("the card changes when it is written and read", reason="invalid_card")
    model = parse_model(content)
    entries = [entry for entry in model.metadata_props if entry.key != CARD_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(entries)
    model.metadata_props.add(key=CARD_KEY, value=text)
    changed: bytes = model.SerializeToString(deterministic=True)
    return changed
