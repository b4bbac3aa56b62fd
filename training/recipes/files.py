"""Recipes in YAML files: those that come with Seedmint and the user's own, with overrides from the command line."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from seedmint.training.recipes.schema import Recipe, RecipeError, validated

SHIPPED = Path(__file__).parent


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with Seedmint."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by the name of a shipped one or by path, with `a.b=c` overrides applied (values are YAML).

    Raises:
        RecipeError: no such recipe, not YAML, or a field unknown or wrong.
    """
    path = SHIPPED / f"{source}.yaml"
    if source not in shipped_recipes():
        path = Path(source)
        if not path.is_file():
            raise RecipeError(f"no recipe {source!r}: neither a file nor one of {', '.join(shipped_recipes())}")
    return read_recipe(path, overrides)


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a file, with `a.b=c` overrides applied.

    Raises:
        RecipeError: the file cannot be read as YAML, or a field is unknown or wrong.
    """
    try:
        document = _parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError:
        raise RecipeError(f"{path}: not a text file") from None
    if not isinstance(document, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of fields to values")
    for override in overrides:
        _apply(document, override)
    return validated(document, str(path))


def _apply(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {override}: write field=value, for example steps=500 or rule.generator.learning_rate=1e-4")
    *parents, last = key.split(".")
    place = document
    for parent in parents:
        inner = place.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {key}: {parent} holds a value, not fields")
        place = inner
    place[last] = _parse(text, f"--set {key}")


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as the number it is in YAML 1.2, and takes no field twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{twice} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def _parse(text: str, place: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise RecipeError(f"{place}{line}: not YAML: {getattr(error, 'problem', None) or error}") from None
