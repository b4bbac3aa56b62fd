"""The service needs neither torch nor a GPU, prints nothing, and validates its settings."""

import os
import subprocess
import sys
from pathlib import Path

import click
import onnxruntime
import pytest

from seedmint import models, service
from seedmint.cli import main
from seedmint.models.errors import UserError
from seedmint.models.runtime.provider import ProviderError, choose_provider, open_session
from seedmint.service.cli.settings_options import settings_options, to_variables
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings, SettingsError, read_settings, variable
from tests.support import generators
from tests.support.servers import free_port

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.startswith({blocked}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_the_service_runs_without_torch():
    root = Path(service.__file__).parent
    modules = sorted(".".join(path.relative_to(root).with_suffix("").parts) for path in root.rglob("*.py"))
    assert {"app", "batching.model_repository"} < set(modules)
    code = BLOCKED.format(blocked=("torch", "seedmint.training", "sklearn", "tensorboard"))
    code += "import importlib\n" + "".join(f"importlib.import_module('seedmint.service.{name}')\n" for name in modules)
    done = run(code + "assert 'torch' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_sampling_needs_no_bentoml(tmp_path: Path):
    path = generators.write(tmp_path, "one")
    code = BLOCKED.format(blocked=("torch", "bentoml", "starlette", "uvicorn", "prometheus_client"))
    done = run(
        code + "import seedmint.cli; seedmint.cli.main()",
        "sample",
        str(path),
        "--seeds",
        "0-3",
        "--out",
        str(tmp_path / "a.png"),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("provider", ["auto", "cpu"])
def test_opening_a_generator_prints_nothing(tmp_path: Path, provider: str):
    path = generators.write(tmp_path, "one")
    code = "import sys; from pathlib import Path; from seedmint.service.runtime.generator import open_generator\n"
    done = run(code + f"open_generator(Path(sys.argv[1]), {provider!r})", str(path), CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_provider_cuda_without_a_device_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seedmint.models.runtime.provider._cuda_obstacle", lambda: "no CUDA device is visible to this process")
    with pytest.raises(ProviderError) as raised:
        choose_provider("cuda")
    assert raised.value.field == "provider"
    assert choose_provider("auto") == "cpu"


def test_settings_have_defaults_and_survive_the_environment(tmp_path: Path):
    settings = read_settings({})
    assert (settings.port, str(settings.host), settings.provider, settings.workers) == (3000, "127.0.0.1", "auto", 1)
    assert settings.models == (str(Path(models.__file__).resolve().parent),)
    assert read_settings(settings.to_environment()) == settings
    other = {"SEEDMINT_PORT": "4000", "SEEDMINT_MODELS": str(tmp_path), "SEEDMINT_HOST": "::1", "SEEDMINT_DATA": "/x"}
    assert read_settings(other).to_environment().items() >= {k: v for k, v in other.items() if k != "SEEDMINT_DATA"}.items()
    assert read_settings({"SEEDMINT_PORT": ""}) == settings


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SEEDMINT_API_KEY_FILE", "SEEDMINT_API_KEYS_FILE"),
        ("SEEDMINT_REQUEST_PER_SECOND", "SEEDMINT_REQUESTS_PER_SECOND"),
        ("SEEDMINT_REQUIRED_MODEL", "SEEDMINT_REQUIRED_MODELS"),
        ("SEEDMINT_XYZZY", ""),
    ],
)
def test_a_variable_that_names_no_setting_is_an_error(name: str, nearest: str):
    with pytest.raises(SettingsError) as raised:
        read_settings({name: "/run/secrets/keys"})
    assert (raised.value.field, raised.value.reason) == (name.removeprefix("SEEDMINT_").lower(), "unknown")
    assert nearest in str(raised.value)


def test_variables_that_kubernetes_sets_for_services_are_no_settings():
    address = "10.96.0.17"
    variables = {
        "SEEDMINT_PORT": f"tcp://{address}:80",
        "SEEDMINT_PORT_80_TCP": f"tcp://{address}:80",
        "SEEDMINT_PORT_80_TCP_ADDR": address,
        "SEEDMINT_PORT_80_TCP_PORT": "80",
        "SEEDMINT_PORT_80_TCP_PROTO": "tcp",
        "SEEDMINT_SERVICE_HOST": address,
        "SEEDMINT_SERVICE_PORT": "80",
        "SEEDMINT_SERVICE_PORT_HTTP": "80",
        "SEEDMINT_JOBS_PORT": f"tcp://{address}:80",
        "SEEDMINT_JOBS_PORT_80_TCP_ADDR": address,
        "SEEDMINT_JOBS_SERVICE_HOST": address,
        "SEEDMINT_JOBS_SERVICE_PORT_HTTP": "80",
    }
    assert read_settings(variables) == read_settings({})
    with pytest.raises(SettingsError) as raised:
        read_settings({"SEEDMINT_HTTP_PORT": "8080"})
    assert raised.value.reason == "unknown"


def test_every_setting_survives_the_environment(tmp_path: Path):
    variables = {
        "SEEDMINT_API_KEYS": f"a:{'0' * 64},b:{'1' * 64}",
        "SEEDMINT_API_KEYS_FILE": str(tmp_path / "keys"),
        "SEEDMINT_REQUESTS_PER_SECOND": "2.5",
        "SEEDMINT_REQUEST_BURST": "7",
        "SEEDMINT_IMAGES_PER_MINUTE": "600",
        "SEEDMINT_MAX_BODY_BYTES": "4096",
        "SEEDMINT_ALLOWED_ORIGINS": "*, http://[::1]:8080 ,https://a.example",
        "SEEDMINT_TRUSTED_PROXIES": "10.0.0.0/8,::1",
        "SEEDMINT_ACCESS_LOG": "yes",
        "SEEDMINT_LOG_FORMAT": "json",
        "SEEDMINT_TRACING": "1",
        "SEEDMINT_READY_WHEN": "all",
        "SEEDMINT_REQUIRED_MODELS": "mnist, faces",
        "SEEDMINT_JOBS_URL": "s3://bucket/made",
    }
    settings = read_settings(variables)
    assert settings.allowed_origins == ("*", "http://[::1]:8080", "https://a.example")
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert settings.jobs_url == "s3://bucket/made"
    assert read_settings(variables | {"SEEDMINT_JOBS_URL": "made"}).jobs_url == str(Path("made").absolute())
    assert (settings.ready_when, settings.required_models) == ("all", ("mnist", "faces"))
    assert (settings.access_log, settings.tracing, settings.needs_keys) == (True, True, True)
    assert read_settings(settings.to_environment()) == settings
    assert set(settings.to_environment()) > set(variables)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "70000"),
        ("HOST", "localhost"),
        ("PROVIDER", "tpu"),
        ("THREADS", "0"),
        ("WORKERS", "-1"),
        ("MAX_BATCH", "1.5"),
        ("MAX_SEEDS", "many"),
        ("TIMEOUT_SECONDS", "0"),
        ("TIMEOUT_SECONDS", "nan"),
        ("WATCH_SECONDS", "inf"),
        ("MAX_BODY_BYTES", "0"),
        ("REQUESTS_PER_SECOND", "0"),
        ("REQUEST_BURST", "0.5"),
        ("IMAGES_PER_MINUTE", "none"),
        ("ALLOWED_ORIGINS", "lab.example"),
        ("ALLOWED_ORIGINS", "https://lab.example/"),
        ("ALLOWED_ORIGINS", "https://a.example,https://B.example"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "10.0.0.1,proxy"),
        ("ACCESS_LOG", "maybe"),
        ("LOG_FORMAT", "xml"),
        ("MODELS", "a" * 5000),
        ("MODELS", "s3://bucket,a\0b"),
        ("REQUIRED_MODELS", "mnist,fa ces"),
        ("REQUIRED_MODELS", "mnist.onnx,A"),
        ("REQUIRED_MODELS", "a" * 5000),
    ],
)
def test_the_error_of_an_invalid_setting_names_its_variable_in_one_line(name: str, value: str):
    with pytest.raises(SettingsError) as caught:
        read_settings({f"SEEDMINT_{name}": value})
    assert caught.value.field == name.lower()
    assert str(caught.value).startswith(f"SEEDMINT_{name}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["api_keys", "api_keys_file"])
def test_an_empty_variable_of_api_keys_is_invalid(field: str):
    with pytest.raises(SettingsError) as caught:
        read_settings({variable(field): ""})
    assert (caught.value.field, caught.value.reason) == (field, "empty")


@pytest.mark.parametrize("variables", [{"SEEDMINT_MAX_QUEUE": "8", "SEEDMINT_MAX_BATCH": "16"}, {"SEEDMINT_MAX_BATCH": "1025"}])
def test_a_queue_smaller_than_a_batch_is_invalid(variables: dict[str, str]):
    with pytest.raises(SettingsError) as caught:
        read_settings(variables)
    assert caught.value.field == "max_queue"


def test_a_queue_of_one_batch_is_valid():
    assert read_settings({"SEEDMINT_MAX_BATCH": "1024"}).max_queue == 1024


@pytest.mark.parametrize(
    ("arguments", "access_log"),
    [(["--access-log"], True), (["--no-access-log"], False), ([], True), (["--port", "4000"], True)],
)
def test_an_option_replaces_the_environment_variable(arguments: list[str], access_log: bool):
    received: dict[str, str] = {}

    @click.command()
    @settings_options
    def command(**options: str | bool | None) -> None:
        received.update(to_variables(options))

    command.main(arguments, standalone_mode=False)
    settings = read_settings({"SEEDMINT_ACCESS_LOG": "true", "SEEDMINT_PORT": "3001"} | received)
    assert (settings.access_log, settings.port) == (access_log, 4000 if "--port" in arguments else 3001)


def test_every_setting_has_a_description():
    assert all(field.description for field in Settings.model_fields.values())


def test_a_cuda_failure_is_an_error_without_output(capfd: pytest.CaptureFixture[str]):
    """With its default options, ONNX Runtime would print a banner and use the CPU."""
    graph = generators.content("one")
    if "CUDAExecutionProvider" in onnxruntime.InferenceSession(graph, providers=["CUDAExecutionProvider"]).get_providers():
        pytest.skip("CUDA works on this machine")
    capfd.readouterr()
    with pytest.raises(Exception, match=r"CUDA|cuda"):  # ProviderError, or an error of ONNX Runtime that names CUDA
        open_session(graph, "cuda", 1)
    assert capfd.readouterr().out == ""


def test_serve_ends_on_a_machine_with_different_noise_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def differs(rule: str):
        raise RuntimeError(f"the table of {rule} computed on this machine differs from the published one")

    monkeypatch.setattr("seedmint.service.runtime.noise_check.table", differs)
    with pytest.raises(SystemExit) as end:
        main(["serve", "--models", str(tmp_path), "--port", str(free_port())])
    assert end.value.code == 1
    text = capsys.readouterr().err
    assert text.startswith("Error: ")
    assert text.count("\n") == 1
    with pytest.raises(UserError):
        Generator(generators.content("one"), "cpu", 1, 64)
