"""Joins a mapping network (z to w) and a synthesis network (w to images) into one graph."""

from dataclasses import replace

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper

from seedmint.models.noise import noise
from seedmint.models.runtime.provider import open_session
from seedmint.service.importer.bindings import FLOAT_TYPES, Input, graph_inputs
from seedmint.service.importer.errors import GeneratorImportError, first_line
from seedmint.service.importer.names import rename_values
from seedmint.service.importer.options import ImportOptions
from seedmint.service.importer.source_model import convert_opset, opset_version

_TRIAL_ROWS = 4


def join_models(
    mapping: ModelProto, synthesis: ModelProto, options: ImportOptions
) -> tuple[ModelProto, ImportOptions, list[str]]:
    """Join two models: the output of the first is the float input of the second.

    Inputs keep their names, except inputs of the synthesis network whose name the mapping network also has: these get the
    prefix `synthesis/`. Where the synthesis network takes several copies of w, the output of the mapping network is repeated.

    Args:
        mapping: Model of the mapping network.
        synthesis: Model of the synthesis network.
        options: Options of the import.

    Returns:
        The joined model; the options, with a constant for the truncation of the mapping network if trial runs find it; and
        findings for the user.

    Raises:
        GeneratorImportError: The output of the first model fits no input of the second.
    """
    opset = max(opset_version(mapping), opset_version(synthesis))
    mapping, synthesis = (m if opset_version(m) == opset else convert_opset(m, opset) for m in (mapping, synthesis))
    if len(mapping.graph.output) != 1:
        raise GeneratorImportError("the mapping network must have one output", reason="cannot_join")
    w = mapping.graph.output[0]
    w_dims = _dims(w)
    target = _w_input(synthesis, w, w_dims)
    options, findings = _bind_truncation(mapping, options)

    joined = ModelProto()
    joined.CopyFrom(mapping)
    first_names = set(graph_inputs(mapping))
    rename_values(joined.graph, lambda name: name if name in first_names else f"mapping/{name}")
    second = onnx.GraphProto()
    second.CopyFrom(synthesis.graph)
    second_names = set(graph_inputs(synthesis)) - {target.name}
    rename_values(second, lambda name: name if name in second_names - first_names else f"synthesis/{name}")
    outputs = {value.name for value in synthesis.graph.output}
    nodes = _repeat(f"mapping/{w.name}", w, w_dims, target, joined.graph)
    joined.graph.node.extend([*nodes, *second.node])
    joined.graph.initializer.extend(second.initializer)
    joined.graph.input.extend(value for value in second.input if value.name != f"synthesis/{target.name}")
    del joined.graph.output[:]
    joined.graph.output.extend(second.output)
    for value in joined.graph.output:  # outputs are chosen by their own names
        original = value.name.removeprefix("synthesis/")
        if original in outputs:
            joined.graph.node.append(helper.make_node("Identity", [value.name], [f"output/{original}"]))
            value.name = f"output/{original}"
    if options.output is not None:
        options = replace(options, output=f"output/{options.output}")
    return joined, options, findings


def _dims(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(int(axis.dim_value) or None for axis in value.type.tensor_type.shape.dim)


def _w_input(synthesis: ModelProto, w: onnx.ValueInfoProto, w_dims: tuple[int | None, ...]) -> Input:
    floats = [value for value in graph_inputs(synthesis).values() if value.elem_type in FLOAT_TYPES and len(value.dims) > 1]
    width = w_dims[-1] if w_dims else None
    fitting = [value for value in floats if width is None or value.dims[-1] in (None, width)]
    named = [value for value in fitting if value.name == w.name or value.name.lower() in ("w", "ws", "styles", "dlatents")]
    for candidates in (fitting, named):
        if len(candidates) == 1:
            return candidates[0]
    raise GeneratorImportError(
        f"the output {w.name!r} of the first file fits {len(fitting)} inputs of the second file: "
        "pass the mapping network first, then the synthesis network",
        reason="cannot_join",
    )


def _repeat(
    source: str, w: onnx.ValueInfoProto, w_dims: tuple[int | None, ...], target: Input, graph: onnx.GraphProto
) -> list[onnx.NodeProto]:
    """Return the nodes from the output of the mapping network to the input of the synthesis network."""
    nodes, tensor = [], source
    if len(target.dims) == len(w_dims) + 1:
        copies = target.dims[1]
        if copies is None:
            raise GeneratorImportError(
                f"input {target.name!r} is {target}: the number of copies of w is not known", reason="cannot_join"
            )
        values = {"join/axis": np.array([1]), "join/copies": np.array([1, copies, *[1] * (len(target.dims) - 2)])}
        graph.initializer.extend(numpy_helper.from_array(value.astype(np.int64), name) for name, value in values.items())
        nodes = [
            helper.make_node("Unsqueeze", [tensor, "join/axis"], ["join/one"]),
            helper.make_node("Tile", ["join/one", "join/copies"], ["join/many"]),
        ]
        tensor = "join/many"
    elif len(target.dims) != len(w_dims):
        raise GeneratorImportError(
            f"the output {w.name!r} does not fit the input {target.name!r} ({target})", reason="cannot_join"
        )
    return [*nodes, helper.make_node("Cast", [tensor], [f"synthesis/{target.name}"], to=target.elem_type)]


def _bind_truncation(mapping: ModelProto, options: ImportOptions) -> tuple[ImportOptions, list[str]]:
    """Bind a scalar input of the mapping network to 1, if trial runs show that it interpolates between the mean of w and w.

    Exporters often write the truncation as an input with a generated name. The input is the truncation if w does not
    depend on z at 0, and w at 0.5 is the mean of w at 0 and w at 1.
    """
    found = _z_and_scalar(mapping, options)
    if found is None:
        return options, []
    z, scalar = found
    zero, half, one = (_run_mapping(mapping, z, scalar, options, value) for value in (0.0, 0.5, 1.0))
    if not _interpolates(zero, half, one):
        return options, []
    constants = {**options.constants, scalar.name: (1.0,)}
    finding = f"input {scalar.name}: truncation of w by trial runs, bound to 1 because no option binds the input"
    return replace(options, constants=constants), [finding]


def _z_and_scalar(mapping: ModelProto, options: ImportOptions) -> tuple[Input, Input] | None:
    """Return the only vector and the only free scalar of the mapping network; None if it has other free inputs."""
    inputs = graph_inputs(mapping)
    bound = {*options.constants, options.truncation_input} & set(inputs)
    scalars = [value for value in inputs.values() if value.is_scalar and value.is_float and value.name not in bound]
    vectors = [value for value in inputs.values() if value.is_float and len(value.dims) > 1]
    if len(scalars) != 1 or len(vectors) != 1 or len(inputs) != 2 + len(bound):
        return None
    return None if None in vectors[0].row_dims else (vectors[0], scalars[0])


def _interpolates(zero: np.ndarray, half: np.ndarray, one: np.ndarray) -> bool:
    """Return whether w does not depend on z at 0, depends on z at 1, and is the mean of both at 0.5."""
    if not np.allclose(zero, zero[:1], atol=1e-5) or np.allclose(one, one[:1], atol=1e-3):
        return False
    return bool(np.allclose(half, (zero + one) / 2, atol=1e-4))


def _run_mapping(mapping: ModelProto, z: Input, scalar: Input, options: ImportOptions, value: float) -> np.ndarray:
    rows = []
    row_dims = tuple(size or 1 for size in z.row_dims)
    try:
        session = open_session(mapping.SerializeToString(), "cpu", 1)
        for seed in range(_TRIAL_ROWS):
            numbers = noise(f"philox-{options.prior}-v1", int(np.prod(row_dims)), np.array([seed])) * np.float32(
                options.z_scale
            )
            inputs = {
                z.name: numbers.reshape(1, *row_dims).astype(helper.tensor_dtype_to_np_dtype(z.elem_type)),
                scalar.name: np.full([1] * len(scalar.dims), value, helper.tensor_dtype_to_np_dtype(scalar.elem_type)),
            }
            for name, value_info in graph_inputs(mapping).items():
                if name in options.constants:
                    shape = [size or 1 for size in value_info.dims]
                    dtype = helper.tensor_dtype_to_np_dtype(value_info.elem_type)
                    inputs[name] = np.resize(np.array(options.constants[name]), shape).astype(dtype)
            rows.append(np.asarray(session.run(None, inputs)[0], np.float64).reshape(1, -1))
    except Exception as error:
        raise GeneratorImportError(f"the mapping network does not run: {first_line(error)}", reason="does_not_run") from None
    return np.concatenate(rows)
