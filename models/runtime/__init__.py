"""Opens generator files with ONNX Runtime, the same way for serving and training. Needs the extra `runtime`."""
