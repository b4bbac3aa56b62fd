"""Wraps a graph to the contract: the inputs are z, label and truncation, the outputs finished images or samples."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from seedmint.models.card import CARD_KEY, Card, ImageOutput, SampleOutput
from seedmint.service.importer.bindings import Binding, Signature
from seedmint.service.importer.names import rename_values
from seedmint.service.importer.options import Layout

GAIN_AND_OFFSET = {
    "-1..1": (127.5, 127.5),
    "0..1": (255.0, 0.0),
    "0..255": (1.0, 0.0),
    "0..65535": (255.0 / 65535.0, 0.0),
    "bytes": (1.0, 0.0),
}
"""Factor and offset that turn values of each range into gray levels."""

_INNER = "inner/"  # prefix of every name of the original graph

OutputRange = Literal["-1..1", "0..1", "0..255", "0..65535", "bytes"]


@dataclass(frozen=True)
class Execution:
    """How the wrapped graph runs the original graph.

    Attributes:
        by_row: Whether one `Scan` runs the original graph once for each row.
        batch: Batch size of each run by row: every row of the batch is the same, and the first output row is used.
        has_batch_axis: Whether the first axis of the output is the batch.
    """

    by_row: bool
    batch: int = 1
    has_batch_axis: bool = True


@dataclass(frozen=True)
class OutputSpec:
    """How an output becomes an image or a sample.

    Attributes:
        card: The output as the card describes it.
        layout: Order of the axes.
        range: Values that mean black and white, of images; `bytes` for gray levels of type uint8.
    """

    card: ImageOutput | SampleOutput
    layout: Layout
    range: OutputRange | None


def wrap_raw(model: ModelProto, signature: Signature, z_scale: float, classes: int, execution: Execution) -> ModelProto:
    """Wrap the inputs of a graph only; the output `raw` is the output of the original graph.

    Args:
        model: A self-contained model.
        signature: The values of its inputs.
        z_scale: Factor on z.
        classes: Number of classes, 0 without labels.
        execution: Batched or row by row.
    """
    return _Wrapper(model, signature, z_scale, classes, execution).build(None)


def wrap(
    model: ModelProto, signature: Signature, z_scale: float, card: Card, execution: Execution, output: OutputSpec
) -> bytes:
    """Wrap a graph to the contract.

    Args:
        model: A self-contained model.
        signature: The values of its inputs.
        z_scale: Factor on z.
        card: The card of the result.
        execution: Batched or row by row.
        output: How the output becomes an image or a sample.

    Returns:
        The generator file.
    """
    built = _Wrapper(model, signature, z_scale, len(card.classes or ()), execution).build(output)
    helper.set_model_props(built, {CARD_KEY: card.to_json()})
    content: bytes = built.SerializeToString(deterministic=True)
    return content


class _Wrapper:
    """Builds one wrapped graph."""

    def __init__(self, model: ModelProto, signature: Signature, z_scale: float, classes: int, execution: Execution) -> None:
        self._model, self._signature = model, signature
        self._z_scale, self._classes, self._execution = z_scale, classes, execution
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, NDArray[Any]] = {}
        self._prepared: dict[str, str] = {}

    def build(self, output: OutputSpec | None) -> ModelProto:
        """Return the wrapped model; without an output spec, its output is `raw`."""
        graph = onnx.GraphProto()
        graph.CopyFrom(self._model.graph)
        rename_values(graph, lambda name: _INNER + name)
        by_row = self._execution.by_row
        suffix = "_row" if by_row else ""
        for name in self._input_names():
            self._prepare(name, suffix)
        for binding in self._signature.bindings:
            self._bind(binding)
        self._nodes.extend(graph.node)
        raw = self._raw_output()
        axes: list[int] | None = None
        if output is None:
            element = self._output_type()
            name = "raw"
            self._add("Identity", [raw], name + suffix)
        else:
            name, axes = output.card.kind, list(output.card.shape)
            element = TensorProto.UINT8 if isinstance(output.card, ImageOutput) else TensorProto.FLOAT
            self._output_nodes(raw, output)
            self._nodes[-1].output[0] = name + suffix
        del graph.node[:], graph.input[:], graph.output[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in self._constants.items())
        if by_row:
            graph.input.extend(self._input_info(name, suffix) for name in self._input_names())
            graph.output.append(helper.make_tensor_value_info(name + suffix, element, axes))
            names = self._input_names()
            scan = helper.make_node("Scan", names, [name], name="rows", body=graph, num_scan_inputs=len(names))
            graph.name = "row"
            graph = helper.make_graph([scan], "generator", [], [])
        graph.input.extend(self._input_info(name, "") for name in self._input_names())
        batched_axes: list[str | int | None] | None = None if axes is None else ["batch", *axes]
        graph.output.append(helper.make_tensor_value_info(name, element, batched_axes))
        built = ModelProto()
        built.CopyFrom(self._model)
        built.graph.CopyFrom(graph)
        del built.metadata_props[:]
        return built

    def _output_type(self) -> int:
        found = next(value for value in self._model.graph.output if value.name == self._signature.output)
        return int(found.type.tensor_type.elem_type)

    def _input_names(self) -> list[str]:
        names = ["z"]
        if self._signature.label is not None:
            names.append("label")
        if self._signature.has_truncation:
            names.append("truncation")
        return names

    def _input_info(self, name: str, suffix: str) -> onnx.ValueInfoProto:
        batch: list[str | int] = [] if suffix else ["batch"]
        axes: list[str | int] = [*batch, self._signature.z_dim] if name == "z" else batch
        element = TensorProto.INT64 if name == "label" else TensorProto.FLOAT
        return helper.make_tensor_value_info(name + suffix, element, axes)

    def _prepare(self, name: str, suffix: str) -> None:
        """Give a row of an input the batch axis that the original graph expects, and scale z."""
        if suffix:
            axes = [1, self._signature.z_dim] if name == "z" else [1]
            tensor = self._add(
                "Reshape", [name + suffix, self._constant(f"{name}_axes", np.array(axes, np.int64))], f"{name}_one"
            )
            if self._execution.batch > 1:
                axes[0] = self._execution.batch
                tensor = self._add(
                    "Expand", [tensor, self._constant(f"{name}_copies", np.array(axes, np.int64))], f"{name}_many"
                )
        else:
            tensor = name
        if name == "z" and self._z_scale != 1:
            tensor = self._add("Mul", [tensor, self._constant("z_scale", np.array(self._z_scale, np.float32))], "z_scaled")
        self._prepared[name] = tensor

    def _bind(self, binding: Binding) -> None:
        """Add the nodes that compute the value of one input of the original graph."""
        target = binding.input.name
        if binding.kind == "z":
            tensor = self._latent(binding)
        elif binding.kind == "constant":
            self._bind_constant(binding)
            return
        elif binding.kind == "one_hot":
            # ONNX Runtime implements OneHot for few types: one-hot rows are float32 first.
            depth = self._constant("classes", np.array(self._classes, np.int64))
            tensor = self._add(
                "OneHot", [self._prepared["label"], depth, self._constant("off_on", np.array([0, 1], np.float32))], None
            )
            tensor = self._reshape(tensor, [-1, *binding.shape])
        else:
            tensor = self._prepared["label" if binding.kind == "label" else "truncation"]
            tensor = self._reshape(tensor, [] if binding.input.dims == () else [-1, *binding.shape])
        self._add("Cast", [tensor], _INNER + target, to=binding.input.elem_type)

    def _latent(self, binding: Binding) -> str:
        tensor = self._prepared["z"]
        if (binding.start, binding.stop) != (0, self._signature.z_dim):
            bounds = [
                self._constant(f"{side}/{binding.input.name}", np.array([value], np.int64))
                for side, value in (("start", binding.start), ("stop", binding.stop), ("axis", 1))
            ]
            tensor = self._add("Slice", [tensor, *bounds], None)
        length, shape = binding.stop - binding.start, binding.shape
        if len(binding.input.dims) == 1:
            return self._reshape(tensor, [length])
        if length == int(np.prod(shape)):
            return tensor if len(shape) == 1 else self._reshape(tensor, [-1, *shape])
        tensor = self._reshape(tensor, [-1, *[1] * (len(shape) - 1), length])
        return self._add(
            "Expand", [tensor, self._constant(f"copies/{binding.input.name}", np.array([1, *shape], np.int64))], None
        )

    def _bind_constant(self, binding: Binding) -> None:
        """Store a constant as the input; repeat a row along the batch axis."""
        assert binding.value is not None
        target = _INNER + binding.input.name
        if not binding.per_row or (self._execution.by_row and self._execution.batch == 1):
            self._constant(target, binding.value)
            return
        tensor = self._constant(f"value/{binding.input.name}", binding.value)
        num_rows = self._add("Shape", [self._prepared["z"]], None, start=0, end=1)
        rest = self._constant(f"axes/{binding.input.name}", np.array(binding.value.shape[1:], np.int64))
        self._add("Expand", [tensor, self._add("Concat", [num_rows, rest], None, axis=0)], target)

    def _raw_output(self) -> str:
        """Return the output of the original graph; of one row without the batch axis."""
        tensor = _INNER + self._signature.output
        if self._execution.by_row and self._execution.has_batch_axis:
            tensor = self._add("Gather", [tensor, self._constant("first", np.array(0, np.int64))], None, axis=0)
        return tensor

    def _output_nodes(self, tensor: str, output: OutputSpec) -> None:
        """Add the nodes from the original output to the image or the sample."""
        lead = [] if self._execution.by_row else [-1]
        shape = output.card.shape
        if output.layout in ("nchw", "ncl") and len(shape) > 1:
            channels_first = [*lead, shape[-1], *shape[:-1]]
            tensor = self._reshape(tensor, channels_first)
            order = list(range(len(channels_first)))
            axis = len(lead)
            order = [*order[:axis], *order[axis + 1 :], axis]
            tensor = self._add("Transpose", [tensor], None, perm=order)
        if isinstance(output.card, SampleOutput):
            tensor = self._add("Cast", [tensor], None, to=TensorProto.FLOAT)
        elif output.range != "bytes":
            tensor = self._grey_levels(tensor, output.range)
        self._reshape(tensor, [*lead, *shape])

    def _grey_levels(self, tensor: str, output_range: OutputRange | None) -> str:
        gain, offset = GAIN_AND_OFFSET[output_range or "bytes"]
        constants = {
            name: self._constant(name, np.array(value, np.float32))
            for name, value in {"gain": gain, "offset": offset, "black": 0, "white": 255}.items()
        }
        tensor = self._add("Cast", [tensor], None, to=TensorProto.FLOAT)
        tensor = self._add("Mul", [tensor, constants["gain"]], None)
        tensor = self._add("Add", [tensor, constants["offset"]], None)
        tensor = self._add("Round", [tensor], None)
        tensor = self._add("Clip", [tensor, constants["black"], constants["white"]], None)
        return self._add("Cast", [tensor], None, to=TensorProto.UINT8)

    def _reshape(self, tensor: str, shape: list[int]) -> str:
        return self._add("Reshape", [tensor, self._constant(f"shape{len(self._constants)}", np.array(shape, np.int64))], None)

    def _add(self, operator: str, inputs: list[str], result: str | None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        result = result or f"{operator.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [result], **attributes))
        return result

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self._constants[name] = value
        return name
