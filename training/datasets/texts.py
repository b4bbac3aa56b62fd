"""Reads strings as codes of their characters: from a text file with one string a line, or from a column of a table."""

import unicodedata
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from seedmint.models.columns import KEY_NAMES, Column
from seedmint.models.errors import field_errors
from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError, Dataset, TableColumns
from seedmint.training.datasets.table import choose_columns, read_table
from seedmint.training.datasets.tables.dialect import decode_text, find_encoding, read_content
from seedmint.training.datasets.tables.typed import is_string
from seedmint.training.datasets.words import LENGTH, LICENCE, read_words
from seedmint.training.recipes.data import Data

TEXT_SUFFIX = ".txt"
"""Suffix of files with one string a line."""

MAX_DEFAULT_LENGTH = 40
"""Greatest length that the data can set: longer strings need `data.length`."""

MAX_ALPHABET = 200
"""Most different characters. The discriminator receives one input for each character at each position."""


def load_texts(data: Data) -> Dataset:
    """Return strings as codes, float32[n, length]; see `seedmint.models.columns`.

    Args:
        data: The section `data` of a recipe, with source `text` or `words`.

    Raises:
        DataError: The file or the column does not exist, a string is too long, or there are too many characters.
    """
    if data.source == "words":
        strings = read_words(data.path)
        return _encode(strings, "word", "words", LENGTH, LICENCE, (), str(data.path))
    path = str(data.path)
    strings, name, notes = _read_lines(data) if path.lower().endswith(TEXT_SUFFIX) else _read_column(data)
    kept = [text for text in strings if text]
    if not kept:
        raise DataError(f"{path} has no strings", field="data.path", reason="empty_table")
    if len(kept) < len(strings):
        notes = (*notes, f"left out: {len(strings) - len(kept):,} empty strings")
    kept, length, length_notes = _limit(kept, data, path)
    return _encode(kept, name, Path(path).stem, length, data.licence, (*notes, *length_notes), path)


def _read_lines(data: Data) -> tuple[list[str], str, tuple[str, ...]]:
    path = str(data.path)
    wrong = next((name for name in ("columns", "delimiter") if getattr(data, name) is not None), None)
    if wrong is not None:
        message = f"each line of {path} is one string: leave this field out, or name the file .csv"
        raise DataError(message, field=f"data.{wrong}", reason="not_applicable")
    content = read_content(path)
    encoding = data.encoding or find_encoding(content)
    lines = [line.strip() for line in decode_text(content, encoding, path).removeprefix("\ufeff").split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    notes = () if encoding.lower() in ("utf-8", "utf-8-sig") else (f"encoding: {encoding}",)
    if data.header:
        lines = lines[1:]
    return lines, "text", notes


def _read_column(data: Data) -> tuple[list[str], str, tuple[str, ...]]:
    table, notes = read_table(data)
    chosen = choose_columns(table, data)
    if len(chosen) != 1:
        message = f"{data.path} has {len(chosen)} columns: choose one column of strings; they are {', '.join(chosen)}"
        raise DataError(message, field="data.columns", reason="not_one_column")
    values = table[chosen[0]]
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if not is_string(values.type):
        message = f"column {quoted(chosen[0])} of {data.path} has type {values.type}, not text: use source table"
        raise DataError(message, field="data.columns", reason="not_text")
    return [(text or "").strip() for text in values.to_pylist()], chosen[0], notes


def _limit(strings: list[str], data: Data, path: str) -> tuple[list[str], int, tuple[str, ...]]:
    """Return strings that are not too long, the greatest length, and notes."""
    longest = max(strings, key=len)
    limit = data.length or MAX_DEFAULT_LENGTH
    num_longer = sum(len(text) > limit for text in strings)
    if num_longer == 0:
        return strings, data.length or len(longest), ()
    if data.longer is None:
        field = "data.longer" if data.length else "data.length"
        message = (
            f"{num_longer:,} of {len(strings):,} strings of {path} are longer than {limit} characters (the longest has "
            f"{len(longest)}): set data.length=N, and data.longer=leave_out or data.longer=cut"
        )
        raise DataError(message, field=field, reason="too_long")
    if data.longer == "cut":
        return [text[:limit].rstrip() for text in strings], limit, (f"cut to {limit} characters: {num_longer:,} strings",)
    kept = [text for text in strings if len(text) <= limit]
    if not kept:
        raise DataError(f"every string of {path} is longer than {limit} characters", field="data.length", reason="too_long")
    return kept, limit, (f"left out: {num_longer:,} strings that are longer than {limit} characters",)


def _encode(
    strings: list[str], name: str, source: str, length: int, licence: str | None, notes: tuple[str, ...], path: str
) -> Dataset:
    alphabet = tuple(sorted({character for text in strings for character in text}))
    if name in KEY_NAMES:
        message = f"rename column {quoted(name)} of {path}: generated files have a column {name} of their own"
        raise DataError(message, field="data.columns", reason="reserved_name")
    wrong = next((each for each in alphabet if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")), None)
    if wrong is not None:
        row = next(i for i, text in enumerate(strings, 1) if wrong in text)
        message = f"string {row} of {path} has the control character {wrong!r}: remove it"
        raise DataError(message, field="data.path", reason="control_character")
    if len(alphabet) > MAX_ALPHABET:
        message = f"{path} has {len(alphabet)} different characters, more than {MAX_ALPHABET}: leave out strings with rare ones"
        raise DataError(message, field="data.path", reason="too_many_characters")
    try:
        column = Column(name=name, type="string", alphabet=alphabet, length=length, count=len(alphabet) + 1)
    except ValidationError as error:
        message = f"column {quoted(name)} of {path}: {field_errors(error)[0][1]}; rename the column"
        raise DataError(message, field="data.columns", reason="invalid_column") from None
    values = column.string_codes(strings)
    return Dataset(source, values, None, None, licence, (name,), None, TableColumns((column,), (), notes))
