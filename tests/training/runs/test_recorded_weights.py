"""The final weights of small runs keep their recorded SHA-256, on the kind of machine where they were recorded.

Other processors and other versions of torch can sum in another order. To record new digests, print `digest` for each recipe.
"""

import hashlib
from pathlib import Path

import pytest
import torch

from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.checkpoints import list_checkpoints, load_checkpoint
from seedmint.training.runs.directory import create_run
from tests.support.recipes import ADAM, PAPER, PAPER_MINIMAX, recipe_document

PROCESSOR, CAPABILITY, TORCH = "AMD EPYC", "AVX512", "2.13.0+cpu"
RECIPES = {
    "0df28436de1e89e6bf655b309f05847798845a37c90a3d423118377ffc04c28c": {"conditional": True},
    "e05b66f969895f342a9e0abdf322b903256524bc7c18dcafeb4478d710e977de": PAPER_MINIMAX,
    "2892e298d9e0630963fbbfd6d08448b2278782b2d9ecbfb3ead633a760060140": {
        **PAPER,
        "order": "simultaneous",
        "precision": "bfloat16",
        "rule": {"generator": ADAM, "discriminator": ADAM},
    },
    "67eee1fe684f0c286e6651fd3caaa34c7faf9eec2ed61a28e42447c0e7134627": {
        "data": {"source": "ring-2d"},
        "conditional": True,
        "generator": {"kind": "mlp", "width": 16},
        "discriminator": {"kind": "mlp", "width": 16},
    },
    "f0eda93df8fa66ea1166b1bf70d7a1f0326a5bb6056d741f8d970e30d1792b45": {
        "data": {"source": "sines"},
        "generator": {"kind": "sequence", "width": 4},
        "discriminator": {"kind": "sequence", "width": 4},
    },
}


def is_recorded_machine():
    cpuinfo = Path("/proc/cpuinfo")
    processor = cpuinfo.read_text() if cpuinfo.exists() else ""
    versions = (torch.backends.cpu.get_cpu_capability(), torch.__version__)
    return f": {PROCESSOR}" in processor and versions == (CAPABILITY, TORCH)


def digest(tensors):
    """Return the SHA-256 of the names and bytes of all weights."""
    result = hashlib.sha256()
    for name in sorted(tensors):
        if name.split("/")[0] in ("generator", "discriminator", "ema"):
            result.update(name.encode())
            result.update(tensors[name].numpy().tobytes())
    return result.hexdigest()


@pytest.mark.skipif(not is_recorded_machine(), reason=f"recorded with {PROCESSOR}, {CAPABILITY}, torch {TORCH}")
@pytest.mark.parametrize("expected", RECIPES)
def test_final_weights_match_the_recorded_digests(tmp_path, expected):
    recipe = validate_recipe(recipe_document(**RECIPES[expected]), "test")
    create_run(tmp_path / "r", recipe, torch.device("cpu")).fit()
    _, path = list_checkpoints(tmp_path / "r" / "checkpoints")[-1]
    assert digest(load_checkpoint(path).tensors) == expected
