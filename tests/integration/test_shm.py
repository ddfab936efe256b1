"""Shared memory: what SHM OPEN offers and refuses, and that a session is a connection like any other.

That the rest of the specs runs over shared memory shows most of the latter; here is what only a session has, or what is
hard for it. Peers that do wrong are in test_shm_hostile.py."""
import contextlib
import fcntl
import mmap
import os
import pathlib
import resource
import threading
import time

import pytest

from harness.resp import Error, eventually
from harness.server import SKUA, Server, is_slow_build
from harness.shm import PARK, RING_OFFSET, WANT_DATA, WANT_SPACE, Refused, ShmSocket, ask, receive_offer

pytestmark = [pytest.mark.over_shm, pytest.mark.core, pytest.mark.threads]

KB, MB = 1 << 10, 1 << 20
F_SEAL_FUTURE_WRITE = 16
BAD_SIZE = Error("ERR the size of a ring must be a power of two from 4096 to 4194304 (option shm-ring-max)")
NOT_ALONE = [Error("ERR SHM OPEN must be the only request on its way"),
             Error("ERR SHM OPEN must be the last request on its way")]


@pytest.fixture
def unix(server):
    """unix() is one more connection over the Unix socket itself."""
    return lambda resp=2: server.connect(resp, address=server.socket_path)


@pytest.fixture
def offer(unix):
    """offer(…) asks for a session and returns what was offered, and the two descriptors; nothing is mapped."""
    descriptors = []

    def get(resp=2, **rings):
        connection = unix(resp).socket
        connection.sendall(ask(**rings))
        offered, received = receive_offer(connection)
        descriptors.extend(received)
        return offered, received

    yield get
    for descriptor in descriptors:
        os.close(descriptor)


def session(client, **rings):
    """Changes a client of the Unix socket to shared memory."""
    client.socket = ShmSocket.upgrade(client.socket, **rings)
    return client


def held(server):
    """How many segments the server has mapped, and how many descriptors it has open."""
    with open(f"/proc/{server.pid}/maps", encoding="ascii") as maps:
        segments = sum("memfd:skua-re" in line for line in maps)
    return segments, len(os.listdir(f"/proc/{server.pid}/fd"))


# ---- What is offered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resp", [2, 3])
def test_the_offer_says_all_that_a_client_needs(offer, resp):
    offered, (requests, replies) = offer(resp)
    assert offered["version"] == 1
    assert offered["request-ring"] == 64 * KB and offered["reply-ring"] == 256 * KB
    for name in ("request-control", "reply-control"):
        assert offered[name] % 64 == 0 and 0 <= offered[name] <= RING_OFFSET - 64
    assert os.fstat(requests).st_size == RING_OFFSET + 64 * KB
    assert os.fstat(replies).st_size == RING_OFFSET + 256 * KB


@pytest.mark.parametrize("request_ring, reply_ring", [(4 * KB, 4 * KB), (4 * MB, 4 * KB), (8 * KB, 4 * MB)])
def test_a_client_gets_the_rings_that_it_asks_for(unix, request_ring, reply_ring):
    client = session(unix(), request_ring=request_ring, reply_ring=reply_ring)
    assert client.socket.offer["request-ring"] == request_ring
    assert client.socket.offer["reply-ring"] == reply_ring
    value = os.urandom(100_000)
    assert client("SET", "k", value) == "OK"
    assert client("GET k") == value


def test_rings_that_are_not_asked_for_are_the_options_rounded_up(offer, config):
    config(shm_request_ring="5000", shm_reply_ring="1mb")
    offered, _ = offer()
    assert (offered["request-ring"], offered["reply-ring"]) == (8 * KB, MB)


def test_a_client_cannot_change_the_size_of_a_segment_nor_write_where_the_server_does(offer):
    offered, (requests, replies) = offer()
    sized = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    assert fcntl.fcntl(requests, fcntl.F_GET_SEALS) & sized == sized
    assert fcntl.fcntl(replies, fcntl.F_GET_SEALS) & (sized | F_SEAL_FUTURE_WRITE) == sized | F_SEAL_FUTURE_WRITE
    for descriptor in (requests, replies):
        for size in (0, RING_OFFSET, 100 * MB):
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, size)
    with pytest.raises(PermissionError):
        os.pwrite(replies, b"x", RING_OFFSET)
    with pytest.raises(PermissionError):
        mmap.mmap(replies, RING_OFFSET + offered["reply-ring"], mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)


# ---- What is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command, error", [
    ("SHM OPEN 2", Error("ERR this version of the shared memory protocol is not supported")),
    ("SHM OPEN 0", Error("ERR this version of the shared memory protocol is not supported")),
    ("SHM OPEN 1 REQUEST-RING 0", BAD_SIZE),
    ("SHM OPEN 1 REQUEST-RING 2048", BAD_SIZE),
    ("SHM OPEN 1 REQUEST-RING 5000", BAD_SIZE),
    ("SHM OPEN 1 REQUEST-RING -65536", BAD_SIZE),
    ("SHM OPEN 1 REPLY-RING 4097", BAD_SIZE),
    ("SHM OPEN 1 REPLY-RING 8388608", BAD_SIZE),
    ("SHM OPEN 1 REPLY-RING -9223372036854775808", BAD_SIZE),
    ("SHM OPEN one", Error("ERR value is not an integer or out of range")),
    ("SHM OPEN 1 REPLY-RING 1e4", Error("ERR value is not an integer or out of range")),
    ("SHM OPEN 1 RING 4096", Error("ERR syntax error")),
])
def test_a_refused_connection_goes_on_over_the_socket(unix, command, error):
    client = unix()
    assert client(command) == error
    assert client("PING") == "PONG"
    assert session(client)("PING") == "PONG"


def test_the_largest_ring_is_the_options(unix, config):
    for largest in (64 * KB, 8 * MB):
        config(shm_ring_max=largest)
        assert session(unix(), request_ring=largest, reply_ring=largest)("PING") == "PONG"
        refused = f"-ERR the size of a ring must be a power of two from 4096 to {largest} (option shm-ring-max)\r\n"
        for rings in ({"request_ring": 2 * largest}, {"reply_ring": 2 * largest}):
            with pytest.raises(Refused) as refusal:
                session(unix(), **rings)
            assert refusal.value.line.decode() == refused


def test_only_the_unix_socket_can_change(server, unix):
    refused = Error("ERR only a connection over the Unix socket can change to shared memory")
    tcp = server.connect(address=("127.0.0.1", server.port))
    assert tcp("SHM OPEN 1") == refused
    client = session(unix())
    assert client("SHM OPEN 1") == refused
    assert client("PING") == "PONG"


def test_a_transaction_does_not_change_its_connection(unix):
    client = unix()
    client("MULTI")
    assert isinstance(client("SHM OPEN 1"), Error)
    assert client("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")
    assert session(client)("PING") == "PONG"


def test_the_option_switches_it_off_for_those_who_come_later(unix, config, r):
    there = session(unix())
    config(shm="no")
    client = unix()
    assert client("SHM OPEN 1") == Error("ERR shared memory is switched off (option shm)")
    assert client("PING") == "PONG" and there("PING") == "PONG"


def test_it_must_be_the_only_request_on_its_way(unix):
    client = unix()
    before, answer = client.pipeline("PING", "SHM OPEN 1")
    assert before == "PONG" and answer in NOT_ALONE
    answer, behind = client.pipeline("SHM OPEN 1", "PING")
    assert answer in NOT_ALONE and behind == "PONG"
    assert session(client)("PING") == "PONG"


def test_who_gets_no_replies_gets_no_session(unix):
    client = unix()
    client.send("CLIENT REPLY OFF")
    client.send("SHM OPEN 1")
    client.send("CLIENT REPLY ON")
    assert client.reply() == "OK"
    assert session(client)("PING") == "PONG"


def test_there_are_so_many_sessions_and_no_more(start):
    server = start(shm_max_sessions=3)
    clients = [server.connect() for _ in range(3)]
    late = server.connect(address=server.socket_path)
    assert late("SHM OPEN 1") == Error("ERR max number of shared memory sessions reached (option shm-max-sessions)")
    assert late.info("shm")["shm_sessions_refused"] == "1"
    clients.pop().close()
    eventually(lambda: late.info("shm")["shm_sessions"] == "2", "a place is free")
    assert session(late)("PING") == "PONG"


def test_the_memory_of_all_sessions_has_a_limit(start):
    server = start(shm_max_memory=MB)
    client = session(server.connect(address=server.socket_path), reply_ring=512 * KB)
    late = server.connect(address=server.socket_path)
    refused = Error("ERR the memory for shared memory sessions is used up (option shm-max-memory)")
    assert late("SHM OPEN 1 REPLY-RING 524288") == refused
    assert int(late.info("shm")["shm_memory"]) == 64 * KB + 512 * KB + 2 * RING_OFFSET
    client.close()
    eventually(lambda: late.info("shm")["shm_memory"] == "0", "the memory is given back")
    assert session(late, reply_ring=512 * KB)("PING") == "PONG"


def test_without_a_limit_the_memory_of_all_sessions_is_what_they_ask_for(start):
    server = start(shm_max_memory=0)
    clients = [session(server.connect(address=server.socket_path), reply_ring=4 * MB) for _ in range(3)]
    assert [client("PING") for client in clients] == ["PONG"] * 3


@pytest.mark.once
def test_sessions_leave_others_their_descriptors():
    """A session has two, of which one only is a client's."""
    limited = Server(SKUA, prefix=["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource", "prlimit",
                                   "--nofile=200:200"])
    with limited as server:
        control, clients = server.connect(address=server.socket_path), []
        clients_max = int(control("CONFIG GET maxclients")[1])
        refused = Error("ERR the descriptors for shared memory sessions are used up (ulimit -n)")
        with pytest.raises(Refused) as refusal:
            while True:
                client = server.connect(address=server.socket_path)
                clients.append(session(client))
        assert refusal.value.line == b"-%s\r\n" % refused.encode() and len(clients) >= clients_max // 2 - 2
        assert client("PING") == "PONG"
        late = server.connect(address=server.socket_path)
        assert late.reply() == Error("ERR max number of clients reached")
        assert control("SAVE") == "OK"  # there are some for files
        for client in clients:
            client.close()
        eventually(lambda: control.info("shm")["shm_sessions"] == "0", "they are gone")
        plain = [server.connect() for _ in range(clients_max - 2)]
        assert all(client("PING") == "PONG" for client in plain)


@contextlib.contextmanager
def as_another_user():
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user for a while")
def test_the_permissions_of_the_socket_decide_who_may_have_a_session(start):
    closed, opened = start(unixsocketperm=700), start(unixsocketperm=777)
    for server in (closed, opened):
        server.folder.chmod(0o711)
    with as_another_user():
        with pytest.raises(PermissionError):
            ShmSocket(closed.socket_path)
        ShmSocket(opened.socket_path).close()


# ---- A session is a connection --------------------------------------------------------------------------------


def test_what_the_connection_was_it_remains(unix):
    client = unix(3)
    client("CLIENT SETNAME before")
    client("SELECT 3")
    number = client.id
    session(client)
    assert client.id == number
    assert client("CLIENT GETNAME") == b"before"
    assert b" db=3 " in client("CLIENT INFO") and b" resp=3 " in client("CLIENT INFO")
    assert client("CONFIG GET port").keys() == {b"port"}  # a map


def test_pushes_and_replies_keep_their_order(unix, r):
    client = session(unix(3))
    client.send("SUBSCRIBE news")
    assert client.push() == [b"subscribe", b"news", 1]
    for number in range(100):
        assert r("PUBLISH", "news", number) == 1
    assert client("PING") == "PONG"
    assert [client.push() for _ in range(100)] == [[b"message", b"news", b"%d" % number] for number in range(100)]


def test_monitor(unix, r):
    client = session(unix())
    assert client("MONITOR") == "OK"
    r("SET k v")
    eventually(lambda: '"SET" "k" "v"' in client.read(), "the command is seen")


def test_who_waits_is_woken(unix, waiting, r):
    client = waiting("BLPOP", "k", "0", client=session(unix()))
    r("RPUSH k v")
    assert client.reply() == [b"k", b"v"]


def test_transactions(unix):
    client = session(unix())
    assert client.pipeline("MULTI", "SET k 1", "INCR k", "EXEC") == ["OK", "QUEUED", "QUEUED", ["OK", 2]]


def test_a_killed_session_ends(unix, r, server):
    eventually(lambda: r.info("shm")["shm_sessions"] == "1", "earlier tests' sessions are gone")
    before = held(server)[0]
    client = session(unix())
    assert r("CLIENT", "KILL", "ID", client.id) == 1
    assert client.is_closed()
    eventually(lambda: held(server)[0] == before, "its memory is given back")


def test_who_reads_nothing_is_ended_by_the_output_limit(unix, config, r):
    config(client_output_buffer_limit="normal 1mb 0 0")
    r("SET", "k", b"x" * 400_000)
    client = session(unix(), reply_ring=4 * KB)
    number = client.id
    try:
        for _ in range(20):
            client.send("GET k")
    except BrokenPipeError:
        pass  # it has happened
    eventually(lambda: b"id=%d " % number not in r("CLIENT LIST"), "it is gone")


def test_a_password_can_be_given_afterwards(start):
    server = start(requirepass="secret")
    client = server.connect()
    assert client("GET k") == Error("NOAUTH Authentication required.")
    assert client("AUTH secret") == "OK"
    assert client("GET k") is None


def test_an_idle_session_is_closed_after_timeout(start):
    server = start(timeout=1)
    idle = server.connect()
    assert idle("PING") == "PONG"
    assert idle.is_closed()


@pytest.mark.parametrize("request_ring, reply_ring", [(64 * KB, 64 * KB), (4 * KB, 4 * KB)])
def test_replies_larger_than_the_ring(unix, cell, request_ring, reply_ring):
    is_long = reply_ring == 64 * KB and cell[1] == 0 and not is_slow_build()
    size = 512 * MB if is_long else 16 * MB
    client = session(unix(), request_ring=request_ring, reply_ring=reply_ring)
    assert client("SETRANGE", "k", size - 3, "end") == size
    client.send("GET k")
    header = b"$%d\r\n" % size
    expected = len(header) + size + 2
    received, last = 0, b""
    while received < expected:
        data = client.socket.recv(MB)
        assert data, "it was cut short"
        assert received > 0 or data.startswith(header)
        received, last = received + len(data), (last + data)[-5:]
    assert (received, last) == (expected, b"end\r\n")
    assert client("PING") == "PONG"


def test_many_requests_while_nobody_takes_the_replies(unix, r):
    client = session(unix(), request_ring=4 * KB, reply_ring=4 * KB)
    words = [b"%d" % number * 1000 for number in range(20)]
    for word in words:  # the server takes them all, and keeps the replies
        client.send("ECHO", word)
    assert client.replies(20) == words


# ---- What is told about it ------------------------------------------------------------------------------------


def test_client_list_tells_of_the_session(unix, r):
    client, other = session(unix()), unix()
    number, other_number = str(client.id), str(other.id)
    fields = {line["id"]: line for line in r.client_list()}
    assert fields[number]["transport"] == "shm"
    assert {"shm-spins", "shm-parks", "shm-bells"} <= fields[number].keys()
    assert fields[other_number]["transport"] == "unix"


def test_info_counts(unix, r):
    eventually(lambda: r.info("shm")["shm_sessions"] == "1", "earlier tests' sessions are gone")
    before = {name: int(value) for name, value in r.info("shm").items()}
    client = session(unix())
    value = b"x" * 100_000
    client("SET", "k", value)
    client("GET k")
    # A reply is counted just after it has been sent.
    eventually(lambda: int(r.info("shm")["shm_bytes_out"]) > before["shm_bytes_out"] + len(value), "the reply is counted")
    after = {name: int(value) for name, value in r.info("shm").items()}
    assert after["shm_sessions"] == before["shm_sessions"] + 1
    assert after["shm_sessions_opened"] == before["shm_sessions_opened"] + 1
    assert after["shm_bytes_in"] > before["shm_bytes_in"] + len(value)
    assert after["shm_memory"] - before["shm_memory"] == (64 + 256) * KB + 2 * RING_OFFSET
    client.close()
    eventually(lambda: int(r.info("shm")["shm_sessions"]) == before["shm_sessions"], "it has ended")
    assert int(r.info("shm")["shm_memory"]) == before["shm_memory"]


def test_with_no_time_to_spin_each_wait_is_a_sleep(start):
    server = start(shm_spin_us=0)
    client = server.connect()
    before = client.info("shm")
    for _ in range(50):
        eventually(lambda: client.socket.peer[PARK] & (WANT_DATA | WANT_SPACE), "the server sleeps")
        assert client("PING") == "PONG"
    after = client.info("shm")
    assert after["shm_spins"] == before["shm_spins"] == "0"
    assert int(after["shm_bells_heard"]) >= int(before["shm_bells_heard"]) + 50


def test_what_a_session_holds_is_given_back(server, unix, r):
    eventually(lambda: r.info("shm")["shm_sessions"] == "1", "earlier tests' sessions are gone")
    before = held(server)
    for _ in range(3):
        clients = [session(unix(), reply_ring=4 * KB) for _ in range(20)]
        assert all(client("PING") == "PONG" for client in clients)
        assert held(server)[0] >= before[0] + 40
        for client in clients:
            client.close()
        # A descriptor of the time before may have been closed meanwhile.
        eventually(lambda: held(server) <= before, f"no more than {before} is held")


# ---- Many of them --------------------------------------------------------------------------------------------


def cpu_s(server):
    """CPU time of all the server's threads, to the nanosecond."""
    tasks = pathlib.Path(f"/proc/{server.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@pytest.fixture
def idle(start, cell):
    """A server with 1,000 sessions that have asked for something and ask for nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    server = start(shm_request_ring=4 * KB, shm_reply_ring=4 * KB)
    clients = [server.connect() for _ in range(1000)]
    assert all(client("PING") == "PONG" for client in clients)
    yield server, clients
    server.close_clients()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_idle_sessions_cost_nothing(idle):
    server, _ = idle
    control = server.connect(address=server.socket_path)
    waits = ("shm_spins", "shm_spin_vain_usec", "shm_parks", "shm_bells_rung", "shm_bells_heard")

    def is_still():
        before, cpu, begin = control.info("shm"), cpu_s(server), time.monotonic()
        time.sleep(1)
        used, passed, after = cpu_s(server) - cpu, time.monotonic() - begin, control.info("shm")
        return after["shm_sessions"] == "1000" and used < passed / 50 and [before[n] for n in waits] == [after[n] for n in waits]

    eventually(is_still, "they cost next to no processor time, and nobody looks, sleeps or wakes")


def test_one_that_asks_does_not_wake_a_thousand_that_do_not(idle):
    server, clients = idle
    client = clients[500]
    before, requests = int(client.info("shm")["shm_parks"]), 2000
    for _ in range(requests):
        client("PING")
    # Those that slept last are woken with it a few times, in case that they ask on, too.
    assert int(client.info("shm")["shm_parks"]) <= before + requests + 1000


# ---- Threads --------------------------------------------------------------------------------------------------


def test_sessions_move_between_io_threads_under_traffic(start):
    server = start(io_threads="2")
    faults, stop = [], threading.Event()

    def talk(client, number):
        try:
            turn = 0
            while not stop.is_set():
                turn += 1
                words = [b"%d:%d:%d" % (number, turn, i) * 100 for i in range(10)]
                assert client.pipeline(*(("ECHO", word) for word in words)) == words
        except BaseException as fault:
            faults.append(fault)
            raise

    talkers = [threading.Thread(target=talk, args=(server.connect(), number)) for number in range(4)]
    for talker in talkers:
        talker.start()
    control = server.connect(address=server.socket_path)
    for count in [4, 0, 1, 3, 0, 2] * (1 if is_slow_build() else 4):
        assert control("CONFIG", "SET", "io-threads", count) == "OK"
        for _ in range(10):  # a connection that is moving to another thread gets its session, too
            session(server.connect(address=server.socket_path)).close()
        seen = int(control.info("shm")["shm_bytes_in"])
        eventually(lambda: faults or int(control.info("shm")["shm_bytes_in"]) > seen + 20_000, "traffic goes on")
    stop.set()
    for talker in talkers:
        talker.join()
    assert not faults
