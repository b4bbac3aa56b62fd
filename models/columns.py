"""The columns of a table: their types, and the rule that turns the codes of a generator into the values of the table.

A generator of a table returns one code for each column, and of a string one code for each character; integers in float32:

- -1 is a missing value (null), of nullable columns only;
- text: the code is the number of a category, from 0;
- string: `length` codes. 0 is the end of the string: the codes after it have no meaning. Code c is the character c - 1 of the
  alphabet. A string without an end has `length` characters;
- boolean: 0 is false, 1 is true;
- other types: u = first + code * step, an integer, is the value in units of 10^-decimals. A date counts days and a date with
  time counts microseconds since 1970-01-01; a time counts microseconds since midnight.

The rule has only integers, so every machine computes the same values. A number is the float64 that is nearest to the decimal
number u / 10^decimals.
"""

import datetime
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from seedmint.models.card_part import CardPart, Line, is_none

ColumnType = Literal["integer", "number", "boolean", "text", "string", "date", "time", "datetime"]
LabelType = Literal["integer", "number", "boolean", "text"]

NULL = -1
"""The code of a missing value."""

MAX_CODES = 1 << 24
"""Most codes of a column: float32 represents all integers up to this number exactly."""

MAX_EXACT = 1 << 53
"""Limit of `first + code * step` of numbers: float64 represents all integers up to this number exactly."""

END = 0
"""The code of the end of a string."""

MAX_LENGTH = 256
"""Most characters of a string."""

KEY_NAMES = ("seed", "row")
"""Names of the columns that identify a row in files of several rows. No column of a table may have one of these names."""

MAX_DECIMALS = 22
"""10^22 is the largest power of ten that float64 represents exactly."""

_EPOCH = datetime.datetime(1970, 1, 1)
_EPOCH_DAY = datetime.date(1970, 1, 1)
_FIRST_DAY, _LAST_DAY = (datetime.date.min - _EPOCH_DAY).days, (datetime.date.max - _EPOCH_DAY).days
_DAY = 86_400_000_000  # microseconds
_UNIT_LIMITS = {
    "date": (_FIRST_DAY, _LAST_DAY),
    "time": (0, _DAY - 1),
    "datetime": (_FIRST_DAY * _DAY, _LAST_DAY * _DAY + _DAY - 1),
}


Character = Annotated[str, Field(min_length=1, max_length=1, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]$")]
"""One character that does not end a line."""


class Column(CardPart):
    """One column of a table.

    Attributes:
        name: Name of the column in the table.
        type: Type of the values.
        unit: Unit of the values for people, such as "EUR"; null if unknown.
        nullable: Whether values can be missing.
        categories: The texts, by code; null for other types.
        first: The smallest value in units; null for text, strings and booleans.
        step: Distance of neighboring values in units.
        count: Number of codes: the greatest value is first + (count - 1) * step. Of a string, one more than characters.
        decimals: The unit of a number is 10^-decimals; 0 for other types.
        timezone: Time zone of dates with times, which count in UTC; null for local times.
        alphabet: The characters of strings, by code from 1; null for other types.
        length: Greatest number of characters of strings; null for other types.
    """

    name: Line
    type: ColumnType
    unit: Line | None = None
    nullable: bool = False
    categories: tuple[Line, ...] | None = None
    first: int | None = None
    step: int = Field(default=1, ge=1, le=1 << 62)
    count: int = Field(ge=1, le=MAX_CODES)
    decimals: int = Field(default=0, ge=-MAX_DECIMALS, le=MAX_DECIMALS)
    timezone: Line | None = None
    alphabet: tuple[Character, ...] | None = Field(default=None, exclude_if=is_none)
    length: int | None = Field(default=None, ge=1, le=MAX_LENGTH, exclude_if=is_none)

    @model_validator(mode="after")
    def _fields_are_consistent(self) -> "Column":
        if (self.categories is not None) != (self.type == "text"):
            raise ValueError("categories belong to type text")
        if self.categories is not None and (len(set(self.categories)) != self.count or len(self.categories) != self.count):
            raise ValueError("categories must be `count` different texts")
        if self.type == "boolean" and self.count != 2:
            raise ValueError("count of type boolean must be 2")
        self._check_string()
        if (self.first is None) != (self.type in ("text", "string", "boolean")):
            raise ValueError("first belongs to numbers, dates and times")
        if self.first is not None:
            self._check_units(self.first, self.first + (self.count - 1) * self.step)
        if self.decimals != 0 and self.type != "number":
            raise ValueError("decimals belong to type number")
        if self.timezone is not None and self.type != "datetime":
            raise ValueError("timezone belongs to type datetime")
        return self

    def _check_string(self) -> None:
        is_string = self.type == "string"
        if is_string != (self.alphabet is not None) or is_string != (self.length is not None):
            raise ValueError("alphabet and length belong to type string")
        if self.alphabet is not None and (len(set(self.alphabet)) != self.count - 1 or len(self.alphabet) != self.count - 1):
            raise ValueError("alphabet must be `count` - 1 different characters")
        if is_string and self.nullable:
            raise ValueError("strings cannot be nullable")

    @property
    def width(self) -> int:
        """Number of codes of one value: `length` of a string, 1 of other types."""
        return 1 if self.length is None else self.length

    def _check_units(self, first: int, last: int) -> None:
        low, high = _UNIT_LIMITS.get(self.type, (-MAX_EXACT, MAX_EXACT))
        if first < low or last > high:
            raise ValueError(f"the values in units must be {low} to {high}")

    def check_codes(self, codes: NDArray[Any]) -> bool:
        """Return whether codes are integers of this column.

        Args:
            codes: [n], or [n, length] of strings.
        """
        lowest = NULL if self.nullable else 0
        return bool(((codes == np.rint(codes)) & (codes >= lowest) & (codes < self.count)).all())

    def units(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Return the values in units, int64[n], of a number, date or time. The units of missing values mean nothing.

        Args:
            codes: [n].
        """
        assert self.first is not None
        result: NDArray[np.int64] = self.first + np.maximum(codes.astype(np.int64), 0) * self.step
        return result

    def numbers(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values as float64[n], NaN where they are missing: numbers as they are, others by their units or codes.

        Strings are their numbers of characters.

        Args:
            codes: [n], or [n, length] of strings.
        """
        if self.type == "string":
            return _string_lengths(codes).astype(np.float64)
        values = codes.astype(np.float64) if self.first is None else _scaled(self.units(codes), self.decimals)
        return np.where(codes == NULL, np.nan, values)

    def values(self, codes: NDArray[Any]) -> list[Any]:
        """Return the values as Python objects: int, float, bool, str, or date, time or datetime; None where they are missing.

        Args:
            codes: [n], or [n, length] of strings.
        """
        values: list[Any]
        if self.type == "string":
            return self._strings(codes)
        if self.type == "text":
            assert self.categories is not None
            values = [self.categories[code] for code in np.maximum(codes, 0).astype(np.int64).tolist()]
        elif self.type == "boolean":
            values = (codes == 1).tolist()
        elif self.type == "number":
            values = _scaled(self.units(codes), self.decimals).tolist()
        else:
            values = self._from_units(self.units(codes).tolist())
        if not self.nullable:
            return values
        return [None if is_null else value for value, is_null in zip(values, (codes == NULL).tolist(), strict=True)]

    def string_codes(self, strings: list[str]) -> NDArray[np.float32]:
        """Return the codes of strings, float32[n, length], with ends up to `length`.

        Args:
            strings: Strings of the alphabet, with at most `length` characters.
        """
        assert self.alphabet is not None
        assert self.length is not None
        number = {character: code for code, character in enumerate(self.alphabet, 1)}
        codes = np.full((len(strings), self.length), END, np.float32)
        for row, text in enumerate(strings):
            codes[row, : len(text)] = [number[character] for character in text]
        return codes

    def _strings(self, codes: NDArray[Any]) -> list[Any]:
        assert self.alphabet is not None
        characters = np.array(["", *self.alphabet])[codes.astype(np.int64)]
        ends = _string_lengths(codes).tolist()
        return ["".join(row[:end]) for row, end in zip(characters.tolist(), ends, strict=True)]

    def _from_units(self, units: list[int]) -> list[Any]:
        if self.type == "date":
            return [_EPOCH_DAY + datetime.timedelta(days=unit) for unit in units]
        if self.type == "integer":
            return units
        moments = [_EPOCH + datetime.timedelta(microseconds=unit) for unit in units]
        if self.type == "time":
            return [moment.time() for moment in moments]
        return moments if self.timezone is None else [moment.replace(tzinfo=datetime.UTC) for moment in moments]


class LabelColumn(CardPart):
    """A column of a table whose values are labels of the generator.

    Attributes:
        name: Name of the column in the table.
        type: Type of the values.
        position: Number of columns of the table before this column.
        values: The text of its value in each class, if several columns are labels; null if the classes of the card are the
            texts of its values.
    """

    name: Line
    type: LabelType = "text"
    position: Annotated[int, Field(ge=0)] = 0
    values: tuple[Line, ...] | None = Field(default=None, exclude_if=is_none)

    def texts(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """Return the text of this column's value in each class.

        Args:
            classes: The classes of the card.
        """
        return classes if self.values is None else self.values

    def value(self, text: str) -> Any:
        """Return the value of a text.

        Args:
            text: One of `texts`.
        """
        if self.type == "boolean":
            return text == "true"
        return {"integer": int, "number": float, "text": str}[self.type](text)

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Check that the classes have values of this column's type.

        Args:
            classes: The classes of the card.

        Raises:
            ValueError: A class has no value of the type.
        """
        texts = self.texts(classes)
        if len(texts) != len(classes):
            raise ValueError("values of a label must be one text for each class")
        if self.type == "boolean" and not {"true", "false"}.issuperset(texts):
            raise ValueError("classes of a boolean label must be true and false")
        values = [self.value(text) for text in texts]
        numbers = values if self.type in ("integer", "number") else []
        if any(not math.isfinite(value) or (self.type == "integer" and abs(value) > MAX_EXACT) for value in numbers):
            raise ValueError("classes of a label that is a number must be finite, and whole numbers at most 2^53")
        if len(set(values)) < len(set(texts)):
            raise ValueError("two classes are the same value of the label")


def split_codes(columns: tuple[Column, ...], codes: NDArray[Any]) -> Iterator[tuple[Column, NDArray[Any]]]:
    """Yield each column with its codes: [n], or [n, length] of strings.

    Args:
        columns: The columns.
        codes: float32[n, codes].
    """
    start = 0
    for column in columns:
        yield column, codes[:, start : start + column.width] if column.type == "string" else codes[:, start]
        start += column.width


def column_numbers(columns: tuple[Column, ...], codes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the values of rows as numbers for plots, float64[n, columns]: see `Column.numbers`.

    Args:
        columns: The columns.
        codes: float32[n, codes].
    """
    return np.stack([column.numbers(part) for column, part in split_codes(columns, codes)], axis=1)


def json_value(value: Any) -> Any:
    """Return a value of `Column.values` as JSON and CSV show it: dates and times as ISO 8601 text.

    Args:
        value: The value.
    """
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


def _string_lengths(codes: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of codes before the first end, int64[n]."""
    is_end = codes == END
    lengths: NDArray[np.int64] = np.where(is_end.any(axis=1), is_end.argmax(axis=1), codes.shape[1])
    return lengths


def _scaled(units: NDArray[np.int64], decimals: int) -> NDArray[np.float64]:
    """Return units / 10^decimals. Both operands are exact in float64, so the result is the nearest float64."""
    scale, values = float(10 ** abs(decimals)), units.astype(np.float64)
    return values / scale if decimals >= 0 else values * scale
