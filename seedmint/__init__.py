"""Seedmint trains generators with Algorithm 1 of Generative Adversarial Nets and serves them: a seed is an address."""

import os

# ONNX Runtime reads this variable on import. Without it, ONNX Runtime creates a device id and a telemetry database below
# $HOME. Every process that imports any part of Seedmint passes here first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
