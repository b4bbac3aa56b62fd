"""The Open Inference Protocol, with the client of Triton and with plain requests."""

import json

import numpy as np
import pytest
import tritonclient.http as triton

from seedmint.service.runtime.generator import Generator
from tests.support.servers import Server


@pytest.fixture
def client(server: Server):
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as found:
        yield found


def tensor(name: str, values: np.ndarray, binary: bool = True):
    datatype = {"int64": "INT64", "float32": "FP32"}[values.dtype.name]
    found = triton.InferInput(name, list(values.shape), datatype)
    found.set_data_from_numpy(values, binary_data=binary)
    return found


def test_the_health_and_the_metadata(client, rgb: Generator):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.is_model_ready("rgb")
    assert client.is_model_ready("rgb", rgb.digest12)
    assert not client.is_model_ready("none")
    metadata = client.get_model_metadata("rgb", rgb.digest12)
    assert metadata["versions"] == [rgb.digest12]
    assert {each["name"] for each in metadata["inputs"]} == {"seed", "z", "label", "truncation"}
    assert metadata["outputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, *rgb.card.output.shape]}]


@pytest.mark.parametrize("is_binary", [True, False])
@pytest.mark.parametrize("version", ["", "pinned"])
def test_seeds_labels_and_truncation(client, rgb: Generator, is_binary: bool, version: str):
    seeds, labels = np.arange(40, 110), np.arange(70) % 3
    inputs = [tensor("seed", seeds, is_binary), tensor("label", labels[:, None], is_binary)]
    inputs.append(tensor("truncation", np.array([0.7], np.float32), is_binary))
    outputs = [triton.InferRequestedOutput("image", binary_data=is_binary)]
    result = client.infer("rgb", inputs, rgb.digest12 if version else "", outputs, request_id="a-1")
    assert result.get_response()["id"] == "a-1"
    assert result.get_response()["model_version"] == rgb.digest12
    np.testing.assert_array_equal(result.as_numpy("image"), rgb.generate(seeds, labels, 0.7))


def test_default_labels_and_default_outputs(client, rgb: Generator):
    result = client.infer("rgb", [tensor("seed", np.array([5, 42]))])
    np.testing.assert_array_equal(result.as_numpy("image"), rgb.generate(np.array([5, 42])))


def test_latent_vectors(client, rgb: Generator, grey: Generator):
    z = rgb.noise(np.array([1, 2, 3]))
    result = client.infer("rgb", [tensor("z", z), tensor("label", np.array([2]))])
    np.testing.assert_array_equal(result.as_numpy("image"), rgb.generate_from(z, np.array([2, 2, 2])))
    z = grey.noise(np.array([1, 2]))
    np.testing.assert_array_equal(client.infer("grey", [tensor("z", z)]).as_numpy("image"), grey.generate_from(z, None))


def test_samples(sample_server: Server, point: Generator):
    with triton.InferenceServerClient(sample_server.url.removeprefix("http://")) as client:
        assert client.get_model_metadata("point")["outputs"][0]["datatype"] == "FP32"
        result = client.infer("point", [tensor("seed", np.array([9]))])
    np.testing.assert_array_equal(result.as_numpy("sample"), point.generate(np.array([9])))


def test_the_client_shows_errors(client):
    with pytest.raises(triton.InferenceServerException) as raised:
        client.infer("none", [tensor("seed", np.array([1]))])
    assert raised.value.status() == "404"
    with pytest.raises(triton.InferenceServerException) as raised:
        client.infer("rgb", [tensor("seed", np.array([1])), tensor("label", np.array([7]))])
    assert raised.value.status() == "422"
    assert "decoding" not in raised.value.message()


SEED = {"name": "seed", "datatype": "INT64", "shape": [1], "data": [1]}
INVALID = [
    ({"inputs": []}, 400, "inputs"),
    ({"inputs": [SEED | {"name": "noise"}]}, 400, "inputs"),
    ({"inputs": [SEED, SEED]}, 400, "seed"),
    ({"inputs": [SEED | {"datatype": "FP32"}]}, 400, "seed"),
    ({"inputs": [SEED | {"shape": [2]}]}, 400, "seed"),
    ({"inputs": [SEED | {"data": [0.5]}]}, 400, "seed"),
    ({"inputs": [SEED | {"data": ["1"]}]}, 400, "seed"),
    ({"inputs": [SEED | {"data": [True, 2], "shape": [2]}]}, 400, "seed"),
    ({"inputs": [SEED | {"data": [[True], [2]], "shape": [2, 1]}]}, 400, "seed"),
    ({"inputs": [SEED | {"data": [], "shape": [10**30, 0]}]}, 400, None),
    ({"inputs": [SEED | {"data": [], "shape": [2**20] * 4 + [0]}]}, 400, "seed"),
    ({"inputs": [SEED | {"datatype": "FP64"}]}, 400, "seed"),
    ({"inputs": [SEED | {"data": [2**63]}]}, 400, "seed"),
    ({"inputs": [SEED | {"data": [[1], [1, 2]], "shape": [2]}]}, 400, "seed"),
    ({"inputs": [SEED | {"data": [-1]}]}, 422, None),
    ({"inputs": [SEED | {"data": None}]}, 400, "seed"),
    ({"inputs": [SEED | {"shape": [1, 1, 1]}]}, 422, "seed"),
    ({"inputs": [SEED | {"parameters": {"binary_data_size": 8}}]}, 400, "seed"),
    ({"inputs": [{"name": "label", "datatype": "INT64", "shape": [1], "data": [1]}]}, 400, "inputs"),
    ({"inputs": [SEED], "outputs": [{"name": "sound"}]}, 400, "outputs"),
    ({"inputs": [SEED], "more": 1}, 400, "more"),
    ({"inputs": [SEED | {"shape": [3000], "data": [1] * 3000}], "parameters": {}}, 413, "outputs"),
]


@pytest.mark.parametrize(("body", "status", "field"), INVALID)
def test_invalid_requests(server: Server, body, status: int, field: str | None):
    answer = server.client.post("/v2/models/rgb/infer", json=body)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert field in (None, problem["field"])
    assert problem["error"] == problem["detail"]


@pytest.mark.parametrize("length", ["0", "9999", "-1", "x", "1" * 30, "0" * 19 + "1" * 4500])
def test_an_invalid_length_of_the_document(server: Server, length: str):
    headers = {"Inference-Header-Content-Length": length}
    assert server.client.post("/v2/models/rgb/infer", json={"inputs": [SEED]}, headers=headers).status_code == 400


@pytest.mark.parametrize("size", [7, 16, 0, -8, 10**30, 8.0, "8", True, None])
def test_a_wrong_size_of_binary_data(server: Server, size: object):
    tensor = {"name": "seed", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": size}}
    content = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(content))}
    answer = server.client.post("/v2/models/rgb/infer", content=content + bytes(8), headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, "seed")


def test_bytes_after_the_last_tensor_are_refused(server: Server):
    content = b'{"inputs": [{"name": "seed", "datatype": "INT64", "shape": [1], "data": [1]}]}'
    headers = {"Inference-Header-Content-Length": str(len(content))}
    answer = server.client.post("/v2/models/rgb/infer", content=content + b"1234", headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, "body")
