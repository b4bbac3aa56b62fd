"""Imports ONNX graphs from other projects as generator files."""
