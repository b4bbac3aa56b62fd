"""Reads a CSV file as text cells: finds the encoding, the delimiter and the header, unless they are set."""

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import csv as arrow_csv

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.tables.cells import is_value

_DELIMITERS = (",", ";", "\t", "|")
_BOMS = (  # UTF-32 before UTF-16, whose marks are its beginning
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES = {
    b"\x1f\x8b": "a gzip file: unpack it",
    b"PK\x03\x04": "a zip file or an Excel workbook: save the table as CSV",
    b"PAR1": "a Parquet file: rename it to .parquet",
    b"\x89PNG": "an image",
}
_SAMPLE_LINES = 200
_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "vertical bar"}


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written. None: to be found in the file.

    Attributes:
        encoding: Encoding of the text, a name of Python's codecs.
        delimiter: The character between two cells.
        header: Whether the first line has the names of the columns.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header: bool | None = None


def read_cells(path: str, dialect: Dialect) -> tuple[pa.Table, tuple[str, ...]]:
    """Return the cells of a CSV file as text, and notes about the file.

    Args:
        path: The file.
        dialect: The settings; None for what shall be found.

    Returns:
        A table of strings, and one line of text for each property that differs from UTF-8, comma and a header.

    Raises:
        DataError: The file cannot be read, or is not a table.
    """
    content = read_content(path)
    if dialect.delimiter is not None and (not dialect.delimiter.isascii() or dialect.delimiter in '"\r\n'):
        message = f"{dialect.delimiter!r} cannot be a delimiter; use one ASCII character, such as ;"
        raise DataError(message, field="data.delimiter", reason="wrong_delimiter")
    encoding = dialect.encoding or find_encoding(content)
    text = decode_text(content, encoding, path)
    said, text = _take_delimiter_line(text)
    delimiter = dialect.delimiter or said or _find_delimiter(text)
    first = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    has_header = dialect.header if dialect.header is not None else not any(is_value(cell) for cell in first)
    table = _parse(text, delimiter, has_header, len(first), path)
    notes = []
    if encoding.lower() not in ("utf-8", "utf-8-sig"):
        notes.append(f"encoding: {encoding}" + ("" if dialect.encoding else " (data.encoding sets another one)"))
    if delimiter != ",":
        notes.append(f"delimiter: {_NAMES.get(delimiter, delimiter)}")
    if not has_header:
        notes.append("no header: the columns are called " + ", ".join(table.column_names[:2]) + ", ...")
    return table, tuple(notes)


def read_content(path: str) -> bytes:
    """Return the bytes of a text file.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read, or is no text.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path} is not readable: {error.strerror}", field="data.path", reason="unreadable") from None
    for mark, kind in _OTHER_FILES.items():
        if content.startswith(mark):
            raise DataError(f"{path} is not a text file, but {kind}", field="data.path", reason="not_text")
    return content


def find_encoding(content: bytes) -> str:
    """Return the encoding: by the byte order mark, by the zero bytes of UTF-16, UTF-8 if it is valid, or else Windows-1252.

    Args:
        content: The bytes of a text file.
    """
    for mark, name in _BOMS:
        if content.startswith(mark):
            return name
    head = content[:4096]
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) >= 4 and head[offset::2].count(0) > 0.4 * len(head) / 2 and head[1 - offset :: 2].count(0) == 0:
            return name
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "windows-1252"  # the printable characters of Latin-1, and more
    return "utf-8"


def decode_text(content: bytes, encoding: str, path: str) -> str:
    """Return the text of a file.

    Args:
        content: The bytes of the file.
        encoding: A name of Python's codecs.
        path: The file, for the error.

    Raises:
        DataError: The encoding is unknown, or the bytes are not in this encoding.
    """
    try:
        return content.decode(encoding, errors="replace" if encoding == "windows-1252" else "strict")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} of {path} is not {encoding}; set another encoding, such as windows-1252"
        raise DataError(message, field="data.encoding", reason="wrong_encoding") from None
    except LookupError:
        raise DataError(f"{encoding!r} is unknown", field="data.encoding", reason="unknown_encoding") from None


def _take_delimiter_line(text: str) -> tuple[str | None, str]:
    """Return the delimiter that a first line such as `sep=;` names, as Excel writes it, and the text after this line."""
    found = re.match(r"(?i)\ufeff?sep=([^\w\s\"]|\t)\r?\n", text)
    return (found[1], text[found.end() :]) if found and found[1].isascii() else (None, text)


def _find_delimiter(text: str) -> str:
    """Return the delimiter that splits the most of the first lines into the same number of cells, at least two."""
    lines = "".join(text.splitlines(keepends=True)[:_SAMPLE_LINES])
    scores = {}
    for delimiter in _DELIMITERS:
        try:
            widths = Counter(len(row) for row in csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter) if row)
        except csv.Error:
            continue
        cells, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        scores[delimiter] = (count / max(1, widths.total()) > 0.9, min(cells, 2), count, cells) if cells > 1 else (False,)
    return max(scores, key=lambda delimiter: scores[delimiter], default=",")


def _parse(text: str, delimiter: str, has_header: bool, width: int, path: str) -> pa.Table:
    names = None if has_header else [f"column_{i + 1}" for i in range(width)]
    read = arrow_csv.ReadOptions(column_names=names)
    parse = arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    content = pa.BufferReader(text.removeprefix("\ufeff").encode())
    try:
        names = names or arrow_csv.open_csv(content, read, parse).schema.names
        content.seek(0)
        convert = arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        return arrow_csv.read_csv(content, read, parse, convert)
    except (pa.ArrowException, OSError) as error:
        message = _describe_fault(text, delimiter) or str(error).splitlines()[0]
        raise DataError(f"{path} is not readable: {message}", field="data.path", reason="unreadable") from None


def _describe_fault(text: str, delimiter: str) -> str | None:
    """Return a message about the first line with another number of cells than the header; None if there is none."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    width = None
    try:
        for row in rows:
            width = width or len(row)
            if row and len(row) != width:
                name = _NAMES.get(delimiter, delimiter)
                return (
                    f"line {rows.line_num} has {len(row)} cells and the first line {width}, by the delimiter {name}: remove "
                    "lines that are not part of the table, put quotes around cells with a delimiter, or set data.delimiter"
                )
    except csv.Error as error:
        return f"line {rows.line_num}: {error}"
    return None if width else "it has no text, or another encoding: set data.encoding"
