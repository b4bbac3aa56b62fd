"""`data inspect`, `new` and `train PATH`: from a folder of images to a run, without other options."""

import json
import shutil

import pytest
import torch
import yaml
from click.testing import CliRunner

from seedmint.cli import cli, error_text
from seedmint.training.datasets.cache import cache_directory
from seedmint.training.datasets.packed.report import BrokenImagesError
from seedmint.training.networks import build_networks
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.derived import derive_recipe
from seedmint.training.recipes.files import load_recipe
from seedmint.training.recipes.schema import validate_recipe
from tests.support.commandline import run, run_error
from tests.support.icons import CLASSES, write_icons

SMALL = (
    "--set",
    "steps=2",
    "--set",
    "threads=1",
    "--set",
    "m=4",
    "--set",
    "generator.width=4",
    "--set",
    "discriminator.width=4",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_icons(tmp_path / "my_icons", 40, side=16)


def test_inspect_prints_the_summary_as_data(folder):
    document = json.loads(run("data", "inspect", "my_icons", "--json"))
    assert (document["kind"], document["count"]) == ("folder", 40)
    assert [tuple(entry) for entry in document["classes"]] == [(name, 10) for name in CLASSES]
    assert (document["width"], document["height"], document["channels"]) == (16, 16, 3)
    assert document["digest"] in document["file"]
    resized = json.loads(run("data", "inspect", "my_icons", "--json", "--set", "data.side=8", "--set", "data.channels=1"))
    assert (resized["width"], resized["channels"]) == (8, 1)
    assert {note["reason"] for note in resized["notes"]} == {"resized", "to_gray"}


def test_new_writes_a_recipe_with_comments(folder, tmp_path):
    run("new", "my_icons", "--set", "steps=7")
    text = (tmp_path / "my-icons.yaml").read_text()
    recipe = load_recipe("my-icons.yaml")
    assert (recipe.name, recipe.title, recipe.steps, recipe.conditional) == ("my-icons", "My icons", 7, True)
    assert recipe.data.path == str(folder)
    assert sum(line.lstrip().startswith("# ") for line in text.splitlines()) > 5
    assert run_error("new", "my_icons").reason == "file_exists"


@pytest.mark.parametrize(
    ("shape", "has_gpu", "kind"),
    [
        ((3, 64, 64), False, "convolutional"),
        ((3, 8, 8), False, "convolutional"),
        ((3, 128, 128), False, "convolutional"),
        ((3, 129, 129), False, "residual"),
        ((1, 32, 48), False, "residual"),
        ((3, 32, 32), True, "residual"),
    ],
)
def test_derived_networks_suit_the_images_and_the_machine(shape, has_gpu, kind):
    data = Data(source="folder", path="photos")
    derived = derive_recipe("photos", data, 3000, 4, shape, 2, has_gpu)
    recipe = validate_recipe(derived.document, "derived")
    assert (recipe.generator.kind, recipe.discriminator.kind) == (kind, kind)
    networks = build_networks(recipe, torch.full(shape, 0.5), 4)  # the networks support the shape
    assert len(networks) == 2


def test_schedules_of_a_derived_recipe_end_with_the_run(folder):
    run("new", "my_icons", "--set", "steps=70")
    recipe = load_recipe("my-icons.yaml")
    schedules = [recipe.rule.generator.learning_rate, recipe.rule.discriminator.learning_rate, recipe.penalty.r1]
    assert [schedule.steps for schedule in schedules] == [70, 70, 70]
    for wrong in ("0", "-1", "many", "true"):
        assert run_error("new", "my_icons", "--set", f"steps={wrong}").field == "steps"


@pytest.mark.filterwarnings("ignore")
def test_train_needs_only_a_path(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("seedmint.training.runs.timing._SECONDS", 0)
    run("train", "my_icons", *SMALL)
    text = (tmp_path / "runs" / "my-icons" / "recipe.yaml").read_text()
    document = yaml.safe_load(text)
    assert (document["title"], document["conditional"], document["data"]["source"]) == ("My icons", True, "folder")
    assert "# " in text
    run("resume", "runs/my-icons", "--set", "steps=3")
    assert (tmp_path / "runs" / "my-icons" / "recipe.yaml").read_text().count("# ") == text.count("# ")
    run("train", "my_icons", *SMALL)
    assert (tmp_path / "runs" / "my-icons-2" / "checkpoints").is_dir()


@pytest.mark.filterwarnings("ignore")
def test_evaluate_finds_the_packed_images_by_the_digest_on_the_card(folder, tmp_path, monkeypatch):
    """The card holds no path. The held-out images are the reference, and real images have scores."""
    monkeypatch.setattr("seedmint.training.runs.timing._SECONDS", 0)
    run("train", "my_icons", *SMALL, "--out", "r")
    run("export", "r", "--name", "mine", "--models", ".")
    options = ("--metrics", "spectrum,nearest", "--samples", "20", "--json")
    document = json.loads(CliRunner().invoke(cli, ["evaluate", "mine.onnx", *options], catch_exceptions=False).stdout)
    assert document["is_training_data"]
    assert all(metric["real_images"] is not None for metric in document["metrics"] if metric["metric"] != "copying")
    shutil.rmtree(cache_directory() / "packs")
    assert run_error("evaluate", "mine.onnx", *options).reason == "data_required"


def test_broken_images_stop_training_before_it_starts(folder, tmp_path):
    for name in ("tree/a.png", "sun/b.png"):
        (folder / name).write_bytes(b"no image")
    error = run_error("train", "my_icons", *SMALL)
    assert isinstance(error, BrokenImagesError)
    assert {entry.name for entry in error.broken} == {"tree/a.png", "sun/b.png"}
    assert error_text(error, ["train", "my_icons"]).startswith("data.skip_broken: ")
    assert not (tmp_path / "runs").exists()
    assert len(json.loads(run("data", "inspect", "my_icons", "--json"))["broken"]) == 2


def test_wrong_fields_of_data_are_named(folder):
    assert run_error("new", "my_icons", "--set", "data=5").field == "data"
    assert run_error("data", "inspect", "my_icons", "--set", "data.side=7").field == "data.side"
    assert run_error("train", "my_icons", "--set", "stepz=7").field == "stepz"
    assert run_error("data", "inspect", "nowhere").reason == "not_found"
    assert run_error("train", "nowhere").reason == "not_found"


def test_a_shipped_recipe_with_other_data_gets_their_title():
    recipe = load_recipe("digits", ["data.source=folder", "data.path=/x/holiday_photos"])
    assert (recipe.name, recipe.title) == ("holiday-photos", "Holiday photos")
    named = load_recipe("digits", ["data.source=folder", "data.path=/x/photos", "title=Mine", "name=mine"])
    assert (named.name, named.title) == ("mine", "Mine")
    assert load_recipe("digits", ["steps=5"]).name == "digits"


def test_table_without_a_recipe(tmp_path, monkeypatch):
    """The recipe names the columns that can be learned; the summary has a type for each."""
    monkeypatch.chdir(tmp_path)
    lines = [f"{i},{i % 7},{'ab'[i % 2]},name {i},{'' if i % 5 else 'x'}" for i in range(1200)]
    (tmp_path / "people.csv").write_text("\n".join(["id,n,kind,name,note", *lines]) + "\n")
    document = json.loads(run("data", "inspect", "people.csv", "--json"))
    assert [(column["name"], column["type"], column["nullable"]) for column in document["columns"]] == [
        ("n", "integer", False),
        ("kind", "text", False),
        ("note", "text", True),
    ]
    assert set(document["left_out"]) == {"name"}
    run("train", "people.csv", "--set", "data.label=kind", "--set", "steps=2", "--set", "m=16")
    recipe = yaml.safe_load((tmp_path / "runs" / "people" / "recipe.yaml").read_text())
    assert (recipe["data"]["columns"], recipe["data"]["label"], recipe["conditional"]) == (["n", "note"], "kind", True)
