"""Many images in one response: the three formats, both URLs, the clients of BentoML, and memory."""

import asyncio
import io
import zipfile
from http import HTTPStatus
from pathlib import Path

import bentoml
import httpx
import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from seedmint.service.runtime.generator import Generator
from tests.support.exposition import total
from tests.support.servers import Server, serving, wait_until

PATHS = ("/sample", "/v1/sample")


def post(server: Server, path: str = "/v1/sample", **body: object) -> httpx.Response:
    answer = server.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("path", PATHS)
def test_npz_holds_images_seeds_and_labels(server: Server, rgb: Generator, path: str):
    answer = post(server, path, model="rgb", seeds="5,0-199,5", format="npz")
    assert answer.headers["content-type"] == "application/x-npz"
    with np.load(io.BytesIO(answer.content)) as arrays:
        seeds = np.array([5, *range(200), 5])
        np.testing.assert_array_equal(arrays["seeds"], seeds)
        np.testing.assert_array_equal(arrays["labels"], rgb.labels(seeds))
        np.testing.assert_array_equal(arrays["images"], rgb.generate(seeds))
        assert arrays["seeds"].dtype == arrays["labels"].dtype == np.int64


def test_npz_of_an_unconditional_generator_has_no_labels(server: Server):
    with np.load(io.BytesIO(post(server, model="grey", seeds=[3], format="npz").content)) as arrays:
        assert set(arrays) == {"images", "seeds"}


@pytest.mark.parametrize("path", PATHS)
def test_npy_holds_images(server: Server, rgb: Generator, path: str):
    answer = post(server, path, model="rgb", seeds=[9, 1, 9], labels=[0, 1, 2], truncation=0.25, format="npy")
    expected = rgb.generate(np.array([9, 1, 9]), np.array([0, 1, 2]), 0.25)
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), expected)


@pytest.mark.parametrize("path", PATHS)
def test_zip_is_the_default_and_holds_the_png_of_each_url(server: Server, path: str):
    answer = post(server, path, model="rgb", seeds="0-99", labels=2, truncation=0.5)
    assert answer.headers["content-type"] == "application/zip"
    digest = server.digest("rgb")[:12]
    assert answer.headers["content-disposition"] == f'attachment; filename="rgb-{digest}.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == [f"2/{seed}.png" for seed in range(100)]
        for seed in (0, 64, 99):
            single = server.client.get(f"{server.pinned('rgb')}/{seed}.png?label=2&truncation=0.5", follow_redirects=True)
            assert archive.read(f"2/{seed}.png") == single.content
    assert post(server, path, model="rgb", seeds="0-99", labels=2, truncation=0.5).content == answer.content
    with zipfile.ZipFile(io.BytesIO(post(server, path, model="grey", seeds="7,3").content)) as archive:
        assert archive.namelist() == ["7.png", "3.png"]


def test_a_seed_with_two_labels_gives_two_files(server: Server):
    answer = post(server, model="rgb", seeds=[4, 4], labels=[0, 1])
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["0/4.png", "1/4.png"]


def test_a_request_can_name_a_version(server: Server):
    reference = f"rgb@{server.digest('rgb')[:12]}"
    assert post(server, model=reference, seeds="1").content == post(server, model="rgb", seeds="1").content


def test_the_client_of_bentoml_receives_a_file(server: Server, rgb: Generator):
    with bentoml.SyncHTTPClient(server.url) as client:
        path = client.sample(model="rgb", seeds="0-63", format="npz")
        with np.load(path) as arrays:
            np.testing.assert_array_equal(arrays["images"], rgb.generate(np.arange(64)))
        path = client.sample(model="rgb", seeds=[1, 2], labels=[0, 2], truncation=0.5, format="npy")
        np.testing.assert_array_equal(np.load(path), rgb.generate(np.array([1, 2]), np.array([0, 2]), 0.5))
        with pytest.raises(bentoml.exceptions.BentoMLException, match='"field": "model"') as error:
            client.sample(model="nope", seeds="0")
        assert error.value.error_code == HTTPStatus.NOT_FOUND
        with pytest.raises(TypeError):
            client.sample(model="rgb", seeds="0", colour="red")


def test_the_asynchronous_client_of_bentoml_receives_files_concurrently(server: Server, rgb: Generator):
    async def arrays() -> list[np.ndarray]:
        async with bentoml.AsyncHTTPClient(server.url) as client:
            parts = ("0-99", "100-199")
            paths = await asyncio.gather(*(client.sample(model="rgb", seeds=part, format="npy") for part in parts))
            with pytest.raises(bentoml.exceptions.BentoMLException, match='"field": "model"') as error:
                await client.sample(model="nope", seeds="0")
            assert error.value.error_code == HTTPStatus.NOT_FOUND
            return [np.load(path) for path in paths]

    np.testing.assert_array_equal(np.concatenate(asyncio.run(arrays())), rgb.generate(np.arange(200)))


def test_the_schema_of_bentoml_has_the_fields_of_the_body(server: Server):
    """Clients of BentoML read /schema.json first. For a union of types, BentoML writes the first type."""
    schema = server.client.get("/schema.json").json()
    (route,) = schema["routes"]
    assert (route["name"], route["route"]) == ("sample", "/sample")
    body = server.client.get("/openapi.json").json()["components"]["schemas"]["SampleRequest"]
    assert set(route["input"]["properties"]) == set(body["properties"])
    assert route["input"]["required"] == body["required"] == ["model", "seeds"]
    assert route["output"]["type"] == "file"


def test_a_long_response_is_streamed(models: Path):
    """The memory of the server does not grow with a response of 400,000 images, 230 MB."""
    body = {"model": "rgb", "seeds": "0-399999", "format": "npy"}
    size = 0
    with serving(models, max_seeds=400_000) as server:
        before = memory(server)
        with server.client.stream("POST", "/v1/sample", json=body) as answer:
            for chunk in answer.iter_bytes(1 << 16):
                size += len(chunk)
        assert size == 128 + 400_000 * 16 * 12 * 3
        assert memory(server) - before < 100 << 20


def test_a_client_that_disconnects_stops_the_generation(server: Server):
    """A client that disconnects after the first bytes of 65,536 images: the server generates far fewer images."""
    before = images(server)
    for _ in range(3):
        with server.client.stream("POST", "/v1/sample", json={"model": "rgb", "seeds": "0-65535"}) as answer:
            next(answer.iter_raw(1))
    counts: list[float] = []

    def has_stopped() -> bool:
        counts.append(images(server))
        return len(counts) > 20 and counts[-1] == counts[-20]

    wait_until(has_stopped)
    assert counts[-1] - before < 3 * 65536 / 2


def images(server: Server) -> float:
    text = server.client.get("/metrics").text
    return total(text, "seedmint_batch_size_sum", "rgb")


def memory(server: Server) -> int:
    """Return the resident memory in bytes of the processes of the server."""
    process = psutil.Process(server.process.pid)
    return sum(child.memory_info().rss for child in [process, *process.children(recursive=True)])
