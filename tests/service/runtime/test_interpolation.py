"""Latent walks, compared with independent references and recorded bytes."""

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp

from seedmint.models.noise import noise
from seedmint.service.runtime.interpolation import walk

NORMAL, UNIFORM = "philox-normal-v1", "philox-uniform-v1"
SEEDS = st.integers(0, (1 << 63) - 1)


def ends(rule: str, z_dim: int, *seeds: int) -> tuple[np.ndarray, np.ndarray]:
    start, end = noise(rule, z_dim, np.array(seeds, np.int64))
    return start, end


def digest(z: np.ndarray) -> str:
    return hashlib.sha256(z.astype("<f4").tobytes()).hexdigest()


@given(SEEDS, SEEDS, st.integers(2, 300), st.integers(2, 50))
def test_directions_match_scipy_and_lengths_change_linearly(a: int, b: int, z_dim: int, frames: int):
    start, end = ends(NORMAL, z_dim, a, b)
    z = walk(NORMAL, start, end, frames).astype(np.float64)
    lengths = np.linalg.norm(z, axis=1)
    first, last = np.linalg.norm(start.astype(np.float64)), np.linalg.norm(end.astype(np.float64))
    np.testing.assert_allclose(lengths, np.linspace(first, last, frames), rtol=1e-6)  # the precision of float32 is 6e-8
    here, there = start.astype(np.float64) / first, end.astype(np.float64) / last
    if abs(here @ there) < 1 - 1e-6:  # where scipy is accurate
        np.testing.assert_allclose(z / lengths[:, None], geometric_slerp(here, there, np.linspace(0, 1, frames)), atol=1e-6)


@given(SEEDS, SEEDS, st.integers(1, 300), st.integers(2, 50), st.sampled_from([NORMAL, UNIFORM]))
def test_ends_are_exact(a: int, b: int, z_dim: int, frames: int, rule: str):
    start, end = ends(rule, z_dim, a, b)
    z = walk(rule, start, end, frames)
    assert z.dtype == np.float32
    assert z.shape == (frames, z_dim)
    assert z[0].tobytes() == start.tobytes()
    assert z[-1].tobytes() == end.tobytes()
    assert np.isfinite(z).all()


@given(SEEDS, SEEDS, st.integers(1, 60), st.integers(2, 50))
def test_uniform_prior_has_straight_walks(a: int, b: int, z_dim: int, frames: int):
    start, end = ends(UNIFORM, z_dim, a, b)
    z = walk(UNIFORM, start, end, frames)
    for k in range(frames):
        t = Fraction(k, frames - 1)
        exact = [float((1 - t) * Fraction(p) + t * Fraction(q)) for p, q in zip(start.tolist(), end.tolist(), strict=True)]
        np.testing.assert_allclose(z[k], exact, rtol=6e-8, atol=1e-15)
    assert np.abs(z).max() <= math.sqrt(3)  # the support of the prior


@given(SEEDS, SEEDS, st.integers(2, 100), st.integers(2, 30))
def test_reversed_walk_has_the_same_frames(a: int, b: int, z_dim: int, frames: int):
    start, end = ends(NORMAL, z_dim, a, b)
    np.testing.assert_allclose(walk(NORMAL, end, start, frames)[::-1], walk(NORMAL, start, end, frames), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("start", "end"), [([1.5], [0.25]), ([1.5], [-0.25]), ([1, 2, 3], [-2, -4, -6]), ([1, 2], [1, 2])])
def test_parallel_ends_have_a_straight_walk(start: list[float], end: list[float]):
    a, b = np.array(start, np.float32), np.array(end, np.float32)
    np.testing.assert_allclose(walk(NORMAL, a, b, 5), np.linspace(a, b, 5), rtol=1e-7)


def test_bytes_are_as_recorded():
    start, end = ends(NORMAL, 100, 1, 2)
    assert digest(walk(NORMAL, start, end, 32)) == "bfa246746d3c206407338e0a1b51e7df55926b6e2f14905fa65dabe7b9755b7e"
    assert (
        digest(walk(UNIFORM, *ends(UNIFORM, 100, 1, 2), 32))
        == "590d5bc4a52d585f4b95bc3ac8788f3ffe40e3a44a04241702dc85060ede34a7"
    )
