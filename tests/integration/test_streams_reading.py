"""XREAD: what comes behind an id, from several streams, and waiting for it."""
import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Error, eventually

pytestmark = pytest.mark.core

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
INVALID_ID = Error("ERR Invalid stream ID specified as stream command argument")
LAST = "18446744073709551615-18446744073709551615"


def ids(reply):
    """{key: ids} of an answer in RESP2."""
    return reply and {key.decode(): [entry[0].decode() for entry in entries] for key, entries in reply}


def entry(number):
    return [b"%d-0" % number, [b"f", b"v"]]


def nobody_waits(r):
    return eventually(lambda: r.info("clients")["blocked_clients"] == "0", "nobody waits")


@pytest.fixture
def streams(r):
    """Streams a of 1-0 to 3-0, and b of 5-0."""
    r.pipeline("XADD a 1-0 f v", "XADD a 2-0 f v", "XADD a 3-0 f v", "XADD b 5-0 f v")


# ---- What is there --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize("command, found", [
    ("STREAMS a 0", {"a": ["1-0", "2-0", "3-0"]}), ("STREAMS a 1-0", {"a": ["2-0", "3-0"]}), ("STREAMS a 1", {"a": ["2-0", "3-0"]}),
    ("STREAMS a 3-0", None), ("STREAMS a $", None), ("STREAMS a b 2 0", {"a": ["3-0"], "b": ["5-0"]}),
    ("STREAMS a b 3 0", {"b": ["5-0"]}), ("STREAMS a no 2 0", {"a": ["3-0"]}), ("STREAMS no 0", None), ("STREAMS no $", None),
    ("COUNT 1 STREAMS a b 0 0", {"a": ["1-0"], "b": ["5-0"]}), ("COUNT 0 STREAMS a 0", {"a": ["1-0", "2-0", "3-0"]}),
    ("COUNT -1 STREAMS a 2", {"a": ["3-0"]}), ("BLOCK 0 STREAMS a 2", {"a": ["3-0"]}), ("BLOCK 5 COUNT 1 STREAMS a 1", {"a": ["2-0"]}),
    ("COUNT 1 COUNT 2 STREAMS a 0", {"a": ["1-0", "2-0"]}), ("STREAMS a " + LAST, None)])
def test_entries_behind_an_id(r, command, found):
    assert ids(r("XREAD " + command)) == found


@pytest.mark.usefixtures("streams")
def test_the_form_of_the_answer(r, r3):
    assert r("XREAD STREAMS a b 2 0") == [[b"a", [entry(3)]], [b"b", [entry(5)]]]
    assert r3("XREAD STREAMS a b 2 0") == {b"a": [entry(3)], b"b": [entry(5)]}
    assert r("XREAD STREAMS a $") is None and r.raw == b"*-1\r\n"
    assert r3("XREAD STREAMS a $") is None and r3.raw == b"_\r\n"


def test_the_same_stream_twice(r, streams):
    assert r("XREAD STREAMS a a 1 2") == [[b"a", [entry(2), entry(3)]], [b"a", [entry(3)]]]


def test_nothing_comes_behind_the_last_id(r):
    r(f"XADD s {LAST} f v")
    assert r(f"XREAD STREAMS s {LAST}") is None
    assert r("XREAD STREAMS s $") is None
    assert ids(r("XREAD STREAMS s 18446744073709551615-18446744073709551614")) == {"s": [LAST]}


@pytest.mark.skua_only("since Redis 7.4")
def test_the_last_entry(r, streams):
    assert ids(r("XREAD STREAMS a b no + + +")) == {"a": ["3-0"], "b": ["5-0"]}
    r("XDEL a 3-0")
    assert ids(r("XREAD COUNT 5 STREAMS a +")) == {"a": ["2-0"]}
    r("XTRIM a MAXLEN 0")
    assert r("XREAD STREAMS a +") is None


@pytest.mark.parametrize("command, error", [
    ("XREAD STREAMS a", wrong_arity("xread")), ("XREAD FOO a b", SYNTAX_ERROR), ("XREAD COUNT 1 BLOCK", SYNTAX_ERROR),
    ("XREAD COUNT 1 BLOCK 5", SYNTAX_ERROR), ("XREAD COUNT x STREAMS a 0", NOT_AN_INTEGER), ("XREAD STREAMS a x", INVALID_ID),
    ("XREAD STREAMS a 1-*", INVALID_ID), ("XREAD STREAMS a -", INVALID_ID),
    ("XREAD BLOCK -1 STREAMS a 0", Error("ERR timeout is negative")),
    ("XREAD BLOCK x STREAMS a 0", Error("ERR timeout is not an integer or out of range")),
    ("XREAD BLOCK 1.5 STREAMS a 0", Error("ERR timeout is not an integer or out of range")),
    ("XREAD NOACK STREAMS a 0", Error("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.")),
    ("XREAD GROUP g c STREAMS a 0", Error("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.")),
    ("XREAD STREAMS a >", Error("ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> "
                                "option."))])
def test_malformed(r, command, error):
    assert r(command) == error


@pytest.mark.skua_only("the text is that of Redis 7.2")
def test_ids_for_all_keys(r):
    unbalanced = Error("ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.")
    assert r("XREAD STREAMS a b 0") == r("XREAD STREAMS a 0 1") == unbalanced


def test_another_type_is_refused(r, streams):
    r("SET k text")
    for command in ("XREAD STREAMS k 0", "XREAD STREAMS a k 0 0", "XREAD BLOCK 0 STREAMS k $"):
        assert r(command) == WRONG_TYPE


def test_keys_are_found(r):
    assert r("COMMAND GETKEYS XREAD COUNT 3 BLOCK 5 streams a b 1 2") == [b"a", b"b"]
    assert r("COMMAND GETKEYSANDFLAGS XREAD STREAMS a 1") == [[b"a", ["RO", "access"]]]
    spec = r("COMMAND INFO XREAD")[0][8][0]
    assert spec[2:] == [b"begin_search", [b"type", b"keyword", b"spec", [b"keyword", b"STREAMS", b"startfrom", 1]],
                        b"find_keys", [b"type", b"range", b"spec", [b"lastkey", -1, b"keystep", 1, b"limit", 2]]]


# ---- Waiting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("block", ["0", "100000"])
def test_one_who_waits_gets_what_comes(r, waiting, resp, block):
    r("XADD s 1-0 f v")
    client = waiting(f"XREAD BLOCK {block} STREAMS s $", resp=resp)
    assert r("XADD s 2-0 f v") == b"2-0"
    assert client.reply() == ({b"s": [entry(2)]} if resp == 3 else [[b"s", [entry(2)]]])
    nobody_waits(r)
    assert client("PING") == "PONG"


def test_everybody_who_waits_gets_it(r, waiting):
    clients = [waiting("XREAD BLOCK 0 STREAMS s $") for _ in range(20)]
    r("XADD s 1-0 f v")
    for client in clients:
        assert ids(client.reply()) == {"s": ["1-0"]}
    nobody_waits(r)
    assert r("XLEN s") == 1


def test_the_last_id_is_that_of_when_the_waiting_began(r, waiting):
    r("XADD s 1-0 f v")
    client = waiting("XREAD BLOCK 0 STREAMS s $")
    r.pipeline("MULTI", "XADD s 2-0 f v", "XADD s 3-0 f v", "EXEC")
    assert ids(client.reply()) == {"s": ["2-0", "3-0"]}


def test_an_id_in_the_future(r, waiting):
    client = waiting("XREAD BLOCK 0 STREAMS s 5-0")
    r("XADD s 4-0 f v")
    r("XADD s 5-0 f v")
    r("XADD s 5-1 f v")
    assert ids(client.reply()) == {"s": ["5-1"]}


def test_several_streams(r, waiting):
    client = waiting("XREAD COUNT 1 BLOCK 0 STREAMS a b c $ $ $")
    r("XADD b 1-0 f v")
    assert ids(client.reply()) == {"b": ["1-0"]}
    client = waiting("XREAD BLOCK 0 STREAMS a b c $ $ $", client=client)
    r("XADD c 1-0 f v")
    assert ids(client.reply()) == {"c": ["1-0"]}


@pytest.mark.skua_only("as Redis 7.2, which does the command again; redis-server 7.0 answers with the first stream only")
def test_several_streams_in_one_transaction(r, waiting):
    client = waiting("XREAD BLOCK 0 STREAMS a b $ $")
    r.pipeline("MULTI", "XADD b 1-0 f v", "XADD a 2-0 f v", "EXEC")
    assert ids(client.reply()) == {"a": ["2-0"], "b": ["1-0"]}


@pytest.mark.parametrize("make", [["XADD k 1-0 f v"], ["XADD s 1-0 f v", "RENAME s k"], ["XADD s 1-0 f v", "COPY s k"],
                                  ["SELECT 1", "XADD k 1-0 f v", "MOVE k 0"], ["SELECT 1", "XADD k 1-0 f v", "SWAPDB 0 1"],
                                  ["SET k x", "DEL k", "XADD k 1-0 f v"]], ids=" ".join)
def test_however_the_stream_appears(r, waiting, make):
    client = waiting("XREAD BLOCK 0 STREAMS k $")
    for command in make:
        assert not isinstance(r(command), Error)
    assert ids(client.reply()) == {"k": ["1-0"]}


@pytest.mark.skua_only("as Redis 7.2; redis-server 7.0 answers with an empty array of entries")
def test_entries_that_are_gone_at_the_end_of_the_transaction_are_not_told(r, waiting):
    client = waiting("XREAD BLOCK 0 STREAMS s $")
    r.pipeline("MULTI", "XADD s 1-0 f v", "XDEL s 1-0", "EXEC")
    r.pipeline("MULTI", "XADD s 2-0 f v", "DEL s", "EXEC")
    r("XADD s 3-0 f v")
    assert ids(client.reply()) == {"s": ["3-0"]}


def test_readers_and_those_who_wait_for_lists_do_not_meet(r, waiting):
    reader, taker = waiting("XREAD BLOCK 0 STREAMS k $"), waiting("BLPOP k 0")
    r("RPUSH k 1")
    assert taker.reply() == [b"k", b"1"]
    r("XADD k 1-0 f v")
    assert ids(reader.reply()) == {"k": ["1-0"]}


@pytest.mark.parametrize("resp", [2, 3])
def test_the_time_is_over(connect, resp):
    client = connect(resp)
    assert client("XREAD BLOCK 1 STREAMS s $") is None
    assert client.raw == (b"_\r\n" if resp == 3 else b"*-1\r\n")


def test_inside_a_transaction_nobody_waits(r):
    assert r.pipeline("MULTI", "XREAD BLOCK 0 STREAMS s $", "XADD s 1-0 f v", "XREAD BLOCK 0 STREAMS s 0", "EXEC")[4] == [
        None, b"1-0", [[b"s", [entry(1)]]]]


def test_waiting_is_ended_from_outside(r, waiting):
    client = waiting("XREAD BLOCK 0 STREAMS s $")
    client_id = next(line["id"] for line in r.client_list() if line["cmd"] == "xread")
    assert r(f"CLIENT UNBLOCK {client_id}") == 1
    assert client.reply() is None
    waiting("XREAD BLOCK 0 STREAMS s $", client=client)
    assert r(f"CLIENT UNBLOCK {client_id} ERROR") == 1
    assert client.reply() == Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
    waiting("XREAD BLOCK 0 STREAMS s $", client=client)
    client.close()
    nobody_waits(r)
    assert r("XADD s 1-0 f v") == b"1-0"


def test_an_id_set_ahead_serves_nobody(r, waiting):
    r("XADD s 1-0 f v")
    client = waiting("XREAD BLOCK 0 STREAMS s $")
    r("XSETID s 5-0")
    r("XADD s 6-0 f v")
    assert ids(client.reply()) == {"s": ["6-0"]}
