"""Seedmint trains generators with Algorithm 1 of "Generative Adversarial Nets" and serves their images by seed.

`seedmint.load("mnist").images(range(64))` is uint8[64, 28, 28, 1]; see docs/python.md.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedmint.api_answers import ApiError
    from seedmint.async_client import AsyncClient
    from seedmint.batch_jobs import BatchResult, batch
    from seedmint.client import Client
    from seedmint.from_torch.taking_in import take_in
    from seedmint.generator import Generator, load
    from seedmint.models.errors import UserError
    from seedmint.models.version import __version__
    from seedmint.service.server.url_signatures import sign_url
    from seedmint.training.runs.hook import Hook as TrainingHook
    from seedmint.training_runs import TrainingRun, train

# ONNX Runtime reads this variable on import. Without it, ONNX Runtime creates a device id and a telemetry database below
# $HOME. Python runs this module before every other module of Seedmint.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# In a checkout, links in this folder lead to `models`, `service` and `training`. A bento and a checkout on a system without
# links have none: there the three folders lie beside this folder.
if not os.path.isdir(os.path.join(os.path.dirname(__file__), "models")):  # noqa: PTH112, PTH118, PTH120  # pathlib is slow
    __path__.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120

__all__ = [
    "ApiError",
    "AsyncClient",
    "BatchResult",
    "Client",
    "Generator",
    "TrainingHook",
    "TrainingRun",
    "UserError",
    "__version__",
    "batch",
    "load",
    "sign_url",
    "take_in",
    "train",
]

_MODULES = {
    "ApiError": "api_answers",
    "AsyncClient": "async_client",
    "BatchResult": "batch_jobs",
    "Client": "client",
    "Generator": "generator",
    "TrainingHook": "training.runs.hook",
    "TrainingRun": "training_runs",
    "UserError": "models.errors",
    "__version__": "models.version",
    "batch": "batch_jobs",
    "load": "generator",
    "sign_url": "service.server.url_signatures",
    "take_in": "from_torch.taking_in",
    "train": "training_runs",
}
_EXTRAS = {"ApiError": "client", "AsyncClient": "client", "Client": "client", "TrainingHook": "train", "take_in": "train"}
_NAMES = {"TrainingHook": "Hook"}  # public name -> name in its module, where the two differ


def __getattr__(name: str) -> Any:
    """Import the API on first use, so that `import seedmint` and `seedmint --help` stay fast."""
    if name in _MODULES:
        from seedmint.models.installation import needs_extra

        with needs_extra(_EXTRAS.get(name, "cpu")):
            return getattr(import_module(f"seedmint.{_MODULES[name]}"), _NAMES.get(name, name))
    raise AttributeError(f"module 'seedmint' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names of the API, which `__getattr__` imports on first use."""
    return sorted(__all__)
