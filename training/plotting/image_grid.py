"""Draws a grid of images."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seedmint.models.grid import arrange, enlarge

_MARGIN, _MARGIN_LEVEL = 1, 128
_GAP = 16


def grid(images: NDArray[np.uint8], columns: int, side: int = 640) -> bytes:
    """Return a PNG of images in rows, from left to right, with a margin of 1 pixel.

    Args:
        images: uint8[n, height, width, channels], n at least 1.
        columns: Number of images in a row.
        side: Approximate width of the grid, pixels. Each image is enlarged by an integer factor (nearest neighbor).
    """
    return _png(_sheet(images, columns, side))


def grid_beside(images: NDArray[np.uint8], others: NDArray[np.uint8], columns: int, side: int = 640) -> bytes:
    """Return a PNG of two grids beside each other, with a white gap.

    Args:
        images: uint8[n, height, width, channels], the grid on the left; n at least 1.
        others: uint8[n, height, width, channels], the grid on the right.
        columns: Number of images in a row of one grid.
        side: Approximate width of one grid, pixels.
    """
    left, right = (_sheet(part, columns, side) for part in (images, others))
    return _png(np.concatenate([np.pad(left, ((0, 0), (0, _GAP), (0, 0)), constant_values=255), right], axis=1))


def _sheet(images: NDArray[np.uint8], columns: int, side: int) -> NDArray[np.uint8]:
    scale = max(1, side // (columns * (images.shape[2] + _MARGIN)))
    inner = arrange(enlarge(images, scale), columns, _MARGIN, _MARGIN_LEVEL)
    return np.pad(inner, ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)), constant_values=_MARGIN_LEVEL)


def _png(sheet: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(sheet[:, :, 0] if sheet.shape[2] == 1 else sheet).save(buffer, format="png")
    return buffer.getvalue()
