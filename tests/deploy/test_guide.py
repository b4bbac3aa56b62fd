"""What docs/deploy.md promises and tells people to type, as far as it needs no container and no cluster."""

import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import generators
from tests.service.servers import Server, serving, wait_until

_ROOT = Path(__file__).parents[2]
_GUIDE = (_ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def part(title: str) -> str:
    """What stands below a heading."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", _GUIDE, re.MULTILINE | re.DOTALL)
    return str(found)


def rows(title: str) -> list[list[str]]:
    """The cells of a part's table, without its two lines of head."""
    lines = [line for line in part(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def typed(title: str) -> list[list[str]]:
    """The commands of each block of a part."""
    blocks = re.findall(r"^```console\n(.*?)^```", part(title), re.MULTILINE | re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.replace("\\\n", "").splitlines()] for block in blocks]


def test_the_replicas_follow_from_what_was_measured():
    results = (_ROOT / "benchmarks" / "results" / "serving.txt").read_text()
    (measured,) = re.findall(r"16 connections, closed loop\n.*\nseedmint +([\d,]+)", results)
    c = int(measured.replace(",", ""))
    assert f"c = {measured}" in part("Capacity")
    table = rows("Capacity")
    assert len(table) == 4
    for r, *replicas in table:
        needed = [(1 - h) * int(r.replace(",", "")) / (0.6 * c) for h in (0, 0.5, 0.9, 0.99)]
        assert [int(one) for one in replicas] == [max(2, math.ceil(one)) for one in needed]
    bulk = re.findall(r"^(?:npy|zip) / .* +([\d,]+) +[\d,]+ +[\d.]+$", results, re.MULTILINE)
    (unchanged,) = re.findall(r"^seedmint +([\d,]+) requests/s$", results, re.MULTILINE)
    assert len(bulk) == 2
    assert all(f"{figure} " in part("Capacity") or f"{figure} as npy" in part("Capacity") for figure in (*bulk, unchanged))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("models")
    generators.write(directory, "mnist", 1)
    with serving(directory) as running:
        yield running


def test_caches_are_told_what_the_table_says(server: Server):
    images = server.pinned("mnist")
    pinned = images.removesuffix("/images")
    asked = {
        "pinned": [f"{images}/1.png", f"{pinned}/grid.png?seeds=0-3", f"{pinned}/walk.webp?from=1&to=2"],
        "moving": ["/v1/models/mnist/images/1.png"],
        "described": ["/v1/models", "/v1/models/mnist", "/openapi.json", "/", "/docs"],
        "never": ["/metrics", "/v1/models/none/images/1.png"],
    }
    told = {}
    for kind, paths in asked.items():
        answers = [server.client.get(path, follow_redirects=False) for path in paths]
        (told[kind],) = {answer.headers.get("cache-control", "nothing") for answer in answers}
        if kind == "pinned":
            assert all(re.fullmatch('"[^"]+"', answer.headers["etag"]) for answer in answers)
    bulk = server.client.post("/v1/sample", json={"model": "mnist", "seeds": "0-9"})
    assert bulk.headers["cache-control"] == told["never"]
    for row, kind in zip(rows("Behind a CDN"), asked, strict=True):
        assert f"`{told[kind]}`" in row[1], (row, told)


def test_a_generator_is_upgraded_and_rolled_back_without_a_broken_link(server: Server, tmp_path: Path):
    keep, replace = typed("Upgrade a generator")[0]
    ((back,),) = [block for block in typed("Rollback") if "onnx" in block[0]]
    old = server.pinned("mnist")
    old_digest = server.digest("mnist")[:12]
    image = server.client.get(f"{old}/7.png")
    generators.write(tmp_path, "mnist", 2)

    def type_in(line: str) -> None:
        line = line.replace("/elsewhere", str(tmp_path)).replace("c32b8e4f0804", old_digest)
        subprocess.run(["bash", "-ec", line], cwd=server.models, check=True)

    type_in(keep)
    type_in(replace)
    wait_until(lambda: server.pinned("mnist") != old)
    assert server.client.get("/v1/models/mnist/images/7.png", follow_redirects=False).headers["location"] != f"{old}/7.png"
    new = server.pinned("mnist")
    assert server.client.get(f"{new}/7.png").content != image.content
    assert server.client.get(f"{old}/7.png").content == image.content
    assert [one["digest"][:12] for one in server.client.get("/v1/models").json()["models"]] != [old_digest]
    type_in(back)
    wait_until(lambda: server.pinned("mnist") == old)
    assert server.client.get(f"{old}/7.png").headers["etag"] == image.headers["etag"]


def test_commands_name_files_and_variables_that_are_there():
    commands = [line for title in re.findall(r"^## (.+)$", _GUIDE, re.MULTILINE) for block in typed(title) for line in block]
    named = {path for line in commands for path in re.findall(r"\b(?:deploy|benchmarks)/[\w./-]+", line)}
    assert len(named) >= 4
    assert not [path for path in named if not (_ROOT / path).exists()]
    compose = (_ROOT / "deploy" / "compose.yaml").read_text()
    for image in re.findall(r"(?:prom/prometheus|grafana/grafana):v?[\d.]+", " ".join(commands)):
        assert f"docker.io/{image}\n" in compose
    values = (_ROOT / "deploy" / "chart" / "README.md").read_text()
    told = {value for line in commands for value in re.findall(r"--set ([\w.]+)=", line)}
    assert len(told) > 8
    assert not [value for value in told if f"`{value}`" not in values and f"`{value.rpartition('.')[0]}`" not in values]
