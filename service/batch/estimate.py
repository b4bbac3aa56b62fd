"""Estimates the size of a job from some of its images or samples, which are generated and encoded."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import ImageOutput
from seedmint.models.errors import UserError
from seedmint.models.seeds import seeds_from_list
from seedmint.service.batch.classifier import opened
from seedmint.service.batch.data_card import data_card
from seedmint.service.batch.filter_rule import FilterRule
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.batch.formats.tar import end
from seedmint.service.batch.manifest import Totals, manifest, manifest_entry
from seedmint.service.batch.plan import Plan, Shard
from seedmint.service.batch.records import Record, record_bytes
from seedmint.service.batch.row_index import row_index_size
from seedmint.service.batch.shard import Batch, CountingSink, shard_writer
from seedmint.service.batch.storage.base import Output
from seedmint.service.runtime.generator import Generator

SAMPLE_SIZE = 1024  # most images that are generated for an estimate
_SAMPLE_BYTES = 16 << 20  # of the generated images: fewer images, if they are large
_LEAST_IMAGES = 16
_PLACES = 16  # in the plan, from which images are taken
_TABLE_VALUES = 1 << 20  # in the sample of a table
_SAMPLED_RECORDS = 200
_BLOCK_BYTES = 4096  # typical allocation unit of a file system
_DIGEST = "0" * 64

Sizes = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """The size of a job, or of a part of it.

    Attributes:
        bytes: Size of all files, with records, manifest and data card.
        disk_bytes: Size of the file system blocks of all files.
    """

    bytes: int
    disk_bytes: int


def estimate_size(generators: Sequence[Generator], plan: Plan, count: int, sample_size: int = SAMPLE_SIZE) -> Estimate:
    """Estimate the size of some outputs of a plan. The outputs are taken to be spread evenly over its shards.

    Args:
        generators: The generators of the plan, in order.
        plan: The plan.
        count: Number of images or samples.
        sample_size: Most images of each generator that may be generated for the estimate.
    """
    estimates = [_data_size(generator, plan, index, sample_size) for index, generator in enumerate(generators)]
    data, data_blocks = sum(each.bytes for each in estimates), sum(each.blocks for each in estimates)
    share = sum(each.share for each in estimates) / len(estimates)
    records, entries = _record_sizes(plan, round(data / plan.num_shards), [each.share for each in estimates])
    totals = Totals(plan.num_shards, round(plan.count * share), plan.count, round(data))
    summaries = np.array(
        [
            len(plan.to_json()),
            len(data_card(plan, totals).encode()),
            sum(map(len, manifest(plan, [], totals))) + entries.mean() * plan.num_shards,
            row_index_size(plan) * share,
        ]
    )
    size = data + records.mean() * plan.num_shards + summaries.sum()
    blocks = data_blocks + _blocks(records).mean() * plan.num_shards + _blocks(summaries).sum()
    return Estimate(round(size * count / plan.count), round(blocks * count / plan.count))


@dataclass(frozen=True)
class _DataSize:
    """Size of the data of one generator: of the files and of their blocks, and the share that the filter keeps."""

    bytes: float
    blocks: float
    share: float


def _data_size(generator: Generator, plan: Plan, index: int, sample_size: int) -> _DataSize:
    share = _accepted_share(generator, plan, index, sample_size)
    if plan.format == "png":
        sizes, count = _png_sizes(generator, plan, index, sample_size), plan.num_seeds * share
        return _DataSize(sizes.mean() * count, _blocks(sizes).mean() * count, share)
    size_of = _shard_size(generator, plan, index, sample_size)
    counts, numbers = np.unique(plan.shard_sizes[plan.shard_generators == index], return_counts=True)
    sizes = np.array([size_of(round(count * share)) for count in counts.tolist()])
    return _DataSize((sizes * numbers).sum(), (_blocks(sizes) * numbers).sum(), share)


def _accepted_share(generator: Generator, plan: Plan, index: int, sample_size: int) -> float:
    """Return the share of some generated images that the filter keeps; 1 without a filter."""
    plan_filter = plan.generators[index].filter
    if plan_filter is None:
        return 1.0
    classifier, rule = opened(plan_filter), FilterRule(plan_filter.rule)
    sample = _sample(generator, plan, index, sample_size)
    kept = sum(int(rule.accepts(classifier.probabilities(images), labels).sum()) for _, labels, images in sample)
    return kept / _num_rows(sample)


def _blocks(sizes: Sizes) -> Sizes:
    """Return the size of the blocks of files."""
    return np.ceil(sizes / _BLOCK_BYTES) * _BLOCK_BYTES


def _sample(generator: Generator, plan: Plan, index: int, sample_size: int) -> list[Batch]:
    """Generate images from places that are spread evenly over the seeds, because images of some labels may be larger."""
    output_bytes = math.prod(plan.card.output.shape) * np.dtype(plan.card.output.dtype).itemsize
    total = min(sample_size, plan.num_seeds, max(_LEAST_IMAGES, _SAMPLE_BYTES // output_bytes))
    places = max(1, min(_PLACES, total // generator.max_batch, plan.num_seeds // total))
    size = total // places
    starts = np.linspace(0, plan.num_seeds - size, places).astype(int).tolist()
    return [batch for start in starts for batch in _generate(generator, plan, index, start, size)]


def _generate(generator: Generator, plan: Plan, index: int, start: int, count: int) -> list[Batch]:
    """Generate the images of consecutive seeds, from the position of the first among all seeds."""
    batches = []
    position = start
    for seeds in plan.seed_order.between(start, start + count).chunks(generator.max_batch):
        positions = plan.image_positions(position + np.arange(len(seeds)), index)
        labels = plan.labels_of(positions, seeds)
        batches.append((seeds, labels, generator.generate(seeds, labels, plan.truncation)))
        position += len(seeds)
    return batches


def _png_sizes(generator: Generator, plan: Plan, index: int, sample_size: int) -> Sizes:
    sample = _sample(generator, plan, index, sample_size)
    return np.array([len(png) for batch in sample for png in pngs(generator, *batch, plan.truncation)], np.float64)


def _shard_size(generator: Generator, plan: Plan, index: int, sample_size: int) -> Callable[[int], float]:
    """Return a function from the number of rows of a shard to its size in bytes."""
    if plan.format == "webdataset":
        sample = _sample(generator, plan, index, sample_size)
        mean = _written(generator, plan, index, sample, is_finished=False) / _num_rows(sample)
        return lambda count: mean * count + len(end(round(mean * count)))
    if plan.format == "parquet" and not isinstance(plan.card.output, ImageOutput):  # compressed, so long shards are smaller
        rows = max(1, min(plan.size(0), _TABLE_VALUES // math.prod(plan.card.output.shape)))
        size = _written(generator, plan, index, _generate(generator, plan, index, 0, rows))
        return lambda count: size * count / rows
    sample = _sample(generator, plan, index, sample_size)
    once, twice = _written(generator, plan, index, sample), _written(generator, plan, index, sample * 2)
    slope = (twice - once) / _num_rows(sample)
    return lambda count: 2 * once - twice + slope * count


def _num_rows(sample: list[Batch]) -> int:
    return sum(len(seeds) for seeds, _, _ in sample)


def _written(generator: Generator, plan: Plan, index: int, batches: list[Batch], is_finished: bool = True) -> int:
    """Return the size of a shard with some batches, with or without its end."""
    sink = CountingSink(None)
    writer = shard_writer(sink, generator, plan, index, _num_rows(batches))
    for batch in batches:
        writer.add(*batch)
    if is_finished:
        writer.finish()
    return sink.bytes


def _record_sizes(plan: Plan, shard_size: int, shares: Sequence[float]) -> tuple[Sizes, ...]:
    """Return the sizes of some records, and of their entries in the manifest, for the share that each generator keeps."""
    indices = np.unique(np.linspace(0, plan.num_shards - 1, _SAMPLED_RECORDS).astype(int))
    records, entries = [], []
    for index in indices.tolist():
        shard = plan.shard(index)
        share = shares[shard.generator]
        record = Record(
            shard=index,
            file=plan.file_name(index),
            seeds=str(shard.seeds),
            count=shard.count,
            accepted=None if plan.filter is None else round(shard.count * share),
            refused=None if plan.filter is None else _refused_text(shard, share),
            bytes=shard_size,
            sha256=_DIGEST,
            model=plan.model,
            plan=plan.digest,
            determinism="exact",
        )
        records.append(len(record_bytes(record)))
        entries.append(len(manifest_entry(record)))
    return np.array(records, np.float64), np.array(entries, np.float64)


def _refused_text(shard: Shard, share: float) -> str:
    """Return about as much text as the refused seeds take, spread evenly over the shard."""
    seeds = shard.seeds.array()
    refused = seeds[np.unique(np.linspace(0, len(seeds) - 1, round(len(seeds) * (1 - share))).astype(int))].tolist()
    return str(seeds_from_list(refused)) if refused else ""


def check_free_space(output: Output, needed: int) -> None:
    """Check that a job fits in its output.

    Args:
        output: The output of the job.
        needed: Size in bytes of the files to write.

    Raises:
        UserError: The disk has less free space.
    """
    free = output.free()
    if free is not None and needed > free:
        raise UserError(
            f"{output.url} needs about {needed / 1e6:,.0f} MB, but only {free / 1e6:,.0f} MB are free: "
            f"use fewer seeds, or another disk",
            field="out",
            reason="no_space",
        )
