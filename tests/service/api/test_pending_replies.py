"""A protocol class can generate a pinned resource without ASGI and outside a request, with the charge and the metrics."""

import asyncio
from collections.abc import Iterator
from contextvars import Context
from pathlib import Path

import numpy as np
import pytest

from seedmint.models.seeds import Seeds
from seedmint.service.api.pinned import PendingReply
from seedmint.service.api.urls import Spec, canonical_url
from seedmint.service.batching.errors import ClientGone, Overloaded
from seedmint.service.problems import Problem
from seedmint.service.server.rate_limiter import RateLimiter
from seedmint.service.server.replies import Reply
from seedmint.service.settings import read_settings
from seedmint.service.specs.sheet import SheetSpec
from seedmint.service.specs.single import ImageSpec
from seedmint.service.specs.walk import WalkSpec
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext
from tests.support.in_process import Application, application


@pytest.fixture(scope="module")
def running(models: Path) -> Iterator[Application]:
    with application(models) as found:
        yield found


@pytest.fixture
def context() -> RequestContext:
    """A client with a limit of 10 images per minute."""
    context = RequestContext(b"", "203.0.113.7", lambda: False)
    context.quota = RateLimiter(read_settings({"SEEDMINT_IMAGES_PER_MINUTE": "10"}), lambda: 0.0).client("a")
    return context


def pending_reply(running: Application, spec: Spec) -> PendingReply:
    served = running.repository.find("grey", None)
    pending = running.resources.respond("GET", (), served, spec, canonical_url(served.generator, spec))
    assert isinstance(pending, PendingReply)
    return pending


async def finished(pending: PendingReply, context: RequestContext) -> Reply:
    """Send the reply from a callback, without a task that awaits the future."""
    assert REQUEST_CONTEXT.get(None) is None
    reply = asyncio.get_running_loop().create_future()
    future = pending.submit(context)
    future.add_done_callback(lambda done: reply.set_result(pending.finish(done.result(), context)))
    result: Reply = await reply
    return result


def test_an_image_is_generated_without_asgi(running: Application):
    generator = running.repository.find("grey", None).generator
    context = RequestContext(b"", "203.0.113.7", lambda: False)

    async def scenario() -> Reply:
        match = running.resources.match("GET", f"{running.pinned('grey')}/images/3.png".encode(), b"", ())
        assert match is not None
        assert isinstance(match.result, PendingReply)
        return await finished(match.result, context)

    reply = running.runner.run(scenario(), context=Context())
    assert reply.status == 200
    assert reply.body == ImageSpec.create(generator, 3, "png").encode(generator, generator.generate(np.array([3])), None)
    assert context.images == 1


def specs(running: Application) -> tuple[Spec, ...]:
    """Return the specs of an image, a contact sheet of 4 images and a latent walk of 5 images."""
    generator = running.repository.find("grey", None).generator
    return (
        ImageSpec.create(generator, 3, "png"),
        SheetSpec.create(generator, Seeds((range(4),)), "png"),
        WalkSpec.create(generator, 1, 2, "webp", frames=5),
    )


def test_a_finished_reply_is_charged_and_counted(running: Application, context: RequestContext):
    assert context.quota is not None
    for spec in specs(running):
        reply = running.runner.run(finished(pending_reply(running, spec), context), context=Context())
        assert (reply.status, dict(reply.headers)[b"content-length"]) == (200, b"%d" % len(reply.body))
    assert context.images == 1 + 4 + 5
    with pytest.raises(Problem):
        context.quota.charge(1, "seeds")


def test_an_exceeded_quota_rejects_the_reply(running: Application, context: RequestContext):
    assert context.quota is not None
    context.quota.charge(10, "seeds")
    for spec in specs(running):
        with pytest.raises(Problem) as raised:
            running.runner.run(finished(pending_reply(running, spec), context), context=Context())
        assert (raised.value.status, raised.value.reason) == (429, "image_limit")
    assert context.images == 0


@pytest.mark.parametrize("is_immediate", [True, False])
def test_a_failed_reply_is_refunded(
    running: Application,
    context: RequestContext,
    monkeypatch: pytest.MonkeyPatch,
    is_immediate: bool,
):
    assert context.quota is not None
    context.is_disconnected = lambda: True

    def reject(*_: object) -> None:
        raise Overloaded("64 images are waiting", retry_after=3)

    if is_immediate:
        batcher = running.repository.find("grey", None).batcher
        monkeypatch.setattr(batcher, "submit", reject)
        monkeypatch.setattr(batcher, "acquire_slot", reject)

    async def submitted(pending: PendingReply) -> None:
        await pending.submit(context)

    for spec in specs(running):
        with pytest.raises(Overloaded if is_immediate else ClientGone):
            running.runner.run(submitted(pending_reply(running, spec)), context=Context())
    assert context.images == 0
    context.quota.charge(10, "seeds")


def test_a_cancelled_reply_is_not_refunded(running: Application, context: RequestContext):
    assert context.quota is not None

    async def cancelled(pending: PendingReply) -> None:
        future = pending.submit(context)
        future.cancel()
        await asyncio.wait([future])

    for spec in specs(running):
        running.runner.run(cancelled(pending_reply(running, spec)), context=Context())
    with pytest.raises(Problem):
        context.quota.charge(1, "seeds")
