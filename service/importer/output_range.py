"""Range of the outputs: first from the last operators of the graph, then from sampled outputs."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.options import ImportOptions
from seedmint.service.importer.wrap import OutputRange

_TOLERANCE = 1e-3  # relative to the width of a range: constants in half precision
_PASS_THROUGH = {
    *("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Gather", "Split", "Expand", "Tile"),
    *("DepthToSpace", "SpaceToDepth", "Dropout", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceMax"),
}
_BOUNDED = {
    "Sigmoid": (0.0, 1.0),
    "HardSigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Softsign": (-1.0, 1.0),
    "Erf": (-1.0, 1.0),
    "Sin": (-1.0, 1.0),
    "Cos": (-1.0, 1.0),
}
_STANDARD: dict[OutputRange, tuple[float, float]] = {
    "-1..1": (-1.0, 1.0),
    "0..1": (0.0, 1.0),
    "0..255": (0.0, 255.0),
    "0..65535": (0.0, 65535.0),
}
_INTEGERS = {TensorProto.UINT8: (0.0, 255.0), TensorProto.UINT16: (0.0, 65535.0)}
_MAX_DEPTH = 200


@dataclass(frozen=True)
class Interval:
    """Bounds of all values of a tensor; infinite where unknown."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def is_bounded(self) -> bool:
        """Whether both bounds are finite."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def find_range(model: ModelProto, output: str, rows: NDArray[Any], options: ImportOptions) -> OutputRange:
    """Find which values mean black and white.

    Args:
        model: The model.
        output: Name of the output.
        rows: Sampled outputs.
        options: Options of the import; `range` overrides the result.

    Raises:
        GeneratorImportError: The graph and the outputs fit no range, or more than one.
    """
    if rows.dtype == np.uint8:
        return "bytes"
    if options.range is not None:
        return options.range
    if rows.dtype == np.uint16:
        return "0..65535"
    interval = _Graph(model.graph).interval(output)
    for name, (low, high) in _STANDARD.items():
        slack = _TOLERANCE * (high - low)
        if abs(interval.low - low) <= slack and abs(interval.high - high) <= slack:
            return name
    low, high = float(rows.min()), float(rows.max())
    if not interval.is_bounded and (guess := _range_of_samples(rows)) is not None:
        return guess
    bounds = f"the graph limits them to {interval.low:.3g} to {interval.high:.3g}, " if interval.is_bounded else ""
    raise GeneratorImportError(
        f"option missing: {bounds}the outputs are from {low:.3g} to {high:.3g}: pass the values of black and white",
        field="range",
        reason="range_missing",
    )


def _range_of_samples(rows: NDArray[Any]) -> OutputRange | None:
    """Find the range of outputs without bounds; None if the evidence is weak."""
    values = rows.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    first, last = np.percentile(values, [1, 99])
    if low <= -0.25 and first >= -1.1 and 0.25 <= last <= 1.1:
        return "-1..1"
    if low >= -6 and 100 <= high <= 261 and first >= -1 and last <= 256:
        return "0..255"
    if -0.02 <= low <= 0.02 and 0.9 <= high <= 1.02:
        return "0..1"
    return None


class _Graph:
    """Interval arithmetic over the last operators of a graph."""

    def __init__(self, graph: GraphProto, outer: "_Graph | None" = None) -> None:
        self._producers: dict[str, NodeProto] = {name: node for node in graph.node for name in node.output if name}
        self._stored: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self._outer = outer

    def interval(self, name: str, depth: int = 0) -> Interval:
        """Return bounds of the values of one tensor."""
        if depth > _MAX_DEPTH:
            return Interval()
        constant = self._constant(name)
        if constant is not None:
            return Interval(float(constant.min()), float(constant.max())) if constant.size else Interval()
        node = self._producers.get(name)
        if node is None:
            return self._outer.interval(name, depth + 1) if self._outer is not None else Interval()
        return self._node_interval(node, name, depth + 1)

    def _constant(self, name: str) -> NDArray[Any] | None:
        tensor = self._stored.get(name)
        node = self._producers.get(name)
        if tensor is None and node is not None and node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    tensor = attribute.t
                elif attribute.name in ("value_float", "value_int", "value_floats", "value_ints"):
                    return np.asarray(helper.get_attribute_value(attribute), np.float64)
        if tensor is None or tensor.data_type == TensorProto.STRING or math.prod(tensor.dims) > 4096:
            return None
        return np.asarray(numpy_helper.to_array(tensor), np.float64)

    def _node_interval(self, node: NodeProto, name: str, depth: int) -> Interval:
        operator = node.op_type
        if operator in _BOUNDED:
            return Interval(*_BOUNDED[operator])
        if operator in _PASS_THROUGH:
            return self.interval(node.input[0], depth)
        if operator == "Resize":
            mode = next((attribute.s for attribute in node.attribute if attribute.name == "mode"), b"nearest")
            return self.interval(node.input[0], depth) if mode in (b"nearest", b"linear") else Interval()
        if operator == "Cast":
            to = next(attribute.i for attribute in node.attribute if attribute.name == "to")
            inner = self.interval(node.input[0], depth)
            return Interval(*_INTEGERS[to]) if to in _INTEGERS and not inner.is_bounded else inner
        if operator in ("Clip", "Relu", "Abs", "Neg", "Round", "Floor", "Ceil"):
            return self._unary(node, depth)
        if operator in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Where", "Concat"):
            return self._combined(node, depth)
        if operator == "If":
            position = list(node.output).index(name)
            branches = [a.g for a in node.attribute if a.name in ("then_branch", "else_branch")]
            return _union([_Graph(branch, self).interval(branch.output[position].name, depth) for branch in branches])
        return Interval()

    def _unary(self, node: NodeProto, depth: int) -> Interval:
        inner = self.interval(node.input[0], depth)
        if node.op_type == "Clip":
            attributes = {attribute.name: attribute.f for attribute in node.attribute}
            low = self._bound(node, 1, attributes.get("min", -math.inf), depth).low
            high = self._bound(node, 2, attributes.get("max", math.inf), depth).high
            return Interval(min(max(inner.low, low), high), max(min(inner.high, high), low))
        if node.op_type == "Relu":
            return Interval(max(0.0, inner.low), max(0.0, inner.high))
        if node.op_type == "Neg":
            return Interval(-inner.high, -inner.low)
        if node.op_type == "Abs":
            least = 0.0 if inner.low <= 0 <= inner.high else min(abs(inner.low), abs(inner.high))
            return Interval(least, max(abs(inner.low), abs(inner.high)))
        return inner

    def _bound(self, node: NodeProto, position: int, default: float, depth: int) -> Interval:
        if len(node.input) > position and node.input[position]:
            return self.interval(node.input[position], depth)
        return Interval(default, default)

    def _combined(self, node: NodeProto, depth: int) -> Interval:
        inputs = node.input[1:] if node.op_type == "Where" else node.input
        parts = [self.interval(name, depth) for name in inputs]
        if node.op_type in ("Where", "Concat"):
            return _union(parts)
        if node.op_type == "Min":
            return Interval(min(part.low for part in parts), min(part.high for part in parts))
        if node.op_type == "Max":
            return Interval(max(part.low for part in parts), max(part.high for part in parts))
        a, b = parts
        if node.op_type == "Add":
            return Interval(a.low + b.low, a.high + b.high)
        if node.op_type == "Sub":
            return Interval(a.low - b.high, a.high - b.low)
        if not (a.is_bounded and b.is_bounded) or (node.op_type == "Div" and b.low <= 0 <= b.high):
            return Interval()
        pairs = [(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        values = [x * y if node.op_type == "Mul" else x / y for x, y in pairs]
        return Interval(min(values), max(values))


def _union(parts: list[Interval]) -> Interval:
    return Interval(min(part.low for part in parts), max(part.high for part in parts))
