"""The commands of training. Only this package uses click, rich and option names. Torch is imported when a command runs."""
