"""The core that service and training share: generator files, cards, noise rules, seed syntax, and the shipped generators.

It imports neither service nor training. All but `seedmint.models.runtime` needs only NumPy and Pydantic.
"""
