"""The wheel, installed in an empty environment, runs the commands of the pages beside modules of the user."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.installations import ROOT, build_wheel, copy_source, uv
from tests.support.servers import free_port, kill, wait_until_ok

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the commands of the environment."""
    directory = tmp_path_factory.mktemp("empty")
    wheel = build_wheel(copy_source(directory / "source"), directory)
    python = directory / "venv" / "bin" / "python"
    for arguments in (
        ("venv", "--python", sys.executable, directory / "venv"),
        ("pip", "install", "--python", python, f"{wheel}[serve,batch,cpu]"),
    ):
        done = uv(*arguments, environment=environment(directory))
        assert done.returncode == 0, done.stderr
    return python.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose modules have the names of Seedmint's folders."""
    for name in ("models.py", "service.py", "training.py", "datasets.py"):
        (tmp_path / name).write_text('raise RuntimeError("a module of the user was imported")\n')
    return tmp_path


def environment(data: Path) -> dict[str, str]:
    removed = ("SEEDMINT_", "BENTOML_", "PYTHON", "PYTEST_", "COV_", "COVERAGE_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(removed)}
    return kept | {"XDG_DATA_HOME": str(data / "data"), "XDG_CACHE_HOME": str(data / "cache"), "BENTOML_DO_NOT_TRACK": "true"}


def run(installed: Path, project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(installed / command[0]), *command[1:]], cwd=project, env=environment(project), capture_output=True, text=True
    )
    assert "a module of the user" not in done.stderr
    return done


@pytest.fixture
def server(installed: Path, project: Path) -> Iterator[tuple[httpx.Client, Path]]:
    port = free_port()
    process = subprocess.Popen(
        [str(installed / "seedmint"), "serve", "--port", str(port)],
        cwd=project,
        env=environment(project) | {"BENTOML_HOME": str(project / "bentoml")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True) as client:
            wait_until_ok(client, "/readyz", process)
            yield client, project
    finally:
        kill(process)


def test_only_the_packages_of_the_extras_are_installed(installed: Path, project: Path):
    program = "from importlib.metadata import distributions; print(*(one.name for one in distributions()))"
    names = set(run(installed, project, "python", "-P", "-c", program).stdout.split())
    assert "onnxruntime" in names
    assert not names & {"onnxruntime-gpu", "torch", "ray", "s3fs", "datasets"}
    assert run(installed, project, "seedmint", "doctor").returncode in (0, 1)
    training = run(installed, project, "seedmint", "train", "digits", "--out", "runs/d")
    assert training.returncode == 1
    assert re.search(r"pip install '\S+\.whl\[train\]'", training.stderr), training.stderr


def test_the_server_of_the_readme(server: tuple[httpx.Client, Path]):
    client, project = server
    (request,) = [block for block in blocks("README.md", "sh") if block.startswith("curl ")]
    path = re.search(r"localhost:3000(/\S+)", request)
    assert path is not None
    response = client.get(path[1])
    assert response.status_code == 200
    assert response.content.startswith(b"\x89PNG")
    assert client.get("/").status_code == 200
    assert (project / "data" / "seedmint" / "models" / "mnist.onnx").is_file()


def test_the_commands_of_batch_jobs(installed: Path, project: Path):
    commands = [line for line in blocks("docs/batch.md", "sh")[0].splitlines() if line.startswith(".venv/bin/")]
    assert {line.split()[2] for line in commands} >= {"run", "status", "verify", "estimate"}
    for line in commands:
        done = run(installed, project, *line.removeprefix(".venv/bin/").split())
        assert done.returncode == 0, done.stderr
    assert (project / "out" / "digits" / "manifest.json").is_file()


def test_the_python_of_the_readme(installed: Path, project: Path):
    (block,) = [block for block in blocks("README.md", "python") if "seedmint.load" in block]
    done = run(installed, project, "python", "-P", "-c", block)
    assert done.returncode == 0, done.stderr
    assert (project / "sheet.png").is_file()


def test_uvx_runs_the_wheel_and_tells_the_missing_extra(installed: Path, project: Path):
    (wheel,) = installed.parents[1].glob("*.whl")
    tools = environment(project) | {"UV_TOOL_DIR": str(project / "tools"), "UV_TOOL_BIN_DIR": str(project / "bin")}

    def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
        return uv("tool", *arguments, environment=tools, folder=project)

    listed = tool("run", "--from", f"{wheel}[serve,cpu]", "seedmint", "models", "list")
    assert listed.returncode == 0, listed.stderr
    assert "mnist " in listed.stdout
    missing = tool("run", "--from", f"{wheel}[cpu]", "seedmint", "train", "digits", "--out", "runs/d")
    assert f"uvx --from '{wheel}[train,cpu]' seedmint" in missing.stderr
    assert tool("install", f"{wheel}[serve,cpu]").returncode == 0
    done = subprocess.run(
        [str(project / "bin" / "seedmint"), "train", "digits", "--out", "r"], env=tools, capture_output=True, text=True
    )
    assert f"uv tool install '{wheel}[serve,cpu,train]'" in done.stderr
