"""LATENCY BLAME, SLOWLOG BLAME and INFO blame: where the time of requests went, and who had the executor meanwhile."""
import threading
import time

import pytest

from harness.resp import Error, eventually

pytestmark = [pytest.mark.core, pytest.mark.threads,
              pytest.mark.skua_only("redis-server does not measure how long requests wait")]

# A read that an I/O thread answers itself waits for nobody (test_direct_reads.py): here all are to go to the executor.
CONFIG = {"direct-reads": "no"}
FIGURES = [b"p50", b"p99", b"p999", b"max"]
THRESHOLD_US = 20_000
SLEEP_S = 0.3


@pytest.fixture
def blame(r3, config):
    """blame() returns the entries of SLOWLOG BLAME, newest first; a request of 20 ms is slow."""
    config(slowlog_log_slower_than=THRESHOLD_US)
    r3("SLOWLOG RESET")
    return lambda count=-1: r3("SLOWLOG", "BLAME", count)


def entries_of(entries, *words):
    return [entry for entry in entries if entry[b"command"][:len(words)] == [word.encode() for word in words]]


@pytest.fixture
def stall(connect, blame, r3):
    """stall(*requests) sends each on a connection of its own while the executor sleeps, and returns the entries then."""
    def sleep_once(*requests):
        sleeper, waiters = connect(), [connect() for _ in requests]
        for waiter in waiters:
            waiter("PING")
        sleeper("CLIENT SETNAME sleeper")
        sleeper.send(f"DEBUG SLEEP {SLEEP_S}")
        time.sleep(SLEEP_S / 3)
        for waiter, request in zip(waiters, requests):
            waiter.send(request)
        for client in [sleeper, *waiters]:
            client.reply()
        return blame()

    def run(*requests, must_wait=True):
        # On a busy machine an I/O thread may find the requests only after the sleep: then nobody has waited.
        for _ in range(20):
            entries = sleep_once(*requests)
            if not must_wait or all(entries_of(entries, *request.split()[:1]) for request in requests):
                return entries
            r3("SLOWLOG RESET")
        raise AssertionError("no request has waited for the sleep")
    return run


# ---- Who made me wait -----------------------------------------------------------------------------------


def test_a_waiting_get_blames_the_sleep(r, stall):
    r("SET k v")
    entries = stall("GET k")
    entry, = entries_of(entries, "GET")
    assert entry[b"id"] is None, "it was not slow itself"
    assert entry[b"queue-usec"] >= THRESHOLD_US
    assert entry[b"execute-usec"] < entry[b"queue-usec"]
    culprit = entry[b"waited-for"][0]
    sleep, = entries_of(entries, "DEBUG", "SLEEP")
    assert (culprit[b"kind"], culprit[b"name"]) == (b"command", b"debug")
    assert culprit[b"client-id"] == sleep[b"client-id"] != entry[b"client-id"]
    assert culprit[b"usec"] * 2 >= entry[b"queue-usec"], "most of the wait is put down to it"


def test_what_is_slow_itself_has_the_id_of_the_slow_log(r, stall):
    sleep, = entries_of(stall("PING"), "DEBUG", "SLEEP")
    plain, = [entry for entry in r("SLOWLOG GET -1") if entry[3][:2] == [b"DEBUG", b"SLEEP"]]
    assert sleep[b"id"] == plain[0]
    assert sleep[b"execute-usec"] == plain[2] >= SLEEP_S * 1e6
    assert sleep[b"client-name"] == plain[5] == b"sleeper"
    assert sleep[b"requests"] == 1


def test_the_slow_log_itself_shows_only_what_executed_long(r, stall):
    assert entries_of(stall("GET k"), "GET")
    assert [entry[3][0] for entry in r("SLOWLOG GET -1")] == [b"DEBUG"]
    assert r("SLOWLOG LEN") == 1


def test_those_who_waited_for_the_same_have_one_entry(stall):
    entries = [entry for entry in stall(*["GET k"] * 20) if entry[b"id"] is None]
    assert sum(entry[b"requests"] for entry in entries) == 20
    assert len(entries) == 1


def test_the_time_of_the_reply_comes_when_it_has_been_sent(stall, blame):
    stall("GET k")
    eventually(lambda: all(entry[b"reply-usec"] is not None for entry in blame()))


def test_a_transaction_waits_as_one(connect, stall):
    entries = stall("GET other")
    assert not entries_of(entries, "EXEC")
    client = connect()
    client("MULTI")
    client("GET k")
    entries = stall("PING")
    assert entries_of(entries, "PING")
    client("EXEC")


def test_client_pause_is_named(r, connect, blame):
    waiter = connect()
    waiter("PING")
    r("CLIENT PAUSE 200 WRITE")
    waiter("SET k v")
    entry, = entries_of(blame(), "SET")
    assert entry[b"queue-usec"] >= THRESHOLD_US
    assert entry[b"waited-for"][0][b"name"] == b"client-pause"
    assert entry[b"waited-for"][0][b"kind"] == b"task"


def test_waiting_for_a_key_is_nobodys_fault(r, connect, blame):
    waiter = connect()
    waiter.send("BLPOP list 0")
    waiter.send("GET k")
    time.sleep(THRESHOLD_US * 2 / 1e6)
    r("RPUSH list x")
    assert waiter.reply() == [b"list", b"x"]
    waiter.reply()
    assert not entries_of(blame(), "BLPOP") and not entries_of(blame(), "GET")


# ---- SLOWLOG BLAME as a command -------------------------------------------------------------------------


def test_an_entry_in_resp2_is_a_flat_array(r, stall):
    stall("GET k")
    entry = r("SLOWLOG BLAME 1")[0]
    assert entry[::2] == [b"id", b"time", b"client-id", b"client", b"client-name", b"command", b"requests",
                          b"queue-usec", b"execute-usec", b"paused-usec", b"reply-usec", b"waited-for", b"other-usec"]


def test_count_and_reset(r, stall, blame):
    stall("GET k")
    assert len(blame(1)) == 1
    assert blame(0) == []
    times = [entry[b"time"] for entry in blame()]
    assert times == sorted(times, reverse=True)
    r("SLOWLOG RESET")
    assert blame() == []


def test_errors(r):
    assert r("SLOWLOG BLAME -2") == Error("ERR count should be greater than or equal to -1")
    assert r("SLOWLOG BLAME x") == Error("ERR count should be greater than or equal to -1")


def test_no_more_entries_than_the_slow_log_keeps(stall, config, blame):
    config(slowlog_max_len=1)
    stall("GET k", must_wait=False)
    kinds = [entry[b"id"] is None for entry in blame()]
    assert kinds.count(True) <= 1 and kinds.count(False) <= 1
    config(slowlog_max_len=0)
    stall("GET k", must_wait=False)
    assert blame() == []


# ---- LATENCY BLAME and INFO blame -----------------------------------------------------------------------


def test_every_part_of_a_command_is_measured(r, r3, config):
    config(latency_tracking="no")
    config(latency_tracking="yes")
    for i in range(100):
        r(f"SET k{i} v")
    eventually(lambda: r3("LATENCY BLAME set")[b"set"][b"reply"][b"max"] > 0)
    told = r3("LATENCY BLAME set")[b"set"]
    assert told[b"calls"] == 100
    assert list(told) == [b"calls", b"queue", b"execute", b"reply"]
    for part in (b"queue", b"execute", b"reply"):
        assert list(told[part]) == FIGURES
        figures = [told[part][name] for name in FIGURES]
        assert figures == sorted(figures)
        assert 0 <= figures[0] and figures[-1] < 60e6
    assert told[b"execute"][b"p50"] > 0


def test_a_stall_shows_in_the_queue_of_those_who_waited(r3, config, stall):
    config(latency_tracking="no")
    config(latency_tracking="yes")
    stall("GET k")
    told = r3("LATENCY BLAME get debug")
    assert told[b"get"][b"queue"][b"max"] >= THRESHOLD_US
    assert told[b"get"][b"execute"][b"max"] < THRESHOLD_US
    assert told[b"debug"][b"execute"][b"max"] >= SLEEP_S * 1e6


def test_a_slow_reader_shows_in_the_reply(r, r3, connect, config):
    r("SET", "big", b"x" * (32 << 20))
    config(latency_tracking="no")
    config(latency_tracking="yes")
    reader = connect()
    reader.send("GET big")
    time.sleep(0.2)  # however long: it only must be longer than 100 ms
    assert len(reader.reply()) == 32 << 20
    eventually(lambda: r3("LATENCY BLAME get")[b"get"][b"reply"][b"max"] >= 100_000)
    assert r3("LATENCY BLAME get")[b"get"][b"execute"][b"max"] < 100_000


def test_a_container_stands_for_its_subcommands(r, r3):
    r("CONFIG GET port")
    assert b"config|get" in r3("LATENCY BLAME config")
    assert list(r3("LATENCY BLAME config|get")) == [b"config|get"]
    assert r3("LATENCY BLAME nothing") == {}


def test_resp2(r):
    r("SET k v")
    name, told = r("LATENCY BLAME set")
    assert name == b"set" and told[::2] == [b"calls", b"queue", b"execute", b"reply"]
    assert told[3][::2] == FIGURES


def test_info_has_the_same(r):
    r("SET k v")
    fields = dict(field.split("=") for field in r.info("blame")["blame_set"].split(","))
    assert list(fields) == ["calls"] + [f"{part}_{figure.decode()}" for part in ("queue", "execute", "reply")
                                        for figure in FIGURES]
    assert "blame_set" not in r.info()


def test_resetstat_forgets(r, r3):
    r("SET k v")
    r("CONFIG RESETSTAT")
    assert b"set" not in r3("LATENCY BLAME")


# ---- latency-tracking -----------------------------------------------------------------------------------


def test_nothing_is_measured_without_tracking(r, r3, config, stall):
    config(latency_tracking="no")
    r("SET k v")
    entries = stall("GET k", must_wait=False)
    assert not entries_of(entries, "GET")
    sleep, = entries_of(entries, "DEBUG", "SLEEP")
    assert sleep[b"queue-usec"] is None and sleep[b"reply-usec"] is None
    assert r3("LATENCY BLAME") == {}
    assert r("LATENCY HISTOGRAM") == []
    assert r.info("blame") == {}
    assert r("SLOWLOG LEN") == 1
