"""Contact sheets: what is in them, how they are cached, and what is too much."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image

from service.generator import Generator
from service.images import GAP
from service.sheets import MAX_SHEET_SEEDS
from tests.service.servers import Server
from tests.service.test_images_over_http import pixels, runs
from tests.service.test_metrics_over_http import value
from tests.service.test_problems_over_http import check


def base(server: Server, model: str = "rgb") -> str:
    return server.pinned(model).removesuffix("/images")


def cell(sheet: np.ndarray, row: int, column: int, height: int, width: int) -> np.ndarray:
    top, left = row * (height + GAP), column * (width + GAP)
    return sheet[top : top + height, left : left + width]


@pytest.mark.parametrize("form", ["png", "webp"])
def test_each_cell_is_the_image_of_its_seed(server: Server, form: str):
    seeds = [*range(95, 103), 4, 4, (1 << 63) - 1]
    query = f"seeds=95-102,4,4,{seeds[-1]}&columns=6&label=1&truncation=0.5&scale=2"
    answer = server.client.get(f"{base(server)}/grid.{form}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{form}")
    sheet = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
    assert sheet.shape == (2 * 34 - GAP, 6 * 26 - GAP, 3)
    for i, seed in enumerate(seeds):
        same = {"label": 1, "truncation": 0.5, "scale": 2}
        alone = server.client.get(f"{server.pinned('rgb')}/{seed}.png", params=same, follow_redirects=True)
        np.testing.assert_array_equal(cell(sheet, i // 6, i % 6, 32, 24), pixels(alone.content))
    assert (cell(sheet, 1, 5, 32, 24) == 255).all()  # where no seed is left
    assert (sheet[32:34] == 255).all()


def test_without_columns_it_is_about_square_and_labels_are_the_seeds_own(server: Server, rgb: Generator):
    sheet = pixels(server.client.get(f"{base(server)}/grid.png?seeds=0-69").content)  # more than one run of the generator
    made = rgb.generate(np.arange(70))
    assert sheet.shape == (8 * 18 - GAP, 9 * 14 - GAP, 3)
    for i in range(70):
        np.testing.assert_array_equal(cell(sheet, i // 9, i % 9, 16, 12), made[i])


def test_a_png_tells_its_seeds(server: Server):
    answer = server.client.get(f"{base(server)}/grid.png?seeds=0-2,9&label=1&truncation=0.5")
    expected = {"seed": "0-2,9", "label": "1", "truncation": "0.5", "model": "rgb", "digest": server.digest("rgb")}
    assert Image.open(io.BytesIO(answer.content)).info == expected


@pytest.mark.parametrize("file", ["grid.png?seeds=7-30", "grid.webp?seeds=7-30&columns=3"])
def test_it_is_immutable_and_304_head_and_redirects_make_nothing(server: Server, file: str):
    address, client = f"{base(server)}/{file}", server.client
    answer = client.get(address)
    tag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["accept-ranges"] == "none"
    made = runs(server)
    again = client.get(address, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    head = client.head(address)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)
    redirected = client.get(f"/v1/models/rgb/{file}")
    assert (redirected.status_code, redirected.headers["cache-control"]) == (307, "no-store")
    assert redirected.headers["location"] == address
    assert runs(server) == made
    part = client.get(address, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (200, answer.content)


def test_sheets_that_differ_have_tags_that_differ(server: Server):
    queries = [
        "seeds=0-3",
        "seeds=3,2,1,0",
        "seeds=0-4",
        "seeds=0-3&columns=1",
        "seeds=0-3&label=1",
        "seeds=0-3&truncation=0.5",
    ]
    files = [f"grid.png?{query}" for query in [*queries, "seeds=0-3&scale=2"]] + ["grid.webp?seeds=0-3", "walk.png?from=0&to=3"]
    assert len({server.client.head(f"{base(server)}/{file}").headers["etag"] for file in files}) == len(files)


def test_its_images_are_counted(server: Server):
    def counts() -> tuple[float, float]:
        route = "/v1/models/{name}@{digest}/grid.{file}"
        images = value(server, "seedmint_images_total", model="grey", format="webp")
        return images, value(server, "seedmint_requests_total", route=route, status="200", method="GET")

    images, requests = counts()
    server.client.get(f"{base(server, 'grey')}/grid.webp?seeds=0-99")
    assert counts() == (images + 100, requests + 1)


BAD = [
    ("grid.png", 400, "seeds"),
    ("grid.png?seeds=", 400, "seeds"),
    ("grid.png?seeds=1,,2", 400, "seeds"),
    ("grid.png?seeds=9-1", 400, "seeds"),
    ("grid.png?seeds=-1", 400, "seeds"),
    ("grid.png?seeds=1e3", 400, "seeds"),
    ("grid.png?seeds=9223372036854775808", 422, "seeds"),
    (f"grid.png?seeds=0-{MAX_SHEET_SEEDS}", 413, "seeds"),
    ("grid.png?seeds=0-9223372036854775807", 413, "seeds"),
    ("grid.png?seeds=0-3&columns=0", 422, "columns"),
    ("grid.png?seeds=0-3&columns=1025", 422, "columns"),
    ("grid.png?seeds=0-3&columns=two", 400, "columns"),
    ("grid.png?seeds=0-3&seeds=4", 400, "seeds"),
    ("grid.png?seeds=0-3&label=3", 422, "label"),
    ("grid.png?seeds=0-3&truncation=2", 422, "truncation"),
    ("grid.png?seeds=0-3&scale=257", 422, "scale"),
    ("grid.png?seeds=0-3&scale=256", 413, "scale"),
    ("grid.png?seeds=0-1023&columns=1", 413, "seeds"),
    ("grid.png?seeds=0-3&frames=3", 400, "frames"),
    ("grid.gif?seeds=0-3", 404, "format"),
    ("grid.npy?seeds=0-3", 404, "format"),
]


@pytest.mark.parametrize(("file", "status", "field"), BAD)
def test_what_is_wrong_is_told(server: Server, file: str, status: int, field: str):
    made = runs(server)
    for address in (f"{base(server)}/{file}", f"/v1/models/rgb/{file}"):
        check(server.client.get(address), status, field)
    assert runs(server) == made


def test_there_is_none_of_samples_and_of_other_versions(sample_server: Server, server: Server):
    for file in ("grid.png?seeds=0-3", "walk.png?from=0&to=3"):
        check(sample_server.client.get(f"{base(sample_server, 'point')}/{file}"), 404, "model")
        check(server.client.get(f"/v1/models/rgb@{'0' * 12}/{file}"), 404, "digest")
        check(server.client.get(f"/v1/models/nobody/{file}"), 404, "model")
        assert server.client.post(f"{base(server)}/{file}").status_code == 405


def test_the_largest_sheet_is_made(server: Server):
    answer = httpx.get(f"{server.url}{base(server, 'grey')}/grid.png?seeds=0-{MAX_SHEET_SEEDS - 1}&scale=8", timeout=30)
    assert pixels(answer.content).shape == (32 * 66 - GAP, 32 * 66 - GAP, 1)
