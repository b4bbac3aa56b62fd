"""Labels in URLs: class numbers, names of classes, and values of the column of labels of a table."""

from pathlib import Path

import numpy as np
import pytest

from seedmint.models.card import SampleOutput
from seedmint.models.columns import Column, LabelColumn
from seedmint.models.errors import UserError
from seedmint.service.api.query import parse_array, parse_image, parse_sample
from seedmint.service.api.urls import canonical_url
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators

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
    assert reason_of(people, "label=west") == ("label", "malformed")
    assert reason_of(people, "label=2019") == ("label", "out_of_range")  # digits are a class number


def test_tables_without_labels_and_other_samples_have_no_such_parameter(tmp_path: Path, point: Generator):
    people = table(tmp_path, "region", classes=None)
    assert reason_of(people, "age=1") == ("age", "not_conditional")
    assert reason_of(people, "region=2019") == ("region", "unknown_parameter")
    assert reason_of(point, "x=1") == ("x", "unknown_parameter")


def test_a_column_that_is_called_as_a_parameter_is_chosen_by_label(tmp_path: Path):
    assert query_of(table(tmp_path, "label"), "label=2") == query_of(table(tmp_path, "label"), "label=s%C3%BCd")


def test_images_are_chosen_by_the_name_of_a_class(rgb: Generator):
    assert parse_image(rgb, "42.png", "label=cat") == parse_image(rgb, "42.png", "label=2")
