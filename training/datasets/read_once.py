"""Reads a file once while a command derives a recipe from the file and loads the data."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

# The last value of each kind with its key, within `read_once`.
_values: ContextVar[dict[str, tuple[object, Any]] | None] = ContextVar("values", default=None)


@contextmanager
def read_once() -> Iterator[None]:
    """Return a context in which `remembered` keeps the last value of each kind. Changes of the files are not seen in it."""
    if _values.get() is not None:
        yield
        return
    token = _values.set({})
    try:
        yield
    finally:
        _values.reset(token)


def remembered(kind: str, key: object, read: Callable[[], T]) -> T:
    """Return the value of an earlier call with the same key within `read_once`, or else read it.

    Args:
        kind: Kind of the value; one value of each kind is kept.
        key: What the value depends on. Equal keys have equal values.
        read: Reads the value.
    """
    values = _values.get()
    if values is None:
        return read()
    if kind not in values or values[kind][0] != key:
        values.pop(kind, None)  # before the next one needs memory
        values[kind] = (key, read())
    value: T = values[kind][1]
    return value
