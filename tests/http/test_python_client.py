"""`seedmint.Client` and `seedmint.AsyncClient` against a real server; retries against a scripted transport."""

import asyncio
import hashlib
import json
import socket
import threading
import zipfile
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import seedmint
from seedmint import api_requests
from seedmint.models.errors import UserError
from seedmint.service.encoders.images import encode
from seedmint.service.runtime.generator import Generator
from tests.support.errors import raises
from tests.support.servers import Server, serving


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a client would have waited before each further attempt."""
    waits: list[float] = []
    real = api_requests.wait_seconds

    def recorded(state) -> float:
        waits.append(real(state))
        return 0.0

    monkeypatch.setattr(api_requests, "wait_seconds", recorded)
    return waits


def test_the_client_lists_and_shows_generators(server: Server):
    with seedmint.Client(server.url) as client:
        assert [model["name"] for model in client.models()] == ["grey", "rgb"]
        assert client.model("rgb")["digest"] == server.digest("rgb")
        with pytest.raises(seedmint.ApiError) as error:
            client.model("none")
        assert (error.value.status, error.value.field) == (404, "model")


def test_the_client_returns_the_image_of_the_generator(server: Server, rgb: Generator):
    with seedmint.Client(server.url) as client:
        content = client.image("rgb", 7, format="npy", label=2, truncation=0.5)
        expected = rgb.generate(np.array([7]), np.array([2]), 0.5)[0]
        assert content == encode(expected, "npy")
        url = client.image_url("rgb", 7, label=2, truncation=0.5)
        assert url == f"{server.url}/v1/models/rgb@{rgb.digest12}/images/7.png?label=2&truncation=0.5"
        assert httpx.get(url).content == client.image("rgb", 7, label=2, truncation=0.5)


def test_many_images_are_one_array(server: Server, rgb: Generator):
    seeds = np.arange(100)
    with seedmint.Client(server.url) as client:
        for form in (range(100), "0-99", list(range(100)), seeds):
            np.testing.assert_array_equal(client.images("rgb", form), rgb.generate(seeds))
        np.testing.assert_array_equal(
            client.images("rgb", [3, 5], labels=[1, 0]), rgb.generate(seeds[[3, 5]], np.array([1, 0]))
        )
        with pytest.raises(seedmint.ApiError) as error:
            client.images("rgb", range(3), labels=9)
        assert (error.value.status, error.value.field) == (422, "labels")


def test_many_samples_are_one_array(sample_server: Server, point: Generator):
    with seedmint.Client(sample_server.url) as client:
        np.testing.assert_array_equal(client.images("point", range(10)), point.generate(np.arange(10)))
        assert json.loads(client.image("point", 5, format="json"))["seed"] == 5


def test_a_download_appears_complete(server: Server, tmp_path: Path):
    with seedmint.Client(server.url) as client:
        client.download("rgb", range(30), tmp_path / "images.zip", labels=1)
    with zipfile.ZipFile(tmp_path / "images.zip") as archive:
        assert len(archive.namelist()) == 30
    assert [path.name for path in tmp_path.iterdir()] == ["images.zip"]


def test_the_asynchronous_client_gives_the_same(server: Server, rgb: Generator, tmp_path: Path):
    async def run() -> None:
        async with seedmint.AsyncClient(server.url) as client:
            assert [model["name"] for model in await client.models()] == ["grey", "rgb"]
            images = await asyncio.gather(*(client.images("rgb", [seed]) for seed in range(20)))
            np.testing.assert_array_equal(np.concatenate(images), rgb.generate(np.arange(20)))
            await client.download("rgb", range(5), tmp_path / "images.npy")
            with pytest.raises(seedmint.ApiError):
                await client.image("none", 1)
            assert (await client.image("rgb", 3)).startswith(b"\x89PNG")
            with seedmint.Client(server.url) as other:
                assert await client.image_url("rgb", 3, label=1) == other.image_url("rgb", 3, label=1)

    asyncio.run(run())
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), rgb.generate(np.arange(5)))


def test_a_job_is_submitted_awaited_and_downloaded(models: Path, tmp_path: Path):
    with serving(models, jobs_url=tmp_path / "jobs") as server, seedmint.Client(server.url) as client:
        job = client.submit_job("rgb", range(40), labels="balanced", format="npz", shard_size=20)
        assert client.submit_job(["rgb"], range(40), labels="balanced", format="npz", shard_size=20)["id"] == job["id"]
        states: list[str] = []
        last = client.wait_for_job(job["id"], lambda state: states.append(state["state"]), poll=0.05)
        assert (last["state"], last["images_done"], states[-1]) == ("done", 40, "done")
        assert [entry["id"] for entry in client.jobs()] == [job["id"]]
        client.download_job_file(job["id"], "manifest.json", tmp_path / "manifest.json")
        manifest = json.loads((tmp_path / "manifest.json").read_text())
        shard = manifest["shards"][0]
        name = next(value for value in shard.values() if isinstance(value, str) and value.startswith("data/"))
        client.download_job_file(job["id"], name, tmp_path / "shard.npz")
        assert hashlib.sha256((tmp_path / "shard.npz").read_bytes()).hexdigest() == shard["sha256"]
        assert client.cancel_job(job["id"])["state"] == "done"
        sizes = {file["name"]: file["bytes"] for file in client.job_files(job["id"])}
        assert sizes[name] == (tmp_path / "shard.npz").stat().st_size
        client.remove_job(job["id"])
        assert list(client.jobs()) == []
        parts = client.submit_job("rgb", splits={"train": range(4), "test": "4-5"}, labels="0:2,1:1")
        assert (parts["splits"], parts["labels"]) == ({"train": 4, "test": 2}, {"0": 2, "1": 1})
        with pytest.raises(seedmint.ApiError) as refused:
            client.submit_job("rgb", range(4), filter="margin > 0.9")
        assert (refused.value.status, refused.value.field, refused.value.reason) == (422, "filter", "no_classifier")


def scripted(*responses: httpx.Response | Exception) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """A transport that gives these responses in turn, and the requests that it received."""
    requests: list[httpx.Request] = []
    remaining = list(responses)

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        response = remaining.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    return httpx.MockTransport(answer), requests


def refusal(status: int, **headers: str) -> httpx.Response:
    problem = {"type": "about:blank", "title": "Refused", "status": status, "detail": "no", "reason": "overloaded"}
    return httpx.Response(status, json=problem, headers=headers)


def test_requests_that_may_succeed_later_are_repeated(no_waits: list[float]):
    transport, requests = scripted(
        refusal(429, **{"Retry-After": "7"}),
        httpx.ConnectError("refused"),
        refusal(503),
        httpx.Response(200, json={"models": []}),
    )
    with seedmint.Client("http://server", api_key="secret", transport=transport) as client:
        assert client.models() == []
    assert len(requests) == 4
    assert requests[0].headers["authorization"] == "Bearer secret"
    assert no_waits[0] == 7.0


@pytest.mark.parametrize("after", ["45", "date", "-1", "soon", "", f"1 Jan 2020 00:00:00 +{10**14}"])
def test_the_time_of_the_server_is_kept(no_waits: list[float], after: str):
    text = format_datetime(datetime.now(UTC) + timedelta(seconds=45), usegmt=True) if after == "date" else after
    transport, _ = scripted(refusal(503, **{"Retry-After": text}), httpx.Response(200, json={"models": []}))
    with seedmint.Client("http://server", transport=transport) as client:
        assert client.models() == []
    if after in ("45", "date"):
        assert 1 < no_waits[0] <= 45
    else:
        assert 0 <= no_waits[0] < 1  # a time of the client's own


def test_a_client_does_not_wait_for_hours(no_waits: list[float]):
    transport, requests = scripted(refusal(429, **{"Retry-After": "86400"}))
    with seedmint.Client("http://server", transport=transport) as client, pytest.raises(seedmint.ApiError) as error:
        client.models()
    assert (error.value.retry_after, len(requests), no_waits) == (86400, 1, [])


def test_a_truncated_download_is_repeated(no_waits: list[float], rgb: Generator, tmp_path: Path):
    """The first response ends before its length, as when a server dies."""
    whole = encode(rgb.generate(np.arange(50))[0], "npy")
    answers = [whole[: len(whole) // 2], whole]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for body in answers:
                connection, _ = listener.accept()
                with connection:
                    request = b""
                    while not request.endswith(b"}"):  # the whole body: to close the connection before would reset it
                        request += connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(whole), body))

        thread = threading.Thread(target=serve)
        thread.start()
        with seedmint.Client(f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            client.download("rgb", range(50), tmp_path / "images.npy")
        thread.join()
    assert (tmp_path / "images.npy").read_bytes() == whole
    assert len(no_waits) == 1


@pytest.mark.parametrize(
    "url", ["localhost:3000", "ftp://server", "", "http://", "server", "http://[::1", "http://a\n", "http://a:port", None]
)
def test_a_url_that_is_none_of_a_server_is_refused(url: Any):
    for client in (seedmint.Client, seedmint.AsyncClient):
        with raises(UserError, "malformed", "url"):
            client(url)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda client: client.images("rgb", [0.5]), "seeds"),
        (lambda client: client.images("rgb", -1), "seeds"),
        (lambda client: client.images("rgb", None), "seeds"),
        (lambda client: client.images("rgb", range(3), labels="12"), "labels"),
        (lambda client: client.images("rgb", range(2), labels=[0, 1.5]), "labels"),
        (lambda client: client.from_latents("rgb", np.zeros((1, 4)), labels="ant"), "labels"),
        (lambda client: client.latents("rgb", 1.5), "seed"),
        (lambda client: client.submit_job("rgb", splits={"train": [0.5]}), "splits"),
        (lambda client: client.model(".."), "model"),
        (lambda client: client.job(""), "job"),
        (lambda client: client.download_job_file("1", "data/../../2", "file"), "name"),
    ],
)
def test_a_wrong_value_is_not_sent(call: Any, field: str):
    transport, requests = scripted()
    with seedmint.Client("http://server", transport=transport) as client, pytest.raises(UserError) as error:
        call(client)
    assert (error.value.field, requests) == (field, [])


def test_numbers_of_numpy_are_sent(no_waits: list[float]):
    transport, requests = scripted(httpx.Response(200, json={"id": "1"}), httpx.Response(200, json={"id": "1"}))
    with seedmint.Client("http://server", transport=transport) as client:
        client.submit_job("rgb", np.arange(3), np.int64(1), np.float32(0.5), shard_size=np.int64(2))
        client.submit_job("rgb", splits={"train": range(0, 6, 2)})
    body = {"model": "rgb", "truncation": 0.5, "labels": 1, "shard_size": 2, "seeds": [0, 1, 2]}
    assert json.loads(requests[0].content) == body
    assert json.loads(requests[1].content)["splits"] == {"train": "0,2,4"}


def test_names_are_one_segment_of_the_url(no_waits: list[float]):
    transport, requests = scripted(
        httpx.Response(200, json={"output": {"kind": "image"}}), httpx.Response(200, json={"state": "done"})
    )
    with seedmint.Client("http://server", transport=transport) as client:
        client.model("a/b?c=d")
        client.job("../models")
    assert [request.url.raw_path for request in requests] == [b"/v1/models/a%2Fb%3Fc%3Dd", b"/v1/jobs/..%2Fmodels"]


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500, 504])
def test_requests_that_fail_again_are_not_repeated(no_waits: list[float], status: int):
    transport, requests = scripted(refusal(status))
    with seedmint.Client("http://server", transport=transport) as client, pytest.raises(seedmint.ApiError) as error:
        client.models()
    assert (error.value.status, error.value.reason, len(requests)) == (status, "overloaded", 1)


def test_the_number_of_attempts_is_limited(no_waits: list[float], tmp_path: Path):
    transport, requests = scripted(*(refusal(429) for _ in range(3)))
    with seedmint.Client("http://server", attempts=3, transport=transport) as client, pytest.raises(seedmint.ApiError):
        client.download("rgb", range(3), tmp_path / "images.npy")
    assert len(requests) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("page", [b"<html>Bad gateway</html>", b"[" * 100_000])
def test_an_error_page_of_a_proxy_is_an_error(page: bytes, no_waits: list[float]):
    transport, _ = scripted(httpx.Response(502, content=page))
    with seedmint.Client("http://server", transport=transport) as client, pytest.raises(seedmint.ApiError) as error:
        client.models()
    assert error.value.status == 502


_HTML = {"text": "<html>Welcome</html>", "headers": {"Content-Type": "text/html; charset=utf-8"}}


@pytest.mark.parametrize(
    "answer",
    [
        _HTML,
        {"text": "<html>Welcome</html>"},
        {"content": b'{"models": [{"name": "mni'},
        {"content": b"\xff\xfe"},
        {"content": b"[" * 100_000},
        {"json": {"message": "hello"}},
        {"json": {"models": 5, "output": {}, "jobs": {}, "files": None, "state": 1}},
        {"json": ["models"]},
        {"content": b""},
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.models(),
        lambda client: client.image("mnist", 42),
        lambda client: client.images("mnist", range(2)),
        lambda client: client.latents("mnist", 42),
        lambda client: list(client.jobs()),
        lambda client: list(client.job_files("1")),
        lambda client: client.wait_for_job("1"),
        lambda client: client.submit_job("mnist", range(2)),
    ],
)
def test_a_host_that_is_no_seedmint_server_is_an_error(call: Any, answer: dict[str, Any]):
    transport, requests = scripted(httpx.Response(200, **answer))
    with seedmint.Client("http://server", transport=transport) as client, pytest.raises(seedmint.ApiError) as error:
        call(client)
    assert (error.value.status, error.value.reason, len(requests)) == (200, "unexpected_response", 1)


@pytest.mark.parametrize("length", ["9" * 30, "-" * 5000 + "1"])
def test_a_file_with_a_wrong_header_is_no_array(length: str):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({length},)}}\n".encode()
    content = b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header
    transport, _ = scripted(httpx.Response(200, content=content))
    with seedmint.Client("http://server", transport=transport) as client, pytest.raises(seedmint.ApiError) as error:
        client.images("mnist", range(2))
    assert error.value.reason == "unexpected_response"


def test_a_page_is_not_written_to_a_file(tmp_path: Path):
    transport, _ = scripted(httpx.Response(200, **_HTML), httpx.Response(200, **_HTML))

    async def download() -> None:
        async with seedmint.AsyncClient("http://server", transport=transport) as client:
            await client.download("mnist", range(2), tmp_path / "images.npy")

    with pytest.raises(seedmint.ApiError) as error:
        asyncio.run(download())
    assert error.value.reason == "unexpected_response"
    with seedmint.Client("http://server", transport=transport) as client, pytest.raises(seedmint.ApiError):
        client.download_job_file("1", "manifest.json", tmp_path / "manifest.json")
    assert list(tmp_path.iterdir()) == []
