"""The claims of docs/runbook.md about the service, each with the test that holds it.

Claims about Kubernetes, Prometheus and networks are held by the tests of the chart and of the rules, where they can be tested.
"""

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from seedmint.service.server.api_keys import new_key
from seedmint.service.telemetry.logs import SingleLineFilter
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext
from tests.support import generators
from tests.support.servers import Server, free_port, serving, wait_until

ROOT = Path(__file__).parents[2]
BURN = "tests/http/test_overload.py::"
HERE = "tests/deploy/test_runbook.py::"

# Section -> claim in short -> test.
CLAIMS: dict[str, dict[str, str]] = {
    "SeedmintErrorBudgetBurnFast": {
        "503 while starting is not_ready": BURN + "test_a_server_that_loads_is_alive_but_not_ready",
        "503 while shutting down is draining": "tests/http/test_graceful_shutdown.py::"
        "test_new_requests_are_rejected_after_the_signal",
        "504: longer than SEEDMINT_TIMEOUT_SECONDS": BURN + "test_images_after_the_deadline_are_504_and_not_charged",
        "500: one line with the id of the request": HERE + "test_an_error_is_one_line_with_the_id_of_the_request",
    },
    "SeedmintErrorBudgetBurnSlow": {
        "metrics and access log name client and generator": HERE + "test_the_access_log_and_metrics_name_client_and_generator",
    },
    "SeedmintDown": {
        "a wrong setting is a line `Error:`": HERE + "test_a_wrong_setting_is_a_line_that_begins_with_error",
        "/metrics needs a key": HERE + "test_the_scrape_job_needs_a_key_where_the_service_has_keys",
    },
    "SeedmintNoModels": {
        "the server runs and serves no generator": HERE + "test_a_server_without_generators_runs",
        "doctor shows the reason": "tests/service/cli/test_doctor_and_completion.py::test_doctor_names_the_error_and_the_cure",
    },
    "SeedmintNoInference": {
        "batches are counted from zero": "tests/http/test_metrics.py::test_batch_counters_start_at_zero",
    },
    "SeedmintModelLoadFailed": {
        "the previous version stays, one line, no restart": "tests/http/test_model_repository.py::"
        "test_refused_file_is_logged_once_and_the_previous_version_stays",
    },
    "SeedmintModelsDirectoryUnreadable": {
        "generators in memory are served": HERE + "test_an_unreadable_directory_keeps_generators_in_memory",
        "a new replica is not ready": "tests/service/batching/test_readiness.py::"
        "test_a_server_without_generators_is_not_ready_until_one_is_served",
    },
    "SeedmintModelsPlaceStale": {
        "the generators stay in service": "tests/service/places/test_remote_places.py::"
        "test_files_stay_while_the_store_is_down_and_after_a_restart",
        "one line in the log, and the metric": "tests/faults/test_places.py::"
        "test_a_store_that_fails_half_the_time_loses_no_request",
        "a full cache": "tests/service/places/test_remote_places.py::"
        "test_the_cache_keeps_its_bound_and_the_files_that_are_served",
    },
    "SeedmintModelVersionsDiffer": {
        "another replica answers 404 to the pinned URL": HERE + "test_another_version_is_404",
    },
    "SeedmintSaturated": {
        "images per minute limit each client": "tests/service/server/test_rate_limiter.py::test_images_per_minute",
        "without trusted proxies, all clients share a limit": HERE + "test_clients_of_an_unknown_proxy_share_an_address",
    },
    "SeedmintRequestsRejected": {
        "overloaded": BURN + "test_requests_beyond_the_queue_are_429_and_others_are_served",
        "deadline": BURN + "test_images_after_the_deadline_are_504_and_not_charged",
    },
    "SeedmintAuthenticationFailures": {
        "requests without a key are counted, with their address": HERE + "test_requests_without_a_key_are_counted_and_logged",
    },
    "SeedmintMemoryHigh": {
        "the working set and the limit of the container": "tests/service/runtime/test_container_memory.py::"
        "test_working_set_excludes_inactive_cache",
        "the memory of the workers": "tests/http/test_metrics.py::test_metrics_are_the_sum_of_the_workers_of_one_server",
    },
}
# They refer to another section, or are about Prometheus: tests/deploy/test_prometheus.py runs the rules.
OTHERS = {
    "SeedmintErrorBudgetBurnSteady",
    "SeedmintLatencyBudgetBurnFast",
    "SeedmintLatencyBudgetBurnSteady",
    "SeedmintLatencyBudgetBurnSlow",
    "SeedmintAbsent",
    "SeedmintReplicaDown",
    "SeedmintReplicasMissing",
}


def samples(server: Server) -> list[Sample]:
    """Return the samples of /metrics, requested with the API key of the client."""
    text = server.client.get("/metrics").text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def test_each_section_has_tests_that_exist():
    sections = set(re.findall(r"^### (Seedmint\w+)", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE))
    assert sections == CLAIMS.keys() | OTHERS
    for section, claims in CLAIMS.items():
        for claim, test in claims.items():
            file, _, name = test.partition("::")
            assert f"def {name}" in (ROOT / file).read_text(), (section, claim)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("runbook")
    (directory / "models").mkdir()
    generators.write(directory / "models", "one", 1)
    key, line = new_key("alice")
    with serving(directory / "models", api_keys=line, access_log=True) as running:
        running.client.headers["X-API-Key"] = key
        yield running


def test_an_error_is_one_line_with_the_id_of_the_request(capsys: pytest.CaptureFixture[str]):
    logger = logging.getLogger("seedmint.runbook")
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(SingleLineFilter(names_request=True))
    logger.addHandler(handler)
    token = REQUEST_CONTEXT.set(RequestContext(b"id-1"))
    try:
        try:
            raise ValueError("first\nsecond")
        except ValueError:
            logger.exception("request failed")
    finally:
        REQUEST_CONTEXT.reset(token)
        logger.removeHandler(handler)
    (line,) = capsys.readouterr().out.splitlines()
    assert "id-1" in line


def test_the_access_log_and_metrics_name_client_and_generator(server: Server):
    path = server.pinned("one")
    server.client.get(f"{path}/1.png", headers={"X-Request-Id": "runbook-1"})
    line = server.wait_for_log("id runbook-1")
    assert "client 127.0.0.1" in line
    assert "key alice" in line
    assert f"generator {path.split('/')[3]}" in line
    assert any(s.name == "seedmint_generator_requests_total" and s.labels["model"] == "one" for s in samples(server))


def test_a_wrong_setting_is_a_line_that_begins_with_error(models: Path):
    command = [sys.executable, "-m", "seedmint", "serve", "--models", str(models), "--port", str(free_port()), "--threads", "x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if line.startswith("Error:")]


def test_the_scrape_job_needs_a_key_where_the_service_has_keys(server: Server):
    assert httpx.get(f"{server.url}/metrics").status_code == 401
    assert server.client.get("/metrics").status_code == 200


def test_requests_without_a_key_are_counted_and_logged(server: Server):
    def rejected() -> float:
        return sum(
            s.value
            for s in samples(server)
            if s.name == "seedmint_http_requests_rejected_total" and s.labels["reason"] == "no_key"
        )

    before = rejected()
    httpx.get(f"{server.url}/v1/models", headers={"X-API-Key": "guess", "X-Request-Id": "runbook-2"})
    assert rejected() == before + 1
    line = server.wait_for_log("id runbook-2")
    assert "key -" in line
    assert "client 127.0.0.1" in line
    assert "guess" not in line


def test_clients_of_an_unknown_proxy_share_an_address(server: Server):
    server.client.get("/v1/models", headers={"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "runbook-3"})
    assert "client 127.0.0.1" in server.wait_for_log("id runbook-3")


def test_another_version_is_404(server: Server):
    name = server.pinned("one").split("/")[3]
    digest = name.partition("@")[2]
    other = digest.translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))
    answer = server.client.get(f"/v1/models/one@{other}/images/1.png")
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown_version")


def test_an_unreadable_directory_keeps_generators_in_memory(tmp_path: Path):
    models = tmp_path / "models"
    models.mkdir()
    generators.write(models, "one", 1)
    with serving(models) as server:
        path = server.pinned("one")
        models.rename(tmp_path / "elsewhere")
        wait_until(lambda: [s.value for s in samples(server) if s.name == "seedmint_models_readable"] == [0])
        assert server.client.get(f"{path}/1.png").status_code == 200
        server.workers()[0].kill()  # a new worker of the same server gets the files from its supervisor
        server.wait_for_log("was killed by SIGKILL")
        wait_until(lambda: server.client.get(f"{path}/2.png").status_code == 200)


def test_a_server_without_generators_runs(tmp_path: Path):
    with serving(tmp_path, ready_when="serving") as server:
        assert server.client.get("/v1/models").json()["models"] == []
        assert not [s for s in samples(server) if s.name == "seedmint_model_info"]
