"""skua-bench and a server that lies, errs, stalls or hangs up: everything is noticed, counted and told."""
import re
import signal
import threading
import time

import pytest

from bench_support import CLOSE, LIMIT_S, Run, Store, bench, measure, start, wait_until

STALL_S = 0.3


def run_failing(store, *args):
    """A run with failures: status 1, and its figures."""
    run = bench(store, "--json", "-", *args)
    assert run.status == 1, run
    return run


def some_gets(change):
    """Changes every tenth reply to GET."""
    count = iter(range(10 ** 9))

    def twist(arguments, reply, connection):
        if arguments[0] == b"GET" and next(count) % 10 == 9:
            return change(reply)
        return reply
    return twist


# ---- --verify -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", ["1", "3", "100", "5-9000"])
def test_an_honest_server_passes(tmp_path, sizes):
    with Store(tmp_path) as store:
        run = measure(store, "-n", 2000, "-r", 100, "-d", sizes, "--verify", "--ratio", "1:1", "--threads", 2)
        assert run.only["mismatches"] == 0 and run.only["misses"] > 0


def test_a_later_run_checks_what_an_earlier_one_has_stored(tmp_path):
    with Store(tmp_path) as store:
        measure(store, "-t", "set", "-n", 1000, "-r", 100, "-d", "10-90", "--verify", "--seed", 1)
        run = measure(store, "-t", "get", "-n", 1000, "-r", 100, "-d", "10-90", "--verify", "--seed", 2)
        assert run.only["misses"] == 0
        run = run_failing(store, "-t", "get", "-n", 100, "-r", 100, "-d", 5, "--verify")
        assert run.only["mismatches"] == 100 and "wrong length" in run.out + run.err


@pytest.mark.parametrize("lie, kind", [
    (lambda reply: reply[:-3] + bytes([reply[-3] ^ 1]) + b"\r\n", "wrong value"),
    (lambda reply: b"$1\r\nx\r\n", "wrong length"),
    (lambda reply: b"$0\r\n\r\n", "wrong length"),
])
def test_lies_about_values_are_found(tmp_path, lie, kind):
    with Store(tmp_path, some_gets(lie)) as store:
        args = ["-t", "get", "-n", 500, "-r", 50, "-d", 40, "--load"]
        run = run_failing(store, *args, "--verify")
        assert run.only["mismatches"] == 50 and run.only["failures"] == 50 and run.only["requests"] == 500
        assert kind in run.out + run.err
        measure(store, *args)  # nobody has asked


def test_a_value_of_another_key_is_found(tmp_path):
    def swap(arguments, reply, connection):
        return store._execute([b"GET", b"key:000000000001"]) if arguments[0] == b"GET" else reply

    with Store(tmp_path, swap) as store:
        run = run_failing(store, "-t", "get", "-n", 100, "-c", 1, "-r", 10, "-d", 3, "--load", "--verify",
                          "--distribution", "sequential")
        assert run.only["mismatches"] == 90


def test_dropped_replies_shift_the_others_and_are_found(tmp_path):
    """One reply is left out: every later one on that connection answers the request before it."""
    left_out = []

    def drop(arguments, reply, connection):
        if arguments[0] == b"GET" and not left_out:
            left_out.append(arguments)
            return None
        return reply

    with Store(tmp_path, drop) as store:
        run = run_failing(store, "-t", "get", "-n", 100, "-c", 1, "-P", 10, "-r", 10, "-d", 3, "--load", "--verify",
                          "--distribution", "sequential", "--timeout", 0.5)
        assert run.only["mismatches"] == 9 and not run.only["complete"]
        assert "no reply for 0.5 seconds" in run.err


# ---- Replies --------------------------------------------------------------------------------------------------


def test_replies_of_the_wrong_type_are_counted(tmp_path):
    with Store(tmp_path, some_gets(lambda reply: b":5\r\n")) as store:
        run = run_failing(store, "-t", "get", "-n", 500)
        assert run.only["wrong_types"] == 50 and run.only["requests"] == 500
        assert "reply of the wrong type (integer) to GET key:{key}" in run.out + run.err


def test_errors_are_counted_and_their_first_texts_told(tmp_path):
    texts = iter(range(10 ** 6))
    with Store(tmp_path, some_gets(lambda reply: b"-ERR number %d\r\n" % (next(texts) % 3))) as store:
        run = run_failing(store, "-t", "get", "-n", 600)
        assert run.only["errors"] == 60
        for number in range(3):
            assert f"ERR number {number}" in run.out + run.err


def test_an_unknown_command_is_an_error_and_no_reason_to_stop(tmp_path):
    with Store(tmp_path) as store:
        run = run_failing(store, "-n", 100, "NONSENSE")
        assert run.only["errors"] == 100 and run.only["complete"]


def test_what_is_no_protocol_ends_the_run(tmp_path):
    with Store(tmp_path, some_gets(lambda reply: b"hello?\r\n")) as store:
        run = run_failing(store, "-t", "get", "-n", 500)
        assert not run.only["complete"] and "protocol" in run.err.lower()


# ---- Connections ----------------------------------------------------------------------------------------------


def test_a_lost_connection_ends_the_run(tmp_path):
    with Store(tmp_path, some_gets(lambda reply: CLOSE)) as store:
        run = run_failing(store, "-t", "get", "-n", 500, "-c", 1)
        assert run.only["lost"] == 1 and run.only["disconnects"] == 1 and not run.only["complete"]
        assert run.only["requests"] == 9
        assert "closed" in run.err


@pytest.mark.parametrize("clients, pipeline", [(1, 1), (5, 1), (3, 4)])
def test_a_lost_connection_is_made_anew_when_asked_for(tmp_path, clients, pipeline):
    with Store(tmp_path, some_gets(lambda reply: CLOSE)) as store:
        run = run_failing(store, "-t", "get", "-n", 500, "-c", clients, "-P", pipeline, "--on-error", "reconnect")
        assert run.only["complete"] and run.only["disconnects"] > 0
        assert run.only["requests"] + run.only["lost"] == 500
        assert run.only["lost"] >= run.only["disconnects"]


def test_a_server_that_goes_away_ends_the_run(tmp_path):
    store = Store(tmp_path)
    store.__enter__()
    process = start(store, "-t", "get", "--duration", 600, "-c", 2, "--json", "-")
    wait_until(lambda: len(store.log) > 10)
    store.__exit__()
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1 and re.search(rb"closed|reset|Broken pipe|refused", err), err


def test_silence_ends_the_run(tmp_path):
    def silent(arguments, reply, connection):
        return None if arguments[0] == b"GET" else reply

    with Store(tmp_path, silent) as store:
        run = run_failing(store, "-t", "get", "-n", 10, "-c", 2, "--timeout", 0.3)
        assert run.rounds == [] and "no reply for 0.3 seconds" in run.err


# ---- Open loop ------------------------------------------------------------------------------------------------


def stall_once(after):
    """The whole server pauses once, before the request of this number."""
    count, lock = [0], threading.Lock()

    def twist(arguments, reply, connection):
        if arguments[0] == b"GET":
            with lock:  # who comes meanwhile waits, too
                count[0] += 1
                if count[0] == after:
                    time.sleep(STALL_S)
        return reply
    return twist


def test_a_rate_is_kept_to_the_request(tmp_path):
    with Store(tmp_path) as store:
        run = measure(store, "-t", "get", "--rate", 200, "--duration", 1, "-c", 4, "-P", 64)
        assert run.only["requests"] == 200 and len(store.log) == 200
        run = measure(store, "-t", "get", "--rate", 400, "-n", 150, "-c", 4, "--threads", 2, "--arrivals", "poisson")
        assert run.only["requests"] == 150


def test_the_end_of_an_open_loop_is_kept_by_a_tool_that_was_held_up_itself(tmp_path):
    """It is stopped until the two seconds are over, and finds 200,000 requests due and room for all of them on its
    connections: they are its backlog, not a burst behind the end."""
    with Store(tmp_path) as store:
        process = start(store, "--json", "-", "-t", "get", "--rate", 100000, "--duration", 2, "-c", 4, "-P", 65536)
        wait_until(lambda: store.log)
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        run = Run(process)
    assert run.only["backlog_end"] > 0
    assert run.only["requests"] + run.only["backlog_end"] == 200000 and len(store.log) == run.only["requests"]
    assert run.only["late_p999_us"] > 1e6  # and it says that it was late itself


def test_a_stall_is_in_the_latency_of_all_that_were_due_in_it(tmp_path):
    """500 a second for two seconds, 0.3 s of which nothing is answered: 150 requests are late, 100 of them by more than
    0.1 s. A slow machine can only make it more."""
    with Store(tmp_path, stall_once(300)) as store:
        run = measure(store, "-t", "get", "--rate", 500, "--duration", 2, "-c", 1, "-P", 4)
    (result,) = run.json["results"]
    assert run.only["requests"] == 1000
    assert result["p999_us"] > 0.9 * STALL_S * 1e6
    assert result["p95_us"] > 0.1e6
    late = sum(count for latency, count in result["histogram"] if latency > 0.1e6)
    assert late >= 95
    assert run.only["backlog_max"] >= 100
    # What a client that waits for its replies would have seen: the few requests that were under way.
    assert run.only["service_p50_us"] < result["p95_us"]


def test_a_closed_loop_has_the_stall_only_once_per_connection(tmp_path):
    with Store(tmp_path, stall_once(300)) as store:
        run = measure(store, "-t", "get", "-n", 1000, "-c", 1)
    (result,) = run.json["results"]
    assert result["max_us"] > 0.9 * STALL_S * 1e6
    assert sum(count for latency, count in result["histogram"] if latency > 0.9 * STALL_S * 1e6) == 1


@pytest.mark.parametrize("clients, pipeline", [(1, 1), (4, 1), (2, 8)])
def test_what_a_server_cannot_keep_up_with_is_told_as_backlog(tmp_path, clients, pipeline):
    def slow(arguments, reply, connection):
        if arguments[0] == b"GET":
            time.sleep(0.02)
        return reply

    with Store(tmp_path, slow) as store:
        run = measure(store, "-t", "get", "--rate", 1000, "--duration", 1, "-c", clients, "-P", pipeline)
    most = 50 * clients + clients * pipeline  # fifty a second on each connection
    assert run.only["requests"] <= most
    assert run.only["requests"] + run.only["backlog_end"] == 1000
    assert run.only["backlog_max"] >= run.only["backlog_end"]
    assert run.json["results"][0]["series"][0]["p99_us"] > 0.5e6
    assert run.only["late_p99_us"] < 0.5e6  # they waited for the server, which is not the tool's lateness
