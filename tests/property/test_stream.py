"""Streams beside a list of entries."""
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from harness.resp import Error

from .machine import KEYS, Machine, keys, values

NOT_OVER_THE_LAST = Error("ERR The ID specified in XADD is equal or smaller than the target stream top item")
NOT_OVER_ZERO = Error("ERR The ID specified in XADD must be greater than 0-0")

ids = st.tuples(st.integers(0, 12), st.integers(0, 3)) | st.tuples(st.integers(0, 300), st.integers(0, 5))
fields = st.lists(st.tuples(st.sampled_from([b"f", b"g", b""]), values), min_size=1, max_size=3)
counts = st.none() | st.integers(1, 200)


def text(one):
    return b"%d-%d" % one


class Streams(Machine):
    TINY = {"stream-node-max-entries": 3}
    USUAL = {"stream-node-max-entries": 100}

    def __init__(self, server):
        super().__init__(server)
        self.streams = {key: [] for key in KEYS}
        self.last = {key: None for key in KEYS}  # None: there is no such key

    def put(self, key, one, pairs):
        self.streams[key].append((one, [word for pair in pairs for word in pair]))
        self.last[key] = one

    def told(self, entries):
        return [[text(one), words] for one, words in entries]

    @rule(key=keys, one=ids, pairs=fields)
    def add(self, key, one, pairs):
        if one == (0, 0):
            expected = NOT_OVER_ZERO
        elif self.last[key] is not None and one <= self.last[key]:
            expected = NOT_OVER_THE_LAST
        else:
            expected = text(one)
            self.put(key, one, pairs)
        self.expect(expected, "XADD", key, text(one), *[word for pair in pairs for word in pair])

    @rule(key=keys, step=st.integers(0, 2), number=st.integers(1, 60), pairs=fields)
    def add_behind(self, key, step, number, pairs):
        for _ in range(number):
            ms, sequence = self.last[key] or (0, 0)
            one = (ms + step, 0 if step else sequence + 1)
            self.put(key, one, pairs)
            self.expect(text(one), "XADD", key, b"%d-*" % one[0], *[word for pair in pairs for word in pair])

    @rule(key=keys, low=ids, high=ids, count=counts, backwards=st.booleans())
    def range(self, key, low, high, count, backwards):
        entries = [entry for entry in self.streams[key] if low <= entry[0] <= high]
        entries = entries[::-1 if backwards else 1][:count]
        ends = [text(high), text(low)] if backwards else [text(low), text(high)]
        self.expect(self.told(entries), "XREVRANGE" if backwards else "XRANGE", key, *ends,
                    *(["COUNT", count] if count else []))

    @rule(key=keys, after=ids, count=counts)
    def read(self, key, after, count):
        entries = [entry for entry in self.streams[key] if entry[0] > after][:count]
        reply = self.ask("XREAD", *(["COUNT", count] if count else []), "STREAMS", key, text(after))
        reply = list(map(list, reply.items())) if isinstance(reply, dict) else reply
        assert reply == ([[key, self.told(entries)]] if entries else None)

    @rule(key=keys, wanted=st.lists(ids, min_size=1, max_size=4, unique=True), from_there=st.integers(0, 300))
    def delete_entries(self, key, wanted, from_there):
        there = self.streams[key]
        if there:
            wanted = list({*wanted, there[from_there % len(there)][0]})
        self.streams[key] = [entry for entry in there if entry[0] not in wanted]
        self.expect(len(there) - len(self.streams[key]), "XDEL", key, *map(text, wanted))

    @rule(key=keys, size=st.integers(0, 150))
    def trim_to_a_size(self, key, size):
        gone = max(len(self.streams[key]) - size, 0)
        self.streams[key] = self.streams[key][gone:]
        self.expect(gone, "XTRIM", key, "MAXLEN", "=", size)

    @rule(key=keys, least=ids)
    def trim_what_is_less(self, key, least):
        before = len(self.streams[key])
        self.streams[key] = [entry for entry in self.streams[key] if entry[0] >= least]
        self.expect(before - len(self.streams[key]), "XTRIM", key, "MINID", "=", text(least))

    @rule(source=keys, into=keys)
    def copy(self, source, into):
        if source != into:
            there = self.last[source] is not None
            if there:
                self.streams[into], self.last[into] = list(self.streams[source]), self.last[source]
            self.expect(int(there), "COPY", source, into, "REPLACE")

    @rule(key=keys)
    def delete(self, key):
        self.expect(int(self.last[key] is not None), "DEL", key)
        self.streams[key], self.last[key] = [], None

    @invariant()
    def sizes(self):
        if self.r:
            for key in KEYS:
                self.expect(len(self.streams[key]), "XLEN", key)
                self.expect("none" if self.last[key] is None else "stream", "TYPE", key)

    def teardown(self):
        if self.r:
            for key in KEYS:
                self.expect(self.told(self.streams[key]), "XRANGE", key, "-", "+")
        super().teardown()


def test_streams(play):
    play(Streams)
