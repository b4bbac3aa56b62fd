"""The tables and links of the README and of the guides are correct. `.ci/readme.py` runs their commands."""

import re
import tomllib
from pathlib import Path

import pytest

from seedmint import load
from seedmint.service.settings import Settings, default_text, variable
from seedmint.training.recipes.files import load_recipe, shipped_recipes

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "models/README.md", *sorted((ROOT / "docs").glob("*.md"))]


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_the_table_of_settings_is_complete():
    rows = re.findall(r"^\| `(SEEDMINT_\w+)` \| `([^`]+)` \| (.+) \|$", text("docs/service.md"), re.MULTILINE)
    expected = [(variable(name), default_text(name), field.description) for name, field in Settings.model_fields.items()]
    assert rows == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_have_a_target(page: Path):
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if link.startswith("https://"):
            continue
        file, _, section = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        if section:
            heads = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert section in [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads], link


def test_every_shipped_generator_has_a_recipe():
    shipped = {path.stem for path in (ROOT / "models").glob("*.onnx")}
    assert {"digits", "mnist", "gaussian-1d", "ring-2d", "sines"} <= shipped <= set(shipped_recipes())


def test_the_recipe_on_the_page_is_valid(tmp_path):
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text("docs/training.md"), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if block.startswith("name: ")]
    (tmp_path / "mine.yaml").write_text(block)
    assert load_recipe(str(tmp_path / "mine.yaml"), ["conditional=true"]).data.columns == ["age", "income", "region"]


def test_the_drawing_of_the_layers_is_that_of_the_contracts():
    page = text("docs/architecture.md")
    contracts = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = {contract["containers"][0]: contract["layers"] for contract in contracts if contract["type"] == "layers"}
    for container in ("seedmint.service", "seedmint.training", "seedmint.models"):
        (group,) = re.findall(
            rf"^  subgraph {container.removeprefix('seedmint.')}\n(.*?)^  end$", page, re.MULTILINE | re.DOTALL
        )
        assert re.findall(r"\w\[\"?([^\]\"]+)", group) == layers[container]


def test_the_paths_of_the_pages_for_developers_exist():
    paths = re.findall(
        r"`((?:models|service|training|seedmint)/[\w/.]*)`", text("docs/architecture.md") + text("CONTRIBUTING.md")
    )
    assert len(paths) > 10
    for path in paths:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(("page", "first"), [("README.md", 64), ("models/README.md", 0)])
def test_the_words_on_the_pages_are_those_of_the_seeds(page: str, first: int):
    words = load("words").texts(range(first, first + 64))
    assert " ".join(words) in " ".join(text(page).split())
