"""Who waits for how long, who gives way, and who is refused: by a clock and transports of the test's own."""

import logging

import pytest

from iiif_server.web.connections import (
    GRACE_SECONDS,
    PROXY_IDLE_SECONDS,
    Connection,
    ConnectionLimits,
    Connections,
    Refusal,
    client_of,
)

LIMITS = ConnectionLimits(head_seconds=10, idle_seconds=15, send_seconds=60, most=4, most_per_client=3)
PROXY = "10.0.0.1"


class Wire:
    """A transport that notes what is done to it, and that closes when it has sent everything."""

    def __init__(self):
        self.ends = []
        self.waiting = 0

    def let_go(self, *, is_late):
        self.ends.append("late" if is_late else "let go")

    def cut(self):
        self.ends.append("cut")

    def unsent(self):
        return self.waiting


class Time:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def connections(time):
    return Connections(LIMITS, is_proxy=lambda address: address == PROXY, clock=time)


def connect(connections, address="192.0.2.1"):
    connection = connections.admit(Wire(), address)
    assert isinstance(connection, Connection)
    return connection


def at_work(connections, address="192.0.2.1"):
    connection = connect(connections, address)
    connection.begin()
    return connection


def idle(connections, address="192.0.2.1"):
    connection = at_work(connections, address)
    connection.end()
    return connection


def ends_after(connections, time, connection):
    """Seconds until a connection is ended, in steps of one."""
    began = time.now
    while not connection.link.ends:
        time.now += 1
        assert time.now < began + 2 * PROXY_IDLE_SECONDS
        connections.sweep()
    return time.now - began


def test_a_head_has_to_be_complete_in_time_however_many_bytes_come(connections, time):
    silent, trickling = connect(connections), connect(connections)
    for _ in range(9):
        time.now += 1
        trickling.heard()
        connections.sweep()
    assert silent.link.ends == trickling.link.ends == []
    time.now += 1
    connections.sweep()

    assert silent.link.ends == trickling.link.ends == ["late"]
    assert connections.statistics()["late"] == 2


def test_idle_connections_have_longer(connections, time):
    assert ends_after(connections, time, idle(connections)) == 15
    assert connections.statistics()["late"] == 0


def test_the_head_of_a_later_request_has_its_own_time(connections, time):
    connection = idle(connections)
    time.now += 14
    connection.heard()

    assert ends_after(connections, time, connection) == 10
    assert connection.link.ends == ["late"]


def test_a_request_may_take_any_time(connections, time):
    connection = at_work(connections)
    time.now += 1000
    connections.sweep()
    assert connection.link.ends == []
    connection.end()

    assert ends_after(connections, time, connection) == 15


def test_of_several_requests_the_last_one_counts(connections, time):
    connection = at_work(connections)
    connection.begin()
    connection.end()
    time.now += 100
    connections.sweep()

    assert connection.link.ends == []


def test_a_proxy_is_not_hurried_between_its_requests(connections, time):
    assert ends_after(connections, time, idle(connections, PROXY)) == PROXY_IDLE_SECONDS
    assert ends_after(connections, time, connect(connections, PROXY)) == 10


def test_who_takes_nothing_is_cut_off(connections, time):
    connection = at_work(connections)
    connection.link.waiting = 5000

    assert 60 <= ends_after(connections, time, connection) <= 61
    assert connection.link.ends == ["cut"]
    assert connections.statistics()["stalled"] == 1


@pytest.mark.parametrize("progress", ["fewer", "more after fewer"])
def test_who_takes_something_is_not(connections, time, progress):
    connection = at_work(connections)
    connection.link.waiting = 500_000
    for _ in range(300):
        time.now += 1
        if progress == "fewer":
            connection.link.waiting -= 1
        else:
            connection.taken()
        connections.sweep()

    assert connection.link.ends == []


def test_one_that_is_let_go_and_does_not_take_the_rest_is_cut_off(connections, time):
    connection = idle(connections)
    connection.link.waiting = 5000
    ends_after(connections, time, connection)
    assert connection.link.ends == ["let go"]
    for _ in range(60):
        time.now += 1
        connections.sweep()

    assert connection.link.ends == ["let go", "cut"]


def test_where_it_is_full_the_longest_waiting_gives_way(connections, time):
    heads = connect(connections, "192.0.2.1")
    time.now += 1
    resting = idle(connections, "192.0.2.2")
    busy = [at_work(connections, "192.0.2.3") for _ in range(2)]
    for expected in (heads, resting):
        time.now += 1
        at_work(connections, "192.0.2.4")
        assert expected.link.ends == ["let go"]

    assert [connection.link.ends for connection in busy] == [[], []]
    assert connections.statistics()["evicted"] == 2
    assert connections.statistics()["open"] == 4


def test_where_all_are_at_work_the_next_one_is_refused(connections, caplog):
    caplog.set_level(logging.WARNING, "iiif_server")
    for number in range(4):
        at_work(connections, f"192.0.2.{number}")

    assert connections.admit(Wire(), "192.0.2.9") is Refusal.FULL
    assert connections.admit(Wire(), PROXY) is Refusal.FULL
    assert connections.statistics()["refused"] == 2
    assert "max_connections " in caplog.text
    assert len(caplog.records) == 1  # a minute


def test_what_just_came_or_takes_an_answer_does_not_give_way(connections, time):
    taking = idle(connections, "192.0.2.1")
    taking.link.waiting = 1
    time.now += 10
    for number in range(3):
        connect(connections, f"192.0.2.{number + 2}")
    time.now += GRACE_SECONDS / 2

    assert connections.admit(Wire(), "192.0.2.9") is Refusal.FULL
    time.now += GRACE_SECONDS / 2
    connect(connections, "192.0.2.9")


def test_one_client_does_not_take_it_all(connections, time):
    other = idle(connections, "192.0.2.2")
    for _ in range(3):
        at_work(connections)

    assert connections.admit(Wire(), "192.0.2.1") is Refusal.SHARE
    assert other.link.ends == []


def test_of_a_client_with_its_share_its_own_give_way(connections, time):
    other = idle(connections, "192.0.2.2")
    time.now += 1
    own = [idle(connections) for _ in range(3)]
    time.now += 1
    for gone in own:
        connect(connections)
        assert gone.link.ends == ["let go"]

    assert other.link.ends == []


def test_a_share_is_free_again_when_a_connection_ends(connections):
    own = [at_work(connections) for _ in range(3)]
    connections.closed(own[0])
    connections.closed(own[0])
    own[0].end()
    connect(connections)

    assert connections.admit(Wire(), "192.0.2.1") is Refusal.SHARE
    for connection in list(connections.all):
        connections.closed(connection)
    assert connections.statistics()["open"] == 0
    assert connections._clients == {}
    assert connections.heads.since == {}


def test_behind_a_proxy_all_clients_have_one_address(connections):
    for _ in range(4):
        at_work(connections, PROXY)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a:b", "a:b"),
    ],
)
def test_whom_an_address_belongs_to(address, client):
    assert client_of(address) == client


def test_where_another_server_has_the_sockets_nothing_is_told(connections):
    assert connections.statistics() == {}
