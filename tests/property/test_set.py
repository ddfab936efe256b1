"""Sets beside Python's."""
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from .machine import INTEGERS, KEYS, Machine, crowds, keys, values

operations = st.sampled_from(["UNION", "INTER", "DIFF"])
some_keys = st.lists(keys, min_size=1, max_size=3)


def is_integer(member):
    """Whether the text is the one that a 64-bit integer has."""
    text = member.decode("latin-1")
    return text.lstrip("-").isdecimal() and str(int(text)) == text and -2**63 <= int(text) < 2**63


def combined(operation, sets):
    first, *others = sets
    if operation == "UNION":
        return first.union(*others)
    return first.intersection(*others) if operation == "INTER" else first.difference(*others)


class Sets(Machine):
    TINY = {"set-max-intset-entries": 3, "set-max-listpack-entries": 5, "set-max-listpack-value": 8}
    USUAL = {"set-max-intset-entries": 512, "set-max-listpack-entries": 128, "set-max-listpack-value": 64}

    def __init__(self, server):
        super().__init__(server)
        self.sets = {key: set() for key in KEYS}
        self.encodings = {key: None for key in KEYS}

    def note(self, key, added=()):
        """What the encoding is after members have been added, one by one."""
        if not self.sets[key]:
            self.encodings[key] = None
        size = len(self.sets[key]) - len(added)
        for member in added:
            before, size = self.encodings[key] or "intset", size + 1
            if before == "hashtable":
                break
            if not is_integer(member):
                before = "listpack"
                if len(member) > self.limits["set-max-listpack-value"]:
                    before = "hashtable"
            limit = self.limits[f"set-max-{before}-entries"] if before != "hashtable" else 0
            self.encodings[key] = before if size <= limit else "hashtable"

    def add_all(self, key, members):
        new = [member for member in dict.fromkeys(members) if member not in self.sets[key]]
        self.sets[key] |= set(new)
        self.note(key, new)
        return len(new)

    def take(self, key, members):
        self.sets[key] -= set(members)
        self.note(key)

    @rule(key=keys, members=st.lists(values, min_size=1, max_size=4) | crowds()
          | st.lists(st.sampled_from(INTEGERS), min_size=1, max_size=4))
    def add(self, key, members):
        self.expect(self.add_all(key, members), "SADD", key, *members)

    @rule(key=keys, members=st.lists(values, min_size=1, max_size=4) | crowds())
    def remove(self, key, members):
        gone = self.sets[key] & set(members)
        self.take(key, gone)
        self.expect(len(gone), "SREM", key, *members)

    @rule(key=keys, member=values, others=st.lists(values, max_size=3))
    def look_up(self, key, member, others):
        self.expect(int(member in self.sets[key]), "SISMEMBER", key, member)
        asked = [member, *others]
        self.expect([int(one in self.sets[key]) for one in asked], "SMISMEMBER", key, *asked)

    @rule(key=keys)
    def members(self, key):
        self.expect_set(self.sets[key], "SMEMBERS", key)

    @rule(key=keys, count=st.integers(0, 3) | st.integers(0, 300))
    def pop(self, key, count):
        reply = self.ask("SPOP", key, count)
        assert len(set(reply)) == len(reply) == min(count, len(self.sets[key]))
        assert set(reply) <= self.sets[key]
        self.take(key, reply)

    @rule(key=keys)
    def pop_one(self, key):
        reply = self.ask("SPOP", key)
        assert reply in self.sets[key] if self.sets[key] else reply is None
        self.take(key, {reply})

    @rule(key=keys, count=st.integers(-5, 5) | st.integers(-300, 300))
    def random(self, key, count):
        reply = self.ask("SRANDMEMBER", key, count)
        there = self.sets[key]
        assert set(reply) <= there
        assert len(reply) == (min(count, len(there)) if count >= 0 else -count if there else 0)
        assert count < 0 or len(set(reply)) == len(reply)

    @rule(source=keys, into=keys, member=values)
    def move(self, source, into, member):
        there = member in self.sets[source]
        if there and source != into:
            self.take(source, {member})
            self.add_all(into, [member])
        self.expect(int(there), "SMOVE", source, into, member)

    @rule(operation=operations, sources=some_keys)
    def combine(self, operation, sources):
        self.expect_set(combined(operation, [self.sets[key] for key in sources]), f"S{operation}", *sources)

    @rule(operation=operations, into=keys, sources=some_keys)
    def combine_and_store(self, operation, into, sources):
        result = combined(operation, [self.sets[key] for key in sources])
        self.sets[into] = result
        self.expect(len(result), f"S{operation}STORE", into, *sources)
        # The order in which the members come, and whose encoding the result has, is the server's own business.
        self.encodings[into] = self.told_encoding(into)

    def told_encoding(self, key):
        return None if not self.sets[key] or self.is_redis else self.ask("OBJECT", "ENCODING", key).decode()

    @rule(sources=some_keys, limit=st.integers(0, 5))
    def count_common(self, sources, limit):
        common = len(combined("INTER", [self.sets[key] for key in sources]))
        self.expect(min(common, limit) if limit else common, "SINTERCARD", len(sources), *sources, "LIMIT", limit)

    @rule(source=keys, into=keys)
    def copy(self, source, into):
        if source != into:
            if self.sets[source]:
                self.sets[into], self.encodings[into] = set(self.sets[source]), self.encodings[source]
            self.expect(int(bool(self.sets[source])), "COPY", source, into, "REPLACE")

    @rule(key=keys, count=st.integers(1, 50))
    def scan(self, key, count):
        cursor, seen = b"0", []
        while True:
            cursor, part = self.ask("SSCAN", key, cursor, "COUNT", count)
            seen += part
            if cursor == b"0":
                break
        assert set(seen) == self.sets[key]

    @rule(key=keys)
    def delete(self, key):
        self.expect(int(bool(self.sets[key])), "DEL", key)
        self.take(key, set(self.sets[key]))

    @invariant()
    def sizes_and_encodings(self):
        if self.r:
            for key in KEYS:
                self.expect(len(self.sets[key]), "SCARD", key)
                self.expect_encoding(self.encodings[key] and self.encodings[key].encode(), key)

    def teardown(self):
        if self.r:
            for key in KEYS:
                self.expect_set(self.sets[key], "SMEMBERS", key)
        super().teardown()


def test_sets(play):
    play(Sets)
