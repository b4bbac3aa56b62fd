"""Metrics: their format, their values over all workers, and the bounded number of series."""

import re
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import onnxruntime
import psutil  # type: ignore[import-untyped]
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

import seedmint
from seedmint.models.runtime.memory import Memory
from seedmint.service.telemetry import scrape
from tests.support import generators
from tests.support.fixtures import fill
from tests.support.servers import Server, serving, wait_until

PROMTOOL = shutil.which("promtool")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW", "PROPFIND", "X1", "X2")


def samples(server: Server) -> list[Sample]:
    """Return all samples of /metrics."""
    answer = httpx.get(f"{server.url}/metrics", verify=False)  # reading the certificates of all authorities takes 20 ms
    assert answer.headers["content-type"].startswith("text/plain")
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def value(server: Server, name: str, **labels: str) -> float:
    """Return the sum of the samples with this name and at least these labels."""
    return sum(s.value for s in samples(server) if s.name == name and labels.items() <= s.labels.items())


def send_requests(client: httpx.Client, number: int) -> None:
    """Send one request of each kind. Each URL or body contains `number`."""
    path = client.get("/v1/models/rgb").json()["url"]
    client.get(f"{path}/images/{number}.png")
    client.get(f"{path}/images/{number}.webp?label={number % 3}&scale={number % 4 + 1}")
    client.get(f"{path}/images/{number}.gif")
    client.get(f"{path}/images/{number}.png?p{number}=1")
    client.get(f"/v1/models/rgb/images/{number}.npy")
    client.get(f"/v1/models/none-{number}/images/{number}.npy")
    client.get(f"/scan/{number}.php")
    client.post("/sample", json={"model": "grey", "seeds": [number]})
    client.post("/v1/sample", json={"model": "grey", "seeds": [-number], "format": "npz"})
    for method in METHODS:
        client.request(method if method[0] != "X" else f"X{number}", f"/{number}")


def test_the_number_of_series_is_bounded(server: Server):
    def crowd(numbers: range) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        with ThreadPoolExecutor(8) as threads, httpx.Client(base_url=server.url, timeout=30) as client:
            list(threads.map(lambda number: send_requests(client, number), numbers))
        return {(s.name, frozenset(s.labels.items())) for s in samples(server)}

    samples(server)  # the request for metrics adds its own series
    few = crowd(range(1000, 1010))
    many = crowd(range(2000, 2040))
    assert few == many
    # many more seeds, each generated
    path = server.pinned("rgb")
    before = value(server, "seedmint_images_total", model="rgb", format="png")
    for number in range(10_000, 10_200):
        assert server.client.get(f"{path}/{number}.png").status_code == 200
    assert value(server, "seedmint_images_total", model="rgb", format="png") == before + 200
    assert {(s.name, frozenset(s.labels.items())) for s in samples(server)} == few
    assert not [s for s in samples(server) if "pid" in s.labels]
    routes = {s.labels["route"] for s in samples(server) if "route" in s.labels}
    assert {"unmatched", "/sample", "/v1/models/{name}@{digest}/images/{file}"} <= routes
    assert not [route for route in routes if re.search(r"[0-9]", re.sub(r"^/v[12](?=/|$)", "", route))]


def test_requests_images_and_rejections_are_counted(server: Server):
    path = server.pinned("grey")
    route = "/v1/models/{name}@{digest}/images/{file}"

    def counts() -> Counter[str]:
        return Counter(
            ok=int(value(server, "seedmint_http_requests_total", route=route, method="GET", status="200")),
            bad=int(value(server, "seedmint_http_requests_total", route=route, method="GET", status="400")),
            timed=int(value(server, "seedmint_http_request_duration_seconds_count", route=route, method="GET")),
            png=int(value(server, "seedmint_images_total", model="grey", format="png")),
            npz=int(value(server, "seedmint_images_total", model="grey", format="npz")),
            run=int(value(server, "seedmint_batch_size_sum", model="grey")),
            unchanged=int(value(server, "seedmint_http_requests_total", route=route, method="GET", status="304")),
            large=int(value(server, "seedmint_http_requests_rejected_total", reason="too_large")),
        )

    before = counts()
    for seed in range(5):
        server.client.get(f"{path}/{seed}.png")
    server.client.get(f"{path}/x.png")
    server.client.get(f"{path}/7.png", headers={"If-None-Match": "*"})
    server.client.post("/sample", json={"model": "grey", "seeds": "0-99", "format": "npz"})
    server.client.post("/sample", json={"model": "grey", "seeds": "0-99999"})
    assert counts() - before == Counter(ok=5, bad=1, unchanged=1, timed=7, png=5, npz=100, run=105, large=1)


def test_generators_are_described(server: Server):
    info = [s.labels for s in samples(server) if s.name == "seedmint_model_info"]
    digests = {name: server.digest(name) for name in ("grey", "rgb")}
    assert info == [
        {"model": name, "digest": digest, "provider": "cpu", "determinism": "exact"} for name, digest in digests.items()
    ]
    differences = {s.labels["digest"]: s.value for s in samples(server) if s.name == "seedmint_generator_reference_difference"}
    assert differences == dict.fromkeys(digests.values(), 0)


def test_queue_inference_and_encoding_of_each_batch_are_timed(server: Server):
    path = server.pinned("grey")
    names = ("queue", "inference", "encoding")

    def counts() -> list[float]:
        return [value(server, f"seedmint_{name}_duration_seconds_count", model="grey") for name in names]

    before = counts()
    for seed in range(3):
        server.client.get(f"{path}/{seed}.png")
    assert counts() == [count + 3 for count in before]
    server.client.post("/sample", json={"model": "grey", "seeds": "0-99"})  # in two pieces
    assert counts() == [count + 5 for count in before]
    assert value(server, "seedmint_queue_size") == 0
    assert value(server, "seedmint_bulk_requests_in_flight") == 0


def test_the_memory_metric_is_the_memory_of_the_workers(server: Server):
    workers = psutil.Process(server.process.pid).children()
    memory = value(server, "seedmint_resident_memory_bytes")
    assert value(server, "seedmint_workers") == 1
    processes = [worker for worker in workers if "service" in " ".join(worker.cmdline())]
    assert memory == pytest.approx(sum(process.memory_info().rss for process in processes), rel=0.2)


def test_a_replaced_worker_is_counted_and_the_version_is_shown(tmp_path: Path):
    generators.write(tmp_path, "one")
    with serving(tmp_path) as server:
        assert value(server, "seedmint_worker_restarts_total") == 0
        (worker,) = [child for child in psutil.Process(server.process.pid).children() if "worker" in " ".join(child.cmdline())]
        worker.kill()
        wait_until(lambda: answers_after_restart(server))
        assert value(server, "seedmint_worker_restarts_total") == 1
        assert f'seedmint_build_info{{onnxruntime="{onnxruntime.__version__}"' in server.client.get("/metrics").text
        assert server.client.get("/v1/models").json()["version"] == seedmint.__version__
        assert server.client.get("/openapi.json").json()["info"]["version"] == seedmint.__version__


def answers_after_restart(server: Server) -> bool:
    try:
        return server.client.get("/metrics").status_code == 200 and value(server, "seedmint_worker_restarts_total") > 0
    except httpx.TransportError:
        return False


def test_a_container_has_metrics_of_its_memory(monkeypatch: pytest.MonkeyPatch):
    def gauges() -> dict[str, float]:
        scraped = scrape.ScrapeGauges([], [], readable=True)
        return {sample.name: sample.value for family in scraped.collect() for sample in family.samples}

    monkeypatch.setattr(scrape, "container_memory", lambda: Memory(limit=1 << 30, working_set=1 << 29))
    values = gauges()
    assert (values["seedmint_memory_limit_bytes"], values["seedmint_memory_working_set_bytes"]) == (1 << 30, 1 << 29)
    monkeypatch.setattr(scrape, "container_memory", lambda: None)
    assert not [name for name in gauges() if name.startswith("seedmint_memory_")]


def test_batch_counters_start_at_zero(tmp_path: Path):
    """An alert uses the increase of a counter. A counter that starts with its first batch would show no increase."""
    with serving(fill(tmp_path)) as fresh:
        counts = {s.labels["model"]: s.value for s in samples(fresh) if s.name == "seedmint_batch_size_sum"}
    assert counts == {"grey": 0, "rgb": 0}


def test_names_and_units_follow_the_recommendations_of_prometheus(server: Server):
    """The rules of `promtool check metrics`: help texts, suffixes, base units, no type in a name, no reserved labels."""
    server.client.get(f"{server.pinned('grey')}/1.png")
    families = list(text_string_to_metric_families(server.client.get("/metrics").text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert re.fullmatch(r"seedmint(_[a-z]+)+", family.name)
        assert family.documentation
        assert not re.search(r"_(total|count|sum|bucket|gauge|counter|histogram|milliseconds|ms|kilobytes|mb)$", family.name)
        for sample in family.samples:
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}[family.type]
            assert sample.name.removeprefix(family.name) in suffixes
            assert not {"le", "quantile"} & set(sample.labels) or sample.name.endswith("_bucket")
    assert {"seedmint_http_requests", "seedmint_queue_duration_seconds", "seedmint_resident_memory_bytes"} <= {
        f.name for f in families
    }


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian package prometheus)")
def test_promtool_reports_no_problem(server: Server):
    for path in ("/v1/models/grey/images/1.png", f"{server.pinned('grey')}/1.png", "/nope"):
        server.client.get(path)
    server.client.post("/sample", json={"model": "rgb", "seeds": "0-9"})
    assert PROMTOOL is not None
    metrics = server.client.get("/metrics").content
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=metrics, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_metrics_are_the_sum_of_the_workers_of_one_server(tmp_path: Path):
    """One worker answers each request to /metrics. Its counts include both workers of its server, and no other server."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with serving(fill(tmp_path / "a"), workers=2) as pair, serving(fill(tmp_path / "b")):
        path = pair.pinned("grey")
        counts = set()
        for seed in range(60):  # each request has a new connection, which any worker may accept
            assert httpx.get(f"{pair.url}{path}/{seed}.png", verify=False).status_code == 200
        for _ in range(20):
            counts.add(value(pair, "seedmint_images_total", model="grey"))
        assert counts == {60.0}
        assert sum("grey@" in line for line in pair.log) == 1  # of the supervisor
