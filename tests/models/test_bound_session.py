"""Sessions with bound memory give the bytes of ordinary sessions. Without a GPU, the memory is on the CPU."""

import numpy as np
import onnxruntime as ort
import pytest

from seedmint.models.runtime import bound_session
from seedmint.models.runtime.bound_session import BoundSession
from seedmint.models.runtime.provider import choose_provider, open_session
from seedmint.service.runtime.generator import Generator
from tests.support import generators

SIZES = (1, 8, 3, 8, 1, 2, 4, 5, 6, 7, 9, 10, 1)  # more than have memory of their own


@pytest.fixture(scope="module")
def content():
    return generators.model(generators.card("one"), 2).SerializeToString()


def ort_session(content):
    return ort.InferenceSession(content, providers=["CPUExecutionProvider"])


def inputs(session, size):
    rng = np.random.default_rng(size)
    return {
        each.name: rng.integers(0, 2, size)
        if each.type == "tensor(int64)"
        else rng.standard_normal((size, *each.shape[1:])).astype(np.float32)
        for each in session.get_inputs()
    }


def test_bound_memory_gives_the_same_bytes_for_each_size(content):
    plain = ort_session(content)
    bound = BoundSession(plain, device="cpu")
    kept = []
    for size in SIZES:
        kept.append((bound.run(None, inputs(plain, size)), plain.run(None, inputs(plain, size))))
    for results, expected in kept:  # after all runs: no result shares memory with a later one
        assert [r.tobytes() for r in results] == [e.tobytes() for e in expected]


def test_each_run_has_its_own_inputs(content):
    plain = ort_session(content)
    bound = BoundSession(plain, device="cpu")
    for seed in (1, 2):
        z = {"z": np.random.default_rng(seed).standard_normal((3, 20)).astype(np.float32)}
        assert bound.run(None, z)[0].tobytes() == plain.run(None, z)[0].tobytes()


def test_the_size_that_was_bound_first_makes_place_for_another(content):
    plain = ort_session(content)
    bound = BoundSession(plain, device="cpu")
    for size in (1, 2, 3, 1, 4, 5, 6, 7, 8, 9):
        bound.run(None, inputs(plain, size))
    assert [key[0][1][0] for key in bound._sizes] == [2, 3, 4, 5, 6, 7, 8, 9]


@pytest.fixture
def quick_graphs(monkeypatch):
    """Let graphs be faster than plain runs. Without a GPU, ONNX Runtime ignores the number of the graph."""
    monkeypatch.setattr(bound_session, "_seconds", lambda size, *_: 2.0 if size.graph_id is None else 1.0)


def test_a_faster_graph_with_the_same_bytes_is_used_for_each_size(content, quick_graphs):
    plain, opened = ort_session(content), []

    def open_session():
        opened.append(ort_session(content))
        return opened[-1]

    bound = BoundSession(plain, open_session, "cpu")
    for size in (2, 3, 2):
        (result,) = bound.run(None, inputs(plain, size))
        assert result.tobytes() == plain.run(None, inputs(plain, size))[0].tobytes()
    assert bound.num_graphs == 2
    assert [size.graph_id for size in bound._sizes.values()] == ["1", "2"]
    assert len(opened) == 1


def test_a_graph_that_is_not_faster_is_not_used(content, monkeypatch):
    monkeypatch.setattr(bound_session, "_seconds", lambda *_: 1.0)
    plain = ort_session(content)
    bound = BoundSession(plain, lambda: ort_session(content), "cpu")
    (result,) = bound.run(None, inputs(plain, 2))
    assert (bound.num_graphs, result.tobytes()) == (0, plain.run(None, inputs(plain, 2))[0].tobytes())


def test_a_file_that_permits_no_cuda_graph_runs_without(content):
    attempts = []

    def refuse():
        attempts.append(1)
        raise RuntimeError("a node is not on the GPU")

    plain = ort_session(content)
    bound = BoundSession(plain, refuse, "cpu")
    for size in (2, 3):
        (result,) = bound.run(None, inputs(plain, size))
        assert (bound.num_graphs, result.tobytes()) == (0, plain.run(None, inputs(plain, size))[0].tobytes())
    assert len(attempts) == 1


def test_a_graph_that_gives_other_bytes_is_not_used(content, quick_graphs):
    plain = ort_session(content)
    other = generators.model(generators.card("one"), 3).SerializeToString()
    bound = BoundSession(plain, lambda: ort_session(other), "cpu")
    (result,) = bound.run(None, inputs(plain, 2))
    assert (bound.num_graphs, result.tobytes()) == (0, plain.run(None, inputs(plain, 2))[0].tobytes())


@pytest.mark.skipif("CUDAExecutionProvider" not in ort.get_available_providers(), reason="ONNX Runtime without CUDA")
def test_a_gpu_gives_the_reference_in_every_batch(content):
    if choose_provider("auto") != "cuda":
        pytest.skip("no CUDA device")
    cpu, gpu = (Generator(content, provider, 1, 64) for provider in ("cpu", "cuda"))
    assert gpu.check.is_batch_independent
    seeds = np.arange(70)
    assert np.abs(gpu.generate(seeds).astype(int) - cpu.generate(seeds)).max() <= 1
    assert isinstance(open_session(content, "cuda", 1), BoundSession)
