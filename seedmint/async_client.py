"""The asynchronous client of a Seedmint server: the methods of `Client` as coroutines. Needs the extra `client`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from tenacity import AsyncRetrying

from seedmint.api_answers import Json, check_response, next_page, parse_json, parse_npy
from seedmint.api_requests import (
    ATTEMPTS,
    ENDED_STATES,
    POLL_SECONDS,
    TIMEOUT_SECONDS,
    ApiRequest,
    LabelsArgument,
    auth_headers,
    bulk_request,
    check_server_url,
    file_path,
    image_request,
    job_path,
    job_request,
    latents_request,
    model_path,
    retry_options,
    wire_seed,
)
from seedmint.arguments import SeedsLike
from seedmint.models.files import whole_file


class AsyncClient:
    """The methods of `Client` as coroutines. Use as an asynchronous context manager, or await `close`."""

    def __init__(
        self, url: str, api_key: str | None = None, timeout: float = TIMEOUT_SECONDS, attempts: int = ATTEMPTS, **options: Any
    ) -> None:
        """
        Args:
            url: As for `Client`.
            api_key: As for `Client`.
            timeout: As for `Client`.
            attempts: As for `Client`.
            **options: More options of `httpx.AsyncClient`.
        """
        self._http = httpx.AsyncClient(
            base_url=check_server_url(url), headers=auth_headers(api_key), timeout=timeout, follow_redirects=True, **options
        )
        self._attempts = attempts
        self._kinds: dict[str, str] = {}

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def models(self) -> list[Json]:
        """See `Client.models`."""
        models: list[Json] = []
        path: str | None = "/v1/models"
        while path is not None:
            page = await self._json(ApiRequest("GET", path), {"models": list})
            models += page["models"]
            path = next_page(page, self._http.base_url)
        return models

    async def model(self, name: str) -> Json:
        """See `Client.model`."""
        return await self._json(ApiRequest("GET", model_path(name)), {"output.kind": str})

    async def image(
        self,
        model: str,
        seed: int,
        format: str = "png",
        label: int | None = None,
        truncation: float = 1.0,
        scale: int = 1,
        quality: int | None = None,
    ) -> bytes:
        """See `Client.image`."""
        kind = await self._kind(model)
        return (await self._read(image_request(kind, model, seed, format, label, truncation, scale, quality))).content

    async def image_url(
        self,
        model: str,
        seed: int,
        format: str = "png",
        label: int | None = None,
        truncation: float = 1.0,
        scale: int = 1,
        quality: int | None = None,
    ) -> str:
        """See `Client.image_url`."""
        request = image_request(await self._kind(model), model, seed, format, label, truncation, scale, quality)
        return str((await self._read(request.with_method("HEAD"))).url)

    async def images(
        self, model: str, seeds: SeedsLike, labels: LabelsArgument = None, truncation: float = 1.0
    ) -> NDArray[Any]:
        """See `Client.images`."""
        return parse_npy(await self._read(bulk_request(model, seeds, labels, truncation, "npy")))

    async def latents(self, model: str, seed: int) -> NDArray[np.float32]:
        """See `Client.latents`."""
        return parse_npy(await self._read(ApiRequest("GET", f"{model_path(model)}/latents/{wire_seed(seed)}.npy")))

    async def from_latents(
        self, model: str, z: ArrayLike, labels: LabelsArgument = None, truncation: float = 1.0
    ) -> NDArray[Any]:
        """See `Client.from_latents`."""
        return parse_npy(await self._read(latents_request(model, z, labels, truncation, "npy")))

    async def download(
        self, model: str, seeds: SeedsLike, path: str | Path, labels: LabelsArgument = None, truncation: float = 1.0
    ) -> None:
        """See `Client.download`."""
        request = bulk_request(model, seeds, labels, truncation, Path(path).suffix.lower().removeprefix("."))
        await self._download(request, Path(path))

    async def submit_job(
        self,
        model: str | Sequence[str],
        seeds: SeedsLike | None = None,
        labels: int | str | None = None,
        truncation: float = 1.0,
        format: str | None = None,
        shard_size: int | None = None,
        *,
        splits: Mapping[str, SeedsLike] | None = None,
        filter: str | None = None,
    ) -> Json:
        """See `Client.submit_job`."""
        options = {"labels": labels, "format": format, "shard_size": shard_size, "filter": filter}
        return await self._json(job_request(model, seeds, splits, truncation, options), {"id": str})

    async def jobs(self) -> AsyncIterator[Json]:
        """See `Client.jobs`."""
        path: str | None = "/v1/jobs"
        while path is not None:
            page = await self._json(ApiRequest("GET", path), {"jobs": list})
            for job in page["jobs"]:
                yield job
            path = next_page(page, self._http.base_url)

    async def job(self, job: str) -> Json:
        """See `Client.job`."""
        return await self._json(ApiRequest("GET", job_path(job)), {"state": str})

    async def cancel_job(self, job: str) -> Json:
        """See `Client.cancel_job`."""
        return await self._json(ApiRequest("POST", f"{job_path(job)}/cancel"), {"state": str})

    async def remove_job(self, job: str) -> None:
        """See `Client.remove_job`."""
        await self._read(ApiRequest("DELETE", job_path(job)))

    async def job_files(self, job: str) -> AsyncIterator[Json]:
        """See `Client.job_files`."""
        path: str | None = f"{job_path(job)}/files"
        while path is not None:
            page = await self._json(ApiRequest("GET", path), {"files": list})
            for file in page["files"]:
                yield file
            path = next_page(page, self._http.base_url)

    async def wait_for_job(
        self, job: str, on_progress: Callable[[Json], None] | None = None, poll: float = POLL_SECONDS
    ) -> Json:
        """See `Client.wait_for_job`."""
        while True:
            state = await self.job(job)
            if on_progress is not None:
                on_progress(state)
            if state["state"] in ENDED_STATES:
                return state
            await asyncio.sleep(poll)

    async def download_job_file(self, job: str, name: str, path: str | Path) -> None:
        """See `Client.download_job_file`."""
        await self._download(ApiRequest("GET", file_path(job, name)), Path(path))

    async def _kind(self, model: str) -> str:
        if model not in self._kinds:
            self._kinds[model] = str((await self.model(model))["output"]["kind"])
        return self._kinds[model]

    async def _json(self, request: ApiRequest, members: Mapping[str, type]) -> Json:
        return parse_json(await self._read(request), members)

    async def _read(self, request: ApiRequest) -> httpx.Response:
        async for attempt in AsyncRetrying(**retry_options(self._attempts)):
            with attempt:
                async with self._stream(request) as response:
                    await response.aread()
                    return response
        raise AssertionError  # `reraise` ends the loop above

    async def _download(self, request: ApiRequest, path: Path) -> None:
        async for attempt in AsyncRetrying(**retry_options(self._attempts)):
            with attempt:
                async with self._stream(request) as response:
                    with whole_file(path) as file:
                        async for piece in response.aiter_bytes():
                            file.write(piece)

    @asynccontextmanager
    async def _stream(self, request: ApiRequest) -> AsyncIterator[httpx.Response]:
        stream = self._http.stream(request.method, request.path, **request.options)
        async with stream as response:
            if response.is_error:
                await response.aread()
            check_response(response)
            yield response
