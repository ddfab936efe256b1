"""Waiting for lists: BLPOP BRPOP BLMPOP BLMOVE BRPOPLPUSH. Who is served, with what, when, and what ends the waiting."""
import resource
import threading

import pytest

from harness.errors import SYNTAX_ERROR, wrong_arity
from harness.resp import Error, eventually
from harness.server import is_slow_build

pytestmark = pytest.mark.core

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
UNBLOCKED = Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
NEGATIVE = Error("ERR timeout is negative")
NOT_A_FLOAT = Error("ERR timeout is not a float or out of range")
OUT_OF_RANGE = Error("ERR timeout is out of range")

# Each command that waits for key k, up to its timeout, and behind it.
EACH = [("BLPOP k {}", "blpop"), ("BRPOP k {}", "brpop"), ("BLMOVE k d LEFT RIGHT {}", "blmove"),
        ("BRPOPLPUSH k d {}", "brpoplpush"), ("BLMPOP {} 1 k LEFT", "blmpop")]
each = pytest.mark.parametrize("command", [command for command, _ in EACH], ids=[name for _, name in EACH])


def nobody_waits(r):
    return eventually(lambda: r.info("clients")["blocked_clients"] == "0", "nobody waits")


# ---- There is something ---------------------------------------------------------------------------------


def test_what_is_there_is_taken_at_once(r):
    r("RPUSH k 1 2 3 4 5 6 7")
    assert r("BLPOP k 0") == [b"k", b"1"]
    assert r("BRPOP k 0") == [b"k", b"7"]
    assert r("BLMOVE k d LEFT RIGHT 0") == b"2"
    assert r("BRPOPLPUSH k d 0") == b"6"
    assert r("BLMPOP 0 1 k RIGHT COUNT 2") == [b"k", [b"5", b"4"]]
    assert r("BLMPOP 0 2 no k LEFT") == [b"k", [b"3"]]
    assert r("EXISTS k") == 0
    assert r("LRANGE d 0 -1") == [b"6", b"2"]


def test_the_first_key_that_has_something(r):
    r("RPUSH b 1")
    r("RPUSH c 2")
    assert r("BLPOP a b c 0") == [b"b", b"1"]
    assert r("BRPOP a b c 0") == [b"c", b"2"]


@each
def test_another_type_is_refused_at_once(r, command):
    r("SET k text")
    assert r(command.format(0)) == WRONG_TYPE
    assert r(command.format(-1)) == NEGATIVE


def test_a_list_before_another_type_is_taken(r):
    r("SET s text")
    r("RPUSH k 1")
    assert r("BLPOP k s 0") == [b"k", b"1"]
    assert r("BLPOP k s 0") == WRONG_TYPE


def test_a_destination_of_another_type(r):
    r("RPUSH k 1")
    r("SET d text")
    assert r("BLMOVE k d LEFT LEFT 0") == WRONG_TYPE
    assert r("LRANGE k 0 -1") == [b"1"]


# ---- Arguments ------------------------------------------------------------------------------------------


@each
def test_timeouts(r, command):
    for word in ["-1", "-0.1", "-inf", "-1e30"]:
        assert r(command.format(word)) == NEGATIVE, word
    for word in ["x", "nan", "''", "' 1'", "'1 '", "1s"]:
        assert r(command.format(word)) == NOT_A_FLOAT, word
    for word in ["0.001", "1e-3", "0x1p-10", "0.0000001"]:
        assert r(command.format(word)) is None


@pytest.mark.skua_only("as Redis 7.2; redis-server 7.0 lets it overflow and calls it negative")
@each
def test_timeouts_out_of_range(r, command):
    for word in ["1e30", "inf", "9.3e15", "9223372036854775"]:
        assert r(command.format(word)) == OUT_OF_RANGE, word


def test_malformed(r):
    assert r("BLPOP k") == wrong_arity("blpop")
    assert r("BRPOP 0") == wrong_arity("brpop")
    assert r("BLMOVE k d LEFT RIGHT") == wrong_arity("blmove")
    assert r("BLMOVE k d LEFT UP x") == SYNTAX_ERROR
    assert r("BRPOPLPUSH k d") == wrong_arity("brpoplpush")
    assert r("BLMPOP 0 1 k") == wrong_arity("blmpop")
    assert r("BLMPOP x 0 k LEFT") == Error("ERR numkeys should be greater than 0")
    assert r("BLMPOP x 1 k LEFT COUNT 0") == Error("ERR count should be greater than 0")
    assert r("BLMPOP x 1 k UP") == SYNTAX_ERROR
    assert r("BLMPOP 0 2 k LEFT") == SYNTAX_ERROR


def test_keys_are_found(r):
    assert r("COMMAND GETKEYS BLPOP a b c 0") == [b"a", b"b", b"c"]
    assert r("COMMAND GETKEYS BLMPOP 0 2 a b LEFT COUNT 3") == [b"a", b"b"]
    assert r("COMMAND GETKEYS BLMOVE a b LEFT LEFT 0") == [b"a", b"b"]


# ---- Waiting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command,pushed,answer", [
    ("BLPOP k 0", "LPUSH k 1 2", [b"k", b"2"]), ("BRPOP k 0", "LPUSH k 1 2", [b"k", b"1"]),
    ("BLPOP k 0", "RPUSH k 1 2", [b"k", b"1"]), ("BLMOVE k d LEFT RIGHT 0", "RPUSH k 1 2", b"1"),
    ("BLMOVE k k RIGHT LEFT 0", "RPUSH k 1 2", b"2"), ("BRPOPLPUSH k d 0", "RPUSH k 1 2", b"2"),
    ("BLMPOP 0 1 k RIGHT COUNT 5", "RPUSH k 1 2", [b"k", [b"2", b"1"]]),
    ("BLMPOP 0 2 a k LEFT", "RPUSH k 1 2", [b"k", [b"1"]]), ("BLPOP k k k 0", "RPUSH k 1 2", [b"k", b"1"])])
@pytest.mark.parametrize("resp", [2, 3])
def test_one_who_waits_is_served(r, waiting, command, pushed, answer, resp):
    client = waiting(command, resp=resp)
    assert r(pushed) == 2
    assert client.reply() == answer
    nobody_waits(r)
    assert client("PING") == "PONG"


@each
def test_the_null_after_the_timeout(connect, command):
    two, three = connect(), connect(resp=3)
    assert two(command.format(0.01)) is None
    assert two.raw == b"*-1\r\n"
    assert three(command.format(0.01)) is None
    assert three.raw == b"_\r\n"


def test_who_waits_is_shown(r, connect, waiting):
    client = connect()
    client_id = client.id
    client("SELECT 3")
    waiting("BLPOP k 0", client=client)
    line = next(line for line in r.client_list() if line["id"] == str(client_id))
    assert line["flags"] in ("b", "bU")
    assert (line["cmd"], line["db"]) == ("blpop", "3")
    assert r("RPUSH k 1") == 1  # in database 0
    r("SELECT 3")
    r("RPUSH k 2")
    assert client.reply() == [b"k", b"2"]
    line = next(line for line in r.client_list() if line["id"] == str(client_id))
    assert line["flags"] in ("N", "U")


def test_what_was_sent_meanwhile_waits_too(r, connect, waiting):
    client = connect()
    waiting("BLPOP k 0", client=client)
    client.send("SET x 1")
    client.send("BLPOP k 0")
    client.send("GET x")
    assert r("GET x") is None
    r("RPUSH k 1 2")
    assert client.replies(4) == [[b"k", b"1"], "OK", [b"k", b"2"], b"1"]


@pytest.mark.parametrize("create", [
    ["LPUSH k 1"], ["RPUSH k 1"], ["RPUSH s 1", "LMOVE s k LEFT LEFT"], ["RPUSH s 1", "RPOPLPUSH s k"],
    ["RPUSH s 1", "RENAME s k"], ["RPUSH s 1", "RENAMENX s k"], ["RPUSH s 1", "COPY s k"],
    ["SELECT 1", "RPUSH k 1", "MOVE k 0"], ["SELECT 1", "RPUSH k 1", "SWAPDB 0 1"],
    ["SELECT 1", "RPUSH s 1", "COPY s k DB 0"], ["SET k x", "RPUSH s 1", "RENAME s k"],
    ["SADD k x", "DEL k", "RPUSH k 1"], ["SET k x", "GETDEL k", "RPUSH k 1"]], ids=" ".join)
def test_however_the_list_appears(r, connect, waiting, create):
    client = waiting("BLPOP k 0")
    for command in create:
        assert not isinstance(r(command), Error)
    assert client.reply() == [b"k", b"1"]
    assert connect()("EXISTS k") == 0


def test_other_types_are_passed_over_while_waiting(r, waiting):
    client = waiting("BLPOP k 0")
    for create in ["SET k 1", "SADD k 1", "HSET k a 1"]:
        r(create)
        assert r("DEL k") == 1
    r("RPUSH k 1")
    assert client.reply() == [b"k", b"1"]


def test_a_list_that_is_gone_at_the_end_of_the_transaction_serves_nobody(r, waiting):
    client = waiting("BLPOP k 0")
    assert r.pipeline("MULTI", "RPUSH k 1", "DEL k", "EXEC")[3] == [1, 1]
    assert r.pipeline("MULTI", "RPUSH k 1", "DEL k", "SET k x", "EXEC")[4] == [1, 1, "OK"]
    r("DEL k")
    r("RPUSH k 2")
    assert client.reply() == [b"k", b"2"]


def test_a_transaction_is_over_before_anyone_is_served(r, waiting):
    client = waiting("BLPOP k 0")
    assert r.pipeline("MULTI", "RPUSH k 1", "LPUSH k 2", "LLEN k", "EXEC")[4] == [1, 2, 2]
    assert client.reply() == [b"k", b"2"]
    assert r("LRANGE k 0 -1") == [b"1"]


# ---- Several who wait -----------------------------------------------------------------------------------


def test_in_the_order_of_arrival(r, waiting):
    clients = [waiting("BLPOP k 0") for _ in range(5)]
    assert r("RPUSH k 1 2 3") == 3
    assert [client.reply() for client in clients[:3]] == [[b"k", b"1"], [b"k", b"2"], [b"k", b"3"]]
    assert r("EXISTS k") == 0
    r("RPUSH k 4")
    assert clients[3].reply() == [b"k", b"4"]
    r("RPUSH k 5 6")
    assert clients[4].reply() == [b"k", b"5"]
    assert r("LRANGE k 0 -1") == [b"6"]


def test_who_comes_back_stands_behind_the_others(r, waiting):
    first, second = waiting("BLPOP k 0"), waiting("BLPOP k 0")
    r("RPUSH k 1")
    assert first.reply() == [b"k", b"1"]
    waiting("BLPOP k 0", client=first)
    r("RPUSH k 2 3")
    assert second.reply() == [b"k", b"2"]
    assert first.reply() == [b"k", b"3"]


def test_different_commands_share_one_queue(r, waiting):
    clients = [waiting(command) for command in
               ["BRPOP k 0", "BLMPOP 0 1 k LEFT COUNT 2", "BLMOVE k d RIGHT LEFT 0", "BLPOP k 0"]]
    r("RPUSH k 1 2 3 4 5")
    assert [client.reply() for client in clients] == [[b"k", b"5"], [b"k", [b"1", b"2"]], b"4", [b"k", b"3"]]
    assert r("LRANGE d 0 -1") == [b"4"]


def test_the_key_that_was_pushed_first_serves(r, waiting):
    """Not the first one that the client named."""
    client = waiting("BLPOP a b c 0")
    r.pipeline("MULTI", "RPUSH c 1", "RPUSH a 2", "EXEC")
    assert client.reply() == [b"c", b"1"]
    assert r("LRANGE a 0 -1") == [b"2"]


def test_several_keys_several_clients(r, waiting):
    one, two, three = waiting("BLPOP a b 0"), waiting("BLPOP b a 0"), waiting("BLPOP b 0")
    r.pipeline("MULTI", "RPUSH b 1", "RPUSH a 2", "EXEC")
    assert one.reply() == [b"b", b"1"]
    assert two.reply() == [b"a", b"2"]
    r("RPUSH b 3")
    assert three.reply() == [b"b", b"3"]
    nobody_waits(r)


def test_a_key_named_twice_takes_one_place(r, waiting):
    first, second = waiting("BLPOP k x k 0"), waiting("BLPOP k 0")
    r("RPUSH k 1 2")
    assert first.reply() == [b"k", b"1"]
    assert second.reply() == [b"k", b"2"]


def test_a_chain_is_served_in_one_step(r, waiting):
    last = waiting("BLPOP c 0")
    moves = [waiting("BLMOVE b c LEFT LEFT 0"), waiting("BRPOPLPUSH a b 0")]
    assert r.pipeline("RPUSH a 1", "EXISTS a b c") == [1, 0]
    assert [client.reply() for client in moves] == [b"1", b"1"]
    assert last.reply() == [b"c", b"1"]


def test_a_ring_ends(r, waiting):
    clients = [waiting("BLMOVE a b LEFT LEFT 0"), waiting("BLMOVE b a LEFT LEFT 0")]
    r("RPUSH a 1")
    assert [client.reply() for client in clients] == [b"1", b"1"]
    assert r("LRANGE a 0 -1") == [b"1"]


def test_a_destination_of_another_type_ends_the_waiting_of_one(r, waiting):
    r("SET d text")
    wrong, right = waiting("BLMOVE k d LEFT LEFT 0"), waiting("BLPOP k 0")
    r("RPUSH k 1")
    assert wrong.reply() == WRONG_TYPE
    assert right.reply() == [b"k", b"1"]


def test_many_are_served_by_one_push_each_with_its_own(r, connect):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 200 if is_slow_build() or hard != resource.RLIM_INFINITY and hard < 2000 else 800
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2000)), hard))
    clients = []
    for _ in range(count):
        clients.append(connect())
        clients[-1].pipeline("PING")  # it has been accepted: no queue of the listener overflows
        clients[-1].send("BLPOP k other 0")
    eventually(lambda: r.info("clients")["blocked_clients"] == str(count), "all wait")
    r("RPUSH", "k", *range(count))
    assert sorted(int(client.reply()[1]) for client in clients) == list(range(count))
    nobody_waits(r)


# ---- In a transaction -----------------------------------------------------------------------------------


@pytest.mark.parametrize("resp", [2, 3])
def test_inside_a_transaction_nobody_waits(connect, resp):
    r = connect(resp)
    null = b"_\r\n" if resp == 3 else None
    r("MULTI")
    for command, _ in EACH:
        assert r(command.format(0)) == "QUEUED"
    assert r("EXEC") == [None] * len(EACH)
    assert r.raw == b"*5\r\n" + b"".join(null or part for part in
                                        [b"*-1\r\n", b"*-1\r\n", b"$-1\r\n", b"$-1\r\n", b"*-1\r\n"])


def test_inside_a_transaction_what_is_there_is_taken(r):
    r("RPUSH k 1 2")
    assert r.pipeline("MULTI", "BLPOP k 0", "BLMPOP 0 1 k LEFT", "BLPOP k -1", "EXEC")[4] == [
        [b"k", b"1"], [b"k", [b"2"]], NEGATIVE]


def test_a_transaction_that_takes_back_what_it_pushed(r, waiting):
    client = waiting("BLPOP k 0")
    assert r.pipeline("MULTI", "RPUSH k 1 2", "BLPOP k 0", "EXEC")[3] == [2, [b"k", b"1"]]
    assert client.reply() == [b"k", b"2"]


# ---- What ends it ---------------------------------------------------------------------------------------


@each
def test_unblock(r, connect, waiting, command):
    client = connect()
    client_id = client.id
    for words, raw in [((), b"*-1\r\n"), (("TIMEOUT",), b"*-1\r\n"), (("ERROR",), b"-%s\r\n" % UNBLOCKED.encode())]:
        waiting(command.format(0), client=client)
        assert r("CLIENT", "UNBLOCK", client_id, *words) == 1
        client.reply()
        assert client.raw == raw
        assert r("CLIENT", "UNBLOCK", client_id) == 0
    r("RPUSH k 1")
    assert r("LLEN k") == 1


def test_who_was_killed_takes_nothing(r, connect, waiting):
    client = connect()
    client_id = client.id
    waiting("BLPOP k 0", client=client)
    assert r.pipeline(f"CLIENT KILL ID {client_id}", "RPUSH k 1", "LLEN k") == [1, 1, 1]
    assert client.is_closed()


def test_who_was_killed_in_a_transaction_after_the_push_takes_nothing(r, connect, waiting):
    client = connect()
    client_id = client.id
    waiting("BLPOP k 0", client=client)
    other = waiting("BLPOP k 0")
    r.pipeline("MULTI", "RPUSH k 1", f"CLIENT KILL ID {client_id}", "EXEC")
    assert other.reply() == [b"k", b"1"]
    assert client.is_closed()


def test_who_was_unblocked_in_a_transaction_after_the_push_takes_nothing(r, connect, waiting):
    client = connect()
    client_id = client.id
    waiting("BLPOP k 0", client=client)
    r.pipeline("MULTI", "RPUSH k 1", f"CLIENT UNBLOCK {client_id}", "EXEC")
    assert client.reply() is None
    assert r("LLEN k") == 1


def test_who_has_left_takes_nothing(r, waiting):
    waiting("BLPOP k j 0").close()
    nobody_waits(r)
    client = waiting("BLPOP k 0")
    r("RPUSH k 1")
    assert client.reply() == [b"k", b"1"]
    r("RPUSH j 2")
    assert r("LLEN j") == 1


def test_pause_lets_nobody_begin_to_wait_but_ends_nothing(r, connect, waiting):
    client, late = waiting("BLPOP k 0"), connect()
    assert r("CLIENT PAUSE 100000 WRITE") == "OK"
    late.send("RPUSH k 1")
    eventually(lambda: r.info("clients")["blocked_clients"] == "2", "the push is paused")
    assert r("EXISTS k") == 0
    assert r("CLIENT UNPAUSE") == "OK"
    assert client.reply() == [b"k", b"1"]
    assert late.reply() == 1


def test_a_reply_that_is_not_wanted(r, connect, waiting):
    client = connect()
    client.send("CLIENT REPLY SKIP")
    waiting("BLPOP k 0", client=client)
    r("RPUSH k 1")
    assert client("PING") == "PONG"
    client.send("CLIENT REPLY OFF")
    waiting("BLPOP k 0", client=client)
    r("RPUSH k 1")
    nobody_waits(r)
    assert client("CLIENT REPLY ON") == "OK"
    assert r("EXISTS k") == 0


# ---- What others see ------------------------------------------------------------------------------------


def test_events(r, heard, waiting):
    for command, served in [("BLPOP k 0", [("lpop", "k")]), ("BRPOP k 0", [("rpop", "k")]),
                            ("BLMPOP 0 1 k LEFT", [("lpop", "k")]),
                            ("BLMOVE k d LEFT RIGHT 0", [("rpush", "d"), ("lpop", "k")]),
                            ("BRPOPLPUSH k d 0", [("lpush", "d"), ("rpop", "k")])]:
        client = waiting(command)
        heard()
        r("RPUSH k 1")
        client.reply()
        events = heard()
        assert [event for event in events if event[0] != "new"] == [("rpush", "k"), *served, ("del", "k")]


def test_an_event_about_itself_comes_behind_the_answer(r, config, connect, waiting):
    config(notify_keyspace_events="KEA")
    client = connect(resp=3)
    client.send("SUBSCRIBE __keyspace@0__:k")
    client.push()
    waiting("BLPOP k 0", client=client)
    r("RPUSH k 1")
    found = [client.read() for _ in range(4)]
    assert [b"k", b"1"] in found
    assert [part[2] for part in found if part != [b"k", b"1"]] == [b"rpush", b"lpop", b"del"]


def test_a_monitor_sees_the_command_once_when_it_begins(r, connect, waiting):
    monitor = connect()
    monitor("MONITOR")
    client = waiting("BLPOP k 0")
    r("RPUSH k 1")
    client.reply()
    r("ECHO end")
    lines = []
    while '"end"' not in (line := monitor.reply()):
        lines.append(line.partition("] ")[2])
    assert [line for line in lines if "INFO" not in line and "SHM" not in line] == ['"BLPOP" "k" "0"', '"RPUSH" "k" "1"']


def test_a_watched_key_that_was_served_has_changed(r, connect, waiting):
    r("WATCH k")
    client = waiting("BLPOP k 0")
    connect()("RPUSH k 1")
    client.reply()
    r("MULTI")
    assert r("EXEC") is None


def test_an_error_of_late_is_counted(r, connect, waiting):
    r("CONFIG RESETSTAT")
    client = connect()
    client_id = client.id
    waiting("BLPOP k 0", client=client)
    r("CLIENT", "UNBLOCK", client_id, "ERROR")
    client.reply()
    assert r.info("errorstats")["errorstat_UNBLOCKED"] == "count=1"


# ---- Threads --------------------------------------------------------------------------------------------


@pytest.mark.threads
def test_nothing_is_lost_or_given_twice(connect):
    """Workers take from one queue and hand on to another, while clients come and go."""
    count, workers = (200, 4) if is_slow_build() else (1000, 6)
    taken, errors = [], []

    def run(body):
        def guarded():
            try:
                body()
            except BaseException as error:  # pylint: disable=broad-exception-caught
                errors.append(error)
        return threading.Thread(target=guarded)

    def mover(client):
        while client("BLMOVE a b LEFT RIGHT 0") != b"end":
            pass

    def taker(client):
        while (answer := client("BLPOP c b 0"))[1] != b"end":
            taken.append(int(answer[1]))

    def passer_by(client):
        for _ in range(count // 4):
            assert client("BLPOP a2 a3 0.001") is None

    clients = [connect() for _ in range(2 * workers + 2)]
    threads = [run(lambda c=c: mover(c)) for c in clients[:workers]]
    threads += [run(lambda c=c: taker(c)) for c in clients[workers:2 * workers]]
    threads.append(run(lambda: passer_by(clients[-2])))
    for thread in threads:
        thread.start()
    producer = clients[-1]
    for number in range(count):
        producer("RPUSH", "a" if number % 3 else "c", number)
    for _ in range(workers):  # each ends one mover, and then one taker
        producer("RPUSH a end")
    for thread in threads:
        thread.join(60)
    assert not errors
    assert not any(thread.is_alive() for thread in threads)
    left = [int(word) for key in "bc" for word in producer("LRANGE", key, 0, -1) if word != b"end"]
    assert sorted(taken + left) == list(range(count))
