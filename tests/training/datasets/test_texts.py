"""Strings from text files, from columns of tables, and from the word list of the system."""

import pytest

from seedmint.training.cli.front_door import derive
from seedmint.training.datasets import DataError, load_splits
from seedmint.training.datasets import words as word_list
from seedmint.training.datasets.texts import load_texts
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.files import load_recipe
from tests.support.errors import raises


def texts(path, content, **fields):
    """Return the column and the strings of a file."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    dataset = load_texts(Data(source="text", path=str(path), **fields))
    (column,) = dataset.table.columns
    return column, column.values(dataset.samples), dataset.table.notes


def test_the_alphabet_and_the_length_come_from_the_lines(tmp_path):
    column, strings, notes = texts(tmp_path / "names.txt", "Zoë\r\nal\n\n al \n")
    assert (column.name, column.alphabet, column.length, strings) == ("text", tuple("Zaloë"), 3, ["Zoë", "al", "al"])
    assert len(notes) == 1
    assert texts(tmp_path / "latin.txt", "Zoë\n".encode("latin-1"))[1] == ["Zoë"]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_column_of_a_table(tmp_path, suffix):
    column, strings, _ = texts(tmp_path / f"names.{suffix}", 'name\nann\n"o, x"\n\n')
    assert (column.name, strings) == ("name", ["ann", "o, x"])
    two = "name,age\nann,3\nbob,4\n"
    assert texts(tmp_path / "two.csv", two, columns=["name"])[1] == ["ann", "bob"]
    for fields, reason in (({}, "not_one_column"), ({"columns": ["age"]}, "not_text")):
        with raises(DataError, reason, "data.columns"):
            texts(tmp_path / "two.csv", two, **fields)


def test_long_strings_are_refused_left_out_or_cut(tmp_path):
    path, content = tmp_path / "names.txt", "ab\nabcd efg\n" + "a" * 50
    with raises(DataError, "too_long", "data.length"):
        texts(path, content)
    with raises(DataError, "too_long", "data.longer"):
        texts(path, content, length=5)
    column, strings, notes = texts(path, content, length=5, longer="cut")
    assert (column.length, strings, len(notes)) == (5, ["ab", "abcd", "aaaaa"], 1)
    assert texts(path, content, length=5, longer="leave_out")[1] == ["ab"]
    assert texts(path, content, length=50)[0].length == 50


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a\tb\n", "control_character"),
        ("\n \n", "empty_table"),
        ("".join(map(chr, range(0x4E00, 0x4F00))).replace("", "\n"), "too_many_characters"),
    ],
)
def test_unusable_files_are_refused(tmp_path, content, reason):
    with raises(DataError, reason, "data.path"):
        texts(tmp_path / "names.txt", content)


def test_names_of_columns_and_fields_that_do_not_apply_are_refused(tmp_path):
    with raises(DataError, "invalid_column", "data.columns"):
        texts(tmp_path / "names.csv", "n" * 201 + "\nann\nbob\n")
    with raises(DataError, "not_applicable", "data.columns"):
        texts(tmp_path / "names.txt", "ann\nbob\n", columns=["name"])


@pytest.mark.parametrize(
    ("file", "content", "source"),
    [
        ("a.txt", "ann\nbob\n" * 20, "text"),
        ("a.csv", "name\nann\nbob\n" + "cy\n" * 20, "text"),
        ("b.csv", "name,age\nann,3\nbob,4\n" + "cy,5\n" * 20, "table"),
        ("c.csv", "age\n3\n4\n" + "5\n" * 20, "table"),
    ],
)
def test_the_front_door_knows_strings_from_tables(tmp_path, capsys, file, content, source):
    (tmp_path / file).write_text(content)
    recipe = derive(str(tmp_path / file), (), has_gpu=False).recipe
    assert recipe.data.source == source
    assert recipe.generator.kind == ("text" if source == "text" else "mlp")
    assert file in capsys.readouterr().err


def test_words_are_lower_case_without_names(tmp_path, monkeypatch):
    path = tmp_path / "words"
    path.write_text("Ann\nann's\nan\nextraordinarily\n" + "\n".join(f"word{chr(97 + i)}" for i in range(10)))
    train, held_out = load_splits(load_recipe("words", [f"data.path={path}"]).data)
    (column,) = train.table.columns
    assert (len(train), len(held_out), column.length, column.name) == (8, 2, 12, "word")
    monkeypatch.setattr(word_list, "_LISTS", ())
    with raises(DataError, "no_word_list", "data.path"):
        load_splits(Data(source="words"))
