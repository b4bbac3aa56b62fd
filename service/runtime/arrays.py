"""Types of the arrays that pass between a generator, its batcher and the encoders."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Samples = NDArray[np.float32]
Outputs = NDArray[Any]
"""uint8[n, height, width, channels] of a generator of images, float32[n, ...] of one of samples."""
SeedArray = NDArray[np.int64]
Labels = NDArray[np.int64]
Piece = tuple[SeedArray, Labels | None]
