"""Encodes samples as json, csv, npy, png (a plot) and, if they are single strings, txt. The same values give the same bytes."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import features

from seedmint.models.card import Card, SampleOutput
from seedmint.models.series import cut_series
from seedmint.models.table import is_table, table_columns, table_rows, table_schema
from seedmint.service.encoders.images import ENCODERS as IMAGE_ENCODERS
from seedmint.service.encoders.images import encode as encode_image
from seedmint.service.encoders.images import text_of
from seedmint.service.encoders.plots import plot
from seedmint.service.runtime.generator import Generator

SampleFormat = Literal["json", "csv", "npy", "png", "txt"]
SAMPLE_FORMATS: tuple[SampleFormat, ...] = get_args(SampleFormat)
SAMPLE_MEDIA_TYPES: dict[SampleFormat, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "npy": "application/x-npy",
    "png": "image/png",
    "txt": "text/plain; charset=utf-8",
}

# Identifies the encoder of each format. Numbers have all digits, so that readers get exactly the same float32.
SAMPLE_ENCODERS: dict[SampleFormat, str] = {
    "json": "json-1",
    "csv": "csv-1",
    "npy": "npy-1.0",
    "png": f"plot-2-{IMAGE_ENCODERS['png']}-freetype-{features.version('freetype2')}",
    "txt": "txt-1",
}


def sample_formats(output: SampleOutput) -> tuple[SampleFormat, ...]:
    """Return the formats of one sample: `txt` only of single strings.

    Args:
        output: The output in the card of the generator.
    """
    return SAMPLE_FORMATS if output.is_text else tuple(form for form in SAMPLE_FORMATS if form != "txt")


def encode_sample(
    generator: Generator, sample: NDArray[np.float32], form: SampleFormat, seed: int, label: int | None, truncation: float
) -> bytes:
    """Encode one sample as a file. JSON, CSV and txt have the values of a table, and npy has its codes.

    JSON also has generator, seed, label and truncation, and PNG has them in text chunks. A series of a generator of series of
    different lengths ends at its own length in all of them.

    Args:
        generator: The generator of the sample.
        sample: float32 of the shape of the generator's output.
        form: One of `sample_formats`.
        seed: The seed.
        label: The label, or None.
        truncation: Factor on z.
    """
    output, card = sample_output(generator), generator.card
    labels = None if label is None else np.array([label], np.int64)
    whole, (sample,) = sample, cut_series(output, sample[None])
    if form == "json":
        origin: dict[str, Any] = {"model": generator.name, "digest": generator.digest, "seed": seed}
        origin |= ({} if label is None else {"label": label}) | {"truncation": truncation}
        names, values = (
            ([column.name for column in table_schema(card)], next(table_rows(card, sample[None], labels)))
            if is_table(card)
            else (output.names, sample.tolist())
        )
        length = {"length": len(sample)} if output.has_lengths else {}
        return (json_text(origin | {"names": names} | length | {"values": values}) + "\n").encode()
    if form == "csv":
        if is_table(card):
            return csv_text([[column.name for column in table_schema(card)], *table_lines(card, sample[None], labels)])
        return csv_text([csv_header(output), *csv_rows(output, sample)])
    if form == "txt":
        return text_lines(card, sample[None])
    if form == "npy":
        buffer = io.BytesIO()
        npy.write_array(buffer, np.ascontiguousarray(sample), version=(1, 0), allow_pickle=False)
        return buffer.getvalue()
    assert generator.background is not None
    return encode_image(plot(output, generator.background, whole), "png", text_of(generator, seed, label, truncation))


def sample_output(generator: Generator) -> SampleOutput:
    """Return the output of a generator of samples.

    Args:
        generator: A generator of samples.
    """
    assert isinstance(generator.card.output, SampleOutput)
    return generator.card.output


def json_text(document: dict[str, Any]) -> str:
    """Return a JSON document in one line.

    Args:
        document: The document.
    """
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def csv_header(output: SampleOutput, *first_columns: str) -> list[str]:
    """Return the line of names.

    Args:
        output: The output in the card of the generator.
        first_columns: Names of the columns before the step of a series and the values.
    """
    return [*first_columns, *(["step"] if len(output.shape) == 2 else []), *output.names]


def csv_rows(output: SampleOutput, sample: NDArray[np.float32], *first_values: int) -> Iterator[list[float]]:
    """Yield the lines of one sample: one line of a row, or one line for each step of a series.

    Args:
        output: The output in the card of the generator.
        sample: float32[columns] or float32[length, channels].
        first_values: Values of the columns before the step and the values.
    """
    if len(output.shape) == 1:
        yield [*first_values, *sample.tolist()]
    else:
        for step, values in enumerate(sample.tolist()):
            yield [*first_values, step, *values]


def table_lines(card: Card, samples: NDArray[np.float32], labels: NDArray[np.int64] | None) -> Iterator[list[Any]]:
    """Yield the lines of rows of a table. A missing value is an empty cell, and booleans are `true` and `false`.

    Args:
        card: The card of a generator of a table.
        samples: float32[n, columns], codes.
        labels: int64[n]; None for an unconditional generator.
    """
    for row in table_rows(card, samples, labels):
        yield [("false", "true")[value] if isinstance(value, bool) else value for value in row]


def text_lines(card: Card, samples: NDArray[np.float32]) -> bytes:
    """Return one line for each string.

    Args:
        card: The card of a generator of single strings.
        samples: float32[n, length], codes.
    """
    (texts,) = table_columns(card, samples, None).values()
    return "".join(f"{text}\n" for text in texts).encode()


def csv_text(lines: Iterable[list[Any]]) -> bytes:
    """Return lines with quotes by RFC 4180 and Unix line ends.

    Args:
        lines: The cells of each line.
    """
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue().encode()
