"""Renders the Helm chart."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "deploy" / "chart"
needs_helm = pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed: run make chart-check")


def helm(*values: str, release: str = "images", chart: Path = CHART, **options: str) -> subprocess.CompletedProcess[str]:
    """Run `helm template`.

    Args:
        values: Arguments of `--set`.
        release: Name of the release.
        chart: Directory of the chart.
        options: Other options, such as `kube_version="1.30"` for `--kube-version=1.30`.
    """
    command = ["helm", "template", release, str(chart), *(f"--set={value}" for value in values)]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rendered(
    *values: str, release: str = "images", chart: Path = CHART, **options: str
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rendered objects by kind and name."""
    done = helm(*values, release=release, chart=chart, **options)
    assert done.returncode == 0, done.stderr
    objects = [document for document in yaml.safe_load_all(done.stdout) if document is not None]
    by_name = {(document["kind"], document["metadata"]["name"]): document for document in objects}
    assert len(by_name) == len(objects)
    return by_name


def deployment(*values: str, name: str = "images-seedmint", **options: str) -> dict[str, Any]:
    spec: dict[str, Any] = rendered(*values, **options)["Deployment", name]["spec"]
    return spec


def variables(spec: dict[str, Any]) -> dict[str, str]:
    (container,) = spec["template"]["spec"]["containers"]
    entries = [(entry["name"], entry["value"]) for entry in container["env"]]
    assert len(dict(entries)) == len(entries)
    return dict(entries)


def pods(objects: dict[tuple[str, str], dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the component, the metadata and the specification of each kind of pods."""
    for document in objects.values():
        template = document if document["kind"] == "Pod" else document.get("spec", {}).get("template")
        if template is not None:
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template["metadata"], template["spec"]
