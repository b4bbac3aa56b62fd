"""The hall: what a generator file is. The card, the noise rule, seed syntax, and the shipped generators.

Imports neither wing, and needs only numpy and pydantic.
"""
