"""Writes a recipe as YAML with comments above its fields."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

_FIELD = re.compile(r"( *)([A-Za-z_][\w-]*):")
_WIDTH = 10_000  # one line for each value


def commented_yaml(document: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """Return YAML with a comment line above each field that has a comment.

    Args:
        document: A recipe as JSON values.
        comments: Comments by the dotted path of their field.
    """
    lines: list[str] = []
    path: list[str] = []
    for line in yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=_WIDTH).splitlines():
        if match := _FIELD.match(line):
            indent = match[1]
            path = [*path[: len(indent) // 2], match[2]]
            if (comment := comments.get(".".join(path))) is not None:
                lines.append(f"{indent}# {comment}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def comments_of(text: str) -> dict[str, str]:
    """Return the comments that `commented_yaml` has written, by the dotted path of the field.

    Args:
        text: The YAML.
    """
    comments: dict[str, str] = {}
    path: list[str] = []
    comment = None
    for line in text.splitlines():
        if line.lstrip().startswith("# "):
            comment = line.lstrip()[2:]
        elif match := _FIELD.match(line):
            path = [*path[: len(match[1]) // 2], match[2]]
            if comment is not None:
                comments[".".join(path)] = comment
            comment = None
    return comments
