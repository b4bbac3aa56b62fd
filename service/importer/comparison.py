"""Compares an imported generator with its original: with stored outputs, or with a function that runs the original."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import ImageOutput
from seedmint.models.provenance import OriginalFile
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.wrap import GAIN_AND_OFFSET, OutputSpec
from seedmint.service.runtime.generator import Generator

COMPARED_SEEDS = 64
COMPARED_SECONDS = 20.0  # at least two seeds are compared, however slow they are
_MAX_SAMPLE_DIFFERENCE = 1e-4  # relative to the largest value, if that is above 1


Run = Callable[[NDArray[np.float32], NDArray[np.int64] | None], NDArray[Any]]
"""Runs a network: z float32[1, z_dim], after its scale, and the label int64[1] -> the raw output of one row."""


@dataclass(frozen=True)
class Original:
    """A network in memory, from which the imported file was exported.

    Attributes:
        run: Runs the network; None if a comparison is impossible, for example because the network is random.
        files: Files of its weights.
        options: Options of the import, as JSON.
    """

    run: Run | None
    files: tuple[OriginalFile, ...]
    options: dict[str, Any]


def compare_with_reference(generator: Generator, reference: NDArray[Any]) -> float:
    """Return the greatest difference of a generator from stored outputs of its original.

    Args:
        generator: The generator.
        reference: Outputs for seeds 0, 1, ...: uint8[n, height, width, channels] or float32[n, *shape].

    Raises:
        GeneratorImportError: The reference has another shape or type, or the difference is too large.
    """
    shape, dtype = generator.card.output.shape, generator.card.output.dtype
    if reference.dtype != dtype or reference.ndim != len(shape) + 1 or reference.shape[1:] != shape or not len(reference):
        raise GeneratorImportError(
            f"the reference is {reference.dtype}{list(reference.shape)}; {dtype}[n, {', '.join(map(str, shape))}] is needed",
            field="reference",
            reason="reference_shape",
        )
    outputs = generator.generate(np.arange(len(reference), dtype=np.int64))
    difference, limit = _difference(outputs, reference, generator)
    if not difference <= limit:
        raise GeneratorImportError(
            f"the greatest difference from the reference is {difference:g}: at most {limit:g}; check range, layout, prior and "
            "scale of z",
            field="reference",
            reason="reference_mismatch",
            other_fields=("range", "layout", "prior", "z_scale"),
        )
    return difference


def compare_with_original(generator: Generator, run: Run, output: OutputSpec, z_scale: float) -> tuple[float, int]:
    """Run the original for seeds 0 to 63, or fewer if it is slow, and compare a generator with it.

    Args:
        generator: The generator.
        run: Runs the original.
        output: How a raw output becomes an image or a sample.
        z_scale: Factor on z.

    Returns:
        The greatest difference, and the number of compared seeds.

    Raises:
        GeneratorImportError: The difference is too large.
    """
    seeds = np.arange(COMPARED_SEEDS, dtype=np.int64)
    z, labels = generator.noise(seeds) * np.float32(z_scale), generator.labels(seeds)
    rows: list[NDArray[Any]] = []
    started = time.perf_counter()
    for seed in seeds.tolist():
        rows.append(run(z[seed : seed + 1], None if labels is None else labels[seed : seed + 1]))
        if len(rows) >= 2 and time.perf_counter() - started > COMPARED_SECONDS:
            break
    expected = _finished(np.stack(rows), output)
    difference, limit = _difference(generator.generate(seeds[: len(rows)]), expected, generator)
    if not difference <= limit:
        raise GeneratorImportError(
            f"the exported graph differs from the network by up to {difference:g}: at most {limit:g}; the network may depend "
            "on Python code that the export cannot follow",
            reason="original_mismatch",
        )
    return difference, len(rows)


def _difference(outputs: NDArray[Any], expected: NDArray[Any], generator: Generator) -> tuple[float, float]:
    """Return the greatest difference and its limit."""
    exact = expected.astype(np.float64)
    difference = float(np.abs(outputs.astype(np.float64) - exact).max())
    if isinstance(generator.card.output, ImageOutput):
        return difference, 1.0
    return difference, _MAX_SAMPLE_DIFFERENCE * max(1.0, float(np.abs(exact).max()))


def _finished(raw: NDArray[Any], output: OutputSpec) -> NDArray[Any]:
    """Convert raw outputs to images or samples, as the nodes of `wrap` do."""
    shape = output.card.shape
    if output.layout in ("nchw", "ncl") and len(shape) > 1:
        rows = np.moveaxis(raw.reshape(len(raw), shape[-1], *shape[:-1]), 1, -1)
    else:
        rows = raw.reshape(len(raw), *shape)
    if output.range is None:
        samples: NDArray[np.float32] = rows.astype(np.float32)
        return samples
    gain, offset = GAIN_AND_OFFSET[output.range]
    levels = rows.astype(np.float32) * np.float32(gain) + np.float32(offset)
    images: NDArray[np.uint8] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return images
