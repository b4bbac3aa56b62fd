"""The code samples of the OpenAPI document run as they are, and write what the API returns."""

import contextlib
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from seedmint.models.card import ImageOutput
from seedmint.service.server.api_keys import new_key
from tests.support import generators
from tests.support.fixtures import CLASSES, POINT
from tests.support.servers import Server, serving

pytestmark = pytest.mark.slow

JOB = "0123456789abcdef"  # the ID in the samples
SAMPLES = ("curl", "Python", "JavaScript")


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    return new_key("alice")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, key: tuple[str, str]) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("models")
    generators.write(directory, "point", 3, classes=CLASSES, output=POINT)
    generators.write(directory, "rgb", 2, classes=CLASSES, output=ImageOutput(height=16, width=12, channels=3))
    with serving(directory, api_keys=key[1], jobs_url=tmp_path_factory.mktemp("jobs")) as running:
        running.client.headers["X-API-Key"] = key[0]
        yield running


def sources(server: Server, label: str, key: str) -> dict[str, str]:
    """Return the samples in one language by the name of the operation, with the key and the ID of a job that has ended."""
    document = server.client.get("/openapi.json").json()
    body = document["components"]["schemas"]["JobRequest"]["examples"][0]
    job = server.client.post("/v1/jobs", json=body).json()["id"]
    while server.client.get(f"/v1/jobs/{job}?wait=30").json()["state"] in ("queued", "running"):
        pass
    operations = [each for item in document["paths"].values() for method, each in item.items() if method != "head"]
    found = {
        each["operationId"]: next(sample["source"] for sample in each["x-codeSamples"] if sample["label"] == label)
        for each in operations
    }
    # A removed job has no files.
    found["deleteJob"] = found.pop("deleteJob")
    return {name: source.replace("YOUR_API_KEY", key).replace(JOB, job) for name, source in found.items()}


def check_files(directory: Path) -> None:
    """Each language writes the same files, whose content is that of their names."""
    assert (directory / "42.png").read_bytes().startswith(b"\x89PNG")
    assert (directory / "42.webp").read_bytes()[8:12] == b"WEBP"
    assert (directory / "42.npy").read_bytes().startswith(b"\x93NUMPY")
    assert (directory / "images.npy").read_bytes().startswith(b"\x93NUMPY")


def test_curl(server: Server, key: tuple[str, str], tmp_path: Path):
    (tmp_path / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    for name, source in sources(server, "curl", key[0]).items():
        done = subprocess.run(
            ["/bin/sh", "-c", source], cwd=tmp_path, env=os.environ | {"CURL_HOME": str(tmp_path)}, capture_output=True
        )
        assert done.returncode == 0, (name, source, done.stderr)
        assert done.stderr == b"", (name, source)
    check_files(tmp_path)


def test_python(server: Server, key: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name, source in sources(server, "Python", key[0]).items():
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(source, name, "exec"), {})
        assert output.getvalue() or "open(" in source or name == "deleteJob", source
    check_files(tmp_path)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_javascript(server: Server, key: tuple[str, str], tmp_path: Path):
    """All samples run in one process, each in its own function."""
    functions = [f"await (async () => {{\n{source}\n}})();" for source in sources(server, "JavaScript", key[0]).values()]
    (tmp_path / "samples.mjs").write_text("\n".join(functions))
    done = subprocess.run(["node", "samples.mjs"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
