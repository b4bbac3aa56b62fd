"""torchvision and MosaicML Streaming, which read the data of batch jobs, in a folder of their own.

Neither can be a dependency of the tests: the wheel of torchvision is for the CUDA build of torch only, and the requirements of
MosaicML Streaming exclude the present NumPy and many other packages. Both are installed without requirements.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.support.separate_packages import separate_packages

_PACKAGES = (
    "torchvision==0.28.0",
    "mosaicml-streaming==0.13.0",
    # Imported by MosaicML Streaming, also for data without compression and without text.
    "brotli==1.2.1",
    "python-snappy==0.7.3",
    "cramjam==2.14.0",
    "catalogue==2.0.10",
    "zstd==1.5.7.2",
    "xxhash==4.1.0",
    "transformers==5.23.0",
    "tokenizers==0.23.3",
    "regex==2026.11.15",
)
# The extension of torchvision needs CUDA. Without it, torchvision registers functions for two operators that nobody defined.
# The data sets of torchvision use none of its operators.
_OPERATORS = """import torch

if torch.version.cuda is None:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def other_readers() -> Path:
    """Return a folder for `PYTHONPATH` with both packages. Skips the test if they cannot be downloaded."""
    return separate_packages("readers", _PACKAGES)


def run_with_readers(program: str, folder: Path) -> str:
    """Run a program, in a folder, with both packages. Returns its standard output.

    Args:
        program: The text of the program.
        folder: The working directory.

    Raises:
        AssertionError: The program failed.
    """
    script = folder.parent / f"program-{hashlib.sha256(program.encode()).hexdigest()[:12]}.py"
    script.write_text(_OPERATORS + program)
    environment = os.environ | {"PYTHONPATH": str(other_readers())}
    done = subprocess.run([sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
