"""Servers that are restarted go on with replication from their snapshots: of ours, and of ours and redis-server 7.0."""
import time

import pytest

from harness.resp import Error, eventually
from harness.server import REDIS, SKUA
from test_replication_replica import (WAIT_S, churn, fill, follow, link_is_up, offset, proxies, servers,  # noqa: F401
                                      wait_equal, wait_up)

pytestmark = [pytest.mark.skua_only("ours is one of the two"), pytest.mark.cells("tcp:0", "tcp:4")]

SAVES = "3600 1000000"  # a save point: SHUTDOWN saves
PAIRS = [(SKUA, SKUA), (REDIS, SKUA), (SKUA, REDIS)]


def end(server):
    """As SHUTDOWN does it, with a snapshot; its folder stays."""
    server.close_clients()
    server.process.terminate()
    server.wait_exit()
    server.check_exit()


def syncs(server):
    stats = server.connect().info("stats")
    return int(stats["sync_full"]), int(stats["sync_partial_ok"])


def begin_pair(servers, proxies, kinds):
    """A primary, and a replica that follows it through a proxy, also when they have been restarted; both have the same."""
    primary = servers(kinds[0], save=SAVES, enable_protected_configs="local")
    fill(primary.connect(), count=70)
    proxy = proxies(primary)
    replica = servers(kinds[1], save=SAVES, replicaof=f"127.0.0.1 {proxy.port}")
    wait_up(replica.connect())
    fill(primary.connect(), seed=2, count=70, database=3)
    wait_equal(primary, replica)
    return primary, replica, proxy


@pytest.mark.parametrize("kinds", PAIRS, ids="-to-".join)
def test_a_restarted_replica_goes_on_where_its_snapshot_ends(servers, proxies, kinds):
    primary, replica, _ = begin_pair(servers, proxies, kinds)
    writer = primary.connect()
    writer("SELECT 3")
    writer("SET before 1")
    wait_equal(primary, replica)
    end(replica)
    writer("SET behind 1")  # no SELECT stands before it in the stream
    replica.start()
    wait_up(replica.connect())
    wait_equal(primary, replica)
    assert syncs(primary) == (1, 1)


def test_a_replica_that_was_killed_goes_on_from_its_last_snapshot(servers, proxies):
    primary, replica, _ = begin_pair(servers, proxies, (SKUA, SKUA))
    client = replica.connect()
    assert client("SAVE") == "OK"
    churn(primary.connect(), seed=3, rounds=50)
    wait_equal(primary, replica)
    replica.kill()
    replica.start()
    wait_up(replica.connect())
    wait_equal(primary, replica)
    assert syncs(primary) == (1, 1)


@pytest.mark.parametrize("kinds", PAIRS, ids="-to-".join)
def test_replicas_of_a_restarted_primary_go_on(servers, proxies, kinds):
    primary, replica, proxy = begin_pair(servers, proxies, kinds)
    end(primary)
    primary.start()
    proxy.target = primary.port
    wait_up(replica.connect())
    churn(primary.connect(), seed=4, rounds=20)
    wait_equal(primary, replica)
    assert syncs(primary) == (0, 1)


@pytest.mark.parametrize("kind", [REDIS, SKUA])
def test_what_expires_while_a_primary_is_away_goes_on_its_replicas_too(servers, proxies, kind):
    primary, replica, proxy = begin_pair(servers, proxies, (SKUA, kind))
    client = primary.connect()
    client("SELECT 5")
    past_ms = int(time.time() * 1000) + 2000
    client("SET", "short", "1", "PXAT", str(past_ms))
    client("SET", "long", "1")
    wait_equal(primary, replica)
    end(primary)
    eventually(lambda: time.time() * 1000 > past_ms, "the key's time has come")
    primary.start()
    proxy.target = primary.port
    wait_up(replica.connect())
    wait_equal(primary, replica)
    other = replica.connect()
    other("SELECT 5")
    assert other("KEYS *") == [b"long"]
    # When the server ended later than the key there was nothing left to be dropped: then it goes on just as well.
    assert syncs(primary) == (0, 1)


@pytest.mark.once
def test_replicas_that_have_more_than_a_primary_lost_get_everything(servers, proxies):
    primary, replica, proxy = begin_pair(servers, proxies, (SKUA, SKUA))
    client = primary.connect()
    client("SAVE")
    client("SET later 1")
    wait_equal(primary, replica)
    primary.kill()
    primary.start()
    proxy.target = primary.port
    wait_up(replica.connect())
    wait_equal(primary, replica)
    assert replica.connect()("GET later") is None
    assert syncs(primary)[0] == 1


@pytest.mark.once
def test_an_append_only_file_names_no_history(servers, proxies):
    primary = servers()
    proxy = proxies(primary)
    replica = servers(appendonly="yes", replicaof=f"127.0.0.1 {proxy.port}")
    client = replica.connect()
    wait_up(client)
    primary.connect()("SET a 1")
    wait_equal(primary, replica)
    eventually(lambda: client.info("persistence")["aof_rewrite_in_progress"] == "0", "its file is there")
    end(replica)
    replica.start()
    wait_up(replica.connect())
    wait_equal(primary, replica)
    assert syncs(primary) == (2, 0)


def test_a_restarted_primary_that_is_demoted_goes_on(servers, proxies):
    """As Sentinel does it: the server comes back as what it was, and is then told whom to follow."""
    primary, replica, proxy = begin_pair(servers, proxies, (SKUA, SKUA))
    end(primary)
    heir = replica.connect()
    assert heir("REPLICAOF NO ONE") == "OK"
    heir("SET new 1")
    primary.start()
    wait_up(follow(primary, replica.port))
    wait_equal(replica, primary)
    assert syncs(replica) == (0, 1)


@pytest.mark.once
def test_a_server_that_could_not_save_goes_on_with_its_replicas(servers, proxies):
    primary, replica, _ = begin_pair(servers, proxies, (SKUA, SKUA))
    client = primary.connect()
    (primary.folder / "taken").mkdir()
    assert client("CONFIG SET dbfilename taken stop-writes-on-bgsave-error no") == "OK"
    assert client("SHUTDOWN SAVE") == Error("ERR Errors trying to SHUTDOWN. Check logs.")
    assert client("SET after 1") == "OK"
    assert client("CONFIG SET dbfilename dump.rdb") == "OK"
    churn(client, seed=5, rounds=20)
    wait_equal(primary, replica)
    assert syncs(primary)[0] == 1


@pytest.mark.once
def test_a_server_that_nobody_has_followed_has_no_history(servers):
    lonely = servers(save=SAVES)
    lonely.connect()("SET a 1")
    end(lonely)
    lonely.start()
    assert lonely.connect()("GET a") == b"1"
    assert lonely.connect().info("replication")["second_repl_offset"] == "-1"
    assert lonely.connect().info("replication")["repl_backlog_active"] == "0"


def test_a_log_that_all_have_ends_where_it_does(servers, proxies):
    """Nothing is asked for at the end when nothing is lacking, so the history goes on at the offset that was last seen."""
    primary = servers(SKUA, save=SAVES, repl_ping_replica_period="3600")
    proxy = proxies(primary)
    replica = servers(replicaof=f"127.0.0.1 {proxy.port}")
    wait_up(replica.connect())
    client = primary.connect()
    client("SET a 1")
    wait_equal(primary, replica)
    end_offset = offset(client)
    eventually(lambda: f"offset={end_offset}," in client.info("replication")["slave0"], "it has been acknowledged")
    end(primary)
    primary.start()
    proxy.target = primary.port
    client = primary.connect()
    rows = client.info("replication")
    assert int(rows["master_repl_offset"]) == end_offset and int(rows["second_repl_offset"]) == end_offset + 1
    wait_equal(primary, replica)
    assert syncs(primary) == (0, 1)
    assert client("CONFIG RESETSTAT") == "OK"
    assert syncs(primary) == (0, 0)
