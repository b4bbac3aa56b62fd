"""Data sets: images as uint8, with labels where there are any."""

from training.datasets.dataset import DataError, Dataset
from training.datasets.digits import load_digits
from training.datasets.folder import load_folder
from training.datasets.idx import load_idx
from training.datasets.npz import load_npz
from training.datasets.stacked import stack
from training.recipe import Data

__all__ = ["DataError", "Dataset", "load_all", "load_dataset", "load_splits", "load_test"]


def load_dataset(data: Data) -> Dataset:
    """The data set that a recipe names: what a generator is trained on.

    Raises:
        DataError: the data are not to be found, or not what they should be.
    """
    whole = load_all(data)
    return whole if data.first is None else whole.first(data.first)


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
    return load_npz(str(data.path), data.licence)


def load_test(data: Data) -> Dataset | None:
    """The data set's own test set, which no generator learns from: of MNIST, Fashion-MNIST and Stacked MNIST; of others None.

    Raises:
        DataError: as `load_dataset`.
    """
    if data.source in ("mnist", "fashion-mnist"):
        return load_idx(data.source, data.path, "test")
    if data.source == "stacked-mnist":
        return stack(load_idx("mnist", data.path, "test"), "test")
    return None


def load_splits(data: Data) -> tuple[Dataset, Dataset]:
    """The data set in two parts, for a classifier to learn from and to be measured on.

    The second part is the data set's own test set, or where it has none, every fifth image.

    Raises:
        DataError: as `load_dataset`.
    """
    whole, test = load_all(data), load_test(data)
    return whole.parted(5) if test is None else (whole, test)
