"""Lists beside Python's."""
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from harness.errors import NO_SUCH_KEY, OUT_OF_RANGE

from .machine import KEYS, Machine, crowds, indexes, keys, sliced, values

ends = st.sampled_from(["LEFT", "RIGHT"])
counts = st.integers(0, 3) | st.integers(0, 300)


class Lists(Machine):
    TINY = {"list-max-listpack-size": 4}
    USUAL = {"list-max-listpack-size": -2}

    def __init__(self, server):
        super().__init__(server)
        self.lists = {key: [] for key in KEYS}

    def push(self, key, end, elements):
        if end == "LEFT":
            self.lists[key][:0] = elements[::-1]
        else:
            self.lists[key] += elements

    def pop(self, key, end):
        return self.lists[key].pop(0 if end == "LEFT" else -1)

    @rule(key=keys, end=ends, elements=st.lists(values, min_size=1, max_size=4) | crowds())
    def push_some(self, key, end, elements):
        self.push(key, end, elements)
        self.expect(len(self.lists[key]), f"{end[0]}PUSH", key, *elements)

    @rule(key=keys, end=ends, element=values)
    def push_to_what_is_there(self, key, end, element):
        if self.lists[key]:
            self.push(key, end, [element])
        self.expect(len(self.lists[key]), f"{end[0]}PUSHX", key, element)

    @rule(key=keys, end=ends)
    def pop_one(self, key, end):
        self.expect(self.pop(key, end) if self.lists[key] else None, f"{end[0]}POP", key)

    @rule(key=keys, end=ends, count=counts)
    def pop_some(self, key, end, count):
        there = self.lists[key]
        expected = [self.pop(key, end) for _ in range(min(count, len(there)))] if there else None
        self.expect(expected, f"{end[0]}POP", key, count)

    @rule(order=st.permutations(KEYS), end=ends, count=st.integers(1, 50))
    def pop_from_the_first_that_has_any(self, order, end, count):
        key = next((key for key in order if self.lists[key]), None)
        expected = key and [key, [self.pop(key, end) for _ in range(min(count, len(self.lists[key])))]]
        self.expect(expected, "LMPOP", 3, *order, end, "COUNT", count)

    @rule(source=keys, into=keys, take=ends, give=ends)
    def move(self, source, into, take, give):
        expected = None
        if self.lists[source]:
            expected = self.pop(source, take)
            self.push(into, give, [expected])
        self.expect(expected, "LMOVE", source, into, take, give)

    @rule(key=keys, index=indexes)
    def index(self, key, index):
        there = self.lists[key]
        self.expect(there[index] if -len(there) <= index < len(there) else None, "LINDEX", key, index)

    @rule(key=keys, index=indexes, element=values)
    def set(self, key, index, element):
        there = self.lists[key]
        expected = "OK" if -len(there) <= index < len(there) else OUT_OF_RANGE if there else NO_SUCH_KEY
        if expected == "OK":
            there[index] = element
        self.expect(expected, "LSET", key, index, element)

    @rule(key=keys, before=st.booleans(), pivot=values, element=values)
    def insert(self, key, before, pivot, element):
        there = self.lists[key]
        expected = -1 if there else 0
        if pivot in there:
            there.insert(there.index(pivot) + (not before), element)
            expected = len(there)
        self.expect(expected, "LINSERT", key, "BEFORE" if before else "AFTER", pivot, element)

    @rule(key=keys, count=st.integers(-3, 3), element=values | st.sampled_from([b"crowd:7", b"110"]))
    def remove(self, key, count, element):
        there = self.lists[key]
        found = [place for place, one in enumerate(there) if one == element]
        found = found[count:] if count < 0 else found[:count or len(found)]
        self.lists[key] = [one for place, one in enumerate(there) if place not in set(found)]
        self.expect(len(found), "LREM", key, count, element)

    @rule(key=keys, start=indexes, stop=indexes)
    def trim(self, key, start, stop):
        self.lists[key] = sliced(self.lists[key], start, stop)
        self.expect("OK", "LTRIM", key, start, stop)

    @rule(key=keys, start=indexes, stop=indexes)
    def range(self, key, start, stop):
        self.expect(sliced(self.lists[key], start, stop), "LRANGE", key, start, stop)

    @rule(key=keys, element=values, rank=st.integers(-3, 3).filter(bool), count=st.integers(0, 3),
          looked_at=st.integers(0, 20))
    def positions(self, key, element, rank, count, looked_at):
        there = self.lists[key]
        order = range(len(there)) if rank > 0 else range(len(there) - 1, -1, -1)
        found = [place for place in order[:looked_at or len(there)] if there[place] == element]
        found = found[abs(rank) - 1:]
        self.expect(found[:count or len(found)], "LPOS", key, element, "RANK", rank, "COUNT", count, "MAXLEN",
                    looked_at)

    @rule(source=keys, into=keys)
    def copy(self, source, into):
        if source != into:
            if self.lists[source]:
                self.lists[into] = list(self.lists[source])
            self.expect(int(bool(self.lists[source])), "COPY", source, into, "REPLACE")

    @rule(source=keys, into=keys)
    def rename(self, source, into):
        if not self.lists[source]:
            self.expect(NO_SUCH_KEY, "RENAME", source, into)
            return
        if source != into:
            self.lists[into], self.lists[source] = self.lists[source], []
        self.expect("OK", "RENAME", source, into)

    @rule(key=keys)
    def delete(self, key):
        self.expect(int(bool(self.lists[key])), "DEL", key)
        self.lists[key] = []

    @invariant()
    def lengths(self):
        if self.r:
            replies = [self.ask("LLEN", key) for key in KEYS]
            assert replies == [len(self.lists[key]) for key in KEYS]

    def teardown(self):
        if self.r:
            for key in KEYS:
                self.expect(self.lists[key], "LRANGE", key, 0, -1)
        super().teardown()


def test_lists(play):
    play(Lists)
