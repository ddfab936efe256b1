"""A stock sentinel of Redis 7.0 watches over servers of ours, and over ours together with redis-server's. A fail-over takes
half a minute, which is spent waiting: `dev/test` makes one, `dev/test sentinel` (SKUA_LONG=1) one for each mixture."""
import os
import subprocess

import pytest

from harness.resp import Error, eventually
from harness.sentinel import WAIT_S, Sentinel, ask
from harness.server import REDIS, SKUA, Server, program

pytestmark = [pytest.mark.skua_only("ours is watched"), pytest.mark.once]

OPTIONS = {"repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}
MIXTURES = [(SKUA, REDIS, SKUA), (SKUA, SKUA, SKUA), (REDIS, SKUA, REDIS)]


@pytest.fixture
def watched(cell, tmp_path):
    """watched(kinds) starts servers, of which all follow the first, and a sentinel."""
    servers, sentinels = [], []

    def begin(kinds):
        for kind in kinds:
            config = OPTIONS | ({"replicaof": f"127.0.0.1 {servers[0].port}"} if servers else {})
            servers.append(Server(kind, "tcp", cell[1] if kind == SKUA else 0, config))
            servers[-1].start()
        sentinels.append(Sentinel(servers[0], tmp_path))
        return servers, sentinels[0]

    yield begin
    for sentinel in sentinels:
        sentinel.stop()
    for server in servers:
        try:
            if server.process.poll() is None:
                server.stop()
        finally:
            server.kill()
            server.remove()


def start_again(server):
    """On the port of before, with the configuration that was rewritten."""
    with open(server.log_path, "ab") as log:
        server.process = subprocess.Popen(
            [program(server.kind), str(server.config_path)], cwd=server.folder, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kinds", MIXTURES if os.environ.get("SKUA_LONG") else MIXTURES[:1], ids="-".join)
def test_sentinel_fails_over_and_takes_the_old_primary_back(watched, kinds):
    servers, sentinel = watched(kinds)
    first, *others = servers
    ask(first, "SET a 1")
    eventually(lambda: all(sentinel.replicas().get(server.port, {}).get(b"master-link-status") == b"ok"
                           for server in others), "sentinel knows the replicas", timeout_s=WAIT_S)
    for server in others:
        eventually(lambda: ask(server, "GET a") == b"1", "the data have come", timeout_s=WAIT_S)
    first.kill()
    eventually(lambda: sentinel.primary_port() != first.port, "another is the primary", timeout_s=WAIT_S)
    promoted, = (server for server in others if server.port == sentinel.primary_port())
    left, = (server for server in others if server is not promoted)
    eventually(lambda: ask(promoted, "ROLE")[0] == b"master", "it was promoted", timeout_s=WAIT_S)
    assert ask(promoted, "SET b 2") == "OK"
    eventually(lambda: ask(left, "ROLE")[:3] == [b"slave", b"127.0.0.1", promoted.port], "the other follows it",
               timeout_s=WAIT_S)
    eventually(lambda: ask(left, "GET b") == b"2", "and has its data", timeout_s=WAIT_S)
    assert b"sync_full:0\r\n" in ask(promoted, "INFO stats"), "the other knew the history"
    assert "replicaof 127" not in promoted.config_path.read_text()
    eventually(lambda: f"replicaof 127.0.0.1 {promoted.port}" in left.config_path.read_text(), "it is written down",
               timeout_s=WAIT_S)
    start_again(first)
    eventually(lambda: sentinel.replicas().get(first.port, {}).get(b"master-link-status") == b"ok",
               "the old primary is a replica", timeout_s=WAIT_S)
    eventually(lambda: ask(first, "GET b") == b"2", "with the data", timeout_s=WAIT_S)
    assert ask(first, "SET c 3") == Error("READONLY You can't write against a read only replica.")


@pytest.mark.timeout(400)
def test_sentinel_fails_over_on_request(watched):
    servers, sentinel = watched((SKUA, SKUA))
    first, second = servers
    ask(first, "SET a 1")
    eventually(lambda: sentinel.replicas().get(second.port, {}).get(b"master-link-status") == b"ok",
               "sentinel knows the replica", timeout_s=WAIT_S)
    assert sentinel.client("SENTINEL FAILOVER it") == "OK"
    eventually(lambda: sentinel.primary_port() == second.port, "it is the primary", timeout_s=WAIT_S)
    eventually(lambda: ask(first, "ROLE")[:3] == [b"slave", b"127.0.0.1", second.port],
               "the first follows it", timeout_s=WAIT_S)
