"""What the machines have in common: a server beside a model in Python, both told the same.

Entry: Machine, and strategies for what they are told. A rule of a machine computes what the reply must be and says it
to expect(), which asks the server: a reply must be the same to the type (b"1" is no "1" and no 1).
"""
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from harness.resp import Double, Error, Set
from harness.server import REDIS

# Few keys and few values, so that commands meet; of each kind that is stored in a way of its own: integers of every
# width, what only looks like one, short and long bytes, and what does not fit into a page at all.
KEYS = [b"a", b"b", b"c"]
SHORT = [b"", b"0", b"1", b"-1", b"7", b"127", b"128", b"-129", b"65536", b"9223372036854775807",
         b"-9223372036854775808", b"9223372036854775808", b"007", b"-0", b"+1", b" 1", b"1.5", b"x", b"X", b"member",
         b"\x00", b"\xff\xfe", b"a\r\nb"]
LONG = [b"y" * 70, b"\r\n" * 100, b"L" * 641, b"M" * 5000]
INTEGERS = [b"0", b"1", b"-1", b"7", b"127", b"128", b"-129", b"65536", b"9223372036854775807",
            b"-9223372036854775808"]

RESTORED = b"restored"  # no key of a machine

# How to read all that is under a key, and whether the reply has an order.
WHOLE = {"string": (["GET"], [], True), "list": (["LRANGE"], [0, -1], True), "set": (["SMEMBERS"], [], False),
         "zset": (["ZRANGE"], [0, -1, "WITHSCORES"], True), "hash": (["HGETALL"], [], False),
         "stream": (["XRANGE"], ["-", "+"], True)}

keys = st.sampled_from(KEYS)
values = st.sampled_from(SHORT + LONG)
indexes = st.integers(-8, 8) | st.integers(-700, 700)


class Crowd(list):
    """Many values at once, so that one page does not hold them."""

    def __init__(self, form, first, count):
        super().__init__(form % number for number in range(first, first + count))
        self.made_by = f"Crowd({form}, {first}, {count})"

    def __repr__(self):
        return self.made_by


def crowds(largest=400):
    return st.builds(Crowd, st.sampled_from([b"%d", b"crowd:%d", b"crowd:%d:" + b"z" * 30]),
                     st.integers(0, 5).map(lambda hundreds: 100 * hundreds), st.integers(1, largest))


class Machine(RuleBasedStateMachine):
    """A machine over some keys. TINY are thresholds of encodings that few steps cross: half of the examples have them,
    the others the defaults, USUAL."""

    TINY = {}
    USUAL = {}

    def __init__(self, server):
        super().__init__()
        self.is_redis = server.kind == REDIS
        self.server = server
        self.r = None

    @initialize(resp=st.sampled_from([2, 3]), tiny=st.booleans())
    def connect(self, resp, tiny):
        self.resp, self.tiny = resp, tiny
        self.r = self.server.connect(resp)
        assert self.r("FLUSHALL") == "OK"
        self.limits = self.TINY if tiny else self.USUAL
        for name, value in self.limits.items():
            if self.r("CONFIG", "GET", name):  # redis-server 7.0 does not know all of them
                assert self.r("CONFIG", "SET", name, value) == "OK"

    def teardown(self):
        if self.r:
            self.r.close()
            self.server.clients.remove(self.r)

    # ---- What every machine does ----------------------------------------------------------------------------------

    @rule(key=keys)
    def dump_and_restore(self, key):
        """What comes back under another key is all that there was."""
        payload = self.ask("DUMP", key)
        if payload is not None:
            self.expect("OK", "RESTORE", RESTORED, 0, payload)
            assert self.whole(RESTORED) == self.whole(key)
            self.expect(1, "DEL", RESTORED)

    def whole(self, key):
        kind = self.ask("TYPE", key)
        before, after, has_order = WHOLE[kind]
        reply = self.ask(*before, key, *after)
        if kind == "hash" and isinstance(reply, list):
            reply = dict(zip(reply[::2], reply[1::2], strict=True))
        elif not has_order:
            reply = sorted(reply)
        return kind, reply, self.ask("XINFO", "GROUPS", key) if kind == "stream" else None

    # ---- Asking ---------------------------------------------------------------------------------------------------

    def ask(self, *command):
        try:
            return self.r(*command)
        except (EOFError, BrokenPipeError):
            self.r = None  # nothing more can be asked
            self.server.wait_exit()
            raise AssertionError(f"{shown(command)}: the server died:\n{self.server.log_tail()}") from None

    def expect(self, expected, *command):
        reply = self.ask(*command)
        assert same(reply, expected), f"{shown(command)}: {reply!r} instead of {expected!r}"

    def expect_any_order(self, expected, *command):
        """For replies whose order is the server's own business."""
        reply = self.ask(*command)
        assert not isinstance(reply, Error), f"{shown(command)}: {reply!r}"
        assert sorted(reply) == sorted(expected), f"{shown(command)}: {reply!r} instead of {expected!r}"

    def expect_set(self, expected, *command):
        """For a reply that is a set in RESP3."""
        self.expect_any_order(expected, *command)
        assert self.resp == 2 or self.r.raw[:1] == b"~", self.r.raw[:20]

    def expect_encoding(self, expected, key):
        if not self.is_redis:
            self.expect(expected, "OBJECT", "ENCODING", key)

    def number(self, value):
        """A double as the server tells it to this client."""
        return Double(value) if self.resp == 3 else decimal(value)

    def pairs(self, pairs):
        """A list of pairs: nested in RESP3, flat in RESP2."""
        return [list(pair) for pair in pairs] if self.resp == 3 else [part for pair in pairs for part in pair]


def same(reply, expected):
    """Equal, and of the same types all through."""
    if isinstance(expected, float):
        return isinstance(reply, Double) and reply == expected
    if isinstance(expected, Set):
        return isinstance(reply, Set) and set(reply) == set(expected)
    if isinstance(expected, list):
        return (isinstance(reply, list) and len(reply) == len(expected)
                and all(map(same, reply, expected)))
    return type(reply) is type(expected) and reply == expected


def decimal(value):
    """A double that is told exactly by few digits, as text."""
    return f"{value:.17g}".encode()


def shown(command):
    return " ".join(str(word)[:60] for word in command)


def sliced(sequence, start, stop):
    """What LRANGE, ZRANGE and GETRANGE take out: both ends included, negative ones counted from behind."""
    size = len(sequence)
    start = max(start + size, 0) if start < 0 else start
    stop = stop + size if stop < 0 else stop
    return sequence[start:stop + 1] if stop >= 0 else sequence[:0]
