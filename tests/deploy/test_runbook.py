"""The claims of docs/runbook.md about the service, each with the test that holds it.

Claims about Kubernetes, Prometheus and networks are held by the tests of the chart and of the rules, where they can be tested.
"""

import json
import logging
import math
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from seedmint.service.server.api_keys import new_key
from seedmint.service.settings import Settings
from seedmint.service.telemetry.logs import SingleLineFilter
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext
from tests.support import generators
from tests.support.hostile_models import spiked
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
        "500: a generator that fails is named with its first seed": HERE
        + "test_a_generator_that_fails_is_a_line_with_its_name_and_first_seed",
    },
    "SeedmintErrorBudgetBurnSteady": {
        "requests with 5xx are counted": HERE + "test_a_generator_that_fails_is_a_line_with_its_name_and_first_seed"
    },
    "SeedmintErrorBudgetBurnSlow": {
        "metrics and access log name client and generator": HERE + "test_the_access_log_and_metrics_name_client_and_generator",
    },
    "SeedmintLatencyBudgetBurnFast": {
        "inference and queue time show the cause": HERE + "test_a_slow_generator_shows_in_the_inference_and_the_queue_time"
    },
    "SeedmintLatencyBudgetBurnSteady": {
        "inference and queue time show the cause": HERE + "test_a_slow_generator_shows_in_the_inference_and_the_queue_time"
    },
    "SeedmintLatencyBudgetBurnSlow": {
        "inference and queue time show the cause": HERE + "test_a_slow_generator_shows_in_the_inference_and_the_queue_time"
    },
    "SeedmintDown": {
        "a wrong setting is a line `Error:`": HERE + "test_a_wrong_setting_is_a_line_that_begins_with_error",
        "/metrics needs a key": HERE + "test_the_scrape_job_needs_a_key_where_the_service_has_keys",
    },
    "SeedmintReplicasMissing": {
        "a replica that is busy rejects": BURN + "test_requests_beyond_the_queue_are_429_and_others_are_served"
    },
    "SeedmintReplicaDown": {"it does not answer": HERE + "test_a_stopped_replica_does_not_answer_scrapes"},
    "SeedmintNoModels": {
        "a replica that starts without generators is not ready": HERE
        + "test_a_server_that_starts_without_generators_is_not_ready_and_needs_no_restart",
        "the server runs and serves no generator": HERE + "test_a_server_without_generators_runs",
        "doctor shows the reason": "tests/service/cli/test_doctor_and_completion.py::test_doctor_names_the_error_and_the_cure",
    },
    "SeedmintNoInference": {
        "all inference fails": HERE + "test_a_generator_that_fails_is_a_line_with_its_name_and_first_seed",
        "batches are counted from zero": "tests/http/test_metrics.py::test_batch_counters_start_at_zero",
    },
    "SeedmintModelLoadFailed": {
        "replace the file, without a restart": HERE + "test_a_file_that_fails_to_load_needs_no_restart",
        "the previous version stays, one line, no restart": "tests/http/test_model_repository.py::"
        "test_refused_file_is_logged_once_and_the_previous_version_stays",
    },
    "SeedmintModelsDirectoryUnreadable": {
        "generators in memory are served": HERE + "test_an_unreadable_directory_keeps_generators_in_memory",
        "a new replica is not ready": "tests/service/batching/test_readiness.py::"
        "test_a_server_without_generators_is_not_ready_until_one_is_served",
    },
    "SeedmintModelsPlaceStale": {
        "one line, the metrics, and doctor": HERE + "test_a_place_that_cannot_be_read_is_one_line_and_a_metric",
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
        "images wait for their generator": HERE + "test_a_slow_generator_shows_in_the_inference_and_the_queue_time",
        "images per minute limit each client": "tests/service/server/test_rate_limiter.py::test_images_per_minute",
        "without trusted proxies, all clients share a limit": HERE + "test_clients_of_an_unknown_proxy_share_an_address",
    },
    "SeedmintRequestsRejected": {
        "not_ready in the first minute": BURN + "test_a_server_that_loads_is_alive_but_not_ready",
        "draining does not count": "tests/http/test_graceful_shutdown.py::test_new_requests_are_rejected_after_the_signal",
        "overloaded": BURN + "test_requests_beyond_the_queue_are_429_and_others_are_served",
        "deadline": BURN + "test_images_after_the_deadline_are_504_and_not_charged",
    },
    "SeedmintAuthenticationFailures": {
        "requests without a key are counted, with their address": HERE + "test_requests_without_a_key_are_counted_and_logged",
    },
    "SeedmintMemoryHigh": {
        "the working set and the limit of the container": "tests/models/test_memory.py::"
        "test_working_set_excludes_inactive_cache",
        "the memory of the workers": "tests/http/test_metrics.py::test_metrics_are_the_sum_of_the_workers_of_one_server",
    },
}
# About Prometheus alone. test_watch.py checks that each alert has a case in rules.test.yaml, which test_prometheus.py runs.
OTHERS = {"SeedmintAbsent"}


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


TRIPS = 1_200_000  # iterations of an idle loop: some tenths of a second per batch


def failing(name: str) -> bytes:
    """Return a generator that passes all checks at its start, and fails on latent vectors with a value above 6."""
    indices = [
        helper.make_node("ReduceMax", ["z"], ["greatest"], keepdims=0),
        helper.make_node("Greater", ["greatest", "limit"], ["is_great"]),
        helper.make_node("Cast", ["is_great"], ["index"], to=TensorProto.INT64),  # out of range if 1
        helper.make_node("Gather", ["one", "index"], ["spike"]),
    ]
    return generators.finished(spiked(name, indices, limit=np.float32(6), one=np.zeros(1, np.float32)))


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a slow generator, one that fails on some inputs, a broken file, and a URL that nothing answers."""
    models = tmp_path_factory.mktemp("troubled")
    generators.write(models, "slow", 1, idle_trips=TRIPS)
    (models / "failing.onnx").write_bytes(failing("failing"))
    (models / "broken.onnx").write_bytes(b"no generator")
    places = f"{models},http://127.0.0.1:{free_port()}/absent.onnx"
    cache = tmp_path_factory.mktemp("cache")
    with serving(places, models_cache=cache, access_log=True) as running:  # type: ignore[arg-type]
        running.models = models
        yield running


def total(server: Server, name: str, **labels: str) -> float:
    return sum(s.value for s in samples(server) if s.name == name and labels.items() <= s.labels.items())


def test_what_the_runbook_names_exists():
    """The metrics, settings, panels, log reasons and sections that the page names."""
    text = (ROOT / "docs/runbook.md").read_text()
    source = "".join(path.read_text() for path in (ROOT / "service/telemetry").glob("*.py"))
    for metric in set(re.findall(r"`(seedmint_\w+)`", text)):
        assert metric.removesuffix("_total") in source, metric
    settings = set(re.findall(r"`SEEDMINT_([A-Z_]+)", text))
    assert {setting.lower() for setting in settings} <= Settings.model_fields.keys()
    panels = {panel["title"] for panel in json.loads((ROOT / "deploy/watch/dashboard.json").read_text())["panels"]}
    named = set(re.findall(r"panels? \*([^*]+)\*(?: and \*([^*]+)\*)?", text.replace("\n", " ")))
    assert {panel for pair in named for panel in pair if panel} <= panels
    assert len(named) >= 3
    sections = set(re.findall(r"^### (Seedmint\w+)", text, re.MULTILINE))
    assert set(re.findall(r"\bSeedmint[A-Z]\w+", text)) <= sections


@pytest.mark.slow
def test_a_generator_that_fails_is_a_line_with_its_name_and_first_seed(troubled: Server):
    """SeedmintErrorBudgetBurnFast: status 500. SeedmintNoInference: requests are counted, and no batch."""
    before = total(troubled, "seedmint_batch_size_sum", model="failing")
    z = [[7.0] * 20]
    answer = troubled.client.post("/v1/latents", json={"model": "failing", "z": z})
    assert answer.status_code == 500
    assert answer.json()["reason"] == "generator_failed"
    troubled.wait_for_log("[ERROR]", "generator failing failed", "first seed")
    assert total(troubled, "seedmint_http_requests_total", route="/v1/latents", status="500") >= 1
    assert total(troubled, "seedmint_generator_requests_total", model="failing", status="500") >= 1
    assert total(troubled, "seedmint_batch_size_sum", model="failing") == before
    provider = {s.labels["provider"] for s in samples(troubled) if s.name == "seedmint_model_info"}
    assert provider == {"cpu"}


@pytest.mark.slow
def test_a_slow_generator_shows_in_the_inference_and_the_queue_time(troubled: Server):
    """SeedmintLatencyBudgetBurnFast and SeedmintSaturated."""
    path = troubled.pinned("slow")

    def burst() -> bool:
        with ThreadPoolExecutor(6) as threads:
            statuses = list(threads.map(lambda seed: httpx.get(f"{troubled.url}{path}/{seed}.png").status_code, range(6)))
        assert statuses == [200] * 6
        queued = total(troubled, "seedmint_queue_duration_seconds_count", model="slow")
        return queued > total(troubled, "seedmint_queue_duration_seconds_bucket", model="slow", le="0.05")

    wait_until(burst)  # a request waits while a batch runs
    runs = total(troubled, "seedmint_inference_duration_seconds_count", model="slow")
    assert runs > total(troubled, "seedmint_inference_duration_seconds_bucket", model="slow", le="0.05")
    route = "/v1/models/{name}@{digest}/images/{file}"
    slow = total(troubled, "seedmint_http_request_duration_seconds_count", route=route)
    assert slow > total(troubled, "seedmint_http_request_duration_seconds_bucket", route=route, le="0.05")


@pytest.mark.slow
def test_a_file_that_fails_to_load_needs_no_restart(troubled: Server):
    """SeedmintModelLoadFailed, and SeedmintNoModels: `seedmint doctor` shows the reason."""
    line = troubled.wait_for_log("[ERROR]", "broken.onnx", "(not_onnx)")
    assert "Traceback" not in line
    assert total(troubled, "seedmint_model_load_failed", model="broken") == 1
    failed = doctor("--models", str(troubled.models))
    assert failed["model broken"]
    generators.write(troubled.models, "broken", 3)
    wait_until(lambda: total(troubled, "seedmint_model_load_failed", model="broken") == 0)
    assert troubled.client.get(f"{troubled.pinned('broken')}/1.png").status_code == 200


@pytest.mark.slow
def test_a_place_that_cannot_be_read_is_one_line_and_a_metric(troubled: Server):
    """SeedmintModelsPlaceStale: the others are served, and `seedmint doctor` reads all places once."""

    def places() -> list[str]:
        up = [s.labels["place"] for s in samples(troubled) if s.name == "seedmint_models_place_up"]
        return [place for place in up if "://" in place]

    (place,) = wait_until(places)
    assert total(troubled, "seedmint_models_place_up", place=place) == 0
    assert math.isnan(total(troubled, "seedmint_models_place_age_seconds", place=place))  # never read
    troubled.wait_for_log("[ERROR]", place)
    assert sum(place in line and "[ERROR]" in line for line in troubled.log) == 1
    assert any(place in text for text in doctor("--models", place).values())


def doctor(*arguments: str) -> dict[str, str]:
    """Return the failed checks of `seedmint doctor`, with their text."""
    done = subprocess.run(
        [sys.executable, "-m", "seedmint", "doctor", "--json", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    return {check["name"]: str(check) for check in json.loads(done.stdout) if check["state"] == "failed"}


@pytest.mark.slow
def test_a_server_that_starts_without_generators_is_not_ready_and_needs_no_restart(tmp_path: Path):
    def fill(url: str) -> None:
        answer = httpx.get(f"{url}/readyz")
        assert (answer.status_code, answer.json()["reason"]) == (503, "not_ready")
        generators.write(tmp_path, "one", 1)

    with serving(tmp_path, before_ready=fill) as server:
        assert server.client.get(f"{server.pinned('one')}/1.png").status_code == 200


@pytest.mark.slow
def test_a_stopped_replica_does_not_answer_scrapes(models: Path):
    """SeedmintReplicaDown and SeedmintDown: `up` is 0. A killed process has the exit code that the page says."""
    with serving(models) as server:
        server.process.kill()
        server.process.wait()
        server.exit_status = -signal.SIGKILL  # 137 in a shell and in Kubernetes
        wait_until(lambda: not answers(server.url))


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/metrics").status_code == 200
    except httpx.TransportError:
        return False
