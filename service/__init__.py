"""The serving wing: generator files and seeds become images, or samples of other data. Runs without torch."""
