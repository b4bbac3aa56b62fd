"""The JSON documents of the Open Inference Protocol, version 2."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

_MAX_TENSORS = 8
Datatype = Literal["INT64", "FP32", "UINT8"]
_Shape = Annotated[list[Annotated[StrictInt, Field(ge=0)]], Field(min_length=1, max_length=8)]
_Parameters = dict[str, Any]


class TensorMetadata(BaseModel):
    """Name, type and shape of a tensor; -1 is any size."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


class ServerMetadata(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: tuple[str, ...]


class ModelMetadata(BaseModel):
    """One model: its inputs and outputs."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


class Live(BaseModel):
    """Whether the server is alive."""

    live: bool


class Ready(BaseModel):
    """Whether the server or a model is ready."""

    ready: bool
    name: str | None = None


class InferInput(BaseModel):
    """An input tensor: numbers in `data`, or `binary_data_size` bytes after the JSON document."""

    model_config = ConfigDict(extra="ignore")

    name: StrictStr
    shape: _Shape
    datatype: StrictStr
    parameters: _Parameters = Field(default_factory=dict)
    data: list[Any] | None = Field(default=None, description="The numbers, flat or nested.")


class InferOutput(BaseModel):
    """A requested output tensor."""

    model_config = ConfigDict(extra="ignore")

    name: StrictStr
    parameters: _Parameters = Field(default_factory=dict)


class InferRequest(BaseModel):
    """An inference request."""

    model_config = ConfigDict(extra="forbid")

    id: StrictStr | None = None
    parameters: _Parameters = Field(default_factory=dict)
    inputs: Annotated[list[InferInput], Field(min_length=1, max_length=_MAX_TENSORS)]
    outputs: Annotated[list[InferOutput], Field(max_length=_MAX_TENSORS)] | None = None


class ResponseTensor(BaseModel):
    """An output tensor: numbers in `data`, or `binary_data_size` bytes after the JSON document."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    parameters: dict[str, int] | None = None
    data: list[float] | None = None


class InferResponse(BaseModel):
    """The answer to an inference request."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: tuple[ResponseTensor, ...]
