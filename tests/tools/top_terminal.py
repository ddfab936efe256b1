"""skua-top in a pseudo-terminal of which pyte keeps the screen, and a server that says what a test wants it to say.

Entry: Terminal, FakeServer, run_top.
"""
import contextlib
import fcntl
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pyte

from harness.server import ROOT

TOP = os.environ.get("SKUA_TOP", str(ROOT / "build" / "bin" / "skua-top"))
# Far above what any machine needs: time does not decide a test.
TIMEOUT_S = 30
UTF8 = {"LC_ALL": "C.UTF-8", "TERM": "linux"}
SECRETS = ("SKUA_AUTH", "REDISCLI_AUTH", "NO_COLOR", "COLUMNS", "LINES")


def environment(changes=None):
    env = {name: value for name, value in os.environ.items() if name not in SECRETS}
    return {**env, **UTF8, **(changes or {})}


def address_of(server):
    return ["-h", "127.0.0.1", "-p", str(server.port)]


def run_top(*arguments, env=None, timeout_s=TIMEOUT_S):
    """Runs it without a terminal, to its end."""
    return subprocess.run([TOP, *map(str, arguments)], env=environment(env), stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=timeout_s)


def is_in(part, text):
    return part in text if isinstance(part, str) else part.search(text)


class Terminal:
    """skua-top on a screen of `columns` x `rows`."""

    def __init__(self, *arguments, columns=80, rows=24, env=None):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.master, slave = os.openpty()
        self._set_size(columns, rows)
        self.process = subprocess.Popen([TOP, *map(str, arguments)], env=environment(env), stdin=slave, stdout=slave,
                                        stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def _set_size(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    def _read(self, timeout_s):
        """False once the program has closed the terminal."""
        if not select.select([self.master], [], [], timeout_s)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.raw += data
        self.stream.feed(data)
        return bool(data)

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def underlined(self):
        """Texts that are underlined: the tab that is shown, the heading that is sorted by."""
        found = []
        for row in range(self.screen.lines):
            cells = [self.screen.buffer[row][column] for column in range(self.screen.columns)]
            found += "".join(cell.data if cell.underscore else "\0" for cell in cells).split("\0")
        return [text.strip() for text in found if text.strip()]

    def wait(self, *parts, without=(), condition=None):
        """Until all parts (texts or compiled patterns) are on the screen, none of `without` is, and condition(text)
        holds, all at once: a screen may be seen while half of it has been drawn anew. Returns the text."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            text = self.text
            if all(is_in(part, text) for part in parts) and not any(part in text for part in without) and (
                    condition is None or condition(text)):
                return text
            alive = self._read(0.05)
            assert time.monotonic() < deadline and alive, f"{parts} without {without} did not come:\n{self.text}"

    def send(self, keys):
        os.write(self.master, keys if isinstance(keys, bytes) else keys.encode())

    def wait_exit(self):
        deadline = time.monotonic() + TIMEOUT_S
        while self._read(0.05) and time.monotonic() < deadline:
            pass
        return self.process.wait(timeout=TIMEOUT_S)

    def __enter__(self):
        return self

    def __exit__(self, exception, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if exception else signal.SIGTERM)
        with contextlib.suppress(OSError):
            status = self.wait_exit()
        os.close(self.master)
        assert exception or status == 0, f"status {status}"


def bulk(data):
    data = data if isinstance(data, bytes) else data.encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


class FakeServer:
    """Answers what it is told to. `answers` maps the first word of a command to the bytes of its reply, or to None
    for no reply at all; `seen` lists the commands that came."""

    def __init__(self, answers):
        self.answers = {"CLIENT SETNAME": b"+OK\r\n", **answers}
        self.seen = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, ValueError), connection.makefile("rb") as stream:
            while header := stream.readline():
                words = []
                for _ in range(int(header[1:])):
                    size = int(stream.readline()[1:])
                    words.append(stream.read(size + 2)[:-2].decode("latin-1"))
                name = " ".join(words[:2]).upper() if words[0].upper() == "CLIENT" else words[0].upper()
                self.seen.append(name)
                answer = self.answers.get(name, b"-ERR unknown command\r\n")
                if answer is not None:
                    connection.sendall(answer)

    def count(self, name):
        return self.seen.count(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.thread.join()
        self.socket.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
