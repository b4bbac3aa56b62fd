"""The parts of `benchmarks.gpu`. Each part yields lines of the report. At the tiny size, all parts run on a CPU in seconds."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from benchmarks.colour import write_colour_generator
from benchmarks.training import PlainLoop
from seedmint.models.runtime.provider import ProviderChoice, choose_provider
from seedmint.models.runtime.reference import with_reference
from seedmint.service.runtime.generator import Generator
from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.datasets import Dataset, load_dataset, load_splits
from seedmint.training.datasets.progress import ignore_progress
from seedmint.training.evaluation.image_sample import sample_seeds
from seedmint.training.evaluation.metric_families import measure, num_samples
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.export.served_generator import SeedSampler
from seedmint.training.recipes.files import load_recipe
from seedmint.training.recipes.schema import ImageMetric, Recipe
from seedmint.training.runs.directory import create_run
from seedmint.training.runs.hook import Hook, RunContext
from seedmint.training.runs.state import build_algorithm, tensors_of

_TINY = ["data.source=digits", "generator.width=8", "discriminator.width=8", "m=16", "threads=1"]
_NO_AVERAGE = ["ema=0", "ema_start=0"]
_PAPER, _DCGAN, _STACKED = "mnist-paper", "mnist", "stacked-mnist"


@dataclass(frozen=True)
class Size:
    """How much a part computes.

    Attributes:
        device: Device of the training.
        provider: Execution provider of ONNX Runtime.
        is_tiny: Whether small networks run on the digits that come with Seedmint, as a test.
        seconds: Time for the measurements of a part.
    """

    device: torch.device
    provider: ProviderChoice
    is_tiny: bool
    seconds: float

    def recipe(self, name: str, *overrides: str) -> Recipe:
        """Return a shipped recipe of this size."""
        first = ["data.first=null", "data.order=drawn"] if name == _PAPER else []
        return load_recipe(name, [*(_TINY + first if self.is_tiny else []), *overrides])


class _StopAt(Hook):
    """Stops a run at a time of `time.monotonic`."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def on_step_end(self, trainer: RunContext) -> None:
        if time.monotonic() > self._deadline:
            trainer.stop()


def equality(size: Size) -> Iterator[str]:
    """Compare the weights after some iterations: graph, single kernels, and single kernels again."""
    penalized = ["k=2", "penalty.r1=1.0", "penalty.every=4", "augmentation.kind=diffaugment"]
    cases = {"paper": (_PAPER, ["ema=0.9", "ema_start=3"]), "paper, float32": (_PAPER, ["precision=float32", "ema_start=3"])}
    cases |= {
        "dcgan, adam": (_DCGAN, []),
        "dcgan, bfloat16, k = 2, penalty, augmentation": (_DCGAN, ["precision=bfloat16", *penalized]),
    }
    for title, (name, overrides) in cases.items():
        recipe = size.recipe(name, *overrides)
        dataset = load_dataset(recipe.data)
        ends = []
        for choice in ("auto", "never", "never"):
            algorithm = build_algorithm(recipe.model_copy(update={"cuda_graph": choice}), dataset, size.device)
            for iteration in range(4 if size.is_tiny else 30):
                algorithm.iterate(iteration)
            ends.append(tensors_of(algorithm))
            if choice == "auto":
                mode = _mode(algorithm)
        graph, first, second = ends
        yield f"{title}: {mode}; graph against single kernels {_compare(graph, first)}, these again {_compare(first, second)}"


def speed(size: Size) -> Iterator[str]:
    """Iterations per second, compared with a plain eager loop."""
    pairs = {"paper, m = 100": (_PAPER, _NO_AVERAGE), "dcgan, m = 128": (_DCGAN, ["m=128", *_NO_AVERAGE])}
    share = size.seconds / (len(pairs) * 7)
    for title, (name, overrides) in pairs.items():
        recipe = size.recipe(name, *overrides)
        dataset = load_dataset(recipe.data)
        plain = _rate(PlainLoop(recipe, dataset, size.device).iterate, size.device, share)
        yield f"{title}: plain loop, float32, {plain:,.0f} iterations/s"
        for precision in ("float32", "bfloat16"):
            for choice in ("never", "auto"):
                changes = {"precision": precision, "cuda_graph": choice}
                algorithm = build_algorithm(recipe.model_copy(update=changes), dataset, size.device)
                rate = _rate(algorithm.iterate, size.device, share)
                yield f"{title}, {precision}, {_mode(algorithm)}: {rate:,.0f} iterations/s, {rate / plain:.2f} x the plain loop"


def serving(size: Size) -> Iterator[str]:
    """Images per second of a 64x64 colour generator, compared with a loop that only runs ONNX Runtime with bound memory."""
    provider = choose_provider(size.provider)
    with tempfile.TemporaryDirectory() as directory:
        content = write_colour_generator(Path(directory)).read_bytes()
    against_cpu = Generator(with_reference(content), provider, 1, 64)
    yield f"{provider}, reference of the CPU: {against_cpu.check.describe(against_cpu.card)}"
    own = Generator(with_reference(content, provider), provider, 1, 64)
    yield f"reference of this device: {own.check.describe(own.card)}"
    yield f"batch sizes with a CUDA graph: {own.num_graphs}"
    ratios = []
    for batch in (1, 8, 64):
        z = own.noise(np.arange(batch, dtype=np.int64))
        seconds = size.seconds / 12
        theirs = _rate(_raw_run(content, provider, z), size.device, seconds)
        ours = _rate(lambda _, z=z: own.generate_from(z, None), size.device, seconds)  # type: ignore[misc]
        ratios.append(ours / theirs)
        yield f"batch {batch}: {ours * batch:,.0f} images/s, {ratios[-1]:.2f} x a raw loop with bound memory"
    yield f"smallest ratio {min(ratios):.2f}"


def determinism(size: Size) -> Iterator[str]:
    """Train twice, and generate the same seeds in several orders and batches."""
    for name in (_PAPER, _DCGAN):
        recipe = size.recipe(name)
        dataset = load_dataset(recipe.data)
        digests = set()
        for _ in range(3):
            algorithm = build_algorithm(recipe, dataset, size.device)
            for iteration in range(4 if size.is_tiny else 200):
                algorithm.iterate(iteration)
            digests.add(_digest(tensors_of(algorithm)))
        yield f"{recipe.name}: {len(digests)} different result(s) of 3 equal trainings"


def memory(size: Size) -> Iterator[str]:
    """Memory of the GPU for a training, with and without graphs."""
    for name in (_PAPER, _DCGAN, _STACKED):
        recipe = size.recipe(name)
        dataset = load_dataset(recipe.data)
        for choice in ("never", "auto"):
            if size.device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            algorithm = build_algorithm(recipe.model_copy(update={"cuda_graph": choice}), dataset, size.device)
            for iteration in range(5):
                algorithm.iterate(iteration)
            peak = torch.cuda.max_memory_reserved() / 1e6 if size.device.type == "cuda" else float("nan")
            yield f"{recipe.name}, {_mode(algorithm)}: {peak:,.0f} MB reserved, data included"
            del algorithm


def paper(size: Size) -> Iterator[str]:
    """Train `mnist-paper` for its 250 epochs, or as far as the time permits, and measure its Parzen value."""
    yield from _train(size, size.recipe(_PAPER, "metrics=[]", "every.evaluate=null"), "parzen")


def stacked(size: Size) -> Iterator[str]:
    """Train `stacked-mnist` as far as the time permits, and count its modes."""
    yield from _train(size, size.recipe(_STACKED), "parzen" if size.is_tiny else "modes")


PARTS: dict[str, Callable[[Size], Iterator[str]]] = {
    "equality": equality,
    "speed": speed,
    "paper": paper,
    "serving": serving,
    "determinism": determinism,
    "memory": memory,
    "stacked": stacked,
}


def _train(size: Size, recipe: Recipe, metric: ImageMetric) -> Iterator[str]:
    if size.is_tiny:
        recipe = recipe.model_copy(update={"steps": 5})
    with tempfile.TemporaryDirectory() as directory:
        trainer = create_run(Path(directory) / "run", recipe, size.device)
        began = time.monotonic()
        trainer.hooks.append(_StopAt(began + size.seconds))
        trainer.fit()
        seconds = time.monotonic() - began
        epochs = trainer.step * recipe.m * recipe.k / len(trainer.dataset)
        yield (
            f"{recipe.name}: {trainer.step:,} of {recipe.steps:,} steps ({epochs:.1f} epochs) in {seconds:.0f} s with previews "
            f"and checkpoints, {trainer.step / seconds:,.0f} iterations/s; {_mode(trainer.algorithm)}"
        )
        yield from _measure(size, recipe, trainer.dataset, trainer.algorithm, metric)


def _measure(size: Size, recipe: Recipe, dataset: Dataset, algorithm: Algorithm1, metric: ImageMetric) -> Iterator[str]:
    real = RealData(recipe.data, load_splits(recipe.data), ignore_progress)
    sampler = SeedSampler.of_recipe(recipe, dataset, size.device)
    count = num_samples(metric, 200 if size.is_tiny else None, real)
    generator = algorithm.generator if algorithm.ema is None else algorithm.ema
    sample = sample_seeds(partial(sampler.sample, generator), sampler.label_rule, count, real)
    for value in measure(metric, sample, count):
        yield f"{recipe.name}: {value.metric} {value.value:.2f}"


def _mode(algorithm: Algorithm1) -> str:
    if algorithm.graphs is None:
        return "single kernels"
    return "graph" if algorithm.graphs.failure is None else f"single kernels, because {algorithm.graphs.failure}"


def _compare(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> str:
    if all(torch.equal(tensor, second[name]) for name, tensor in first.items()):
        return "equal bits"
    greatest = max(float((tensor.double() - second[name].double()).abs().max()) for name, tensor in first.items())
    return f"greatest difference {greatest:.2g}"


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    return hashlib.sha256(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))).hexdigest()


def _rate(function: Callable[[int], object], device: torch.device, seconds: float) -> float:
    """Return the calls per second, after some calls that are not counted."""
    count = 0
    for _ in range(5):
        function(count)
        count += 1
    _synchronize(device)
    began, first = time.perf_counter(), count
    while time.perf_counter() - began < seconds:
        for _ in range(5):
            function(count)
            count += 1
        _synchronize(device)
    return (count - first) / (time.perf_counter() - began)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _raw_run(content: bytes, provider: str, z: NDArray[np.float32]) -> Callable[[int], NDArray[Any]]:
    """Return a function that copies z to the device, runs a file with bound memory, and copies the images back."""
    name = f"{provider.upper()}ExecutionProvider"
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(content, options, providers=[(name, {"use_tf32": "0"}) if provider == "cuda" else name])
    (output,) = session.get_outputs()
    (images,) = session.run(None, {"z": z})
    bound_z, bound_images = (ort.OrtValue.ortvalue_from_numpy(array, provider, 0) for array in (z, images))
    binding = session.io_binding()
    binding.bind_ortvalue_input("z", bound_z)
    binding.bind_ortvalue_output(output.name, bound_images)

    def run(_: int) -> NDArray[Any]:
        bound_z.update_inplace(z)
        session.run_with_iobinding(binding)
        result: NDArray[Any] = bound_images.numpy()
        return result

    return run
