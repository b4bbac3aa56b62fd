"""Latent vectors: the vector of a seed, and the images of given vectors."""

import io
import json
import zipfile
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from seedmint.client import Client
from seedmint.service.runtime.generator import Generator
from tests.support.servers import Server


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def base(server: Server, model: str) -> str:
    return server.pinned(model).removesuffix("/images")


def post(server: Server, **body: Any) -> httpx.Response:
    return server.client.post("/v1/latents", json=body)


@pytest.fixture
def z(rgb: Generator) -> np.ndarray:
    return rgb.noise(np.array([3, 42, 7]))


def test_the_latent_vector_of_a_seed(server: Server, rgb: Generator):
    expected = rgb.noise(np.array([42]))
    answer = server.client.get("/v1/models/rgb/latents/42.npy", follow_redirects=True)
    assert str(answer.url).endswith(f"{base(server, 'rgb')}/latents/42.npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), expected)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = server.client.get(answer.url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = server.client.head(answer.url)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])


def test_the_json_of_a_seed_is_a_request_for_its_image(server: Server, rgb: Generator):
    body = server.client.get(f"{base(server, 'rgb')}/latents/42.json").json()
    answer = post(server, **body)
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), rgb.generate(np.array([42])))


@pytest.mark.parametrize("truncation", [1.0, 0.5])
def test_json_and_npy_give_the_images_of_the_vectors(server: Server, rgb: Generator, z: np.ndarray, truncation: float):
    expected = rgb.generate_from(z, np.array([0, 2, 2]), truncation)
    answer = post(server, model="rgb", z=z.tolist(), labels=[0, 2, 2], truncation=truncation)
    assert answer.headers["content-type"] == "application/x-npy"
    assert int(answer.headers["content-length"]) == len(answer.content)
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), expected)
    for content in (npy(z), npy(np.asfortranarray(z))):
        query = {"model": "rgb", "labels": "0,2,2", "truncation": str(truncation), "format": "npz"}
        answer = server.client.post("/v1/latents", params=query, content=content, headers={"Content-Type": "application/x-npy"})
        arrays = np.load(io.BytesIO(answer.content))
        assert set(arrays) == {"images", "labels"}
        np.testing.assert_array_equal(arrays["images"], expected)


def test_a_zip_names_its_images_by_row(server: Server, rgb: Generator, z: np.ndarray):
    answer = post(server, model="rgb", z=z.tolist(), labels=1, format="zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["1/0.png", "1/1.png", "1/2.png"]
        image = Image.open(io.BytesIO(archive.read("1/2.png")))
    assert image.info["row"] == "2"
    assert "seed" not in image.info
    np.testing.assert_array_equal(np.asarray(image), rgb.generate_from(z, np.array([1, 1, 1]))[2])


def test_samples_of_latent_vectors(sample_server: Server, point: Generator):
    z = point.noise(np.array([5, 6]))
    labels = None if point.card.classes is None else [0, 1]
    body = {"model": "point", "z": z.tolist(), "format": "jsonl"} | ({} if labels is None else {"labels": labels})
    lines = [json.loads(line) for line in post(sample_server, **body).text.splitlines()]
    assert [line["row"] for line in lines] == [0, 1]
    expected = point.generate_from(z, None if labels is None else np.array(labels))
    np.testing.assert_array_equal(np.array([line["values"] for line in lines], np.float32), expected)
    body["format"] = "csv"
    assert post(sample_server, **body).text.startswith("row,")


def test_the_client_generates_from_latents(server: Server, rgb: Generator, z: np.ndarray):
    with Client(server.url) as client:
        lossy = server.client.get(f"{server.pinned('rgb')}/42.jpg?quality=30&truncation=0.5").content
        assert client.image("rgb", 42, "jpg", truncation=0.5, quality=30) == lossy
        np.testing.assert_array_equal(client.latents("rgb", 42), rgb.noise(np.array([42])))
        np.testing.assert_array_equal(
            client.from_latents("rgb", z, labels=[0, 1, 2], truncation=0.5), rgb.generate_from(z, np.array([0, 1, 2]), 0.5)
        )


@pytest.mark.parametrize("form", ["webp", "gif"])
def test_an_animation_has_a_frame_for_each_vector(server: Server, grey: Generator, form: str):
    z = grey.noise(np.arange(40))
    query = {"model": "grey", "format": form, "scale": "2", "duration": "40"}
    for answer in (
        server.client.post("/v1/latents", json={"model": "grey", "z": z.tolist(), "format": form, "scale": 2, "duration": 40}),
        server.client.post("/v1/latents", params=query, content=npy(z), headers={"Content-Type": "application/x-npy"}),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{form}")
        animation = Image.open(io.BytesIO(answer.content))
        assert animation.n_frames == 40
        for row, expected in enumerate(grey.generate_from(z, None)):
            animation.seek(row)
            frame = np.asarray(animation.convert("L"))
            np.testing.assert_array_equal(frame, expected[:, :, 0].repeat(2, axis=0).repeat(2, axis=1))
            assert animation.info["duration"] == 40


ROW = [0.5] * 8
INVALID: list[tuple[dict[str, Any], int, str, str]] = [
    ({"z": [[1.0]], "labels": 0}, 422, "z", "wrong_shape"),
    ({"z": [[1.0], [1.0, 2.0]], "labels": 0}, 422, "z", "wrong_shape"),
    ({"z": [["1"]], "labels": 0}, 400, "z", "malformed"),
    ({"z": [[True]], "labels": 0}, 400, "z", "malformed"),
    ({"z": [[None]], "labels": 0}, 400, "z", "malformed"),
    ({"z": [], "labels": 0}, 422, "z", "wrong_shape"),
    ({"z": "ok"}, 422, "labels", "missing"),
    ({"z": "ok", "labels": 9}, 422, "labels", "out_of_range"),
    ({"z": "ok", "labels": [0, 1]}, 422, "labels", "wrong_length"),
    ({"z": "ok", "labels": []}, 422, "labels", "wrong_length"),
    ({"z": "ok", "labels": 0, "truncation": 2}, 422, "truncation", "out_of_range"),
    ({"z": "ok", "labels": 0, "format": "csv"}, 422, "format", "wrong_output"),
    ({"z": "ok", "labels": 0, "seeds": "1"}, 400, "seeds", "unknown_field"),
    ({"z": "huge", "labels": 0}, 422, "z", "not_finite"),
    ({"z": "ok", "labels": 0, "scale": 2}, 422, "scale", "out_of_range"),
    ({"z": "ok", "labels": 0, "duration": 80, "format": "zip"}, 422, "duration", "out_of_range"),
    ({"z": "ok", "labels": 0, "duration": 81, "format": "gif"}, 422, "duration", "out_of_range"),
    ({"z": "ok", "labels": 0, "scale": 0, "format": "gif"}, 422, "scale", "out_of_range"),
    ({"z": "ok", "labels": 0, "scale": 10_000, "format": "webp"}, 422, "scale", "out_of_range"),
    ({"z": "many", "labels": 0, "format": "webp"}, 422, "z", "out_of_range"),
]


@pytest.mark.parametrize(("body", "status", "field", "reason"), INVALID)
def test_invalid_requests(server: Server, z: np.ndarray, body: dict[str, Any], status: int, field: str, reason: str):
    values = {"ok": z[:1].tolist(), "huge": [[1e39] * z.shape[1]], "many": [z[0].tolist()] * 257}
    problem = post(server, **({"model": "rgb"} | body | ({"z": values[body["z"]]} if isinstance(body["z"], str) else {})))
    assert (problem.status_code, problem.json()["field"], problem.json()["reason"]) == (status, field, reason)


def test_invalid_npy_bodies(server: Server, z: np.ndarray):
    for content, status, reason in [
        (b"", 400, "malformed"),
        (b"PK\x03\x04", 400, "malformed"),
        (npy(z)[:-1], 422, "wrong_shape"),
        (npy(z)[:-4], 422, "wrong_shape"),
        (npy(z.astype(np.float64)), 422, "wrong_dtype"),
        (npy(z[0]), 422, "wrong_shape"),
        (npy(z[:0]), 422, "wrong_shape"),
        (npy(np.full_like(z, np.nan)), 422, "not_finite"),
        (npy(np.array([object()])), 422, "wrong_dtype"),
    ]:
        query = {"model": "rgb", "labels": "0"}
        answer = server.client.post("/v1/latents", params=query, content=content, headers={"Content-Type": "application/x-npy"})
        assert (answer.status_code, answer.json()["field"], answer.json()["reason"]) == (status, "z", reason), content[:20]
    headers = {"Content-Type": "application/x-npy"}
    assert server.client.post("/v1/latents", content=npy(z), headers=headers).json()["field"] == "model"
    assert server.client.post("/v1/latents?model=rgb&labels=a", content=npy(z), headers=headers).json()["field"] == "labels"
    assert server.client.post("/v1/latents", content=b"z", headers={"Content-Type": "text/plain"}).status_code == 415


HEADS = {
    "'<f4', 'fortran_order': False, 'shape': (-1, -8)}": "wrong_shape",
    "'<f4', 'fortran_order': False, 'shape': (True, 8)}": "wrong_shape",
    f"'<f4', 'fortran_order': False, 'shape': ({10**30}, 0)}}": "wrong_shape",
    f"'<f4', 'fortran_order': False, 'shape': {'-' * 4000}1}}": "malformed",  # too deep for Python's parser
    f"'<f4', 'fortran_order': False, 'shape': {'(' * 300}1}}": "malformed",
    "(), 'fortran_order': False, 'shape': (1, 8)}": "malformed",
    "'<f4', []: 1}": "malformed",
    "'|O', 'fortran_order': False, 'shape': (1, 8)}": "wrong_dtype",  # pickles
    "'>f4', 'fortran_order': False, 'shape': (1, 8)}": "wrong_dtype",
}


def test_hostile_heads_of_npy_bodies(server: Server):
    for rest, reason in HEADS.items():
        head = f"{{'descr': {rest}\n".encode()
        content = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(32)
        query = {"model": "rgb", "labels": "0"}
        answer = server.client.post("/v1/latents", params=query, content=content, headers={"Content-Type": "application/x-npy"})
        assert (answer.status_code, answer.json()["reason"]) == (400 if reason == "malformed" else 422, reason), rest[:60]


def test_an_npy_body_in_fortran_order(server: Server, rgb: Generator, z: np.ndarray):
    query, headers = {"model": "rgb", "labels": "0"}, {"Content-Type": "application/x-npy"}
    answers = [
        server.client.post("/v1/latents", params=query, content=npy(array), headers=headers).content
        for array in (z, np.asfortranarray(z))
    ]
    assert answers[0] == answers[1]
    np.testing.assert_array_equal(np.load(io.BytesIO(answers[0])), rgb.generate_from(z, np.zeros(len(z), np.int64)))


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("latents/042.npy", 400, "seed"),
        ("latents/42.png", 404, "format"),
        ("latents/42.npy?label=1", 400, "label"),
    ],
)
def test_invalid_urls_of_latent_vectors(server: Server, path: str, status: int, field: str):
    problem = server.client.get(f"{base(server, 'rgb')}/{path}")
    assert (problem.status_code, problem.json()["field"]) == (status, field)


@pytest.mark.parametrize("path", ["/v1/sample", "/v1/latents"])
def test_repeated_keys_and_compressed_bodies_are_refused(server: Server, path: str):
    body = b'{"model": "rgb", "seeds": "1", "model": "grey"}'
    problem = server.client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (problem.status_code, problem.json()["field"], problem.json()["reason"]) == (400, "model", "repeated_field")
    nested = b'{"model": {"a": 1, "a": 2}}'
    problem = server.client.post(path, content=nested, headers={"Content-Type": "application/json"})
    assert (problem.status_code, problem.json()["field"]) == (400, "a")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = server.client.post(path, content=b"{}", headers=headers)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
