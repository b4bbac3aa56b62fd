"""The commands of the service: the only place with click, rich and option names."""
