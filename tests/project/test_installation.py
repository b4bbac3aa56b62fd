"""Seedmint runs as a wheel and as an editable installation, in a folder that has its own models.py, service.py, training/."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import seedmint
from tests.support.installations import ROOT, build_sdist, build_wheel, copy_source, install
from tests.support.servers import free_port, kill, wait_until_ok

_IMPORT_USER_MODULES = "import models, service, training; assert models.OWNER == service.OWNER == training.OWNER == 'user'\n"


@pytest.fixture(autouse=True)
def data_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's data, where an installed copy has its generators."""
    home = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    return home


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    return build_wheel(copy_source(directory / "source"), directory)


@pytest.fixture(scope="module")
def wheel_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("wheel-venv"), str(wheel))


@pytest.fixture(scope="module")
def editable_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("editable")
    return install(directory / "venv", "--editable", str(copy_source(directory / "source")))


@pytest.fixture(params=["wheel", pytest.param("editable", marks=pytest.mark.slow)])
def python(request: pytest.FixtureRequest) -> Path:
    found = request.getfixturevalue(f"{request.param}_python")
    assert isinstance(found, Path)
    return found


@pytest.fixture
def user_folder(tmp_path: Path) -> Path:
    """A project whose modules have the names of the top-level folders of this repository."""
    (tmp_path / "training").mkdir()
    for name in ("models.py", "service.py", "training/__init__.py"):
        (tmp_path / name).write_text('OWNER = "user"\n')
    return tmp_path


def run(command: list[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(command, cwd=folder, env=environment(**variables), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(**variables: str) -> dict[str, str]:
    removed = ("SEEDMINT_", "BENTOML_", "PYTHON", "PYTEST_", "COV_", "COVERAGE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(removed)} | variables


def tracked_files() -> set[str]:
    command = ["git", "ls-files", "models", "service", "training", "seedmint"]
    files = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {file for file in files if (ROOT / file).is_file()}


def test_the_wheel_contains_the_package_and_its_data(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"seedmint", f"seedmint-{seedmint.__version__}.dist-info"}
    packaged = {name for name in names if name.startswith("seedmint/")}
    sources = {file for file in tracked_files() if not file.endswith((".md", "models/" + Path(file).stem + ".png"))}
    assert packaged == {file if file.startswith("seedmint/") else f"seedmint/{file}" for file in sources}


@pytest.mark.slow
def test_a_wheel_of_the_source_distribution_is_the_same(wheel: Path, tmp_path: Path):
    source = build_sdist(copy_source(tmp_path / "source"), tmp_path / "sdist")
    second = build_wheel(source, tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(second) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
        for name in one.namelist():
            assert name.endswith("RECORD") or one.read(name) == other.read(name), name


def test_commands_find_the_shipped_generators(python: Path, user_folder: Path):
    command = str(python.parent / "seedmint")
    listed = run([command, "models", "list"], user_folder)
    assert {path.stem for path in (ROOT / "models").glob("*.onnx")} == {line.split()[0] for line in listed.splitlines()}
    run([command, "sample", "mnist", "--seeds", "0-3", "--out", "a.png"], user_folder)
    run([str(python), "-m", "seedmint", "sample", "mnist", "--seeds", "0-3", "--out", "b.png"], user_folder)
    assert (user_folder / "a.png").read_bytes() == (user_folder / "b.png").read_bytes()


def test_the_generators_of_a_wheel_are_in_the_data_directory_of_the_user(
    wheel_python: Path, user_folder: Path, data_home: Path
):
    command = str(wheel_python.parent / "seedmint")
    folder = data_home / "seedmint" / "models"
    run([command, "models", "add", str(ROOT / "models" / "digits.onnx"), "--name", "mine"], user_folder)
    assert {path.stem for path in folder.glob("*.onnx")} == {"mine", *(path.stem for path in (ROOT / "models").glob("*.onnx"))}
    run([command, "sample", "mine", "--seeds", "0-3", "--out", "a.png"], user_folder)
    program = "import seedmint; print(seedmint.load('mine').source)"
    assert run([str(wheel_python), "-c", program], user_folder).strip() == str(folder / "mine.onnx")


def test_a_missing_extra_of_a_wheel_is_installed_from_the_wheel(wheel_python: Path, wheel: Path, user_folder: Path):
    program = (
        "import sys; sys.modules['torch'] = None; import seedmint.cli; seedmint.cli.main(['train', 'digits', '--out', 'r'])"
    )
    command = [str(wheel_python), "-c", program]
    done = subprocess.run(command, cwd=user_folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"`pip install '{wheel}[train]'`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_imports_reach_the_modules_of_the_user_and_of_seedmint(python: Path, user_folder: Path):
    program = _IMPORT_USER_MODULES + (
        "import seedmint.models.card, seedmint.service.settings, seedmint.training.recipes.files as files\n"
        "assert 'mnist' in files.shipped_recipes()\n"
        "from seedmint.models.directory import SHIPPED; assert (SHIPPED / 'mnist.onnx').is_file()\n"
        "import seedmint; print(seedmint.__file__)\n"
    )
    file = run([str(python), "-c", program], user_folder).strip()
    assert not Path(file).is_relative_to(ROOT)


def test_without_the_source_tree_no_common_name_can_be_imported(wheel_python: Path, tmp_path: Path):
    program = "import importlib.util as u; assert not any(map(u.find_spec, ('models', 'service', 'training')))"
    run([str(wheel_python), "-c", program], tmp_path)


@pytest.mark.slow
def test_pytest_runs_tests_of_the_user(python: Path, user_folder: Path):
    (user_folder / "test_mine.py").write_text(
        "import models, service, training\nfrom seedmint.models.seeds import parse_seeds\n\n"
        "def test_mine():\n    assert models.OWNER == 'user'\n    assert parse_seeds('0-3').count == 4\n"
    )
    run([str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"], user_folder)


@pytest.mark.slow
def test_mypy_finds_the_types_of_seedmint(wheel_python: Path, user_folder: Path):
    """Only in a wheel: mypy does not run the import hook of an editable installation."""
    (user_folder / "mine.py").write_text(
        "import models\nfrom seedmint.models.seeds import parse_seeds\n\n"
        "owner: str = models.OWNER\nreveal_type(parse_seeds('1'))\n"
    )
    command = [sys.executable, "-m", "mypy", "--python-executable", str(wheel_python), "--follow-imports", "silent", "mine.py"]
    assert '"seedmint.models.seeds.Seeds"' in run(command, user_folder)


def test_a_batch_job_runs_in_several_processes(python: Path, user_folder: Path):
    job = ["batch", "run", "mnist", "--seeds", "0-99", "--shard-size", "25", "--workers", "2", "--out", "out"]
    run([str(python), "-m", "seedmint", *job], user_folder)
    assert (user_folder / "out" / "manifest.json").is_file()


@pytest.mark.slow
def test_a_batch_job_runs_on_ray(python: Path, user_folder: Path):
    job = ["batch", "run", "mnist", "--seeds", "0-99", "--shard-size", "25", "--engine", "ray", "--out", "out"]
    run([str(python), "-m", "seedmint", *job], user_folder)
    assert (user_folder / "out" / "manifest.json").is_file()


_SEEDMINT_SERVE = ["-m", "seedmint", "serve"]
_BENTOML_SERVE = ["-m", "bentoml", "serve", "seedmint.service.app:Seedmint"]


@pytest.fixture
def server_process(
    request: pytest.FixtureRequest, python: Path, user_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = free_port()
    variables = {"SEEDMINT_PORT": str(port), "SEEDMINT_HOST": "127.0.0.1", "BENTOML_DO_NOT_TRACK": "true"}
    variables["BENTOML_HOME"] = str(tmp_path_factory.mktemp("bentoml"))
    process = subprocess.Popen(
        [str(python), *request.param],
        cwd=user_folder,
        env=environment(**variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        kill(process)


@pytest.mark.slow
@pytest.mark.parametrize("server_process", [_SEEDMINT_SERVE, _BENTOML_SERVE], indirect=True, ids=["seedmint", "bentoml"])
def test_the_server_returns_an_image(server_process: tuple[subprocess.Popen[str], str]):
    process, url = server_process
    with httpx.Client(base_url=url, follow_redirects=True) as client:
        wait_until_ok(client, "/readyz", process)
        response = client.get("/v1/models/mnist/images/1.png")
    assert response.headers["content-type"] == "image/png"
