"""A million images in one answer, in a server that does not grow with them."""

from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from tests.support import generators
from tests.support.servers import Server, serving

COUNT = 1_000_000
MB = 1_000_000


def resident(server: Server) -> int:
    """Bytes of the worker process."""
    return max(child.memory_info().rss for child in psutil.Process(server.process.pid).children(recursive=True))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_server_does_not_grow_with_the_answer(tmp_path: Path):
    generators.write(tmp_path, "grey", 1)
    # What may be kept of a million: of npy nothing; of npz seeds; of zip sums, sizes and names of ten letters, half as many
    # again while an array is moved to where it can grow. And 8 MB for what the allocator does.
    bounds = {"npy": 8 * MB, "npz": 8 * MB + 8 * COUNT, "zip": 8 * MB + 20 * COUNT * 3 // 2}
    with serving(tmp_path, max_seeds=COUNT, max_batch=256) as server:
        for form, bound in bounds.items():
            for count in (20_000, COUNT):  # first warmed up, so that what every answer needs is there
                asked = {"model": "grey", "seeds": f"0-{count - 1}", "format": form}
                length, sizes = 0, [resident(server)]
                with server.client.stream("POST", "/v1/sample", json=asked) as answer:
                    assert answer.status_code == 200
                    for part in answer.iter_raw(1 << 20):
                        length += len(part)
                        sizes.append(resident(server))
            grown = max(sizes) - sizes[0]
            print(f"{form}: {length / MB:.0f} MB sent; {sizes[0] / MB:.1f} MB before, {grown / MB:.1f} MB more")
            assert length > 64 * COUNT
            assert grown < bound, np.array(sizes) // MB
