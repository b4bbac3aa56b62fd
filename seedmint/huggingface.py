"""Data sets of the library `datasets` from a generator: `to_dataset` and `to_iterable_dataset`. Need the extra `datasets`.

The columns are those of the Parquet files of batch jobs: `image` (or one column for each value of a sample), `seed`, and
`label` with the names of the classes.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.arguments import LabelsLike, SeedsLike, seed_array, whole_number
from seedmint.generator import Generator
from seedmint.models.card import ImageOutput
from seedmint.models.errors import UserError
from seedmint.models.installation import needs_extra
from seedmint.models.series import cut_series
from seedmint.models.table import is_table, table_columns

with needs_extra("datasets"):
    import datasets

    from seedmint.service.batch.formats.features import Keys
    from seedmint.service.batch.formats.parquet import schema
    from seedmint.service.batch.formats.pngs import pngs

_BATCH = 256
Part = tuple[NDArray[np.int64], NDArray[np.int64] | None]  # seeds and labels


def to_dataset(
    generator: Generator, seeds: SeedsLike, labels: LabelsLike = None, truncation: float = 1.0, **options: Any
) -> datasets.Dataset:
    """Generate a data set as an Arrow file in the cache of `datasets`. The same call reads the file of the first call.

    Args:
        generator: An open generator.
        seeds: A range, a text such as "0-63,100", or any iterable or array of seeds.
        labels: A class number or name for all seeds, or one for each; None for the label that each seed determines.
        truncation: Factor on z, 0.001 to 1.
        **options: More options of `datasets.Dataset.from_generator`, such as `cache_dir` or `num_proc`.

    Raises:
        UserError: A value is invalid.
    """
    parts = _parts(generator, seeds, labels, max(1, options.get("num_proc") or 1))
    arguments = {"generator": generator, "parts": parts, "truncation": truncation}
    return datasets.Dataset.from_generator(_rows, features=_features(generator), gen_kwargs=arguments, **options)


def to_iterable_dataset(
    generator: Generator, seeds: SeedsLike, labels: LabelsLike = None, truncation: float = 1.0, shards: int = 1
) -> datasets.IterableDataset:
    """Return a data set that generates its rows when they are read.

    Args:
        generator: An open generator.
        seeds: As for `to_dataset`.
        labels: As for `to_dataset`.
        truncation: As for `to_dataset`.
        shards: Number of parts, each a contiguous part of the seeds. The workers of a `DataLoader` and
            `split_dataset_by_node` divide the parts among them without overlap, so use at least as many as workers.

    Raises:
        UserError: A value is invalid.
    """
    arguments = {"generator": generator, "parts": _parts(generator, seeds, labels, shards), "truncation": truncation}
    return datasets.IterableDataset.from_generator(_rows, features=_features(generator), gen_kwargs=arguments)


def _parts(generator: Generator, seeds: SeedsLike, labels: LabelsLike, count: int) -> list[Part]:
    array = seed_array(seeds)
    if whole_number(count, "shards") > len(array):
        raise UserError(f"{count} is not from 1 to {len(array)}, the number of seeds", field="shards", reason="out_of_range")
    numbers = generator.label_array(labels, array)
    parts = np.array_split(np.arange(len(array)), count)
    return [(array[rows], None if numbers is None else numbers[rows]) for rows in parts]


def _features(generator: Generator) -> datasets.Features:
    return datasets.Features.from_arrow_schema(schema(generator.card.output, Keys(generator.card.classes)))


def _rows(generator: Generator, parts: list[Part], truncation: float) -> Iterator[dict[str, Any]]:
    for seeds, labels in parts:
        for start in range(0, len(seeds), _BATCH):
            rows = slice(start, start + _BATCH)
            yield from _batch(generator, seeds[rows], None if labels is None else labels[rows], truncation)


def _batch(
    generator: Generator, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None, truncation: float
) -> Iterator[dict[str, Any]]:
    outputs, output = generator.outputs(seeds, labels, truncation), generator.card.output
    common: list[dict[str, Any]] = [{"seed": seed} for seed in seeds.tolist()]
    if labels is not None:
        common = [row | {"label": label} for row, label in zip(common, labels.tolist(), strict=True)]
    if is_table(generator.card):
        table = table_columns(generator.card, outputs, labels)
        for i, seed in enumerate(seeds.tolist()):
            yield {"seed": seed} | {name: column[i] for name, column in table.items()}
        return
    if isinstance(output, ImageOutput):
        files = pngs(generator._file.runtime(), seeds, labels, outputs, truncation)
        values: Any = (
            {"image": {"bytes": file, "path": f"{row['seed']}.png"}} for row, file in zip(common, files, strict=True)
        )
    else:
        values = ({name: sample[..., i] for i, name in enumerate(output.names)} for sample in cut_series(output, outputs))
    for row, value in zip(common, values, strict=True):
        yield value | row
