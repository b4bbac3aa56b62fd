"""Photograph the explorer for the README: python -m docs.images.explorer (needs the extra `test`, and Chromium)."""

from pathlib import Path

from PIL import Image

from seedmint.models.directory import SHIPPED
from tests.support.browser import chromium, opened
from tests.support.servers import serving

_VIEW = "/#/models/icons?view=classes"
_SIZE = {"width": 1100, "height": 640}
_ALL_LOADED = """() => {
  const isShown = ({ top, width }) => width > 0 && top < innerHeight;
  const shown = [...document.querySelectorAll("main img")].filter((image) => isShown(image.getBoundingClientRect()));
  return shown.length > 0 && shown.every((image) => image.naturalWidth > 0);
}"""

if __name__ == "__main__":
    path = Path(__file__).with_name("explorer.png")
    with serving(SHIPPED) as server, chromium() as browser, opened(browser, server.url + _VIEW, viewport=_SIZE) as page:
        page.wait_for_function(_ALL_LOADED)
        page.screenshot(path=path)
    image = Image.open(path)
    image.convert("P", palette=Image.Palette.ADAPTIVE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
