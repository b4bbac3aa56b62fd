"""From torch to a generator file."""
