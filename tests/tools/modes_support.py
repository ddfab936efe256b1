"""What the specs of skua-cli's modes share: running it, a terminal for it, and a server that misbehaves on purpose.

Entry: run, Terminal, FakeServer, fill. SKUA_CLI=/path/to/program takes another program; with redis-cli most specs that
name no wording of ours hold, too.
"""
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import threading
import time

import pexpect
import pyte
from harness.resp import Incomplete, Reader
from harness.server import ROOT

CLI = os.environ.get("SKUA_CLI", str(ROOT / "build" / "bin" / "skua-cli"))
ORACLE = "redis-cli"
LIMIT_S = 60  # far above what any machine needs

ENV = {**{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES", "REDISCLI_AUTH")},
       "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}


def where(server):
    """The options that lead to a server: a Server, a FakeServer, or a port."""
    if isinstance(server, int):
        return ["-p", str(server)]
    return ["-s", server.socket_path]


def start(server, *args, program=CLI, env=None, **kwargs):
    """The program running, with pipes around it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs}
    return subprocess.Popen([program, *where(server), *args], env={**ENV, **(env or {})}, **pipes)


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def lines(self):
        return self.out.decode().splitlines()

    def __repr__(self):
        return f"status {self.status}\n{self.out[-2000:]!r}\n{self.err[-2000:]!r}"


def finish(process, data=b""):
    try:
        out, err = process.communicate(data, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"did not end: {out[-2000:]!r} {err[-2000:]!r}") from None
    return Result(process.returncode, out, err)


def run(server, *args, data=b"", **kwargs):
    return finish(start(server, *args, **kwargs), data)


def both(server, *args, data=b""):
    """The same run of ours and of redis-cli."""
    return run(server, *args, data=data), run(server, *args, data=data, program=ORACLE)


def read_until(stream, pattern, times=1):
    """What a pipe gives until a pattern is in it so many times."""
    data = b""
    deadline = time.monotonic() + LIMIT_S
    while len(re.findall(pattern, data)) < times:
        ready, _, _ = select.select([stream], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"{pattern!r} did not come: {data[-1000:]!r}"
        more = os.read(stream.fileno(), 1 << 16)
        assert more, f"ended before {pattern!r} came: {data[-1000:]!r}"
        data += more
    return data


class Terminal:
    """The program on a terminal of its own; `screen` is what a person would see."""

    def __init__(self, server, *args, rows=24, columns=80, env=None, command=None):
        program = command or [CLI, *where(server), *args]
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.process = pexpect.spawn(program[0], program[1:], dimensions=(rows, columns), env={**ENV, **(env or {})},
                                     timeout=LIMIT_S, echo=False)

    def _receive(self, seconds):
        try:
            data = self.process.read_nonblocking(1 << 16, seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self.stream.feed(data)
        return True

    @property
    def lines(self):
        """Lines of the screen without the blanks behind them, without empty ones at the end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip("\n").split("\n")

    def wait(self, pattern, what=None):
        """Until a line of the screen matches; returns the match."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            for line in self.lines:
                if found := re.search(pattern, line):
                    return found
            assert time.monotonic() < deadline and self._receive(0.2), \
                f"{what or pattern} did not come:\n" + "\n".join(self.lines)

    def end(self):
        """Until the program has ended: its exit status, or minus the signal."""
        deadline = time.monotonic() + LIMIT_S
        while self._receive(0.2):
            assert time.monotonic() < deadline, "did not end:\n" + "\n".join(self.lines)
        self.process.close()
        return self.process.exitstatus if self.process.signalstatus is None else -self.process.signalstatus

    def interrupt(self):
        self.process.kill(signal.SIGINT)

    def resize(self, columns, rows=24):
        self.screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)


class FakeServer:
    """Listens on a Unix socket and answers as `answer(arguments, connection)` says: bytes, or None for nothing.
    What every client asks first is answered as any server does. `script` may do what it wants with the socket."""

    def __init__(self, folder, answer):
        self.socket_path = str(pathlib.Path(folder) / f"fake-{time.monotonic_ns()}.sock")
        self.answer = answer
        self.received = []
        self.released = threading.Event()  # for scripts that wait for the test
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket_path)
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._converse(connection)
                except (ConnectionError, EOFError, OSError):
                    pass

    def _converse(self, connection):
        reader = Reader()
        while True:
            while reader.buffer[reader.position:reader.position + 2] == b"\r\n":  # an empty inline command is none
                reader.position += 2
            try:
                arguments = reader.next()
            except Incomplete:
                data = connection.recv(1 << 16)
                if not data:
                    return
                reader.feed(data)
                continue
            self.received.append(arguments)
            reply = self.answer(arguments, connection)
            if reply is CLOSE:
                return
            if reply:
                connection.sendall(reply)

    def release(self):
        self.released.set()

    def wait_released(self):
        assert self.released.wait(LIMIT_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.released.set()
        self.listener.shutdown(socket.SHUT_RDWR)  # ends accept
        self.listener.close()
        self.thread.join(LIMIT_S)


CLOSE = object()  # answer of a FakeServer: hang up


def bulk(text):
    text = text if isinstance(text, bytes) else str(text).encode()
    return b"$%d\r\n%s\r\n" % (len(text), text)


def array(*elements):
    return b"*%d\r\n" % len(elements) + b"".join(elements)


def without_notes(lines):
    """Without prose and without the share of keys that is done, which depends on how many are asked for at once."""
    return [re.sub(r"^\[\d+\.\d+%\] ", "", line) for line in lines if not line.startswith("#")]


def fill(client, types=True):
    """Keys of each type, some with names that are no text."""
    for i in range(120):
        client("SET", f"s:{i}", "x" * (i * 3 % 500))
    client("SET", b'quo"te\n\x01\xff', "v" * 700)
    client("SET", "empty", "")
    if not types:
        return
    for i in range(20):
        client("RPUSH", f"l:{i}", *range(i + 1))
        client("SADD", f"set:{i}", *range(i * 2 + 1))
        client("HSET", f"h:{i}", *(x for j in range(i + 1) for x in (j, j)))
        client("ZADD", f"z:{i}", *(x for j in range(i + 3) for x in (j, j)))
    for i in range(5):
        for _ in range(i + 1):
            client("XADD", f"x:{i}", "*", "a", 1)
