"""Keeps the sessions of the parent process in a forked child, which must not free them.

The threads of a session do not exist in the child. When ONNX Runtime frees the session, it waits for them without an end.
"""

import ctypes
import os
import weakref
from typing import Any

_SESSIONS: weakref.WeakSet[Any] = weakref.WeakSet()


def keep_after_fork(session: Any) -> None:
    """Never free a session in a forked child, not even when the child ends.

    Args:
        session: A session of ONNX Runtime.
    """
    _SESSIONS.add(session)


def _keep_sessions() -> None:
    for session in list(_SESSIONS):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))  # a reference that nothing removes
    _SESSIONS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_sessions)
