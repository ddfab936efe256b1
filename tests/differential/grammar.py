"""Makes random commands from the declarations (gen/commands.json), right ones and wrong ones.

Entry: Grammar.command. All randomness comes from the generator's own random.Random, so a seed is a whole run.
Values come from small pools, so that commands meet each other's keys and hit the limits of numbers. Nothing here
may depend on time: a time to live is over already or lies days ahead.
"""
import json
import re

ORACLE = (7, 0, 15)

KEYS = [b"k%d" % i for i in range(8)] + [b"", b"a key", b"\0\xff", b"{tag}1", b"{tag}2", b"long" * 40]
VALUES = [b"", b"0", b"1", b"-1", b"10", b"12345", b"9223372036854775807", b"-9223372036854775808",
          b"9223372036854775808", b"007", b"1.5", b"-0", b"3.0e3", b"abc", b"hello world", b"\0\x01\xfe\xff",
          b"HYLL\x01" + bytes(10) + b"\x80\x7f\xff", b"x" * 44, b"y" * 45, b"z" * 700, b"\r\n", b"ohmytext", b"mynewtext", b"inf", b"nan", b" 1"]
INTEGERS = [b"0", b"1", b"-1", b"2", b"3", b"5", b"7", b"8", b"-2", b"-8", b"15", b"100", b"1000", b"65536", b"-100",
            b"4294967296", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"1.5", b"abc",
            b"", b" 1", b"01", b"+1", b"-0"]
LIKELY_INTEGERS = 12  # of these, those at the front are taken far more often
DOUBLES = [b"0", b"1", b"-1", b"1.5", b"-0.1", b"1e3", b"1e400", b"inf", b"-inf", b"nan", b"abc", b"", b"0x10", b" 1"]
PATTERNS = [b"*", b"k*", b"k?", b"k[0-3]", b"k[^0]", b"\\*", b"", b"*key*", b"[", b"{tag}*", b"*\xff"]
# Positive ones far away whatever their unit, as seconds or milliseconds, as a length of time or a date.
FAR_TIMES = [b"100000000", b"9999999999", b"99999999999999"]
TIMES = [*FAR_TIMES, b"0", b"-1", b"9223372036854775807", b"abc",
         b"-9223372036854775808", b"9223372036854775"]
DATABASES = [b"0", b"1", b"2", b"15", b"16", b"-1", b"x"]
ENCODINGS = [b"u8", b"i8", b"u1", b"i64", b"u63", b"i5", b"u64", b"i0", b"x8"]
BIT_OFFSETS = [b"0", b"1", b"7", b"8", b"31", b"100", b"#0", b"#1", b"#3", b"-1", b"4294967296", b"#-1", b"#x"]
# Ends of ranges of sorted sets, by score and by bytes.
SCORE_ENDS = [b"-inf", b"+inf", b"0", b"1", b"(1", b"2", b"(2.5", b"3", b"-1", b"(-1.5", b"(inf", b"1e400", b"", b"(", b" 1",
              b"0x2", b"nan", b"abc"]
LEX_ENDS = [b"-", b"+", b"[", b"(", b"[a", b"(a", b"[abc", b"(b", b"[hello world", b"(1", b"[\xff", b"(" + b"z" * 700, b"a",
            b"-x", b""]
SCORES = [b"0", b"0", b"0", b"1", b"1", b"2", b"3", b"-1", b"1.5", b"-0.1", b"0.30000000000000004", b"1e3", b"inf", b"-inf",
          b"1e400", b"nan", b"abc", b"12345678901234567890", b"3.14e-200", b"-0"]
LIKELY_ENDS, LIKELY_SCORES = 12, 13  # as LIKELY_INTEGERS
SWITCHED_TYPES = [b"string", b"list", b"none", b"STRING", b"foo"]

# For the names of keys and fields that SORT makes of elements.
KEY_PATTERNS = [b"k*", b"k*", b"k*->1", b"k*->abc", b"#", b"nosort", b"*", b"{tag}*", b"k*->", b"no*", b"->*", b"k"]
SORTED_KEYS = [b"sorted:%d" % i for i in range(4)]

# Names of arguments that say what they hold better than their type does.
BY_NAME = {
    "db": DATABASES, "destination-db": DATABASES, "index": DATABASES, "index1": DATABASES, "index2": DATABASES,
    "weight": DOUBLES, "encoding": ENCODINGS, "type": SWITCHED_TYPES, "channel": KEYS[:4], "shardchannel": KEYS[:4],
}
TIME_COMMANDS = {b"set", b"setex", b"psetex", b"expire", b"pexpire", b"expireat", b"pexpireat", b"getex", b"restore"}

# They take an option since 7.2: what is wrong behind their plain arguments is told in another way.
LONGER_SINCE = {b"zrank", b"zrevrank"}

# Inside a transaction they do not wait: there they can be compared.
BLOCKING = ("blpop", "brpop", "blmpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax", "bzmpop")
TIMEOUTS = [b"0.01", b"0.001", b"1e-2", b"-1", b"x", b"", b"nan", b"-inf"]

# Places, and the keys that hold them: commands of other families seldom come there, so that few places are the same.
GEO_KEYS = [b"g0", b"g1", b"g2"]
EDGES = {180: [b"0", b"179.9999", b"-179.9999", b"-180", b"181", b"-1e9", b"x", b"inf", b""],
         85: [b"0", b"85", b"-85", b"-85.05112878", b"86", b"-90", b"nan", b"1.2.3", b"x"]}
UNITS = [b"m", b"km", b"ft", b"mi"]
# Streams, and the keys that hold them: whole nodes are only trimmed where all entries are small, so that both servers begin
# new nodes at the same entries.
STREAM_KEYS = [b"s0", b"s1", b"s2"]
STREAM_VALUES = [b"", b"0", b"-1", b"12345", b"abc", b"\0\xff", b"007"]
STREAM_IDS = [b"0-0", b"0", b"1", b"-", b"+", b"$", b"5-*", b"x", b"", b"1-", b"18446744073709551615", b"1-2-3", b"*x",
              b"18446744073709551616-1", b"9-18446744073709551615"]

GROUPS = [b"g0", b"g0", b"g0", b"g1", b""]
CONSUMERS = [b"anna", b"bert", b"c" * 700, b"12"]
# How long an entry was left alone, and is to have been: far apart, so that the clock does not decide.
IDLE_TIMES, IDLE_MINIMA = [b"0", b"5000000000", b"-1"], [b"0", b"0", b"-1", b"1000000000", b"x"]

# They take their options in any order, and what the order of the answer is depends on them.
GEO_SEARCHES = ("geosearch", "geosearchstore", "georadius", "georadius_ro", "georadiusbymember", "georadiusbymember_ro")

# Commands that end, block, pause or blind a connection or the server, or whose replies cannot be compared.
EXCLUDED = {
    "shutdown", "monitor", "debug", "sync", "psync", "replicaof", "slaveof", "failover", "save", "bgsave",
    "bgrewriteaof", "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe", "quit",
    "client|kill", "client|pause", "client|unpause", "client|reply", "client|list", "client|info", "client|id",
    "client|unblock", "client|no-evict", "client|no-touch", "client|setinfo", "client|tracking", "client|caching",
    "client|trackinginfo", "client|getredir", "client|capa", "client|import-source",
    "config", "info", "latency", "slowlog", "lolwut", "memory", "module", "acl", "auth", "hello", "reset",
    "command", "sort", "sort_ro", "wait", "waitaof", "role", "replconf", "cluster", "migrate", "dump", "restore", "script", "function",
    "commandlog", "pfdebug", "pfselftest", "asking", "readonly", "readwrite", "multi", "exec", "discard", "watch",
    "unwatch", "select", "time", "scan", "sscan", "spop", "srandmember", "hscan", "hrandfield", "zscan", "zrandmember",
    "object|freq", "publish", "spublish", "pubsub", *BLOCKING, *GEO_SEARCHES,
    # Their ids follow the clock, or their words are a language: Grammar.streams.
    "xadd", "xtrim", "xread", "xdel", "xsetid", "xrange", "xrevrange", "xinfo|stream",
    # Their times follow the clock, and consumers are made earlier than in 7.0: Grammar.groups.
    "xgroup", "xreadgroup", "xack", "xpending", "xclaim", "xautoclaim", "xinfo|groups", "xinfo|consumers",
}


def is_newer(declared):
    """Whether the oracle does not have the command or argument yet: there is nothing to compare."""
    since = declared.get("since") or "0"
    return tuple(int(part) for part in since.split(".")) > ORACLE


class Grammar:
    """Random commands in the shape of the declarations."""

    def __init__(self, path, rng):
        self.rng = rng
        self.counted = 0  # keys to come, as the number of them said
        self.stream_ms = 0  # grows, as the ids of streams do
        self.commands = []
        self.by_name = {}
        with open(path, encoding="utf-8") as file:
            for command in json.load(file):
                self._add(command, [])

    def _add(self, command, prefix):
        name = command["full_name"]
        self.by_name[name] = command
        if name in EXCLUDED or is_newer(command):
            return
        if command["container"]:
            for subcommand in command["subcommands"]:
                self._add(subcommand, [command["name"]])
            return
        words = [*prefix, command["name"].split("|")[-1]]
        self.commands.append(([word.encode() for word in words], command["args"]))

    def names(self):
        return [b" ".join(words).decode() for words, _ in self.commands]

    # ---- One command ----------------------------------------------------------------------------------

    def command(self):
        """Arguments of a random command; about a tenth is spoilt in some way."""
        words, arguments = self.rng.choice(self.commands)
        result = list(map(self.case, words))
        for argument in arguments:
            result += self.argument(argument)
        if self.rng.random() < 0.1:
            result = self.spoilt(result, len(words))
        if result[0].lower() in LONGER_SINCE:
            result = result[:3]
        return without_wrong_saturation(without_near_times(result))

    def case(self, word):
        """The word in lower, upper or mixed case."""
        match self.rng.randrange(4):
            case 0:
                return word.upper()
            case 1:
                return bytes(self.rng.choice([byte, byte ^ 0x20]) if chr(byte).isalpha() else byte for byte in word)
        return word

    def spoilt(self, result, fixed):
        """Leaves out, doubles, exchanges or adds an argument."""
        result = list(result)
        position = self.rng.randrange(fixed, len(result) + 1)
        match self.rng.randrange(5):
            case 0:
                del result[position:]
            case 1 if position < len(result):
                del result[position]
            case 2:
                result.insert(position, self.value())
            case 3 if position < len(result):
                result[position] = self.rng.choice([self.value(), self.key(), b"FOO"])
            case _:
                result += result[fixed:]
        return result

    # ---- Arguments ------------------------------------------------------------------------------------

    def argument(self, argument):
        """The words of one argument: none when it is optional and left out, several when it may be repeated."""
        if is_newer(argument) or argument.get("optional") and self.rng.random() < 0.6:
            return []
        if self.rng.random() < 0.05 and self.can_double(argument):
            argument = {**argument, "optional": False}
            return self.argument(argument) + self.argument(argument)
        count = 1
        if argument.get("counted"):
            token = [self.case(argument["token"].encode())] if "token" in argument else []
            return token + [word for _ in range(self.counted) for word in self.one(argument)]
        if argument["name"] == "numkeys":
            self.counted = self.rng.choice([1, 1, 2, 3])
            return [b"%d" % self.counted if self.rng.random() < 0.95 else self.rng.choice(INTEGERS)]
        if argument.get("multiple"):
            count = self.rng.choice([1, 1, 1, 2, 2, 3, 5])
        words = []
        for i in range(count):
            if "token" in argument and argument["type"] != "token" and (i == 0 or argument.get("multiple_token")):
                words.append(self.case(argument["token"].encode()))
            words += self.one(argument)
        return words

    def can_double(self, argument):
        """Whether it is an option that may stand there twice. Of two databases of COPY and two ranks of LPOS only the last
        one counts here; Redis looks at the first one, too."""
        return argument.get("optional") and "token" in argument and not argument.get("multiple") and \
            argument["name"] not in ("destination-db", "rank")

    def one(self, argument):
        kind, name = argument["type"], argument["name"]
        if kind == "token":
            return [self.case(argument["token"].encode())]
        if kind == "oneof":
            choices = [inner for inner in argument["args"] if not is_newer(inner)]
            return self.argument({**self.rng.choice(choices), "optional": False})
        if kind == "block":
            return [word for inner in argument["args"] for word in self.argument(inner)]
        if name in BY_NAME:
            return [self.rng.choice(BY_NAME[name])]
        if kind == "string" and name in ("min", "max", "start", "stop"):
            return [self.rng.choice([self.end(SCORE_ENDS), self.end(LEX_ENDS), self.integer()])]
        if name == "score":
            return [self.score()]
        if "second" in name or "time" in name or kind == "unix-time":
            time = self.rng.choice(TIMES)
            # Hardly ever the same twice: which of two equal ones is the later (GT, LT) would depend on the millisecond.
            return [b"%d" % (int(time) + 1000 * self.rng.randrange(90_000)) if time in FAR_TIMES else time]
        if kind == "key":
            return [self.key()]
        if kind == "integer":
            return [self.integer()]
        if kind == "double":
            return [self.rng.choice(DOUBLES)]
        if kind == "pattern":
            return [self.rng.choice(PATTERNS)]
        return [self.value()]

    def key(self):
        return self.rng.choice(KEYS[:8] if self.rng.random() < 0.8 else KEYS)

    def value(self):
        return self.rng.choice(VALUES)

    def integer(self):
        return self.rng.choice(INTEGERS[:LIKELY_INTEGERS] if self.rng.random() < 0.8 else INTEGERS)

    def score(self):
        return self.rng.choice(SCORES[:LIKELY_SCORES] if self.rng.random() < 0.9 else SCORES)

    def end(self, ends):
        return self.rng.choice(ends[:LIKELY_ENDS] if self.rng.random() < 0.95 else ends)

    # ---- Commands with a language of their own, and what the declarations cannot say -------------------

    def bitfield(self):
        """BITFIELD's and BITFIELD_RO's operations in random order."""
        rng = self.rng
        words = [self.case(rng.choice([b"bitfield", b"bitfield", b"bitfield_ro"])), self.key()]
        for _ in range(rng.randint(0, 4)):
            kind, offset = rng.choice(ENCODINGS[:6] if rng.random() < 0.9 else ENCODINGS), rng.choice(
                BIT_OFFSETS[:9] if rng.random() < 0.9 else BIT_OFFSETS)
            match rng.randrange(4):
                case 0:
                    words += [self.case(b"get"), kind, offset]
                case 1:
                    words += [self.case(b"set"), kind, offset, self.integer()]
                case 2:
                    words += [self.case(b"incrby"), kind, offset, self.integer()]
                case 3:
                    words += [self.case(b"overflow"), self.case(rng.choice([b"wrap", b"sat", b"fail", b"foo"]))]
        return without_wrong_saturation(words)

    def sorted_set(self):
        """Filling a sorted set and looking at ranges of it, with options and ends that go together."""
        rng, key = self.rng, self.key()
        match rng.randrange(7):
            case 0 | 1:
                words = [self.case(b"zadd"), key]
                words += [self.case(option) for option in (b"nx", b"xx", b"gt", b"lt", b"ch", b"incr")
                          if rng.random() < 0.12]
                for _ in range(rng.choice([1, 2, 4, 8])):
                    words += [b"0" if rng.random() < 0.4 else self.score(), self.value()]
                return words
            case 2:
                name, ends = rng.choice([(b"zcount", SCORE_ENDS), (b"zlexcount", LEX_ENDS), (b"zremrangebylex", LEX_ENDS),
                                         (b"zremrangebyscore", SCORE_ENDS)])
                return [self.case(name), key, self.end(ends), self.end(ends)]
            case 3:
                name, ends = rng.choice([(b"zrangebyscore", SCORE_ENDS), (b"zrevrangebyscore", SCORE_ENDS),
                                         (b"zrangebylex", LEX_ENDS), (b"zrevrangebylex", LEX_ENDS)])
                scored = ends is SCORE_ENDS and rng.random() < 0.4
                return [self.case(name), key, self.end(ends), self.end(ends), *([b"WITHSCORES"] if scored else []),
                        *self.limit()]
        by, ends = rng.choice([(b"byscore", SCORE_ENDS), (b"bylex", LEX_ENDS), (None, INTEGERS[:LIKELY_INTEGERS])])
        words = [self.case(b"zrangestore"), self.key()] if rng.random() < 0.3 else [self.case(b"zrange")]
        words += [key, self.end(ends), self.end(ends)]
        options = [[self.case(by)]] if by else []
        options += [[self.case(b"rev")]] if rng.random() < 0.5 else []
        options += [[b"WITHSCORES"]] if rng.random() < 0.3 else []
        options += [self.limit()] if by or rng.random() < 0.05 else []
        rng.shuffle(options)
        return words + [word for option in options for word in option]

    def sorting(self):
        """SORT with options that go together, and what it sorts. That has keys of its own: in Redis, SORT makes a skip
        list of a small sorted set, which other commands notice."""
        rng, key = self.rng, self.rng.choice(SORTED_KEYS)
        if rng.random() < 0.35:
            name, values = rng.choice(["rpush", "sadd", "zadd", "del"]), rng.choice([VALUES, INTEGERS[:LIKELY_INTEGERS]])
            elements = [rng.choice(values) for _ in range(rng.choice([1, 3, 8]))]
            scored = [word for element in elements for word in (self.score(), element)]
            return [name.encode(), key, *{"zadd": scored, "del": []}.get(name, elements)]
        words = [self.case(rng.choice([b"sort", b"sort", b"sort_ro"])), key]
        options = [[self.case(b"by"), rng.choice(KEY_PATTERNS)]] if rng.random() < 0.5 else []
        options += [[self.case(b"get"), rng.choice(KEY_PATTERNS)] for _ in range(rng.choice([0, 0, 0, 1, 2]))]
        options += [[self.case(rng.choice([b"asc", b"desc"]))]] if rng.random() < 0.5 else []
        options += [[self.case(b"alpha")]] if rng.random() < 0.5 else []
        options += [[self.case(b"store"), rng.choice([self.key(), key])]] if rng.random() < 0.3 else []
        options += [self.limit()]
        rng.shuffle(options)
        words += [word for option in options for word in option]
        if rng.random() < 0.1:
            words = self.spoilt(words, 2)
        return without_open_orders(words)

    def limit(self):
        return [self.case(b"limit"), self.integer(), self.integer()] if self.rng.random() < 0.4 else []

    def place(self, limit, cluster):
        """A longitude (limit 180) or a latitude (85)."""
        rng = self.rng
        if rng.random() < 0.03:
            return rng.choice(EDGES[limit])
        return b"%.7f" % (rng.gauss(limit / 10, 0.5) if cluster else rng.uniform(-limit, limit))

    def places(self):
        """Filling a set with places, and asking for them."""
        rng = self.rng
        key = rng.choice(GEO_KEYS) if rng.random() < 0.9 else self.key()
        match rng.randrange(10):
            case 0 | 1 | 2:
                words = [self.case(b"geoadd"), key, *(self.case(word) for word in (b"nx", b"xx", b"ch") if rng.random() < 0.08)]
                for _ in range(rng.choice([1, 2, 4, 8, 30])):
                    cluster = rng.random() < 0.7
                    words += [self.place(180, cluster), self.place(85, cluster), self.member()]
                return words
            case 3:
                words = [self.case(b"geodist"), key, self.member(), self.member()]
                return words + ([self.case(rng.choice(UNITS))] if rng.random() < 0.5 else [])
            case 4:
                return [self.case(rng.choice([b"geopos", b"geohash"])), key, *(self.member() for _ in range(rng.choice([1, 2, 5])))]
        return self.geo_search(key)

    def member(self):
        return self.value() if self.rng.random() < 0.3 else b"place %d" % self.rng.randrange(60)

    def length(self, careful=False):
        return b"%.5f" % (10 ** self.rng.uniform(0, 7.5)) if careful or self.rng.random() < 0.96 else self.rng.choice(DOUBLES)

    def geo_search(self, key):
        rng, cluster = self.rng, self.rng.random() < 0.7
        name = rng.choice(GEO_SEARCHES)
        # Redis does not look at the circle around a member of a missing key before it empties the destination.
        careful = name == "georadiusbymember"
        unit = self.case(rng.choice(UNITS) if careful or rng.random() < 0.97 else b"miles")
        point = [self.place(180, cluster), self.place(85, cluster)]
        options = []
        if name.startswith("georadius"):
            centre = [self.member()] if "bymember" in name else point
            words = [self.case(name.encode()), key, *centre, self.length(careful), unit]
        else:
            words = [self.case(name.encode()), *([self.destination()] if name == "geosearchstore" else []), key]
            options += [rng.choice([[self.case(b"frommember"), self.member()], [self.case(b"fromlonlat"), *point]])]
            options += [rng.choice([[self.case(b"byradius"), self.length(), unit],
                                    [self.case(b"bybox"), self.length(), self.length(), unit]])]
        if name in ("georadius", "georadiusbymember") and rng.random() < 0.3:
            options += [rng.choice([[self.case(b"store"), self.destination()], [self.case(b"storedist"), self.key()]])]
        elif rng.random() < (0.3 if name == "geosearchstore" else 0.01):
            options += [[self.case(b"storedist")]]
            words = [words[0], self.key(), *words[2:]] if name == "geosearchstore" else words
        elif name != "geosearchstore" or rng.random() < 0.05:
            options += [[self.case(b"with" + what)] for what in (b"dist", b"hash", b"coord") if rng.random() < 0.4]
        options += [[self.case(rng.choice([b"asc", b"desc"]))]] if rng.random() < 0.6 else []
        if key in GEO_KEYS and rng.random() < 0.4:  # elsewhere places may be the same, of which some would be left out
            options += [[self.case(b"count"), self.integer() if rng.random() < 0.1 else b"%d" % rng.randrange(1, 40)]]
        elif rng.random() < 0.02:  # which members it chooses is open: only without COUNT, where it is an error
            options += [[rng.choice([self.case(b"any"), b"foo"])]]
        rng.shuffle(options)
        return words + [word for option in options for word in option]

    def destination(self):
        return self.rng.choice(GEO_KEYS) if self.rng.random() < 0.3 else self.key()

    def stream_id(self):
        """An id that some entry may have, mostly."""
        rng = self.rng
        if rng.random() < 0.08:
            return rng.choice(STREAM_IDS)
        ms = max(0, self.stream_ms - rng.randrange(40))
        return b"%d" % ms if rng.random() < 0.3 else b"%d-%d" % (ms, rng.randrange(4))

    def trimming(self, key):
        """MAXLEN and MINID with what belongs to them, and sometimes what does not."""
        rng = self.rng
        words = [self.case(b"maxlen"), b"%d" % rng.randrange(30)] if rng.random() < 0.5 else \
            [self.case(b"minid"), self.stream_id()]
        about = rng.random() < 0.5 and key in STREAM_KEYS
        if about or rng.random() < 0.3:
            words.insert(1, b"~" if about else b"=")
        if rng.random() < (0.5 if about else 0.05):
            words += [self.case(b"limit"), b"%d" % rng.randrange(30) if rng.random() < 0.9 else self.integer()]
        if rng.random() < 0.03:
            words += rng.choice([[b"maxlen", b"1"], [b"limit", b"1"], [b"foo"], [b"limit", b"-1"]])
        return words

    def adding(self, key):
        rng = self.rng
        self.stream_ms += rng.choice([0, 0, 1, 1, 2, 300])
        small = key in STREAM_KEYS
        names = rng.choice([[b"f"], [b"f"], [b"f", b"g"], [b"other"]])
        pairs = [word for name in names for word in (name, rng.choice(STREAM_VALUES) if small else self.value())]
        word = rng.choice([b"%d-*" % self.stream_ms] * 8 + [b"%d-%d" % (self.stream_ms, rng.randrange(50)), self.stream_id()])
        if word == b"9-18446744073709551615":
            word = b"9-9"  # Redis 7.0 has no answer of its own to the id behind it
        words = [self.case(b"xadd"), key] + ([self.case(b"nomkstream")] if rng.random() < 0.1 else [])
        words += self.trimming(key) if rng.random() < 0.2 else []
        words += [word, *pairs]
        return words[:-1] if rng.random() < 0.03 else words

    def reading(self):
        """XREAD; inside a transaction it may ask to wait."""
        rng = self.rng
        keys = [self.stream_key() for _ in range(rng.choice([1, 1, 2, 3]))]
        found = [rng.choice([b"$", b"0", b">", self.stream_id(), self.stream_id(), self.stream_id()]) for _ in keys]
        found = [b"0" if word == b"+" else word for word in found]  # an id since 7.4
        words = [self.case(b"xread")]
        words += [self.case(b"count"), self.integer()] if rng.random() < 0.4 else []
        words += [self.case(b"block"), rng.choice([b"1", b"2", b"1", b"-1", b"x"])] if rng.random() < 0.1 else []
        words += [self.case(b"streams"), *keys, *found]
        return words[:-1] if rng.random() < 0.03 else words

    def stream_key(self):
        return self.rng.choice(STREAM_KEYS) if self.rng.random() < 0.9 else self.key()

    def streams(self):
        """Filling streams, looking at parts of them and taking entries out."""
        rng, key = self.rng, self.stream_key()
        match rng.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                return self.adding(key)
            case 5:
                return [self.case(b"xtrim"), key, *self.trimming(key)]
            case 6:
                return [self.case(b"xdel"), key, *(self.stream_id() for _ in range(rng.choice([1, 2, 5])))]
            case 7:
                return [self.case(b"xinfo"), self.case(b"stream"), key,
                        *rng.choice([[], [], [b"FULL"], [b"full", b"count", self.integer()], [b"FOO"]])]
            case 8:
                return self.reading()
            case 9:
                # Not the largest number, from which Redis's count goes on at the lowest.
                added = b"%d" % rng.randrange(60) if rng.random() < 0.9 else rng.choice(INTEGERS[:LIKELY_INTEGERS])
                options = [[b"ENTRIESADDED", added],
                           [b"MAXDELETEDID", self.stream_id()]]
                # Not below what was deleted, which 7.0 takes.
                return [self.case(b"xsetid"), key, rng.choice([b"%d-0" % (self.stream_ms + 5), b"5-*", b"x"]),
                        *(word for option in options if rng.random() < 0.4 for word in option)]
        ends = [rng.choice([b"-", self.stream_id(), b"(" + self.stream_id()]),
                rng.choice([b"+", self.stream_id(), b"(" + self.stream_id()])]
        words = [self.case(b"xrange"), key, *ends] if rng.random() < 0.5 else [self.case(b"xrevrange"), key, *ends[::-1]]
        return words + ([self.case(b"count"), self.integer()] if rng.random() < 0.3 else [])

    def groups(self):
        """Commands about consumer groups: one, or several where a consumer has to be there first, because 7.0 makes it
        only when it gets something."""
        rng, key = self.rng, self.stream_key()
        group, consumer = rng.choice(GROUPS), rng.choice(CONSUMERS)
        known = [[b"XGROUP", b"CREATECONSUMER", key, group, consumer]]
        match rng.randrange(16):
            case 0 | 1:
                return [[self.case(b"xgroup"), self.case(b"create"), key, group, self.group_start(), *self.group_options(True)]]
            case 2:
                return [self.managing(key, group, consumer)]
            case 3 | 4 | 5 | 6 | 7:
                return known + self.reading_groups(key, group, consumer)
            case 8 | 9:
                return [[self.case(b"xack"), key, group, *self.stream_ids()]]
            case 10:
                return [self.looking_at_pending(key, group, consumer)]
            case 11 | 12:
                return known + [self.claiming(key, group, consumer)]
            case 13:
                words = [self.case(b"xautoclaim"), key, group, consumer, rng.choice(IDLE_MINIMA),
                         rng.choice([b"-", b"0", self.stream_id(), b"(" + self.stream_id()])]
                words += [self.case(b"count"), rng.choice([b"1", b"2", b"5", b"0", b"-1", b"x"])] if rng.random() < 0.5 else []
                return known + [words + ([self.case(b"justid")] if rng.random() < 0.5 else [])]
        return [[self.case(b"xinfo"), *rng.choice([[b"GROUPS", key], [b"CONSUMERS", key, group], [b"STREAM", key, b"FULL"]])]]

    def stream_ids(self):
        return [self.stream_id() for _ in range(self.rng.choice([1, 1, 2, 5, 10]))]

    def group_start(self):
        return self.rng.choice([b"$", b"0", b"0", self.stream_id()])

    def group_options(self, creating):
        rng = self.rng
        options = [[self.case(b"mkstream")]] if creating and rng.random() < 0.5 else []
        options += [[self.case(b"entriesread"), rng.choice([b"0", b"3", b"-1", b"-2", b"x"])]] if rng.random() < 0.15 else []
        options += [[b"FOO"]] if rng.random() < 0.02 else []
        rng.shuffle(options)
        return [word for option in options for word in option]

    def managing(self, key, group, consumer):
        """What is done to a group that is there."""
        match self.rng.randrange(5):
            case 0:
                words = [b"setid", key, group, self.group_start(), *self.group_options(False)]
            case 1:
                words = [b"destroy", key, group]
            case 2:
                words = [b"delconsumer", key, group, consumer]
            case _:
                words = [b"createconsumer", key, group, consumer]
        return [self.case(b"xgroup"), self.case(words[0]), *words[1:]]

    def reading_groups(self, key, group, consumer):
        rng = self.rng
        keys = [key, *(self.stream_key() for _ in range(rng.choice([0, 0, 0, 1])))]
        known = [[b"XGROUP", b"CREATECONSUMER", other, group, consumer] for other in keys[1:]]
        ids = [rng.choice([b">", b">", b">", b"0", self.stream_id()]) for _ in keys]
        ids = [b"0" if word == b"+" else word for word in ids]  # has words of its own since 7.4
        options = [[self.case(b"group"), group, consumer]]
        options += [[self.case(b"count"), rng.choice([b"1", b"1", b"2", b"5", b"0", b"-1", b"x"])]] if rng.random() < 0.6 else []
        options += [[self.case(b"noack")]] if rng.random() < 0.2 else []
        options += [[self.case(b"block"), rng.choice([b"-1", b"x", b"1"])]] if rng.random() < 0.05 else []
        options += [[b"FOO"]] if rng.random() < 0.01 else []
        rng.shuffle(options)
        words = [self.case(b"xreadgroup"), *(word for option in options for word in option), self.case(b"streams"), *keys, *ids]
        return known + [words[:-1] if rng.random() < 0.02 else words]

    def looking_at_pending(self, key, group, consumer):
        rng = self.rng
        words = [self.case(b"xpending"), key, group]
        if rng.random() < 0.3:
            return words
        words += [self.case(b"idle"), rng.choice(IDLE_MINIMA)] if rng.random() < 0.3 else []
        words += [rng.choice([b"-", b"-", self.stream_id(), b"(" + self.stream_id()]),
                  rng.choice([b"+", b"+", self.stream_id(), b"(" + self.stream_id()]),
                  rng.choice([b"10", b"1000", b"1", b"0", b"-1", b"x"])]
        return words + ([consumer] if rng.random() < 0.4 else [])

    def claiming(self, key, group, consumer):
        rng = self.rng
        words = [self.case(b"xclaim"), key, group, consumer, rng.choice(IDLE_MINIMA), *self.stream_ids()]
        options = [[self.case(b"idle"), rng.choice(IDLE_TIMES)], [self.case(b"time"), rng.choice([b"1000", b"99999999999999"])],
                   [self.case(b"retrycount"), rng.choice([b"0", b"7", b"-1", b"x"])], [self.case(b"force")],
                   [self.case(b"justid")], [self.case(b"lastid"), self.stream_id()], [b"FOO"]]
        chances = [0.15, 0.1, 0.15, 0.3, 0.4, 0.1, 0.01]
        return words + [word for option, chance in zip(options, chances) if rng.random() < chance for word in option]

    def blocking(self):
        """A command that waits, but not for long: shrinking may take its transaction away."""
        rng = self.rng
        name, timeout = rng.choice(BLOCKING), rng.choice(TIMEOUTS[:3] if rng.random() < 0.8 else TIMEOUTS)
        keys = [self.key() for _ in range(rng.choice([1, 1, 2, 3]))]
        ends = [self.case(rng.choice([b"left", b"right"])) for _ in range(2)]
        match name:
            case "blmpop" | "bzmpop":
                if name == "bzmpop":
                    ends = [self.case(rng.choice([b"min", b"max"]))]
                count = b"%d" % len(keys) if rng.random() < 0.95 else self.integer()
                words = [timeout, count, *keys, ends[0], *rng.choice([[], [self.case(b"count"), self.integer()]])]
            case "blmove":
                words = [keys[0], self.key(), *ends, timeout]
            case "brpoplpush":
                words = [keys[0], self.key(), timeout]
            case _:
                words = [*keys, timeout]
        return [self.case(name.encode()), *words]

    def unknown(self):
        """Commands and subcommands that neither server has."""
        rng = self.rng
        if rng.random() < 0.5:
            return [self.case(rng.choice([b"client", b"object", b"config", b"command"])), b"nosuch",
                    *rng.sample(VALUES, rng.randint(0, 2))]
        return [rng.choice([b"foo", b"GETT", b"", b"x" * 200, b"a b"]), *rng.sample(VALUES, rng.randint(0, 3))]

    def getkeys(self):
        """COMMAND GETKEYS and GETKEYSANDFLAGS of a random command."""
        words = self.command() if self.rng.random() < 0.9 else self.sorting()
        if len(words) == 1:
            words.append(self.key())  # Redis 7.0 wants two
        return [b"command", self.rng.choice([b"getkeys", b"getkeysandflags"]), *words]


def without_open_orders(words):
    """Makes sure that SORT stores the same on both: not by weights, of which equal ones are in any order, and not by
    numbers, which Redis 7.0 refuses now and then (see the rule "left-over-errors")."""
    lower = [word.lower() for word in words]
    if lower[:1] != [b"sort"] or b"store" not in lower:
        return words
    weights = [at for at in range(2, len(words) - 1) if lower[at] == b"by" and b"*" in words[at + 1]]
    kept = [word for at, word in enumerate(words) if at not in weights and at - 1 not in weights]
    return kept + [b"ALPHA"]


def without_wrong_saturation(words):
    """Makes sure that BITFIELD stores the same on both: a SET far below a signed field's range is above it for Redis 7.0,
    which fills the field with its largest number."""
    if words[:1] and words[0].lower() == b"bitfield":
        return [b"-9223372036854" if word == b"-9223372036854775808" else word for word in words]
    return words


def without_near_times(words):
    """Makes sure that no key's time runs out while the two servers are compared."""
    if not words or words[0].lower() not in TIME_COMMANDS:
        return words
    first = 3 if words[0].lower() == b"set" else 2
    if words[0].lower() in (b"setex", b"psetex"):
        checked = words[2:3]
    else:
        checked = words[first:]
    if words[0].lower() == b"set":
        # A key that is over when it is set: Redis 7.0 keeps it until somebody looks, so that DBSIZE counts it.
        safe = [b"9999999999999" if re.fullmatch(rb"[1-9]\d{0,11}", word) else word for word in checked]
    else:
        safe = [b"100000000" if re.fullmatch(rb"[1-9]\d{0,8}", word) else word for word in checked]
    return words[:first] + safe + words[first + len(safe):]
