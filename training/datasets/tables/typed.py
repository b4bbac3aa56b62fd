"""Typed columns of a table: from Arrow values to a column of the card and its codes."""

import math
import sys
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import ValidationError

from seedmint.models.card import MAX_CLASSES
from seedmint.models.columns import MAX_CODES, MAX_DECIMALS, MAX_EXACT, NULL, Column, LabelColumn
from seedmint.models.errors import field_errors
from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError

MAX_CATEGORIES = 1000
"""Most different texts in one column. The discriminator receives one input for each."""

MAX_COMBINATIONS = 1000
"""Most combinations of the values of several columns of labels."""

_MAX_DIGITS = 15  # decimal digits that float64 keeps
_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class TypedColumn:
    """One column of a table.

    Attributes:
        column: Its type, for the card.
        codes: int64[n], see `seedmint.models.columns`.
        note: A line for people if the values are rounded; None otherwise.
    """

    column: Column
    codes: NDArray[np.int64]
    note: str | None = None


def type_column(values: pa.ChunkedArray, name: str, path: str, unit: str | None) -> TypedColumn:
    """Return the type and the codes of a column.

    Args:
        values: Numbers, booleans, text, dates or times; null where they are missing.
        name: Name of the column.
        path: The file, for error messages.
        unit: Unit of the values, or None.

    Raises:
        DataError: The values have another type, are all missing, are infinite, or are too many different texts.
    """
    values = _plain(values, name, path)
    if values.null_count == len(values):
        raise DataError(
            f"column {quoted(name)} of {path} has no values; choose other columns", field="data.columns", reason="empty_column"
        )
    common = {"name": name, "unit": unit, "nullable": values.null_count > 0}
    kind = values.type
    try:
        if pa.types.is_string(kind):
            return _text(values, common, path)
        if pa.types.is_boolean(kind):
            return TypedColumn(Column(**common, type="boolean", count=2), _integers(values.cast(pa.int64()), NULL))
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return _numbers(values, common, path)
        if pa.types.is_timestamp(kind):
            common["timezone"] = kind.tz
            # Nanoseconds lose their last digits. Other units must not overflow.
            moments = values.cast(pa.timestamp("us", kind.tz), safe=kind.unit != "ns")
            return _steps(moments.cast(pa.int64()), "datetime", common)
        if pa.types.is_date(kind):
            return _steps(values.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()), "date", common)
        if pa.types.is_time(kind):
            return _steps(values.cast(pa.time64("us"), safe=kind.unit != "ns").cast(pa.int64()), "time", common)
        return _steps(values.cast(pa.int64()), "integer", common)
    except ValidationError as error:
        message = f"column {quoted(name)} of {path}: {_fault_of(error)}; change it, or leave the column out"
        raise DataError(message, field="data.columns", reason="invalid_column") from None
    except pa.ArrowInvalid as error:
        message = f"column {quoted(name)} of {path} has values that are too large: {str(error).splitlines()[0]}"
        raise DataError(message, field="data.columns", reason="out_of_range") from None


def _fault_of(error: ValidationError) -> str:
    """Return the first fault of a column for people."""
    kinds = {
        "string_pattern_mismatch": "a text has a control character or a line break",
        "string_too_long": "a text has more than 200 characters",
        "string_too_short": "a text is empty",
    }
    return kinds.get(error.errors()[0]["type"]) or field_errors(error)[0][1]


def type_labels(
    values: pa.ChunkedArray, name: str, path: str, position: int
) -> tuple[LabelColumn, NDArray[np.int64], tuple[str, ...]]:
    """Return the column of labels for the card, the labels, int64[n], and the names of the classes.

    Args:
        values: Text, numbers or booleans.
        name: Name of the column.
        path: The file, for error messages.
        position: Number of columns before it.

    Raises:
        DataError: A label is missing or infinite, the type is another one, or there are too many classes.
    """
    values = _plain(values, name, path, field="data.label")
    kind = values.type
    types: dict[str, Literal["boolean", "text", "integer", "number"]] = {"bool": "boolean", "string": "text"}
    label_type = types.get(str(kind)) or ("integer" if pa.types.is_integer(kind) else "number")
    if pa.types.is_temporal(kind):
        message = f"label column {quoted(name)} of {path} has type {kind}; labels must be text, numbers or booleans"
        raise DataError(message, field="data.label", reason="wrong_labels")
    if values.null_count:
        row = pc.index(pc.is_null(values), True).as_py()
        raise DataError(
            f"the label in column {quoted(name)}, row {row + 1} of {path} is missing: fill it, remove the row, "
            "or choose another label",
            field="data.label",
            reason="missing_value",
        )
    found = values.cast(pa.float64()).to_pylist() if label_type == "number" else values.to_pylist()
    distinct = sorted(set(found))
    if len(distinct) > MAX_CLASSES or (label_type == "number" and len(distinct) > MAX_CATEGORIES):
        raise DataError(
            f"label column {quoted(name)} of {path} has {len(distinct)} different labels; at most {MAX_CATEGORIES} numbers or "
            f"{MAX_CLASSES} texts are allowed",
            field="data.label",
            reason="too_many_classes",
        )
    number = {value: i for i, value in enumerate(distinct)}
    classes = tuple(str(value).lower() if label_type == "boolean" else str(value) for value in distinct)
    label = _label_column(name, label_type, position, classes, path)
    return label, np.array([number[value] for value in found], np.int64), classes


def join_labels(
    found: list[tuple[LabelColumn, NDArray[np.int64], tuple[str, ...]]], path: str
) -> tuple[tuple[LabelColumn, ...], NDArray[np.int64], tuple[str, ...]]:
    """Return several columns of labels with their values in each class, the labels, int64[n], and the names of the classes.

    The classes are the combinations of values that occur in the table, in the order of the values.

    Args:
        found: What `type_labels` returns for each column.
        path: The file, for error messages.

    Raises:
        DataError: There are too many combinations.
    """
    numbers, labels = np.unique(np.stack([labels for _, labels, _ in found], axis=1), axis=0, return_inverse=True)
    if len(numbers) > MAX_COMBINATIONS:
        raise DataError(
            f"the columns {', '.join(column.name for column, _, _ in found)} of {path} have {len(numbers):,} different "
            f"combinations of labels, more than {MAX_COMBINATIONS:,}: choose fewer columns, or replace rare values by one",
            field="data.label",
            reason="too_many_classes",
        )
    texts = [tuple(classes[number] for number in numbers[:, i]) for i, (_, _, classes) in enumerate(found)]
    names = tuple(" / ".join(values) for values in zip(*texts, strict=True))
    _label_column(" / ".join(column.name for column, _, _ in found)[:200], "text", 0, names, path)  # checks the names
    columns = tuple(column.model_copy(update={"values": values}) for (column, _, _), values in zip(found, texts, strict=True))
    return columns, labels.reshape(-1).astype(np.int64), names


def _label_column(
    name: str, kind: Literal["boolean", "text", "integer", "number"], position: int, classes: tuple[str, ...], path: str
) -> LabelColumn:
    """Return a column of labels whose classes can be on a card."""
    try:
        column = LabelColumn(name=name, type=kind, position=position, values=classes)
        column.check_classes(classes)
    except ValidationError as error:
        message = f"label column {quoted(name)} of {path}: {_fault_of(error)}; change it, or choose another label"
        raise DataError(message, field="data.label", reason="invalid_column") from None
    except ValueError as error:
        message = f"label column {quoted(name)} of {path}: {error}"
        raise DataError(message, field="data.label", reason="invalid_column") from None
    return column.model_copy(update={"values": None})


def _plain(values: pa.ChunkedArray, name: str, path: str, field: str = "data.columns") -> pa.ChunkedArray:
    """Return values without dictionaries and without NaN, or refuse their type."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        values = values.cast(pa.string())
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), None, values)
        if pc.any(pc.is_inf(values)).as_py():
            row = pc.index(pc.is_inf(values), True).as_py()
            message = f"the value in column {quoted(name)}, row {row + 1} of {path} is infinite; correct or remove the row"
            raise DataError(message, field=field, reason="not_finite")
    if not _is_single(values.type):
        cure = "choose other columns"
        if pa.types.is_struct(kind):
            cure = "write each field into a column of its own (pyarrow: table.flatten()), or " + cure
        elif pa.types.is_nested(kind):
            cure = "write each element into a column of its own, or " + cure
        elif pa.types.is_duration(kind):
            cure = "write a number, such as seconds, or " + cure
        message = f"column {quoted(name)} of {path} has type {kind}, which is not a single value: {cure}"
        raise DataError(message, field=field, reason="nested_type")
    return values


def is_string(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is text, in any of its layouts.

    Args:
        kind: The type of a column.
    """
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_single(kind: pa.DataType) -> bool:
    """Return whether values of an Arrow type can be learned: text, booleans, numbers, dates and times."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or (pa.types.is_temporal(kind) and not pa.types.is_duration(kind) and not pa.types.is_interval(kind))
    )


def _text(values: pa.ChunkedArray, common: dict[str, Any], path: str) -> TypedColumn:
    categories = sorted(value for value in pc.unique(values).to_pylist() if value is not None)
    if len(categories) > MAX_CATEGORIES:
        message = (
            f"column {quoted(common['name'])} of {path} has {len(categories):,} different texts, more than {MAX_CATEGORIES:,}: "
            "leave it out with data.columns, or replace rare texts by one text such as other"
        )
        raise DataError(message, field="data.columns", reason="too_many_categories")
    codes = pc.index_in(values, pa.array(categories, pa.string())).cast(pa.int64())
    column = Column(**common, type="text", categories=tuple(categories), count=len(categories))
    return TypedColumn(column, np.where(values.is_null().to_numpy(), NULL, _integers(codes, 0)))


def _numbers(values: pa.ChunkedArray, common: dict[str, Any], path: str) -> TypedColumn:
    found = values.cast(pa.float64()).to_numpy().astype(np.float64)
    known = found[~np.isnan(found)]
    largest = float(np.abs(known).max())
    decimals = next((d for d in range(_MAX_DIGITS + 1) if _has_decimals(known, d)), None)
    if decimals is None:
        with np.errstate(over="ignore"):
            spread = min(float(known.max()) - float(known.min()), sys.float_info.max)
        decimals = MAX_DECIMALS if spread == 0 else 7 - math.ceil(math.log10(spread))
    # The units must be exact in float64, too.
    decimals = max(-MAX_DECIMALS, min(MAX_DECIMALS, decimals, 15 - math.ceil(math.log10(largest)) if largest else 0))
    with np.errstate(invalid="ignore", over="ignore"):
        units = np.rint(found * 10.0**decimals)
    if not float(np.nanmax(np.abs(units))) <= MAX_EXACT:
        message = f"column {quoted(common['name'])} of {path} has values such as {largest:g}, which are too large: scale them"
        raise DataError(message, field="data.columns", reason="out_of_range")
    whole = np.where(np.isnan(units), 0, units).astype(np.int64)
    return _steps(pa.chunked_array([pa.array(whole, mask=np.isnan(found))]), "number", {**common, "decimals": decimals})


def _has_decimals(values: NDArray[np.float64], decimals: int) -> bool:
    """Return whether all values are decimal numbers with at most this number of decimals."""
    with np.errstate(over="ignore"):
        units = np.rint(values * 10.0**decimals)
    return bool((np.abs(units) <= MAX_EXACT).all() and (units / 10.0**decimals == values).all())


def _steps(values: pa.ChunkedArray, kind: Literal["integer", "number", "date", "time", "datetime"], common: Any) -> TypedColumn:
    """Return codes of integers. The step is the greatest that gives all values, or more if there were too many codes."""
    is_null = values.is_null().to_numpy()
    units = _integers(values, 0)
    known = units[~is_null]
    first, last = int(known.min()), int(known.max())
    if kind == "integer" and max(abs(first), abs(last)) > MAX_EXACT:
        message = f"column {quoted(common['name'])} has values such as {max(first, last, key=abs)}, beyond 2^53"
        raise DataError(f"{message}: scale them, or leave the column out", field="data.columns", reason="out_of_range")
    step = max(1, int(np.gcd.reduce(known - first)))
    note = None
    if (last - first) // step >= MAX_CODES:
        least = (last - first) / (MAX_CODES - 1)
        power = 10 ** math.floor(math.log10(least))
        rounded = next(n * power for n in (*_STEPS, 10) if n * power >= least)
        step, first = rounded, first // rounded * rounded
        unit = {"datetime": " microseconds", "time": " microseconds"}.get(kind, "")
        shown = step / 10.0 ** common.get("decimals", 0)
        note = f"{common['name']}: rounded to multiples of {shown:g}{unit}, because of the wide range of the values"
    codes = (units - first + step // 2) // step
    column = Column(**common, type=kind, first=first, step=step, count=int(codes[~is_null].max()) + 1)
    return TypedColumn(column, np.where(is_null, NULL, codes), note)


def _integers(values: pa.ChunkedArray, null: int) -> NDArray[np.int64]:
    found: NDArray[np.int64] = pc.fill_null(values, null).to_numpy().astype(np.int64)
    return found
