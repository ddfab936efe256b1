"""Clients of shared memory that do wrong (tests/hostile/shm_peer.c, each bad thing in turn) cost the server their session
and nothing else: it lives, others are served meanwhile, and all that was held for them is given back."""
import os
import pathlib
import random
import signal
import subprocess

import pytest

from harness.resp import eventually
from harness.server import ROOT, is_slow_build

pytestmark = [pytest.mark.over_shm, pytest.mark.core, pytest.mark.threads]

SIZE = 10_000_000  # of the value that the peers ask for
SLOWER = 10 if is_slow_build() else 1


def program():
    """shm-peer, of the build folder that the server is of."""
    server = os.environ.get("SKUA_SERVER")
    beside = pathlib.Path(server).parent.parent / "tests/hostile/shm-peer" if server else None
    return beside if beside and beside.exists() else ROOT / "build/tests/hostile/shm-peer"


@pytest.fixture
def peer(server, r):
    """peer(mode, number) starts one; all are ended after the test."""
    assert r("SETRANGE", "big", SIZE - 1, "~") == SIZE
    started = []

    def start(*words):
        # Its races with itself are its purpose: TSan is to look at the server only.
        process = subprocess.Popen([program(), server.socket_path, *map(str, words)], stdout=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, text=True,
                                   env={**os.environ, "TSAN_OPTIONS": "report_bugs=0"})
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def sound(server, r):
    """After the test nothing is left of the sessions that there were in it."""
    settled(r)
    before = held(server, r)
    yield
    eventually(lambda: is_given_back(server, r, before), "what was held is given back")


def held(server, r):
    """Sessions, their memory, segments mapped, descriptors."""
    info = {name: int(value) for name, value in r.info("shm").items()}
    with open(f"/proc/{server.pid}/maps", encoding="ascii") as maps:
        segments = sum("memfd:skua-re" in line for line in maps)
    return info["shm_sessions"], info["shm_memory"], segments, len(os.listdir(f"/proc/{server.pid}/fd"))


def settled(r):
    """Waits until the sessions of earlier tests are gone: those that are left are clients."""
    eventually(lambda: r.info("shm")["shm_sessions"] == r.info("clients")["connected_clients"], "earlier sessions are gone")


def is_given_back(server, r, before):
    """What an earlier test had may have been given back, too, meanwhile."""
    return all(now <= then for now, then in zip(held(server, r), before))


def serves_others(r, connect):
    other = connect()
    assert other("SET", "other", "1" * 1000) == "OK"
    assert r("GET other") == b"1" * 1000
    other.close()


def expect_success(process):
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output


# ---- Each bad thing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode, number", [
    ("words", 0), ("words", 2),
    ("changing-words", 100 // SLOWER), ("changing-bytes", 100 // SLOWER), ("changing-all", 100 // SLOWER),
    ("changing-park", 2000 // SLOWER), ("changing-cpu", 2000 // SLOWER),
    ("segments", 100), ("bell-flood", 50_000 // SLOWER), ("garbage", 1000 // SLOWER),
])
def test_what_a_peer_writes_harms_itself_only(peer, r, connect, sound, mode, number):
    process = peer(mode, number)
    while process.poll() is None:
        serves_others(r, connect)
    expect_success(process)
    serves_others(r, connect)


def test_who_takes_no_reply_is_ended_by_the_output_limit(peer, r, connect, config, sound):
    config(client_output_buffer_limit="normal 30mb 0 0")
    process = peer("never-reads")
    serves_others(r, connect)
    expect_success(process)


def test_descriptors_that_a_peer_sends_are_not_kept(peer, server, r, connect, sound):
    before = held(server, r)[3]
    process = peer("descriptors", 300 // SLOWER)
    assert process.stdout.readline() == "ready\n"
    assert held(server, r)[3] <= before + 3  # its socket, its process
    serves_others(r, connect)
    process.kill()


def test_who_is_killed_in_the_middle_of_a_request_leaves_nothing(peer, r, connect, sound):
    for _ in range(10):
        process = peer("dies")
        assert process.wait(60) == -signal.SIGKILL
        serves_others(r, connect)
    assert r("EXISTS half") == 0


def test_a_child_that_keeps_the_socket_does_not_keep_the_session(peer, server, r, connect):
    settled(r)
    before = held(server, r)
    process = peer("dies-with-a-child")
    child = int(process.stdout.readline())
    try:
        assert process.wait(60) == -signal.SIGKILL
        eventually(lambda: is_given_back(server, r, before), "the session has ended")
        os.kill(child, 0)  # and the child is still there
        assert r("EXISTS half") == 0
        serves_others(r, connect)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_stopped_peer_goes_on_where_it_was(peer, r, connect, sound):
    process = peer("stops")
    assert process.stdout.readline() == "ready\n"
    for _ in range(50):
        serves_others(r, connect)
    # Whoever wakes it before it has stopped has woken nobody.
    eventually(lambda: os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT), "it has stopped")
    process.send_signal(signal.SIGCONT)
    expect_success(process)


# ---- Many -----------------------------------------------------------------------------------------------------


def kill_a_crowd(peer, r, connect, processes, sessions, rng):
    """Processes with several sessions each are killed one after the other, all of them under load."""
    crowd = [peer("crowd", sessions) for _ in range(processes)]
    for process in crowd:
        assert process.stdout.readline() == "ready\n"
    while crowd:
        seen = int(r.info("shm")["shm_bytes_in"])
        more = rng.randrange(20_000)
        eventually(lambda: int(r.info("shm")["shm_bytes_in"]) > seen + more, "traffic goes on")
        serves_others(r, connect)
        process = crowd.pop(rng.randrange(len(crowd)))
        process.kill()
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, output) == (-signal.SIGKILL, ""), "a client has found something wrong"


def test_500_clients_killed_under_load_leave_nothing(peer, server, cell, r, connect, sound):
    seed = int(os.environ.get("SKUA_SEED", "20261121"))
    rng = random.Random(seed)
    sessions = 5 if is_slow_build() else 25
    kill_a_crowd(peer, r, connect, 10, sessions, rng)
    eventually(lambda: r.info("shm")["shm_sessions"] == "1", "the first 250 are gone")
    resident = server.rss_bytes()
    kill_a_crowd(peer, r, connect, 10, sessions, rng)
    eventually(lambda: r.info("shm")["shm_sessions"] == "1", "all are gone")
    if not is_slow_build():  # sanitizers keep what is freed for a while
        pools = 12_000_000 * (cell[1] + 1)  # what each I/O thread may keep for reuse
        eventually(lambda: server.rss_bytes() < resident + pools, "the second time has cost no memory")


def test_integrity_of_a_long_pipeline_through_the_smallest_rings(peer, r):
    expect_success(peer("integrity", os.environ.get("SKUA_SHM_BYTES", 100_000_000 // SLOWER)))
