"""Exports with torch take half the time."""

from tests.support.onnx_exports import exporter_operators

__all__ = ["exporter_operators"]
