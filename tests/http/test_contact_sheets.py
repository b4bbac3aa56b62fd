"""Contact sheets: their cells, text chunks, metrics and limits."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image

from seedmint.service.api.query import SHEET_LIMITS
from seedmint.service.encoders.images import GAP
from seedmint.service.runtime.generator import Generator
from tests.http.test_images import pixels
from tests.http.test_metrics import value
from tests.support.servers import Server


def base(server: Server, model: str = "rgb") -> str:
    return server.pinned(model).removesuffix("/images")


def cell(sheet: np.ndarray, row: int, column: int, height: int, width: int) -> np.ndarray:
    top, left = row * (height + GAP), column * (width + GAP)
    return sheet[top : top + height, left : left + width]


@pytest.mark.parametrize("form", ["png", "webp"])
def test_each_cell_is_the_image_of_its_seed(server: Server, form: str):
    seeds = [*range(95, 103), 4, 4, (1 << 63) - 1]
    query = f"columns=6&label=1&scale=2&seeds=95-102,4,4,{seeds[-1]}&truncation=0.5"
    answer = server.client.get(f"{base(server)}/grid.{form}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{form}")
    sheet = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
    assert sheet.shape == (2 * 34 - GAP, 6 * 26 - GAP, 3)
    for i, seed in enumerate(seeds):
        parameters = {"label": 1, "truncation": 0.5, "scale": 2}
        alone = server.client.get(f"{server.pinned('rgb')}/{seed}.png", params=parameters, follow_redirects=True)
        np.testing.assert_array_equal(cell(sheet, i // 6, i % 6, 32, 24), pixels(alone.content))
    assert (cell(sheet, 1, 5, 32, 24) == 255).all()  # the empty cell
    assert (sheet[32:34] == 255).all()


def test_the_default_sheet_is_almost_square_and_has_the_labels_of_the_seeds(server: Server, rgb: Generator):
    sheet = pixels(server.client.get(f"{base(server)}/grid.png?seeds=0-69").content)  # more than one run of the generator
    images = rgb.generate(np.arange(70))
    assert sheet.shape == (8 * 18 - GAP, 9 * 14 - GAP, 3)
    for i in range(70):
        np.testing.assert_array_equal(cell(sheet, i // 9, i % 9, 16, 12), images[i])


def test_a_png_has_text_chunks(server: Server):
    answer = server.client.get(f"{base(server)}/grid.png?label=1&seeds=0-2,9&truncation=0.5")
    expected = {"seed": "0-2,9", "label": "1", "truncation": "0.5", "model": "rgb", "digest": server.digest("rgb")}
    assert Image.open(io.BytesIO(answer.content)).info == expected


def test_the_images_are_counted(server: Server):
    def counts() -> tuple[float, float]:
        route = "/v1/models/{name}@{digest}/grid.{file}"
        images = value(server, "seedmint_images_total", model="grey", format="webp")
        return images, value(server, "seedmint_http_requests_total", route=route, status="200", method="GET")

    images, requests = counts()
    server.client.get(f"{base(server, 'grey')}/grid.webp?seeds=0-99")
    assert counts() == (images + 100, requests + 1)


def test_the_largest_sheet_is_generated(server: Server):
    answer = httpx.get(f"{server.url}{base(server, 'grey')}/grid.png?scale=8&seeds=0-{SHEET_LIMITS.seeds - 1}", timeout=30)
    assert pixels(answer.content).shape == (32 * 66 - GAP, 32 * 66 - GAP, 1)
