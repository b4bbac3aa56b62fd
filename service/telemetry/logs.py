"""Logging: each record is a single line, as text or as JSON. No line holds a traceback, a file path or client input."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import PurePath
from traceback import walk_tb
from typing import Any, Literal

from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext

_DIGITS = 12  # digits of a digest, as in URLs
_MAX_ERROR_LENGTH = 300  # characters
# Clients can cause these uvicorn messages as often as they like. Metrics count both cases.
_CLIENT_ERRORS = ("Invalid HTTP request received.", "ASGI callable returned without completing response.")
_ACCESS = logging.getLogger("seedmint.access")
_JOBS = logging.getLogger("seedmint.service.jobs")


def log_to_stdout() -> None:
    """Write log records to standard output: warnings and errors, and more from the loggers of Seedmint."""
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.WARNING,
        format="%(asctime)s [%(levelname)s] %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )


def configure_logs(log_format: Literal["text", "json"]) -> None:
    """Make every existing log handler write single lines.

    Args:
        log_format: "text" keeps the formatters of the handlers; "json" replaces them.
    """
    root = logging.getLogger()
    logging.getLogger("uvicorn.access").propagate = False  # avoids the cost of access log lines that no handler writes
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg not in _CLIENT_ERRORS)
    loggers = [logger for logger in logging.Logger.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    for handler in {handler for logger in (root, *loggers) for handler in logger.handlers}:
        if not any(isinstance(known, SingleLineFilter) for known in handler.filters):
            handler.addFilter(SingleLineFilter(names_request=log_format == "text"))
        if log_format == "json":
            handler.setFormatter(_JsonFormatter())


def log_request(context: RequestContext, route: str, method: str, status: int, seconds: float) -> None:
    """Write one line to the access log.

    Args:
        context: The context of the request.
        route: The path template, so that the line holds no seed and no client input.
        method: The HTTP method, as returned by `metrics.known_method`.
        status: The HTTP status.
        seconds: The duration of the request in seconds.
    """
    fields = {
        "method": method,
        "route": route,
        "status": status,
        "seconds": round(seconds, 6),
        "images": context.images,
        "key": context.key,
        "client": context.address,
        "generator": None if context.generator is None else f"{context.generator[0]}@{context.generator[1][:_DIGITS]}",
        "request_id": context.request_id.decode("ascii"),
    }
    text = (
        "%(method)s %(route)s %(status)d %(seconds).6f s, images %(images)d, generator %(generator)s, client %(client)s, "
        "key %(key)s, id %(request_id)s"
    )
    shown = {**fields, "key": context.key or "-", "generator": fields["generator"] or "-"}
    _ACCESS.info(text, shown, extra={"fields": fields})


def log_job(job: str, event: str, **fields: str | int) -> None:
    """Write one line about a job.

    Args:
        job: Id of the job.
        event: "submitted", "started", "done" or "stopped".
        fields: More data of the event. The JSON log has them as fields.
    """
    details = "".join(f", {name} {value}" for name, value in fields.items())
    _JOBS.info("job %s: %s%s", job, event, details, extra={"fields": {"job": job, "event": event, **fields}})


def format_error(error: BaseException) -> str:
    """Format an exception as one line.

    Args:
        error: The exception. Its traceback gives the function, file name and line number.

    Returns:
        The type of the exception, where it was raised, and the first line of its message.
    """
    location = ""
    for frame, line in walk_tb(error.__traceback__):
        location = f" in {frame.f_code.co_name} ({PurePath(frame.f_code.co_filename).name}:{line})"
    text = error.strerror if isinstance(error, OSError) else str(error)
    message = (text or "").partition("\n")[0][:_MAX_ERROR_LENGTH]
    return f"{type(error).__name__}{location}" + (f": {message}" if message else "")


class SingleLineFilter(logging.Filter):
    """Appends the exception of a record to its message. Python would write a traceback on the following lines."""

    def __init__(self, names_request: bool) -> None:
        """
        Args:
            names_request: Whether the message also gets the id of the request. In JSON, the id is a field.
        """
        super().__init__()
        self._names_request = names_request

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record to one line.

        Args:
            record: The record.
        """
        if record.exc_info:
            message = record.getMessage().partition("\n")[0]
            error = record.exc_info[1]
            context = REQUEST_CONTEXT.get(None) if self._names_request else None
            message = message if context is None else f"{message} (request {context.request_id.decode('ascii')})"
            record.msg, record.args = "%s", (message if error is None else f"{message}: {format_error(error)}",)
        record.exc_info = record.exc_text = record.stack_info = None
        return True


class _JsonFormatter(logging.Formatter):
    """Writes time (UTC), level, logger and process, followed by the message, or the fields of a request or of a job event."""

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
            context = REQUEST_CONTEXT.get(None)
            if context is not None:
                document["request_id"] = context.request_id.decode("ascii")
        return json.dumps(document, ensure_ascii=False)
