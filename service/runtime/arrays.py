"""Types of the arrays that pass between generators, batchers and encoders."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Samples = NDArray[np.float32]
Outputs = NDArray[Any]
"""uint8[n, height, width, channels] of an image generator, or float32[n, ...] of a sample generator."""
SeedArray = NDArray[np.int64]
Labels = NDArray[np.int64]
Latents = NDArray[np.float32]
"""float32[n, z_dim]: latent vectors before truncation."""
Piece = tuple[SeedArray, Labels | None]
"""Seeds and labels of at most one batch."""
