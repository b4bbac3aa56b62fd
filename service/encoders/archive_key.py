"""What identifies an output in an archive."""

from typing import Literal

Key = Literal["seed", "row"]
"""The seed of the output, or the number of its latent vector in the request."""
