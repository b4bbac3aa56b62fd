"""Idle connections are closed after too many checks, or at once when there are too many connections."""

from seedmint.service.server.connections import Connections

MANY = 10


class Transport:
    def __init__(self) -> None:
        self.is_aborted = False

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


class Connection:
    """A connection that a test controls."""

    def __init__(self, has_request: bool = False, is_kept_alive: bool = False) -> None:
        self.transport = Transport()
        self.request: object = None
        self.has_request = has_request
        self.is_kept_alive = is_kept_alive


def connections(*connections: Connection, timeout_seconds: float = 2.0) -> Connections:
    registry = Connections(timeout_seconds)
    registry.open.update(connections)  # type: ignore[arg-type]
    return registry


def test_a_connection_without_request_is_closed_after_the_timeout():
    idle, busy, kept = Connection(), Connection(has_request=True), Connection(is_kept_alive=True)
    registry = connections(idle, busy, kept)
    for _ in range(3):
        registry.check(MANY)
        assert not idle.transport.is_aborted
    registry.check(MANY)
    assert idle.transport.is_aborted
    assert not busy.transport.is_aborted
    assert not kept.transport.is_aborted  # uvicorn closes it


def test_a_request_between_two_checks_restarts_the_timeout():
    connection = Connection()
    registry = connections(connection)
    for number in range(20):
        connection.request = number // 3
        registry.check(MANY)
    assert not connection.transport.is_aborted


def test_with_too_many_connections_idle_ones_are_closed_after_two_checks():
    idle, kept, busy = Connection(), Connection(is_kept_alive=True), Connection(has_request=True)
    registry = connections(idle, kept, busy, timeout_seconds=3600.0)
    registry.check(2)
    assert not idle.transport.is_aborted
    registry.check(2)
    assert idle.transport.is_aborted
    assert kept.transport.is_aborted
    assert not busy.transport.is_aborted
