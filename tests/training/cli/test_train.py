"""The command line of training."""

import hashlib
import json
import shutil
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
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seedmint.cli import main as cli_main
from seedmint.models.contract import card_of
from seedmint.training.evaluation.metric_families import FAMILIES, num_samples
from seedmint.training.recipes.files import shipped_recipes
from seedmint.training.runs.export_run import export_run
from tests.support import generators
from tests.support.recipes import recipe_document

ROOT = Path(__file__).parents[3]


def seedmint(*arguments, cwd=ROOT):
    command = [sys.executable, "-m", "seedmint", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=250)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("trained")
    (directory / "small.yaml").write_text(yaml.safe_dump(recipe_document(conditional=True)))
    result = seedmint("train", "small.yaml", "--out", "run", "--set", "steps=30", cwd=directory)
    assert result.returncode == 0, result.stderr
    return directory, result


@pytest.fixture(scope="module")
def exported(trained):
    """The directory of the run, with its generator as `exported.onnx`."""
    directory, _ = trained
    (directory / "out").mkdir(exist_ok=True)
    (directory / "exported.onnx").write_bytes(export_run(directory / "run", "exported", None, None, None))
    return directory


@pytest.fixture
def main(monkeypatch, capfd):
    """Runs the command line in this process, which has imported torch; returns exit status, standard output and error."""

    def call(*arguments, cwd=ROOT):
        monkeypatch.chdir(cwd)
        with pytest.raises(SystemExit) as ended:
            cli_main([str(argument) for argument in arguments])
        return ended.value.code, *capfd.readouterr()

    return call


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").open()]


def test_statistics_of_a_run_are_logged(trained):
    directory, _ = trained
    entries = [entry for entry in log_of(directory / "run") if "V" in entry]
    assert [entry["step"] for entry in entries] == [5, 10, 15, 20, 25, 30]
    assert all({"D(x)", "D(G(z))", "JSD", "images/s"} <= set(entry) for entry in entries)


def test_resume_of_a_finished_run_changes_nothing(trained, main):
    directory, _ = trained
    before = modification_times(directory / "run")
    assert main("resume", "run", cwd=directory)[0] == 0
    assert modification_times(directory / "run") == before


def test_diagnostics_are_logged_and_the_equilibrium_can_end_a_run(trained, main):
    directory, _ = trained
    frozen = {"kind": "momentum", "learning_rate": 1e-12}
    fields = {
        "generator": {"kind": "paper", "width": 8, "init": 1e-6},
        "discriminator": {"kind": "paper", "width": 8},
        "rule": {"generator": frozen, "discriminator": frozen},
        "every": {"log": 1, "preview": 1, "checkpoint": 100},
        "watch": {"reports": 5, "stop_at_equilibrium": True},
    }
    (directory / "still.yaml").write_text(yaml.safe_dump(recipe_document(ema=0.0, **fields)))
    code, _, errors = main("train", "still.yaml", "--out", "still", cwd=directory)
    assert code == 0, errors
    found = [(entry["step"], entry["diagnostic"]) for entry in log_of(directory / "still") if "diagnostic" in entry]
    assert found == [(3, "collapsed"), (5, "equilibrium")]
    assert log_of(directory / "still")[-1]["step"] == 5
    assert main("resume", "still", cwd=directory)[0] == 0
    assert log_of(directory / "still")[-1]["step"] == 5
    assert main("resume", "still", "--set", "watch.stop_at_equilibrium=false", cwd=directory)[0] == 0
    assert log_of(directory / "still")[-1]["step"] == 20


def test_export_replaces_a_generator_only_with_replace(trained, main):
    directory, _ = trained
    for arguments, code in (((), 0), (("--title", "Other"), 1), (("--title", "Other", "--replace"), 0)):
        ended, _, errors = main("export", "run", "--name", "mine", "--models", "out", *arguments, cwd=directory)
        assert ended == code, errors
    assert card_of(onnx.load(directory / "out" / "mine.onnx")).title == "Other"


def test_evaluate_measures_all_applicable_metrics(exported, main):
    directory = exported
    shutil.copy(directory / "exported.onnx", directory / "out" / "evaluated.onnx")
    before = (directory / "out" / "evaluated.onnx").read_bytes()
    options = ("--samples", 200, "--out", "picture.png", "--report", "pages")
    code, text, errors = main("evaluate", "out/evaluated.onnx", *options, cwd=directory)
    assert code == 0, errors
    assert (directory / "out" / "evaluated.onnx").read_bytes() == before
    assert len(Image.open(directory / "picture.png").getcolors(100_000)) > 2
    assert "frechet-cnn-v2-digits" in (directory / "pages" / "report.html").read_text()
    code, text, errors = main("evaluate", "out/evaluated.onnx", "--samples", 200, "--json", "--write", cwd=directory)
    assert code == 0, errors
    figures = json.loads(text)
    written = card_of(onnx.load(directory / "out" / "evaluated.onnx")).evaluation
    assert [(entry.metric, entry.value) for entry in written] == [(m["metric"], m["value"]) for m in figures["metrics"]]
    assert len(written) == 16
    assert all(entry.samples == 200 for entry in written)
    assert figures["digest"] == hashlib.sha256(before).hexdigest()
    assert list(figures["skipped"]) == ["modes"]  # it counts the modes of stacked-mnist only


def test_evaluate_measures_only_the_requested_metrics(exported, main):
    options = ("--metrics", "prdc, parzen", "--samples", 50, "--json")
    code, text, errors = main("evaluate", "exported.onnx", *options, cwd=exported)
    assert code == 0, errors
    names = [metric["metric"].removesuffix("-cnn-v2-digits") for metric in json.loads(text)["metrics"]]
    assert names == ["parzen-log-likelihood", "precision", "recall", "density", "coverage"]


@pytest.fixture
def _few_samples(monkeypatch):
    """Runs measure 200 images."""
    monkeypatch.setattr("seedmint.training.runs.metrics_hook.num_samples", lambda name, _, real: num_samples(name, 200, real))


@pytest.mark.usefixtures("_few_samples")
def test_metrics_of_a_run_are_logged(tmp_path, main):
    recipe = recipe_document(conditional=True, metrics=["frechet", "kid", "prdc", "labels", "nearest"], steps=8)
    recipe["every"] = {"log": 4, "preview": 8, "checkpoint": 8, "evaluate": 4}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(recipe))
    code, _, errors = main("train", "small.yaml", "--out", "run", cwd=tmp_path)
    assert code == 0, errors
    entries = [entry for entry in map(json.loads, (tmp_path / "run" / "log.jsonl").open()) if "metrics" in entry]
    assert [(entry["step"], entry["weights"]) for entry in entries] == [(4, "last"), (4, "ema"), (8, "last"), (8, "ema")]
    names = [metric["metric"] for metric in entries[0]["metrics"]]
    assert names == [
        *("frechet-cnn-v2-digits", "kid-cnn-v2-digits", "precision-cnn-v2-digits", "recall-cnn-v2-digits"),
        *(
            "density-cnn-v2-digits",
            "coverage-cnn-v2-digits",
            "label-accuracy-cnn-v2-digits",
            "class-kl-cnn-v2-digits",
            "copying",
            "copying-cells",
            "copying-near",
        ),
    ]
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("metrics-ema/coverage-cnn-v2-digits")] == [4, 8]


@pytest.mark.usefixtures("_few_samples")
def test_metrics_of_a_run_match_those_of_its_file(tmp_path, main):
    """Some pixels of the file may differ by one gray level, so the metrics agree only approximately."""
    recipe = recipe_document(
        metrics=["frechet", "parzen"], steps=4, ema=0, every={"log": 4, "preview": 4, "checkpoint": 4, "evaluate": 4}
    )
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(recipe))
    assert main("train", "small.yaml", "--out", "run", cwd=tmp_path)[0] == 0
    assert main("export", "run", "--name", "same", "--models", ".", cwd=tmp_path)[0] == 0
    code, text, errors = main("evaluate", "same.onnx", "--metrics", "frechet,parzen", "--samples", 200, "--json", cwd=tmp_path)
    assert code == 0, errors
    logged = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])["metrics"]
    for metric in json.loads(text)["metrics"]:
        (expected,) = [entry["value"] for entry in logged if entry["metric"] == metric["metric"]]
        assert metric["value"] == pytest.approx(expected, rel=1e-4)


def test_metrics_of_an_unreliable_classifier_are_not_written_to_the_card(trained, main):
    directory, _ = trained
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(directory / "noise.npz", images=noise, labels=np.arange(60) % 2, classes=["a", "b"])
    (directory / "tossed.onnx").write_bytes(generators.content("tossed", classes=("a", "b")))
    for arguments, code in (((), 0), (("--write",), 1)):
        options = ("--data", "npz:noise.npz", "--metrics", "labels", "--samples", 20)
        ended, _, errors = main("evaluate", "tossed.onnx", *options, *arguments, cwd=directory)
        assert ended == code
        assert ("Error: --write: " if code else "Warning: ") in errors
    assert card_of(onnx.load(directory / "tossed.onnx")).evaluation == ()


def modification_times(directory):
    """Return the modification time of each file, except for the lock."""
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.name != ".lock"}


ERRORS = [
    (("train", "nowhere", "--out", "x"), "RECIPE_OR_PATH: "),
    (("train", "digits", "--out", "x", "--set", "steps=-1"), "steps: "),
    (("train", "digits", "--out", "x", "--set", "colour=red"), "colour: "),
    (("train", "digits", "--out", "x", "--set", "data.source=folder"), "data: "),
    (("train", "digits", "--out", "x", "--set", "data.source=npz", "--set", "data.path=none.npz"), "data.path: "),
    (("train", "digits", "--out", "x", "--device", "cuda"), "--device: "),
    (("train", "digits", "--out", "run"), "--out: "),
    (("resume", "nowhere"), ""),
    (("export", "nowhere", "--name", "x"), ""),
    (("export", "run", "--name", "Not A Name"), "--name: "),
    (("export", "run", "--name", "x", "--step", "7"), "--step: "),
    (("evaluate", "nowhere"), ""),
    (("evaluate", "nowhere/x.onnx"), ""),
    (("evaluate", "garbage.onnx"), ""),
    (("evaluate", "empty.onnx"), ""),
    (("evaluate", "unknown-op.onnx"), ""),
    (("evaluate", "bad-shape.onnx", "--out", "x.png", "--data", "digits"), ""),
    (("evaluate", "bad-shape.onnx", "--out", "x.jpg"), "--out: "),
    (("evaluate", "labelled.onnx", "--data", "cifar"), "--data: "),
    (("evaluate", "labelled.onnx"), "--data: "),
    (("evaluate", "labelled.onnx", "--data", "npz:nowhere.npz"), "data.path: "),
    (("evaluate", "labelled.onnx", "--data", "npz:wide.npz"), "--data: "),
    (("evaluate", "labelled.onnx", "--data", "digits", "--metrics", "fid"), "--metrics: "),
    (("report", "nowhere", "--out", "x"), ""),
    (("report", "empty", "--out", "x"), ""),
    (("report", "garbage.onnx", "--out", "x"), ""),
    (("train", "digits", "--out", "x", "--set", "metrics=[modes]", "--set", "every.evaluate=5"), "metrics: "),
    (("train", "digits", "--out", "x", "--set", "metrics=[fid]", "--set", "every.evaluate=5"), "metrics.0: "),
    (("export", "run", "--name", "mine.onnx"), "--name: "),
    (("export", "run", "--name", "x", "--title", "t" * 300), "--title: "),
    (("resume", "run", "--set", "k=2"), "k: "),
]


@pytest.mark.parametrize(("arguments", "field"), ERRORS, ids=[" ".join(arguments[:2]) for arguments, _ in ERRORS])
def test_errors_are_one_line_and_change_no_files(trained, main, arguments, field):
    directory, _ = trained
    (directory / "garbage.onnx").write_bytes(b"garbage")
    (directory / "empty.onnx").write_bytes(b"")
    (directory / "empty").mkdir(exist_ok=True)
    np.savez(directory / "wide.npz", images=np.zeros((20, 8, 9), np.uint8))
    for name, breakage in (("unknown-op", "op_type"), ("bad-shape", "shape"), ("labelled", None)):
        model = generators.model(generators.card(name, classes=("a", "b") if breakage is None else None))
        if breakage == "op_type":
            model.graph.node[0].op_type = "NoSuchOperator"
        elif breakage == "shape":
            (shape,) = [tensor for tensor in model.graph.initializer if tensor.name == "shape"]
            shape.CopyFrom(numpy_helper.from_array(np.array([-1, 7, 7, 7]), "shape"))
        (directory / f"{name}.onnx").write_bytes(model.SerializeToString())
    before = modification_times(directory / "run")
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    code, _, errors = main(*arguments, cwd=directory)
    assert code == 1
    assert errors.startswith(f"Error: {field}")
    assert errors.count("\n") == 1
    assert not (directory / "x").exists()
    assert modification_times(directory / "run") == before


def test_help_does_not_import_torch():
    commands = ["train", "resume", "export", "evaluate", "report", "theory"]
    code = (
        "import sys; from seedmint.cli import cli\n"
        "for command in sys.argv[1:]: cli([command, '--help'], standalone_mode=False); print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code, *commands], cwd=ROOT, capture_output=True, text=True, check=True)
    *pages, rest = result.stdout.split("False\n")
    assert (len(pages), rest) == (len(commands), "")
    assert all(len(page.splitlines()) > 8 for page in pages)


def test_help_states_the_default_numbers_of_images(main):
    text = " ".join(main("evaluate", "--help")[1].split())
    for family in FAMILIES.values():
        assert f"{family.samples:,}" in text


def test_version_and_list_of_recipes(main):
    assert main("--version")[1].startswith("seedmint, version 0.")
    listed = main("train", "--recipes")[1]
    assert "digits" in listed
    assert "mnist" in listed
    recipes = {entry["name"]: entry for entry in json.loads(main("train", "--json", "--recipes")[1])}
    assert set(shipped_recipes()) == set(recipes)
    assert recipes["digits"]["data"] == "digits"


def test_a_process_prints_one_line_for_an_error():
    result = seedmint("train", "nowhere", "--out", "x")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: RECIPE_OR_PATH: ")
    assert result.stderr.count("\n") == 1
