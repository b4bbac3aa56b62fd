"""The commands: what they write, what they say, and one line for what the user can mend."""

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
from seedmint.service.encoders.images import GAP, enlarge
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings, variable
from tests.support.commandline import run
from tests.support.servers import Server, wait_until


def test_a_contact_sheet_shows_the_images_in_rows(home: Path, rgb: Generator):
    said = run("sample", "rgb", "--seeds", "0-6,99", "--label", "bee", "--scale", "2", "--columns", "3", "--out", "sheet.png")
    assert said == f"8 images of rgb@{rgb.digest12} in sheet.png\n"
    picture = Image.open("sheet.png")
    assert picture.info["seed"] == "0-6,99"
    sheet = np.asarray(picture)
    height, width = 32 + GAP, 24 + GAP
    assert sheet.shape == (3 * height - GAP, 3 * width - GAP, 3)
    for i, image in enumerate(rgb.generate(np.array([*range(7), 99]), np.ones(8, np.int64))):
        top, left = i // 3 * height, i % 3 * width
        np.testing.assert_array_equal(sheet[top : top + 32, left : left + 24], enlarge(image, 2))
    assert (sheet[2 * height :, 2 * width :] == 255).all()


def test_a_directory_and_a_zip_hold_the_services_bytes(home: Path, server: Server):
    run("sample", "rgb", "--seeds", "0-99", "--out", "folder")
    run("sample", "rgb", "--seeds", "0-99", "--out", "some.zip")
    answer = server.client.post("/v1/sample", json={"model": "rgb", "seeds": "0-99"})
    assert Path("some.zip").read_bytes() == answer.content
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    files = {str(path.relative_to("folder")): path.read_bytes() for path in Path("folder").rglob("*") if path.is_file()}
    assert files == entries
    assert sorted(path.name for path in home.iterdir()) == ["folder", "some.zip"]  # nothing half-written stays


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_arrays_are_the_services_bytes(home: Path, server: Server, form: str):
    run("sample", "grey", "--seeds", "0-199", "--truncation", "0.5", "--out", f"a.{form}")
    body = {"model": "grey", "seeds": "0-199", "truncation": 0.5, "format": form}
    assert Path(f"a.{form}").read_bytes() == server.client.post("/sample", json=body).content


@pytest.mark.parametrize("form", ["webp", "gif", "png"])
def test_a_walk_is_the_services_bytes(home: Path, server: Server, form: str):
    options = ["--frames", "70", "--label", "bee", "--truncation", "0.50", "--scale", "2"]
    said = run("sample", "rgb", "--walk", "1", "2", *options, "--out", f"walk.{form}")
    assert re.fullmatch(rf"70 frames of rgb@[0-9a-f]{{12}} in walk\.{form}\n", said)
    path = server.pinned("rgb").removesuffix("/images")
    answer = server.client.get(f"{path}/walk.{form}?from=1&to=2&frames=70&label=1&truncation=0.5&scale=2")
    assert Path(f"walk.{form}").read_bytes() == answer.content


def test_a_generator_may_be_a_path(home: Path, models: Path):
    run("sample", str(models / "grey.onnx"), "--seeds", "3", "--out", "one")
    assert [path.name for path in Path("one").iterdir()] == ["3.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope", "--seeds", "0", "--out", "a.png"], "no generator 'nope' in .*grey, rgb"),
        (["./nope.onnx", "--seeds", "0", "--out", "a.png"], "no generator file nope.onnx"),
        (["rgb", "--seeds", "x", "--out", "a.png"], "'x' is neither a seed nor a range"),
        (["rgb", "--seeds", "0", "--out", "a.jpg"], ".jpg is not written"),
        (["rgb", "--out", "a.png"], "give --seeds, or --walk FROM TO"),
        (["rgb", "--seeds", "0", "--walk", "1", "2", "--out", "a.png"], "one of the two"),
        (["rgb", "--seeds", "0", "--frames", "9", "--out", "a.png"], "--frames is for --walk"),
        (["rgb", "--walk", "1", "2", "--columns", "9", "--out", "a.png"], "--columns is for a contact sheet"),
        (["rgb", "--walk", "1", "02", "--out", "a.gif"], "--walk: seed '02' is not a whole number"),
        (["rgb", "--walk", "1", "2", "--frames", "1", "--out", "a.gif"], "--frames: frames 1 is out of range: 2 to 256"),
        (["rgb", "--walk", "1", "2", "--out", "a.zip"], "ending in .webp, .gif, .png for a walk"),
        (["rgb", "--seeds", "0,0", "--out", "a.zip"], "a seed comes twice"),
        (["rgb", "--seeds", "0,0", "--out", "a"], "a seed comes twice"),
        (["rgb", "--seeds", "0", "--label", "dog", "--out", "a"], "--label 'dog'"),
        (["rgb", "--seeds", "0", "--label", "3", "--out", "a"], "--label '3': not a number from 0 to 2"),
        (["grey", "--seeds", "0", "--label", "0", "--out", "a"], "'grey' is not conditional"),
        (["rgb", "--seeds", "0", "--truncation", "2", "--out", "a"], "--truncation is out of range: 0.001 to 1"),
        (["rgb", "--seeds", "0", "--scale", "0", "--out", "a"], "--scale 0 is out of range: 1 to 256"),
        (["rgb", "--seeds", "0", "--scale", "2", "--out", "a.npy"], "--scale is for contact sheets"),
        (["rgb", "--seeds", "0", "--columns", "2", "--out", "a.npy"], "--columns is for a contact sheet"),
        (["rgb", "--seeds", "0-99999", "--scale", "9", "--out", "a.png"], "the sheet would be .* ask for fewer seeds"),
        (["rgb", "--seeds", "0", "--out", "/proc/nowhere/a.png"], ""),
        (["rgb", "--seeds", "0-10000000", "--out", "a.npy"], "--seeds: more than 10000000 seeds, which is the limit"),
    ],
)
def test_what_the_user_can_mend_is_one_line(home: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        main(["sample", *arguments])
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert not list(home.iterdir())


def test_models_list_and_show(home: Path, models: Path, rgb: Generator, grey: Generator, tmp_path: Path):
    lines = run("models", "list").splitlines()
    assert lines[0].split() == ["grey", grey.digest12, "8x8x1", "no", "classes", "Test", "generator", "grey"]
    assert lines[1].split()[:5] == ["rgb", rgb.digest12, "12x16x3", "3", "classes"]
    (tmp_path / "bad.onnx").write_bytes(b"junk")
    assert run("models", "list", "--models", str(tmp_path)).split(maxsplit=1) == [
        "bad",
        "refused: not an ONNX file, or cut short\n",
    ]
    shown = json.loads(run("models", "show", "rgb", "--json"))
    assert shown == {"digest": rgb.digest, "card": rgb.card.model_dump(mode="json", by_alias=True)}
    text = run("models", "show", str(models / "rgb.onnx"))
    assert f"digest: {rgb.digest}" in text
    assert "classes: ant, bee, cat" in text


def test_serve_has_an_option_for_each_setting():
    said = run("serve", "--help")
    for field in Settings.model_fields:
        assert f"--{field.replace('_', '-')} " in said
        assert f"[{variable(field)};" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "x"], "Error: --port: "),
        (["--models", "/nowhere"], "Error: --models: "),
        (["--max-queue", "1"], "Error: "),
    ],
)
def test_serve_says_what_is_wrong_before_it_starts(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        main(["serve", *arguments])
    assert end.value.code == 1
    assert said in capsys.readouterr().err


def test_serve_names_a_port_that_is_taken(models: Path):
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
    assert re.fullmatch(r"Error: cannot listen on 127.0.0.1 port \d+: Address already in use.*\n", done.stderr)


@pytest.mark.parametrize("out", ["a.zip", "a.npz", "a.npy", "a"])
def test_a_disk_too_small_is_named_before_the_work(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: str
):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=50_000))
    run("sample", "grey", "--seeds", "0-9", "--out", out)
    with pytest.raises(SystemExit):
        main(["sample", "grey", "--seeds", "0-9999", "--out", f"large-{out}"])
    assert re.fullmatch(r"Error: --out large-a.* would take about \d+ MB, and 0 MB are free there\n", capsys.readouterr().err)
    assert [path.name for path in home.iterdir()] == [out]


def test_sigterm_leaves_no_half_file(home: Path):
    with subprocess.Popen(
        [sys.executable, "-m", "seedmint", "sample", "rgb", "--seeds", "0-9999999", "--out", str(home / "a.npy")]
    ) as process:
        wait_until(lambda: any(path.stat().st_size for path in home.iterdir()))
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert list(home.iterdir()) == []
