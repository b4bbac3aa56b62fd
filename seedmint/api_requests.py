"""Requests and errors of the HTTP API. `Client` and `AsyncClient` share them."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from seedmint.models.errors import UserError

SeedsArgument = int | range | str | Iterable[int] | NDArray[np.int64]
LabelsArgument = int | Sequence[int] | NDArray[np.int64] | None

TIMEOUT_SECONDS = 60.0
ATTEMPTS = 6
POLL_SECONDS = 1.0
ENDED_STATES = frozenset({"done", "failed", "cancelled"})

Json = dict[str, Any]

_TEMPORARY_STATUSES = frozenset({429, 503})
_MAX_WAIT_SECONDS = 30.0
_backoff = wait_random_exponential(multiplier=0.2, max=_MAX_WAIT_SECONDS)


class ApiError(Exception):
    """An error response of the server (RFC 9457).

    Attributes:
        status: HTTP status.
        detail: One line for people; its text can change.
        field: The parameter that is wrong; None if no single parameter is wrong.
        reason: Code of the error for programs; it never changes.
        retry_after: Seconds to wait before the next attempt; None if the server names no time.
    """

    def __init__(
        self, status: int, detail: str, field: str | None = None, reason: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{status}: {detail}" if field is None else f"{status}: {field}: {detail}")
        self.status = status
        self.detail = detail
        self.field = field
        self.reason = reason
        self.retry_after = retry_after

    @classmethod
    def from_response(cls, response: httpx.Response) -> "ApiError":
        """Make the error of a response.

        Args:
            response: A response of status 400 or more, whose body was read.
        """
        after = response.headers.get("retry-after", "")
        retry_after = float(after) if after.isdecimal() else None
        try:
            problem = response.json()
            detail = str(problem["detail"])
        except (ValueError, KeyError, TypeError):  # a proxy's own error page
            return cls(response.status_code, response.reason_phrase or "an error", retry_after=retry_after)
        return cls(response.status_code, detail, problem.get("field"), problem.get("reason"), retry_after)


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
    return ApiRequest("GET", f"/v1/models/{model}/{kind}s/{seed}.{file_format}", params)


def bulk_request(model: str, seeds: SeedsArgument, labels: LabelsArgument, truncation: float, file_format: str) -> ApiRequest:
    """Build the request of many images or samples.

    Args:
        model: Name of the generator, or NAME@ and the first 12 digits of the SHA-256.
        seeds: Seeds.
        labels: One class number, or one for each seed; None for the labels that the seeds determine.
        truncation: Factor by which z is multiplied.
        file_format: Format of the response.
    """
    body = {"model": model, "seeds": wire_seeds(seeds), "truncation": truncation, "format": file_format}
    if labels is not None:
        body["labels"] = int(labels) if isinstance(labels, int | np.integer) else [int(label) for label in labels]
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
        params["labels"] = ",".join(str(int(label)) for label in np.atleast_1d(np.asarray(labels)))
    return ApiRequest("POST", "/v1/latents", params, content=buffer.getvalue())


def format_decimal(value: float) -> str:
    """Return a number as text without an exponent.

    Args:
        value: The number.
    """
    return np.format_float_positional(value, trim="-")


def job_request(
    model: str | Sequence[str],
    seeds: SeedsArgument | None,
    splits: Mapping[str, SeedsArgument] | None,
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
    """
    named = {"model": model} if isinstance(model, str) else {"models": list(model)}
    body: dict[str, Any] = {**named, "truncation": truncation, **options}
    body["seeds"] = None if seeds is None else wire_seeds(seeds)
    body["splits"] = None if splits is None else {name: _seeds_text(part) for name, part in splits.items()}
    return ApiRequest("POST", "/v1/jobs", body={name: value for name, value in body.items() if value is not None})


def _seeds_text(seeds: SeedsArgument) -> str:
    wired = wire_seeds(seeds)
    return wired if isinstance(wired, str) else ",".join(map(str, wired))


def wire_seeds(seeds: SeedsArgument) -> str | list[int]:
    """Convert seeds for the JSON body: a text of ranges such as "0-63,100", or a list.

    Args:
        seeds: A seed, a range, a text such as "0-63,100", or any iterable or array of seeds.

    Raises:
        UserError: An iterable is empty.
    """
    if isinstance(seeds, str):
        return seeds
    if isinstance(seeds, int | np.integer):
        return [int(seeds)]
    if isinstance(seeds, range) and seeds.step == 1 and len(seeds) > 1:
        return f"{seeds[0]}-{seeds[-1]}"
    values = [int(seed) for seed in seeds]
    if not values:
        raise UserError("give at least one seed", field="seeds", reason="empty")
    return values


def parse_npy(content: bytes) -> NDArray[Any]:
    """Return the array of an npy file.

    Args:
        content: Bytes of the file, without pickled objects.

    Raises:
        ValueError: The file contains pickled objects, or is not an npy file.
    """
    array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def is_temporary(error: BaseException) -> bool:
    """Return whether the same request can succeed later.

    Args:
        error: The error of a request. Connection errors and the statuses 429 and 503 are temporary.
    """
    return isinstance(error, httpx.TransportError) or (isinstance(error, ApiError) and error.status in _TEMPORARY_STATUSES)


def wait_seconds(state: RetryCallState) -> float:
    """Return the seconds before the next attempt: from `Retry-After`, or a random time with exponential backoff.

    Args:
        state: State of the retries, from tenacity.
    """
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ApiError) and error.retry_after is not None:
        return min(error.retry_after, _MAX_WAIT_SECONDS)
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
