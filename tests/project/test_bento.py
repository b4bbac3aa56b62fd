"""`bentoml build` succeeds, packs what serving needs and nothing else, and what it packs serves."""

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
from tests.support.servers import free_port, kill, wait_until

_ROOT = Path(__file__).parents[2]


def requirements() -> list[str]:
    """The extras `serve` and `s3` of pyproject.toml, with the extras of our own that it names written out."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]

    def written_out(extra: str) -> list[str]:
        found: list[str] = []
        for requirement in extras[extra]:
            inner = re.fullmatch(r"seedmint\[(\w+)\]", requirement)
            found += written_out(inner[1]) if inner else [requirement]
        return found

    return list(dict.fromkeys([*project["dependencies"], *written_out("serve"), *written_out("s3")]))


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


def test_the_bentofile_asks_for_what_serving_asks_for():
    assert yaml.safe_load((_ROOT / "bentofile.yaml").read_text())["python"]["packages"] == requirements()


def test_the_bento_holds_the_service_the_hall_and_the_generators(bento: Path):
    packed = {str(path.relative_to(bento / "src")) for path in (bento / "src").rglob("*") if path.is_file()}
    wanted = {"pyproject.toml", "LICENSE", "bentofile.yaml"}
    for pattern in (
        "seedmint/*.py",
        "service/**/*.py",
        "service/**/*.html",
        "service/**/*.css",
        "service/**/*.js",
        "models/**/*.py",
        "models/*.onnx",
        "deploy/image/requirements/*.txt",
    ):
        wanted |= {str(path.relative_to(_ROOT)) for path in _ROOT.glob(pattern)}
    assert packed == wanted


def test_the_bento_tells_nothing_of_the_machine_that_built_it(bento: Path):
    for path in (*bento.glob("*.yaml"), *bento.glob("env/**/*")):
        if path.is_file():
            text = path.read_text()
            assert str(_ROOT) not in text
            assert "index-url" not in text
            assert "/simple" not in text


def test_the_bento_serves(bento: Path, home: Path, tmp_path: Path):
    """As its container does: by BentoML's own command, from a directory that has nothing to do with the source."""
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

            def ready() -> bool:
                assert process.poll() is None
                try:
                    return client.get("/readyz").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(ready, 60)
            assert client.get("/v1/models/one/images/1.png").headers["content-type"] == "image/png"
            assert 'seedmint_images_total{format="png",model="one"} 1.0' in client.get("/metrics").text
        process.terminate()
        assert process.wait(30) == 0
    finally:
        kill(process)
