"""Imports torch modules, and checkpoints with the code of their network, as generator files."""
