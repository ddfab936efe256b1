"""Proves that what never changes is never missing and never wrong, whatever happens around it: the table of keys grows and shrinks,
databases are flushed and swapped, keys are rewritten, edited and expire, direct reads and I/O threads come and go, and all of that
while connections over TCP, the Unix socket and shared memory read with every command that I/O threads answer.

The readers are the recorder's (steady.c). They also put the same value in the place of the same, in transactions that take it away first.
"""
import contextlib
import itertools
import subprocess

import pytest

from harness.resp import Error, eventually
from harness.server import SKUA, Server, is_slow_build
from history.loading import RECORDER, url_of

pytestmark = pytest.mark.threads

KEYS = 200          # of each kind that never change
FILLERS = 4_000     # keys that come and go: the table doubles some times, and is merged again
ROUNDS = 12 if is_slow_build() else 24
AT_A_TIME = 500


@contextlib.contextmanager
def readers(server, transport, seed, writers, *options):
    """A recorder that reads until the end of the block; everything that it saw must have been right. So many of its connections write
    the same again and again."""
    process = subprocess.Popen(
        [RECORDER, "--url", url_of(server, transport), "--steady", str(KEYS), "--connections", "4",
         "--pipeline", "24", "--seed", str(seed), "--ops", "1000000000", "--seconds", "600", "--writers", str(writers), *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
        output, _ = process.communicate("", timeout=60)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, output


def in_pieces(client, *commands):
    """Sends many commands and takes their replies, which must not be errors."""
    for first in range(0, len(commands), AT_A_TIME):
        assert not any(isinstance(reply, Error) for reply in client.pipeline(*commands[first:first + AT_A_TIME]))


def grow_and_shrink(client):
    names = [f"filler:{number}" for number in range(FILLERS)]
    # One by one: during changes of several steps nobody looks.
    in_pieces(client, *(("SET", name, "v" * 40) for name in names))
    in_pieces(client, *(("UNLINK", name) for name in names))


def edit(client):
    """Keys beside the others that change in place, grow beyond what can be read directly, and end."""
    in_pieces(client, *itertools.chain.from_iterable((
        ("APPEND", f"edited:{number % 10}", "x" * 100), ("HSET", f"edited-hash:{number % 10}", f"field{number}", "v" * 20),
        ("INCR", f"edited-number:{number % 10}"), ("RPUSH", f"edited-list:{number % 10}", "v" * 30),
        ("SET", f"edited-time:{number}", "v", "PX", "1"), ("GETDEL", f"edited-time:{number // 2}"),
        ("HGETALL", f"edited-hash:{number % 10}"), ("GET", f"edited:{number % 10}")) for number in range(100)))
    in_pieces(client, *(("DEL", f"edited:{number}", f"edited-hash:{number}", f"edited-list:{number}") for number in range(10)))


def swap_and_flush(client):
    """0 and 1 are alike; 2 and 3 belong to nobody."""
    in_pieces(client, "SELECT 2", *(("SET", f"flushed:{number}", "v" * 100) for number in range(300)), "SWAPDB 2 3", "FLUSHDB SYNC",
              "SELECT 3", "FLUSHDB ASYNC", *itertools.repeat("SWAPDB 0 1", 20), "SELECT 0")


def everything_goes_on(client):
    """Until the readers have got some further with what has been set."""
    before = int(client.info("stats")["total_commands_processed"])
    eventually(lambda: int(client.info("stats")["total_commands_processed"]) > before + 1000, "readers get their answers")


@pytest.fixture
def server(request):
    with Server(SKUA, "tcp", 2, {"databases": 16}) as running:
        yield running


def test_what_never_changes_is_never_missing_or_wrong(server):
    client = server.connect()
    has_switch = bool(client("CONFIG GET direct-reads"))
    with readers(server, "tcp", 1, 1, "--load"), readers(server, "unix", 2, 0), readers(server, "shm", 3, 1):
        for number, threads in zip(range(ROUNDS), itertools.cycle([2, 4, 0, 1, 3])):
            assert client("CONFIG", "SET", "io-threads", threads) == "OK"
            if has_switch:
                assert client("CONFIG", "SET", "direct-reads", "no" if number % 6 == 5 else "yes") == "OK"
            grow_and_shrink(client)
            swap_and_flush(client)
            edit(client)
            everything_goes_on(client)
        if has_switch:
            assert int(client.info("everything")["direct_reads"]) > 1000
    eventually(lambda: client.info("clients")["connected_clients"] == "1", "the readers are gone")
    eventually(lambda: client("DBSIZE") == 5 * KEYS + 10, "what had a time to live has gone")  # and the edited numbers are there
    assert client("DEBUG CHECK") in ("OK", Error("ERR unknown subcommand or wrong number of arguments for 'CHECK'. Try DEBUG HELP."))
