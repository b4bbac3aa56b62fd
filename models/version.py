"""The version of Seedmint, also where the package is not installed: in a bento or a checkout. pyproject.toml has the same."""

__version__ = "0.1.0"
