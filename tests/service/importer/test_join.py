"""A mapping and a synthesis network in two files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from seedmint.models.errors import UserError
from seedmint.models.noise import noise
from seedmint.service.importer.importing import import_files
from seedmint.service.importer.options import ImportOptions
from seedmint.service.runtime.generator import Generator
from tests.service.importer.networks import DIM, exported

W_DIM = 8
SEEDS = np.arange(16, dtype=np.int64)


class Mapping(nn.Module):
    """z -> w, interpolated with the mean of w by psi."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(DIM, W_DIM)
        self.mean = nn.Parameter(torch.randn(W_DIM))

    def forward(self, z: torch.Tensor, psi: torch.Tensor) -> torch.Tensor:
        w = torch.tanh(self.layer(z))
        return self.mean + psi * (w - self.mean)


class Synthesis(nn.Module):
    """Three copies of w -> NCHW in [-1, 1], with a factor for the contrast."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * W_DIM, 3 * 4 * 4)

    def forward(self, ws: torch.Tensor, contrast: torch.Tensor) -> torch.Tensor:
        return torch.tanh(contrast * self.layer(ws.flatten(1))).view(-1, 3, 4, 4)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping, Synthesis, list[Path]]:
    folder = tmp_path_factory.mktemp("join")
    torch.manual_seed(0)
    mapping, synthesis = Mapping(), Synthesis()
    paths = [folder / "mapping.onnx", folder / "synthesis.onnx"]
    exported(mapping, (torch.zeros(2, DIM), torch.ones(())), ["z", "psi"], paths[0])
    exported(synthesis, (torch.zeros(2, 3, W_DIM), torch.ones(())), ["ws", "contrast"], paths[1])
    return mapping, synthesis, paths


def import_both(paths: list[Path], **options: object):
    return import_files(paths, ImportOptions(**({"name": "g", "title": "G", "constants": {"contrast": (2.0,)}} | options)))


def images_of_torch(mapping: Mapping, synthesis: Synthesis, psi: float) -> np.ndarray:
    z = torch.from_numpy(noise("philox-normal-v1", DIM, SEEDS))
    with torch.no_grad():
        ws = mapping(z, torch.tensor(psi))[:, None].repeat(1, 3, 1)
        images = synthesis(ws, torch.tensor(2.0))
    return np.rint((images.permute(0, 2, 3, 1).numpy() + 1) * 127.5)


@pytest.mark.parametrize(("constants", "psi"), [({}, 1.0), ({"psi": (0.5,)}, 0.5)])
def test_joined_networks(networks, constants, psi):
    mapping, synthesis, paths = networks
    imported = import_both(paths, constants={"contrast": (2.0,)} | constants)
    images = Generator(imported.content, "cpu", 1, 64).generate(SEEDS)
    assert np.abs(images - images_of_torch(mapping, synthesis, psi)).max() <= 1


def test_truncation_input_of_the_mapping_network(networks):
    mapping, synthesis, paths = networks
    generator = Generator(import_both(paths, truncation_input="psi").content, "cpu", 1, 64)
    for psi in (1.0, 0.5):
        images = generator.generate(SEEDS, truncation=psi)
        assert np.abs(images - images_of_torch(mapping, synthesis, psi)).max() <= 1


def test_wrong_order(networks):
    with pytest.raises(UserError) as refused:
        import_both(list(reversed(networks[2])))
    assert refused.value.reason == "cannot_join"


def test_input_of_the_synthesis_network_without_a_value(networks):
    with pytest.raises(UserError) as refused:
        import_both(networks[2], constants={})
    assert (refused.value.field, refused.value.reason) == ("set", "input_not_bound")
