"""Decides what each input of a graph receives: z, the label, the truncation or a constant."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from seedmint.models.card import MAX_CLASSES
from seedmint.models.noise import MAX_Z_DIM, noise
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.options import ImportOptions

FLOAT_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
LABEL_TYPES = (TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.UINT8, TensorProto.UINT64)

_MAX_NOISE_VALUES = 32 << 20
_LATENT_NAME = re.compile(r"z[_.]?\d*|.*latent.*|.*code.*|cont.*|eps.*", re.IGNORECASE)
_NOISE_NAME = re.compile(r".*noise.*", re.IGNORECASE)

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

    def __str__(self) -> str:
        sizes = ["?" if size is None else str(size) for size in self.dims]
        return " x ".join(["N", *sizes[1:]] if sizes[:1] == ["?"] else sizes)


@dataclass(frozen=True)
class Binding:
    """What one input receives.

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
        bindings: What each input receives.
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
        """Whether an input holds one number for the whole batch, though rows may need different ones."""
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


def read_signature(model: ModelProto, options: ImportOptions) -> Signature:
    """Decide what each input receives.

    Args:
        model: The model.
        options: Options of the import.

    Raises:
        GeneratorImportError: An option is missing, does not fit the graph, or names no input.
    """
    free = graph_inputs(model)
    _check_names(free, options)
    bindings = [_constant(free.pop(name), values) for name, values in options.constants.items()]
    bindings += [Binding(x, "constant", value=np.zeros([n or 1 for n in x.dims], _dtype(x))) for x in _empty(free)]
    free = {name: value for name, value in free.items() if 0 not in value.dims}
    if options.truncation_input is not None:
        bindings.append(_truncation(free.pop(options.truncation_input)))
    label = _label(free, options)
    if label is not None:
        bindings.append(label)
        del free[label.input.name]
    latent = _latent_inputs(free, options)
    bindings += [_noise_constant(value, options) for name, value in free.items() if name not in {x.name for x in latent}]
    z_bindings = _z_bindings(latent, options)
    bindings += z_bindings
    batch = next((1 if len(x.dims) == 1 else x.dims[0] for x in latent if x.dims[0] is not None), None)
    return Signature(tuple(bindings), z_bindings[-1].stop, _output(model, options), batch)


def _check_names(free: dict[str, Input], options: ImportOptions) -> None:
    named: list[tuple[str, str | None]] = [("set", name) for name in options.constants]
    named += [("truncation_input", options.truncation_input), ("label_input", options.label_input)]
    named += [("z_input", name) for name in options.z_input]
    seen: set[str] = set()
    for field, name in named:
        if name is None:
            continue
        if name not in free:
            raise GeneratorImportError(
                f"the graph has no input {name!r}, only {_list(free)}", field=field, reason="unknown_input"
            )
        if name in seen:
            raise GeneratorImportError(f"input {name!r} is named by two options", field=field, reason="unknown_input")
        seen.add(name)


def _empty(free: dict[str, Input]) -> list[Input]:
    return [value for value in free.values() if 0 in value.dims]


def _dtype(value: Input) -> np.dtype[Any]:
    return helper.tensor_dtype_to_np_dtype(value.elem_type)


def _constant(value: Input, numbers: tuple[float, ...]) -> Binding:
    per_row = len(value.dims) > 0 and value.dims[0] is None
    dims = (1, *value.row_dims) if per_row else value.dims
    shape = [len(numbers) if size is None and dims.count(None) == 1 else size or 1 for size in dims]
    if len(numbers) not in (1, math.prod(shape)):
        raise GeneratorImportError(
            f"input {value.name!r} is {value}: give 1 or {math.prod(shape)} numbers, not {len(numbers)}",
            field="set",
            reason="wrong_length",
        )
    if math.prod(shape) > _MAX_NOISE_VALUES:
        raise GeneratorImportError(f"input {value.name!r} is {value}, which is too large", field="set", reason="wrong_length")
    array = np.full(shape, numbers[0]) if len(numbers) == 1 else np.array(numbers).reshape(shape)
    return Binding(value, "constant", value=array.astype(_dtype(value)), per_row=per_row)


def _truncation(value: Input) -> Binding:
    if value.elem_type not in FLOAT_TYPES or any(size not in (1, None) for size in value.row_dims):
        raise GeneratorImportError(
            f"input {value.name!r} is {value}: the truncation is one float of each image",
            field="truncation_input",
            reason="wrong_shape",
        )
    return Binding(value, "truncation", shape=(1,) * len(value.row_dims))


def _label(free: dict[str, Input], options: ImportOptions) -> Binding | None:
    name = options.label_input or _find_label(free, options)
    if name is None and options.classes is None:
        return None
    if name is None:
        raise GeneratorImportError("the graph has no input for a label", field="classes", reason="no_label")
    if options.classes is None:
        raise GeneratorImportError(
            f"option missing: input {name!r} receives a label; give the number of classes or their names",
            field="classes",
            reason="classes_missing",
        )
    classes = len(options.classes)
    if classes > MAX_CLASSES:
        raise GeneratorImportError(f"{classes} classes: at most {MAX_CLASSES}", field="classes", reason="too_many_classes")
    value = free[name]
    if value.elem_type not in (*FLOAT_TYPES, *LABEL_TYPES):
        raise GeneratorImportError(f"input {name!r} is neither float nor integer", field="label_input", reason="wrong_type")
    if _is_one_hot(value, classes):
        return Binding(value, "one_hot", shape=(classes, *[1] * (len(value.row_dims) - 1)))
    return Binding(value, "label", shape=(1,) * len(value.row_dims))


def _find_label(free: dict[str, Input], options: ImportOptions) -> str | None:
    candidates = [name for name, value in free.items() if value.elem_type in LABEL_TYPES]
    if not candidates and options.classes is not None:
        floats = {n: v for n, v in free.items() if v.elem_type in FLOAT_TYPES and n not in options.z_input}
        if len(floats) + len(options.z_input) > 1:
            candidates = [n for n, v in floats.items() if v.row_dims and v.row_dims[0] == len(options.classes)]
            candidates = candidates or [n for n, v in floats.items() if all(size == 1 for size in v.row_dims)]
            candidates = candidates or [n for n, v in floats.items() if re.search("label|class|cond|^[yc]$", n, re.IGNORECASE)]
    if len(candidates) > 1:
        raise GeneratorImportError(
            f"option missing: {_list(candidates)} may be the label", field="label_input", reason="label_input_missing"
        )
    return candidates[0] if candidates else None


def _is_one_hot(value: Input, classes: int) -> bool:
    """Return whether the label is a one-hot vector. Where the width is not known, float inputs are."""
    row = value.row_dims
    width = row[0] if row else 1
    if width not in (None, 1, classes) or any(size not in (1, None) for size in row[1:]):
        raise GeneratorImportError(
            f"input {value.name!r} is {value}, which does not fit {classes} classes", field="classes", reason="classes_mismatch"
        )
    if width is None:
        return value.elem_type in FLOAT_TYPES
    return width == classes > 1


def _latent_inputs(free: dict[str, Input], options: ImportOptions) -> list[Input]:
    """Return the inputs that receive z, in order."""
    if options.z_input:
        latent = [free[name] for name in options.z_input]
    else:
        floats = [value for value in free.values() if value.elem_type in FLOAT_TYPES and not value.is_scalar]
        if options.noise is not None and len(floats) > 1:
            floats = [value for value in floats if not _NOISE_NAME.fullmatch(value.name)] or floats[:1]
        _check_latent(floats, free, options)
        latent = floats
    rest = [value for name, value in free.items() if name not in {x.name for x in latent}]
    unbound = (
        rest if options.noise is None else [value for value in rest if value.elem_type not in FLOAT_TYPES or value.is_scalar]
    )
    if unbound:
        scalars = any(value.is_scalar for value in unbound)
        also = ", or name it with --truncation-input if it is the truncation" if scalars else ""
        raise GeneratorImportError(
            f"option missing: the graph also has {_describe(unbound)}: bind each with --set NAME=VALUE{also}, as a further "
            "--z-input, as --label-input, or bind all noise inputs with --noise fixed",
            field="set",
            reason="input_not_bound",
        )
    for value in latent:
        if value.elem_type not in FLOAT_TYPES:
            raise GeneratorImportError(f"input {value.name!r} is not float", field="z_input", reason="wrong_type")
        if value.dims in ((), (None,)):
            raise GeneratorImportError(
                f"input {value.name!r} is {value}, which has no axis for z", field="z_input", reason="wrong_shape"
            )
    return latent


def _check_latent(floats: list[Input], free: dict[str, Input], options: ImportOptions) -> None:
    if not floats:
        raise GeneratorImportError(
            f"the graph has no float input for z: {_describe(free.values())}", field="z_input", reason="no_z_input"
        )
    if len(floats) == 1:
        return
    clear = [value for value in floats if _LATENT_NAME.fullmatch(value.name)]
    if len(clear) < len(floats):
        raise GeneratorImportError(
            f"option missing: the graph has {_describe(floats)}: name each input that receives a part of z (--z-input), "
            "the label (--classes and --label-input), and bind the others (--set NAME=VALUE, --noise fixed)",
            field="z_input",
            reason="z_input_missing",
        )


def _noise_constant(value: Input, options: ImportOptions) -> Binding:
    """Bind a noise input to zeros, or to one draw from N(0, 1) that is the same for every image."""
    row = value.row_dims
    if any(size is None for size in row):
        raise GeneratorImportError(
            f"input {value.name!r} is {value}: a noise input must have a fixed shape", field="noise", reason="wrong_shape"
        )
    shape = (1 if value.dims[0] is None else value.dims[0], *(size or 1 for size in row))
    count = math.prod(shape)
    if count > _MAX_NOISE_VALUES:
        raise GeneratorImportError(f"input {value.name!r} is {value}, which is too large", field="noise", reason="wrong_shape")
    numbers = np.zeros(count, np.float32)
    if options.noise == "fixed":
        numbers = noise("philox-normal-v1", MAX_Z_DIM, np.arange(-(-count // MAX_Z_DIM), dtype=np.int64)).ravel()[:count]
    return Binding(value, "constant", value=numbers.reshape(shape).astype(_dtype(value)), per_row=value.dims[0] is None)


def _z_bindings(latent: list[Input], options: ImportOptions) -> list[Binding]:
    if len(latent) == 1:
        shape, z_dim = _z_shape(latent[0], options.z_dim)
        return [Binding(latent[0], "z", 0, z_dim, shape)]
    bindings, start = [], 0
    for value in latent:
        shape, length = _z_shape(value, None)
        bindings.append(Binding(value, "z", start, start := start + length, shape))
    if options.z_dim not in (None, start):
        raise GeneratorImportError(f"the inputs of z have {start} numbers together", field="z_dim", reason="z_dim_mismatch")
    _check_z_dim(start, latent[0])
    return bindings


def _z_shape(value: Input, z_dim: int | None) -> tuple[tuple[int, ...], int]:
    """Return the shape of one row of an input, and the length of its part of z."""
    row = value.row_dims if len(value.dims) > 1 else value.dims  # D alone: one image without a batch axis
    if len(row) == 3 and row[0] is not None:  # N x D x ? x ?, of convolutional generators with dynamic height and width
        row = (row[0], *(size or 1 for size in row[1:]))
    known = math.prod(size for size in row if size is not None)
    if row.count(None) == 1 and z_dim is not None and z_dim % known == 0:
        row = tuple(z_dim // known if size is None else size for size in row)
    if None in row:
        raise GeneratorImportError(
            f"option missing: input {value.name!r} is {value}, and the length of z is not known",
            field="z_dim",
            reason="z_dim_missing",
        )
    shape = tuple(size or 1 for size in row)
    whole = math.prod(shape)
    length = z_dim or whole
    if length not in (whole, shape[-1]):
        raise GeneratorImportError(
            f"input {value.name!r} is {value}: z has {whole} numbers, or {shape[-1]} numbers that are repeated",
            field="z_dim",
            reason="z_dim_mismatch",
        )
    _check_z_dim(length, value)
    return shape, length


def _check_z_dim(length: int, value: Input) -> None:
    if length > MAX_Z_DIM:
        last = value.dims[-1]
        repeat = (
            f"; --z-dim {last} repeats {last} numbers" if last is not None and last <= MAX_Z_DIM and len(value.dims) > 2 else ""
        )
        raise GeneratorImportError(
            f"input {value.name!r} is {value}: z may have at most {MAX_Z_DIM} numbers{repeat}",
            field="z_dim",
            reason="z_too_long",
        )


def _output(model: ModelProto, options: ImportOptions) -> str:
    names = [value.name for value in model.graph.output]
    if options.output is None and len(names) == 1:
        return str(names[0])
    if options.output is None:
        raise GeneratorImportError(f"option missing: the graph has {_list(names)}", field="output", reason="output_missing")
    if options.output not in names:
        raise GeneratorImportError(
            f"the graph has no output {options.output!r}, only {_list(names)}", field="output", reason="unknown_output"
        )
    return options.output


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _describe(inputs: Iterable[Input]) -> str:
    return ", ".join(f"{value.name!r} ({str(value) or 'scalar'})" for value in inputs) or "none"
