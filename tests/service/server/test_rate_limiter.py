"""Token buckets compared with a reference in exact fractions, and the Retry-After header of rejected requests."""

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
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def context() -> Iterator[RequestContext]:
    token = REQUEST_CONTEXT.set(RequestContext(b"1"))
    yield REQUEST_CONTEXT.get()
    REQUEST_CONTEXT.reset(token)


# Time steps and rates are powers of two, so that floats are exact and equal to the fractions.
@given(
    st.sampled_from([0.125, 0.5, 1, 4, 64]),
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(0, 64), st.integers(1, 60)), max_size=60),
)
def test_a_bucket_equals_the_exact_reference(rate: float, size: int, steps: list[tuple[int, int]]):
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


def retry_after(limits: RateLimiter, client: str) -> int:
    """Send a request that must be rejected, and return its Retry-After header."""
    with pytest.raises(Problem) as caught:
        limits.client(client).count_request()
    assert caught.value.status == 429
    return int(caught.value.headers["Retry-After"])


@pytest.mark.parametrize("rate", [0.1, 0.3, 1, 2.5, 40])
def test_a_request_is_accepted_after_the_time_in_retry_after(rate: float, context: RequestContext):
    """A request one second earlier is rejected if the time is longer than a second."""
    clock = Clock()
    limits = RateLimiter(read_settings({"SEEDMINT_REQUESTS_PER_SECOND": str(rate)}), clock)
    for _ in range(max(1, math.ceil(rate))):
        limits.client("a").count_request()
    seconds = retry_after(limits, "a")
    assert context.rejected == "rate_limit"
    assert seconds == max(1, math.ceil(1 / rate))
    if seconds > 1:
        clock.now += seconds - 1
        assert retry_after(limits, "a") == 1
        clock.now += 1
    else:
        clock.now += seconds
    limits.client("a").count_request()


def test_each_client_may_send_a_burst():
    limits = RateLimiter(read_settings({"SEEDMINT_REQUESTS_PER_SECOND": "1", "SEEDMINT_REQUEST_BURST": "5"}), Clock())
    for client in ("a", "b"):
        for _ in range(5):
            limits.client(client).count_request()
        assert retry_after(limits, client) == 1


def test_images_per_minute(context: RequestContext):
    clock = Clock()
    limits = RateLimiter(read_settings({"SEEDMINT_IMAGES_PER_MINUTE": "120"}), clock)
    context.quota = limits.client("a")
    limits.client("a").count_request()  # requests are not limited
    charge(100)
    with pytest.raises(Problem) as caught:
        charge(50)
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "15")  # 30 more images, two per second
    assert context.rejected == "image_limit"
    clock.now += 15
    charge(50)
    with pytest.raises(Problem) as too_large:
        charge(121)
    assert (too_large.value.status, too_large.value.field) == (413, "seeds")
    with pytest.raises(Problem) as too_large:
        charge(121, "frames")
    assert too_large.value.field == "frames"


def test_images_of_rejected_requests_are_not_charged(context: RequestContext):
    clock = Clock()
    context.quota = RateLimiter(read_settings({"SEEDMINT_IMAGES_PER_MINUTE": "100"}), clock).client("a")
    rejection = Problem(429, "busy")
    with pytest.raises(Problem) as caught, charge(100):
        raise rejection
    assert caught.value is rejection
    with charge(60):
        pass
    with pytest.raises(RuntimeError), charge(40):
        raise RuntimeError("the client disconnected after the generation")
    with pytest.raises(Problem):
        charge(1)
    clock.now += 120
    with pytest.raises(Problem), charge(0):
        raise Problem(429, "busy")
    with pytest.raises(Problem):
        charge(101)


def test_the_number_of_stored_clients_is_bounded():
    limits = RateLimiter(read_settings({"SEEDMINT_REQUESTS_PER_SECOND": "1"}), Clock())
    limits.client("kept").count_request()
    for i in range(_MAX_CLIENTS + 10):
        limits.client(f"other-{i}")
        limits.client("kept")  # an active client is not removed
    assert retry_after(limits, "kept") == 1
    assert len(limits._clients) == _MAX_CLIENTS


def test_without_limits_there_is_no_rate_limiter():
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
def test_the_client_of_an_address(host: str, name: str):
    assert client_address(host) == name
