"""Series of different lengths with missing values, from training to the files of their generator."""

import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import seedmint as package
from seedmint.cli import cli
from seedmint.models.card import SeriesOutput
from seedmint.models.series import series_lengths
from seedmint.service.encoders.tabular import encode_sample
from seedmint.service.runtime.generator import open_generator
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.dataset import SeriesInfo
from seedmint.training.export.served_generator import ServedGenerator
from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.directory import create_run
from seedmint.training.runs.export_run import export_run
from tests.support.commandline import run, run_error
from tests.support.recipes import recipe_document

LENGTHS = np.array([10, 10, 12, 16])
"""Of the two classes: `short` has 10 and 12 steps, `long` 10 and 16."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with series of two channels and two classes, and a generator of them that was trained for a few steps."""
    folder = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(0)
    lengths = np.tile(LENGTHS, 60)
    labels = np.tile([0, 1, 0, 1], 60)
    series = np.cumsum(rng.normal(size=(240, 16, 2)), axis=1)
    series[5, 3, 1] = np.nan
    np.savez(folder / "walks.npz", series=series, lengths=lengths, labels=labels, classes=["short", "long"], names=["a", "b"])
    document = recipe_document(
        name="walks",
        data={"source": "series", "path": str(folder / "walks.npz"), "missing": "mask", "units": {"b": "m"}},
        conditional=True,
        z_dim=4,
        generator={"kind": "sequence", "width": 4},
        discriminator={"kind": "sequence", "width": 4},
        metrics=["marginals", "dynamics"],
        every={"log": 5, "preview": 5, "checkpoint": 10, "evaluate": 10},
        steps=10,
    )
    create_run(folder / "run", validate_recipe(document, "test"), torch.device("cpu")).fit()
    (folder / "models").mkdir()
    (folder / "models" / "walks.onnx").write_bytes(export_run(folder / "run", "walks", None, None, None))
    return folder


@pytest.fixture(scope="module")
def generator(folder):
    return open_generator(folder / "models" / "walks.onnx", "cpu")


def test_card_says_what_is_known(generator):
    output = generator.card.output
    assert output.series == SeriesOutput(units=(None, "m"), lengths=(10, 16))
    assert (output.names, output.shape, generator.determinism) == (("a", "b"), (16, 2), "exact")


def test_lengths_have_the_distribution_of_the_data_of_their_class(generator):
    seeds = np.arange(4000, dtype=np.int64)
    labels = generator.labels(seeds)
    samples = generator.generate(seeds)
    lengths = series_lengths(samples)
    for label, other in ((0, 12), (1, 16)):
        own = lengths[labels == label]
        assert set(own.tolist()) == {10, other}
        assert abs(float((own == 10).mean()) - 0.5) < 0.06
    is_inside = np.arange(16) < lengths[:, None]
    assert (np.isfinite(samples) == is_inside[:, :, None]).all()


@pytest.mark.parametrize("is_masked", [False, True])
def test_generated_values_stay_within_the_range_of_the_data(is_masked):
    samples = np.stack([np.linspace(0.013, 9.87, 40), np.arange(40.0)], axis=1).astype(np.float32)[None]
    info = SeriesInfo(None, None, False, is_masked)
    scaling = Dataset("d", samples, None, None, None, ("a", "b"), series=info).scaling
    mask = torch.ones(1, 40, 2) if is_masked else torch.empty(1, 40, 0)
    for sign in (-1, 1):
        far = torch.cat([torch.full((1, 40, 2), 1000.0 * sign), mask], dim=2)
        served = ServedGenerator(nn.Identity(), scaling)(far).numpy()
        resolution = np.array((scaling.scaling if is_masked else scaling).resolution)
        limit = samples[0].min(axis=0) if sign < 0 else samples[0].max(axis=0)
        assert (np.abs(served - limit) <= resolution).all()
        assert ((served - limit) * sign <= 0).all()


def test_every_format_returns_series_of_their_own_length(folder, generator, monkeypatch):
    seeds = np.arange(40, dtype=np.int64)
    samples, labels = generator.generate(seeds), generator.labels(seeds)
    lengths = series_lengths(samples).tolist()
    assert len(set(lengths)) == 3
    first = samples[0, : lengths[0]]
    document = json.loads(encode_sample(generator, samples[0], "json", 0, int(labels[0]), 1.0))
    assert (document["length"], document["values"]) == (lengths[0], first.tolist())
    rows = list(csv.reader(io.StringIO(encode_sample(generator, samples[0], "csv", 0, int(labels[0]), 1.0).decode())))
    assert (rows[0], len(rows)) == (["step", "a", "b"], lengths[0] + 1)
    np.testing.assert_array_equal(np.load(io.BytesIO(encode_sample(generator, samples[0], "npy", 0, 0, 1.0))), first)
    assert encode_sample(generator, samples[0], "png", 0, int(labels[0]), 1.0).startswith(b"\x89PNG")

    monkeypatch.setenv("SEEDMINT_MODELS", str(folder / "models"))
    for suffix in ("csv", "jsonl", "npz"):
        run("sample", "walks", "--seeds", "0-39", "--out", str(folder / f"p.{suffix}"))
    arrays = np.load(folder / "p.npz")
    assert arrays["lengths"].tolist() == lengths
    np.testing.assert_array_equal(arrays["samples"], samples)
    lines = [json.loads(line) for line in (folder / "p.jsonl").read_text().splitlines()]
    assert [len(line["values"]) for line in lines] == lengths
    assert len((folder / "p.csv").read_text().splitlines()) == 1 + sum(lengths)

    run("batch", "run", "walks", "--seeds", "0-39", "--out", str(folder / "job"), "--workers", "1")
    run("batch", "verify", str(folder / "job"))
    (shard,) = (folder / "job" / "data").glob("*.parquet")
    table = pq.read_table(shard)
    assert [len(values) for values in table["b"].to_pylist()] == lengths
    assert table["a"][0].as_py() == first[:, 0].tolist()

    loaded = package.load("walks")
    for own, expected in zip(loaded.series(seeds), samples, strict=True):
        np.testing.assert_array_equal(own, expected[: len(own)])


def test_evaluation_compares_dynamics_with_intervals_of_real_series(folder):
    options = ("--data", f"series:{folder / 'walks.npz'}", "--report", str(folder / "report.html"), "--json")
    result = CliRunner().invoke(cli, ["evaluate", str(folder / "models" / "walks.onnx"), *options], catch_exceptions=False)
    metrics = {metric["metric"]: metric for metric in json.loads(result.stdout)["metrics"]}
    names = {f"{kind} of {name}" for kind in ("autocorrelation-difference", "spectrum-difference") for name in "ab"}
    names |= {"kolmogorov-smirnov of length", "channel-correlation-difference"}
    names |= {"detection-auc", "discriminative-score", "predictive-score"}
    assert names <= set(metrics)
    assert all(metrics[name]["interval"] is not None for name in names)
    low, high = metrics["kolmogorov-smirnov of length"]["interval"]
    assert low <= metrics["kolmogorov-smirnov of length"]["value"] <= high
    assert (
        not metrics["detection-auc"]["interval"][0]
        <= metrics["detection-auc"]["value"]
        <= metrics["detection-auc"]["interval"][1]
    )
    report = (folder / "report.html").read_text()
    assert report.count("<svg") >= 7
    assert "b (m)" in report


def test_evaluation_refuses_data_of_one_length(folder):
    np.savez(folder / "whole.npz", series=np.random.default_rng(0).normal(size=(40, 16, 2)), names=["a", "b"])
    options = ("--data", f"series:{folder / 'whole.npz'}")
    assert run_error("evaluate", str(folder / "models" / "walks.onnx"), *options).reason == "shape_mismatch"
