"""The Open Inference Protocol, version 2: `/v2`, for KServe and the clients of Triton, with its binary tensor extension.

A request has the tensor `seed`, or `z` with latent vectors, and may have `label` and `truncation`. The response has the tensor
`image` or `sample`. The version of a model is the first 12 digits of its digest.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from starlette.responses import Response

from seedmint.models.card import ImageOutput
from seedmint.models.seeds import quoted, seeds_from_list
from seedmint.models.version import __version__
from seedmint.service.api.bulk_latents import check_latents, latent_pieces
from seedmint.service.api.bulk_samples import check_labels
from seedmint.service.api.generation import generate_outputs
from seedmint.service.api.inference_documents import (
    Datatype,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ResponseTensor,
    ServerMetadata,
    TensorMetadata,
)
from seedmint.service.api.inference_tensors import HEADER_LENGTH, flat, read_tensors, split_body
from seedmint.service.api.problem_mapping import CORE_ERRORS, to_problem
from seedmint.service.api.quota import charge
from seedmint.service.api.request_body import max_body_bytes
from seedmint.service.batching.model_repository import ModelRepository, Served
from seedmint.service.problems import MEDIA_TYPE, Problem
from seedmint.service.runtime.arrays import Outputs
from seedmint.service.runtime.generator import Generator
from seedmint.service.runtime.pieces import pieces
from seedmint.service.settings import Settings
from seedmint.service.specs.pictures import PicturePiece
from seedmint.service.specs.values import require_truncation
from seedmint.service.telemetry import metrics
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

PLATFORM = "onnxruntime_onnx"
_MAX_BODY_BYTES = 32 << 20
_MAX_JSON_VALUES = 1 << 20  # numbers of a response without the binary extension
_MAX_OUTPUT_BYTES = 64 << 20


def max_infer_bytes(settings: Settings) -> int:
    """Return the maximum size of a request body in bytes.

    Args:
        settings: The settings of the service.
    """
    return settings.max_body_bytes or _MAX_BODY_BYTES


def server_metadata() -> ServerMetadata:
    """Return the document of `/v2`."""
    return ServerMetadata(name="seedmint", version=__version__, extensions=("binary_tensor_data",))


def model_metadata(generator: Generator) -> ModelMetadata:
    """Return the inputs and outputs of a generator.

    Args:
        generator: The generator.
    """
    card = generator.card
    inputs = [TensorMetadata(name="seed", datatype="INT64", shape=(-1,))]
    inputs.append(TensorMetadata(name="z", datatype="FP32", shape=(-1, card.noise.z_dim)))
    if card.classes is not None:
        inputs.append(TensorMetadata(name="label", datatype="INT64", shape=(-1,)))
    if card.truncation != "none":
        inputs.append(TensorMetadata(name="truncation", datatype="FP32", shape=(1,)))
    datatype: Datatype = "UINT8" if isinstance(card.output, ImageOutput) else "FP32"
    output = TensorMetadata(name=card.output.kind, datatype=datatype, shape=(-1, *card.output.shape))
    return ModelMetadata(
        name=card.name, versions=(generator.digest12,), platform=PLATFORM, inputs=tuple(inputs), outputs=(output,)
    )


async def with_error_member(answer: Callable[[], Awaitable[Response]]) -> Response:
    """Return an answer; for a problem, the problem document with the member `error`, which clients of the protocol read.

    Args:
        answer: Returns the answer.
    """
    try:
        return await answer()
    except CORE_ERRORS as error:
        problem = to_problem(error)
        text = json.dumps(problem.document() | {"error": problem.detail})
        headers = {"Cache-Control": "no-store"} | problem.headers
        return Response(text + "\n", problem.status.value, headers, MEDIA_TYPE)


async def infer(
    repository: ModelRepository,
    settings: Settings,
    reference: tuple[str, str | None],
    header_length: str | None,
    body: bytes,
) -> Response:
    """Answer an inference request.

    Args:
        repository: The generators.
        settings: The settings of the service.
        reference: Name and version of the generator.
        header_length: Value of the header `Inference-Header-Content-Length`; None for a body that is only JSON.
        body: The body of the request.

    Raises:
        Problem: A tensor is invalid, or the quota of the client is exceeded.
        UserError: A value is invalid.
        BatchingError: Too many bulk requests are in flight, or the deadline has passed.
    """
    served = repository.find(*reference)
    generator = served.generator
    call = await asyncio.to_thread(_parse, generator, settings, header_length, body)
    with charge(call.count, call.field):
        context = REQUEST_CONTEXT.get()
        outputs = await generate_outputs(
            served, call.parts, call.truncation, settings.timeout_seconds, context.client, context.is_disconnected
        )
    metrics.count_outputs(generator, "tensor", call.count, context)
    return await asyncio.to_thread(_response, served, call, outputs)


@dataclass(frozen=True, slots=True)
class _Call:
    """A checked inference request."""

    id: str | None
    count: int
    field: str
    parts: list[PicturePiece]
    truncation: float
    is_binary: bool


def _parse(generator: Generator, settings: Settings, header_length: str | None, body: bytes) -> _Call:
    request, binary = split_body(header_length, body, max_body_bytes(settings))
    tensors = read_tensors(request.inputs, binary)
    is_binary = _wants_binary(request, generator.card.output.kind)
    label, truncation = tensors.get("label"), tensors.get("truncation")
    number = 1.0
    if truncation is not None:
        if truncation.size != 1:
            raise Problem(422, "truncation must have one value", "truncation", reason="wrong_shape")
        number = float(str(truncation.reshape(-1)[0]))
    factor = require_truncation(generator, number)
    labels = None if label is None else flat(label, "label").tolist()
    if labels is not None and len(labels) == 1:
        labels = labels[0]
    if ("seed" in tensors) == ("z" in tensors):
        raise Problem(400, "send either the tensor seed or the tensor z", "inputs", reason="missing")
    if "z" in tensors:
        z = tensors["z"].astype(np.float32, copy=False)
        check_latents(generator, z, settings.max_seeds)
        checked = check_labels(generator, len(z), labels, "latent vectors")
        if checked is None and generator.card.classes is not None:
            raise Problem(422, "the generator is conditional: send the tensor label", "label", reason="missing")
        count, parts = len(z), list(latent_pieces(generator, z, checked))
    else:
        seeds = seeds_from_list(flat(tensors["seed"], "seed").tolist(), settings.max_seeds)
        checked = check_labels(generator, seeds.count, labels, "seeds")
        count, parts = seeds.count, [(*piece, None) for piece in pieces(generator, seeds, checked)]
    values = count * generator.output_values
    if not is_binary and values > _MAX_JSON_VALUES:
        raise Problem(413, f"more than {_MAX_JSON_VALUES} numbers as JSON: set binary_data of the output", "outputs")
    if values * np.dtype(generator.card.output.dtype).itemsize > _MAX_OUTPUT_BYTES:
        raise Problem(413, f"the output exceeds {_MAX_OUTPUT_BYTES} bytes: send fewer seeds, or use /v1/sample", "inputs")
    return _Call(request.id, count, "z" if "z" in tensors else "seed", parts, factor, is_binary)


def _wants_binary(request: InferRequest, name: str) -> bool:
    """Return whether the client wants the output as binary data."""
    default = request.parameters.get("binary_data_output") is True
    if not request.outputs:
        return default
    for output in request.outputs:
        if output.name != name:
            raise Problem(400, f"unknown output {quoted(output.name)}: use {name}", "outputs", reason="unknown_tensor")
        if "classification" in output.parameters or "shared_memory_region" in output.parameters:
            raise Problem(400, "classification and shared memory are not supported", "outputs", reason="unsupported")
    return request.outputs[0].parameters.get("binary_data", default) is True


def _json_values(outputs: Outputs) -> list[float | None]:
    """Return outputs as JSON numbers; null after the end of a series."""
    values: list[float | None] = outputs.reshape(-1).tolist()
    if outputs.dtype == np.float32 and np.isnan(outputs).any():
        return [None if value != value else value for value in values]
    return values


def _response(served: Served, call: _Call, outputs: Outputs) -> Response:
    generator = served.generator
    name = generator.card.output.kind
    tensor = ResponseTensor(name=name, datatype="UINT8" if outputs.dtype == np.uint8 else "FP32", shape=outputs.shape)
    binary = b""
    if call.is_binary:
        binary = outputs.tobytes()
        tensor.parameters = {"binary_data_size": len(binary)}
    document = InferResponse(model_name=generator.name, model_version=generator.digest12, id=call.id, outputs=(tensor,))
    content = document.model_dump(exclude_none=True)
    if not call.is_binary:
        content["outputs"][0]["data"] = _json_values(outputs)
    head = json.dumps(content).encode()
    headers = {"Cache-Control": "no-store"}
    if not call.is_binary:
        return Response(head, 200, headers, "application/json")
    return Response(head + binary, 200, headers | {HEADER_LENGTH: str(len(head))}, "application/octet-stream")
