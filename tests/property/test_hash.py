"""Hashes beside Python's dictionaries, fields with times to live among them."""
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from harness.errors import NOT_AN_INTEGER
from harness.resp import Error, eventually

from .machine import KEYS, Machine, crowds, decimal, keys, values

NOT_AN_INTEGER_HERE = Error("ERR hash value is not an integer")
OVERFLOW = Error("ERR increment or decrement would overflow")
FAR_MS = 4_000_000_000_000  # a moment in the year 2096

some_fields = st.lists(values, min_size=1, max_size=4, unique=True)
moments = st.integers(FAR_MS, FAR_MS + 5)


def as_integer(text):
    """The number that a text is in the one form in which the server writes it, or None."""
    try:
        number = int(text.decode())
    except ValueError:
        return None
    return number if str(number).encode() == text and -2**63 <= number < 2**63 else None


class Hashes(Machine):
    TINY = {"hash-max-listpack-entries": 4, "hash-max-listpack-value": 8}
    USUAL = {"hash-max-listpack-entries": 512, "hash-max-listpack-value": 64}

    def __init__(self, server):
        super().__init__(server)
        self.hashes = {key: {} for key in KEYS}
        self.times = {key: {} for key in KEYS}
        self.grown = {key: False for key in KEYS}

    def put(self, key, pairs, keep_time=False):
        """Sets fields; returns how many are new."""
        there = self.hashes[key]
        size = len(there)
        there.update(pairs)
        for field, value in pairs.items():
            if not keep_time:
                self.times[key].pop(field, None)
            if max(len(field), len(value)) > self.limits["hash-max-listpack-value"]:
                self.grown[key] = True
        if len(there) > self.limits["hash-max-listpack-entries"]:
            self.grown[key] = True
        return len(there) - size

    def take(self, key, fields):
        """Removes fields; returns how many were there."""
        gone = [field for field in dict.fromkeys(fields) if self.hashes[key].pop(field, None) is not None]
        for field in gone:
            self.times[key].pop(field, None)
        if not self.hashes[key]:
            self.grown[key] = False
        return len(gone)

    @rule(key=keys, pairs=st.dictionaries(values, values, min_size=1, max_size=4))
    def set(self, key, pairs):
        self.expect(self.put(key, pairs), "HSET", key, *[word for pair in pairs.items() for word in pair])

    @rule(key=keys, fields=crowds())
    def set_many(self, key, fields):
        pairs = {field: field[::-1] for field in fields}
        self.expect(self.put(key, pairs), "HSET", key, *[word for pair in pairs.items() for word in pair])

    @rule(key=keys, field=values, value=values)
    def set_if_missing(self, key, field, value):
        new = field not in self.hashes[key]
        if new:
            self.put(key, {field: value})
        self.expect(int(new), "HSETNX", key, field, value)

    @rule(key=keys, fields=some_fields | crowds())
    def delete_fields(self, key, fields):
        self.expect(self.take(key, fields), "HDEL", key, *fields)

    @rule(key=keys, fields=some_fields)
    def get(self, key, fields):
        there = self.hashes[key]
        self.expect(there.get(fields[0]), "HGET", key, fields[0])
        self.expect([there.get(field) for field in fields], "HMGET", key, *fields)
        self.expect(int(fields[0] in there), "HEXISTS", key, fields[0])
        self.expect(len(there.get(fields[0], b"")), "HSTRLEN", key, fields[0])

    @rule(key=keys)
    def get_all(self, key):
        reply = self.ask("HGETALL", key)
        pairs = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))
        assert pairs == self.hashes[key]
        assert self.resp == 3 or len(reply) == 2 * len(self.hashes[key])
        self.expect_any_order(self.hashes[key], "HKEYS", key)
        self.expect_any_order(self.hashes[key].values(), "HVALS", key)

    @rule(key=keys, field=values, number=st.sampled_from([1, -1, 100, 2**63 - 1, -2**63]))
    def increment(self, key, field, number):
        old = as_integer(self.hashes[key].get(field, b"0"))
        if old is None:
            expected = NOT_AN_INTEGER_HERE
        elif not -2**63 <= old + number < 2**63:
            expected = OVERFLOW
        else:
            expected = old + number
            self.put(key, {field: b"%d" % expected}, keep_time=True)
        self.expect(expected, "HINCRBY", key, field, number)

    @rule(key=keys, field=st.sampled_from([b"f", b"g"]), quarters=st.integers(-9, 9))
    def increment_by_a_float(self, key, field, quarters):
        new = float(self.hashes[key].get(field, b"0")) + quarters / 4
        self.put(key, {field: decimal(new)}, keep_time=True)
        self.expect(decimal(new), "HINCRBYFLOAT", key, field, decimal(quarters / 4))

    @rule(key=keys, count=st.integers(-5, 5) | st.integers(-300, 300))
    def random(self, key, count):
        reply, there = self.ask("HRANDFIELD", key, count), self.hashes[key]
        assert set(reply) <= set(there)
        assert len(reply) == (min(count, len(there)) if count >= 0 else -count if there else 0)
        assert count < 0 or len(set(reply)) == len(reply)

    @rule(key=keys, count=st.integers(1, 50))
    def scan(self, key, count):
        cursor, seen = b"0", {}
        while True:
            cursor, part = self.ask("HSCAN", key, cursor, "COUNT", count)
            seen.update(zip(part[::2], part[1::2]))
            if cursor == b"0":
                break
        assert seen == self.hashes[key]

    @rule(source=keys, into=keys)
    def copy(self, source, into):
        if source == into:
            return
        if self.hashes[source]:
            self.hashes[into], self.times[into] = dict(self.hashes[source]), dict(self.times[source])
            self.grown[into] = self.grown[source]
        self.expect(int(bool(self.hashes[source])), "COPY", source, into, "REPLACE")

    @rule(key=keys)
    def delete(self, key):
        self.expect(int(bool(self.hashes[key])), "DEL", key)
        self.take(key, list(self.hashes[key]))

    # ---- Times to live: redis-server 7.0 has none ------------------------------------------------------------------

    @precondition(lambda self: not self.is_redis)
    @rule(key=keys, fields=some_fields, at_ms=moments, condition=st.sampled_from([None, "NX", "XX", "GT", "LT"]))
    def expire_late(self, key, fields, at_ms, condition):
        expected = []
        for field in fields:
            old = self.times[key].get(field)
            is_met = {None: True, "NX": old is None, "XX": old is not None, "GT": old is not None and at_ms > old,
                      "LT": old is None or at_ms < old}[condition]
            if field not in self.hashes[key]:
                expected.append(-2)
                continue
            expected.append(int(is_met))
            if is_met:
                self.times[key][field] = at_ms
        self.expect(expected, "HPEXPIREAT", key, at_ms, *[condition] * bool(condition), "FIELDS", len(fields), *fields)

    @precondition(lambda self: not self.is_redis)
    @rule(key=keys, fields=some_fields)
    def expire_in_the_past(self, key, fields):
        expected = [2 if field in self.hashes[key] else -2 for field in fields]
        self.take(key, fields)
        self.expect(expected, "HPEXPIREAT", key, 1, "FIELDS", len(fields), *fields)

    @precondition(lambda self: not self.is_redis)
    @rule(key=keys, field=values)
    def expire_soon(self, key, field):
        self.expect([1 if field in self.hashes[key] else -2], "HPEXPIRE", key, 1, "FIELDS", 1, field)
        eventually(lambda: self.ask("HPTTL", key, "FIELDS", 1, field) == [-2], "the field has expired")
        self.take(key, [field])
        # A large hash counts it until it is removed.
        eventually(lambda: self.ask("HLEN", key) == len(self.hashes[key]), "the field is removed")

    @precondition(lambda self: not self.is_redis)
    @rule(key=keys, fields=some_fields)
    def persist(self, key, fields):
        expected = []
        for field in fields:
            had_time = self.times[key].pop(field, None) is not None
            expected.append(-2 if field not in self.hashes[key] else 1 if had_time else -1)
        self.expect(expected, "HPERSIST", key, "FIELDS", len(fields), *fields)

    @precondition(lambda self: not self.is_redis)
    @rule(key=keys, fields=some_fields)
    def tell_times(self, key, fields):
        expected = [self.times[key].get(field, -1) if field in self.hashes[key] else -2 for field in fields]
        self.expect(expected, "HPEXPIRETIME", key, "FIELDS", len(fields), *fields)

    @precondition(lambda self: not self.is_redis)
    @rule(key=keys, pairs=st.dictionaries(values, values, min_size=1, max_size=3), at_ms=moments,
          how=st.sampled_from(["PXAT", "KEEPTTL", None]), condition=st.sampled_from([None, "FNX", "FXX"]))
    def set_with_time(self, key, pairs, at_ms, how, condition):
        there = [field in self.hashes[key] for field in pairs]
        done = {None: True, "FNX": not any(there), "FXX": all(there)}[condition]
        if done:
            self.put(key, pairs, keep_time=how == "KEEPTTL")
            if how == "PXAT":
                self.times[key].update(dict.fromkeys(pairs, at_ms))
        words = [condition] * bool(condition) + {"PXAT": ["PXAT", at_ms], "KEEPTTL": ["KEEPTTL"], None: []}[how]
        self.expect(int(done), "HSETEX", key, *words, "FIELDS", len(pairs),
                    *[word for pair in pairs.items() for word in pair])

    @precondition(lambda self: not self.is_redis)
    @rule(key=keys, fields=some_fields, at_ms=moments, how=st.sampled_from(["PXAT", "PERSIST", None]))
    def get_with_time(self, key, fields, at_ms, how):
        expected = [self.hashes[key].get(field) for field in fields]
        for field in fields:
            if field in self.hashes[key] and how == "PXAT":
                self.times[key][field] = at_ms
            elif how == "PERSIST":
                self.times[key].pop(field, None)
        words = {"PXAT": ["PXAT", at_ms], "PERSIST": ["PERSIST"], None: []}[how]
        self.expect(expected, "HGETEX", key, *words, "FIELDS", len(fields), *fields)

    @precondition(lambda self: not self.is_redis)
    @rule(key=keys, fields=some_fields)
    def get_and_delete(self, key, fields):
        expected = [self.hashes[key].get(field) for field in fields]
        self.take(key, fields)
        self.expect(expected, "HGETDEL", key, "FIELDS", len(fields), *fields)

    # ---- Always -----------------------------------------------------------------------------------------------------

    @invariant()
    def sizes_and_encodings(self):
        if self.r:
            for key in KEYS:
                self.expect(len(self.hashes[key]), "HLEN", key)
                encoding = b"hashtable" if self.grown[key] else b"listpack"
                self.expect(encoding if self.hashes[key] else None, "OBJECT", "ENCODING", key)

    def teardown(self):
        if self.r:
            for key in KEYS:
                self.get_all(key)
        super().teardown()


def test_hashes(play):
    play(Hashes)
