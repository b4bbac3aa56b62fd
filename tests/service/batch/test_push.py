"""A job is published on the Hub in one commit, and an interrupted push continues."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from seedmint.models.card import ImageOutput
from seedmint.models.directory import SHIPPED, find_generator
from seedmint.models.errors import UserError
from seedmint.service.batch.plan import PlanError
from seedmint.service.batch.progress import ignore_progress
from seedmint.service.batch.push import HubDataset, parse_hub_url, push
from seedmint.service.batch.storage import resolve
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators
from tests.support.batch_jobs import batch, batch_error, make_all, plan_for
from tests.support.errors import raises
from tests.support.fixtures import CLASSES
from tests.support.hub_dataset_server import DATASET, HubDatasets, hub_datasets

URL = f"hf://datasets/{DATASET}"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubDatasets]:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    with hub_datasets() as state:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", state.url)
        template = state.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield state


def job(
    out: Path, generator: Generator | Sequence[Generator], form: str = "parquet", seeds: str = "0-99", **changes: Any
) -> dict[str, bytes]:
    """Make a job. Returns the files that a push publishes."""
    make_all(open_output(str(out)), plan_for(generator, seeds, form, 25, **changes), generator)
    paths = [path for path in out.rglob("*") if path.is_file() and path.parent.name != "records" and path.name != ".lock"]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("form", ["parquet", "png"])
def test_a_job_appears_in_one_commit(tmp_path: Path, rgb: Generator, hub: HubDatasets, form: str):
    expected = job(tmp_path / "out", rgb, form)
    batch("push", tmp_path / "out", URL)
    assert hub.commits == [expected]
    batch("push", tmp_path / "out", URL)
    assert len(hub.commits) == 1


@pytest.mark.parametrize("form", ["webdataset", "parquet", "png", "npz", "npy"])
def test_a_set_of_several_generators_appears_in_one_commit(tmp_path: Path, rgb: Generator, hub: HubDatasets, form: str):
    output = ImageOutput(height=16, width=12, channels=3)
    other = open_generator(generators.write(tmp_path, "other", 9, classes=CLASSES, output=output))
    splits = {"train": 70, "test": 30}
    expected = job(tmp_path / "out", [rgb, other], form, splits=splits)
    hub.failing_uploads = 1
    assert batch_error("push", tmp_path / "out", URL).reason == "hub_unavailable"
    hub.failing_uploads = None
    for _ in range(2):  # the second push has nothing to do
        batch("push", tmp_path / "out", URL)
        assert hub.commits == [expected]
    for each in (rgb, other):
        assert f"{each.card.name}@{each.digest12}" in expected["README.md"].decode()
    for number, pair in enumerate(([other, rgb], [rgb])):  # other data sets
        job(tmp_path / f"{number}", pair, form, splits=splits)
        error = batch_error("push", tmp_path / f"{number}", URL)
        assert (error.field, error.reason) == ("hub_url", "other_plan")
    assert hub.commits == [expected]


def test_a_filtered_job_in_an_object_store_is_published(tmp_path: Path, hub: HubDatasets, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resolve, "_VOLATILE", ())
    digits = open_generator(find_generator("digits", SHIPPED))
    plan = plan_for(digits, "0-59", "png", 25, filter="margin > 0.95")
    make_all(open_output(str(tmp_path / "out")), plan, digits)
    output = open_output(f"memory://{uuid4().hex}/out")
    make_all(output, plan, digits)
    pushed = push(output, plan, HubDataset(DATASET, "main"), True, ignore_progress)
    assert hub.files == {name: output.read(name) for name in hub.files}
    assert pushed.files == len(hub.files)
    images = {path.name for path in (tmp_path / "out/data").rglob("*.png")}
    assert {Path(name).name for name in hub.files if name.endswith(".png")} == images
    assert 0 < len(images) < 60


def test_an_interrupted_push_shows_nothing_and_continues(tmp_path: Path, rgb: Generator, hub: HubDatasets):
    expected = job(tmp_path / "out", rgb)
    hub.failing_uploads = 2
    error = batch_error("push", tmp_path / "out", URL)
    assert (error.field, error.reason, getattr(error, "status", 1)) == ("hub_url", "hub_unavailable", 1)
    assert not hub.commits
    before, hub.failing_uploads = hub.num_uploads, None
    batch("push", tmp_path / "out", URL)
    assert hub.commits == [expected]
    assert before > 0
    assert hub.num_uploads == len(hub.uploads)  # no file was uploaded twice


def test_the_data_card_of_the_repository_stays(tmp_path: Path, rgb: Generator, hub: HubDatasets):
    expected = job(tmp_path / "out", rgb)
    hub.exists, hub.commits = True, [{"README.md": b"mine"}]
    batch("push", tmp_path / "out", URL)
    assert hub.files == expected | {"README.md": b"mine"}


def test_another_data_set_is_not_replaced(tmp_path: Path, rgb: Generator, hub: HubDatasets):
    job(tmp_path / "one", rgb)
    batch("push", tmp_path / "one", URL)
    job(tmp_path / "two", rgb, seeds="100-199")
    error = batch_error("push", tmp_path / "two", URL)
    assert (error.field, error.reason, getattr(error, "status", 1)) == ("hub_url", "other_plan", 2)
    assert len(hub.commits) == 1


def test_what_cannot_be_published_is_an_error(tmp_path: Path, rgb: Generator, hub: HubDatasets):
    out = tmp_path / "out"
    job(out, rgb)
    assert batch_error("push", tmp_path / "none", URL).reason == "no_job"
    assert batch_error("run", "digits", "--seeds", "0-9", "--out", URL).reason == "hub_is_not_storage"
    shard = out / "data/shard-000001.parquet"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert batch_error("push", out, URL).reason == "other_hash"
    shard.unlink()
    assert batch_error("push", out, URL).reason == "not_finished"
    shard.write_bytes(content)
    hub.is_readonly = True
    error = batch_error("push", out, URL)
    assert (error.reason, getattr(error, "status", 1)) == ("no_permission", 2)
    assert not hub.commits


def test_the_number_of_files_is_bounded(tmp_path: Path, rgb: Generator, monkeypatch: pytest.MonkeyPatch):
    job(tmp_path / "out", rgb)
    monkeypatch.setattr("seedmint.service.batch.push.MAX_FILES", 3)
    output = open_output(str(tmp_path / "out"))
    with raises(PlanError, "too_many_files", "out"):
        push(output, plan_for(rgb, "0-99", "parquet", 25), HubDataset(DATASET, "main"), False, lambda _: None)


@pytest.mark.parametrize("url", ["hf://models/a/b", "hf://datasets/a", "s3://bucket/x", "hf://datasets/a/b/c", "a/b"])
def test_a_malformed_address_is_an_error(url: str):
    with raises(UserError, "malformed_url", "hub_url"):
        parse_hub_url(url)


def test_an_address_may_have_a_branch():
    assert parse_hub_url("hf://datasets/me/my.set@v1") == HubDataset("me/my.set", "v1")
