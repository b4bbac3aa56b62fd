"""The reference page: the specification as one HTML page that loads nothing and runs no script."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

_SOURCE = (Path(__file__).parent / "reference.html").read_text(encoding="utf-8")
_STYLE = re.search(r"<style>(.*?)</style>", _SOURCE, re.DOTALL)
assert _STYLE is not None
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE[1].encode()).digest()).decode()

REFERENCE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": f"default-src 'none'; img-src data:; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


def reference(document: dict[str, Any]) -> str:
    """The page of a specification."""

    def resolved(part: dict[str, Any]) -> dict[str, Any]:
        """What a reference into the document stands for, or the part itself."""
        found = document
        if "$ref" not in part:
            return part
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return found

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"resolved": resolved, "type": type_of, "shown": _shown}
    return environment.from_string(_SOURCE).render(document=document)


def type_of(schema: dict[str, Any]) -> str:
    """A schema in a few words: `integer, 0 to 9`; `png or webp`; the name of another."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return "; or ".join(map(type_of, options))
    if schema.get("type") == "array":
        items = f"list of ({type_of(schema['items'])})" if "items" in schema else "list"
        least, most = schema.get("minItems"), schema.get("maxItems")
        return items + (f", {least or 0} to {most} of them" if most else f", at least {least}" if least else "")
    words = str(schema.get("type", "anything"))
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None:
        words += f", {least} to {most}" if most is not None else f", at least {least}"
    return words


def _shown(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
