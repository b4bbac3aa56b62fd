"""Imports a generator: an ONNX file, or a mapping and a synthesis file, becomes a generator file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from seedmint.models.card import Card, ImageOutput, Noise
from seedmint.models.provenance import Dataset, Licence, Provenance
from seedmint.models.runtime.generator_file import checked_card, read_content
from seedmint.models.runtime.reference import with_card, with_reference
from seedmint.service.importer.bindings import Signature
from seedmint.service.importer.comparison import Original, compare_with_original, compare_with_reference
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.file_kinds import check_file_kind
from seedmint.service.importer.join import join_models
from seedmint.service.importer.label_size import embedding_rows
from seedmint.service.importer.latent_binding import mapped_input
from seedmint.service.importer.options import DEFAULT_TRIAL, ImportOptions, TrialSettings
from seedmint.service.importer.output_layout import find_image_output, find_sample_output
from seedmint.service.importer.output_range import find_range, overridden_range
from seedmint.service.importer.provenance import given_options, original_files, with_origin
from seedmint.service.importer.signature import read_signature
from seedmint.service.importer.source_model import read_model
from seedmint.service.importer.trial import Trial, TrialResult
from seedmint.service.importer.wrap import OutputSpec, wrap
from seedmint.service.runtime.generator import Generator

_INTEGER_PRODUCTS = frozenset({"MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv"})


@dataclass(frozen=True)
class ImportedGenerator:
    """A generator file and the findings of its import.

    Attributes:
        content: The generator file.
        card: Its card.
        findings: One line for each decision, for the user to check.
        by_row: Whether the original graph runs once for each row.
    """

    content: bytes
    card: Card
    findings: tuple[str, ...]
    by_row: bool = False


def import_files(
    paths: Sequence[Path],
    options: ImportOptions,
    settings: TrialSettings = DEFAULT_TRIAL,
    original: Original | None = None,
) -> ImportedGenerator:
    """Import one ONNX file, or a mapping and a synthesis file.

    Args:
        paths: One file, or the file of the mapping network and the file of the synthesis network.
        options: Options of the import.
        settings: Settings of the trial runs.
        original: The network from which the files were exported, to compare with; None if only the files are known.

    Raises:
        UserError: A file is not ONNX or not self-contained, an option is missing or wrong, or the graph does not run.
        OSError: A file cannot be read.
    """
    models, files = [], []
    for path in paths:
        content = read_content(path)
        check_file_kind(path)
        models.append(read_model(content, path.parent, options.noise))
        if original is None:
            files += original_files(content, path.parent)
    if original is None:
        original = Original(None, tuple(files), given_options(options))
    return _import(models, options, settings, original)


def _import(models: list[ModelProto], options: ImportOptions, settings: TrialSettings, original: Original) -> ImportedGenerator:
    provider, threads = settings.provider, settings.threads
    findings: list[str] = []
    if len(models) == 1:
        model = models[0]
    elif len(models) == 2:
        model, options, finding = join_models(models[0], models[1], options)
        findings.extend(finding)
    else:
        raise GeneratorImportError(
            f"{len(models)} files: pass one file, or a mapping file and a synthesis file", reason="too_many_files"
        )
    signature = read_signature(model, options)
    _check_classes(model, signature, options, findings)
    trial = Trial(model, signature, options, settings).run()
    output = _output_spec(model, signature, trial, options)
    card = _card(signature, trial, options, output)
    content = with_reference(wrap(model, signature, options.z_scale, card, trial.execution, output), provider, threads)
    generator = Generator(content, provider, threads, settings.max_batch)
    if generator.determinism != "exact":
        raise GeneratorImportError(
            "the same seed gives different outputs in different batches, even row by row", reason="not_reproducible"
        )
    findings.extend(_doubts(model, signature, options, output))
    difference = _difference(model, generator, original, output, options, findings)
    content = with_card(content, with_origin(generator.card, list(original.files), original.options, difference))
    lines = (*_describe(signature, trial, options, output), *findings)
    return ImportedGenerator(content, checked_card(content), lines, trial.execution.by_row)


def _difference(
    model: ModelProto,
    generator: Generator,
    original: Original,
    output: OutputSpec,
    options: ImportOptions,
    findings: list[str],
) -> float | None:
    """Return the greatest difference from the original; None without a comparison."""
    differences = []
    if original.run is not None:
        difference, count = compare_with_original(generator, original.run, output, options.z_scale)
        differences.append(difference)
        findings.append(f"greatest difference from the network: {difference:g}, over {count} seeds")
    if options.reference is not None:
        differences.append(_compare_with_reference(model, generator, options.reference))
        findings.append(f"greatest difference from the reference: {differences[-1]:g}")
    return max(differences, default=None)


def _compare_with_reference(model: ModelProto, generator: Generator, reference: NDArray[Any]) -> float:
    try:
        return compare_with_reference(generator, reference)
    except GeneratorImportError as error:
        if error.reason == "reference_mismatch" and any(node.op_type in _INTEGER_PRODUCTS for node in model.graph.node):
            message = f"{error}. The graph has int8 products, whose results differ between processors"
            raise GeneratorImportError(message, field=error.field, reason=error.reason) from None
        raise


def _doubts(model: ModelProto, signature: Signature, options: ImportOptions, output: OutputSpec) -> list[str]:
    """Return one line for each choice that is probably wrong."""
    lines = []
    limits = None if output.range in (None, "bytes") else overridden_range(model, signature.output, options)
    if limits is not None:
        lines.append(f"range: the last operators of the graph limit its values to {limits}; the option overrides this")
    mapped = mapped_input(signature)
    if mapped is not None:
        lines.append(f"input {mapped}: looks like the output of a mapping network; pass the mapping file before this file")
    return lines


def _check_classes(model: ModelProto, signature: Signature, options: ImportOptions, findings: list[str]) -> None:
    label = signature.label
    if label is None or options.classes is None or label.kind != "label":
        return
    rows = embedding_rows(model, label.input.name)
    if rows is not None and rows < len(options.classes):
        raise GeneratorImportError(
            f"{len(options.classes)} classes, but the embedding of the label has {rows} rows",
            field="classes",
            reason="classes_mismatch",
        )
    if rows is not None and rows > len(options.classes):
        findings.append(f"the embedding of the label has {rows} rows: rows from {len(options.classes)} on are not served")


def _output_spec(model: ModelProto, signature: Signature, trial: TrialResult, options: ImportOptions) -> OutputSpec:
    shape = trial.rows.shape[1:]
    if options.sample:
        layout, sample = find_sample_output(shape, options)
        return OutputSpec(sample, layout, None)
    if options.columns is not None:
        raise GeneratorImportError(
            "only samples have columns", field="columns", reason="not_a_sample", other_fields=("sample",)
        )
    layout, image = find_image_output(shape, model, signature.output, options)
    return OutputSpec(image, layout, find_range(model, signature.output, trial.rows, options))


def _card(signature: Signature, trial: TrialResult, options: ImportOptions, output: OutputSpec) -> Card:
    return Card(
        name=options.name,
        title=options.title,
        noise=Noise(rule=f"philox-{options.prior}-v1", z_dim=signature.z_dim),
        classes=options.classes,
        output=output.card,
        provenance=Provenance(dataset=Dataset(name=options.data) if options.data else None),
        licence=Licence(data=options.data_licence, weights=options.weights_licence),
        truncation="input" if signature.has_truncation else "z" if trial.truncation_has_effect else "none",
        max_batch=trial.max_batch,
    )


def _describe(signature: Signature, trial: TrialResult, options: ImportOptions, output: OutputSpec) -> list[str]:
    lines = []
    scaled = f" times {options.z_scale:g}" if options.z_scale != 1 else ""
    for binding in signature.bindings:
        name = binding.input.name
        if binding.kind == "z":
            repeated = binding.stop - binding.start < int(np.prod(binding.shape))
            part = f"numbers {binding.start} to {binding.stop - 1} of z" + (", repeated" if repeated else "")
            lines.append(f"input {name}: {part} ({options.prior}{scaled})")
        elif binding.kind == "constant":
            lines.append(f"input {name}: constant")
        elif binding.kind == "truncation":
            lines.append(f"input {name}: truncation")
        else:
            kind = "one-hot label" if binding.kind == "one_hot" else "label"
            lines.append(f"input {name}: {kind} of {len(options.classes or ())} classes")
    shape = "x".join(map(str, output.card.shape))
    if isinstance(output.card, ImageOutput):
        lines.append(f"output {signature.output}: images of {shape}, {output.layout}, range {output.range}")
    else:
        lines.append(f"output {signature.output}: samples of {shape}, columns {', '.join(output.card.names[:8])}")
    if trial.execution.by_row:
        if signature.batch is not None:
            reason = f"the graph has a fixed batch of {signature.batch}"
        elif signature.needs_rows:
            reason = "an input has one number for the whole batch"
        else:
            reason = "the outputs have no batch axis, or depend on the batch"
        lines.append(f"runs row by row: {reason}")
    if trial.max_batch is not None:
        lines.append(f"largest batch {trial.max_batch}: one output takes {trial.row_seconds:.2g} s")
    if not trial.truncation_has_effect:
        lines.append("truncation has no effect: the graph normalizes z; if an input is the truncation, name the input")
    return lines
