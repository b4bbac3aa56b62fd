"""Inputs of a graph, and the value that each input receives."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto

FLOAT_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
LABEL_TYPES = (TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.UINT8, TensorProto.UINT64)

Dims = tuple[int | None, ...]


@dataclass(frozen=True)
class Input:
    """One input of the graph.

    Attributes:
        name: Its name.
        elem_type: Element type of ONNX.
        dims: Length of each axis; None for a dynamic axis. The first axis, if there is one, is the batch.
    """

    name: str
    elem_type: int
    dims: Dims

    @property
    def row_dims(self) -> Dims:
        """Axes of one row, without the batch."""
        return self.dims[1:]

    @property
    def is_scalar(self) -> bool:
        """Whether the input has one number for the whole batch."""
        return self.dims in ((), (1,))

    @property
    def is_empty(self) -> bool:
        """Whether an axis has length 0, so that the input holds no numbers."""
        return 0 in self.dims

    @property
    def is_float(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.elem_type in FLOAT_TYPES

    def __str__(self) -> str:
        sizes = ["?" if size is None else str(size) for size in self.dims]
        return " x ".join(["N", *sizes[1:]] if sizes[:1] == ["?"] else sizes)


@dataclass(frozen=True)
class Binding:
    """The value that one input receives.

    Attributes:
        input: The input.
        kind: `z` (numbers `start` to `stop` of z), `label` (its number), `one_hot` (the label as a one-hot vector),
            `truncation`, or `constant` (`value`).
        start: First number of z.
        stop: One after the last number of z.
        shape: Shape of one row, without the batch. A part of z that is shorter than the shape is repeated.
        value: The constant, in the element type of the input: with the batch axis (length 1) if `per_row`.
        per_row: Whether the input has a dynamic batch axis, along which a constant is repeated.
    """

    input: Input
    kind: Literal["z", "label", "one_hot", "truncation", "constant"]
    start: int = 0
    stop: int = 0
    shape: tuple[int, ...] = ()
    value: NDArray[Any] | None = None
    per_row: bool = False


@dataclass(frozen=True)
class Signature:
    """Inputs and output of a graph.

    Attributes:
        bindings: The value that each input receives.
        z_dim: Length of z.
        output: Name of the output.
        batch: The fixed batch size that the inputs declare; None if dynamic.
    """

    bindings: tuple[Binding, ...]
    z_dim: int
    output: str
    batch: int | None

    @property
    def label(self) -> Binding | None:
        """The binding of the label, if the graph has one."""
        return next((binding for binding in self.bindings if binding.kind in ("label", "one_hot")), None)

    @property
    def has_truncation(self) -> bool:
        """Whether an input receives the truncation."""
        return any(binding.kind == "truncation" for binding in self.bindings)

    @property
    def needs_rows(self) -> bool:
        """Whether an input has one number for the whole batch, although rows can need different numbers."""
        return any(
            (b.input.is_scalar and b.kind in ("label", "truncation")) or (b.kind == "z" and len(b.input.dims) == 1)
            for b in self.bindings
        )


def graph_inputs(model: ModelProto) -> dict[str, Input]:
    """Return the inputs of a graph without its initializers, by name.

    Args:
        model: The model.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    return {value.name: _input(value) for value in model.graph.input if value.name not in stored}


def _input(value: ValueInfoProto) -> Input:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return Input(value.name, tensor.elem_type, (None, None))
    dims = (int(axis.dim_value) if axis.HasField("dim_value") else None for axis in tensor.shape.dim)
    return Input(value.name, tensor.elem_type, tuple(size if size is None or size >= 0 else None for size in dims))


def list_names(names: Iterable[str]) -> str:
    """Return names for a message.

    Args:
        names: The names.
    """
    return ", ".join(map(repr, names)) or "none"


def describe_inputs(inputs: Iterable[Input]) -> str:
    """Return names and shapes of inputs for a message.

    Args:
        inputs: The inputs.
    """
    return ", ".join(f"{value.name!r} ({str(value) or 'scalar'})" for value in inputs) or "none"
