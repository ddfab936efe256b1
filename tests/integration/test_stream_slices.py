"""Commands of streams and their groups that run in slices: what they answer with, when their effect is seen, and what ends
one. As in test_slices.py, long commands are stopped after their first slice; and what needs no slices because it takes
no longer however much there is."""
import pytest

from harness.resp import Error, eventually

from test_slices import begin, blocked, go_on, long_clients, stopped  # noqa: F401: fixtures

pytestmark = [pytest.mark.core, pytest.mark.threads, pytest.mark.cells("tcp:0", "shm:4"),
              pytest.mark.skua_only("redis-server runs each command in one go")]

CONFIG = {"slice-us": 1}
COUNT = 3000


def entry(number):
    return [b"%d-0" % number, [b"f", b"v%d" % number]]


def fill(r, key="k", count=COUNT):
    for first in range(1, count + 1, 500):
        r.pipeline(*[f"XADD {key} {number}-0 f v{number}" for number in range(first, min(first + 500, count + 1))])


def one_go(r, *command):
    """An answer that needs more than one slice, while long commands are stopped."""
    r("CONFIG SET slice-us 0")
    reply = r(*command)
    r("CONFIG SET slice-us 1")
    return reply


@pytest.fixture
def group(r):
    """A group of a long stream, of which all is pending: every third entry at "b", the others at "a"."""
    fill(r)
    r("XGROUP CREATE k g 0")
    r("XREADGROUP GROUP g a STREAMS k >")
    r("XCLAIM", "k", "g", "b", 0, *[f"{number}-0" for number in range(3, COUNT + 1, 3)], "JUSTID")
    return r


def spoil(r):
    """What others may do to a stream and its group while a command only reads it."""
    r("XADD k 1000000-0 f late")
    r("XDEL k 1-0 5-0 600-0")
    r("XACK k g 1-0 2-0 2999-0")
    r("XREADGROUP GROUP g c STREAMS k >")
    one_go(r, "XGROUP DELCONSUMER k g b")
    r("XTRIM k MAXLEN 700")
    r("XGROUP DESTROY k g")
    r("DEL k")
    r("XADD k 1-0 another stream")


# ---- Reading: the answer is the state at the start ---------------------------------------------------------


def test_xread_answers_with_what_there_was(r, begin):
    fill(r)
    fill(r, "l", 700)
    client = begin("XREAD STREAMS k none l 0 0 100-0")
    r("XTRIM k MAXLEN 10")
    r("XADD l 1000000-0 f late")
    r("FLUSHALL")
    go_on(r)
    assert client.reply() == [[b"k", [entry(number) for number in range(1, COUNT + 1)]],
                              [b"l", [entry(number) for number in range(101, 701)]]]


def test_a_map_of_streams(r, begin):
    fill(r)
    client = begin("XREAD COUNT 2000 STREAMS k 500", resp=3)
    r("DEL k")
    go_on(r)
    assert client.reply() == {b"k": [entry(number) for number in range(501, 2501)]}


@pytest.mark.cells("tcp:0")  # the server waits some seconds for what it may still want to hear
def test_a_client_that_goes_while_it_is_shown_streams(r, begin):
    fill(r)
    begin("XREAD STREAMS k k 0 0").close()
    eventually(lambda: not long_clients(r), "the command has ended")
    assert r("XTRIM k MAXLEN 0") == COUNT


def test_xpending_answers_with_what_was_pending(group, begin):
    r = group
    clients = [begin("XPENDING k g - + 1000000"), begin("XPENDING k g 10-0 (2000-0 1000000 b"),
               begin("XPENDING k g IDLE 1000000 - + 10")]
    spoil(r)
    go_on(r)
    everything, of_b, nothing = [client.reply() for client in clients]
    assert [(row[0], row[1]) for row in everything] == [
        (b"%d-0" % number, b"b" if number % 3 == 0 else b"a") for number in range(1, COUNT + 1)]
    assert [row[0] for row in of_b] == [b"%d-0" % number for number in range(12, 2000, 3)]
    assert nothing == []


def test_xinfo_shows_a_whole_stream_as_it_was(group, begin):
    r = group
    client = begin("XINFO STREAM k FULL COUNT 0")
    spoil(r)
    go_on(r)
    reply = client.reply()
    info = dict(zip(reply[::2], reply[1::2]))
    assert info[b"entries"] == [entry(number) for number in range(1, COUNT + 1)]
    shown = dict(zip(info[b"groups"][0][::2], info[b"groups"][0][1::2]))
    assert shown[b"pel-count"] == len(shown[b"pending"]) == COUNT
    consumers = [dict(zip(consumer[::2], consumer[1::2])) for consumer in shown[b"consumers"]]
    assert [(consumer[b"name"], consumer[b"pel-count"], len(consumer[b"pending"])) for consumer in consumers] == [
        (b"a", COUNT * 2 // 3, COUNT * 2 // 3), (b"b", COUNT // 3, COUNT // 3)]


def test_xinfo_shows_many_consumers_and_groups_as_they_were(r, begin):
    r("XGROUP CREATE k g 0 MKSTREAM")
    r.pipeline(*[f"XGROUP CREATECONSUMER k g c{number:04}" for number in range(1000)])
    r.pipeline(*[f"XGROUP CREATE k h{number:04} 0" for number in range(1000)])
    consumers, groups = begin("XINFO CONSUMERS k g"), begin("XINFO GROUPS k")
    r("XGROUP DELCONSUMER k g c0500")
    r("XGROUP DESTROY k h0500")
    r("XGROUP DESTROY k g")
    go_on(r)
    assert [reply[1] for reply in consumers.reply()] == [b"c%04d" % number for number in range(1000)]
    assert [reply[1] for reply in groups.reply()] == [b"g"] + [b"h%04d" % number for number in range(1000)]


def test_memory_usage_looks_at_what_there_was(group, begin):
    r = group
    r("DEBUG SET-LONG-COMMANDS 1")
    before = r("MEMORY USAGE k")
    r("DEBUG SET-LONG-COMMANDS 0")
    client = begin("MEMORY USAGE k")
    spoil(r)
    go_on(r)
    assert client.reply() == before > 20 * COUNT


# ---- Changing: the effect is there at once, and writers wait ------------------------------------------------


def pending(r, consumer):
    return {row[0]: row[3] for row in r("XPENDING", "k", "g", "-", "+", 1000000, consumer)}


def summary(r):
    return one_go(r, "XPENDING k g")


def test_entries_are_delivered_at_once(r, begin, blocked):
    fill(r)
    r("XGROUP CREATE k g 0")
    client = begin("XREADGROUP GROUP g a STREAMS k >")
    assert summary(r) == [0, None, None, None]
    assert one_go(r, "XINFO CONSUMERS k g") == []
    adder, reader = blocked("XADD k 1000000-0 f late"), blocked("XREADGROUP GROUP g b STREAMS k >")
    assert r("XLEN k") == COUNT
    go_on(r)
    assert client.reply() == [[b"k", [entry(number) for number in range(1, COUNT + 1)]]]
    assert adder.reply() == b"1000000-0"
    assert reader.reply() == [[b"k", [[b"1000000-0", [b"f", b"late"]]]]]
    assert r("XPENDING k g") == [COUNT + 1, b"1-0", b"1000000-0", [[b"a", b"%d" % COUNT], [b"b", b"1"]]]


def test_several_streams_are_read_at_once(r, begin):
    fill(r)
    fill(r, "l", 1000)
    r("XGROUP CREATE k g 0")
    r("XGROUP CREATE l g 200")
    client = begin("XREADGROUP GROUP g a COUNT 2000 STREAMS k l k > > >")
    assert summary(r) == one_go(r, "XPENDING l g") == [0, None, None, None]
    go_on(r)
    assert client.reply() == [[b"k", [entry(number) for number in range(1, 2001)]],
                              [b"l", [entry(number) for number in range(201, 1001)]],
                              [b"k", [entry(number) for number in range(2001, COUNT + 1)]]]
    assert (r("XPENDING k g")[0], r("XPENDING l g")[0]) == (COUNT, 800)


def test_many_streams_are_read_at_once(r, begin):
    keys = [f"s{number}" for number in range(80)]
    for key in keys:
        fill(r, key, 20)
        r("XGROUP", "CREATE", key, "g", 0)
    client = begin("XREADGROUP", "GROUP", "g", "a", "STREAMS", *keys, "s0", *[">"] * 80, "0")
    assert one_go(r, "XPENDING s0 g") == one_go(r, "XPENDING s79 g") == [0, None, None, None]
    go_on(r)
    found = client.reply()
    assert [key.decode() for key, _ in found] == [*keys, "s0"]
    assert [len(entries) for _, entries in found] == [20] * 81
    assert [row[3] for row in r("XPENDING s0 g - + 100")] == [2] * 20
    assert [row[3] for row in r("XPENDING s79 g - + 100")] == [1] * 20


def test_nothing_is_acknowledged_without_being_pending(r, begin):
    fill(r)
    r("XGROUP CREATE k g 0")
    client = begin("XREADGROUP GROUP g a NOACK STREAMS k >")
    go_on(r)
    assert len(client.reply()[0][1]) == COUNT
    assert r("XPENDING k g") == [0, None, None, None]
    assert r("XINFO GROUPS k")[0][7] == b"%d-0" % COUNT


def test_history_is_delivered_again_at_once(group, begin, blocked):
    r = group
    r("XDEL k 4-0")
    client = begin("XREADGROUP GROUP g a STREAMS k 0")
    assert one_go(r, "XPENDING k g - + 1")[0][3] == 1
    acknowledger = blocked("XACK k g 1-0")
    go_on(r)
    assert client.reply() == [[b"k", [entry(number) if number != 4 else [b"4-0", None]
                                      for number in range(1, COUNT + 1) if number % 3]]]
    assert acknowledger.reply() == 1
    assert pending(r, "a") == {b"%d-0" % number: 1 if number == 4 else 2 for number in range(2, COUNT + 1) if number % 3}


@pytest.mark.parametrize("words, deliveries", [("", 2), ("JUSTID", 1)])
def test_entries_are_claimed_at_once(group, begin, blocked, words, deliveries):
    r = group
    ids = [f"{number}-0" for number in range(1, 2001)]
    client = begin("XCLAIM", "k", "g", "c", 0, *ids, "5000-0", *words.split())
    assert summary(r)[3] == [[b"a", b"2000"], [b"b", b"1000"]]
    deleter = blocked("XDEL k 1-0")
    go_on(r)
    reply = client.reply()
    assert reply == [name.encode() for name in ids] if words else reply == [entry(n) for n in range(1, 2001)]
    assert deleter.reply() == 1
    assert pending(r, "c") == dict.fromkeys([name.encode() for name in ids], deliveries)
    assert r("XPENDING k g")[0] == COUNT


def test_idle_entries_are_claimed_at_once(group, begin, blocked):
    r = group
    r("XDEL k 7-0 8-0")
    client = begin("XAUTOCLAIM k g c 0 - COUNT 2000 JUSTID")
    assert summary(r)[0] == COUNT
    adder = blocked("XADD k 1000000-0 f late")
    go_on(r)
    # What is gone counts as well.
    wanted = [b"%d-0" % number for number in range(1, 2001) if number not in (7, 8)]
    assert client.reply() == [b"2001-0", wanted, [b"7-0", b"8-0"]]
    assert adder.reply() == b"1000000-0"
    assert sorted(pending(r, "c")) == sorted(wanted)


def test_a_consumer_goes_at_once_with_all_that_it_holds(group, begin, blocked):
    r = group
    client = begin("XGROUP DELCONSUMER k g a")
    assert summary(r)[0] == COUNT
    assert one_go(r, "XINFO CONSUMERS k g")[0][:4] == [b"name", b"a", b"pending", COUNT * 2 // 3]
    creator = blocked("XGROUP CREATECONSUMER k g a")
    go_on(r)
    assert client.reply() == COUNT * 2 // 3
    assert creator.reply() == 1
    assert r("XPENDING k g") == [COUNT // 3, b"3-0", b"%d-0" % COUNT, [[b"b", b"%d" % (COUNT // 3)]]]


CHANGES = ["XREADGROUP GROUP g c STREAMS k >", "XREADGROUP GROUP g a STREAMS k 0", "XAUTOCLAIM k g c 0 - COUNT 2000",
           "XGROUP DELCONSUMER k g a"]


@pytest.mark.parametrize("command", CHANGES)
def test_long_changes_of_one_group_come_one_after_the_other(group, begin, blocked, command):
    r = group
    r.pipeline(*[f"XADD k {number}-0 f v" for number in range(COUNT + 1, 2 * COUNT + 1)])
    first = begin(command)
    second = blocked("XREADGROUP GROUP g d COUNT 2000 STREAMS k >")
    third = blocked("XACK k g 1-0")
    go_on(r)
    first.reply()
    reply = second.reply()
    assert third.reply() == (0 if "DELCONSUMER" in command else 1)
    if "c STREAMS" in command:
        assert reply is None
        assert len(pending(r, "c")) == COUNT
    else:
        assert len(reply[0][1]) == len(pending(r, "d")) == 2000


@pytest.mark.parametrize("command", CHANGES)
def test_a_client_that_is_killed_leaves_no_trace(group, begin, blocked, command):
    r = group
    r.pipeline(*[f"XADD k {number}-0 f v" for number in range(COUNT + 1, 2 * COUNT)])
    r("DEBUG SET-LONG-COMMANDS 1")
    before = r("XINFO STREAM k FULL COUNT 0")
    r("DEBUG SET-LONG-COMMANDS 0")
    changes = r.info("persistence")["rdb_changes_since_last_save"]
    begin(command)
    writer = blocked("XSETID k 1000000-0")
    number = dict(field.split("=", 1) for field in long_clients(r)[0].split(" "))["id"]
    assert r("CLIENT", "KILL", "ID", number) == 1
    assert writer.reply() == "OK"
    assert int(r.info("persistence")["rdb_changes_since_last_save"]) == int(changes) + 1
    go_on(r)
    after = r("XINFO STREAM k FULL COUNT 0")
    assert after[7] == b"1000000-0"
    after[7] = before[7]
    assert after == before


def test_a_new_consumer_is_told_when_it_is_there(r, begin, connect, config):
    config(notify_keyspace_events="Et")
    fill(r)
    r("XGROUP CREATE k g 0")
    listener = connect(3)
    listener.send("SUBSCRIBE __keyevent@0__:xgroup-createconsumer")
    assert listener.push()[0] == b"subscribe"
    client = begin("XREADGROUP GROUP g a STREAMS k >")
    listener("PING")  # an answer without a push before it
    go_on(r)
    client.reply()
    assert listener.push()[2] == b"k"


def test_a_copy_keeps_what_it_was(group, begin):
    r = group
    r("COPY k l")
    client = begin("XGROUP DELCONSUMER k g a")
    r("COPY k m")
    go_on(r)
    assert client.reply() == COUNT * 2 // 3
    assert (r("XPENDING k g")[0], r("XPENDING l g")[0], r("XPENDING m g")[0]) == (COUNT // 3, COUNT, COUNT)


def test_readers_that_wait_are_served_behind_a_long_command(r, begin, connect):
    fill(r)
    r("XGROUP CREATE k g 0")
    r("XGROUP CREATE k h $")
    waiter = connect()
    waiter.send("XREADGROUP GROUP h b BLOCK 0 STREAMS k >")
    eventually(lambda: int(r.info("clients")["blocked_clients"]) == 1, "it waits")
    client = begin("XREADGROUP GROUP g a STREAMS k >")
    adder = connect()
    adder.send("XADD k 1000000-0 f late")
    eventually(lambda: int(r.info("clients")["blocked_clients"]) == 2, "it waits")
    go_on(r)
    assert len(client.reply()[0][1]) == COUNT
    assert adder.reply() == b"1000000-0"
    assert waiter.reply() == [[b"k", [[b"1000000-0", [b"f", b"late"]]]]]


def test_the_group_that_is_missing_is_told_at_once(r, stopped):
    fill(r)
    for command in ["XREADGROUP GROUP none a STREAMS k >", "XPENDING k none - + 10000", "XAUTOCLAIM k none a 0 -"]:
        reply = r(command)
        assert isinstance(reply, Error) and str(reply).startswith("NOGROUP")


# ---- No slices needed: as much work for a stream of any size -------------------------------------------------


@pytest.mark.parametrize("words, left", [("MAXLEN 7", 7), ("MAXLEN = 0", 0), ("MINID 2500", COUNT - 2499),
                                         ("MAXLEN ~ 100", None), ("MINID ~ 2500 LIMIT 1000", None)])
def test_trimming_needs_no_slices(r, begin, stopped, words, left):
    fill(r)
    r("COPY k l")
    gone = r(f"XTRIM k {words}")
    entries = one_go(r, "XRANGE k - +")
    assert entries == [entry(number) for number in range(gone + 1, COUNT + 1)]
    assert left is None or len(entries) == left
    if left is None:
        assert 900 <= gone <= (1000 if "LIMIT" in words else COUNT - 100)
    r(f"XADD l {words} 1000000-0 f last")
    entries = one_go(r, "XRANGE l - +")
    assert len(entries) == (max(left + ("MINID" in words), 0) if left is not None else len(entries))
    if left != 0:
        assert entries[-1] == [b"1000000-0", [b"f", b"last"]]
    assert one_go(r, "XRANGE l - + COUNT 5") == entries[:5]


def test_a_trimmed_stream_goes_on(r):
    for round in range(1, 8):
        r.pipeline(*[f"XADD k {round * COUNT + number}-0 f v{number}" for number in range(COUNT)])
        assert r("XTRIM k MAXLEN 1000") == (COUNT - 1000 if round == 1 else COUNT)
        assert [name for name, _ in r("XRANGE k - +")] == [
            b"%d-0" % ((round + 1) * COUNT - 1000 + number) for number in range(1000)]


def test_a_group_goes_however_much_is_pending(group, stopped):
    r = group
    assert r("XGROUP DESTROY k g") == 1
    assert r("XLEN k") == COUNT
