"""A socket over shared memory, written from the description of the protocol alone (docs/shared-memory-protocol.md).

Entry: ShmSocket, which looks enough like socket.socket for harness.resp.Client; Refused; ShmAddress, by which a Client is
told to use it.

The words of a session are read and written by memoryviews of 8-byte items, each of which is one load or store. Python has
no fence: an uncontended lock is one on x86, and elsewhere a bell is rung whether the server sleeps or not.
"""
import array
import mmap
import platform
import select
import socket
import threading
import time

VERSION = 1
RING_OFFSET = 4096
CONTROL_SIZE = 64
TAIL, HEAD, PARK = 0, 1, 2  # words of a control block
WANT_DATA, WANT_SPACE = 1, 2
SLEEP_SHIFT = 2
LOOK_AGAIN_S = 0.2  # how long a sleep without a bell lasts
HAS_FENCE = platform.machine() in ("x86_64", "AMD64", "i686")


class Refused(Exception):
    """The server's answer to SHM OPEN was an error; `line` is all of it."""

    def __init__(self, line):
        super().__init__(line.decode("latin-1").strip())
        self.line = line


class ShmAddress(str):
    """The path of a Unix socket over which a session of shared memory is to be made."""


def request(*words):
    return b"".join([b"*%d\r\n" % len(words)] + [b"$%d\r\n%s\r\n" % (len(word), word) for word in words])


def ask(version=VERSION, request_ring=None, reply_ring=None):
    """The request for a session."""
    words = [b"SHM", b"OPEN", b"%d" % version]
    if request_ring is not None:
        words += [b"REQUEST-RING", b"%d" % request_ring]
    if reply_ring is not None:
        words += [b"REPLY-RING", b"%d" % reply_ring]
    return request(*words)


def receive_offer(connection):
    """The server's answer as {name: number}, with the two descriptors: request segment, reply segment."""
    answer, descriptors = b"", array.array("i")
    while not answer.startswith(b"-") or not answer.endswith(b"\r\n"):
        more, received, _, _ = socket.recv_fds(connection, 4096, 4, socket.MSG_CMSG_CLOEXEC)
        if not more:
            raise EOFError("the server closed the connection")
        answer += more
        descriptors.extend(received)
        lines = answer.split(b"\r\n")
        if lines[0][:1] in b"*%" and len(lines) == 2 + 3 * (int(lines[0][1:]) // (2 if lines[0][:1] == b"*" else 1)):
            names, numbers = lines[2:-1:3], lines[3:-1:3]
            assert len(descriptors) == 2, descriptors
            return {name.decode(): int(number[1:]) for name, number in zip(names, numbers)}, list(descriptors)
    raise Refused(answer)


class Segment:
    """A segment mapped: its control block as words, its ring as bytes."""

    def __init__(self, descriptor, ring, control, may_write):
        self.map = mmap.mmap(descriptor, RING_OFFSET + ring, mmap.MAP_SHARED,
                             mmap.PROT_READ | (mmap.PROT_WRITE if may_write else 0))
        self.view = memoryview(self.map)
        self.words = self.view[control:control + CONTROL_SIZE].cast("Q")
        self.ring = self.view[RING_OFFSET:]
        self.size = ring

    def close(self):
        self.words.release()
        self.ring.release()
        self.view.release()
        self.map.close()

    def parts(self, at, size):
        """The places of `size` bytes from byte number `at`: one slice, or two when they go around the end."""
        place = at % self.size
        first = min(size, self.size - place)
        return [slice(place, place + first)] + ([slice(0, size - first)] if size > first else [])


class ShmSocket:
    """One session. The Unix socket remains as `bell`; its family and its names are the session's."""

    family = socket.AF_UNIX

    def __init__(self, path, request_ring=None, reply_ring=None, timeout_s=None):
        self.timeout_s = timeout_s
        self.bell = socket.socket(socket.AF_UNIX)
        try:
            self.bell.settimeout(timeout_s)
            self.bell.connect(path)
            self.bell.sendall(ask(VERSION, request_ring, reply_ring))
            self.offer, descriptors = receive_offer(self.bell)
        except BaseException:
            self.bell.close()
            raise
        self._begin(descriptors)

    @classmethod
    def upgrade(cls, connection, **rings):
        """Makes a session of a connected Unix socket, which is taken over; Refused leaves it as it was."""
        connection.sendall(ask(VERSION, **rings))
        offer, descriptors = receive_offer(connection)
        self = cls.__new__(cls)
        self.timeout_s, self.bell, self.offer = connection.gettimeout(), connection, offer
        self._begin(descriptors)
        return self

    def _begin(self, descriptors):
        self.out = Segment(descriptors[0], self.offer["request-ring"], self.offer["request-control"], True)
        self.input = Segment(descriptors[1], self.offer["reply-ring"], self.offer["reply-control"], False)
        for descriptor in descriptors:
            socket.close(descriptor)
        self.bell.setblocking(False)
        self.bells = select.poll()
        self.bells.register(self.bell, select.POLLIN)
        self.own, self.peer = self.out.words, self.input.words
        self.tail = self.head = 0
        self.settled = (0, 0)
        self.sleeps = 0
        self.rung_for = 0
        self.lock = threading.Lock()
        self.at_end = self.is_closed = False

    # ---- What a socket has ------------------------------------------------------------------------------------

    def fileno(self):
        return self.bell.fileno()

    def getpeername(self):
        return self.bell.getpeername()

    def setsockopt(self, *option):
        self.bell.setsockopt(*option)

    def settimeout(self, timeout_s):
        self.timeout_s = timeout_s

    def gettimeout(self):
        return self.timeout_s

    def shutdown(self, how):
        self.bell.shutdown(how)

    def close(self):
        if not self.is_closed:
            self.is_closed = True
            self.bell.close()
            self.own = self.peer = None
            self.out.close()
            self.input.close()

    def send(self, data):
        """Sends the beginning of `data`, waiting for room for its first byte."""
        self._check_open()
        self._wait(WANT_SPACE, self._room)
        if self.at_end:
            raise BrokenPipeError("the session has ended")
        sent = self._write(memoryview(data).cast("B"))
        self._settle()
        return sent

    def sendall(self, data):
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.send(rest):]

    def recv(self, size):
        """At most `size` bytes; none at the end."""
        self._check_open()
        self._wait(WANT_DATA, self._available)
        data = self._read(size)
        self._settle()
        return data

    # ---- The rings --------------------------------------------------------------------------------------------

    def _check_open(self):
        if self.is_closed:
            raise OSError("the session is closed")

    def _available(self):
        available = self.peer[TAIL] - self.head
        assert 0 <= available <= self.input.size, f"the server's tail is {self.peer[TAIL]}, the head {self.head}"
        return available

    def _room(self):
        unread = self.tail - self.peer[HEAD]
        assert 0 <= unread <= self.out.size, f"the server's head is {self.peer[HEAD]}, the tail {self.tail}"
        return self.out.size - unread

    def _read(self, size):
        size = min(size, self._available())
        data = b"".join(bytes(self.input.ring[part]) for part in self.input.parts(self.head, size))
        self.head += size
        self.own[HEAD] = self.head
        return data

    def _write(self, data):
        size = min(len(data), self._room())
        written = 0
        for part in self.out.parts(self.tail, size):
            self.out.ring[part] = data[written:written + part.stop - part.start]
            written += part.stop - part.start
        self.tail += size
        self.own[TAIL] = self.tail
        return size

    # ---- Bells ------------------------------------------------------------------------------------------------

    def _fence(self):
        with self.lock:
            pass

    def _ring(self):
        try:
            self.bell.send(b"\0", socket.MSG_NOSIGNAL)
        except BlockingIOError:
            pass  # it has bells enough
        except (BrokenPipeError, ConnectionResetError):
            self.at_end = True

    def _settle(self):
        """Wakes the server when it sleeps and waits for what has been published."""
        news = (WANT_DATA if self.tail != self.settled[0] else 0) | (WANT_SPACE if self.head != self.settled[1] else 0)
        self.settled = (self.tail, self.head)
        self._fence()
        park = self.peer[PARK]
        if news and (not HAS_FENCE or (park & news and park != self.rung_for)):
            self.rung_for = park
            self._ring()

    def _drain(self):
        try:
            while bells := self.bell.recv(4096):
                del bells
            self.at_end = True
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.at_end = True

    def _wait(self, wants, is_there):
        """Sleeps until `is_there()` or the end of the session; TimeoutError as sockets have it."""
        deadline = None if self.timeout_s is None else time.monotonic() + self.timeout_s
        while not is_there() and not self.at_end:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError("timed out")
            self.sleeps += 1
            self.own[PARK] = self.sleeps << SLEEP_SHIFT | wants
            self._fence()
            if not is_there():
                limit_s = LOOK_AGAIN_S if deadline is None else min(LOOK_AGAIN_S, deadline - time.monotonic())
                self.bells.poll(max(limit_s * 1000, 0))
                self._drain()
            self.own[PARK] = self.sleeps << SLEEP_SHIFT
