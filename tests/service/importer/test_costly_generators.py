"""A generator that needs seconds for one image: imported with a small batch, and served with honest refusals."""

import asyncio
import time
from pathlib import Path

import onnx
import pytest

from benchmarks.costly import NETWORKS, network
from seedmint.models.files import write_whole
from seedmint.models.runtime.processors import num_processors
from seedmint.service.importer.importing import import_files
from seedmint.service.importer.options import ImportOptions, TrialSettings
from tests.support.in_process import Answer, application, request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
CLIENTS = 8


@pytest.mark.parametrize("name", NETWORKS)
def test_costly_generator_is_imported_and_served(name: str, tmp_path: Path):
    model, _ = network(*NETWORKS[name])
    onnx.save(model, tmp_path / "costly.onnx")
    settings = TrialSettings(threads=num_processors())
    imported = import_files([tmp_path / "costly.onnx"], ImportOptions(name="costly", title="Costly"), settings)
    assert imported.card.max_batch is not None
    assert imported.card.max_batch < 64
    (tmp_path / "models").mkdir()
    write_whole(tmp_path / "models" / "costly.onnx", imported.content)

    with application(tmp_path / "models") as service:
        served = service.repository.find("costly", None)
        assert served.generator.max_batch == imported.card.max_batch
        path = service.pinned("costly")

        async def image(seed: int) -> tuple[Answer, float]:
            started = time.perf_counter()
            answer = await request(service.routes, "GET", f"{path}/images/{seed}.png")
            return answer, time.perf_counter() - started

        async def together() -> list[tuple[Answer, float]]:
            # More clients than one running and one waiting batch can take.
            return await asyncio.gather(*(image(seed) for seed in range(CLIENTS * served.generator.max_batch)))

        answers = service.runner.run(together())
        statuses = [answer.status for answer, _ in answers]
        assert set(statuses) == {200, 429}
        assert max(seconds for answer, seconds in answers if answer.status == 200) < service.settings.timeout_seconds
        promised = [int(answer.header(b"retry-after") or 0) for answer, _ in answers if answer.status == 429]
        assert min(promised) >= 1
        assert len(set(promised)) > 1  # the refused clients do not come back together
        (again, _) = service.runner.run(image(10**6))
        assert again.status == 200
