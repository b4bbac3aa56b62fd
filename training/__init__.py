"""Trains generators: from a recipe and a data set to a run, and from a checkpoint to a generator file."""
