"""Makes a graph portable: all processors with fused multiply-add, x86-64 and aarch64, compute the same bits."""

import onnx

from seedmint.training.export.portable_products import separate_products
from seedmint.training.export.portable_sums import transpose_convolutions


def make_portable(model: onnx.ModelProto) -> None:
    """Replace the nodes whose results depend on the processor, and remove the constants that no node uses afterwards.

    Args:
        model: Changed in place.
    """
    separate_products(model)
    transpose_convolutions(model)
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
