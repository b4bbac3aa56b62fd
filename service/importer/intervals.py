"""Bounds of the values of a tensor, by interval arithmetic over the last operators of a graph."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

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


def graph_interval(graph: GraphProto, name: str) -> Interval:
    """Return bounds of the values of a tensor.

    Args:
        graph: The graph.
        name: Name of the tensor.
    """
    return _Graph(graph).interval(name)


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
        if operator in _UNARY:
            return _UNARY[operator](self.interval(node.input[0], depth))
        if operator in _MULTIPLE:
            return _MULTIPLE[operator]([self.interval(value, depth) for value in node.input])
        match operator:
            case "Where":
                return _union([self.interval(value, depth) for value in node.input[1:]])
            case "Clip":
                return self._clip(node, depth)
            case "Resize":
                return self._resize(node, depth)
            case "Cast":
                return self._cast(node, depth)
            case "If":
                return self._if(node, name, depth)
        return Interval()

    def _resize(self, node: NodeProto, depth: int) -> Interval:
        mode = next((attribute.s for attribute in node.attribute if attribute.name == "mode"), b"nearest")
        return self.interval(node.input[0], depth) if mode in (b"nearest", b"linear") else Interval()

    def _cast(self, node: NodeProto, depth: int) -> Interval:
        to = next(attribute.i for attribute in node.attribute if attribute.name == "to")
        inner = self.interval(node.input[0], depth)
        return Interval(*_INTEGERS[to]) if to in _INTEGERS and not inner.is_bounded else inner

    def _if(self, node: NodeProto, name: str, depth: int) -> Interval:
        position = list(node.output).index(name)
        branches = [attribute.g for attribute in node.attribute if attribute.name in ("then_branch", "else_branch")]
        return _union([_Graph(branch, self).interval(branch.output[position].name, depth) for branch in branches])

    def _clip(self, node: NodeProto, depth: int) -> Interval:
        inner = self.interval(node.input[0], depth)
        attributes = {attribute.name: attribute.f for attribute in node.attribute}
        low = self._bound(node, 1, attributes.get("min", -math.inf), depth).low
        high = self._bound(node, 2, attributes.get("max", math.inf), depth).high
        return Interval(min(max(inner.low, low), high), max(min(inner.high, high), low))

    def _bound(self, node: NodeProto, position: int, default: float, depth: int) -> Interval:
        if len(node.input) > position and node.input[position]:
            return self.interval(node.input[position], depth)
        return Interval(default, default)


def _union(parts: list[Interval]) -> Interval:
    return Interval(min(part.low for part in parts), max(part.high for part in parts))


def _absolute(x: Interval) -> Interval:
    least = 0.0 if x.low <= 0 <= x.high else min(abs(x.low), abs(x.high))
    return Interval(least, max(abs(x.low), abs(x.high)))


def _add(parts: list[Interval]) -> Interval:
    a, b = parts
    return Interval(a.low + b.low, a.high + b.high)


def _subtract(parts: list[Interval]) -> Interval:
    a, b = parts
    return Interval(a.low - b.high, a.high - b.low)


def _multiply(parts: list[Interval]) -> Interval:
    a, b = parts
    if not (a.is_bounded and b.is_bounded):
        return Interval()
    products = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return Interval(min(products), max(products))


def _divide(parts: list[Interval]) -> Interval:
    a, b = parts
    if not (a.is_bounded and b.is_bounded) or b.low <= 0 <= b.high:
        return Interval()
    quotients = [x / y for x in (a.low, a.high) for y in (b.low, b.high)]
    return Interval(min(quotients), max(quotients))


_UNARY: dict[str, Callable[[Interval], Interval]] = {
    "Relu": lambda x: Interval(max(0.0, x.low), max(0.0, x.high)),
    "Neg": lambda x: Interval(-x.high, -x.low),
    "Abs": _absolute,
    "Round": lambda x: x,
    "Floor": lambda x: x,
    "Ceil": lambda x: x,
}
_MULTIPLE: dict[str, Callable[[list[Interval]], Interval]] = {
    "Add": _add,
    "Sub": _subtract,
    "Mul": _multiply,
    "Div": _divide,
    "Min": lambda parts: Interval(min(x.low for x in parts), min(x.high for x in parts)),
    "Max": lambda parts: Interval(max(x.low for x in parts), max(x.high for x in parts)),
    "Concat": _union,
}
