"""The twelve classes of icons, each painted on a `Drawing` in coordinates from (0, 0), top left, to (1, 1)."""

import math
from collections.abc import Callable

import numpy as np

from seedmint.training.datasets.icons import drawing as colors
from seedmint.training.datasets.icons.drawing import Drawing
from seedmint.training.datasets.icons.shapes import Distances, common, union

_HALF_ROOT = math.sqrt(3) / 2
_TWELVE = (
    *((1.0, 0.0), (_HALF_ROOT, 0.5), (0.5, _HALF_ROOT), (0.0, 1.0), (-0.5, _HALF_ROOT), (-_HALF_ROOT, 0.5)),
    *((-1.0, 0.0), (-_HALF_ROOT, -0.5), (-0.5, -_HALF_ROOT), (0.0, -1.0), (0.5, -_HALF_ROOT), (_HALF_ROOT, -0.5)),
)
"""Twelve directions, like the hours of a clock."""


def _balloon(numbers: Distances) -> Drawing:
    d = Drawing(numbers)
    f = d.frame
    d.sky(colors.PALE)
    for x in (0.3, 0.7):
        d.paint(f.stroke((x, 0.55), (0.5 + (x - 0.5) * 0.4, 0.86), 0.012), colors.WOOD)
    envelope = f.circle((0.5, 0.38), 0.37)
    d.paint(envelope, d.color(colors.VIVID))
    stripe = d.color(colors.VIVID)
    d.paint(common(envelope, f.ellipse((0.5, 0.38), 0.24, 0.38)), stripe)
    d.paint(common(envelope, f.ellipse((0.5, 0.38), 0.1, 0.38)), colors.CREAM)
    d.paint(f.box(0.4, 0.84, 0.6, 0.99), colors.WOOD)
    return d


def _bird(numbers: Distances) -> Drawing:
    d = Drawing(numbers, low=True)
    f = d.frame
    d.sky(colors.PALE)
    d.ground(0.95, colors.GRASS)
    feathers, wing = d.color(colors.VIVID), d.color(colors.VIVID)
    for x in (0.42, 0.54):
        d.paint(f.stroke((x, 0.74), (x, 0.96), 0.018), colors.DARK)
    d.paint(f.polygon((0.0, 0.36), (0.3, 0.46), (0.24, 0.66)), wing)
    d.paint(f.polygon((0.8, 0.26), (1.0, 0.34), (0.8, 0.42)), colors.YELLOW)
    d.paint(union(f.ellipse((0.46, 0.57), 0.32, 0.22), f.circle((0.69, 0.35), 0.18)), feathers)
    d.paint(f.ellipse((0.4, 0.55), 0.2, 0.12), wing)
    d.paint(f.circle((0.74, 0.31), 0.055), colors.WHITE)
    d.paint(f.circle((0.755, 0.31), 0.03), colors.DARK)
    return d


def _boat(numbers: Distances) -> Drawing:
    d = Drawing(numbers, low=True)
    f = d.frame
    d.sky(colors.PALE)
    d.paint(f.box(0.48, 0.04, 0.53, 0.7), colors.WOOD)
    d.paint(f.polygon((0.57, 0.06), (0.94, 0.6), (0.57, 0.6)), d.color(colors.VIVID))
    d.paint(f.polygon((0.44, 0.16), (0.44, 0.6), (0.1, 0.6)), colors.WHITE)
    d.paint(f.polygon((0.02, 0.66), (0.98, 0.66), (0.8, 0.94), (0.2, 0.94)), d.color(colors.VIVID))
    d.ground(0.86, colors.WATER)
    return d


def _car(numbers: Distances) -> Drawing:
    d = Drawing(numbers, low=True)
    f = d.frame
    d.sky(colors.PALE)
    d.ground(0.7, colors.GRASS)
    d.paint(0.8 - f.y + 0 * f.x, colors.GRAY)
    body = d.color(colors.VIVID)
    d.paint(f.polygon((0.2, 0.5), (0.32, 0.22), (0.7, 0.22), (0.84, 0.5)), body)
    d.paint(f.box(0.02, 0.48, 0.98, 0.76), body)
    d.paint(f.polygon((0.29, 0.48), (0.37, 0.29), (0.49, 0.29), (0.49, 0.48)), colors.GLASS)
    d.paint(f.polygon((0.54, 0.29), (0.67, 0.29), (0.75, 0.48), (0.54, 0.48)), colors.GLASS)
    d.paint(f.circle((0.92, 0.57), 0.05), colors.YELLOW)
    for x in (0.25, 0.76):
        d.paint(f.circle((x, 0.78), 0.14), colors.DARK)
        d.paint(f.circle((x, 0.78), 0.06), colors.WHITE)
    return d


def _cat(numbers: Distances) -> Drawing:
    d = Drawing(numbers)
    f = d.frame
    d.sky(colors.PALE)
    fur = d.color(colors.FUR)
    d.paint(union(f.polygon((0.1, 0.55), (0.12, 0.06), (0.5, 0.32)), f.polygon((0.5, 0.32), (0.88, 0.06), (0.9, 0.55))), fur)
    inner = union(f.polygon((0.18, 0.42), (0.19, 0.2), (0.36, 0.32)), f.polygon((0.64, 0.32), (0.81, 0.2), (0.82, 0.42)))
    d.paint(inner, colors.PINK)
    d.paint(f.ellipse((0.5, 0.59), 0.43, 0.37), fur)
    d.paint(f.ellipse((0.5, 0.76), 0.19, 0.14), colors.CREAM)
    iris = d.color(colors.LEAVES)
    for x in (0.31, 0.69):
        d.paint(f.ellipse((x, 0.52), 0.095, 0.11), colors.WHITE)
        d.paint(f.circle((x, 0.53), 0.075), iris)
        d.paint(f.ellipse((x, 0.53), 0.03, 0.07), colors.DARK)
    d.paint(f.polygon((0.43, 0.66), (0.57, 0.66), (0.5, 0.75)), colors.PINK)
    return d


def _fish(numbers: Distances) -> Drawing:
    d = Drawing(numbers)
    f = d.frame
    d.sky(colors.WATER)
    scales, stripes = d.color(colors.VIVID), d.color(colors.VIVID)
    d.paint(f.polygon((0.66, 0.5), (0.99, 0.2), (0.99, 0.8)), stripes)
    d.paint(f.polygon((0.3, 0.32), (0.5, 0.1), (0.62, 0.32)), stripes)
    body = f.ellipse((0.4, 0.5), 0.39, 0.27)
    d.paint(body, scales)
    d.paint(common(body, union(f.box(0.38, 0.0, 0.47, 1.0), f.box(0.57, 0.0, 0.65, 1.0))), stripes)
    d.paint(f.circle((0.19, 0.44), 0.085), colors.WHITE)
    d.paint(f.circle((0.17, 0.44), 0.045), colors.DARK)
    for height in (0.3, 0.12):
        d.paint(f.circle((d.number() * 0.2 - 0.05, height), 0.04), colors.WHITE, 0.7)
    return d


def _flower(numbers: Distances) -> Drawing:
    d = Drawing(numbers, low=True)
    f = d.frame
    d.sky(colors.PALE)
    d.ground(0.97, colors.GRASS)
    green = d.color(colors.LEAVES[:3])
    d.paint(f.stroke((0.5, 0.4), (0.5, 1.0), 0.03), green)
    d.paint(union(f.ellipse((0.33, 0.82), 0.17, 0.07), f.ellipse((0.67, 0.74), 0.17, 0.07)), green)
    petals = [f.circle((0.5 + 0.22 * x, 0.33 + 0.22 * y), 0.135) for x, y in _TWELVE[::2]]
    d.paint(union(*petals), d.color(colors.VIVID))
    d.paint(f.circle((0.5, 0.33), 0.14), colors.YELLOW)
    return d


def _house(numbers: Distances) -> Drawing:
    d = Drawing(numbers, low=True)
    f = d.frame
    d.sky(colors.PALE)
    d.ground(0.92, colors.GRASS)
    walls, roof, door = d.color(colors.PALE), d.color(colors.VIVID), d.color(colors.VIVID)
    d.paint(f.box(0.7, 0.06, 0.84, 0.4), colors.WOOD)
    d.paint(f.box(0.12, 0.42, 0.88, 1.0), walls * np.float32(0.92))
    d.paint(f.polygon((0.0, 0.48), (0.5, 0.02), (1.0, 0.48)), roof)
    d.paint(f.box(0.42, 0.64, 0.6, 1.0), door)
    for left in (0.2, 0.68):
        d.paint(f.box(left, 0.58, left + 0.14, 0.74), colors.YELLOW)
    return d


def _mushroom(numbers: Distances) -> Drawing:
    d = Drawing(numbers, low=True)
    f = d.frame
    d.sky(colors.PALE)
    d.ground(0.9, colors.GRASS)
    d.paint(f.ellipse((0.5, 0.78), 0.16 + 0.06 * d.number(), 0.24), colors.CREAM)
    cap = common(f.ellipse((0.5, 0.56), 0.48, 0.52), f.y - 0.6)
    d.paint(cap, d.color(colors.VIVID))
    dots = [(0.3, 0.36, 0.075), (0.53, 0.2, 0.085), (0.73, 0.38, 0.07), (0.5, 0.46, 0.07), (0.14, 0.52, 0.05)]
    d.paint(union(*(f.circle((x, y), radius) for x, y, radius in dots)), colors.WHITE)
    return d


def _rocket(numbers: Distances) -> Drawing:
    d = Drawing(numbers)
    f = d.frame
    d.sky(colors.NIGHT)
    for _ in range(4):
        d.paint(f.circle((1.4 * d.number() - 0.2, 1.4 * d.number() - 0.2), 0.025), colors.WHITE)
    d.paint(f.ellipse((0.5, 0.88), 0.1, 0.12), colors.YELLOW)
    fins = union(f.polygon((0.38, 0.46), (0.38, 0.8), (0.18, 0.86)), f.polygon((0.62, 0.46), (0.82, 0.86), (0.62, 0.8)))
    d.paint(fins, d.color(colors.VIVID))
    body = common(f.ellipse((0.5, 0.5), 0.19, 0.49), f.y - 0.84)
    d.paint(body, colors.CREAM)
    paint = d.color(colors.VIVID)
    d.paint(common(body, f.y - 0.22), paint)
    d.paint(common(body, 0.7 - f.y), paint)
    d.paint(f.circle((0.5, 0.4), 0.1), colors.GRAY)
    d.paint(f.circle((0.5, 0.4), 0.07), colors.GLASS)
    return d


def _sun(numbers: Distances) -> Drawing:
    d = Drawing(numbers)
    f = d.frame
    d.sky(colors.PALE)
    rays = [f.stroke((0.5 + 0.37 * x, 0.5 + 0.37 * y), (0.5 + 0.47 * x, 0.5 + 0.47 * y), 0.03) for x, y in _TWELVE]
    d.paint(union(*rays), d.color(colors.VIVID[1:3]))
    d.paint(f.circle((0.5, 0.5), 0.3), d.color(colors.VIVID[2:3]))
    d.paint(union(f.circle((0.39, 0.44), 0.045), f.circle((0.61, 0.44), 0.045)), colors.DARK)
    smile = common(f.circle((0.5, 0.52), 0.15), 0.11 - f.circle((0.5, 0.5), 0.0), 0.56 - f.y)
    d.paint(smile, colors.DARK)
    return d


def _tree(numbers: Distances) -> Drawing:
    d = Drawing(numbers, low=True)
    f = d.frame
    d.sky(colors.PALE)
    d.ground(0.93, colors.GRASS)
    leaves = d.color(colors.LEAVES)
    d.paint(f.box(0.43, 0.55, 0.57, 1.0), colors.WOOD)
    d.paint(union(f.circle((0.5, 0.28), 0.28), f.circle((0.27, 0.46), 0.24), f.circle((0.73, 0.46), 0.24)), leaves)
    d.paint(union(f.circle((0.42, 0.2), 0.13), f.circle((0.24, 0.4), 0.1)), np.clip(leaves * np.float32(1.25), 0, 1))
    fruits = union(*(f.circle((x, y), 0.05) for x, y in ((0.6, 0.3), (0.4, 0.48), (0.76, 0.5), (0.56, 0.6))))
    d.paint(fruits, d.color(colors.VIVID[:2]), np.floor(2 * d.number()))
    return d


OBJECTS: dict[str, Callable[[Distances], Drawing]] = {
    "balloon": _balloon,
    "bird": _bird,
    "boat": _boat,
    "car": _car,
    "cat": _cat,
    "fish": _fish,
    "flower": _flower,
    "house": _house,
    "mushroom": _mushroom,
    "rocket": _rocket,
    "sun": _sun,
    "tree": _tree,
}
"""Draws icons of a class: float32[m, NUMBERS] uniform numbers to a finished drawing."""
