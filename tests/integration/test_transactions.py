"""Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH."""
import threading
import time

import pytest

from harness.errors import NOT_AN_INTEGER, wrong_arity
from harness.resp import Error, Push

pytestmark = pytest.mark.core

EXEC_ABORT = Error("EXECABORT Transaction discarded because of previous errors.")


# ---- MULTI, EXEC, DISCARD -------------------------------------------------------------------------------


def test_commands_are_queued_and_run_by_exec(r, connect):
    other = connect()
    assert r("MULTI") == "OK"
    assert r("SET k 1") == "QUEUED"
    assert r("INCR k") == "QUEUED"
    assert r("GET k") == "QUEUED"
    assert other("EXISTS k") == 0
    assert r("EXEC") == ["OK", 2, b"2"]
    assert other("GET k") == b"2"


def test_an_empty_transaction_gives_an_empty_array(r):
    r("MULTI")
    assert r("EXEC") == []
    assert r.raw == b"*0\r\n"


def test_discard_forgets_what_was_queued(r):
    r("MULTI")
    r("SET k 1")
    assert r("DISCARD") == "OK"
    assert r("EXISTS k") == 0
    assert r("EXEC") == Error("ERR EXEC without MULTI")


def test_exec_and_discard_need_multi(r):
    assert r("EXEC") == Error("ERR EXEC without MULTI")
    assert r("DISCARD") == Error("ERR DISCARD without MULTI")


def test_multi_does_not_nest(r):
    r("MULTI")
    assert r("MULTI") == Error("ERR MULTI calls can not be nested")
    assert r("SET k 1") == "QUEUED"
    assert r("EXEC") == ["OK"]


def test_watch_inside_multi_is_refused(r):
    r("MULTI")
    assert r("WATCH k") == Error("ERR WATCH inside MULTI is not allowed")
    assert r("EXEC") == []


@pytest.mark.parametrize("command, error", [
    ("NOSUCH a b", Error("ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' ")),
    ("GET", wrong_arity("get")),
    ("CLIENT NOSUCH", Error("ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.")),
    ("CLIENT KILL", wrong_arity("client|kill"))])
def test_an_error_while_queueing_aborts_the_transaction(r, command, error):
    r("MULTI")
    assert r("SET k 1") == "QUEUED"
    assert r(command) == error
    assert r("SET k 2") == "QUEUED"
    assert r("EXEC") == EXEC_ABORT
    assert r("EXISTS k") == 0
    assert r("PING") == "PONG"


def test_an_error_while_running_does_not_stop_the_rest(r):
    r("MULTI")
    r("SET k abc")
    r("INCR k")
    r("APPEND k d")
    assert r("EXEC") == ["OK", NOT_AN_INTEGER, 4]


def test_discard_ends_a_transaction_with_errors(r):
    r("MULTI")
    r("NOSUCH")
    assert r("DISCARD") == "OK"
    r("MULTI")
    assert r("PING") == "QUEUED"
    assert r("EXEC") == ["PONG"]


def test_arity_of_multi_discard_unwatch_watch(r):
    for command in ["multi", "discard", "unwatch"]:
        assert r(command, "x") == wrong_arity(command)
    assert r("WATCH") == wrong_arity("watch")


def test_exec_with_arguments_ends_the_transaction(r):
    r("MULTI")
    r("SET k 1")
    assert r("EXEC x") == Error(
        "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command")
    assert r("EXEC") == Error("ERR EXEC without MULTI")
    assert r("EXISTS k") == 0


def test_a_whole_transaction_in_one_pipeline(r):
    assert r.pipeline("MULTI", "SET a 1", "INCR a", "EXEC", "GET a") == ["OK", "QUEUED", "QUEUED", ["OK", 2], b"2"]


def test_replies_inside_exec_have_the_types_of_the_protocol(r3):
    r3("MULTI")
    r3("CONFIG GET maxclients")
    r3("GET missing")
    assert r3("EXEC") == [{b"maxclients": b"10000"}, None]
    assert r3.raw.endswith(b"_\r\n")


def test_hello_inside_a_transaction_changes_the_replies_that_follow(r):
    r.send_raw(b"MULTI\r\nGET missing\r\nHELLO 3\r\nGET missing\r\nEXEC\r\n")
    assert r.replies(4) == ["OK", "QUEUED", "QUEUED", "QUEUED"]
    result = r.reply()
    assert result[0] is None and result[2] is None and isinstance(result[1], dict)
    assert r.raw.endswith(b"_\r\n")


def test_select_inside_a_transaction_holds_afterwards(r):
    r.pipeline("MULTI", "SET k 0", "SELECT 1", "SET k 1", "EXEC")
    assert r("GET k") == b"1"
    r("SELECT 0")
    assert r("GET k") == b"0"


def test_long_transactions(r):
    r("MULTI")
    count = 3000
    assert r.pipeline(*["INCR n"] * count) == ["QUEUED"] * count
    assert r("EXEC") == list(range(1, count + 1))


def test_large_arguments_and_replies_in_a_transaction(r):
    values = [bytes([65 + i]) * (30_000 * (i + 1)) for i in range(8)]
    r("MULTI")
    for i, value in enumerate(values):
        assert r("SET", f"k{i}", value) == "QUEUED"
    for i in range(8):
        assert r(f"GET k{i}") == "QUEUED"
    assert r("EXEC") == ["OK"] * 8 + values


def test_a_client_that_leaves_in_a_transaction_changes_nothing(r, connect):
    other = connect()
    other("MULTI")
    other("SET k 1")
    other.close()
    assert r("EXISTS k") == 0


def test_reset_leaves_the_transaction(r):
    r("MULTI")
    assert r("RESET") == "RESET"
    assert r("EXEC") == Error("ERR EXEC without MULTI")


def test_client_info_shows_the_state(r, connect):
    other = connect()
    other("MULTI")
    other("PING")
    me = next(c for c in r.client_list() if c["multi"] == "1")
    assert "x" in me["flags"]
    other("EXEC")
    assert all(c["multi"] == "-1" for c in r.client_list())


# ---- Atomic against others ------------------------------------------------------------------------------


def test_nobody_sees_the_middle(server, connect):
    writer, reader = connect(), connect()
    writer.pipeline("SET a 0", "SET b 0")
    done = threading.Event()

    def write():
        for _ in range(400):
            writer.pipeline("MULTI", "INCR a", "INCR b", "EXEC")
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = 0
    while not done.is_set() or seen == 0:
        a, b = reader("MGET a b")
        assert a == b
        seen += 1
    thread.join()
    assert reader("MGET a b") == [b"400", b"400"]


# ---- WATCH ----------------------------------------------------------------------------------------------


def test_exec_runs_when_the_watched_key_is_untouched(r):
    r("SET k 1")
    assert r("WATCH k") == "OK"
    r("MULTI")
    r("INCR k")
    assert r("EXEC") == [2]


@pytest.mark.parametrize("change", [
    "SET k 1", "SET k 2", "DEL k", "UNLINK k", "APPEND k x", "EXPIRE k 100", "RENAME k other", "RENAME other k",
    "FLUSHALL", "FLUSHDB", "SETRANGE k 0 x", "INCR n", "GETSET k 1", "MSET k 3", "MOVE k 1", "COPY other k REPLACE",
    "SETBIT k 0 1", "GETDEL k", "SWAPDB 0 1", "GETEX k EX 10", "BITOP NOT k other"])
def test_exec_fails_when_somebody_changed_a_watched_key(r, connect, change):
    other = connect()
    r.pipeline("SET k 1", "SET other x", "SET n 5")
    assert r("WATCH k n") == "OK"
    assert not isinstance(other(change), Error)
    r("MULTI")
    r("SET done 1")
    assert r("EXEC") is None
    assert r.raw == b"*-1\r\n"
    assert r("EXISTS done") == 0


@pytest.mark.parametrize("change", [
    "GET k", "TTL k", "DEL missing", "SET other 1", "EXPIRE missing 10", "PERSIST k", "SETNX k 2", "SET k 2 NX",
    "TOUCH k", "OBJECT ENCODING k", "GETEX k", "EXISTS k", "APPEND other x", "SELECT 1", "SETBIT k 3 1"])
def test_exec_runs_when_the_watched_key_was_not_changed(r, connect, change):
    other = connect()
    r("SET k 1")
    r("WATCH k missing")
    other(change)
    r("MULTI")
    r("SET done 1")
    assert r("EXEC") == ["OK"]


def test_watching_in_resp3_fails_with_a_null(r3, r):
    r3("WATCH k")
    r("SET k 1")
    r3("MULTI")
    assert r3("EXEC") is None
    assert r3.raw == b"_\r\n"


def test_watching_a_missing_key_notices_its_creation(r, connect):
    r("WATCH k")
    connect()("SET k 1")
    r("MULTI")
    assert r("EXEC") is None


def test_ones_own_changes_count_too(r):
    r("WATCH k")
    r("SET k 1")
    r("MULTI")
    assert r("EXEC") is None


def test_one_touched_key_among_many_is_enough(r, connect):
    r("WATCH", *[f"k{i}" for i in range(200)])
    connect()("SET k150 1")
    r("MULTI")
    assert r("EXEC") is None


def test_exec_ends_watching(r, connect):
    other = connect()
    r("WATCH k")
    other("SET k 1")
    r("MULTI")
    assert r("EXEC") is None
    r("MULTI")
    r("PING")
    assert r("EXEC") == ["PONG"]


def test_unwatch_discard_and_reset_end_watching(r, connect):
    other = connect()
    for command in ["UNWATCH", "RESET"]:
        r("WATCH k")
        other("INCR k")
        assert r(command) in ("OK", "RESET")
        r("MULTI")
        assert r("EXEC") == []
    r("WATCH k")
    other("INCR k")
    r("MULTI")
    assert r("DISCARD") == "OK"
    r("MULTI")
    assert r("EXEC") == []


def test_unwatch_inside_a_transaction_is_queued_and_too_late(r, connect):
    r("WATCH k")
    connect()("SET k 1")
    r("MULTI")
    assert r("UNWATCH") == "QUEUED"
    assert r("EXEC") is None


def test_watched_keys_belong_to_their_database(r, connect):
    other = connect()
    r("WATCH k")
    other.pipeline("SELECT 1", "SET k 1")
    r("MULTI")
    assert r("EXEC") == []
    r.pipeline("SELECT 1", "WATCH k", "SELECT 0")
    other("SET k 2")
    r("MULTI")
    assert r("EXEC") is None


def test_flushing_counts_only_for_keys_that_were_there(r, connect):
    other = connect()
    r("SET there 1")
    r("WATCH missing")
    other("FLUSHALL")
    r("MULTI")
    assert r("EXEC") == []


def test_a_key_that_expires_while_watched_fails_exec(r, connect):
    other = connect()
    r("DEBUG SET-ACTIVE-EXPIRE 0")
    try:
        r("SET k 1 PX 20")
        r("WATCH k")
        while other("EXISTS k"):
            pass
        r("MULTI")
        assert r("EXEC") is None
    finally:
        r("DEBUG SET-ACTIVE-EXPIRE 1")


def test_a_key_already_expired_when_watched_does_not_fail_exec(r, connect):
    r("DEBUG SET-ACTIVE-EXPIRE 0")
    try:
        r("SET k 1 PX 1")
        while r("PTTL k") > 0:
            pass
        r("SET marker 1")
        r("WATCH k")
        r("MULTI")
        assert r("EXEC") == []
    finally:
        r("DEBUG SET-ACTIVE-EXPIRE 1")


@pytest.fixture
def expired(r, connect):
    """expired(key) makes a key whose time is over and that is still there."""
    helper = connect()
    helper("DEBUG SET-ACTIVE-EXPIRE 0")

    def make(key, database=0):
        helper("SELECT", database)
        helper("SET", key, 1, "PX", 1)
        time.sleep(0.01)  # to ask for it would take it away

    yield make
    helper("DEBUG SET-ACTIVE-EXPIRE 1")


def test_emptying_a_database_changes_nothing_about_a_key_that_had_expired(r, connect, expired):
    expired("k")
    r("WATCH k")
    connect()("FLUSHDB")
    r("MULTI")
    assert r("EXEC") == []


def test_exchanging_databases_changes_nothing_where_there_was_and_is_no_living_key(r, connect, expired):
    expired("gone")
    expired("comes", 1)
    expired("both")
    expired("both", 1)
    r("WATCH gone comes both")
    connect()("SWAPDB 0 1")
    r("MULTI")
    assert r("EXEC") == []


def test_a_living_key_in_place_of_one_that_had_expired_fails_exec(r, connect, expired):
    expired("k")
    other = connect()
    other("SELECT 1")
    other("SET k 1")
    r("WATCH k")
    other("SWAPDB 0 1")
    r("MULTI")
    assert r("EXEC") is None


def test_many_clients_count_together_without_loss(server, connect):
    """The textbook use: read, add one, write, again when somebody was faster."""
    clients, rounds = 4, 60

    def count(client):
        for _ in range(rounds):
            while True:
                client("WATCH n")
                value = int(client("GET n") or 0)
                client("MULTI")
                client("SET", "n", value + 1)
                if client("EXEC") is not None:
                    break

    threads = [threading.Thread(target=count, args=(connect(),)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert connect()("GET n") == str(clients * rounds).encode()


# ---- With other features --------------------------------------------------------------------------------


def test_messages_published_in_a_transaction_arrive_after_it(r3, connect):
    listener = connect(resp=3)
    listener.send("SUBSCRIBE news")
    assert listener.push() == Push([b"subscribe", b"news", 1])
    r3("MULTI")
    assert r3("PUBLISH news hello") == "QUEUED"
    assert r3("EXEC") == [1]
    assert listener.push() == Push([b"message", b"news", b"hello"])


def test_no_transaction_runs_when_memory_was_short_while_queueing(r, config):
    r("SET k 1")
    r("MULTI")
    config(maxmemory="1")
    assert r("SET k 2") == Error("OOM command not allowed when used memory > 'maxmemory'.")
    config(maxmemory="0")
    assert r("EXEC") == EXEC_ABORT
    assert r("GET k") == b"1"


def test_what_forbids_a_command_by_the_time_of_exec_forbids_the_transaction(r, connect, config):
    r("MULTI")
    r("SET k 1")
    config(min_replicas_to_write=10)
    assert r("EXEC") == Error("EXECABORT Transaction discarded because of: NOREPLICAS Not enough good replicas to write.")
    config(min_replicas_to_write=0)
    assert r("SET k 1") == "OK"


def test_a_replica_without_its_primary_runs_only_transactions_that_need_no_data(start):
    replica = start(replicaof="127.0.0.1 1")
    client, other = replica.connect(), replica.connect()
    down = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
    client("MULTI")
    client("GET k")
    assert other("CONFIG SET replica-serve-stale-data no") == "OK"
    assert client("EXEC") == Error(f"EXECABORT Transaction discarded because of: {down}")
    client("MULTI")
    assert client("GET k") == Error(down)
    assert client("EXEC") == EXEC_ABORT
    client("MULTI")
    assert client("CONFIG GET port") == "QUEUED"
    assert client("EXEC") == [[b"port", str(replica.port).encode()]]
