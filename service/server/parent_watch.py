"""Ends a worker process when its supervisor has exited. A worker without supervisor would keep the port forever."""

import asyncio
import ctypes
import logging
import os
import signal
import sys

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Let the kernel send SIGTERM to this process when its parent dies (Linux), also while this process is busy or starting.

    A parent that died before this call is not noticed: compare `os.getppid()` afterwards.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


async def end_with_supervisor(supervisor: int) -> None:
    """Send SIGTERM to this process when its supervisor has exited.

    Args:
        supervisor: Process id of the supervisor, which is the parent of this process while the supervisor runs.
    """
    while os.getppid() == supervisor:
        await asyncio.sleep(_POLL_SECONDS)
    _LOG.error("the supervisor has exited; stopping")
    os.kill(os.getpid(), signal.SIGTERM)
