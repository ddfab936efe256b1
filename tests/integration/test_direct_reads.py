"""Reads that I/O threads answer themselves: nobody can tell, but by the counters of INFO direct.

In the cells without I/O threads the same specs run on the executor alone. docs/direct-reads.md has the rules.
"""
import random
import threading

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, wrong_arity
from harness.resp import Error, encode, eventually
from harness.server import is_slow_build

pytestmark = [pytest.mark.core, pytest.mark.threads, pytest.mark.skua_only("redis-server reads on one thread")]

ROUNDS = 60 if is_slow_build() else 200
FAR_MS = 4102444800000  # 2100-01-01
LARGE = 60_000          # bytes of a string that does not lie in its entry


@pytest.fixture
def direct(r):
    """direct() returns INFO direct as numbers."""
    return lambda: {name: int(value) for name, value in r.info("direct").items()}


@pytest.fixture
def read(cell, direct):
    """read(client, command) returns the reply to a command that is read directly, sooner or later: a collection is opened to
    the threads when the executor has seen it read."""
    def until_direct(client, command):
        if cell[1] == 0:
            return client(command)
        replies = []

        def is_direct():
            before = direct()["direct_reads"]
            replies.append(client(command))
            return direct()["direct_reads"] > before

        eventually(is_direct, f"a direct answer to {command}")
        return replies[-1]
    return until_direct


@pytest.fixture
def threaded(cell):
    if cell[1] == 0:
        pytest.skip("there are no I/O threads in this cell")


# ---- What is answered ---------------------------------------------------------------------------------------

STRING_READS = ["GET k", "STRLEN k", "GETRANGE k 1 -2", "GETRANGE k 5 1", "GETRANGE k -3 99999999", "SUBSTR k 0 2",
                "GETBIT k 1", "GETBIT k 7999999", "MGET k nothing k", "EXISTS k", "EXISTS k k nothing", "TOUCH k nothing",
                "TYPE k", "TTL k", "PTTL k", "EXPIRETIME k", "PEXPIRETIME k"]
HASH_READS = ["HGET k a", "HGET k long", "HGET k nothing", "HMGET k n a nothing a", "HEXISTS k a", "HEXISTS k nothing",
              "HLEN k", "HSTRLEN k a", "HSTRLEN k n", "HSTRLEN k nothing", "HGETALL k", "HKEYS k", "HVALS k", "TYPE k",
              "EXISTS k"]
SET_READS = ["SISMEMBER k a", "SISMEMBER k 12", "SISMEMBER k nothing", "SMISMEMBER k a nothing 12", "SCARD k", "SMEMBERS k",
             "TYPE k"]
ZSET_READS = ["ZSCORE k a", "ZSCORE k nothing", "ZMSCORE k a nothing b", "ZCARD k", "ZRANK k b", "ZRANK k nothing",
              "ZREVRANK k b", "ZRANK k b WITHSCORE", "ZREVRANK k nothing WITHSCORE", "ZRANGE k 0 -1", "ZRANGE k 1 1",
              "ZRANGE k 5 9", "ZRANGE k -2 -1 REV", "ZRANGE k 0 -1 REV WITHSCORES", "ZRANGE k 0 -1 WITHSCORES",
              "ZREVRANGE k 0 1", "ZREVRANGE k 0 -1 WITHSCORES", "TYPE k"]
LIST_READS = ["LLEN k", "LINDEX k 0", "LINDEX k -1", "LINDEX k 9", "LRANGE k 0 -1", "LRANGE k 1 1", "LRANGE k 2 1",
              "LRANGE k -2 100", "TYPE k"]

VALUES = {
    "word": ([("SET", "k", "hello world")], STRING_READS),
    "empty": ([("SET", "k", "")], STRING_READS),
    "integer": ([("SET", "k", "-1234567")], STRING_READS),
    "changed integer": ([("SET", "k", "41"), ("INCR", "k")], STRING_READS),
    "kilobytes": ([("SET", "k", "x" * 5000)], STRING_READS),
    "large": ([("SET", "k", "y" * LARGE)], STRING_READS),
    "edited": ([("SET", "k", "one"), ("APPEND", "k", " two")], STRING_READS),
    "with a time to live": ([("SET", "k", "v"), ("PEXPIREAT", "k", FAR_MS)], ["GET k", "EXPIRETIME k", "PEXPIRETIME k",
                                                                           "EXISTS k"]),
    "hash": ([("HSET", "k", "a", "1.5", "n", "-77", "", "empty", "long", "z" * 900)], HASH_READS),
    "hash with times": ([("HSET", "k", "a", "1", "n", "2", "long", "3"),
                         ("HPEXPIREAT", "k", FAR_MS, "FIELDS", "1", "n")], HASH_READS),
    "set": ([("SADD", "k", "a", "12", "-3", "w" * 900)], SET_READS),
    "set of integers": ([("SADD", "k", "12", "3")], SET_READS),
    "sorted set": ([("ZADD", "k", "1.5", "a", "-inf", "b", "3", "44")], ZSET_READS),
    "list": ([("RPUSH", "k", "a", "2", "", "v" * 900)], LIST_READS),
    "nothing": ([], STRING_READS + HASH_READS + SET_READS + ZSET_READS + LIST_READS),
}


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("name", VALUES)
def test_threads_answer_as_the_executor_does(connect, config, read, name, resp):
    client = connect(resp)
    setup, reads = VALUES[name]
    for command in setup:
        client(*command)
    config(direct_reads="no")
    expected = {}
    for command in reads:
        client(command)
        expected[command] = client.raw
    config(direct_reads="yes")
    for command in reads:
        read(client, command)
        assert client.raw == expected[command], command


def test_the_time_left_is_told(r, connect, read):
    client = connect()
    r("SET k v EX 1000")
    assert 990 <= read(client, "TTL k") <= 1000
    assert 990_000 <= read(client, "PTTL k") <= 1_000_000


def test_a_read_does_not_wait_for_the_executor(threaded, r, connect, read):
    sleeper, client = connect(), connect()
    r("SET k v")
    read(client, "GET k")
    sleeper.send("DEBUG SLEEP 1")
    # Were one of these to wait for the executor, the sleeper's reply would be there first.
    for _ in range(20):
        assert client("GET k") == b"v"
    assert sleeper.is_silent()
    assert sleeper.reply() == "OK"


# ---- What is not ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("command, expected, why", [
    ("GET list", WRONGTYPE, "not_plain"),
    ("STRLEN list", WRONGTYPE, "not_plain"),
    ("LLEN string", WRONGTYPE, "not_plain"),
    ("HGET list a", WRONGTYPE, "not_plain"),
    ("SISMEMBER string a", WRONGTYPE, "not_plain"),
    ("ZSCORE string a", WRONGTYPE, "not_plain"),
    ("GET", wrong_arity("get"), "not_plain"),
    ("GET a b", wrong_arity("get"), "not_plain"),
    ("MGET", wrong_arity("mget"), "not_plain"),
    ("GETRANGE string x 1", NOT_AN_INTEGER, "not_plain"),
    ("GETBIT string -1", Error("ERR bit offset is not an integer or out of range"), "not_plain"),
    ("LRANGE list 0 x", NOT_AN_INTEGER, "not_plain"),
    ("ZRANGE zset 0 1 NOTHING", SYNTAX_ERROR, "not_plain"),
    ("ZRANGE zset 0 1 BYSCORE", [b"a"], "not_plain"),
    ("MGET " + "string " * 17, [b"s"] * 17, "too_large"),
    ("LLEN large", 5000, "too_large"),
    ("LINDEX large 4999", b"4999", "too_large"),
], ids=lambda value: value if isinstance(value, str) else None)
def test_what_is_not_plain_goes_to_the_executor(cell, r, connect, direct, command, expected, why):
    client = connect()
    r("SET string s")
    r("RPUSH list 1")
    r("ZADD zset 1 a")
    r("RPUSH", "large", *range(5000))
    client("PING")
    before = direct()
    assert client(command) == expected
    after = direct()
    assert after["direct_reads"] == before["direct_reads"]
    assert after[f"direct_reads_{why}"] == before[f"direct_reads_{why}"] + (cell[1] > 0)


@pytest.mark.parametrize("command", ["GET k", "EXISTS k", "TTL k", "TYPE k", "MGET k"])
def test_an_expired_key_is_gone_at_its_time(r, connect, command):
    client = connect()
    r("DEBUG SET-ACTIVE-EXPIRE 0")
    try:
        r("SET k v PX 20")
        missing = {"GET k": None, "EXISTS k": 0, "TTL k": -2, "TYPE k": "none", "MGET k": [None]}[command]
        eventually(lambda: client(command) == missing, "the end of its time")
        assert r("DBSIZE") == 0
    finally:
        r("DEBUG SET-ACTIVE-EXPIRE 1")


def test_expired_fields_are_gone_at_their_time(r, connect, read):
    client = connect()
    r("HSET k a 1 b 2")
    r("HPEXPIRE k 30 FIELDS 1 a")
    eventually(lambda: client("HGET k a") is None, "the end of the field's time")
    assert client("HLEN k") == 1
    assert read(client, "HGETALL k") == [b"b", b"2"]


def test_a_value_that_is_written_and_read_in_turns_is_always_the_last(r, connect):
    client = connect()
    for turn in range(ROUNDS):
        r("HSET", "h", "f", turn)
        assert client("HGET h f") == b"%d" % turn
        assert client("HGET h f") == b"%d" % turn
        r("APPEND", "s", "x" * 700)
        assert client("STRLEN s") == 700 * (turn + 1)
        assert client("GETRANGE s -2 -1") == b"xx"


# ---- Order within a connection -----------------------------------------------------------------------------

class Story:
    """Requests of one connection on keys of its own, and the answers that they must have."""

    def __init__(self, number):
        self.rng = random.Random(number)
        self.keys = [f"{kind}:{number}" for kind in "nvhl"]
        self.number, self.value, self.fields, self.items = None, None, {}, []

    def request(self):
        number, value, fields, items = self.keys
        match self.rng.randrange(12):
            case 0:
                self.number = (self.number or 0) + 1
                return encode("INCR", number), [self.number]
            case 1 | 2:
                return encode("GET", number), [None if self.number is None else b"%d" % self.number]
            case 3:
                self.value = self.rng.randbytes(self.rng.choice([0, 5, 300, 20_000]))
                return encode("SET", value, self.value), ["OK"]
            case 4 | 5:
                return encode("MGET", value, number), [[self.value, None if self.number is None else b"%d" % self.number]]
            case 6:
                field, text = b"%d" % self.rng.randrange(5), b"%d" % self.rng.randrange(1000)
                added = field not in self.fields
                self.fields[field] = text
                return encode("HSET", fields, field, text), [int(added)]
            case 7 | 8:
                field = b"%d" % self.rng.randrange(5)
                return encode("HGET", fields, field), [self.fields.get(field)]
            case 9:
                self.items.append(b"%d" % len(self.items))
                return encode("RPUSH", items, self.items[-1]), [len(self.items)]
            case 10:
                return encode("LRANGE", items, 0, 3), [self.items[:4]]
            case 11:
                self.number = (self.number or 0) + 1
                told = b"%d" % self.number
                return (encode("MULTI") + encode("INCR", number) + encode("GET", number) + encode("EXEC"),
                        ["OK", "QUEUED", "QUEUED", [self.number, told]])


@pytest.mark.parametrize("wait", ["yes", "no", "auto"])
def test_a_connection_reads_its_own_writes_in_order(cell, server, config, direct, wait):
    config(direct_reads_wait=wait)
    failures = []
    before = direct()

    def run(number):
        try:
            story = Story(number)
            with server.connect() as client:
                for _ in range(ROUNDS):
                    said, expected = b"", []
                    for _ in range(story.rng.choice([1, 2, 5, 40, 150])):
                        request, answers = story.request()
                        said += request
                        expected += answers
                    client.send_raw(said)
                    assert client.replies(len(expected)) == expected
        except BaseException as failure:  # noqa: B902 - told below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    after = direct()
    if cell[1] > 0:
        assert after["direct_reads"] > before["direct_reads"]
        waited = after["direct_read_waits"] - before["direct_read_waits"]
        assert waited > 0 if wait == "yes" else wait == "auto" or waited == 0


def test_reads_that_wait_are_direct(threaded, connect, config, direct):
    config(direct_reads_wait="yes")
    client = connect()
    client("PING")
    before = direct()
    assert client.pipeline("SET k 1 EX 1000", "GET k", "GET k", "SET k 2 EX 1000", "GET k") == ["OK", b"1", b"1", "OK", b"2"]
    after = direct()
    assert after["direct_reads"] == before["direct_reads"] + 3
    assert after["direct_reads_behind"] == before["direct_reads_behind"]


# ---- What is foreseen -----------------------------------------------------------------------------------------


def foreseen(before, after):
    """Reads that were, and those that something had made untrue."""
    return tuple(after[name] - before[name] for name in ["direct_reads_foreseen", "direct_reads_outdated"])


@pytest.mark.parametrize("wait", ["yes", "no", "auto"])
def test_reads_behind_sets_are_foreseen(threaded, connect, config, direct, wait):
    config(direct_reads_wait=wait)
    client = connect()
    assert client.pipeline("MSET a 1 b 2", "SET text abcdef") == ["OK", "OK"]
    before = direct()
    assert client.pipeline("GET a", "SET b 3", "GET text", "GET b", "SET a x", "GETRANGE text 1 2", "STRLEN b", "GET nothing", "GET a") == [
        b"1", "OK", b"abcdef", b"3", "OK", b"bc", 1, None, b"x"]
    after = direct()
    assert foreseen(before, after) == (7, 0)
    assert after["direct_reads"] == before["direct_reads"] + 7
    assert after["direct_read_waits"] == before["direct_read_waits"]


def test_what_is_foreseen_is_counted_once(threaded, r, connect, direct):
    client = connect()
    client("SET k 1")
    client.pipeline("SET k 2", "GET k", "GET nothing", "SET k 3")

    def figures():
        stats, commands = r.info("stats"), r.info("commandstats")
        calls = {name: int(commands[f"cmdstat_{name}"].split(",")[0].split("=")[1]) for name in ["get", "set"]}
        return [int(stats["keyspace_hits"]), int(stats["keyspace_misses"]), calls["get"], calls["set"]]

    before, counted = figures(), direct()
    client.pipeline(*["SET k 2", "GET k", "GET nothing", "SET k 3"] * 5)
    assert [after - b for after, b in zip(figures(), before)] == [5, 5, 10, 10]
    assert foreseen(counted, direct()) == (10, 0)
    number = str(client("CLIENT ID"))
    for pipeline, last in [(("SET k 2", "GET k"), "get"), (("GET k", "SET k 2"), "set")]:
        client.pipeline(*pipeline)
        assert [row["cmd"] for row in r.client_list() if row["id"] == number] == [last]


def test_what_was_foreseen_may_come_back_to_the_executors_thread(threaded, start):
    """Connections go there when the last I/O thread ends, also those whose pipelines wait in the middle: what has held until there is
    counted, and what has not."""
    server = start(slice_us=1, slowlog_log_slower_than=60_000_000)  # nothing is slow: what has waited long is not foreseen
    r, holder, blocked, held = [server.connect() for _ in range(4)]
    r("SADD", "numbers", *range(3000))
    r("MSET a 1 b 2")
    r("DEBUG SET-LONG-COMMANDS 0")
    for client in [holder, blocked, held]:
        assert client("PING") == "PONG"  # it is known to the executor
    before = {name: int(value) for name, value in r.info("direct").items()}
    blocked.send_raw(b"".join(encode(*command.split()) for command in ["GET a", "SET b 3", "GET b", "BLPOP list 0", "GET a"]))
    eventually(lambda: r.info("clients")["blocked_clients"] == "1", "it is blocked")
    holder.send("SUNIONSTORE held numbers")
    eventually(lambda: " progress=" in r("CLIENT LIST").decode(), "the key is held")
    held.send_raw(b"".join(encode(*command.split()) for command in ["GET a", "SET held 1", "GET b"]))
    eventually(lambda: r.info("clients")["blocked_clients"] == "2", "it waits")
    assert r("CONFIG SET io-threads 0") == "OK"
    eventually(lambda: all(row["io-thread"] == "0" for row in r.client_list()), "all have moved")
    r("DEBUG SET-LONG-COMMANDS 1")
    assert holder.reply() == 3000
    assert held.replies(3) == [b"1", "OK", b"3"]
    assert r("RPUSH list x") == 1
    assert blocked.replies(5) == [b"1", "OK", b"3", [b"list", b"x"], b"1"]
    after = {name: int(value) for name, value in r.info("direct").items()}
    assert foreseen(before, after) == (2, 2)
    assert r.info("commandstats")["cmdstat_get"].startswith("calls=5,")


@pytest.mark.parametrize("value", ["SET k v PX 4102444800000", "HSET k f v", "APPEND k v"])
def test_what_cannot_be_foreseen_is_read_all_the_same(r, connect, config, value):
    """A key with a time, one of another type, and one that cannot be looked at any more when it is read again."""
    for wait in ["yes", "no"]:
        config(direct_reads_wait=wait)
        r("DEL k")
        r(value)
        alone, client = r("GET k"), connect()
        for _ in range(40):
            replies = client.pipeline("SET other 1", "GET k", "SET other 2", "GET k", "GET other")
            assert [str(reply) for reply in replies] == [str(reply) for reply in ["OK", alone, "OK", alone, b"2"]]


@pytest.mark.parametrize("mode", ["SELECT 1", "MULTI", "HELLO 3", "CLIENT REPLY SKIP", "SUBSCRIBE channel", "RESET"])
def test_what_a_connection_becomes_concerns_what_it_has_sent_already(r, connect, mode):
    """Requests behind a change of the connection's mode, in a run of their own or not."""
    r("SET k old")
    for distance in [0, 30, 31, 32, 33, 64]:
        client, other = connect(), connect()
        words = [*["PING"] * distance, mode, "SET mode 1", "GET k", "SET mode 2", "GET mode", "GET k"]
        alone = []
        for word in words:
            other.send(word)
            if mode == "CLIENT REPLY SKIP" and word in (mode, "SET mode 1"):
                continue
            alone.append(other.reply())
        r("SET k old")
        client.send_raw(b"".join(encode(*word.split()) for word in words))
        replies = client.replies(len(alone))
        if mode == "HELLO 3":  # which tells who asks
            del alone[distance], replies[distance]
        assert [str(reply) for reply in replies] == [str(reply) for reply in alone]


class Strings:
    """Plain SETs and reads of a few keys of its own, with the answers that they must get."""

    def __init__(self, number):
        self.rng = random.Random(f"foreseen {number}")
        self.keys = [f"foreseen:{number}:{i}" for i in range(8)]
        self.values = {}

    def request(self):
        key = self.rng.choice(self.keys)
        if self.rng.random() < 0.3:
            self.values[key] = b"%d" % self.rng.randrange(10**6) * self.rng.choice([1, 1, 1, 30, 300])
            return encode("SET", key, self.values[key]), "OK"
        value = self.values.get(key)
        match self.rng.randrange(8):
            case 0:
                return encode("STRLEN", key), len(value or b"")
            case 1:
                return encode("GETRANGE", key, 2, 4), (value or b"")[2:5]
            case 2 if self.rng.random() < 0.2:
                self.values.pop(key, None)
                return encode("DEL", key), int(value is not None)
            case _:
                return encode("GET", key), value


def test_pipelines_of_sets_and_reads_are_answered_in_order(cell, server, r, config, direct):
    """Whatever others do to the server meanwhile."""
    failures, ended = [], threading.Event()
    before = direct()

    def run(number):
        try:
            story = Strings(number)
            with server.connect() as client:
                for _ in range(ROUNDS):
                    requests = [story.request() for _ in range(story.rng.choice([1, 3, 16, 16, 40, 150]))]
                    client.send_raw(b"".join(request for request, _ in requests))
                    assert client.replies(len(requests)) == [answer for _, answer in requests]
        except BaseException as failure:  # noqa: B902 - told below
            failures.append(failure)

    def disturb():
        with server.connect() as client, server.connect() as watcher:
            while not ended.wait(0.003):
                assert client.pipeline("SWAPDB 2 3", "SELECT 4", "SET k 1", "FLUSHDB", "SELECT 0")[-1] == "OK"
                watcher.pipeline("WATCH k", "UNWATCH", "CONFIG SET notify-keyspace-events KEA", "CONFIG SET notify-keyspace-events ''",
                                 "CLIENT TRACKING ON", "CLIENT TRACKING OFF", "CONFIG SET slowlog-log-slower-than 0",
                                 "CONFIG SET slowlog-log-slower-than 10000", "CLIENT PAUSE 1 WRITE")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    disturber = threading.Thread(target=disturb)
    for thread in [*threads, disturber]:
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    disturber.join()
    assert not failures, failures[0]
    if cell[1] > 0:
        assert foreseen(before, direct())[0] > 0


def test_reads_behind_one_that_blocks_come_after_it(r, config, waiting, connect):
    for wait in ["yes", "no"]:
        config(direct_reads_wait=wait)
        client = waiting("BLPOP list 0")
        client.send("GET k")
        r("SET k v")
        r("RPUSH list x")
        assert client.reply() == [b"list", b"x"]
        assert client.reply() == b"v"


def test_what_is_answered_does_not_wait_for_one_that_blocks(r, config, connect, waiting):
    """Replies are gathered while a read waits for what is before it, but not for long."""
    config(direct_reads_wait="yes")
    r("SET k v")
    client = connect()
    client.send_raw(encode("GET", "k") + encode("SET", "k", "w") + encode("GET", "k") + encode("BLPOP", "list", 0) + encode("GET", "k"))
    assert client.replies(3) == [b"v", "OK", b"w"]
    r("RPUSH list x")
    assert client.replies(2) == [[b"list", b"x"], b"w"]


def test_replies_of_a_pipeline_that_waits_often_are_gathered(threaded, r, config, connect):
    """A pipeline in which reads and writes take turns is not answered with a packet for each of them."""
    config(direct_reads_wait="yes")
    client = connect()

    def packets():
        return int(r.info("stats")["total_writes_processed"])

    def packets_of_one():
        before = packets()
        client.send_raw((encode("SET", "k", "v") + encode("GET", "k")) * 20)
        assert client.replies(40) == ["OK", b"v"] * 20
        return packets() - before

    # Twenty if each write were answered by itself. In many pipelines, for the executor may be slow to answer at any time.
    eventually(lambda: packets_of_one() < 18, "replies go together")


def test_a_client_that_leaves_behind_a_waiting_read_is_forgotten(r, config, server):
    config(direct_reads_wait="yes")
    for _ in range(20):
        with server.connect() as client:
            client.send_raw(encode("SET", "k", "v") + encode("GET", "k"))
    eventually(lambda: len(r.client_list()) <= 3, "the end of the others")


# ---- Modes ------------------------------------------------------------------------------------------------

def test_a_read_in_a_transaction_is_queued(r, connect, read):
    client = connect()
    r("SET k 1")
    assert read(client, "GET k") == b"1"
    assert client("MULTI") == "OK"
    assert client("GET k") == "QUEUED"
    assert client("EXEC") == [b"1"]
    assert read(client, "GET k") == b"1"


def test_a_watched_key_may_be_read(r, connect, read):
    client = connect()
    r("SET k 1")
    client("WATCH k")
    assert read(client, "GET k") == b"1"
    r("SET k 2")
    assert read(client, "GET k") == b"2"
    client("MULTI")
    client("SET k 3")
    assert client("EXEC") is None


def test_a_transaction_is_seen_whole(r, connect):
    writer, reader = connect(), connect()
    r("MSET a 0 b 0")
    done = threading.Event()

    def write():
        try:
            for turn in range(1, ROUNDS):
                if turn % 2:
                    writer.pipeline("MULTI", ("SET", "a", turn), ("SET", "b", turn), "EXEC")
                else:
                    writer("MSET", "a", turn, "b", turn)
        finally:
            done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        for pair in reader.pipeline(*["MGET a b"] * 20):
            assert pair[0] == pair[1]
    thread.join()


def test_monitor_sees_every_read(cell, r, connect, direct, read):
    client, monitor = connect(), connect()
    r("SET k v")
    read(client, "GET k")
    before = direct()
    assert monitor("MONITOR") == "OK"
    for turn in range(20):
        client("EXISTS", f"seen-{turn}")
        assert f'"EXISTS" "seen-{turn}"'.lower() in monitor.read().lower()
    monitor.close()
    if cell[1] > 0:
        eventually(lambda: read(client, "GET k") == b"v", "the monitor's end")
        assert direct()["direct_reads_closed"] >= before["direct_reads_closed"] + 20


def test_a_pause_of_everything_holds_reads_up(cell, r, connect, direct, read):
    client = connect()
    r("SET k v")
    read(client, "GET k")
    before = direct()
    r("CLIENT PAUSE 300 ALL")
    assert client("GET k") == b"v"
    after = direct()
    assert after["direct_reads_closed"] == before["direct_reads_closed"] + (cell[1] > 0)
    assert read(client, "GET k") == b"v"


def test_a_pause_of_writes_does_not(r, connect, read):
    client = connect()
    r("SET k v")
    r("CLIENT PAUSE 100000 WRITE")
    assert read(client, "GET k") == b"v"
    r("CLIENT UNPAUSE")


def test_replies_that_are_off_stay_off(r, connect):
    client = connect()
    r("SET k v")
    assert client("GET k") == b"v"
    client.send("CLIENT REPLY OFF")
    for _ in range(20):
        client.send("GET k")
    client.send("CLIENT REPLY ON")
    assert client.reply() == "OK"
    client.send("CLIENT REPLY SKIP")
    client.send("GET k")
    assert client("STRLEN k") == 1


def test_select_swapdb_and_flushes_are_followed(r, connect, read):
    client = connect()
    r("SET k 0")
    assert read(client, "GET k") == b"0"
    client("SELECT 1")
    assert read(client, "GET k") is None
    client("SET k 1")
    assert read(client, "GET k") == b"1"
    r("SWAPDB 0 1")
    assert read(client, "GET k") == b"0"
    assert read(r, "GET k") == b"1"
    client("FLUSHDB")
    assert read(client, "GET k") is None
    assert read(r, "GET k") == b"1"
    r("FLUSHALL")
    assert read(r, "GET k") is None


def test_a_change_of_protocol_is_followed(connect, read):
    client = connect()
    client("HSET k a 1")
    read(client, "HGETALL k")
    assert client.raw == b"*2\r\n$1\r\na\r\n$1\r\n1\r\n"
    client("HELLO 3")
    assert read(client, "HGETALL k") == {b"a": b"1"}
    client("RESET")
    assert read(client, "HGETALL k") == [b"a", b"1"]


def test_a_subscriber_may_not_read_in_resp2(r, connect, read):
    client = connect()
    read(client, "GET k")
    client("SUBSCRIBE news")
    assert str(client("GET k")).startswith("ERR Can't execute 'get'")
    client("UNSUBSCRIBE news")
    assert read(client, "GET k") is None


def test_messages_and_answers_of_a_subscriber_in_resp3_keep_their_order(connect):
    client = connect(3)
    client.send("SUBSCRIBE news")
    assert client.push() == [b"subscribe", b"news", 1]
    for turn in range(ROUNDS):
        client.send_raw(encode("PUBLISH", "news", str(turn)) + encode("GET", "nothing"))
        # The message comes behind the reply to the request that sent it.
        assert client.read() == 1
        assert client.read() == [b"message", b"news", b"%d" % turn]
        assert client.read() is None


def test_a_password_that_is_missing_forbids_reads(start):
    own = start(requirepass="secret")
    client = own.connect()
    assert client("GET k") == Error("NOAUTH Authentication required.")
    assert client.pipeline("AUTH secret", "GET k") == ["OK", None]
    assert client("GET k") is None


def test_missing_keys_are_told_of(config, connect, read):
    config(notify_keyspace_events="Em")
    client, listener = connect(), connect()
    client("SET there v")
    listener("SUBSCRIBE __keyevent@0__:keymiss")
    read(client, "GET there")
    client("GET nothing")
    client("EXISTS there missing")
    assert listener.read()[2] == b"nothing"
    assert listener.read()[2] == b"missing"


def test_no_touch_leaves_the_clock_alone(r, connect, config):
    config(maxmemory_policy="allkeys-lru")
    client = connect()
    client("CLIENT NO-TOUCH ON")
    restore_idle(r, 1000)
    for _ in range(20):
        client("GET k")
    assert r("OBJECT IDLETIME k") >= 1000


# ---- Clocks and figures --------------------------------------------------------------------------------------

def restore_idle(r, seconds):
    """Makes the key k, which has not been used for so long."""
    r("SET k v")
    dump = r("DUMP k")
    r("DEL k")
    assert r("RESTORE", "k", 0, dump, "IDLETIME", seconds) == "OK"


def test_reading_moves_the_clock_of_last_use(r, connect, config, read):
    config(maxmemory_policy="allkeys-lru")
    client = connect()
    client("PING")
    restore_idle(r, 1000)
    read(client, "EXISTS k")
    assert r("OBJECT IDLETIME k") >= 1000
    read(client, "GET k")
    assert r("OBJECT IDLETIME k") < 1000


def test_reading_counts_as_use(r, connect, config, read):
    config(maxmemory_policy="allkeys-lfu", lfu_log_factor=0)
    client = connect()
    r("SET k v")
    before = r("OBJECT FREQ k")
    for _ in range(10):
        read(client, "GET k")
    assert r("OBJECT FREQ k") >= before + 10


SCRIPT = ["SET k v", "GET k", "GET nothing", "EXISTS k nothing", "HSET h f 1", "HGET h f", "HGET h f", "HGET h f",
          "MGET k nothing", "TTL k", "LLEN k", "GET"]


def figures(r, client):
    r("CONFIG RESETSTAT")
    for command in SCRIPT:
        client(command)
    client.pipeline(*["GET k"] * 50)
    stats, commands = r.info("stats"), r.info("commandstats")
    found = {name: stats[name] for name in ["keyspace_hits", "keyspace_misses", "total_error_replies"]}
    for name in ["get", "exists", "hget", "mget", "ttl", "llen", "set", "hset"]:
        fields = dict(field.split("=") for field in commands[f"cmdstat_{name}"].split(","))
        found[name] = {field: fields[field] for field in ["calls", "rejected_calls", "failed_calls"]}
    found["histograms"] = {name: entry[1] for name, entry in
                           zip(*[iter(r("LATENCY HISTOGRAM get exists hget mget ttl"))] * 2)}
    found["percentiles"] = [name for name in r.info("latencystats") if name.endswith(("_get", "_exists", "_mget"))]
    own, = [entry for entry in r.client_list() if entry["id"] == str(client.id)]
    found["client"] = own["cmd"]
    found["total"] = int(r.info("stats")["total_commands_processed"])
    return found


def test_the_figures_are_those_of_the_executor(r, connect, config):
    client = connect()
    client("PING")
    found = []
    for direct in ["no", "yes"]:
        config(direct_reads=direct)
        r("FLUSHALL")
        found.append(figures(r, client))
    assert found[0] == found[1]
    assert found[0]["get"]["calls"] == "52"


def test_the_list_of_clients_knows_direct_reads(r, connect, read):
    client = connect()
    client("CLIENT SETNAME reader")
    r("SET k v")
    read(client, "GET k")
    entry = lambda: next(entry for entry in r.client_list() if entry["name"] == "reader")  # noqa: E731
    before = int(entry()["tot-cmds"])
    for _ in range(5):
        client("GET k")
    assert int(entry()["tot-cmds"]) == before + 5
    assert entry()["cmd"] == "get"
    assert int(entry()["idle"]) <= 5
    client("PING")
    assert entry()["cmd"] == "ping"


def test_direct_reads_are_measured_like_others(r, connect, read):
    client = connect()
    r("SET k v")
    read(client, "GET k")
    r("CONFIG RESETSTAT")
    client.pipeline(*["GET k"] * 30)
    eventually(lambda: "blame_get" in r.info("blame"), "a row")
    row = dict(field.split("=") for field in r.info("blame")["blame_get"].split(","))
    assert row["calls"] == "30"
    assert float(row["execute_p50"]) >= 0 and float(row["queue_max"]) >= 0


def test_resetting_counts_from_zero(r, connect, read, direct):
    client = connect()
    r("SET k v")
    read(client, "GET k")
    r("CONFIG RESETSTAT")
    found = direct()
    assert all(value == 0 for value in found.values()), found
    assert "cmdstat_get" not in r.info("commandstats")


def test_it_can_be_switched_off(cell, r, connect, config, direct, read):
    client = connect()
    r("SET k v")
    read(client, "GET k")
    config(direct_reads="no")
    before = direct()
    for _ in range(10):
        assert client("GET k") == b"v"
    after = direct()
    assert after["direct_reads"] == before["direct_reads"]
    assert after["direct_reads_closed"] == before["direct_reads_closed"] + (10 if cell[1] > 0 else 0)


# ---- Large values, limits, ends ------------------------------------------------------------------------------

def test_a_large_value_is_sent_as_it_was_when_it_was_read(r, connect, read):
    client = connect()
    size = 300_000
    letters = [b"a", b"b", b"c", b"d"]
    r("SET", "k", letters[0] * size)
    read(client, "GET k")
    for turn in range(10):
        client.send_raw(encode("GET", "k") * 20)
        for letter in letters[1:]:
            r("SET", "k", letter * size)
        r("SETRANGE", "k", 0, letters[turn % 4] * size)
        r("DEL k")
        r("SET", "k", letters[turn % 4] * size)
        for value in client.replies(20):
            assert value is None or (len(value) == size and value == value[:1] * size)


@pytest.mark.not_over_shm("its rings take all that is sent to it")
def test_output_limits_hold(server, connect, config, r):
    config(client_output_buffer_limit="normal 3000000 0 0")
    r("SET", "k", "x" * 100_000)
    client = connect()
    assert client("GET k") == b"x" * 100_000
    client.send_raw(encode("GET", "k") * 400)
    eventually(lambda: len([entry for entry in r.client_list() if entry["cmd"] == "get"]) == 0, "its end")


def test_a_killed_client_reads_nothing_more(r, connect, read):
    client = connect()
    r("SET k v")
    read(client, "GET k")
    assert r("CLIENT", "KILL", "ID", client.id) == 1
    with pytest.raises((EOFError, ConnectionError)):
        for _ in range(1000):
            client("GET k")


def test_readers_go_on_while_the_number_of_threads_changes(server, config, cell):
    config(io_threads=cell[1])
    done = threading.Event()
    failures = []
    steps = [0] * 4

    def run(number):
        try:
            with server.connect() as client:
                while not done.is_set():
                    steps[number] += 1
                    turn = b"%d" % steps[number]
                    key = f"k:{number}"
                    said = encode("SET", key, turn) + encode("GET", key) * 3 + encode("EXISTS", key)
                    client.send_raw(said)
                    assert client.replies(5) == ["OK", turn, turn, turn, 1]
                    assert client("GET", key) == turn
        except BaseException as failure:  # noqa: B902 - told below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        with server.connect() as client:
            for count in [1, 4, 2, 0, 3, 0, 1, 4]:
                assert client("CONFIG", "SET", "io-threads", count) == "OK"
                before = list(steps)
                eventually(lambda: failures or all(now > then for now, then in zip(steps, before)), "steps of all")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[0]
