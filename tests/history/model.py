"""What commands do, for the checker: a world of a few keys with large collections.

Entry: Model, reduced. A large collection has a base: FILLERS elements that come and go together, by commands that are
atomic. The base is one token in the model, so that states stay small; a reply that shows a part of it is torn, and no
order can explain it. All other elements are told apart, since each is added once.
"""
BASE = "base"
TORN = "torn"
NO_SUCH_KEY = "no such key"

READS = {"SMEMBERS", "SISMEMBER", "SCARD", "ZRANGE", "ZSCORE", "ZCARD", "LRANGE", "LLEN", "SORT", "KEYS", "EXISTS", "DBSIZE",
         "SINTER", "SUNION"}


def reduced(elements, fillers, in_order=False):
    """A reply with many elements as the model's value: a frozenset or, in order, a tuple of tokens. TORN, with what was
    seen, when it has some of the base and not all of it, or anything twice. In order, the base is in one piece."""
    tokens, fillers_seen, last_is_filler = [], 0, False
    for element in elements:
        is_filler = element[:2] == b"f:"
        fillers_seen += is_filler
        if not is_filler:
            tokens.append(element.decode())
        elif not last_is_filler if in_order else fillers_seen == 1:
            tokens.append(BASE)
        last_is_filler = is_filler
    if len(set(tokens)) != len(tokens) or fillers_seen not in (0, fillers):
        return TORN, f"{fillers_seen} of {fillers} fillers in {len(elements)} elements"
    return tuple(tokens) if in_order else frozenset(tokens)


class Model:
    """`fillers`: how many elements a base has. A state is a tuple of (key, value) in the order of keys, empty ones left
    out; a value is a frozenset of tokens, or for a list a tuple of them."""

    def __init__(self, fillers):
        self.fillers = fillers

    def reads(self, operation):
        return operation.name in READS

    def apply(self, state, operation):
        """The state after the operation, or None."""
        if isinstance(operation.result, tuple) and operation.result[:1] == (TORN,):
            return None
        world = dict(state)
        if operation.name == "EXEC":
            results = [self.run(world, name, *arguments) for name, *arguments in operation.arguments]
        else:
            results = self.run(world, operation.name, *operation.arguments)
        if results != operation.result:
            return None
        return state if self.reads(operation) else tuple(sorted((key, value) for key, value in world.items() if value))

    def run(self, world, name, *arguments):
        """Does it to the world, and returns the reply."""
        return getattr(self, {"DEL": "delete", "RENAME NAME": "rename_name"}.get(name, name.lower()))(world, *arguments)

    def size(self, value):
        return len(value) + (self.fillers - 1) * (BASE in value)

    # ---- Sets and sorted sets: their scores follow from their members ------------------------------------------------

    def sadd(self, world, key, member):
        old = world.get(key, frozenset())
        world[key] = old | {member}
        return int(member not in old)

    def srem(self, world, key, member):
        old = world.get(key, frozenset())
        world[key] = old - {member}
        return int(member in old)

    def sismember(self, world, key, member):
        return int(member in world.get(key, ()))

    def smembers(self, world, key):
        return world.get(key, frozenset())

    def scard(self, world, key):
        return self.size(world.get(key, ()))

    def sunion(self, world, *keys):
        return frozenset().union(*(world.get(key, ()) for key in keys))

    def sunionstore(self, world, into, *keys):
        world[into] = self.sunion(world, *keys)
        return self.size(world[into])

    zadd, zrem, zscore, zcard, zrange, zunionstore = sadd, srem, sismember, scard, smembers, sunionstore

    def zremrangebyrank(self, world, key):
        """From the first to the last."""
        return self.size(world.pop(key, ()))

    def zremrangebyscore(self, world, key):
        """Those of the base."""
        old = world.get(key, frozenset())
        world[key] = old - {BASE}
        return self.fillers * (BASE in old)

    # ---- Lists -------------------------------------------------------------------------------------------------------

    def rpush(self, world, key, element):
        world[key] = world.get(key, ()) + (element,)
        return self.size(world[key])

    def lpush(self, world, key, element):
        world[key] = (element, *world.get(key, ()))
        return self.size(world[key])

    def lrem(self, world, key, element):
        old = world.get(key, ())
        world[key] = tuple(one for one in old if one != element)
        return self.size(old) - self.size(world[key])

    def lrange(self, world, key):
        return world.get(key, ())

    def sort(self, world, key):
        return frozenset(world.get(key, ()))

    llen = scard

    # ---- Keys --------------------------------------------------------------------------------------------------------

    def copy(self, world, key):
        """From a collection that is only the base, replacing what is there."""
        world[key] = (BASE,) if key[0] == "l" else frozenset({BASE})
        return 1

    def delete(self, world, key):
        return int(bool(world.pop(key, ())))

    def rename(self, world, key, into):
        if not world.get(key):
            return NO_SUCH_KEY
        world[into] = world.pop(key)
        return "OK"

    # ---- The keyspace as a set of strings, under the key "" ------------------------------------------------------------

    def set(self, world, name):
        self.sadd(world, "", name)
        return "OK"

    def mset(self, world):
        """The base."""
        return self.set(world, BASE)

    def exists(self, world, name):
        return self.sismember(world, "", name)

    def unlink(self, world, name):
        return self.srem(world, "", name)

    def keys(self, world):
        return self.smembers(world, "")

    def dbsize(self, world):
        return self.scard(world, "")

    def flushdb(self, world):
        world.pop("", None)
        return "OK"

    def rename_name(self, world, name, into):
        if not self.srem(world, "", name):
            return NO_SUCH_KEY
        return self.set(world, into)
