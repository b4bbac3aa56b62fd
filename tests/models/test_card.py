"""Cards: reading, writing, and errors that name the wrong field."""

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


def test_card_survives_writing_and_reading():
    assert read_card(CARD.to_json()) == CARD
    assert json.loads(CARD.to_json())["schema"] == 1


def test_card_of_samples_survives_reading_and_writing():
    card = read_card(changed(output=SAMPLE))
    assert json.loads(card.to_json())["output"] == SAMPLE
    assert (card.output.shape, card.output.names, card.output.resolution) == ((2,), ("x", "y"), (0.5, 0.25))


def test_equal_cards_have_equal_json():
    assert read_card(json.dumps(json.loads(CARD.to_json()), indent=4)).to_json() == CARD.to_json()


@pytest.mark.parametrize("version", [0, 2, "1", 1.0, True, None])
def test_unknown_schema_version_is_refused(version):
    with pytest.raises(CardError) as raised:
        read_card(changed(schema=version))
    assert raised.value.reason == "unknown_schema"
    assert raised.value.card_fields == ("schema",)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"noise": {"rule": "philox-normal-v9", "z_dim": 100}}, "noise"),
        ({"noise": {"rule": "philox-normal-v1", "z_dim": 0}}, "noise.z_dim"),
        ({"output": {"kind": "image", "height": 28, "width": 28, "channels": 2, "range": [0, 255]}}, "output.image.channels"),
        ({"output": {"kind": "image", "height": 28, "width": 28, "channels": 1, "range": [0, 1]}}, "output.image.range"),
        ({"output": {"kind": "video", "height": 28}}, "output"),
        ({"output": SAMPLE | {"shape": [2, 2, 2]}}, "output.sample.shape"),
        ({"output": SAMPLE | {"shape": []}}, "output.sample.shape"),
        ({"output": SAMPLE | {"shape": [0]}}, "output.sample.shape"),
        ({"output": SAMPLE | {"shape": [65536, 2]}}, "output.sample"),
        ({"output": SAMPLE | {"names": ["x"]}}, "output.sample"),
        ({"output": SAMPLE | {"names": ["x", "x"]}}, "output.sample"),
        ({"output": SAMPLE | {"names": ["x", "a\nb"]}}, "output.sample.names"),
        ({"output": SAMPLE | {"resolution": [1.0]}}, "output.sample"),
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
        ({"provenance": {"recipe": {"x": "\ud800"}}}, None),
        ({"provenance": {"recipe": {"x": float("nan")}}}, None),
    ],
)
def test_error_names_the_wrong_field(fields, wrong):
    with pytest.raises(CardError) as raised:
        read_card(changed(**fields))
    assert raised.value.reason == "malformed_card"
    if wrong is not None:
        assert [field for field in raised.value.card_fields if field.startswith(wrong)]


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "[" * 100_000])
def test_other_text_is_refused(text):
    with pytest.raises(CardError):
        read_card(text)


def test_deeply_nested_card_is_refused():
    nested = '{"x":' * 600 + "1" + "}" * 600
    with pytest.raises(CardError):
        read_card(CARD.to_json().replace('"recipe": null', f'"recipe": {nested}'))
