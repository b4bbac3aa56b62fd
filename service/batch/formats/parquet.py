"""Parquet. Images: a Hugging Face Image column (PNG), seed, label. Samples: seed, label and one column for each output name.

A data set of several generators has the column `generator` too.

pyarrow writes the file. Another version of pyarrow may write other bytes, so the plan of a job holds its version.
"""

import io
import math
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from seedmint.models.card import Card, ImageOutput, SampleOutput
from seedmint.models.series import cut_series, series_lengths
from seedmint.models.table import is_table
from seedmint.service.batch.formats.base import ShardWriter, Sink
from seedmint.service.batch.formats.features import Keys, arrow_metadata, parquet_features
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.batch.formats.typed_columns import arrow_type, codes_of, typed_arrays
from seedmint.service.runtime.arrays import Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

TABLE_GROUP_ROWS = 100_000  # readers such as DuckDB use one thread for each row group, and need large ones to be fast
_IMAGE_GROUP_ROWS = 1000
_GROUP_BYTES = 64 << 20  # row groups of large images and of long series have fewer rows


def parquet_writer(sink: Sink, generator: Generator, truncation: float, keys: Keys, origin: str | None) -> ShardWriter:
    """Return the writer of one Parquet shard.

    Args:
        sink: Receives the bytes.
        generator: The generator of the shard.
        truncation: Factor on z; it is part of the metadata of each PNG.
        keys: The columns that identify an image or sample.
        origin: Value of the column `generator`; None without this column.
    """
    if isinstance(generator.card.output, ImageOutput):
        return _ImageWriter(sink, generator, truncation, keys, origin)
    return _SampleWriter(sink, generator, keys, origin)


def open_table(sink: Any, table_schema: pa.Schema, has_images: bool = False) -> pq.ParquetWriter:
    """Open a Parquet file for writing, with a page index, so that a reader finds the rows of a seed without reading all pages.

    Args:
        sink: Receives the bytes.
        table_schema: The columns.
        has_images: The file has a column `image` with PNGs, which are compressed already. They get no statistics.
    """
    statistics: Any = [name for name in table_schema.names if name != "image"] if has_images else True
    return pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"),
        table_schema,
        compression="none" if has_images else "zstd",
        use_dictionary=False,
        write_statistics=statistics,
        write_page_index=True,
    )


class _ImageWriter:
    """Writes row groups of at most 1000 images and about 64 MiB."""

    def __init__(self, sink: Sink, generator: Generator, truncation: float, keys: Keys, origin: str | None) -> None:
        self._generator = generator
        self._truncation = truncation
        self._origin = origin
        self._schema = schema(generator.card.output, keys)
        self._writer = open_table(sink, self._schema, has_images=True)
        self._rows: list[tuple[int, int | None, bytes]] = []
        self._bytes = 0

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, outputs: Outputs) -> None:
        images = pngs(self._generator, seeds, labels, outputs, self._truncation)
        row_labels = [None] * len(seeds) if labels is None else labels.tolist()
        for row in zip(seeds.tolist(), row_labels, images, strict=True):
            self._rows.append(row)
            self._bytes += len(row[2])
            if len(self._rows) == _IMAGE_GROUP_ROWS or self._bytes >= _GROUP_BYTES:
                self._write_group()

    def finish(self) -> None:
        if self._rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        seeds, labels, images = zip(*self._rows, strict=True)
        self._rows, self._bytes = [], 0
        folder = "" if self._origin is None else f"{self._origin.replace('@', '-')}/"
        paths = pa.array([f"{folder}{seed}.png" for seed in seeds], pa.string())
        columns: dict[str, Any] = {"seed": pa.array(seeds, pa.int64())}
        columns["image"] = pa.StructArray.from_arrays([pa.array(images, pa.binary()), paths], ["bytes", "path"])
        if labels[0] is not None:
            columns["label"] = pa.array(labels, pa.int64())
        columns |= _origin_column(self._origin, len(seeds))
        self._writer.write_table(pa.table([columns[name] for name in self._schema.names], schema=self._schema))


class _SampleWriter:
    """Writes row groups of at most 100,000 rows and about 64 MiB."""

    def __init__(self, sink: Sink, generator: Generator, keys: Keys, origin: str | None) -> None:
        self._card = generator.card
        self._origin = origin
        self._schema = schema(generator.card.output, keys)
        self._writer = open_table(sink, self._schema)
        row_bytes = 4 * math.prod(generator.card.output.shape)
        self._group_rows = max(1, min(TABLE_GROUP_ROWS, _GROUP_BYTES // row_bytes))
        self._batches: list[tuple[SeedArray, NDArray[np.int64] | None, Outputs]] = []
        self._num_rows = 0

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, outputs: Outputs) -> None:
        start = 0
        while start < len(seeds):
            stop = min(len(seeds), start + self._group_rows - self._num_rows)
            self._batches.append((seeds[start:stop], None if labels is None else labels[start:stop], outputs[start:stop]))
            self._num_rows += stop - start
            start = stop
            if self._num_rows == self._group_rows:
                self._write_group()

    def finish(self) -> None:
        if self._batches:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        seeds, labels, samples = zip(*self._batches, strict=True)
        self._batches, self._num_rows = [], 0
        columns: dict[str, Any] = {"seed": pa.array(np.concatenate(seeds))}
        whole_labels = None if labels[0] is None else np.concatenate(labels)
        columns |= _origin_column(self._origin, len(columns["seed"]))
        if is_table(self._card):
            columns |= typed_arrays(self._card, np.concatenate(samples), whole_labels)
        else:
            if whole_labels is not None:
                columns["label"] = pa.array(whole_labels)
            columns |= _sample_columns(self._card.output, np.concatenate(samples))
        self._writer.write_table(pa.table([columns[name] for name in self._schema.names], schema=self._schema))


def _origin_column(origin: str | None, count: int) -> dict[str, Any]:
    return {} if origin is None else {"generator": pa.array([origin] * count, pa.string())}


def _sample_columns(output: ImageOutput | SampleOutput, samples: Outputs) -> dict[str, Any]:
    """Return one float32 column for each output name. A column of series holds one list for each sample, of its length."""
    assert isinstance(output, SampleOutput)
    names = output.names
    if samples.ndim == 2:
        return {name: pa.array(samples[:, i]) for i, name in enumerate(names)}
    length = samples.shape[1]
    if output.has_lengths:
        ends = np.concatenate([[0], np.cumsum(series_lengths(samples))]).astype(np.int32)
        values = np.concatenate(cut_series(output, samples))
        offsets = pa.array(ends)
        return {
            name: pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(values[:, i])))
            for i, name in enumerate(names)
        }
    return {
        name: pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(samples[:, :, i]).reshape(-1)), length)
        for i, name in enumerate(names)
    }


def schema(output: ImageOutput | SampleOutput, keys: Keys) -> pa.Schema:
    """Return the columns, with the metadata that `datasets` needs to decode images and to name labels.

    Args:
        output: The output in the card of the generator.
        keys: The columns that identify an image or sample.
    """
    if isinstance(output, SampleOutput) and output.columns is not None:
        names = [name for name in keys.features if name != "label"]
        fields = [pa.field(name, pa.string() if name == "generator" else pa.int64()) for name in names]
        fields += [pa.field(column.name, arrow_type(column)) for column in output.table_schema(keys.classes is not None)]
        return pa.schema(fields, arrow_metadata(parquet_features(output, keys)))
    fields = [pa.field(name, pa.string() if name == "generator" else pa.int64()) for name in keys.features]
    if isinstance(output, ImageOutput):
        fields.insert(0, pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
    else:
        kind: Any = pa.float32()
        if len(output.shape) == 2:
            kind = pa.list_(kind, -1 if output.has_lengths else output.shape[0])
        fields += [pa.field(name, kind) for name in output.names]
    return pa.schema(fields, arrow_metadata(parquet_features(output, keys)))


def read(file: IO[bytes], positions: list[int], card: Card) -> Outputs:
    """Read outputs from a shard.

    Args:
        file: The shard.
        positions: Positions in the shard, from 0.
        card: The card of the generator.

    Returns:
        uint8[n, height, width, channels] or float32[n, ...]; codes of a table.
    """
    if isinstance(card.output, ImageOutput):
        table = pq.read_table(file, columns=["image"])
        images = [np.asarray(Image.open(io.BytesIO(table["image"][i]["bytes"].as_py()))) for i in positions]
        return np.stack(images).reshape(len(positions), *card.output.shape)
    table = pq.read_table(file, columns=list(card.output.names)).take(positions)
    if card.output.columns is not None:
        found = [codes_of(table[column.name], column) for column in card.output.columns]
        return np.column_stack(found)
    columns = [_padded(table[name].to_pylist(), card.output) for name in card.output.names]
    return np.stack(columns, axis=-1)


def _padded(values: list[Any], output: SampleOutput) -> Outputs:
    """Return values, float32[n] or float32[n, length], with NaN after the ends of series of different lengths."""
    if not output.has_lengths:
        return np.asarray(values, np.float32)
    padded = np.full((len(values), output.shape[0]), np.nan, np.float32)
    for row, series in zip(padded, values, strict=True):
        row[: len(series)] = series
    return padded
