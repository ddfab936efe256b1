"""Commands on keys of any type: DEL, EXISTS, TYPE, RENAME, COPY, MOVE, OBJECT, WAIT and their relatives."""
import pytest

from harness.errors import NO_SUCH_KEY, NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Error, eventually

pytestmark = pytest.mark.core

SAME_OBJECTS = Error("ERR source and destination objects are the same")
DB_OUT_OF_RANGE = Error("ERR DB index is out of range")


@pytest.fixture
def events(connect, config):
    """events() returns the keyspace events since the last call as (database, event, key)."""
    config(notify_keyspace_events="AEm")
    listener = connect()
    listener("PSUBSCRIBE __keyevent@*")
    marker = connect()

    def take():
        # A message of our own comes after everything that was published before it.
        marker("PUBLISH __keyevent@0__:end of-events")
        seen = []
        while (message := listener.read())[3] != b"of-events":
            channel = message[2].decode()
            seen.append((int(channel[len("__keyevent@"):channel.index("__:")]), channel[channel.index(":") + 1:],
                         message[3].decode()))
        return seen

    return take


# ---- DEL, UNLINK, EXISTS, TOUCH, TYPE -------------------------------------------------------------------


@pytest.mark.parametrize("command", ["DEL", "UNLINK"])
def test_del_counts_the_keys_it_removed(r, command):
    r("MSET a 1 b 2 c 3")
    assert r(f"{command} a b nothing a") == 2
    assert r("EXISTS a b c") == 1
    assert r(f"{command} nothing") == 0
    assert r("DBSIZE") == 1


@pytest.mark.parametrize("command", ["DEL", "UNLINK"])
def test_del_says_del(r, events, command):
    r("MSET a 1 b 2")
    events()
    r(f"{command} a nothing b")
    assert events() == [(0, "del", "a"), (0, "del", "b")]


def test_del_of_a_large_value_gives_the_memory_back(r):
    before = int(r.info("memory")["used_memory"])
    r("SETRANGE big 50000000 x")
    assert int(r.info("memory")["used_memory"]) > before + 40_000_000
    assert r("UNLINK big") == 1
    assert r("EXISTS big") == 0
    eventually(lambda: int(r.info("memory")["used_memory"]) < before + 10_000_000, "the memory of the value is free")


def test_exists_counts_a_key_as_often_as_it_is_named(r):
    r("SET a 1")
    assert r("EXISTS a a nothing a") == 3
    assert r("EXISTS nothing") == 0


def test_touch_counts_existing_keys(r):
    r("MSET a 1 b 2")
    assert r("TOUCH a b a nothing") == 3
    assert r("TOUCH nothing") == 0


def test_type_is_a_simple_string(r):
    r("SET a 1")
    assert r("TYPE a") == "string"
    assert r("TYPE nothing") == "none"


@pytest.mark.parametrize("command", ["del", "unlink", "exists", "touch", "type", "rename a", "renamenx a", "move a",
                                     "copy a", "keys"])
def test_arguments_are_counted(r, command):
    assert r(command) == wrong_arity(command.split()[0])


def test_who_only_looks_counts_hits_and_misses(r, events):
    r("SET a 1")
    r("CONFIG RESETSTAT")
    events()
    for command in ["EXISTS a nothing", "TYPE a", "TYPE nothing", "TTL a", "TTL nothing"]:
        r(command)
    assert (int(r.info("stats")["keyspace_hits"]), int(r.info("stats")["keyspace_misses"])) == (3, 3)
    assert events() == [(0, "keymiss", "nothing")] * 3
    for command in ["DEL nothing", "EXPIRE nothing 10", "PERSIST nothing", "RENAME nothing b", "MOVE nothing 1"]:
        r(command)
    assert int(r.info("stats")["keyspace_misses"]) == 3
    assert events() == []


# ---- RENAME ---------------------------------------------------------------------------------------------


def test_rename_moves_value_and_time_to_live(r):
    r("SET a hello EX 100")
    r("SET b other")
    assert r("RENAME a b") == "OK"
    assert r("MGET a b") == [None, b"hello"]
    assert 0 < r("TTL b") <= 100
    assert r("DBSIZE") == 1


def test_rename_takes_the_targets_time_to_live_away(r):
    r("SET a hello")
    r("SET b other EX 100")
    assert r("RENAME a b") == "OK"
    assert r("TTL b") == -1


def test_rename_works_for_every_size_of_value(r):
    for size in [0, 1, 44, 45, 1000, 16384, 16385, 200000]:
        value = bytes(i % 251 for i in range(size))
        r("SET", "a", value)
        assert r("RENAME a b") == "OK"
        assert r("GET b") == value
    r("SET a 12345")
    assert r("RENAME", "a", "k" * 1000) == "OK"
    assert r("INCR", "k" * 1000) == 12346


def test_rename_to_itself_changes_nothing(r, events):
    r("SET a 1")
    events()
    assert r("RENAME a a") == "OK"
    assert r("RENAMENX a a") == 0
    assert r("GET a") == b"1"
    assert events() == []


def test_rename_needs_its_source(r):
    assert r("RENAME a b") == NO_SUCH_KEY
    assert r("RENAMENX a b") == NO_SUCH_KEY
    assert r("RENAME a a") == NO_SUCH_KEY


def test_renamenx_spares_an_existing_target(r):
    r("MSET a 1 b 2")
    assert r("RENAMENX a b") == 0
    assert r("MGET a b") == [b"1", b"2"]
    assert r("RENAMENX a c") == 1
    assert r("MGET a c") == [None, b"1"]


def test_rename_says_from_and_to(r, events):
    r("MSET a 1 b 2")
    events()
    r("RENAME a b")
    assert events() == [(0, "rename_from", "a"), (0, "rename_to", "b")]


def test_rename_within_a_crowd(r):
    """The table moves entries while it grows: source and target must still be found."""
    r.pipeline(*[("SET", f"k{i}", i) for i in range(2000)])
    assert r.pipeline(*[("RENAME", f"k{i}", f"n{i}") for i in range(2000)]) == ["OK"] * 2000
    assert r.pipeline(*[("GET", f"n{i}") for i in range(2000)]) == [b"%d" % i for i in range(2000)]
    assert r("DBSIZE") == 2000
    assert r("DEBUG CHECK") in ("OK", Error("ERR unknown subcommand or wrong number of arguments for 'CHECK'. "
                                            "Try DEBUG HELP."))


# ---- COPY and MOVE --------------------------------------------------------------------------------------


def test_copy_copies_value_and_time_to_live(r):
    r("SET a hello EX 100")
    assert r("COPY a b") == 1
    r("APPEND a !")
    assert r("MGET a b") == [b"hello!", b"hello"]
    assert 0 < r("TTL b") <= 100


def test_copy_of_a_large_value_is_independent(r):
    r("SET", "a", "x" * 100000)
    assert r("COPY a b") == 1
    r("SETRANGE a 0 y")
    assert r("GETRANGE a 0 1") == b"yx"
    assert r("GETRANGE b 0 1") == b"xx"


def test_copy_replaces_only_when_asked(r):
    r("MSET a 1 b 2")
    assert r("COPY a b") == 0
    assert r("GET b") == b"2"
    assert r("COPY a b REPLACE") == 1
    assert r("GET b") == b"1"
    assert r("COPY nothing b REPLACE") == 0
    assert r("GET b") == b"1"


def test_copy_to_another_database(r, connect, events):
    other = connect()
    other("SELECT 9")
    r("SET a hello")
    events()
    assert r("COPY a a DB 9") == 1
    assert other("GET a") == b"hello"
    assert events() == [(9, "copy_to", "a")]
    assert r("COPY a a DB 9") == 0
    assert r("COPY a b DB 9 REPLACE") == 1
    assert other("DBSIZE") == 2


def test_copy_refuses_nonsense(r):
    r("SET a 1")
    assert r("COPY a a") == SAME_OBJECTS
    assert r("COPY a a DB 0") == SAME_OBJECTS
    assert r("COPY a b DB 99") == DB_OUT_OF_RANGE
    assert r("COPY a b DB -1") == DB_OUT_OF_RANGE
    assert r("COPY a b DB x") == NOT_AN_INTEGER
    assert r("COPY a b DB") == SYNTAX_ERROR
    assert r("COPY a b NOSUCH") == SYNTAX_ERROR


def test_move_moves_value_and_time_to_live(r, connect, events):
    other = connect()
    other("SELECT 9")
    r("SET a hello EX 100")
    events()
    assert r("MOVE a 9") == 1
    assert events() == [(0, "move_from", "a"), (9, "move_to", "a")]
    assert r("EXISTS a") == 0
    assert other("GET a") == b"hello"
    assert 0 < other("TTL a") <= 100


def test_move_spares_an_existing_key(r, connect):
    other = connect()
    other("SELECT 9")
    other("SET a there")
    r("SET a here")
    assert r("MOVE a 9") == 0
    assert (r("GET a"), other("GET a")) == (b"here", b"there")
    assert r("MOVE nothing 9") == 0


def test_move_refuses_nonsense(r):
    r("SET a 1")
    assert r("MOVE a 0") == SAME_OBJECTS
    assert r("MOVE a 99") == DB_OUT_OF_RANGE
    assert r("MOVE a -1") == DB_OUT_OF_RANGE
    assert r("MOVE a x") == NOT_AN_INTEGER


@pytest.mark.parametrize("change, watched", [
    ("DEL a", "a"), ("UNLINK a", "a"), ("RENAME a z", "a"), ("RENAME a z", "z"), ("COPY a z", "z"),
    ("MOVE a 9", "a"), ("EXPIRE a 100", "a"), ("EXPIRE a -1", "a")])
def test_changes_are_seen_by_watch(r, connect, change, watched):
    other = connect()
    r("SET a 1")
    r(f"WATCH {watched}")
    other(change)
    r("MULTI")
    r("PING")
    assert r("EXEC") is None


@pytest.mark.parametrize("no_change", ["TOUCH a", "EXISTS a", "TYPE a", "DEL b", "RENAMENX a c", "COPY a c", "PERSIST a",
                                       "RENAME a a"])
def test_what_changes_nothing_is_not_seen_by_watch(r, connect, no_change):
    other = connect()
    r("MSET a 1 c 3")
    r("WATCH a b")
    other(no_change)
    r("MULTI")
    r("PING")
    assert r("EXEC") == ["PONG"]


# ---- RANDOMKEY ------------------------------------------------------------------------------------------


def test_randomkey_gives_every_key_some_day(r):
    assert r("RANDOMKEY") is None
    r("MSET a 1 b 2 c 3")
    seen = set()
    eventually(lambda: seen.add(r("RANDOMKEY")) or seen == {b"a", b"b", b"c"}, "every key was drawn")


# ---- OBJECT ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value, encoding", [
    ("12345", b"int"), ("-9223372036854775808", b"int"), ("9223372036854775808", b"embstr"), ("", b"embstr"),
    ("012", b"embstr"), ("x" * 44, b"embstr"), ("x" * 45, b"raw"), ("x" * 100000, b"raw")],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else len(value))
def test_object_encoding(r, value, encoding):
    r("SET", "k", value)
    assert r("OBJECT ENCODING k") == encoding


@pytest.mark.parametrize("edit, encoding", [
    ("APPEND k x", b"raw"), ("SETRANGE k 0 9", b"raw"), ("SETBIT k 1 1", b"raw"), ("INCR k", b"int"),
    ("INCRBYFLOAT k 1", b"embstr"), ("GETRANGE k 0 1", b"int"), ("EXPIRE k 100", b"int")])
def test_object_encoding_after_a_change(r, edit, encoding):
    r("SET k 12")
    r(edit)
    assert r("OBJECT ENCODING k") == encoding


def test_encoding_travels_with_the_value(r):
    r("SET k ab")
    r("APPEND k c")
    for command, name in [("RENAME k l", "l"), ("EXPIRE l 100", "l"), ("PERSIST l", "l"), ("COPY l m", "m")]:
        r(command)
        assert r(f"OBJECT ENCODING {name}") == b"raw"


def test_object_of_nothing_is_nil(r):
    for subcommand in ["ENCODING", "FREQ", "IDLETIME", "REFCOUNT"]:
        assert r(f"OBJECT {subcommand} nothing") is None


def test_object_freq_needs_an_lfu_policy(r):
    r("SET k v")
    assert r("OBJECT FREQ k") == Error(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching "
        "between policies at runtime LRU and LFU data will take some time to adjust.")


def test_object_refcount(r):
    r("MSET small 9999 large 10000 negative -1 text abc")
    assert r("OBJECT REFCOUNT small") == 2147483647
    for name in ["large", "negative", "text"]:
        assert r(f"OBJECT REFCOUNT {name}") == 1


def test_object_idletime_of_a_fresh_key(r):
    r("SET k v")
    assert 0 <= r("OBJECT IDLETIME k") < 30


def test_object_refuses_nonsense(r):
    assert r("OBJECT NOSUCH k") == Error("ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP.")
    assert r("OBJECT ENCODING") == wrong_arity("object|encoding")
    assert r("OBJECT") == wrong_arity("object")


@pytest.mark.parametrize("container", ["OBJECT", "MEMORY", "LATENCY", "SLOWLOG", "DEBUG"])
def test_help_lists_subcommands(r, container):
    lines = r(f"{container} HELP")
    assert lines[0] == f"{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert "HELP" in lines
    assert all(isinstance(line, str) for line in lines)


# ---- WAIT -----------------------------------------------------------------------------------------------


def test_wait_for_nobody_answers_at_once(r):
    assert r("WAIT 0 0") == 0
    assert r("WAIT -1 0") == 0


def test_wait_answers_at_its_timeout(r):
    assert r("WAIT 1 20") == 0


def test_wait_in_a_transaction_does_not_wait(r):
    r("MULTI")
    r("WAIT 1 0")
    assert r("EXEC") == [0]


def test_wait_refuses_nonsense(r):
    assert r("WAIT x 1") == NOT_AN_INTEGER
    assert r("WAIT 1 x") == Error("ERR timeout is not an integer or out of range")
    assert r("WAIT 1 -1") == Error("ERR timeout is negative")
    assert r("WAIT 1") == wrong_arity("wait")


def test_requests_behind_a_wait_wait_too(r):
    r.send_raw(b"WAIT 1 30\r\nPING\r\n")
    assert r.reply() == 0
    assert r.reply() == "PONG"


def test_a_waiting_client_can_be_unblocked(r, connect):
    waiting = connect()
    ident = waiting.id
    waiting.send("WAIT 1 0")
    assert eventually(lambda: r(f"CLIENT UNBLOCK {ident}"), "the client waits") == 1
    assert waiting.reply() == 0
    waiting.send("WAIT 1 0")
    assert eventually(lambda: r(f"CLIENT UNBLOCK {ident} ERROR"), "the client waits") == 1
    assert waiting.reply() == Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
    assert waiting("PING") == "PONG"


def test_a_waiting_client_may_leave(r, connect):
    waiting = connect()
    waiting.send("WAIT 1 0")
    eventually(lambda: r.info("clients")["blocked_clients"] == "1", "the client waits")
    waiting.close()
    eventually(lambda: r.info("clients")["blocked_clients"] == "0", "it is forgotten")


@pytest.mark.skua_only("redis-server has it from 7.2")
def test_waitaof_without_a_log(r):
    assert r("WAITAOF 1 0 0") == Error(
        "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
    assert r("WAITAOF 2 0 0") == Error("ERR value is out of range, value must between 0 and 1")
    assert r("WAITAOF 0 -1 0") == Error("ERR value is out of range, must be positive")
    assert r("WAITAOF 0 0 -1") == Error("ERR timeout is negative")
    assert r("WAITAOF 0 0 0") == [0, 0]
    assert r("WAITAOF 0 1 20") == [0, 0]
