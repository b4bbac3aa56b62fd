"""Export: from a torch generator to a verified ONNX file with its card."""
