"""A walk to a file without a server: the same bytes as at its address, so that it is asked for in the same words."""

from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from seedmint.models.card import ImageOutput
from seedmint.models.errors import UserError
from seedmint.models.files import whole_file
from seedmint.service.api.latent_walks import WALK_FORMATS, parse_walk
from seedmint.service.problems import Problem
from seedmint.service.runtime.generator import Generator


def walk_to(
    out: Path,
    generator: Generator,
    start: str,
    end: str,
    frames: int | None = None,
    label: int | None = None,
    truncation: float = 1.0,
    scale: int = 1,
) -> int:
    """Write the walk from one seed to another, as the service has it at its address, and tell how many frames it has.

    Raises:
        UserError: the options do not fit together.
        OSError: `out` cannot be written.
    """
    if not isinstance(generator.card.output, ImageOutput):
        raise UserError(f"--walk is for images, and {generator.name!r} makes samples")
    form = out.suffix.removeprefix(".").lower()
    if form not in WALK_FORMATS:
        known = ", ".join(f".{one}" for one in WALK_FORMATS)
        raise UserError(f"--out {out.name}: give a name ending in {known} for a walk")
    asked = {"from": start, "to": end, "frames": frames, "label": label, "truncation": truncation, "scale": scale}
    try:
        walk = parse_walk(generator, form, urlencode({name: value for name, value in asked.items() if value is not None}))
    except Problem as problem:
        raise UserError(f"--{'walk' if problem.field in ('from', 'to') else problem.field}: {problem.detail}") from None
    made = [generator.generate_from(z, labels, walk.truncation) for _, labels, z in walk.parts(generator) if z is not None]
    with whole_file(out) as file:
        file.write(walk.finish(generator, np.concatenate(made)))
    return walk.count
