"""The typed columns of a table in Arrow: their types, their values, and the way back to codes."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seedmint.models.card import Card
from seedmint.models.columns import NULL, Column, LabelColumn
from seedmint.models.table import table_columns, table_schema

_TYPES: dict[str, Any] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "string": pa.string(),
    "date": pa.date32(),
    "time": pa.time64("us"),
}


def arrow_type(column: Column | LabelColumn) -> Any:
    """Return the Arrow type of a column.

    Args:
        column: The column.
    """
    if isinstance(column, Column) and column.type == "datetime":
        return pa.timestamp("us", column.timezone)
    return _TYPES[column.type]


def feature(column: Column | LabelColumn) -> dict[str, Any]:
    """Return the feature of a column for the library `datasets`.

    Args:
        column: The column.
    """
    names = {
        "integer": "int64",
        "number": "float64",
        "boolean": "bool",
        "text": "string",
        "string": "string",
        "date": "date32",
        "time": "time64[us]",
    }
    if isinstance(column, Column) and column.type == "datetime":
        zone = "" if column.timezone is None else f", tz={column.timezone}"
        return {"dtype": f"timestamp[us{zone}]", "_type": "Value"}
    return {"dtype": names[column.type], "_type": "Value"}


def typed_arrays(card: Card, samples: NDArray[np.float32], labels: NDArray[np.int64] | None) -> dict[str, Any]:
    """Return the columns of a table by name.

    Args:
        card: The card of a generator of a table.
        samples: float32[n, codes].
        labels: int64[n]; None for an unconditional generator.
    """
    values = table_columns(card, samples, labels)
    return {column.name: pa.array(values[column.name], arrow_type(column)) for column in table_schema(card)}


def codes_of(values: pa.ChunkedArray, column: Column) -> NDArray[np.float32]:
    """Return the codes of values, float32[n], or float32[n, length] of strings; see `seedmint.models.columns`.

    Args:
        values: Values of `typed_arrays`.
        column: Their column.
    """
    if column.type == "string":
        return column.string_codes(values.to_pylist())
    if column.type == "text":
        codes = pc.index_in(values, pa.array(column.categories, pa.string()))
    elif column.type == "boolean":
        codes = values.cast(pa.int64())
    elif column.type == "number":
        found = values.to_numpy()
        scaled = found * 10.0**column.decimals if column.decimals >= 0 else found / 10.0**-column.decimals
        codes = pa.array(_steps(np.nan_to_num(scaled), column), mask=np.isnan(found))
    else:
        units = values.cast(pa.int32()).cast(pa.int64()) if column.type == "date" else values.cast(pa.int64())
        codes = pa.array(_steps(pc.fill_null(units, 0).to_numpy(), column), mask=units.is_null().to_numpy())
    filled: NDArray[np.float32] = pc.fill_null(codes, NULL).to_numpy().astype(np.float32)
    return filled


def _steps(units: NDArray[Any], column: Column) -> NDArray[np.int64]:
    assert column.first is not None
    # Units near 2^52 come from decimals with an error, so round the quotient too.
    whole = units if np.issubdtype(units.dtype, np.integer) else np.rint(units)  # float64 does not hold all datetimes
    codes: NDArray[np.int64] = np.rint((whole.astype(np.int64) - column.first) / column.step).astype(np.int64)
    return codes
