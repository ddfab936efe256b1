"""A full synchronisation between two of ours that breaks off goes on; several replicas get theirs at their own pace."""
import os
import re

import pytest

from harness.replica import FakeReplica
from harness.resp import eventually
from harness.server import SKUA, is_slow_build
from test_replication_replica import (WAIT_S, Liar, follow, link_is_up, proxies, servers, wait_equal,  # noqa: F401
                                      wait_up)

pytestmark = [pytest.mark.skua_only("a capability of ours"), pytest.mark.cells("tcp:0", "tcp:4")]

MEGABYTE = 1_000_000
SIZE_MB = 8 if is_slow_build() else 48
BUFFERS = 65536
CAPABILITIES = ("eof", "psync2", "skua-resume")
ANSWER = re.compile(rb"\+FULLRESYNC ([0-9a-f]{40}) (\d+)(?: ([0-9a-f]{40}))?(?: (\d+))?\r\n")


def begin_primary(servers, size_mb=SIZE_MB, **options):
    """A primary with so many megabytes that do not compress."""
    primary = servers(SKUA, **({"repl_diskless_sync_delay": "0"} | options))
    client = primary.connect()
    for i in range(size_mb * 10):
        client("SET", f"k{i}", os.urandom(100_000))
    return primary


def stat(server, name):
    return int(server.connect().info("stats")[name])


class Cuts:
    """Cuts the connections of a proxy after so many bytes each; those that follow are left alone."""

    def __init__(self, *sizes):
        self.sizes = list(sizes)
        self.count = 0

    def __call__(self, data, passed):
        if self.sizes and passed >= self.sizes[0]:
            self.sizes.pop(0)
            self.count += 1
            return None
        return data


# ---- Links that break --------------------------------------------------------------------------------------


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_link_that_is_cut_several_times_costs_what_was_in_flight(servers, proxies, diskless):
    primary = begin_primary(servers, repl_diskless_sync=diskless)
    cuts = Cuts(*(SIZE_MB * MEGABYTE * part // 100 for part in (20, 30, 5, 25)))
    proxy = proxies(primary, cuts, BUFFERS)
    replica = servers()
    client = follow(replica, proxy.port)
    writer, i = primary.connect(), 0
    while not link_is_up(client):
        writer("SET", f"other{i % 400}", f"new {i}")
        i += 1
    wait_equal(primary, replica)
    assert cuts.count == 4
    assert (stat(primary, "sync_full"), stat(primary, "sync_full_resumed")) == (1, 4)
    assert proxy.from_target <= 1.2 * SIZE_MB * MEGABYTE + 100 * i
    # Beyond that, what the primary's kernel had not sent yet: up to 4 MB each time.
    sent = stat(primary, "total_net_repl_output_bytes")
    assert sent <= 1.2 * SIZE_MB * MEGABYTE + 100 * i + cuts.count * 4 * MEGABYTE
    eventually(lambda: not list(replica.folder.glob("temp-*")), "the temporary file is gone")


def test_a_snapshot_that_is_not_claimed_in_time_is_begun_anew(servers, proxies):
    primary = begin_primary(servers, size_mb=8, repl_timeout=1)
    proxy = proxies(primary, Cuts(4 * MEGABYTE), BUFFERS)
    replica = servers()
    follow(replica, proxy.port)
    eventually(lambda: proxy.spoil.count == 1, "it is cut", timeout_s=WAIT_S)
    proxy.is_open = False
    eventually(lambda: b"is not kept any longer" in primary.log(), "its time is over", timeout_s=WAIT_S)
    proxy.is_open = True
    wait_up(replica.connect())
    wait_equal(primary, replica)
    assert stat(primary, "sync_full") == 2


def test_a_primary_that_was_restarted_begins_anew(servers, proxies):
    primary = begin_primary(servers, size_mb=8, save="3600 1000000")
    proxy = proxies(primary, Cuts(4 * MEGABYTE), BUFFERS)
    replica = servers()
    follow(replica, proxy.port)
    eventually(lambda: proxy.spoil.count == 1, "it is cut", timeout_s=WAIT_S)
    proxy.is_open = False
    primary.close_clients()
    primary.process.terminate()
    primary.wait_exit()
    primary.check_exit()
    primary.start()
    proxy.target, proxy.is_open = primary.port, True
    wait_up(replica.connect())
    wait_equal(primary, replica)
    assert stat(primary, "sync_full") == 1


def test_a_replica_that_was_restarted_begins_anew(servers, proxies):
    primary = begin_primary(servers, size_mb=8)
    proxy = proxies(primary, Cuts(4 * MEGABYTE), BUFFERS)
    replica = servers(replicaof=f"127.0.0.1 {proxy.port}")
    eventually(lambda: proxy.spoil.count == 1, "it is cut", timeout_s=WAIT_S)
    replica.kill()
    replica.start()
    wait_up(replica.connect())
    wait_equal(primary, replica)
    assert stat(primary, "sync_full") == 2


def test_a_replica_that_follows_somebody_else_forgets_its_part(servers, proxies):
    primary, other = begin_primary(servers, size_mb=8), servers()
    other.connect()("SET other 1")
    proxy = proxies(primary, Cuts(4 * MEGABYTE), BUFFERS)
    replica = servers()
    client = follow(replica, proxy.port)
    eventually(lambda: proxy.spoil.count == 1, "it is cut", timeout_s=WAIT_S)
    assert client("REPLICAOF", "127.0.0.1", str(other.port)) == "OK"
    wait_up(client)
    wait_equal(other, replica)
    eventually(lambda: not list(replica.folder.glob("temp-*")), "the temporary file is gone")


def test_a_link_that_ends_while_the_snapshot_is_loaded_is_not_missed(servers, proxies):
    """All of the snapshot is there: only what follows it is asked for again."""
    primary = begin_primary(servers, size_mb=8)
    proxy = proxies(primary)
    replica = servers()
    client = follow(replica, proxy.port)
    eventually(lambda: int(client.info("replication").get("master_sync_read_bytes", 0)) > 0 or link_is_up(client),
               "it comes")
    for _ in range(20):
        proxy.cut()
    wait_up(client)
    wait_equal(primary, replica)
    assert stat(primary, "sync_full") == 1


# ---- What is said on the link ----------------------------------------------------------------------------


def begin_fake(primary, snapshot=None, size=0):
    """A replica that can resume, and says what it has; its answer to PSYNC as (history, offset, snapshot, bytes)."""
    replica = FakeReplica(primary.address, capabilities=CAPABILITIES)
    if snapshot:
        assert replica("REPLCONF", "skua-snapshot", snapshot, "skua-bytes", str(size)) == "OK"
    found = ANSWER.fullmatch(replica.ask())
    assert found
    return replica, found.groups()


def test_a_snapshot_goes_on_at_the_byte_that_was_asked_for(servers):
    primary = begin_primary(servers, size_mb=4)
    replica, (history, offset, snapshot, size) = begin_fake(primary)
    assert snapshot and size is None
    head = replica._line()
    assert head == b"$EOF:" + snapshot + b"\r\n"  # the mark of an unknown length, and its name
    first = replica._take(1_234_567)
    replica.close()
    again, answer = begin_fake(primary, snapshot, len(first))
    assert answer == (history, offset, snapshot, b"1234567")
    rest = again._until(snapshot)[:-40]
    whole, _ = begin_fake(primary)
    assert (first + rest)[:9] == b"REDIS0010"
    assert abs(len(whole.payload()) - len(first + rest)) < 100  # times and the like are not the same
    again.send("REPLCONF", "skua-received", snapshot)
    again.acknowledge(int(offset))
    primary.connect()("SET behind 1")
    assert again.requests("SET behind 1")
    again.close()
    whole.close()


@pytest.mark.once
@pytest.mark.parametrize("spoiled", ["name", "too much", "nothing"])
def test_what_does_not_fit_is_begun_anew(servers, spoiled):
    primary = begin_primary(servers, size_mb=2)
    replica, (_, _, snapshot, _) = begin_fake(primary)
    replica._take(100_000)
    replica.close()
    name = b"0" * 40 if spoiled == "name" else snapshot
    size = {"name": 100_000, "too much": 10**15, "nothing": 0}[spoiled]
    again, (_, _, other, went_on) = begin_fake(primary, name, size)
    if spoiled == "nothing":
        assert (other, went_on) == (snapshot, b"0")
    else:
        assert other not in (snapshot, name) and went_on is None
    assert len(again.payload()) > 2 * MEGABYTE
    again.close()


@pytest.mark.once
def test_who_does_not_ask_for_it_is_told_what_everybody_is_told(servers):
    primary = begin_primary(servers, size_mb=1)
    replica = FakeReplica(primary.address)
    assert re.fullmatch(rb"\+FULLRESYNC [0-9a-f]{40} \d+\r\n", replica.ask())
    assert len(replica.payload()) > MEGABYTE
    replica.close()


@pytest.mark.once
@pytest.mark.parametrize("words", ["skua-snapshot x skua-bytes 1", "skua-snapshot", f"skua-snapshot {'a' * 40}",
                                   f"skua-snapshot {'a' * 40} skua-bytes -1"])
def test_nonsense_about_snapshots_is_refused(servers, words):
    primary = servers()
    answer = primary.connect()(f"REPLCONF {words}")
    assert str(answer).startswith("ERR ")


# ---- Several at once --------------------------------------------------------------------------------------


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_slow_one_holds_up_neither_who_shares_nor_who_comes_later(servers, diskless):
    size_mb = 24 if is_slow_build() else 80
    primary = begin_primary(servers, size_mb=size_mb, repl_diskless_sync=diskless, repl_diskless_sync_delay="1")
    slow, fast = FakeReplica(primary.address), FakeReplica(primary.address)
    slow.send("PSYNC ? -1")
    assert fast.follow() is True
    assert len(fast.snapshot) > size_mb * MEGABYTE
    late = FakeReplica(primary.address)
    assert late.follow() is True
    assert len(late.snapshot) == len(fast.snapshot)
    states = [row["state"] for row in replicas_of(primary)]
    assert states.count("send_bulk") == 1
    slow._line()
    snapshot = slow.payload()
    assert snapshot == fast.snapshot if diskless == "yes" else len(snapshot) == len(fast.snapshot)
    assert not list(primary.folder.glob("temp-*"))
    for replica in (slow, fast, late):
        replica.close()


def replicas_of(primary):
    info = primary.connect().info("replication")
    rows = [value for name, value in info.items() if re.fullmatch(r"slave\d+", name)]
    return [row if isinstance(row, dict) else dict(pair.split("=") for pair in row.split(",")) for row in rows]
