"""The commands `sample`, `models` and `serve`: their files, their output and their errors."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from seedmint.cli import main
from seedmint.models.grid import enlarge
from seedmint.service.encoders.images import GAP
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings, variable
from tests.support.commandline import run, run_error
from tests.support.servers import Server, wait_until


def test_a_contact_sheet_contains_the_images_in_rows(home: Path, rgb: Generator):
    output = run("sample", "rgb", "--seeds", "0-6,99", "--label", "bee", "--scale", "2", "--columns", "3", "--out", "sheet.png")
    assert output == f"8 images of rgb@{rgb.digest12} in sheet.png\n"
    sheet_file = Image.open("sheet.png")
    assert sheet_file.info["seed"] == "0-6,99"
    sheet = np.asarray(sheet_file)
    height, width = 32 + GAP, 24 + GAP
    assert sheet.shape == (3 * height - GAP, 3 * width - GAP, 3)
    for i, image in enumerate(rgb.generate(np.array([*range(7), 99]), np.ones(8, np.int64))):
        top, left = i // 3 * height, i % 3 * width
        np.testing.assert_array_equal(sheet[top : top + 32, left : left + 24], enlarge(image, 2))
    assert (sheet[2 * height :, 2 * width :] == 255).all()


def test_a_directory_and_a_zip_contain_the_bytes_of_the_service(home: Path, server: Server):
    run("sample", "rgb", "--seeds", "0-99", "--out", "folder")
    run("sample", "rgb", "--seeds", "0-99", "--out", "some.zip")
    response = server.client.post("/v1/sample", json={"model": "rgb", "seeds": "0-99"})
    assert Path("some.zip").read_bytes() == response.content
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    files = {str(path.relative_to("folder")): path.read_bytes() for path in Path("folder").rglob("*") if path.is_file()}
    assert files == entries
    assert sorted(path.name for path in home.iterdir()) == ["folder", "some.zip"]  # no incomplete file


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_arrays_are_the_bytes_of_the_service(home: Path, server: Server, form: str):
    run("sample", "grey", "--seeds", "0-199", "--truncation", "0.5", "--out", f"a.{form}")
    body = {"model": "grey", "seeds": "0-199", "truncation": 0.5, "format": form}
    assert Path(f"a.{form}").read_bytes() == server.client.post("/sample", json=body).content


@pytest.mark.parametrize("form", ["webp", "gif", "png"])
def test_a_walk_is_the_bytes_of_the_service(home: Path, server: Server, form: str):
    options = ["--frames", "70", "--label", "bee", "--truncation", "0.50", "--scale", "2"]
    output = run("sample", "rgb", "--walk", "1", "2", *options, "--out", f"walk.{form}")
    assert re.fullmatch(rf"70 frames of rgb@[0-9a-f]{{12}} in walk\.{form}\n", output)
    path = server.pinned("rgb").removesuffix("/images")
    response = server.client.get(f"{path}/walk.{form}?frames=70&from=1&label=1&scale=2&to=2&truncation=0.5")
    assert Path(f"walk.{form}").read_bytes() == response.content


def test_a_generator_may_be_a_path(home: Path, models: Path):
    run("sample", str(models / "grey.onnx"), "--seeds", "3", "--out", "one")
    assert [path.name for path in Path("one").iterdir()] == ["3.png"]


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        (["nope", "--seeds", "0", "--out", "a.png"], "model", "not_found"),
        (["./nope.onnx", "--seeds", "0", "--out", "a.png"], "model", "not_found"),
        (["rgb", "--seeds", "x", "--out", "a.png"], "seeds", "malformed_seeds"),
        (["rgb", "--seeds", "0", "--out", "a.jpg"], "out", "unknown_format"),
        (["rgb", "--out", "a.png"], None, "conflict"),
        (["rgb", "--seeds", "0", "--walk", "1", "2", "--out", "a.png"], None, "conflict"),
        (["rgb", "--seeds", "0", "--frames", "9", "--out", "a.png"], "frames", "not_applicable"),
        (["rgb", "--walk", "1", "2", "--columns", "9", "--out", "a.png"], "columns", "not_applicable"),
        (["rgb", "--walk", "1", "02", "--out", "a.gif"], "walk", "malformed_seeds"),
        (["rgb", "--walk", "1", "2", "--frames", "1", "--out", "a.gif"], "frames", "out_of_range"),
        (["rgb", "--walk", "1", "2", "--out", "a.zip"], "out", "unknown_format"),
        (["rgb", "--seeds", "0,0", "--out", "a.zip"], "seeds", "duplicate_seed"),
        (["rgb", "--seeds", "0,0", "--out", "a"], "seeds", "duplicate_seed"),
        (["rgb", "--seeds", "0", "--label", "dog", "--out", "a"], "label", "unknown_class"),
        (["rgb", "--seeds", "0", "--label", "3", "--out", "a"], "label", "out_of_range"),
        (["grey", "--seeds", "0", "--label", "0", "--out", "a"], "label", "not_conditional"),
        (["rgb", "--seeds", "0", "--truncation", "2", "--out", "a"], "truncation", "out_of_range"),
        (["rgb", "--seeds", "0", "--scale", "0", "--out", "a"], "scale", "out_of_range"),
        (["rgb", "--seeds", "0", "--scale", "257", "--out", "a"], "scale", "out_of_range"),
        (["rgb", "--seeds", "0", "--scale", "2", "--out", "a.npy"], "scale", "not_applicable"),
        (["rgb", "--seeds", "0", "--columns", "2", "--out", "a.npy"], "columns", "not_applicable"),
        (["rgb", "--seeds", "0", "--columns", "0", "--out", "a.png"], "columns", "out_of_range"),
        (["rgb", "--seeds", "0-99999", "--scale", "9", "--out", "a.png"], "scale", "too_large"),
        (["rgb", "--seeds", "0-10000000", "--out", "a.npy"], "seeds", "too_many_seeds"),
    ],
)
def test_an_invalid_argument_names_its_field_and_writes_nothing(
    home: Path, arguments: list[str], field: str | None, reason: str
):
    error = run_error("sample", *arguments)
    assert (error.field, error.reason) == (field, reason)
    assert not list(home.iterdir())


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["nope", "--seeds", "0", "--out", "a.png"], "Error: MODEL: "),
        (["rgb", "--seeds", "0", "--scale", "0", "--out", "a"], "Error: --scale: "),
        (["rgb", "--walk", "1", "2", "--out", "a.zip"], "Error: --out: "),
        (["rgb", "--seeds", "0", "--out", "/proc/nowhere/a.png"], "Error: "),
    ],
)
def test_an_error_is_one_line_with_exit_status_1(
    home: Path, arguments: list[str], start: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as end:
        main(["sample", *arguments])
    assert end.value.code == 1
    text = capsys.readouterr().err
    assert text.startswith(start)
    assert text.count("\n") == 1


def test_models_list_and_show(home: Path, models: Path, rgb: Generator, grey: Generator, tmp_path: Path):
    lines = run("models", "list").splitlines()
    assert lines[0].split() == ["grey", grey.digest12, "8x8x1", "no", "classes", "Test", "generator", "grey"]
    assert lines[1].split()[:5] == ["rgb", rgb.digest12, "12x16x3", "3", "classes"]
    (tmp_path / "bad.onnx").write_bytes(b"junk")
    assert run("models", "list", "--models", str(tmp_path)).split()[:2] == ["bad", "invalid:"]
    shown = json.loads(run("models", "show", "rgb", "--json"))
    assert shown == {"digest": rgb.digest, "card": rgb.card.model_dump(mode="json", by_alias=True)}
    text = run("models", "show", str(models / "rgb.onnx"))
    assert f"digest: {rgb.digest}" in text
    assert "classes: ant, bee, cat" in text


def test_serve_has_an_option_for_each_setting():
    output = run("serve", "--help")
    for field in Settings.model_fields:
        assert re.search(rf"--{field.replace('_', '-')}\b", output)
        assert f"[{variable(field)};" in output


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["--port", "x"], "Error: --port: "),
        (["--models", "/nowhere"], "Error: --models: "),
        (["--max-queue", "1"], "Error: "),
    ],
)
def test_an_invalid_setting_ends_serve_before_it_starts(arguments: list[str], start: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        main(["serve", *arguments])
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith(start)


def test_a_port_in_use_ends_serve(models: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "seedmint", "serve", "--port", str(taken.getsockname()[1])],
            env=os.environ | {"SEEDMINT_MODELS": str(models)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("out", ["a.zip", "a.npz", "a.npy", "a"])
def test_a_full_disk_is_an_error_before_the_work(home: Path, monkeypatch: pytest.MonkeyPatch, out: str):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=50_000))
    run("sample", "grey", "--seeds", "0-9", "--out", out)
    error = run_error("sample", "grey", "--seeds", "0-9999", "--out", f"large-{out}")
    assert (error.field, error.reason) == ("out", "no_space")
    assert [path.name for path in home.iterdir()] == [out]


def test_sigterm_leaves_no_incomplete_file(home: Path):
    with subprocess.Popen(
        [sys.executable, "-m", "seedmint", "sample", "rgb", "--seeds", "0-9999999", "--out", str(home / "a.npy")]
    ) as process:
        wait_until(lambda: any(path.stat().st_size for path in home.iterdir()))
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert list(home.iterdir()) == []
