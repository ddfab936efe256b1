"""Links between a primary and a replica that break in every way: down, reset, silent, lossy, slow; and an address that changes.

SKUA_CUTS: how often a link under load is cut (3; with SKUA_LONG=1 20)."""
import os
import time

import pytest

from harness.netns import PORT
from harness.resp import Client, eventually
from harness.server import REDIS, SKUA
from netns.links import WAIT_S, Load, fill, is_up, offset, replication, stats, wait_equal, wait_up

IS_LONG = bool(os.environ.get("SKUA_LONG"))
CUTS = int(os.environ.get("SKUA_CUTS", 20 if IS_LONG else 3))
CUT_EVERY_S = 2
DATA_PER_CUT = 20_000_000  # at least: what is under way when the link is cut must be little of it, however slow the machine
PAIRS = [(SKUA, SKUA), (SKUA, REDIS), (REDIS, SKUA)]
SOME_PAIRS = [pytest.param(*pair, id="-".join(pair), marks=[] if pair == (SKUA, SKUA) else [pytest.mark.long])
              for pair in PAIRS]
TIMEOUT = {"repl_timeout": 3}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def linked(world, servers):
    """linked(kinds, options) is a primary and a replica that follows it, each on its node."""
    def begin(first, second, **options):
        here, there, _ = world.hub("primary", "replica", "other")
        primary = servers(here, first, **options)
        replica = servers(there, second, replicaof=f"{here.ip} {PORT}", **options)
        wait_up(replica)
        return primary, replica

    return begin


# ---- Cut under load -------------------------------------------------------------------------------------------------


def down_for_a_moment(primary, replica):
    replica.node.link_down()
    time.sleep(0.3)
    replica.node.link_up()


def reset_by_the_replica(primary, replica):
    replica.node.reset_connections(PORT)


@pytest.mark.parametrize("first,second", SOME_PAIRS)
@pytest.mark.parametrize("cut", [pytest.param(down_for_a_moment, marks=pytest.mark.long), reset_by_the_replica])
def test_a_link_that_is_cut_under_load_costs_little(linked, first, second, cut):
    """A replica goes on where it stopped: what is sent is what was written, and little more."""
    primary, replica = linked(first, second, repl_backlog_size="256mb", repl_timeout=30,
                              client_output_buffer_limit="replica 0 0 0")
    begun, sent, received = offset(primary), stats(primary)["total_net_repl_output_bytes"], replica.node.bytes_received()
    with Load(primary) as load:
        for _ in range(CUTS):
            until, written = time.monotonic() + CUT_EVERY_S, load.bytes + DATA_PER_CUT
            eventually(lambda: time.monotonic() > until and load.bytes > written, "it is time", timeout_s=WAIT_S, every_s=0.05)
            cut(primary, replica)
    wait_equal(primary, replica)
    after = stats(primary)
    data = offset(primary) - begun
    print(f"{data / 1e6:.0f} MB written, sent {(after['total_net_repl_output_bytes'] - sent) / data:.3f} of them, "
          f"on the wire {(replica.node.bytes_received() - received) / data:.3f}")
    assert after["sync_full"] == 1
    if cut is reset_by_the_replica:
        assert after["sync_partial_ok"] >= CUTS
    assert after["total_net_repl_output_bytes"] - sent <= 1.2 * data
    assert replica.node.bytes_received() - received <= 1.25 * data  # with headers


@pytest.mark.long
@pytest.mark.parametrize("first,second", PAIRS)
def test_a_lossy_link_loses_nothing_in_the_end(linked, first, second):
    primary, replica = linked(first, second, repl_backlog_size="256mb", repl_timeout=60,
                              client_output_buffer_limit="replica 0 0 0")
    for node in (primary.node, replica.node):
        node.lose(0.01)
    with Load(primary, pipeline=5) as load:
        eventually(lambda: load.bytes > DATA_PER_CUT, "it is written", timeout_s=WAIT_S, every_s=0.05)
        reset_by_the_replica(primary, replica)
    wait_equal(primary, replica)


# ---- Silent ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first,second", SOME_PAIRS)
def test_both_sides_notice_a_link_that_has_gone_silent(world, linked, first, second):
    primary, replica = linked(first, second, **TIMEOUT)
    with Client(primary.socket_path) as client:
        client("SET before 1")
        wait_equal(primary, replica)
        world.cut(replica.node)
        eventually(lambda: replication(primary)["connected_slaves"] == "0", "the primary notices", timeout_s=WAIT_S)
        eventually(lambda: not is_up(replica), "the replica notices", timeout_s=WAIT_S)
        client("SET meanwhile 1")
        world.heal()
        wait_up(replica)
        wait_equal(primary, replica)
    assert (stats(primary)["sync_full"], stats(primary)["sync_partial_ok"]) == (1, 1)


def test_a_link_that_goes_silent_in_a_full_sync(world, servers):
    here, there, _ = world.hub("primary", "replica", "other")
    primary = servers(here, **TIMEOUT)
    with Client(primary.socket_path, timeout_s=WAIT_S) as client:
        fill(client)
    there.slow_down("40mbit")
    replica = servers(there, replicaof=f"{here.ip} {PORT}", **TIMEOUT)
    eventually(lambda: int(replication(replica).get("master_sync_read_bytes", 0)) > 1_000_000, "it is under way",
               timeout_s=WAIT_S)
    world.cut(there)
    eventually(lambda: replication(primary)["connected_slaves"] == "0", "the primary notices", timeout_s=WAIT_S)
    eventually(lambda: replication(replica)["master_sync_in_progress"] == "0", "the replica notices", timeout_s=WAIT_S)
    there.full_speed()
    world.heal()
    wait_equal(primary, replica)


@pytest.mark.long
def test_a_primary_that_does_not_answer_is_tried_again(world, servers):
    """The kernel alone would try for two minutes, at longer and longer intervals."""
    here, there, _ = world.hub("primary", "replica", "other")
    primary = servers(here)
    world.cut(here)
    replica = servers(there, replicaof=f"{here.ip} {PORT}", **TIMEOUT)
    eventually(lambda: replica.log().count(b"3 seconds") >= 1, "it has given up once", timeout_s=WAIT_S)
    world.heal()
    wait_up(replica)
    wait_equal(primary, replica)


# ---- Addresses ------------------------------------------------------------------------------------------------------


def test_a_primary_whose_address_changes_is_found_again_by_its_name(world, servers, tmp_path):
    here, there, _ = world.hub("primary", "replica", "other")
    primary = servers(here, **TIMEOUT)
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{here.ip} primary.example\n")
    replica = servers(there, hosts=hosts, replicaof=f"primary.example {PORT}", **TIMEOUT)
    wait_up(replica)
    here.change_address("10.77.0.99")
    hosts.write_text(f"{here.ip} primary.example\n")
    with Client(primary.socket_path) as client:
        client("SET after 1")
    wait_equal(primary, replica)  # the link is made anew at once when it is found dead: nobody sees it down for sure
    assert stats(primary)["sync_full"] == 1
    assert there.ip in replication(primary)["slave0"]


def test_a_replica_whose_address_changes_goes_on(linked):
    primary, replica = linked(SKUA, SKUA, **TIMEOUT)
    replica.node.change_address("10.77.0.99")
    with Client(primary.socket_path) as client:
        client("SET after 1")
    eventually(lambda: "ip=10.77.0.99" in replication(primary).get("slave0", ""), "it has come back", timeout_s=WAIT_S)
    wait_equal(primary, replica)
    assert stats(primary)["sync_full"] == 1


# ---- Slow -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first,second", [pytest.param(SKUA, SKUA, id="skua-skua"),
                                          pytest.param(SKUA, REDIS, id="skua-redis", marks=pytest.mark.long)])
def test_clients_do_not_wait_for_a_full_sync_over_a_slow_link(world, servers, first, second):
    here, there, _ = world.hub("primary", "replica", "other")
    primary = servers(here, first, repl_timeout=60, client_output_buffer_limit="replica 0 0 0")
    with Client(primary.socket_path, timeout_s=WAIT_S) as client:
        fill(client)
        there.slow_down("40mbit")  # the 20 MB take 4 seconds
        client("CONFIG RESETSTAT")
        replica = servers(there, second, replicaof=f"{here.ip} {PORT}", repl_timeout=60)
        eventually(lambda: "state=send_bulk" in replication(primary).get("slave0", ""), "it has begun", timeout_s=WAIT_S)
        commands = 0
        with Client(primary.socket_path) as watcher:
            while "state=send_bulk" in watcher.info("replication")["slave0"]:
                for i in range(10):
                    assert client("SET", f"k:{(commands + i) % 20000}", f"{commands}-{i}") == "OK"
                commands += 10
        pauses = client.info("threads")
        print(f"{commands} commands one after the other during the sync; {pauses['executor_pause_max_usec']} us by "
              f"{pauses['executor_pause_max_by']}")
        assert commands >= 1000
        assert int(pauses["executor_pause_max_usec"]) < 1_000_000  # the link needs four times that
    wait_up(replica)
    wait_equal(primary, replica)
    assert stats(primary)["sync_full"] == 1
