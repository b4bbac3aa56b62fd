"""Finds files of other formats in the models directory, such as checkpoints, and says how to import them."""

from pathlib import Path

from seedmint.models.errors import UserError, one_line
from seedmint.service.importer.file_kinds import SUFFIXES, check_file_kind
from seedmint.service.importer.guide import with_section


class OtherFiles:
    """Files of one directory that the service cannot serve and does not refuse, because they are not named NAME.onnx."""

    def __init__(self, directory: Path) -> None:
        """
        Args:
            directory: The models directory.
        """
        self._directory = directory
        self._reported: dict[str, tuple[int, int]] = {}  # name -> modification time in ns and size in bytes

    def new_messages(self) -> list[str]:
        """Return one line for each file of a known format that is new or changed since the last call.

        Raises:
            OSError: The directory cannot be read.
        """
        messages = []
        found: dict[str, tuple[int, int]] = {}
        for path in sorted(self._directory.iterdir()):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            try:
                status = path.stat()
                found[path.name] = (status.st_mtime_ns, status.st_size)
                if found[path.name] != self._reported.get(path.name):
                    check_file_kind(path)
            except UserError as error:
                message = one_line(with_section(error), 600)
                messages.append(f"{one_line(path.name)}: not served ({error.reason}): {message}")
            except OSError:  # removed since it was listed, or not readable
                continue
        self._reported = found
        return messages
