"""Shapes with smooth edges for drawings of many images at once, with NumPy alone.

A shape is the signed distance of each pixel to its edge, negative inside: float32[m, side, side] in the units of the drawing.
The arithmetic is that of IEEE 754 (+, -, *, /, square root, comparisons), so all machines draw the same bytes.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Distances = NDArray[np.float32]
Number = float | NDArray[np.float32]
"""A number for all images, or float32[m, 1, 1], one for each."""

Point = tuple[Number, Number]


class Frame:
    """The positions of the pixels in the square of a drawing, from (0, 0), top left, to (1, 1).

    Args:
        side: Pixels of a side of the images.
        left: Left edge of the square, pixels: float32[m, 1, 1].
        top: Top edge of the square, pixels.
        size: Side of the square, pixels.
        is_mirrored: Where 1, left and right of the drawing are exchanged; elsewhere 0. float32[m, 1, 1].
    """

    def __init__(self, side: int, left: Distances, top: Distances, size: Distances, is_mirrored: Distances) -> None:
        centers = np.arange(side, dtype=np.float32) + np.float32(0.5)
        x = (centers[None, None, :] - left) / size
        self.x: Distances = is_mirrored * (1 - x) + (1 - is_mirrored) * x
        self.y: Distances = (centers[None, :, None] - top) / size
        self._size = size

    def coverage(self, distances: Distances) -> Distances:
        """Return the covered part of each pixel, float32[m, side, side] in [0, 1].

        Args:
            distances: A shape.
        """
        covered: Distances = np.clip(0.5 - distances * self._size, 0, 1)
        return covered

    def ellipse(self, center: Point, radius_x: Number, radius_y: Number) -> Distances:
        """Return an ellipse. Away from its edge, the distances are approximate.

        Args:
            center: The center.
            radius_x: Half of the width.
            radius_y: Half of the height.
        """
        x, y = (self.x - center[0]) / radius_x, (self.y - center[1]) / radius_y
        inner = np.sqrt(x * x + y * y)
        slope = np.sqrt((x / radius_x) * (x / radius_x) + (y / radius_y) * (y / radius_y))
        distances: Distances = inner * (inner - 1) / np.maximum(slope, np.float32(1e-6))
        return distances

    def circle(self, center: Point, radius: Number) -> Distances:
        """Return a circle.

        Args:
            center: The center.
            radius: The radius.
        """
        x, y = self.x - center[0], self.y - center[1]
        distances: Distances = np.sqrt(x * x + y * y) - radius
        return distances

    def box(self, left: Number, top: Number, right: Number, bottom: Number) -> Distances:
        """Return an upright rectangle.

        Args:
            left: Left edge.
            top: Top edge.
            right: Right edge.
            bottom: Bottom edge.
        """
        across = np.maximum(left - self.x, self.x - right)
        distances: Distances = np.maximum(across, np.maximum(top - self.y, self.y - bottom))
        return distances

    def polygon(self, *points: tuple[float, float]) -> Distances:
        """Return a convex polygon.

        Args:
            *points: The corners, clockwise on the screen.
        """
        distances: Distances | None = None
        for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
            length = math.sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0))
            a, b = (y1 - y0) / length, (x0 - x1) / length
            edge = (self.x - x0) * np.float32(a) + (self.y - y0) * np.float32(b)
            distances = edge if distances is None else np.maximum(distances, edge)
        assert distances is not None
        return distances

    def stroke(self, start: Point, end: Point, radius: float) -> Distances:
        """Return a line with round ends.

        Args:
            start: One end.
            end: The other end.
            radius: Half of the width of the line.
        """
        x, y = self.x - start[0], self.y - start[1]
        dx, dy = end[0] - start[0], end[1] - start[1]
        along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
        x, y = x - along * dx, y - along * dy
        distances: Distances = np.sqrt(x * x + y * y) - np.float32(radius)
        return distances


def union(*shapes: Distances) -> Distances:
    """Return the pixels that are in at least one of the shapes.

    Args:
        *shapes: The shapes.
    """
    return _reduce(np.minimum, shapes)


def common(*shapes: Distances) -> Distances:
    """Return the pixels that are in all shapes.

    Args:
        *shapes: The shapes.
    """
    return _reduce(np.maximum, shapes)


def _reduce(function: np.ufunc, shapes: Sequence[Distances]) -> Distances:
    result = shapes[0]
    for shape in shapes[1:]:
        result = function(result, shape)
    return result
