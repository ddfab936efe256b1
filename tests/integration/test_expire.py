"""Times to live: EXPIRE and its relatives, TTL and its relatives, PERSIST, and keys that go when their time comes."""
import time

import pytest

from harness.errors import NOT_AN_INTEGER, invalid_expire, wrong_arity
from harness.resp import Error, eventually

pytestmark = pytest.mark.core

NX_WITH_OTHERS = Error("ERR NX and XX, GT or LT options at the same time are not compatible")
GT_WITH_LT = Error("ERR GT and LT options at the same time are not compatible")
FAR = 4102444800  # 2100-01-01


def now_s(r):
    return int(r("TIME")[0])


# ---- Setting --------------------------------------------------------------------------------------------


def test_expire_sets_and_ttl_tells(r):
    r("SET k v")
    assert r("TTL k") == -1
    assert r("EXPIRE k 100") == 1
    assert 98 <= r("TTL k") <= 100
    assert 98000 < r("PTTL k") <= 100000
    assert r("PEXPIRE k 50000") == 1
    assert 48 <= r("TTL k") <= 50
    assert r("GET k") == b"v"


def test_expireat_takes_a_point_in_time(r):
    r("SET k v")
    assert r(f"EXPIREAT k {FAR}") == 1
    assert r("EXPIRETIME k") == FAR
    assert r("PEXPIRETIME k") == FAR * 1000
    assert r(f"PEXPIREAT k {FAR * 1000 + 499}") == 1
    assert r("PEXPIRETIME k") == FAR * 1000 + 499
    assert r("EXPIRETIME k") == FAR
    assert r(f"PEXPIREAT k {FAR * 1000 + 500}") == 1
    assert r("EXPIRETIME k") == FAR + 1, "rounded to the nearest second"


def test_what_is_not_there_has_no_time_to_live(r):
    for command in ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]:
        assert r(f"{command} nothing") == -2
    for command in ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"]:
        assert r(f"{command} nothing 100") == 0
    assert r("PERSIST nothing") == 0


def test_expiretime_without_one(r):
    r("SET k v")
    assert r("EXPIRETIME k") == -1
    assert r("PEXPIRETIME k") == -1


def test_persist_takes_it_away(r):
    r("SET k v EX 100")
    assert r("PERSIST k") == 1
    assert r("TTL k") == -1
    assert r("PERSIST k") == 0


@pytest.mark.parametrize("size", [0, 5, 44, 1000, 16384, 100000])
def test_the_value_stays_what_it_is(r, size):
    value = bytes(i % 253 for i in range(size))
    r("SET", "k", value)
    for command in ["EXPIRE k 100", "EXPIRE k 200", "PERSIST k", "PEXPIRE k 100000"]:
        assert r(command) == 1
        assert r("GET k") == value
    assert r("STRLEN k") == size


def test_an_integer_counts_on_with_a_time_to_live(r):
    r("SET k 41")
    r("EXPIRE k 100")
    assert r("INCR k") == 42
    assert 0 < r("TTL k") <= 100
    r("PERSIST k")
    assert r("INCR k") == 43
    assert r("TTL k") == -1


def test_set_drops_and_keepttl_keeps(r):
    r("SET k v EX 100")
    r("SET k w KEEPTTL")
    assert 0 < r("TTL k") <= 100
    r("APPEND k x")
    assert 0 < r("TTL k") <= 100
    r("SET k v")
    assert r("TTL k") == -1


@pytest.mark.parametrize("command, time_past", [("EXPIRE", -1), ("EXPIRE", 0), ("PEXPIRE", -1), ("PEXPIRE", 0),
                                                ("EXPIREAT", 1), ("PEXPIREAT", 1), ("EXPIREAT", -5),
                                                ("EXPIRE", -1000000)])
def test_a_time_in_the_past_deletes_at_once(r, connect, config, command, time_past):
    config(notify_keyspace_events="AE")
    listener = connect()
    r("SET k v")
    listener("PSUBSCRIBE __keyevent@0__:*")
    assert r(command, "k", time_past) == 1
    assert r("EXISTS k") == 0
    assert listener.read() == [b"pmessage", b"__keyevent@0__:*", b"__keyevent@0__:del", b"k"]


def test_events_of_setting_and_taking_away(r, connect, config):
    config(notify_keyspace_events="AK")
    listener = connect()
    r("SET k v")
    listener("SUBSCRIBE __keyspace@0__:k")
    for command in ["EXPIRE k 100", f"PEXPIREAT k {FAR * 1000}", "PERSIST k", "EXPIRE k 10 XX", "PERSIST k", "DEL k"]:
        r(command)
    seen = [listener.read()[2] for _ in range(4)]
    assert seen == [b"expire", b"expire", b"persist", b"del"]


# ---- Conditions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition, without, later, earlier, same", [
    ("", 1, 1, 1, 1),
    ("NX", 1, 0, 0, 0),
    ("XX", 0, 1, 1, 1),
    ("GT", 0, 1, 0, 0),
    ("LT", 1, 0, 1, 0),
    ("XX GT", 0, 1, 0, 0),
    ("lt xx", 0, 0, 1, 0),
    ("XX XX", 0, 1, 1, 1)])
def test_conditions(r, condition, without, later, earlier, same):
    def try_it(before, wanted):
        r("SET k v")
        if before:
            r(f"EXPIREAT k {before}")
        done = r(f"EXPIREAT k {wanted} {condition}")
        assert r("EXPIRETIME k") == (wanted if done else before or -1)
        return done

    assert try_it(None, FAR) == without
    assert try_it(FAR, FAR + 10) == later
    assert try_it(FAR, FAR - 10) == earlier
    assert try_it(FAR, FAR) == same


@pytest.mark.parametrize("command, value", [("EXPIRE", 100), ("PEXPIRE", 100000), ("EXPIREAT", FAR),
                                            ("PEXPIREAT", FAR * 1000)])
def test_every_command_knows_the_conditions(r, command, value):
    r("SET k v")
    assert r(command, "k", value, "XX") == 0
    assert r(command, "k", value, "NX") == 1
    assert r(command, "k", value, "NX") == 0
    assert r(command, "k", value + 100000, "GT") == 1
    assert r(command, "k", value, "LT") == 1


def test_a_past_time_obeys_conditions(r):
    r("SET k v")
    assert r("EXPIRE k -1 XX") == 0
    assert r("EXPIRE k -1 GT") == 0
    assert r("EXISTS k") == 1
    assert r("EXPIRE k -1 LT") == 1
    assert r("EXISTS k") == 0


@pytest.mark.parametrize("options, error", [
    ("NX XX", NX_WITH_OTHERS), ("NX GT", NX_WITH_OTHERS), ("LT NX", NX_WITH_OTHERS), ("GT LT", GT_WITH_LT),
    ("XX LT GT", GT_WITH_LT), ("NX GT LT", NX_WITH_OTHERS), ("AB", Error("ERR Unsupported option AB")),
    ("XX AB", Error("ERR Unsupported option AB"))])
def test_conditions_that_do_not_go_together(r, options, error):
    r("SET k v")
    assert r(f"EXPIRE k 100 {options}") == error
    assert r("TTL k") == -1


def test_errors_in_conditions_come_before_those_in_numbers(r):
    r("SET k v")
    assert r("EXPIRE k x AB") == Error("ERR Unsupported option AB")
    assert r("EXPIRE k x GT LT") == GT_WITH_LT
    assert r("EXPIRE k x GT") == NOT_AN_INTEGER


# ---- Nonsense -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["expire", "pexpire", "expireat", "pexpireat"])
def test_times_must_be_integers(r, command):
    r("SET k v")
    for value in ["x", "1.5", "", " 1", "9223372036854775808"]:
        assert r(command, "k", value) == NOT_AN_INTEGER
    assert r(f"{command} k") == wrong_arity(command)
    assert r("TTL k") == -1


@pytest.mark.parametrize("command, value", [
    ("expire", 9223372036854775807), ("expire", 9223372036854775), ("expire", -9223372036854775808),
    ("expire", -9223372036854776), ("expireat", 9223372036854776), ("expireat", -9223372036854776),
    ("pexpire", 9223372036854775807)])
def test_times_that_cannot_be_written_in_milliseconds(r, command, value):
    r("SET k v")
    assert r(command, "k", value) == invalid_expire(command)
    assert r("TTL k") == -1


def test_the_last_possible_times(r):
    r("SET k v")
    assert r("EXPIREAT k 9223372036854775") == 1
    assert r("EXPIRETIME k") == 9223372036854775
    assert r("PEXPIREAT k 9223372036854775806") == 1
    assert r("PEXPIRETIME k") == 9223372036854775806
    assert r("EXPIRETIME k") == 9223372036854776


@pytest.mark.skua_only("the last millisecond of all stands for no time to live")
def test_the_last_millisecond_is_one_less(r):
    r("SET k v")
    assert r("PEXPIREAT k 9223372036854775807") == 1
    assert r("PEXPIRETIME k") == 9223372036854775806


# ---- When the time comes --------------------------------------------------------------------------------


def test_an_expired_key_is_gone_for_every_reader(r, connect):
    r("SET k v PX 1")
    other = connect()
    eventually(lambda: other("GET k") is None, "the key has expired")
    assert other("EXISTS k") == 0
    assert other("TTL k") == -2
    assert other("TYPE k") == "none"
    assert other("DEL k") == 0
    assert other("STRLEN k") == 0
    assert other("KEYS *") == []


def test_keys_nobody_asks_for_go_too(r, connect, config):
    config(notify_keyspace_events="Ex")
    listener = connect()
    listener("SUBSCRIBE __keyevent@0__:expired")
    r("SET k v PX 20")
    assert listener.read() == [b"message", b"__keyevent@0__:expired", b"k"]
    assert r("DBSIZE") == 0


def test_many_keys_go_and_their_memory_comes_back(r):
    r.pipeline(*[("SET", f"k{i}", "x" * 100, "PX", 300 + i % 100) for i in range(5000)])
    r("SET stays v EX 1000")
    eventually(lambda: r("DBSIZE") == 1, "only the lasting key is left")
    assert int(r.info("stats")["expired_keys"]) >= 5000
    assert r("GET stays") == b"v"


def test_info_keyspace_counts_volatile_keys(r):
    r("MSET a 1 b 2 c 3")
    r("EXPIRE a 1000")
    r("EXPIRE b 1000")
    line = dict(field.split("=") for field in r.info("keyspace")["db0"].split(","))
    assert (line["keys"], line["expires"]) == ("3", "2")
    r("PERSIST a")
    r("DEL b")
    line = dict(field.split("=") for field in r.info("keyspace")["db0"].split(","))
    assert (line["keys"], line["expires"]) == ("2", "0")


def test_without_active_expiry_reading_removes(r):
    r("DEBUG SET-ACTIVE-EXPIRE 0")
    try:
        r("SET l v PX 1")
        r("SET k v PX 1")
        # Both are past their time when the younger one is, by the server's own clock.
        born = r("TIME")
        eventually(lambda: r("TIME") > born and r("PTTL k") == -2, "k has expired")
        assert r("DBSIZE") == 1, "l is still there: nobody has asked for it"
        assert r("RENAME l m") == Error("ERR no such key")
        assert r("DBSIZE") == 0
    finally:
        r("DEBUG SET-ACTIVE-EXPIRE 1")


def test_a_watched_key_that_expires_fails_exec(r, connect):
    r("SET k v PX 30")
    r("WATCH k")
    other = connect()
    eventually(lambda: other("EXISTS k") == 0, "the key has expired")
    r("MULTI")
    r("PING")
    assert r("EXEC") is None


def test_expiry_is_per_database(r, connect):
    other = connect()
    other("SELECT 5")
    other("SET k there EX 1000")
    r("SET k here")
    assert r("TTL k") == -1
    assert 0 < other("TTL k") <= 1000


def test_ttl_counts_down(r):
    r("SET k v PX 100000")
    first = r("PTTL k")
    time.sleep(0.01)
    assert r("PTTL k") <= first - 5
