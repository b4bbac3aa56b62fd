"""Data sets: images as uint8, with labels where there are any."""

from training.datasets.dataset import DataError, Dataset
from training.datasets.digits import load_digits
from training.datasets.folder import load_folder
from training.datasets.idx import load_idx
from training.datasets.npz import load_npz
from training.datasets.stacked import stack
from training.recipe import Data

__all__ = ["DataError", "Dataset", "load_all", "load_dataset", "load_splits"]


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


def load_splits(data: Data) -> tuple[Dataset, Dataset]:
    """The data set in two parts, for a classifier to learn from and to be measured on.

    MNIST and Fashion-MNIST come with a test set, and Stacked MNIST has one made of MNIST's; of other data, every fifth image
    is the second part.

    Raises:
        DataError: as `load_dataset`.
    """
    whole = load_all(data)
    if data.source in ("mnist", "fashion-mnist"):
        return whole, load_idx(data.source, data.path, "test")
    if data.source == "stacked-mnist":
        return whole, stack(load_idx("mnist", data.path, "test"), "test")
    return whole.parted(5)
