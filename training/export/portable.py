"""Replaces nodes whose results differ between processors with fused multiply-add: x86-64 with AVX2 or AVX-512, and aarch64."""

import onnx

from seedmint.training.export.portable_products import separate_products
from seedmint.training.export.portable_sums import transpose_convolutions


def make_portable(model: onnx.ModelProto) -> None:
    """Replace the nodes, and remove the constants that no node uses afterwards.

    Args:
        model: Changed in place. A graph of torch's exporter, which has no subgraphs.
    """
    separate_products(model)
    transpose_convolutions(model)
    used = {name for node in model.graph.node for name in node.input} | {output.name for output in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
