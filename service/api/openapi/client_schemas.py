"""Rewrites schemas of the OpenAPI document that generators of clients misunderstand, without a change of their meaning."""

from typing import Any

Json = dict[str, Any]


def without_defaults(parameters: Json) -> Json:
    """Return parameters whose defaults are in their descriptions.

    Generated clients send a parameter that has a default in its schema, and canonical URLs omit defaults.

    Args:
        parameters: Parameters by name.
    """
    found: Json = {}
    for name, parameter in parameters.items():
        schema = dict(parameter["schema"])
        text = parameter["description"]
        if "default" in schema:
            text = f"{text} Default: {schema.pop('default')}."
        found[name] = parameter | {"description": text, "schema": schema}
    return found


def plain_schemas(schemas: Json) -> Json:
    """Return schemas without `const`, `prefixItems` and composed defaults, and with the properties of discriminators required.

    Choices that contain arrays or objects get a name, such as `SampleRequestSeeds`, so that a generator can map them to a type.

    Args:
        schemas: Schemas by name.
    """
    found = {name: _plain(schema) for name, schema in schemas.items()}
    found |= _named_choices(found)
    for schema in list(found.values()):
        for discriminator in _discriminators(schema):
            for target in discriminator["mapping"].values():
                _require(found[target.rpartition("/")[2]], discriminator["propertyName"])
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _plain(item) for key, item in value.items() if key not in ("const", "prefixItems")}
    if isinstance(plain.get("default", ""), dict | list | None):
        del plain["default"]
    if "anyOf" in plain:
        plain |= _choice(plain.pop("anyOf"))
    if "const" in value:
        plain["enum"] = [value["const"]]
    if "prefixItems" in value:
        items = [_plain(item) for item in value["prefixItems"]]
        choices = [choice for item in items for choice in item.get("enum", ())]
        plain["items"] = {"type": items[0]["type"]} | ({"enum": choices} if choices else {})
    return plain


def _named_choices(schemas: Json) -> Json:
    """Replace composed choices in the properties of schemas by references, in place. Returns the choices by name."""
    named: Json = {}
    for name, schema in schemas.items():
        for key, value in schema.get("properties", {}).items():
            title = f"{name}{''.join(part.capitalize() for part in key.split('_'))}"
            if _is_composed_choice(value):
                named[title] = {field: value.pop(field) for field in ("oneOf", "anyOf") if field in value}
                value["$ref"] = f"#/components/schemas/{title}"
            elif _is_composed_choice(value.get("items", {})):
                named[f"{title}Item"] = value["items"]
                value["items"] = {"$ref": f"#/components/schemas/{title}Item"}
    return named


def _is_composed_choice(schema: Json) -> bool:
    choices: list[Json] = schema.get("oneOf") or schema.get("anyOf") or []
    types = [choice.get("type") for choice in choices if choice.get("type") != "null"]
    return len(types) > 1 and not {"array", "object"}.isdisjoint(types)


def _choice(choices: list[Json]) -> Json:
    """Return a choice of schemas: one type for integers and numbers, and `oneOf` where the choices exclude each other."""
    types = [choice.get("type") for choice in choices]
    if sorted(map(str, types)) == ["integer", "number"]:
        return {"type": "number"}
    is_exclusive = None not in types and len(set(types)) == len(types)
    return {"oneOf" if is_exclusive else "anyOf": choices}


def _discriminators(value: Any) -> list[Json]:
    if isinstance(value, list):
        return [found for item in value for found in _discriminators(item)]
    if not isinstance(value, dict):
        return []
    own = [value["discriminator"]] if isinstance(value.get("discriminator"), dict) else []
    return own + [found for item in value.values() for found in _discriminators(item)]


def _require(schema: Json, name: str) -> None:
    schema["properties"][name] = {key: value for key, value in schema["properties"][name].items() if key != "default"}
    schema["required"] = list(dict.fromkeys([*schema.get("required", ()), name]))
