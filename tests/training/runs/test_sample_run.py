"""Generators of samples from training to evaluation: runs, resume, export and metrics."""

import io
import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from PIL import Image

from seedmint.cli import main
from seedmint.models.contract import card_of
from seedmint.models.errors import UserError
from seedmint.models.noise import noise
from seedmint.training.datasets import load_dataset
from seedmint.training.plotting.sample_plots import plot
from seedmint.training.recipes.files import load_recipe
from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.checkpoints import list_checkpoints, load_checkpoint
from seedmint.training.runs.directory import create_run, resume_run
from seedmint.training.runs.export_run import export_run
from tests.support.errors import raises
from tests.support.recipes import recipe_document

CPU = torch.device("cpu")
MLP = {"generator": {"kind": "mlp", "width": 16}, "discriminator": {"kind": "mlp", "width": 16}}
SEQUENCE = {"generator": {"kind": "sequence", "width": 4}, "discriminator": {"kind": "sequence", "width": 4}}
KINDS = {
    "ring-2d": {"data": {"source": "ring-2d"}, "conditional": True, **MLP},
    "sines": {"data": {"source": "sines"}, **SEQUENCE},
}


def recipe(**fields):
    return validate_recipe(recipe_document(**fields), "test")


def finish(run):
    run.fit()
    return load_checkpoint(list_checkpoints(run.directory / "checkpoints")[-1][1])


@pytest.mark.parametrize("source", KINDS)
def test_resumed_run_equals_uninterrupted_run(tmp_path, source):
    whole = finish(create_run(tmp_path / "a", recipe(**KINDS[source]), CPU))
    finish(create_run(tmp_path / "b", recipe(**KINDS[source], steps=10), CPU))
    resumed = finish(resume_run(tmp_path / "b", CPU, lambda message: None, ["steps=20"]))
    assert whole.tensors.keys() == resumed.tensors.keys()
    assert all(torch.equal(whole.tensors[key], resumed.tensors[key]) for key in whole.tensors)
    previews = [(tmp_path / name / "previews" / "step-000000020.png").read_bytes() for name in "ab"]
    assert previews[0] == previews[1]


@pytest.mark.parametrize("source", KINDS)
def test_previews_match_the_exported_file(tmp_path, source):
    """A plot of the file's samples equals the preview, except for differences of one rounding unit."""
    run = create_run(tmp_path / "r", recipe(**KINDS[source]), CPU)
    finish(run)
    content = export_run(tmp_path / "r", "mine", None, None, None)
    card = card_of(onnx.load_from_string(content))
    seeds = np.arange(1000, dtype=np.int64)
    feeds = {"z": noise("philox-normal-v1", 8, seeds)}
    if card.classes is not None:
        assert card.class_weights == tuple(np.bincount(run.dataset.labels).tolist())  # without a common divisor
        feeds["label"] = card.label_rule().labels(seeds)
    (made,) = onnxruntime.InferenceSession(content).run(["sample"], feeds)
    drawn = np.asarray(Image.open(io.BytesIO(plot(made, card.output.names))))
    preview = np.asarray(Image.open(tmp_path / "r" / "previews" / "step-000000020.png"))
    assert drawn.shape == preview.shape
    assert (drawn != preview).mean() < 0.01
    assert (card.output.shape, card.output.names) == (run.dataset.samples.shape[1:], run.dataset.names)
    assert card.output.resolution == run.dataset.scaling.resolution
    assert card.provenance.dataset.digest == run.dataset.digest


def test_metrics_of_a_run_are_logged(tmp_path):
    run = create_run(
        tmp_path / "r",
        recipe(**KINDS["ring-2d"], metrics=["marginals", "ring"], every={"log": 10, "evaluate": 10, "checkpoint": 20}),
        CPU,
    )
    finish(run)
    measured = [entry for line in (tmp_path / "r" / "log.jsonl").open() if "metrics" in (entry := json.loads(line))]
    assert {entry["step"] for entry in measured} == {10, 20}
    assert {metric["metric"] for metric in measured[0]["metrics"]} >= {"wasserstein-1 of x", "modes", "high-quality-share"}


def test_run_reads_its_data_once(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{i % 7},{i % 11}\n" for i in range(99)))
    fields = {"metrics": ["marginals"], "every": {"log": 10, "evaluate": 10, "checkpoint": 20}, **MLP}
    run = create_run(tmp_path / "r", recipe(data={"source": "table", "path": str(path)}, **fields), CPU)
    path.unlink()
    finish(run)
    logged = [json.loads(line) for line in (tmp_path / "r" / "log.jsonl").open()]
    assert {entry["step"] for entry in logged if "metrics" in entry} == {10, 20}


def test_changed_data_or_names_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    rows = "".join(f"{i % 7},{i % 11}\n" for i in range(99))
    path.write_text("a,b\n" + rows)
    fields = {"data": {"source": "table", "path": str(path)}, **MLP}
    finish(create_run(tmp_path / "r", recipe(**fields), CPU))
    for text in ("a,c\n" + rows, "a,b\n" + rows.replace("6,", "5,")):
        path.write_text(text)
        with raises(UserError, "data_changed", "data"):
            resume_run(tmp_path / "r", CPU, lambda message: None)
    path.write_text("a,b\n" + rows)
    assert resume_run(tmp_path / "r", CPU, lambda message: None).step == 20


@pytest.fixture
def seedmint(tmp_path, monkeypatch, capfd):
    """Runs the command line in this process and in a new directory; returns exit status, standard output and error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return ended.value.code, *capfd.readouterr()

    return call


def test_table_with_labels_from_training_to_evaluation(tmp_path, seedmint):
    """Two distant clusters, one per label: after a short training, the samples of each label are in its cluster."""
    random = np.random.default_rng(0)
    kinds = random.integers(0, 2, 2000)
    values = random.normal([[10, -3]], [[1, 0.1]], (2000, 2)) + kinds[:, None] * [20, 2]
    counts = random.integers(0, 5, 2000)
    lines = [f"{x},{y},{n},{'ab'[k]}\n" for (x, y), n, k in zip(values, counts, kinds, strict=True)]
    (tmp_path / "mine.csv").write_text("x,y,count,kind\n" + "".join(lines))
    rule = {"kind": "adam", "learning_rate": 1e-3}
    document = recipe_document(
        data={"source": "table", "path": "mine.csv", "label": "kind"},
        conditional=True,
        generator={"kind": "mlp", "width": 32},
        discriminator={"kind": "mlp", "width": 32},
        m=64,
        steps=600,
        rule={"generator": rule, "discriminator": rule},
        every={"log": 200, "preview": 600, "checkpoint": 600},
    )
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(document))
    code, _, errors = seedmint("train", "table.yaml", "--out", "run")
    assert code == 0, errors
    assert seedmint("export", "run", "--name", "mine", "--models", "out")[0] == 0
    shutil.rmtree(tmp_path / "run")
    path = tmp_path / "out" / "mine.onnx"
    card = card_of(onnx.load(path))
    assert (card.classes, card.output.names) == (("a", "b"), ("x", "y", "count"))
    assert [column.type for column in card.output.columns] == ["number", "number", "integer"]
    assert (card.output.label.name, card.output.label.position) == ("kind", 3)
    session = onnxruntime.InferenceSession(path.read_bytes())
    z = noise(card.noise.rule, card.noise.z_dim, np.arange(1000, dtype=np.int64))
    for label, centre in ((0, 10), (1, 30)):
        (made,) = session.run(["sample"], {"z": z, "label": np.full(1000, label)})
        x, _, count = (column.numbers(made[:, i]) for i, column in enumerate(card.output.columns))
        assert np.mean(np.abs(x - centre) < 8) > 0.9
        assert set(count) <= {0, 1, 2, 3, 4}
    code, text, errors = seedmint("evaluate", "out/mine.onnx")
    assert (code, "--data" in errors) == (1, True)  # the card has no path of the table
    files = ("--out", "p.png", "--report", "pages")
    code, text, errors = seedmint("evaluate", "out/mine.onnx", "--data", "table:mine.csv", "--json", "--write", *files)
    assert code == 0, errors
    metrics = {metric.metric: metric for metric in card_of(onnx.load(path)).evaluation}
    assert set(metrics) == {
        *(f"kolmogorov-smirnov of {column}" for column in ("x", "y", "count")),
        "total-variation of kind",
        "correlation-difference",
        "contingency-difference",
        "detection-auc",
        "train-on-generated score of kind",
        "closest-record",
        "closest-record-cells",
        "closest-record-near",
        "closest-record median",
        "nearer-to-training",
        "exact-copies",
    }
    assert metrics["kolmogorov-smirnov of x"].value < 0.3
    assert metrics["train-on-generated score of kind"].value > 0.9
    assert {entry["metric"]: entry["value"] for entry in json.loads(text)["metrics"]} == {
        name: metric.value for name, metric in metrics.items()
    }
    page = (tmp_path / "pages" / "report.html").read_text()
    assert all(name in page for name in metrics)
    assert page.count("data:image/png") == 1
    assert all(metric.interval is not None and metric.standard_error is not None for metric in metrics.values())
    assert len(Image.open(tmp_path / "p.png").getcolors(1_000_000)) > 10
    code, _, errors = seedmint("evaluate", "out/mine.onnx", "--data", "series:mine.csv")
    assert (code, errors.count("\n")) == (1, 1)
    code, _, errors = seedmint("evaluate", "out/mine.onnx", "--data", "digits")
    assert (code, errors.count("\n")) == (1, 1)
    code, _, errors = seedmint("evaluate", "out/mine.onnx", "--data", "gaussian-1d")
    assert (code, errors.count("\n"), "--data" in errors) == (1, 1, True)


@pytest.mark.parametrize(("shape", "with_data"), [((1,), True), ((2,), True), ((5,), False), ((20,), True), ((9, 3), True)])
def test_plots_of_every_shape(shape, with_data):
    samples = np.random.default_rng(0).normal(size=(30, *shape)).astype(np.float32)
    content = plot(samples, tuple(f"c{i}" for i in range(shape[-1])), samples[:7] + 1 if with_data else None)
    assert len(Image.open(io.BytesIO(content)).getcolors(1_000_000)) > 10
    assert b"matplotlib" not in content


def test_shipped_recipes_train_on_their_data(tmp_path):
    for name in ("ring-2d", "ring-2d-end", "sines", "gaussian-1d"):
        shipped = load_recipe(name, ["steps=2", "every.evaluate=2"])
        run = create_run(tmp_path / name, shipped, CPU)
        assert run.dataset.digest == load_dataset(shipped.data).digest
        assert finish(run).step == 2
