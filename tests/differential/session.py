"""Runs sequences of commands on two servers at once and compares every reply, every message and what is stored.

Entry: Duel.run (one sequence), Duel.run_pipelined (the same, many commands at a time), shrink (the shortest sequence that
still shows a difference).

A step is (connection, words). Each server has three connections: 0 speaks RESP2, 1 speaks RESP3, "s" subscribes to
keyspace events and to channels and is read after each other step. In pipelines PAUSE is a step, too (nothing is sent for
a moment), and so is (None, words of a BLPOP or the like): connection 1 waits until something serves it.
"""
import time

from harness.digest import digest_of_key
from harness.resp import Client, Incomplete, Reader, encode

from .rules import explain

DATABASES = (0, 1, 2, 15)
PAUSE = (None, [b"(pause)"])  # keys with a millisecond to live are over behind it
PAUSE_S = 0.004
WAITS_MAX = 2000


class Tree(Reader):
    """Reads replies as (kind, content), which keeps apart everything that the wire keeps apart."""

    def _string(self):
        return None  # no short way: an item has its kind, too

    def _typed(self, kind, rest):
        match kind:
            case b"*" | b"~" | b">" if rest != b"-1":
                return kind.decode(), self._items(int(rest))
            case b"%":
                return "%", self._items(2 * int(rest))
            case b"$" | b"=" if rest != b"-1":
                return kind.decode(), self._blob(int(rest))
            case b":":
                return ":", int(rest)
            case b"$" | b"*":
                return kind.decode(), None
        return kind.decode(), rest.decode("latin-1")


class Connection(Client):
    """A client whose replies are trees."""

    def __init__(self, address, resp):
        super().__init__(address)
        self.reader = Tree()
        self.send("HELLO", str(resp))
        self.read()

    def do(self, words):
        self.send_raw(encode(*words))
        return self.read()

    def drain(self, nonce):
        """Everything that has arrived by the time a PING is answered."""
        self.send_raw(encode("PING", nonce))
        messages = []
        while (message := self.read()) != ("*", [("$", b"pong"), ("$", nonce)]) and message != ("$", nonce):
            messages.append(message)
        return messages

    def read(self):
        while True:
            try:
                return self.reader.next()
            except Incomplete:
                self._receive()


class Difference(Exception):
    """Replies differ and no rule explains it."""

    def __init__(self, step, words, ours, theirs):
        self.step, self.words, self.ours, self.theirs = step, words, ours, theirs
        super().__init__(f"{show(words)}\n  ours:   {ours!r}\n  theirs: {theirs!r}")


class Duel:
    """Two servers, ours and theirs."""

    def __init__(self, ours, theirs, grammar):
        self.servers = (ours, theirs)
        self.grammar = grammar
        self.explained = {}  # rule name: how often
        self.connections = {}
        self.count = 0

    # ---- One sequence ---------------------------------------------------------------------------------

    def run(self, steps, events):
        """Empties both servers and runs the steps; raises Difference. `events`: compare keyspace events, too."""
        self._reset(events)
        queued = {0: None, 1: None}  # commands queued by MULTI, by connection
        for number, (connection, words) in enumerate(steps):
            ours, theirs = (pair[connection].do(words) for pair in self.connections)
            self.count += 1
            self._compare_queued(number, connection, words, ours, theirs, queued)
            if events or words[0].lower() in (b"publish", b"spublish"):
                self._compare_messages(number, words)
        self._compare_contents(len(steps))

    def run_pipelined(self, steps, apart, events):
        """Like run, but steps of one connection that follow each other are sent at once. `apart`: the two connections do not
        touch each other's keys, and what they send is sent to both before any reply is read."""
        self._reset(events)
        queued = {0: None, 1: None}
        waiter = None
        first = 0
        while first < len(steps):
            after = first + 1
            while after < len(steps) and None not in (steps[first][0], steps[after][0]) and \
                    (apart or steps[after][0] == steps[first][0]):
                after += 1
            if waiter and steps[first][0] != 0:
                waiter = self._serve(first, waiter)
            if steps[first] == PAUSE:
                time.sleep(PAUSE_S)
            elif steps[first][0] is None:
                waiter = self._wait(steps[first][1])
            else:
                self._run_batch(first, steps[first:after], queued)
            if events:
                self._compare_messages(first, steps[first][1])
            first = after
        if waiter:
            self._serve(len(steps) - 1, waiter)
        time.sleep(PAUSE_S)
        self._compare_contents(len(steps))

    def _wait(self, words):
        """Has connection 1 wait for a list, which is not there: words of a command, the second one the key."""
        for pair in self.connections:
            pair["control"].do([b"DEL", words[1]])
            pair[1].send_raw(encode(*words))
            for _ in range(WAITS_MAX):  # in a transaction, which a shortened sequence may have left open, it does not wait
                if b"blocked_clients:1\r" in pair["control"].do([b"INFO", b"clients"])[1]:
                    break
        return words

    def _serve(self, number, words):
        """If nothing of what has been sent has served it, this does."""
        for pair in self.connections:
            pair["control"].do([b"DEL", words[1]])
            pair["control"].do([b"RPUSH", words[1], b"served"])
        ours, theirs = (pair[1].read() for pair in self.connections)
        self._compare(number, words, ours, theirs)

    def _compare_messages(self, number, words):
        nonce = b"nonce-%d" % number
        messages = [pair["s"].drain(nonce) for pair in self.connections]
        if messages[0] != messages[1]:
            raise Difference(number, [b"(messages after)", *words], *messages)

    def _run_batch(self, first, batch, queued):
        for pair in self.connections:
            for connection in (0, 1):
                pair[connection].send_raw(b"".join(encode(*words) for number, words in batch if number == connection))
        for number, (connection, words) in enumerate(batch, first):
            ours, theirs = (pair[connection].read() for pair in self.connections)
            self.count += 1
            self._compare_queued(number, connection, words, ours, theirs, queued)

    def _reset(self, events):
        for pair in self.connections or ():
            for client in pair.values():
                client.close()
        self.connections = []
        for server in self.servers:
            pair = {0: Connection(server.address, 2), 1: Connection(server.address, 3)}
            pair["s"], pair["control"] = Connection(server.address, 2), Connection(server.address, 2)
            pair[0].do([b"FLUSHALL"])
            pair[0].do([b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA" if events else b""])
            pair["s"].do([b"SUBSCRIBE", b"k0"])
            pair["s"].do([b"PSUBSCRIBE", b"__key*__:*"])
            self.connections.append(pair)

    def _compare_queued(self, number, connection, words, ours, theirs, queued):
        """Inside MULTI each element of EXEC's reply belongs to the command that was queued for it."""
        name = words[0].lower()
        if name == b"exec" and queued[connection] is not None and ours[0] == theirs[0] == "*" and ours[1] is not None \
                and theirs[1] is not None and len(ours[1]) == len(theirs[1]) == len(queued[connection]):
            for inner, our_part, their_part in zip(queued[connection], ours[1], theirs[1]):
                self._compare(number, inner, our_part, their_part)
        else:
            self._compare(number, words, ours, theirs)
        if name in (b"exec", b"discard") and ours[0] != "-" or ours[1] is not None and "EXECABORT" in str(ours[1])[:9]:
            queued[connection] = None
        elif name == b"multi" and ours == ("+", "OK"):
            queued[connection] = []
        elif ours == ("+", "QUEUED"):
            queued[connection].append(words)

    def _compare(self, number, words, ours, theirs):
        if ours == theirs:
            return
        rule = explain(words, ours, theirs, self.grammar)
        if rule is None:
            raise Difference(number, words, ours, theirs)
        self.explained[rule.name] = self.explained.get(rule.name, 0) + 1

    # ---- What is stored -------------------------------------------------------------------------------

    def _compare_contents(self, number):
        ours, theirs = (contents(server.address) for server in self.servers)
        for key in sorted(set(ours) | set(theirs)):
            a, b = ours.get(key), theirs.get(key)
            if a is None or b is None or a[:3] != b[:3] or abs(a[3] - b[3]) > 5000:
                raise Difference(number, [b"(contents of)", str(key).encode()], a, b)


# The command that shows all of a value, by its type.
VALUE_OF = {
    "string": lambda key: ("GET", key),
    "list": lambda key: ("LRANGE", key, 0, -1),
    "set": lambda key: ("SMEMBERS", key),
    "hash": lambda key: ("HGETALL", key),
    "zset": lambda key: ("ZRANGE", key, 0, -1, "WITHSCORES"),
    "stream": lambda key: ("XRANGE", key, "-", "+"),
}


def contents(address):
    """Every key of the databases in use: (database, key) -> (type, value, digest, time to live)."""
    found = {}
    with Client(address) as client:
        for database in DATABASES:
            client("SELECT", database)
            keys = scan_all(client)
            assert len(keys) == client("DBSIZE"), "SCAN and DBSIZE disagree"
            for key in keys:
                kind = client("TYPE", key)
                value = client(*VALUE_OF[kind](key))
                digest = digest_of_key(client, key)
                if kind == "set":
                    value = sorted(value)
                elif kind == "hash":
                    value = sorted(zip(value[::2], value[1::2]))
                elif kind == "zset":
                    # The double counts, not its digits: see the rule "digits-of-scores".
                    if b"-0" in value[1::2]:
                        digest = None  # of Redis's minus zero: "digits-of-scores", too
                    value = list(zip(value[::2], map(float, value[1::2])))
                found[database, key] = (kind, value, digest, client("PTTL", key))
    return found


def scan_all(client, *options):
    """All that SCAN finds, each once."""
    keys, cursor = set(), b"0"
    while True:
        cursor, page = client("SCAN", cursor, *options)
        keys.update(page)
        if cursor == b"0":
            return keys


# ---- Reports --------------------------------------------------------------------------------------------


def shrink(run, steps, tries=400):
    """The shortest sequence found that still shows some difference when it is run: drops halves, quarters, … single steps."""
    def differs(candidate):
        nonlocal tries
        tries -= 1
        try:
            run(candidate)
        except Difference as difference:
            return difference
        return None

    best = differs(steps)
    if best is None:
        return steps, None  # it does not show again: it depends on something outside of the steps
    steps = steps[:best.step + 1]
    size = max(len(steps) // 2, 1)
    while tries > 0:
        position, dropped = 0, False
        while position < len(steps) and tries > 0:
            candidate = steps[:position] + steps[position + size:]
            difference = differs(candidate) if candidate else None
            if difference:
                steps, best, dropped = candidate[:difference.step + 1], difference, True
            else:
                position += size
        if size == 1 and not dropped:
            break
        size = max(size // 2, 1)
    return steps, best


def show(words):
    """A command as one would type it into redis-cli."""
    def quoted(word):
        text = "".join(chr(byte) if 32 < byte < 127 and byte not in b"\"\\'" else f"\\x{byte:02x}" for byte in word)
        return f'"{text}"' if "\\" in text or not text else text
    return " ".join(quoted(bytes(word)) for word in words)


def show_steps(steps):
    return "\n".join(f"  (until it is served) {show(words)}" if connection is None else f"  connection {connection} (RESP{connection + 2}): {show(words)}"
                     for connection, words in steps)
