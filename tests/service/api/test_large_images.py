"""Large images are encoded outside the inference thread."""

import asyncio
import io
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from seedmint.models.card import ImageOutput
from seedmint.service.api import encoding_threads
from seedmint.service.api.pinned import PinnedResources
from seedmint.service.batching.errors import DeadlineExceeded
from seedmint.service.server.replies import Reply
from seedmint.service.specs.single import ImageSpec
from seedmint.service.telemetry.request_context import RequestContext
from tests.support import generators
from tests.support.in_process import Application, application, message, parse_answer, request

SIDE = 520


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A generator of images of more than 262,144 pixels, and the small generator `grey`."""
    directory = tmp_path_factory.mktemp("large")
    generators.write(directory, "grey", 1)
    with pytest.MonkeyPatch.context() as small_file:
        small_file.setattr(generators, "HIDDEN", 2)
        generators.write(directory, "large", 2, output=ImageOutput(height=SIDE, width=SIDE, channels=1))
    with application(directory) as found:
        yield found


@pytest.fixture
def encoding(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Block the encoding of every PNG of the seed 0 until the event is set."""
    release = threading.Event()
    encode = ImageSpec.encode

    def blocking(spec, *arguments):  # type: ignore[no-untyped-def]
        if spec.seed == 0 and spec.format == "png":
            assert release.wait(30)
        return encode(spec, *arguments)

    monkeypatch.setattr(ImageSpec, "encode", blocking)
    yield release
    release.set()


@pytest.mark.parametrize("query", ["", "truncation=0.5"])
def test_the_encoding_of_a_large_image_delays_no_other_request(running: Application, encoding: threading.Event, query: str):
    app = running.routes
    base = f"{running.pinned('large')}/images"

    async def scenario() -> None:
        large = asyncio.create_task(request(app, "GET", f"{base}/0.png", query))
        async with asyncio.timeout(20):
            others = [await request(app, "GET", f"{base}/{seed}.npy") for seed in range(1, 6)]
            others.append(await request(app, "GET", f"{running.pinned('grey')}/images/1.png"))
        assert {answer.status for answer in others} == {200}
        assert np.load(io.BytesIO(others[0].body)).shape == (SIDE, SIDE, 1)
        assert not large.done()
        encoding.set()
        answer = await large
        assert answer.status == 200
        assert Image.open(io.BytesIO(answer.body)).size == (SIDE, SIDE)

    running.runner.run(scenario())


def test_the_bytes_are_the_bytes_of_the_spec(running: Application):
    generator = running.repository.find("large", None).generator
    path = f"{running.pinned('large')}/images/5.png"
    expected = ImageSpec.create(generator, 5, "png").encode(generator, generator.generate(np.array([5])), None)
    assert parse_answer(running.exchange(True, message("GET", path))).body == expected
    assert running.send(running.routes, "GET", path).body == expected


def test_a_large_image_that_is_too_slow_is_504(running: Application, encoding: threading.Event):
    settings = running.settings.model_copy(update={"timeout_seconds": 0.3})
    resources = PinnedResources(running.repository, settings)
    match = resources.match("GET", f"{running.pinned('large')}/images/0.png".encode(), b"", ())
    assert match is not None
    assert not isinstance(match.result, Reply)
    pending = match.result

    async def scenario() -> None:
        with pytest.raises(DeadlineExceeded):
            await pending.submit(RequestContext(b"test"))
        resources.close()

    running.runner.run(scenario())


def test_too_many_large_images_are_rejected(running: Application, encoding: threading.Event, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(encoding_threads, "_MAX_IMAGE_BYTES", 2 * SIDE * SIDE)
    base = f"{running.pinned('large')}/images"

    async def scenario() -> None:
        admitted = [asyncio.create_task(request(running.routes, "GET", f"{base}/0.png")) for _ in range(2)]
        await asyncio.sleep(0.1)
        rejected = await request(running.routes, "GET", f"{base}/1.png")
        assert rejected.status == 429
        assert rejected.header(b"retry-after") == b"1"
        encoding.set()
        assert {answer.status for answer in await asyncio.gather(*admitted)} == {200}
        assert (await request(running.routes, "GET", f"{base}/1.png")).status == 200

    running.runner.run(scenario())
