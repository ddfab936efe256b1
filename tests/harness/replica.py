"""A replica that is played by a test: says what replicas say, and shows what it is sent to the byte.

Entry: FakeReplica. It follows over any transport; nothing is acknowledged unless the test does it.
"""
import re

from .resp import Client, Incomplete

FULL = re.compile(rb"\+FULLRESYNC ([0-9a-f]{40}) (\d+)\r\n")
CONTINUE = re.compile(rb"\+CONTINUE(?: ([0-9a-f]{40}))?\r\n")


class FakeReplica(Client):
    """history, offset: where it is. After follow(): stream() gives the requests that come, one by one."""

    def __init__(self, address, port=7000, capabilities=("eof", "psync2"), **options):
        super().__init__(address)
        self.history = "?"
        self.offset = -1
        self.snapshot = None
        self.newlines = 0  # heard while waiting
        assert self("PING") == "PONG"
        assert self("REPLCONF", "listening-port", port) == "OK"
        for capability in capabilities:
            assert self("REPLCONF", "capa", capability) == "OK"
        for name, value in options.items():
            assert self("REPLCONF", name.replace("_", "-"), value) == "OK"

    # ---- Bytes ----------------------------------------------------------------------------------------

    def _line(self):
        """A line that begins with '+', '-' or '$', past the newlines that keep the link alive."""
        while True:
            line = self._until(b"\n")
            if line == b"\n":
                self.newlines += 1
                continue
            return line

    def _until(self, end):
        while (at := self.reader.buffer.find(end, self.reader.position)) < 0:
            self._receive()
        return self._take(at + len(end) - self.reader.position)

    def _take(self, size):
        start = self.reader.position
        while len(self.reader.buffer) < start + size:
            self._receive()
        taken = bytes(self.reader.buffer[start:start + size])
        del self.reader.buffer[:start + size]
        self.reader.position = 0
        return taken

    # ---- Following ------------------------------------------------------------------------------------

    def ask(self, history=None, offset=None):
        """PSYNC; returns the line that answers it."""
        self.send("PSYNC", history or self.history, offset if offset is not None else self.offset)
        return self._line()

    def follow(self, history=None, offset=None):
        """PSYNC, and the snapshot if one comes: True: everything came, False: it goes on where it stopped."""
        answer = self.ask(history, offset)
        if full := FULL.fullmatch(answer):
            self.history, self.offset = full[1].decode(), int(full[2])
            self.snapshot = self.payload()
            return True
        found = CONTINUE.fullmatch(answer)
        assert found, answer
        if history:
            self.history = history
        if found[1]:
            self.history = found[1].decode()
        if offset is not None:
            self.offset = offset
        self.offset -= 1  # what it has; it had asked for what follows
        return False

    def payload(self):
        """The bytes of a snapshot, of either form."""
        head = self._line().rstrip(b"\r\n")
        if head.startswith(b"$EOF:"):
            mark = head[5:]
            assert len(mark) == 40
            return self._until(mark)[:-40]
        assert head.startswith(b"$"), head
        return self._take(int(head[1:]))

    def request(self):
        """The next request of the stream, as a list of bytes."""
        while True:
            try:
                request = self.reader.next()
                self.offset += len(self.reader.raw)
                return request
            except Incomplete:
                self._receive()

    def requests(self, last, acknowledge=False):
        """Requests up to the one whose words are `last`, without those that only keep the link alive."""
        found = []
        while True:
            request = self.request()
            if acknowledge:
                self.acknowledge()
            if request not in ([b"ping"], [b"PING"], [b"REPLCONF", b"GETACK", b"*"]):
                found.append(request)
            if request == [word.encode() for word in last.split()]:
                return found

    def acknowledge(self, offset=None):
        self.send("REPLCONF", "ACK", self.offset if offset is None else offset)
