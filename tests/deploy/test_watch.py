"""The dashboard and the alerts query existing metrics; each alert has tests and a section in the runbook."""

import copy
import json
import re
import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from seedmint.models.card import SampleOutput
from tests.support import generators
from tests.support.servers import Server, serving, wait_until

ROOT = Path(__file__).parents[2]
WATCH = ROOT / "deploy" / "watch"
RULES = [rule for group in yaml.safe_load((WATCH / "rules.yaml").read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
DASHBOARD = json.loads((WATCH / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
SCHEMA = json.loads((WATCH / "grafana" / "dashboard.schema.json").read_text())
# These metrics exist only in a container with a memory limit. `.ci/image/container` checks them.
CONTAINER_METRICS = {"seedmint_memory_limit_bytes", "seedmint_memory_working_set_bytes"}
# Labels that are always present. A legend may consist of one of these.
_ALWAYS = {"{{model}}", "{{status}}", "{{reason}}", "{{state}}", "{{instance}}", "{{alertname}}"}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that has received requests of each kind that the metrics distinguish."""
    with watched_service(tmp_path_factory) as server:
        send_requests(server)
        yield server


@contextmanager
def watched_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with generators of images and of samples, an invalid file, and a directory for jobs."""
    directory = tmp_path_factory.mktemp("watched")
    generators.write(directory, "grey", 1)
    generators.write(directory, "point", 3, output=SampleOutput(kind="sample", shape=(2,), names=("x", "y")))
    generators.put(directory / "broken.onnx", b"not a generator")
    with serving(directory, jobs_url=tmp_path_factory.mktemp("jobs")) as server:
        yield server


def send_requests(server: Server) -> None:
    """Send requests of each kind that the metrics distinguish."""
    server.client.get(f"{server.pinned('grey')}/1.png")
    server.client.get(f"{server.pinned('grey')}/1.png", headers={"If-None-Match": "*"})
    server.client.post("/v1/sample", json={"model": "grey", "seeds": "0-99"})
    server.client.post("/v1/sample", json={"model": "point", "seeds": "0-99", "format": "csv"})
    server.client.post("/v1/sample", json={"model": "grey", "seeds": "0-99999999"})
    server.client.post("/v1/jobs", json={"model": "grey", "seeds": "0-99"})


def test_every_query_uses_existing_metrics(watched: Server):
    late = ("seedmint_model_load_failed{", "seedmint_job_images_total{")
    wait_until(lambda: all(name in watched.client.get("/metrics").text for name in late), 30)
    families = list(text_string_to_metric_families(watched.client.get("/metrics").text))
    labels: dict[str, set[str]] = {name: set() for name in CONTAINER_METRICS}
    for family in families:
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    for query in [*QUERIES, *(rule["expr"] for rule in RULES)]:
        names = re.findall(r"\b(seedmint_\w+|release\w*:[\w:]+)", query)
        assert names or re.match(r".*\b(up|ALERTS)\{", query)
        for name in names:
            assert name in labels or name in RECORDED, f"{name} in {query} does not exist"
        for name, selector in re.findall(r"\b(seedmint_\w+)\{([^}]*(?:\{[^}]*\}[^}]*)*)\}", query):
            used = set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", selector)) - {"job", "namespace", "service", "instance"}
            assert used <= labels[name], f"{used - labels[name]} of {name} in {query}"


def test_the_dashboard_is_the_output_of_its_program():
    assert runpy.run_path(str(WATCH / "dashboard.py"))["dashboard"]() == DASHBOARD


def test_the_dashboard_satisfies_the_schema_of_grafana():
    jsonschema.validate(DASHBOARD, SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        lambda panel: panel.update(titel="Memory"),
        lambda panel: panel["options"].pop("tooltip"),
        lambda panel: panel["options"]["legend"].update(placement="under"),
        lambda panel: panel["fieldConfig"]["defaults"].update(min="0"),
        lambda panel: panel["targets"][0].update(query="up"),
        lambda panel: panel.update(type="timeserie"),
    ],
)
def test_the_schema_of_grafana_rejects_an_invalid_panel(change: Callable[[dict[str, Any]], None]):
    other = copy.deepcopy(DASHBOARD)
    change(next(panel for panel in other["panels"] if panel["type"] == "timeseries"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(other, SCHEMA)


def test_the_panels_have_titles_descriptions_units_and_do_not_overlap():
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    occupied: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        x, y, w, h = (panel["gridPos"][side] for side in "xywh")
        cells = {(column, line) for column in range(x, x + w) for line in range(y, y + h)}
        assert x + w <= 24
        assert not cells & occupied, panel["title"]
        occupied |= cells
    for panel in PANELS:
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert len(set(legends)) == len(legends)
        assert all(re.sub(r"\{\{\w+\}\}", "", legend) or legend in _ALWAYS for legend in legends)


def test_every_query_selects_the_chosen_releases():
    for query in QUERIES:
        selectors = re.findall(r"\{((?:[^{}\"]|\"[^\"]*\")*)\}", query)
        assert selectors
        assert all('job="seedmint",namespace=~"$namespace",service=~"$service"' in selector for selector in selectors), query
    for rule in RULES:
        found = re.findall(r"\b(?:seedmint_\w+|release\w*:[\w:]+|up)(\{(?:[^{}\"]|\"[^\"]*\")*\})?", rule["expr"])
        assert found
        assert all(selector.startswith('{job="seedmint"') for selector in found), rule["expr"]


def test_the_runbook_has_a_section_for_each_alert():
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert headings == list(ALERTS)
    for name, alert in ALERTS.items():
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert alert["labels"]["severity"] in ("page", "ticket")


def test_each_alert_has_a_test_where_it_fires_and_one_where_it_does_not():
    tests = yaml.safe_load((WATCH / "rules.test.yaml").read_text())["tests"]
    checks = [check for test in tests for check in test.get("alert_rule_test", ())]
    for fires in (True, False):
        assert {check["alertname"] for check in checks if bool(check["exp_alerts"]) == fires} == set(ALERTS)
