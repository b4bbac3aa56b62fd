"""Bounds of the rate limiter: refill rates, forgotten clients, and limits that stand alone."""

import pytest

from seedmint.service.problems import Problem
from seedmint.service.server.rate_limiter import RateLimiter, create_rate_limiter
from seedmint.service.settings import read_settings
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext


@pytest.fixture(autouse=True)
def _request_context() -> None:
    REQUEST_CONTEXT.set(RequestContext(b"test"))


def test_images_refill_in_exactly_a_minute():
    limits = RateLimiter(read_settings({"SEEDMINT_IMAGES_PER_MINUTE": "120"}), lambda: 0.0)
    limits.client("a").charge(120)
    with pytest.raises(Problem) as raised:
        limits.client("a").charge(120)
    assert raised.value.headers["Retry-After"] == "60"


def test_the_client_of_the_oldest_request_is_forgotten_first():
    limits = RateLimiter(read_settings({"SEEDMINT_REQUESTS_PER_SECOND": "1"}), lambda: 0.0)
    limits.client("oldest").count_request()
    for number in range(20_000):
        limits.client(str(number)).count_request()
    with pytest.raises(Problem):
        limits.client("19999").count_request()
    limits.client("oldest").count_request()  # forgotten, hence with a full bucket


@pytest.mark.parametrize("setting", ["SEEDMINT_REQUESTS_PER_SECOND", "SEEDMINT_IMAGES_PER_MINUTE"])
def test_each_limit_can_be_set_alone(setting: str):
    assert create_rate_limiter(read_settings({setting: "10"})) is not None
