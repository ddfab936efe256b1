"""A server for real client libraries. SKUA_TEST_SERVER=redis runs the tests on redis-server instead."""
import os

import pytest

from harness.server import SKUA, Server


@pytest.fixture(scope="module", params=[0, 4], ids=["io-threads-0", "io-threads-4"])
def server(request):
    with Server(os.environ.get("SKUA_TEST_SERVER", SKUA), "tcp", request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(server):
    yield
    server.check_alive()
    with server.connect() as client:
        assert client("FLUSHALL") == "OK"
