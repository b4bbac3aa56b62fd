"""The range option beside the limits of the graph."""

import pytest
from onnx import ModelProto

from tests.service.importer.networks import import_small


def tanh(model: ModelProto) -> None:
    model.graph.node[1].op_type = "Tanh"


def no_limit(model: ModelProto) -> None:
    model.graph.node[1].op_type = "Identity"


@pytest.mark.parametrize(
    ("change", "option", "limits"),
    [
        (lambda model: None, "-1..1", "0..1"),
        (tanh, "0..1", "-1..1"),
        (tanh, "-1..1", None),
        (no_limit, "0..1", None),
        (tanh, None, None),
    ],
)
def test_option_that_differs_from_the_graph_is_reported(change, option, limits):
    imported = import_small(change, range=option)
    doubts = [line for line in imported.findings if line.startswith("range:")]
    assert [limits in line for line in doubts] == ([True] if limits else [])
    assert any(f"range {option or '-1..1'}" in line for line in imported.findings)
