"""Renames the values of a graph, including the graphs inside its nodes."""

from collections.abc import Callable

from onnx import GraphProto


def rename_values(graph: GraphProto, rename: Callable[[str], str]) -> None:
    """Rename every value and node of a graph and of all graphs inside it.

    `onnx.compose.add_prefix` renames inner names without their uses in the bodies of `If`, `Loop` and `Scan`. Here one function
    renames all of them alike, so that a name inside a body still means the value that it meant before.

    Args:
        graph: The graph; changed in place. Inferred shapes of inner values are dropped.
        rename: Old name to new name; must be injective. The empty name, an omitted input or output, is kept.
    """

    def renamed(name: str) -> str:
        return rename(name) if name else name

    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = renamed(value.name)
    for node in graph.node:
        node.name = renamed(node.name)
        for side in (node.input, node.output):
            names = [renamed(name) for name in side]
            del side[:]
            side.extend(names)
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *((attribute.g,) if attribute.HasField("g") else ())):
                rename_values(inner, rename)
    del graph.value_info[:], graph.quantization_annotation[:]
