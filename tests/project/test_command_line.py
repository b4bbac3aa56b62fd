"""The command line names the parameter that is wrong by the name that the user gave."""

import pytest

from seedmint.cli import error_text
from seedmint.models.errors import UserError
from seedmint.service.settings import SettingsError


@pytest.mark.parametrize(
    ("arguments", "environment", "error", "text"),
    [
        (["sample", "mnist", "--out", "a"], {}, UserError("m", field="truncation"), "--truncation: m"),
        (["sample", "mnist", "--out", "a"], {}, UserError("m", field="model"), "MODEL: m"),
        (["models", "add", "a.onnx"], {}, UserError("m", field="data_licence"), "--data-licence: m"),
        (["models", "add", "a.onnx"], {}, UserError("m", field="shape", other_fields=("sample",)), "--shape: m (see --sample)"),
        (["models", "add", "a.onnx"], {}, UserError("m", other_fields=("z_dim", "set")), "m (see --z-dim, --set)"),
        (["sample", "mnist"], {}, UserError("m", field="model", other_fields=("unknown",)), "MODEL: m"),
        (["keys", "new", "a"], {}, UserError("m", field="name"), "NAME: m"),
        (["models", "list", "--models", "x"], {"SEEDMINT_MODELS": "y"}, SettingsError("m", field="models"), "--models: m"),
        (["models", "list", "--models=x"], {"SEEDMINT_MODELS": "y"}, SettingsError("m", field="models"), "--models: m"),
        (["models", "list"], {"SEEDMINT_MODELS": "y"}, SettingsError("m", field="models"), "SEEDMINT_MODELS: m"),
        (["sample", "mnist"], {"SEEDMINT_THREADS": "y"}, SettingsError("m", field="threads"), "SEEDMINT_THREADS: m"),
        (["serve"], {}, SettingsError("m", field="port"), "--port: m"),
        (["serve"], {}, UserError("m"), "m"),
        (["keys", "new"], {}, UserError("m", field="unknown"), "unknown: m"),
        ([], {}, UserError("m", field="unknown"), "unknown: m"),
    ],
)
def test_an_error_names_the_parameter_as_the_user_gave_it(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], environment: dict[str, str], error: UserError, text: str
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert error_text(error, arguments) == text
