"""Proves that the proofs can fail: a server with one rule of direct reads broken on purpose (src/base/mutant.h) is caught by a history, and
the same server with only the pause that makes the fault easy to see is not.

    dev/test mutants      builds such a server and runs this
"""
import os
import pathlib
import subprocess

import pytest

from harness.resp import eventually
from harness.server import SKUA, Server
from history.loading import record

from .test_steady import grow_and_shrink, readers

PROGRAM = os.environ.get("SKUA_MUTANTS_SERVER")
pytestmark = pytest.mark.skipif(not PROGRAM, reason="no server with mutants: SKUA_MUTANTS_SERVER")

ATTEMPTS = 15  # a fault must show in one of so many histories; one or two are enough for most
OPERATIONS = 50_000


def history_is_explained(*options):
    """Records one more history. False: it cannot be explained, or the server did not live through it."""
    def attempt(server, seed):
        assert server.connect()("FLUSHALL") == "OK"
        status, _ = record(server, "--ops", OPERATIONS, "--seed", seed, "--connections", 5, "--seconds", 10, *options)
        return status == 0 and server.process.poll() is None

    return attempt


def table_is_sound(server, seed):
    """What never changes is found while the table grows and shrinks around it."""
    client = server.connect()
    assert client("FLUSHALL") == "OK"
    try:
        with readers(server, "unix", seed, 0, "--load"):
            for _ in range(2):
                grow_and_shrink(client)
    except AssertionError:
        return False
    return True


def expired_is_missing(server, seed):
    """A key whose time is past, and which is still in the table."""
    client = server.connect()
    assert client("SET", "k", seed, "PX", 1) == "OK"
    try:
        eventually(lambda: client("GET k") is None, "it has expired", timeout_s=1)
    except AssertionError:
        return False
    return True


def monitor_sees_all(server, seed):
    """Reads on one connection, each of which a monitor must hear of."""
    monitor, reader = server.connect(), server.connect()
    assert reader("SET", "k", "v") == "OK"
    monitor.send("MONITOR")
    assert monitor.reply() == "OK"
    for number in range(50):
        assert reader("GET k") == b"v"
    assert reader("ECHO end") == b"end"
    heard = []
    while not heard or '"ECHO"' not in heard[-1]:
        heard.append(str(monitor.reply()))
    monitor.close()
    reader.close()
    return sum('"GET"' in line for line in heard) == 50


def stretches_are_sound(server, seed):
    """What two threads would have to be very unlucky for, made by hand, and what others hear of: a unit test of the same build."""
    program = pathlib.Path(PROGRAM).parent.parent / "tests" / "unit-plain"
    return subprocess.run([program], capture_output=True, env={**os.environ, **server.env}).returncode == 0


CAUGHT_BY = {
    "LIMBO_RELEASES_AT_ONCE": history_is_explained("--focus", "s", "--writers", 1),
    "MOVE_CLEARS_FIRST": table_is_sound,
    "GENERATION_NOT_RAISED": table_is_sound,
    "STEPS_NOT_MARKED": history_is_explained("--writers", 2),
    "STEPS_NOT_LOOKED_AT": history_is_explained("--writers", 2),
    "KEYS_LOOKED_UP_ONCE": history_is_explained("--focus", "s", "--writers", 1),
    "UNTRACKED_NOT_NOTED": history_is_explained("--focus", "n", "--writers", 1),
    "READS_OVERTAKE": history_is_explained("--writers", 2),
    "MODE_KEPT": history_is_explained("--writers", 2),
    "MONITOR_LEAVES_GATE": monitor_sees_all,
    "EXPIRED_ANSWERED": expired_is_missing,
    "OPEN_PAGE_EDITED": history_is_explained("--focus", "c", "--writers", 1),
    "STAMP_NOT_RAISED": history_is_explained("--focus", "s", "--writers", 1),
    "STAMP_NOT_LOOKED_AT": history_is_explained("--focus", "s", "--writers", 1),
    "SEEN_IS_BELIEVED": stretches_are_sound,
    "HEARD_IS_PLAIN": stretches_are_sound,
}


def runs_well(mutant, monkeypatch, attempts):
    """How many of the attempts it took until something was wrong; 0 when nothing was."""
    monkeypatch.setenv("SKUA_SERVER", PROGRAM)
    server = Server(SKUA, "unix", 2, {"databases": 32, "direct-reads": "yes"}, env={"SKUA_MUTANT": mutant})
    server.start()
    try:
        assert server.connect()("DEBUG SET-ACTIVE-EXPIRE 0") == "OK"
        for attempt in range(1, attempts + 1):
            if not CAUGHT_BY[mutant.partition(":")[0]](server, attempt):
                return attempt
        server.stop()
        return 0
    finally:
        server.kill()
        server.remove()


@pytest.mark.parametrize("mutant", CAUGHT_BY)
def test_a_mutant_is_caught_and_its_pause_alone_is_not(mutant, monkeypatch):
    caught = runs_well(mutant, monkeypatch, ATTEMPTS)
    assert caught, f"{mutant} was not noticed in {ATTEMPTS} histories"
    assert not runs_well(f"{mutant}:pause", monkeypatch, min(caught, 3))
