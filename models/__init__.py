"""The core that service and training share: generator files, cards, noise rules, seed syntax, and the shipped generators.

The package imports neither `service` nor `training`. All modules except `seedmint.models.runtime` need only NumPy and Pydantic.
"""
