"""A generator's figures."""
