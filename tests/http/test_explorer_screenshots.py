"""Pictures of the explorer, compared with references. Renew them with `make screenshots`.

Fonts differ between machines, so text is invisible and has the size of a font that matplotlib brings. Small differences are
allowed. The pictures show layout, places of images, and colors.
"""

import base64
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.support.browser import chromium, needs_chromium, opened
from tests.support.servers import Server, wait_until

pytestmark = [needs_chromium, pytest.mark.slow]

REFERENCES = Path(__file__).parent / "screenshots"
IS_RENEWAL = "SEEDMINT_RENEW_SCREENSHOTS" in os.environ
VIEWS = {
    "gallery": "/",
    "seeds": "/models/rgb",
    "image": "/models/rgb/5?label=1",
    "compare": "/compare?a=grey&b=rgb",
}
HEIGHTS = {390: 844, 1280: 800}  # by width
# Each view in each width and each scheme. The gallery shows that the schemes differ.
APPEARANCES = [(view, *way) for view in VIEWS for way in ((390, "dark"), (1280, "light"))] + [("gallery", 1280, "dark")]
SHRINK = 4  # references are this much smaller: they average over small differences of the layout
TOLERANCE = 24  # of a channel, 0 to 255
MAX_SHARE = 0.03  # of the pixels of a shrunken picture that differ by more than the tolerance
FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
# Blurred pictures differ little if they move by a pixel.
STYLE = """
* { font-family: fixed !important; color: transparent !important; caret-color: transparent !important;
    transition: none !important; text-decoration-color: transparent !important; }
img { filter: grayscale(1) blur(32px) !important; }
"""

# The content security policy forbids a <style>, and fonts from other files.
ADD_STYLE = """async ([css, font]) => {
  const bytes = Uint8Array.from(atob(font), character => character.charCodeAt(0));
  document.fonts.add(await new FontFace("fixed", bytes.buffer).load());
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  document.adoptedStyleSheets = [sheet];
}"""
# Pictures far below the screen are not loaded.
IS_LOADED = """() => {
  const onScreen = [...document.querySelectorAll("main img")].filter(image => image.getBoundingClientRect().top < innerHeight);
  return onScreen.length > 0 && onScreen.every(image => image.complete && image.naturalWidth > 0);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def shrunken(content: bytes) -> Image.Image:
    """A picture at a quarter of its size."""
    return Image.open(io.BytesIO(content)).convert("RGB").reduce(SHRINK)


def differing_share(picture: Image.Image, reference: Image.Image) -> float:
    """The share of pixels that differ by more than the tolerance."""
    difference = np.abs(np.asarray(picture, np.int16) - np.asarray(reference, np.int16)).max(axis=2)
    return float((difference > TOLERANCE).mean())


@pytest.mark.parametrize(("view", "width", "scheme"), APPEARANCES)
def test_the_page_looks_like_its_reference(
    browser: Browser, server: Server, view: str, width: int, scheme: Literal["light", "dark"]
):
    url = f"{server.url}/#{VIEWS[view]}"
    with opened(browser, url, viewport={"width": width, "height": HEIGHTS[width]}, color_scheme=scheme) as page:
        page.evaluate(ADD_STYLE, [STYLE, base64.b64encode(FONT.read_bytes()).decode()])
        expect(page.locator("main[aria-busy]")).to_have_count(0)
        wait_until(lambda: page.evaluate(IS_LOADED))
        page.wait_for_load_state("networkidle")
        picture = shrunken(page.screenshot(animations="disabled"))
    path = REFERENCES / f"{view}-{width}-{scheme}.png"
    if IS_RENEWAL:
        path.parent.mkdir(exist_ok=True)
        picture.save(path, optimize=True)
    assert differing_share(picture, Image.open(path).convert("RGB")) <= MAX_SHARE


def test_the_comparison_sees_other_pages_and_colors():
    light, dark, other = (
        Image.open(REFERENCES / f"{name}.png").convert("RGB")
        for name in ("gallery-1280-light", "gallery-1280-dark", "image-1280-light")
    )
    assert differing_share(light, dark) > 5 * MAX_SHARE
    assert differing_share(light, other) > MAX_SHARE
