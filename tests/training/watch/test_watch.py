"""The page of runs: new entries of a log, and the page in a real browser."""

import http.client
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from seedmint.cli import main
from seedmint.models.files import write_whole
from seedmint.training.recipes.commented import commented_yaml
from seedmint.training.recipes.files import load_recipe
from seedmint.training.runs.errors import TrainingError
from seedmint.training.runs.trainer import Trainer
from seedmint.training.watch.run_view import RunView, find_runs
from seedmint.training.watch.server import watch_server
from tests.support.axe import serious_violations
from tests.support.browser import chromium, needs_chromium, opened
from tests.support.errors import raises
from tests.support.servers import PATIENCE


def entry(step: int, **values: object) -> dict[str, object]:
    return {"step": step, "V": -1.0 - step / 1000, "D(x)": 0.7, "D(G(z))": 0.3, "JSD": 0.1, "images/s": 500.0, **values}


def append(run: Path, *entries: dict[str, object]) -> None:
    with (run / "log.jsonl").open("a") as file:
        file.write("".join(json.dumps(each) + "\n" for each in entries))


def add_preview(run: Path, step: int) -> None:
    Image.new("L", (16, 16), step % 256).save(run / "previews" / f"step-{step:09d}.png")


def make_run(directory: Path, *overrides: str) -> Path:
    (directory / "previews").mkdir(parents=True)
    recipe = load_recipe("digits", ["steps=400", *overrides])
    (directory / "recipe.yaml").write_text(commented_yaml(recipe.document(), {}))
    append(directory, *(entry(step) for step in range(50, 201, 50)))
    add_preview(directory, 100)
    add_preview(directory, 200)
    return directory


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "first")


@pytest.fixture
def url(run: Path, tmp_path: Path) -> Iterator[str]:
    make_run(tmp_path / "second", "name=other")
    with watch_server(find_runs((tmp_path,)), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_only_new_entries_are_returned(run: Path):
    view = RunView(run)
    first = view.entries_after(0, 0)
    assert [each["step"] for each in first.entries] == [50, 100, 150, 200]
    assert view.entries_after(first.file, first.offset).entries == []
    with (run / "log.jsonl").open("a") as file:
        file.write('{"step": 250, "V"')  # a line that is being written
    assert view.entries_after(first.file, first.offset).entries == []
    with (run / "log.jsonl").open("a") as file:
        file.write(": -1.5}\n\n[1]\nno entry\n")
    second = view.entries_after(first.file, first.offset)
    assert (second.entries, second.is_reset) == ([{"step": 250, "V": -1.5}], False)


def test_a_new_file_resets_the_entries(run: Path):
    view = RunView(run)
    first = view.entries_after(0, 0)
    lines = (run / "log.jsonl").read_bytes().splitlines(keepends=True)
    write_whole(run / "log.jsonl", b"".join(lines[:2]))
    append(run, entry(120), entry(140), entry(160), entry(180))  # already longer than the file before
    second = view.entries_after(first.file, first.offset)
    assert second.is_reset
    assert [each["step"] for each in second.entries] == [50, 100, 120, 140, 160, 180]


def test_a_long_log_arrives_in_parts(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seedmint.training.watch.run_view._MAX_BYTES", 200)
    view, steps, file, offset = RunView(run), [], 0, 0
    while True:
        new = view.entries_after(file, offset)
        steps += [each["step"] for each in new.entries]
        file, offset = new.file, new.offset
        if new.is_complete:
            break
    assert steps == [50, 100, 150, 200]


def test_numbers_that_are_not_finite_are_missing(run: Path):
    append(run, {"step": 250, "V": float("nan"), "JSD held out": float("-inf"), "D(x)": 0.5})
    assert RunView(run).entries_after(0, 0).entries[-1] == {"step": 250, "V": None, "JSD held out": None, "D(x)": 0.5}


def test_a_run_without_log_has_no_entries(run: Path):
    (run / "log.jsonl").unlink()
    view = RunView(run)
    assert (view.entries_after(0, 0).entries, view.seconds_since_update()) == ([], None)


@pytest.mark.parametrize(("path", "reason"), [("missing", "not_a_directory"), ("empty", "no_run")])
def test_a_path_without_run_is_refused(tmp_path: Path, path: str, reason: str):
    (tmp_path / "empty").mkdir()
    with raises(TrainingError, reason, field="runs"):
        find_runs((tmp_path / path,))


def test_the_server_gives_no_other_files_and_answers_no_other_names(url: str, run: Path):
    host, port = url.removeprefix("http://").split(":")

    def status(path: str, name: str = host) -> int:
        connection = http.client.HTTPConnection(host, int(port))
        connection.request("GET", path, headers={"Host": name})
        return connection.getresponse().status

    assert status("/runs/0/previews/step-000000100.png") == 200
    for path in (
        "/runs/0/previews/..%2Frecipe.yaml",
        "/runs/0/previews/../recipe.yaml",
        "/runs/9",
        "/../watch.html",
        "/recipe.yaml",
    ):
        assert status(path) == 404, path
    assert status("/runs", "attacker.example") == 421
    assert status("/runs", "localhost:1234") == 200


def test_training_serves_its_page_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    answers = []

    def fit(trainer: Trainer) -> None:
        found = re.search(r"http://\S+", capsys.readouterr().err)
        assert found
        url = found[0]
        answers.append((url, httpx.get(f"{url}/runs", timeout=PATIENCE).json()["runs"]))

    monkeypatch.setattr("seedmint.training.cli.fit.fit_with_progress", fit)
    run = tmp_path / "run"
    for arguments in (["train", "digits", "--out", str(run)], ["resume", str(run)]):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--watch", "--watch-port", "0"])
        assert ended.value.code == 0
        url, runs = answers.pop()
        assert [Path(each["directory"]) for each in runs] == [run]
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, timeout=PATIENCE)


def test_training_does_not_start_without_the_port_of_its_page(tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["train", "digits", "--out", str(tmp_path / "new"), "--watch", "--watch-port", url.rpartition(":")[2]])
    assert ended.value.code not in (0, None)
    assert url.rpartition(":")[2] in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@needs_chromium
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, {"width": 390, "height": 844}], ids=["desktop", "phone"])
def test_the_page_follows_runs(browser: Browser, url: str, run: Path, viewport: dict[str, int]):
    with opened(browser, url, viewport=viewport) as page:
        expect(page.locator("#runs li")).to_have_count(2)
        expect(page.locator("#runs li").first).to_contain_text("step 200 of 400, running")
        chart = page.get_by_role("img", name="V(G, D)")
        expect(chart).to_have_attribute("aria-label", "V(G, D). Latest values: digits: V -1.200, other: V -1.200")
        slider = page.get_by_label("Preview of digits")
        expect(slider).to_have_value("1")
        append(run, entry(250), {"step": 250, "diagnostic": "saturation", "message": "D is certain"})
        add_preview(run, 250)
        expect(chart).to_have_attribute("aria-label", "V(G, D). Latest values: digits: V -1.250, other: V -1.200")
        expect(page.locator("#notes li")).to_have_text(["digits, step 250: D is certain"])
        expect(slider).to_have_value("2")
        slider.press("ArrowLeft")
        expect(page.get_by_alt_text("Preview of digits at step 200")).to_be_visible()
        held_out = {"JSD held out": 0.04, "JSD held out, standard error": 0.006}
        append(run, entry(350, **held_out))
        bounds = page.locator(".chart", has_text="JSD").locator(".u-legend .u-series", has_text="standard error")
        expect(bounds).to_have_count(2)
        append(run, entry(400, **held_out), {"step": 400, "weights": "ema", "metrics": [{"metric": "frechet", "value": 1.5}]})
        expect(page.locator("#runs li").first).to_contain_text("step 400 of 400, done")
        frechet = page.get_by_role("img", name="frechet")
        expect(frechet).to_have_attribute("aria-label", "frechet. Latest values: digits: averaged weights 1.500")
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert serious_violations(page) == []
