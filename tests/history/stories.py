"""What clients do in a history: commands on single elements beside commands on whole collections."""
from .model import BASE


class Sets:
    kind = "s"
    keys = ["sa", "sb", "sd"]
    add, remove, ask, count, whole, union = "SADD", "SREM", "SISMEMBER", "SCARD", "SMEMBERS", "SUNIONSTORE"

    def start(self):
        return {"sa": frozenset({BASE}), "sb": frozenset({BASE})}

    def single(self, rng, name):
        key, chance = rng.choice(self.keys), rng.random()
        if chance < 0.45:
            return self.add, key, name
        if chance < 0.55:
            number, _, step = name.partition(":")
            return self.remove, key, f"{number}:{int(step) - rng.randrange(1, 8)}"
        if chance < 0.75:
            return self.ask, key, f"{rng.randrange(3)}:{1000 * rng.randrange(3) + rng.randrange(250)}"
        if chance < 0.85:
            return self.count, key
        first, second = rng.sample(self.keys, 2)
        return "EXEC", (self.add, first, name), (self.add, second, name), (self.count, first)

    def long(self, rng):
        chance = rng.random()
        key = rng.choice(self.keys)
        if chance < 0.4:
            return self.whole, key
        if chance < 0.65:
            return self.union, rng.choice(self.keys), *rng.sample(self.keys, 2)
        if chance < 0.8:
            return "COPY", key
        if chance < 0.85:
            return "DEL", key
        if chance < 0.9:
            return "RENAME", *rng.sample(self.keys, 2)
        return self.more(rng)

    def more(self, rng):
        return "SUNION", *rng.sample(self.keys, 2)


class SortedSets(Sets):
    kind = "z"
    keys = ["za", "zb", "zd"]
    add, remove, ask, count, whole, union = "ZADD", "ZREM", "ZSCORE", "ZCARD", "ZRANGE", "ZUNIONSTORE"

    def start(self):
        return {"za": frozenset({BASE}), "zb": frozenset({BASE})}

    def more(self, rng):
        return rng.choice(["ZREMRANGEBYRANK", "ZREMRANGEBYSCORE"]), rng.choice(self.keys)


class Lists:
    kind = "l"
    keys = ["la", "lb"]

    def start(self):
        return {"la": (BASE,)}

    def single(self, rng, name):
        key, chance = rng.choice(self.keys), rng.random()
        if chance < 0.6:
            return rng.choice(["RPUSH", "LPUSH"]), key, name
        if chance < 0.8:
            return "LLEN", key
        first, second = self.keys
        return "EXEC", ("RPUSH", first, name), ("LPUSH", second, name), ("LLEN", first)

    def long(self, rng):
        chance, key = rng.random(), rng.choice(self.keys)
        if chance < 0.35:
            return "LRANGE", key
        if chance < 0.5:
            return "SORT", key
        if chance < 0.6:
            return "LREM", key, BASE
        if chance < 0.7:
            return "LREM", key, f"{rng.randrange(3)}:{1000 * rng.randrange(3) + rng.randrange(250)}"
        if chance < 0.9:
            return "COPY", key
        return ("DEL", key) if chance < 0.95 else ("RENAME", *rng.sample(self.keys, 2))


class Keyspace:
    kind = "k"

    def start(self):
        return {}

    def single(self, rng, name):
        chance = rng.random()
        recent = f"{rng.randrange(3)}:{1000 * rng.randrange(3) + rng.randrange(250)}"
        if chance < 0.5:
            return "SET", name
        if chance < 0.6:
            return "UNLINK", recent
        if chance < 0.7:
            return "RENAME NAME", recent, f"renamed:{name}"
        return ("EXISTS", recent) if chance < 0.9 else ("DBSIZE",)

    def long(self, rng):
        chance = rng.random()
        if chance < 0.65:
            return ("KEYS",)
        return ("MSET",) if chance < 0.9 else ("FLUSHDB",)


STORIES = {"sets": Sets(), "sorted-sets": SortedSets(), "lists": Lists(), "keyspace": Keyspace()}
