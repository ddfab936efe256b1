"""LATENCY: spikes by kind of event, and how long each command took."""
import re
import time

import pytest

from harness.errors import wrong_arity
from harness.resp import Error, Verbatim

pytestmark = pytest.mark.core


@pytest.fixture
def monitor(r, config):
    """Spikes of 10 ms and more are noted from now on; spike() makes one of 20 ms."""
    r("LATENCY RESET")
    config(latency_monitor_threshold=10)
    return lambda: r("DEBUG SLEEP 0.02")


def histogram(r, *commands):
    reply = r("LATENCY", "HISTOGRAM", *commands)
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


# ---- Events ---------------------------------------------------------------------------------------------


def test_nothing_is_noted_without_a_threshold(r, config):
    config(latency_monitor_threshold=0)
    r("LATENCY RESET")
    r("DEBUG SLEEP 0.02")
    assert r("LATENCY LATEST") == []


def test_a_spike_is_noted(r, monitor):
    before = int(time.time())
    monitor()
    (name, when, latest_ms, max_ms), = [event for event in r("LATENCY LATEST") if event[0] == b"command"]
    assert before - 1 <= when <= time.time() + 1
    assert 20 <= latest_ms <= max_ms < 10000
    (sampled, sample_ms), = r("LATENCY HISTORY command")
    assert sampled == when and sample_ms == max_ms


def test_the_worst_of_a_second_counts(r, monitor):
    r("DEBUG SLEEP 0.05")
    monitor()
    history = r("LATENCY HISTORY command")
    assert len({when for when, _ in history}) == len(history)
    assert max(ms for _, ms in history) >= 50
    assert [event for event in r("LATENCY LATEST") if event[0] == b"command"][0][3] >= 50


def test_history_of_an_unknown_event_is_empty(r, monitor):
    assert r("LATENCY HISTORY nothing") == []


def test_reset_forgets(r, monitor):
    monitor()
    assert r("LATENCY RESET nothing") == 0
    assert r("LATENCY RESET nothing command") == 1
    assert r("LATENCY HISTORY command") == []
    monitor()
    assert r("LATENCY RESET") >= 1
    assert r("LATENCY LATEST") == []
    assert r("LATENCY RESET") == 0


def test_graph(r, r3, monitor):
    assert r("LATENCY GRAPH nothing") == Error("ERR No samples available for event 'nothing'")
    monitor()
    lines = r("LATENCY GRAPH command").decode().splitlines()
    assert re.fullmatch(r"command - high \d+ ms, low \d+ ms \(all time high \d+ ms\)", lines[0])
    assert lines[1] == "-" * 80
    assert isinstance(r3("LATENCY GRAPH command"), Verbatim)


def test_doctor(r, r3, monitor, config):
    monitor()
    text = r("LATENCY DOCTOR").decode()
    assert re.search(r"1\. command: \d+ latency spikes \(average \d+ms, mean deviation \d+ms, period [0-9.]+ sec\)\. "
                     r"Worst all time event \d+ms\.", text)
    assert isinstance(r3("LATENCY DOCTOR"), Verbatim)
    r("LATENCY RESET")
    config(latency_monitor_threshold=0)
    assert b"disabled" in r("LATENCY DOCTOR")


# ---- Histograms -----------------------------------------------------------------------------------------


def test_histogram_counts_calls(r):
    r("CONFIG RESETSTAT")
    r.pipeline(*["SET k v"] * 30)
    entry = histogram(r, "set")[b"set"]
    assert entry[0] == b"calls" and entry[1] == 30
    assert entry[2] == b"histogram_usec"
    edges, counts = entry[3][::2], entry[3][1::2]
    assert edges == sorted(edges) and counts == sorted(counts)
    assert counts[-1] == 30


def test_histogram_knows_slow_commands(r):
    r("CONFIG RESETSTAT")
    r("DEBUG SLEEP 0.02")
    edges = histogram(r, "debug")[b"debug"][3][::2]
    assert len(edges) == 1 and edges[0] >= 20000
    # Edges are powers of two in nanoseconds and what is below one part in 128 above them.
    assert edges[0] in [((1 << bits) + (1 << bits - 7) - 1) // 1000 for bits in range(25, 35)]


def test_histogram_is_a_map_in_resp3(r3):
    r3("CONFIG RESETSTAT")
    r3("SET k v")
    reply = r3("LATENCY HISTOGRAM set")
    assert reply[b"set"][b"calls"] == 1
    assert list(reply[b"set"][b"histogram_usec"].values()) == [1]


def test_a_container_stands_for_its_subcommands(r):
    r("CONFIG RESETSTAT")
    r("CONFIG GET maxmemory")
    r("SLOWLOG LEN")
    r("SLOWLOG GET")
    assert set(histogram(r, "slowlog")) == {b"slowlog|len", b"slowlog|get"}
    assert set(histogram(r, "slowlog|len", "nosuch", "config")) == {b"slowlog|len", b"config|get", b"config|resetstat"}


def test_without_names_all_commands_are_told(r):
    r("CONFIG RESETSTAT")
    r("SET k v")
    r("GET k")
    assert {b"set", b"get"} <= set(histogram(r))
    assert histogram(r, "append") == {}


def test_nonsense_is_refused(r):
    assert r("LATENCY NOSUCH") == Error("ERR unknown subcommand 'NOSUCH'. Try LATENCY HELP.")
    assert r("LATENCY") == wrong_arity("latency")
    assert r("LATENCY HISTORY") == wrong_arity("latency|history")
    assert r("LATENCY GRAPH") == wrong_arity("latency|graph")
    assert r("LATENCY LATEST x") == wrong_arity("latency|latest")
    assert r("LATENCY DOCTOR x") == wrong_arity("latency|doctor")
