"""Labels in URLs: class numbers, names of classes, and values of the column of labels of a table."""

from pathlib import Path

import numpy as np
import pytest

from seedmint.models.card import SampleOutput
from seedmint.models.columns import Column, LabelColumn
from seedmint.models.errors import UserError
from seedmint.models.label_choice import chosen_classes
from seedmint.service.api import query as query_module
from seedmint.service.api.query import parse_array, parse_image, parse_sample
from seedmint.service.api.urls import canonical_url
from seedmint.service.runtime.generator import Generator, open_generator
from seedmint.service.specs.values import label_choice
from tests.support import generators
from tests.support.errors import raises

CLASSES = ("2019", "north east", "süd")
YEARS = {"type": "integer", "first": 0, "count": 100}


def table(directory: Path, label: str, classes: tuple[str, ...] | None = CLASSES) -> Generator:
    """Return a generator with the card of a table. Its outputs are not codes, and no test needs them."""
    output = SampleOutput(
        kind="sample",
        shape=(2,),
        names=("age", "member"),
        columns=(Column(name="age", **YEARS), Column(name="member", **YEARS)),
        label=None if classes is None else LabelColumn(name=label, position=1),
    )
    plain = output.model_copy(update={"columns": None, "label": None})
    opened = open_generator(generators.write(directory, "people", 5, classes=classes, output=plain))
    opened.card = opened.card.model_copy(update={"output": output})
    return opened


def query_of(generator: Generator, query: str) -> str:
    return canonical_url(generator, parse_sample(generator, "7.json", query)).partition("?")[2]


def reason_of(generator: Generator, query: str) -> tuple[str | None, str | None]:
    with pytest.raises(UserError) as caught:
        parse_sample(generator, "7.json", query)
    return caught.value.field, caught.value.reason


def test_rows_are_chosen_by_the_column_of_labels(tmp_path: Path):
    people = table(tmp_path, "region")
    own = people.labels(np.array([7]))
    assert own is not None
    for number, name in enumerate(("2019", "north%20east", "s%C3%BCd")):
        expected = "" if number == own[0] else f"label={number}"
        for query in (f"label={number}", f"region={name}", *([f"label={name}"] if number else [])):
            assert query_of(people, query) == expected
        array = parse_array(people, f"seeds=0-9&region={name}&truncation=0.5", 100, are_images=False)
        assert canonical_url(people, array).endswith(f"/samples.npy?label={number}&seeds=0-9&truncation=0.5")


def test_what_cannot_choose_rows_is_named(tmp_path: Path):
    people = table(tmp_path, "region")
    assert reason_of(people, "region=west") == ("region", "unknown_class")
    assert reason_of(people, "region=1") == ("region", "unknown_class")  # a value of the column, not a class number
    assert reason_of(people, "region=2019&label=0") == ("region", "repeated_parameter")
    assert reason_of(people, "region=2019&region=2019") == ("region", "repeated_parameter")
    assert reason_of(people, "member=1") == ("member", "not_conditional")
    assert reason_of(people, "height=1") == ("height", "unknown_parameter")
    assert reason_of(people, "label=west") == ("label", "unknown_class")
    assert reason_of(people, "label=2019") == ("label", "out_of_range")  # digits are a class number


def test_tables_without_labels_and_other_samples_have_no_such_parameter(tmp_path: Path, point: Generator):
    people = table(tmp_path, "region", classes=None)
    assert reason_of(people, "age=1") == ("age", "not_conditional")
    assert reason_of(people, "region=2019") == ("region", "unknown_parameter")
    assert reason_of(point, "x=1") == ("x", "unknown_parameter")


@pytest.mark.parametrize("label", ["0", "1,4", "ant", "-1", ""])
def test_a_generator_without_classes_refuses_each_label_with_one_reason(label: str, tmp_path: Path, grey: Generator):
    people = table(tmp_path, "region", classes=None)
    assert reason_of(people, f"label={label}") == ("label", "not_conditional")
    with raises(UserError, "not_conditional", "label"):
        parse_image(grey, "7.png", f"label={label}")


def test_a_column_that_is_called_as_a_parameter_is_chosen_by_label(tmp_path: Path):
    assert query_of(table(tmp_path, "label"), "label=2") == query_of(table(tmp_path, "label"), "label=s%C3%BCd")


def test_images_are_chosen_by_the_name_of_a_class(rgb: Generator):
    assert parse_image(rgb, "42.png", "label=cat") == parse_image(rgb, "42.png", "label=2")


TOWNS, MEMBERS = ("bern", "bern", "zürich", "zürich"), ("false", "true", "false", "true")
WEIGHTS = (5, 1, 3, 7)


@pytest.fixture
def people(tmp_path: Path) -> Generator:
    """A generator of a table with two columns of labels."""
    generator = table(tmp_path, "town", classes=None)
    labels = (LabelColumn(name="town", values=TOWNS), LabelColumn(name="seeds", type="boolean", position=1, values=MEMBERS))
    card = generator.card
    output = card.output.model_copy(update={"labels": labels})
    classes = tuple(f"{town} / {member}" for town, member in zip(TOWNS, MEMBERS, strict=True))
    generator.card = card.model_copy(update={"output": output, "classes": classes, "class_weights": WEIGHTS})
    generator._label_rule = generator.card.label_rule()
    return generator


def test_rows_are_chosen_by_several_columns(people: Generator):
    rule, seed = people.card.label_rule(), np.array([7])
    assert rule is not None
    own = int(rule.labels(seed)[0])
    for query, classes in (("town=bern", (0, 1)), ("label=3,1", (1, 3)), ("label=bern%20/%20true", (1,)), ("label=2,2", (2,))):
        (label,) = rule.labels_among(seed, classes).tolist()
        assert query_of(people, query) == ("" if label == own else f"label={label}")
    for query, canonical in (
        ("town=bern", "label=0,1&seeds=0-9"),
        ("label=3,1", "label=1,3&seeds=0-9"),
        ("label=0,1,2,3", "seeds=0-9"),
    ):
        assert canonical_url(people, parse_array(people, f"{query}&seeds=0-9", 100, are_images=False)).endswith(
            f".npy?{canonical}"
        )
    assert reason_of(people, "town=basel") == ("town", "unknown_class")
    assert reason_of(people, "town=bern&label=1") == ("town", "repeated_parameter")
    assert reason_of(people, "age=1") == ("age", "not_conditional")
    assert reason_of(people, "label=1,4") == ("label", "out_of_range")
    assert reason_of(people, "label=1,") == ("label", "unknown_class")


def test_values_do_not_redirect_to_a_url_that_is_too_long(people: Generator, monkeypatch: pytest.MonkeyPatch):
    pinned = canonical_url(people, parse_array(people, "town=bern&seeds=0-9", 100, are_images=False))
    monkeypatch.setattr(query_module, "_MAX_URL_BYTES", len(pinned))
    assert canonical_url(people, parse_array(people, "town=bern&seeds=0-9", 100, are_images=False)) == pinned
    monkeypatch.setattr(query_module, "_MAX_URL_BYTES", len(pinned) - 1)
    with raises(UserError, "too_many_labels", "town"):
        parse_array(people, "town=bern&seeds=0-9", 100, are_images=False)
    parse_array(people, "label=0,1&seeds=0-9", 100, are_images=False)  # as long as the URL that the client sent


def test_texts_of_the_command_line_choose_classes(people: Generator):
    def choose(*labels: str) -> object:
        return label_choice(labels, people.card)

    assert choose() is None
    assert (choose("2"), choose("zürich / false")) == (2, 2)
    assert (choose("town=bern"), choose("seeds=true", "town=bern")) == ((0, 1), (1,))
    for labels, reason in (
        (("town=bern", "2"), "repeated_parameter"),
        (("town=bern", "town=zürich"), "repeated_parameter"),
        (("town=basel",), "unknown_class"),
        (("age=1",), "not_conditional"),
        (("basel",), "unknown_class"),
        (("4",), "out_of_range"),
    ):
        with pytest.raises(UserError) as caught:
            choose(*labels)
        assert (caught.value.field, caught.value.reason) == ("label", reason)


def test_values_of_columns_choose_classes(people: Generator):
    assert chosen_classes(people.card, {"seeds": True}) == chosen_classes(people.card, {"seeds": "true"}) == (1, 3)
    assert chosen_classes(people.card, {"town": np.str_("bern"), "seeds": np.True_}) == (1,)
    with pytest.raises(UserError) as caught:
        chosen_classes(people.card, {7: "bern"}, "labels")  # type: ignore[dict-item]
    assert (caught.value.field, caught.value.reason) == ("labels", "not_conditional")
    for values in ({"seeds": 1}, {"seeds": "True"}, {"town": True}, {"town": np.array(["bern", "zürich"])}, {"town": None}):
        with pytest.raises(UserError) as caught:
            chosen_classes(people.card, values, "labels")
        assert (caught.value.field, caught.value.reason) == ("labels", "unknown_class")
    missing = people.card.output.labels[0].model_copy(update={"values": ("bern", "bern", "bern", "zürich")})
    output = people.card.output.model_copy(update={"labels": (missing, people.card.output.labels[1])})
    with pytest.raises(UserError) as caught:
        chosen_classes(people.card.model_copy(update={"output": output}), {"town": "zürich", "seeds": False})
    assert (caught.value.field, caught.value.reason) == ("seeds", "unknown_class")
