"""Generators from an object store, with faults: no request is lost, and half a download is never served."""

import hashlib
import signal
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from tests.faults.conftest import Hold
from tests.faults.test_shared_state import WORKERS, _following
from tests.http.test_metrics import value
from tests.support import generators
from tests.support.s3_storage import S3Server, s3, s3_server
from tests.support.servers import PATIENCE, serving, wait_until
from tests.support.stand_in import JsonHandler, running

__all__ = ["s3", "s3_server"]  # fixtures


@pytest.mark.slow
@pytest.mark.fault("an object store fails half the time, and generators change there")
def test_a_store_that_fails_half_the_time_loses_no_request(s3: S3Server, tmp_path: Path, hold: Hold):
    def put(weights: int) -> str:
        content = generators.content("one", weights)
        digest = hashlib.sha256(content).hexdigest()
        s3.client.put_object(Bucket="bucket", Key=f"models/one@{digest[:12]}.onnx", Body=content)
        return digest

    digests = [put(0)]
    cache = tmp_path / "cache"
    settings = {"workers": WORKERS, "models_cache": cache, "models_poll_seconds": 0.3}
    with serving("s3://bucket/models", **settings) as server:  # type: ignore[arg-type]
        first = server.pinned("one") + "/1.npy"
        with _following(server, "one") as answers:
            for weights in range(1, 4):
                s3.set_faults(0)  # for the client of the test
                second = int(time.time())
                wait_until(lambda second=second: int(time.time()) > second)  # times of S3 are whole seconds
                digests.append(put(weights))
                s3.set_faults(2)
                wait_until(lambda: server.digest("one") == digests[-1])
            s3.set_faults(0)
            assert server.client.get(first).status_code == 200  # the old version stays as long as its file
            s3.client.delete_object(Bucket="bucket", Key=f"models/one@{digests[-1][:12]}.onnx")
            wait_until(lambda: server.digest("one") == digests[-2])
        statuses = Counter(status for status, _ in answers)
        hold("requests", len(answers), 50, at_least=True)
        hold("answers 404", statuses[404], 0, exactly=True)
        assert set(statuses) == {200, 307}
        assert 'seedmint_models_place_up{place="s3://bucket/models"}' in server.client.get("/metrics").text
    digests.append(put(9))
    s3.set_faults(1)  # the store is down: the server starts with the files that it had
    with serving("s3://bucket/models", **settings) as server:  # type: ignore[arg-type]
        assert server.digest("one") == digests[-3]
        server.wait_for_log("[ERROR]", "s3://bucket/models")
        text = server.client.get("/metrics").text
        assert 'seedmint_models_place_up{place="s3://bucket/models"} 0' in text
        hold("log lines for a store that is down", sum("[ERROR]" in line for line in server.log), 1, exactly=True)
    s3.set_faults(0)


class _SlowFile:
    """A web server with one generator, which sends the second half of the file when it is told to."""

    def __init__(self, content: bytes) -> None:
        self.url = ""
        self.content = content
        self.rest = threading.Event()


class _Handler(JsonHandler, BaseHTTPRequestHandler):
    state: _SlowFile

    def do_GET(self) -> None:
        content, half = self.state.content, len(self.state.content) // 2
        self.send_response(200)
        for name, text in (("Content-Length", str(len(content))), ("ETag", '"1"')):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content[:half])
        self.state.rest.wait(PATIENCE)
        self.wfile.write(content[half:])


@pytest.mark.slow
@pytest.mark.fault("the whole server is killed (SIGKILL) in a download")
def test_half_a_download_of_a_killed_server_is_never_served(tmp_path: Path, hold: Hold):
    local, cache = tmp_path / "models", tmp_path / "cache"
    local.mkdir()
    generators.write(local, "local")
    content = generators.content("one", 1)
    state = _SlowFile(content)

    def halves() -> list[Path]:
        return [path for path in cache.glob(".*") if path.is_file()]

    with running(_Handler, state):
        places = f"{local},{state.url}/one.onnx"
        settings: dict[str, Any] = {"models_cache": cache, "workers": WORKERS}
        with serving(places, **settings) as server:  # type: ignore[arg-type]
            wait_until(halves)  # the local generator is served meanwhile
            assert [entry["name"] for entry in server.client.get("/v1/models").json()["models"]] == ["local"]
            for process in (psutil.Process(server.process.pid), *server.workers()):
                process.kill()
            server.process.wait()
            server.exit_status = -signal.SIGKILL
        (left,) = halves()
        assert not list(cache.glob("*.onnx"))
        state.rest.set()
        with serving(places, **settings) as server:  # type: ignore[arg-type]
            wait_until(lambda: server.digest("one") == hashlib.sha256(content).hexdigest())
            assert value(server, "seedmint_model_load_failed") == 0
        assert not left.exists()
        hold("temporary files left", len(halves()), 0, exactly=True)
