"""Proves that reads which I/O threads answer themselves cannot be told from the executor's: clients with several requests under way,
on few keys, over every transport, with threads that are moved between processors meanwhile.

What is read: strings of all sizes, counters, hashes, sets, sorted sets, lists, several keys at once. What happens meanwhile: each of
them is changed, deleted, renamed, copied and expires, alone and in transactions; tables grow and shrink, databases are flushed
and swapped. The recorder (tests/stress) knows which states there were, and finds the moment of each operation.
"""
import pytest

from harness.server import REDIS, Server, is_slow_build

from .loading import record

OPERATIONS = 30_000 if is_slow_build() else 100_000
CELLS = [("tcp", 1), ("tcp", 4), ("unix", 2), ("unix", 0), ("shm", 1), ("shm", 4), ("tcp", 8)]


@pytest.fixture(scope="module", params=CELLS, ids=[f"{transport}-{threads}" for transport, threads in CELLS])
def server(request):
    transport, threads = request.param
    kind = request.config.getoption("--server")
    if kind == REDIS and (threads or transport == "shm"):
        pytest.skip("its threads are none of our business")
    with Server(kind, transport, threads, {"databases": 32}) as running:
        # Keys at their time stay where they are until somebody asks for them: that must not show.
        assert running.connect()("DEBUG SET-ACTIVE-EXPIRE 0") == "OK"
        set_if_known(running, direct_reads="yes")
        yield running


def set_if_known(server, **options):
    """Sets the options that this server has."""
    client = server.connect()
    for name, value in options.items():
        name = name.replace("_", "-")
        if client("CONFIG", "GET", name):
            assert client("CONFIG", "SET", name, value) == "OK"


def direct_reads(server):
    """How many reads were answered by I/O threads so far; None on a server that does not say."""
    info = server.connect().info("everything")
    return int(info["direct_reads"]) if "direct_reads" in info else None


def check_history(server, *options):
    before = direct_reads(server)
    status, output = record(server, "--ops", OPERATIONS, "--shake", server.pid, *options)
    assert status == 0, output
    if before is not None and server.io_threads:
        # Otherwise this would say nothing of them.
        assert direct_reads(server) - before > OPERATIONS / 100
    server.check_alive()


@pytest.mark.parametrize("waits", ["yes", "no"])
def test_a_history_of_many_connections_can_be_put_into_one_order(server, waits):
    set_if_known(server, direct_reads_wait=waits)
    assert server.connect()("FLUSHALL") == "OK"
    check_history(server, "--seed", 1 + (waits == "yes"), "--connections", 8, "--writers", 3)


def test_so_can_one_in_which_everything_is_flushed_again_and_again(server):
    assert server.connect()("FLUSHALL") == "OK"
    check_history(server, "--seed", 3, "--connections", 6, "--writers", 1, "--flush-all")


def test_so_can_one_of_single_requests(server):
    assert server.connect()("FLUSHALL") == "OK"
    check_history(server, "--seed", 4, "--connections", 12, "--writers", 6, "--pipeline", 2, "--seconds", 1)
