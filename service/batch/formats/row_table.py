"""Writes and compares tables of rows as Parquet, for the index of a data set."""

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from seedmint.service.batch.formats.features import arrow_metadata
from seedmint.service.batch.formats.parquet import TABLE_GROUP_ROWS, open_table

GROUP_ROWS = TABLE_GROUP_ROWS
_TYPES = {"string": pa.string(), "int64": pa.int64()}
Columns = dict[str, Any]
"""Name -> values of each column, for at most `GROUP_ROWS` rows."""


def write_table(file: IO[bytes], features: dict[str, Any], groups: Iterator[Columns]) -> None:
    """Write a table.

    Args:
        file: Receives the bytes.
        features: Name -> feature of each column: strings, integers and labels.
        groups: The rows. Each item becomes a row group.
    """
    schema = _schema(features)
    writer = open_table(file, schema)
    for group in groups:
        writer.write_table(_table(group, schema))
    writer.close()


def is_table(file: IO[bytes], features: dict[str, Any], groups: Iterator[Columns]) -> bool:
    """Return whether a file holds a table. Its bytes may differ, because they depend on the version of pyarrow.

    Args:
        file: The file.
        features: Name -> feature of each column.
        groups: The rows.
    """
    schema = _schema(features)
    try:
        found = pq.ParquetFile(file)
        if not found.schema_arrow.equals(schema, check_metadata=False):
            return False
        count = 0
        for group in groups:
            if count == found.num_row_groups or not found.read_row_group(count).equals(_table(group, schema)):
                return False
            count += 1
    except (pa.ArrowException, OSError):
        return False
    return bool(count == found.num_row_groups)


def _schema(features: dict[str, Any]) -> pa.Schema:
    fields = [pa.field(name, _TYPES[feature.get("dtype", "int64")]) for name, feature in features.items()]
    return pa.schema(fields, arrow_metadata(features))


def _table(columns: Columns, schema: pa.Schema) -> pa.Table:
    return pa.table([columns[name] for name in schema.names], schema=schema)
