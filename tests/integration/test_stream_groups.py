"""Consumer groups of streams: who reads what, who holds what, what is left behind, and who is told when it is gone."""
import random

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Error, eventually
from harness.server import is_slow_build

pytestmark = pytest.mark.core

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
NO_SUCH_KEY = Error("ERR no such key")
INVALID_ID = Error("ERR Invalid stream ID specified as stream command argument")
EXISTS_ALREADY = Error("BUSYGROUP Consumer Group name already exists")
NO_STREAM = Error("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
                  "MKSTREAM option to create an empty stream automatically.")
NO_GROUP = Error("NOGROUP No such key 'k' or consumer group 'none'")
NO_GROUP_IN_KEY = Error("NOGROUP No such consumer group 'none' for key name 'k'")
NO_GROUP_TO_READ = Error("NOGROUP No such key 'k' or consumer group 'g' in XREADGROUP with GROUP option")
like_redis_7_2 = pytest.mark.skua_only("as Redis 7.2")


def wrong_subcommand(container, name):
    return Error(f"ERR unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP.")


def add(r, *ids, key="k"):
    for entry in ids:
        r("XADD", key, entry, "field", "of " + entry)


def entry(entry_id):
    return [entry_id.encode(), [b"field", b"of " + entry_id.encode()]]


def entries(*ids):
    return [[b"k", [entry(i) for i in ids]]]


def read(r, consumer, *options, key="k", since=">"):
    return r("XREADGROUP", "GROUP", "g", consumer, *options, "STREAMS", key, since)


def held(r, *consumer):
    """Ids, holders and numbers of deliveries of what is pending."""
    return [(row[0].decode(), row[1].decode(), row[3]) for row in r("XPENDING", "k", "g", "-", "+", "1000000", *consumer)]


def fields(reply):
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2])}


def group(r, name="g"):
    found = [fields(row) for row in r("XINFO GROUPS k")]
    return next(row for row in found if row["name"] == name.encode())


def consumers(r):
    return {fields(row)["name"].decode(): fields(row) for row in r("XINFO CONSUMERS k g")}


@pytest.fixture
def stream(r):
    """Five entries and a group that has read none of them."""
    add(r, "1-1", "1-2", "2-0", "3-0", "4-7")
    r("XGROUP CREATE k g 0")


# ---- XGROUP ---------------------------------------------------------------------------------------------


def test_a_group_begins_where_it_is_told(r):
    add(r, "1-1", "2-1")
    for name, start, last in ("all", "0", b"0-0"), ("new", "$", b"2-1"), ("some", "1-1", b"1-1"), ("later", "9", b"9-0"):
        assert r("XGROUP", "CREATE", "k", name, start) == "OK"
        assert group(r, name)["last-delivered-id"] == last
    assert [fields(row)["name"] for row in r("XINFO GROUPS k")] == [b"all", b"later", b"new", b"some"]


def test_two_groups_of_one_name_there_are_not(r, stream):
    assert r("XGROUP CREATE k g $") == EXISTS_ALREADY
    assert r("XGROUP CREATE k g 0 MKSTREAM") == EXISTS_ALREADY


def test_a_stream_is_made_on_request_only(r):
    assert r("XGROUP CREATE k g $") == NO_STREAM
    assert r("XGROUP CREATE k g bad MKSTREAM") == INVALID_ID
    assert r("EXISTS k") == 0
    assert r("XGROUP CREATE k g $ MKSTREAM") == "OK"
    assert r("TYPE k") == "stream" and r("XLEN k") == 0
    assert r("XGROUP CREATE k h 0 mkstream entriesread 4") == "OK"
    assert group(r, "h")["entries-read"] == 4


@pytest.mark.parametrize("subcommand", ["SETID k g 0", "DESTROY k g", "CREATECONSUMER k g c", "DELCONSUMER k g c"])
def test_subcommands_want_a_stream(r, subcommand):
    assert r("XGROUP " + subcommand) == NO_STREAM
    r("SET k text")
    assert r("XGROUP " + subcommand) == WRONG_TYPE
    assert r("XGROUP CREATE k g $") == WRONG_TYPE


def test_and_a_group(r, stream):
    for subcommand in "SETID k none 0", "CREATECONSUMER k none c", "DELCONSUMER k none c":
        assert r("XGROUP " + subcommand) == NO_GROUP_IN_KEY
    assert r("XGROUP DESTROY k none") == 0


def test_words_that_xgroup_does_not_know(r, stream):
    assert r("XGROUP CREATE k h 0 FOO") == wrong_subcommand("XGROUP", "CREATE")
    assert r("XGROUP CREATE k h 0 ENTRIESREAD") == wrong_subcommand("XGROUP", "CREATE")
    assert r("XGROUP CREATE k h 0 MKSTREAM MKSTREAM ENTRIESREAD 3") == wrong_subcommand("XGROUP", "CREATE")
    assert r("XGROUP SETID k g 0 MKSTREAM") == wrong_subcommand("XGROUP", "SETID")
    assert r("XGROUP SETID k g 0 ENTRIESREAD 1 ENTRIESREAD 1") == wrong_subcommand("XGROUP", "SETID")
    assert r("XGROUP CREATE k h 0 ENTRIESREAD ten") == NOT_AN_INTEGER
    assert r("XGROUP CREATE k h 0 ENTRIESREAD -2") == Error("ERR value for ENTRIESREAD must be positive or -1")
    assert r("XGROUP CREATE k h 0 ENTRIESREAD -1") == "OK"
    assert r("XGROUP CREATE k h") == wrong_arity("xgroup|create")
    for start in "bad", "-", "+", "(1", "1-*":
        assert r("XGROUP", "CREATE", "k", "i", start) == INVALID_ID


def test_setid_goes_back_and_forth(r, stream):
    assert read(r, "c", "COUNT", 2) == entries("1-1", "1-2")
    assert r("XGROUP SETID k g 3-0") == "OK"
    assert read(r, "c") == entries("4-7")
    assert r("XGROUP SETID k g -") == "OK"
    assert read(r, "d") == entries("1-1", "1-2", "2-0", "3-0", "4-7")
    assert {holder for _, holder, _ in held(r)} == {"d"}  # whoever gets an entry holds it
    assert r("XGROUP SETID k g +") == "OK"
    assert group(r)["last-delivered-id"] == b"18446744073709551615-18446744073709551615"
    assert r("XGROUP SETID k g $ ENTRIESREAD 3") == "OK"
    assert (group(r)["last-delivered-id"], group(r)["entries-read"]) == (b"4-7", 3)


def test_destroying_a_group_forgets_what_was_pending(r, stream):
    read(r, "c")
    assert r("XGROUP DESTROY k g") == 1
    assert r("XINFO GROUPS k") == []
    assert r("XACK k g 1-1") == 0
    assert r("XGROUP CREATE k g 0") == "OK"
    assert r("XPENDING k g") == [0, None, None, None]


def test_consumers_come_and_go(r, stream):
    assert r("XGROUP CREATECONSUMER k g c") == 1
    assert r("XGROUP CREATECONSUMER k g c") == 0
    read(r, "c", "COUNT", 3)
    read(r, "d")
    assert r("XGROUP DELCONSUMER k g c") == 3
    assert r("XGROUP DELCONSUMER k g c") == 0
    assert held(r) == [("3-0", "d", 1), ("4-7", "d", 1)]
    assert list(consumers(r)) == ["d"]


def test_events_of_groups(r, heard):
    r("XGROUP CREATE k g $ MKSTREAM")
    r("XGROUP CREATECONSUMER k g c")
    r("XGROUP CREATECONSUMER k g c")
    r("XGROUP SETID k g 0")
    r("XGROUP DELCONSUMER k g c")
    r("XGROUP DELCONSUMER k g c")
    r("XGROUP DESTROY k g")
    r("XGROUP DESTROY k g")
    assert heard() == [("xgroup-create", "k"), ("xgroup-createconsumer", "k"), ("xgroup-setid", "k"),
                       ("xgroup-delconsumer", "k"), ("xgroup-destroy", "k")]


def test_a_consumer_is_made_once_by_whatever_names_it_first(r, stream, heard):
    read(r, "c", "COUNT", 1)
    read(r, "c", "COUNT", 1)
    r("XCLAIM k g d 0 1-1")
    r("XAUTOCLAIM k g e 0 0")
    assert heard() == [("xgroup-createconsumer", "k")] * 3
    assert sorted(consumers(r)) == ["c", "d", "e"]


# ---- XREADGROUP -----------------------------------------------------------------------------------------


def test_each_entry_goes_to_one_consumer(r, stream):
    assert read(r, "c", "COUNT", 2) == entries("1-1", "1-2")
    assert read(r, "d", "COUNT", 2) == entries("2-0", "3-0")
    assert read(r, "c") == entries("4-7")
    assert read(r, "d") is None
    assert held(r) == [("1-1", "c", 1), ("1-2", "c", 1), ("2-0", "d", 1), ("3-0", "d", 1), ("4-7", "c", 1)]


def test_groups_do_not_know_of_each_other(r, stream):
    r("XGROUP CREATE k h 2-0")
    read(r, "c")
    assert r("XREADGROUP GROUP h c STREAMS k >") == entries("3-0", "4-7")


def test_history_is_what_the_consumer_holds(r, stream):
    read(r, "c", "COUNT", 3)
    read(r, "d")
    assert read(r, "c", since="0") == entries("1-1", "1-2", "2-0")
    assert read(r, "c", "COUNT", 1, since="1-1") == entries("1-2")
    assert read(r, "c", since="2-0") == entries()
    assert read(r, "e", since="0") == entries()
    assert held(r)[:3] == [("1-1", "c", 2), ("1-2", "c", 3), ("2-0", "c", 2)]


def test_history_names_what_is_gone(r, r3, stream):
    read(r, "c")
    r("XDEL k 1-2")
    r("XTRIM k MINID 1-2")
    gone = [b"1-1", None], [b"1-2", None]
    assert read(r, "c", "COUNT", 3, since="0") == [[b"k", [*gone, entry("2-0")]]]
    assert held(r)[0] == ("1-1", "c", 1)
    assert read(r3, "c", "COUNT", 2, since="0") == {b"k": [*gone]}


def test_noack_leaves_nothing_behind(r, stream):
    assert read(r, "c", "NOACK", "COUNT", 2) == entries("1-1", "1-2")
    assert held(r) == []
    assert read(r, "c") == entries("2-0", "3-0", "4-7")


def test_several_streams(r, stream):
    add(r, "5-5", key="l")
    r("XGROUP CREATE l g 0")
    both = "XREADGROUP GROUP g c COUNT 1 STREAMS k l > {}"
    assert r(both.format(">")) == [[b"k", [entry("1-1")]], [b"l", [entry("5-5")]]]
    assert r(both.format("0")) == [[b"k", [entry("1-2")]], [b"l", [entry("5-5")]]]
    assert r(both.format(">")) == [[b"k", [entry("2-0")]]]
    assert r("XREADGROUP GROUP g c STREAMS k none > >") == Error(
        "NOGROUP No such key 'none' or consumer group 'g' in XREADGROUP with GROUP option")
    assert r(both.format("$")).startswith("ERR The $ ID is meaningless")
    assert held(r) == [("1-1", "c", 1), ("1-2", "c", 1), ("2-0", "c", 1)]  # an error means that nothing was read


def test_maps_of_streams_in_resp3(r3, stream):
    assert read(r3, "c", "COUNT", 1) == {b"k": [entry("1-1")]}
    assert read(r3, "c", since="9") == {b"k": []}
    read(r3, "c")
    assert read(r3, "c") is None


def test_words_that_xreadgroup_refuses(r, stream, is_redis):
    assert r("XREADGROUP GROUP g c STREAMS k bad") == INVALID_ID
    assert r("XREADGROUP GROUP g c STREAMS k -") == INVALID_ID
    assert r("XREADGROUP GROUP g c COUNT ten STREAMS k >") == NOT_AN_INTEGER
    assert r("XREADGROUP GROUP g c BLOCK ten STREAMS k >") == Error("ERR timeout is not an integer or out of range")
    assert r("XREADGROUP GROUP g c BLOCK -1 STREAMS k >") == Error("ERR timeout is negative")
    assert r("XREADGROUP GROUP g c FOO STREAMS k >") == SYNTAX_ERROR
    assert r("XREADGROUP GROUP g c COUNT 1 k >") == SYNTAX_ERROR
    assert r("XREADGROUP COUNT 1 BLOCK 1 STREAMS k >") == Error("ERR Missing GROUP option for XREADGROUP")
    assert r("XREADGROUP GROUP g c STREAMS k") == wrong_arity("xreadgroup")
    assert r("XREADGROUP GROUP none c STREAMS k >").startswith("NOGROUP No such key 'k' or consumer group 'none'")
    r("SET s text")
    assert r("XREADGROUP GROUP g c STREAMS s >") == WRONG_TYPE
    if not is_redis:
        assert r("XREADGROUP GROUP g c STREAMS k k >") == Error(
            "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.")
        assert r("XREADGROUP GROUP g c STREAMS k +").startswith("ERR The + ID is meaningless")


def test_the_last_of_an_option_counts(r, stream):
    reply = r("XREADGROUP GROUP none x COUNT 4 COUNT 1 NOACK NOACK GROUP g c STREAMS k >")
    assert reply == entries("1-1")
    assert read(r, "c", "COUNT", 0) == entries("1-2", "2-0", "3-0", "4-7")  # 0 and less: all


# ---- Waiting --------------------------------------------------------------------------------------------

WAIT = "XREADGROUP GROUP g {} BLOCK 0 STREAMS k >"


@pytest.fixture
def empty(r):
    r("XGROUP CREATE k g $ MKSTREAM")


def nobody_waits(r):
    return eventually(lambda: r.info("clients")["blocked_clients"] == "0", "nobody waits")


def test_who_waits_gets_what_comes(r, empty, waiting):
    client = waiting(WAIT.format("c"))
    add(r, "1-1")
    assert client.reply() == entries("1-1")
    assert held(r) == [("1-1", "c", 1)]
    nobody_waits(r)


def test_in_resp3_too(r, empty, waiting):
    client = waiting(WAIT.format("c"), resp=3)
    add(r, "1-1")
    assert client.reply() == {b"k": [entry("1-1")]}


def test_each_entry_goes_to_the_one_who_came_first(r, empty, waiting):
    first, second, third = [waiting(WAIT.format(name)) for name in "abc"]
    add(r, "1-1")
    assert first.reply() == entries("1-1")
    add(r, "2-2")
    assert second.reply() == entries("2-2")
    waiting(WAIT.format("a"), client=first)
    add(r, "3-3")
    assert third.reply() == entries("3-3")
    add(r, "4-4")
    assert first.reply() == entries("4-4")
    assert held(r) == [("1-1", "a", 1), ("2-2", "b", 1), ("3-3", "c", 1), ("4-4", "a", 1)]


def test_what_a_transaction_adds_goes_out_in_the_order_of_waiting(r, empty, waiting):
    clients = [waiting(f"XREADGROUP GROUP g {name} COUNT {count} BLOCK 0 STREAMS k >")
               for name, count in (("a", 2), ("b", 1), ("c", 5))]
    r.pipeline("MULTI", *[f"XADD k {i}-1 field {i}" for i in range(1, 5)], "EXEC")
    assert [row[0] for client in clients for row in client.reply()[0][1]] == [b"1-1", b"2-1", b"3-1", b"4-1"]


def test_every_group_gets_its_own(r, empty, waiting):
    r("XGROUP CREATE k h $")
    one, other, reader = waiting(WAIT.format("a")), waiting(WAIT.replace("g", "h").format("a")), waiting("XREAD BLOCK 0 STREAMS k $")
    add(r, "1-1")
    assert one.reply() == other.reply() == reader.reply() == entries("1-1")


def test_any_of_several_streams(r, empty, waiting):
    r("XGROUP CREATE l g $ MKSTREAM")
    client = waiting("XREADGROUP GROUP g c BLOCK 0 STREAMS k l > >")
    add(r, "1-1", key="l")
    assert client.reply() == [[b"l", [entry("1-1")]]]


def test_history_never_waits(r, empty):
    assert read(r, "c", "BLOCK", 0, since="0") == entries()


def test_transactions_never_wait(r, empty):
    assert r.pipeline("MULTI", WAIT.format("c"), "EXEC")[-1] == [None]


def test_the_time_is_over(r, r3, empty):
    assert read(r, "c", "BLOCK", 1) is None
    assert read(r3, "c", "BLOCK", 1) is None


def test_unblocked_by_another_client(r, empty, waiting):
    client = waiting(WAIT.format("c"))
    ids = [row["id"] for row in r.client_list() if row["cmd"] == "xreadgroup"]
    assert r("CLIENT", "UNBLOCK", ids[0], "ERROR") == 1
    assert client.reply() == Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")


@like_redis_7_2
@pytest.mark.parametrize("loss", ["DEL k", "UNLINK k", "XGROUP DESTROY k g", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1",
                                  "RENAME k other", "MOVE k 1", "PEXPIREAT k 1", "RENAME without k"])
def test_the_group_is_gone(r, waiting, loss):
    add(r, "1-1", key="without")
    listener = waiting("BLPOP k 0")  # who waits for another type does not hear of it
    r("XGROUP CREATE k g $ MKSTREAM")
    client = waiting(WAIT.format("c"))
    assert not isinstance(r(loss), Error)
    assert client.reply() == NO_GROUP_TO_READ
    r("DEL k")
    r("RPUSH k 1")
    assert listener.reply() == [b"k", b"1"]


@like_redis_7_2
def test_the_key_expires(r, empty, waiting):
    client = waiting(WAIT.format("c"))
    r("PEXPIRE k 1")
    assert client.reply() == NO_GROUP_TO_READ


@like_redis_7_2
@pytest.mark.parametrize("change", ["SET k text", "LPUSH other 1\nRENAME other k", "LPUSH other 1\nCOPY other k REPLACE",
                                    "SADD other 1\nSUNIONSTORE k other"], ids=["set", "rename", "copy", "store"])
def test_the_key_is_given_to_another_type(r, empty, waiting, change):
    client = waiting(WAIT.format("c"))
    for command in change.splitlines():
        assert not isinstance(r(command), Error)
    assert client.reply() == WRONG_TYPE


def test_a_transaction_that_gives_back_what_it_took_is_not_noticed(r, empty, waiting):
    client = waiting(WAIT.format("c"))
    r.pipeline("MULTI", "DEL k", "XGROUP CREATE k g $ MKSTREAM", "EXEC")
    add(r, "1-1")
    assert client.reply() == entries("1-1")


def test_another_stream_with_the_group_is_as_good(r, empty, waiting):
    client = waiting(WAIT.format("c"))
    r("XGROUP CREATE other g 0 MKSTREAM")
    add(r, "1-1", key="other")
    r("RENAME other k")
    assert client.reply() == entries("1-1")


@like_redis_7_2
def test_an_entry_that_is_deleted_at_once_is_never_seen(r, empty, waiting):
    client = waiting(WAIT.format("c"))
    r.pipeline("MULTI", "XADD k 1-1 a b", "XDEL k 1-1", "EXEC")
    add(r, "2-2")
    assert client.reply() == entries("2-2")


@like_redis_7_2
def test_keys_that_are_waited_for_are_counted(r, waiting):
    def counts():
        info = r.info("clients")
        return int(info["total_blocking_keys"]), int(info["total_blocking_keys_on_nokey"])

    first, third = waiting("BLPOP k l 0"), waiting("BZPOPMIN l m 0")
    r("XGROUP CREATE k g $ MKSTREAM")
    second = waiting(WAIT.format("c"))
    assert counts() == (3, 1)
    r("DEL k")
    assert second.reply() == NO_GROUP_TO_READ
    assert counts() == (3, 0)
    third.close()
    eventually(lambda: counts() == (2, 0), "the client is gone")
    first.close()
    eventually(lambda: counts() == (0, 0), "both are gone")


# ---- XACK and XPENDING ----------------------------------------------------------------------------------


def test_acknowledging(r, stream):
    read(r, "c", "COUNT", 4)
    assert r("XACK k g 1-1 3-0 4-7 9-9 1-1") == 2
    assert held(r) == [("1-2", "c", 1), ("2-0", "c", 1)]
    assert r("XACK k g 1-2 bad") == INVALID_ID
    assert len(held(r)) == 2
    assert r("XACK k none 1-2") == r("XACK none g 1-2") == r("XACK none g bad") == 0
    r("SET s text")
    assert r("XACK s g 1-2") == WRONG_TYPE


def test_the_sum_of_what_is_pending(r, r3, stream):
    assert r("XPENDING k g") == r3("XPENDING k g") == [0, None, None, None]
    read(r, "c", "COUNT", 2)
    read(r, "a", "COUNT", 1)
    read(r, "b", since="0")
    assert r("XPENDING k g") == [3, b"1-1", b"2-0", [[b"a", b"1"], [b"c", b"2"]]]


def test_ranges_of_what_is_pending(r, stream):
    def ids(*words):
        return [row[0].decode() for row in r("XPENDING", "k", "g", *words)]

    read(r, "c", "COUNT", 3)
    read(r, "d")
    assert ids("-", "+", 10) == ["1-1", "1-2", "2-0", "3-0", "4-7"]
    assert ids("-", "+", 2) == ["1-1", "1-2"]
    assert ids("1", "1", 10) == ["1-1", "1-2"]
    assert ids("(1-1", "(4-7", 10) == ["1-2", "2-0", "3-0"]
    assert ids("-", "+", 10, "d") == ["3-0", "4-7"]
    assert ids("2-0", "3", 10, "c") == ["2-0"]
    assert ids("-", "+", 10, "nobody") == ids("+", "-", 10) == ids("-", "+", 0) == ids("-", "+", -1) == []
    first, consumer, idle_ms, deliveries = r("XPENDING k g - + 1")[0]
    assert (first, consumer, deliveries) == (b"1-1", b"c", 1) and idle_ms >= 0


def test_only_what_is_idle(r, stream):
    read(r, "c")
    r("XCLAIM k g c 0 1-2 2-0 IDLE 1000000 JUSTID")
    r("XCLAIM k g d 0 3-0 IDLE 1000000 JUSTID")
    assert [row[0] for row in r("XPENDING k g IDLE 900000 - + 10")] == [b"1-2", b"2-0", b"3-0"]
    assert [row[0] for row in r("XPENDING k g IDLE 900000 - + 2")] == [b"1-2", b"2-0"]
    assert [row[0] for row in r("XPENDING k g IDLE 900000 - + 10 d")] == [b"3-0"]
    assert len(r("XPENDING k g IDLE 0 - + 10")) == len(r("XPENDING k g IDLE -1 - + 10")) == 5
    assert r("XPENDING k g - + 10")[1][2] >= 1000000


def test_words_that_xpending_refuses(r, stream):
    for words in "-", "- +", "IDLE 5", "IDLE 5 - +", "IDLE 5 - + 10 c d", "x 5 - + 10 c d":
        assert r("XPENDING k g " + words) == SYNTAX_ERROR
    assert r("XPENDING k g IDLE x - + 10") == r("XPENDING k g - + x") == NOT_AN_INTEGER
    assert r("XPENDING k g bad + 10") == r("XPENDING k g - (+ 10") == INVALID_ID
    assert r("XPENDING k g (18446744073709551615-18446744073709551615 + 1") == Error(
        "ERR invalid start ID for the interval")
    assert r("XPENDING k g - (0-0 1") == Error("ERR invalid end ID for the interval")
    assert r("XPENDING k none") == r("XPENDING k none - + 10") == NO_GROUP
    r("SET s text")
    assert r("XPENDING s g") == WRONG_TYPE


# ---- XCLAIM and XAUTOCLAIM ------------------------------------------------------------------------------


def test_claiming_takes_entries_over(r, stream):
    read(r, "c", "COUNT", 3)
    assert r("XCLAIM k g d 0 1-1 2-0 4-7 9-9") == [entry("1-1"), entry("2-0")]
    assert held(r) == [("1-1", "d", 2), ("1-2", "c", 1), ("2-0", "d", 2)]
    assert r("XCLAIM k g d 0 1-1 1-2 JUSTID") == [b"1-1", b"1-2"]
    assert held(r) == [("1-1", "d", 2), ("1-2", "d", 1), ("2-0", "d", 2)]


def test_only_entries_that_were_left_alone_are_claimed(r, stream):
    read(r, "c", "COUNT", 2)
    assert r("XCLAIM k g d 1000000 1-1 1-2") == []
    r("XCLAIM k g c 0 1-1 IDLE 2000000 JUSTID")
    assert r("XCLAIM k g d 1000000 1-1 1-2 JUSTID") == [b"1-1"]
    assert r("XCLAIM k g d -5 1-2 JUSTID") == [b"1-2"]


def test_what_a_claim_sets(r, stream):
    read(r, "c", "COUNT", 2)
    r("XCLAIM k g c 0 1-1 RETRYCOUNT 7 IDLE 5000000")
    r("XCLAIM k g c 0 1-2 TIME 1000 RETRYCOUNT 0")
    first, second = r("XPENDING k g - + 10")
    assert first[3] == 7 and 5000000 <= first[2] < 6000000
    assert second[3] == 0 and second[2] > 10 ** 12
    r("XCLAIM k g c 0 1-1 1-2 TIME 99999999999999 RETRYCOUNT -1 JUSTID")  # a time to come is now, -1 is not set
    assert [(row[3], row[2] < 1000000) for row in r("XPENDING k g - + 10")] == [(7, True), (0, True)]


def test_force_claims_what_nobody_holds(r, stream):
    assert r("XCLAIM k g d 0 1-1") == []
    assert r("XCLAIM k g d 0 1-1 FORCE") == [entry("1-1")]
    assert r("XCLAIM k g d 1000000 1-2 9-9 FORCE JUSTID") == [b"1-2"]
    assert held(r) == [("1-1", "d", 2), ("1-2", "d", 1)]


def test_claims_clear_away_what_is_gone(r, stream):
    read(r, "c")
    r("XDEL k 1-1 3-0")
    assert r("XCLAIM k g d 0 1-1 1-2 JUSTID") == [b"1-2"]
    assert held(r) == [("1-2", "d", 1), ("2-0", "c", 1), ("3-0", "c", 1), ("4-7", "c", 1)]
    assert r("XAUTOCLAIM k g d 0 - JUSTID") == [b"0-0", [b"1-2", b"2-0", b"4-7"], [b"3-0"]]


def test_lastid_moves_the_group_forward(r, stream):
    r("XCLAIM k g d 0 1-1 LASTID 2-0")
    assert group(r)["last-delivered-id"] == b"2-0"
    r("XCLAIM k g d 0 1-1 LASTID 1-0")
    assert group(r)["last-delivered-id"] == b"2-0"


def test_words_that_xclaim_refuses(r, stream):
    assert r("XCLAIM k g d 0 1-1 FOO") == Error("ERR Unrecognized XCLAIM option 'FOO'")
    assert r("XCLAIM k g d 0 1-1 JUSTID 1-2") == Error("ERR Unrecognized XCLAIM option '1-2'")
    assert r("XCLAIM k g d 0 1-1 IDLE") == Error("ERR Unrecognized XCLAIM option 'IDLE'")
    for option in "IDLE", "TIME", "RETRYCOUNT":
        assert r("XCLAIM", "k", "g", "d", "0", "1-1", option, "x") == Error(f"ERR Invalid {option} option argument for XCLAIM")
    assert r("XCLAIM k g d 0 1-1 LASTID x") == INVALID_ID
    assert r("XCLAIM k g d x 1-1") == Error("ERR Invalid min-idle-time argument for XCLAIM")
    assert r("XCLAIM k none d x x") == NO_GROUP
    assert r("XCLAIM k g d 0") == wrong_arity("xclaim")
    assert consumers(r) == {}
    r("SET s text")
    assert r("XCLAIM s g d 0 1-1") == r("XAUTOCLAIM s g d 0 0") == WRONG_TYPE


def test_autoclaim_goes_through_all(r, stream):
    read(r, "c")
    assert r("XAUTOCLAIM k g d 0 - COUNT 2") == [b"2-0", [entry("1-1"), entry("1-2")], []]
    assert r("XAUTOCLAIM k g d 0 2-0 COUNT 2 JUSTID") == [b"4-7", [b"2-0", b"3-0"], []]
    assert r("XAUTOCLAIM k g d 0 (3-0 COUNT 2 JUSTID") == [b"0-0", [b"4-7"], []]
    assert r("XAUTOCLAIM k g d 0 +") == [b"0-0", [], []]
    assert held(r) == [("1-1", "d", 2), ("1-2", "d", 2), ("2-0", "d", 1), ("3-0", "d", 1), ("4-7", "d", 1)]
    assert r("XAUTOCLAIM k g e 1000000 -") == [b"0-0", [], []]


def test_what_is_gone_counts_as_claimed(r, stream):
    read(r, "c")
    r("XDEL k 1-1 1-2")
    assert r("XAUTOCLAIM k g d 0 - COUNT 1") == [b"1-2", [], [b"1-1"]]
    assert r("XAUTOCLAIM k g d 1000000 - COUNT 3") == [b"0-0", [], [b"1-2"]]


def test_autoclaim_looks_at_ten_entries_for_each(r):
    r("XGROUP CREATE k g 0 MKSTREAM")
    add(r, *[f"{i}-1" for i in range(1, 31)])
    read(r, "c")
    assert r("XAUTOCLAIM k g d 1000000 - COUNT 2") == [b"21-1", [], []]
    r("XCLAIM k g c 0 15-1 IDLE 2000000 JUSTID")
    assert r("XAUTOCLAIM k g d 1000000 - COUNT 1 JUSTID") == [b"11-1", [], []]
    assert r("XAUTOCLAIM k g d 1000000 11-1 COUNT 1 JUSTID") == [b"16-1", [b"15-1"], []]


def test_words_that_xautoclaim_refuses(r, stream):
    for count in "0", "-1", "x", "9223372036854775807":
        assert r("XAUTOCLAIM", "k", "g", "d", "0", "-", "COUNT", count) == Error("ERR COUNT must be > 0")
    assert r("XAUTOCLAIM k g d 0 - COUNT") == r("XAUTOCLAIM k none d 0 - FOO") == SYNTAX_ERROR
    assert r("XAUTOCLAIM k none d x bad FOO") == Error("ERR Invalid min-idle-time argument for XAUTOCLAIM")
    assert r("XAUTOCLAIM k none d 0 bad FOO") == INVALID_ID
    assert r("XAUTOCLAIM k g d 0 (18446744073709551615-18446744073709551615") == Error(
        "ERR invalid start ID for the interval")
    assert r("XAUTOCLAIM k none d 0 -") == NO_GROUP


def test_the_greatest_id(r):
    last = "18446744073709551615-18446744073709551615"
    add(r, last)
    r("XGROUP CREATE k g 0")
    assert read(r, "c") == entries(last)
    assert read(r, "c") is None
    assert read(r, "c", since="0") == entries(last)
    assert read(r, "c", since=last) is None  # nothing is behind it: it means the same as ">"
    assert r("XAUTOCLAIM k g d 0 - JUSTID") == [b"0-0", [last.encode()], []]
    assert r("XACK", "k", "g", last) == 1


# ---- XINFO ----------------------------------------------------------------------------------------------


def test_what_is_known_of_groups(r, r3, stream):
    read(r, "c", "COUNT", 2)
    r("XGROUP CREATECONSUMER k g d")
    expected = {b"name": b"g", b"consumers": 2, b"pending": 2, b"last-delivered-id": b"1-2", b"entries-read": 2, b"lag": 3}
    assert r3("XINFO GROUPS k") == [expected]
    assert r("XINFO GROUPS k") == [[part for pair in expected.items() for part in pair]]


@like_redis_7_2
def test_what_is_known_of_consumers(r, r3, stream):
    read(r, "c", "COUNT", 2)
    read(r, "d", since="0")
    rows = r3("XINFO CONSUMERS k g")
    assert [list(row) for row in rows] == [[b"name", b"pending", b"idle", b"inactive"]] * 2
    assert [(row[b"name"], row[b"pending"]) for row in rows] == [(b"c", 2), (b"d", 0)]
    assert 0 <= rows[0][b"idle"] <= rows[0][b"inactive"] + 1
    assert rows[1][b"inactive"] == -1
    assert [name for name in r("XINFO CONSUMERS k g")[0][::2]] == list(rows[0])


@like_redis_7_2
def test_asking_is_being_seen_getting_is_being_active(r, empty):
    def times():
        return {name: (row["idle"] >= 20, row["inactive"] >= 20) for name, row in consumers(r).items()}

    def pause():
        eventually(lambda: times()["c"] == (True, True), "time passes")

    add(r, "1-1", "1-2")
    read(r, "c", "COUNT", 1)
    pause()
    assert read(r, "c", since="0") == entries("1-1")
    assert times()["c"][1]
    pause()
    r("XCLAIM k g c 1000000 1-1")
    assert times()["c"][1]
    r("XREADGROUP GROUP g d NOACK STREAMS k >")
    assert consumers(r)["d"]["inactive"] == -1


def test_what_there_is_not(r, stream):
    assert r("XINFO GROUPS none") == r("XINFO CONSUMERS none g") == r("XINFO STREAM none") == NO_SUCH_KEY
    assert r("XINFO STREAM none FULL x") == NO_SUCH_KEY
    assert r("XINFO CONSUMERS k none") == NO_GROUP_IN_KEY
    r("SET s text")
    assert r("XINFO GROUPS s") == r("XINFO CONSUMERS s g") == r("XINFO STREAM s") == WRONG_TYPE
    for words in "FOO", "FULL COUNT", "FULL FOO 2", "COUNT 2", "FULL COUNT 2 2":
        assert r("XINFO STREAM k " + words) == wrong_subcommand("XINFO", "STREAM")
    assert r("XINFO STREAM k FULL COUNT x") == NOT_AN_INTEGER
    assert r("XINFO GROUPS") == wrong_arity("xinfo|groups")


def test_a_stream_in_short(r, stream):
    info = fields(r("XINFO STREAM k"))
    assert list(info) == ["length", "radix-tree-keys", "radix-tree-nodes", "last-generated-id", "max-deleted-entry-id",
                          "entries-added", "recorded-first-entry-id", "groups", "first-entry", "last-entry"]
    assert (info["length"], info["groups"]) == (5, 1)
    assert (info["first-entry"], info["last-entry"]) == (entry("1-1"), entry("4-7"))


@like_redis_7_2
def test_a_stream_in_full(r3, stream):
    read(r3, "c", "COUNT", 3)
    read(r3, "d", "COUNT", 1)
    info = r3("XINFO STREAM k FULL")
    assert info[b"entries"] == [entry(i) for i in ("1-1", "1-2", "2-0", "3-0", "4-7")]
    [found] = info[b"groups"]
    assert list(found) == [b"name", b"last-delivered-id", b"entries-read", b"lag", b"pel-count", b"pending", b"consumers"]
    assert (found[b"entries-read"], found[b"lag"], found[b"pel-count"]) == (4, 1, 4)
    assert [(row[0], row[1], row[3]) for row in found[b"pending"]] == [
        (b"1-1", b"c", 1), (b"1-2", b"c", 1), (b"2-0", b"c", 1), (b"3-0", b"d", 1)]
    first = found[b"consumers"][0]
    assert list(first) == [b"name", b"seen-time", b"active-time", b"pel-count", b"pending"]
    assert first[b"seen-time"] >= first[b"active-time"] > 10 ** 12
    assert [(row[0], row[2]) for row in first[b"pending"]] == [(b"1-1", 1), (b"1-2", 1), (b"2-0", 1)]


def test_count_bounds_every_list(r):
    r("XGROUP CREATE k g 0 MKSTREAM")
    add(r, *[f"{i}-1" for i in range(1, 16)])
    read(r, "c")

    def sizes(*words):
        info = fields(r("XINFO", "STREAM", "k", "FULL", *words))
        found = fields(info["groups"][0])
        return len(info["entries"]), len(found["pending"]), len(fields(found["consumers"][0])["pending"]), found["pel-count"]

    assert sizes() == sizes("COUNT", "-3") == (10, 10, 10, 15)
    assert sizes("COUNT", "4") == (4, 4, 4, 15)
    assert sizes("COUNT", "0") == sizes("COUNT", "99") == (15, 15, 15, 15)


def test_progress_where_it_is_known(r, stream):
    assert (group(r)["entries-read"], group(r)["lag"]) == (None, 5)
    read(r, "c", "COUNT", 1)
    assert (group(r)["entries-read"], group(r)["lag"]) == (1, 4)
    r("XGROUP CREATE k last $")
    assert (group(r, "last")["entries-read"], group(r, "last")["lag"]) == (None, 0)
    r("XGROUP CREATE k midst 2-0")
    assert (group(r, "midst")["entries-read"], group(r, "midst")["lag"]) == (None, None)
    r("XREADGROUP GROUP midst c COUNT 1 STREAMS k >")
    assert group(r, "midst")["lag"] is None
    r("XREADGROUP GROUP midst c STREAMS k >")
    assert (group(r, "midst")["entries-read"], group(r, "midst")["lag"]) == (5, 0)


def test_an_entry_deleted_ahead_makes_the_lag_unknown(r, stream):
    read(r, "c", "COUNT", 1)
    r("XDEL k 3-0")
    assert group(r)["lag"] is None
    read(r, "c", "COUNT", 2)
    assert group(r)["lag"] is None
    read(r, "c")
    assert (group(r)["entries-read"], group(r)["lag"]) == (5, 0)


@pytest.mark.skua_only("redis-server 7.0 counts on")
def test_entries_cut_off_before_a_group_has_read_them_count(r, stream):
    r("XADD k 6-0 f v")
    read(r, "c", "COUNT", 2)
    assert (group(r)["entries-read"], group(r)["lag"]) == (2, 4)
    r("XTRIM k MINID = 4-7")
    assert (group(r)["entries-read"], group(r)["lag"]) == (2, 4)
    read(r, "c", "COUNT", 1)
    assert (group(r)["entries-read"], group(r)["lag"]) == (5, 1)
    read(r, "c")
    assert (group(r)["entries-read"], group(r)["lag"]) == (6, 0)


@pytest.mark.skua_only("redis-server 7.0 counts on")
def test_an_entry_deleted_before_a_group_has_read_it_counts(r, stream):
    read(r, "c", "COUNT", 3)
    r("XDEL k 3-0")
    assert (group(r)["entries-read"], group(r)["lag"]) == (3, None)
    read(r, "c", "COUNT", 1)
    assert (group(r)["entries-read"], group(r)["lag"]) == (5, 0)


@pytest.mark.skua_only("redis-server 7.0 goes on with the least of all numbers")
def test_the_number_of_entries_read_ends_somewhere(r, stream):
    r("XGROUP SETID k g 1-1 ENTRIESREAD 9223372036854775807")
    read(r, "c", "COUNT", 2)
    assert group(r)["entries-read"] == 9223372036854775807
    assert group(r)["lag"] == 5 - 9223372036854775807
    r("XSETID k 5-0 ENTRIESADDED 9223372036854775807")
    assert group(r)["lag"] == 0


def test_empty_streams_have_no_lag(r, empty):
    assert (group(r)["entries-read"], group(r)["lag"]) == (None, 0)
    add(r, "1-1")
    r("XDEL k 1-1")
    assert (group(r)["entries-read"], group(r)["lag"]) == (None, 0)


# ---- As values ------------------------------------------------------------------------------------------


def test_copies_go_their_own_ways(r, stream):
    read(r, "c", "COUNT", 3)
    assert r("COPY k l") == 1
    assert r("XACK k g 1-1") == 1
    assert read(r, "d") == entries("3-0", "4-7")
    assert r("XGROUP DELCONSUMER l g c") == 3
    assert held(r) == [("1-2", "c", 1), ("2-0", "c", 1), ("3-0", "d", 1), ("4-7", "d", 1)]
    assert r("XREADGROUP GROUP g e STREAMS l >") == [[b"l", [entry("3-0"), entry("4-7")]]]
    assert r("XPENDING l g") == [2, b"3-0", b"4-7", [[b"e", b"2"]]]
    assert r("XGROUP DESTROY k g") == 1
    assert r("XPENDING l g")[0] == 2


def test_watched_keys_are_not_touched_by_what_groups_do(r, connect, stream):
    other = connect()
    other("WATCH k")
    read(r, "c", "COUNT", 1)
    r("XACK k g 1-1")
    r("XGROUP CREATE k h 0")
    r("XGROUP SETID k h 1")
    assert other.pipeline("MULTI", "PING", "EXEC")[-1] == ["PONG"]
    other("WATCH new")
    r("XGROUP CREATE new g 0 MKSTREAM")
    assert other.pipeline("MULTI", "PING", "EXEC")[-1] is None


@pytest.mark.cells("tcp:0", "shm:4")
def test_many_pending_entries(r):
    """A group of some megabytes: found, claimed, settled, and freed in steps."""
    count, batch = (20_000 if is_slow_build() else 80_000), 1000
    r("XGROUP CREATE k g 0 MKSTREAM")
    for first in range(1, count + 1, batch):
        r.pipeline(*[f"XADD k {i}-1 a b" for i in range(first, first + batch)])
    names = ["a", "b", "c", "d"]
    for position in range(0, count, batch):
        read(r, names[position // batch % 4], "COUNT", batch)
    assert r("XPENDING k g") == [count, b"1-1", b"%d-1" % count, [[name.encode(), b"%d" % (count // 4)] for name in names]]
    assert r("XPENDING", "k", "g", f"{count // 2}", "+", 1)[0][0] == b"%d-1" % (count // 2)
    assert r("XACK", "k", "g", *range(1, count, 7)) == 0  # 7-0 is not 7-1
    assert r("XACK", "k", "g", *[f"{i}-1" for i in range(1, count + 1, 7)]) == len(range(1, count + 1, 7))
    left = sum(1 for i in range(1, count + 1) if (i - 1) // batch % 4 == 1 and i % 7 != 1)
    assert r("XGROUP DELCONSUMER k g b") == left
    assert {name for name, _ in r("XPENDING k g")[3]} == {b"a", b"c", b"d"}
    assert r("XGROUP DESTROY k g") == 1
    assert r("XINFO GROUPS k") == []


class Model:
    """A group as plain dictionaries: what is pending, who holds it, how often it was delivered."""

    def __init__(self):
        self.last, self.pending = 0, {}

    def read(self, name, ids, count):
        found = [i for i in ids if i > self.last][:count]
        for i in found:
            self.pending[i] = [name, 1]
        self.last = found[-1] if found else self.last
        return found


@pytest.mark.cells("tcp:0", "shm:4")
@pytest.mark.parametrize("seed", range(3))
def test_against_a_model(r, seed):
    random.seed(seed)
    model, ids, top = Model(), [], 0
    r("XGROUP CREATE k g 0 MKSTREAM")
    for _ in range(300 if is_slow_build() else 1500):
        name, some = random.choice("abcd"), sorted(random.sample(range(1, top + 2), min(top + 1, random.randint(1, 5))))
        words = [f"{i}-1" for i in some]
        match random.randint(0, 7):
            case 0 | 1 | 2:
                top += 1
                ids.append(top)
                r("XADD", "k", f"{top}-1", "field", "value")
            case 3 | 4:
                count = random.randint(1, 6)
                reply = read(r, name, "COUNT", count) or [[b"k", []]]
                assert [row[0] for row in reply[0][1]] == [b"%d-1" % i for i in model.read(name, ids, count)]
            case 5:
                assert r("XACK", "k", "g", *words) == sum(model.pending.pop(i, None) is not None for i in some)
            case 6:
                taken = [i for i in some if i in model.pending and i in ids]
                for i in some:
                    if i in model.pending and i not in ids:
                        del model.pending[i]
                for i in taken:
                    model.pending[i][0] = name
                assert r("XCLAIM", "k", "g", name, 0, *words, "JUSTID") == [b"%d-1" % i for i in taken]
            case 7 if random.random() < 0.3:
                assert r("XDEL", "k", *words) == sum(i in ids for i in some)
                ids = [i for i in ids if i not in some]
            case 7 if random.random() < 0.1:
                gone = [i for i, (holder, _) in model.pending.items() if holder == name]
                assert r("XGROUP", "DELCONSUMER", "k", "g", name) == len(gone)
                for i in gone:
                    del model.pending[i]
        assert r("XPENDING k g")[0] == len(model.pending)
    assert held(r) == [(f"{i}-1", *model.pending[i]) for i in sorted(model.pending)]
    for name in "abcd":
        assert held(r, name) == [(f"{i}-1", *row) for i, row in sorted(model.pending.items()) if row[0] == name]
