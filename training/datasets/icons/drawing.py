"""A drawing of many icons of one class at once: random numbers, colors, backgrounds and paint."""

import numpy as np
from numpy.typing import NDArray

from seedmint.training.datasets.icons.shapes import Distances, Frame

SIDE = 32
"""Side of an icon, pixels."""

NUMBERS = 24
"""Uniform random numbers of one icon."""

Colors = NDArray[np.float32]
"""float32[m, 3], red, green and blue in [0, 1]."""


def _palette(*colors: str) -> Colors:
    return np.array([[int(color[i : i + 2], 16) for i in (0, 2, 4)] for color in colors], dtype=np.float32) / np.float32(255)


VIVID = _palette("d8343f", "f0712c", "f6b52e", "8cbf3f", "2f9e6e", "2a9db5", "3a6fc4", "7652b3", "c24b9c")
PALE = _palette("cfe8f7", "d9f2e6", "fbf0d2", "fbdcd6", "e6dcf5")
LEAVES = _palette("2e7d4f", "4f9d3a", "8bb83a", "d9a531", "cf5f2b")
GRASS = _palette("7cb65a", "5fa05a", "a3c663", "c9c27a")
WATER = _palette("3f9fd0", "3fb6b8", "4a7fcb")
NIGHT = _palette("1d2350", "2b1d4e", "14304f")
FUR = _palette("e79a4d", "8a8f98", "5b4a42", "f1dcc0", "c9743a")
WOOD, CREAM, DARK, WHITE = (_palette(color) for color in ("7a5134", "f6ecd6", "2b2b33", "ffffff"))
YELLOW, PINK, GRAY, GLASS = (_palette(color) for color in ("ffd84a", "f29aa5", "8d929c", "d8eefc"))


class Drawing:
    """Icons of one class while they are painted.

    Args:
        numbers: Uniform random numbers, float32[m, NUMBERS] in [0, 1). Each use takes the next column.
        largest: Largest side of the square of the objects, as a part of the icon's side.
        low: Whether the objects stand near the bottom.

    Attributes:
        frame: The square of the objects.
    """

    def __init__(self, numbers: Distances, largest: float = 0.92, low: bool = False) -> None:
        self._columns = iter(numbers.T)
        m = len(numbers)
        size = SIDE * (largest - np.float32(0.24) * self.number())
        left, top = (SIDE - size) * self.number(), (SIDE - size) * self.number()
        if low:
            top = (SIDE - size) * (np.float32(0.55) + np.float32(0.35) * (top / np.maximum(SIDE - size, 1)))
        is_mirrored = np.floor(2 * self.number())
        self.frame = Frame(SIDE, left, top, size, is_mirrored)
        self._image = np.zeros((m, 3, SIDE, SIDE), dtype=np.float32)
        self._y = (np.arange(SIDE, dtype=np.float32) + np.float32(0.5)) / SIDE

    def number(self) -> Distances:
        """Return the next random numbers, float32[m, 1, 1] in [0, 1)."""
        numbers: Distances = next(self._columns)[:, None, None]
        return numbers

    def color(self, palette: Colors) -> Colors:
        """Return a random color of each icon: a mixture of two neighbors in a palette, a little lighter or darker.

        Args:
            palette: float32[k, 3].
        """
        place = self.number()[:, 0, 0] * len(palette)
        first = np.floor(place).astype(np.int64) % len(palette)
        part = (place - np.floor(place))[:, None]
        mixed = palette[first] + part * (palette[(first + 1) % len(palette)] - palette[first])
        light = np.float32(0.88) + np.float32(0.24) * self.number()[:, :, 0]
        return np.clip(mixed * light, 0, 1)

    def sky(self, palette: Colors) -> None:
        """Fill the icons from top to bottom: a random color that becomes lighter.

        Args:
            palette: float32[k, 3].
        """
        color = self.color(palette)[:, :, None, None]
        light = (np.float32(0.45) * self._y)[None, None, :, None]
        self._image = np.repeat(color + light * (1 - color), SIDE, axis=3)

    def ground(self, height: float, palette: Colors) -> None:
        """Fill everything below a height of the objects' square.

        Args:
            height: From 0, top, to 1, bottom.
            palette: float32[k, 3].
        """
        self.paint(height - self.frame.y + 0 * self.frame.x, self.color(palette))

    def paint(self, shape: Distances, color: Colors, opacity: Distances | float = 1.0) -> None:
        """Paint a shape.

        Args:
            shape: Signed distances.
            color: float32[m, 3], or float32[1, 3] for all icons.
            opacity: 0 to 1; float32[m, 1, 1] for each icon.
        """
        covered = (self.frame.coverage(shape) * opacity)[:, None]
        self._image = self._image + covered * (color[:, :, None, None] - self._image)

    def images(self) -> NDArray[np.uint8]:
        """Return the icons, uint8[m, 3, SIDE, SIDE]."""
        return np.rint(np.clip(self._image, 0, 1) * 255).astype(np.uint8)
