"""Data sets: images as uint8 or samples as float32, with labels where there are any."""

from seedmint.training.datasets.dataset import DataError, Dataset
from seedmint.training.datasets.digits import load_digits
from seedmint.training.datasets.folder import load_folder
from seedmint.training.datasets.generated import GENERATED, load_generated
from seedmint.training.datasets.idx import load_idx
from seedmint.training.datasets.npz import load_npz
from seedmint.training.datasets.series import load_series
from seedmint.training.datasets.stacked import stack
from seedmint.training.datasets.table import load_table
from seedmint.training.recipes.schema import Data

__all__ = ["DataError", "Dataset", "load_all", "load_dataset", "load_splits", "load_test"]


def load_dataset(data: Data) -> Dataset:
    """The data set that a recipe names: what a generator is trained on.

    Raises:
        DataError: the data are not to be found, or not what they should be.
    """
    whole = load_splits(data)[0] if data.source in ("table", "series") else load_all(data)
    return whole.first(data.first)


def load_all(data: Data) -> Dataset:
    """The data set that a recipe names, whatever part of it is trained on.

    Raises:
        DataError: as `load_dataset`.
    """
    if data.source in ("mnist", "fashion-mnist"):
        return load_idx(data.source, data.path, "train")
    if data.source == "stacked-mnist":
        return stack(load_idx("mnist", data.path, "train"), "train")
    if data.source == "digits":
        return load_digits()
    if data.source == "folder":
        return load_folder(str(data.path), data.side, data.channels, data.licence)
    if data.source == "npz":
        return load_npz(str(data.path), data.licence)
    if data.source == "table":
        return load_table(str(data.path), data.columns, data.label, data.licence)
    if data.source == "series":
        return load_series(str(data.path), data.licence)
    return load_generated(data.source, "train")


def load_test(data: Data) -> Dataset | None:
    """The data set's own test set, which no generator learns from, or None.

    MNIST and Fashion-MNIST come with one, Stacked MNIST has one made of MNIST's, and of the generated sets another is drawn.

    Raises:
        DataError: as `load_dataset`.
    """
    if data.source in ("mnist", "fashion-mnist"):
        return load_idx(data.source, data.path, "test")
    if data.source == "stacked-mnist":
        return stack(load_idx("mnist", data.path, "test"), "test")
    if data.source in GENERATED:
        return load_generated(data.source, "test")
    return None


def load_splits(data: Data) -> tuple[Dataset, Dataset]:
    """The data set in two parts: one to learn from, and one to measure on.

    The second part is the data set's own test set, or where it has none, every fifth image. Of tables and series, one in five
    is drawn for it, and generators learn the first part alone.

    Raises:
        DataError: as `load_dataset`.
    """
    whole, test = load_all(data), load_test(data)
    if test is not None:
        return whole, test
    return whole.drawn(5) if data.source in ("table", "series") else whole.parted(5)
