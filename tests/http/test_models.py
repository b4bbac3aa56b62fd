"""The list of generators, the probes and the page."""

import re

import numpy as np

from seedmint.service.api.urls import image_template
from seedmint.service.runtime.generator import Generator
from tests.support.fixtures import CLASSES
from tests.support.servers import Server


def test_the_list_describes_every_generator(server: Server, grey: Generator, rgb: Generator):
    answer = server.client.get("/v1/models")
    assert answer.headers["content-type"] == "application/json"
    first, second = answer.json()["models"]
    assert first == {
        "name": "grey",
        "title": "Test generator grey",
        "digest": grey.digest,
        "versions": [grey.digest12],
        "classes": None,
        "class_weights": None,
        "output": {"kind": "image", "height": 8, "width": 8, "channels": 1, "range": [0, 255]},
        "noise": {"rule": "philox-normal-v1", "z_dim": 20},
        "determinism": "exact",
        "provider": "cpu",
        "truncation": "z",
        "formats": ["png", "webp", "jpg", "avif", "npy"],
        "bulk_formats": ["zip", "npz", "npy"],
        "max_scale": 512,
        "url": f"/v1/models/grey@{grey.digest12}",
        "image_url": f"/v1/models/grey@{grey.digest12}/images/{{seed}}.{{format}}{{?quality,scale,truncation}}",
        "grid_formats": ["png", "webp"],
        "grid_url": f"/v1/models/grey@{grey.digest12}/grid.{{format}}{{?columns,scale,seeds,truncation}}",
        "max_grid_pixels": 1 << 23,
        "max_walk_pixels": 1 << 22,
        "walk_formats": ["webp", "gif", "png"],
        "walk_url": f"/v1/models/grey@{grey.digest12}/walk.{{format}}{{?duration,frames,from,loop,scale,to,truncation}}",
        "sample_url": "/v1/sample",
        "latent_url": f"/v1/models/grey@{grey.digest12}/latents/{{seed}}.{{format}}",
        "array_url": f"/v1/models/grey@{grey.digest12}/images.npy{{?seeds,truncation}}",
        "from_latents_url": "/v1/latents",
    }
    assert second["classes"] == list(CLASSES)
    assert second["image_url"] == image_template(rgb)
    assert all("label" in second[url] for url in ("image_url", "grid_url", "walk_url"))


def test_the_page_of_a_generator_has_its_card_and_its_check(server: Server, rgb: Generator):
    listed = server.client.get("/v1/models").json()["models"][1]
    assert rgb.card.reference is not None
    check = {
        "seeds": 64,
        "outputs": rgb.card.reference.sha256,
        "expected": rgb.card.reference.sha256,
        "is_batch_independent": True,
        "difference": 0,
    }
    expected = listed | {"card": rgb.card.model_dump(mode="json", by_alias=True), "check": check}
    assert server.client.get("/v1/models/rgb").json() == expected
    assert server.client.get(listed["url"]).json() == expected


def test_head_works_wherever_get_works(server: Server):
    paths = ["/", "/metrics", "/livez", "/readyz", "/v1/models", "/v1/models/rgb", "/v1/models/rgb/images/1.png"]
    base = server.pinned("rgb").removesuffix("/images")
    with_query = ["grid.png?seeds=0-9", "grid.webp?columns=10&seeds=0-9", "walk.gif?from=1&to=2", "walk.png?from=1&to=2"]
    for path in [*paths, f"{base}/images/1.png", *(f"{at}/{file}" for at in ("/v1/models/rgb", base) for file in with_query)]:
        get, head = server.client.get(path), server.client.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers.get("content-type") == get.headers.get("content-type")


def test_the_probes_are_200(server: Server):
    assert server.client.get("/livez").status_code == 200
    assert server.client.get("/readyz").status_code == 200


def test_the_page_loads_nothing_from_other_origins(server: Server):
    answer = server.client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"(https?:)?//[a-z]", answer.text.replace("//v1", ""))
    assert len(answer.content) < 10_000


def test_labels_of_the_seeds_are_the_default_labels(rgb: Generator, grey: Generator):
    seeds = np.arange(100)
    np.testing.assert_array_equal(rgb.generate(seeds), rgb.generate(seeds, rgb.labels(seeds)))
    assert rgb.determinism == grey.determinism == "exact"
