"""Decides the value of each input of a graph: z, the label, the truncation or a constant."""

import math
import re
from typing import Any

import numpy as np
from onnx import ModelProto, helper

from seedmint.models.noise import MAX_Z_DIM
from seedmint.service.importer.bindings import FLOAT_TYPES, Binding, Input, Signature, describe_inputs, graph_inputs, list_names
from seedmint.service.importer.constant_noise import MAX_NOISE_VALUES, constant_noise
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.label_binding import find_label
from seedmint.service.importer.options import ImportOptions

_LATENT_NAME = re.compile(r"z[_.]?\d*|.*latent.*|.*code.*|cont.*|eps.*", re.IGNORECASE)
_NOISE_NAME = re.compile(r".*noise.*", re.IGNORECASE)


def read_signature(model: ModelProto, options: ImportOptions) -> Signature:
    """Decide the value of each input.

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
    label = find_label(free, options)
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
                f"the graph has no input {name!r}, only {list_names(free)}", field=field, reason="unknown_input"
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
            f"input {value.name!r} is {value}: pass 1 or {math.prod(shape)} numbers, not {len(numbers)}",
            field="set",
            reason="wrong_length",
        )
    if math.prod(shape) > MAX_NOISE_VALUES:
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
            f"option missing: the graph also has {describe_inputs(unbound)}: bind each with --set NAME=VALUE{also}, as a "
            "further --z-input, as --label-input, or bind all noise inputs with --noise fixed",
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
            f"the graph has no float input for z: {describe_inputs(free.values())}", field="z_input", reason="no_z_input"
        )
    if len(floats) == 1:
        return
    clear = [value for value in floats if _LATENT_NAME.fullmatch(value.name)]
    if len(clear) < len(floats):
        raise GeneratorImportError(
            f"option missing: the graph has {describe_inputs(floats)}: name each input that receives a part of z (--z-input), "
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
    if count > MAX_NOISE_VALUES:
        raise GeneratorImportError(f"input {value.name!r} is {value}, which is too large", field="noise", reason="wrong_shape")
    numbers = constant_noise(count, options.noise or "zero")
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
        raise GeneratorImportError(
            f"option missing: the graph has {list_names(names)}", field="output", reason="output_missing"
        )
    if options.output not in names:
        raise GeneratorImportError(
            f"the graph has no output {options.output!r}, only {list_names(names)}", field="output", reason="unknown_output"
        )
    return options.output
