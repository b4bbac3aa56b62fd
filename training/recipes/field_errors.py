"""Turns pydantic's errors into the paths and messages that a user of a recipe reads."""

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from seedmint.models.seeds import quoted

_TYPE_ERROR = "Input should be"  # how pydantic begins the message about a value
_MIN_SIMILARITY = 0.6  # of two names, 0 to 1, for a suggestion


def field_errors(error: ValidationError, model: type[BaseModel], document: Any) -> list[tuple[str, str]]:
    """Return the dotted path and the message of each error.

    A path consists of the names in the document only. The message of an unknown field names the most similar field.

    Args:
        error: The error of the validation.
        model: The model of the document.
        document: The document that was validated.
    """
    details = error.errors(include_url=False, include_context=False)
    return [_field_error(item, model, document) for item in details]


def _field_error(item: ErrorDetails, model: type[BaseModel], document: Any) -> tuple[str, str]:
    path = _path(item, document)
    message = item["msg"].removeprefix("Value error, ")
    if message.startswith(_TYPE_ERROR):
        value = item["input"]
        shown = quoted(value) if isinstance(value, str) else repr(value)
        found = f", not {shown}" if isinstance(value, (str, int, float)) else ""
        message = f"must be{message.removeprefix(_TYPE_ERROR)}{found}"
    if item["type"] == "extra_forbidden":
        names = _allowed_names(model, path[:-1], document)
        similar = difflib.get_close_matches(path[-1], names, 1, _MIN_SIMILARITY)
        message = f"unknown field; did you mean {similar[0]}?" if similar else f"unknown field; known: {', '.join(names)}"
    return ".".join(path), message


def _path(item: ErrorDetails, document: Any) -> list[str]:
    """Return the location without pydantic's names for the members of a union, which are not in the document."""
    path, value = [], document
    *_, last = item["loc"] or ("",)
    for part in item["loc"]:
        if _has(value, part):
            value = value[part]
        elif part != last or item["type"] != "missing":
            continue
        path.append(str(part))
    return path


def _has(value: Any, part: int | str) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _allowed_names(model: type[BaseModel], path: list[str], document: Any) -> list[str]:
    """Return the names of the fields of the section at `path`."""
    models = [model]
    for part in path:
        document = document[int(part) if isinstance(document, list) else part]
        fields = [member.model_fields[part] for member in models if part in member.model_fields]
        models = [member for field in fields for member in _models_of(field.annotation)]
    kind = document.get("kind")
    chosen = [member for member in models if kind is None or kind in _kinds(member)]
    return sorted({name for member in chosen for name in member.model_fields})


def _models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_of(argument)


def _kinds(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("kind")
    return () if field is None else get_args(field.annotation)
