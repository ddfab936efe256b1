"""I/O threads: many connections at once, order per connection, changing their number under load, and following it."""
import os
import pathlib
import random
import socket
import subprocess
import threading
import time

import pytest

from harness.resp import Client, Error, encode, eventually
from harness.server import free_port, is_slow_build

pytestmark = [pytest.mark.core, pytest.mark.threads]

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = os.environ.get("SKUA_BENCH", str(ROOT / "build" / "bin" / "skua-bench"))

ROUNDS = 80 if is_slow_build() else 100


def run_all(functions):
    """Runs functions in threads of their own and raises the first failure."""
    failures = []

    def guarded(function):
        try:
            function()
        except BaseException as failure:  # noqa: B902 - handed on below
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class Worker:
    """One connection that sends pipelines of commands on keys of its own and knows every answer beforehand."""

    def __init__(self, client, number, seed=0):
        self.client = client
        self.number = number
        self.rng = random.Random(seed * 1000 + number)
        self.counter = 0
        self.value = None

    def step(self):
        """One pipeline; fails on any reply that is lost, doubled, out of order or somebody else's."""
        commands, expected = [], []
        for _ in range(self.rng.choice([1, 1, 2, 5, 16, 50])):
            match self.rng.randrange(6):
                case 0:
                    self.counter += 1
                    commands.append(encode("INCR", f"n:{self.number}"))
                    expected.append(self.counter)
                case 1:
                    self.value = self.rng.randbytes(self.rng.choice([0, 3, 30, 300, 3000, 30000]))
                    commands.append(encode("SET", f"v:{self.number}", self.value))
                    expected.append("OK")
                case 2:
                    commands.append(encode("GET", f"v:{self.number}"))
                    expected.append(self.value)
                case 3:
                    word = f"{self.number}:{self.counter}"
                    commands.append(encode("ECHO", word))
                    expected.append(word.encode())
                case 4:
                    commands.append(encode("MULTI") + encode("INCR", f"n:{self.number}") + encode("EXEC"))
                    self.counter += 1
                    expected += ["OK", "QUEUED", [self.counter]]
                case 5:
                    commands.append(encode("NOSUCH", str(self.number)))
                    expected.append(Error(f"ERR unknown command 'NOSUCH', with args beginning with: '{self.number}' "))
        self.client.send_raw(b"".join(commands))
        assert self.client.replies(len(expected)) == expected


def test_many_connections_get_their_own_replies_in_order(server, connect):
    def work(number):
        worker = Worker(server.connect(), number)
        for _ in range(ROUNDS):
            worker.step()

    run_all([lambda number=number: work(number) for number in range(12)])


def test_connections_come_and_go(server):
    def work(number):
        for turn in range(ROUNDS):
            with Client(server.address) as client:
                client.send_raw(encode("INCR", f"n:{number}") + encode("PING"))
                assert client.reply() == turn + 1
                if turn % 3:
                    assert client.reply() == "PONG"  # otherwise it leaves with a reply under way

    run_all([lambda number=number: work(number) for number in range(8)])
    with Client(server.address) as client:
        eventually(lambda: client.info("clients")["connected_clients"] == "1", "the end of all other connections")


@pytest.mark.skua_only("it cannot change them at run time")
def test_the_number_of_threads_can_be_changed_under_load(server, connect, config):
    config(io_threads="0")
    stop = threading.Event()
    steps = [0] * 8

    def work(number):
        worker = Worker(server.connect(), number, seed=1)
        while not stop.is_set():
            worker.step()
            steps[number] += 1

    def change():
        try:
            client = server.connect()
            for count in [1, 4, 2, 0, 3, 1, 0, 4, 0, 4, 1, 2, 4, 0]:
                assert client("CONFIG", "SET", "io-threads", count) == "OK"
                assert client("CONFIG GET io-threads") == [b"io-threads", str(count).encode()]
                before = list(steps)
                # Everybody goes on with each number.
                eventually(lambda: all(now > then + 1 for now, then in zip(steps, before)) or stop.is_set(),
                           f"the work of all connections with {count} threads")
        finally:
            stop.set()

    run_all([change, *[lambda number=number: work(number) for number in range(8)]])
    assert connect()("PING") == "PONG"


@pytest.mark.skua_only("it cannot change them at run time")
def test_idle_subscribed_and_blocked_connections_survive_a_change_of_threads(server, connect, config):
    idle, subscriber, in_transaction, half = [connect() for _ in range(4)]
    subscriber("SUBSCRIBE news")
    in_transaction("MULTI")
    in_transaction("SET k v")
    half.send_raw(b"*3\r\n$3\r\nSET\r\n$4\r\nha")
    other = connect()
    for count in [4, 0, 2, 1, 0]:
        config(io_threads=str(count))
        assert other("PUBLISH", "news", count) == 1
        assert subscriber.reply() == [b"message", b"news", str(count).encode()]
        assert idle("PING") == "PONG"
    half.send_raw(b"lf\r\n$1\r\nv\r\n")
    assert half.reply() == "OK"
    assert in_transaction("EXEC") == ["OK"]


@pytest.mark.skua_only("it cannot change them at run time")
def test_a_number_that_is_given_up_halfway_leaves_no_thread_behind(start):
    """A change waits for threads of the one before to end; the next change may come meanwhile."""
    server = start(io_threads="4")
    with server.connect() as client:
        others = [server.connect() for _ in range(20)]
        for turn in range(30):
            for count in ["0", "4", "1", "3", "0"]:
                assert client("CONFIG", "SET", "io-threads", count) == "OK"
            assert others[turn % len(others)]("PING") == "PONG"
    server.stop()


def threads_of(server):
    """Names of its I/O threads, as the system knows them."""
    names = set()
    for comm in pathlib.Path(f"/proc/{server.pid}/task").glob("*/comm"):
        try:
            name = comm.read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the two looks
        if name.startswith("skua-io-"):
            names.add(name)
    return names


@pytest.mark.once
@pytest.mark.skua_only("it cannot change them at run time")
def test_threads_that_are_not_wanted_end_at_once(start):
    """Each that slept for a second before it looked whether it may end took a minute and a half for all of this."""
    server = start(transport="tcp", io_threads="0")
    client = server.connect()

    started = time.monotonic()
    for _ in range(100):
        for count in (2, 0):
            assert client("CONFIG", "SET", "io-threads", count) == "OK"
            assert client.info("threads")["io_threads"] == str(count)
            eventually(lambda: len(threads_of(server)) == count, f"{count} threads")
    assert time.monotonic() - started < 60


@pytest.mark.skua_only("it cannot change them at run time")
def test_listeners_can_be_changed_while_they_move_between_threads(start):
    """The old port must not stay open because its listener was on its way when it was to be closed."""
    server = start(transport="tcp", io_threads="2")
    ports = [free_port() for _ in range(4)]
    with server.connect() as client:
        for turn, port in enumerate(ports * 3):
            client.pipeline(("CONFIG", "SET", "io-threads", turn % 2 * 2), ("PING",))
            assert client("CONFIG", "SET", "port", port) == "OK"
            with Client(("127.0.0.1", port)) as other:
                assert other("PING") == "PONG"
            eventually(lambda: not any(is_open(old) for old in ports if old != port), "the old ports to be closed")


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_more_messages_than_a_ring_holds_arrive_in_order(connect):
    listeners = [connect() for _ in range(60)]
    for listener in listeners:
        listener("SUBSCRIBE news")
    publisher = connect()
    for turn in range(3):
        publisher.pipeline(*[("PUBLISH", "news", f"{turn}:{i}") for i in range(50)])
    for listener in listeners:
        for turn in range(3):
            assert listener.replies(50) == [[b"message", b"news", f"{turn}:{i}".encode()] for i in range(50)]


@pytest.mark.skua_only("it cannot change them at run time")
def test_numbers_of_threads_out_of_range_are_refused(r):
    for value in ["-1", "x", "100000", ""]:
        reply = r("CONFIG", "SET", "io-threads", value)
        assert isinstance(reply, Error) and reply.startswith("ERR CONFIG SET failed"), value
    assert r("PING") == "PONG"


def test_mixed_load_of_everything(server, connect):
    """What ThreadSanitizer watches: data, messages, transactions, expiry, flushing and listing all at once."""
    stop = threading.Event()
    rounds = ROUNDS * 2

    def data(number):
        client, rng = server.connect(), random.Random(number)
        for _ in range(rounds):
            key = f"k:{rng.randrange(50)}"
            client.pipeline(("SET", key, rng.randbytes(rng.choice([1, 50, 700, 20000]))), ("GET", key),
                            ("APPEND", key, b"x" * 100), ("PEXPIRE", key, rng.choice(["1", "50", "100000"])),
                            ("MGET", key, "k:1", "k:2"), ("SETBIT", key, "100", "1"), ("DEL", f"k:{rng.randrange(50)}"),
                            ("RANDOMKEY",), ("SCAN", "0", "COUNT", "20"))

    def transactions():
        client = server.connect()
        for _ in range(rounds):
            client("WATCH k:1")
            client("MULTI")
            client("INCR counter")
            client("GET k:1")
            client("EXEC")

    def subscriber():
        client = server.connect(resp=3)
        client.send("SUBSCRIBE news")
        client.push()
        client.send("PSUBSCRIBE n*")
        client.push()
        while not stop.is_set():
            client.push()

    def publisher():
        try:
            client = server.connect()
            # Ends only when everybody else has: the subscriber waits for its messages.
            for i in range(rounds * 4):
                client("PUBLISH", "news", f"message {i}" * (i % 30))
        finally:
            stop.set()
            server.connect()("PUBLISH news end")

    def watcher():
        client = server.connect()
        for _ in range(rounds // 4):
            assert "id=" in client("CLIENT LIST").decode()
            client.info()
            client("CONFIG GET *")
            client("FLUSHALL ASYNC")
            client("SLOWLOG GET")

    def monitor():
        client = server.connect()
        assert client("MONITOR") == "OK"
        while not stop.is_set():
            client.reply()
        client.close()

    run_all([*[lambda number=number: data(number) for number in range(3)], transactions, subscriber, publisher, watcher,
             monitor])
    assert connect()("PING") == "PONG"


# ---- The number in use follows the load -----------------------------------------------------------------------------


def in_use(client):
    return int(client.info("threads")["io_threads_in_use"])


def threads_of_clients(client):
    return {int(other["io-thread"]) for other in client.client_list()}


def flood(server, stop):
    """Sends short requests as fast as the server takes them: reading and parsing them is most of the work."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        def read():
            while connection.recv(1 << 20):
                pass

        reader = threading.Thread(target=read)
        reader.start()
        while not stop.is_set():
            connection.sendall(b"PING\r\n" * 20000)
        connection.shutdown(socket.SHUT_WR)
        reader.join()


@pytest.mark.once
@pytest.mark.skua_only("it does not tell")
def test_threads_are_used_when_there_is_work_for_them_and_only_then(start):
    server = start(transport="tcp", io_threads="4", io_threads_always_active="no")
    client = server.connect()
    assert client("PING") == "PONG"
    assert in_use(client) == 0 and threads_of_clients(client) == {0}
    stop = threading.Event()
    senders = [threading.Thread(target=flood, args=(server, stop)) for _ in range(4)]
    for sender in senders:
        sender.start()
    try:
        eventually(lambda: in_use(client) > 0, "threads for the load")
        eventually(lambda: 0 not in threads_of_clients(client), "the clients to move to them")
        assert client.info()["io_threads_active"] == "1"
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    eventually(lambda: in_use(client) == 0, "the threads to rest again")
    eventually(lambda: threads_of_clients(client) == {0}, "the clients to come back")
    assert client.info()["io_threads_active"] == "0" and client.info("threads")["io_threads"] == "4"
    assert int(client.info("threads")["io_threads_changes"]) >= 2
    assert client("CONFIG RESETSTAT") == "OK"
    assert client.info("threads")["io_threads_changes"] == "0"


@pytest.mark.once
@pytest.mark.skua_only("it does not tell")
def test_a_single_client_is_served_without_threads(start):
    server = start(io_threads="4", io_threads_always_active="no")
    client = server.connect()
    for _ in range(300):
        assert client("PING") == "PONG"
    assert client.info("threads")["io_threads_changes"] == "0"


@pytest.mark.once
@pytest.mark.skua_only("it cannot change them at run time")
def test_all_threads_or_as_many_as_are_needed_can_be_chosen_at_any_time(start):
    server = start(io_threads="4", io_threads_always_active="no")
    client = server.connect()
    assert client("CONFIG GET io-threads-always-active") == [b"io-threads-always-active", b"no"]
    for _ in range(2):
        assert client("CONFIG SET io-threads-always-active yes") == "OK"
        eventually(lambda: in_use(client) == 4, "all threads")
        eventually(lambda: 0 not in threads_of_clients(client), "the client to move")
        assert client("CONFIG SET io-threads-always-active no") == "OK"
        eventually(lambda: in_use(client) == 0, "none, as nothing is to do")
        eventually(lambda: threads_of_clients(client) == {0}, "the client to come back")
    assert client("CONFIG SET io-threads 0 io-threads-always-active yes") == "OK"
    assert client("PING") == "PONG" and in_use(client) == 0


def store_and_check(client, turn):
    """Values by every command whose block a thread builds, and by some that do not use what was built."""
    keys = range(100)
    size = 10 + turn * 300
    value = f"{turn}:" + "x" * size
    replies = client.pipeline(*[("SET", f"plain{i}", value) for i in keys],
                              *[("SET", f"timed{i}", value, "EX", 1000) for i in keys],
                              *[("SETEX", f"timed{i}", 1000, i) for i in keys[::2]],
                              *[("SET", f"plain{i}", "not stored", "NX") for i in keys],
                              *[("SET", f"plain{i}", "not stored", "EX", "soon") for i in keys[:5]],
                              ("MULTI",), *[("GETSET", f"plain{i}", value + "y") for i in keys[:20]], ("EXEC",))
    assert replies[:350] == ["OK"] * 250 + [None] * 100
    assert replies[-1] == [value.encode()] * 20
    assert client("MGET", *[f"plain{i}" for i in keys]) == [(value + ("y" if i < 20 else "")).encode() for i in keys]
    assert client("MGET", *[f"timed{i}" for i in keys]) == \
        [(value if i % 2 else str(i)).encode() for i in keys]
    assert all(900 < ttl <= 1000 for ttl in client.pipeline(*[("TTL", f"timed{i}") for i in keys]))
    assert client("DEBUG CHECK") == "OK"


@pytest.mark.once
@pytest.mark.skua_only("it cannot change them at run time")
def test_values_outlive_the_threads_that_built_them(start):
    """Blocks are taken from heaps of the I/O threads, and go back whether or not the thread is still there."""
    server = start(io_threads="4", enable_debug_command="local")
    clients = [server.connect() for _ in range(4)]
    for turn, count in enumerate(["4", "0", "3", "1", "0", "4"]):
        assert clients[0]("CONFIG", "SET", "io-threads", count) == "OK"
        for client in clients:
            store_and_check(client, turn % 3)
    for client in clients:
        assert client("FLUSHALL") == "OK"
    eventually(lambda: clients[0].info("memory")["lazyfree_pending_objects"] == "0", "all is freed")
    assert clients[0]("DEBUG CHECK") == "OK"
    server.stop()


class Changes:
    """Has threads come and go until it is stopped: all of four, as many as are needed, other numbers."""

    STEPS = [("4", "yes"), ("4", "no"), ("2", "yes"), ("0", "yes"), ("3", "no"), ("3", "yes"), ("1", "yes"), ("4", "no")]

    def __init__(self, server):
        self.server = server
        self.rounds = 0
        self.stopped = threading.Event()

    def __call__(self):
        client = self.server.connect()
        while not self.stopped.is_set():
            count, always = self.STEPS[self.rounds % len(self.STEPS)]
            assert client("CONFIG", "SET", "io-threads", count, "io-threads-always-active", always) == "OK"
            self.rounds += 1
            time.sleep(0.01)  # for others' requests to come in between; nothing depends on it

    def until(self, function):
        """`function` again and again until threads have come and gone for a while, at least three times."""
        turns = 0
        try:
            while turns < 3 or self.rounds < len(self.STEPS) * 3:
                function(turns)
                turns += 1
        finally:
            self.stopped.set()


@pytest.mark.once
@pytest.mark.skua_only("it cannot change them at run time")
@pytest.mark.parametrize("transport", ["tcp", "shm"])
def test_replies_keep_their_order_while_threads_come_and_go(start, transport):
    server = start(transport=transport, io_threads="4")
    changes = Changes(server)
    workers = [Worker(server.connect(), number, seed=5) for number in range(6)]

    def work(worker):
        while not changes.stopped.is_set():
            worker.step()

    run_all([changes, lambda: changes.until(lambda turn: workers[0].step()),
             *[lambda worker=worker: work(worker) for worker in workers[1:]]])
    assert changes.rounds >= 24


@pytest.mark.once
@pytest.mark.skua_only("it cannot change them at run time")
def test_listing_and_killing_clients_while_threads_come_and_go(start):
    server = start(transport="tcp", io_threads="4")
    changes = Changes(server)

    def look(turn):
        client, victim = server.connect(), server.connect()
        victim_id = victim("CLIENT ID")
        victim.send_raw(b"PING\r\n" * 100)
        found = [other for other in client.client_list() if other["id"] == str(victim_id)]
        assert len(found) == 1 and 0 <= int(found[0]["io-thread"]) <= 4
        assert client("CLIENT", "KILL", "ID", victim_id) == 1
        with pytest.raises((EOFError, ConnectionResetError)):
            for _ in range(101):
                assert victim.reply() == "PONG"
        assert str(victim_id) not in [other["id"] for other in client.client_list()]
        client.close()

    run_all([changes, lambda: changes.until(look)])


@pytest.mark.once
@pytest.mark.skua_only("it cannot change them at run time")
def test_a_pause_holds_while_threads_come_and_go(start):
    """Nothing is written between the reply to CLIENT PAUSE and CLIENT UNPAUSE, wherever the clients are."""
    server = start(transport="tcp", io_threads="4")
    changes = Changes(server)
    control, writer = server.connect(), server.connect()
    writer("SET n 0")

    def pause(turn):
        assert control("CLIENT PAUSE 100000 WRITE") == "OK"
        writer.send("INCR n")
        before = control("GET n")
        for _ in range(20):
            assert control("GET n") == before
        assert control("CLIENT UNPAUSE") == "OK"
        assert writer.reply() == int(before) + 1

    run_all([changes, lambda: changes.until(pause)])


@pytest.mark.once
@pytest.mark.skua_only("it cannot change them at run time")
def test_a_monitor_misses_nothing_while_threads_come_and_go(start):
    server = start(transport="tcp", io_threads="4")
    changes = Changes(server)
    monitor, client = server.connect(), server.connect()
    assert monitor("MONITOR") == "OK"

    def see(turn):
        words = [f"{turn}:{i}" for i in range(20)]
        client.pipeline(*[("ECHO", word) for word in words])
        seen = []
        while len(seen) < len(words):
            line = monitor.reply()
            if '"ECHO"' in line:
                seen.append(line.split('"')[3])
        assert seen == words

    run_all([changes, lambda: changes.until(see)])


@pytest.mark.once
@pytest.mark.skua_only("it cannot change them at run time")
def test_full_rings_while_threads_come_and_go(start):
    """More messages to many listeners than rings hold: each arrives, in order, wherever its listener is by then."""
    server = start(transport="tcp", io_threads="4")
    changes = Changes(server)
    listeners = [server.connect() for _ in range(40)]
    for listener in listeners:
        listener("SUBSCRIBE news")
    publisher = server.connect()

    def publish(turn):
        assert publisher.pipeline(*[("PUBLISH", "news", f"{turn}:{i}") for i in range(50)]) == [40] * 50
        for listener in listeners:
            assert listener.replies(50) == [[b"message", b"news", f"{turn}:{i}".encode()] for i in range(50)]

    run_all([changes, lambda: changes.until(publish)])


@pytest.mark.once
@pytest.mark.skua_only("it cannot change them at run time")
def test_shutdown_right_while_threads_come_and_go(start):
    """Replies that are on their way are taken before the end, and the end is clean: start() checks it."""
    for number in range(6):
        server = start(transport="tcp", io_threads="4")
        others = [server.connect() for _ in range(30)]
        client = server.connect()
        for other in others:
            other.send_raw(encode("INCR", "n") * 50)
        for i in range(number + 1):
            count, always = Changes.STEPS[(number + i) % len(Changes.STEPS)]
            client.send("CONFIG", "SET", "io-threads", count, "io-threads-always-active", always)
        client.send("SHUTDOWN NOSAVE")
        for other in others:
            counts = []
            with pytest.raises((EOFError, ConnectionResetError)):
                while True:
                    counts.append(other.reply())
            assert counts == sorted(counts)
        assert server.wait_exit() == 0


def test_killing_connections_under_load(server, connect):
    def victim(number):
        for _ in range(ROUNDS // 4):
            try:
                client = server.connect()
                client("CLIENT", "SETNAME", "victim")
                for _ in range(200):
                    client.pipeline(*["PING"] * 10)
            except (EOFError, BrokenPipeError, ConnectionResetError):
                pass

    stop = threading.Event()

    def killer():
        client = server.connect()
        while not stop.is_set():
            for other in client.client_list():
                if other["name"] == "victim":
                    client("CLIENT", "KILL", "ID", other["id"])
            time.sleep(0.002)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        run_all([lambda number=number: victim(number) for number in range(4)])
    finally:
        stop.set()
        thread.join()
    assert connect()("PING") == "PONG"


LOADS = [["--ratio", "1:4", "-P", "32", "-c", "20", "-r", "1000", "-d", "10-3000"], ["--command", "GET big", "-P", "20", "-c", "5"],
         ["--command", "BLPOP nolist 0", "-c", "10"], ["--command", "MONITOR", "-c", "2"], ["-t", "get", "-k", "0", "-c", "5"],
         ["--command", "LPUSH l {value}", "--command", "LRANGE l 0 99 @3", "--command", "LTRIM l 0 200", "-P", "8", "-c", "10"]]


@pytest.mark.once
@pytest.mark.skua_only("it has no shared memory")
@pytest.mark.parametrize("scheme", ["redis", "unix", "shm"])
def test_programs_that_are_killed_in_the_middle_of_their_pipelines_leave_nothing(start, scheme):
    server = start(transport="tcp", io_threads="4")
    changes = Changes(server)
    client = server.connect()
    client("SET", "big", "b" * 300_000)
    url = f"redis://127.0.0.1:{server.port}" if scheme == "redis" else f"{scheme}://{server.socket_path}"
    programs = []

    def one_goes_and_one_comes(turn):
        if len(programs) == 3:
            gone = programs.pop(turn % 3)
            gone.kill()
            gone.wait()
        before = int(client.info("stats")["total_connections_received"])
        programs.append(subprocess.Popen([BENCH, "-u", url, "--duration", "600", *LOADS[turn % len(LOADS)]],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        eventually(lambda: int(client.info("stats")["total_connections_received"]) > before, "it has come")
        time.sleep(turn % 4 * 0.01)  # so that they go at different places; nothing depends on it

    def many(round_number):
        for turn in range(2 * len(LOADS)):
            one_goes_and_one_comes(turn)

    try:
        run_all([changes, lambda: changes.until(many)])
    finally:
        for program in programs:
            program.kill()
            program.wait()
    # The test's own two are left.
    eventually(lambda: client.info("clients")["connected_clients"] == "2", "all of them are forgotten")
    assert client.info("clients")["blocked_clients"] == "0"
    assert client.info("shm")["shm_sessions"] == "0" and client.info("shm")["shm_memory"] == "0"
    assert client("FLUSHALL") == "OK"
    eventually(lambda: memory(client)["used_memory"] < 8_000_000, "and so is what was meant for them")


def memory(client):
    return {name: int(value) for name, value in client.info("memory").items() if value.isdigit()}


@pytest.mark.cells("tcp:0", "tcp:4", "shm:4")
@pytest.mark.skua_only("redis-server keeps no buffers for the next requests")
@pytest.mark.parametrize("threads_stay", [True, False])
def test_buffers_for_a_load_that_has_gone_are_given_back(start, threads_stay):
    """They count as used memory: keys would be evicted for them."""
    server = start()
    control = server.connect()
    assert control("SET", "k", "x" * 400) == "OK"
    clients = [server.connect() for _ in range(100)]
    before = memory(control)

    def load():
        for client in clients:
            client.send_raw(encode("GET", "k") * 300)
        for client in clients:
            assert client.replies(300) == [b"x" * 400] * 300
        return memory(control)

    assert (before["mem_io_threads"] > 0) == (server.io_threads > 0)
    eventually(lambda: load()["mem_io_spare"] > before["mem_io_spare"] + 1_000_000, "buffers are kept while they are needed")
    assert memory(control)["used_memory_overhead"] > before["used_memory_overhead"] + 1_000_000
    if not threads_stay:
        assert control("CONFIG SET io-threads 0") == "OK"
    eventually(lambda: memory(control)["used_memory"] < before["used_memory"] + 400_000, "they have been given back")
    eventually(lambda: memory(control)["mem_io_spare"] < 400_000, "and it shows")
