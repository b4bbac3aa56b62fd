"""Image quotas: charges a client for images before they are made."""

from contextlib import AbstractContextManager, nullcontext

from seedmint.models.errors import UserError
from seedmint.service.batching.errors import BatchingError
from seedmint.service.problems import Problem
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, Allowance


def charge(images: int, field: str = "seeds") -> AbstractContextManager[None]:
    """Take images off what the client may have, before they are made. `field` is what asks for so many.

    Returns:
        A context that gives them back if a Problem, a BatchingError or a UserError ends it: who is turned away has had nothing.

    Raises:
        Problem: 429 or 413, its limit does not hold so many.
    """
    visit = REQUEST_CONTEXT.get(None)
    if visit is None or visit.allowance is None:
        return _FREE_OF_CHARGE
    visit.allowance.take(images, field)
    return _Charged(visit.allowance, images)


class _Charged(AbstractContextManager[None]):
    __slots__ = ("_allowance", "_images")

    def __init__(self, allowance: Allowance, images: int) -> None:
        self._allowance = allowance
        self._images = images

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, (Problem, BatchingError, UserError)):
            self._allowance.give_back(self._images)


_FREE_OF_CHARGE = nullcontext()
