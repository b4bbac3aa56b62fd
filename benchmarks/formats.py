"""Bytes and encoding time of each image format, for color images of 256x256 and 1024x1024 pixels.

Time is processor time of the process, because other programs share the machine. "hold" is the longest time for which another
Python thread could not run while the image was encoded: how long the encoding holds up the event loop at most.

python benchmarks/formats.py
"""

import platform
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seedmint.service.encoders.images import ENCODERS, FORMATS, ImageFormat, encode

SIDES = (256, 1024)
ROUNDS = 7
# Format and quality; None for lossless.
CASES: tuple[tuple[ImageFormat, int | None], ...] = (
    ("png", None),
    ("webp", None),
    ("webp", 80),
    ("jpg", 90),
    ("jpg", 75),
    ("avif", 75),
    ("avif", 50),
    ("npy", None),
)


def photograph(side: int) -> NDArray[np.uint8]:
    """Return an image with edges, smooth areas and fine noise, as photographs have."""
    random = np.random.default_rng(0)
    blocks = Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8))
    smooth = np.asarray(blocks.resize((side, side), Image.Resampling.BICUBIC), np.int16)
    edges = np.asarray(blocks.rotate(30).resize((side, side), Image.Resampling.NEAREST), np.int16)
    noise = random.normal(0, 3, (side, side, 3))
    return np.clip(0.7 * smooth + 0.3 * edges + noise, 0, 255).astype(np.uint8)


def longest_hold(call: Callable[[], object]) -> float:
    """Return the longest time in seconds for which another thread could not run during a call."""
    longest, stop = 0.0, threading.Event()

    def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not stop.is_set():
            time.sleep(0.0005)
            now = time.perf_counter()
            longest = max(longest, now - last)
            last = now

    thread = threading.Thread(target=tick)
    thread.start()
    call()
    stop.set()
    thread.join()
    return longest


def main() -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}; medians of {ROUNDS} rounds")
    for form in FORMATS:
        print(f"  {form}: {ENCODERS[form]}")
    print(f"{'format':<6} {'quality':>8} {'side':>6} {'bytes':>11} {'CPU ms':>9} {'hold ms':>9}")
    for side in SIDES:
        image = photograph(side)
        for form, quality in CASES:

            def call(form: ImageFormat = form, quality: int | None = quality, image: NDArray[np.uint8] = image) -> bytes:
                return encode(image, form, quality=quality)

            size = len(call())
            seconds, holds = [], []
            for _ in range(ROUNDS):
                began = time.process_time()
                call()
                seconds.append(time.process_time() - began)
                holds.append(longest_hold(call))
            milliseconds, hold = statistics.median(seconds) * 1e3, statistics.median(holds) * 1e3
            print(f"{form:<6} {quality or 'exact':>8} {side:>6} {size:>11,} {milliseconds:>9.2f} {hold:>9.2f}")


if __name__ == "__main__":
    main()
