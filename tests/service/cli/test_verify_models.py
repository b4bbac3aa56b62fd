"""The command `models verify`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from seedmint.cli import cli
from seedmint.service.runtime.generator import open_generator
from tests.support import generators
from tests.support.commandline import run_error


def verify(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["models", "verify", *arguments], catch_exceptions=False)
    return result.exit_code, result.stdout


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("verified")
    generators.write(found, "one", 1)
    generators.put(found / "two.onnx", generators.of_another_machine(generators.content("two", 2)))
    generators.put(found / "bad.onnx", b"not onnx")
    return found


def test_the_exit_status_is_0_only_if_all_are_exact(directory: Path):
    options = ("--models", str(directory))
    assert verify("one", *options)[0] == 0
    assert verify(str(directory / "one.onnx"))[0] == 0
    assert verify("two", *options)[0] == verify("one", "two", *options)[0] == verify("bad", *options)[0] == 1
    status, output = verify(*options)
    assert status == 1
    assert [line.split()[0] for line in output.splitlines()] == ["bad", "one", "two"]


def test_the_outcomes_as_json(directory: Path):
    status, output = verify("--json", "--models", str(directory))
    assert status == 1
    bad, one, two = json.loads(output)
    assert (bad["determinism"], bad["file"]) == (None, str(directory / "bad.onnx"))
    generator = open_generator(directory / "one.onnx")
    assert generator.card.reference is not None
    assert one == {
        "file": str(directory / "one.onnx"),
        "name": "one",
        "digest": generator.digest,
        "provider": "cpu",
        "determinism": "exact",
        "seeds": 64,
        "outputs": generator.card.reference.sha256,
        "expected": generator.card.reference.sha256,
        "is_batch_independent": True,
        "difference": 0,
    }
    assert (two["determinism"], two["difference"]) == ("approximate", 3)
    assert two["outputs"] != two["expected"]


def test_errors_name_their_field(directory: Path, tmp_path: Path):
    assert run_error("models", "verify", "nope", "--models", str(directory)).field == "model"
    error = run_error("models", "verify", "--models", str(tmp_path))
    assert (error.field, error.reason) == ("models", "not_found")
