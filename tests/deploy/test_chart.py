"""Tests of the Helm chart that do not need helm. `make chart-check` renders the chart and validates it with schemas."""

import json
import runpy
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

import seedmint
from seedmint.service.settings import read_settings

_DEPLOY = Path(__file__).parents[2] / "deploy"
_CHART = _DEPLOY / "chart"
_VALUES = runpy.run_path(str(_CHART / "values.py"))


def test_the_table_and_the_schema_match_the_values():
    page = (_CHART / "README.md").read_text(encoding="utf-8")
    assert _VALUES["readme"](page) == page, "python deploy/chart/values.py"
    assert json.loads((_CHART / "values.schema.json").read_text()) == _VALUES["schema"]()


def test_every_value_has_a_description():
    described = {name for name, _, _ in _VALUES["documented_values"]()}

    def missing(values: object, path: str) -> set[str]:
        if path in described:
            return set()
        if not isinstance(values, dict) or not values:
            return {path}
        return set().union(*(missing(value, f"{path}.{key}" if path else key) for key, value in values.items()))

    assert missing(yaml.safe_load((_CHART / "values.yaml").read_text()), "") == set()


def test_the_examples_use_settings_of_the_service():
    found = 0
    for example in (_CHART / "examples").glob("*.yaml"):
        values = yaml.safe_load(example.read_text())
        settings = values.get("serve", {}).get("settings", {}) | values.get("jobs", {}).get("settings", {})
        read = read_settings({f"SEEDMINT_{name.upper()}": str(value) for name, value in settings.items()})
        assert set(settings) <= read.model_fields_set
        found += len(settings)
    assert found


@pytest.mark.parametrize("component", ["serve", "jobs"])
@pytest.mark.parametrize(
    ("settings", "is_valid"),
    [
        (
            {
                "max_batch": 8,
                "access_log": True,
                "trusted_proxies": ["::1"],
                "required_models": "mnist,faces",
                "log_format": "text",
            },
            True,
        ),
        ({"api_key_file": "/keys"}, False),
        ({"max_batch": 0}, False),
        ({"log_format": "xml"}, False),
        ({"access_log": "maybe"}, False),
    ],
)
def test_the_chart_refuses_settings_that_the_service_refuses(component: str, settings: dict[str, object], is_valid: bool):
    validator = jsonschema.Draft202012Validator(json.loads((_CHART / "values.schema.json").read_text()))
    values = yaml.safe_load((_CHART / "values.yaml").read_text())
    values[component]["settings"] = settings
    assert validator.is_valid(values) == is_valid


def test_the_chart_contains_the_rules_and_the_dashboard_of_the_repository():
    for path, content in _VALUES["copied_files"]().items():
        assert path.read_bytes() == content, "python deploy/chart/values.py"


def test_the_chart_has_no_symbolic_links():
    """Some checkouts, for example of Flux, drop them."""
    assert not [path for path in _CHART.rglob("*") if path.is_symlink()]


def test_the_chart_has_the_version_of_the_project():
    assert tomllib.loads((_DEPLOY.parent / "pyproject.toml").read_text())["project"]["version"] == seedmint.__version__
    assert yaml.safe_load((_CHART / "Chart.yaml").read_text())["appVersion"] == seedmint.__version__
    assert yaml.safe_load((_DEPLOY.parent / "CITATION.cff").read_text())["version"] == seedmint.__version__
