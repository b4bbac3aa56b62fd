"""The reference page: the OpenAPI document as one HTML page without scripts and external resources."""

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
    """Return the reference page.

    Args:
        document: The OpenAPI document.
    """

    def resolved(part: dict[str, Any]) -> dict[str, Any]:
        """Return the target of a `$ref`, or the part itself."""
        target = document
        if "$ref" not in part:
            return part
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        return target

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"resolved": resolved, "type": type_text, "json_text": _json_text}
    return environment.from_string(_SOURCE).render(document=document)


def type_text(schema: dict[str, Any]) -> str:
    """Describe a schema in a few words: `integer, 0 to 9`; `png or webp`; the name of another schema.

    Args:
        schema: A JSON schema.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return "; or ".join(map(type_text, options))
    if schema.get("type") == "array":
        items = f"list of ({type_text(schema['items'])})" if "items" in schema else "list"
        minimum, maximum = schema.get("minItems"), schema.get("maxItems")
        return items + (f", {minimum or 0} to {maximum} items" if maximum else f", at least {minimum} items" if minimum else "")
    text = str(schema.get("type", "anything"))
    minimum, maximum = schema.get("minimum"), schema.get("maximum")
    if minimum is not None:
        text += f", {minimum} to {maximum}" if maximum is not None else f", at least {minimum}"
    return text


def _json_text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
