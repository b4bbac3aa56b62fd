"""Settings: environment variables `SEEDMINT_*`, checked once. `seedmint serve` has an option of the same name for each."""

import os
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, IPvAnyAddress, ValidationError, model_validator

from models.card import field_errors
from models.directory import SHIPPED
from models.errors import UserError

PREFIX = "SEEDMINT_"


class SettingsError(UserError):
    """A variable holds what it must not. The message names the variable."""


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
    max_seeds: int = Field(default=65536, ge=1, le=1_000_000, description="Most seeds in one POST; beyond it: 413.")
    timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Longest wait for images (504), for a request's body (408), and for a client to take 64 KiB.",
    )
    watch_seconds: float = Field(default=1.0, gt=0, le=3600, description="Time between two looks at the models directory.")

    @model_validator(mode="after")
    def _a_batch_fits_the_queue(self) -> Self:
        if self.max_queue < self.max_batch:
            raise ValueError(f"{PREFIX}MAX_QUEUE ({self.max_queue}) must be at least {PREFIX}MAX_BATCH ({self.max_batch})")
        return self

    def to_environment(self) -> dict[str, str]:
        """The settings as environment variables, for a server process. Paths are absolute."""
        given = {variable(field): str(getattr(self, field)) for field in Settings.model_fields}
        return given | {variable("models"): str(self.models.absolute())}


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings an environment holds. An empty variable counts as unset.

    Raises:
        SettingsError: naming the first variable that is wrong, and what it must be.
    """
    given = {field: environment[variable(field)] for field in Settings.model_fields if environment.get(variable(field))}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        field, message = field_errors(error)[0]
        if field not in given:
            raise SettingsError(message) from None
        raise SettingsError(f"{variable(field)} is {given[field]!r}: {message}") from None
