"""Latent walks: the first, middle and last frames, durations, loops, text chunks and metrics."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from seedmint.models.card import Noise
from seedmint.models.noise import NOISE_RULES
from seedmint.service.encoders.images import GAP
from seedmint.service.runtime.generator import Generator, open_generator
from seedmint.service.runtime.interpolation import walk
from seedmint.service.specs.walk import WalkSpec
from tests.http.test_contact_sheets import base, cell
from tests.http.test_images import pixels
from tests.http.test_metrics import value
from tests.support import generators
from tests.support.servers import Server


def frames_of(animation: bytes) -> list[np.ndarray]:
    return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(io.BytesIO(animation)))]


def single_image(server: Server, model: str, seed: int, **query: object) -> np.ndarray:
    answer = server.client.get(f"{server.pinned(model)}/{seed}.png", params=query, follow_redirects=True)  # type: ignore[arg-type]
    return pixels(answer.content)


@pytest.mark.parametrize("seeds", [(1, 2), (12345, (1 << 63) - 1), (2, 1)])
def test_a_walk_goes_from_the_image_of_one_seed_to_the_image_of_another(server: Server, rgb: Generator, seeds: tuple[int, int]):
    start, end = seeds
    query = f"frames=70&from={start}&to={end}"  # more than one run of the generator
    frames = frames_of(server.client.get(f"{base(server)}/walk.webp?{query}").content)
    strip = pixels(server.client.get(f"{base(server)}/walk.png?{query}").content)
    assert strip.shape == (16, 70 * 14 - GAP, 3)
    cells = [cell(strip, 0, k, 16, 12) for k in range(70)]
    np.testing.assert_array_equal(frames, cells)
    label = int(rgb.labels(np.array([start]))[0])  # type: ignore[index]
    np.testing.assert_array_equal(cells[0], single_image(server, "rgb", start))
    np.testing.assert_array_equal(cells[-1], single_image(server, "rgb", end, label=label))
    z = walk("philox-normal-v1", *rgb.noise(np.array(seeds)), 70)
    np.testing.assert_array_equal(cells, rgb.generate_from(z, np.full(70, label)))
    steps = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(cells)]
    assert max(steps) < np.abs(cells[0].astype(int) - cells[-1]).mean() / 5  # no step is large


def test_every_frame_has_the_label_the_truncation_and_the_scale(server: Server):
    parameters = {"label": 2, "truncation": 0.5, "scale": 3}
    query = "frames=3&from=5&label=2&scale=3&to=6&truncation=0.5"
    frames = frames_of(server.client.get(f"{base(server)}/walk.webp?{query}").content)
    assert [frame.shape for frame in frames] == [(48, 36, 3)] * 3
    np.testing.assert_array_equal(frames[0], single_image(server, "rgb", 5, **parameters))
    np.testing.assert_array_equal(frames[2], single_image(server, "rgb", 6, **parameters))


def test_a_gif_of_grey_images_is_exact_and_a_gif_of_colour_images_is_close(server: Server):
    for model, max_error in (("grey", 0), ("rgb", 16)):
        strip = pixels(server.client.get(f"{base(server, model)}/walk.png?from=1&to=2").content)
        width = 8 if model == "grey" else 12
        frames = frames_of(server.client.get(f"{base(server, model)}/walk.gif?from=1&to=2").content)
        assert len(frames) == 32
        for k, frame in enumerate(frames):
            expected = np.broadcast_to(cell(strip, 0, k, strip.shape[0], width), frame.shape)
            assert np.abs(frame.astype(int) - expected).mean() <= max_error


@pytest.mark.parametrize(
    ("query", "duration", "loop"),
    [("frames=4&from=1", 80, 0), ("duration=200&frames=4&from=1&loop=3", 200, 3), ("frames=4&from=1&loop=1", 80, 1)],
)
def test_the_duration_and_the_number_of_repetitions(server: Server, query: str, duration: int, loop: int):
    for form in ("webp", "gif"):
        animation = Image.open(io.BytesIO(server.client.get(f"{base(server)}/walk.{form}?{query}&to=2").content))
        assert animation.n_frames == 4  # type: ignore[attr-defined]
        durations = []
        for frame in ImageSequence.Iterator(animation):
            frame.load()
            durations.append(frame.info["duration"])
        assert durations == [duration] * 4
        if form == "webp":
            assert animation.info["loop"] == loop
        else:  # a GIF counts the repetitions after the first
            assert animation.info.get("loop") == {0: 0, 1: None}.get(loop, loop - 1)


def test_each_prior_has_its_own_path(tmp_path: Path):
    lengths = {}
    for rule in NOISE_RULES:
        generators.write(tmp_path, "one", noise=Noise(rule=rule, z_dim=100))
        generator = open_generator(tmp_path / "one.onnx")
        ((_, _, z),) = WalkSpec.create(generator, 3, 4, "png", frames=3).pieces(generator)
        assert z is not None
        lengths[rule] = np.linalg.norm(z, axis=1)
    for rule, min_ratio in (
        ("philox-normal-v1", 0.95),
        ("philox-uniform-v1", 0),
    ):  # a great circle, or almost through the origin
        start, middle, end = lengths[rule]
        assert min_ratio * min(start, end) < middle < max(start, end)
    assert lengths["philox-uniform-v1"][1] < 0.85 * lengths["philox-uniform-v1"].min(initial=99, where=[True, False, True])


def test_a_strip_has_text_chunks(server: Server):
    answer = server.client.get(f"{base(server)}/walk.png?frames=4&from=1&to=2&truncation=0.5")
    text = {"from": "1", "to": "2", "frames": "4", "label": "0", "truncation": "0.5", "model": "rgb"}
    assert Image.open(io.BytesIO(answer.content)).info == text | {"digest": server.digest("rgb")}


def test_the_frames_are_counted(server: Server):
    before = value(server, "seedmint_images_total", model="grey", format="gif")
    server.client.get(f"{base(server, 'grey')}/walk.gif?frames=7&from=1&to=2")
    assert value(server, "seedmint_images_total", model="grey", format="gif") == before + 7
