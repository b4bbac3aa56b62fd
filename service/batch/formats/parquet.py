"""Parquet. Images: a Hugging Face Image column (PNG), seed, label. Samples: seed, label and one column for each output name.

pyarrow writes the file. Another version of pyarrow may write other bytes, so the plan of a job holds its version.
"""

import io
import json
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from seedmint.models.card import Card, ImageOutput
from seedmint.service.batch.formats.base import Sink
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.runtime.arrays import Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

_GROUP_ROWS = 1000
_GROUP_BYTES = 64 << 20  # row groups of large images have fewer rows


class ParquetWriter:
    """Writes row groups of at most 1000 rows and about 64 MiB."""

    def __init__(self, sink: Sink, generator: Generator, truncation: float) -> None:
        """
        Args:
            sink: Receives the bytes.
            generator: The generator of the job.
            truncation: Factor on z; it is part of the metadata of each PNG.
        """
        self._generator = generator
        self._truncation = truncation
        self._schema = schema(generator.card)
        self._is_image = isinstance(generator.card.output, ImageOutput)
        self._writer = pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            self._schema,
            compression="none" if self._is_image else "zstd",  # PNGs are compressed already
            use_dictionary=False,
        )
        self._rows: list[tuple[int, int | None, Any]] = []
        self._bytes = 0

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, outputs: Outputs) -> None:
        """Write one batch.

        Args:
            seeds: int64[n].
            labels: int64[n], or None for an unconditional generator.
            outputs: uint8[n, height, width, channels] or float32[n, ...].
        """
        values: Any = pngs(self._generator, seeds, labels, outputs, self._truncation) if self._is_image else outputs
        row_labels = [None] * len(seeds) if labels is None else labels.tolist()
        for row in zip(seeds.tolist(), row_labels, values, strict=True):
            self._rows.append(row)
            self._bytes += len(row[2]) if self._is_image else row[2].nbytes
            if len(self._rows) == _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
                self._write_group()

    def finish(self) -> None:
        """Write the last row group and the end of the file."""
        if self._rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        seeds, labels, values = zip(*self._rows, strict=True)
        self._rows, self._bytes = [], 0
        columns: dict[str, Any] = {"seed": pa.array(seeds, pa.int64())}
        if labels[0] is not None:
            columns["label"] = pa.array(labels, pa.int64())
        if self._is_image:
            paths = pa.array([f"{seed}.png" for seed in seeds], pa.string())
            columns["image"] = pa.StructArray.from_arrays([pa.array(values, pa.binary()), paths], ["bytes", "path"])
        else:
            columns |= _sample_columns(self._generator.card, np.stack(values))
        self._writer.write_table(pa.table([columns[name] for name in self._schema.names], schema=self._schema))


def _sample_columns(card: Card, samples: Outputs) -> dict[str, Any]:
    """Return one float32 column for each output name. A column of series holds lists of fixed length, one for each sample."""
    names = card.output.names  # type: ignore[union-attr]
    if samples.ndim == 2:
        return {name: pa.array(samples[:, i]) for i, name in enumerate(names)}
    length = samples.shape[1]
    return {
        name: pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(samples[:, :, i]).reshape(-1)), length)
        for i, name in enumerate(names)
    }


def schema(card: Card) -> pa.Schema:
    """Return the columns, with the metadata that `datasets` needs to decode images and to name labels.

    Args:
        card: The card of the generator.
    """
    fields = [pa.field("seed", pa.int64())]
    features: dict[str, Any] = {"seed": {"dtype": "int64", "_type": "Value"}}
    if card.classes is not None:
        fields.append(pa.field("label", pa.int64()))
        features["label"] = {"names": list(card.classes), "_type": "ClassLabel"}
    output = card.output
    if isinstance(output, ImageOutput):
        fields.insert(0, pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
        features = {"image": {"_type": "Image"}} | features
    else:
        kind: Any = pa.float32() if len(output.shape) == 1 else pa.list_(pa.float32(), output.shape[0])
        value: dict[str, Any] = {"dtype": "float32", "_type": "Value"}
        if len(output.shape) == 2:
            value = {"feature": value, "length": output.shape[0], "_type": "List"}
        fields += [pa.field(name, kind) for name in output.names]
        features |= dict.fromkeys(output.names, value)
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})


def read(file: IO[bytes], positions: list[int], card: Card) -> Outputs:
    """Read outputs from a shard.

    Args:
        file: The shard.
        positions: Positions in the shard, from 0.
        card: The card of the generator.

    Returns:
        uint8[n, height, width, channels] or float32[n, ...].
    """
    if isinstance(card.output, ImageOutput):
        table = pq.read_table(file, columns=["image"])
        images = [np.asarray(Image.open(io.BytesIO(table["image"][i]["bytes"].as_py()))) for i in positions]
        return np.stack(images).reshape(len(positions), *card.output.shape)
    table = pq.read_table(file, columns=list(card.output.names)).take(positions)
    columns = [np.asarray(table[name].to_pylist(), np.float32) for name in card.output.names]
    return np.stack(columns, axis=-1)
