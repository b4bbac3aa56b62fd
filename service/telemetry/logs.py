"""The log: one line for each thing said, as text or as JSON, without tracebacks, paths of files, or what clients write."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import PurePath
from traceback import walk_tb
from typing import Any, Literal

from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext

_LONGEST_REASON = 300
# What clients can make uvicorn say, as often as they like. Both are counted by the metrics.
_CLIENTS_OWN = ("Invalid HTTP request received.", "ASGI callable returned without completing response.")
_ACCESS = logging.getLogger("seedmint.access")


def configure_logs(form: Literal["text", "json"]) -> None:
    """Make every handler that is there now write single lines, and JSON if asked for."""
    root = logging.getLogger()
    logging.getLogger("uvicorn.access").propagate = False  # its line for each request would be made up, and not be written
    logging.getLogger("seedmint").disabled = False  # as BentoML's configuration of a supervisor leaves it
    if form == "json" and not root.handlers:  # of the supervisor
        root.addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg not in _CLIENTS_OWN)
    there = [root, *logging.Logger.manager.loggerDict.values()]
    for handler in {handler for logger in there if isinstance(logger, logging.Logger) for handler in logger.handlers}:
        if not any(isinstance(known, _OneLine) for known in handler.filters):
            handler.addFilter(_OneLine())
        if form == "json":
            handler.setFormatter(_Json())


def log_request(visit: RequestContext, route: str, method: str, status: int, seconds: float) -> None:
    """One line for one request. Its route is the template, so that no seed and nothing of a client's is in it."""
    fields = {
        "method": method,
        "route": route,
        "status": status,
        "seconds": round(seconds, 6),
        "images": visit.images,
        "key": visit.key,
        "request_id": visit.request_id.decode("ascii"),
    }
    text = "%(method)s %(route)s %(status)d %(seconds).6f s, images %(images)d, key %(key)s, id %(request_id)s"
    _ACCESS.info(text, {**fields, "key": visit.key or "-"}, extra={"fields": fields})


def told(error: BaseException) -> str:
    """An error in one line: what it is, and the function and line it comes from."""
    place = ""
    for frame, line in walk_tb(error.__traceback__):
        place = f" in {frame.f_code.co_name} ({PurePath(frame.f_code.co_filename).name}:{line})"
    text = error.strerror if isinstance(error, OSError) else str(error)
    reason = (text or "").partition("\n")[0][:_LONGEST_REASON]
    return f"{type(error).__name__}{place}" + (f": {reason}" if reason else "")


class _OneLine(logging.Filter):
    """Puts the error of a record into its line, where Python would write the traceback below it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            message = record.getMessage().partition("\n")[0]
            error = record.exc_info[1]
            record.msg, record.args = (message if error is None else f"{message}: {told(error)}"), ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


class _Json(logging.Formatter):
    """A line: time (UTC), level, logger, process; then what was said, or the fields of a request."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
        }
        fields = getattr(record, "fields", None)
        if fields is not None:
            document |= fields
        else:
            document["message"] = record.getMessage()
            visit = REQUEST_CONTEXT.get(None)
            if visit is not None:
                document["request_id"] = visit.request_id.decode("ascii")
        return json.dumps(document, ensure_ascii=False)
