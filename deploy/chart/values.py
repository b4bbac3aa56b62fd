"""Generate the table in README.md and values.schema.json from values.yaml: python deploy/chart/values.py"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from seedmint.service.settings import Settings

_HERE = Path(__file__).parent
_BEGIN, _END = "<!-- values -->\n", "<!-- end of values -->"
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]+):")
_JSON_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
_CHOICES = {
    "models.source": ["shipped", "claim", "image"],
    "service.type": ["ClusterIP", "NodePort", "LoadBalancer"],
    **{f"{parent}.pullPolicy": ["Always", "IfNotPresent", "Never"] for parent in ("image", "models.image")},
}
_MINIMUM = {
    "serve.replicas": 0,
    "autoscaling.min": 1,
    "autoscaling.max": 1,
    "gpu.count": 1,
    "service.port": 1,
    "serve.startupSeconds": 1,
}


_KEYWORDS = frozenset({"type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})


def documented_values() -> Iterator[tuple[str, Any, str]]:
    """Yield the dotted name, the default and the description of each documented value."""
    text = (_HERE / "values.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    path: list[str] = []
    comment = ""
    for line in text.splitlines()[1:]:
        if line.strip().startswith("#"):
            comment = line.strip("# ")
        elif match := _KEY.match(line):
            path[len(match["indent"]) // 2 :] = [match["key"]]
            if comment:
                yield ".".join(path), _lookup(values, path), comment
            comment = ""


def _lookup(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values


def table() -> str:
    """Return the values as a Markdown table."""
    rows = (f"| `{name}` | `{json.dumps(default)}` | {comment} |\n" for name, default, comment in documented_values())
    return "| value | default | |\n|---|---|---|\n" + "".join(rows)


def schema() -> dict[str, Any]:
    """Return the values as a JSON Schema that allows no other keys and no other types."""
    root: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | _object()
    for name, default, comment in documented_values():
        *parents, key = name.split(".")
        node = root
        for parent in parents:
            node = node["properties"].setdefault(parent, _object())
        leaf: dict[str, Any] = {"type": _JSON_TYPES[type(default)], "description": comment}
        leaf |= {"enum": _CHOICES[name]} if name in _CHOICES else {}
        leaf |= _settings() if key == "settings" else {}
        leaf |= {"minimum": _MINIMUM.get(name, 0)} if type(default) is int else {}
        node["properties"][key] = leaf
    # Helm passes global values to subcharts.
    root["properties"]["global"] = {"type": "object"}
    return root


def _settings() -> dict[str, Any]:
    """Return the properties of the settings of the service. Values have the types of YAML; a list may be a text with commas."""
    properties = {}
    for field, schema in Settings.model_json_schema()["properties"].items():
        options = [option for option in schema.get("anyOf", [schema]) if option["type"] != "null"]
        (leaf,) = ({key: value for key, value in option.items() if key in _KEYWORDS} for option in options)
        if leaf["type"] == "array":
            leaf = {"type": ["array", "string"], "items": {"type": "string"}}
        properties[field] = leaf | {"description": schema["description"]}
    return {"additionalProperties": False, "properties": properties}


def _object() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def readme(text: str) -> str:
    """Return the text of README.md with the current table.

    Args:
        text: The text of README.md.
    """
    before, _, rest = text.partition(_BEGIN)
    return f"{before}{_BEGIN}{table()}{_END}{rest.partition(_END)[2]}"


if __name__ == "__main__":
    (_HERE / "values.schema.json").write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")
    page = _HERE / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8")), encoding="utf-8")
