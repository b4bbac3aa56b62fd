"""The progress of a job's process, in a small file that the service reads. The job runs while the file exists."""

from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from seedmint.models.files import write_whole


class JobProgress(BaseModel):
    """The progress of a job that runs.

    Attributes:
        images: Images or samples that exist, including those in unfinished shards.
        rate: Images or samples per second since the process started; None if unknown.
    """

    images: int = Field(default=0, ge=0)
    rate: float | None = None


def write_progress(path: Path, progress: JobProgress) -> None:
    """Write the file.

    Args:
        path: The file.
        progress: The progress.

    Raises:
        OSError: The file is not writable.
    """
    write_whole(path, progress.model_dump_json().encode())


def read_progress(path: Path) -> JobProgress | None:
    """Read the file.

    Args:
        path: The file.

    Returns:
        The progress, or None if there is no such file.
    """
    try:
        return JobProgress.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
