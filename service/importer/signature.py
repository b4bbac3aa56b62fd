"""Decides the value of each input of a graph: z, the label, the truncation or a constant."""

import math
from typing import Any

import numpy as np
from onnx import ModelProto, helper

from seedmint.service.importer.bindings import FLOAT_TYPES, Binding, Input, Signature, graph_inputs, list_names
from seedmint.service.importer.constant_noise import MAX_NOISE_VALUES, constant_noise
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.label_binding import find_label
from seedmint.service.importer.latent_binding import bind_latent, latent_inputs
from seedmint.service.importer.options import ImportOptions


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
    bindings += [_zeros(value) for value in free.values() if value.is_empty]
    free = {name: value for name, value in free.items() if not value.is_empty}
    if options.truncation_input is not None:
        bindings.append(_truncation(free.pop(options.truncation_input)))
    label = find_label(free, options)
    if label is not None:
        bindings.append(label)
        del free[label.input.name]
    latent = latent_inputs(free, options)
    bindings += [_noise_constant(value, options) for value in free.values() if value not in latent]
    z_bindings = bind_latent(latent, options)
    bindings += z_bindings
    return Signature(tuple(bindings), z_bindings[-1].stop, _output(model, options), _fixed_batch(latent))


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
        if free[name].is_empty and field != "set":
            raise GeneratorImportError(
                f"input {name!r} is {free[name]}: an axis has length 0", field=field, reason="wrong_shape"
            )
        if name in seen:
            raise GeneratorImportError(f"input {name!r} is named by two options", field=field, reason="unknown_input")
        seen.add(name)


def _fixed_batch(latent: list[Input]) -> int | None:
    """Return the batch size that the first input with a fixed first axis declares; None if all are dynamic."""
    for value in latent:
        if value.dims[0] is not None:
            return 1 if len(value.dims) == 1 else value.dims[0]
    return None


def _zeros(value: Input) -> Binding:
    return Binding(value, "constant", value=np.zeros([size or 1 for size in value.dims], _dtype(value)))


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


def _output(model: ModelProto, options: ImportOptions) -> str:
    names = [value.name for value in model.graph.output]
    if options.output is None and len(names) == 1:
        return str(names[0])
    if options.output is None:
        raise GeneratorImportError(
            f"is missing: the graph has {list_names(names)}; name one", field="output", reason="output_missing"
        )
    if options.output not in names:
        raise GeneratorImportError(
            f"the graph has no output {options.output!r}, only {list_names(names)}", field="output", reason="unknown_output"
        )
    return options.output
