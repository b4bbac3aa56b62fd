"""BentoML as its quickstart has it: an API method that returns a PIL image. POST /image, JSON.

bentoml serve benchmarks.peers.quickstart:Quickstart
"""

import bentoml
from PIL import Image

from benchmarks.peers.job import WORKERS, Job


@bentoml.service(workers=WORKERS)
class Quickstart:
    def __init__(self) -> None:
        self._job = Job()

    @bentoml.api  # type: ignore[untyped-decorator]
    def image(self, seed: int) -> Image.Image:
        (made,) = self._job.images([seed])
        return Image.fromarray(made[:, :, 0] if made.shape[2] == 1 else made)
