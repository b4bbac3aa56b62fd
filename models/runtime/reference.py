"""Computes the reference of a generator file, and writes cards into generator files."""

import math
import platform
import time
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seedmint.models.card import CARD_KEY, Card, CardError, read_card
from seedmint.models.noise import noise
from seedmint.models.reference import MAX_REFERENCE_SEEDS, MadeWith, Reference, reference_of
from seedmint.models.runtime.generator_file import checked_card, parse_model
from seedmint.models.runtime.generator_session import GeneratorSession
from seedmint.models.runtime.provider import Provider

_MAX_SECONDS = 2.0  # time of one reference: a slow generator has a reference of fewer seeds
_MAX_BYTES = 64 << 20  # size of one reference: a generator of large images has a reference of fewer seeds


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
    rule = card.label_rule()
    labels = None if rule is None else rule.labels(seeds)
    batches = [slice(start, start + session.max_batch) for start in range(0, count, session.max_batch)]
    return np.concatenate([session.run(z[rows], None if labels is None else labels[rows]) for rows in batches])


def compute_reference(content: bytes, provider: Provider = "cpu", threads: int = 1, seeds: int | None = None) -> Reference:
    """Return the reference of a generator file, computed on this machine.

    Args:
        content: The bytes of a generator file. A reference in its card is ignored.
        provider: Execution provider of ONNX Runtime.
        threads: CPU threads of one run.
        seeds: Number of seeds; None for 64, or fewer for a slow generator or large outputs.

    Raises:
        UserError: The file violates the contract, or a run failed.
    """
    session = GeneratorSession(content, provider, threads)
    count = _affordable_seeds(session, provider) if seeds is None else seeds
    return reference_of(reference_outputs(session, count), made_with(provider))


def _affordable_seeds(session: GeneratorSession, provider: Provider) -> int:
    """Return the largest power of two, at most 64, whose outputs keep within time and memory."""

    def seconds_of_one() -> float:
        wall, processor = time.perf_counter(), time.process_time()
        reference_outputs(session, 1)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        # The processor time does not count other processes, which may occupy the machine.
        return min(wall, processor) if provider == "cpu" else wall

    size = math.prod(session.card.output.shape) * np.dtype(session.card.output.dtype).itemsize
    count = MAX_REFERENCE_SEEDS
    seconds = seconds_of_one()
    if count * seconds > _MAX_SECONDS:
        seconds = min(seconds, seconds_of_one())  # the first run also allocates memory
    while count > 1 and (count * seconds > _MAX_SECONDS or count * size > _MAX_BYTES):
        count //= 2
    return count


def with_reference(content: bytes, provider: Provider = "cpu", threads: int = 1, seeds: int | None = None) -> bytes:
    """Return the same generator file with a reference that this machine computed.

    Args:
        content: The bytes of a generator file.
        provider: Execution provider of ONNX Runtime.
        threads: CPU threads of one run.
        seeds: As for `compute_reference`.

    Raises:
        UserError: The file violates the contract, or a run failed.
    """
    reference = compute_reference(content, provider, threads, seeds)
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
