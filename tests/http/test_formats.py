"""Formats of single images: JPEG, AVIF and WebP with a quality, and the choice of a format by the header Accept."""

import asyncio
import io
import threading

import numpy as np
import pytest
from PIL import Image, features

from seedmint.models.card import ImageOutput
from seedmint.service.encoders.images import ENCODERS
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.single import ImageSpec
from tests.support import generators
from tests.support.in_process import Application, application, request
from tests.support.servers import Server


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory):
    """Generators of gray, color and transparent images, and of images of more than 262,144 pixels."""
    directory = tmp_path_factory.mktemp("formats")
    generators.write(directory, "grey", 1)
    generators.write(directory, "rgba", 2, output=ImageOutput(height=8, width=8, channels=4))
    with pytest.MonkeyPatch.context() as small_file:
        small_file.setattr(generators, "HIDDEN", 2)
        generators.write(directory, "large", 2, output=ImageOutput(height=520, width=520, channels=3))
    with application(directory) as found:
        yield found


@pytest.mark.parametrize(("form", "pillow"), [("jpg", "JPEG"), ("avif", "AVIF"), ("webp", "WEBP")])
def test_a_lossy_image_is_near_the_pixels(server: Server, rgb: Generator, form: str, pillow: str):
    expected = np.repeat(np.repeat(rgb.generate(np.array([42]))[0], 16, 0), 16, 1).astype(int)
    url = f"{server.pinned('rgb')}/42.{form}"
    answers = {q: server.client.get(f"{url}?quality={q}&scale=16") for q in (20, 80, 100)}
    assert {answer.status_code for answer in answers.values()} == {200}
    images = {q: Image.open(io.BytesIO(answer.content)) for q, answer in answers.items()}
    assert {image.format for image in images.values()} == {pillow}
    errors = {q: np.abs(np.asarray(image.convert("RGB")).astype(int) - expected).mean() for q, image in images.items()}
    assert errors[100] < errors[20]
    assert errors[100] < 6
    assert len(answers[20].content) < len(answers[100].content)
    assert len({answer.headers["etag"] for answer in answers.values()}) == 3
    again = server.client.get(answers[80].url)
    assert again.content == answers[80].content


def test_a_quality_is_canonical(server: Server):
    url = server.pinned("rgb")
    assert server.client.get(f"{url}/1.jpg?quality=90").headers["location"] == f"{url}/1.jpg"
    assert server.client.get(f"{url}/1.avif?quality=75").headers["location"] == f"{url}/1.avif"
    assert server.client.get(f"{url}/1.webp").content != server.client.get(f"{url}/1.webp?quality=100").content
    for query, status, reason in [
        ("png?quality=5", 400, "lossless"),
        ("npy?quality=5", 400, "lossless"),
        ("jpg?quality=0", 422, "out_of_range"),
        ("jpg?quality=101", 422, "out_of_range"),
        ("jpg?quality=9.5", 400, None),
    ]:
        problem = server.client.get(f"{url}/1.{query}")
        assert (problem.status_code, problem.json()["field"]) == (status, "quality")
        assert reason in (None, problem.json()["reason"])


def test_the_encoders_name_their_libraries():
    assert features.version("libjpeg_turbo") in ENCODERS["jpg"]
    assert features.version("avif") in ENCODERS["avif"]
    assert "aom" in ENCODERS["avif"]


def test_jpeg_has_no_opacity(app: Application):
    answer = app.send(app.routes, "GET", f"{app.pinned('rgba')}/images/1.jpg")
    assert answer.status == 404
    avif = app.send(app.routes, "GET", f"{app.pinned('rgba')}/images/1.avif")
    assert Image.open(io.BytesIO(avif.body)).mode == "RGBA"


CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
ACCEPT = [
    (None, "", "png"),
    ("*/*", "", "png"),
    ("image/*", "", "png"),
    ("*/*", "quality=50", "jpg?quality=50"),
    (CHROME, "", "avif"),
    (CHROME, "quality=50&scale=2", "avif?quality=50&scale=2"),
    ("image/webp, image/png;q=0.9", "", "webp"),
    ("image/webp;q=0.5, image/png;q=0.9", "", "png"),
    ("image/jpeg", "", "jpg"),
    ("IMAGE/JPEG ; Q=0.3, text/html", "", "jpg"),
    ("image/png;q=0, image/*", "", "avif"),
    ("application/x-npy", "", "npy"),
    ("image/webp;q=2, image/png;q=0.5", "", "webp"),
]


@pytest.mark.parametrize(("accept", "query", "expected"), ACCEPT)
def test_the_header_accept_selects_the_format(app: Application, accept: str | None, query: str, expected: str):
    headers = [] if accept is None else [(b"accept", accept.encode())]
    for path, cache_control in [
        (f"{app.pinned('grey')}/images/42", b"public, max-age=31536000, immutable"),
        ("/v1/models/grey/images/42", b"no-store"),
    ]:
        answer = app.send(app.routes, "GET", path, query, headers)
        assert (answer.status, answer.header(b"location")) == (307, f"{app.pinned('grey')}/images/42.{expected}".encode())
        assert answer.header(b"vary") == b"Accept"
        assert answer.header(b"cache-control") == cache_control


@pytest.mark.parametrize(
    ("path", "accept", "status", "field"),
    [
        ("grey/images/42", b"text/html", 406, "Accept"),
        ("rgba/images/42", b"image/jpeg", 406, "Accept"),
        ("grey/images/42?quality=5", b"image/png", 406, "Accept"),
        ("grey/images/042", b"*/*", 400, "seed"),
        ("grey/images/42?size=1", b"*/*", 400, "size"),
    ],
)
def test_a_format_that_cannot_be_chosen(app: Application, path: str, accept: bytes, status: int, field: str):
    path, _, query = path.partition("?")
    answer = app.send(app.routes, "GET", f"/v1/models/{path}", query, [(b"accept", accept)])
    assert answer.status == status
    assert f'"field": "{field}"'.encode() in answer.body


@pytest.mark.parametrize("file", ["0.avif", "0.jpg", "0.webp?quality=80"])
def test_the_encoding_of_a_large_image_holds_nobody_up(app: Application, file: str, monkeypatch: pytest.MonkeyPatch):
    """Other images are answered while large images wait for their encoder."""
    name, _, query = file.partition("?")
    release, encode = threading.Event(), ImageSpec.encode

    def blocking(spec, *arguments):  # type: ignore[no-untyped-def]
        if spec.seed == 0 and spec.format == name[2:]:
            assert release.wait(60)
        return encode(spec, *arguments)

    monkeypatch.setattr(ImageSpec, "encode", blocking)

    async def scenario() -> None:
        large = [
            asyncio.create_task(request(app.routes, "GET", f"{app.pinned('large')}/images/{name}", query)) for _ in range(3)
        ]
        others = [await request(app.routes, "GET", f"{app.pinned('grey')}/images/{seed}.png") for seed in range(4)]
        others.append(await request(app.routes, "GET", f"{app.pinned('large')}/images/1.npy"))
        assert not any(task.done() for task in large)
        release.set()
        assert {answer.status for answer in [*others, *await asyncio.gather(*large)]} == {200}

    app.runner.run(scenario())
