"""What watches the service asks for metrics that exist; and each alert has its test, and its line in the runbook."""

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from models.card import SampleOutput
from tests import generators
from tests.service.servers import Server, serving, wait_until

ROOT = Path(__file__).parents[2]
WATCH = ROOT / "deploy" / "watch"
RULES = [rule for group in yaml.safe_load((WATCH / "rules.yaml").read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
DASHBOARD = json.loads((WATCH / "dashboard.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
# Only where a container has a limit: the container stage of the build server sees it.
_LIMIT = "seedmint_memory_limit_bytes"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that has been asked for everything that its metrics tell apart."""
    directory = tmp_path_factory.mktemp("watched")
    generators.write(directory, "grey", 1)
    generators.write(directory, "point", 3, output=SampleOutput(kind="sample", shape=(2,), names=("x", "y")))
    generators.put(directory / "broken.onnx", b"not a generator")
    with serving(directory) as server:
        ask(server)
        yield server


def ask(server: Server) -> None:
    server.client.get(f"{server.pinned('grey')}/1.png")
    server.client.get(f"{server.pinned('grey')}/1.png", headers={"If-None-Match": "*"})
    server.client.post("/v1/sample", json={"model": "grey", "seeds": "0-99"})
    server.client.post("/v1/sample", json={"model": "point", "seeds": "0-99", "format": "csv"})
    server.client.post("/v1/sample", json={"model": "grey", "seeds": "0-99999999"})


def test_every_query_is_of_metrics_that_exist(watched: Server):
    wait_until(lambda: "seedmint_model_refused{" in watched.client.get("/metrics").text)
    families = list(text_string_to_metric_families(watched.client.get("/metrics").text))
    labels: dict[str, set[str]] = {_LIMIT: set()}
    for family in families:
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    for query in [*QUERIES, *(rule["expr"] for rule in RULES)]:
        names = re.findall(r"\b(seedmint_\w+|job\w*:[\w:]+)", query)
        assert names or "up{" in query
        for name in names:
            assert name in labels or name in RECORDED, f"{name}, which {query} asks for, does not exist"
        for name, selector in re.findall(r"\b(seedmint_\w+)\{([^}]*(?:\{[^}]*\}[^}]*)*)\}", query):
            used = set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", selector)) - {"job", "instance"}
            assert used <= labels[name], f"{used - labels[name]} of {name} in {query}"


def test_the_dashboard_is_what_its_program_writes():
    assert runpy.run_path(str(WATCH / "dashboard.py"))["dashboard"]() == DASHBOARD


def test_the_runbook_has_a_part_for_each_alert():
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert headings == list(ALERTS)
    for name, alert in ALERTS.items():
        assert alert["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
        assert alert["labels"]["severity"] in ("page", "ticket")


def test_each_alert_is_tested_both_ways():
    tests = yaml.safe_load((WATCH / "rules.test.yaml").read_text())["tests"]
    checks = [check for test in tests for check in test.get("alert_rule_test", ())]
    for fires in (True, False):
        assert {check["alertname"] for check in checks if bool(check["exp_alerts"]) == fires} == set(ALERTS)
