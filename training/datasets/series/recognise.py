"""Recognises series among the paths that `seedmint train` and `seedmint data inspect` receive."""

from pathlib import Path

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.packed.batch_job import is_batch_job
from seedmint.training.datasets.packed.files import Files
from seedmint.training.datasets.packed.folders import IMAGE_SUFFIXES
from seedmint.training.datasets.series.arrays import holds_series as array_holds_series
from seedmint.training.datasets.series.files import folder_files
from seedmint.training.datasets.series.layout import find_layout
from seedmint.training.datasets.table import read_table
from seedmint.training.recipes.data import Data

_MIN_FILES = 2


def holds_series(path: Path, table: Data | None) -> bool:
    """Return whether a path holds series.

    Args:
        path: A local path.
        table: The section `data` for the path as a table; None if the path is no table.

    Returns:
        True for a table with regular times, one series in each row, or lists of numbers; for a NumPy file with series; and for
        a folder of CSV files or .npy files without images and archives of images.
    """
    if table is not None:
        if len(table.labels) > 1:  # combinations of labels are for tables
            return False
        try:
            return find_layout(read_table(table)[0], table) is not None
        except DataError:
            return False  # the reader of tables tells what is wrong
    if path.is_dir():
        return _is_folder(path)
    return array_holds_series(str(path))


def _is_folder(folder: Path) -> bool:
    files = [path for path in folder_files(folder) if path.suffix.lower() != ".parquet"]
    if len(files) < _MIN_FILES or is_batch_job(Files(str(folder))):
        return False
    return not any(path.suffix.lower() in (*IMAGE_SUFFIXES, ".tar") for path in folder.rglob("*"))
