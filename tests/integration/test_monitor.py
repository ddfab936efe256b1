"""MONITOR: what it shows, to whom, and what it hides."""
import re

import pytest

from harness.errors import wrong_arity
from harness.resp import Error

pytestmark = pytest.mark.core

LINE = re.compile(r"(\d+\.\d{6}) \[(\d+) (\S+)\] (.*)", re.DOTALL)


@pytest.fixture
def monitor(connect):
    client = connect()
    assert client("MONITOR") == "OK"
    return client


def shown(monitor, count):
    """(database, arguments) of the next lines."""
    return [LINE.fullmatch(monitor.read()).group(2, 4) for _ in range(count)]


def test_a_line_has_time_database_client_and_arguments(r, monitor):
    seconds, microseconds = r("TIME")
    r("SELECT 3")
    r("SET k v")
    monitor.read(), monitor.read()
    moment, database, client, arguments = LINE.fullmatch(monitor.read()).groups()
    now = float(b"%s.%06d" % (seconds, int(microseconds)))
    assert now <= float(moment) < now + 60
    assert database == "3"
    assert arguments == '"SET" "k" "v"'
    if r.socket.family == 1:
        assert client == "unix:" + r.socket.getpeername()
    else:
        assert client == "%s:%d" % r.socket.getsockname()


def test_bytes_are_escaped(r, monitor):
    r("SET", "k", b"a \"\\\r\n\t\a\b\x00\x1f\x7f\xff")
    assert shown(monitor, 1) == [("0", r'"SET" "k" "a \"\\\r\n\t\a\b\x00\x1f\x7f\xff"')]


def test_every_monitor_sees_every_client(r, r3, connect):
    monitors = [connect() for _ in range(3)]
    for client in monitors:
        assert client("MONITOR") == "OK"
    r("GET a")
    r3("GET b")
    for client in monitors:
        assert shown(client, 2) == [("0", '"GET" "a"'), ("0", '"GET" "b"')]


def test_the_commands_of_a_transaction_are_shown_as_they_run(r, monitor):
    r("MULTI")
    r("SET k 1")
    r("INCR k")
    r("EXEC")
    assert [arguments for _, arguments in shown(monitor, 4)] == ['"MULTI"', '"SET" "k" "1"', '"INCR" "k"', '"EXEC"']


def test_administration_and_what_is_refused_are_not_shown(r, monitor):
    r("CONFIG GET port")
    r("CLIENT LIST")
    r("GET")
    r("NOSUCH")
    r("PING end")
    assert shown(monitor, 1) == [("0", '"PING" "end"')]


def test_passwords_are_not_shown(r, monitor):
    r("AUTH user secret")
    r("AUTH secret")
    r("HELLO 2 AUTH default secret SETNAME n")
    assert [arguments for _, arguments in shown(monitor, 3)] == [
        '"AUTH" "(redacted)" "(redacted)"', '"AUTH" "(redacted)"',
        '"HELLO" "2" "AUTH" "(redacted)" "(redacted)" "SETNAME" "n"']


def test_a_monitor_may_not_touch_keys(r, monitor):
    assert monitor("GET k") == Error("ERR Replica can't interact with the keyspace")
    assert monitor("PING") == "PONG"
    assert shown(monitor, 1) == [("0", '"PING"')]


def test_a_monitor_is_marked_in_the_list(r, monitor):
    line = next(line for line in r.client_list() if line["cmd"] == "monitor")
    assert line["flags"] in ("O", "OU")


def test_reset_ends_it(r, monitor):
    assert monitor("RESET") == "RESET"
    r("PING")
    assert monitor("ECHO end") == b"end"
    assert monitor("GET k") is None


def test_a_monitor_that_leaves_disturbs_nobody(r, connect):
    clients = [connect() for _ in range(4)]
    for client in clients:
        client("MONITOR")
    clients[1].close()
    clients[2]("QUIT")
    r("PING x")
    for client in (clients[0], clients[3]):
        while shown(client, 1) != [("0", '"PING" "x"')]:
            pass


def test_monitor_inside_a_transaction_is_refused(r):
    r("MULTI")
    assert r("MONITOR") == "QUEUED"
    assert r("EXEC") == [Error("ERR MONITOR isn't allowed for DENY BLOCKING client")]


def test_monitor_takes_no_argument(r):
    assert r("MONITOR x") == wrong_arity("monitor")


@pytest.mark.skua_only("redis-server shows all, whatever it costs")
def test_long_arguments_are_cut(r, monitor):
    r("SET", "k", "x" * 70000)
    (_, arguments), = shown(monitor, 1)
    assert arguments == '"SET" "k" "%s" ... (4468 more bytes)' % ("x" * 65532)


@pytest.mark.skua_only("redis-server shows all, whatever it costs")
def test_many_arguments_are_cut(r, monitor):
    r("DEL", *["k"] * 5000)
    (_, arguments), = shown(monitor, 1)
    assert arguments == '"DEL"' + ' "k"' * 4095 + " ... (905 more arguments)"
