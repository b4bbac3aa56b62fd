"""Parameters in the query of a URL, parsed strictly: an unknown, repeated or malformed parameter is an error."""

import re
from urllib.parse import parse_qsl

from seedmint.models.card import SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.label_choice import ClassChoice, chosen_classes, not_a_label
from seedmint.models.seeds import LONGEST_QUOTE, quoted
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.values import not_conditional

_INTEGER = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_INTEGERS = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:,(?:0|[1-9][0-9]{0,8}))*", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,20})?", re.ASCII)  # enough digits for any double from 0.001 to 1

Parameters = dict[str, str]


class QueryError(UserError):
    """A URL is malformed.

    Attributes:
        reason: "malformed", "missing", "unknown_parameter", "repeated_parameter", "too_many_parameters", "unknown_class",
            "too_many_labels" or "not_conditional".
    """

    reason = "malformed"


def parse_query(query: str, known: tuple[str, ...]) -> Parameters:
    """Parse a query string into parameters by name.

    Args:
        query: Query string, without "?".
        known: Names of the parameters.

    Raises:
        QueryError: A parameter is unknown or repeated, or there are too many parameters.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=2 * len(known) or 1)
    except ValueError:
        raise QueryError("the query has too many parameters", field="query", reason="too_many_parameters") from None
    parameters: Parameters = {}
    for name, value in pairs:
        if name not in known:
            message = f"unknown parameter {quoted(name)}: use {', '.join(known) or 'no parameter'}"
            raise QueryError(message, field=name[:LONGEST_QUOTE], reason="unknown_parameter")
        if name in parameters:
            raise QueryError(f"parameter {name!r} is repeated", field=name, reason="repeated_parameter")
        parameters[name] = value
    return parameters


def integer(parameters: Parameters, name: str) -> int | None:
    """Return an integer parameter; None if the parameter is absent.

    Args:
        parameters: Values by name.
        name: Name of the parameter.

    Raises:
        QueryError: The value is malformed.
    """
    text = parameters.get(name)
    if text is None:
        return None
    if not _INTEGER.fullmatch(text):
        raise QueryError(f"{quoted(text)} is not an integer without sign and leading zeros", field=name)
    return int(text)


def integers(parameters: Parameters, name: str) -> list[int] | None:
    """Return a parameter of integers with commas; None if the parameter is absent.

    Args:
        parameters: Values by name.
        name: Name of the parameter.

    Raises:
        QueryError: The value is malformed.
    """
    text = parameters.get(name)
    if text is None:
        return None
    if not _INTEGERS.fullmatch(text):
        raise QueryError(f"{quoted(text)} is not a list of integers without sign and leading zeros", field=name)
    return [int(number) for number in text.split(",")]


def parse_truncation(parameters: Parameters) -> float:
    """Return the parameter `truncation`, or 1.

    Args:
        parameters: Values by name.

    Raises:
        QueryError: The value is malformed.
    """
    text = parameters.get("truncation")
    if text is None:
        return 1.0
    if not _DECIMAL.fullmatch(text):
        raise QueryError(f"{quoted(text)} is not a decimal number like 0.7", field="truncation")
    return float(text)


def parse_label(generator: Generator, parameters: Parameters) -> int | None:
    """Return the class number in the parameter `label`, which is a class number or the name of a class; None if it is absent.

    Digits are always a class number.

    Args:
        generator: The generator in the URL.
        parameters: Values by name.

    Raises:
        QueryError: The value is malformed, or no class.
        SpecError: "not_conditional", the generator has no classes.
    """
    text, classes = parameters.get("label"), generator.card.classes
    if text is None:
        return None
    if classes is None:
        raise not_conditional(generator.card)
    if _INTEGER.fullmatch(text):
        return int(text)
    if text not in classes:
        message = f"{quoted(text)} is neither a class number (0 to {len(classes) - 1}) nor a class"
        raise QueryError(message, field="label", reason="unknown_class")
    return classes.index(text)


def parse_labelled(generator: Generator, query: str, known: tuple[str, ...]) -> tuple[Parameters, ClassChoice | None]:
    """Parse the query string of samples. Class numbers with commas, such as ?label=1,4, choose several classes.

    The rows of a table can be chosen by the columns of its labels, such as ?region=north&sex=female.

    Args:
        generator: A generator of samples.
        query: Query string, without "?".
        known: Names of the other parameters.

    Returns:
        Values by name, and the choice of classes or None.

    Raises:
        QueryError: A parameter is unknown, repeated or malformed, or chooses by a column without labels.
        UserError: No class has the values.
    """
    card = generator.card
    assert isinstance(card.output, SampleOutput)
    columns = tuple(column.name for column in card.output.label_columns if column.name not in known)
    try:
        parameters = parse_query(query, known + columns)
    except QueryError as error:
        name = error.field
        if error.reason != "unknown_parameter" or name is None or card.output.columns is None or name not in card.output.names:
            raise
        raise QueryError(not_a_label(card, name), field=name, reason="not_conditional") from None
    values = {name: parameters[name] for name in columns if name in parameters}
    if not values:
        numbers = None if card.classes is None else _several(parameters)
        return parameters, parse_label(generator, parameters) if numbers is None else numbers
    if "label" in parameters:
        column = next(iter(values))
        raise QueryError(f"use either label or {quoted(column)}", field=column, reason="repeated_parameter")
    return parameters, chosen_classes(card, values)


def _several(parameters: Parameters) -> tuple[int, ...] | None:
    """Return the class numbers in the parameter `label` if they are at least two, with commas; otherwise None."""
    text = parameters.get("label", "")
    return tuple(map(int, text.split(","))) if "," in text and _INTEGERS.fullmatch(text) else None
