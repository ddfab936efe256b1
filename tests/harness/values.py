"""Values of every type, size and encoding, as the commands that make them; and what a server tells of a value.

Entry: VALUES, with_groups, build (make them), every_value, random_writes (many keys of all types), value_of, groups_of (look at them).
All of it works on redis-server 7.0 and on ours.
"""
import math
import random

from .resp import Error

INF = math.inf


NUMBERS = [0, 1, 127, 128, -1, -128, -129, 4095, 4096, -4096, -4097, 32767, 32768, -32769, 8388607, 8388608, -8388609,
           2**31 - 1, 2**31, -2**31 - 1, 2**63 - 1, -2**63]
TEXTS = [b"", b"a", b"007", b"-0", b"\0\r\n\xff", b"x" * 20, b"y" * 21, b"z" * 63, b"ab" * 32, b"c" * 64, b"d" * 65,
         bytes(range(256)), b"text " * 819, b"e" * 4096, b"f" * 70000]
SCORES = [0.0, 1.0, -1.0, 2.5, 1e17, -2.0**60, 0.1, 1e300, 5e-324, 123456789.0, INF, -INF]


def numbered(count, size=8):
    return [(b"%d:" % i).ljust(size, b"-") for i in range(count)]


def random_texts(count):
    rng = random.Random(count)
    return [rng.randbytes(rng.choice([1, 5, 21, 60, 300, 700])) + b"%d" % i for i in range(count)]


def strings():
    for number in NUMBERS:
        yield f"string-{number}", [("SET", "k", number)]
    for text in TEXTS:
        yield f"string-of-{len(text)}-{text[:2].hex()}", [("SET", "k", text)]
    yield "string-random", [("SET", "k", random.Random(1).randbytes(50000))]
    yield "string-long", [("SET", "k", b"0123456789" * 100000)]


def filled(command, words, each=1, per_call=500):
    words = list(words)
    step = per_call * each
    return [(command, "k", *words[i:i + step]) for i in range(0, len(words), step)]


def lists():
    yield "list-of-one", filled("RPUSH", [b"a"])
    yield "list-of-numbers", filled("RPUSH", NUMBERS)
    yield "list-of-texts", filled("RPUSH", [*TEXTS, *NUMBERS, *TEXTS])
    yield "list-long", filled("RPUSH", numbered(20000))
    yield "list-of-random-texts", filled("RPUSH", random_texts(3000))
    yield "list-of-blobs", filled("RPUSH", [bytes([i]) * (650 + 900 * i) for i in range(40)])
    yield "list-of-huge", filled("RPUSH", [b"a", b"h" * 300000, b"b", random.Random(2).randbytes(600000), b"c"])


def sets():
    yield "set-of-small-integers", filled("SADD", range(-5, 5))
    yield "set-of-integers", filled("SADD", NUMBERS)
    for count in (511, 512, 513, 20000):
        yield f"set-of-{count}-integers", filled("SADD", range(-100, count - 100))
    yield "set-of-texts", filled("SADD", [text for text in TEXTS if len(text) < 64] + NUMBERS)
    for count in (127, 128, 129, 10000):
        yield f"set-of-{count}", filled("SADD", numbered(count))
    yield "set-of-long-texts", filled("SADD", [*TEXTS, *NUMBERS])


def hashes():
    yield "hash-of-one", filled("HSET", [b"f", b"v"], 2)
    yield "hash-of-numbers", filled("HSET", [word for number in NUMBERS for word in (number, -number - 1)], 2)
    for count in (127, 128, 129, 511, 512, 513, 10000):
        yield f"hash-of-{count}", filled("HSET", [word for i in range(count) for word in (b"f%d" % i, i)], 2)
    yield "hash-of-texts", filled("HSET", [word for text in TEXTS for word in (text, text[::-1])], 2)


def zsets():
    scored = list(zip(SCORES, [b"m%d" % i for i in range(len(SCORES))]))
    yield "zset-of-scores", filled("ZADD", [word for score, member in scored for word in (repr(score), member)], 2)
    yield "zset-of-one-score", filled("ZADD", [word for text in [*TEXTS[:10], *NUMBERS] for word in (1, text)], 2)
    for count in (127, 128, 129, 10000):
        yield (f"zset-of-{count}",
               filled("ZADD", [word for i in range(count) for word in (i * 7 % 100 + 0.5, b"m%d" % i)], 2))
    yield "zset-of-texts", filled("ZADD", [word for i, text in enumerate(TEXTS) for word in (-i, text)], 2)


def streams():
    def entry(i):
        """Ids that go up by a little, by a lot, and in their second part only."""
        return f"{1000 + i // 3 * (1 if i < 500 else 10**12)}-{i % 3 + i}"

    yield "stream-of-one", [("XADD", "k", "1-1", "f", "v")]
    yield "stream-of-the-largest-id", [("XADD", "k", f"{2**64 - 1}-{2**64 - 1}", "f", "v")]
    for count in (99, 100, 101, 1000):
        yield f"stream-of-{count}", [("XADD", "k", entry(i), "temperature", i, "unit", "C") for i in range(count)]
    yield "stream-of-changing-names", [("XADD", "k", entry(i), f"name{i % 4}", NUMBERS[i % len(NUMBERS)], "n", i,
                                        *(("more", "x") if i % 5 == 0 else ())) for i in range(300)]
    yield "stream-of-texts", [("XADD", "k", entry(i), text, text[::-1]) for i, text in enumerate(TEXTS)]
    yield "stream-with-holes", [*(("XADD", "k", entry(i), "f", i) for i in range(300)),
                                ("XDEL", "k", *(entry(i) for i in range(0, 300, 7))), ("XDEL", "k", entry(299))]
    yield "stream-trimmed", [*(("XADD", "k", entry(i), "f", i) for i in range(300)), ("XTRIM", "k", "MAXLEN", "130")]
    yield "stream-empty", [("XADD", "k", "5-5", "f", "v"), ("XDEL", "k", "5-5")]
    yield "stream-with-a-set-id", [("XADD", "k", "5-5", "f", "v"),
                                   ("XSETID", "k", "9-9", "ENTRIESADDED", "77", "MAXDELETEDID", "7-7")]


VALUES = dict([*strings(), *lists(), *sets(), *hashes(), *zsets(), *streams()])


def build(client, commands):
    for command in commands:
        reply = client(*command)
        assert not isinstance(reply, Error), reply


def value_of(client, key="k"):
    """Type and value, in a form that is equal for equal values."""
    match kind := client("TYPE", key):
        case "string":
            return kind, client("GET", key)
        case "list":
            return kind, client("LRANGE", key, 0, -1)
        case "set":
            return kind, set(client("SMEMBERS", key))
        case "hash":
            flat = client("HGETALL", key)
            return kind, dict(zip(flat[::2], flat[1::2]))
        case "zset":
            flat = client("ZRANGE", key, 0, -1, "WITHSCORES")
            return kind, list(zip(flat[::2], map(float, flat[1::2])))
        case "stream":
            about = client("XINFO", "STREAM", key)
            about = dict(zip(about[::2], about[1::2]))
            names = (b"length", b"last-generated-id", b"max-deleted-entry-id", b"entries-added", b"groups",
                     b"recorded-first-entry-id")
            return kind, client("XRANGE", key, "-", "+"), {name: about[name] for name in names}
    return kind, None


def with_groups():
    """Commands that make a stream whose groups have read, acknowledged and lost entries."""
    yield from (("XADD", "k", f"{i + 1}-{i}", "f", i) for i in range(300))
    yield "XGROUP", "CREATE", "k", "idle", "$"
    yield "XGROUP", "CREATE", "k", "first", "0"
    yield "XGROUP", "CREATE", "k", "", "100-99"
    yield "XREADGROUP", "GROUP", "first", "alice", "COUNT", "50", "STREAMS", "k", ">"
    yield "XREADGROUP", "GROUP", "first", "bob", "COUNT", "30", "STREAMS", "k", ">"
    yield "XGROUP", "CREATECONSUMER", "k", "first", "nobody"
    yield "XACK", "k", "first", *(f"{i + 1}-{i}" for i in range(0, 80, 3))
    yield "XCLAIM", "k", "first", "bob", "0", "2-1", "3-2", "RETRYCOUNT", "7"
    yield "XREADGROUP", "GROUP", "first", "bob", "COUNT", "3", "STREAMS", "k", "0"
    yield "XREADGROUP", "GROUP", "", "\0 long name".ljust(100, "x"), "COUNT", "10", "STREAMS", "k", ">"
    yield "XDEL", "k", "20-19", "25-24"
    yield "XTRIM", "k", "MAXLEN", "290"


def groups_of(client, key="k"):
    """All that is told of groups, as far as it does not depend on the time that has passed, and on the version."""
    def plain(reply):
        if isinstance(reply, list) and len(reply) % 2 == 0 and all(isinstance(name, bytes) for name in reply[::2]):
            return {name: plain(value) for name, value in zip(reply[::2], reply[1::2])
                    if name not in (b"radix-tree-keys", b"radix-tree-nodes", b"active-time")}
        return [plain(item) for item in reply] if isinstance(reply, list) else reply

    return plain(client("XINFO", "STREAM", key, "FULL", "COUNT", "0"))


# ---- Many keys --------------------------------------------------------------------------------------------

FAR_MS = 33177117420000  # a time that no test lives to see


def every_value(client):
    """A key for each value that the tests know, in two databases, some with times to live."""
    for number, (name, commands) in enumerate(VALUES.items()):
        client("SELECT", number % 2)
        build(client, commands)
        client("RENAME", "k", name)
        if number % 5 == 0:
            client("PEXPIREAT", name, FAR_MS + number)
    client("SELECT 0")
    build(client, with_groups())


def _random_text(rng):
    chance = rng.random()
    if chance < 0.4:
        return b"%d" % rng.choice([rng.randrange(-300, 300), rng.randrange(-2**63, 2**63)])
    if chance < 0.95:
        return rng.randbytes(rng.randrange(60))
    return rng.randbytes(rng.choice([1000, 20000])) + bytes(3000)


def _random_score(rng):
    return rng.choice([rng.randrange(-100, 100), rng.random() * 10**rng.randrange(-10, 10), "inf", "-inf", 1e300])


def random_write(rng, key, number):
    """A command that changes the value of a key, whose type follows from its first letter: s l u z h x. Ids of streams
    ascend with the number."""
    count = rng.choice([1, 1, 2, 5, 150]) if rng.random() < 0.3 else 1
    texts = [_random_text(rng) for _ in range(count)]
    undo = rng.random() < 0.15
    match key[:1]:
        case b"s":
            return ("APPEND", key, texts[0]) if undo else ("SET", key, texts[0], "KEEPTTL")
        case b"l":
            return ("LPOP", key) if undo else (rng.choice(["RPUSH", "LPUSH"]), key, *texts)
        case b"u":
            return ("SREM", key, texts[0]) if undo else ("SADD", key, *texts)
        case b"z":
            return (("ZPOPMIN", key) if undo else
                    ("ZADD", key, *(word for text in texts for word in (_random_score(rng), text))))
        case b"h":
            return (("HDEL", key, texts[0]) if undo else
                    ("HSET", key, *(word for text in texts for word in (text, _random_text(rng)))))
        case b"x":
            names = rng.choice([[b"a", b"b"], [b"c"], texts[:4]])
            return (("XTRIM", key, "MAXLEN", 20) if undo else
                    ("XADD", key, f"{number // 7}-{number + 1}", *(word for name in names for word in (name, _random_text(rng)))))
    raise ValueError(key)


def random_writes(seed, count, databases=(0, 3, 9), keys=60):
    """Commands that fill several databases with values of all types, delete some, and give some a time to live that is far
    away. They make the same data on every server."""
    rng = random.Random(seed)
    for number in range(count):
        if rng.random() < 0.05:
            yield "SELECT", rng.choice(databases)
        key = b"%c:%d" % (rng.choice(b"sluzhx"), rng.randrange(keys))
        chance = rng.random()
        if chance < 0.03:
            yield "DEL", key
        elif chance < 0.08:
            yield "PEXPIRE", key, rng.randrange(10**8, 10**11)
        else:
            yield random_write(rng, key, number)
