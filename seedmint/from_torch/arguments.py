"""Converts the arguments of `seedmint.take_in`: lengths of axes, names, arrays, constants."""

import operator
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.errors import UserError, one_line

_MAX_CLASSES = 1_000_000


def whole_number(value: Any, field: str) -> int:
    """Return a whole number of Python or numpy that is at least 1.

    Args:
        value: The argument.
        field: Name of the argument.

    Raises:
        UserError: The value is no whole number, or is too small.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise _wrong_type(value, field, "a whole number") from None
    if isinstance(value, bool):
        raise _wrong_type(value, field, "a whole number")
    if number < 1:
        raise UserError(f"{number} is too small: at least 1", field=field, reason="out_of_range")
    return number


def axis_lengths(value: Any, field: str) -> tuple[int, ...] | None:
    """Return the lengths of axes.

    Args:
        value: A sequence of whole numbers, or None.
        field: Name of the argument.

    Raises:
        UserError: The value is no sequence of whole numbers, or a number is less than 1.
    """
    if value is None:
        return None
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise UserError(f"{one_line(repr(value), 80)} must be like (28, 28, 1)", field=field, reason="wrong_shape")
    lengths = tuple(whole_number(length, field) for length in value)
    if not lengths:
        raise UserError("pass at least one length", field=field, reason="wrong_shape")
    return lengths


def names(value: Any, field: str) -> tuple[str, ...] | None:
    """Return names.

    Args:
        value: A sequence of texts, or None.
        field: Name of the argument.

    Raises:
        UserError: The value is no sequence of texts, is empty, or has a repeated name.
    """
    if value is None:
        return None
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _wrong_type(value, field, "a list of names")
    found = tuple(value)
    for name in found:
        if not isinstance(name, str):
            raise _wrong_type(name, field, "a text")
    if not found or len(set(found)) < len(found):
        raise UserError("pass at least one name, without repeated names", field=field, reason="names_not_distinct")
    return found


def class_names(value: Any) -> tuple[str, ...] | None:
    """Return the names of classes.

    Args:
        value: A number of classes, their names, or None.

    Raises:
        UserError: The value is neither, or there are too many classes.
    """
    if not isinstance(value, int | np.integer):
        return names(value, "classes")
    number = whole_number(value, "classes")
    if number > _MAX_CLASSES:
        raise UserError(f"{number} is too large: at most {_MAX_CLASSES}", field="classes", reason="too_many_classes")
    return tuple(map(str, range(number)))


def array(value: Any, field: str) -> NDArray[Any] | None:
    """Return an array.

    Args:
        value: An array, nested lists of numbers, or None.
        field: Name of the argument.

    Raises:
        UserError: The value is no array.
    """
    try:
        return None if value is None else np.asarray(value)
    except (ValueError, TypeError) as error:
        raise UserError(f"is not an array: {one_line(error)}", field=field, reason="wrong_type") from None


def constants(value: Any) -> dict[str, Any]:
    """Return constants by name.

    Args:
        value: A mapping with texts as keys, or None.

    Raises:
        UserError: The value is no such mapping.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _wrong_type(value, "set", 'like {"psi": 0.7}')
    return dict(value)


def location(value: Any, field: str) -> Path:
    """Return a path.

    Args:
        value: A text or a path.
        field: Name of the argument.

    Raises:
        UserError: The value is neither.
    """
    if not isinstance(value, str | os.PathLike):
        raise _wrong_type(value, field, "a path")
    return Path(value)


def _wrong_type(value: object, field: str, expected: str) -> UserError:
    return UserError(f"{one_line(repr(value), 80)} must be {expected}", field=field, reason="wrong_type")
