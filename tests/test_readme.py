"""The README says what is so. `.ci/readme.py` runs its commands; here are its tables and links."""

import re
from pathlib import Path

import pytest

from service.settings import Settings, default_text, variable
from training.recipe import shipped_recipes

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_are_those_of_the_service():
    rows = re.findall(r"^\| `(SEEDMINT_\w+)` \| `([^`]+)` \| (.+) \|$", README, re.MULTILINE)
    expected = [(variable(name), default_text(name), field.description) for name, field in Settings.model_fields.items()]
    assert rows == expected


@pytest.mark.parametrize("page", ["README.md", "models/README.md"])
def test_links_lead_somewhere(page):
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert link.startswith("https://") or (path.parent / link).exists(), link


def test_every_shipped_generator_has_its_recipe():
    assert {path.stem for path in (ROOT / "models").glob("*.onnx")} & set(shipped_recipes()) == {"digits", "mnist"}


def test_tracked_text_names_no_package_registry():
    bad = re.compile(r"pypi\.org|files\.pythonhosted|index-url\s*=?\s*https?:")
    for path in (*ROOT.glob("*.*"), *(ROOT / "training").rglob("*.py"), *(ROOT / "service").rglob("*.py")):
        if path.is_file() and path.suffix in (".py", ".md", ".toml", ".yaml"):
            assert not bad.search(path.read_text(encoding="utf-8")), path
