"""Tests of the repository's own rules: imports, packaging, documentation and commands."""
