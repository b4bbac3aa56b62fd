"""Two wings and a hall: who imports whom, and what each needs."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--config"]


def lint(directory):
    return subprocess.run([*LINT, str(directory / "pyproject.toml")], cwd=directory, capture_output=True, text=True)


def test_the_import_rules_hold():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("service/broken.py", "import seedmint.training"),
        ("service/broken.py", "from seedmint.training import recipes"),
        ("training/broken.py", "import seedmint.service"),
        ("models/broken.py", "import seedmint.service.encoders.images"),
        ("models/broken.py", "import seedmint.training.recipes"),
        ("service/broken.py", "import torch"),
        ("training/broken.py", "import bentoml"),
    ],
)
def test_a_forbidden_import_fails_the_build(tmp_path, file, statement):
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    shutil.copytree(ROOT / "seedmint", tmp_path / "seedmint", ignore=shutil.ignore_patterns("__pycache__", "*.onnx"))
    assert lint(tmp_path).returncode == 0
    (tmp_path / "seedmint" / file).write_text(statement + "\n")
    result = lint(tmp_path)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


def run(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


BLOCK = "import sys\nfor name in {names!r}: sys.modules[name] = None\n"


def test_the_service_runs_without_torch_and_without_the_training_wing():
    files = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "service").rglob("*.py"))
    imports = "\n".join("import seedmint." + ".".join(file.parts) for file in files if file.name != "__init__")
    result = run(BLOCK.format(names=["torch", "seedmint.training"]) + imports)
    assert result.returncode == 0, result.stderr


def test_the_hall_needs_only_numpy_and_pydantic():
    modules = sorted(path.stem for path in (ROOT / "models").glob("*.py") if path.stem != "__init__")
    blocked = ["torch", "onnx", "onnxruntime", "bentoml", "PIL", "click", "yaml", "seedmint.service", "seedmint.training"]
    result = run(BLOCK.format(names=blocked) + "\n".join(f"import seedmint.models.{module}" for module in modules))
    assert result.returncode == 0, result.stderr


def test_training_runs_without_bentoml():
    result = run(BLOCK.format(names=["bentoml", "seedmint.service"]) + "import seedmint.training.cli.train")
    assert result.returncode == 0, result.stderr


def test_help_loads_neither_wing():
    code = "\n".join(
        [
            "import sys, seedmint.cli",
            "try: seedmint.cli.main(['--help'])",
            "except SystemExit: pass",
            "wings = {'torch', 'bentoml', 'onnxruntime', 'seedmint.training', 'seedmint.service'}",
            "sys.exit(str(wings & set(sys.modules) or ''))",
        ]
    )
    began = time.monotonic()
    result = run(code)
    assert result.stderr.strip() == ""
    assert "Commands:" in result.stdout
    assert time.monotonic() - began < 5  # a wing alone takes longer on a busy machine


def test_each_wing_missing_is_one_line_that_says_how_to_get_it():
    for module, command in (("torch", "train"), ("bentoml", "serve")):
        result = run(BLOCK.format(names=[module]) + f"import seedmint.cli; seedmint.cli.main([{command!r}])")
        assert result.returncode == 1
        assert result.stderr.startswith(f"Error: `seedmint {command}` needs {module}")
        assert result.stderr.count("\n") == 1
