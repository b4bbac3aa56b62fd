"""Address parsing: any text is an image or a problem that names a field, and what is an image is named exactly."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seedmint.service.api.etag import entity_tag, not_modified
from seedmint.service.api.urls import ImageRequest, parse_image, parse_reference
from seedmint.service.encoders.images import FORMATS
from seedmint.service.problems import Problem
from seedmint.service.runtime.generator import Generator

SEEDS = st.integers(0, (1 << 63) - 1)
TAG = re.compile(r'"[0-9a-f]{32}"')


def outcome(parse: Callable[..., Any], *arguments: object) -> Any:
    """What parsing gives, or the problem that it raises. Any other exception is a failure of the test."""
    try:
        return parse(*arguments)
    except Problem as problem:
        return problem


@given(SEEDS, st.sampled_from(FORMATS), st.integers(0, 2), st.integers(1, 256), st.integers(1, 1000))
def test_what_is_written_is_read(rgb: Generator, seed: int, form: str, label: int, scale: int, thousandths: int):
    truncation = thousandths / 1000
    query = urlencode({"scale": scale, "label": label, "truncation": f"{truncation:.3f}"})
    assert parse_image(rgb, f"{seed}.{form}", query) == ImageRequest(seed, label, truncation, scale, form)  # type: ignore[arg-type]


@given(st.floats(0.001, 1))
@example(1 / 3)
@example(0.0010000000000000002)
def test_any_double_is_a_truncation_as_it_is_printed(rgb: Generator, truncation: float):
    """As other languages print it, too: in full, and without an exponent."""
    assert parse_image(rgb, "1.png", f"truncation={truncation!r}").truncation == float(str(np.float32(truncation)))


@given(st.text(), st.text())
def test_any_text_is_an_image_or_a_problem(rgb: Generator, file: str, query: str):
    image = outcome(parse_image, rgb, file, query)
    if isinstance(image, Problem):
        assert image.status in (400, 404, 422)
        assert image.field
        assert len(image.detail) < 400
    else:
        assert file == f"{image.seed}.{image.format}"


@given(st.from_regex(r"[0-9]{1,25}", fullmatch=True))
def test_a_seed_has_one_spelling(rgb: Generator, digits: str):
    image = outcome(parse_image, rgb, f"{digits}.png", "")
    if isinstance(image, Problem):
        assert str(int(digits)) != digits or int(digits) >= 1 << 63
    else:
        assert str(image.seed) == digits


@given(SEEDS)
def test_the_seeds_own_label_is_the_same_address(rgb: Generator, seed: int):
    own = parse_image(rgb, f"{seed}.png", "")
    asked = parse_image(rgb, f"{seed}.png", f"label={own.label}")
    assert entity_tag(rgb, own) == entity_tag(rgb, asked)


@given(st.text())
def test_any_reference_is_a_name_or_a_problem(text: str):
    reference = outcome(parse_reference, text)
    if isinstance(reference, Problem):
        assert (reference.status, reference.field) == (404, "digest")
    else:
        name, digest = reference
        assert text == (name if digest is None else f"{name}@{digest}")


def test_every_part_of_an_address_is_in_its_tag(rgb: Generator, grey: Generator):
    images = [
        ImageRequest(1, 0, 1.0, 1, "png"),
        ImageRequest(2, 0, 1.0, 1, "png"),
        ImageRequest(1, 1, 1.0, 1, "png"),
        ImageRequest(1, 0, 0.5, 1, "png"),
        ImageRequest(1, 0, 1.0, 2, "png"),
        ImageRequest(1, 0, 1.0, 1, "npy"),
    ]
    tags = {entity_tag(generator, image) for image in images for generator in (rgb, grey)}
    assert len(tags) == 12
    assert all(TAG.fullmatch(tag) for tag in tags)


def test_an_approximate_generators_tag_is_weak(monkeypatch: pytest.MonkeyPatch, rgb: Generator):
    image = ImageRequest(1, 0, 1.0, 1, "png")
    strong = entity_tag(rgb, image)
    monkeypatch.setattr(rgb, "determinism", "approximate")
    assert entity_tag(rgb, image) == f"W/{strong}"
    assert not_modified(strong, f"W/{strong}")


@pytest.mark.parametrize("header", ["", '"b"', "a", 'W/"b", "c"', '"a', "W/a", '"*"'])
def test_other_tags_do_not_match(header: str):
    assert not not_modified(header, '"a"')
