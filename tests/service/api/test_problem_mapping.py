"""Exceptions of the core become problem documents with the right status, field and reason."""

import json

import pytest
from starlette.requests import ClientDisconnect

from seedmint.models.errors import UserError
from seedmint.models.seeds import SeedCountError, SeedRangeError, SeedSyntaxError
from seedmint.service.api.parameters import QueryError
from seedmint.service.api.problem_mapping import to_problem
from seedmint.service.api.query import UnknownDigestError
from seedmint.service.batching.errors import (
    ClientGone,
    DeadlineExceeded,
    Draining,
    GeneratorFailed,
    ModelsLoading,
    Overloaded,
    UnknownModel,
    UnknownVersion,
)
from seedmint.service.problems import Problem
from seedmint.service.specs.errors import SpecError
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext

ERRORS = [
    (SeedSyntaxError("", field="seeds"), 400, "seeds", "malformed_seeds"),
    (SeedRangeError("", field="seed"), 422, "seed", "out_of_range"),
    (SeedCountError("", field="seeds"), 413, "seeds", "too_large"),
    (QueryError("", field="scale"), 400, "scale", "malformed"),
    (QueryError("", field="from", reason="missing"), 400, "from", "missing"),
    (UnknownDigestError("", field="digest"), 404, "digest", "unknown_version"),
    (SpecError("", field="label"), 422, "label", "out_of_range"),
    (SpecError("", field="label", reason="not_conditional"), 422, "label", "not_conditional"),
    (SpecError("", field="format", reason="unknown_format"), 404, "format", "unknown_format"),
    (SpecError("", field="model", reason="wrong_output"), 404, "model", "wrong_output"),
    (SpecError("", field="scale", reason="too_large"), 413, "scale", "too_large"),
    (UserError("", field="title"), 400, "title", "malformed"),
    (UnknownModel(), 404, "model", "unknown_model"),
    (UnknownVersion(), 404, "digest", "unknown_version"),
    (Overloaded(), 429, None, "overloaded"),
    (GeneratorFailed(), 500, None, "generator_failed"),
    (Draining(), 503, None, "draining"),
    (ModelsLoading(), 503, None, "not_ready"),
    (DeadlineExceeded(), 504, None, "deadline"),
    (Problem(415, "", "Content-Type"), 415, "Content-Type", "unsupported_media_type"),
]


@pytest.mark.parametrize(("error", "status", "field", "reason"), ERRORS)
def test_an_exception_gives_a_problem_document(error: Exception, status: int, field: str | None, reason: str):
    context = RequestContext(b"test")
    token = REQUEST_CONTEXT.set(context)
    try:
        document = json.loads(bytes(to_problem(error).response().body))
    finally:
        REQUEST_CONTEXT.reset(token)
    assert (document["status"], document.get("field"), document["reason"]) == (status, field, reason)
    assert context.rejected == (reason if status in (413, 429, 503, 504) else None)


def test_the_reason_of_a_limit_is_kept():
    context = RequestContext(b"test")
    context.rejected = "image_limit"
    token = REQUEST_CONTEXT.set(context)
    try:
        assert to_problem(Problem(429, "")).reason == context.rejected == "image_limit"
    finally:
        REQUEST_CONTEXT.reset(token)


def test_a_disconnected_client_has_no_problem_document():
    with pytest.raises(ClientDisconnect):
        to_problem(ClientGone())


def test_an_unexpected_exception_is_raised_again():
    with pytest.raises(ZeroDivisionError):
        to_problem(ZeroDivisionError())
