"""Samples that are not images: URLs, formats, caching, bulk requests and errors."""

import csv
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor

import bentoml
import httpx
import numpy as np
import pytest
from PIL import Image

from seedmint.service.encoders.plots import plot
from seedmint.service.runtime.generator import Generator
from tests.http.test_problems import check
from tests.support.exposition import total
from tests.support.servers import Server

SEEDS = [*range(50, 0, -1), *(7919 * i * i * i + 12345 for i in range(49)), (1 << 63) - 1]


def samples_url(server: Server, name: str) -> str:
    """Return the pinned URL of the samples of a generator, without seed and format."""
    return server.pinned(name).removesuffix("/images") + "/samples"


@pytest.mark.parametrize("model", ["point", "wave"])
def test_a_seed_gives_the_same_sample_alone_in_bulk_and_concurrently(sample_server: Server, model: str):
    server, url = sample_server, samples_url(sample_server, model)
    alone = {seed: server.client.get(f"{url}/{seed}.json").json()["values"] for seed in SEEDS}
    answer = server.client.post("/v1/sample", json={"model": model, "seeds": SEEDS, "format": "jsonl"})
    bulk = {entry["seed"]: entry["values"] for entry in map(json.loads, answer.text.splitlines())}
    with ThreadPoolExecutor(16) as pool, httpx.Client(base_url=server.url, timeout=30) as client:
        answers = pool.map(lambda seed: client.get(f"{url}/{seed}.json").json()["values"], SEEDS)
        concurrent = dict(zip(SEEDS, answers, strict=True))
    assert alone == bulk
    assert alone == concurrent
    assert len({json.dumps(values) for values in alone.values()}) == len(SEEDS)


def test_the_values_are_the_output_of_the_generator(sample_server: Server, point: Generator):
    (expected,) = point.generate(np.array([42]), np.array([2]), 0.7)
    url, query = f"{samples_url(sample_server, 'point')}/42", {"label": "2", "truncation": "0.7"}
    answers = {form: sample_server.client.get(f"{url}.{form}", params=query) for form in ("json", "csv", "npy", "png")}
    types = {form: answer.headers["content-type"] for form, answer in answers.items()}
    assert types == {
        "json": "application/json",
        "csv": "text/csv; charset=utf-8",
        "npy": "application/x-npy",
        "png": "image/png",
    }
    assert answers["json"].json() == {
        "model": "point",
        "digest": point.digest,
        "seed": 42,
        "label": 2,
        "truncation": 0.7,
        "names": ["x", 'the "other", y'],
        "values": expected.tolist(),
    }
    header, row = csv.reader(io.StringIO(answers["csv"].text))
    assert (header, [float(value) for value in row]) == (["x", 'the "other", y'], expected.tolist())
    np.testing.assert_array_equal(np.load(io.BytesIO(answers["npy"].content)), expected)
    picture = plot(point.card.output, point.generate(np.arange(512)), expected)  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answers["png"].content))), picture)


def test_the_default_label_is_the_label_of_the_seed(sample_server: Server, point: Generator):
    labels = point.labels(np.arange(10))
    assert labels is not None
    for seed in range(10):
        own = sample_server.client.get(f"{samples_url(sample_server, 'point')}/{seed}.json").json()
        assert own["label"] == labels[seed]
    assert "label" not in sample_server.client.get(f"{samples_url(sample_server, 'wave')}/1.json").json()


def test_a_url_without_digest_redirects_to_the_pinned_url(sample_server: Server):
    answer = sample_server.client.get("/v1/models/point/samples/5.json?label=1")
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
    assert answer.headers["location"] == f"{samples_url(sample_server, 'point')}/5.json?label=1"
    assert sample_server.client.get("/v1/models/point/samples/5.json", follow_redirects=True).json()["seed"] == 5


@pytest.mark.parametrize("file", ["5.json", "5.csv", "5.npy", "5.png", "5.json?label=2&truncation=0.5"])
def test_samples_are_immutable_and_304_and_head_do_not_run_the_generator(sample_server: Server, file: str):
    url, client = f"{samples_url(sample_server, 'point')}/{file}", sample_server.client
    answer = client.get(url)
    tag = answer.headers["etag"]
    assert (answer.headers["cache-control"], tag[0]) == ("public, max-age=31536000, immutable", '"')
    before = runs(sample_server)
    again = client.get(url, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    head = client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert all(head.headers[name] == answer.headers[name] for name in ("etag", "cache-control", "content-type"))
    assert runs(sample_server) == before
    assert client.get(url, headers={"If-None-Match": '"other"'}).content == answer.content


def test_the_list_has_the_url_template_of_the_samples(sample_server: Server, wave: Generator):
    grey, point, listed = sample_server.client.get("/v1/models").json()["models"]
    assert listed == {
        "name": "wave",
        "title": "Test generator wave",
        "digest": wave.digest,
        "versions": [wave.digest12],
        "classes": None,
        "class_weights": None,
        "output": {"kind": "sample", "shape": [16, 2], "names": ["left", "right"], "resolution": None},
        "noise": {"rule": "philox-normal-v1", "z_dim": 20},
        "determinism": "exact",
        "provider": "cpu",
        "truncation": "z",
        "formats": ["json", "csv", "npy", "png"],
        "bulk_formats": ["npz", "npy", "csv", "jsonl"],
        "url": f"/v1/models/wave@{wave.digest12}",
        "sample_template": f"/v1/models/wave@{wave.digest12}/samples/{{seed}}.{{format}}{{?truncation}}",
        "sample_url": "/v1/sample",
        "latent_url": f"/v1/models/wave@{wave.digest12}/latents/{{seed}}.{{format}}",
        "array_url": f"/v1/models/wave@{wave.digest12}/samples.npy{{?seeds,truncation}}",
        "from_latents_url": "/v1/latents",
    }
    assert point["sample_template"].endswith("{?label,truncation}")
    assert "sample_template" not in grey
    card = sample_server.client.get("/v1/models/wave").json()["card"]
    assert card["output"] == listed["output"]


def test_many_samples_in_one_response(sample_server: Server, point: Generator):
    seeds, body = np.array([9, 1, 9]), {"model": "point", "seeds": [9, 1, 9], "labels": [0, 1, 2], "truncation": 0.25}
    expected = point.generate(seeds, np.array([0, 1, 2]), 0.25)
    for url in ("/sample", "/v1/sample"):
        answer = sample_server.client.post(url, json=body | {"format": "npz"})
        with np.load(io.BytesIO(answer.content)) as arrays:
            assert set(arrays) == {"samples", "seeds", "labels"}
            np.testing.assert_array_equal(arrays["samples"], expected)
    answer = sample_server.client.post("/v1/sample", json=body | {"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="point-{point.digest12}.csv"'
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["seed", "label", "x", 'the "other", y']
    assert [[int(row[0]), int(row[1]), *map(float, row[2:])] for row in rows[1:]] == [
        [seed, label, *values] for seed, label, values in zip([9, 1, 9], [0, 1, 2], expected.tolist(), strict=True)
    ]


def test_the_client_of_bentoml_receives_samples(sample_server: Server, wave: Generator):
    with bentoml.SyncHTTPClient(sample_server.url) as client:
        samples = np.load(client.sample(model="wave", seeds="0-199", format="npy"))
    np.testing.assert_array_equal(samples, wave.generate(np.arange(200)))


@pytest.mark.parametrize(
    ("file", "status", "field"),
    [
        ("x.json", 400, "seed"),
        ("05.json", 400, "seed"),
        (f"{1 << 63}.json", 422, "seed"),
        ("5.webp", 404, "format"),
        ("5.json?label=3", 422, "label"),
        ("5.json?truncation=2", 422, "truncation"),
        ("5.png?scale=2", 400, "scale"),
        ("5.json?colour=red", 400, "colour"),
    ],
)
def test_an_invalid_url_names_the_field(sample_server: Server, file: str, status: int, field: str):
    check(sample_server.client.get(f"{samples_url(sample_server, 'point')}/{file}"), status, field)
    check(sample_server.client.get(f"/v1/models/point/samples/{file}"), status, field)


@pytest.mark.parametrize("pinned", [True, False])
def test_the_wrong_kind_of_output_is_404_and_names_the_right_url(sample_server: Server, pinned: bool):
    def base(name: str) -> str:
        return sample_server.pinned(name).removesuffix("/images") if pinned else f"/v1/models/{name}"

    problem = check(sample_server.client.get(f"{base('point')}/images/5.png"), 404, "model", "wrong_output")
    assert f"{samples_url(sample_server, 'point')}/{{seed}}" in str(problem["detail"])
    problem = check(sample_server.client.get(f"{base('grey')}/samples/5.json"), 404, "model", "wrong_output")
    assert f"{sample_server.pinned('grey')}/{{seed}}" in str(problem["detail"])


def test_a_format_that_cannot_hold_the_outputs_is_422(sample_server: Server):
    for body in ({"model": "point", "seeds": "1"}, {"model": "point", "seeds": "1", "format": "zip"}):
        check(sample_server.client.post("/v1/sample", json=body), 422, "format", "wrong_output")
    for form in ("csv", "jsonl"):
        body = {"model": "grey", "seeds": "1", "format": form}
        check(sample_server.client.post("/v1/sample", json=body), 422, "format", "wrong_output")


def test_metrics_count_samples_under_few_labels(sample_server: Server):
    def count(form: str) -> float:
        text = sample_server.client.get("/metrics").text
        lines = [line for line in text.splitlines() if f'format="{form}"' in line]
        return total("\n".join(lines), "seedmint_samples_total", "wave")

    before = count("npy"), count("csv")
    for seed in range(1000, 1005):
        sample_server.client.get(f"{samples_url(sample_server, 'wave')}/{seed}.npy")
    sample_server.client.post("/v1/sample", json={"model": "wave", "seeds": "0-99", "format": "csv"})
    assert (count("npy") - before[0], count("csv") - before[1]) == (5, 100)
    text = sample_server.client.get("/metrics").text
    assert 'route="/v1/models/{name}@{digest}/samples/{file}"' in text
    assert not re.search(r'="[^"]*1003', text)
    assert total(text, "seedmint_images_total", "wave") == 0


def runs(server: Server) -> int:
    """Return the number of runs of the generator `point`."""
    text = server.client.get("/metrics").text
    return int(total(text, "seedmint_inference_duration_seconds_count", "point"))
