"""Rules, metrics, dashboard and a firing alert in a real Prometheus, which `make watch-check` downloads."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_watch import CONTAINER_METRICS, QUERIES, WATCH, send_requests, watched_service
from tests.support import generators
from tests.support.servers import Server, free_port, kill, serving, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("promtool") and shutil.which("prometheus")),
        reason="prometheus is missing: run make watch-check",
    ),
]


def promtool(*arguments: str, text: str = "") -> None:
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with watched_service(tmp_path_factory) as server:
        yield server


class Prometheus:
    """A Prometheus with our rules. It scrapes every half second, and the `for` time of each alert is one second."""

    def __init__(self, directory: Path, target: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        rules = yaml.safe_load((WATCH / "rules.yaml").read_text())
        for group in rules["groups"]:
            group["interval"] = "500ms"
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = "1s"
        (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
        config = yaml.safe_load((WATCH / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        config["rule_files"] = [str(directory / "rules.yaml")]
        config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.process = subprocess.Popen(
            [
                *(
                    "prometheus",
                    "--config.file",
                    str(directory / "prometheus.yaml"),
                    "--storage.tsdb.path",
                    str(directory / "data"),
                ),
                *("--web.listen-address", self.url.removeprefix("http://"), "--log.level", "error"),
            ],
            text=True,
        )

    def get(self, path: str, **parameters: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, text: str) -> list[Any]:
        return list(self.get("query", query=text)["result"])

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}


@contextmanager
def watching(service: Server, directory: Path) -> Iterator[Prometheus]:
    running = Prometheus(directory, service.url.removeprefix("http://"))
    try:

        def is_scraped() -> bool:
            try:
                return bool(running.query('up{job="seedmint"} == 1'))
            except OSError:
                return False

        wait_until(is_scraped, 30)
        yield running
    finally:
        kill(running.process)


def test_the_rules_are_valid_and_pass_their_tests():
    promtool("check", "rules", str(WATCH / "rules.yaml"))
    promtool("test", "rules", str(WATCH / "rules.test.yaml"))
    promtool("check", "config", "--syntax-only", str(WATCH / "prometheus.yaml"))


def test_the_metrics_follow_the_recommendations_of_prometheus(service: Server):
    send_requests(service)
    promtool("check", "metrics", text=service.client.get("/metrics").text)


def test_every_panel_of_the_dashboard_shows_data(service: Server, tmp_path: Path):
    missing = {
        query.replace("$namespace", ".*").replace("$service", ".*").replace("$__rate_interval", "1m") for query in QUERIES
    }
    missing = {query for query in missing if not any(name in query for name in CONTAINER_METRICS)}
    with watching(service, tmp_path) as prometheus:

        def all_have_data() -> bool:
            send_requests(service)
            missing.difference_update([query for query in missing if prometheus.query(query)])
            return not missing

        try:
            wait_until(all_have_data)
        except AssertionError:
            pytest.fail(f"no data: {missing}")


def test_alerts_fire_for_a_rejected_file_and_for_a_stopped_service(tmp_path: Path):
    generators.write(tmp_path, "grey", 1)
    with ExitStack() as stack:
        service = stack.enter_context(serving(tmp_path))
        prometheus = stack.enter_context(watching(service, tmp_path))
        generators.put(tmp_path / "broken.onnx", b"not a generator")
        wait_until(lambda: prometheus.firing() == {"SeedmintModelLoadFailed"})
        (tmp_path / "broken.onnx").unlink()
        wait_until(lambda: prometheus.firing() == set())
        service.process.terminate()
        wait_until(lambda: prometheus.firing() == {"SeedmintDown", "SeedmintReplicaDown"})
