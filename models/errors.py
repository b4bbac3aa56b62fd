"""Errors that the user can correct."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(ValueError):
    """An error that the user can correct.

    The message is one line that says what is wrong and how to correct it. It does not name the field: each interface writes the
    field in its own form (`--shard-size` on the command line, `"shard_size"` in a JSON body).

    Attributes:
        field: The parameter that is wrong, in snake_case; None if no single parameter is wrong.
        other_fields: Other parameters that the message mentions and that can correct the error.
        reason: A stable code for programs and tests, in snake_case.
        status: Exit status of the command line: 1, or 2 if the same command always fails.
    """

    reason = "invalid"
    status = 1

    def __init__(
        self, message: str, *, field: str | None = None, reason: str | None = None, other_fields: tuple[str, ...] = ()
    ) -> None:
        """
        Args:
            message: One line.
            field: The parameter that is wrong, in snake_case.
            reason: Replaces the code of the class.
            other_fields: Other parameters that the message mentions and that can correct the error.
        """
        super().__init__(message)
        self.field = field
        self.other_fields = other_fields
        if reason is not None:
            self.reason = reason


def one_line(text: object, max_length: int = 400) -> str:
    """Return a text as one line for logs and terminals: shortened, with escaped control characters.

    Args:
        text: Any object; its `str` is used.
        max_length: Maximum number of characters to keep.
    """
    whole = str(text)
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in whole[:max_length])
    return escaped + " ..." * (len(whole) > max_length)


def field_errors(error: "ValidationError") -> list[tuple[str, str]]:
    """Return the errors of a validation.

    Args:
        error: The exception of Pydantic.

    Returns:
        For each error, the dotted name of the field and a message.
    """
    found = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(str(part) for part in item["loc"]) or "(whole)"
        found.append((field, item["msg"].removeprefix("Value error, ")))
    return found
