"""Checks of errors by their type, reason and field, not by their text."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from seedmint.models.errors import UserError


@contextmanager
def raises(error_type: type[UserError], reason: str | None = None, field: str | None = None) -> Iterator[None]:
    """Expect an error of this type whose message is one line.

    Args:
        error_type: The expected type.
        reason: The expected `reason`; None accepts any reason.
        field: The expected `field`; None accepts any field.
    """
    with pytest.raises(error_type) as caught:
        yield
    error = caught.value
    assert reason is None or error.reason == reason, error
    assert field is None or error.field == field, error
    assert "\n" not in str(error)
