"""Fixtures of the integration specs. docs/testing.md tells how to write one.

    server        a running server, one per module and cell of the matrix; emptied before each test
    r             a RESP2 connection to it           r3    the same in RESP3
    connect       connect(resp=2): one more connection, closed after the test
    config        config(name=value, …): CONFIG SET now, the old values come back after the test
    start         start(option=value, …): a further server just for this test, stopped and checked afterwards

The matrix is shm and tcp with io-threads 0 and 4, and unix:1: the Unix socket differs from tcp in how a connection is made and in
nothing that happens to it later; SKUA_MATRIX="tcp:0,shm:4" or --matrix takes some cells,
--server redis runs the specs on redis-server 7.0 instead, which shows that a spec tells the truth.

Marks: `once` (needs no matrix: first cell only), `cells("tcp:0", …)` (these of them), `core` (also under ASan and UBSan), `threads` (also under TSan),
`skua_only(reason)` (there is no such thing in redis-server 7.0, or it differs there for that reason), `not_over_shm(reason)`
(shared memory has no such thing), `over_shm` (in the cells of shared memory only).
"""
import functools
import os

import pytest

from harness.resp import eventually
from harness.server import REDIS, SKUA, Server, end_servers

FULL_MATRIX = "tcp:0,tcp:4,unix:1,shm:0,shm:4"
MODULES_MIN = 10  # of a cell in one process, after which threads must have answered reads


DIRECT_READS = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption("--server", default=os.environ.get("SKUA_TEST_SERVER", SKUA), choices=[SKUA, REDIS],
                     help="which server the specs run on")
    parser.addoption("--matrix", default=os.environ.get("SKUA_MATRIX", FULL_MATRIX),
                     help="cells transport:io-threads, separated by commas")


@functools.cache
def cells(matrix, kind):
    """The matrix as (transport, io_threads); redis-server's threads are none of our business. Cached, because
    pytest keeps a module's fixture only while its parameter is the very same object."""
    chosen = [(transport, int(threads)) for transport, threads in (cell.split(":") for cell in matrix.split(","))]
    if kind == REDIS:
        chosen = sorted({(transport, 0) for transport, _ in chosen if transport != "shm"})
    return chosen


def pytest_generate_tests(metafunc):
    if "cell" in metafunc.fixturenames:
        chosen = cells(metafunc.config.getoption("--matrix"), metafunc.config.getoption("--server"))
        if metafunc.definition.get_closest_marker("over_shm"):
            chosen = [cell for cell in chosen if cell[0] == "shm"]
        some = metafunc.definition.get_closest_marker("cells")
        if some:
            chosen = [cell for cell in chosen if f"{cell[0]}:{cell[1]}" in some.args] or chosen[:1]
        if metafunc.definition.get_closest_marker("once"):
            chosen = chosen[:1]
        metafunc.parametrize("cell", chosen, ids=[f"{transport}-{threads}" for transport, threads in chosen],
                             indirect=True, scope="module")


def pytest_collection_modifyitems(config, items):
    for item in items:
        only = item.get_closest_marker("skua_only")
        if only and config.getoption("--server") == REDIS:
            item.add_marker(pytest.mark.skip(reason=only.args[0]))
        sockets_only = item.get_closest_marker("not_over_shm")
        if sockets_only and getattr(item, "callspec", None) and item.callspec.params.get("cell", ("",))[0] == "shm":
            item.add_marker(pytest.mark.skip(reason=sockets_only.args[0]))
        # One worker runs all tests of a module and cell, so that they share one server.
        cell = getattr(item, "callspec", None) and item.callspec.params.get("cell")
        item.add_marker(pytest.mark.xdist_group(f"{item.module.__name__}-{cell}"))


@pytest.fixture(scope="module")
def cell(request):
    """(transport, io_threads)"""
    return request.param


@pytest.fixture(scope="module")
def server(request, cell):
    """The server of this module and cell; a module's CONFIG = {…} gives options."""
    transport, threads = cell
    running = Server(request.config.getoption("--server"), transport, threads, getattr(request.module, "CONFIG", None))
    running.start()
    try:
        yield running
        count_direct_reads(request.config, running, cell)
    except BaseException:
        running.kill()
        raise
    running.stop()


def count_direct_reads(config, running, cell):
    """Adds what this module's server has answered on its threads to what the cell's other servers have."""
    if running.kind != SKUA or not running.io_threads or running.process.poll() is not None:
        return
    running.close_clients()
    with running.connect(address=running.socket_path) as client:
        info = client.info("direct")
        running.clients.remove(client)
    counted = config.stash.setdefault(DIRECT_READS, {}).setdefault(cell, [])
    counted.append(int(info.get("direct_reads", 0)))


@pytest.fixture(scope="session", autouse=True)
def threads_answer_reads(pytestconfig):
    """With I/O threads the specs must have been about what they do: reads were answered by them, in every cell."""
    yield
    for cell, counted in pytestconfig.stash.get(DIRECT_READS, {}).items():
        assert len(counted) < MODULES_MIN or sum(counted) > 0, f"no read was answered by an I/O thread: {cell}"


@pytest.fixture(autouse=True)
def clean_server(request):
    """After each test that used the shared server: it lives, and nothing of the test stays in it."""
    if "server" not in request.fixturenames:
        yield
        return
    running = request.getfixturevalue("server")
    yield
    running.close_clients()
    running.check_alive()
    with running.connect() as client:
        # With I/O threads a closed connection is forgotten a moment later; its subscriptions live until then.
        eventually(lambda: client.info("clients")["connected_clients"] == "1", "the test's clients are gone")
        assert client("FLUSHALL") == "OK"
    running.clients.clear()


@pytest.fixture
def connect(server):
    return server.connect


@pytest.fixture
def r(server):
    return server.connect()


@pytest.fixture
def r3(server):
    return server.connect(resp=3)


@pytest.fixture
def waiting(r, connect):
    """waiting("BLPOP k 0") is a client that waits with this command; they come one after the other."""
    def begin(*command, resp=2, client=None):
        client = client or connect(resp)
        before = int(r.info("clients")["blocked_clients"])
        client.send(*command)
        eventually(lambda: int(r.info("clients")["blocked_clients"]) == before + 1, "it waits")
        return client

    return begin


@pytest.fixture
def config(server):
    """config(name=value, …) sets options for the length of the test; '_' in names stands for '-'."""
    saved = {}
    client = server.connect()  # one and the same: it stays logged in when the password changes

    def change(**options):
        for name, value in options.items():
            name = name.replace("_", "-")
            old = client("CONFIG", "GET", name)
            assert isinstance(old, list) and len(old) == 2, f"no option {name}: {old}"
            saved.setdefault(name, old[1])
            assert client("CONFIG", "SET", name, value) == "OK", name

    yield change
    for name, value in saved.items():
        reply = client("CONFIG", "SET", name, value)
        assert reply == "OK", (name, value, reply)


@pytest.fixture
def start(request, cell):
    """start(option=value, …) starts a further server of the same cell. It must be running and sound at the end,
    unless the test has stopped it itself."""
    started = []

    def starter(arguments=(), transport=None, env=None, **options):
        own = Server(request.config.getoption("--server"), transport or cell[0], cell[1],
                     {name.replace("_", "-"): value for name, value in options.items()}, arguments, env)
        started.append(own)
        return own.start()

    yield starter
    end_servers(started)


@pytest.fixture
def is_redis(request):
    return request.config.getoption("--server") == REDIS


@pytest.fixture
def heard(connect, config):
    """heard() returns the keyspace events since the last call as (event, key)."""
    config(notify_keyspace_events="AE")
    listener, marker = connect(), connect()
    listener("PSUBSCRIBE __keyevent@0__:*")

    def since():
        found = []
        marker("PUBLISH __keyevent@0__:end of-events")
        while (message := listener.read())[3] != b"of-events":
            found.append((message[2].decode().rpartition(":")[2], message[3].decode()))
        return found

    return since
