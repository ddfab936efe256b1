"""What the specs of skua-bench's engine share: running it, and a small server in Python that may misbehave.

Entry: bench, start, Store. SKUA_BENCH=/path/to/program takes another program.
"""
import collections
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

from harness.resp import Incomplete, Reader
from harness.server import ROOT

BENCH = os.environ.get("SKUA_BENCH", str(ROOT / "build" / "bin" / "skua-bench"))
LIMIT_S = 60  # far above what any machine needs
ENV = {key: value for key, value in os.environ.items() if key not in ("SKUA_AUTH", "REDISCLI_AUTH")}
CLOSE = object()  # an answer of a Store: hang up


class Run:
    """How a run has ended; `json` is the document, when it was asked for."""

    def __init__(self, process, data=None):
        try:
            out, err = process.communicate(data, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"did not end: {process.communicate()}") from None
        self.status, self.out, self.err = process.returncode, out.decode(), err.decode()

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def rounds(self):
        """The runs in the document, as (test, server, what was measured)."""
        return [(result["test"], result["server"], each) for result in self.json["results"] for each in result["rounds"]]

    @property
    def only(self):
        """The one run."""
        (_, _, measured), = self.rounds
        return measured

    def __repr__(self):
        return f"status {self.status}\n{self.out[-3000:]}\n{self.err[-3000:]}"


def where(server):
    return ["-s", server.socket_path] if getattr(server, "transport", "unix") == "unix" else ["-p", str(server.port)]


def start(server, *args, env=None, **kwargs):
    command = [BENCH, *(where(server) if server else []), *map(str, args)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs}
    return subprocess.Popen(command, env={**ENV, **(env or {})}, **pipes)


def bench(server, *args, data=None, env=None):
    """A whole run."""
    return Run(start(server, *args, env=env), data)


def measure(server, *args, env=None):
    """A whole run that ends well, with its figures."""
    run = bench(server, "--json", "-", *args, env=env)
    assert run.status == 0, run
    return run


def wait_until(condition):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.005)


def bulk(value):
    return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


class Store:
    """A server on a Unix socket, with strings only. `twist(arguments, reply, connection)` may change a reply: bytes, None
    for none, CLOSE to hang up. `log` has all requests but INFO; `per_connection` those of each, by number."""

    def __init__(self, folder, twist=None, name="store"):
        self.socket_path = str(pathlib.Path(folder) / f"{name}.sock")
        self.twist = twist or (lambda arguments, reply, connection: reply)
        self.lock = threading.Lock()
        self.data, self.log = {}, []
        self.per_connection = collections.defaultdict(list)
        self.connections = 0
        self.sockets = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket_path)
        self.listener.listen(256)
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                number = self.connections
                self.sockets.append(connection)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        with connection:
            try:
                self._converse(connection, number)
            except (OSError, EOFError):
                pass

    def _converse(self, connection, number):
        reader = Reader()
        while data := connection.recv(1 << 16):
            reader.feed(data)
            replies = []
            while True:
                try:
                    arguments = reader.next()
                except Incomplete:
                    break
                with self.lock:
                    if arguments[0] != b"INFO":
                        self.log.append(arguments)
                        self.per_connection[number].append(arguments)
                    reply = self._execute(arguments)
                reply = self.twist(arguments, reply, number)
                if reply is CLOSE:
                    connection.sendall(b"".join(replies))
                    return
                if reply is not None:
                    replies.append(reply)
            connection.sendall(b"".join(replies))

    def _execute(self, arguments):
        name, *rest = arguments
        if name == b"SET":
            self.data[rest[0]] = rest[1]
            return b"+OK\r\n"
        if name == b"GET":
            return bulk(self.data.get(rest[0]))
        if name == b"MGET":
            return b"*%d\r\n" % len(rest) + b"".join(bulk(self.data.get(key)) for key in rest)
        if name == b"PING":
            return b"+PONG\r\n"
        if name == b"INFO":
            return bulk(b"# Server\r\nredis_version:0.0.1\r\n")
        return b"-ERR unknown command\r\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # ends accept
        self.listener.close()
        self.acceptor.join(LIMIT_S)
        with self.lock:
            for connection in self.sockets:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # closed already
