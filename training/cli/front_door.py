"""From a path of images, a table or series to a recipe: reads the data, prints the summary, and derives the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from seedmint.models.errors import field_errors
from seedmint.models.places import is_possible_path
from seedmint.training.recipes.data import SERIES_FIELDS, Data
from seedmint.training.recipes.files import apply_overrides, is_recipe
from seedmint.training.recipes.schema import Recipe, RecipeError, validate_recipe

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
_DATA_SUFFIXES = (*TABLE_SUFFIXES, ".zip", ".npz", ".npy", ".tar", ".tar.gz", ".tgz", ".parquet")


def is_data_path(subject: str) -> bool:
    """Return whether an argument is a path or URL of images, a table or series, and not a recipe.

    Args:
        subject: The argument.
    """
    if is_recipe(subject):
        return False
    return (
        "://" in subject or (is_possible_path(subject) and Path(subject).is_dir()) or subject.lower().endswith(_DATA_SUFFIXES)
    )


@dataclass(frozen=True)
class FrontDoor:
    """A recipe for a path of images, a table or series.

    Attributes:
        recipe: The recipe.
        comments: Comments by the dotted path of the field.
        document: The fields that were derived or given, as JSON values.
    """

    recipe: Recipe
    comments: dict[str, str]
    document: dict[str, Any]


def inspect_path(path: str, overrides: Sequence[str]) -> Any:
    """Pack the images of a path, and return them with their summary, see `inspect_data`.

    Args:
        path: A path or URL of images.
        overrides: `field=value` changes; those of `data` are used.

    Raises:
        UserError: The path does not exist, or holds no images; or a field of `data` is wrong.
    """
    from seedmint.training.cli.task_progress import PartProgress
    from seedmint.training.datasets.packed.detect import detect_kind
    from seedmint.training.datasets.packed.files import Files
    from seedmint.training.datasets.packed.packing import inspect_data

    location = path if "://" in path else str(Path(path).absolute())
    section = _data_overrides(overrides)
    try:
        data = Data.model_validate({"source": detect_kind(Files(location)), "path": location} | section)
    except ValidationError as error:
        field, message = field_errors(error)[0]
        raise RecipeError(message, field=f"data.{field}" if field else "data") from None
    with PartProgress() as progress:
        return inspect_data(data, progress.show)


def is_table(path: str) -> bool:
    """Return whether a path is a table: a CSV file, strings (.txt), or a Parquet file without a column of images.

    Args:
        path: A path or URL.
    """
    if path.lower().endswith(TABLE_SUFFIXES):
        return True
    if "://" in path or not path.lower().endswith(".parquet") or not Path(path).is_file():
        return False
    from seedmint.training.datasets.packed.parquet import has_images

    return not has_images(Path(path))


def inspect_table_path(path: str, overrides: Sequence[str]) -> Any:
    """Read a table, and return its summary: see `seedmint.training.datasets.table_report.TableReport`.

    Args:
        path: The path of a table.
        overrides: `field=value` changes; those of `data` are used.

    Raises:
        UserError: The table cannot be read, or a field of `data` is wrong.
    """
    from seedmint.training.datasets.table_report import find_source, inspect_table

    source = find_source({"path": str(Path(path).absolute())} | _data_overrides(overrides))
    return inspect_table(_data_section(path, source, overrides))


def inspect_series_path(path: str, overrides: Sequence[str]) -> Any:
    """Read series, and return their summary: see `seedmint.training.datasets.series.report.SeriesReport`.

    Args:
        path: The path of series.
        overrides: `field=value` changes; those of `data` are used.

    Raises:
        UserError: The series cannot be read, or a field of `data` is wrong.
    """
    from seedmint.training.datasets.series.report import inspect_series

    return inspect_series(_data_section(path, "series", overrides))


def is_series(path: str, overrides: Sequence[str]) -> bool:
    """Return whether a path holds series: as the overrides say, or by the columns, arrays or files.

    Args:
        path: A path or URL.
        overrides: `field=value` changes of the recipe.

    Raises:
        UserError: A field of `data` is wrong, or a table cannot be read.
    """
    section = _data_overrides(overrides)
    if "source" in section or "://" in path:
        return bool(section.get("source") == "series")
    if any(section.get(name) is not None for name in SERIES_FIELDS):
        return True
    if path.lower().endswith(".txt") or any(section.get(name) is not None for name in ("length", "longer")):
        return False  # strings
    from seedmint.training.datasets.series.recognise import holds_series

    table = _data_section(path, "table", overrides) if is_table(path) else None
    return holds_series(Path(path), table)


def _data_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the changes of the section `data`."""
    document: dict[str, Any] = {}
    apply_overrides(document, overrides)
    section = document.get("data", {})
    if not isinstance(section, dict):
        raise RecipeError("set single fields, such as data.label=region", field="data", reason="invalid_recipe")
    return section


def _data_section(path: str, source: str, overrides: Sequence[str]) -> Data:
    try:
        return Data.model_validate({"source": source, "path": str(Path(path).absolute())} | _data_overrides(overrides))
    except ValidationError as error:
        field, message = field_errors(error)[0]
        raise RecipeError(message, field=f"data.{field}" if field else "data") from None


def _derive_table(path: str, overrides: Sequence[str]) -> FrontDoor:
    from seedmint.training.datasets.load import load_train
    from seedmint.training.recipes.derived_table import derive_table_recipe
    from seedmint.training.recipes.derived_text import derive_text_recipe

    report = inspect_table_path(path, overrides)
    click.echo("\n".join(report.lines()), err=True)
    num_train, num_columns = len(load_train(report.data)), len(report.dataset.names)
    if report.data.source == "text":
        derived = derive_text_recipe(Path(path).stem, report.data, num_train)
    else:
        derived = derive_table_recipe(Path(path).stem, report.data, num_train, num_columns)
    apply_overrides(derived.document, overrides)
    return FrontDoor(validate_recipe(derived.document, path), derived.comments, derived.document)


def _derive_series(path: str, overrides: Sequence[str]) -> FrontDoor:
    from seedmint.training.datasets.load import load_train
    from seedmint.training.recipes.derived_series import derive_series_recipe

    report = inspect_series_path(path, overrides)
    click.echo("\n".join(report.lines()), err=True)
    length, channels = report.dataset.samples.shape[1:]
    derived = derive_series_recipe(Path(path).stem, report.data, len(load_train(report.data)), length, channels)
    apply_overrides(derived.document, overrides)
    return FrontDoor(validate_recipe(derived.document, path), derived.comments, derived.document)


def derive(path: str, overrides: Sequence[str], has_gpu: bool) -> FrontDoor:
    """Read the images, the table or the series of a path, print the summary on standard error, and derive a recipe.

    Args:
        path: A path or URL of images, or the path of a table or of series.
        overrides: `field=value` changes of the recipe.
        has_gpu: Whether the training runs on a GPU.

    Raises:
        UserError: The path does not exist or holds no images, some images are not readable, or a field is wrong.
    """
    from seedmint.models.runtime.processors import num_processors
    from seedmint.training.cli.data_report import format_report
    from seedmint.training.datasets.packed.files import source_name
    from seedmint.training.datasets.packed.report import BrokenImagesError
    from seedmint.training.datasets.read_once import read_once
    from seedmint.training.recipes.derived import derive_recipe

    with read_once():
        if is_series(path, overrides):
            return _derive_series(path, overrides)
        if is_table(path):
            return _derive_table(path, overrides)
    packed = inspect_path(path, overrides)
    click.echo(format_report(path, packed.report), err=True)
    if packed.report.broken and not packed.data.skip_broken:
        raise BrokenImagesError(path, packed.report.broken)
    report = packed.report
    changes: dict[str, Any] = {}
    apply_overrides(changes, overrides)
    derived = derive_recipe(
        source_name(packed.data.path),
        packed.data,
        report.count - report.held_out,
        len(report.classes),
        (report.channels, report.height, report.width),
        num_processors(),
        has_gpu,
        _chooses_residual(changes),
        _chosen_steps(changes),
    )
    apply_overrides(derived.document, overrides)
    return FrontDoor(validate_recipe(derived.document, path), derived.comments, derived.document)


def _chooses_residual(document: dict[str, Any]) -> bool:
    """Return whether a changed recipe chooses residual networks, or a field that only these have."""
    networks = [document.get("generator"), document.get("discriminator")]
    return any(
        isinstance(one, dict) and (one.get("kind") == "residual" or {"capacity", "blocks"} & one.keys()) for one in networks
    )


def _chosen_steps(document: dict[str, Any]) -> int | None:
    """Return the steps of a changed recipe; None if the recipe has none, or wrong ones, which the validation refuses."""
    steps = document.get("steps")
    return steps if type(steps) is int and steps > 0 else None


def free_directory(root: Path, name: str) -> Path:
    """Return a directory that does not exist: ROOT/NAME, ROOT/NAME-2, and so on.

    Args:
        root: Directory of the runs.
        name: Name of the generator.
    """
    number = 1
    while (directory := root / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return directory


def duration_text(seconds: float) -> str:
    """Return a duration for people: "50 seconds", "12 minutes", "3.5 hours".

    Args:
        seconds: The duration.
    """
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
