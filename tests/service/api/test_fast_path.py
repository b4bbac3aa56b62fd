"""The fast path of the protocol class and the application send the same bytes for every request."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedmint.service.api.urls import IMAGES, SAMPLES
from seedmint.service.batching.errors import BatchingError, DeadlineExceeded, Draining, GeneratorFailed, Overloaded
from seedmint.service.encoders.images import FORMATS
from seedmint.service.encoders.tabular import SAMPLE_FORMATS
from seedmint.service.problems import Problem
from tests.support.in_process import Answer, Application, Headers, application, message, parse_answer

ORIGIN = "https://page.example"
HEADERS: list[Headers] = [
    (),
    [(b"accept-encoding", b"gzip, br")],
    [(b"range", b"bytes=0-9")],
    [(b"origin", ORIGIN.encode())],
    [(b"origin", b"https://other.example")],
    [(b"accept", b"text/html"), (b"if-modified-since", b"Sat, 28 Nov 2026 12:00:00 GMT")],
    [(b"if-match", b'"other"')],
]
ETAGS = ["{}", "W/{}", '"other", {}', '{},"other"', " {} ", "*", " * ", '"other"', "other", "", '"*"']
SEEDS = ["0", "42", str((1 << 63) - 1), str(1 << 63), "00", "042", "-1", "", "9" * 30, "1e3", "%34%32"]


@pytest.fixture(scope="module")
def images(models: Path) -> Iterator[Application]:
    with application(models) as running:
        yield running


@pytest.fixture(scope="module")
def samples(sample_models: Path) -> Iterator[Application]:
    with application(sample_models) as running:
        yield running


def both(running: Application, method: str, path: str, query: str = "", headers: Headers = ()) -> Answer:
    """Send a request to a protocol with and without the fast path; check that the responses are equal, byte for byte."""
    data = message(method, f"{path}?{query}" if query else path, headers)
    fast = running.exchange(True, data, origins=(ORIGIN,))
    assert fast == running.exchange(False, data, origins=(ORIGIN,))
    return parse_answer(fast)


def has_origin(headers: Headers) -> bool:
    """Return whether the application answers a request because of its headers."""
    return any(name == b"origin" for name, _ in headers)


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("name", ["grey", "rgb"])
@pytest.mark.parametrize("form", FORMATS)
def test_images_are_equal(images: Application, name: str, form: str, headers: Headers):
    before = images.passed_on
    path = f"{images.pinned(name)}/images/42.{form}"
    answer = both(images, "GET", path, headers=headers)
    assert answer.status == 200
    assert answer.header(b"content-length") == b"%d" % len(answer.body)
    head = both(images, "HEAD", path, headers=headers)
    assert (head.status, head.body, head.header(b"content-length")) == (200, b"", None)
    assert images.passed_on == before + 2 * has_origin(headers)


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("name", ["point", "wave"])
@pytest.mark.parametrize("form", [form for form in SAMPLE_FORMATS if form != "txt"])
def test_samples_are_equal(samples: Application, name: str, form: str, headers: Headers):
    before = samples.passed_on
    path = f"{samples.pinned(name)}/samples/42.{form}"
    assert both(samples, "GET", path, headers=headers).status == 200
    assert both(samples, "HEAD", path, headers=headers).status == 200
    assert samples.passed_on == before + 2 * has_origin(headers)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("etags", [*((etag,) for etag in ETAGS), ('"other"', "{}"), ("*", "*"), ('"a"', '"b"')])
def test_conditional_requests_are_equal(images: Application, method: str, etags: tuple[str, ...]):
    path = f"{images.pinned('rgb')}/images/7.png"
    tag = str(both(images, "HEAD", path).header(b"etag"), "ascii")
    headers = [(b"if-none-match", etag.format(tag).encode()) for etag in etags]
    is_current = any("{}" in etag for etag in etags) or [etag.strip() for etag in etags] == ["*"]
    assert both(images, method, path, headers=headers).status == (304 if is_current else 200)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS"]),
    st.sampled_from(["grey", "rgb", "Grey", "nobody", "gr%65y", ""]),
    st.sampled_from(["{}", "{}", "0" * 12, "{}0", "ABCDEF012345", ""]),
    st.sampled_from(["images", "samples", "image", "im%61ges"]),
    st.sampled_from(SEEDS),
    st.sampled_from([*FORMATS, "json", "gif", "PNG", "png.png", ""]),
    st.sampled_from(["", "", "&", "scale=1", "scale=2", "label=0", "label=9", "truncation=0.5", "size=1", "label=1&label=1"]),
    st.sampled_from(HEADERS),
    st.sampled_from([None, *ETAGS]),
)
@settings(max_examples=300)
def test_any_request_is_answered_equally(images, method, name, digest, collection, seed, form, query, headers, etag):  # type: ignore[no-untyped-def]
    own = images.pinned(name if name in ("grey", "rgb") else "grey").rpartition("@")[2]
    path = f"/v1/models/{name}@{digest.format(own)}/{collection}/{seed}.{form}"
    if etag is not None:
        headers = [*headers, (b"if-none-match", etag.format('"0123"').encode())]
    answer = both(images, method, path, query, headers)
    assert answer.status in (200, 304, 308, 400, 404, 405, 422)


ERRORS = [
    (Overloaded("64 images are waiting", retry_after=3), 429, "overloaded"),
    (Overloaded("64 images are waiting"), 429, "overloaded"),
    (Draining("the server is shutting down", retry_after=5), 503, "draining"),
    (DeadlineExceeded("the image was not ready"), 504, "deadline"),
    (GeneratorFailed("the generator failed"), 500, "generator_failed"),
    (Problem(429, "quota exceeded", "seeds", {"Retry-After": "2"}, reason="image_limit"), 429, "image_limit"),
]


@pytest.mark.parametrize(("error", "status", "reason"), ERRORS)
@pytest.mark.parametrize("headers", [(), [(b"origin", ORIGIN.encode())]])
def test_errors_are_equal(
    images: Application,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    reason: str,
    headers: Headers,
):
    _fail_with(images, monkeypatch, error)
    answer = both(images, "GET", f"{images.pinned('grey')}/images/1.png", headers=headers)
    assert answer.status == status
    assert f'"reason": "{reason}"'.encode() in answer.body
    if isinstance(error, BatchingError) and error.retry_after is not None:
        assert answer.header(b"retry-after") == b"%d" % error.retry_after
    assert (answer.header(b"access-control-allow-origin") is not None) == bool(headers)


CANONICAL = ["label=2", "truncation=0.5", "scale=2", "scale=3&truncation=0.25", "label=1&scale=2&truncation=0.5"]
OTHER = [
    "truncation=0.25&scale=2",
    "scale=1",
    "scale=02",
    "size=1",
    "label=2&label=2",
    "scale=2&",
    "truncation=0.50",
    "label=ant",
]


@pytest.mark.parametrize("query", [*CANONICAL, *OTHER])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_fast_path_answers_canonical_urls_with_parameters(images: Application, method: str, query: str):
    before = images.passed_on
    answer = both(images, method, f"{images.pinned('rgb')}/images/1.png", query)
    is_conditional = images.repository.find("rgb", None).generator.card.classes is not None
    is_fast = query in CANONICAL and (is_conditional or "label" not in query)
    assert images.passed_on == before + (not is_fast)
    assert answer.status == 200 if is_fast else answer.status >= 300


@pytest.mark.parametrize(("form", "status"), [("jpg", 200), ("webp", 200), ("avif", 200), ("png", 400), ("npy", 400)])
def test_images_with_a_quality_are_equal(images: Application, form: str, status: int):
    before = images.passed_on
    path = f"{images.pinned('rgb')}/images/1.{form}"
    answer = both(images, "GET", path, "label=1&quality=50&scale=2&truncation=0.5")
    assert (answer.status == 200) == (status == 200)
    assert images.passed_on == before + (status != 200)
    assert both(images, "GET", path, "quality=0").status >= 400


@pytest.mark.parametrize(
    "query", ["truncation=0.5", "label={}", "label={}&truncation=0.5", "truncation=1", "label=99", "scale=2"]
)
@pytest.mark.parametrize("name", ["point", "wave"])
@pytest.mark.parametrize("form", ["json", "csv", "npy"])
def test_samples_with_parameters_are_equal(samples: Application, name: str, form: str, query: str):
    before = samples.passed_on
    path = f"{samples.pinned(name)}/samples/42.{form}"
    generator = samples.repository.find(name, None).generator
    labels = generator.labels(np.array([42]))
    other = 0 if labels is None or labels[0] != 0 else 1  # the canonical URL omits the label that the seed determines
    is_fast = query == "truncation=0.5" or (labels is not None and "{}" in query)
    assert (both(samples, "GET", path, query.format(other)).status == 200) == is_fast
    assert samples.passed_on == before + (not is_fast)


def test_the_fast_path_passes_on_all_other_requests(images: Application):
    path = f"{images.pinned('rgb')}/images/1"
    for target, headers in [
        (f"{path}.gif", ()),
        ("/v1/models/rgb/images/1.png", ()),
        (f"{path}%2Epng", ()),
        (f"{path}.png?scale=400", ()),  # an image of more than 64 KiB
        (f"{path}.png", [(b"content-length", b"0")]),
        (f"{path}.png", [(b"expect", b"100-continue")]),
    ]:
        before = images.passed_on
        both(images, "GET", target, headers=headers)
        assert images.passed_on == before + 1, target


@pytest.mark.parametrize("origins", [("*",), (ORIGIN,), ()])
def test_headers_for_other_origins_are_equal(images: Application, origins: tuple[str, ...]):
    data = message("GET", f"{images.pinned('rgb')}/images/1.png")
    assert images.exchange(True, data, origins=origins) == images.exchange(False, data, origins=origins)


def test_http_1_0_requests_are_equal(images: Application):
    before = images.passed_on
    data = f"GET {images.pinned('rgb')}/images/1.png HTTP/1.0\r\nX-Request-Id: 1\r\n\r\n".encode()
    assert images.exchange(True, data) == images.exchange(False, data)
    assert images.passed_on == before + 1


def test_the_metrics_have_the_route_template(images: Application, samples: Application):
    resources = (
        (images, f"{images.pinned('grey')}/images/1.png", IMAGES),
        (samples, f"{samples.pinned('wave')}/samples/1.csv", SAMPLES),
    )
    for running, path, template in resources:
        match = running.resources.match("GET", path.encode(), b"", ())
        assert match is not None
        assert match.template == template


def _fail_with(running: Application, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let every single image of the generator `grey` fail."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(running.repository.find("grey", None).batcher, "submit", fail)
