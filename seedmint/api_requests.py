"""Requests of the HTTP API, and their retries. `Client` and `AsyncClient` share them."""

import io
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from seedmint.api_answers import ApiError
from seedmint.arguments import SeedsLike, seed_array, seeds_text, split_texts
from seedmint.models.errors import UserError

LabelsArgument = int | Sequence[int] | NDArray[np.int64] | None

TIMEOUT_SECONDS = 60.0
ATTEMPTS = 6
POLL_SECONDS = 1.0
ENDED_STATES = frozenset({"done", "failed", "cancelled"})

_TEMPORARY_STATUSES = frozenset({429, 503})
_LONGEST_WAIT_SECONDS = 300.0  # after which a client does not repeat a request
_PERMANENT_ERRORS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
_backoff = wait_random_exponential(multiplier=0.2, max=30.0)


@dataclass(frozen=True)
class ApiRequest:
    """A request of the HTTP API.

    Attributes:
        method: HTTP method.
        path: Path below the URL of the server.
        params: Query parameters.
        body: JSON body; None for no body.
        content: Body as an npy file; None for no such body.
    """

    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    content: bytes | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Options of httpx for the query and the body."""
        options: dict[str, Any] = {"params": self.params or None, "json": self.body}
        if self.content is not None:
            options |= {"content": self.content, "headers": {"Content-Type": "application/x-npy"}}
        return options

    def with_method(self, method: str) -> "ApiRequest":
        """Return the same request with another method."""
        return replace(self, method=method)


def image_request(
    kind: str,
    model: str,
    seed: int,
    file_format: str,
    label: int | None,
    truncation: float,
    scale: int,
    quality: int | None = None,
) -> ApiRequest:
    """Build the request of one image, or of one sample. Parameters with their default value are left out.

    Args:
        kind: What the generator makes: "image" or "sample".
        model: Name of the generator, or NAME@ and the first 12 digits of the SHA-256.
        seed: Seed.
        file_format: Format of the file.
        label: Class number; None for the label that the seed determines.
        truncation: Factor by which z is multiplied.
        scale: Factor by which the image is enlarged.
        quality: Quality of a lossy file; None for the default of the format.
    """
    params: dict[str, Any] = {}
    if label is not None:
        params["label"] = label
    if quality is not None:
        params["quality"] = quality
    if scale != 1:
        params["scale"] = scale
    if truncation != 1.0:
        params["truncation"] = truncation
    return ApiRequest("GET", f"{model_path(model)}/{kind}s/{wire_seed(seed)}.{file_format}", params)


def model_path(model: str) -> str:
    """Return the path of a generator.

    Args:
        model: Name of the generator, or NAME@ and the first 12 digits of the SHA-256.
    """
    return f"/v1/models/{_segment(model, 'model')}"


def job_path(job: str) -> str:
    """Return the path of a job.

    Args:
        job: Id of the job.
    """
    return f"/v1/jobs/{_segment(job, 'job')}"


def file_path(job: str, name: str) -> str:
    """Return the path of a file of a job.

    Args:
        job: Id of the job.
        name: Name of the file in the manifest.
    """
    return f"{job_path(job)}/files/{'/'.join(_segment(part, 'name') for part in name.split('/'))}"


def _segment(text: str, field: str) -> str:
    """Return a text as one segment of a path. It must not name another resource."""
    if text in ("", ".", ".."):
        raise UserError(f"{text!r} is no name", field=field, reason="malformed")
    return quote(text, safe="@")


def bulk_request(model: str, seeds: SeedsLike, labels: LabelsArgument, truncation: float, file_format: str) -> ApiRequest:
    """Build the request of many images or samples.

    Args:
        model: Name of the generator, or NAME@ and the first 12 digits of the SHA-256.
        seeds: Seeds.
        labels: One class number, or one for each seed; None for the labels that the seeds determine.
        truncation: Factor by which z is multiplied.
        file_format: Format of the response.
    """
    body = {"model": model, "seeds": wire_seeds(seeds), "truncation": float(truncation), "format": file_format}
    if labels is not None:
        body["labels"] = wire_labels(labels)
    return ApiRequest("POST", "/v1/sample", body=body)


def latents_request(model: str, z: ArrayLike, labels: LabelsArgument, truncation: float, file_format: str) -> ApiRequest:
    """Build the request of the images or samples of latent vectors.

    Args:
        model: Name of the generator, or NAME@ and the first 12 digits of the SHA-256.
        z: float32[n, z_dim] or float32[z_dim].
        labels: One class number, or one for each vector; None for an unconditional generator.
        truncation: Factor by which z is multiplied.
        file_format: Format of the response.
    """
    buffer = io.BytesIO()
    np.save(buffer, np.atleast_2d(np.asarray(z, np.float32)), allow_pickle=False)
    params: dict[str, Any] = {"format": file_format, "model": model, "truncation": format_decimal(truncation)}
    if labels is not None:
        numbers = wire_labels(labels)
        params["labels"] = str(numbers) if isinstance(numbers, int) else ",".join(map(str, numbers))
    return ApiRequest("POST", "/v1/latents", params, content=buffer.getvalue())


def format_decimal(value: float) -> str:
    """Return a number as text without an exponent.

    Args:
        value: The number.
    """
    return np.format_float_positional(value, trim="-")


def job_request(
    model: str | Sequence[str],
    seeds: SeedsLike | None,
    splits: Mapping[str, SeedsLike] | None,
    truncation: float,
    options: Mapping[str, Any],
) -> ApiRequest:
    """Build the request of a batch job. The server chooses the options that are None.

    Args:
        model: Name of the generator, or NAME@ and the first 12 digits of the SHA-256. A list of several generators.
        seeds: Seeds; None with splits.
        splits: Seeds of each split, by its name.
        truncation: Factor by which z is multiplied.
        options: Other fields of the request, by name.

    Raises:
        UserError: A seed is invalid.
    """
    named = {"model": model} if isinstance(model, str) else {"models": list(model)}
    numbers = {name: int(value) if isinstance(value, np.integer) else value for name, value in options.items()}
    body: dict[str, Any] = {**named, "truncation": float(truncation), **numbers}
    body["seeds"] = None if seeds is None else wire_seeds(seeds)
    body["splits"] = None if splits is None else split_texts(splits)
    return ApiRequest("POST", "/v1/jobs", body={name: value for name, value in body.items() if value is not None})


def wire_seeds(seeds: SeedsLike) -> str | list[int]:
    """Convert seeds for the JSON body: a text of ranges such as "0-63,100", or a list.

    Args:
        seeds: A seed, a range, a text such as "0-63,100", or any iterable or array of seeds.

    Raises:
        UserError: A seed is not a whole number in 0 <= seed < 2**63, or there is no seed.
    """
    if isinstance(seeds, str | range):
        return seeds_text(seeds)
    values: list[int] = seed_array(seeds).tolist()
    return values


def wire_seed(seed: int) -> int:
    """Return one seed, for a path.

    Args:
        seed: The seed.

    Raises:
        UserError: The seed is not a whole number in 0 <= seed < 2**63.
    """
    if not isinstance(seed, int | np.integer):
        raise UserError(f"{seed!r:.40} is not a whole number", field="seed", reason="malformed_seeds")
    return int(seed_array(seed)[0])


def wire_labels(labels: int | Sequence[int] | NDArray[np.int64]) -> int | list[int]:
    """Convert labels for the JSON body.

    Args:
        labels: One class number, or one for each seed.

    Raises:
        UserError: A label is not a whole number.
    """
    try:
        return operator.index(labels) if np.ndim(labels) == 0 else [operator.index(label) for label in labels]  # type: ignore[arg-type, union-attr]
    except (TypeError, ValueError):
        raise UserError(
            f"{labels!r:.40} is neither a class number nor a list of class numbers", field="labels", reason="malformed"
        ) from None


def check_server_url(url: str) -> str:
    """Return the URL of a server.

    Args:
        url: The URL.

    Raises:
        UserError: It is no URL of HTTP.
    """
    try:
        parts = httpx.URL(url)
        is_server = parts.scheme in ("http", "https") and bool(parts.host)
    except (httpx.InvalidURL, TypeError):
        is_server = False
    if not is_server:
        raise UserError(
            f"{url!r} is no URL of a server: use one such as http://localhost:3000", field="url", reason="malformed"
        )
    return url


def is_temporary(error: BaseException) -> bool:
    """Return whether the same request can succeed later.

    Args:
        error: The error of a request. Connection errors and the statuses 429 and 503 are temporary, unless the server names a
            time of more than five minutes.
    """
    if isinstance(error, ApiError):
        return error.status in _TEMPORARY_STATUSES and (error.retry_after or 0) <= _LONGEST_WAIT_SECONDS
    return isinstance(error, httpx.TransportError) and not isinstance(error, _PERMANENT_ERRORS)


def wait_seconds(state: RetryCallState) -> float:
    """Return the seconds before the next attempt: from `Retry-After`, or a random time with exponential backoff.

    Args:
        state: State of the retries, from tenacity.
    """
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ApiError) and error.retry_after is not None:
        return error.retry_after
    return _backoff(state)


def retry_options(attempts: int) -> dict[str, Any]:
    """Return the options of tenacity for a request.

    Args:
        attempts: Maximum number of times that a request is sent.
    """
    return {
        "retry": retry_if_exception(is_temporary),
        "wait": wait_seconds,
        "stop": stop_after_attempt(attempts),
        "reraise": True,
    }


def auth_headers(api_key: str | None) -> dict[str, str]:
    """Return the headers that carry an API key.

    Args:
        api_key: The key; None for no key.
    """
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
