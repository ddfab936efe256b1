"""This server as a replica: of redis-server 7.0, of another of ours, and in chains of both."""
import random
import shutil
import signal
import socket
import threading
import time

import pytest

from harness.proxy import Proxy
from harness.resp import Error, eventually
from harness.server import REDIS, SKUA, Server, is_slow_build

pytestmark = [pytest.mark.skua_only("ours is the replica"), pytest.mark.cells("tcp:0", "tcp:4")]

PRIMARY_OPTIONS = {"repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}
WAIT_S = 60


@pytest.fixture
def servers(cell):
    if cell[0] != "tcp":
        pytest.skip("a link is TCP")
    yield from begin_servers(cell)


def begin_servers(cell):
    """servers(kind, option=value, …) starts one that answers over TCP; all are stopped and checked at the end."""
    started = []

    def begin(kind=SKUA, **options):
        config = {name.replace("_", "-"): value for name, value in options.items()}
        if kind == REDIS or "repl-diskless-sync-delay" not in config:
            config = PRIMARY_OPTIONS | config
        own = Server(kind, "tcp", cell[1] if kind == SKUA else 0, config)
        started.append(own)
        return own.start()

    yield begin
    for own in reversed(started):
        try:
            if own.process.poll() is None:
                own.stop()
        finally:
            own.kill()
            own.remove()


@pytest.fixture
def proxies():
    made = []

    def begin(target, spoil=None, buffers=0):
        made.append(Proxy(target.port, spoil, buffers))
        return made[-1]

    yield begin
    for proxy in made:
        proxy.close()


@pytest.fixture
def primary(servers):
    return servers(REDIS)


def link_is_up(client):
    return client.info("replication").get("master_link_status") == "up"


def follow(replica, port):
    client = replica.connect()
    assert client("REPLICAOF", "127.0.0.1", str(port)) == "OK"
    return client


def wait_up(client):
    eventually(lambda: link_is_up(client), "the link is up", timeout_s=WAIT_S)


def offset(client):
    return int(client.info("replication")["master_repl_offset"])


def wait_equal(primary, *replicas):
    """All replicas have applied what the primary has written, and hold the same."""
    client = primary.connect()
    for replica in replicas:
        other = replica.connect()
        # A primary's PING moves its offset as well: both are asked until they agree.
        eventually(lambda: link_is_up(other) and offset(other) == offset(client), "the offsets are equal",
                   timeout_s=WAIT_S)
        eventually(lambda: client("DEBUG DIGEST") == other("DEBUG DIGEST"), "the data are equal", timeout_s=WAIT_S)


def fill(client, seed=1, count=400, database=0):
    """Keys of every type that both servers know, small and large, with and without times to live."""
    rng = random.Random(seed)
    client("SELECT", str(database))
    for i in range(count):
        key = f"{seed}:{i}"
        size = rng.choice((1, 3, 40, 300))
        words = [str(rng.getrandbits(rng.choice((7, 20, 40)))) for _ in range(size)]
        match i % 7:
            case 0: client("SET", f"s{key}", rng.randbytes(rng.choice((0, 5, 100, 20000))))
            case 1: client("SET", f"i{key}", words[0])
            case 2: client("RPUSH", f"l{key}", *words)
            case 3: client("SADD", f"S{key}", *words)
            case 4: client("HSET", f"h{key}", *(word for pair in zip(words, reversed(words)) for word in pair))
            case 5: client("ZADD", f"z{key}", *(word for pair in enumerate(words) for word in map(str, pair)))
            case 6:
                for word in words[:40]:
                    client("XADD", f"x{key}", "*", "field", word)
                client("XGROUP", "CREATE", f"x{key}", "group", "0")
                client("XREADGROUP", "GROUP", "group", "alice", "COUNT", "3", "STREAMS", f"x{key}", ">")
        if rng.random() < 0.2:
            for name in "silShzx":
                client("PEXPIRE", f"{name}{key}", "100000000")
    client("SELECT", "0")


# ---- What comes -------------------------------------------------------------------------------------------


def test_all_types_come_through_a_full_sync(servers, primary):
    fill(primary.connect())
    fill(primary.connect(), seed=2, count=50, database=3)
    replica = servers()
    wait_up(follow(replica, primary.port))
    wait_equal(primary, replica)


def test_all_types_come_through_the_stream(servers, primary):
    replica = servers()
    wait_up(follow(replica, primary.port))
    fill(primary.connect(), seed=3)
    fill(primary.connect(), seed=4, count=50, database=5)
    wait_equal(primary, replica)


def test_writes_during_a_full_sync_are_not_lost(servers, primary):
    client = primary.connect()
    client("DEBUG", "POPULATE", "20000", "k", "100")
    stop = threading.Event()

    def write():
        with primary.connect() as writer:
            for i in range(1000000):
                writer("INCR", "counter")
                writer("SET", f"k:{i % 20000}", str(i))
                if stop.is_set():
                    return

    writer = threading.Thread(target=write)
    writer.start()
    replica = servers()
    follower = follow(replica, primary.port)
    wait_up(follower)
    eventually(lambda: int(follower("GET counter") or 0) > 100, "changes come", timeout_s=WAIT_S)
    stop.set()
    writer.join()
    wait_equal(primary, replica)


@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("load", ["disabled", "on-empty-db"])
def test_each_way_of_sending_and_of_taking_a_snapshot(servers, diskless, load):
    primary = servers(REDIS, repl_diskless_sync=diskless)
    fill(primary.connect(), seed=5, count=100)
    replica = servers(repl_diskless_load=load)
    wait_up(follow(replica, primary.port))
    wait_equal(primary, replica)
    eventually(lambda: not list(replica.folder.glob("temp-*.rdb")), "the temporary file is gone")


def test_old_data_go_when_the_new_ones_have_come(servers, primary, proxies):
    primary.connect()("SET", "new", "1")
    replica = servers()
    client = replica.connect()
    client("SET", "old", "1")
    proxy = proxies(primary)
    proxy.flows.clear()
    follow(replica, proxy.port)
    eventually(lambda: proxy.accepted > 0, "it has connected")
    assert client("GET old") == b"1"
    proxy.flows.set()
    wait_up(client)
    assert client("GET old") is None
    assert client("GET new") == b"1"


def test_transactions_and_scripts_of_the_stream_come_as_a_whole(servers, primary):
    replica = servers()
    wait_up(follow(replica, primary.port))
    client, stop = primary.connect(), threading.Event()

    def write():
        for i in range(1000000):
            client.pipeline("MULTI", ("SET", "a", str(i)), ("SET", "b", str(i)), "EXEC")
            if stop.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    reader = replica.connect()
    eventually(lambda: reader("GET a") is not None, "changes come", timeout_s=WAIT_S)
    try:
        for _ in range(2000):
            a, b = reader("MGET a b")
            assert a == b
    finally:
        stop.set()
        writer.join()
    wait_equal(primary, replica)


def test_a_flush_in_the_stream_empties_the_replica(servers, primary):
    client = primary.connect()
    client("MSET a 1 b 2")
    replica = servers()
    follower = follow(replica, primary.port)
    wait_up(follower)
    client("SELECT 2")
    client("SET c 3")
    client("FLUSHALL")
    client("SET d 4")
    wait_equal(primary, replica)
    assert follower("KEYS *") == []
    follower("SELECT 2")
    assert follower("KEYS *") == [b"d"]


def test_published_messages_reach_subscribers_of_the_replica(servers, primary):
    replica = servers()
    wait_up(follow(replica, primary.port))
    listener = replica.connect()
    listener("SUBSCRIBE news")
    primary.connect()("PUBLISH news hello")
    assert listener.read() == [b"message", b"news", b"hello"]


# ---- The link ----------------------------------------------------------------------------------------------


def test_after_a_cut_only_what_is_missing_comes(servers, primary, proxies):
    client = primary.connect()
    client("DEBUG", "POPULATE", "5000", "k", "200")
    replica, proxy = servers(), proxies(primary)
    follower = follow(replica, proxy.port)
    wait_up(follower)
    for i in range(3):
        proxy.cut()
        for j in range(100):
            client("SET", f"cut:{i}:{j}", "x" * 100)
        eventually(lambda: proxy.accepted >= i + 2 and link_is_up(follower), "it is back", timeout_s=WAIT_S)
        wait_equal(primary, replica)
    stats = client.info("stats")
    assert stats["sync_full"] == "1"
    assert int(stats["sync_partial_ok"]) >= 3


def test_a_cut_in_the_middle_of_a_transaction_and_of_a_request(servers, primary, proxies):
    sizes = iter([3000, 20011, 100003])
    cut_at = [next(sizes)]

    def spoil(data, passed):
        if cut_at[0] is not None and passed + len(data) > cut_at[0]:
            cut_at[0] = next(sizes, None)
            return None
        return data

    replica = servers()
    follower = follow(replica, primary.port)
    wait_up(follower)
    proxy = proxies(primary, spoil)
    follow(replica, proxy.port)
    client = primary.connect()
    for i in range(3000):
        client.pipeline("MULTI", ("INCR", "n"), ("SET", f"k{i % 50}", "v" * (i % 90)), ("INCR", "n"), "EXEC")
    wait_equal(primary, replica)
    assert follower("GET n") == b"6000"
    assert client.info("stats")["sync_full"] == "1"


def test_a_primary_that_restarts_is_followed_again(servers, primary):
    client = primary.connect()
    client("SET a 1")
    replica = servers()
    follower = follow(replica, primary.port)
    wait_up(follower)
    port = primary.port
    primary.kill()
    eventually(lambda: not link_is_up(follower), "it notices")
    assert follower("GET a") == b"1"
    again = servers(REDIS)
    again.connect()("SET b 2")
    follow(replica, again.port)
    wait_up(follower)
    wait_equal(again, replica)
    assert port != again.port
    assert follower("KEYS *") == [b"b"]


def test_a_wrong_password_is_retried_until_it_is_right(servers):
    primary = servers(REDIS, requirepass="secret", masterauth="secret")
    with primary.connect(address=primary.socket_path) as client:
        client("AUTH secret")
        client("SET a 1")
        replica = servers(masterauth="wrong")
        follower = follow(replica, primary.port)
        eventually(lambda: b"refuses the password" in replica.log(), "it is told", timeout_s=WAIT_S)
        assert follower("GET a") is None
        assert follower("CONFIG SET masterauth secret") == "OK"
        wait_up(follower)
        assert follower("GET a") == b"1"
        primary.clients.remove(client)


def test_a_user_of_its_own(servers, primary):
    primary.connect()("ACL SETUSER bob on >pw +psync +replconf +ping")
    replica = servers(masteruser="bob", masterauth="pw")
    wait_up(follow(replica, primary.port))


def test_a_name_that_has_to_be_looked_up(servers, primary):
    replica = servers()
    client = replica.connect()
    assert client("REPLICAOF localhost", str(primary.port)) is not None
    assert client("REPLICAOF", "localhost", str(primary.port)) in ("OK", "OK Already connected to specified master")
    wait_up(client)
    assert client.info("replication")["master_host"] == "localhost"


def test_nobody_there(servers, primary):
    replica = servers()
    client = replica.connect()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        follow(replica, port)
        eventually(lambda: b"onnection refused" in replica.log(), "it has tried")
        assert client("ROLE")[:3] == [b"slave", b"127.0.0.1", port]
        assert client("ROLE")[4] == -1
        assert client.info("replication")["master_link_status"] == "down"
    client("REPLICAOF", "127.0.0.1", str(primary.port))
    wait_up(client)


class Liar:
    """A primary that shakes hands and then tells one lie after the other, each on a connection of its own."""

    def __init__(self):
        self.lies = list(LIES.values())
        self.asked_for_more = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                try:
                    self._talk(peer)
                except OSError:
                    pass

    def _talk(self, peer):
        data = b""
        while b"PSYNC" not in data:
            piece = peer.recv(4096)
            if not piece:
                return
            data += piece
            if b"PSYNC" not in data:
                peer.sendall(b"+PONG\r\n" if b"PING" in piece else b"+OK\r\n")
        self.asked_for_more += not self.lies
        peer.sendall(self.lies[0] if self.lies else b"-ERR no more\r\n")
        peer.settimeout(0.2)
        try:
            while peer.recv(4096):
                pass
        except TimeoutError:
            pass
        self.lies = self.lies[1:]

    def close(self):
        self.listener.close()


ID = b"0123456789abcdef0123456789abcdef01234567"
FULL = b"+FULLRESYNC " + ID + b" 100\r\n"
LIES = {
    "nothing": b"",
    "no-id": b"+FULLRESYNC abc 1\r\n",
    "no-offset": b"+FULLRESYNC " + ID + b" x\r\n",
    "endless-line": b"+" + b"x" * 100000,
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "no-master-link": b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n",
    "unknown": b"-ERR unknown command\r\n",
    "continue-what": b"+CONTINUE " + ID + b"\r\n",
    "no-payload": FULL + b"-ERR no\r\n",
    "empty": FULL + b"$0\r\n",
    "garbage": FULL + b"$100\r\n" + b"x" * 100,
    "cut-short": FULL + b"$1000\r\nREDIS0010\xfe\x00",
    "truncated": FULL + b"$20\r\nREDIS0010\xfe\x00\x00\x01k\x05ab",
    "huge": FULL + b"$9223372036854775807\r\nREDIS0010",
    "marked-garbage": FULL + b"$EOF:" + ID + b"\r\nREDIS0010\xfe\x00\x00\x01k\x01v\xff12345678" + b"zzzz" + ID,
    "bad-sum": FULL + b"$EOF:" + ID + b"\r\nREDIS0010\xfe\x00\x00\x01k\x01v\xff12345678" + ID,
}


@pytest.mark.once
@pytest.mark.parametrize("load", ["disabled", "on-empty-db"])
def test_a_primary_that_talks_nonsense_is_asked_again(servers, primary, load):
    replica, liar = servers(repl_diskless_load=load), Liar()
    client = replica.connect()
    while liar.lies:
        left = len(liar.lies)
        # Refused while something is being loaded.
        eventually(lambda: client("REPLICAOF", "127.0.0.1", str(liar.port)) == "OK", "it is asked")
        eventually(lambda: len(liar.lies) < left, "it has lied", timeout_s=WAIT_S)
        eventually(lambda: client("REPLICAOF NO ONE") == "OK", "it has had enough")
        assert client("ROLE")[0] == b"master"
    assert client("DBSIZE") == 0
    follow(replica, liar.port)
    eventually(lambda: liar.asked_for_more >= 2, "it tries again by itself", timeout_s=WAIT_S)
    primary.connect()("SET", "a", "1")
    # Refused while something is being loaded.
    eventually(lambda: client("REPLICAOF", "127.0.0.1", str(primary.port)) == "OK", "it follows another")
    wait_up(client)
    wait_equal(primary, replica)
    liar.close()


def test_a_damaged_stream_leads_to_a_new_copy(servers, primary, proxies):
    damage = [False]

    def spoil(data, passed):
        if damage[0] and b"marker" in data:
            damage[0] = False
            return data.replace(b"$3\r\n", b"$x\r\n")
        return data

    replica, proxy = servers(), proxies(primary, spoil)
    follower = follow(replica, proxy.port)
    wait_up(follower)
    damage[0] = True
    primary.connect()("SET marker 1")
    eventually(lambda: b"the stream is damaged" in replica.log(), "it notices", timeout_s=WAIT_S)
    wait_up(follower)
    wait_equal(primary, replica)
    assert primary.connect().info("stats")["sync_full"] == "2"


def test_a_silent_primary_is_given_up(servers, primary):
    replica = servers(repl_timeout="2")
    follower = follow(replica, primary.port)
    wait_up(follower)
    primary.process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: not link_is_up(follower), "it is given up", timeout_s=WAIT_S)
        assert b"nothing has come for 2 seconds" in replica.log()
    finally:
        primary.process.send_signal(signal.SIGCONT)
    wait_up(follower)
    wait_equal(primary, replica)


# ---- What a replica does and does not ------------------------------------------------------------------------


def test_a_replica_refuses_writes(servers, primary):
    replica = servers()
    client = follow(replica, primary.port)
    refused = Error("READONLY You can't write against a read only replica.")
    for command in ("SET a 1", "DEL a", "LPUSH l 1", "FLUSHALL"):
        assert client(command) == refused
    wait_up(client)
    assert client("SET a 1") == refused
    client("MULTI")
    assert client("SET a 1") == refused
    assert client("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")


def test_stale_data_are_refused_on_request(servers, primary):
    primary.connect()("SET a 1")
    replica = servers(replica_serve_stale_data="no")
    client = follow(replica, primary.port)
    wait_up(client)
    assert client("GET a") == b"1"
    primary.kill()
    eventually(lambda: not link_is_up(client), "it notices")
    down = Error("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
    assert client("GET a") == down
    assert client("INFO") != down
    assert client("REPLICAOF NO ONE") == "OK"
    assert client("GET a") == b"1"


def test_keys_expire_when_the_primary_says_so(servers, primary, proxies):
    client = primary.connect()
    replica, proxy = servers(), proxies(primary)
    follower = follow(replica, proxy.port)
    wait_up(follower)
    client("SET gone 1 PX 200")
    client("SET stays 1")
    wait_equal(primary, replica)
    proxy.flows.clear()
    eventually(lambda: client("GET gone") is None, "its time has come")
    eventually(lambda: follower("GET gone") is None, "it is not seen any more")
    assert follower("EXISTS gone") == 0
    assert follower("TTL gone") == -2
    assert follower("MGET gone stays") == [None, b"1"]
    assert follower("SCAN 0")[1] == [b"stays"]
    assert follower("DBSIZE") == 2, "it is still there, until the primary has it deleted"
    assert follower.info("stats")["expired_keys"] == "0"
    proxy.flows.set()
    eventually(lambda: follower("DBSIZE") == 1, "the DEL has come")
    wait_equal(primary, replica)


def test_changes_of_a_key_that_is_past_its_time_here_come_through(servers, primary, proxies):
    """What the primary did in time is done, however late it comes here."""
    client = primary.connect()
    replica, proxy = servers(), proxies(primary)
    follower = follow(replica, proxy.port)
    wait_up(follower)
    client("SET n 1 PX 1500")
    wait_equal(primary, replica)
    proxy.flows.clear()
    client("INCR n")
    client("PERSIST n")
    eventually(lambda: follower("GET n") is None, "its time has come here")
    proxy.flows.set()
    eventually(lambda: follower("GET n") == b"2", "it was changed and kept")
    wait_equal(primary, replica)


def test_a_replica_evicts_nothing(servers, primary):
    client = primary.connect()
    client("DEBUG", "POPULATE", "2000", "k", "1000")
    replica = servers(maxmemory="1mb", maxmemory_policy="allkeys-lru")
    follower = follow(replica, primary.port)
    wait_up(follower)
    wait_equal(primary, replica)
    assert follower("DBSIZE") == 2000
    assert follower.info("stats")["evicted_keys"] == "0"


def test_blocked_clients_are_let_go_when_the_role_changes(servers, primary):
    replica = servers()
    blocked, other = replica.connect(), replica.connect()
    blocked.send("BLPOP list 0")
    eventually(lambda: other.info("clients")["blocked_clients"] == "1", "it waits")
    follow(replica, primary.port)
    assert blocked.reply() == Error("UNBLOCKED force unblock from blocking operation, instance state changed "
                                    "(master -> replica?)")
    assert blocked.is_closed()


def test_events_of_what_comes_are_published(servers, primary):
    replica = servers(notify_keyspace_events="KEA")
    wait_up(follow(replica, primary.port))
    listener = replica.connect()
    listener("SUBSCRIBE __keyevent@0__:set")
    primary.connect()("SET a 1")
    assert listener.read() == [b"message", b"__keyevent@0__:set", b"a"]


# ---- What is told -----------------------------------------------------------------------------------------


def test_info_and_role_of_a_replica(servers, primary):
    replica = servers(replica_priority="7", replica_announced="no")
    client = follow(replica, primary.port)
    wait_up(client)
    info = client.info("replication")
    assert info["role"] == "slave"
    assert (info["master_host"], info["master_port"]) == ("127.0.0.1", str(primary.port))
    assert info["master_link_status"] == "up"
    assert info["master_sync_in_progress"] == "0"
    assert (info["slave_priority"], info["slave_read_only"], info["replica_announced"]) == ("7", "1", "0")
    assert info["master_replid"] == primary.connect().info("replication")["master_replid"]
    assert "master_link_down_since_seconds" not in info
    primary.connect()("SET a 1")
    wait_equal(primary, replica)
    role = client("ROLE")
    assert role[:4] == [b"slave", b"127.0.0.1", primary.port, b"connected"]
    eventually(lambda: client("ROLE")[4] == offset(primary.connect()), "the offsets are equal")


def test_what_the_primary_knows_of_it(servers, primary):
    replica = servers(replica_announce_ip="10.1.2.3", replica_announce_port="7777")
    wait_up(follow(replica, primary.port))
    client = primary.connect()
    eventually(lambda: "state=online" in client.info("replication").get("slave0", ""), "it is online")
    assert client.info("replication")["slave0"].startswith("ip=10.1.2.3,port=7777,state=online")
    client("SET a 1")
    assert client("WAIT 1 30000") == 1


def test_wait_is_answered_at_once(servers):
    """GETACK is answered when what came before it has been applied, not with the next second."""
    primary = servers(REDIS)
    replica = servers()
    wait_up(follow(replica, primary.port))
    client = primary.connect()
    eventually(lambda: "state=online" in client.info("replication").get("slave0", ""), "it is online")
    begin = time.monotonic()
    for i in range(20):
        client("SET", "k", str(i))
        assert client("WAIT 1 30000") == 1
    assert time.monotonic() - begin < 10, "twenty of them would take twenty seconds"


def test_replicaof_says_what_is_wrong(servers):
    client = servers().connect()
    assert client("REPLICAOF a b") == Error("ERR Invalid master port")
    assert client("REPLICAOF a 70000") == Error("ERR Invalid master port")
    assert client("REPLICAOF a") == Error("ERR wrong number of arguments for 'replicaof' command")
    assert client("REPLICAOF NO ONE") == "OK"
    assert client("ROLE")[0] == b"master"


@pytest.mark.parametrize("value", ['""', "no one"])
def test_a_server_that_is_told_to_follow_nobody_is_a_primary(servers, value):
    assert servers(replicaof=value).connect()("ROLE")[0] == b"master"


def test_the_option_and_config_rewrite(servers, primary):
    replica = servers(replicaof=f"127.0.0.1 {primary.port}")
    client = replica.connect()
    wait_up(client)
    assert client("CONFIG GET replicaof") == [b"replicaof", f"127.0.0.1 {primary.port}".encode()]
    assert client("CONFIG", "SET", "replicaof", "x 1").startswith("ERR CONFIG SET failed")
    assert client("REPLICAOF NO ONE") == "OK"
    assert client("CONFIG REWRITE") == "OK"
    assert '\nreplicaof ""\n' in replica.config_path.read_text()
    assert client("SLAVEOF", "127.0.0.1", str(primary.port)) == "OK"
    assert client("CONFIG REWRITE") == "OK"
    assert f"\nreplicaof 127.0.0.1 {primary.port}\n" in replica.config_path.read_text()
    assert client("REPLICAOF", "127.0.0.1", str(primary.port)) == "OK Already connected to specified master"


# ---- The append-only file ----------------------------------------------------------------------------------


def wait_on(client):
    eventually(lambda: client.info("persistence")["aof_enabled"] == "1" and
               client.info("persistence")["aof_rewrite_in_progress"] == "0", "the file is open", timeout_s=WAIT_S)


def wait_written(client):
    eventually(lambda: client.info("persistence")["aof_buffer_length"] == "0", "all is written", timeout_s=WAIT_S)


@pytest.mark.parametrize("load", ["disabled", "on-empty-db"])
def test_a_replica_has_an_append_only_file_of_what_it_gets(servers, primary, load):
    client = primary.connect()
    fill(client, seed=11, count=40)
    replica = servers(appendonly="yes", appendfsync="always", repl_diskless_load=load, rdb_version="10")
    follower = follow(replica, primary.port)
    wait_up(follower)
    client("SELECT 3")
    churn(client, seed=12, rounds=50)
    wait_equal(primary, replica)
    wait_on(follower)
    churn(client, seed=13, rounds=50)
    wait_equal(primary, replica)
    assert follower("BGREWRITEAOF") != ""
    churn(client, seed=14, rounds=50)
    wait_on(follower)
    churn(client, seed=15, rounds=50)
    wait_equal(primary, replica)
    digest = follower("DEBUG DIGEST")
    wait_written(follower)
    replica.close_clients()
    replica.process.kill()
    replica.process.wait()
    for kind in (SKUA, REDIS):  # both read it, with the right databases
        other = servers(kind)
        other.close_clients()
        other.kill()
        shutil.copytree(replica.folder / "appendonlydir", other.folder / "appendonlydir", dirs_exist_ok=True)
        other.config |= {"appendonly": "yes"}
        other.start()
        assert other.connect()("DEBUG DIGEST") == digest, kind


def test_a_second_copy_replaces_the_append_only_file(servers, primary):
    other = servers(REDIS)
    primary.connect()("SET a 1")
    other.connect()("SET b 2")
    replica = servers(appendonly="yes")
    follower = replica.connect()
    follower("SET mine 1")
    follow(replica, primary.port)
    wait_up(follower)
    follow(replica, other.port)
    eventually(lambda: follower("GET b") == b"2", "the other's data", timeout_s=WAIT_S)
    wait_equal(other, replica)
    wait_on(follower)
    wait_written(follower)
    assert follower("CONFIG SET appendonly no") == "OK"
    assert follower("CONFIG SET appendonly yes") == "OK"
    other.connect()("SET c 3")
    wait_equal(other, replica)


# ---- Chains and changes of roles ------------------------------------------------------------------------------


def churn(client, seed, rounds=300):
    rng = random.Random(seed)
    for i in range(rounds):
        key = f"k{rng.randrange(60)}"
        client.pipeline(("SET", key, str(i)), ("INCRBY", f"n{key}", str(i)), ("RPUSH", f"l{key}", str(i)),
                        "MULTI", ("SADD", f"s{key}", str(i)), ("SPOP", f"s{key}"), "EXEC",
                        ("SET", f"t{key}", "1", "EX", "1000"))


@pytest.mark.parametrize("kinds", [(REDIS, SKUA, REDIS), (SKUA, SKUA, SKUA), (SKUA, REDIS, SKUA),
                                   (REDIS, SKUA, SKUA)], ids="-".join)
def test_chains(servers, kinds):
    first, middle, last = (servers(kind) for kind in kinds)
    fill(first.connect(), seed=6, count=70)
    wait_up(follow(middle, first.port))
    wait_up(follow(last, middle.port))
    churn(first.connect(), seed=7)
    wait_equal(first, middle, last)
    ids = {server.connect().info("replication")["master_replid"] for server in (first, middle, last)}
    assert len(ids) == 1


def test_the_end_of_a_chain_follows_a_new_copy_of_its_primary(servers):
    first, other, middle, last = servers(REDIS), servers(REDIS), servers(), servers()
    first.connect()("SET a 1")
    other.connect()("SET b 2")
    wait_up(follow(middle, first.port))
    wait_up(follow(last, middle.port))
    wait_equal(first, middle, last)
    follow(middle, other.port)
    client = last.connect()
    eventually(lambda: client("GET b") == b"2", "the new data come to the end", timeout_s=WAIT_S)
    wait_equal(other, middle, last)


@pytest.mark.parametrize("kind", [REDIS, SKUA])
def test_a_promoted_replica_is_followed_without_a_new_copy(servers, kind):
    """The second id: those who followed the former primary go on with the new one."""
    primary, promoted, other = servers(REDIS), servers(), servers(kind)
    fill(primary.connect(), seed=8, count=70)
    wait_up(follow(promoted, primary.port))
    wait_up(follow(other, primary.port))
    wait_equal(primary, promoted, other)
    primary.kill()
    client = promoted.connect()
    assert client("REPLICAOF NO ONE") == "OK"
    client("SELECT 4")
    client("SET after 1")
    wait_up(follow(other, promoted.port))
    wait_equal(promoted, other)
    stats = client.info("stats")
    assert (stats["sync_full"], stats["sync_partial_ok"]) == ("0", "1")


def test_the_former_primary_comes_back_as_a_replica(servers):
    primary, replica = servers(), servers()
    fill(primary.connect(), seed=9, count=70)
    wait_up(follow(replica, primary.port))
    wait_equal(primary, replica)
    client = replica.connect()
    client("REPLICAOF NO ONE")
    client("SET after 1")
    wait_up(follow(primary, replica.port))
    wait_equal(replica, primary)
    assert client.info("stats")["sync_full"] == "0", "it had all of the history"


# ---- FAILOVER ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [(SKUA, SKUA), (REDIS, SKUA), (SKUA, REDIS)], ids="-to-".join)
def test_failover_exchanges_the_roles_without_losing_a_write(servers, kinds):
    primary, replica = (servers(kind) for kind in kinds)
    client, other, writer = primary.connect(), replica.connect(), primary.connect()
    fill(client, seed=10, count=50)
    wait_up(follow(replica, primary.port))
    eventually(lambda: "state=online" in client.info("replication").get("slave0", ""), "it is online")
    for _ in range(1000):
        writer.send("INCR n")
    assert writer.reply() == 1
    assert client("FAILOVER") == "OK"
    written = [1, *(reply for reply in writer.replies(999) if not isinstance(reply, Error))]
    eventually(lambda: client.info("replication")["master_failover_state"] == "no-failover", "it is over",
               timeout_s=WAIT_S)
    eventually(lambda: client("ROLE")[0] == b"slave", "the roles are exchanged", timeout_s=WAIT_S)
    wait_up(client)
    wait_equal(replica, primary)
    assert int(other("GET n")) == len(written)
    assert other.info("stats")["sync_full"] == "0"
    assert writer("SET a 1") == Error("READONLY You can't write against a read only replica.")
    assert other("SET a 1") == "OK"


def test_failover_chooses_who_was_named(servers):
    primary, first, second = servers(), servers(), servers()
    client = primary.connect()
    for replica in (first, second):
        wait_up(follow(replica, primary.port))
    wait_equal(primary, first, second)
    eventually(lambda: "state=online" in client.info("replication").get("slave1", ""), "both are online")
    assert client("FAILOVER", "TO", "127.0.0.1", str(second.port)) == "OK"
    eventually(lambda: second.connect()("ROLE")[0] == b"master", "it is the primary", timeout_s=WAIT_S)
    wait_up(client)
    assert client("ROLE")[2] == second.port
    wait_up(follow(first, second.port))
    wait_equal(second, primary, first)


def test_failover_waits_for_a_replica_that_lacks_something(servers, proxies):
    primary, replica = servers(), servers()
    proxy = proxies(primary)
    client = primary.connect()
    wait_up(follow(replica, proxy.port))
    wait_equal(primary, replica)
    proxy.flows.clear()
    client("SET a 1")
    assert client("FAILOVER TIMEOUT 600000") == "OK"
    assert client("FAILOVER") == Error("ERR FAILOVER already in progress.")
    assert client("REPLICAOF NO ONE") == Error("ERR REPLICAOF not allowed while failing over.")
    assert client.info("replication")["master_failover_state"] == "waiting-for-sync"
    writer = primary.connect()
    writer.send("SET b 1")
    eventually(lambda: client.info("clients")["blocked_clients"] == "1", "writes wait")
    assert client("GET a") == b"1"
    assert client("FAILOVER ABORT") == "OK"
    assert writer.reply() == "OK"
    assert client("FAILOVER ABORT") == Error("ERR No failover in progress.")
    assert client("FAILOVER TIMEOUT 1") == "OK"
    eventually(lambda: client.info("replication")["master_failover_state"] == "no-failover", "the time is over")
    assert client("ROLE")[0] == b"master"
    proxy.flows.set()
    wait_equal(primary, replica)


def test_failover_by_force_and_refused(servers, proxies):
    """One that cannot follow the history any more refuses, and this server is the primary again."""
    primary, replica = servers(), servers()
    client = primary.connect()
    wait_up(follow(replica, primary.port))
    eventually(lambda: "state=online" in client.info("replication").get("slave0", ""), "it is online")
    replica.process.send_signal(signal.SIGSTOP)
    try:
        client("SET a 1")
        assert client("FAILOVER", "TO", "127.0.0.1", str(replica.port), "FORCE", "TIMEOUT", "1") == "OK"
        eventually(lambda: client.info("replication")["master_failover_state"] == "failover-in-progress", "forced",
                   timeout_s=WAIT_S)
        assert client("FAILOVER ABORT") == "OK"
        assert client("ROLE")[0] == b"master"
        assert client("SET b 1") == "OK"
    finally:
        replica.process.send_signal(signal.SIGCONT)
    wait_equal(primary, replica)


def test_failover_says_what_is_wrong(servers):
    primary, replica = servers(), servers()
    client, other = primary.connect(), replica.connect()
    assert client("FAILOVER") == Error("ERR FAILOVER requires connected replicas.")
    assert client("FAILOVER TO a 1") == Error("ERR FAILOVER requires connected replicas.")
    assert client("FAILOVER ABORT") == Error("ERR No failover in progress.")
    wait_up(follow(replica, primary.port))
    assert other("FAILOVER") == Error("ERR FAILOVER is not valid when server is a replica.")
    forced = Error("ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
    not_integer, syntax = Error("ERR value is not an integer or out of range"), Error("ERR syntax error")
    for words, error in (("FORCE", forced), ("FORCE TIMEOUT 10", forced), ("TO 1.2.3.4 5 FORCE", forced),
                         ("TO 1.2.3.4 5", Error("ERR FAILOVER target HOST and PORT is not a replica.")),
                         ("TO 1.2.3.4 x", not_integer), ("TIMEOUT x", not_integer), ("TO 1.2.3.4", syntax),
                         ("ABORT FORCE", syntax), ("NOW", syntax),
                         ("TIMEOUT 0", Error("ERR FAILOVER timeout must be greater than 0"))):
        assert client(f"FAILOVER {words}") == error
    assert client("PSYNC", "0" * 40, "1", "FAILOVER") == Error("ERR PSYNC FAILOVER can't be sent to a master.")
    assert other("PSYNC", "0" * 40, "1", "FAILOVER") == Error("ERR PSYNC FAILOVER replid must match my replid.")


def test_io_threads_may_change_meanwhile(servers, primary):
    replica = servers()
    follower = follow(replica, primary.port)
    wait_up(follower)
    for threads in ("2", "0", "1", "3", "0"):
        follower("CONFIG", "SET", "io-threads", threads)
        churn(primary.connect(), seed=int(threads), rounds=50)
        wait_up(follower)
    wait_equal(primary, replica)
    assert primary.connect().info("stats")["sync_full"] == "1"


@pytest.mark.once
def test_readers_are_answered_while_a_large_copy_comes(servers, primary):
    count = 20000 if is_slow_build() else 300000
    primary.connect()("DEBUG", "POPULATE", str(count), "k", "100")
    replica = servers()
    client = replica.connect()
    client("SET mine 1")
    follow(replica, primary.port)
    answers = set()
    while not link_is_up(client):
        reply = client("GET mine")
        answers.add(reply if isinstance(reply, Error) else (reply or b"none"))
    assert answers <= {b"1", b"none", Error("LOADING Redis is loading the dataset in memory")}
    wait_equal(primary, replica)


@pytest.mark.once
def test_bytes_over_links_are_counted_on_both_ends(servers):
    primary, replica = servers(), servers()
    client = follow(replica, primary.port)
    wait_up(client)
    primary.connect()("SET", "k", "x" * 1_000_000)
    wait_equal(primary, replica)
    assert int(client.info("stats")["total_net_repl_input_bytes"]) > 1_000_000
    assert int(primary.connect().info("stats")["total_net_repl_output_bytes"]) > 1_000_000
    assert int(client.info("stats")["total_net_repl_output_bytes"]) == 0


# ---- Disks of replicas ------------------------------------------------------------------------------------


def test_waitaof_counts_replicas_whose_disk_has_it(servers):
    primary = servers()
    dry, safe = servers(), servers(appendonly="yes", appendfsync="everysec")
    for replica in (dry, safe):
        wait_up(follow(replica, primary.port))
    client = primary.connect()
    client("SET a 1")
    assert client("WAIT 2 0") == 2
    assert client("WAITAOF 0 1 0") == [0, 1]
    assert client("WAITAOF 0 2 100") == [0, 1]
    assert safe.connect()("WAITAOF 0 1 0") == Error(
        "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and "
        "are not propagated.")


@pytest.mark.once
def test_a_primary_of_redis_takes_what_is_said_of_disks(servers):
    primary = servers(REDIS)
    replica = servers(appendonly="yes", appendfsync="always")
    client = follow(replica, primary.port)
    wait_up(client)
    primary.connect()("SET a 1")
    assert primary.connect()("WAIT 1 0") == 1
    wait_equal(primary, replica)
    assert primary.connect().info("stats")["sync_full"] == "1"


@pytest.mark.parametrize("kinds", [(SKUA, SKUA), (REDIS, SKUA), (SKUA, REDIS)], ids="-to-".join)
def test_databases_are_swapped_on_replicas_too(servers, kinds):
    primary, replica = servers(kinds[0]), servers(kinds[1])
    wait_up(follow(replica, primary.port))
    client = primary.connect()
    client("SET a first")
    client("SWAPDB 0 3")
    client("SET a second")
    wait_equal(primary, replica)
    other = replica.connect()
    assert other("GET a") == b"second"
    other("SELECT 3")
    assert other("GET a") == b"first"
