"""Single images: URLs, redirects, formats, caching; the same seed always gives the same image."""

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from seedmint.models.grid import enlarge
from seedmint.service.runtime.generator import Generator
from tests.support.exposition import total
from tests.support.servers import Server

# 200 seeds, consecutive and far apart, unsorted.
SEEDS = [*range(100, 0, -1), *(7919 * i * i * i + 12345 for i in range(99)), (1 << 63) - 1]


def pixels(png: bytes) -> np.ndarray:
    array = np.asarray(Image.open(io.BytesIO(png)))
    return array[:, :, None] if array.ndim == 2 else array


@pytest.mark.parametrize("model", ["grey", "rgb"])
def test_a_seed_gives_the_same_image_alone_in_bulk_and_concurrently(server: Server, model: str):
    path = server.pinned(model)
    alone = {seed: server.client.get(f"{path}/{seed}.png").content for seed in SEEDS}

    answer = server.client.post("/v1/sample", json={"model": model, "seeds": SEEDS, "format": "zip"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        bulk = {int(name.split("/")[-1].removesuffix(".png")): archive.read(name) for name in archive.namelist()}

    with ThreadPoolExecutor(16) as pool, httpx.Client(base_url=server.url, timeout=30) as client:
        answers = pool.map(lambda seed: client.get(f"{path}/{seed}.png").content, SEEDS)
        concurrent = dict(zip(SEEDS, answers, strict=True))
    assert alone == bulk
    assert alone == concurrent
    assert len(set(alone.values())) == len(SEEDS)


def test_the_pixels_are_the_output_of_the_generator(server: Server, rgb: Generator):
    expected = rgb.generate(np.array([42]), np.array([2]), 0.7)[0]
    path = f"{server.pinned('rgb')}/42"
    query = {"label": "2", "scale": "3", "truncation": "0.7"}
    png = server.client.get(f"{path}.png", params=query)
    assert png.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(pixels(png.content), enlarge(expected, 3))
    webp = server.client.get(f"{path}.webp", params=query)
    assert webp.headers["content-type"] == "image/webp"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(webp.content)).convert("RGB")), enlarge(expected, 3))
    array = server.client.get(f"{path}.npy", params=query)
    np.testing.assert_array_equal(np.load(io.BytesIO(array.content)), enlarge(expected, 3))


def test_the_largest_enlarged_image(server: Server):
    """That plain images do not wait for it, is tested in tests/service/api/test_large_images.py."""
    answer = server.client.get(f"{server.pinned('grey')}/0.webp?scale=512")
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).size == (4096, 4096)


def test_the_default_label_is_the_label_of_the_seed(server: Server, rgb: Generator):
    path = server.pinned("rgb")
    labels = rgb.labels(np.arange(30))
    assert labels is not None
    assert len(set(labels)) == 3
    for seed in range(30):
        own = server.client.get(f"{path}/{seed}.png").content
        labelled = [server.client.get(f"{path}/{seed}.png?label={label}", follow_redirects=True) for label in range(3)]
        assert [label for label in range(3) if labelled[label].content == own] == [labels[seed]]


def test_a_png_has_text_chunks(server: Server):
    png = server.client.get(f"{server.pinned('rgb')}/42.png?label=2&truncation=0.5").content
    text = Image.open(io.BytesIO(png)).info
    assert text == {"seed": "42", "label": "2", "truncation": "0.5", "model": "rgb", "digest": server.digest("rgb")}
    plain = Image.open(io.BytesIO(server.client.get(f"{server.pinned('grey')}/0.png").content)).info
    assert plain == {"seed": "0", "model": "grey", "digest": server.digest("grey")}


def test_a_url_without_digest_redirects_to_the_pinned_url(server: Server):
    answer = server.client.get("/v1/models/rgb/images/42.png?label=2&scale=2")
    assert answer.status_code == 307
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"] == f"{server.pinned('rgb')}/42.png?label=2&scale=2"
    followed = server.client.get("/v1/models/rgb/images/42.png", follow_redirects=True)
    assert followed.status_code == 200
    assert str(followed.url).endswith(f"{server.pinned('rgb')}/42.png")


@pytest.mark.parametrize("file", ["42.png", "42.webp", "42.npy", "42.png?label=2&scale=4&truncation=0.5"])
def test_images_are_immutable_and_304_and_head_do_not_run_the_generator(server: Server, file: str):
    url = f"{server.pinned('rgb')}/{file}"
    answer = server.client.get(url)
    tag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert tag.startswith('"')
    before = runs(server)
    for if_none_match in (tag, f"W/{tag}", f'"other", {tag}', f'W/"other",W/{tag}', "*"):
        again = server.client.get(url, headers={"If-None-Match": if_none_match})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == answer.headers["cache-control"]
    lines = server.client.get(url, headers=[("If-None-Match", '"other"'), ("If-None-Match", tag)])
    assert lines.status_code == 304
    head = server.client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for header in ("etag", "cache-control", "content-type"):
        assert head.headers[header] == answer.headers[header]
    assert "content-length" not in head.headers
    assert runs(server) == before
    assert server.client.get(url, headers={"If-None-Match": '"other"'}).content == answer.content
    assert runs(server) == before + 1


def test_different_images_have_different_etags(server: Server):
    files = ["1.png", "2.png", "1.webp", "1.npy", "1.png?truncation=0.5", "1.png?scale=2", "1.png?label=1", "1.png?label=2"]
    tags = {server.client.head(f"{server.pinned('rgb')}/{file}").headers["etag"] for file in files}
    assert len(tags) == len(files)


def runs(server: Server) -> int:
    """Return the number of runs of the generator `rgb`."""
    text = server.client.get("/metrics").text
    return int(total(text, "seedmint_inference_duration_seconds_count", "rgb"))
