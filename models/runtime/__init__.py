"""How a generator file is opened with ONNX Runtime, the same for both wings. Needs the extra `runtime`."""
