"""The table of penguins that comes with palmerpenguins."""

import pytest

from seedmint.training.datasets import load_splits
from seedmint.training.recipes.files import load_recipe
from seedmint.training.recipes.schema import RecipeError


def test_penguins_have_their_types_labels_and_missing_values():
    train, held_out = load_splits(load_recipe("penguins").data)
    assert (len(train) + len(held_out), train.licence) == (344, "CC0-1.0")
    assert train.classes == ("Adelie", "Chinstrap", "Gentoo")
    assert (train.table.labels[0].name, train.table.labels[0].position) == ("species", 0)
    assert {column.name: column.type for column in train.table.columns} == {
        "island": "text",
        "bill_length_mm": "number",
        "bill_depth_mm": "number",
        "flipper_length_mm": "integer",
        "body_mass_g": "integer",
        "sex": "text",
        "year": "integer",
    }
    nullable = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex"]
    assert [column.name for column in train.table.columns if column.nullable] == nullable


def test_the_columns_of_penguins_can_be_chosen_but_not_their_path():
    train, _ = load_splits(load_recipe("penguins", ["data.label=island", "data.columns=[sex, year]"]).data)
    assert (train.names, train.classes) == (("sex", "year"), ("Biscoe", "Dream", "Torgersen"))
    with pytest.raises(RecipeError):
        load_recipe("penguins", ["data.path=other.csv"])
