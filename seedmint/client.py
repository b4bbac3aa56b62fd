"""The client of a Seedmint server. Needs the extra `client`.

Every request can be repeated: images are immutable, and a repeated job request returns the existing job. The client repeats
a request that the server refused with 429 or 503, or whose connection broke, after the seconds that `Retry-After` names.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from tenacity import Retrying

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


class Client:
    """A client of one server. Safe to use from several threads. Use as a context manager, or call `close`."""

    def __init__(
        self, url: str, api_key: str | None = None, timeout: float = TIMEOUT_SECONDS, attempts: int = ATTEMPTS, **options: Any
    ) -> None:
        """
        Args:
            url: URL of the server, such as "http://localhost:3000".
            api_key: API key, where the server needs one.
            timeout: Seconds to wait for a connection, or for the next part of a response.
            attempts: Number of times that a request is sent at most.
            **options: More options of `httpx.Client`, such as `transport` or `proxy`.
        """
        self._http = httpx.Client(
            base_url=check_server_url(url), headers=auth_headers(api_key), timeout=timeout, follow_redirects=True, **options
        )
        self._attempts = attempts
        self._kinds: dict[str, str] = {}

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def models(self) -> list[Json]:
        """Return the generators that the server serves: name, digest, classes, output, URLs."""
        models: list[Json] = []
        path: str | None = "/v1/models"
        while path is not None:
            page = self._json(ApiRequest("GET", path), {"models": list})
            models += page["models"]
            path = next_page(page, self._http.base_url)
        return models

    def model(self, name: str) -> Json:
        """Return one generator with its whole card.

        Args:
            name: A name, or NAME@DIGEST12 for one version.

        Raises:
            ApiError: There is no such generator (404), or another error of the server.
        """
        return self._json(ApiRequest("GET", model_path(name)), {"output.kind": str})

    def image(
        self,
        model: str,
        seed: int,
        format: str = "png",
        label: int | None = None,
        truncation: float = 1.0,
        scale: int = 1,
        quality: int | None = None,
    ) -> bytes:
        """Return one image, or one sample of a generator of samples, as a file.

        Args:
            model: A name, or NAME@DIGEST12 for one version.
            seed: 0 <= seed < 2**63.
            format: "png", "webp", "jpg", "avif" or "npy"; of a sample "json", "csv", "npy" or "png",
                and of a string also "txt".
            label: Class number; None for the label that the seed determines.
            truncation: Factor on z, 0.001 to 1.
            scale: Factor of the nearest-neighbor enlargement of an image.
            quality: 1 to 100, of "webp", "jpg" and "avif"; None for the default of the format.

        Raises:
            ApiError: An error of the server.
        """
        return self._read(image_request(self._kind(model), model, seed, format, label, truncation, scale, quality)).content

    def image_url(
        self,
        model: str,
        seed: int,
        format: str = "png",
        label: int | None = None,
        truncation: float = 1.0,
        scale: int = 1,
        quality: int | None = None,
    ) -> str:
        """Return the immutable URL of one image: it names the version of the generator.

        Args:
            model: As for `image`.
            seed: As for `image`.
            format: As for `image`.
            label: As for `image`.
            truncation: As for `image`.
            scale: As for `image`.
            quality: As for `image`.

        Raises:
            ApiError: An error of the server.
        """
        request = image_request(self._kind(model), model, seed, format, label, truncation, scale, quality)
        return str(self._read(request.with_method("HEAD")).url)

    def images(self, model: str, seeds: SeedsLike, labels: LabelsArgument = None, truncation: float = 1.0) -> NDArray[Any]:
        """Return the images or samples of many seeds.

        Args:
            model: A name, or NAME@DIGEST12 for one version.
            seeds: A seed, a range, a text such as "0-63,100", or any iterable or array of seeds.
            labels: One class number for all seeds, or one for each; None for the labels that the seeds determine.
            truncation: Factor on z, 0.001 to 1.

        Returns:
            uint8[n, height, width, channels], or float32[n, ...] of a generator of samples.

        Raises:
            ApiError: An error of the server; 413 where the seeds are more than its limit.
        """
        return parse_npy(self._read(bulk_request(model, seeds, labels, truncation, "npy")))

    def latents(self, model: str, seed: int) -> NDArray[np.float32]:
        """Return the latent vector of a seed, before truncation.

        Args:
            model: A name, or NAME@DIGEST12 for one version.
            seed: 0 <= seed < 2**63.

        Returns:
            float32[1, z_dim].

        Raises:
            ApiError: An error of the server.
        """
        return parse_npy(self._read(ApiRequest("GET", f"{model_path(model)}/latents/{wire_seed(seed)}.npy")))

    def from_latents(self, model: str, z: ArrayLike, labels: LabelsArgument = None, truncation: float = 1.0) -> NDArray[Any]:
        """Return the images or samples of latent vectors.

        Args:
            model: A name, or NAME@DIGEST12 for one version.
            z: float32[n, z_dim] or float32[z_dim], before truncation.
            labels: One class number for all vectors, or one for each; None for an unconditional generator.
            truncation: Factor on z, 0.001 to 1.

        Returns:
            uint8[n, height, width, channels], or float32[n, ...] of a generator of samples.

        Raises:
            ApiError: An error of the server.
        """
        return parse_npy(self._read(latents_request(model, z, labels, truncation, "npy")))

    def download(
        self, model: str, seeds: SeedsLike, path: str | Path, labels: LabelsArgument = None, truncation: float = 1.0
    ) -> None:
        """Write the images or samples of many seeds to a file. The file appears when it is complete.

        Args:
            model: As for `images`.
            seeds: As for `images`.
            path: File to write. Its extension selects the format: zip, npz or npy; of samples npz, npy, csv or jsonl;
                of strings also txt.
            labels: As for `images`.
            truncation: As for `images`.

        Raises:
            ApiError: An error of the server.
            OSError: The file cannot be written.
        """
        self._download(bulk_request(model, seeds, labels, truncation, Path(path).suffix.lower().removeprefix(".")), Path(path))

    def submit_job(
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
        """Submit a batch job, or return the job of the same request.

        Args:
            model: A name, or NAME@DIGEST12 for one version. A list of several: each makes all seeds.
            seeds: As for `images`; no seed twice.
            labels: One class number or name for all, "balanced", "per-seed", or weights such as "3:1000,7:500";
                None is "per-seed".
            truncation: Factor on z, 0.001 to 1.
            format: Format of the shards; None for the default of the server.
            shard_size: Seeds in a shard; None for the default of the server.
            splits: Name -> seeds of each split, in place of `seeds`.
            filter: Rule of the images to keep, such as "margin > 0.9".

        Raises:
            ApiError: An error of the server; 404 where it keeps no jobs.
        """
        options = {"labels": labels, "format": format, "shard_size": shard_size, "filter": filter}
        return self._json(job_request(model, seeds, splits, truncation, options), {"id": str})

    def jobs(self) -> Iterator[Json]:
        """Yield the jobs, the newest first."""
        path: str | None = "/v1/jobs"
        while path is not None:
            page = self._json(ApiRequest("GET", path), {"jobs": list})
            yield from page["jobs"]
            path = next_page(page, self._http.base_url)

    def job(self, job: str) -> Json:
        """Return the state of a job.

        Args:
            job: Id of the job.

        Raises:
            ApiError: There is no such job (404), or another error of the server.
        """
        return self._json(ApiRequest("GET", job_path(job)), {"state": str})

    def cancel_job(self, job: str) -> Json:
        """Stop a job; its finished shards stay.

        Args:
            job: Id of the job.

        Raises:
            ApiError: There is no such job (404), or another error of the server.
        """
        return self._json(ApiRequest("POST", f"{job_path(job)}/cancel"), {"state": str})

    def remove_job(self, job: str) -> None:
        """Stop a job and remove its files.

        Args:
            job: Id of the job.

        Raises:
            ApiError: There is no such job (404), or another error of the server.
        """
        self._read(ApiRequest("DELETE", job_path(job)))

    def job_files(self, job: str) -> Iterator[Json]:
        """Yield the files of a job that exist: `name`, `bytes` and `url`.

        Args:
            job: Id of the job.

        Raises:
            ApiError: There is no such job (404), or another error of the server.
        """
        path: str | None = f"{job_path(job)}/files"
        while path is not None:
            page = self._json(ApiRequest("GET", path), {"files": list})
            yield from page["files"]
            path = next_page(page, self._http.base_url)

    def wait_for_job(self, job: str, on_progress: Callable[[Json], None] | None = None, poll: float = POLL_SECONDS) -> Json:
        """Wait until a job is done, has failed or was cancelled, and return its last state.

        Args:
            job: Id of the job.
            on_progress: Called with each state.
            poll: Seconds between two requests.

        Raises:
            ApiError: An error of the server.
        """
        while True:
            state = self.job(job)
            if on_progress is not None:
                on_progress(state)
            if state["state"] in ENDED_STATES:
                return state
            time.sleep(poll)

    def download_job_file(self, job: str, name: str, path: str | Path) -> None:
        """Write one file of a job to a local file. The file appears when it is complete.

        Args:
            job: Id of the job.
            name: Name of the file in the manifest, such as "data/shard-000000.tar", or "manifest.json".
            path: File to write.

        Raises:
            ApiError: An error of the server.
            OSError: The file cannot be written.
        """
        self._download(ApiRequest("GET", file_path(job, name)), Path(path))

    def _kind(self, model: str) -> str:
        """Return "image" or "sample", the kind of output, which is part of the URL."""
        if model not in self._kinds:
            self._kinds[model] = str(self.model(model)["output"]["kind"])
        return self._kinds[model]

    def _json(self, request: ApiRequest, members: Mapping[str, type]) -> Json:
        return parse_json(self._read(request), members)

    def _read(self, request: ApiRequest) -> httpx.Response:
        for attempt in Retrying(**retry_options(self._attempts)):
            with attempt, self._stream(request) as response:
                response.read()
                return response
        raise AssertionError  # `reraise` ends the loop above

    def _download(self, request: ApiRequest, path: Path) -> None:
        for attempt in Retrying(**retry_options(self._attempts)):
            with attempt, self._stream(request) as response, whole_file(path) as file:
                for piece in response.iter_bytes():
                    file.write(piece)

    @contextmanager
    def _stream(self, request: ApiRequest) -> Iterator[httpx.Response]:
        with self._http.stream(request.method, request.path, **request.options) as response:
            if response.is_error:
                response.read()
            check_response(response)
            yield response
