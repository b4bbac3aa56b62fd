"""The commands of training: the only place with click, rich and option names."""
