"""Reads generator files: bytes, digest, ONNX graph and card."""

import hashlib
import os
import stat
from pathlib import Path

import onnx

from seedmint.models.card import Card
from seedmint.models.contract import check_contract
from seedmint.models.errors import UserError

DIGEST12 = 12  # hexadecimal digits of the digest in a URL
MAX_FILE_BYTES = (1 << 31) - 1  # limit of Protocol Buffers, hence of ONNX files


class GeneratorError(UserError):
    """The file is not a generator that can run here. The message does not name the file."""

    reason = "not_a_generator"


def read_content(file: Path | int) -> bytes:
    """Return the bytes of a generator file.

    Args:
        file: The file, or the descriptor of an open file, whose position neither matters nor changes.

    Raises:
        GeneratorError: The file is larger than 2 GiB, or is not a regular file (reading a pipe may never end).
        OSError: The file cannot be read.
    """
    if isinstance(file, int):
        content = _read_from_start(file)
    else:
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            _check_regular(handle)
            with os.fdopen(handle, "rb", closefd=False) as opened:
                content = opened.read(MAX_FILE_BYTES + 1)
        finally:
            os.close(handle)
    if len(content) > MAX_FILE_BYTES:
        raise GeneratorError("larger than 2 GiB: not a generator file", reason="too_large_file")
    return content


def _check_regular(handle: int) -> None:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise GeneratorError("not a regular file", reason="not_a_file")


def _read_from_start(handle: int) -> bytes:
    """Return at most `MAX_FILE_BYTES + 1` bytes of an open file. Other processes may share its position."""
    _check_regular(handle)
    content = os.pread(handle, min(os.fstat(handle).st_size, MAX_FILE_BYTES) + 1, 0)
    while len(content) <= MAX_FILE_BYTES and (more := os.pread(handle, 1 << 20, len(content))):
        content += more  # the file grew meanwhile, or the system reads less at a time
    return content


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a generator file in hexadecimal: the version of the generator.

    Args:
        content: The bytes of the file.
    """
    return hashlib.sha256(content).hexdigest()


def parse_model(content: bytes) -> onnx.ModelProto:
    """Parse an ONNX file.

    Args:
        content: The bytes of the file.

    Raises:
        GeneratorError: The bytes are not an ONNX file.
    """
    try:
        # From bytes, ONNX never loads external data. The contract refuses external data before a session is created.
        return onnx.load_model_from_string(content)
    except Exception:
        raise GeneratorError("not an ONNX file, or truncated", reason="not_onnx") from None


def checked_card(content: bytes) -> Card:
    """Return the card of a generator file after checking the file against the contract.

    Args:
        content: The bytes of the file.

    Raises:
        UserError: The file is not an ONNX file or violates the contract.
    """
    return check_contract(parse_model(content))


def check_name(card: Card, path: Path, digest: str) -> None:
    """Check that a file is named after its generator, so that the name in a URL is the name in the card.

    The file name is NAME.onnx, or NAME@DIGEST12.onnx for a version that is served beside another one, at its pinned URLs only.

    Args:
        card: The card of the file.
        path: The file.
        digest: SHA-256 of the file in hexadecimal.

    Raises:
        GeneratorError: The file has another name.
    """
    if path.stem not in (card.name, f"{card.name}@{digest[:DIGEST12]}"):
        raise GeneratorError(f"the name in the card is {card.name!r}: rename the file to {card.name}.onnx", reason="wrong_name")
