"""Cards: reading, writing, and errors that name the wrong field."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from seedmint.models.card import Card, CardError, ImageOutput, Noise, lowest_terms, read_card
from seedmint.models.provenance import Import, Metric, OriginalFile, Provenance
from seedmint.models.reference import MadeWith, reference_of

CARD = Card(
    name="mine",
    title="Mine",
    noise=Noise(rule="philox-normal-v1", z_dim=100),
    classes=("zero", "one"),
    output=ImageOutput(height=28, width=28, channels=1),
    provenance=Provenance(),
    reference=reference_of(
        np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28, 1),
        MadeWith(onnxruntime="1.31.1", machine="x86_64", features=("X86_V2",), provider="cpu"),
    ),
)
REFERENCE = json.loads(CARD.to_json())["reference"]

SAMPLE = {"kind": "sample", "shape": [2], "names": ["x", "y"], "resolution": [0.5, 0.25]}


def changed(**fields):
    return json.dumps({**json.loads(CARD.to_json()), **fields})


def test_card_survives_writing_and_reading():
    assert read_card(CARD.to_json()) == CARD
    assert json.loads(CARD.to_json())["schema"] == 2


def test_card_of_samples_survives_reading_and_writing():
    card = read_card(changed(output=SAMPLE, reference=None))
    assert json.loads(card.to_json())["output"] == SAMPLE
    assert (card.output.shape, card.output.names, card.output.resolution) == ((2,), ("x", "y"), (0.5, 0.25))
    assert card.output.dtype == "float32"


def test_a_card_does_not_name_optional_fields_that_it_does_not_have():
    assert not {"class_weights", "neighbours"} & set(json.loads(CARD.to_json()))
    assert "curve" not in json.loads(CARD.to_json())["provenance"]
    weighted = CARD.model_copy(update={"class_weights": (11, 9)})
    assert json.loads(weighted.to_json())["class_weights"] == [11, 9]
    assert read_card(weighted.to_json()) == weighted


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
def test_counts_in_lowest_terms_are_weights_of_a_card(counts):
    weights = lowest_terms(counts)
    classes = tuple(str(label) for label in range(len(counts)))
    card = CARD.model_copy(update={"classes": classes, "class_weights": weights})
    assert read_card(card.to_json()) == card
    assert (weights is None) == (len(set(counts)) == 1)
    if weights is not None:
        assert all(a * sum(weights) == b * sum(counts) for a, b in zip(counts, weights, strict=True))


def test_equal_cards_have_equal_json():
    assert read_card(json.dumps(json.loads(CARD.to_json()), indent=4)).to_json() == CARD.to_json()


def test_origin_of_an_import_survives_writing_and_reading():
    original = OriginalFile(sha256="0" * 64, producer="pytorch 2.13.0", opset=18)
    origin = Import(originals=(original,), options={"classes": 10}, difference=1)
    card = CARD.model_copy(update={"provenance": Provenance(imported=origin), "truncation": "none", "max_batch": 8})
    assert read_card(card.to_json()) == card
    document = json.loads(card.to_json())
    assert document["provenance"]["import"] == {
        "originals": [{"sha256": "0" * 64, "producer": "pytorch 2.13.0", "opset": 18}],
        "options": {"classes": 10},
        "difference": 1,
    }
    assert (document["truncation"], document["max_batch"]) == ("none", 8)


@pytest.mark.parametrize("version", [0, 1, 3, "1", "2", 2.0, True, None])
def test_unknown_schema_version_is_refused(version):
    with pytest.raises(CardError) as raised:
        read_card(changed(schema=version))
    assert raised.value.reason == "unknown_schema"
    assert raised.value.card_fields == ("schema",)
    assert ("seedmint models upgrade" in str(raised.value)) == ((type(version), version) == (int, 1))


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"noise": {"rule": "philox-normal-v9", "z_dim": 100}}, "noise"),
        ({"noise": {"rule": "philox-normal-v1", "z_dim": 0}}, "noise.z_dim"),
        ({"output": {"kind": "image", "height": 28, "width": 28, "channels": 2, "range": [0, 255]}}, "output.image.channels"),
        ({"output": {"kind": "image", "height": 28, "width": 28, "channels": 1, "range": [0, 1]}}, "output.image.range"),
        ({"output": {"kind": "video", "height": 28}}, "output"),
        ({"reference": None, "output": SAMPLE | {"shape": [2, 2, 2]}}, "output.sample.shape"),
        ({"reference": None, "output": SAMPLE | {"shape": []}}, "output.sample.shape"),
        ({"reference": None, "output": SAMPLE | {"shape": [0]}}, "output.sample.shape"),
        ({"reference": None, "output": SAMPLE | {"shape": [65536, 2]}}, "output.sample"),
        ({"reference": None, "output": SAMPLE | {"names": ["x"]}}, "output.sample"),
        ({"reference": None, "output": SAMPLE | {"names": ["x", "x"]}}, "output.sample"),
        ({"reference": None, "output": SAMPLE | {"names": ["x", "a\nb"]}}, "output.sample.names"),
        ({"reference": None, "output": SAMPLE | {"resolution": [1.0]}}, "output.sample"),
        ({"reference": None, "output": SAMPLE | {"resolution": [1.0, 0.0]}}, "output.sample.resolution"),
        ({"name": "Not A Name"}, "name"),
        ({"name": "../up"}, "name"),
        ({"classes": []}, "classes"),
        ({"classes": ["a", "a"]}, "classes"),
        ({"class_weights": [1]}, "class_weights"),
        ({"class_weights": [1, 2, 3]}, "class_weights"),
        ({"class_weights": [1, 1]}, "class_weights"),  # equal weights have one spelling, null
        ({"class_weights": [2, 4]}, "class_weights"),  # not in lowest terms
        ({"class_weights": [0, 0]}, "class_weights"),
        ({"class_weights": [1, 2**32 - 1]}, "class_weights"),
        ({"class_weights": [-1, 2]}, "class_weights"),
        ({"class_weights": [1.5, 2]}, "class_weights"),
        ({"classes": None, "class_weights": [1, 2]}, "class_weights"),
        ({"colour": "green"}, "colour"),
        ({"title": ""}, "title"),
        ({"truncation": "y"}, "truncation"),
        ({"max_batch": 0}, "max_batch"),
        ({"reference": REFERENCE | {"seeds": 0}}, "reference.seeds"),
        ({"reference": REFERENCE | {"seeds": 65}}, "reference.seeds"),
        ({"reference": REFERENCE | {"seeds": 1}}, "(whole)"),  # fewer than the seeds of the stored values
        ({"reference": REFERENCE | {"values": REFERENCE["values"] | {"seeds": 0}}}, "reference.values.seeds"),
        ({"reference": REFERENCE | {"values": REFERENCE["values"] | {"step": 0}}}, "reference.values.step"),
        ({"reference": REFERENCE | {"sha256": "0"}}, "reference.sha256"),
        ({"reference": REFERENCE | {"values": REFERENCE["values"] | {"data": "AAAA"}}}, "(whole)"),
        ({"reference": REFERENCE | {"values": REFERENCE["values"] | {"data": "A"}}}, "(whole)"),
        ({"reference": REFERENCE | {"values": REFERENCE["values"] | {"data": "A" * 16_388}}}, "reference.values.data"),
        ({"reference": REFERENCE | {"values": REFERENCE["values"] | {"step": 2}}}, "(whole)"),
        ({"provenance": {"import": {"originals": [{"sha256": "0"}]}}}, "provenance.import.originals.0.sha256"),
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


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_metric_that_is_not_finite_is_refused(value):
    with pytest.raises(ValidationError):
        Metric(metric="frechet", protocol="test", value=value, samples=1)


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "[" * 100_000])
def test_other_text_is_refused(text):
    with pytest.raises(CardError):
        read_card(text)


def test_deeply_nested_card_is_refused():
    nested = '{"x":' * 600 + "1" + "}" * 600
    with pytest.raises(CardError):
        read_card(CARD.to_json().replace('"recipe": null', f'"recipe": {nested}'))


FULL = {
    **json.loads(CARD.to_json()),
    "provenance": {
        "dataset": {"name": "digits"},
        "import": {"originals": [{"sha256": "0" * 64}]},
        "curve": {"steps": [1, 2], "value": [0, 0], "d_real": [0, 0], "d_fake": [0, 0], "equilibrium": -1},
    },
    "neighbours": {"rows": [0, 5], "distances": [0, 1.5], "picture": "AAAA"},
    "evaluation": [{"metric": "kid", "protocol": "all", "value": 0.5, "samples": 10}],
}
FULL_SAMPLE = FULL | {"output": SAMPLE, "reference": None}


def full_with(base, path, value):
    """Return the JSON text of a card in which one field, named by a dotted path, has another value."""
    document = json.loads(json.dumps(base))
    *parents, last = (int(part) if part.isdecimal() else part for part in path.split("."))
    place = document
    for part in parents:
        place = place[part]
    place[last] = value
    return json.dumps(document)


def neighbours(count):
    return {"rows": [0] * count, "distances": [0] * count}


def curve(count):
    return {"steps": list(range(count)), **dict.fromkeys(("value", "d_real", "d_fake"), [0] * count), "equilibrium": -1}


@pytest.mark.parametrize(
    ("base", "field", "accepted", "refused"),
    [
        (FULL, "name", ["a", "a" * 64, "a.b_c-9"], ["", "a" * 65, ".a", "a-"]),
        (FULL, "title", ["a", "é" * 200], ["a" * 201]),
        (FULL, "noise.z_dim", [1, 4096], [4097]),
        (FULL, "classes", [None, ["a"], [str(n) for n in range(100_000)]], [[str(n) for n in range(100_001)]]),
        (FULL, "class_weights", [None, [1, 2], [0, 1], [1, 2**32 - 2]], [[1, 2**32 - 1], [-1, 1], [2, 2], [1, 2, 3]]),
        (FULL | {"reference": None}, "output.height", [1, 4096], [0, 4097]),
        (FULL | {"reference": None}, "output.width", [1, 4096], [0, 4097]),
        (FULL | {"reference": None}, "output.channels", [1, 3, 4], [0, 2, 5]),
        (FULL, "output.range", [[0, 255]], [[1, 255], [0, 254], [0, 256]]),
        (FULL_SAMPLE, "output.shape", [[2], [32_768, 2]], [[32_769, 2], [65_537, 2], [-1, 2], [1, 1, 2]]),
        (FULL_SAMPLE, "output.names", [["x", "y"]], [["x", "y", "z"], ["x", "x"], ["x"]]),
        (FULL_SAMPLE, "output.resolution", [None, [1e-9, 2]], [[1, 0], [1, -1], [1], [1, 2, 3]]),
        (FULL, "provenance.steps", [0], [-1]),
        (FULL, "provenance.training_seed", [0], [-1]),
        (FULL, "provenance.weights", ["last", "ema", None], ["first"]),
        (FULL, "provenance.dataset.examples", [1], [0]),
        (FULL, "provenance.import.difference", [0, 0.5], [-0.5]),
        (FULL, "provenance.import.originals", [[], [{"sha256": "0" * 64}] * 16], [[{"sha256": "0" * 64}] * 17]),
        (FULL, "provenance.import.originals.0.opset", [1], [0]),
        (FULL, "evaluation.0.standard_error", [0], [-0.1]),
        (FULL, "evaluation.0.samples", [1], [0]),
        (FULL, "evaluation.0.interval", [None, [0, 0], [-1, 2]], [[1, 0], [0], [0, 1, 2]]),
        (FULL, "max_batch", [1], [0]),
        (
            FULL,
            "neighbours",
            [None, neighbours(1), neighbours(64)],
            [{"rows": [0], "distances": [0, 1]}, neighbours(0), neighbours(65)],
        ),
        (FULL, "neighbours.rows", [[0, 0]], [[0], [0, -1], [0.5, 1]]),
        (FULL, "neighbours.distances", [[0, 0]], [[0], [0, -1]]),
        (FULL, "neighbours.picture", [None, "A" * (1 << 17)], ["", "A" * ((1 << 17) + 1), "data:"]),
        (FULL, "provenance.curve", [None, curve(1), curve(128)], [{"steps": [1]}, curve(0), curve(129)]),
        (FULL, "provenance.curve.steps", [[0, 9]], [[1], [2, 2], [2, 1], [-1, 0]]),
        (FULL, "provenance.curve.value", [[-1, 1]], [[1]]),
    ],
)
def test_limits_of_each_field_are_exact(base, field, accepted, refused):
    for value in accepted:
        read_card(full_with(base, field, value))
    for value in refused:
        with pytest.raises(CardError) as raised:
            read_card(full_with(base, field, value))
        assert raised.value.reason == "malformed_card"
        names = [re.sub(r"^output\.(image|sample)", "output", name) for name in raised.value.card_fields]
        assert [name for name in names if name == field or name.startswith(f"{field}.") or name == field.rpartition(".")[0]]


def test_one_sample_has_1_to_65_536_values():
    names = [str(n) for n in range(65_537)]
    for count in (1, 65_536):
        read_card(full_with(FULL_SAMPLE, "output", {"kind": "sample", "shape": [count], "names": names[:count]}))
    with pytest.raises(CardError):
        read_card(full_with(FULL_SAMPLE, "output", {"kind": "sample", "shape": [65_537], "names": names}))


def test_text_of_a_card_has_4_mib_at_most():
    text = CARD.to_json()
    longest = text + " " * (4 * 1024 * 1024 - len(text))
    assert read_card(longest) == CARD
    with pytest.raises(CardError) as raised:
        read_card(longest + " ")
    assert (raised.value.reason, raised.value.card_fields) == ("malformed_card", ())


def test_json_has_sorted_keys_and_characters_instead_of_escapes():
    text = CARD.model_copy(update={"title": "Zürich"}).to_json()
    assert "Zürich" in text
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_card_does_not_change():
    for part in (CARD, CARD.noise):
        with pytest.raises(ValidationError):
            part.name = "other"


def test_errors_have_dotted_names_and_a_name_for_the_whole():
    with pytest.raises(CardError) as raised:
        read_card(changed(noise={"rule": "philox-normal-v1", "z_dim": 0}, title="", more=1))
    assert sorted(raised.value.card_fields) == ["more", "noise.z_dim", "title"]
    with pytest.raises(CardError) as raised:
        read_card(changed(reference=REFERENCE | {"seeds": 1}))
    assert raised.value.card_fields == ("(whole)",)
