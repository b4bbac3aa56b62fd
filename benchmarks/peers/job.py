"""What every peer does for one image: the same ONNX file, threads, noise and picture; only the server differs.

Settings are environment variables: PEER_MODEL, a generator file; PEER_PORT; PEER_PNG, pillow (what people would use) or own;
PEER_WORKERS, the number of processes that run the generator.
"""

import io
import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from seedmint.models.noise import noise
from seedmint.service.encoders.png import encode_png

PORT = int(os.environ.get("PEER_PORT", "8000"))
WORKERS = int(os.environ.get("PEER_WORKERS", "1"))
MAX_BATCH = 64

ort.set_default_logger_severity(3)


class Job:
    """The generator's session and how its images become PNGs."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        content = Path(os.environ["PEER_MODEL"]).read_bytes()
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        (z,) = self._session.get_inputs()
        self._z_dim = z.shape[1]
        self._png = _pillow if os.environ.get("PEER_PNG", "pillow") == "pillow" else _own

    def images(self, seeds: list[int]) -> NDArray[np.uint8]:
        """uint8[n, height, width, channels]"""
        z = noise("philox-uniform-v1", self._z_dim, np.array(seeds, np.int64))
        (made,) = self._session.run(None, {"z": z})
        return made  # type: ignore[no-any-return]

    def pngs(self, seeds: list[int]) -> list[bytes]:
        return [self._png(image) for image in self.images(seeds)]


def _pillow(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def _own(image: NDArray[np.uint8]) -> bytes:
    return encode_png(image, {})
