"""What visitors come for, from the first page of the explorer to the result, by presses alone."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from seedmint.models.card import ImageOutput
from seedmint.models.runtime.generator_file import digest_of
from seedmint.service.runtime.generator import Generator, open_generator
from tests.http.test_explorer_in_browser import DESKTOP, pixels
from tests.support import generators
from tests.support.browser import chromium, needs_chromium, opened
from tests.support.fixtures import CLASSES
from tests.support.servers import Server, serving, wait_until

pytestmark = [needs_chromium, pytest.mark.slow]

OUTPUT = ImageOutput(height=16, width=12, channels=3)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with jobs, with two versions of `rgb`, and with the generator `other`, whose reference another machine made."""
    directory = tmp_path_factory.mktemp("models")
    generators.write(directory, "rgb", 2, classes=CLASSES, output=OUTPUT)
    earlier = generators.content("rgb", 5, classes=CLASSES, output=OUTPUT)
    (directory / f"rgb@{digest_of(earlier)[:12]}.onnx").write_bytes(earlier)
    (directory / "other.onnx").write_bytes(generators.of_another_machine(generators.content("other", 7), 3))
    with serving(directory, jobs_url=tmp_path_factory.mktemp("jobs")) as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with opened(browser, server.url, viewport=DESKTOP, accept_downloads=True) as page:
        yield page


@pytest.fixture(scope="module")
def rgb(server: Server) -> Generator:
    return open_generator(server.models / "rgb.onnx")


def test_find_the_image_of_one_class_that_looks_most_like_another(page: Page, rgb: Generator):
    page.get_by_role("link", name="rgb").first.click()
    page.get_by_role("combobox", name="Class").select_option("ant")
    page.get_by_role("link", name="Seed 3, class ant").click()
    page.get_by_role("combobox", name="Class of similar seeds").select_option("cat")
    page.get_by_role("button", name="Find similar seeds").click()
    page.locator("a[title^='Seed ']").first.click()
    ant = rgb.generate(np.array([3]), np.array([0])).astype(np.int64)
    cats = rgb.generate(np.arange(1024), np.full(1024, 2))
    distances = ((cats - ant) ** 2).sum((1, 2, 3))
    distances[3] = distances.max()  # the seed of the image itself is not compared
    nearest = int(distances.argmin())
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Seed {nearest}")
    url = page.locator(".address a").get_attribute("href")
    assert url is not None
    found = np.asarray(Image.open(io.BytesIO(httpx.get(url).content)))
    np.testing.assert_array_equal(found, cats[nearest])


def test_make_an_animation_from_one_image_to_another(page: Page, rgb: Generator, tmp_path: Path):
    page.get_by_role("link", name="rgb").first.click()
    page.get_by_role("link", name="Latent walk").click()
    page.get_by_role("combobox", name="Class").select_option("bee")
    page.get_by_role("button", name="start", exact=True).click()
    page.get_by_role("link", name="Seed 4, class bee").click()
    page.get_by_role("button", name="end", exact=True).click()
    page.get_by_role("link", name="Seed 9, class bee").click()
    expect(page.get_by_role("textbox", name="From seed")).to_have_value("4")
    expect(page.get_by_role("textbox", name="To seed")).to_have_value("9")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save as webp").click()
    saved.value.save_as(tmp_path / "walk.webp")
    with Image.open(tmp_path / "walk.webp") as animation:
        assert animation.n_frames == 32
        for frame, seed in ((0, 4), (31, 9)):
            animation.seek(frame)
            scale = animation.width // 12
            image = np.asarray(animation.convert("RGB"))[::scale, ::scale]
            np.testing.assert_array_equal(image, rgb.generate(np.array([seed]), np.array([1]))[0])


def test_make_a_balanced_data_set_with_a_test_split(page: Page, server: Server, tmp_path: Path):
    page.get_by_role("link", name="rgb").first.click()
    page.get_by_role("link", name="Data set").click()
    page.get_by_label("Images for training").fill("90")
    page.get_by_label("Images for a test split").fill("30")
    page.get_by_role("combobox").nth(1).select_option(label="Balanced: equally many of each class")
    page.get_by_role("combobox").nth(0).select_option("npz")
    page.get_by_role("button", name="Make this data set").click()
    for split, count in (("train", 90), ("test", 30)):
        with page.expect_download() as saved:
            page.get_by_role("link", name=f"data/{split}/").click()
        saved.value.save_as(tmp_path / f"{split}.npz")
        with np.load(tmp_path / f"{split}.npz") as arrays:
            labels = arrays[next(name for name in arrays.files if name.startswith("label"))]
        assert np.bincount(labels).tolist() == [count // 3] * 3


def test_compare_two_versions_on_the_same_seeds(page: Page, server: Server):
    """The page begins with two versions of one generator, because nothing says which generators to compare."""
    page.get_by_role("link", name="Compare").click()
    earlier = next(server.models.glob("rgb@*.onnx"))
    expect(page.locator(".columns h2")).to_have_text(["rgb", earlier.stem])
    page.get_by_role("combobox", name="Class").select_option("cat")
    for side, path in enumerate((server.models / "rgb.onnx", earlier)):
        image = open_generator(path).generate(np.array([0]), np.array([2]))[0]
        selector = f".columns > div:nth-child({side + 1}) .block:first-child img"
        wait_until(lambda selector=selector: page.locator(selector).evaluate("image => image.naturalWidth > 0"))

        def shows(selector: str = selector, image: np.ndarray = image) -> bool:
            cells = pixels(page, selector)
            scales = range(1, 1 + min(cells.shape[0] // 16, cells.shape[1] // 12))
            return any((cells[: 16 * scale : scale, : 12 * scale : scale] == image).all() for scale in scales)

        wait_until(shows)


def test_find_out_why_a_generator_is_approximate(page: Page):
    page.get_by_role("link", name="approximate").click()
    page.get_by_role("link", name="approximate").click()
    expect(page.get_by_text("outputs differ from the reference")).to_contain_text("3 gray levels")
