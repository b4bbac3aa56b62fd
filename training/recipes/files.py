"""Reads recipes from YAML files, shipped or the user's own, and applies `field=value` overrides."""

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from seedmint.models.places import is_possible_path
from seedmint.models.seeds import quoted
from seedmint.training.recipes.derived import recipe_name, recipe_title
from seedmint.training.recipes.schema import Recipe, RecipeError, validate_recipe

RECIPES_DIRECTORY = Path(__file__).parent


def shipped_recipes() -> list[str]:
    """Return the names of the recipes that come with Seedmint, sorted."""
    return sorted(path.stem for path in RECIPES_DIRECTORY.glob("*.yaml"))


def load_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Load a recipe by name or by path.

    Args:
        source: Name of a shipped recipe, or path of a YAML file.
        overrides: Changes of fields, each `a.b=value` with the value in YAML.

    Raises:
        RecipeError: There is no such recipe, the file is not YAML, or a field is unknown or wrong.
    """
    if source in shipped_recipes():
        return read_recipe(RECIPES_DIRECTORY / f"{source}.yaml", [*_names_of_other_data(overrides), *overrides])
    path = Path(source)
    if not is_possible_path(path) or not path.is_file():
        nearest = get_close_matches(source, shipped_recipes(), n=1)
        cure = f"did you mean {nearest[0]}?" if nearest else f"the recipes are {', '.join(shipped_recipes())}"
        raise RecipeError(
            f"there is no file, folder or recipe {quoted(source)}: {cure}",
            field="recipe",
            reason="not_found",
        )
    return read_recipe(path, overrides)


def is_recipe(source: str) -> bool:
    """Return whether an argument names a recipe: a shipped recipe, or a YAML file.

    Args:
        source: The argument.
    """
    return source in shipped_recipes() or source.lower().endswith((".yaml", ".yml"))


def _names_of_other_data(overrides: Sequence[str]) -> list[str]:
    """Return overrides of name and title if the data of a shipped recipe are replaced: its title describes its own data."""
    document: dict[str, Any] = {}
    apply_overrides(document, overrides)
    data = document.get("data")
    if not isinstance(data, dict) or "source" not in data:
        return []
    name = Path(str(data.get("path") or data["source"])).stem
    return [f"name={json.dumps(recipe_name(name))}", f"title={json.dumps(recipe_title(name))}"]


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe from a file.

    Args:
        path: A YAML file.
        overrides: Changes of fields, each `a.b=value` with the value in YAML.

    Raises:
        RecipeError: The file is not YAML, or a field is unknown or wrong.
    """
    try:
        document = _parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is not a text file", reason="not_yaml") from None
    if not isinstance(document, dict):
        raise RecipeError(f"{path} is not a recipe: a YAML file that maps fields to values", reason="not_a_mapping")
    apply_overrides(document, overrides)
    return validate_recipe(document, str(path))


def apply_overrides(document: dict[str, Any], overrides: Sequence[str]) -> None:
    """Change fields of a document in place.

    Args:
        document: A recipe as JSON values.
        overrides: Changes of fields, each `a.b=value` with the value in YAML.

    Raises:
        RecipeError: An override is not `field=value`, or a parent of its field is a value.
    """
    for override in overrides:
        _apply_override(document, override)


def recipe_of(fields: Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe with given fields.

    Args:
        fields: The fields, as in a YAML file.
        overrides: Changes of fields, each `a.b=value` with the value in YAML.

    Raises:
        RecipeError: A field is unknown or wrong.
    """
    document = deepcopy(dict(fields))
    apply_overrides(document, overrides)
    return validate_recipe(document, "the recipe")


def _apply_override(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(
            f"{override!r} must be field=value, for example steps=500 or rule.generator.learning_rate=1e-4",
            field="set",
            reason="not_an_override",
        )
    *parents, last = key.split(".")
    target = document
    for parent in parents:
        child = target.setdefault(parent, {})
        if not isinstance(child, dict):
            raise RecipeError(f"{parent} is a value and has no fields", field=key, reason="not_a_mapping")
        target = child
    target[last] = _parse_yaml(text, f"the value {text!r}", field=key)


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 does, and refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        duplicate = next((key for key in keys if keys.count(key) > 1), None)
        if duplicate is not None:
            raise yaml.constructor.ConstructorError(None, None, f"duplicate key {duplicate}", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def _parse_yaml(text: str, source: str, field: str | None = None) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise RecipeError(f"{source}{line} is not valid YAML: {problem}", field=field, reason="not_yaml") from None
