"""Image quotas: charges a client for images before they are generated."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TypeVar

from seedmint.service.api.problem_mapping import CORE_ERRORS
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, Quota

Result = TypeVar("Result")


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


def charge_future(quota: Quota, images: int, field: str, start: Callable[[], asyncio.Future[Result]]) -> asyncio.Future[Result]:
    """Charge a client for images, and start to generate the images.

    Args:
        quota: The quota of the client.
        images: Number of images.
        field: The part of the request that determines the number.
        start: Starts to generate the images.

    Returns:
        The future of `start`. If the future fails with an exception of the core, the images are refunded.

    Raises:
        Problem: 429 or 413, the quota of the client is exceeded.
        BatchingError: From `start`; the images are refunded.
    """
    quota.charge(images, field)
    with _Charge(quota, images):
        future = start()
    future.add_done_callback(partial(_refund_if_failed, quota, images))
    return future


def _refund_if_failed(quota: Quota, images: int, future: asyncio.Future[Result]) -> None:
    if not future.cancelled() and isinstance(future.exception(), CORE_ERRORS):
        quota.refund(images)


class _Charge(AbstractContextManager[None]):
    __slots__ = ("_images", "_quota")

    def __init__(self, quota: Quota, images: int) -> None:
        self._quota = quota
        self._images = images

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, CORE_ERRORS):
            self._quota.refund(self._images)


_FREE = nullcontext()
