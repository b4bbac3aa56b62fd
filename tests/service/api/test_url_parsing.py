"""URL parsing: any text gives a spec or an error with a field, and a valid URL gives exactly the spec that it names."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seedmint.models.errors import UserError
from seedmint.service.api.etag import entity_tag, is_current
from seedmint.service.api.query import parse_image, parse_reference
from seedmint.service.api.urls import canonical_url
from seedmint.service.encoders.images import DEFAULT_QUALITY, FORMATS
from seedmint.service.problems import Problem
from seedmint.service.runtime.generator import Generator, open_generator
from seedmint.service.specs.single import ImageSpec
from seedmint.service.specs.values import default_label
from tests.support import generators

SEEDS = st.integers(0, (1 << 63) - 1)
TAG = re.compile(r'"[0-9a-f]{32}"')


def result_or_error(parse: Callable[..., Any], *arguments: object) -> Any:
    """Return the result of a parser, or its UserError. Any other exception fails the test."""
    try:
        return parse(*arguments)
    except UserError as error:
        return error


def tag(generator: Generator, spec: ImageSpec) -> str:
    return entity_tag(generator, spec, canonical_url(generator, spec))


@given(SEEDS, st.sampled_from(FORMATS), st.integers(0, 2), st.integers(1, 256), st.integers(1, 1000))
def test_a_url_is_parsed_to_its_spec(rgb: Generator, seed: int, form: str, label: int, scale: int, thousandths: int):
    truncation = thousandths / 1000
    query = urlencode({"scale": scale, "label": label, "truncation": f"{truncation:.3f}"})
    explicit = None if default_label(rgb, seed) == label else label
    assert parse_image(rgb, f"{seed}.{form}", query) == ImageSpec(
        seed,
        explicit,
        truncation,
        scale,
        form,
        DEFAULT_QUALITY.get(form),  # type: ignore[arg-type, call-overload]
    )


@given(st.floats(0.001, 1))
@example(1 / 3)
@example(0.0010000000000000002)
def test_any_printed_double_is_a_valid_truncation(rgb: Generator, truncation: float):
    """Other languages print doubles in full and without an exponent."""
    assert parse_image(rgb, "1.png", f"truncation={truncation!r}").truncation == float(str(np.float32(truncation)))


@given(st.text(), st.text())
def test_any_text_gives_a_spec_or_an_error_with_a_field(rgb: Generator, file: str, query: str):
    spec = result_or_error(parse_image, rgb, file, query)
    if isinstance(spec, UserError):
        problem = Problem.from_error(spec)
        assert problem.status in (400, 404, 422)
        assert problem.field
        assert len(problem.detail) < 400
    else:
        assert file == f"{spec.seed}.{spec.format}"


@given(st.from_regex(r"[0-9]{1,25}", fullmatch=True))
def test_a_seed_has_one_spelling(rgb: Generator, digits: str):
    spec = result_or_error(parse_image, rgb, f"{digits}.png", "")
    if isinstance(spec, UserError):
        assert str(int(digits)) != digits or int(digits) >= 1 << 63
    else:
        assert str(spec.seed) == digits


@given(SEEDS)
def test_the_label_of_the_seed_gives_the_same_spec_as_no_label(rgb: Generator, seed: int):
    assert parse_image(rgb, f"{seed}.png", "") == parse_image(rgb, f"{seed}.png", f"label={default_label(rgb, seed)}")


@given(st.text())
def test_any_text_gives_a_reference_or_an_error(text: str):
    reference = result_or_error(parse_reference, text)
    if isinstance(reference, UserError):
        assert (Problem.from_error(reference).status, reference.field, reference.reason) == (404, "digest", "unknown_version")
    else:
        name, digest = reference
        assert text == (name if digest is None else f"{name}@{digest}")


def test_every_part_of_a_spec_changes_the_etag(rgb: Generator, grey: Generator):
    specs = [
        ImageSpec(1, None, 1.0, 1, "png"),
        ImageSpec(2, None, 1.0, 1, "png"),
        ImageSpec(1, 1, 1.0, 1, "png"),
        ImageSpec(1, None, 0.5, 1, "png"),
        ImageSpec(1, None, 1.0, 2, "png"),
        ImageSpec(1, None, 1.0, 1, "npy"),
    ]
    tags = {tag(generator, spec) for spec in specs for generator in (rgb, grey)}
    assert len(tags) == 12
    assert all(TAG.fullmatch(each) for each in tags)


def test_the_etag_names_the_outcome_of_the_check(models: Path):
    """Machines have the same tag if all are exact, or if their outputs are equal. Only exact machines have strong tags."""
    spec = ImageSpec(1, None, 1.0, 1, "png")
    machines = [open_generator(models / "rgb.onnx") for _ in range(6)]
    machines[1].provider = "cuda"
    for machine, outputs in zip(machines[2:5], ("a" * 64, "a" * 64, "b" * 64), strict=True):
        generators.make_approximate(machine, outputs)
    machines[5].check = replace(machines[5].check, is_batch_independent=False)
    one, two, first, same, other, mixed = (tag(machine, spec) for machine in machines)
    assert TAG.fullmatch(one)
    assert one == two
    assert first == same
    assert len({one, *(text.removeprefix("W/") for text in (first, other, mixed))}) == 4
    assert all(TAG.fullmatch(text.removeprefix("W/")) and text.startswith("W/") for text in (first, other, mixed))
    assert is_current([first.encode()], same)
    assert not is_current([one.encode()], first)
    assert not is_current([first.encode()], other)


@pytest.mark.parametrize("values", [[], [b""], [b'"b"'], [b"a"], [b'W/"b", "c"'], [b'"a'], [b"W/a"], [b'"*"'], [b"*", b"*"]])
def test_other_etags_do_not_match(values: list[bytes]):
    assert not is_current(values, '"a"')


@pytest.mark.parametrize("values", [[b"*"], [b' "a"'], [b'W/"a"'], [b'"b"', b'"a"'], [b'"b",W/"a" ,"c"'], [b" * "]])
def test_the_same_etag_matches(values: list[bytes]):
    assert is_current(values, '"a"')
    assert is_current(values, 'W/"a"')
