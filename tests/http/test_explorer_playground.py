"""The latent playground of the explorer, in a real browser."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from seedmint.service.runtime.generator import Generator
from tests.http.test_explorer_in_browser import APPEARANCES, DESKTOP  # two of the appearances have pytest.mark.slow
from tests.support.axe import serious_violations
from tests.support.browser import chromium, needs_chromium, opened
from tests.support.servers import Server, wait_until

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def picture(page: Page) -> Any:
    """The pixels of the large picture, uint8[height, width, 3]."""
    url = page.locator("main .plane > canvas").evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def shows(page: Page, expected: np.ndarray, tolerance: int = 1) -> None:
    """Wait until the picture is an image, uint8[height, width, channels]. Mixing in the page rounds z differently."""
    wait_until(lambda: np.abs(picture(page).astype(int) - expected).max() <= tolerance)


def open_view(browser: Browser, server: Server, state: str, viewport: Any = DESKTOP, **options: Any) -> Any:
    return opened(browser, f"{server.url}/#/models/{state}", viewport=viewport, **options)


def test_the_corners_of_the_plane_are_its_seeds(browser: Browser, server: Server, grey: Generator):
    a, b, c = grey.generate(np.array([7, 8, 9]))
    with open_view(browser, server, "grey?view=plane&a=7&b=8&c=9&x=0&y=0") as page:
        shows(page, a)
        page.get_by_role("slider", name="Across").fill("1")
        shows(page, b)
        page.get_by_role("slider", name="Across").fill("0")
        page.get_by_role("slider", name="Down").fill("1")
        shows(page, c)
        expect(page).to_have_url(re.compile("y=1.000"))


def test_dragging_moves_the_picture_and_the_address(browser: Browser, server: Server, grey: Generator):
    seeds = grey.generate(np.array([1, 2, 3, 4]))
    with open_view(browser, server, "grey?view=plane&axes=mix&a=1&b=2&c=3&d=4&x=0&y=0") as page:
        shows(page, seeds[0])
        pad = page.locator(".pad").bounding_box()
        assert pad is not None
        page.mouse.move(pad["x"] + 2, pad["y"] + 2)
        page.mouse.down()
        for share in np.linspace(0.1, 1, 20):
            page.mouse.move(pad["x"] + share * pad["width"], pad["y"] + share * pad["height"])
        page.mouse.move(pad["x"] + 2 * pad["width"], pad["y"] + 2 * pad["height"])  # outside: the nearest point of the pad
        page.mouse.up()
        shows(page, seeds[3])
        expect(page).to_have_url(re.compile("x=1.000&y=1.000"))
        page.reload()
        shows(page, seeds[3])


def test_many_changes_end_in_the_address(browser: Browser, server: Server, grey: Generator):
    """Browsers refuse more than 200 changes of the address in 10 seconds, and log a message."""
    move = """() => {
      const slider = document.querySelector(".x input");
      for (let i = 0; i <= 400; i++) { slider.value = i / 400; slider.dispatchEvent(new Event("input", { bubbles: true })); }
    }"""
    with open_view(browser, server, "grey?view=plane&a=7&b=8&x=0&y=0") as page:
        shows(page, grey.generate(np.array([7]))[0])
        page.evaluate(move)
        shows(page, grey.generate(np.array([8]))[0])
        expect(page).to_have_url(re.compile("x=1.000&y=0.000"))


def test_a_key_that_is_held_down_changes_the_address_rarely(browser: Browser, server: Server):
    count = """() => {
      const change = history.replaceState.bind(history);
      [window.changes, window.start] = [0, performance.now()];
      history.replaceState = (...values) => { window.changes++; change(...values); };
    }"""
    with open_view(browser, server, "grey?view=plane&a=7&b=8&x=0&y=0") as page:
        slider = page.get_by_role("slider", name="Across")
        slider.focus()
        page.evaluate(count)
        for _ in range(40):
            page.keyboard.down("ArrowRight")  # a repetition from the second time on
        changes, seconds = page.evaluate("[window.changes, (performance.now() - window.start) / 1000]")
        assert changes <= seconds / 0.4 + 2


def test_at_most_two_requests_are_in_flight(browser: Browser, server: Server, grey: Generator):
    count = """() => {
      const send = window.fetch;
      [window.inFlight, window.greatest] = [0, 0];
      window.fetch = (path, ...options) => {
        if (!String(path).includes("latents")) return send(path, ...options);
        window.greatest = Math.max(window.greatest, ++window.inFlight);
        return send(path, ...options).finally(() => { window.inFlight--; });
      };
    }"""
    with open_view(browser, server, "grey?view=plane&x=0&y=0") as page:
        shows(page, grey.generate(np.array([0]))[0])
        page.evaluate(count)
        pad = page.locator(".pad").bounding_box()
        assert pad is not None
        page.mouse.move(pad["x"] + 2, pad["y"] + 2)
        page.mouse.down()
        for share in np.linspace(0, 2, 60):
            page.mouse.move(pad["x"] + share * pad["width"], pad["y"] - 9)  # above: the nearest point of the pad
        page.mouse.up()
        shows(page, grey.generate(np.array([1]))[0])
        assert 1 <= page.evaluate("window.greatest") <= 2


def test_directions_begin_at_the_seed_and_change_the_image(browser: Browser, server: Server, rgb: Generator):
    expected = rgb.generate(np.array([5]), np.array([2]))[0]
    with open_view(browser, server, "rgb?view=plane&axes=directions&a=5&label=2") as page:
        shows(page, expected)
        page.get_by_role("slider", name="Direction 1").fill("4")
        wait_until(lambda: not np.array_equal(picture(page), expected))
        expect(page).to_have_url(re.compile("along=4(,|%2C)0"))
        page.get_by_role("button", name="Reset").click()
        shows(page, expected)


@pytest.mark.parametrize("form", ["webp", "gif"])
def test_what_was_seen_is_saved_as_an_animation(browser: Browser, server: Server, form: str, tmp_path: Path):
    with open_view(browser, server, "grey?view=plane&x=0&y=0") as page:
        page.get_by_role("button", name="Record").click()
        expect(page.locator("output", has_text="frames")).to_have_text(re.compile("[0-9]{2,} frames"))
        page.get_by_role("button", name="Record").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save as {form}").click()
        download.value.save_as(tmp_path / "saved")
    animation = Image.open(io.BytesIO((tmp_path / "saved").read_bytes()))
    assert animation.format == form.upper()
    assert getattr(animation, "n_frames", 1) >= 1  # equal frames become one


@pytest.mark.parametrize(("viewport", "scheme"), APPEARANCES)
def test_axe_finds_nothing_serious(browser: Browser, server: Server, scheme: Literal["light", "dark"], viewport: Any):
    for axes in ("plane", "directions"):
        with open_view(browser, server, f"rgb?view=plane&axes={axes}", viewport, color_scheme=scheme) as page:
            wait_until(lambda page=page: picture(page).any())
            assert serious_violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
