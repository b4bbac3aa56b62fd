"""schemathesis with all its checks against a server with API keys: the responses are the responses of the OpenAPI document."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from seedmint.models.card import ImageOutput
from seedmint.service.api.openapi.specification import url_template
from seedmint.service.server.api_keys import new_key
from tests.support import generators
from tests.support.fixtures import CLASSES, POINT
from tests.support.servers import Server, serving

CHECKS = Path(__file__).parent / "schemathesis.toml"
# A name and a digest belong together. The coverage phase takes both from the examples of the OpenAPI document.
JOB = """
[[operations]]
include-path-regex = "/jobs/"
parameters = {{ "path.job" = "{job}" }}
"""
# One job for all requests but the removal, or the removed job would be missing in the next sequence.
LASTING_JOB = JOB.replace('"/jobs/"', '"/jobs/"\nexclude-method = "DELETE"')
TARGETS = """
[[operations]]
include-path-regex = "{paths}"
parameters = {{ "path.name" = "{name}", "path.digest" = "{digest}", "path.model" = "{name}" }}
"""


# Sequences wait for jobs, behind those of the test before.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    return new_key("alice")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, key: tuple[str, str]) -> Iterator[Server]:
    """One generator of images and one of samples, so that the bounds of the OpenAPI document are the bounds of both."""
    directory = tmp_path_factory.mktemp("models")
    generators.write(directory, "rgb", 2, classes=CLASSES, output=ImageOutput(height=16, width=12, channels=3))
    generators.write(directory, "point", 3, classes=CLASSES, output=POINT)
    with serving(directory, api_keys=key[1], jobs_url=tmp_path_factory.mktemp("jobs"), max_queued_jobs=1000) as running:
        running.client.headers["X-API-Key"] = key[0]
        yield running


@pytest.fixture
def job(server: Server) -> str:
    """Return the ID of a job, which another test may have removed. The OpenAPI document has no example of an ID."""
    return str(server.client.post("/v1/jobs", json={"model": "rgb", "seeds": "0-99"}).json()["id"])


def run(server: Server, key: str, config: Path, *arguments: str) -> str:
    """Run schemathesis; fail on any finding; return its output."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{server.url}/openapi.json"]
    done = subprocess.run(
        [
            *command,
            "--header",
            f"Authorization: Bearer {key}",
            "--checks=all",
            "--continue-on-failure",
            "--no-color",
            *arguments,
        ],
        cwd=config.parent,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def statuses_by_route(server: Server) -> dict[tuple[str, str], set[int]]:
    """Return the statuses by route and method from the metrics of the server."""
    found: dict[tuple[str, str], set[int]] = {}
    for family in text_string_to_metric_families(server.client.get("/metrics").text):
        for sample in family.samples:
            if sample.name == "seedmint_http_requests_total":
                labels = sample.labels
                found.setdefault((labels["route"], labels["method"]), set()).add(int(labels["status"]))
    return found


def server_errors(server: Server) -> list[tuple[str, str]]:
    """Return the routes and methods with a 5xx, except /readyz, which is 503 before the server is ready."""
    return [route for route, statuses in statuses_by_route(server).items() if max(statuses) >= 500 and route[0] != "/readyz"]


def test_every_boundary_of_every_parameter(server: Server, key: tuple[str, str], job: str, tmp_path: Path):
    """Values at, within and beyond each bound, wrong types, missing keys, and undefined methods."""
    config = tmp_path / "schemathesis.toml"
    config.write_text(CHECKS.read_text() + JOB.format(job=job))
    out = run(server, key[0], config, "--phases=examples,coverage")
    generated = re.search(r"([\d,]+) generated", out)
    assert generated is not None
    assert int(generated[1].replace(",", "")) > 500
    seen = statuses_by_route(server)
    paths = httpx.get(f"{server.url}/openapi.json", headers={"X-API-Key": key[0]}).json()["paths"]
    by_path = {(url_template(route), method): statuses for (route, method), statuses in seen.items()}
    for path, item in paths.items():
        for method in item:
            assert any(200 <= status < 400 for status in by_path[path, method.upper()]), (path, method)
        others = [by_path[where, method] for where, method in by_path if where == path and method.lower() not in item]
        assert others, path
        assert all(statuses == {405} for statuses in others), path
    assert 401 in seen["refused", "GET"]
    assert 401 in seen["refused", "POST"]
    assert not server_errors(server)
    assert not [line for line in server.log if "ERROR" in line]


def test_random_requests_and_sequences(server: Server, key: tuple[str, str], job: str, tmp_path: Path):
    """Random requests to every operation, and sequences of requests."""
    config = tmp_path / "schemathesis.toml"
    targets = {"/(images|grid|walk)": "rgb", "/samples/": "point"}
    overrides = [TARGETS.format(paths=paths, name=name, digest=server.digest(name)[:12]) for paths, name in targets.items()]
    config.write_text(CHECKS.read_text() + "".join(overrides) + LASTING_JOB.format(job=job))
    run(server, key[0], config, "--phases=fuzzing,stateful", "--max-examples=60")
    assert not server_errors(server)
