"""Parquet. Of images: Hugging Face's Image column (PNG), seed, label. Of samples: seed, label, and their own columns.

pyarrow writes it: the bytes are the same under the same version of it, which the plan holds, and may be others under another.
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
from seedmint.service.batch.formats import Sink
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.runtime.arrays import Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

_ROWS = 1000  # of a row group
_GROUP_BYTES = 64 << 20  # of a row group: large images come in fewer rows


class ParquetWriter:
    """Row groups of a thousand rows, or of 64 MiB."""

    def __init__(self, sink: Sink, generator: Generator, truncation: float) -> None:
        self._generator = generator
        self._truncation = truncation
        self._schema = schema(generator.card)
        self._image = isinstance(generator.card.output, ImageOutput)
        self._writer = pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            self._schema,
            compression="none" if self._image else "zstd",  # PNGs are compressed already
            use_dictionary=False,
        )
        self._rows: list[tuple[int, int | None, Any]] = []
        self._bytes = 0

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, made: Outputs) -> None:
        values: Any = pngs(self._generator, seeds, labels, made, self._truncation) if self._image else made
        named = [None] * len(seeds) if labels is None else labels.tolist()
        for row in zip(seeds.tolist(), named, values, strict=True):
            self._rows.append(row)
            self._bytes += len(row[2]) if self._image else row[2].nbytes
            if len(self._rows) == _ROWS or self._bytes >= _GROUP_BYTES:
                self._write()

    def finish(self) -> None:
        if self._rows:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        seeds, labels, values = zip(*self._rows, strict=True)
        self._rows, self._bytes = [], 0
        columns: dict[str, Any] = {"seed": pa.array(seeds, pa.int64())}
        if labels[0] is not None:
            columns["label"] = pa.array(labels, pa.int64())
        if self._image:
            paths = pa.array([f"{seed}.png" for seed in seeds], pa.string())
            columns["image"] = pa.StructArray.from_arrays([pa.array(values, pa.binary()), paths], ["bytes", "path"])
        else:
            columns |= _columns(self._generator.card, np.stack(values))
        self._writer.write_table(pa.table([columns[name] for name in self._schema.names], schema=self._schema))


def _columns(card: Card, made: Outputs) -> dict[str, Any]:
    """float32 columns by name; of series, lists of their length, one column for each channel."""
    names = card.output.names  # type: ignore[union-attr]
    if made.ndim == 2:
        return {name: pa.array(made[:, i]) for i, name in enumerate(names)}
    length = made.shape[1]
    return {
        name: pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(made[:, :, i]).reshape(-1)), length)
        for i, name in enumerate(names)
    }


def schema(card: Card) -> pa.Schema:
    """The columns, with what `datasets` needs to decode images and to name labels."""
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
    """The images or samples at positions of a shard."""
    if isinstance(card.output, ImageOutput):
        table = pq.read_table(file, columns=["image"])
        images = [np.asarray(Image.open(io.BytesIO(table["image"][i]["bytes"].as_py()))) for i in positions]
        return np.stack(images).reshape(len(positions), *card.output.shape)
    table = pq.read_table(file, columns=list(card.output.names)).take(positions)
    columns = [np.asarray(table[name].to_pylist(), np.float32) for name in card.output.names]
    return np.stack(columns, axis=-1)
