"""`--device` selects the device, or says which one torch lacks."""

import pytest
import torch

from seedmint.models.errors import UserError
from seedmint.training.cli.fit import select_device


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_torch_lacks_is_an_error(device: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError) as error:
        select_device(device)
    assert (error.value.field, error.value.reason) == ("device", "no_gpu")
    assert select_device("auto").type == "cpu"


@pytest.mark.parametrize(("device", "kind"), [("cuda", "cuda"), ("mps", "mps"), ("auto", "cuda"), ("cpu", "cpu")])
def test_a_device_is_selected(device: str, kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert select_device(device).type == kind
