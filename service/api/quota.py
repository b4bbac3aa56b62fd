"""Image quotas: charges a client for images before they are generated."""

from contextlib import AbstractContextManager, nullcontext

from seedmint.service.api.problem_mapping import CORE_ERRORS
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, Quota


def charge(images: int, field: str = "seeds") -> AbstractContextManager[None]:
    """Charge the client of the current request for images.

    Args:
        images: Number of images.
        field: The part of the request that determines the number.

    Returns:
        A context that refunds the images if it ends with one of `CORE_ERRORS`, so that a rejected request costs nothing.

    Raises:
        Problem: 429 or 413, the quota of the client is exceeded.
    """
    context = REQUEST_CONTEXT.get(None)
    if context is None or context.quota is None:
        return _FREE
    context.quota.charge(images, field)
    return _Charge(context.quota, images)


class _Charge(AbstractContextManager[None]):
    __slots__ = ("_images", "_quota")

    def __init__(self, quota: Quota, images: int) -> None:
        self._quota = quota
        self._images = images

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, CORE_ERRORS):
            self._quota.refund(self._images)


_FREE = nullcontext()
