"""SLOWLOG: which commands are noted, what of them, and for how long."""
import time

import pytest

from harness.errors import wrong_arity
from harness.resp import Error

pytestmark = pytest.mark.core

CONFIG = {"slowlog-log-slower-than": 100000000}

COUNT_ERROR = Error("ERR count should be greater than or equal to -1")


@pytest.fixture
def log(connect, config):
    """log() returns the entries, newest first, without those that this fixture causes."""
    reader = connect()
    config(slowlog_log_slower_than=100000000, slowlog_max_len=128)
    reader("SLOWLOG RESET")
    return lambda count=-1: reader("SLOWLOG", "GET", count)


@pytest.fixture
def everything(connect, log):
    """Every command is slow until everything() is called again."""
    switch = connect()
    return lambda on=True: switch("CONFIG", "SET", "slowlog-log-slower-than", "0" if on else "100000000")


def words_of(entries):
    return [[word.decode() for word in entry[3]] for entry in entries]


def test_an_entry(r, log, everything):
    r("CLIENT SETNAME me")
    address = [c["addr"] for c in r.client_list() if c["name"] == "me"][0]
    before = int(time.time())
    everything()
    r("SET colour blue")
    everything(False)
    entries = [entry for entry in log() if entry[3][0] == b"SET"]
    assert len(entries) == 1
    ident, when, duration_us, argv, client, name = entries[0]
    assert ident >= 0
    assert before - 1 <= when <= time.time() + 1
    assert 0 <= duration_us < 10_000_000
    assert argv == [b"SET", b"colour", b"blue"]
    assert client == address.encode()
    assert name == b"me"


def test_a_client_without_a_name(r, log, everything):
    everything()
    r("PING")
    everything(False)
    assert [entry[5] for entry in log() if entry[3] == [b"PING"]] == [b""]


def test_only_what_took_long_is_noted(r, log, config):
    config(slowlog_log_slower_than=50000)
    r("PING")
    r("DEBUG SLEEP 0.06")
    r("PING")
    entries = log()
    assert words_of(entries) == [["DEBUG", "SLEEP", "0.06"]]
    assert entries[0][2] >= 60000


def test_a_negative_threshold_notes_nothing(r, log, config):
    config(slowlog_log_slower_than=-1)
    r("DEBUG SLEEP 0.02")
    assert log() == []


def test_the_newest_come_first_and_the_oldest_go(r, log, everything, config):
    config(slowlog_max_len=5)
    everything()
    r.pipeline(*[f"ECHO {i}" for i in range(10)])
    everything(False)
    entries = log()
    assert len(entries) == 5
    idents = [entry[0] for entry in entries]
    assert idents == list(range(idents[0], idents[0] - 5, -1))
    echoes = [words[1] for words in words_of(entries) if words[0] == "ECHO"]
    assert echoes == ["9", "8", "7", "6", "5"][:len(echoes)] and len(echoes) >= 4


def test_get_counts(r, log, everything):
    everything()
    r.pipeline(*[f"ECHO {i}" for i in range(20)])
    everything(False)
    assert len(r("SLOWLOG GET")) == 10
    assert len(log(3)) == 3
    assert log(0) == []
    assert len(log(-1)) >= 20
    assert r("SLOWLOG LEN") == len(log(-1))


def test_ids_go_on_after_reset(r, log, everything):
    everything()
    r("ECHO a")
    everything(False)
    last = max(entry[0] for entry in log())
    assert r("SLOWLOG RESET") == "OK"
    assert (log(), r("SLOWLOG LEN")) == ([], 0)
    everything()
    r("ECHO b")
    everything(False)
    assert min(entry[0] for entry in log()) > last


def test_long_commands_are_cut(r, log, everything):
    everything()
    r("MSET", *[f"w{i}" for i in range(40)])
    r("DEL", *[f"w{i}" for i in range(31)])
    r("DEL", *[f"w{i}" for i in range(32)])
    r("SET", "k", "x" * 128)
    r("SET", "k", "x" * 129)
    r("SET", "k", "x" * 1000)
    everything(False)
    words = [words for words in words_of(log()) if words[0] in ("MSET", "DEL", "SET")]
    assert words[0] == ["SET", "k", "x" * 128 + "... (872 more bytes)"]
    assert words[1] == ["SET", "k", "x" * 128 + "... (1 more bytes)"]
    assert words[2] == ["SET", "k", "x" * 128]
    assert len(words[3]) == 32 and words[3][-1] == "... (2 more arguments)"
    assert len(words[4]) == 32 and words[4][-1] == "w30"
    assert len(words[5]) == 32 and words[5][-1] == "... (10 more arguments)"


def test_passwords_are_not_shown(r, log, everything):
    everything()
    r("AUTH secret1")
    r("AUTH default secret2")
    r("HELLO 2 AUTH default secret3 SETNAME me")
    r("CONFIG SET requirepass secret4")
    r("CONFIG", "SET", "requirepass", "")
    everything(False)
    entries = log()
    assert b"secret" not in b"".join(word for entry in entries for word in entry[3])
    words = words_of(entries)
    assert ["AUTH", "(redacted)"] in words
    assert ["AUTH", "(redacted)", "(redacted)"] in words
    assert ["HELLO", "2", "AUTH", "(redacted)", "(redacted)", "SETNAME", "me"] in words
    assert words.count(["CONFIG", "SET", "requirepass", "(redacted)"]) == 2


def test_commands_of_a_transaction_are_noted_one_by_one(r, log, everything):
    everything()
    r("MULTI")
    r("SET a 1")
    r("GET a")
    r("EXEC")
    everything(False)
    words = words_of(log())
    assert ["SET", "a", "1"] in words and ["GET", "a"] in words
    assert ["EXEC"] not in words


def test_refused_commands_are_not_noted(r, log, everything):
    everything()
    r("GET")
    r("NOSUCH x")
    everything(False)
    assert not [words for words in words_of(log()) if words[0] in ("GET", "NOSUCH")]


def test_nonsense_is_refused(r, log):
    assert r("SLOWLOG GET x") == COUNT_ERROR
    assert r("SLOWLOG GET -2") == COUNT_ERROR
    assert r("SLOWLOG GET 1 2") == Error(
        "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.")
    assert r("SLOWLOG NOSUCH") == Error("ERR unknown subcommand 'NOSUCH'. Try SLOWLOG HELP.")
    assert r("SLOWLOG") == wrong_arity("slowlog")
    assert r("SLOWLOG LEN x") == wrong_arity("slowlog|len")
    assert r("SLOWLOG RESET x") == wrong_arity("slowlog|reset")
