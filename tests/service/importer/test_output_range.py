"""The range option beside the limits of the graph."""

import logging

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
def test_option_that_differs_from_the_graph_is_reported(change, option, limits, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="seedmint"):
        imported = import_small(change, range=option)
    assert [record.args for record in caplog.records if record.name.startswith("seedmint")] == (
        [(limits, option)] if limits else []
    )
    assert any(f"range {option or '-1..1'}" in line for line in imported.findings)
