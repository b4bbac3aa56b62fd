"""What the leader of the generators knows of the files and of the workers."""

import logging
from dataclasses import dataclass, field
from typing import Any, Protocol

ABOUT = "generators"
"""The member `about` of the messages between the leader and the workers."""


class Link(Protocol):
    """The connection to one worker."""

    def send(self, message: dict[str, Any], file: int | None = None) -> None:
        """Send a message.

        Args:
            message: The message.
            file: An open file that the worker receives.
        """


@dataclass(slots=True, eq=False)
class Version:
    """A version of a file, from its first load to its end.

    Attributes:
        number: Number of the version in messages.
        stem: Name of the file without suffix.
        modified: Time of the last change of the file in seconds since 1970.
        descriptor: The open file.
        digest: Digest of the first worker that loaded the version.
        waiting: Workers that have not answered.
        holders: Workers that have loaded the version.
        deaths: Number of workers that died while they loaded this version.
        log: Level and text of the line that the log gets when the version is in service.
    """

    number: int
    stem: str
    modified: float
    descriptor: int
    digest: str | None = None
    waiting: set[Link] = field(default_factory=set)
    holders: set[Link] = field(default_factory=set)
    deaths: int = 0
    log: tuple[int, str] = (logging.INFO, "")


@dataclass(slots=True, eq=False)
class GeneratorFile:
    """One file: the version in service, the version that workers are loading, and why the present version is refused."""

    current: Version | None = None
    pending: Version | None = None
    error: str | None = None


@dataclass(slots=True, eq=False)
class Worker:
    """The messages between the leader and one worker.

    Attributes:
        loading: Numbers of the versions that the worker has not answered, in the order of its work.
        state: The last message with the state.
    """

    loading: list[int] = field(default_factory=list)
    state: dict[str, Any] | None = None
