"""The whole application without sockets, in a process of its own: tests that are too slow over HTTP, or read internal state."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import generators

PREPARED = """
import asyncio, json, os, random, subprocess, sys
from contextlib import asynccontextmanager
import httpx
from seedmint.service.app import _REPOSITORY, Seedmint
Seedmint.inject_config()
application = Seedmint.to_asgi()

@asynccontextmanager
async def started():
    received, sent = asyncio.Queue(), asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
    running = asyncio.create_task(application(scope, received.get, sent.put))
    await received.put({"type": "lifespan.startup"})
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    while not _REPOSITORY.has_loaded:
        await asyncio.sleep(0.01)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://test") as client:
        yield client
    await received.put({"type": "lifespan.shutdown"})
    await running
"""


def run(code: str, tmp_path: Path, **variables: str) -> Any:
    """Run the code after `PREPARED`, and return what its last line of output contains as JSON."""
    (tmp_path / "models").mkdir()
    (tmp_path / "metrics").mkdir()
    generators.write(tmp_path / "models", "grey", 1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDMINT_", "BENTOML_"))}
    environment |= {"SEEDMINT_MODELS": str(tmp_path / "models"), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    environment |= {"BENTOML_HOME": str(tmp_path / "home"), "BENTOML_DO_NOT_TRACK": "true"} | variables
    done = subprocess.run([sys.executable, "-c", PREPARED + code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SCANNED = """
from prometheus_client.parser import text_string_to_metric_families
PATHS = ("/%s", "/%s/%s.php", "/v1/models/%s", "/v1/models/grey@%s/images/%s.png", "/v1/models/%s/images/1.png",
         "/v1/models/grey/images/x%s", "/v1/models/grey/images/1.png?%s=%s", "/v1/sample?%s")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")

async def request(method, target, headers=()):
    path, _, query = target.partition("?")
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
             "headers": [(b"host", b"here"), *headers], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
             "root_path": "", "scheme": "http", "http_version": "1.1", "asgi": {"version": "3.0"}}
    statuses = []
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        statuses.append(message.get("status"))
    await application(scope, receive, send)
    return statuses[0]

async def series(client):
    text = (await client.get("/metrics")).text
    return {(s.name, *sorted(s.labels.items())) for family in text_string_to_metric_families(text) for s in family.samples}

async def main():
    generator = random.Random(0)
    statuses, counts = set(), []
    async with started() as client:
        digest = _REPOSITORY.find("grey", None).generator.digest12
        await series(client)  # the request for metrics has a series itself, from the second time on
        for number in range(5_000):
            if number % 10 == 0:  # an image that exists; the condition avoids generating it
                target, headers = f"/v1/models/grey@{digest}/images/{number}.png", [(b"if-none-match", b"*")]
            else:
                path = generator.choice(PATHS)
                target, headers = path % tuple("%x" % generator.getrandbits(48) for _ in range(path.count("%s"))), []
            statuses.add(await request(METHODS[number % 7 % 6] if headers == [] else "GET", target, headers))
            if number in (1_000, 4_999):
                counts.append(len(await series(client)))
    print(json.dumps({"statuses": sorted(statuses), "counts": counts}))

asyncio.run(main())
"""


@pytest.mark.slow
def test_five_thousand_random_paths_create_no_time_series(tmp_path: Path):
    result = run(SCANNED, tmp_path)
    assert result["statuses"] == [304, 400, 404, 405]
    few, many = result["counts"]
    assert few == many < 1000


LEFT_BEHIND = """
other = "from seedmint.service.telemetry import metrics; metrics.set_queue_size('grey', 7, 3); "
other += "import hashlib, os, pathlib; file = pathlib.Path(os.environ['SEEDMINT_MODELS'], 'grey.onnx'); "
other += "metrics.GeneratorMetrics(('grey', hashlib.sha256(file.read_bytes()).hexdigest())).cancelled.inc(5)"

async def main():
    subprocess.run([sys.executable, "-c", other], check=True)  # a worker that exited with seven images in its queue
    files = len([name for name in os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"]) if name.startswith("gauge")])
    async with started() as client:
        text = (await client.get("/metrics")).text
    print(json.dumps({"files": files, "lines": [line for line in text.splitlines() if line.startswith("seedmint_")]}))

asyncio.run(main())
"""


def test_gauges_of_an_exited_worker_are_removed_and_its_counters_are_kept(tmp_path: Path):
    result = run(LEFT_BEHIND, tmp_path)
    assert result["files"] == 1
    assert 'seedmint_queue_size{model="grey"} 0.0' in result["lines"]
    assert 'seedmint_bulk_requests_in_flight{model="grey"} 0.0' in result["lines"]
    (cancelled,) = [line for line in result["lines"] if line.startswith("seedmint_cancelled_images_total")]
    assert 'model="grey"' in cancelled
    assert cancelled.endswith(" 5.0")
    assert "seedmint_workers 1.0" in result["lines"]


TRACED = """
import re
from bentoml._internal.configuration.containers import BentoMLContainer
TRACE = "0af7651916cd43dd8448eb211c80319c"

async def main():
    async with started() as client:
        image = f"/v1/models/grey@{_REPOSITORY.find('grey', None).generator.digest12}/images/5.png"
        for path in ("/livez", "/readyz", "/metrics", "/schema.json", "/v1/models", image):
            response = await client.get(path, headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
            assert response.status_code == 200, path
        assert response.headers["content-type"] == "image/png"
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        answer = await client.post("/v1/sample", json={"model": "grey", "seeds": "0-2", "format": "zip"}, headers=headers)
        assert answer.status_code == 200

asyncio.run(main())
provider = BentoMLContainer.tracer_provider.get()
provider.force_flush()
(processor,) = provider._active_span_processor._span_processors
spans = processor._batch_processor._exporter.get_finished_spans()
servers = {span.context.span_id: span.attributes.get("http.route") for span in spans if span.kind.name == "SERVER"}
names = [[span.name, format(span.context.trace_id, "032x") == TRACE] for span in spans if span.context.span_id in servers]
parts = [[servers[span.parent.span_id], span.name, span.attributes.get("seedmint.batch_size")] for span in spans
         if span.context.span_id not in servers]
print(json.dumps([names, sorted(parts, key=str)]))
"""


# Probes and metrics have no trace.
_IMAGE = "/v1/models/{name}@{digest}/images/{file}"
IN_TRACE = [["GET /schema.json", True], ["GET /v1/models", True], [f"GET {_IMAGE}", True], ["POST /v1/sample", True]]
PARTS = [
    [route, part, size]
    for route, count in ((_IMAGE, 1), ("/v1/sample", 3))
    for part, size in (("encode", None), ("queue", None), ("run", count))
]


@pytest.mark.parametrize(("tracing", "spans"), [("true", [IN_TRACE, PARTS]), ("false", [[], []])])
def test_requests_have_traces_if_tracing_is_on(tmp_path: Path, tracing: str, spans: list[list[object]]):
    """The span of a request has the path template as its name, and a span for the queue, the batch and the encoding."""
    options = "services.tracing.exporter_type=in_memory services.tracing.sample_rate=1.0"
    assert run(TRACED, tmp_path, SEEDMINT_TRACING=tracing, BENTOML_CONFIG_OPTIONS=options) == spans
