"""The explorer in a real browser: its views, its addresses, and its accessibility."""

import base64
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from seedmint.models.noise import LabelRule
from seedmint.models.seeds import SEED_LIMIT
from seedmint.models.version import __version__
from seedmint.service.runtime.generator import Generator
from tests.support.axe import serious_violations
from tests.support.browser import chromium, needs_chromium, new_page, opened
from tests.support.servers import Server, wait_until

pytestmark = needs_chromium

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 800}
MAX_REQUESTS = 60


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with opened(browser, server.url, viewport=DESKTOP) as page:
        yield page


def go(page: Page, server: Server, view: str) -> None:
    page.goto(f"{server.url}/#{view}")
    expect(page.locator("main[aria-busy]")).to_have_count(0)


def loaded(page: Page, selector: str = "main img") -> None:
    """Wait until each visible picture is there."""
    script = "selector => [...document.querySelectorAll(selector)].every(image => !image.src || image.naturalWidth > 0)"
    wait_until(lambda: page.locator(selector).first.evaluate("image => image.naturalWidth > 0"))
    wait_until(lambda: page.evaluate(script, selector))


def pixels(page: Page, selector: str) -> Any:
    """The pixels of a picture at its own size, uint8[height, width, 3]."""
    script = """image => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      canvas.getContext("2d").drawImage(image, 0, 0);
      return canvas.toDataURL();
    }"""
    url = page.locator(selector).first.evaluate(script)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def test_the_gallery_shows_and_searches_the_generators(page: Page, server: Server):
    expect(page.locator(".card h2")).to_have_text(["grey", "rgb"])
    loaded(page, ".card img")
    page.get_by_label("Search").fill("rgb classes")
    expect(page.locator(".card:visible h2")).to_have_text(["rgb"])
    expect(page).to_have_url(f"{server.url}/#/?search=rgb+classes")
    page.reload()
    expect(page.locator(".card:visible h2")).to_have_text(["rgb"])


def test_the_first_view_is_quick(browser: Browser, server: Server):
    requests: list[str] = []
    page = new_page(browser, viewport=DESKTOP)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(server.url)
    loaded(page, ".card img")
    page.wait_for_load_state("networkidle")
    page.close()
    assert len(requests) < MAX_REQUESTS
    assert all(url.startswith((server.url, "blob:", "data:")) for url in requests)


def test_the_grid_shows_the_images_of_its_seeds(page: Page, server: Server, rgb: Generator):
    go(page, server, "/models/rgb")
    loaded(page, ".block:first-child img")
    first = page.locator(".block").first
    links = first.locator("a.cell")
    count = links.count()
    columns = first.evaluate("block => new Set([...block.querySelectorAll('a')].map(link => link.style.left)).size")
    sheet = pixels(page, ".block img")
    scale = (sheet.shape[1] + 2) // columns // 12 if columns else 0
    images = rgb.generate(np.arange(count))
    for seed in (0, 1, columns, count - 1):
        top, left = seed // columns * (16 * scale + 2), seed % columns * (12 * scale + 2)
        cell = sheet[top : top + 16 * scale : scale, left : left + 12 * scale : scale]
        np.testing.assert_array_equal(cell, images[seed])
    labels = rgb.labels(np.arange(count))
    assert labels is not None
    names = ("ant", "bee", "cat")
    assert links.nth(5).get_attribute("aria-label") == f"Seed 5, class {names[labels[5]]}"


def test_the_page_knows_the_labels_of_seeds(page: Page, server: Server):
    seeds = [0, 1, 2, 3, 42, 2**53 + 1, SEED_LIMIT - 1]
    go(page, server, "/models/rgb")
    script = """async ([path, model, seeds]) => {
      const { defaultLabel } = await import(path);
      return seeds.map((seed) => defaultLabel(BigInt(seed), model));
    }"""
    module = page.evaluate(
        "performance.getEntriesByType('resource').map(entry => entry.name).find(name => name.includes('noise'))"
    )
    for weights in (None, [11, 8, 1], [0, 1, 2**32 - 2]):
        model = {"classes": ["ant", "bee", "cat"], "class_weights": weights}
        found = page.evaluate(script, [module, model, [str(seed) for seed in seeds]])
        assert found == LabelRule(3, weights).labels(np.array(seeds)).tolist()


def test_the_page_shows_the_version_the_provider_and_the_queue(page: Page):
    expect(page.locator("#status")).to_have_text(f"Seedmint {__version__} on cpu · 0 in the queue")


def test_scrolling_the_grid_loads_more_images(page: Page, server: Server):
    go(page, server, "/models/grey")
    loaded(page, ".block:first-child img")
    before = page.locator(".block").count()
    page.mouse.move(600, 600)

    def scrolled(pixels: int, present: bool) -> bool:
        page.mouse.wheel(0, pixels)
        return (page.locator(".block img").first.get_attribute("src") is not None) == present

    wait_until(lambda: scrolled(2000, False))  # the first block is far away: its picture is released
    assert page.locator(".block").count() > before
    wait_until(lambda: scrolled(-20_000, True))


def test_the_grid_fits_a_window_whose_width_changes(page: Page, server: Server):
    script = """() => [...document.querySelectorAll(".block")].map(block => {
      const columns = new Set([...block.querySelectorAll("a")].map(link => link.style.left)).size;
      return [columns, block.scrollWidth <= document.documentElement.clientWidth, block.querySelector("a").title];
    })"""
    go(page, server, "/models/grey")
    wide = page.evaluate(script)[0][0]
    page.set_viewport_size({"width": 390, "height": 800})
    wait_until(lambda: page.evaluate(script)[0][0] < wide)
    blocks = page.evaluate(script)
    assert all(fits for _, fits, _ in blocks)
    assert blocks[0][2] == "Seed 0"
    page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})
    wait_until(lambda: page.evaluate(script)[0][0] == wide)


def test_class_truncation_and_seed_are_in_the_address(page: Page, server: Server):
    go(page, server, "/models/rgb")
    page.get_by_role("combobox", name="Class").select_option("bee")
    page.get_by_label("First seed").fill("9223372036854775800")
    page.get_by_label("First seed").press("Enter")
    page.locator("input[type=range]").fill("0.5")
    expect(page).to_have_url(f"{server.url}/#/models/rgb?seed=9223372036854775800&label=1&truncation=0.5")
    expect(page.locator("a.cell")).to_have_count(8)  # as many seeds as there are left
    page.reload()
    expect(page.get_by_role("combobox", name="Class")).to_have_value("1")
    page.locator("a.cell").nth(3).click()
    expect(page.locator("h1")).to_have_text("Seed 9223372036854775803")
    page.go_back()
    expect(page.get_by_label("First seed")).to_have_value("9223372036854775800")
    page.go_forward()
    expect(page.locator("h1")).to_have_text("Seed 9223372036854775803")


def test_a_text_that_is_no_seed_changes_nothing(page: Page, server: Server):
    go(page, server, "/models/grey?seed=7")
    field = page.get_by_label("First seed")
    for text in ("-1", "007", "9223372036854775808", "seven"):
        field.fill(text)
        field.press("Enter")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(page).to_have_url(f"{server.url}/#/models/grey?seed=7")


def test_an_image_page_shows_the_image_and_its_neighbors(page: Page, server: Server, rgb: Generator):
    go(page, server, "/models/rgb/5?label=2&truncation=0.5")
    loaded(page, "img.large")
    np.testing.assert_array_equal(pixels(page, "img.large"), rgb.generate(np.array([5]), np.array([2]), 0.5)[0])
    address = page.locator(".address a").inner_text()
    assert address == page.locator(".address a").evaluate("link => link.href")
    assert server.client.get(address).headers["content-type"] == "image/png"
    expect(page.locator("img.large")).to_have_attribute("alt", "Seed 5, class cat")
    links = [link.get_attribute("href") for link in page.locator("li a[href*=images]").all()]
    assert any(str(link).endswith("/images/5.npy?label=2&truncation=0.5") for link in links)
    for link in links:
        assert server.client.get(f"/{link}").status_code == 200  # canonical: no redirect
    page.locator("body").press("ArrowRight")
    expect(page.locator("h1")).to_have_text("Seed 6")
    page.get_by_role("button", name="Previous seed").click()
    expect(page.locator("h1")).to_have_text("Seed 5")


def test_similar_seeds_are_the_nearest_in_pixels(page: Page, server: Server, rgb: Generator):
    go(page, server, "/models/rgb/5?label=0")
    page.get_by_role("button", name="Find similar seeds").click()
    expect(page.locator("a[title^='Seed ']")).to_have_count(12)
    found = [int(str(link.get_attribute("title")).split()[1]) for link in page.locator("a[title^='Seed ']").all()]
    images = rgb.generate(np.arange(1024), np.zeros(1024, np.int64)).astype(np.int64)
    distances = ((images - images[5]) ** 2).sum((1, 2, 3))
    distances[5] = distances.max() + 1
    assert [distances[seed] for seed in found] == sorted(distances)[:12]
    page.get_by_role("combobox", name="Class of similar seeds").select_option("cat")
    expect(page.locator("a[title^='Seed ']")).to_have_count(0)
    page.get_by_role("button", name="Find similar seeds").click()
    expect(page.locator("a[title^='Seed ']")).to_have_count(12)
    nearest = page.locator("a[title^='Seed ']").first
    cats = rgb.generate(np.arange(1024), np.full(1024, 2)).astype(np.int64)
    distances = ((cats - images[5]) ** 2).sum((1, 2, 3))
    distances[5] = distances.max()
    assert nearest.get_attribute("title") == f"Seed {distances.argmin()}"
    expect(nearest).to_have_attribute("href", re.compile("label=2"))


def test_neighbours_in_latent_space_and_z_of_the_seed_are_shown(page: Page, server: Server, grey: Generator):
    go(page, server, "/models/grey/5")
    page.get_by_role("button", name="Show neighbours").click()
    expect(page.get_by_role("img", name="Neighbour")).to_have_count(12)
    page.get_by_text("Latent vector z").click()
    numbers = page.get_by_role("region", name="Latent vector")
    expect(numbers).to_contain_text("[")
    np.testing.assert_allclose(json.loads(numbers.inner_text()), grey.noise(np.array([5]))[0], rtol=1e-6)
    page.get_by_role("link", name="Walk from this seed").click()
    expect(page.get_by_role("textbox", name="From seed")).to_have_value("5")


def test_favourites_are_kept(page: Page, server: Server):
    go(page, server, "/models/grey/3")
    page.get_by_role("button", name="Add to favourites").click()
    go(page, server, "/favourites")
    expect(page.locator(".card")).to_have_count(1)
    page.locator(".card a").click()
    page.get_by_role("button", name="Remove from favourites").click()
    go(page, server, "/favourites")
    expect(page.locator(".card")).to_have_count(0)


def test_a_walk_begins_and_ends_at_its_seeds(page: Page, server: Server, grey: Generator):
    go(page, server, "/models/grey?view=walk&from=3&to=9")
    script = """canvas => {
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
      copy.drawImage(canvas, 0, 0);
      return [...copy.getImageData(0, 0, canvas.width, canvas.height).data];
    }"""
    canvas = page.locator("canvas")
    slider = page.get_by_role("slider", name="Frame")

    def frame() -> Any:
        return np.array(canvas.evaluate(script)).reshape(8, 8, 4)[:, :, :1]

    wait_until(lambda: np.array_equal(frame(), grey.generate(np.array([3]))[0]))
    slider.fill(str(slider.get_attribute("max")))
    wait_until(lambda: np.array_equal(frame(), grey.generate(np.array([9]))[0]))
    links = page.get_by_role("link", name="Save as").all()
    assert links
    for link in links:
        assert server.client.get(f"/{link.get_attribute('href')}").status_code == 200


def test_classes_by_seeds_two_generators_and_the_card(page: Page, server: Server):
    go(page, server, "/models/rgb?view=classes")
    expect(page.locator(".row-name")).to_have_text(["ant", "bee", "cat"])
    loaded(page)
    go(page, server, "/compare?a=grey&b=rgb")
    loaded(page, ".columns > div:last-child .block:first-child img")
    expect(page.locator(".columns h2")).to_have_text(["grey", "rgb"])
    go(page, server, "/models/rgb?view=card")
    expect(page.get_by_role("row", name="digest")).to_contain_text(server.digest("rgb"))


def test_the_interval_of_real_data_stands_beside_each_metric(page: Page, server: Server):
    def answer(route: Route) -> None:
        document = route.fetch().json()
        rows = [("copying-near", 0.3, 0.004, [-0.002, 0.018]), ("kid-x", 0.0001, None, [-0.001, 0.002]), ("old", 1, None, None)]
        document["card"]["evaluation"] = [
            {"metric": name, "protocol": "p", "value": value, "samples": 9, "standard_error": error, "interval": interval}
            for name, value, error, interval in rows
        ]
        route.fulfill(json=document)

    page.route(re.compile(r"/v1/models/(rgb|grey)$"), answer)
    go(page, server, "/models/rgb?view=card")
    cells = page.get_by_role("row", name="copying-near").get_by_role("cell")
    expect(cells).to_have_text(["0.3 ± 0.004", "0 to 0.018 (outside)", re.compile("99%"), "p"])
    expect(page.get_by_text("outside for 1 of 2")).to_be_visible()
    expect(page.get_by_role("row", name="old").get_by_role("cell")).to_have_text(["1", "", "", "p"])
    go(page, server, "/compare?a=grey&b=rgb")
    page.get_by_text("Metrics of both").click()
    cells = page.get_by_role("row", name="kid-x").get_by_role("cell")
    expect(cells).to_have_text(["0.0001", "0.0001", "-0.001 to 0.002", "p"])


def test_an_approximate_generator_shows_its_difference(page: Page, server: Server):
    def answer(route: Route) -> None:
        document = route.fetch().json()
        document["check"] |= {"outputs": "0" * 64, "difference": 3}
        route.fulfill(json=document | {"determinism": "approximate"})

    page.route("**/v1/models/rgb", answer)
    for view in ("models/rgb/5", "models/rgb?view=card"):
        go(page, server, f"/{view}")
        expect(page.get_by_text(re.compile("differ.* 3 gray levels"))).to_be_visible()


def test_the_nearest_training_images_and_the_training_curve_are_shown(page: Page, server: Server, rgb: Generator):
    strip = np.random.default_rng(0).integers(0, 256, (16, 2 * 12, 3), np.uint8)
    png = io.BytesIO()
    Image.fromarray(strip).save(png, "png")
    picture = base64.b64encode(png.getvalue()).decode()
    steps = [100, 200, 300]
    curve = {
        "steps": steps,
        "value": [-1, -1.2, -1.3],
        "d_real": [0.9, 0.7, 0.6],
        "d_fake": [0.1, 0.3, 0.4],
        "equilibrium": -1.386,
    }

    def answer(route: Route) -> None:
        document = route.fetch().json()
        document["card"] |= {"neighbours": {"rows": [70, 8], "distances": [1.25, 0], "picture": picture}}
        document["card"]["provenance"] |= {"curve": curve}
        route.fulfill(json=document)

    page.route("**/v1/models/rgb", answer)
    go(page, server, "/models/rgb?view=card")
    expect(page.locator("canvas.plot")).to_have_count(2)
    expect(page.locator("canvas.plot").first).to_have_attribute("aria-label", re.compile("step from"))
    expect(page.locator(".neighbours li p")).to_have_text(
        ["Seed 0: training image 70, distance 1.25", "Seed 1: training image 8, distance 0"]
    )
    second = page.get_by_role("img", name="The nearest training image 8").evaluate("canvas => canvas.toDataURL()")
    shown = Image.open(io.BytesIO(base64.b64decode(second.partition(",")[2]))).convert("RGB")
    np.testing.assert_array_equal(np.asarray(shown), strip[:, 12:])
    loaded(page, ".neighbours img")
    assert serious_violations(page) == []
    go(page, server, "/compare?a=rgb&b=grey")
    page.get_by_text("Nearest training images of both").click()
    expect(page.locator(".neighbours li")).to_have_count(2)
    expect(page.get_by_text("The card has no nearest training images")).to_have_count(1)


def test_series_are_a_plot_of_many_seeds_and_a_plot_and_table_of_each(browser: Browser, sample_server: Server, wave: Generator):
    with opened(browser, f"{sample_server.url}/#/models/wave", viewport=DESKTOP) as page:
        loaded(page, ".plots a:first-child img")
        expect(page.locator("canvas.plot")).to_have_attribute("aria-label", re.compile("step from"))
        page.locator(".plots a").nth(2).click()
        expect(page.locator("h1")).to_have_text("Seed 2")
        expect(page.locator("tbody tr")).to_have_count(16)
        values = wave.generate(np.array([2]))[0]
        shown = [[float(text) for text in row.split()] for row in page.locator("tbody tr").all_inner_texts()]
        np.testing.assert_allclose(shown, [[step, *row] for step, row in enumerate(values)], rtol=1e-5)
        expect(page.locator(".address a")).to_have_text(re.compile("/samples/2.json$"))
        assert serious_violations(page) == []


def test_rows_are_a_plot_that_zooms_and_a_table_that_sorts(browser: Browser, sample_server: Server):
    with opened(browser, f"{sample_server.url}/#/models/point", viewport=PHONE) as page:
        plot = page.locator("canvas.plot")
        expect(plot).to_have_attribute("aria-label", re.compile(" from .* to "))
        whole = plot.get_attribute("aria-label")
        assert whole is not None

        def changes(action: Callable[[], None]) -> None:
            before = plot.get_attribute("aria-label")
            assert before is not None
            action()
            expect(plot).not_to_have_attribute("aria-label", before)

        changes(lambda: plot.press("+"))
        changes(lambda: plot.press("ArrowLeft"))
        plot.press("0")
        expect(plot).to_have_attribute("aria-label", whole)
        plot.hover()
        changes(lambda: page.mouse.wheel(0, -100))
        page.mouse.down()
        changes(lambda: page.mouse.move(100, 400))
        page.mouse.up()
        page.get_by_role("button", name="Reset the zoom").click()
        expect(plot).to_have_attribute("aria-label", whole)
        column = page.locator("thead th").last
        for order, sign in (("ascending", 1), ("descending", -1)):
            column.get_by_role("button").click()
            expect(column).to_have_attribute("aria-sort", order)
            values = sign * np.array([float(text) for text in page.locator("tbody td:last-child").all_inner_texts()])
            assert len(values) == 500
            assert (np.diff(values) >= 0).all()
        assert serious_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_page_shows_an_error_for_an_unknown_generator(browser: Browser, server: Server):
    page = new_page(browser)
    go(page, server, "/models/none")
    expect(page.locator("h1")).to_have_text("Not found")
    page.close()


def test_the_page_without_javascript_has_a_gallery(browser: Browser, server: Server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.url)
    expect(page.locator("main h2")).to_have_text(["grey", "rgb"])
    sources = page.locator("main img").evaluate_all("images => images.map(image => image.getAttribute('src'))")
    assert len(sources) == 2
    for source in sources:
        assert server.client.get(f"/{source}").status_code == 200
    context.close()


def test_requests_to_a_busy_server_are_repeated(browser: Browser, server: Server):
    page = new_page(browser)
    refused = [False]

    def answer(route: Any) -> None:
        if refused[0]:
            route.continue_()
        else:
            refused[0] = True
            route.fulfill(status=429, headers={"Retry-After": "1"}, body="{}")

    page.route("**/v1/models/rgb", answer)
    began = time.monotonic()
    page.goto(f"{server.url}/#/models/rgb")
    expect(page.locator("h1")).to_have_text("rgb")
    page.close()
    assert refused[0]
    assert time.monotonic() - began >= 1


_SLOW = pytest.mark.slow  # the other two have each viewport and each scheme
APPEARANCES = (
    pytest.param(DESKTOP, "light", id="desktop-light"),
    pytest.param(PHONE, "dark", id="phone-dark"),
    pytest.param(DESKTOP, "dark", id="desktop-dark", marks=_SLOW),
    pytest.param(PHONE, "light", id="phone-light", marks=_SLOW),
)
VIEWS = (
    "/",
    "/models/rgb",
    "/models/rgb?view=classes",
    "/models/rgb?view=walk",
    "/models/rgb?view=card",
    "/models/rgb/5",
    "/compare",
)


def test_axe_finds_nothing_serious_before_images_arrive(browser: Browser, server: Server):
    with opened(browser, server.url, viewport=DESKTOP) as page:
        page.route("**/*.png*", lambda route: None)  # requests stay open
        for view in VIEWS:
            go(page, server, view)
            assert serious_violations(page) == [], view
        page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize(("viewport", "scheme"), APPEARANCES)
def test_axe_finds_nothing_serious(browser: Browser, server: Server, scheme: Literal["light", "dark"], viewport: Any):
    with opened(browser, server.url, viewport=viewport, color_scheme=scheme) as page:
        for view in VIEWS:
            go(page, server, view)
            if "walk" not in view and "card" not in view:
                loaded(page)
            assert serious_violations(page) == [], view
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"], f"{view} is wider than the screen"
