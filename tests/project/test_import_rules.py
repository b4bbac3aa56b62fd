"""Layers of the packages, and the optional dependencies that each part needs."""

import graphlib
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.domain.contract import Contract

ROOT = Path(__file__).parents[2]
_LINT = (str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--config", "pyproject.toml")
_TYPES = {"layers": LayersContract, "forbidden": ForbiddenContract, "acyclic_siblings": AcyclicSiblingsContract}
_HIDE = "import sys\nfor name in {names!r}: sys.modules[name] = None\n"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """All imports. Tests do not change the graph."""
    return grimp.build_graph("seedmint", include_external_packages=True, cache_dir=None)


@pytest.fixture(scope="module")
def contracts() -> dict[str, Contract]:
    """The contracts of pyproject.toml by name."""
    read = read_configuration(str(ROOT / "pyproject.toml"))
    return {
        options["name"]: _TYPES[options["type"]](options["name"], read["session_options"], options)
        for options in read["contracts_options"]
    }


def test_the_contracts_hold(graph: grimp.ImportGraph, contracts: dict[str, Contract]):
    assert [name for name, contract in contracts.items() if not contract.check(deepcopy(graph), verbose=False).kept] == []


@pytest.mark.parametrize(
    ("contract", "importer", "imported"),
    [
        ("Layers of Seedmint", "service.api.query", "seedmint.training"),
        ("Layers of Seedmint", "service.api.query", "seedmint.training.recipes"),
        ("Layers of Seedmint", "training.runs.forbidden", "seedmint.service"),
        ("Layers of Seedmint", "models.card", "seedmint.service.encoders.images"),
        ("Layers of Seedmint", "models.card", "seedmint.training.recipes"),
        ("Layers of Seedmint", "forbidden", None),
        ("No circles between modules or packages", "service.importer.names", "seedmint.service.importer.wrap"),
        ("Only training imports torch", "service.api.query", "torch"),
        ("Only service imports bentoml", "training.runs.forbidden", "bentoml"),
        ("Layers of Seedmint", "models.card", "seedmint.generator"),
        ("Layers of Seedmint", "service.cli.serve", "seedmint.client"),
        ("Layers of Seedmint", "training.runs.forbidden", "seedmint.cli"),
        ("Layers of the service", "service.runtime.forbidden", "seedmint.service.api.urls"),
        ("Layers of the service", "service.forbidden", None),
        ("Layers of the API", "service.api.jobs.forbidden", "seedmint.service.api.openapi.operations"),
        ("Layers of the API", "service.api.openapi.forbidden", "seedmint.service.api.routing.routes"),
        ("Layers of the API", "service.api.query", "seedmint.service.api.jobs.pagination"),
        ("Layers of the API", "service.api.forbidden", None),
        ("Layers of batch jobs", "service.batch.formats.forbidden", "seedmint.service.batch.plan"),
        ("Layers of batch jobs", "service.batch.plan", "seedmint.service.batch.engines.base"),
        ("Layers of batch jobs", "service.batch.forbidden", None),
        ("Layers of training", "training.recipes.forbidden", "seedmint.training.networks"),
        ("Layers of the core", "models.errors", "seedmint.models.card"),
        ("Layers of the core", "models.forbidden", None),
    ],
)
def test_a_forbidden_import_or_an_unplaced_module_breaks_a_contract(
    graph: grimp.ImportGraph, contracts: dict[str, Contract], contract: str, importer: str, imported: str | None
):
    changed, importer = deepcopy(graph), f"seedmint.{importer}"
    assert (importer in changed.modules) == (not importer.endswith("forbidden"))
    changed.add_module(importer)
    if imported is not None:
        assert imported in changed.modules
        changed.add_import(importer=importer, imported=imported)
    assert not contracts[contract].check(changed, verbose=False).kept


def test_the_command_finds_an_import_in_a_function(tmp_path: Path):
    """`make check` runs this command."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "seedmint", tmp_path / "seedmint", ignore=shutil.ignore_patterns("__pycache__", "*.onnx"))
    with (tmp_path / "seedmint" / "service" / "cli" / "serve.py").open("a") as file:
        file.write("def late():\n    import seedmint.client\n")
    result = subprocess.run(_LINT, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Layers of Seedmint BROKEN" in result.stdout
    assert result.stdout.count("BROKEN") == 1


def test_no_modules_import_each_other_in_a_circle():
    """Imports below `if TYPE_CHECKING:` do not count: they never run."""
    running = grimp.build_graph("seedmint", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: running.find_modules_directly_imported_by(module) for module in running.modules}
    assert sum(map(len, imports.values())) > len(imports)
    check_no_circle(imports)
    with pytest.raises(graphlib.CycleError):
        check_no_circle(imports | {"seedmint.models.errors": {"seedmint.models.card"}})


@pytest.mark.parametrize("package", ["seedmint.service.api", "seedmint.service.batch"])
def test_no_folders_import_each_other_in_a_circle(graph: grimp.ImportGraph, package: str):
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
