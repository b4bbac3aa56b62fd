"""Requests of the HTTP API as data, and its errors: what `Client` and `AsyncClient` share."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from seedmint.models.errors import UserError

JobSeeds = int | range | str | Iterable[int] | NDArray[np.int64]
WireLabels = int | Sequence[int] | NDArray[np.int64] | None

TIMEOUT_SECONDS = 60.0
ATTEMPTS = 6
POLL_SECONDS = 1.0
ENDED_STATES = frozenset({"done", "failed", "cancelled"})

Json = dict[str, Any]

_TEMPORARY = frozenset({429, 503})
_MAX_WAIT_SECONDS = 30.0
_backoff = wait_random_exponential(multiplier=0.2, max=_MAX_WAIT_SECONDS)


class ApiError(Exception):
    """An error response of the server (RFC 9457).

    Attributes:
        status: HTTP status.
        detail: One line for people.
        field: The parameter that is wrong; None where no single parameter is wrong.
        reason: A stable code.
        retry_after: Seconds to wait before the next attempt; None where the server names none.
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
    def of(cls, response: httpx.Response) -> "ApiError":
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
    """One request.

    Attributes:
        method: HTTP method.
        path: Path below the URL of the server.
        params: Query parameters.
        body: JSON body; None for no body.
    """

    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] | None = None

    def with_method(self, method: str) -> "ApiRequest":
        """Return the same request with another method."""
        return replace(self, method=method)


def image_request(kind: str, model: str, seed: int, form: str, label: int | None, truncation: float, scale: int) -> ApiRequest:
    """Build the request of one image, or of one sample. Parameters with their default value are left out.

    Args:
        kind: "image" or "sample": the output of the generator.
        model: A name, or NAME@DIGEST12.
        seed: Seed.
        form: Format of the file.
        label: Class number, or None.
        truncation: Factor on z.
        scale: Factor of the enlargement.
    """
    params: dict[str, Any] = {}
    if label is not None:
        params["label"] = label
    if truncation != 1.0:
        params["truncation"] = truncation
    if scale != 1:
        params["scale"] = scale
    return ApiRequest("GET", f"/v1/models/{model}/{kind}s/{seed}.{form}", params)


def bulk_request(model: str, seeds: JobSeeds, labels: WireLabels, truncation: float, form: str) -> ApiRequest:
    """Build the request of many images or samples.

    Args:
        model: A name, or NAME@DIGEST12.
        seeds: Seeds.
        labels: One class number, one for each seed, or None.
        truncation: Factor on z.
        form: Format of the response.
    """
    body = {"model": model, "seeds": wire_seeds(seeds), "truncation": truncation, "format": form}
    if labels is not None:
        body["labels"] = int(labels) if isinstance(labels, int | np.integer) else [int(label) for label in labels]
    return ApiRequest("POST", "/v1/sample", body=body)


def job_request(
    model: str, seeds: JobSeeds, labels: int | str | None, truncation: float, form: str | None, shard_size: int | None
) -> ApiRequest:
    """Build the request of a batch job. Options that are None are left to the server.

    Args:
        model: A name, or NAME@DIGEST12.
        seeds: Seeds.
        labels: One class number, "balanced", "per-seed", or None.
        truncation: Factor on z.
        form: Format of the shards.
        shard_size: Seeds in a shard.
    """
    body: dict[str, Any] = {"model": model, "seeds": wire_seeds(seeds), "truncation": truncation}
    options = {"labels": labels, "format": form, "shard_size": shard_size}
    return ApiRequest("POST", "/v1/jobs", body=body | {name: value for name, value in options.items() if value is not None})


def wire_seeds(seeds: JobSeeds) -> str | list[int]:
    """Return seeds as a JSON body has them: a text of ranges, or a list.

    Args:
        seeds: A seed, a range, a text such as "0-63,100", or any iterable or array of seeds.

    Raises:
        UserError: There is no seed.
    """
    if isinstance(seeds, str):
        return seeds
    if isinstance(seeds, int | np.integer):
        return [int(seeds)]
    if isinstance(seeds, range) and seeds.step == 1 and len(seeds) > 1:
        return f"{seeds[0]}-{seeds[-1]}"
    values = [int(seed) for seed in seeds]
    if not values:
        raise UserError("there is no seed", field="seeds", reason="empty")
    return values


def array_of(content: bytes) -> NDArray[Any]:
    """Return the array of an npy file.

    Args:
        content: Bytes of the file. Pickled objects are refused.
    """
    array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def is_temporary(error: BaseException) -> bool:
    """Whether the same request can succeed later: the server is busy or restarts, or the connection broke."""
    return isinstance(error, httpx.TransportError) or (isinstance(error, ApiError) and error.status in _TEMPORARY)


def wait_seconds(state: RetryCallState) -> float:
    """Return the seconds before the next attempt: those of `Retry-After`, or a random exponential time."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ApiError) and error.retry_after is not None:
        return min(error.retry_after, _MAX_WAIT_SECONDS)
    return _backoff(state)


def retry_options(attempts: int) -> dict[str, Any]:
    """Return the options of tenacity for a request.

    Args:
        attempts: Number of times that a request is sent at most.
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
