"""Describes the columns of a table for people."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from seedmint.models.columns import Column, json_value, split_codes
from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError, Dataset
from seedmint.training.datasets.load import load_rows
from seedmint.training.datasets.table import choose_columns, read_table
from seedmint.training.datasets.tables.typed import is_string, type_column
from seedmint.training.datasets.texts import TEXT_SUFFIX
from seedmint.training.recipes.data import Data

_SHOWN = 4  # categories


@dataclass(frozen=True)
class TableReport:
    """A table that is ready to be learned.

    Attributes:
        data: The section `data` of a recipe. It names the columns if some are left out.
        dataset: The whole table.
        left_out: Reasons, by the names of the columns that cannot be learned.
    """

    data: Data
    dataset: Dataset
    left_out: dict[str, str]

    def lines(self) -> list[str]:
        """Return the summary: one line for each column, and notes."""
        assert self.dataset.table is not None
        table, samples = self.dataset.table, self.dataset.samples
        lines = [f"{self.data.path}: {len(self.dataset):,} rows, one in five held out; {len(table.columns)} columns"]
        width = max(len(column.name) for column in table.columns)
        for column, codes in split_codes(table.columns, samples):
            missing = f", {float((codes < 0).mean()):.1%} missing" if column.nullable else ""
            lines.append(f"  {column.name.ljust(width)}  {_describe(column)}{missing}")
        for label in table.labels:
            values = len(set(label.texts(self.dataset.classes or ())))
            lines.append(f"  {label.name.ljust(width)}  label with {values} values")
        if len(table.labels) > 1:
            lines.append(f"  {len(self.dataset.classes or ())} combinations of labels are the classes")
        lines += [f"  note: {note}" for note in table.notes]
        return lines + [f"  left out: {reason}" for reason in self.left_out.values()]

    def document(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        assert self.dataset.table is not None
        table = self.dataset.table
        return {
            "path": self.data.path,
            "rows": len(self.dataset),
            "columns": [column.model_dump(mode="json") for column in table.columns],
            "labels": [label.model_dump(mode="json") for label in table.labels],
            "classes": self.dataset.classes,
            "left_out": self.left_out,
            "notes": list(table.notes),
        }


def find_source(section: dict[str, Any]) -> str:
    """Return the source of a file: `text` of a .txt file, and of a table with one column of text; otherwise `table`.

    Args:
        section: Fields of the section `data`, with `path`. A field that only tables have means a table.

    Raises:
        DataError: The file cannot be read.
    """
    path = str(section["path"])
    if any(section.get(name) is not None for name in ("label", "units", "decimal", "thousands")):
        return "table"
    if path.lower().endswith(TEXT_SUFFIX):
        return "text"
    fields = {name: section.get(name) for name in ("columns", "encoding", "delimiter", "header")}
    try:
        data = Data.model_validate({"source": "table", "path": path} | fields)
    except ValidationError:  # reported with the whole section
        return "table"
    table, _ = read_table(data)
    names = table.column_names if data.columns is None else data.columns
    is_text = len(names) == 1 and names[0] in table.column_names and is_string(table[names[0]].type)
    return "text" if is_text else "table"


def inspect_table(data: Data) -> TableReport:
    """Read a table, and leave out the columns that cannot be learned, unless the columns are named.

    Args:
        data: The section `data` of a recipe, with source `table` or `text`.

    Raises:
        DataError: The file cannot be read, a named column cannot be learned, or no column is left.
    """
    left_out: dict[str, str] = {}
    if data.source == "text":
        return TableReport(data, load_rows(data), left_out)
    if data.columns is None:
        table, _ = read_table(data)
        chosen = []
        for name in choose_columns(table, data):
            try:
                type_column(table[name], name, str(data.path), None)
                chosen.append(name)
            except DataError as error:
                if error.reason not in ("nested_type", "too_many_categories", "empty_column"):
                    raise
                left_out[name] = str(error)
        if left_out and chosen:
            data = data.model_copy(update={"columns": chosen})
    return TableReport(data, load_rows(data), left_out)


def _describe(column: Column) -> str:
    unit = "" if column.unit is None else f" {column.unit}"
    if column.categories is not None:
        shown = ", ".join(quoted(name) for name in column.categories[:_SHOWN])
        more = f" and {column.count - _SHOWN} more" if column.count > _SHOWN else ""
        return f"text, {column.count} categories: {shown}{more}"
    if column.alphabet is not None:
        return f"strings, up to {column.length} characters: {''.join(column.alphabet)}"
    if column.type == "boolean":
        return "boolean"
    low, high = (json_value(value) for value in _limits(column))
    steps = ""
    if column.type == "number":
        steps = f", {column.decimals} decimals" if column.step == 1 else f", steps of {column.step / 10.0**column.decimals:g}"
    elif column.type == "integer" and column.step > 1:
        steps = f", steps of {column.step}"
    return f"{column.type}, {low} to {high}{unit}{steps}"


def _limits(column: Column) -> list[Any]:
    return column.values(np.array([0, column.count - 1], np.float32))
