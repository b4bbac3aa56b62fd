"""The Python API is frozen: names and signatures equal tests/python/api.txt. A change of the file is a change for users.

python -m tests.python.test_api    # writes the file
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import seedmint
import seedmint.huggingface
import seedmint.torch

_FILE = Path(__file__).with_name("api.txt")
_DATA_SETS = {
    seedmint.torch: ("SeedDataset", "SeedIterableDataset"),
    seedmint.huggingface: ("to_dataset", "to_iterable_dataset"),
}


def api() -> Iterator[str]:
    """Yield a line for each function, class, method and property."""
    for name in seedmint.__all__:
        yield from _lines(f"seedmint.{name}", getattr(seedmint, name))
    for module, names in _DATA_SETS.items():
        for name in names:
            yield from _lines(f"{module.__name__}.{name}", getattr(module, name))


def _lines(name: str, value: Any) -> Iterator[str]:
    if not callable(value):
        yield name
        return
    yield f"{name}({_parameters(value)})"
    if not inspect.isclass(value):
        return
    members = {key: entry for each in reversed(value.__mro__) if _is_own(each) for key, entry in vars(each).items()}
    for member, definition in sorted(members.items()):
        if member.startswith("_") and member not in ("__getitem__", "__getitems__", "__len__", "__iter__"):
            continue
        if isinstance(definition, property):
            yield f"{name}.{member}"
        elif inspect.isfunction(definition):
            yield f"{name}.{member}({_parameters(definition)})"


def _is_own(base: type) -> bool:
    return base.__module__.partition(".")[0] == "seedmint"


def _parameters(function: Any) -> str:
    """Return names and defaults of the parameters, without types: their texts differ between versions of Python."""
    parts, is_keyword_only = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not is_keyword_only:
            parts.append("*")
            is_keyword_only = True
        stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = "" if parameter.default is inspect.Parameter.empty else f"={parameter.default!r}"
        parts.append(f"{stars}{parameter.name}{default}")
    return ", ".join(parts)


def test_the_api_is_the_recorded_one():
    assert list(api()) == _FILE.read_text(encoding="utf-8").splitlines()


def test_both_clients_have_the_same_methods():
    lines = list(_lines("", seedmint.Client))
    assert list(_lines("", seedmint.AsyncClient)) == lines
    assert len(lines) > 15


if __name__ == "__main__":
    _FILE.write_text("\n".join(api()) + "\n", encoding="utf-8")
