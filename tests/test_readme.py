"""The README says what is so. `.ci/readme.py` runs its commands; here are its tables and links."""

import re
from pathlib import Path

import pytest

from service.settings import Settings, default_text, variable
from training.recipe_files import load_recipe, shipped_recipes

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_are_those_of_the_service():
    rows = re.findall(r"^\| `(SEEDMINT_\w+)` \| `([^`]+)` \| (.+) \|$", README, re.MULTILINE)
    expected = [(variable(name), default_text(name), field.description) for name, field in Settings.model_fields.items()]
    assert rows == expected


@pytest.mark.parametrize("page", ["README.md", "models/README.md", "docs/theory.md"])
def test_links_lead_somewhere(page):
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert link.startswith("https://") or (path.parent / link).exists(), link


def test_every_shipped_generator_has_its_recipe():
    shipped = {path.stem for path in (ROOT / "models").glob("*.onnx")}
    assert {"digits", "mnist", "gaussian-1d", "ring-2d", "sines"} <= shipped <= set(shipped_recipes())


def test_the_recipe_on_the_page_is_one(tmp_path):
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.yaml").write_text(block)
    assert load_recipe(str(tmp_path / "mine.yaml"), ["conditional=true"]).data.columns == ["age", "income"]


def test_tracked_text_names_no_package_registry():
    bad = re.compile(r"pypi\.org|files\.pythonhosted|index-url\s*=?\s*https?:")
    for path in (*ROOT.glob("*.*"), *(ROOT / "training").rglob("*.py"), *(ROOT / "service").rglob("*.py")):
        if path.is_file() and path.suffix in (".py", ".md", ".toml", ".yaml"):
            assert not bad.search(path.read_text(encoding="utf-8")), path
