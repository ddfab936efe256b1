"""Sending without copying for real: what the kernel says when nothing needs to be copied on the way, and when something does.

Blocks of the log are overwritten as soon as they are let go, so bytes that the kernel still had to read would arrive wrong, and
the replica's digest would tell. Every write is sent that way, however small (tcp-zerocopy-min-write-size 1), where a spec does
not say otherwise."""
import signal
import socket
import time

import pytest

from harness.netns import PORT
from harness.resp import Client, eventually
from harness.server import REDIS, SKUA, is_slow_build
from netns.links import WAIT_S, Load, fill, replication, stats, wait_equal, wait_up

MB = 1 << 20
ENOUGH = 5 * MB if is_slow_build() else 30 * MB
RECENT = 64  # sends that decide whether a connection goes on with it
EVERY_PROTOCOL = socket.htons(3)

BOTH_WAYS = pytest.mark.parametrize("way", ["io_uring", "MSG_ZEROCOPY"])

pytestmark = pytest.mark.timeout(600)


def figures(server):
    with Client(server.socket_path) as client:
        info = client.info("clients", "memory", "stats")
    return {name.removeprefix("zero_copy_"): int(value) for name, value in info.items()
            if name.startswith("zero_copy_") or name == "draining_clients"}


def command(server, *words):
    with Client(server.socket_path, timeout_s=WAIT_S) as client:
        assert client(*words) == "OK"


@pytest.fixture
def way():
    """How what lies in the log goes: by io_uring where that is permitted. Specs with BOTH_WAYS have it done by the other, too."""
    return "io_uring"


@pytest.fixture
def primary_on(servers, way):
    """primary_on(node, option=value, …) is a primary that spoils what it has let go."""
    def begin(node, **options):
        options = {"tcp_zerocopy_min_write_size": 1, "repl_backlog_size": "1mb", "repl_timeout": 60, "io_threads": 2,
                   "io_uring": "yes" if way == "io_uring" else "no",
                   "client_output_buffer_limit": "replica 0 0 0"} | options
        primary = servers(node, **options)
        command(primary, "DEBUG POISON-LOG-BLOCKS 1")
        return primary

    return begin


@pytest.fixture
def follow(servers):
    """follow(node, ip) is a replica on the node that has what the primary at this address has."""
    def begin(node, ip, kind=SKUA, **options):
        replica = servers(node, kind, replicaof=f"{ip} {PORT}", repl_timeout=60, **options)
        wait_up(replica)
        return replica

    return begin


@pytest.fixture
def linked(world, primary_on, follow):
    """A primary and a replica with a card between them."""
    here, there = world.pair("primary", "replica")
    there.receive_as_a_card()
    primary = primary_on(here)
    return primary, follow(there, here.ip)


def write(server, size=ENOUGH):
    with Load(server, keys=300, size=20_000, pipeline=10, rest_s=0) as load:
        eventually(lambda: load.bytes >= size, "it is written", timeout_s=WAIT_S)


@pytest.fixture
def stopped(world, primary_on, follow):
    """A replica that has stopped reading, while as much is in flight as a connection may have there."""
    here, there = world.pair("primary", "replica")
    here.write("/proc/sys/net/ipv4/tcp_wmem", "4096 67108864 67108864")  # what sockets begin with is their listener's
    there.receive_as_a_card()
    primary = primary_on(here, repl_timeout=600)
    replica = follow(there, here.ip)
    replica.process.send_signal(signal.SIGSTOP)
    write(primary, 60 * MB)
    eventually(lambda: figures(primary)["bytes_in_flight"] > 5 * MB, "much is in flight", timeout_s=WAIT_S)
    return primary, replica


def wait_until_over(server):
    eventually(lambda: figures(server)["writes_in_flight"] == 0, "all are over", timeout_s=WAIT_S)


def assert_nothing_was_copied(server, at_least=1):
    wait_until_over(server)
    told = figures(server)
    assert told["writes_processed"] >= at_least
    assert told["writes_copied"] == told["switched_off"] == told["notes_lost"] == 0
    assert told["bytes_in_flight"] == told["draining_clients"] == 0


def assert_everything_was_copied(server):
    wait_until_over(server)
    told = figures(server)
    assert told["writes_processed"] >= RECENT
    assert told["writes_copied"] == told["writes_processed"]
    assert told["switched_off"] >= 1, "it goes over to copying by itself"
    assert told["bytes_in_flight"] == told["draining_clients"] == told["notes_lost"] == 0


# ---- Where nothing has to be copied ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize("kind", [SKUA, REDIS])
@BOTH_WAYS
def test_a_replica_behind_a_card_is_sent_the_stream_without_a_copy(world, primary_on, follow, family, kind):
    here, there = world.pair("primary", "replica")
    there.receive_as_a_card()
    primary = primary_on(here)
    replica = follow(there, here.ip if family == "IPv4" else here.ip6, kind)
    write(primary)
    wait_equal(primary, replica)
    assert_nothing_was_copied(primary, at_least=10)
    assert figures(primary)["bytes_sent"] >= ENOUGH


def test_a_snapshot_goes_to_a_replica_without_a_copy(world, primary_on, follow):
    here, there = world.pair("primary", "replica")
    there.receive_as_a_card()
    primary = primary_on(here)
    with Client(primary.socket_path) as client:
        fill(client, keys=ENOUGH // 1000)
    replica = follow(there, here.ip)
    wait_equal(primary, replica)
    assert_nothing_was_copied(primary, at_least=10)
    assert figures(primary)["bytes_sent"] >= ENOUGH // 2


def test_a_replica_of_a_replica_is_sent_its_log_without_a_copy(world, primary_on, follow):
    first, second, third = world.hub("first", "second", "third")
    for node in (second, third):
        node.receive_as_a_card()
    primary = primary_on(first)
    middle = primary_on(second, replicaof=f"{first.ip} {PORT}")
    wait_up(middle)
    last = follow(third, second.ip)
    write(primary)
    wait_equal(primary, middle, last)
    for sender in (primary, middle):
        assert_nothing_was_copied(sender, at_least=10)
        assert figures(sender)["bytes_sent"] >= ENOUGH


def test_large_values_go_to_a_client_without_a_copy(world, primary_on):
    here, there = world.pair("server", "client")
    there.receive_as_a_card()
    server = primary_on(here)
    values = [bytes([65 + i]) * (MB + i) for i in range(10)]
    with there.connect((here.ip, PORT)) as client:
        for i, value in enumerate(values):
            assert client("SET", f"k{i}", value) == "OK"
        assert client.pipeline(*(("GET", f"k{i}") for i in range(10))) == values
        assert_nothing_was_copied(server)
        assert figures(server)["bytes_sent"] >= 10 * MB


def test_with_the_measured_threshold_a_replica_gets_the_same(world, primary_on, follow):
    here, there = world.pair("primary", "replica")
    there.receive_as_a_card()
    primary = primary_on(here, tcp_zerocopy_min_write_size=0)
    replica = follow(there, here.ip)
    write(primary, 3 * ENOUGH)
    wait_equal(primary, replica)
    assert_nothing_was_copied(primary, at_least=0)
    print(f"{figures(primary)['bytes_sent'] / 3 / ENOUGH:.2f} of the bytes went without a copy; from "
          f"{figures(primary)['min_write_size']} bytes on")


# ---- Where the kernel copies all the same ---------------------------------------------------------------------------


@BOTH_WAYS
def test_between_namespaces_it_copies_which_is_noticed(world, primary_on, follow):
    here, there = world.pair("primary", "replica")
    primary = primary_on(here)
    replica = follow(there, here.ip)
    write(primary)
    wait_equal(primary, replica)
    assert_everything_was_copied(primary)


@pytest.mark.parametrize("is_card", [False, True], ids=["plain", "card"])
def test_over_lo_all_is_copied_unless_it_receives_as_a_card(world, primary_on, servers, is_card):
    here, _ = world.pair("primary", "other")
    if is_card:
        here.receive_as_a_card("lo")
    primary = primary_on(here)
    command(primary, "DEBUG ZEROCOPY-FOR-LOOPBACK 1")
    replica = servers(here, port=PORT + 1, replicaof=f"127.0.0.1 {PORT}", repl_timeout=60)
    wait_up(replica)
    write(primary)
    wait_equal(primary, replica)
    if is_card:
        assert_nothing_was_copied(primary, at_least=10)
    else:
        assert_everything_was_copied(primary)


def test_somebody_who_listens_on_the_way_makes_it_copy(linked):
    """As tcpdump does: what it hears must not change under its eyes."""
    primary, replica = linked
    write(primary)
    wait_equal(primary, replica)
    assert_nothing_was_copied(primary)
    with primary.node.inside():
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, EVERY_PROTOCOL)
    with listener:
        write(primary)
        wait_equal(primary, replica)
    wait_until_over(primary)
    assert figures(primary)["writes_copied"] >= RECENT // 2
    assert figures(primary)["switched_off"] >= 1


@pytest.mark.long
def test_after_a_rest_it_is_tried_again(world, primary_on, follow):
    here, there = world.pair("primary", "replica")
    primary = primary_on(here)
    replica = follow(there, here.ip)
    write(primary)
    wait_equal(primary, replica)
    assert_everything_was_copied(primary)
    there.receive_as_a_card()

    def is_tried():
        write(primary, MB)
        told = figures(primary)
        return told["writes_processed"] - told["writes_copied"] > 10

    eventually(is_tried, "it sends without copying again", timeout_s=WAIT_S, every_s=0.5)
    wait_equal(primary, replica)


# ---- What the kernel reads a second time ----------------------------------------------------------------------------


@BOTH_WAYS
@pytest.mark.parametrize("lost", [0, 0.01])
def test_what_the_kernel_has_to_read_stays_as_it_is_until_it_has_arrived(stopped, lost):
    """The history is long past what is in flight here, so a sender that let its memory go when the kernel had taken it would send
    poison; with packets that are lost also one that let it go when it had been sent once."""
    primary, replica = stopped
    replica.node.lose(lost)
    replica.process.send_signal(signal.SIGCONT)
    eventually(lambda: figures(primary)["bytes_in_flight"] < MB, "it arrives", timeout_s=WAIT_S)
    replica.node.lose(0)
    wait_equal(primary, replica)
    assert_nothing_was_copied(primary, at_least=10)
    assert stats(primary)["sync_full"] == 1


def test_connections_that_are_reset_with_sends_in_flight(linked):
    primary, replica = linked
    command(primary, "CONFIG SET repl-backlog-size 64mb")
    for _ in range(5):
        before = figures(primary)["bytes_sent"]
        with Load(primary, keys=300, size=20_000, pipeline=10) as load:
            eventually(lambda: figures(primary)["bytes_sent"] > before + MB, "it is sent", timeout_s=WAIT_S)
            assert replica.node.reset_connections(PORT) == 1
            eventually(lambda: load.bytes > 2 * MB, "it goes on", timeout_s=WAIT_S)
        wait_equal(primary, replica)
    assert_nothing_was_copied(primary, at_least=10)


# ---- Ends with sends in flight --------------------------------------------------------------------------------------


def tell_how_fast_it_is_free(primary, end):
    """From before `end` until nothing is pinned any more, with the time that asking takes. Told with -s, and not limited: machines differ.
    As long as the replica would keep it, it is not."""
    with Client(primary.socket_path) as asking:
        pinned = int(asking.info("stats")["zero_copy_bytes_in_flight"])
        assert pinned > MB
        begin = time.monotonic()
        end()
        eventually(lambda: asking.info("stats")["zero_copy_bytes_in_flight"] == "0", "nothing is in flight", timeout_s=WAIT_S,
                   every_s=0.0002)
        took_ms = (time.monotonic() - begin) * 1000
    print(f"{pinned / MB:.1f} MB were free after {took_ms:.2f} ms")


def assert_goes_on(primary, replica):
    replica.process.send_signal(signal.SIGCONT)
    wait_equal(primary, replica)
    assert_nothing_was_copied(primary)


@BOTH_WAYS
def test_the_memory_of_a_stopped_replica_is_free_at_once_when_it_is_killed(stopped):
    primary, replica = stopped
    with Client(primary.socket_path) as client:
        tell_how_fast_it_is_free(primary, lambda: client("CLIENT KILL TYPE replica"))
    assert figures(primary)["dissolved"] >= 1
    assert_goes_on(primary, replica)


def test_the_memory_of_a_stopped_replica_is_free_when_it_has_been_silent_for_long(stopped):
    primary, replica = stopped
    command(primary, "CONFIG SET repl-timeout 2")
    eventually(lambda: replication(primary)["connected_slaves"] == "0", "it is dropped", timeout_s=WAIT_S)
    eventually(lambda: figures(primary)["bytes_in_flight"] == 0, "nothing is in flight", timeout_s=WAIT_S)
    assert figures(primary)["dissolved"] >= 1
    command(primary, "CONFIG SET repl-timeout 600")
    assert_goes_on(primary, replica)


def test_the_memory_of_a_replica_that_cannot_be_reached_is_free_when_it_is_dropped(stopped):
    primary, replica = stopped
    replica.node.lose(1)
    with Client(primary.socket_path) as client:
        tell_how_fast_it_is_free(primary, lambda: client("CLIENT KILL TYPE replica"))
    replica.node.lose(0)
    replica.process.send_signal(signal.SIGCONT)
    replica.node.reset_connections(PORT)  # it does not know yet
    assert_goes_on(primary, replica)


@BOTH_WAYS
def test_the_memory_of_a_replica_whose_process_dies_is_free(stopped):
    primary, replica = stopped
    tell_how_fast_it_is_free(primary, replica.kill)
    replica.start_again()
    wait_equal(primary, replica)
    assert_nothing_was_copied(primary)


# ---- What the kernel says late, or refuses --------------------------------------------------------------------------


@BOTH_WAYS
def test_while_nothing_is_told_everything_is_held_and_nothing_waits(linked):
    primary, replica = linked
    command(primary, "DEBUG PAUSE-ERRQUEUE-EVENTS 1")
    write(primary)
    wait_equal(primary, replica)
    held = figures(primary)
    assert held["writes_in_flight"] > 0 and held["bytes_in_flight"] > MB
    command(primary, "DEBUG PAUSE-ERRQUEUE-EVENTS 0")
    assert_nothing_was_copied(primary)
    wait_equal(primary, replica)


@pytest.mark.parametrize("way", ["MSG_ZEROCOPY"])
def test_without_memory_to_keep_track_of_sends_they_are_copied(linked):
    """net.core.optmem_max is what the kernel spends on notes about a socket's sends."""
    primary, replica = linked
    if not primary.node.write("/proc/sys/net/core/optmem_max", 2048):
        pytest.skip("this kernel has one net.core.optmem_max for all namespaces")
    replica.process.send_signal(signal.SIGSTOP)
    write(primary, 2 * ENOUGH)
    eventually(lambda: figures(primary)["writes_refused"] > 0, "a send is refused", timeout_s=WAIT_S)
    replica.process.send_signal(signal.SIGCONT)
    write(primary)
    wait_equal(primary, replica)
    assert_nothing_was_copied(primary)
    assert stats(primary)["sync_full"] == 1
