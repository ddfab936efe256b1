"""skua-bench over shared memory: its own loop looks for replies, sleeps, and is woken, and none is missed."""
import pytest
from bench_support import bench
from harness.server import SKUA, Server


@pytest.fixture(scope="module")
def server():
    with Server(SKUA) as server:
        yield server


@pytest.mark.parametrize("load", [
    ["-c", 1],
    ["-c", 7, "--threads", 2, "-P", 3],
    ["-c", 3, "-P", 100, "-d", 3000],                    # more than the rings hold
    ["-c", 2, "--rate", 20000],
    ["-c", 5, "--threads", 5],                           # more threads than processors: none looks
])
def test_each_request_has_its_reply(server, load):
    url = f"shm://{server.socket_path}?request-ring=4096&reply-ring=8192"
    run = bench(None, "-u", url, "-n", 3000, "-t", "set,get", "--verify", "--json", "-", *load)
    assert run.status == 0, run
    for _, _, measured in run.rounds:
        assert measured["requests"] == 3000


def test_a_server_that_goes_is_noticed():
    with Server(SKUA) as server:
        run = bench(None, "-u", f"shm://{server.socket_path}", "-n", 10, "--command", "SHUTDOWN NOSAVE")
        assert run.status != 0
        assert "closed the connection" in run.err
