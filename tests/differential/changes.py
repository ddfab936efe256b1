"""What a server writes into its log of changes: reads it as a replica does, and compares two of them.

Entry: Link (a server's stream as it comes), play (a script of change_scripts.py), differences (between two streams).
"""
import pathlib
import re
import time

from harness.resp import Client, Incomplete, Reader, eventually, words

from .change_scripts import DATA

MARK = b"the-end-of-a-script"
MOMENT_RANGE_MS = 2_000_000  # scripts name times up to 1,000 seconds away
TOLERANCE_MS = 60_000  # both servers run one after the other, on a machine that may be busy


class Requests(Reader):
    """Requests in bytes, each as a list of words."""

    def requests(self):
        found = []
        while True:
            try:
                found.append(self.next())
            except Incomplete:
                return found


class File:
    """The append-only file that a server writes."""

    def __init__(self, server):
        self.folder = pathlib.Path(server.folder) / "appendonlydir"
        self.requests = Requests()
        self.at = 0

    def read_to_mark(self):
        found = []

        def is_marked():
            path = next(self.folder.glob("*.incr.aof"))
            data = path.read_bytes()
            self.requests.feed(data[self.at:])
            self.at = len(data)
            found.extend(self.requests.requests())
            return any(MARK in request for request in found)

        eventually(is_marked, "the file has it all")
        assert MARK in found.pop()  # nobody writes behind the mark
        return found


class Link:
    """A connection that reads a server's stream of changes, as a replica reads it."""

    def __init__(self, server):
        self.server = server
        self.client = Client(server.socket_path)
        self.requests = Requests()
        self.client.send("PSYNC", "?", "-1")
        assert self._line().startswith(b"+FULLRESYNC")
        header = self._line()
        assert header[:1] == b"$", header
        left = int(header[1:])
        while left > 0:
            data = self._more()
            taken = data[:left]
            left -= len(taken)
            self.requests.feed(data[len(taken):])

    def _more(self):
        if self.rest:
            data, self.rest = self.rest, b""
            return data
        data = self.client.socket.recv(1 << 20)
        if not data:
            raise EOFError("the server closed the link")
        return data

    rest = b""

    def _line(self):
        """Lines without anything are sent while the file is made."""
        data = b""
        while b"\r\n" not in data.lstrip(b"\n"):
            data += self._more()
        line, self.rest = data.lstrip(b"\n").split(b"\r\n", 1)
        return line

    def read_to_mark(self):
        """All requests up to the mark, which play has written; without those that only keep the link alive."""
        found = []
        while True:
            for request in self.requests.requests():
                if MARK in request:
                    return found
                if [word.upper() for word in request] != [b"PING"]:
                    found.append(request)
            self.requests.feed(self._more())

    def close(self):
        self.client.close()


# ---- Playing scripts ------------------------------------------------------------------------------------------------


class Player:
    """The clients of a script, by name, and who of them waits."""

    def __init__(self, server):
        self.server = server
        self.clients = {}
        self.waiting = []

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = Client(self.server.socket_path)
        return self.clients[name]

    def step(self, line):
        if line.startswith("~"):
            time.sleep(int(line[1:]) / 1000)
            return
        match = re.match(r"([a-z])([:>]) (.*)", line)
        name, how, text = match.groups() if match else ("a", ":", line)
        request = [DATA.get(word, word) for word in words((text,))]
        client = self.client(name)
        if how == ":":
            client(*request)
            return
        watcher = self.client("watcher")
        before = int(watcher.info("clients")["blocked_clients"])
        client.send(*request)
        eventually(lambda: int(watcher.info("clients")["blocked_clients"]) == before + 1, f"{line!r} waits")

    def close(self):
        for client in self.clients.values():
            client.close()


def play(server, steps):
    """Runs a script on an empty server and marks its end."""
    player = Player(server)
    try:
        for line in steps:
            player.step(line)
        marker = player.client("marker")
        eventually(lambda: marker.info("clients")["blocked_clients"] == "0", "nobody waits any more")
        assert marker("SET", MARK, "") == "OK"
    finally:
        player.close()


def stream_of(server, link, steps):
    """What a script writes, as requests."""
    with Client(server.socket_path) as client:
        client("FLUSHALL")
        client("SET", MARK, "")
    link.read_to_mark()
    play(server, steps)
    return link.read_to_mark()


# ---- Comparing ------------------------------------------------------------------------------------------------------


def is_same_moment(ours, theirs):
    """Both are milliseconds, perhaps those of a stream's id, and nearly the same ones: the servers came to it one after the other."""
    a, b = (re.fullmatch(rb"(\d{12,19})(-\d+)?", word) for word in (ours, theirs))
    return bool(a and b and (a[2] is None) == (b[2] is None)) and abs(int(a[1]) - int(b[1])) <= TOLERANCE_MS


def is_same_word(ours, theirs):
    if ours == theirs or is_same_moment(ours, theirs):
        return True
    # Members of a set that were taken by chance.
    return bool(re.fullmatch(rb"m\d", ours) and re.fullmatch(rb"m\d", theirs))


def is_same(ours, theirs):
    return len(ours) == len(theirs) and all(map(is_same_word, ours, theirs))


def without_first_id(request):
    """Trimming by id that took whole nodes names the first entry of the stream, in Redis also one that was deleted."""
    at = next((i for i, word in enumerate(request[:-1]) if word.upper() == b"MINID" and request[i + 1] == b"="), None)
    return request if at is None else [*request[:at + 2], b"first", *request[at + 3:]]


def as_7_0(stream):
    """What redis-server 7.0 would have written of consumer groups (see docs/differences.md), without the marks of units and with
    a SELECT only where it counts: what is left when only effects are looked at."""
    found, selected, selected_last = [], None, None
    for request in stream:
        head = [word.upper() for word in request[:2]]
        of_groups = head == [b"XGROUP", b"CREATECONSUMER"] or (head == [b"XGROUP", b"SETID"] and len(request) == 7)
        may_grow = head[0] == b"BITFIELD" and b"FAIL" in map(bytes.upper, request)
        if head[0] == b"SELECT":
            selected = request
        elif head[0] not in (b"MULTI", b"EXEC") and not of_groups and not may_grow:
            if selected != selected_last:
                found.append(selected)
            found.append(without_first_id(request))
            selected_last = selected
    return found


def request_line(request, now_ms=None):
    """A request in words, moments near to now as <moment>."""
    now_ms = now_ms or time.time() * 1000
    return ["<moment>" if re.fullmatch(rb"\d{13}", word) and abs(int(word) - now_ms) <= MOMENT_RANGE_MS
            else word.decode() for word in request]


def show(stream):
    return "\n".join("    " + " ".join(repr(word)[2:-1] or "''" for word in request) for request in stream)


def difference(ours, theirs):
    """The first difference of two streams in words; None: there is none."""
    if len(ours) == len(theirs) and all(map(is_same, ours, theirs)):
        return None
    at = 0
    while at < min(len(ours), len(theirs)) and is_same(ours[at], theirs[at]):
        at += 1
    return f"from request {at} on\n  ours:\n{show(ours[at:at + 8])}\n  theirs:\n{show(theirs[at:at + 8])}"
