"""skua-cli --pipe: mass insertion counts as redis-cli does, in little memory, whatever comes and goes."""
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest
from harness.resp import encode, eventually
from harness.server import REDIS, SKUA, Server, is_slow_build
from modes_support import CLI, FakeServer, Terminal, both, finish, run, start, where

ENDED = b"All data transferred. Waiting for the last reply...\nLast reply received from server.\n"


@pytest.fixture(scope="module", params=[SKUA, REDIS])
def server(request):
    with Server(request.param) as server:
        yield server


@pytest.fixture(autouse=True)
def emptied(request):
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").connect()("FLUSHALL")


# ---- Counting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [
    b"", b"\r\n", b"\n\n", b"set a b", b"set a b\r\n", b"set a b\nset b c\n",
    encode("SET", "a", b"\r\n\x00\xff"), encode("SET", "a", "b") * 3, encode("PING")[:-2],
    b"foo\r\n", b"set a\r\nset b c\r\nlpush b x\r\n", b"multi\r\nset a b\r\nfoo\r\nexec\r\n",
    b"multi\r\nset a b\r\nlpush a b\r\nexec\r\n", b"echo x\r\nping\r\nget nothing\r\nkeys *\r\nmget a b\r\n",
    encode("ECHO", "x" * 19), encode("ECHO", "x" * 20), encode("ECHO", "x" * 21), encode("ECHO", ""),
], ids=lambda data: repr(data)[:40])
def test_it_counts_as_redis_cli_does(server, data):
    theirs = run(server, "--pipe", data=data, program="redis-cli")
    server.connect()("FLUSHALL")
    ours = run(server, "--pipe", data=data)
    assert (ours.status, ours.out, ours.err) == (theirs.status, theirs.out, theirs.err)
    assert ours.out.startswith(ENDED)


def test_what_was_sent_is_there(server):
    data = b"".join(encode("SET", f"key:{i}", b"\r\n\x00" * i) for i in range(1000))
    result = run(server, "--pipe", data=data)
    assert (result.status, result.out) == (0, ENDED + b"errors: 0, replies: 1000\n")
    client = server.connect()
    assert client("DBSIZE") == 1000
    assert client("GET key:999") == b"\r\n\x00" * 999


def test_pushes_are_no_replies(server):
    result = run(server, "-3", "--pipe", data=b"subscribe a\r\nset x y\r\n")
    assert (result.status, result.out) == (0, ENDED + b"errors: 0, replies: 1\n")


# ---- Ends that are not good -----------------------------------------------------------------------------


def test_without_a_last_reply_it_gives_up(server):
    """A subscriber may not say ECHO in RESP2."""
    result = run(server, "--pipe", "--pipe-timeout", "1", data=b"subscribe a\r\n")
    assert result.status == 1
    assert result.err.splitlines()[-1] == b"No replies for 1 seconds: exiting."
    assert result.out.endswith(b"\nerrors: 2, replies: 2\n")


@pytest.mark.parametrize("data", [b"*1\r\n$-4\r\nPING\r\n", b"*1\r\n+PING\r\n", b"quit\r\nset a b\r\n",
                                  encode("PING") + b"*2\r\n$9", b"set a b\r\n*99999999999\r\n"])
def test_a_server_that_hangs_up_is_an_error(server, data):
    ours, theirs = both(server, "--pipe", data=data)
    assert ours.status == 1 and theirs.status != 0  # theirs may die of SIGPIPE
    for line in theirs.err.splitlines():
        assert line in ours.err.splitlines()
    assert ours.err.splitlines()[-1].startswith(b"Error: ")
    assert re.search(rb"^errors: \d+, replies: \d+$", ours.out.splitlines()[-1])


def test_a_server_that_hangs_up_amid_gigabytes_is_still_heard(tmp_path):
    def answer(arguments, connection):
        connection.sendall(b"-ERR no more of this\r\n")
        connection.shutdown(socket.SHUT_RDWR)
        raise EOFError
    with FakeServer(tmp_path, answer) as fake:
        result = run(fake, "--pipe", data=encode("SET", "a", "x" * 1000) * 20000)
    assert result.status == 1
    assert b"ERR no more of this\n" in result.err
    assert result.lines[-1] == "errors: 1, replies: 1"


@pytest.mark.parametrize("reply", [b"?what\r\n", b"$x\r\n", b"*-7\r\n", b"$5\r\nabcdefg\r\n"])
def test_what_is_no_reply_is_an_error(tmp_path, reply):
    with FakeServer(tmp_path, lambda arguments, _: reply) as fake:
        result = run(fake, "--pipe", data=b"*1\r\n$4\r\nPING\r\n")
    assert result.status == 1
    assert result.err.startswith(b"Error: ")


def test_without_a_server_it_fails():
    result = finish(subprocess.Popen([CLI, *where(1), "--pipe"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE), None)
    assert (result.status, result.out) == (1, b"")


# ---- Streams --------------------------------------------------------------------------------------------


def test_nothing_waits_for_the_end_of_the_input(server):
    client = server.connect()
    process = start(server, "--pipe")
    process.stdin.write(encode("SET", "first", "1") + encode("SET", "second", "2")[:15])
    process.stdin.flush()
    eventually(lambda: client("GET first") == b"1", "the first command")
    result = finish(process, encode("SET", "second", "2")[15:])
    assert (result.status, result.lines[-1]) == (0, "errors: 0, replies: 2")
    assert client("GET second") == b"2"


def test_a_server_that_answers_byte_by_byte(tmp_path):
    def answer(arguments, connection):
        reply = {b"ECHO": b"$20\r\n%s\r\n" % arguments[-1]}.get(arguments[0], b"*2\r\n$3\r\nabc\r\n-ERR inner\r\n")
        for i in range(len(reply)):
            connection.sendall(reply[i:i + 1])
    with FakeServer(tmp_path, answer) as fake:
        result = run(fake, "--pipe", data=encode("PING") * 20)
    assert (result.status, result.err) == (0, b"")
    assert result.lines[-1] == "errors: 0, replies: 20"


def greatest_memory(process):
    """In bytes, over its whole life. (ru_maxrss would count what it was before exec, too.)"""
    greatest = 0
    while process.poll() is None:
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            if found := re.search(r"VmHWM:\s*(\d+) kB", status):
                greatest = max(greatest, int(found[1]) * 1024)
        time.sleep(0.005)
    return greatest


def run_measured(server, writer):
    """Runs --pipe with what `writer(descriptor)` writes; returns status, output, errors and the greatest memory."""
    read_end, write_end = os.pipe()
    process = start(server, "--pipe", stdin=read_end)
    os.close(read_end)
    thread = threading.Thread(target=lambda: writer(write_end))
    thread.start()
    memory = greatest_memory(process)
    out, err = process.communicate()
    thread.join()
    return process.returncode, out, err, memory


def writer_of(piece, times):
    def write(descriptor):
        for _ in range(times):
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view):]
        os.close(descriptor)
    return write


# Bytes of memory: libraries and a few buffers. A sanitizer keeps what was freed.
LITTLE = (400 if is_slow_build() else 24) << 20


def test_memory_does_not_grow_with_the_input(server):
    times = 20 if is_slow_build() else 200
    status, out, err, memory = run_measured(server, writer_of(encode("SET", "k", "x" * 1000) * 1000, times))
    assert (status, out.splitlines()[-1], err) == (0, b"errors: 0, replies: %d" % (1000 * times), b"")
    assert memory < LITTLE


def test_memory_does_not_grow_with_the_replies(server):
    """Each reply is larger than all that the program may use, and many are under way while more is sent."""
    server.connect()("SET", "big", "x" * (32 << 20))
    status, out, err, memory = run_measured(server, writer_of(encode("GET", "big") + encode("SET", "s", "y" * 5000),
                                                              10))
    assert (status, out.splitlines()[-1], err) == (0, b"errors: 0, replies: 20", b"")
    assert memory < LITTLE


def test_a_server_that_first_wants_its_replies_read_is_no_deadlock(tmp_path):
    """It answers each command with far more than a socket holds, and reads nothing meanwhile."""
    def answer(arguments, connection):
        if arguments[0] == b"ECHO":
            return b"$20\r\n%s\r\n" % arguments[1]
        return b"$1000000\r\n" + b"x" * 1000000 + b"\r\n"
    with FakeServer(tmp_path, answer) as fake:
        result = run(fake, "--pipe", data=encode("SET", "a", "x" * 100000) * 50)
    assert (result.status, result.lines[-1]) == (0, "errors: 0, replies: 50")


# ---- On a terminal --------------------------------------------------------------------------------------


def on_terminal(server, stdin, tmp_path):
    script = f'exec "$0" "$@" < {stdin}'
    return Terminal(server, command=["/bin/sh", "-c", script, CLI, *where(server), "--pipe"])


def test_a_terminal_shows_how_far_it_has_come(tmp_path):
    data = tmp_path / "data"
    data.write_bytes(encode("SET", "a", "x" * 100000) * 40)

    def answer(arguments, _):
        if len(fake.received) == 20:
            fake.wait_released()
        return b"$20\r\n%s\r\n" % arguments[1] if arguments[0] == b"ECHO" else b"+OK\r\n"
    with FakeServer(tmp_path, answer) as fake:
        terminal = on_terminal(fake, data, tmp_path)
        terminal.wait(r"^pipe +\d+%  \[=*>? *\]  [\d.]+ MB / 3\.8 MB  .* left$")
        fake.release()
        assert terminal.end() == 0
    assert terminal.lines == [*ENDED.decode().splitlines(), "errors: 0, replies: 40"]


def test_of_a_stream_without_end_it_shows_the_amount(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with Server(REDIS) as server:
        terminal = on_terminal(server, fifo, tmp_path)
        with open(fifo, "wb") as stream:
            stream.write(encode("SET", "a", "x" * 2000000))
            stream.flush()
            terminal.wait(r"^pipe  1\.9 MB  .*/s  \d+:\d\d$")
            terminal.interrupt()
            assert terminal.end() == 1
    assert "Error: interrupted" in terminal.lines
    assert terminal.lines[-1] == "errors: 0, replies: 1"
