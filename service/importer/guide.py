"""The section of docs/import.md that explains each reason of a refusal."""

from seedmint.models.errors import UserError

_PAGE = "docs/import.md"

SECTIONS: dict[str, tuple[str, ...]] = {
    "a-pytorch-checkpoint": (
        *("pytorch_checkpoint", "safetensors_file", "torchscript_file", "wrong_network", "not_found", "unknown_network"),
        *("network_fails", "not_a_module", "no_network", "wrong_argument", "no_weights", "weights_mismatch", "pickled_objects"),
        *("not_a_checkpoint", "damaged_checkpoint", "missing_package", "export_fails", "original_mismatch"),
    ),
    "a-pickle-of-stylegan": ("pickle_file", "cannot_join", "too_many_files"),
    "a-keras-file": ("keras_file", "tflite_file"),
    "a-hugging-face-repository": ("git_lfs_pointer",),
    "a-seedmint-generator-file": ("already_a_generator", "name_exists", "wrong_name", "card_field", "unknown_schema"),
    "files-that-onnx-runtime-loads": (
        *("not_onnx", "invalid_graph", "too_large", "too_large_file", "not_a_file", "too_many_nodes", "opset_not_supported"),
        *(
            "not_a_tensor",
            "bfloat16",
            "custom_domain",
            "function",
            "sparse_tensor",
            "training_mode",
            "cannot_run",
            "does_not_run",
        ),
    ),
    "external-data": (
        *("onnx_data_file", "external_data_path", "external_data_link", "external_data_missing", "external_data_offset"),
        *("external_data_length", "external_data_sparse", "external_data_too_large"),
    ),
    "inputs": (
        *("no_z_input", "z_input_missing", "z_dim_missing", "z_dim_mismatch", "z_too_long", "input_not_bound"),
        *("unknown_input", "wrong_length", "wrong_shape", "wrong_type", "wrong_constant", "out_of_range"),
        *("classes_missing", "classes_mismatch", "no_label", "label_input_missing", "too_many_classes", "names_not_distinct"),
        *("random_operator", "random_shape"),
    ),
    "images": (
        *("output_missing", "unknown_output", "output_not_finite", "not_an_image", "channels_not_supported", "image_too_large"),
        *("range_missing", "layout_missing", "shape_missing", "shape_mismatch", "wrong_layout"),
    ),
    "samples": ("columns_mismatch", "not_a_sample"),
    "rows-that-depend-on-their-batch": ("not_reproducible",),
    "slow-generators": ("too_slow",),
    "compare-with-the-original": ("reference_shape", "reference_mismatch", "not_npy"),
}
"""Anchor of a section -> the reasons that it explains."""

_ANCHORS = {reason: anchor for anchor, reasons in SECTIONS.items() for reason in reasons}


def section_of(reason: str) -> str:
    """Return the page and the section that explain a reason, such as `docs/import.md#inputs`.

    Args:
        reason: `reason` of a `UserError`.
    """
    return f"{_PAGE}#{_ANCHORS[reason]}" if reason in _ANCHORS else _PAGE


def with_section(error: UserError) -> UserError:
    """Return an error whose message ends with the section that explains the error.

    Args:
        error: An error of an import.
    """
    return UserError(
        f"{error} [{section_of(error.reason)}]", field=error.field, reason=error.reason, other_fields=error.other_fields
    )
