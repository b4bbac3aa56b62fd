import json

import pytest

from seedmint.models.card import Card, CardError, ImageOutput, Noise, Provenance, read_card

CARD = Card(
    name="mine",
    title="Mine",
    noise=Noise(rule="philox-normal-v1", z_dim=100),
    classes=("zero", "one"),
    output=ImageOutput(height=28, width=28, channels=1),
    provenance=Provenance(),
)

SAMPLE = {"kind": "sample", "shape": [2], "names": ["x", "y"], "resolution": [0.5, 0.25]}


def changed(**fields):
    return json.dumps({**json.loads(CARD.to_json()), **fields})


def test_what_is_written_is_read():
    assert read_card(CARD.to_json()) == CARD
    assert json.loads(CARD.to_json())["schema"] == 1


def test_a_card_of_samples_is_read_as_it_is_written():
    card = read_card(changed(output=SAMPLE))
    assert json.loads(card.to_json())["output"] == SAMPLE
    assert (card.output.shape, card.output.names, card.output.resolution) == ((2,), ("x", "y"), (0.5, 0.25))


def test_one_card_has_one_spelling():
    assert read_card(json.dumps(json.loads(CARD.to_json()), indent=4)).to_json() == CARD.to_json()


@pytest.mark.parametrize("version", [0, 2, "1", 1.0, True, None])
def test_an_unknown_schema_version_is_named(version):
    with pytest.raises(CardError, match=r"card schema .* is not known"):
        read_card(changed(schema=version))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"noise": {"rule": "philox-normal-v9", "z_dim": 100}}, "noise"),
        ({"noise": {"rule": "philox-normal-v1", "z_dim": 0}}, "noise.z_dim"),
        ({"output": {"kind": "image", "height": 28, "width": 28, "channels": 2, "range": [0, 255]}}, "output.image.channels"),
        ({"output": {"kind": "image", "height": 28, "width": 28, "channels": 1, "range": [0, 1]}}, "output.image.range"),
        ({"output": {"kind": "video", "height": 28}}, "output"),
        ({"output": SAMPLE | {"shape": [2, 2, 2]}}, "output.sample.shape"),
        ({"output": SAMPLE | {"shape": []}}, "output.sample.shape"),
        ({"output": SAMPLE | {"shape": [0]}}, "output.sample.shape"),
        ({"output": SAMPLE | {"shape": [65536, 2]}}, "more than 65536 values"),
        ({"output": SAMPLE | {"names": ["x"]}}, "names must be 2 different ones"),
        ({"output": SAMPLE | {"names": ["x", "x"]}}, "names must be 2 different ones"),
        ({"output": SAMPLE | {"names": ["x", "a\nb"]}}, "output.sample.names"),
        ({"output": SAMPLE | {"resolution": [1.0]}}, "resolution must be null or 2 numbers"),
        ({"output": SAMPLE | {"resolution": [1.0, 0.0]}}, "output.sample.resolution"),
        ({"name": "Not A Name"}, "name"),
        ({"name": "../up"}, "name"),
        ({"classes": []}, "classes"),
        ({"classes": ["a", "a"]}, "classes"),
        ({"colour": "green"}, "colour"),
        ({"title": ""}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"title": "\x1b[2J"}, "title"),
        ({"classes": ["a", "b\x07"]}, "classes"),
        ({"provenance": {"recipe": {"x": "\ud800"}}}, "cannot be shown again|provenance"),
        ({"provenance": {"recipe": {"x": float("nan")}}}, "NaN is not JSON"),
    ],
)
def test_a_wrong_field_is_named(fields, named):
    with pytest.raises(CardError, match=named):
        read_card(changed(**fields))


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "[" * 100_000])
def test_what_is_no_card_is_refused(text):
    with pytest.raises(CardError):
        read_card(text)


def test_a_card_nested_without_end_is_refused():
    nested = '{"x":' * 600 + "1" + "}" * 600
    with pytest.raises(CardError):
        read_card(CARD.to_json().replace('"recipe": null', f'"recipe": {nested}'))
