"""PNG files, compared with Pillow as a reader, the rules of the specification, and recorded bytes."""

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from seedmint.service.encoders.png import ENCODER, encode_png


def read(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    image.load()
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def picture(height: int, width: int, channels: int, seed: int, smooth: bool) -> np.ndarray:
    """Return noise or gradients, the same with every version of NumPy."""
    drawn = hashlib.shake_256(b"%d" % seed).digest(height * width * channels)
    noise = np.frombuffer(drawn, np.uint8).reshape(height, width, channels)
    if not smooth:
        return noise
    steps = noise.astype(int) % 7 - 3
    return (128 + steps.cumsum(0) + steps.cumsum(1)).clip(0, 255).astype(np.uint8)


@given(
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 1000),
    smooth=st.booleans(),
)
def test_any_image_survives_encoding(height: int, width: int, channels: int, seed: int, smooth: bool):
    image = picture(height, width, channels, seed, smooth)
    np.testing.assert_array_equal(read(encode_png(image, {})), image)


def test_large_image_survives_encoding_in_bands():
    image = picture(700, 600, 3, 5, smooth=True)
    np.testing.assert_array_equal(read(encode_png(image, {})), image)


def test_view_that_is_not_contiguous_survives_encoding():
    image = picture(40, 40, 3, 1, smooth=True)[::-2, ::3]
    np.testing.assert_array_equal(read(encode_png(image, {})), image)


def test_text_chunks_precede_the_pixels_in_order():
    text = {"seed": "42", "label": "7", "model": "mnist", "digest": "0" * 64}
    png = encode_png(picture(5, 5, 1, 0, smooth=False), text)
    image = Image.open(io.BytesIO(png))
    assert list(image.text.items()) == list(text.items())  # type: ignore[attr-defined]
    assert png.index(b"tEXt") < png.index(b"IDAT")


def test_chunks_have_correct_checksums_and_end_with_iend():
    png = encode_png(picture(50, 50, 3, 2, smooth=True), {"seed": "1"})
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    rest, kinds = png[8:], []
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, data, crc = rest[4:8], rest[8 : 8 + length], rest[8 + length : 12 + length]
        assert zlib.crc32(kind + data) == int.from_bytes(crc)
        kinds.append(kind)
        rest = rest[12 + length :]
    assert kinds == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_have_the_smallest_sum_of_absolute_values(channels: int):
    """Compute the filters of section 9.2 one byte at a time."""
    image = picture(30, 40, channels, 3, smooth=True)
    png = encode_png(image, {})
    start = png.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", png[start - 8 : start - 4])
    lines = np.frombuffer(zlib.decompress(png[start : start + length]), np.uint8).reshape(30, -1)
    rows = image.reshape(30, -1).astype(int)
    for y, line in enumerate(lines):
        above = rows[y - 1] if y else np.zeros_like(rows[0])
        sums, results = [], []
        for kind in range(5):
            result = []
            for x, value in enumerate(rows[y]):
                a = rows[y][x - channels] if x >= channels else 0
                b = above[x]
                c = above[x - channels] if x >= channels else 0
                p = a + b - c
                nearest = min(((abs(p - n), i, n) for i, n in enumerate((a, b, c))))[2]
                result.append(int(value - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
            results.append(result)
            sums.append(sum(min(value, 256 - value) for value in result))
        assert int(line[0]) == sums.index(min(sums))
        assert line[1:].tolist() == results[int(line[0])]


def test_bytes_are_as_recorded():
    """If this digest changes, every PNG changes, so `ENCODER` must change too."""
    if ENCODER != "png-1-zlib-ng-2.3.3":
        pytest.skip(f"published for zlib-ng 2.3.3, and this is {ENCODER}")
    digest = hashlib.sha256()
    for size in (1, 8, 28, 31, 32, 64, 200):
        for channels in (1, 3):
            for smooth in (True, False):
                digest.update(encode_png(picture(size, size, channels, size, smooth), {"seed": str(size)}))
    assert digest.hexdigest() == "34d79d9fe5d2cd781b411a8f9bbabc60536675bde937436e2c40df6e5ec65842"
