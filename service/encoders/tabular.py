"""Samples, which are not images, into bytes: json, csv, npy, and png, a plot. The same values give the same bytes."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import features

from seedmint.models.card import SampleOutput
from seedmint.service.encoders.images import ENCODERS as IMAGE_ENCODERS
from seedmint.service.encoders.images import encode as encode_image
from seedmint.service.encoders.images import text_of
from seedmint.service.encoders.plots import plot
from seedmint.service.runtime.generator import Generator

SampleFormat = Literal["json", "csv", "npy", "png"]
SAMPLE_FORMATS: tuple[SampleFormat, ...] = get_args(SampleFormat)
SAMPLE_MEDIA_TYPES: dict[SampleFormat, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "npy": "application/x-npy",
    "png": "image/png",
}

# What decides the bytes of each format beside the values. Numbers are written in full: what is read is exactly the float32.
SAMPLE_ENCODERS: dict[SampleFormat, str] = {
    "json": "json-1",
    "csv": "csv-1",
    "npy": "npy-1.0",
    "png": f"plot-1-{IMAGE_ENCODERS['png']}-freetype-{features.version('freetype2')}",
}


def encode_sample(
    generator: Generator, sample: NDArray[np.float32], form: SampleFormat, seed: int, label: int | None, truncation: float
) -> bytes:
    """One sample as a file. JSON tells its address, too, and PNG in text chunks as images do.

    Args:
        sample: float32, of the shape of the generator's output.
        form: json, csv, npy or png.
        seed, label, truncation: what it was made of.
    """
    output = sample_output(generator)
    if form == "json":
        about: dict[str, Any] = {"model": generator.name, "digest": generator.digest, "seed": seed}
        about |= ({} if label is None else {"label": label}) | {"truncation": truncation}
        return (json_text(about | {"names": output.names, "values": sample.tolist()}) + "\n").encode()
    if form == "csv":
        return csv_text([csv_header(output), *csv_rows(output, sample)])
    if form == "npy":
        buffer = io.BytesIO()
        npy.write_array(buffer, np.ascontiguousarray(sample), version=(1, 0), allow_pickle=False)
        return buffer.getvalue()
    assert generator.reference is not None
    return encode_image(plot(output, generator.reference, sample), "png", text_of(generator, seed, label, truncation))


def sample_output(generator: Generator) -> SampleOutput:
    """The output of a generator that is known to make samples."""
    assert isinstance(generator.card.output, SampleOutput)
    return generator.card.output


def json_text(document: dict[str, Any]) -> str:
    """A document in one line."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def csv_header(output: SampleOutput, *before: str) -> list[str]:
    """The line of names: those `before`, the step of a series, and those of columns or channels."""
    return [*before, *(["step"] if len(output.shape) == 2 else []), *output.names]


def csv_rows(output: SampleOutput, sample: NDArray[np.float32], *before: int) -> Iterator[list[float]]:
    """The lines of one sample: one of a row of numbers, one for each step of a series."""
    if len(output.shape) == 1:
        yield [*before, *sample.tolist()]
    else:
        for step, values in enumerate(sample.tolist()):
            yield [*before, step, *values]


def csv_text(lines: Iterable[list[Any]]) -> bytes:
    """Lines as RFC 4180 quotes them, but ended as Unix does."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue().encode()
