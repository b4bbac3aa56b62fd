"""Converts seeds and labels of the Python API to arrays."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.errors import UserError
from seedmint.models.seeds import SEED_LIMIT, Seeds, check_array_count, parse_seeds, seeds_from_list

SeedsLike = int | range | str | Iterable[int] | NDArray[np.int64]
LabelsLike = int | str | Sequence[int | str] | NDArray[np.int64] | Mapping[str, Any] | None

_MAX_NAMES = 20  # class names in a message


def seed_array(seeds: SeedsLike) -> NDArray[np.int64]:
    """Return seeds as int64[n].

    Args:
        seeds: A seed, a range, a text such as "0-63,100", or any iterable or array of seeds.

    Raises:
        UserError: A seed is not a whole number in 0 <= seed < 2**63, there is no seed, or there are more than 2**32.
    """
    if isinstance(seeds, str):
        return parse_seeds(seeds).array()
    if isinstance(seeds, int | np.integer):
        return seeds_from_list([seeds if isinstance(seeds, bool) else int(seeds)]).array()
    if isinstance(seeds, range) and seeds:
        return _range_array(seeds)
    if isinstance(seeds, np.ndarray):
        if not np.issubdtype(seeds.dtype, np.integer) or seeds.ndim != 1:
            shape = f"{seeds.dtype}{list(seeds.shape)}"
            raise UserError(f"an array of seeds is int64[n], not {shape}", field="seeds", reason="wrong_shape")
        return _checked_array(seeds)
    try:
        values = iter(seeds)
    except TypeError:
        raise UserError(f"{seeds!r:.40} is neither a seed nor seeds", field="seeds", reason="malformed_seeds") from None
    return seeds_from_list(int(seed) if isinstance(seed, np.integer) else seed for seed in values).array()


def seeds_text(seeds: SeedsLike) -> str:
    """Return seeds as a text such as "0-63,100".

    Args:
        seeds: As for `seed_array`.

    Raises:
        UserError: A seed is not a whole number in 0 <= seed < 2**63, or there is no seed.
    """
    if isinstance(seeds, str):
        return str(parse_seeds(seeds))
    if isinstance(seeds, range) and seeds and seeds.step == 1:
        _check_ends(seeds[0], seeds[-1])
        return str(Seeds((seeds,)))
    return str(seeds_from_list(seed_array(seeds).tolist()))


def split_texts(splits: Mapping[str, SeedsLike]) -> dict[str, str]:
    """Return the seeds of each split as a text such as "0-63,100".

    Args:
        splits: Seeds of each split, by its name.

    Raises:
        UserError: As for `seeds_text`, for the field `splits`.
    """
    try:
        return {name: seeds_text(seeds) for name, seeds in splits.items()}
    except UserError as error:
        error.field = "splits"
        raise


def whole_number(value: Any, field: str, least: int = 1) -> int:
    """Return a number of things, such as columns of a grid.

    Args:
        value: The number.
        field: Name of the parameter, for the error.
        least: The smallest number.

    Raises:
        UserError: The value is not a whole number, or is too small.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise UserError(f"{value!r:.40} is not a whole number of at least {least}", field=field, reason="out_of_range")
    return int(value)


def label_array(labels: LabelsLike, count: int, classes: tuple[str, ...]) -> NDArray[np.int64] | None:
    """Return labels as int64[count], or None if there are no labels.

    Args:
        labels: A class number or name for all outputs, or one for each output; None for no labels.
        count: Number of outputs.
        classes: Names of the classes; empty for an unconditional generator.

    Raises:
        UserError: A label is not a class, the number of labels is not `count`, or the generator is unconditional.
    """
    if labels is None:
        return None
    if not classes:
        raise UserError("the generator is not conditional: omit the labels", field="labels", reason="not_conditional")
    if isinstance(labels, int | str | np.integer):
        return np.full(count, _label_number(labels, classes), np.int64)
    if isinstance(labels, np.ndarray) and np.issubdtype(labels.dtype, np.integer) and labels.ndim == 1 and len(labels):
        for label in (labels.min(), labels.max()):  # checks both ends
            _label_number(label, classes)
        numbers = labels.astype(np.int64)
    else:
        numbers = np.array([_label_number(label, classes) for label in _items(labels)], np.int64)
    if len(numbers) != count:
        raise UserError(f"{len(numbers)} labels for {count} outputs", field="labels", reason="wrong_length")
    return numbers


def _check_ends(first: int, last: int) -> None:
    if first < 0 or last >= SEED_LIMIT:
        seeds_from_list([first, last])  # raises


def _range_array(seeds: range) -> NDArray[np.int64]:
    """Return the seeds of a range, which is not empty. `len` fails for the largest ranges."""
    _check_ends(min(seeds[0], seeds[-1]), max(seeds[0], seeds[-1]))
    count = (seeds[-1] - seeds[0]) // seeds.step + 1
    check_array_count(count)
    step = seeds.step if count > 1 else 1
    return seeds[0] + step * np.arange(count, dtype=np.int64)


def _checked_array(seeds: NDArray[Any]) -> NDArray[np.int64]:
    if not len(seeds):
        return seeds_from_list([]).array()  # raises
    _check_ends(int(seeds.min()), int(seeds.max()))
    return seeds.astype(np.int64)


def _items(labels: Any) -> Iterator[Any]:
    try:
        return iter(labels)
    except TypeError:  # one value, which is no label
        return iter([labels])


def _label_number(label: Any, classes: tuple[str, ...]) -> int:
    if isinstance(label, str):
        if label in classes:
            return classes.index(label)
        known = ", ".join(classes[:_MAX_NAMES])
        raise UserError(f"{label!r} is not a class: {known}", field="labels", reason="unknown_class")
    if not isinstance(label, int | np.integer) or isinstance(label, bool) or not 0 <= label < len(classes):
        last = len(classes) - 1
        raise UserError(f"{label!r} is not a label from 0 to {last}", field="labels", reason="out_of_range")
    return int(label)


def slice_range(seeds: slice) -> range:
    """Return the seeds of a slice.

    Args:
        seeds: The slice, such as `0:64:2`.

    Raises:
        UserError: The slice has no end, or a part is not a whole number.
    """
    if seeds.stop is None:
        raise UserError("a slice of seeds needs an end, such as g[0:64]", field="seeds", reason="no_end")
    try:
        return range(0 if seeds.start is None else seeds.start, seeds.stop, 1 if seeds.step is None else seeds.step)
    except (TypeError, ValueError) as error:
        raise UserError(f"is no slice of seeds: {error}", field="seeds", reason="malformed_seeds") from None
