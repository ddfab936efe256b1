"""Sending without copying, over loopback: the kernel copies there all the same, so what is shown here is who holds the memory, until when,
and what is told of it. That nothing is copied over a path that can do without is tests/netns' to show."""
import signal

import pytest

from harness.resp import Error, eventually
from harness.server import SKUA, Server, is_slow_build

VALUE_SIZE = 20_000 if is_slow_build() else 100_000
BLOCK = 1 << 20
RECENT = 64  # completions that decide whether a connection goes on with it
QUIET = {"repl-diskless-sync-delay": 0, "repl-ping-replica-period": 3600, "repl-backlog-size": "1mb"}

pytestmark = [pytest.mark.skua_only("redis-server copies everything"), pytest.mark.cells("tcp:0", "tcp:4")]


@pytest.fixture(params=["MSG_ZEROCOPY", "io_uring"])
def primary(cell, request):
    """Sends everything that lies still without copying, over loopback too, and spoils what it has let go. Where io_uring is not to be had
    both are the same."""
    running = Server(SKUA, "tcp", cell[1], {**QUIET, "tcp-zerocopy-min-write-size": 1,
                                            "io-uring": "yes" if request.param == "io_uring" else "no"})
    running.start()
    allow(running)
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def follow(cell):
    """follow(primary, host) is a replica that has everything."""
    started = []

    def begin(primary, host="127.0.0.1"):
        replica = Server(SKUA, "tcp", 0, {**QUIET, "replicaof": f"{host} {primary.port}", "repl-timeout": 600})
        started.append(replica)
        replica.start()
        wait_until_equal(primary, replica)
        return replica

    yield begin
    for replica in started:
        if replica.process.poll() is None:
            replica.process.send_signal(signal.SIGCONT)
            replica.stop()


def allow(running):
    p = running.connect(address=running.socket_path)
    assert p("DEBUG ZEROCOPY-FOR-LOOPBACK 1") == "OK"
    assert p("DEBUG POISON-LOG-BLOCKS 1") == "OK"
    return p


def figures(client):
    info = client.info("clients", "memory", "stats")
    return {name.removeprefix("zero_copy_"): int(value) for name, value in info.items()
            if name.startswith("zero_copy_") or name in ("draining_clients", "used_memory_zero_copy_tracking")}


def wait_until_equal(primary, replica):
    p, r = primary.connect(address=primary.socket_path), replica.connect(address=replica.socket_path)
    eventually(lambda: r.info("replication").get("master_link_status") == "up" and
               p.info("replication")["master_repl_offset"] == r.info("replication")["slave_repl_offset"],
               "the replica has everything", timeout_s=60)
    return p, r


def write(client, count, seed=0):
    """Values that differ at each place, so that a block that was sent too late shows."""
    for i in range(count):
        word = b"%d-%d " % (seed, i)
        client("SET", f"key-{i % 40}", word * (VALUE_SIZE // len(word)))


def stop_reading(replica):
    replica.process.send_signal(signal.SIGSTOP)


def write_until_in_flight(client, size=BLOCK):
    """The replica reads nothing: what its socket does not hold stays in flight."""
    for seed in range(200):
        write(client, 20, seed)
        if figures(client)["bytes_in_flight"] >= size:
            return figures(client)
    raise AssertionError(f"nothing stays in flight: {figures(client)}")


# ---- What is sent, and told -----------------------------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.threads
def test_loopback_copies_everything_and_that_is_noticed(primary, follow):
    replica = follow(primary)
    p, r = wait_until_equal(primary, replica)
    write(p, RECENT * 3)
    wait_until_equal(primary, replica)
    eventually(lambda: figures(p)["writes_in_flight"] == 0, "all are over")
    told = figures(p)
    assert told["writes_processed"] >= RECENT
    assert told["writes_copied"] == told["writes_processed"]
    assert told["switched_off"] >= 1
    assert told["bytes_in_flight"] == told["draining_clients"] == told["notes_lost"] == 0
    assert told["connections"] + told["connections_uring"] >= 1
    assert r("DEBUG DIGEST") == p("DEBUG DIGEST")


def test_a_rest_lasts(primary, follow):
    replica = follow(primary)
    p, _ = wait_until_equal(primary, replica)
    write(p, RECENT * 2)
    wait_until_equal(primary, replica)
    before = figures(p)
    if before["switched_off"] == 1:  # the machine may have taken longer than the rest
        write(p, 10)
        wait_until_equal(primary, replica)
        assert figures(p)["writes_processed"] <= before["writes_processed"] + RECENT


def test_over_ipv6_it_is_told_as_well(primary, follow):
    replica = follow(primary, "::1")
    p, r = wait_until_equal(primary, replica)
    write(p, RECENT // 2)
    wait_until_equal(primary, replica)
    eventually(lambda: figures(p)["writes_in_flight"] == 0, "all are over")
    assert figures(p)["writes_processed"] >= 5
    assert figures(p)["bytes_sent"] > 5 * VALUE_SIZE
    assert r("DEBUG DIGEST") == p("DEBUG DIGEST")


def test_nothing_of_it_for_peers_on_this_host_unless_it_is_asked_for(cell, follow):
    running = Server(SKUA, "tcp", cell[1], {**QUIET, "tcp-zerocopy-min-write-size": 1})
    running.start()
    replica = follow(running)
    p, _ = wait_until_equal(running, replica)
    write(p, 50)
    wait_until_equal(running, replica)
    assert figures(p)["bytes_sent"] == figures(p)["connections"] == figures(p)["connections_uring"] == 0
    running.stop()


def test_it_can_be_switched_off_while_it_runs(primary, follow):
    replica = follow(primary)
    p, r = wait_until_equal(primary, replica)
    write(p, 5)
    wait_until_equal(primary, replica)
    assert figures(p)["min_write_size"] == 1
    assert p("CONFIG SET tcp-tx-zerocopy no") == "OK"
    assert figures(p)["min_write_size"] == 0
    before = figures(p)["bytes_sent"]
    assert before > 0
    write(p, 20)
    wait_until_equal(primary, replica)
    assert figures(p)["bytes_sent"] == before
    assert r("DEBUG DIGEST") == p("DEBUG DIGEST")


def test_small_writes_are_copied(primary, follow):
    replica = follow(primary)
    p, r = wait_until_equal(primary, replica)
    before = figures(p)["bytes_sent"]
    assert p("CONFIG SET tcp-zerocopy-min-write-size 1000000000") == "OK"
    write(p, 30)
    wait_until_equal(primary, replica)
    assert figures(p)["bytes_sent"] == before
    assert p("CONFIG SET tcp-zerocopy-min-write-size 10") == "OK"
    write(p, 30)
    wait_until_equal(primary, replica)
    assert figures(p)["bytes_sent"] > before
    assert r("DEBUG DIGEST") == p("DEBUG DIGEST")


@pytest.mark.threads
def test_a_full_sync_goes_without_copying_too(primary, follow):
    p = allow(primary)
    write(p, 40)
    replica = follow(primary)
    _, r = wait_until_equal(primary, replica)
    assert figures(p)["bytes_sent"] > 0
    assert r("DEBUG DIGEST") == p("DEBUG DIGEST")


@pytest.mark.core
@pytest.mark.threads
def test_large_values_go_to_clients_without_copying(primary):
    r = primary.connect()
    values = [bytes([65 + i]) * (VALUE_SIZE * 3 + i) for i in range(20)]
    for i, value in enumerate(values):
        assert r("SET", f"large-{i}", value) == "OK"
    assert [r("GET", f"large-{i}") for i in range(20)] == values
    assert r.pipeline(*(("GET", f"large-{i}") for i in range(20))) == values
    assert r("MGET", *(f"large-{i}" for i in range(20))) == values
    eventually(lambda: figures(r)["writes_in_flight"] == 0, "all are over")
    assert figures(r)["bytes_sent"] > VALUE_SIZE * 3 * 20


def test_a_value_that_is_replaced_while_it_is_read_is_not_disturbed(primary):
    r, other = primary.connect(), primary.connect(address=primary.socket_path)
    assert other("DEBUG PAUSE-ERRQUEUE-EVENTS 1") == "OK"
    value = b"before" * VALUE_SIZE
    other("SET", "large", value)
    r.send("GET", "large")
    eventually(lambda: figures(other)["bytes_sent"] > 0, "it is on its way")
    other("SET", "large", b"after" * VALUE_SIZE)
    assert r.read() == value
    assert r("GET", "large") == b"after" * VALUE_SIZE
    assert other("DEBUG PAUSE-ERRQUEUE-EVENTS 0") == "OK"
    eventually(lambda: figures(other)["writes_in_flight"] == 0, "all are over")


# ---- Notifications that do not come ---------------------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.threads
def test_while_nothing_is_told_the_memory_is_held(primary, follow):
    replica = follow(primary)
    p, r = wait_until_equal(primary, replica)
    eventually(lambda: figures(p)["writes_in_flight"] == 0, "all are over")
    assert p("DEBUG PAUSE-ERRQUEUE-EVENTS 1") == "OK"
    done = figures(p)["writes_processed"]
    write(p, 30)
    wait_until_equal(primary, replica)
    held = figures(p)
    assert held["writes_in_flight"] > 0
    assert held["writes_processed"] == done
    assert held["bytes_in_flight"] > VALUE_SIZE * 20
    assert held["used_memory_zero_copy_tracking"] > 0
    row = [row for row in p.client_list() if "S" in row["flags"]][0]
    assert int(row["omem"]) >= held["bytes_in_flight"]
    assert int(row["tot-mem"]) >= held["bytes_in_flight"]
    assert p("DEBUG PAUSE-ERRQUEUE-EVENTS 0") == "OK"
    eventually(lambda: figures(p)["writes_in_flight"] == figures(p)["bytes_in_flight"] == 0, "all are over")
    assert r("DEBUG DIGEST") == p("DEBUG DIGEST")


def test_what_is_held_counts_against_the_output_limit(primary, follow):
    replica = follow(primary)
    p, _ = wait_until_equal(primary, replica)
    p("DEBUG PAUSE-ERRQUEUE-EVENTS 1")
    assert p("CONFIG", "SET", "client-output-buffer-limit", f"replica {VALUE_SIZE * 10} 0 0") == "OK"
    old = [row["id"] for row in p.client_list() if "S" in row["flags"]]
    write(p, 40)
    eventually(lambda: old[0] not in [row["id"] for row in p.client_list()], "it is dropped")
    assert p("CONFIG", "SET", "client-output-buffer-limit", "replica 0 0 0") == "OK"
    p("DEBUG PAUSE-ERRQUEUE-EVENTS 0")
    wait_until_equal(primary, replica)
    eventually(lambda: figures(p)["draining_clients"] == 0, "nothing is held")


def test_clients_that_leave_while_nothing_is_told_drain(primary):
    p = allow(primary)
    p("SET", "large", b"x" * (VALUE_SIZE * 3))
    p("DEBUG PAUSE-ERRQUEUE-EVENTS 1")
    leaving = [primary.connect() for _ in range(5)]
    for client in leaving:
        assert len(client("GET large")) == VALUE_SIZE * 3
        client.close()
        primary.clients.remove(client)
    eventually(lambda: figures(p)["draining_clients"] == 5, "they drain")
    # What a short write leaves over may be too small for another that is pinned.
    assert figures(p)["bytes_in_flight"] >= VALUE_SIZE * 5
    p("DEBUG PAUSE-ERRQUEUE-EVENTS 0")
    eventually(lambda: figures(p)["draining_clients"] == figures(p)["bytes_in_flight"] == 0, "they are gone")


# ---- Ends with sends in flight --------------------------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.threads
@pytest.mark.parametrize("end", ["kill", "limit", "gone"])
def test_what_a_stopped_replica_holds_comes_back_at_its_end(primary, follow, end):
    replica = follow(primary)
    p, _ = wait_until_equal(primary, replica)
    assert p("CONFIG", "SET", "client-output-buffer-limit", "replica 0 0 0") == "OK"
    stop_reading(replica)
    held = write_until_in_flight(p)
    assert held["writes_in_flight"] > 0
    if end == "kill":
        assert p("CLIENT KILL TYPE replica") == 1
    elif end == "limit":
        assert p("CONFIG", "SET", "client-output-buffer-limit", f"replica {BLOCK // 2} 0 0") == "OK"
        write(p, 2)
    else:
        replica.process.kill()
        replica.process.wait()
    eventually(lambda: figures(p)["bytes_in_flight"] == figures(p)["writes_in_flight"] == 0, "the memory is back")
    assert figures(p)["draining_clients"] == 0
    if end != "gone":
        assert figures(p)["dissolved"] == 1
        assert p("CONFIG", "SET", "client-output-buffer-limit", "replica 0 0 0") == "OK"
        replica.process.send_signal(signal.SIGCONT)
        _, r = wait_until_equal(primary, replica)
        assert r("DEBUG DIGEST") == p("DEBUG DIGEST")


def test_a_client_that_hangs_up_amid_a_large_value(primary):
    p = allow(primary)
    p("SET", "large", b"x" * (VALUE_SIZE * 200))
    for _ in range(5):
        client = primary.connect()
        client.send("GET", "large")
        eventually(lambda: figures(p)["bytes_in_flight"] > 0, "it is on its way")
        client.close()
        primary.clients.remove(client)
        eventually(lambda: figures(p)["bytes_in_flight"] == figures(p)["draining_clients"] == 0, "nothing is held")
    assert p("PING") == "PONG"


def test_quit_behind_a_large_value_gets_all_of_it(primary):
    client = primary.connect()
    value = bytes(range(256)) * (VALUE_SIZE // 64)
    client("SET", "large", value)
    assert client.pipeline("GET large", "QUIT") == [value, "OK"]
    assert client.is_closed()
    primary.clients.remove(client)


def test_the_server_leaves_with_sends_in_flight(primary, follow):
    replica = follow(primary)
    p, _ = wait_until_equal(primary, replica)
    p("CONFIG SET shutdown-timeout 0")
    stop_reading(replica)
    write_until_in_flight(p)
    primary.stop()


# ---- Threads --------------------------------------------------------------------------------------------------------


@pytest.mark.cells("tcp:4")
def test_connections_move_with_sends_in_flight(primary, follow):
    replica = follow(primary)
    p, r = wait_until_equal(primary, replica)
    p("DEBUG PAUSE-ERRQUEUE-EVENTS 1")
    for round_number, threads in enumerate([1, 4, 2, 3, 0, 4]):
        write(p, 15, round_number)
        assert p("CONFIG", "SET", "io-threads", threads) == "OK"
        wait_until_equal(primary, replica)
    assert figures(p)["bytes_in_flight"] > 0
    p("DEBUG PAUSE-ERRQUEUE-EVENTS 0")
    eventually(lambda: figures(p)["writes_in_flight"] == figures(p)["bytes_in_flight"] == 0, "all are over")
    assert r("DEBUG DIGEST") == p("DEBUG DIGEST")


# ---- Options and DEBUG ----------------------------------------------------------------------------------------------


def test_debug_takes_numbers(primary):
    p = allow(primary)
    for name in ("ZEROCOPY-FOR-LOOPBACK", "PAUSE-ERRQUEUE-EVENTS", "POISON-LOG-BLOCKS"):
        assert p("DEBUG", name, "x") == Error("ERR value is not an integer or out of range")
        assert p("DEBUG", name, "0") == "OK"
