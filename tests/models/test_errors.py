"""Errors that the user can correct, and texts of one line."""

import pytest

from seedmint.models.errors import UserError, one_line


def test_an_error_keeps_its_field_and_its_reason():
    error = UserError("text", field="seeds", reason="too_many", other_fields=("labels",))
    assert (str(error), error.field, error.reason, error.other_fields) == ("text", "seeds", "too_many", ("labels",))


def test_an_error_without_details_has_the_reason_of_its_class():
    error = UserError("text")
    assert (error.field, error.reason, error.other_fields, error.status) == (None, "invalid", (), 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("an ordinary text", "an ordinary text"),
        ("é, 画", "é, 画"),
        ("two\nlines\x1b[31m", r"two\nlines\x1b[31m"),
        ("\u2028", r"\u2028"),
        (ValueError("of an object"), "of an object"),
    ],
)
def test_control_characters_are_escaped(text: object, expected: str):
    assert one_line(text) == expected


def test_a_long_text_is_shortened():
    assert one_line("a" * 400) == "a" * 400
    assert one_line("a" * 401) == "a" * 400 + " ..."
    assert one_line("abcd", 3) == "abc ..."
