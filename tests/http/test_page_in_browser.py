"""The page and the reference page in a browser."""

import shutil
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
from playwright.sync_api import Page, sync_playwright

from seedmint.service.runtime.generator import Generator
from tests.support.servers import Server, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# No sandbox, because tests may run as root. No background requests.
ARGUMENTS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)")


@pytest.fixture
def page(server: Server) -> Iterator[Page]:
    yield from open_page(server)


@pytest.fixture
def sample_page(sample_server: Server) -> Iterator[Page]:
    yield from open_page(sample_server)


def open_page(server: Server) -> Iterator[Page]:
    """Open the page of a server. At the end, the console must have no messages."""
    messages: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        page = browser.new_page(viewport={"width": 1100, "height": 3000})
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(server.url)
        page.wait_for_selector("section img")
        yield page
        browser.close()
    assert messages == []


def image_urls(page: Page, generator: str) -> list[str]:
    """Wait until all images of a generator are loaded; return their URLs."""
    images = f"section:has-text('{generator}@') .grid img"
    page.wait_for_load_state("networkidle")
    for image in page.query_selector_all(images):
        image.scroll_into_view_if_needed()  # the browser loads an image when it becomes visible
    wait_until(lambda: page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)"))
    return [image.get_attribute("src") or "" for image in page.query_selector_all(images)]


def test_the_page_shows_pinned_images_of_every_generator(page: Page, server: Server):
    for name in ("grey", "rgb"):
        assert image_urls(page, name) == [f"{server.pinned(name)}/{seed}.png" for seed in range(48)]


def test_a_class_can_be_selected_and_the_next_seeds_shown(page: Page, server: Server, rgb: Generator):
    section = page.locator("section", has_text="rgb@")
    section.locator("select").select_option("bee")
    section.get_by_role("button", name="Next seeds").click()
    own = rgb.labels(np.arange(48, 96))
    assert own is not None
    queries = ["" if label == 1 else "?label=1" for label in own]
    assert image_urls(page, "rgb") == [f"{server.pinned('rgb')}/{seed}.png{queries[seed - 48]}" for seed in range(48, 96)]
    assert image_urls(page, "grey")[0].endswith("/0.png")
    assert page.locator("section", has_text="grey@").locator("select").count() == 0


def test_hovering_over_an_image_shows_its_url(page: Page, server: Server):
    section = page.locator("section", has_text="grey@")
    section.locator(".grid a").nth(5).hover()
    assert section.locator("output").text_content() == f"{server.url}{server.pinned('grey')}/5.png"


def test_the_page_shows_plots_of_samples(sample_page: Page, sample_server: Server, point: Generator):
    for name, kind, count in (("grey", "images", 48), ("point", "samples", 12), ("wave", "samples", 12)):
        base = sample_server.pinned(name).removesuffix("/images")
        assert image_urls(sample_page, name) == [f"{base}/{kind}/{seed}.png" for seed in range(count)]
    summary = sample_page.locator("section", has_text="wave@").locator("p").first.text_content()
    assert "series of 16 steps: left, right" in str(summary)
    section = sample_page.locator("section", has_text="point@")
    section.locator("select").select_option("bee")
    section.get_by_role("button", name="Next seeds").click()
    base = sample_server.pinned("point").removesuffix("/images")
    own = point.labels(np.arange(12, 24))
    assert own is not None
    queries = ["" if label == 1 else "?label=1" for label in own]
    assert image_urls(sample_page, "point") == [f"{base}/samples/{seed}.png{queries[seed - 12]}" for seed in range(12, 24)]
    assert section.get_by_role("link", name="Contact sheet").count() + section.get_by_role("button", name="Walk").count() == 0


def test_sheets_and_walks_have_canonical_urls(page: Page, server: Server, rgb: Generator):
    section = page.locator("section", has_text="rgb@")
    base = server.pinned("rgb").removesuffix("/images")
    sheet = section.get_by_role("link", name="Contact sheet")
    assert sheet.get_attribute("href") == f"{base}/grid.png?seeds=0-47&columns=8&scale=6"
    section.locator("select").select_option("bee")
    section.get_by_role("button", name="Next seeds").click()
    path = f"{base}/grid.png?seeds=48-95&columns=8&label=1&scale=6"
    assert sheet.get_attribute("href") == path
    assert server.client.get(path).status_code == 200  # not a redirect
    sheet.hover()
    assert section.locator("output").text_content() == server.url + path

    picture = section.locator(".walk img")
    for start, end in ((0, 7), ((1 << 63) - 1, 9_007_199_254_740_993), (42, 41)):
        section.get_by_label("from seed").fill(str(start))
        section.get_by_label("to seed").fill(str(end))
        section.get_by_role("button", name="Walk").click()
        own = rgb.labels(np.array([start]))
        assert own is not None
        path = f"{base}/walk.webp?from={start}&to={end}{'' if own[0] == 1 else '&label=1'}&scale=14"
        assert picture.get_attribute("src") == path
        wait_until(lambda: picture.evaluate("image => image.complete && image.naturalWidth") == 14 * 12)
        assert server.client.get(path).status_code == 200
    section.get_by_label("to seed").fill("01")
    section.get_by_role("button", name="Walk").click()
    assert picture.get_attribute("src") == path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_page_has_a_light_and_a_dark_style(server: Server, scheme: Literal["light", "dark"]):
    """The Content-Security-Policy allows the style of the page; the console has no messages."""
    messages: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        page = browser.new_page(color_scheme=scheme)
        page.on("console", lambda message: messages.append(message.text))
        page.on("request", lambda request: messages.append(request.url) if not request.is_navigation_request() else None)
        page.goto(f"{server.url}/docs")
        assert page.locator("main section section").count() == len(server.client.get("/openapi.json").json()["paths"])
        body = page.locator("body")
        assert body.evaluate("body => getComputedStyle(body).maxWidth") == "1024px"
        light = body.evaluate("body => getComputedStyle(body).color") == "rgb(0, 0, 0)"
        assert light == (scheme == "light")
        page.locator("a[href='#Problem422']").first.click()
        assert page.locator("#Problem422 summary").is_visible()
        browser.close()
    assert messages == []
