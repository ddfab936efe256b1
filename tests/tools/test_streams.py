"""The tools when somebody has closed their standard streams, or these cannot be written to.

A descriptor that is opened takes the lowest number that is free. So the connection was once standard output, and what
was printed went to the server as a command.
"""
import subprocess

import pytest

from harness.server import REDIS, ROOT, SKUA, Server
from modes_support import ENV

TOOLS = {"skua-cli": ["GET", "command"], "skua-top": ["--once", "-i", "0.1"],
         "skua-bench": ["-t", "ping", "-n", "100", "-c", "1"]}


@pytest.fixture(scope="module", params=[SKUA, REDIS])
def server(request):
    with Server(request.param) as running:
        yield running


def run_with(server, redirections, name, *options):
    return subprocess.run(["sh", "-c", f'exec "$@" {redirections}', "sh", str(ROOT / "build" / "bin" / name),
                           "-p", str(server.port), *options, *TOOLS[name]],
                          capture_output=True, stdin=subprocess.DEVNULL, env=ENV, timeout=60)


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_nothing_that_is_printed_goes_to_the_server(server, name, redirections):
    with server.connect() as client:
        client("SET", "command", "SET printed 1\r\n")
        # a password where none is wanted: there is something to be said on standard error, too
        result = run_with(server, redirections, name, "-a", "SET warned 1")
        client("DEL", "command")
        assert client("KEYS", "*ed") == []
        assert client("INFO", "commandstats").count(b"cmdstat_skua") == 0
    if ">&-" in redirections.split():
        assert result.returncode == 1


@pytest.mark.parametrize("name", TOOLS)
def test_what_cannot_be_written_is_an_error(server, name):
    assert run_with(server, ">/dev/full", name).returncode == 1
