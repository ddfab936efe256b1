"""A replica that becomes the primary has all that it had received; and its link among the clients."""
import socket
import threading

import pytest

from harness.resp import eventually
from harness.server import SKUA, is_slow_build
from test_replication_replica import WAIT_S, follow, servers, wait_equal, wait_up  # noqa: F401

pytestmark = [pytest.mark.skua_only("how it is done is ours"), pytest.mark.cells("tcp:4")]

ID = b"0123456789abcdef0123456789abcdef01234567"
EMPTY = b"REDIS0010\xff" + bytes(8)
SLOW = 10 if is_slow_build() else 40  # requests
ELEMENTS = 50_000


def words(*words):
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class PlayedPrimary:
    """A primary without data that sends `stream` after its snapshot, and takes one connection."""

    def __init__(self, stream):
        self.stream = stream
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.peer = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            self.peer, _ = self.listener.accept()
            heard = b""
            while b"PSYNC" not in heard:
                piece = self.peer.recv(4096)
                heard += piece
                if b"PSYNC" not in heard:
                    self.peer.sendall(b"+PONG\r\n" if b"PING" in piece else b"+OK\r\n")
            self.peer.sendall(b"+FULLRESYNC %s 0\r\n$%d\r\n%s%s" % (ID, len(EMPTY), EMPTY, self.stream))
        except OSError:
            pass  # closed by the test

    def hang_up(self):
        self.listener.close()
        self.peer.close()

    def close(self):
        self.hang_up()


@pytest.fixture
def play():
    started = []

    def begin(stream):
        started.append(PlayedPrimary(stream))
        return started[-1]

    yield begin
    for primary in started:
        primary.close()


def slow_stream():
    """Takes long to be applied, and is short. Each request but the first is counted."""
    numbers = [str(i * 7919 % ELEMENTS) for i in range(ELEMENTS)]
    stream = words("SELECT", "0") + words("RPUSH", "numbers", *numbers)
    for _ in range(SLOW):
        stream += words("SORT", "numbers", "STORE", "sorted") + words("INCR", "done")
    return stream


def wait_received(client, size):
    eventually(lambda: int(client.info("replication").get("slave_read_repl_offset", 0)) == size, "all has been received",
               timeout_s=WAIT_S)


@pytest.mark.parametrize("how", ["alone", "in a transaction"])
@pytest.mark.parametrize("link", ["there", "lost"])
@pytest.mark.parametrize("read_only", ["yes", "no"])
def test_what_was_received_is_applied_first(servers, play, how, link, read_only):
    primary = play(slow_stream())
    replica = servers(replica_read_only=read_only)
    client = follow(replica, primary.port)
    wait_received(client, len(primary.stream))
    if link == "lost":
        primary.hang_up()
    if how == "alone":
        assert client("REPLICAOF NO ONE") == "OK"
    else:
        assert client.pipeline("MULTI", "SLAVEOF NO ONE", "CONFIG REWRITE", "EXEC")[3][0] == "OK"
    assert client("GET done") == str(SLOW).encode()
    assert client("ROLE")[:2] == [b"master", len(primary.stream)]
    assert client("SET a b") == "OK"


def test_who_asks_and_goes_leaves_a_replica(servers, play):
    primary = play(slow_stream())
    replica = servers()
    client = follow(replica, primary.port)
    wait_received(client, len(primary.stream))
    other = replica.connect()
    other.send("REPLICAOF NO ONE")
    other.close()
    eventually(lambda: client("GET done") == str(SLOW).encode(), timeout_s=WAIT_S)
    assert client("ROLE")[0] in (b"slave", b"master")  # it may have been executed before it was seen to be gone
    assert client("REPLICAOF NO ONE") == "OK"
    assert client("GET done") == str(SLOW).encode()


def test_a_link_that_ends_loses_nothing_that_has_come(servers, play):
    primary = play(slow_stream())
    replica = servers()
    client = follow(replica, primary.port)
    wait_received(client, len(primary.stream))
    primary.hang_up()
    eventually(lambda: client.info("replication")["master_link_status"] == "down", timeout_s=WAIT_S)
    assert client("GET done") == str(SLOW).encode()


# ---- Among the clients -------------------------------------------------------------------------------------


def master_line(client):
    lines = [line for line in client("CLIENT", "LIST", "TYPE", "master").decode().splitlines() if line]
    return dict(field.split("=", 1) for field in lines[0].split(" ")) if lines else None


def test_the_link_is_in_the_list(servers):
    primary = servers(SKUA, repl_diskless_sync_delay="0")
    replica = servers()
    client = follow(replica, primary.port)
    wait_up(client)
    line = master_line(client)
    assert line["flags"] == "M" and line["addr"] == f"127.0.0.1:{primary.port}" and line["user"] == "(superuser)"
    [there] = [row for row in primary.connect().client_list() if row["flags"] == "S"]
    assert there["addr"] == line["laddr"]
    assert f"id={line['id']} " in client("CLIENT", "LIST").decode()
    assert f"id={line['id']} " in client("CLIENT", "LIST", "ID", line["id"]).decode()
    assert master_line(primary.connect()) is None
    assert client("CLIENT", "LIST", "TYPE", "normal").decode().count("flags=M") == 0


@pytest.mark.parametrize("how", ["type", "id", "addr", "old"])
def test_the_link_can_be_killed_and_comes_back(servers, how):
    primary = servers(SKUA, repl_diskless_sync_delay="0")
    replica = servers()
    client = follow(replica, primary.port)
    wait_up(client)
    before = master_line(client)
    words = {"type": ("TYPE", "master"), "id": ("ID", before["id"]), "addr": ("ADDR", before["addr"]), "old": (before["addr"],)}
    assert client("CLIENT", "KILL", *words[how]) == ("OK" if how == "old" else 1)
    primary.connect()("SET after kill")
    eventually(lambda: (master_line(client) or before)["id"] != before["id"], timeout_s=WAIT_S)
    wait_equal(primary, replica)
    assert primary.connect().info("stats")["sync_full"] == "1"
