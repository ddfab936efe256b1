"""Sorted sets beside a dictionary of scores that is sorted whenever that is needed."""
import math

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from harness.resp import Error

from .machine import KEYS, Machine, crowds, decimal, keys, sliced, values

NOT_A_NUMBER = Error("ERR resulting score is not a number (NaN)")

# Few, so that many members have the same; all of them are told exactly by few digits.
scores = st.sampled_from([0.0, 1.0, -1.0, 0.25, 2.5, 100.0, -1024.0, 2.0**53, math.inf, -math.inf]) \
    | st.integers(-20, 20).map(lambda quarters: quarters / 4)
indexes = st.integers(-8, 8) | st.integers(-700, 700)
counts = st.integers(0, 3) | st.integers(0, 300)
bounds = st.tuples(scores, st.booleans())
some_keys = st.lists(keys, min_size=1, max_size=3)
limits = st.tuples(st.integers(-1, 5), st.integers(-1, 5)) | st.none()


def bound(of):
    score, is_open = of
    return (b"(" if is_open else b"") + decimal(score)


def is_above(score, low):
    return score > low[0] if low[1] else score >= low[0]


def is_below(score, high):
    return score < high[0] if high[1] else score <= high[0]


def limited(rows, limit):
    if limit is None:
        return rows
    offset, count = limit
    if offset < 0:
        return []
    return rows[offset:] if count < 0 else rows[offset:offset + count]


def added(one, other):
    """What two scores make together; infinities of both signs make zero."""
    return 0.0 if math.isnan(one + other) else one + other


class SortedSets(Machine):
    TINY = {"zset-max-listpack-entries": 4, "zset-max-listpack-value": 8}
    USUAL = {"zset-max-listpack-entries": 128, "zset-max-listpack-value": 64}

    def __init__(self, server):
        super().__init__(server)
        self.zsets = {key: {} for key in KEYS}
        self.grown = {key: False for key in KEYS}

    def rows(self, key):
        return sorted(self.zsets[key].items(), key=lambda row: (row[1], row[0]))

    def put(self, key, member, score):
        self.zsets[key][member] = score + 0.0  # no minus zero
        if (len(self.zsets[key]) > self.limits["zset-max-listpack-entries"]
                or len(member) > self.limits["zset-max-listpack-value"]):
            self.grown[key] = True

    def take(self, key, members):
        for member in members:
            del self.zsets[key][member]
        if not self.zsets[key]:
            self.grown[key] = False

    def told(self, rows):
        return self.pairs((member, self.number(score)) for member, score in rows)

    # ---- Members ----------------------------------------------------------------------------------------------------

    @rule(key=keys, pairs=st.dictionaries(values, scores, min_size=1, max_size=4),
          condition=st.sampled_from([(), ("NX",), ("XX",), ("GT",), ("LT",), ("XX", "GT"), ("XX", "LT")]),
          changed=st.booleans())
    def add(self, key, pairs, condition, changed):
        new = other = 0
        for member, score in pairs.items():
            old = self.zsets[key].get(member)
            if old is None and "XX" not in condition:
                new += 1
                self.put(key, member, score)
            elif old is not None and "NX" not in condition and score != old and not (
                    ("GT" in condition and score < old) or ("LT" in condition and score > old)):
                other += 1
                self.put(key, member, score)
        self.expect(new + other * changed, "ZADD", key, *condition, *["CH"] * changed,
                    *[word for member, score in pairs.items() for word in (decimal(score), member)])

    @rule(key=keys, members=crowds(), score=scores, spread=st.sampled_from([0, 1, -1]))
    def add_many(self, key, members, score, spread):
        size, words = len(self.zsets[key]), []
        for place, member in enumerate(members):
            self.put(key, member, score + place * spread)
            words += [decimal(score + place * spread), member]
        self.expect(len(self.zsets[key]) - size, "ZADD", key, *words)

    @rule(key=keys, member=values, step=scores)
    def increment(self, key, member, step):
        score = self.zsets[key].get(member, 0.0) + step
        if math.isnan(score):
            self.expect(NOT_A_NUMBER, "ZINCRBY", key, decimal(step), member)
            return
        self.put(key, member, score)
        self.expect(self.number(score + 0.0), "ZINCRBY", key, decimal(step), member)

    @rule(key=keys, members=st.lists(values, min_size=1, max_size=4, unique=True) | crowds())
    def remove(self, key, members):
        gone = [member for member in members if member in self.zsets[key]]
        self.take(key, gone)
        self.expect(len(gone), "ZREM", key, *members)

    @rule(key=keys, member=values, others=st.lists(values, max_size=3))
    def look_up(self, key, member, others):
        asked = [member, *others]
        told = [None if one not in self.zsets[key] else self.number(self.zsets[key][one]) for one in asked]
        self.expect(told[0], "ZSCORE", key, member)
        self.expect(told, "ZMSCORE", key, *asked)
        members = [row[0] for row in self.rows(key)]
        rank = members.index(member) if member in members else None
        self.expect(rank, "ZRANK", key, member)
        self.expect(None if rank is None else len(members) - 1 - rank, "ZREVRANK", key, member)

    @rule(key=keys, count=counts, most=st.booleans())
    def pop(self, key, count, most):
        rows = self.rows(key)[::-1 if most else 1][:count]
        self.take(key, [row[0] for row in rows])
        self.expect(self.told(rows), "ZPOPMAX" if most else "ZPOPMIN", key, count)

    @rule(key=keys, count=st.integers(-5, 5) | st.integers(-300, 300))
    def random(self, key, count):
        reply, there = self.ask("ZRANDMEMBER", key, count), self.zsets[key]
        assert set(reply) <= set(there)
        assert len(reply) == (min(count, len(there)) if count >= 0 else -count if there else 0)
        assert count < 0 or len(set(reply)) == len(reply)

    @rule(key=keys, count=st.integers(1, 50))
    def scan(self, key, count):
        cursor, seen = b"0", {}
        while True:
            cursor, part = self.ask("ZSCAN", key, cursor, "COUNT", count)
            seen.update(zip(part[::2], part[1::2]))
            if cursor == b"0":
                break
        assert seen == {member: decimal(score) for member, score in self.zsets[key].items()}

    # ---- Ranges -----------------------------------------------------------------------------------------------------

    def by_score(self, key, low, high):
        return [row for row in self.rows(key) if is_above(row[1], low) and is_below(row[1], high)]

    @rule(key=keys, start=indexes, stop=indexes, backwards=st.booleans(), with_scores=st.booleans())
    def range_by_position(self, key, start, stop, backwards, with_scores):
        rows = sliced(self.rows(key)[::-1 if backwards else 1], start, stop)
        expected = self.told(rows) if with_scores else [row[0] for row in rows]
        self.expect(expected, "ZRANGE", key, start, stop, *["REV"] * backwards, *["WITHSCORES"] * with_scores)

    @rule(key=keys, low=bounds, high=bounds, backwards=st.booleans(), limit=limits)
    def range_by_score(self, key, low, high, backwards, limit):
        rows = limited(self.by_score(key, low, high)[::-1 if backwards else 1], limit)
        ends = [bound(high), bound(low)] if backwards else [bound(low), bound(high)]
        self.expect([row[0] for row in rows], "ZRANGE", key, *ends, "BYSCORE", *["REV"] * backwards,
                    *(["LIMIT", *limit] if limit else []))

    @rule(key=keys, low=bounds, high=bounds)
    def count(self, key, low, high):
        self.expect(len(self.by_score(key, low, high)), "ZCOUNT", key, bound(low), bound(high))

    @rule(key=keys, low=values, high=values, low_open=st.booleans(), high_open=st.booleans(), limit=limits)
    def range_by_bytes(self, key, low, high, low_open, high_open, limit):
        if len(set(self.zsets[key].values())) > 1:
            return  # not defined
        members = [row[0] for row in self.rows(key) if low <= row[0] <= high
                   and not (low_open and row[0] == low) and not (high_open and row[0] == high)]
        ends = [(b"(" if low_open else b"[") + low, (b"(" if high_open else b"[") + high]
        self.expect(len(members), "ZLEXCOUNT", key, *ends)
        self.expect(limited(members, limit), "ZRANGE", key, *ends, "BYLEX", *(["LIMIT", *limit] if limit else []))

    @rule(key=keys, start=indexes, stop=indexes)
    def remove_by_position(self, key, start, stop):
        gone = sliced(self.rows(key), start, stop)
        self.take(key, [row[0] for row in gone])
        self.expect(len(gone), "ZREMRANGEBYRANK", key, start, stop)

    @rule(key=keys, low=bounds, high=bounds)
    def remove_by_score(self, key, low, high):
        gone = self.by_score(key, low, high)
        self.take(key, [row[0] for row in gone])
        self.expect(len(gone), "ZREMRANGEBYSCORE", key, bound(low), bound(high))

    # ---- Several ----------------------------------------------------------------------------------------------------

    def store(self, into, zset):
        self.zsets[into] = zset
        told = None if not zset else self.ask("OBJECT", "ENCODING", into)
        assert told in (None, b"listpack", b"skiplist")
        self.grown[into] = told == b"skiplist"

    @rule(operation=st.sampled_from(["UNION", "INTER"]), into=keys, sources=some_keys,
          weights=st.lists(st.sampled_from([1, 2, -1, 0.5]), min_size=3, max_size=3),
          how=st.sampled_from(["SUM", "MIN", "MAX"]))
    def combine(self, operation, into, sources, weights, how):
        if self.is_redis:
            weights = [abs(weight) for weight in weights]  # it would tell minus zero
        join = {"SUM": added, "MIN": min, "MAX": max}[how]
        result = {}
        for key, weight in zip(sources, weights):
            for member, score in self.zsets[key].items():
                score = score * weight + 0.0
                result[member] = join(result[member], score) if member in result else score
        if operation == "INTER":
            result = {member: score for member, score in result.items()
                      if all(member in self.zsets[key] for key in sources)}
        self.expect(len(result), f"Z{operation}STORE", into, len(sources), *sources, "WEIGHTS",
                    *[decimal(weight) for weight in weights[:len(sources)]], "AGGREGATE", how)
        self.store(into, result)

    @rule(into=keys, sources=some_keys)
    def subtract(self, into, sources):
        others = {member for key in sources[1:] for member in self.zsets[key]}
        result = {member: score for member, score in self.zsets[sources[0]].items() if member not in others}
        self.expect(len(result), "ZDIFFSTORE", into, len(sources), *sources)
        self.store(into, result)

    @rule(into=keys, source=keys, start=indexes, stop=indexes)
    def store_range(self, into, source, start, stop):
        result = dict(sliced(self.rows(source), start, stop))
        self.expect(len(result), "ZRANGESTORE", into, source, start, stop)
        self.store(into, result)

    @rule(source=keys, into=keys)
    def copy(self, source, into):
        if source != into:
            if self.zsets[source]:
                self.zsets[into], self.grown[into] = dict(self.zsets[source]), self.grown[source]
            self.expect(int(bool(self.zsets[source])), "COPY", source, into, "REPLACE")

    @rule(key=keys)
    def delete(self, key):
        self.expect(int(bool(self.zsets[key])), "DEL", key)
        self.take(key, list(self.zsets[key]))

    # ---- Always -----------------------------------------------------------------------------------------------------

    @invariant()
    def sizes_and_encodings(self):
        if self.r:
            for key in KEYS:
                self.expect(len(self.zsets[key]), "ZCARD", key)
                encoding = b"skiplist" if self.grown[key] else b"listpack"
                self.expect(encoding if self.zsets[key] else None, "OBJECT", "ENCODING", key)

    def teardown(self):
        if self.r:
            for key in KEYS:
                self.expect(self.told(self.rows(key)), "ZRANGE", key, 0, -1, "WITHSCORES")
        super().teardown()


def test_sorted_sets(play):
    play(SortedSets)
