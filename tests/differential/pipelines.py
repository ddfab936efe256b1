"""Makes random pipelines: commands in rows, on few keys whose types change.

Entry: Pipelines.sequence. What the executor does for short commands that follow each other, and what threads answer before it,
differs from what it does for one command at a time (exec/dispatch.h, exec/foresee.h). So the same command mostly comes several times
in a row, most keys have what it wants, and SETs stand beside reads.
"""
from .grammar import LONGER_SINCE
from .session import PAUSE

NUMBERS = [b"0", b"1", b"-1", b"9", b"10", b"99", b"-100", b"12345", b"2147483647", b"-2147483649", b"9223372036854775806",
           b"9223372036854775807", b"-9223372036854775807", b"-9223372036854775808"]
NO_NUMBERS = [b"", b"abc", b"007", b"+1", b" 1", b"1 ", b"-0", b"1.5", b"9223372036854775808", b"-9223372036854775809", b"1\0", b"nan"]
TEXTS = [b"", b"a", b"value", b"\0\xff\r\n", b"x" * 43, b"y" * 44, b"z" * 45, b"u" * 63, b"v" * 64, b"w" * 65, b"s" * 300, b"l" * 5000]
STEPS = [b"1", b"1", b"1", b"2", b"-1", b"0", b"-7", b"1000000", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808",
         b"x", b""]
SCORES = [b"0", b"1", b"1", b"2", b"-3", b"1.5", b"1e300", b"-1e300", b"inf", b"-inf", b"+inf", b"nan", b"abc", b"", b"1e400"]
FLOATS = [b"1", b"0.5", b"-0.25", b"3", b"nan", b"inf", b"-inf", b"x", b"1e5000", b""]
INDICES = [b"0", b"0", b"1", b"-1", b"-2", b"3", b"100", b"-100", b"x"]
COUNTS = [b"0", b"1", b"1", b"2", b"3", b"100", b"-1", b"x", b"9223372036854775807"]
LARGE = 600  # elements: more than a page of memory has
FAR_S, FAR_MS = b"10000000", b"9999999999"

# Each family's commands: name, and which arguments follow the key. Those with a brief form stand twice.
FAMILIES = {
    "string": ["incr", "incr", "decr", "decr", "incrby STEP", "incrby STEP", "decrby STEP", "decrby STEP", "get", "get", "get", "set VALUE",
               "set VALUE", "set VALUE", "set VALUE SETOPTIONS", "append VALUE", "setrange OFFSET VALUE", "strlen", "getrange INDEX INDEX",
               "getbit OFFSET", "setbit OFFSET BIT", "setnx VALUE", "getset VALUE", "getdel", "getex GETEXOPTION", "incrbyfloat FLOAT", "mget KEY KEY",
               "mset VALUE KEY VALUE", "msetnx VALUE KEY VALUE", "setex TIME VALUE", "bitcount", "object-encoding"],
    "list": ["lpush VALUE", "lpush VALUE", "rpush VALUE", "rpush VALUE", "lpush VALUE VALUE VALUE", "rpush VALUE VALUE", "lpop", "lpop", "rpop",
             "rpop", "lpop COUNT", "rpop COUNT", "lpushx VALUE", "rpushx VALUE", "llen", "lindex INDEX", "lrange INDEX INDEX", "lset INDEX VALUE",
             "linsert WHERE VALUE VALUE", "lrem INDEX VALUE", "ltrim INDEX INDEX", "lmove KEY END END", "rpoplpush KEY", "lpos VALUE"],
    "hash": ["hset FIELD VALUE", "hset FIELD VALUE", "hset FIELD VALUE FIELD VALUE", "hsetnx FIELD VALUE", "hsetnx FIELD VALUE",
             "hincrby FIELD STEP", "hincrby FIELD STEP", "hincrbyfloat FIELD FLOAT", "hget FIELD", "hget FIELD", "hmget FIELD FIELD", "hdel FIELD",
             "hdel FIELD FIELD", "hlen", "hexists FIELD", "hstrlen FIELD", "hgetall", "hkeys", "object-encoding"],
    "set": ["sadd MEMBER", "sadd MEMBER", "sadd MEMBER MEMBER MEMBER", "srem MEMBER", "srem MEMBER MEMBER", "sismember MEMBER",
            "smismember MEMBER MEMBER", "scard", "smembers", "smove KEY MEMBER", "object-encoding"],
    "zset": ["zadd SCORE MEMBER", "zadd SCORE MEMBER", "zadd SCORE MEMBER SCORE MEMBER", "zadd ZADDOPTIONS SCORE MEMBER", "zincrby SCORE MEMBER",
             "zrem MEMBER", "zscore MEMBER", "zmscore MEMBER MEMBER", "zrank MEMBER", "zrevrank MEMBER", "zcard", "zrange INDEX INDEX",
             "zcount SCORE SCORE", "zpopmin", "zpopmax COUNT", "object-encoding"],
}
GENERAL = ["del", "del", "unlink", "exists", "type", "ttl", "pttl", "expire FAR", "persist", "touch", "rename KEY", "copy KEY",
           "pexpire PAST", "expire PAST"]
# Without most of them values grow.
TAKES_AWAY = {"del", "unlink", "rename", "copy", "pexpire", "expire", "set", "getdel", "lpop", "rpop", "ltrim", "lrem", "hdel", "srem", "zrem", "zpopmin",
              "zpopmax", "setex", "mset"}
SET_OPTIONS = [[b"NX"], [b"XX"], [b"GET"], [b"KEEPTTL"], [b"EX", FAR_S], [b"PX", FAR_MS], [b"XX", b"GET"], [b"NX", b"EX", FAR_S],
               [b"KEEPTTL", b"XX"], [b"EX", b"0"], [b"NX", b"XX"], [b"FOO"]]
ZADD_OPTIONS = [[b"NX"], [b"XX"], [b"GT"], [b"LT"], [b"CH"], [b"INCR"], [b"XX", b"INCR"], [b"NX", b"INCR"], [b"GT", b"CH"], [b"NX", b"GT"]]


class Pipelines:
    """All randomness comes from `rng`, so a seed is a whole run."""

    def __init__(self, rng):
        self.rng = rng
        self.families = list(FAMILIES)
        self.prefix, self.keys, self.members, self.grows = b"", 2, 4, False

    def sequence(self, length):
        """Returns (steps, apart, events); see Duel.run_pipelined."""
        rng = self.rng
        apart = rng.random() < 0.4
        events = not apart and rng.random() < 0.3
        self.families = rng.choice([["string"], ["list"], ["hash"], ["set"], ["zset"], ["string", "list"], list(FAMILIES)])
        self.keys, self.members = rng.choice([1, 2, 2, 5, 20]), rng.choice([2, 5, 20, 60])
        self.grows = rng.random() < 0.4
        steps, connection = [], 0
        if rng.random() < 0.4:
            self.members = LARGE
            for connection in (0, 1):
                self.prefix = b"%d:" % connection if apart else b""
                steps += [(connection, self.large_value()) for _ in range(self.keys)]
        while len(steps) < length:
            if rng.random() < 0.15:
                connection = 1 - connection
            self.prefix = b"%d:" % connection if apart else b""
            if not apart and rng.random() < 0.06:
                steps += self.somebody_waits() if rng.random() < 0.4 and "list" in self.families else self.somebody_watches()
            steps += [(connection, words) for words in self.row()]
            if rng.random() < 0.03 and not events:  # when a key is found to be over is open
                steps += [*((connection, words) for words in self.brief_lives()), PAUSE]
        return steps, apart, events

    def large_value(self):
        """What makes a large value of a key."""
        rng = self.rng
        family = rng.choice(self.families)
        numbers = range(rng.randrange(LARGE))
        texts = [b"%d" % number for number in numbers] if rng.random() < 0.5 else [b"member:%d" % number for number in numbers]
        if family == "string":
            return [b"SET", self.key(), b"long" * rng.randrange(4000)]
        pairs = [word for text in texts for word in ((text, self.value()) if family == "hash" else (rng.choice(SCORES[:9]), text))]
        name, words = {"list": (b"RPUSH", texts), "set": (b"SADD", texts), "hash": (b"HSET", pairs), "zset": (b"ZADD", pairs)}[family]
        return [name, self.key(), *words]

    # ---- Rows -----------------------------------------------------------------------------------------

    def row(self):
        """Commands that belong together: one command several times, SETs among reads, or a transaction."""
        rng = self.rng
        chance, length = rng.random(), rng.choice([1, 1, 2, 3, 5, 8, 20])
        if chance < 0.5:
            shape = self.shape()
            return [self.filled(shape) for _ in range(length)]
        if chance < 0.6 and "string" in self.families:
            return [self.filled(rng.choice(["set VALUE", "get", "get", "strlen", "getrange INDEX INDEX", "getbit OFFSET"])) for _ in range(length)]
        if chance < 0.66:
            watched = [[b"WATCH", self.key()]] if rng.random() < 0.3 else []
            return [*watched, [b"MULTI"], *(self.filled(self.shape()) for _ in range(length)), rng.choice([[b"EXEC"], [b"EXEC"], [b"DISCARD"]])]
        if chance < 0.7:
            words = self.filled(self.shape())
            excess = [b"more"] if rng.random() < 0.5 and words[0].lower() not in LONGER_SINCE else []
            return [words[:rng.randrange(1, len(words) + 1)] + excess]
        return [self.filled(self.shape()) for _ in range(length)]

    def somebody_waits(self):
        """Rows of one connection, during which the other one waits for a list."""
        key, rng = self.key(), self.rng
        waiting = rng.choice([[b"BLPOP", key, b"0"], [b"BRPOP", key, b"0"], [b"BLMOVE", key, self.key(), b"LEFT", b"RIGHT", b"0"]])
        return [(None, waiting), *((0, words) for _ in range(rng.choice([1, 3])) for words in self.row())]

    def somebody_watches(self):
        """Rows of one connection, of which the other one's transaction depends."""
        return [(1, [b"WATCH", self.key(), self.key()]), *((0, words) for words in self.row()),
                (1, [b"MULTI"]), *((1, self.filled(self.shape())) for _ in range(2)), (1, [b"EXEC"])]

    def shape(self):
        rng = self.rng
        while True:
            shape = rng.choice(GENERAL) if rng.random() < 0.15 else rng.choice(FAMILIES[rng.choice(self.families)])
            if not self.grows or shape.split()[0] not in TAKES_AWAY or rng.random() < 0.15:
                return shape

    def brief_lives(self):
        """Keys that are over behind the pause, and are not looked at before it: the last of what is sent."""
        rng = self.rng
        return [rng.choice([[b"PEXPIRE", self.key(), b"1"], [b"SET", self.key(), self.value(), b"PX", b"1"]]) for _ in range(rng.choice([1, 1, 3]))]

    # ---- One command ----------------------------------------------------------------------------------

    def filled(self, shape):
        name, *arguments = shape.split()
        words = [b"OBJECT", b"ENCODING"] if name == "object-encoding" else [name.upper().encode() if self.rng.random() < 0.9 else name.encode()]
        words.append(self.key())
        for argument in arguments:
            words += self.argument(argument)
        return words

    def argument(self, argument):
        rng = self.rng
        match argument:
            case "KEY":
                return [self.key()]
            case "VALUE":
                return [self.value()]
            case "FIELD" | "MEMBER":
                number = rng.randrange(self.members)
                return [rng.choice([b"%d" % number, b"member:%d" % number, b"%d" % number]) if rng.random() < 0.97 else rng.choice(TEXTS)]
            case "SETOPTIONS":
                return rng.choice(SET_OPTIONS)
            case "ZADDOPTIONS":
                return rng.choice(ZADD_OPTIONS)
            case "GETEXOPTION":
                return rng.choice([[], [b"PERSIST"], [b"EX", FAR_S], [b"EX", b"-1"]])
        return [rng.choice({
            "STEP": STEPS, "SCORE": SCORES, "FLOAT": FLOATS, "INDEX": INDICES, "COUNT": COUNTS, "OFFSET": [b"0", b"1", b"7", b"50", b"-1"],
            "BIT": [b"0", b"1", b"2"], "TIME": [FAR_S, FAR_S, b"0", b"-1", b"x"], "FAR": [FAR_S], "PAST": [b"0", b"-1"],
            "WHERE": [b"BEFORE", b"AFTER", b"NEAR"], "END": [b"LEFT", b"RIGHT", b"TOP"]}[argument])]

    def key(self):
        return self.prefix + b"k%d" % self.rng.randrange(self.keys)

    def value(self):
        rng = self.rng
        chance = rng.random()
        return rng.choice(NUMBERS if chance < 0.5 else NO_NUMBERS if chance < 0.6 else TEXTS)
