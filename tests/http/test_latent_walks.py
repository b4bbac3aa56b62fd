"""Latent walks: where they begin and end, what lies between, how they are shown, and what is too much."""

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


def alone(server: Server, model: str, seed: int, **query: object) -> np.ndarray:
    answer = server.client.get(f"{server.pinned(model)}/{seed}.png", params=query, follow_redirects=True)  # type: ignore[arg-type]
    return pixels(answer.content)


@pytest.mark.parametrize("seeds", [(1, 2), (12345, (1 << 63) - 1), (2, 1)])
def test_it_goes_from_the_image_of_a_seed_to_that_of_another(server: Server, rgb: Generator, seeds: tuple[int, int]):
    start, end = seeds
    query = f"from={start}&to={end}&frames=70"  # more than one run of the generator
    shown = frames_of(server.client.get(f"{base(server)}/walk.webp?{query}").content)
    strip = pixels(server.client.get(f"{base(server)}/walk.png?{query}").content)
    assert strip.shape == (16, 70 * 14 - GAP, 3)
    cut = [cell(strip, 0, k, 16, 12) for k in range(70)]
    np.testing.assert_array_equal(shown, cut)
    label = int(rgb.labels(np.array([start]))[0])  # type: ignore[index]
    np.testing.assert_array_equal(cut[0], alone(server, "rgb", start))
    np.testing.assert_array_equal(cut[-1], alone(server, "rgb", end, label=label))
    z = walk("philox-normal-v1", *rgb.noise(np.array(seeds)), 70)
    np.testing.assert_array_equal(cut, rgb.generate_from(z, np.full(70, label)))
    steps = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(cut)]
    assert max(steps) < np.abs(cut[0].astype(int) - cut[-1]).mean() / 5  # no jump


def test_every_frame_takes_label_truncation_and_scale(server: Server):
    asked = {"label": 2, "truncation": 0.5, "scale": 3}
    query = "from=5&to=6&frames=3&label=2&truncation=0.5&scale=3"
    frames = frames_of(server.client.get(f"{base(server)}/walk.webp?{query}").content)
    assert [frame.shape for frame in frames] == [(48, 36, 3)] * 3
    np.testing.assert_array_equal(frames[0], alone(server, "rgb", 5, **asked))
    np.testing.assert_array_equal(frames[2], alone(server, "rgb", 6, **asked))


def test_a_gif_of_grey_images_is_exact_and_one_of_colours_near(server: Server):
    for model, most in (("grey", 0), ("rgb", 16)):
        strip = pixels(server.client.get(f"{base(server, model)}/walk.png?from=1&to=2").content)
        width = 8 if model == "grey" else 12
        frames = frames_of(server.client.get(f"{base(server, model)}/walk.gif?from=1&to=2").content)
        assert len(frames) == 32
        for k, frame in enumerate(frames):
            expected = np.broadcast_to(cell(strip, 0, k, strip.shape[0], width), frame.shape)
            assert np.abs(frame.astype(int) - expected).mean() <= most


@pytest.mark.parametrize(("query", "duration", "loop"), [("", 80, 0), ("&duration=200&loop=3", 200, 3), ("&loop=1", 80, 1)])
def test_how_long_a_frame_is_shown_and_how_often(server: Server, query: str, duration: int, loop: int):
    for form in ("webp", "gif"):
        shown = Image.open(io.BytesIO(server.client.get(f"{base(server)}/walk.{form}?from=1&to=2&frames=4{query}").content))
        assert shown.n_frames == 4  # type: ignore[attr-defined]
        durations = []
        for frame in ImageSequence.Iterator(shown):
            frame.load()
            durations.append(frame.info["duration"])
        assert durations == [duration] * 4
        if form == "webp":
            assert shown.info["loop"] == loop
        else:  # GIF says how often again, or nothing
            assert shown.info.get("loop") == {0: 0, 1: None}.get(loop, loop - 1)


def test_each_prior_is_walked_its_own_way(tmp_path: Path):
    lengths = {}
    for rule in NOISE_RULES:
        generators.write(tmp_path, "one", noise=Noise(rule=rule, z_dim=100))
        one = open_generator(tmp_path / "one.onnx")
        ((_, _, z),) = WalkSpec.create(one, 3, 4, "png", frames=3).pieces(one)
        assert z is not None
        lengths[rule] = np.linalg.norm(z, axis=1)
    for rule, shortest in (("philox-normal-v1", 0.95), ("philox-uniform-v1", 0)):  # around the middle, or nearly through it
        start, middle, end = lengths[rule]
        assert shortest * min(start, end) < middle < max(start, end)
    assert lengths["philox-uniform-v1"][1] < 0.85 * lengths["philox-uniform-v1"].min(initial=99, where=[True, False, True])


def test_a_strip_tells_its_walk(server: Server):
    answer = server.client.get(f"{base(server)}/walk.png?from=1&to=2&frames=4&truncation=0.5")
    text = {"from": "1", "to": "2", "frames": "4", "label": "0", "truncation": "0.5", "model": "rgb"}
    assert Image.open(io.BytesIO(answer.content)).info == text | {"digest": server.digest("rgb")}


def test_its_images_are_counted(server: Server):
    before = value(server, "seedmint_images_total", model="grey", format="gif")
    server.client.get(f"{base(server, 'grey')}/walk.gif?from=1&to=2&frames=7")
    assert value(server, "seedmint_images_total", model="grey", format="gif") == before + 7
