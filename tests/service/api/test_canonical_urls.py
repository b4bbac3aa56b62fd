"""One image, one address: every spelling of the same thing leads to one path, which is read as the same thing again."""

import random
from collections.abc import Callable, Mapping
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedmint.service.api.contact_sheets import parse_sheet
from seedmint.service.api.latent_walks import parse_walk
from seedmint.service.api.urls import Address, parse_image, parse_sample_address
from seedmint.service.runtime.generator import Generator
from tests.http.test_images import runs
from tests.http.test_problems import check
from tests.support.servers import Server

Parse = Callable[[Generator, str, str], Address]

SEEDS = st.integers(0, (1 << 63) - 1)
# Numbers as people write them: 1, 0.7, 0.70, 0.700000001.
TRUNCATIONS = st.one_of(
    st.none(),
    st.decimals(min_value="0.001", max_value="1", places=12).map(lambda number: f"{number:f}"),
    st.tuples(st.integers(1, 1000), st.integers(0, 6)).map(lambda parts: f"{parts[0] / 1000:.3f}" + "0" * parts[1]),
)
RANGES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), min_size=1, max_size=6)


def written(parameters: Mapping[str, object], chance: random.Random) -> str:
    """A query string in some order, some of its letters escaped."""
    items = [(name, str(value)) for name, value in parameters.items() if value is not None]
    chance.shuffle(items)
    return "&".join(f"{escaped(name, chance)}={escaped(value, chance)}" for name, value in items)


def escaped(text: str, chance: random.Random) -> str:
    return "".join(f"%{ord(letter):02X}" if chance.random() < 0.2 else quote(letter) for letter in text)


def settled(parse: Parse, generator: Generator, file: str, query: str) -> str:
    """The path that an address leads to, which must lead to itself and name the same."""
    asked = parse(generator, file, query)
    path = asked.path(generator)
    place, _, its_query = path.partition("?")
    again = parse(generator, place.split("/")[-1].removeprefix("grid.").removeprefix("walk."), its_query)
    assert again == asked
    assert again.path(generator) == path
    assert len(path) <= len(f"{place}?{query}")
    return path


def same(truncation: str | None) -> bytes:
    return np.float32(float(truncation or 1)).tobytes()


@given(SEEDS, *[st.tuples(st.sampled_from([None, 0, 1, 2]), TRUNCATIONS, st.sampled_from([None, 1, 2]))] * 2, st.randoms())
def test_two_addresses_of_an_image_lead_to_one_path_and_others_do_not(rgb: Generator, seed: int, one, other, chance):
    paths, meanings = set(), set()
    for label, truncation, scale in (one, one, other):
        query = written({"label": label, "truncation": truncation, "scale": scale}, chance)
        paths.add(settled(parse_image, rgb, f"{seed}.png", query))
        own = int(rgb.labels(np.array([seed]))[0])  # type: ignore[index]
        meanings.add((own if label is None else label, same(truncation), scale or 1))
    assert len(paths) == len(meanings)


@given(*[st.tuples(RANGES, st.sampled_from([None, 1, 2, 5, 1024]), st.sampled_from([None, 1]), TRUNCATIONS)] * 2, st.randoms())
def test_two_addresses_of_a_sheet_lead_to_one_path_and_others_do_not(rgb: Generator, one, other, chance):
    paths, meanings = set(), set()
    for ranges, columns, label, truncation in (one, one, other):
        seeds = [seed for first, more in ranges for seed in range(first, first + more + 1)]
        texts = [f"{first}-{first + more}" for first, more in ranges], [f" {seed} " for seed in seeds]
        query = written(
            {"seeds": ",".join(chance.choice(texts)), "columns": columns, "label": label, "truncation": truncation}, chance
        )
        paths.add(settled(parse_sheet, rgb, "webp", query))
        own = rgb.labels(np.array(seeds))
        assert own is not None
        labels = own.tolist() if label is None else [label] * len(seeds)
        columns = min(len(seeds), columns or int(np.ceil(np.sqrt(len(seeds)))))
        meanings.add((tuple(seeds), columns, tuple(labels), same(truncation)))
    assert len(paths) == len(meanings)


WALKS = st.tuples(
    SEEDS, SEEDS, st.sampled_from([None, 2, 32]), st.sampled_from([None, 1]), TRUNCATIONS, st.sampled_from([0, 3])
)


@given(WALKS, WALKS, st.sampled_from([None, 80, 90]), st.randoms())
def test_two_addresses_of_a_walk_lead_to_one_path_and_others_do_not(rgb: Generator, one, other, duration, chance):
    paths, meanings = set(), set()
    names = ("from", "to", "frames", "label", "truncation", "loop")
    for walk in (one, one, other):
        query = written(dict(zip(names, walk, strict=True)) | {"duration": duration}, chance)
        paths.add(settled(parse_walk, rgb, "gif", query))
        start, end, frames, label, truncation, loop = walk
        own = int(rgb.labels(np.array([start]))[0])  # type: ignore[index]
        meanings.add((start, end, frames or 32, own if label is None else label, same(truncation), loop or 0))
    assert len(paths) == len(meanings)


@given(SEEDS, st.sampled_from([None, 0, 1, 2]), TRUNCATIONS, st.randoms())
def test_an_address_of_a_sample_settles(point: Generator, seed: int, label, truncation, chance):
    query = written({"label": label, "truncation": truncation}, chance)
    path = settled(parse_sample_address, point, f"{seed}.csv", query)
    assert path.count("label") == (label is not None and label != point.labels(np.array([seed]))[0])  # type: ignore[index]


# Of seed 42 the generator `rgb` names label 1, of seed 1 label 0.
SPELLINGS = [
    ("images/42.png?scale=1", "images/42.png"),
    ("images/42.png?label=1", "images/42.png"),
    ("images/42.png?truncation=1", "images/42.png"),
    ("images/42.png?truncation=1.000", "images/42.png"),
    ("images/42.png?truncation=0.999999999", "images/42.png"),
    ("images/42.png?truncation=0.70", "images/42.png?truncation=0.7"),
    ("images/42.png?truncation=0.700000001", "images/42.png?truncation=0.7"),
    ("images/42.png?truncation=00.7", "images/42.png?truncation=0.7"),
    ("images/42.png?scale=2&label=2", "images/42.png?label=2&scale=2"),
    ("images/42.png?scal%65=%32", "images/42.png?scale=2"),
    ("images/42.png?scale=2&", "images/42.png?scale=2"),
    ("images/42.png?&", "images/42.png"),
    ("images/%34%32.png", "images/42.png"),
    ("images/42%2Epng?scale=2", "images/42.png?scale=2"),
    ("grid.png?seeds=0,1,2", "grid.png?seeds=0-2"),
    ("grid.png?seeds=0%2C%202", "grid.png?seeds=0,2"),
    ("grid.png?columns=2&seeds=0-9", "grid.png?seeds=0-9&columns=2"),
    ("grid.png?seeds=0-8&columns=3", "grid.png?seeds=0-8"),
    ("grid.png?seeds=0-8&columns=10", "grid.png?seeds=0-8&columns=9"),
    ("grid.png?seeds=42&label=1", "grid.png?seeds=42"),
    ("gr%69d.webp?seeds=0-8&scale=1", "grid.webp?seeds=0-8"),
    ("walk.webp?to=2&from=1", "walk.webp?from=1&to=2"),
    ("walk.webp?from=1&to=2&frames=32&label=0&truncation=1&scale=1&duration=80&loop=0", "walk.webp?from=1&to=2"),
    ("walk.gif?from=1&to=2&loop=2&duration=90&scale=2", "walk.gif?from=1&to=2&scale=2&duration=90&loop=2"),
    ("walk.png?from=1&to=2&label=2&frames=9", "walk.png?from=1&to=2&frames=9&label=2"),
]


@pytest.mark.parametrize(("spelling", "address"), SPELLINGS)
def test_another_spelling_redirects_for_ever_in_one_step(server: Server, spelling: str, address: str):
    base = server.pinned("rgb").removesuffix("/images")
    made = runs(server)
    for method in ("GET", "HEAD"):
        pinned = ask(server, method, f"{base}/{spelling}")
        assert (pinned.status_code, pinned.headers["location"], pinned.content) == (308, f"{base}/{address}", b"")
        assert pinned.headers["cache-control"] == "public, max-age=31536000, immutable"
        now = ask(server, method, f"/v1/models/rgb/{spelling}")
        assert (now.status_code, now.headers["location"], now.headers["cache-control"]) == (
            307,
            f"{base}/{address}",
            "no-store",
        )
    assert ask(server, "HEAD", f"{base}/{address}").status_code == 200
    assert ask(server, "GET", f"{base}/{spelling}", **{"If-None-Match": "*"}).status_code == 308
    assert runs(server) == made


def test_what_is_wrong_is_told_before_the_spelling(server: Server):
    base = server.pinned("rgb").removesuffix("/images")
    for model in (base, "/v1/models/rgb"):
        check(ask(server, "GET", f"{model}/images/42.png?scale=1&size=2"), 400, "size")
        check(ask(server, "GET", f"{model}/images/42.png?scale=1&scale=1"), 400, "scale")
        check(ask(server, "GET", f"{model}/images/042.png?scale=1"), 400, "seed")
        check(ask(server, "GET", f"{model}/images/42.png?scale=1&label=7"), 422, "label")


def test_an_escaped_reference_leads_to_the_plain_one(server: Server):
    base = server.pinned("rgb").removesuffix("/images")
    answer = ask(server, "GET", f"{base.replace('@', '%40')}/images/42.png")
    assert (answer.status_code, answer.headers["location"]) == (308, f"{base}/images/42.png")


def test_images_in_bulk_are_those_of_the_address(server: Server):
    asked = {"model": "grey", "seeds": "5", "truncation": 0.7000000012, "format": "zip"}
    archive = server.client.post("/v1/sample", json=asked).content
    assert server.client.get(f"{server.pinned('grey')}/5.png?truncation=0.7").content in archive


def ask(server: Server, method: str, target: str, **headers: str) -> httpx.Response:
    """As it is spelled: httpx would tidy up a path."""
    place, _, query = target.partition("?")
    url = httpx.URL(server.url).copy_with(raw_path=f"{place}?{query}".encode() if query else place.encode())
    return server.client.request(method, url, headers=headers)
