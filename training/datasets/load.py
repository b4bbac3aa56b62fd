"""Loads the data set that a recipe names, whole or in splits."""

from seedmint.training.datasets.dataset import Dataset
from seedmint.training.datasets.digits import load_digits
from seedmint.training.datasets.generated import GENERATED_SOURCES, load_generated
from seedmint.training.datasets.icons.icons import load_icons
from seedmint.training.datasets.idx import load_idx
from seedmint.training.datasets.packed.packing import open_packed
from seedmint.training.datasets.penguins import LICENCE, penguins_csv
from seedmint.training.datasets.progress import OnProgress, ignore_progress
from seedmint.training.datasets.read_once import remembered
from seedmint.training.datasets.series.load import load_series
from seedmint.training.datasets.stacked import stack_digits
from seedmint.training.datasets.table import load_table
from seedmint.training.datasets.texts import load_texts
from seedmint.training.recipes.data import PACKED_SOURCES, TABLE_SOURCES, TEXT_SOURCES, Data

_HOLDOUT_INTERVAL = 5


def load_dataset(data: Data, on_progress: OnProgress = ignore_progress) -> Dataset:
    """Return the training data of a recipe: `data.first` examples of `load_train`.

    Args:
        data: The section `data` of the recipe.
        on_progress: Called while images are packed.

    Raises:
        DataError: The data do not exist, or have the wrong form.
    """
    return load_train(data, on_progress).first(data.first, data.order == "stored")


def load_train(data: Data, on_progress: OnProgress = ignore_progress) -> Dataset:
    """Return all training data of a source.

    Args:
        data: The section `data` of the recipe.
        on_progress: Called while images are packed.

    Raises:
        DataError: The data do not exist, or have the wrong form.
    """
    if data.source in PACKED_SOURCES:
        return open_packed(data, on_progress).train()
    if data.source in ("mnist", "fashion-mnist"):
        return load_idx(data.source, data.path, "train")
    if data.source == "stacked-mnist":
        return stack_digits(load_idx("mnist", data.path, "train"), "train")
    if data.source == "digits":
        return load_digits()
    if data.source == "icons":
        return load_icons("train")
    if data.source in (*TABLE_SOURCES, *TEXT_SOURCES, "series"):
        return load_rows(data).holdout(_HOLDOUT_INTERVAL)[0]
    return load_generated(data.source, "train")


def load_test(data: Data) -> Dataset | None:
    """Return the test data that belong to a source, or None.

    MNIST and Fashion-MNIST have a test set. The test set of Stacked MNIST consists of MNIST's test digits. The test sets of
    icons and of generated sources use other random numbers than their training data. The test data of your own images, tables,
    series and strings are a part that is held out by a pseudorandom draw. Digits have no test data.

    Args:
        data: The section `data` of the recipe.

    Raises:
        DataError: The data do not exist, or have the wrong form.
    """
    if data.source in PACKED_SOURCES:
        return open_packed(data).held_out()
    if data.source in ("mnist", "fashion-mnist"):
        return load_idx(data.source, data.path, "test")
    if data.source == "stacked-mnist":
        return stack_digits(load_idx("mnist", data.path, "test"), "test")
    if data.source == "icons":
        return load_icons("test")
    if data.source in (*TABLE_SOURCES, *TEXT_SOURCES, "series"):
        return load_rows(data).holdout(_HOLDOUT_INTERVAL)[1]
    if data.source in GENERATED_SOURCES:
        return load_generated(data.source, "test")
    return None


def load_splits(data: Data) -> tuple[Dataset, Dataset]:
    """Return the training data and the test data of a source. Of digits, which have no test data, every fifth is held out.

    The split of digits is that of their shipped classifier. Evaluations split digits by a draw.

    Args:
        data: The section `data` of the recipe.

    Raises:
        DataError: The data do not exist, or have the wrong form.
    """
    train, test = load_train(data), load_test(data)
    return train.holdout_every_n(_HOLDOUT_INTERVAL) if test is None else (train, test)


def load_rows(data: Data) -> Dataset:
    """Return the whole table, series or strings, before a part is held out. Within `read_once`, they are loaded once.

    Args:
        data: The section `data` of a recipe.

    Raises:
        DataError: The data do not exist, or have the wrong form.
    """
    return remembered("rows", data, lambda: _load_rows(data))


def _load_rows(data: Data) -> Dataset:
    if data.source == "penguins":
        return load_table(data.model_copy(update={"path": str(penguins_csv()), "licence": LICENCE}))
    if data.source == "table":
        return load_table(data)
    if data.source in TEXT_SOURCES:
        return load_texts(data)
    return load_series(data)
