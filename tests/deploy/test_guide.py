"""The deployment guide and the runbook are correct: links, names in commands, tables, and the steps of upgrade and rollback."""

import math
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support import generators
from tests.support.servers import Server, serving, wait_until

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
PAGES = ["docs/deploy.md", "docs/runbook.md"]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def section(title: str) -> str:
    """Return the text below a heading."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    return str(found)


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table of a section, without the two header lines."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [cells(line) for line in lines[2:]]


def commands(title: str) -> list[list[str]]:
    """Return the commands of each console block of a section."""
    blocks = re.findall(r"^```console\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.replace("\\\n", "").splitlines()] for block in blocks]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub derives from the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_link_targets_exist(page: str):
    source = ROOT / page
    links = re.findall(r"\]\(([^)\s]+)\)", source.read_text(encoding="utf-8"))
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        if path.startswith("https:"):
            continue
        target = source.parent / path if path else source
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
    for image in re.findall(r"\b(?:prom|grafana)/\w+:v?[\d.]+", text):
        assert f"docker.io/{image}\n" in compose, image
    for target in re.findall(r"`make ([\w-]+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for name in re.findall(r"\bSEEDMINT_\w+", text):
        assert f"`{name}`" in settings or f"${{{name}:" in compose, name


def test_values_of_the_chart_exist():
    values = yaml.safe_load((ROOT / "deploy" / "chart" / "values.yaml").read_text(encoding="utf-8"))
    helm_commands = re.findall(r"helm (?:install|upgrade) [^`\n]+", GUIDE.replace("\\\n", ""))
    named = [word.partition("=")[0] for command in helm_commands for word in shlex.split(command) if "=" in word]
    assert len(named) >= 4
    for name in named:
        value = values
        for key in name.split("."):
            if value == {}:  # any content that Kubernetes accepts
                break
            assert key in value, name
            value = value[key]


def test_the_capacity_table_follows_from_the_measurements():
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
    results += (ROOT / "benchmarks" / "results" / "bulk.txt").read_text(encoding="utf-8")
    others = re.findall(r"^(?:npy|zip) / .*?  +([\d,]+) |^seedmint +([\d,]+) requests/s$", results, re.MULTILINE)
    assert len(set(others)) == 3  # npy has two lines
    assert all(re.search(rf"\b{bulk or unchanged}\b", section("Capacity")) for bulk, unchanged in others)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("models")
    generators.write(directory, "mnist", 1)
    with serving(directory) as running:
        yield running


def test_the_cache_control_headers_match_the_table(server: Server):
    images = server.pinned("mnist")
    pinned = images.removesuffix("/images")
    urls = {
        "pinned": [f"{images}/1.png", f"{pinned}/grid.png?seeds=0-3", f"{pinned}/walk.webp?from=1&to=2"],
        "moving": ["/v1/models/mnist/images/1.png"],
        "described": ["/v1/models", "/v1/models/mnist", "/openapi.json", "/", "/docs"],
        "never": ["/metrics", "/v1/models/none/images/1.png"],
    }
    headers = {}
    for kind, paths in urls.items():
        answers = [server.client.get(path, follow_redirects=False) for path in paths]
        (headers[kind],) = {answer.headers.get("cache-control", "nothing") for answer in answers}
        if kind == "pinned":
            assert all(re.fullmatch('"[^"]+"', answer.headers["etag"]) for answer in answers)
    bulk = server.client.post("/v1/sample", json={"model": "mnist", "seeds": "0-9"})
    assert bulk.headers["cache-control"] == headers["never"]
    for row, kind in zip(rows("Behind a CDN"), urls, strict=True):
        assert f"`{headers[kind]}`" in row[1], (row, headers)


def test_a_generator_is_upgraded_and_rolled_back_without_a_broken_link(server: Server, tmp_path: Path):
    keep, replace = commands("Upgrade a generator")[0]
    ((roll_back,),) = [block for block in commands("Rollback") if "onnx" in block[0]]
    old = server.pinned("mnist")
    old_digest = server.digest("mnist")[:12]
    image = server.client.get(f"{old}/7.png")
    generators.write(tmp_path, "mnist", 2)

    def run_command(line: str) -> None:
        line = line.replace("/elsewhere", str(tmp_path)).replace("97b749bd861e", old_digest)
        subprocess.run(["bash", "-ec", line], cwd=server.models, check=True)

    run_command(keep)
    run_command(replace)
    wait_until(lambda: server.pinned("mnist") != old)
    assert server.client.get("/v1/models/mnist/images/7.png", follow_redirects=False).headers["location"] != f"{old}/7.png"
    new = server.pinned("mnist")
    assert server.client.get(f"{new}/7.png").content != image.content
    assert server.client.get(f"{old}/7.png").content == image.content
    assert [model["digest"][:12] for model in server.client.get("/v1/models").json()["models"]] != [old_digest]
    run_command(roll_back)
    wait_until(lambda: server.pinned("mnist") == old)
    assert server.client.get(f"{old}/7.png").headers["etag"] == image.headers["etag"]
