"""Token buckets against a reference in exact fractions, and what they tell a client who must wait."""

import math
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedmint.service.api.quota import charge
from seedmint.service.problems import Problem
from seedmint.service.server.rate_limiter import _MAX_CLIENTS, Bucket, RateLimiter, create_rate_limiter
from seedmint.service.settings import read_settings
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext, client_address


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def visit() -> Iterator[RequestContext]:
    token = REQUEST_CONTEXT.set(RequestContext(b"1"))
    yield REQUEST_CONTEXT.get()
    REQUEST_CONTEXT.reset(token)


# Steps and rates in powers of two: then floats are exact, and must agree with the fractions to the last bit.
@given(
    st.sampled_from([0.125, 0.5, 1, 4, 64]),
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(0, 64), st.integers(1, 60)), max_size=60),
)
def test_a_bucket_does_what_the_definition_says(rate: float, size: int, steps: list[tuple[int, int]]):
    clock = Clock()
    bucket = Bucket(rate, size, clock)
    held = Fraction(size)
    for eighths, tokens in steps:
        clock.now += eighths / 8
        held = min(Fraction(size), held + Fraction(eighths, 8) * Fraction(rate))
        wait = bucket.consume(tokens)
        if tokens <= held:
            assert wait == 0
            held -= tokens
        elif tokens > size:
            assert wait == math.inf
        else:
            assert wait == (tokens - held) / Fraction(rate)


def retry_after(limits: RateLimiter, who: str) -> int:
    with pytest.raises(Problem) as refused:
        limits.client(who).count_request()
    assert refused.value.status == 429
    return int(refused.value.headers["Retry-After"])


@pytest.mark.parametrize("rate", [0.1, 0.3, 1, 2.5, 40])
def test_retry_after_is_honest(rate: float, visit: RequestContext):
    """After the time told a request is let in; a second earlier it is not, unless it was under a second."""
    clock = Clock()
    limits = RateLimiter(read_settings({"SEEDMINT_REQUESTS_PER_SECOND": str(rate)}), clock)
    for _ in range(max(1, math.ceil(rate))):
        limits.client("a").count_request()
    told = retry_after(limits, "a")
    assert visit.rejected == "rate_limit"
    assert told == max(1, math.ceil(1 / rate))
    if told > 1:
        clock.now += told - 1
        assert retry_after(limits, "a") == 1
        clock.now += 1
    else:
        clock.now += told
    limits.client("a").count_request()


def test_a_burst_is_let_in_at_once_and_clients_do_not_share():
    limits = RateLimiter(read_settings({"SEEDMINT_REQUESTS_PER_SECOND": "1", "SEEDMINT_REQUEST_BURST": "5"}), Clock())
    for who in ("a", "b"):
        for _ in range(5):
            limits.client(who).count_request()
        assert retry_after(limits, who) == 1


def test_images_a_minute(visit: RequestContext):
    clock = Clock()
    limits = RateLimiter(read_settings({"SEEDMINT_IMAGES_PER_MINUTE": "120"}), clock)
    visit.quota = limits.client("a")
    limits.client("a").count_request()  # requests are not limited
    charge(100)
    with pytest.raises(Problem) as refused:
        charge(50)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "15")  # 30 more, two a second
    assert visit.rejected == "image_limit"
    clock.now += 15
    charge(50)
    with pytest.raises(Problem) as never:
        charge(121)
    assert (never.value.status, never.value.field) == (413, "seeds")
    with pytest.raises(Problem) as never:
        charge(121, "frames")
    assert never.value.field == "frames"


def test_images_that_were_refused_are_given_back(visit: RequestContext):
    clock = Clock()
    visit.quota = RateLimiter(read_settings({"SEEDMINT_IMAGES_PER_MINUTE": "100"}), clock).client("a")
    with pytest.raises(Problem, match="busy"), charge(100):
        raise Problem(429, "busy")
    with charge(60):
        pass
    with pytest.raises(RuntimeError), charge(40):
        raise RuntimeError("it was made, and its client left")
    with pytest.raises(Problem):
        charge(1)
    clock.now += 120
    with pytest.raises(Problem), charge(0):
        raise Problem(429, "busy")
    with pytest.raises(Problem):
        charge(101)


def test_clients_remembered_are_bounded():
    limits = RateLimiter(read_settings({"SEEDMINT_REQUESTS_PER_SECOND": "1"}), Clock())
    limits.client("kept").count_request()
    for i in range(_MAX_CLIENTS + 10):
        limits.client(f"one-{i}")
        limits.client("kept")  # who keeps asking is not forgotten
    assert retry_after(limits, "kept") == 1
    assert len(limits._clients) == _MAX_CLIENTS


def test_without_limits_there_is_nothing_to_count():
    assert create_rate_limiter(read_settings({})) is None
    charge(10**9)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("unix:", "unknown"),
        ("x" * 5000, "unknown"),
        ("", "unknown"),
    ],
)
def test_an_address_is_one_client(host: str, name: str):
    assert client_address(host) == name
