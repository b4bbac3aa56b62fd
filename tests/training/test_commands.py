"""The training wing's command line, run as its users run it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import numpy_helper
from PIL import Image

from models.contract import card_of
from seedmint import main as cli_main
from tests import generators
from training import classifier

from .recipes import recipe_document

ROOT = Path(__file__).parents[2]


def seedmint(*arguments, cwd=ROOT):
    command = [sys.executable, str(ROOT / "seedmint.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=250)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("trained")
    (directory / "small.yaml").write_text(yaml.safe_dump(recipe_document(conditional=True)))
    result = seedmint("train", "small.yaml", "--out", "run", "--set", "steps=30", cwd=directory)
    assert result.returncode == 0, result.stderr
    return directory, result


@pytest.fixture
def main(monkeypatch, capfd):
    """The command line in this process, which has loaded torch already: exit status, standard output and error."""

    def call(*arguments, cwd=ROOT):
        monkeypatch.chdir(cwd)
        with pytest.raises(SystemExit) as ended:
            cli_main([str(argument) for argument in arguments])
        return ended.value.code, *capfd.readouterr()

    return call


def test_training_shows_where_it_stands(trained):
    _, result = trained
    last = [line for line in result.stderr.splitlines() if "images/s" in line][-1]
    for part in ("step 30/30", "V -", "(-log 4 = -1.386)", "D(x) 0.", "D(G(z)) 0.", "images/s", "left"):
        assert part in last
    assert "seedmint export run" in result.stdout


def test_a_finished_run_says_so(trained, main):
    directory, _ = trained
    code, text, _ = main("resume", "run", cwd=directory)
    assert code == 0
    assert "finished: all 30 steps" in text


def test_what_is_noticed_is_shown_and_the_equilibrium_may_end_a_run(trained, main):
    directory, _ = trained
    still = {"kind": "momentum", "learning_rate": 1e-12}
    fields = {
        "generator": {"kind": "paper", "width": 8, "init": 1e-6},
        "discriminator": {"kind": "paper", "width": 8},
        "rule": {"generator": still, "discriminator": still},
        "every": {"log": 1, "preview": 1, "checkpoint": 100},
        "watch": {"reports": 5, "stop_at_equilibrium": True},
    }
    (directory / "still.yaml").write_text(yaml.safe_dump(recipe_document(ema=0.0, **fields)))
    code, text, errors = main("train", "still.yaml", "--out", "still", cwd=directory)
    assert code == 0, errors
    assert "step 3/20  Warning: G is collapsing" in errors
    assert "step 5/20  equilibrium in 5 reports in a row" in errors
    assert "stopped at the equilibrium, at step 5" in text
    code, text, _ = main("resume", "still", cwd=directory)
    assert code == 0
    assert "finished: it stopped at the equilibrium, at step 5; `--set watch.stop_at_equilibrium=false` goes on" in text


def test_export_writes_a_generator_file_and_does_not_replace_one_unasked(trained, main):
    directory, _ = trained
    for arguments, code in (((), 0), (("--title", "Other"), 1), (("--title", "Other", "--replace"), 0)):
        ended, _, errors = main("export", "run", "--name", "mine", "--models", "out", *arguments, cwd=directory)
        assert ended == code, errors
    assert card_of(onnx.load(directory / "out" / "mine.onnx")).title == "Other"


def test_evaluate_prints_the_label_accuracy_and_draws_a_picture(trained, main):
    directory, _ = trained
    assert main("export", "run", "--name", "judged", "--models", "out", cwd=directory)[0] == 0
    code, text, errors = main("evaluate", "out/judged.onnx", "--out", "picture.png", "--write", cwd=directory)
    assert code == 0, errors
    assert f"recognised by {classifier.NAME} trained on digits" in text
    assert len(Image.open(directory / "picture.png").getcolors(100_000)) > 2
    (metric,) = card_of(onnx.load(directory / "out" / "judged.onnx")).evaluation
    assert f"label-accuracy  {metric.value:.4f}" in text
    assert metric.samples == 1000


def test_a_judge_that_is_often_wrong_is_not_written_into_the_card(trained, main):
    directory, _ = trained
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(directory / "noise.npz", images=noise, labels=np.arange(60) % 2, classes=["a", "b"])
    (directory / "tossed.onnx").write_bytes(generators.content("tossed", classes=("a", "b")))
    for arguments, code in (((), 0), (("--write",), 1)):
        ended, _, errors = main("evaluate", "tossed.onnx", "--data", "npz:noise.npz", *arguments, cwd=directory)
        assert ended == code
        assert "of real images, too few to judge by" in errors
    assert card_of(onnx.load(directory / "tossed.onnx")).evaluation == ()


def written(directory):
    """When each file was written last, but for the lock, which is touched by whoever takes it."""
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.name != ".lock"}


ERRORS = [
    (("train", "nowhere", "--out", "x"), "no recipe 'nowhere'"),
    (("train", "digits", "--out", "x", "--set", "steps=-1"), "steps"),
    (("train", "digits", "--out", "x", "--set", "colour=red"), "colour"),
    (("train", "digits", "--out", "x", "--set", "data.source=folder"), "path is missing"),
    (("train", "digits", "--out", "x", "--set", "data.source=npz", "--set", "data.path=none.npz"), "none.npz"),
    (("train", "digits", "--out", "x", "--device", "cuda"), "--device cuda"),
    (("train", "digits", "--out", "run"), "seedmint resume run"),
    (("resume", "nowhere"), "nowhere holds no run"),
    (("export", "nowhere", "--name", "x"), "nowhere holds no run"),
    (("export", "run", "--name", "Not A Name"), "--name"),
    (("export", "run", "--name", "x", "--step", "7"), "no checkpoint of step 7"),
    (("evaluate", "nowhere"), "no generator 'nowhere'"),
    (("evaluate", "nowhere/x.onnx"), "no generator file"),
    (("evaluate", "garbage.onnx"), "garbage.onnx"),
    (("evaluate", "empty.onnx"), "empty.onnx"),
    (("evaluate", "unknown-op.onnx"), "ONNX Runtime cannot run"),
    (("evaluate", "bad-shape.onnx", "--out", "x.png"), "ONNX Runtime cannot run"),
    (("evaluate", "bad-shape.onnx", "--out", "x.jpg"), "must end in .png"),
    (("evaluate", "labelled.onnx", "--data", "cifar"), "--data cifar"),
    (("evaluate", "labelled.onnx"), "--data is missing"),
    (("evaluate", "labelled.onnx", "--data", "npz:nowhere.npz"), "nowhere.npz"),
    (("export", "run", "--name", "mine.onnx"), "the generator's is mine"),
    (("export", "run", "--name", "x", "--title", "t" * 300), "title"),
    (("resume", "run", "--set", "k=2"), "k was 1 and is 2"),
]


@pytest.mark.parametrize(("arguments", "message"), ERRORS, ids=[" ".join(arguments[:2]) for arguments, _ in ERRORS])
def test_errors_are_one_line_and_lose_nothing(trained, main, arguments, message):
    directory, _ = trained
    (directory / "garbage.onnx").write_bytes(b"garbage")
    (directory / "empty.onnx").write_bytes(b"")
    for name, breakage in (("unknown-op", "op_type"), ("bad-shape", "shape"), ("labelled", None)):
        model = generators.model(generators.card(name, classes=("a", "b") if breakage is None else None))
        if breakage == "op_type":
            model.graph.node[0].op_type = "NoSuchOperator"
        elif breakage == "shape":
            (shape,) = [tensor for tensor in model.graph.initializer if tensor.name == "shape"]
            shape.CopyFrom(numpy_helper.from_array(np.array([-1, 7, 7, 7]), "shape"))
        (directory / f"{name}.onnx").write_bytes(model.SerializeToString())
    before = written(directory / "run")
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    code, _, errors = main(*arguments, cwd=directory)
    assert code == 1
    assert errors.startswith("Error: ")
    assert message in errors
    assert errors.count("\n") == 1
    assert not (directory / "x").exists()
    assert written(directory / "run") == before


@pytest.mark.parametrize("command", ["train", "resume", "export", "evaluate"])
def test_help_teaches(main, command):
    code, text, _ = main(command, "--help")
    assert code == 0
    assert len(text.splitlines()) > 8


def test_the_version_and_the_recipes_are_told(main):
    assert main("--version")[1].startswith("seedmint, version 0.")
    listed = main("train", "--recipes")[1]
    assert "digits" in listed
    assert "mnist" in listed


def test_an_error_of_the_real_process_is_one_line_too():
    result = seedmint("train", "nowhere", "--out", "x")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: no recipe 'nowhere'")
    assert result.stderr.count("\n") == 1
