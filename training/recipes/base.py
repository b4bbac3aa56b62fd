"""The base class of all sections of a recipe."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Strict types, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
