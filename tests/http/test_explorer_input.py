"""The explorer by keyboard, by touch, and with many generators."""

import io
import re
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.axe import serious_violations
from tests.support.browser import chromium, needs_chromium, opened
from tests.support.servers import Server

pytestmark = needs_chromium

NUM_MANY = 200
MAX_TABS = 60


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element with the selector has the focus."""
    for _ in range(MAX_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def test_the_keyboard_reaches_an_image_and_its_address(browser: Browser, server: Server):
    with opened(browser, server.url, viewport={"width": 1280, "height": 800}) as page:
        expect(page.locator(".card")).to_have_count(2)
        tab_to(page, ".skip")
        page.keyboard.press("Enter")
        tab_to(page, "input[type=search]")
        page.keyboard.type("rgb")
        tab_to(page, ".card a")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("rgb")
        tab_to(page, ".seed")
        page.keyboard.press("Control+a")
        page.keyboard.type("40")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("seed=40"))
        expect(page.locator("a.cell").first).to_have_attribute("title", re.compile("Seed 40,"))
        tab_to(page, "a.cell")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Seed 40")
        page.keyboard.press("ArrowRight")
        expect(page.locator("h1")).to_have_text("Seed 41")
        tab_to(page, ".address a")
        assert page.evaluate("document.activeElement.href").endswith("/images/41.png")


def test_touch_opens_an_image_and_moves_in_the_playground(browser: Browser, server: Server):
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with opened(browser, server.url, **options) as page:
        page.locator(".card a").last.tap()
        page.locator("a.cell").nth(2).tap()
        expect(page.locator(".address a")).to_have_text(re.compile(r"/images/2\.png$"))
        page.get_by_role("button", name="Smooth").tap()
        expect(page.locator(".address a")).to_have_text(re.compile(r"/images/2\.png$"))
        page.get_by_role("link", name="Playground around this seed").tap()
        pad = page.locator(".pad")
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        assert box is not None
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page).to_have_url(re.compile(r"x=0\.(49|50).*y=0\.(49|50)"))


def test_the_gallery_has_room_for_many_generators(browser: Browser, server: Server):
    entry = server.client.get("/v1/models").json()["models"][1]
    names = [f"generator-{number:03d}" for number in range(NUM_MANY)]
    half = NUM_MANY // 2
    pictures: list[str] = []
    content = io.BytesIO()
    Image.new("L", (8, 8)).save(content, "webp")

    def models(route: Route) -> None:
        is_second = "after" in route.request.url
        page = [entry | {"name": name} for name in (names[half:] if is_second else names[:half])]
        next_url = None if is_second else f"/v1/models?after={names[half - 1]}&limit={half}"
        route.fulfill(json={"version": "1", "models": page, "next_url": next_url})

    def picture(route: Route) -> None:
        pictures.append(route.request.url)
        route.fulfill(body=content.getvalue(), content_type="image/webp")

    with opened(browser, "about:blank", viewport={"width": 1280, "height": 800}) as page:
        page.route(re.compile(r"/v1/models($|\?)"), models)
        page.route(re.compile(r"/grid\.webp"), picture)
        page.goto(server.url)
        expect(page.locator(".card")).to_have_count(NUM_MANY)
        expect(page.locator(".card img").first).to_have_attribute("src", re.compile("^blob:"))
        page.wait_for_load_state("networkidle")
        assert 0 < len(pictures) < 40  # of the cards near the screen
        page.get_by_label("Search").fill("-150")
        expect(page.locator(".card:visible h2")).to_have_text(["generator-150"])
        expect(page.locator(".card:visible img")).to_have_attribute("src", re.compile("^blob:"))
        assert serious_violations(page) == []
