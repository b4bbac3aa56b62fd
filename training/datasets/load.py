"""Loads the data set that a recipe names, whole or in splits."""

from seedmint.training.datasets.dataset import Dataset
from seedmint.training.datasets.digits import load_digits
from seedmint.training.datasets.folder import load_folder
from seedmint.training.datasets.generated import GENERATED_SOURCES, load_generated
from seedmint.training.datasets.idx import load_idx
from seedmint.training.datasets.npz import load_npz
from seedmint.training.datasets.series import load_series
from seedmint.training.datasets.stacked import stack_digits
from seedmint.training.datasets.table import load_table
from seedmint.training.recipes.data import Data

_HOLDOUT_INTERVAL = 5


def load_dataset(data: Data) -> Dataset:
    """Return the training data of a recipe.

    Args:
        data: The section `data` of the recipe.

    Raises:
        DataError: The data do not exist, or have the wrong form.
    """
    whole = load_splits(data)[0] if data.source in ("table", "series") else load_all(data)
    return whole.first(data.first)


def load_all(data: Data) -> Dataset:
    """Return all data of a source, including the examples that a recipe does not train on.

    Args:
        data: The section `data` of the recipe.

    Raises:
        DataError: The data do not exist, or have the wrong form.
    """
    if data.source in ("mnist", "fashion-mnist"):
        return load_idx(data.source, data.path, "train")
    if data.source == "stacked-mnist":
        return stack_digits(load_idx("mnist", data.path, "train"), "train")
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
    """Return the test set that belongs to a source, or None.

    MNIST and Fashion-MNIST have a test set. The test set of Stacked MNIST consists of MNIST's test digits. The
    test sets of generated sources use other random numbers than their training data.

    Args:
        data: The section `data` of the recipe.

    Raises:
        DataError: The data do not exist, or have the wrong form.
    """
    if data.source in ("mnist", "fashion-mnist"):
        return load_idx(data.source, data.path, "test")
    if data.source == "stacked-mnist":
        return stack_digits(load_idx("mnist", data.path, "test"), "test")
    if data.source in GENERATED_SOURCES:
        return load_generated(data.source, "test")
    return None


def load_splits(data: Data) -> tuple[Dataset, Dataset]:
    """Return the training data and the held-out data of a source.

    The held-out data are the source's test set. Image sources without a test set hold out every fifth image. Tables and series
    hold out a random fifth of the rows, and generators never train on the held-out rows.

    Args:
        data: The section `data` of the recipe.

    Raises:
        DataError: The data do not exist, or have the wrong form.
    """
    whole, test = load_all(data), load_test(data)
    if test is not None:
        return whole, test
    if data.source in ("table", "series"):
        return whole.holdout_random(_HOLDOUT_INTERVAL)
    return whole.holdout_every_n(_HOLDOUT_INTERVAL)
