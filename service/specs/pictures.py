"""The type of pieces and the size limit of contact sheets and latent walks."""

import numpy as np
from numpy.typing import NDArray

from seedmint.service.encoders.images import MAX_SHEET_SIDE
from seedmint.service.runtime.arrays import Labels, SeedArray
from seedmint.service.specs.errors import SpecError

PicturePiece = tuple[SeedArray, Labels | None, NDArray[np.float32] | None]
"""Seeds int64[n], labels int64[n] and latent vectors float32[n, z_dim]; without latent vectors, the noise of the seeds."""


def check_picture_size(width: int, height: int, frames: int, max_pixels: int | None, field: str) -> None:
    """Check the size of a picture of many images.

    Args:
        width: Width of a frame in pixels.
        height: Height of a frame in pixels.
        frames: Number of frames.
        max_pixels: Maximum number of pixels of all frames; None for no limit.
        field: Parameter that makes the picture too large.

    Raises:
        SpecError: "too_large".
    """
    if max(width, height) > MAX_SHEET_SIDE or (max_pixels is not None and width * height * frames > max_pixels):
        size = f"{width}x{height} pixels" if frames == 1 else f"{frames} frames of {width}x{height} pixels"
        limit = f"{MAX_SHEET_SIDE} pixels a side" + ("" if max_pixels is None else f" and {max_pixels} pixels in total")
        raise SpecError(f"the picture of {size} is too large: the limit is {limit}", field=field, reason="too_large")
