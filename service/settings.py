"""Settings of the service: environment variables `SEEDMINT_*`. `seedmint serve` has an option for each setting."""

import os
import re
from collections.abc import Mapping, MutableMapping
from difflib import get_close_matches
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyAddress,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from seedmint.models.directory import default_directory
from seedmint.models.errors import UserError, field_errors, one_line
from seedmint.models.places import default_cache, first_folder, is_url, place_name, split_places
from seedmint.service.setting_types import Location, Names, Networks, Origins, Places, Prefix, absolute

PREFIX = "SEEDMINT_"


class SettingsError(UserError):
    """A setting is invalid.

    `str()` contains the environment variable of the setting, because a worker process shows the error only in a traceback. The
    command line shows the option or the variable.
    """

    def __str__(self) -> str:
        message = super().__str__()
        return message if self.field is None else f"{variable(self.field)}: {message}"


# An empty variable for API keys is an error, so that a missing secret never turns authentication off.
_SECRETS = frozenset({"api_keys", "api_keys_file"})
# Variables of Kubernetes for the Services `seedmint` and `seedmint-...` of the namespace.
_SERVICE_VARIABLE = re.compile(r"(?:.+_)?SERVICE_(?:HOST|PORT(?:_.+)?)|(?:.+_)?PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_.+)?")
_SERVICE_URL = re.compile(r"(?:tcp|udp|sctp)://.+")  # value of `SEEDMINT_PORT` or `SEEDMINT_..._PORT`
_DEFAULT_PLACES = {"models": "models/", "models_cache": "seedmint/generators in the cache directory of the user"}
_TRAINING = frozenset({"cache", "data"})  # variables of training


class Settings(BaseModel):
    """Settings of the service. The field `max_batch` is the variable SEEDMINT_MAX_BATCH and the option --max-batch."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    models: Places = Field(
        default_factory=lambda: (str(default_directory()),),
        min_length=1,
        max_length=32,
        description="Places of generator files (*.onnx), separated by commas: folders, s3://bucket/prefix, hf://user/repo or "
        "https://host/NAME.onnx. The service watches them for changes.",
    )
    models_cache: Path = Field(
        default_factory=default_cache,
        description="Directory where files of URLs of `SEEDMINT_MODELS` are kept.",
    )
    models_cache_bytes: int = Field(
        default=4 << 30,
        ge=1,
        le=1 << 50,
        description="Maximum size of that directory in bytes. Files that no server uses are removed first.",
    )
    models_poll_seconds: float = Field(
        default=15.0, gt=0, le=86400, description="Interval between two listings of a URL of `SEEDMINT_MODELS`."
    )
    provider: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Processor that runs the generators. auto: CUDA if available, otherwise the CPU."
    )
    threads: int = Field(default=1, ge=1, le=256, description="CPU threads for one batch of one generator.")
    workers: int = Field(default=1, ge=1, le=256, description="Number of server processes. Each process loads all generators.")
    host: IPvAnyAddress = Field(default=IPv4Address("127.0.0.1"), description="IP address to listen on.")
    port: int = Field(default=3000, ge=1, le=65535, description="TCP port to listen on.")
    unix_socket: Path | None = Field(
        default=None, description="Path of a Unix socket to listen on instead of the TCP port. Its clients count as 127.0.0.1."
    )
    root_path: Prefix = Field(
        default="",
        description="Path prefix of all URLs, such as /gan, for a proxy that serves other paths too. none: no prefix.",
    )
    keep_alive_seconds: float = Field(
        default=75.0,
        gt=0,
        le=3600,
        description="Time until an idle connection is closed. It must exceed the idle timeout of the load balancer in front.",
    )
    max_batch: int = Field(default=64, ge=1, le=4096, description="Maximum number of images in one batch of a generator.")
    max_queue: int = Field(
        default=1024,
        ge=1,
        le=1_000_000,
        validate_default=True,  # against `max_batch`
        description="Maximum number of images that wait for one generator in one worker. Above it, requests get status 429.",
    )
    max_wait_seconds: float = Field(
        default=3.0,
        gt=0,
        le=3600,
        description="Maximum expected wait of an image when its batch is full. Above it, requests get status 429.",
    )
    max_seeds: int = Field(
        default=65536,
        ge=1,
        le=1_000_000,
        description="Maximum number of seeds in one POST request. Above it, requests get status 413.",
    )
    timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Maximum time for an answer (504), for a request head or body (408), and for a client to read 256 KiB.",
    )
    ready_when: Literal["any", "all", "serving"] = Field(
        default="any",
        description="Condition of /readyz. any: a generator is served. all: at start, every file is served. "
        "serving: the directory was read, even if it has no generator.",
    )
    required_models: Names = Field(
        default=(),
        description="Names of generators, separated by commas. At start, /readyz waits until all of them are served.",
    )
    watch_seconds: float = Field(
        default=1.0, gt=0, le=3600, description="Interval between two scans of the models directory, and of the jobs."
    )
    max_body_bytes: int | None = Field(
        default=None,
        ge=1,
        le=1 << 30,
        description="Maximum size of a request body in bytes (413). none: 64 KiB plus 32 times `SEEDMINT_MAX_SEEDS`.",
    )
    api_keys: str | None = Field(
        default=None,
        description="API keys, lines of `seedmint keys new`, separated by commas. All requests except probes then need a key.",
    )
    api_keys_file: Path | None = Field(
        default=None, description="File of API keys, one line of `seedmint keys new` each. The service watches it for changes."
    )
    max_signed_seconds: int = Field(
        default=604800, ge=1, le=315_360_000, description="Maximum time until a signed URL expires. Above it: 403."
    )
    requests_per_second: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="Maximum rate of requests per API key, or per client address without keys. Above it: 429.",
    )
    request_burst: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Maximum number of requests in one burst. none: the number of requests of one second.",
    )
    images_per_minute: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="Maximum number of images per minute and API key or client address. Above it: 429.",
    )
    jobs_url: Location | None = Field(
        default=None,
        description="Directory or object store prefix (s3://bucket/prefix) of the jobs. none: the jobs API is disabled.",
    )
    max_jobs: int = Field(
        default=1, ge=1, le=256, description="Maximum number of jobs that run at the same time. Other jobs wait."
    )
    max_queued_jobs: int = Field(
        default=16, ge=1, le=1000, description="Maximum number of jobs that wait. Above it, new jobs get status 429."
    )
    max_job_images: int = Field(
        default=1_000_000, ge=1, le=10**9, description="Maximum number of images in one job. Above it, a job gets status 413."
    )
    job_workers: int = Field(
        default=1, ge=1, le=256, description="Number of processes for one job. They run at the lowest CPU priority."
    )
    allowed_origins: Origins = Field(
        default=(), description="Web origins that may read responses (CORS), separated by commas, or * for all origins."
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks of trusted proxies (X-Forwarded-For, -Proto and -Prefix), separated by commas.",
    )
    access_log: bool = Field(default=False, description="Log each request.")
    log_format: Literal["text", "json"] = Field(
        default="text", description="Format of the log: text, or one JSON object per line."
    )
    tracing: bool = Field(
        default=False, description="Export OpenTelemetry traces as configured in BentoML. Tracing slows requests down."
    )

    @field_validator("max_queue")
    @classmethod
    def _check_queue_size(cls, max_queue: int, info: ValidationInfo) -> int:
        max_batch = info.data.get("max_batch")  # absent if `max_batch` is invalid
        if max_batch is not None and max_queue < max_batch:
            raise ValueError(f"the queue must hold at least one full batch of {max_batch} images")
        return max_queue

    @property
    def folder(self) -> Path:
        """The first folder of `models`, where new generators are written.

        Raises:
            UserError: All places are URLs.
        """
        return first_folder(self.models)

    @property
    def folders(self) -> list[Path]:
        """All folders of `models`."""
        return [Path(place) for place in self.models if not is_url(place)]

    @property
    def needs_keys(self) -> bool:
        """Whether every request except the probes needs an API key."""
        return self.api_keys is not None or self.api_keys_file is not None

    def to_environment(self) -> dict[str, str]:
        """Return the settings as environment variables for a server process, with absolute paths."""
        fields = self.model_copy(update={"models": tuple(map(absolute, self.models))}).__dict__
        for field in ("api_keys_file", "models_cache", "unix_socket"):
            if fields[field] is not None:
                fields[field] = fields[field].absolute()
        return {variable(field): _to_text(value) for field, value in fields.items() if value not in (None, (), "")}

    def replace_in(self, environment: MutableMapping[str, str]) -> None:
        """Replace the variables of all settings in an environment. Also an empty setting replaces its variable.

        Args:
            environment: Environment variables; other variables are kept.
        """
        for field in type(self).model_fields:
            environment.pop(variable(field), None)
        environment.update(self.to_environment())


def default_text(field: str) -> str:
    """Return the default of a field as text for the help and the documentation.

    Args:
        field: Name of the field.
    """
    if field in _DEFAULT_PLACES:
        return _DEFAULT_PLACES[field]
    return _to_text(Settings.model_fields[field].get_default()) or "none"


def _is_of_service(name: str, value: str) -> bool:
    """Return whether Kubernetes sets a variable `SEEDMINT_{name}` for a Service."""
    is_url = (name == "PORT" or name.endswith("_PORT")) and _SERVICE_URL.fullmatch(value)
    return bool(is_url or _SERVICE_VARIABLE.fullmatch(name))


def _to_text(value: Any) -> str:
    """Return a value as the text of its environment variable; an empty text for None and an empty tuple."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def variable(field: str) -> str:
    """Return the name of the environment variable of a field.

    Args:
        field: Name of the field.
    """
    return PREFIX + field.upper()


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from an environment. An empty variable counts as absent, except the variables of API keys.

    Args:
        environment: Environment variables. Variables without the prefix `SEEDMINT_` are ignored, and those that Kubernetes sets
            for each Service.

    Raises:
        SettingsError: A variable is invalid, or a variable with the prefix names no setting; `field` is the setting.
    """
    found = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and not _is_of_service(name.removeprefix(PREFIX), value)
    }
    for field in sorted(found.keys() - Settings.model_fields.keys() - _TRAINING):
        nearest = get_close_matches(field, Settings.model_fields, n=1)
        cure = f"did you mean {variable(nearest[0])}?" if nearest else "`seedmint serve --help` lists the settings"
        raise SettingsError(f"there is no such setting: {cure}", field=field, reason="unknown")
    for field in _SECRETS:
        if found.get(field) == "":
            raise SettingsError("the variable is empty: unset it to serve without API keys", field=field, reason="empty")
    values = {field: value for field, value in found.items() if field in Settings.model_fields and value}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        field, message = field_errors(error)[0]
        field = field.partition(".")[0]
        value = values.get(field, _to_text(Settings.model_fields[field].get_default()))
        if field == "models":
            value = ",".join(map(place_name, split_places(value)))  # without passwords
        raise SettingsError(f"{one_line(repr(value))} is invalid: {message}", field=field) from None
