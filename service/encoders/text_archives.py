"""Samples of many seeds as CSV, JSON lines and lines of text, written piece by piece."""

from collections.abc import Iterator

from seedmint.models.series import cut_series
from seedmint.models.table import is_table, table_rows, table_schema
from seedmint.service.encoders.archive_key import Key
from seedmint.service.encoders.tabular import (
    csv_header,
    csv_rows,
    csv_text,
    json_text,
    sample_output,
    table_lines,
    text_lines,
)
from seedmint.service.runtime.arrays import Labels, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator


class CsvWriter:
    """A CSV file: a line of names, then one line for each sample, or for each step of each series.

    Columns: seed (or row), label (of a conditional generator), step (of series), values. Of a table: seed (or row), and the
    columns of the table.
    """

    def __init__(self, generator: Generator, key: Key = "seed") -> None:
        """
        Args:
            generator: The generator of the samples.
            key: What identifies a sample.
        """
        self._card, self._output = generator.card, sample_output(generator)
        first_columns = (key,) if generator.card.classes is None else (key, "label")
        header = csv_header(self._output, *first_columns)
        if is_table(self._card):
            header = [key, *(column.name for column in table_schema(self._card))]
        self._header = csv_text([header])

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        header, self._header = self._header, b""
        if is_table(self._card):
            lines = table_lines(self._card, outputs, labels)
            return header + csv_text([seed, *line] for seed, line in zip(seeds.tolist(), lines, strict=True))
        keys = zip(seeds.tolist()) if labels is None else zip(seeds.tolist(), labels.tolist(), strict=True)
        series = cut_series(self._output, outputs)
        rows = (row for key, sample in zip(keys, series, strict=True) for row in csv_rows(self._output, sample, *key))
        return header + csv_text(rows)

    def finish(self) -> Iterator[bytes]:
        return iter(())


class JsonLinesWriter:
    """One line for each sample: {"seed": ..., "label": ..., "values": [...]}, or with "row" instead of "seed".

    Of a table: {"seed": ..., NAME: VALUE, ...} with the names and values of the columns.
    """

    def __init__(self, generator: Generator, key: Key = "seed") -> None:
        """
        Args:
            generator: The generator of the samples.
            key: What identifies a sample.
        """
        self._key, self._card, self._output = key, generator.card, sample_output(generator)

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        lines = []
        if is_table(self._card):
            names = [column.name for column in table_schema(self._card)]
            for seed, row in zip(seeds.tolist(), table_rows(self._card, outputs, labels), strict=True):
                lines.append(json_text({self._key: seed} | dict(zip(names, row, strict=True))) + "\n")
            return "".join(lines).encode()
        for i, sample in enumerate(cut_series(self._output, outputs)):
            values = sample.tolist()
            key = {self._key: int(seeds[i])} | ({} if labels is None else {"label": int(labels[i])})
            lines.append(json_text(key | {"values": values}) + "\n")
        return "".join(lines).encode()

    def finish(self) -> Iterator[bytes]:
        return iter(())


class TextWriter:
    """One line for each string, without seeds."""

    def __init__(self, generator: Generator) -> None:
        """
        Args:
            generator: A generator of single strings.
        """
        self._card = generator.card

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        return text_lines(self._card, outputs)

    def finish(self) -> Iterator[bytes]:
        return iter(())
