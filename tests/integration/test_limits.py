"""Limits on everything that a client can make grow: connections, idle time, query and output buffers, and what
strangers may send before they have logged in."""
import re
import resource
import socket

import pytest

from harness.resp import Client, Error, encode, eventually
from harness.server import is_slow_build
from harness.shm import Refused

pytestmark = pytest.mark.core

NOAUTH = Error("NOAUTH Authentication required.")


def send_until_closed(client, data, limit):
    """Sends until the server hangs up; returns how much the kernel took. Reads nothing."""
    sent = 0
    client.socket.settimeout(5)
    try:
        while sent < limit:
            sent += client.socket.send(data[sent % len(data):])  # over shared memory a part may be taken
    except (ConnectionResetError, BrokenPipeError):
        pass
    return sent


# ---- maxclients -----------------------------------------------------------------------------------------


def admitted(server):
    """A connection that has been let in. The place of one that has just been closed may be taken for a moment."""
    def attempt():
        try:
            client = server.connect()
            return client if client("PING") == "PONG" else None
        except (EOFError, BrokenPipeError, ConnectionResetError, Refused):
            return None

    return eventually(attempt, "admission")


def test_connections_over_maxclients_are_refused_with_an_error(start):
    server = start(maxclients=12)
    clients = [admitted(server) for _ in range(12)]
    before = int(clients[0].info("stats")["rejected_connections"])
    late = server.connect(address=server.first_address)
    assert late.reply() == Error("ERR max number of clients reached")
    assert late.is_closed()
    assert int(clients[0].info("stats")["rejected_connections"]) == before + 1
    assert all(client("PING") == "PONG" for client in clients)
    clients.pop().close()
    assert admitted(server)("PING") == "PONG"


def test_maxclients_can_be_lowered_and_raised(start):
    server = start(maxclients=20)
    first = admitted(server)
    others = [admitted(server) for _ in range(5)]
    assert all(client("PING") == "PONG" for client in others)
    assert first("CONFIG SET maxclients 3") == "OK"
    assert all(client("PING") == "PONG" for client in others)
    assert server.connect(address=server.first_address).reply() == Error("ERR max number of clients reached")
    assert first("CONFIG SET maxclients 100") == "OK"
    assert admitted(server)("PING") == "PONG"


# ---- timeout --------------------------------------------------------------------------------------------


def test_idle_clients_are_closed_after_timeout_and_subscribers_are_not(start):
    server = start(timeout=1)
    idle, subscriber, talking = server.connect(), server.connect(), server.connect()
    subscriber("SUBSCRIBE news")
    assert idle("PING") == "PONG"

    def is_gone():
        return talking.info("clients")["connected_clients"] == "2"

    eventually(is_gone, "the idle client's end")
    assert idle.is_closed()
    assert talking("PUBLISH news x") == 1
    assert subscriber.reply() == [b"message", b"news", b"x"]


def test_without_timeout_nobody_is_closed(r):
    assert r("CONFIG GET timeout") == [b"timeout", b"0"]


# ---- Query buffer ---------------------------------------------------------------------------------------


@pytest.mark.skua_only("it does not count arguments that have arrived whole")
def test_a_request_larger_than_the_query_buffer_limit_closes_the_connection(start):
    server = start(client_query_buffer_limit="2mb")
    other = server.connect()
    greedy = server.connect()
    greedy.send_raw(b"*1000000\r\n")
    sent = send_until_closed(greedy, encode(b"a" * 1000)[4:] * 100, 60_000_000)
    assert sent < 60_000_000
    assert other("PING") == "PONG"
    assert other.info("stats")["client_query_buffer_limit_disconnections"] == "1"


def test_an_announced_argument_does_not_cost_memory_before_it_arrives(r, server, connect):
    before = server.rss_bytes()
    clients = [connect() for _ in range(40)]
    for client in clients:
        client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\nabc")
    assert r("PING") == "PONG"
    for client in clients:
        client.send_raw(b"def")
    assert r("PING") == "PONG"
    # 40 times half a gigabyte has been announced.
    assert server.rss_bytes() - before < (1 << 30)


def test_announced_arguments_do_not_cost_memory_before_they_arrive(r, server, connect):
    before = server.rss_bytes()
    clients = [connect() for _ in range(20)]
    for client in clients:
        client.send_raw(b"*2147483647\r\n$4\r\nECHO\r\n$1\r\n")
    assert r("PING") == "PONG"
    assert server.rss_bytes() - before < 64 << 20


def test_proto_max_bulk_len_is_obeyed(r, connect, config):
    config(proto_max_bulk_len="2mb")
    other = connect()
    assert other("SET", "k", b"v" * (2 << 20)) == "OK"
    assert other("APPEND k x") == Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    assert other("SETRANGE", "k", 2 << 20, "x") == Error(
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    other.send_raw(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % ((2 << 20) + 1))
    assert other.reply() == Error("ERR Protocol error: invalid bulk length")
    assert other.is_closed()
    assert r("PING") == "PONG"


# ---- Output buffer --------------------------------------------------------------------------------------


def test_a_client_that_does_not_read_its_replies_is_closed_at_the_hard_limit(start, is_redis):
    server = start(client_output_buffer_limit="normal 3mb 0 0")
    other = server.connect()
    other("SET", "k", b"v" * 100_000)
    lazy = server.connect()
    name = b"lazy"
    assert lazy("CLIENT SETNAME lazy") == "OK"
    lazy.send_raw(encode("GET", "k") * 600)  # 60 MB of replies
    eventually(lambda: name.decode() not in [c["name"] for c in other.client_list()], "the end of the lazy client")
    assert other("PING") == "PONG"
    received = 0
    try:
        while data := lazy.socket.recv(1 << 20):
            received += len(data)
    except ConnectionResetError:
        pass
    assert received < 60_000_000
    eventually(lambda: other.info("clients")["connected_clients"] == "1", "its place to be free")
    if not is_redis:
        assert other.info("stats")["client_output_buffer_limit_disconnections"] == "1"


def test_a_subscriber_that_does_not_read_is_closed_at_its_own_limit(start):
    server = start(client_output_buffer_limit="pubsub 2mb 0 0")
    publisher, lazy = server.connect(), server.connect()
    lazy("SUBSCRIBE news")
    message = b"m" * 50_000
    # The kernel takes some megabytes before anything piles up here.
    for _ in range(2000):
        if publisher("PUBLISH", "news", message) == 0:
            break
    else:
        raise AssertionError("100 MB were kept for a subscriber with a limit of 2 MB")
    assert publisher("PING") == "PONG"


def test_the_soft_limit_closes_only_after_its_time(start):
    server = start(client_output_buffer_limit="normal 0 1mb 1")
    other = server.connect()
    other("SET", "k", b"v" * 100_000)
    reader, lazy = server.connect(), server.connect()
    lazy("CLIENT SETNAME lazy")
    lazy.send_raw(encode("GET", "k") * 300)
    # Somebody who takes his time, but less than a second, keeps his connection: all replies come.
    reader.send_raw(encode("GET", "k") * 300)
    assert all(len(reply) == 100_000 for reply in reader.replies(300))
    # The limit is checked when something happens to the client or once a second.
    eventually(lambda: "lazy" not in [c["name"] for c in other.client_list()], "the end of the lazy client")
    assert reader("PING") == "PONG"


def test_a_slow_reader_does_not_slow_others(connect, r, config):
    config(client_output_buffer_limit="normal 0 0 0")
    r("SET", "k", b"v" * 1_000_000)
    lazy = connect()
    lazy.send_raw(encode("GET", "k") * (10 if is_slow_build() else 60))
    for i in range(1000):
        assert r("INCR n") == i + 1
    assert all(len(reply) == 1_000_000 for reply in lazy.replies(10 if is_slow_build() else 60))


def test_client_list_shows_what_is_waiting(connect, r, config):
    config(client_output_buffer_limit="normal 0 0 0")
    r("SET", "k", b"v" * 1_000_000)
    lazy = connect()
    assert lazy("CLIENT SETNAME lazy") == "OK"
    lazy.send_raw(encode("GET", "k") * 50)

    def waiting():
        entry = next(c for c in r.client_list() if c["name"] == "lazy")
        return int(entry["omem"]) > 10_000_000 and int(entry["tot-mem"]) > 10_000_000

    eventually(waiting, "a full output buffer in CLIENT LIST")


# ---- Strangers ------------------------------------------------------------------------------------------


def test_who_is_not_authenticated_may_only_log_in(start):
    server = start(requirepass="secret")
    stranger = server.connect()
    for command in ["GET k", "SET k v", "INFO", "CONFIG GET *", "SUBSCRIBE x", "PING", "NOSUCH", "MULTI", "SHUTDOWN"]:
        assert stranger(command) == (NOAUTH if command != "NOSUCH" else Error(
            "ERR unknown command 'NOSUCH', with args beginning with: ")), command
    assert stranger("AUTH wrong") == Error("WRONGPASS invalid username-password pair or user is disabled.")
    assert stranger("AUTH secret") == "OK"
    assert stranger("PING") == "PONG"


def test_strangers_may_send_only_small_requests(start):
    server = start(requirepass="secret")
    stranger = server.connect()
    stranger.send_raw(b"*11\r\n")
    assert stranger.reply() == Error("ERR Protocol error: unauthenticated multibulk length")
    assert stranger.is_closed()
    stranger = server.connect()
    stranger.send_raw(b"*2\r\n$4\r\nAUTH\r\n$16385\r\n")
    assert stranger.reply() == Error("ERR Protocol error: unauthenticated bulk length")
    assert stranger.is_closed()
    known = server.connect()
    assert known("AUTH secret") == "OK"
    assert known("SET", "k", b"v" * 100_000) == "OK"
    assert known("EXISTS", *["k"] * 100) == 100


def test_limits_fall_with_auth_in_the_same_pipeline(start):
    server = start(requirepass="secret")
    client = server.connect()
    client.send_raw(encode("AUTH", "secret") + encode("SET", "k", b"v" * 50_000) + encode("EXISTS", *["k"] * 20))
    assert client.replies(3) == ["OK", "OK", 20]
    stranger = server.connect()
    stranger.send_raw(encode("AUTH", "wrong") + encode("EXISTS", *["k"] * 20))
    assert stranger.reply() == Error("WRONGPASS invalid username-password pair or user is disabled.")
    assert stranger.reply() == Error("ERR Protocol error: unauthenticated multibulk length")


def test_hello_logs_in(start):
    server = start(requirepass="secret")
    client = server.connect()
    refusal = client("HELLO 3")
    assert isinstance(refusal, Error)
    assert refusal.startswith("NOAUTH HELLO must be called with the client already authenticated, otherwise")
    assert client("HELLO 3 AUTH default wrong") == Error(
        "WRONGPASS invalid username-password pair or user is disabled.")
    assert client("HELLO 3 AUTH default secret")[b"proto"] == 3
    assert client("PING") == "PONG"


def test_auth_without_a_password_set_says_so(r):
    assert r("AUTH x") == Error(
        "ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?")


def test_the_password_can_be_changed_at_run_time(r, connect, config):
    assert r("PING") == "PONG"
    config(requirepass="new")
    assert r("PING") == "PONG"  # who was in stays in
    stranger = connect()
    assert stranger("PING") == NOAUTH
    assert stranger("AUTH default new") == "OK"
    config(requirepass="")
    assert connect()("PING") == "PONG"


# ---- Protected mode -------------------------------------------------------------------------------------


def own_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        return probe.getsockname()[0]


@pytest.mark.skipif(own_address() is None, reason="this machine has no address but loopback")
def test_protected_mode_refuses_strangers_from_outside(start):
    server = start(bind="0.0.0.0", protected_mode="yes")
    outside = Client((own_address(), server.port))
    reply = outside.reply()
    assert isinstance(reply, Error) and reply.startswith("DENIED ")
    assert outside.is_closed()
    inside = server.connect()
    assert inside("PING") == "PONG"
    assert inside("CONFIG SET protected-mode no") == "OK"
    with Client((own_address(), server.port)) as client:
        assert client("PING") == "PONG"
    assert inside("CONFIG SET protected-mode yes") == "OK"
    assert inside("CONFIG SET requirepass secret") == "OK"
    with Client((own_address(), server.port)) as client:
        assert client("AUTH secret") == "OK"


# ---- Memory ---------------------------------------------------------------------------------------------


def test_writes_are_refused_over_maxmemory_and_reads_and_deletes_are_not(r, config):
    r("SET k v")
    config(maxmemory="1")
    assert r("SET k w") == Error("OOM command not allowed when used memory > 'maxmemory'.")
    assert r("APPEND k w") == Error("OOM command not allowed when used memory > 'maxmemory'.")
    assert r("GET k") == b"v"
    assert r("DEL k") == 1
    config(maxmemory="0")
    assert r("SET k w") == "OK"


# ---- Memory that the system refuses ----------------------------------------------------------------------

MEGABYTE = 1 << 20
PIECE, LONG = 8 * MEGABYTE, 40 * MEGABYTE


def address_space(server):
    with open(f"/proc/{server.pid}/status") as status:
        return int(re.search(r"VmSize:\s+(\d+) kB", status.read())[1]) << 10


def starve(server):
    """From now on the server gets no piece of memory from the system, and has none itself."""
    resource.prlimit(server.pid, resource.RLIMIT_AS, (address_space(server) + 2 * PIECE, resource.RLIM_INFINITY))
    client = server.connect()
    for number in range(1000):
        try:
            if client("SET", f"piece{number}", b"x" * PIECE) != "OK":
                return
        except (EOFError, ConnectionResetError, BrokenPipeError):
            return
    raise AssertionError("it has got all that it wanted")


@pytest.mark.once
@pytest.mark.not_over_shm("whose rings want memory of their own")
@pytest.mark.skua_only("redis-server ends when memory is refused")
@pytest.mark.skipif(is_slow_build(), reason="the sanitizer's allocator ends the process")
@pytest.mark.parametrize("words", [("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", LONG), ("SUNIONSTORE", LONG, "s")],
                         ids=["prefix", "held"])
def test_words_for_which_memory_is_refused_end_no_server(start, words):
    server = start(slice_us=1)
    watcher, client = server.connect(), server.connect()
    watcher("SADD", "s", *range(5000))
    request = encode(*(b"k" * word if isinstance(word, int) else word for word in words))
    client.send_raw(request[:-1])
    eventually(lambda: any(int(one["qbuf"]) == len(request) - 1 for one in watcher.client_list()), "it has arrived")
    starve(server)
    client.send_raw(request[-1:])
    assert client.reply() == Error("OOM not enough memory for this command")
    assert watcher("PING") == "PONG" and watcher("SCARD s") == 5000
    assert watcher("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "short") == "OK"
