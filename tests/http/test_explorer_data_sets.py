"""Data sets made in the explorer, in a real browser."""

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from seedmint.service.runtime.generator import Generator
from tests.http.test_explorer_in_browser import DESKTOP, PHONE
from tests.support.axe import serious_violations
from tests.support.browser import chromium, needs_chromium, new_page, opened
from tests.support.servers import Server, serving, wait_until

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def job_server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(models, jobs_url=tmp_path_factory.mktemp("jobs")) as running:
        yield running


@pytest.mark.slow
def test_a_data_set_with_splits_is_made_and_its_files_are_listed(browser: Browser, job_server: Server, rgb: Generator):
    view = "/#/models/rgb?view=dataset&train=40&test=10&format=npz"
    with opened(browser, job_server.url + view, viewport=DESKTOP) as page:
        expect(page.locator("main [role=status]").first).to_contain_text("50 in all: about")  # the trial has ended
        page.get_by_label("Images for a test split").fill("8")
        page.get_by_label("Images for a test split").press("Tab")
        expect(page.locator("main [role=status]").first).to_contain_text("48 in all")
        command = shlex.split(page.locator(".command").inner_text())
        page.get_by_role("button", name="Make this data set").click()
        manifest = page.get_by_role("link", name="manifest.json")
        expect(manifest).to_be_visible()
        expect(page).to_have_url(re.compile("test=8"))
        url = manifest.get_attribute("href")
        assert url is not None
    wait_until(lambda: job_server.client.get("/v1/jobs").json()["jobs"][0]["state"] == "done")
    jobs = job_server.client.get("/v1/jobs").json()["jobs"]
    assert [(job["state"], job["images"], job["format"]) for job in jobs] == [("done", 48, "npz")]
    job = job_server.client.get(jobs[0]["url"]).json()
    assert job["splits"] == {"train": 40, "test": 8}
    assert json.loads(httpx.get(httpx.URL(job_server.url).join(url)).content)
    splits = [value for name, value in itertools.pairwise(command) if name == "--split"]
    assert command[:4] == ["seedmint", "batch", "run", f"rgb@{rgb.digest[:12]}"]
    assert splits == ["train=0-39", "test=40-47"]


def test_a_running_job_is_cancelled_and_its_files_are_deleted(browser: Browser, job_server: Server):
    with opened(browser, f"{job_server.url}/#/models/rgb?view=dataset&train=900000&format=png", viewport=DESKTOP) as page:
        page.get_by_role("button", name="Make this data set").click()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Delete the files").click()
        wait_until(lambda: all(job["images"] != 900_000 for job in job_server.client.get("/v1/jobs").json()["jobs"]))
        expect(page.locator("progress")).to_have_count(0)


def test_a_server_without_jobs_still_shows_the_command(browser: Browser, server: Server):
    with new_page(browser, viewport=PHONE) as page:
        page.goto(f"{server.url}/#/models/rgb?view=dataset")
        page.get_by_role("button", name="Make this data set").click()
        expect(page.locator("#message")).to_contain_text("SEEDMINT_JOBS_URL")
        expect(page.locator(".command")).to_contain_text("seedmint batch run rgb@")
        assert serious_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
