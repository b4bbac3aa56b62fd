"""Recognizes files of other formats by their first bytes, and says how to export a generator from each."""

import shlex
import zipfile
from pathlib import Path

from seedmint.service.importer.errors import GeneratorImportError

_HEAD_BYTES = 512
_WITHOUT_NETWORK = ("pytorch_checkpoint", "safetensors_file")
# reason code -> the message
_MESSAGES = {
    "pytorch_checkpoint": "a PyTorch checkpoint, which holds weights without a network: run "
    "`seedmint models add {file}` with the code of its network",
    "safetensors_file": "a safetensors file, which holds weights without a network: run "
    "`seedmint models add {file}` with the code of its network",
    "pickle_file": "a Python pickle, such as the network.pkl of StyleGAN, which runs code when it is loaded: if you trust "
    'it, load it in the environment of its project and run seedmint.take_in(G_ema, name="NAME")',
    "keras_file": "a Keras file: run KERAS_BACKEND=torch python -c "
    '\'import keras, seedmint; seedmint.take_in(keras.models.load_model("{name}"), name="NAME")\'',
    "torchscript_file": 'a TorchScript file: run torch.onnx.export(torch.jit.load("{name}"), (z,), "g.onnx", dynamo=False) '
    "with an example of z, then `seedmint models add g.onnx`",
    "tflite_file": "a TensorFlow Lite file: run `python -m tf2onnx.convert --tflite {file} --output g.onnx`, "
    "then `seedmint models add g.onnx`",
    "git_lfs_pointer": "a Git LFS pointer, not the file itself: run `git lfs pull` in its repository, and add the file again",
    "onnx_data_file": "the external data of an ONNX file: add the .onnx file in the same folder",
}
SUFFIXES = frozenset({".pth", ".pt", ".ckpt", ".bin", ".pkl", ".safetensors", ".keras", ".h5", ".hdf5", ".tflite"})
"""Suffixes of the formats above."""


def check_file_kind(path: Path, shown: Path | None = None) -> None:
    """Refuse a file of a known format that is not ONNX.

    Args:
        path: The file.
        shown: The path in the message; None for `path`.

    Raises:
        GeneratorImportError: The file has another format. `reason` names the format.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    kind = _kind(path, head)
    if kind is not None:
        shown = shown or path
        message = _MESSAGES[kind].format(name=shown, file=shlex.quote(str(shown)))
        raise GeneratorImportError(message, reason=kind, other_fields=("network",) if kind in _WITHOUT_NETWORK else ())


def _kind(path: Path, head: bytes) -> str | None:
    suffixes = path.name.lower()
    if head.startswith(b"version https://git-lfs"):
        return "git_lfs_pointer"
    if head.startswith(b"PK\x03\x04"):
        return _archive_kind(path)
    if head.startswith(b"\x89HDF"):
        return "keras_file"
    if head[4:8] == b"TFL3":
        return "tflite_file"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 30:
        return "safetensors_file"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        # torch.save wrote plain pickles before version 1.6, with a magic number near the beginning.
        return "pytorch_checkpoint" if b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19" in head else "pickle_file"
    if suffixes.endswith((".onnx.data", ".onnx_data", "weights.pb")):
        return "onnx_data_file"
    return None


def _archive_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError):
        names = []
    if "config.json" in names or path.suffix.lower() == ".keras":
        return "keras_file"
    if any("/code/" in name for name in names):
        return "torchscript_file"
    return "pytorch_checkpoint"
