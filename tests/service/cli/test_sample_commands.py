"""The command line on generators of samples: what it writes, and one line for what the user can mend."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedmint.cli import main
from seedmint.models.card import SampleOutput
from seedmint.service.encoders.plots import plot
from seedmint.service.runtime.generator import Generator
from tests.support import generators
from tests.support.commandline import run
from tests.support.servers import Server


@pytest.mark.parametrize("form", ["csv", "jsonl", "npy", "npz"])
@pytest.mark.parametrize("model", ["point", "wave"])
def test_archives_are_the_services_bytes(sample_home: Path, sample_server: Server, model: str, form: str):
    said = run("sample", model, "--seeds", "0-199", "--truncation", "0.5", "--out", f"a.{form}")
    assert re.fullmatch(rf"200 samples of {model}@[0-9a-f]{{12}} in a\.{form}\n", said)
    body = {"model": model, "seeds": "0-199", "truncation": 0.5, "format": form}
    assert Path(f"a.{form}").read_bytes() == sample_server.client.post("/v1/sample", json=body).content


def test_a_label_may_be_asked_for_by_name(sample_home: Path):
    run("sample", "point", "--seeds", "0-9", "--label", "bee", "--out", "a.csv")
    rows = list(csv.DictReader(io.StringIO(Path("a.csv").read_text())))
    assert {row["label"] for row in rows} == {"1"}


@pytest.mark.parametrize("model", ["point", "wave"])
def test_a_png_is_a_plot_of_all(sample_home: Path, point: Generator, wave: Generator, model: str):
    run("sample", model, "--seeds", "0-199", "--out", "a.png")
    generator = {"point": point, "wave": wave}[model]
    picture = Image.open("a.png")
    assert picture.info == {"seed": "0-199", "model": model, "digest": generator.digest}
    drawn = plot(generator.card.output, generator.generate(np.arange(200)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.asarray(picture), drawn)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["point", "--seeds", "0", "--out", "a.zip"], r"a\.zip: give a name ending in .npz, .npy, .csv, .jsonl, or .png"),
        (["point", "--seeds", "0", "--out", "folder"], r"folder: give a name"),
        (["point", "--seeds", "0", "--scale", "2", "--out", "a.png"], "--scale and --columns are for images"),
        (["point", "--seeds", "0", "--columns", "2", "--out", "a.csv"], "--scale and --columns are for images"),
        (["point", "--seeds", "0-100000", "--out", "a.png"], "100001 are more than a plot can show"),
        (["grey", "--seeds", "0", "--out", "a.csv"], r"\.csv is not written"),
        (["point", "--walk", "1", "2", "--out", "a.png"], "--walk is for images, and .point. makes samples"),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    sample_home: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as end:
        main(["sample", *arguments])
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert error.count("\n") == 1
    assert not list(sample_home.iterdir())


def test_a_disk_too_small_is_named_before_the_work(
    sample_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    class Small:
        free = 50_000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Small())
    for form in ("csv", "npy"):
        with pytest.raises(SystemExit):
            main(["sample", "wave", "--seeds", "0-9999", "--out", f"a.{form}"])
        assert re.fullmatch(r"Error: --out a\.\w+ would take about \d+ MB, and 0 MB are free there\n", capsys.readouterr().err)
    assert not list(sample_home.iterdir())


def test_models_list_and_show(sample_home: Path, tmp_path: Path):
    lines = [re.split(r"  +", line) for line in run("models", "list").splitlines()]
    assert [line[2:4] for line in lines] == [["8x8x1", "no classes"], ["2 columns", "3 classes"], ["series 16x2", "no classes"]]
    one = SampleOutput(kind="sample", shape=(1,), names=("x",))
    generators.write(tmp_path, "one", output=one)
    assert "  1 column  " in run("models", "list", "--models", str(tmp_path))
    assert "shape: 16, 2\n  names: left, right\n" in run("models", "show", "wave")
