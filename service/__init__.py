"""The serving wing: generator files and seeds become images. Runs without torch."""
