"""Servers that do as the test says: answer byte by byte, lie, hang up, say nothing.

Entry: HostileServer(handler). Each connection gets a thread that runs handler(connection, number); number counts
connections from 0. What a handler raises other than by a lost connection fails the test in stop().
"""
import contextlib
import socket
import struct
import threading

ACCEPT_TIMEOUT_S = 60


class Connection:
    """The server's side of one connection."""

    def __init__(self, sock, ended):
        self.sock = sock
        self.ended = ended  # an event: the test is over
        self.buffer = b""

    def send(self, *parts):
        """Sends each part by itself: the client sees them in separate receives, as far as TCP can promise that."""
        for part in parts:
            self.sock.sendall(part)

    def dribble(self, data):
        self.send(*(data[i:i + 1] for i in range(len(data))))

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionResetError
        self.buffer += data

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def request(self):
        """The next request as a list of arguments."""
        arguments = []
        for _ in range(int(self._line()[1:])):
            size = int(self._line()[1:])
            while len(self.buffer) < size + 2:
                self._fill()
            arguments.append(self.buffer[:size])
            self.buffer = self.buffer[size + 2:]
        return arguments

    def wait_closed(self):
        """Until the client has ended the connection; what it sends meanwhile is dropped."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass

    def close(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class HostileServer:
    def __init__(self, handler, path=None):
        self.handler = handler
        self.path = path
        self.port = 0
        self.connections = []
        self.threads = []
        self.failures = []
        self.ended = threading.Event()
        self._listen()

    def _listen(self):
        if self.path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(self.path))
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", self.port))
            self.port = self.listener.getsockname()[1]
        self.listener.listen()
        self.threads.append(threading.Thread(target=self._accept, args=(self.listener,), daemon=True))
        self.threads[-1].start()

    @property
    def url(self):
        return f"unix://{self.path}" if self.path else f"redis://127.0.0.1:{self.port}"

    @property
    def address(self):
        return str(self.path) if self.path else f"127.0.0.1:{self.port}"

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            if not self.path:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, self.ended)
            self.connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection, len(self.connections) - 1), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection, number):
        try:
            self.handler(connection, number)
        except OSError:
            pass  # the client, or stop(), has ended it
        except Exception as failure:  # a handler's assertion: told by stop()
            self.failures.append(failure)

    def stop_listening(self):
        """Connecting is refused from now on."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def listen_again(self):
        self._listen()

    def stop(self):
        self.ended.set()
        self.stop_listening()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.sock.close()
        for thread in self.threads:
            thread.join(ACCEPT_TIMEOUT_S)
        assert not self.failures, self.failures


def accept_anything(connection, number):
    """A server that answers +OK to all requests."""
    while True:
        connection.request()
        connection.send(b"+OK\r\n")


def say(*parts, then=Connection.wait_closed):
    """A handler: takes one request, sends the parts, and ends as `then` says."""
    def handler(connection, number):
        connection.request()
        connection.send(*parts)
        then(connection)
    return handler
