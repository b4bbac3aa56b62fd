"""Someone else's ONNX graph to a generator file."""
