"""Settings: environment variables `SEEDMINT_*`, checked once. `seedmint serve` has an option of the same name for each."""

import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    IPvAnyNetwork,
    ValidationError,
    model_validator,
)

from seedmint.models.card import field_errors
from seedmint.models.directory import SHIPPED
from seedmint.models.errors import UserError

PREFIX = "SEEDMINT_"


class SettingsError(UserError):
    """A setting is invalid.

    `str()` names the environment variable of the setting, because a worker process shows the error in a traceback.
    """

    def __str__(self) -> str:
        message = super().__str__()
        return message if self.field is None else f"{variable(self.field)}: {message}"


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _place(text: str) -> str:
    """A URL, or an absolute path: server processes run in another directory."""
    return text if "://" in text else str(Path(text).absolute())


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError(f"{text!r} is no origin: write *, or scheme://host[:port] in lower case, without a path")
    return text


_ORIGIN = re.compile(r"\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?", re.ASCII)
_Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_split)]
_Place = Annotated[str, AfterValidator(_place)]
_Networks = Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_split)]
# Never quoted. And never taken as absent when empty: a secret that did not arrive must not open the doors.
_SECRETS = frozenset({"api_keys", "api_keys_file"})


class Settings(BaseModel):
    """All settings of the service. A field `max_batch` is the variable SEEDMINT_MAX_BATCH and the option --max-batch."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    models: Path = Field(default=SHIPPED, description="Directory of generator files (*.onnx), watched while serving.")
    provider: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="What runs the generators. auto: CUDA where it works, else the CPU."
    )
    threads: int = Field(default=1, ge=1, le=256, description="Processor threads for one batch of one generator.")
    workers: int = Field(default=1, ge=1, le=256, description="Server processes, each with its own copy of the generators.")
    host: IPvAnyAddress = Field(default=IPv4Address("127.0.0.1"), description="IP address to listen on.")
    port: int = Field(default=3000, ge=1, le=65535, description="TCP port to listen on.")
    max_batch: int = Field(default=64, ge=1, le=4096, description="Most images in one run of a generator.")
    max_queue: int = Field(
        default=1024, ge=1, le=1_000_000, description="Most images waiting for one generator in one process; beyond it: 429."
    )
    max_wait_seconds: float = Field(
        default=3.0,
        gt=0,
        le=3600,
        description="Longest that an image may be expected to wait, once a run is full; beyond it: 429.",
    )
    max_seeds: int = Field(default=65536, ge=1, le=1_000_000, description="Most seeds in one POST; beyond it: 413.")
    timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Longest wait for images (504), for a request's head and body (408), and for a client to take 256 KiB.",
    )
    watch_seconds: float = Field(
        default=1.0, gt=0, le=3600, description="Time between two looks at the models directory, and at the jobs."
    )
    max_body_bytes: int | None = Field(
        default=None,
        ge=1,
        le=1 << 30,
        description="Largest body of a POST; beyond it: 413. none: 32 for each of `SEEDMINT_MAX_SEEDS`, and 64 KiB.",
    )
    api_keys: str | None = Field(
        default=None,
        description="API keys, as lines of `seedmint keys new` joined by commas: all but the probes needs one then.",
    )
    api_keys_file: Path | None = Field(default=None, description="File of such lines, one each; read at start.")
    requests_per_second: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="Most requests of one key, or of one address without keys, in each worker; beyond it: 429.",
    )
    request_burst: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Most requests at once under that limit. none: those of one second."
    )
    images_per_minute: int | None = Field(
        default=None, ge=1, le=10**9, description="Most images of one key or address in each worker; beyond it: 429."
    )
    jobs_url: _Place | None = Field(
        default=None,
        description="Folder or prefix of an object store (s3://bucket/prefix) for data sets asked for over HTTP. "
        "none: there are no jobs.",
    )
    max_jobs: int = Field(default=1, ge=1, le=256, description="Most jobs that run at once; others wait.")
    max_queued_jobs: int = Field(default=16, ge=1, le=1000, description="Most jobs that wait; beyond it: 429.")
    max_job_images: int = Field(default=1_000_000, ge=1, le=10**9, description="Most images in one job; beyond it: 413.")
    job_workers: int = Field(
        default=1, ge=1, le=256, description="Processes that make one job, at the lowest priority of the processor."
    )
    allowed_origins: _Origins = Field(
        default=(), description="Web origins whose pages may read answers (CORS), joined by commas, or *."
    )
    trusted_proxies: _Networks = Field(
        default=(),
        description="Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed, joined by commas.",
    )
    access_log: bool = Field(default=False, description="A line in the log for each request.")
    log_format: Literal["text", "json"] = Field(default="text", description="Lines of the log as text, or as JSON objects.")
    tracing: bool = Field(default=False, description="OpenTelemetry as BentoML's own settings `tracing` say; costs time.")

    @model_validator(mode="after")
    def _a_batch_fits_the_queue(self) -> Self:
        if self.max_queue < self.max_batch:
            raise ValueError(f"{PREFIX}MAX_QUEUE ({self.max_queue}) must be at least {PREFIX}MAX_BATCH ({self.max_batch})")
        return self

    @property
    def needs_keys(self) -> bool:
        """Whether all but the probes needs an API key."""
        return self.api_keys is not None or self.api_keys_file is not None

    def to_environment(self) -> dict[str, str]:
        """The settings as environment variables, for a server process. Paths are absolute."""
        fields = self.model_copy(update={"models": self.models.absolute()}).__dict__
        if self.api_keys_file is not None:
            fields["api_keys_file"] = self.api_keys_file.absolute()
        return {variable(field): _written(value) for field, value in fields.items() if value not in (None, ())}


def default_text(field: str) -> str:
    """The default of a field, as help and README show it."""
    if field == "models":
        return "models/"
    return _written(Settings.model_fields[field].get_default()) or "none"


def _written(value: Any) -> str:
    """A value as its variable holds it; nothing for what is unset by default."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings an environment holds. An empty variable counts as unset, but for those of API keys.

    Raises:
        SettingsError: A variable is invalid; `field` is the setting, None where several settings do not fit together.
    """
    for field in _SECRETS:
        if environment.get(variable(field)) == "":
            raise SettingsError("the variable is empty: unset it to serve without API keys", field=field, reason="empty")
    given = {field: environment[variable(field)] for field in Settings.model_fields if environment.get(variable(field))}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        field, message = field_errors(error)[0]
        field = field.partition(".")[0]
        if field not in given:
            raise SettingsError(message) from None
        raise SettingsError(f"{given[field]!r} is invalid: {message}", field=field) from None
