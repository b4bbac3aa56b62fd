"""Canonical URLs: all spellings of the same spec give one URL, and this URL gives the same spec again."""

import random
from collections.abc import Callable, Mapping
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedmint.service.api.query import parse_image, parse_sample, parse_sheet, parse_walk
from seedmint.service.api.urls import Spec, canonical_url
from seedmint.service.runtime.generator import Generator
from tests.http.test_images import runs
from tests.http.test_problems import check
from tests.support.servers import Server

Parse = Callable[[Generator, str, str], Spec]

SEEDS = st.integers(0, (1 << 63) - 1)
# Decimal numbers with and without superfluous digits: 1, 0.7, 0.70, 0.700000001.
TRUNCATIONS = st.one_of(
    st.none(),
    st.decimals(min_value="0.001", max_value="1", places=12).map(lambda number: f"{number:f}"),
    st.tuples(st.integers(1, 1000), st.integers(0, 6)).map(lambda parts: f"{parts[0] / 1000:.3f}" + "0" * parts[1]),
)
RANGES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), min_size=1, max_size=6)


def random_query(parameters: Mapping[str, object], chance: random.Random) -> str:
    """Return a query string in random order, with some characters percent-encoded."""
    items = [(name, str(value)) for name, value in parameters.items() if value is not None]
    chance.shuffle(items)
    return "&".join(f"{escaped(name, chance)}={escaped(value, chance)}" for name, value in items)


def escaped(text: str, chance: random.Random) -> str:
    return "".join(f"%{ord(letter):02X}" if chance.random() < 0.2 else quote(letter) for letter in text)


def canonical(parse: Parse, generator: Generator, file: str, query: str) -> str:
    """Return the canonical URL; check that it gives the same spec and itself again."""
    spec = parse(generator, file, query)
    url = canonical_url(generator, spec)
    path, _, canonical_query = url.partition("?")
    again = parse(generator, path.split("/")[-1].removeprefix("grid.").removeprefix("walk."), canonical_query)
    assert again == spec
    assert canonical_url(generator, again) == url
    assert len(url) <= len(f"{path}?{query}")
    return url


def float32_bytes(truncation: str | None) -> bytes:
    return np.float32(float(truncation or 1)).tobytes()


@given(SEEDS, *[st.tuples(st.sampled_from([None, 0, 1, 2]), TRUNCATIONS, st.sampled_from([None, 1, 2]))] * 2, st.randoms())
def test_equal_images_have_one_url_and_other_images_other_urls(rgb: Generator, seed: int, one, other, chance):
    urls, meanings = set(), set()
    for label, truncation, scale in (one, one, other):
        query = random_query({"label": label, "truncation": truncation, "scale": scale}, chance)
        urls.add(canonical(parse_image, rgb, f"{seed}.png", query))
        own = int(rgb.labels(np.array([seed]))[0])  # type: ignore[index]
        meanings.add((own if label is None else label, float32_bytes(truncation), scale or 1))
    assert len(urls) == len(meanings)


@given(*[st.tuples(RANGES, st.sampled_from([None, 1, 2, 5, 1024]), st.sampled_from([None, 1]), TRUNCATIONS)] * 2, st.randoms())
def test_equal_sheets_have_one_url_and_other_sheets_other_urls(rgb: Generator, one, other, chance):
    urls, meanings = set(), set()
    for ranges, columns, label, truncation in (one, one, other):
        seeds = [seed for first, more in ranges for seed in range(first, first + more + 1)]
        texts = [f"{first}-{first + more}" for first, more in ranges], [f" {seed} " for seed in seeds]
        query = random_query(
            {"seeds": ",".join(chance.choice(texts)), "columns": columns, "label": label, "truncation": truncation}, chance
        )
        urls.add(canonical(parse_sheet, rgb, "webp", query))
        own = rgb.labels(np.array(seeds))
        assert own is not None
        labels = own.tolist() if label is None else [label] * len(seeds)
        columns = min(len(seeds), columns or int(np.ceil(np.sqrt(len(seeds)))))
        meanings.add((tuple(seeds), columns, tuple(labels), float32_bytes(truncation)))
    assert len(urls) == len(meanings)


WALKS = st.tuples(
    SEEDS, SEEDS, st.sampled_from([None, 2, 32]), st.sampled_from([None, 1]), TRUNCATIONS, st.sampled_from([0, 3])
)


@given(WALKS, WALKS, st.sampled_from([None, 80, 90]), st.randoms())
def test_equal_walks_have_one_url_and_other_walks_other_urls(rgb: Generator, one, other, duration, chance):
    urls, meanings = set(), set()
    names = ("from", "to", "frames", "label", "truncation", "loop")
    for walk in (one, one, other):
        query = random_query(dict(zip(names, walk, strict=True)) | {"duration": duration}, chance)
        urls.add(canonical(parse_walk, rgb, "gif", query))
        start, end, frames, label, truncation, loop = walk
        own = int(rgb.labels(np.array([start]))[0])  # type: ignore[index]
        meanings.add((start, end, frames or 32, own if label is None else label, float32_bytes(truncation), loop or 0))
    assert len(urls) == len(meanings)


@given(SEEDS, st.sampled_from([None, 0, 1, 2]), TRUNCATIONS, st.randoms())
def test_a_sample_has_a_canonical_url(point: Generator, seed: int, label, truncation, chance):
    query = random_query({"label": label, "truncation": truncation}, chance)
    url = canonical(parse_sample, point, f"{seed}.csv", query)
    assert url.count("label") == (label is not None and label != point.labels(np.array([seed]))[0])  # type: ignore[index]


# For the generator `rgb`, seed 42 determines label 1, and seed 1 determines label 0.
SPELLINGS = [
    ("images/42.png?scale=1", "images/42.png"),
    ("images/42.png?label=1", "images/42.png"),
    ("images/42.jpg?quality=90", "images/42.jpg"),
    ("images/42.avif?scale=2&quality=50", "images/42.avif?quality=50&scale=2"),
    ("images/42.png?truncation=1", "images/42.png"),
    ("images/42.png?truncation=1.000", "images/42.png"),
    ("images/42.png?truncation=0.999999999", "images/42.png"),
    ("images/42.png?truncation=0.70", "images/42.png?truncation=0.7"),
    ("images/42.png?truncation=0.700000001", "images/42.png?truncation=0.7"),
    ("images/42.png?truncation=00.7", "images/42.png?truncation=0.7"),
    ("images/42.png?scale=2&label=2", "images/42.png?label=2&scale=2"),
    ("images/42.png?scale=2&", "images/42.png?scale=2"),
    ("images/42.png?&", "images/42.png"),
    ("images/%34%32.png?scale=1", "images/42.png"),
    ("grid.png?seeds=0,1,2", "grid.png?seeds=0-2"),
    ("grid.png?seeds=0%2C%202", "grid.png?seeds=0,2"),
    ("grid.png?seeds=0-9&columns=2", "grid.png?columns=2&seeds=0-9"),
    ("grid.png?seeds=0-8&columns=3", "grid.png?seeds=0-8"),
    ("grid.png?seeds=0-8&columns=10", "grid.png?columns=9&seeds=0-8"),
    ("grid.png?seeds=42&label=1", "grid.png?seeds=42"),
    ("gr%69d.webp?seeds=0-8&scale=1", "grid.webp?seeds=0-8"),
    ("images/42.png?label=cat", "images/42.png?label=2"),
    ("grid.png?seeds=0-8&label=cat", "grid.png?label=2&seeds=0-8"),
    ("walk.webp?to=2&from=1", "walk.webp?from=1&to=2"),
    ("walk.webp?from=1&to=2&frames=32&label=0&truncation=1&scale=1&duration=80&loop=0", "walk.webp?from=1&to=2"),
    ("walk.gif?from=1&to=2&loop=2&duration=90&scale=2", "walk.gif?duration=90&from=1&loop=2&scale=2&to=2"),
    ("walk.png?from=1&to=2&label=2&frames=9", "walk.png?frames=9&from=1&label=2&to=2"),
]


@pytest.mark.parametrize(("spelling", "expected"), SPELLINGS)
def test_another_spelling_redirects_permanently_in_one_step(server: Server, spelling: str, expected: str):
    base = server.pinned("rgb").removesuffix("/images")
    before = runs(server)
    for method in ("GET", "HEAD"):
        pinned = send(server, method, f"{base}/{spelling}")
        assert (pinned.status_code, pinned.headers["location"], pinned.content) == (308, f"{base}/{expected}", b"")
        assert pinned.headers["cache-control"] == "public, max-age=31536000, immutable"
        now = send(server, method, f"/v1/models/rgb/{spelling}")
        assert (now.status_code, now.headers["location"], now.headers["cache-control"]) == (
            307,
            f"{base}/{expected}",
            "no-store",
        )
    assert send(server, "HEAD", f"{base}/{expected}").status_code == 200
    assert send(server, "GET", f"{base}/{spelling}", **{"If-None-Match": "*"}).status_code == 308
    assert runs(server) == before


def test_an_invalid_parameter_is_reported_before_the_redirect(server: Server):
    base = server.pinned("rgb").removesuffix("/images")
    for model in (base, "/v1/models/rgb"):
        check(send(server, "GET", f"{model}/images/42.png?scale=1&size=2"), 400, "size")
        check(send(server, "GET", f"{model}/images/42.png?scale=1&scale=1"), 400, "scale")
        check(send(server, "GET", f"{model}/images/042.png?scale=1"), 400, "seed")
        check(send(server, "GET", f"{model}/images/42.png?scale=1&label=7"), 422, "label")


# A proxy that encodes these characters would send a redirected request again as it was.
ENCODED = [
    ("images/42.png", "images/%34%32.png"),
    ("images/42.png?label=2&scale=2", "images/42%2Epng?label=2&scale=2"),
    ("images/42.png?scale=2", "images/42.png?scal%65=%32"),
    ("grid.png?seeds=0,2", "grid.png?seeds=0%2C2"),
]


@pytest.mark.parametrize(("canonical_path", "spelling"), ENCODED)
def test_a_canonical_url_that_a_proxy_has_encoded_is_answered(server: Server, canonical_path: str, spelling: str):
    base = server.pinned("rgb").removesuffix("/images")
    expected = send(server, "GET", f"{base}/{canonical_path}")
    for prefix in (base, base.replace("@", "%40")):
        answer = send(server, "GET", f"{prefix}/{spelling}")
        assert (answer.status_code, answer.content) == (200, expected.content)
        assert answer.headers["etag"] == expected.headers["etag"]


def test_bulk_images_have_the_bytes_of_the_url(server: Server):
    body = {"model": "grey", "seeds": "5", "truncation": 0.7000000012, "format": "zip"}
    archive = server.client.post("/v1/sample", json=body).content
    assert server.client.get(f"{server.pinned('grey')}/5.png?truncation=0.7").content in archive


def send(server: Server, method: str, target: str, **headers: str) -> httpx.Response:
    """Send a request with the URL as it is: httpx would normalize the path."""
    path, _, query = target.partition("?")
    url = httpx.URL(server.url).copy_with(raw_path=f"{path}?{query}".encode() if query else path.encode())
    return server.client.request(method, url, headers=headers)
