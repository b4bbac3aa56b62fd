"""compose.yaml matches the files that it mounts. `.ci/image/container` starts its service."""

import json
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from seedmint.service.settings import PREFIX, Settings

_DEPLOY = Path(__file__).parents[2] / "deploy"
_WATCH = _DEPLOY / "watch"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


_COMPOSE: dict[str, Any] = read(_DEPLOY / "compose.yaml")
_KEYS: dict[str, Any] = read(_DEPLOY / "compose.keys.yaml")


def mounts(service: str) -> dict[str, str]:
    """Return the mounts of a service: path in the container -> path or volume of the machine."""
    return {parts[1]: parts[0] for parts in (volume.split(":") for volume in _COMPOSE["services"][service]["volumes"])}


def test_mounted_files_and_volumes_exist():
    mounted = [source for service in _COMPOSE["services"] for source in mounts(service).values()]
    files = [source for source in mounted if source.startswith("./")]
    assert len(files) >= 6
    assert all((_DEPLOY / file).is_file() for file in files)
    assert {source for source in mounted if not source.startswith("./")} == set(_COMPOSE["volumes"])


def test_the_settings_are_known():
    variables = _COMPOSE["services"]["seedmint"]["environment"] | _KEYS["services"]["seedmint"]["environment"]
    assert {name.removeprefix(PREFIX).lower() for name in variables} <= set(Settings.model_fields)


def test_keys_are_read_from_files():
    assert set(_KEYS["secrets"]) == {"keys", "prometheus_key"}
    assert all("file" in secret for secret in _KEYS["secrets"].values())
    service = _KEYS["services"]["seedmint"]
    assert service["environment"]["SEEDMINT_API_KEYS_FILE"] == f"/run/secrets/{service['secrets'][0]}"


def test_prometheus_finds_the_service_and_the_rules():
    config = read(_WATCH / "prometheus.yaml")
    ((target,),) = [static["targets"] for static in config["scrape_configs"][0]["static_configs"]]
    assert target == f"seedmint:{Settings.model_fields['port'].default}"
    (rules,) = config["rule_files"]
    assert mounts("prometheus")[f"/etc/prometheus/{rules}"] == "./watch/rules.yaml"
    assert mounts("prometheus")["/etc/prometheus/prometheus.yml"] == "./watch/prometheus.yaml"


def test_the_configuration_of_prometheus_with_keys_differs_only_by_the_key():
    plain, keys = read(_WATCH / "prometheus.yaml"), read(_WATCH / "prometheus.keys.yaml")
    (secret,) = _KEYS["services"]["prometheus"]["secrets"]
    assert keys["scrape_configs"][0].pop("authorization") == {"credentials_file": f"/run/secrets/{secret}"}
    assert keys == plain
    (config,) = [
        part.removeprefix("--config.file=")
        for part in _KEYS["services"]["prometheus"]["command"]
        if part.startswith("--config.file=")
    ]
    assert mounts("prometheus")[config] == "./watch/prometheus.keys.yaml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("name", ["prometheus.yaml", "prometheus.keys.yaml"])
def test_promtool_accepts_the_configuration(name: str):
    done = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", str(_WATCH / name)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_grafana_finds_prometheus_and_the_dashboard():
    grafana = mounts("grafana")
    (provisioned,) = [target for target, source in grafana.items() if source == "./watch/grafana/datasources.yaml"]
    assert PurePosixPath(provisioned).parent == PurePosixPath("/etc/grafana/provisioning/datasources")
    (source,) = read(_WATCH / "grafana" / "datasources.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"]
    (provider,) = read(_WATCH / "grafana" / "dashboards.yaml")["providers"]
    (dashboard,) = [target for target, source in grafana.items() if source == "./watch/dashboard.json"]
    assert str(PurePosixPath(dashboard).parent) == provider["options"]["path"]
    variables = json.loads((_WATCH / "dashboard.json").read_text())["templating"]["list"]
    assert source["type"] in {variable["query"] for variable in variables if variable["type"] == "datasource"}
