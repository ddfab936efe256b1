"""A small RESP client for tests: shows every reply exactly as the server sent it.

Entry: Client (one connection), Reader (bytes to values). No convenience of a real client is wanted here: errors
are values, types are kept apart, pushes are visible, and bytes can be sent that no real client would send.

How replies look in Python:

    +OK           "OK" (str)              $3 abc      b"abc" (bytes)
    -ERR text     Error("ERR text")       :5          5
    $-1, *-1, _   None                    *2 ...      [a, b]
    #t ,1.5       True, 1.5 (Double)      %1 ...      {a: b} (Map: hashable keys, otherwise pairs)
    ~2 ...        Set([a, b])             >2 ...      Push([a, b])
    =txt:...      Verbatim(b"...", "txt") (123        BigNumber(123)
"""
import shlex
import socket
import time

from .shm import ShmAddress, ShmSocket

TIMEOUT_S = 30  # no test waits this long for a reply unless something is broken


class Error(str):
    """An error reply, without the leading '-'."""

    def __repr__(self):
        return f"Error({str.__repr__(self)})"

    def __eq__(self, other):
        return isinstance(other, Error) and str.__eq__(self, other)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


class Push(list):
    """An out-of-band message of RESP3."""


class Set(list):
    """A set of RESP3, in the order of the wire; equal to any Python set with the same members."""

    def __eq__(self, other):
        if isinstance(other, (set, frozenset)):
            return len(self) == len(other) and set(self) == other
        return isinstance(other, Set) and list.__eq__(self, other)


class Double(float):
    """A double of RESP3; `text` is what stood on the wire."""

    def __new__(cls, text):
        self = float.__new__(cls, text)
        self.text = text
        return self


class BigNumber(int):
    """A big number of RESP3."""


class Verbatim(bytes):
    """A verbatim string of RESP3 with its three-letter format."""

    def __new__(cls, value, form):
        self = bytes.__new__(cls, value)
        self.format = form
        return self


class Incomplete(Exception):
    """More bytes are needed."""


class Malformed(AssertionError):
    """The server sent something that is not RESP."""


STRING = ord("$")


class Reader:
    """Turns bytes into replies. `raw` of the last reply is kept, for comparing to the byte."""

    def __init__(self):
        self.buffer = bytearray()
        self.position = 0
        self.raw = b""

    def feed(self, data):
        self.buffer += data

    def next(self):
        """The next complete reply; raises Incomplete and keeps what is there."""
        start = self.position
        try:
            value = self._value()
        except Incomplete:
            self.position = start
            raise
        self.raw = bytes(self.buffer[start:self.position])
        if self.position == len(self.buffer) or self.position > 1 << 20:
            del self.buffer[:self.position]
            self.position = 0
        return value

    def _line(self):
        end = self.buffer.find(b"\r\n", self.position)
        if end < 0:
            raise Incomplete
        line = bytes(self.buffer[self.position:end])
        self.position = end + 2
        return line

    def _blob(self, size):
        end = self.position + size
        if len(self.buffer) < end + 2:
            raise Incomplete
        if self.buffer[end:end + 2] != b"\r\n":
            raise Malformed(f"no line end after {size} bytes")
        value = bytes(self.buffer[self.position:end])
        self.position = end + 2
        return value

    def _items(self, count):
        return [self._string() or self._value() for _ in range(count)]

    def _string(self):
        """What most items are, read at once: a string that is here wholly and is not empty. None: look closer."""
        buffer, start = self.buffer, self.position
        end = buffer.find(b"\r\n", start)
        if end < 0 or buffer[start] != STRING:
            return None
        size = int(buffer[start + 1:end])
        first, last = end + 2, end + 2 + size
        if size <= 0 or buffer[last:last + 2] != b"\r\n":
            return None
        self.position = last + 2
        return bytes(buffer[first:last])

    def _value(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        try:
            return self._typed(kind, rest)
        except ValueError:
            raise Malformed(f"not a reply: {line[:80]!r}") from None

    def _typed(self, kind, rest):
        match kind:
            case b"+":
                return rest.decode("latin-1")
            case b"-":
                return Error(rest.decode("latin-1"))
            case b":":
                return int(rest)
            case b"$":
                return None if rest == b"-1" else self._blob(int(rest))
            case b"*":
                return None if rest == b"-1" else self._items(int(rest))
            case b"_":
                return None
            case b"#":
                return {b"t": True, b"f": False}[rest]
            case b",":
                return Double(rest.decode())
            case b"(":
                return BigNumber(rest)
            case b"=":
                text = self._blob(int(rest))
                return Verbatim(text[4:], text[:3].decode())
            case b"%":
                return as_map(self._items(2 * int(rest)))
            case b"~":
                return Set(self._items(int(rest)))
            case b">":
                return Push(self._items(int(rest)))
            case b"|":
                self._items(2 * int(rest))  # attributes: out of the reply's way
                return self._value()
        raise Malformed(f"not a reply: {kind + rest[:80]!r}")


def as_map(flat):
    """A map from a flat list of keys and values; a list of pairs when a key cannot be hashed."""
    pairs = list(zip(flat[::2], flat[1::2]))
    try:
        return dict(pairs)
    except TypeError:
        return pairs


def encode(*args):
    """One request as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if not isinstance(arg, (bytes, bytearray, memoryview)):
            arg = str(arg).encode()
        parts += [b"$%d\r\n" % len(arg), arg, b"\r\n"]
    return b"".join(parts)


def words(args):
    """("SET k v",) becomes three arguments; anything but one single str is taken as it is."""
    if len(args) == 1 and isinstance(args[0], str):
        return shlex.split(args[0])
    return args


def connected(address, timeout_s):
    if isinstance(address, ShmAddress):
        return ShmSocket(address, timeout_s=timeout_s)
    if isinstance(address, str):
        connection = socket.socket(socket.AF_UNIX)
    else:
        connection = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    connection.settimeout(timeout_s)
    connection.connect(address)
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Client:
    """One connection. client("SET k v") or client("SET", key, value) sends a command and returns its reply."""

    def __init__(self, address, resp=2, timeout_s=TIMEOUT_S):
        """`address` is a path (Unix socket), a ShmAddress (shared memory) or a (host, port)."""
        self.socket = connected(address, timeout_s)
        self.reader = Reader()
        self.pushes = []
        if resp == 3:
            hello = self("HELLO", "3")
            assert isinstance(hello, dict), hello

    # ---- Sending --------------------------------------------------------------------------------------

    def send(self, *args):
        """Sends a command and does not wait for the reply."""
        self.send_raw(encode(*words(args)))

    def send_raw(self, data):
        self.socket.sendall(data)

    # ---- Receiving ------------------------------------------------------------------------------------

    def read(self):
        """The next reply or push. EOFError when the server has closed the connection."""
        while True:
            try:
                return self.reader.next()
            except Incomplete:
                self._receive()

    def _receive(self):
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError("the server closed the connection")
        self.reader.feed(data)

    def reply(self):
        """The next reply; pushes that come before it are put aside in self.pushes."""
        while isinstance(value := self.read(), Push):
            self.pushes.append(value)
        return value

    def replies(self, count):
        return [self.reply() for _ in range(count)]

    @property
    def raw(self):
        """The bytes of the reply read last."""
        return self.reader.raw

    def push(self):
        """The next push message, among those put aside first."""
        if self.pushes:
            return self.pushes.pop(0)
        value = self.read()
        assert isinstance(value, Push), f"expected a push, got {value!r}"
        return value

    def is_silent(self, seconds=0.05):
        """Whether nothing arrives for a while. Only for showing that something does NOT come; the proof that
        the moment has passed must be another reply (see flush_order in the specs)."""
        if self.reader.position < len(self.reader.buffer):
            return False
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT_S)
        self.reader.feed(data)
        return False

    def is_closed(self, timeout_s=TIMEOUT_S):
        """Waits for the server to close the connection; False when it sends something or stays open."""
        if self.reader.position < len(self.reader.buffer):
            return False
        self.socket.settimeout(timeout_s)
        try:
            return self.socket.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            return True
        except TimeoutError:
            return False

    # ---- Both -----------------------------------------------------------------------------------------

    def __call__(self, *args):
        self.send(*args)
        return self.reply()

    def pipeline(self, *commands):
        """Sends all commands in one piece; each is a str to be split or a sequence of arguments."""
        self.send_raw(b"".join(encode(*words((c,) if isinstance(c, str) else c)) for c in commands))
        return self.replies(len(commands))

    def info(self, *sections):
        """INFO as a dictionary of strings."""
        text = self("INFO", *sections).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if line and line[0] != "#")

    def client_list(self):
        """CLIENT LIST as dictionaries."""
        return [dict(field.split("=", 1) for field in line.split(" "))
                for line in self("CLIENT LIST").decode().splitlines()]

    @property
    def id(self):
        return self("CLIENT ID")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def eventually(condition, what="the condition", timeout_s=TIMEOUT_S, every_s=0.005):
    """Polls, `every_s` seconds, until `condition()` is true and returns its value. For effects that have no reply of their own; the
    limit is far above what any machine needs, so time does not decide the result."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true in {timeout_s} s"
        time.sleep(every_s)
