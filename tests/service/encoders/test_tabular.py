"""Bytes of samples in each format and each archive, compared with other readers."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image

from seedmint.models.card import SampleOutput
from seedmint.models.noise import labels_of, noise
from seedmint.models.runtime.generator_file import GeneratorError
from seedmint.service.api.etag import entity_tag
from seedmint.service.api.urls import canonical_url
from seedmint.service.encoders.archives import archive_formats, archive_writer
from seedmint.service.encoders.tabular import (
    SAMPLE_FORMATS,
    csv_header,
    csv_rows,
    csv_text,
    encode_sample,
    sample_formats,
)
from seedmint.service.runtime.generator import Generator, open_generator
from seedmint.service.specs.single import SampleSpec
from tests.support import generators
from tests.support.fixtures import POINT


def both(point: Generator, wave: Generator) -> list[Generator]:
    return [point, wave]


def test_samples_match_the_arithmetic_in_numpy(point: Generator):
    """The values differ by one step of the resolution at most."""
    weights = {t.name: numpy_helper.to_array(t) for t in generators.model(point.card, 3).graph.initializer}
    seeds = np.array([5, 123456789012345, 0])
    hidden = np.tanh(noise("philox-normal-v1", 20, seeds) @ weights["w1"] + weights["rows"][labels_of(seeds, 3)])
    samples = point.generate(seeds)
    assert (samples.dtype, samples.shape, point.determinism) == (np.float32, (3, 2), "exact")
    np.testing.assert_allclose(samples, hidden @ weights["w2"], atol=1 / 1024)


def test_every_format_keeps_the_values_exactly(point: Generator, wave: Generator):
    for generator in both(point, wave):
        (sample,) = generator.generate(np.array([7]))
        files = {form: encode_sample(generator, sample, form, 7, 1, 0.5) for form in sample_formats(generator.card.output)}
        document = json.loads(files["json"])
        assert document | {"values": None} == {
            "model": generator.name,
            "digest": generator.digest,
            "seed": 7,
            "label": 1,
            "truncation": 0.5,
            "names": list(generator.card.output.names),  # type: ignore[union-attr]
            "values": None,
        }
        np.testing.assert_array_equal(np.array(document["values"], np.float32), sample)
        np.testing.assert_array_equal(np.load(io.BytesIO(files["npy"])), sample)
        header, *rows = csv.reader(io.StringIO(files["csv"].decode()))
        series = sample.ndim == 2
        assert header == (["step"] if series else []) + document["names"]
        read = np.array(rows, np.float64)
        np.testing.assert_array_equal(read[:, 1:] if series else read[0], sample)
        assert not series or read[:, 0].tolist() == list(range(16))
        picture = Image.open(io.BytesIO(files["png"]))
        assert picture.info == {"seed": "7", "label": "1", "truncation": "0.5"} | {
            "model": generator.name,
            "digest": generator.digest,
        }


def test_numbers_have_enough_digits_for_float32():
    random = np.random.default_rng(0)
    odd = random.integers(0, 1 << 32, 4000, dtype=np.uint32).view(np.float32)
    odd = odd[np.isfinite(odd)]
    output = SampleOutput(kind="sample", shape=(len(odd),), names=tuple(map(str, range(len(odd)))))
    _, row = csv.reader(io.StringIO(csv_text([csv_header(output), *csv_rows(output, odd)]).decode()))
    np.testing.assert_array_equal(np.array([float(value) for value in row], np.float32), odd)


@pytest.mark.parametrize("form", ["npz", "npy", "csv", "jsonl"])
def test_archive_is_complete_and_independent_of_the_pieces(point: Generator, wave: Generator, form: str):
    for generator in both(point, wave):
        assert form in archive_formats(generator.card.output)
        seeds = np.arange(100, dtype=np.int64)
        labels, made = generator.labels(seeds), generator.generate(seeds)

        def archive(cuts: list[int], generator: Generator = generator, seeds: np.ndarray = seeds) -> bytes:
            writer = archive_writer(form, generator, 100, 1.0)  # type: ignore[arg-type]
            parts = (writer.add(part, generator.labels(part), generator.generate(part)) for part in np.split(seeds, cuts))
            return b"".join(parts) + b"".join(writer.finish())

        whole = archive([])
        assert whole == archive([1, 7, 64, 99])
        found = read(form, whole, generator)
        np.testing.assert_array_equal(found["samples"], made)
        if form != "npy":
            np.testing.assert_array_equal(found["seeds"], seeds)
            assert ("labels" in found) == (labels is not None)
            if labels is not None:
                np.testing.assert_array_equal(found["labels"], labels)


def read(form: str, content: bytes, generator: Generator) -> dict[str, np.ndarray]:
    """Return the arrays of an archive, read by another library."""
    if form == "npy":
        return {"samples": np.load(io.BytesIO(content))}
    if form == "npz":
        with np.load(io.BytesIO(content)) as arrays:
            return dict(arrays)
    shape = generator.card.output.shape
    if form == "jsonl":
        lines = [json.loads(line) for line in content.decode().splitlines()]
        keys = {"seed": "seeds", "label": "labels", "values": "samples"}
        return {keys[key]: np.array([line[key] for line in lines]) for key in lines[0]}
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    columns = {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
    names = list(columns)[-shape[-1] :]
    found = {"samples": np.stack([columns[name] for name in names], axis=1).reshape(-1, *shape)}
    steps = shape[0] if len(shape) == 2 else 1
    assert len(shape) == 1 or columns["step"].tolist() == list(range(steps)) * (len(rows) // steps)
    return found | {f"{key}s": columns[key][::steps] for key in ("seed", "label") if key in columns}


def test_etag_depends_on_every_part_of_the_url(point: Generator, wave: Generator):
    requests = [
        SampleSpec(1, 0, 1.0, "json"),
        SampleSpec(2, 0, 1.0, "json"),
        SampleSpec(1, 1, 1.0, "json"),
        SampleSpec(1, 0, 0.5, "json"),
        *(SampleSpec(1, 0, 1.0, form) for form in SAMPLE_FORMATS[1:]),
    ]
    assert len(
        {
            entity_tag(generator, request, canonical_url(generator, request))
            for request in requests
            for generator in both(point, wave)
        }
    ) == 2 * len(requests)


def test_background_of_plots_has_the_first_seeds(point: Generator, wave: Generator, grey: Generator):
    assert point.background is not None
    np.testing.assert_array_equal(point.background, point.generate(np.arange(512)))
    assert grey.background is None


def test_large_samples_have_small_batches_and_a_small_background(tmp_path: Path):
    """Samples of 65,536 values, the maximum: the background has 16 of them."""
    output = SampleOutput(kind="sample", shape=(32768, 2), names=("a", "b"))
    generator = open_generator(generators.write(tmp_path, "large", output=output), max_batch=4096)
    assert generator.max_batch == (256 << 20) // (4 * 65536)
    assert generator.background is not None
    assert len(generator.background) == 16


def test_output_that_is_not_finite_is_refused():
    model = generators.model(generators.card("odd", output=POINT))
    log = helper.make_node("Log", ["values"], ["logs"])  # of a negative number: NaN
    model.graph.node[-1].input[0] = "logs"
    model.graph.node.insert(len(model.graph.node) - 1, log)
    with pytest.raises(GeneratorError) as raised:
        Generator(model.SerializeToString(), "cpu", 1, 64)
    assert raised.value.reason == "not_finite"


def test_zero_and_minus_zero_have_different_bytes():
    """A generator that outputs -0.0 in large batches and 0.0 in small batches is approximate."""
    model = generators.model(generators.card("signed", output=POINT))
    nodes = [
        helper.make_node("Shape", ["z"], ["n"], start=0, end=1),
        helper.make_node("Cast", ["n"], ["count"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Sub", ["five", "count"], ["sign"]),
        helper.make_node("Mul", ["values", "nothing"], ["small"]),
        helper.make_node("Abs", ["small"], ["zeros"]),
        helper.make_node("Mul", ["zeros", "sign"], ["signed"]),
    ]
    model.graph.initializer.append(numpy_helper.from_array(np.array([5], np.float32), "five"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "nothing"))
    model.graph.node[-1].input[0] = "signed"
    for node in nodes:
        model.graph.node.insert(len(model.graph.node) - 1, node)
    assert Generator(model.SerializeToString(), "cpu", 1, 64).determinism == "approximate"
