"""The service: generates images, or samples of other data, from generator files and seeds. Runs without torch."""
