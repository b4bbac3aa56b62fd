"""A million images in one response: the memory of the server does not grow with their number."""

from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from tests.support import generators
from tests.support.servers import Server, serving

COUNT = 1_000_000
MB = 1_000_000


def resident(server: Server) -> int:
    """Return the resident memory of the worker process in bytes."""
    return max(child.memory_info().rss for child in psutil.Process(server.process.pid).children(recursive=True))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_memory_does_not_grow_with_the_response(tmp_path: Path):
    generators.write(tmp_path, "grey", 1)
    # The server may keep: of npy nothing; of npz the seeds; of zip the checksums, sizes and names of ten letters, and half of
    # them again while an array grows. The allocator may need 8 MB.
    bounds = {"npy": 8 * MB, "npz": 8 * MB + 8 * COUNT, "zip": 8 * MB + 20 * COUNT * 3 // 2}
    with serving(tmp_path, max_seeds=COUNT, max_batch=256) as server:
        for form, bound in bounds.items():
            for count in (20_000, COUNT):  # the first request warms up
                body = {"model": "grey", "seeds": f"0-{count - 1}", "format": form}
                length, sizes = 0, [resident(server)]
                with server.client.stream("POST", "/v1/sample", json=body) as answer:
                    assert answer.status_code == 200
                    for part in answer.iter_raw(1 << 20):
                        length += len(part)
                        sizes.append(resident(server))
            growth = max(sizes) - sizes[0]
            print(f"{form}: {length / MB:.0f} MB sent; {sizes[0] / MB:.1f} MB before, {growth / MB:.1f} MB more")
            assert length > 64 * COUNT
            assert growth < bound, np.array(sizes) // MB
