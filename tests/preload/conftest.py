"""A server for programs that run with libskua_preload.so."""
import pytest

from harness.node import install_modules
from harness.server import SKUA, Server


@pytest.fixture(scope="module")
def server():
    with Server(SKUA) as running:
        yield running


@pytest.fixture(autouse=True)
def is_alive(request):
    yield
    if "server" in request.fixturenames:
        running = request.getfixturevalue("server")
        try:
            running.check_alive()
        except AssertionError:
            running.start()  # for the tests that follow
            raise


@pytest.fixture(scope="session")
def node_modules():
    """ioredis as tests/clients installs it."""
    return install_modules()
