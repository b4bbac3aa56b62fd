"""How far a job's process is, in a small file that the service reads. While the file is there, the job runs."""

from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from seedmint.models.files import write_whole


class Progress(BaseModel):
    """News of a process that makes a job.

    Attributes:
        images: images there are of the job, those in unfinished shards, too.
        rate: images a second, since it began.
    """

    images: int = Field(default=0, ge=0)
    rate: float | None = None


def write_progress(path: Path, progress: Progress) -> None:
    """
    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, progress.model_dump_json().encode())


def read_progress(path: Path) -> Progress | None:
    """What the file says, or None where there is none."""
    try:
        return Progress.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
