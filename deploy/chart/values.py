"""Generate the table in README.md and values.schema.json from values.yaml, and copy files/: python deploy/chart/values.py"""

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
# Comments that describe several values.
_GROUP = "The following values "
_JSON_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
_CHOICES: dict[str, list[Any]] = {
    "models.source": ["shipped", "claim", "image", "copy"],
    "openshift": ["auto", True, False],
    "service.type": ["ClusterIP", "NodePort", "LoadBalancer"],
    **{f"service.{place}TrafficPolicy": ["", "Cluster", "Local"] for place in ("external", "internal")},
    "service.ipFamilyPolicy": ["", "SingleStack", "PreferDualStack", "RequireDualStack"],
    **{f"{parent}.pullPolicy": ["Always", "IfNotPresent", "Never"] for parent in ("image", "models.image")},
}
# The other types that a value may have, in addition to the minimum. A percentage counts replicas.
_OPTIONAL = {"type": ["integer", "null"]}
_SHARE = {"type": ["integer", "string", "null"], "minimum": 0, "pattern": "^(100|[0-9]{1,2})%$"}
_OTHERS: dict[str, dict[str, Any]] = {
    "replicaCount": _OPTIONAL,
    "batch.activeDeadlineSeconds": _OPTIONAL | {"minimum": 1},
    "batch.ttlSecondsAfterFinished": _OPTIONAL | {"minimum": 0},
    "service.nodePort": _OPTIONAL | {"minimum": 1, "maximum": 65535},
    "podDisruptionBudget.maxUnavailable": _SHARE,
    "podDisruptionBudget.minAvailable": _SHARE,
    "fullnameOverride": {"pattern": "^([a-z]([-a-z0-9]*[a-z0-9])?)?$"},
    "nameOverride": {"pattern": "^([A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?)?$"},
    "image.digest": {"pattern": "^(sha256:[0-9a-f]{64})?$"},
    "ingress.hosts": {"items": {"type": "string"}},
    "extraObjects": {"items": {"type": "object", "required": ["apiVersion", "kind", "metadata"]}},
}
_MINIMUM = {
    "autoscaling.minReplicas": 1,
    "autoscaling.maxReplicas": 1,
    "gpu.count": 1,
    "service.port": 1,
    "serve.startupSeconds": 1,
}
# The values of all pods, which the components accept for their own pods.
_POD_VALUES = (
    *(
        "extraEnv",
        "extraEnvFrom",
        "extraVolumes",
        "extraVolumeMounts",
        "initContainers",
        "sidecars",
        "podLabels",
        "podAnnotations",
    ),
    *("priorityClassName", "runtimeClassName", "schedulerName", "nodeSelector", "tolerations", "affinity"),
    *("topologySpreadConstraints", "dnsConfig", "hostAliases", "podSecurityContext", "securityContext"),
)
_COMPONENTS = ("serve", "jobs", "batch", "test")
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_NAMED = {"items": {"type": "object", "required": ["name"]}}
# The content of a value of pods. Kubernetes checks the rest.
_CONTENTS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("extraVolumes", "initContainers", "sidecars"), _NAMED),
    "extraEnv": {"items": _NAMED["items"] | {"properties": {"value": {"type": "string"}}}},
    "extraVolumeMounts": {"items": {"type": "object", "required": ["name", "mountPath"]}},
    **dict.fromkeys(("podLabels", "podAnnotations", "nodeSelector", "commonLabels", "commonAnnotations"), _TEXTS),
    **{f"{parent}.annotations": _TEXTS for parent in ("service", "ingress", "gateway", "serviceAccount", "batch")},
    **dict.fromkeys(("service.labels", "batch.labels", "monitoring.labels", "serve.deploymentAnnotations"), _TEXTS),
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
            comment = "" if line.startswith(f"# {_GROUP}") else line.strip("# ")
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
            _require(node, parent)
            node = node["properties"].setdefault(parent, _object())
        is_optional = (
            isinstance(default, dict | list) or default in ("", None) or "null" in _OTHERS.get(name, {}).get("type", ())
        )
        if key == "settings" or not is_optional:
            _require(node, key)
        leaf: dict[str, Any] = {"description": comment}
        leaf |= {"enum": _CHOICES[name]} if name in _CHOICES else {"type": _JSON_TYPES.get(type(default), "null")}
        leaf |= _settings() if key == "settings" else {}
        leaf |= {"minimum": _MINIMUM.get(name, 0)} if type(default) is int else {}
        leaf |= _CONTENTS.get(name, {}) | _OTHERS.get(name, {})
        node["properties"][key] = leaf
    for name in _POD_VALUES:
        for component in _COMPONENTS:
            root["properties"][component]["properties"][name] = root["properties"][name]
    return root


def _require(node: dict[str, Any], key: str) -> None:
    """Refuse null for a value: Helm removes the value, and the templates would fail or render nothing for it."""
    if key not in node.setdefault("required", []):
        node["required"].append(key)


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


def copied_files() -> dict[Path, bytes]:
    """Return the content of the files of the chart that are copies of other files of the repository."""
    watch = _HERE.parent / "watch"
    return {_HERE / "files" / name: (watch / name).read_bytes() for name in ("rules.yaml", "dashboard.json")}


if __name__ == "__main__":
    for path, content in copied_files().items():
        path.unlink(missing_ok=True)
        path.write_bytes(content)
    (_HERE / "values.schema.json").write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")
    page = _HERE / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8")), encoding="utf-8")
