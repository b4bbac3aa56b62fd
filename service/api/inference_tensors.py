"""Reads the input tensors of the Open Inference Protocol, from JSON or from the binary tensor extension."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.seeds import quoted
from seedmint.service.api.inference_documents import InferInput, InferRequest
from seedmint.service.api.request_body import parse_body
from seedmint.service.problems import Problem

HEADER_LENGTH = "Inference-Header-Content-Length"
_MAX_DIGITS = 20  # of the value; `int` fails for thousands of digits
_DTYPES = {"INT64": "<i8", "FP32": "<f4"}


def split_body(header_length: str | None, body: bytes, max_json: int) -> tuple[InferRequest, memoryview]:
    """Return the JSON document of a body, and the binary data after the document.

    Args:
        header_length: Value of the header `Inference-Header-Content-Length`; None for a body that is only JSON.
        body: The body.
        max_json: Maximum size of the document in bytes.

    Raises:
        Problem: The document is malformed or too large.
    """
    length = len(body)
    if header_length is not None:
        is_number = header_length.isascii() and header_length.isdecimal() and len(header_length) <= _MAX_DIGITS
        length = int(header_length) if is_number else 0
        if not 0 < length <= len(body):
            raise Problem(400, "the length of the JSON document is not within the body", HEADER_LENGTH)
    if length > max_json:
        raise Problem(413, f"the JSON document may have {max_json} bytes: send binary tensors", "body")
    return parse_body(InferRequest, body[:length]), memoryview(body)[length:]


def read_tensors(inputs: list[InferInput], binary: memoryview) -> dict[str, NDArray[Any]]:
    """Return the input tensors by name.

    Args:
        inputs: The tensors in the document.
        binary: The binary data after the document.

    Raises:
        Problem: A tensor is unknown, repeated or malformed.
    """
    types = {"seed": "INT64", "label": "INT64", "truncation": "FP32", "z": "FP32"}
    tensors: dict[str, NDArray[Any]] = {}
    for tensor in inputs:
        name = tensor.name
        if name not in types:
            raise Problem(400, f"unknown tensor {quoted(name)}: use {', '.join(types)}", "inputs", reason="unknown_tensor")
        if name in tensors:
            raise Problem(400, f"the tensor {name} is repeated", name, reason="repeated_tensor")
        if tensor.datatype != types[name]:
            raise Problem(400, f"{quoted(tensor.datatype)} is not the type of {name}: use {types[name]}", name)
        dtype = np.dtype(_DTYPES[types[name]])
        size = tensor.parameters.get("binary_data_size")
        if size is not None:
            if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(binary) or size % dtype.itemsize:
                raise Problem(400, "binary_data_size is not within the body", name)
            values: NDArray[Any] = np.frombuffer(binary[:size], dtype)
            binary = binary[size:]
        else:
            values = _numbers(tensor, name, dtype)
        if values.size != math.prod(tensor.shape) or 0 in tensor.shape:
            raise Problem(400, f"{values.size} values for the shape {tensor.shape}", name, reason="wrong_shape")
        tensors[name] = values.reshape(tensor.shape)
    if len(binary):
        raise Problem(400, f"{len(binary)} bytes after the last tensor", "body")
    return tensors


def _numbers(tensor: InferInput, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the numbers of `data`, flat."""
    if tensor.data is None:
        raise Problem(400, "a tensor needs data or binary_data_size", name, reason="missing")
    if _has_boolean(tensor.data):  # numpy takes them for 0 and 1 among numbers
        raise Problem(400, f"data has values that are not of the type {tensor.datatype}", name)
    try:
        values = np.array(tensor.data)
    except ValueError:  # lists of different lengths
        raise Problem(400, "data is not a tensor", name, reason="wrong_shape") from None
    allowed = "iu" if dtype.kind == "i" else "iuf"
    if values.size and (values.dtype.kind not in allowed or (values.dtype == np.uint64 and dtype.kind == "i")):
        raise Problem(400, f"data has values that are not of the type {tensor.datatype}", name)
    with np.errstate(over="ignore"):  # infinite values are refused later
        return values.astype(dtype).reshape(-1)


def _has_boolean(data: list[Any]) -> bool:
    """Return whether a list, or a list in it, has a boolean."""
    types = set(map(type, data))
    return bool in types or (list in types and any(_has_boolean(part) for part in data if isinstance(part, list)))


def flat(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return a tensor of shape [n] or [n, 1] as [n].

    Args:
        values: The tensor.
        name: Its name, for the problem.

    Raises:
        Problem: The tensor has another shape.
    """
    if values.ndim > 2 or (values.ndim == 2 and values.shape[1] != 1):
        raise Problem(422, f"the shape is {list(values.shape)}, not [n] or [n, 1]", name, reason="wrong_shape")
    return values.reshape(-1)
