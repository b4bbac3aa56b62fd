"""`bentoml build` succeeds and packs only files that serving needs; the bento serves."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support import generators
from tests.support.servers import free_port, kill, wait_until_ok

_ROOT = Path(__file__).parents[2]


def requirements() -> list[str]:
    """Return the requirements of the extras `serve`, `s3` and `cpu`, with nested extras of Seedmint resolved."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]

    def resolve(extra: str) -> list[str]:
        resolved: list[str] = []
        for requirement in extras[extra]:
            inner = re.fullmatch(r"seedmint\[(\w+)\]", requirement)
            resolved += resolve(inner[1]) if inner else [requirement]
        return resolved

    return list(dict.fromkeys([*project["dependencies"], *resolve("serve"), *resolve("s3"), *resolve("cpu")]))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bentoml")


@pytest.fixture(scope="module")
def bento(home: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", str(_ROOT)],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (home / "bentos" / "seedmint").glob("*/")
    return built


def environment(home: Path, **more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDMINT_", "BENTOML_"))}
    return plain | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "true"} | more


def test_the_bentofile_has_the_requirements_of_serving():
    assert yaml.safe_load((_ROOT / "bentofile.yaml").read_text())["python"]["packages"] == requirements()


def test_the_bento_contains_the_service_the_models_package_and_the_generators(bento: Path):
    packed = {str(path.relative_to(bento / "src")) for path in (bento / "src").rglob("*") if path.is_file()}
    expected = {"pyproject.toml", "LICENSE", "bentofile.yaml"}
    for pattern in (
        "seedmint/*.py",
        "service/**/*.py",
        "service/**/*.html",
        "service/**/*.css",
        "service/**/*.js",
        "models/**/*.py",
        "models/*.onnx",
        "models/classifiers/*.onnx",
        "deploy/image/requirements/*.txt",
        "deploy/image/strip.py",
    ):
        expected |= {str(path.relative_to(_ROOT)) for path in _ROOT.glob(pattern)}
    assert packed == expected


def test_the_bento_contains_no_paths_or_urls_of_the_build_machine(bento: Path):
    for path in (*bento.glob("*.yaml"), *bento.glob("env/**/*")):
        if path.is_file():
            text = path.read_text()
            assert str(_ROOT) not in text
            assert "index-url" not in text
            assert "/simple" not in text


def test_the_bento_needs_no_installed_package(bento: Path):
    """Remove the finder of the editable installation: a container has no other `seedmint` than the one in the bento."""
    code = (
        "import sys; sys.meta_path = [one for one in sys.meta_path if 'editable' not in repr(one)]\n"
        "sys.path = [sys.argv[1], *(path for path in sys.path if 'site-packages' in path or 'python3' in path)]\n"
        "import seedmint.cli, seedmint.service.app, seedmint.models.errors as errors\n"
        "print(seedmint.cli.__file__, seedmint.service.app.__file__, errors.__file__)\n"
    )
    source = bento / "src"
    done = subprocess.run([sys.executable, "-c", code, str(source)], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(file.startswith(str(source)) for file in done.stdout.split())


@pytest.mark.slow
def test_the_bento_serves(bento: Path, home: Path, tmp_path: Path):
    """Run `bentoml serve` from a directory outside the source tree."""
    generators.write(tmp_path, "one")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bentoml", "serve", str(bento)],
        env=environment(home, SEEDMINT_MODELS=str(tmp_path), SEEDMINT_HOST="127.0.0.1", SEEDMINT_PORT=str(port)),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True) as client:
            wait_until_ok(client, "/readyz", process)
            assert client.get("/v1/models/one/images/1.png").headers["content-type"] == "image/png"
            assert re.search(
                r'^seedmint_images_total\{.*format="png",model="one"\} 1\.0$', client.get("/metrics").text, re.MULTILINE
            )
        process.terminate()
        assert process.wait(30) == 0
    finally:
        kill(process)
