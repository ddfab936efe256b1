"""Fixtures for libskua: a driver (driver.c, which calls the library as it is told), servers that misbehave as they are
told, and real ones.

    driver        a fresh driver process; at the end it must leave with status 0: no block of memory is left
    hostile       hostile(handler): a server on a free port whose every connection is given to handler(connection, number)
    real          (kind, transport): a running server of each kind, emptied after each test
    url           its URL
SKUA_LIBRARY_DRIVER names another driver than build/tests/library/library-driver (the ASan build's).
"""
import pytest

from harness.server import REDIS, SKUA, Server
from library.drive import Driver
from library.hostile import HostileServer


@pytest.fixture
def driver():
    running = Driver()
    yield running
    running.finish()


@pytest.fixture
def hostile():
    servers = []

    def start(handler, path=None):
        servers.append(HostileServer(handler, path))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session", params=[REDIS, SKUA])
def real_server(request):
    with Server(request.param, "tcp", 0) as running:
        yield running


@pytest.fixture
def real(real_server):
    yield real_server
    real_server.check_alive()
    with real_server.connect() as client:
        assert client("FLUSHALL") == "OK"


@pytest.fixture(params=["tcp", "unix", "shm"])
def url(request, real):
    """Of shared memory also at a server that does not know it, which leaves the Unix socket."""
    return f"redis://127.0.0.1:{real.port}" if request.param == "tcp" else f"{request.param}://{real.socket_path}"


def pytest_collection_modifyitems(items):
    for item in items:  # one worker runs all tests of a server, so that FLUSHALL is nobody else's
        kind = getattr(item, "callspec", None) and item.callspec.params.get("real_server")
        if kind:
            item.add_marker(pytest.mark.xdist_group(f"library-{kind}"))
