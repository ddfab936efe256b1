"""Waiting for sorted sets: BZPOPMIN BZPOPMAX BZMPOP. Who is served, with what, when, and what ends the waiting."""
import pytest

from harness.errors import SYNTAX_ERROR, wrong_arity
from harness.resp import Error, eventually

pytestmark = pytest.mark.core

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
NEGATIVE = Error("ERR timeout is negative")
NOT_A_FLOAT = Error("ERR timeout is not a float or out of range")

# Each command that waits for key k, up to its timeout.
EACH = ["BZPOPMIN k {}", "BZPOPMAX k {}", "BZMPOP {} 1 k MIN"]
each = pytest.mark.parametrize("command", EACH)


# ---- There is something ---------------------------------------------------------------------------------


def test_what_is_there_is_taken_at_once(r):
    r("ZADD k 1 a 2 b 3 c 4 d 5 e")
    assert r("BZPOPMIN k 0") == [b"k", b"a", b"1"]
    assert r("BZPOPMAX k 0") == [b"k", b"e", b"5"]
    assert r("BZMPOP 0 1 k MAX COUNT 2") == [b"k", [[b"d", b"4"], [b"c", b"3"]]]
    assert r("BZMPOP 0 2 no k MIN COUNT 9") == [b"k", [[b"b", b"2"]]]
    assert r("EXISTS k") == 0


def test_scores_are_doubles_in_resp3(r3):
    r3("ZADD k 1.5 a 2 b inf c")
    assert r3("BZPOPMIN k 0") == [b"k", b"a", 1.5]
    assert r3.raw == b"*3\r\n$1\r\nk\r\n$1\r\na\r\n,1.5\r\n"
    assert r3("BZMPOP 0 1 k MAX COUNT 2") == [b"k", [[b"c", float("inf")], [b"b", 2.0]]]
    assert r3.raw == b"*2\r\n$1\r\nk\r\n*2\r\n*2\r\n$1\r\nc\r\n,inf\r\n*2\r\n$1\r\nb\r\n,2\r\n"


def test_the_first_key_that_has_something(r):
    r("ZADD b 1 x")
    r("ZADD c 2 y")
    assert r("BZPOPMIN a b c 0") == [b"b", b"x", b"1"]
    assert r("BZPOPMAX a b c 0") == [b"c", b"y", b"2"]


def test_from_large_ones(r):
    rows = [word for number in range(2000) for word in (number, f"member {number}")]
    r("ZADD", "k", *rows)
    assert r("BZPOPMIN k 0") == [b"k", b"member 0", b"0"]
    assert r("BZPOPMAX k 0") == [b"k", b"member 1999", b"1999"]
    taken = r("BZMPOP 0 1 k MIN COUNT 1500")[1]
    assert taken == [[b"member %d" % number, b"%d" % number] for number in range(1, 1501)]
    assert r("ZCARD k") == 498


@each
def test_another_type_is_refused_at_once(r, command):
    r("SET k text")
    assert r(command.format(0)) == WRONG_TYPE
    assert r(command.format(-1)) == NEGATIVE


# ---- Arguments ------------------------------------------------------------------------------------------


@each
def test_timeouts(r, command):
    for word in ["-1", "-0.1", "-inf"]:
        assert r(command.format(word)) == NEGATIVE, word
    for word in ["x", "nan", "''", "' 1'"]:
        assert r(command.format(word)) == NOT_A_FLOAT, word
    for word in ["0.001", "1e-3"]:
        assert r(command.format(word)) is None


def test_malformed(r):
    assert r("BZPOPMIN k") == wrong_arity("bzpopmin")
    assert r("BZPOPMAX 0") == wrong_arity("bzpopmax")
    assert r("BZMPOP 0 1 k") == wrong_arity("bzmpop")
    assert r("BZMPOP x 0 k MIN") == Error("ERR numkeys should be greater than 0")
    assert r("BZMPOP x 1 k MIN COUNT 0") == Error("ERR count should be greater than 0")
    assert r("BZMPOP x 1 k LEFT") == SYNTAX_ERROR
    assert r("BZMPOP 0 1 k MIN COUNT 1 COUNT 1") == SYNTAX_ERROR
    assert r("BZMPOP 0 2 k MIN") == SYNTAX_ERROR


def test_keys_are_found(r):
    assert r("COMMAND GETKEYS BZPOPMIN a b c 0") == [b"a", b"b", b"c"]
    assert r("COMMAND GETKEYS BZMPOP 0 2 a b MIN COUNT 3") == [b"a", b"b"]


# ---- Waiting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command,answer", [
    ("BZPOPMIN k 0", [b"k", b"a", b"1"]), ("BZPOPMAX k 0", [b"k", b"b", b"2"]),
    ("BZPOPMIN a k k 0", [b"k", b"a", b"1"]), ("BZMPOP 0 1 k MIN", [b"k", [[b"a", b"1"]]]),
    ("BZMPOP 0 2 a k MAX COUNT 5", [b"k", [[b"b", b"2"], [b"a", b"1"]]])])
def test_one_who_waits_is_served(r, waiting, command, answer):
    client = waiting(command)
    assert r("ZADD k 2 b 1 a") == 2
    assert client.reply() == answer
    eventually(lambda: r.info("clients")["blocked_clients"] == "0", "nobody waits")
    assert client("PING") == "PONG"


def test_one_who_waits_in_resp3_is_served_in_resp3(r, waiting):
    client, other = waiting("BZPOPMIN k 0", resp=3), waiting("BZMPOP 0 1 k MAX", resp=3)
    r("ZADD k 1.5 a 2 b")
    assert client.reply() == [b"k", b"a", 1.5]
    assert other.reply() == [b"k", [[b"b", 2.0]]]


@each
def test_the_null_after_the_timeout(connect, command):
    two, three = connect(), connect(resp=3)
    assert two(command.format(0.01)) is None
    assert two.raw == b"*-1\r\n"
    assert three(command.format(0.01)) is None
    assert three.raw == b"_\r\n"


@pytest.mark.parametrize("create", [
    ["ZADD k 1 a"], ["ZADD k INCR 1 a"], ["ZINCRBY k 1 a"], ["ZADD s 1 a", "ZUNIONSTORE k 1 s"],
    ["ZADD s 1 a", "ZINTERSTORE k 2 s s AGGREGATE MAX"], ["ZADD s 1 a", "ZDIFFSTORE k 2 s x"],
    ["ZADD s 1 a 2 b", "ZRANGESTORE k s 0 0"], ["SADD s a", "ZUNIONSTORE k 1 s"],
    ["ZADD s 1 a", "RENAME s k"], ["ZADD s 1 a", "RENAMENX s k"], ["ZADD s 1 a", "COPY s k"],
    ["SELECT 1", "ZADD k 1 a", "MOVE k 0"], ["SELECT 1", "ZADD k 1 a", "SWAPDB 0 1"],
    ["SELECT 1", "ZADD s 1 a", "COPY s k DB 0"], ["SET k x", "ZADD s 1 a", "RENAME s k"],
    ["SADD k x", "DEL k", "ZADD k 1 a"]], ids=" ".join)
def test_however_the_sorted_set_appears(r, connect, waiting, create):
    client = waiting("BZPOPMIN k 0")
    for command in create:
        assert not isinstance(r(command), Error)
    assert client.reply() == [b"k", b"a", b"1"]
    assert connect()("EXISTS k") == 0


@pytest.mark.skua_only("redis-server 7.0 tells nobody when one value takes another's place")
def test_in_place_of_another_type(r, waiting):
    client = waiting("BZPOPMIN k 0")
    r("RPUSH k x")
    r("ZADD s 1 a")
    assert r("ZUNIONSTORE k 1 s") == 1
    assert client.reply() == [b"k", b"a", b"1"]


def test_other_types_are_passed_over_while_waiting(r, waiting):
    client, of_lists = waiting("BZPOPMIN k 0"), waiting("BLPOP k 0")
    for create in ["SET k 1", "SADD k 1", "HSET k a 1"]:
        r(create)
        assert r("DEL k") == 1
    r("ZADD k 1 a")
    assert client.reply() == [b"k", b"a", b"1"]
    r("RPUSH k 1")
    assert of_lists.reply() == [b"k", b"1"]


def test_one_that_is_gone_at_the_end_of_the_transaction_serves_nobody(r, waiting):
    client = waiting("BZPOPMIN k 0")
    assert r.pipeline("MULTI", "ZADD k 1 a", "DEL k", "EXEC")[3] == [1, 1]
    assert r.pipeline("MULTI", "ZADD k 1 a", "ZREM k a", "SET k x", "EXEC")[4] == [1, 1, "OK"]
    r("DEL k")
    r("ZADD k 2 b")
    assert client.reply() == [b"k", b"b", b"2"]


def test_a_transaction_is_over_before_anyone_is_served(r, waiting):
    client = waiting("BZPOPMIN k 0")
    assert r.pipeline("MULTI", "ZADD k 5 a", "ZADD k 2 b", "ZCARD k", "EXEC")[4] == [1, 1, 2]
    assert client.reply() == [b"k", b"b", b"2"]
    assert r("ZRANGE k 0 -1") == [b"a"]


# ---- Several who wait -----------------------------------------------------------------------------------


def test_in_the_order_of_arrival(r, waiting):
    clients = [waiting(command) for command in
               ["BZPOPMIN k 0", "BZPOPMAX k 0", "BZMPOP 0 1 k MIN COUNT 2", "BZPOPMIN k 0", "BZPOPMAX k 0"]]
    assert r("ZADD k 1 a 2 b 3 c 4 d") == 4
    assert [client.reply() for client in clients[:3]] == [
        [b"k", b"a", b"1"], [b"k", b"d", b"4"], [b"k", [[b"b", b"2"], [b"c", b"3"]]]]
    assert r("EXISTS k") == 0
    r("ZADD k 5 e")
    assert clients[3].reply() == [b"k", b"e", b"5"]
    r("ZADD k 6 f 7 g")
    assert clients[4].reply() == [b"k", b"g", b"7"]
    assert r("ZRANGE k 0 -1") == [b"f"]


def test_who_comes_back_stands_behind_the_others(r, waiting):
    first, second = waiting("BZPOPMIN k 0"), waiting("BZPOPMIN k 0")
    r("ZADD k 1 a")
    assert first.reply() == [b"k", b"a", b"1"]
    waiting("BZPOPMIN k 0", client=first)
    r("ZADD k 2 b 3 c")
    assert second.reply() == [b"k", b"b", b"2"]
    assert first.reply() == [b"k", b"c", b"3"]


def test_the_key_that_was_made_first_serves(r, waiting):
    """Not the first one that the client named."""
    client = waiting("BZPOPMIN a b c 0")
    r.pipeline("MULTI", "ZADD c 1 x", "ZADD a 2 y", "EXEC")
    assert client.reply() == [b"c", b"x", b"1"]
    assert r("ZRANGE a 0 -1") == [b"y"]


# ---- In a transaction -----------------------------------------------------------------------------------


@pytest.mark.parametrize("resp", [2, 3])
def test_inside_a_transaction_nobody_waits(connect, resp):
    r = connect(resp)
    r("MULTI")
    for command in EACH:
        assert r(command.format(0)) == "QUEUED"
    assert r("EXEC") == [None] * len(EACH)
    assert r.raw == b"*3\r\n" + 3 * (b"_\r\n" if resp == 3 else b"*-1\r\n")


def test_inside_a_transaction_what_is_there_is_taken(r):
    r("ZADD k 1 a 2 b 3 c")
    assert r.pipeline("MULTI", "BZPOPMIN k 0", "BZMPOP 0 1 k MAX", "BZPOPMAX k -1", "EXEC")[4] == [
        [b"k", b"a", b"1"], [b"k", [[b"c", b"3"]]], NEGATIVE]


# ---- What ends it, what others see ----------------------------------------------------------------------


@each
def test_unblock(r, connect, waiting, command):
    client = connect()
    client_id = client.id
    unblocked = Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
    for words, raw in [((), b"*-1\r\n"), (("ERROR",), b"-%s\r\n" % unblocked.encode())]:
        waiting(command.format(0), client=client)
        assert r("CLIENT", "UNBLOCK", client_id, *words) == 1
        client.reply()
        assert client.raw == raw
    r("ZADD k 1 a")
    assert r("ZCARD k") == 1


def test_who_was_killed_takes_nothing(r, connect, waiting):
    client = connect()
    client_id = client.id
    waiting("BZPOPMIN k 0", client=client)
    assert r.pipeline(f"CLIENT KILL ID {client_id}", "ZADD k 1 a", "ZCARD k") == [1, 1, 1]
    assert client.is_closed()


def test_events(r, heard, waiting):
    for command, event in zip(EACH, ["zpopmin", "zpopmax", "zpopmin"]):
        client = waiting(command.format(0))
        heard()
        r("ZADD k 1 a")
        client.reply()
        events = [found for found in heard() if found[0] != "new"]
        assert events == [("zadd", "k"), (event, "k"), ("del", "k")]


def test_a_watched_key_that_was_served_has_changed(r, connect, waiting):
    r("WATCH k")
    client = waiting("BZPOPMIN k 0")
    connect()("ZADD k 1 a")
    client.reply()
    r("MULTI")
    assert r("EXEC") is None
