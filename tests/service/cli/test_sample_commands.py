"""The commands `sample` and `models` with generators of samples: their files, their output and their errors."""

import csv
import io
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from seedmint.models.card import SampleOutput
from seedmint.service.encoders.plots import plot
from seedmint.service.runtime.generator import Generator
from tests.support import generators
from tests.support.commandline import run, run_error
from tests.support.servers import Server


@pytest.mark.parametrize("form", ["csv", "jsonl", "npy", "npz"])
@pytest.mark.parametrize("model", ["point", "wave"])
def test_archives_are_the_bytes_of_the_service(sample_home: Path, sample_server: Server, model: str, form: str):
    output = run("sample", model, "--seeds", "0-199", "--truncation", "0.5", "--out", f"a.{form}")
    assert re.fullmatch(rf"200 samples of {model}@[0-9a-f]{{12}} in a\.{form}\n", output)
    body = {"model": model, "seeds": "0-199", "truncation": 0.5, "format": form}
    assert Path(f"a.{form}").read_bytes() == sample_server.client.post("/v1/sample", json=body).content


def test_a_label_can_be_a_class_name(sample_home: Path):
    run("sample", "point", "--seeds", "0-9", "--label", "bee", "--out", "a.csv")
    rows = list(csv.DictReader(io.StringIO(Path("a.csv").read_text())))
    assert {row["label"] for row in rows} == {"1"}


@pytest.mark.parametrize("model", ["point", "wave"])
def test_a_png_is_a_plot_of_all_samples(sample_home: Path, point: Generator, wave: Generator, model: str):
    run("sample", model, "--seeds", "0-199", "--out", "a.png")
    generator = {"point": point, "wave": wave}[model]
    picture = Image.open("a.png")
    assert picture.info == {"seed": "0-199", "model": model, "digest": generator.digest}
    drawn = plot(generator.card.output, generator.generate(np.arange(200)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.asarray(picture), drawn)


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        (["point", "--seeds", "0", "--out", "a.zip"], "out", "unknown_format"),
        (["point", "--seeds", "0", "--out", "folder"], "out", "unknown_format"),
        (["point", "--seeds", "0", "--scale", "2", "--out", "a.png"], "scale", "not_applicable"),
        (["point", "--seeds", "0", "--columns", "2", "--out", "a.csv"], "columns", "not_applicable"),
        (["point", "--seeds", "0-100000", "--out", "a.png"], "seeds", "too_large"),
        (["grey", "--seeds", "0", "--out", "a.csv"], "out", "unknown_format"),
        (["point", "--walk", "1", "2", "--out", "a.png"], "model", "wrong_output"),
    ],
)
def test_an_invalid_argument_names_its_field_and_writes_nothing(
    sample_home: Path, arguments: list[str], field: str, reason: str
):
    error = run_error("sample", *arguments)
    assert (error.field, error.reason) == (field, reason)
    assert not list(sample_home.iterdir())


@pytest.mark.parametrize("form", ["csv", "npy"])
def test_a_full_disk_is_an_error_before_the_work(sample_home: Path, monkeypatch: pytest.MonkeyPatch, form: str):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=50_000))
    error = run_error("sample", "wave", "--seeds", "0-9999", "--out", f"a.{form}")
    assert (error.field, error.reason) == ("out", "no_space")
    assert not list(sample_home.iterdir())


def test_models_list_and_show(sample_home: Path, tmp_path: Path):
    lines = [re.split(r"  +", line) for line in run("models", "list").splitlines()]
    assert [line[2:4] for line in lines] == [["8x8x1", "no classes"], ["2 columns", "3 classes"], ["series 16x2", "no classes"]]
    one = SampleOutput(kind="sample", shape=(1,), names=("x",))
    generators.write(tmp_path, "one", output=one)
    assert "  1 column  " in run("models", "list", "--models", str(tmp_path))
    assert "shape: 16, 2\n  names: left, right\n" in run("models", "show", "wave")
