"""The training wing: a data set and a recipe become a run, and a checkpoint becomes a generator file."""
