"""Fixtures of the property tests: play(Machine) lets hypothesis find a sequence of commands on which a server and a
model disagree, and shows the shortest.

The same sequences are tried in each run. --hypothesis-seed=7 tries others, SKUA_EXAMPLES=1000 more of them than the
100 of a normal run; --server redis shows that the models tell the truth.
"""
import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from harness.server import REDIS, SKUA, Server

EXAMPLES = 100
STEPS = 40  # commands of an example, at most


def pytest_addoption(parser):
    parser.addoption("--server", default=os.environ.get("SKUA_TEST_SERVER", SKUA), choices=[SKUA, REDIS],
                     help="which server is compared with the models")


@pytest.fixture(scope="session")
def server(request):
    """One server for all machines of a worker."""
    with Server(request.config.getoption("--server"), "unix") as running:
        yield running


@pytest.fixture
def play(request, server):
    """play(Machine) runs it; each example begins with an empty server. One that has crashed is started again, so that
    the sequence that made it crash can be shortened."""
    def begin(machine):
        if server.process.poll() is not None:
            server.log_path.unlink()
            server.start()
        return machine(server)

    def run(machine):
        run_state_machine_as_test(lambda: begin(machine), settings=settings(
            max_examples=int(os.environ.get("SKUA_EXAMPLES", EXAMPLES)), stateful_step_count=STEPS, deadline=None,
            database=None, derandomize=request.config.getoption("--hypothesis-seed") is None,
            suppress_health_check=list(HealthCheck), print_blob=False))
        server.check_alive()

    return run
