"""What the deployment guide and the runbook say is so: links, files and values that commands name, and the capacity table."""

import math
import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
PAGES = ["docs/deploy.md", "docs/runbook.md"]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str):
    here = ROOT / page
    links = re.findall(r"\]\(([^)\s]+)\)", here.read_text(encoding="utf-8"))
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        if path.startswith("https:"):
            continue
        target = here.parent / path if path else here
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES)
def test_files_targets_and_settings_exist(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    settings = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    compose = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    for path in re.findall(r"(?<![\w/.-])(?:deploy|benchmarks|docs)/[\w./-]*\w", text):
        assert (ROOT / path).exists() or path == "deploy/seedmint.env", path
    for target in re.findall(r"`make ([\w-]+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for name in re.findall(r"\bSEEDMINT_\w+", text):
        assert f"`{name}`" in settings or f"${{{name}:" in compose, name


def test_values_of_the_chart_exist():
    values = yaml.safe_load((ROOT / "deploy" / "chart" / "values.yaml").read_text(encoding="utf-8"))
    commands = re.findall(r"helm (?:install|upgrade) [^`\n]+", GUIDE)
    named = [word.partition("=")[0] for command in commands for word in shlex.split(command) if "=" in word]
    assert len(named) >= 4
    for name in named:
        place = values
        for part in name.split("."):
            assert part in place, name
            place = place[part]


def test_the_capacity_table_follows_from_what_was_measured():
    results = (ROOT / "benchmarks" / "results" / "serving.txt").read_text(encoding="utf-8")
    found = re.search(r"^16 connections.*\n.*\nseedmint +([\d,]+)", results, re.MULTILINE)
    assert found
    assert f"c = {found[1]} at 16 connections" in GUIDE
    one_core = int(found[1].replace(",", ""))
    lines = GUIDE[GUIDE.index("| r | h = 0 ") :].split("\n\n")[0].splitlines()
    hits = [float(cell.removeprefix("h = ")) for cell in cells(lines[0])[1:]]
    for line in lines[2:]:
        rate, *replicas = (int(cell.replace(",", "")) for cell in cells(line))
        assert replicas == [max(2, math.ceil((1 - hit) * rate / (0.6 * one_core))) for hit in hits]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
