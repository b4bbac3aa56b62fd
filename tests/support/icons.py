"""Draws icons in color: trees, houses, fish and suns, of different colors, sizes and places.

python -m tests.support.icons FOLDER [COUNT [SIDE]]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("fish", "house", "sun", "tree")
_SCALE = 4  # drawn larger, and reduced for smooth edges


def draw_icon(name: str, side: int, random: np.random.Generator) -> Image.Image:
    """Return one icon.

    Args:
        name: One of `CLASSES`.
        side: Pixels.
        random: Chooses color, size and place.
    """
    full = side * _SCALE
    sky = tuple(int(c) for c in random.integers((170, 200, 220), (225, 240, 256)))
    image = Image.new("RGB", (full, full), sky)
    draw = ImageDraw.Draw(image)
    size = full * random.uniform(0.55, 0.8)
    x, y = random.uniform(0.05 * full, 0.95 * full - size, 2)

    def at(*points):
        return [(x + size * u, y + size * v) for u, v in points]

    color = tuple(int(c) for c in random.integers(40, 230, 3))
    if name == "tree":
        green = tuple(int(c) for c in random.integers((10, 100, 10), (90, 190, 80)))
        draw.rectangle(at((0.42, 0.6), (0.58, 1)), fill=(110, 70, 40))
        draw.ellipse(at((0.1, 0), (0.9, 0.72)), fill=green)
    elif name == "house":
        draw.rectangle(at((0.12, 0.42), (0.88, 1)), fill=color)
        draw.polygon(at((0, 0.45), (0.5, 0), (1, 0.45)), fill=(150, 50, 40))
        draw.rectangle(at((0.42, 0.65), (0.6, 1)), fill=(70, 45, 30))
        draw.rectangle(at((0.2, 0.55), (0.34, 0.72)), fill=(240, 235, 150))
    elif name == "fish":
        draw.ellipse(at((0, 0.25), (0.75, 0.75)), fill=color)
        draw.polygon(at((0.68, 0.5), (1, 0.22), (1, 0.78)), fill=color)
        draw.ellipse(at((0.14, 0.38), (0.26, 0.5)), fill=(250, 250, 250))
        draw.ellipse(at((0.18, 0.42), (0.24, 0.48)), fill=(10, 10, 10))
    else:
        for angle in np.arange(0, 2 * np.pi, np.pi / 4) + random.uniform(0, np.pi / 4):
            direction = np.array([np.cos(angle), np.sin(angle)])
            side_step = np.array([-direction[1], direction[0]]) * 0.07
            points = [
                tuple(0.5 + 0.3 * direction + side_step),
                tuple(0.5 + 0.5 * direction),
                tuple(0.5 + 0.3 * direction - side_step),
            ]
            draw.polygon(at(*points), fill=(250, 160, 30))
        draw.ellipse(at((0.24, 0.24), (0.76, 0.76)), fill=(250, 210, 40))
    return image.resize((side, side), Image.Resampling.BOX)


def write_icons(folder: Path, count: int, side: int = 32, seed: int = 0) -> Path:
    """Write FOLDER/CLASS/NUMBER.png, and return the folder.

    Args:
        folder: The folder.
        count: Number of icons of all classes.
        side: Pixels.
        seed: Seed of the drawings.
    """
    random = np.random.default_rng(seed)
    for number in range(count):
        name = CLASSES[number % len(CLASSES)]
        (folder / name).mkdir(parents=True, exist_ok=True)
        draw_icon(name, side, random).save(folder / name / f"{number:05}.png")
    return folder


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[2:]]
    write_icons(Path(sys.argv[1]), *(numbers or [3000]))
