"""Layers of the packages, and the optional dependencies that each part needs."""

import graphlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
_LINT = (str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--config", "pyproject.toml")
_HIDE = "import sys\nfor name in {names!r}: sys.modules[name] = None\n"


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_LINT, cwd=directory, capture_output=True, text=True, check=False)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, for forbidden imports."""
    directory = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", directory)
    shutil.copytree(ROOT / "seedmint", directory / "seedmint", ignore=shutil.ignore_patterns("__pycache__", "*.onnx"))
    return directory


def test_the_contracts_hold(copy: Path):
    for directory in (ROOT, copy):
        result = lint(directory)
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("contract", "file", "statement"),
    [
        ("Layers of Seedmint", "service/api/query.py", "import seedmint.training"),
        ("Layers of Seedmint", "service/api/query.py", "from seedmint.training import recipes"),
        ("Layers of Seedmint", "training/runs/forbidden.py", "import seedmint.service"),
        ("Layers of Seedmint", "models/card.py", "import seedmint.service.encoders.images"),
        ("Layers of Seedmint", "models/card.py", "import seedmint.training.recipes"),
        ("Layers of Seedmint", "forbidden.py", "pass"),
        ("No circles between modules or packages", "service/importer/names.py", "import seedmint.service.importer.wrap"),
        ("Only training imports torch", "service/api/query.py", "import torch"),
        ("Only service imports bentoml", "training/runs/forbidden.py", "import bentoml"),
        ("Layers of Seedmint", "models/card.py", "import seedmint.generator"),
        ("Layers of Seedmint", "service/cli/serve.py", "def late():\n    import seedmint.client"),
        ("Layers of Seedmint", "training/runs/forbidden.py", "from seedmint import cli"),
        ("Layers of the service", "service/runtime/forbidden.py", "def late():\n    import seedmint.service.api.urls"),
        ("Layers of the service", "service/forbidden.py", "pass"),
        ("Layers of the API", "service/api/jobs/forbidden.py", "import seedmint.service.api.openapi.operations"),
        ("Layers of the API", "service/api/openapi/forbidden.py", "import seedmint.service.api.routing.routes"),
        ("Layers of the API", "service/api/query.py", "def late():\n    import seedmint.service.api.jobs.pagination"),
        ("Layers of the API", "service/api/forbidden.py", "pass"),
        ("Layers of batch jobs", "service/batch/formats/forbidden.py", "import seedmint.service.batch.plan"),
        ("Layers of batch jobs", "service/batch/plan.py", "def late():\n    import seedmint.service.batch.engines.base"),
        ("Layers of batch jobs", "service/batch/forbidden.py", "pass"),
        ("Layers of training", "training/recipes/forbidden.py", "def late():\n    import seedmint.training.networks"),
        ("Layers of the core", "models/errors.py", "def late():\n    import seedmint.models.card"),
        ("Layers of the core", "models/forbidden.py", "pass"),
    ],
)
def test_a_forbidden_import_or_an_unplaced_module_breaks_a_contract(copy: Path, contract: str, file: str, statement: str):
    path = copy / "seedmint" / file
    before = path.read_text() if path.exists() else None
    path.write_text((before or "") + statement + "\n")
    try:
        result = lint(copy)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout


def test_no_modules_import_each_other_in_a_circle():
    """Imports below `if TYPE_CHECKING:` do not count: they never run."""
    graph = grimp.build_graph("seedmint", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert sum(map(len, imports.values())) > len(imports)
    check_no_circle(imports)
    with pytest.raises(graphlib.CycleError):
        check_no_circle(imports | {"seedmint.models.errors": {"seedmint.models.card"}})


@pytest.mark.parametrize("package", ["seedmint.service.api", "seedmint.service.batch"])
def test_no_folders_import_each_other_in_a_circle(package: str):
    graph = grimp.build_graph("seedmint", cache_dir=None)
    modules = graph.find_descendants(package)
    packages = {package, *(module for module in modules if graph.find_children(module))}

    def folder(module: str) -> str:
        return module if module in packages else module.rpartition(".")[0]

    imports: dict[str, set[str]] = {name: set() for name in packages}
    for module in modules:
        imported = graph.find_modules_directly_imported_by(module) & modules
        imports[folder(module)] |= {folder(name) for name in imported} - {folder(module)}
    assert sum(map(len, imports.values())) > 0
    check_no_circle(imports)


def check_no_circle(imports: dict[str, set[str]]) -> None:
    graphlib.TopologicalSorter(imports).prepare()


def modules_of(package: str) -> Iterable[str]:
    files = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / package).rglob("*.py"))
    return (f"seedmint.{'.'.join(file.parts)}" for file in files if file.name != "__init__")


def test_service_needs_neither_torch_nor_training():
    imports = "\n".join(f"import {module}" for module in modules_of("service"))
    result = run(_HIDE.format(names=["torch", "seedmint.training"]) + imports)
    assert result.returncode == 0, result.stderr


def test_models_needs_only_numpy_and_pydantic():
    modules = sorted(path.stem for path in (ROOT / "models").glob("*.py") if path.stem != "__init__")
    hidden = ["torch", "onnx", "onnxruntime", "bentoml", "PIL", "click", "yaml", "seedmint.service", "seedmint.training"]
    result = run(_HIDE.format(names=hidden) + "\n".join(f"import seedmint.models.{module}" for module in modules))
    assert result.returncode == 0, result.stderr


def test_training_needs_no_bentoml():
    result = run(_HIDE.format(names=["bentoml", "seedmint.service"]) + "import seedmint.training.cli.train")
    assert result.returncode == 0, result.stderr


def test_help_imports_neither_service_nor_training():
    code = "\n".join(
        [
            "import sys, seedmint.cli",
            "try: seedmint.cli.main(['--help'])",
            "except SystemExit: pass",
            "packages = {'torch', 'bentoml', 'onnxruntime', 'seedmint.training', 'seedmint.service'}",
            "sys.exit(str(packages & set(sys.modules) or ''))",
        ]
    )
    result = run(code)
    assert result.stderr.strip() == ""
    assert "Commands:" in result.stdout


@pytest.mark.parametrize(("module", "command"), [("torch", ["train", "digits", "--out", "unused"]), ("bentoml", ["serve"])])
def test_a_missing_dependency_is_an_error_in_one_line(module: str, command: list[str]):
    result = run(_HIDE.format(names=[module]) + f"import seedmint.cli; seedmint.cli.main({command!r})")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert module in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["serve"], ["batch", "run", "digits", "--seeds", "0-9", "--out", "unused"]])
def test_a_module_that_windows_lacks_is_an_error_in_one_line(command: list[str]):
    result = run(_HIDE.format(names=["fcntl"]) + f"import seedmint.cli; seedmint.cli.main({command!r})")
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: `seedmint {command[0]}` does not run on ")
    assert result.stderr.count("\n") == 1


def test_the_python_api_and_sample_need_no_module_that_windows_lacks(tmp_path: Path):
    code = (
        "import seedmint\nassert seedmint.load('digits').images(range(2)).shape == (2, 8, 8, 1)\n"
        f"import seedmint.cli; seedmint.cli.main(['sample', 'digits', '--seeds', '0-3', '--out', {str(tmp_path / 'a.png')!r}])"
    )
    result = run(_HIDE.format(names=["fcntl", "grp", "pwd"]) + code)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "a.png").is_file()
