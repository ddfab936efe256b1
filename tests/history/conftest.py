"""Which server the histories come from: --server redis runs them on redis-server 7.0."""
import os

from harness.server import REDIS, SKUA


def pytest_addoption(parser):
    parser.addoption("--server", default=os.environ.get("SKUA_TEST_SERVER", SKUA), choices=[SKUA, REDIS],
                     help="which server the histories are recorded on")
