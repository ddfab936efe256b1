"""Differences that are wanted. Each rule has a name, under which docs/differences.md explains it to users.

A rule looks at one command (lower-case words), our reply and theirs as trees (see session.tree) and says whether
this is the difference that it explains. Rules are narrow: they name commands and shapes, never "whatever".
"""
import re
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Rule:
    name: str
    reason: str
    explains: Callable  # (words, ours, theirs, grammar) -> bool


def _near(seconds):
    def near(words, ours, theirs, grammar):
        return ours[0] == theirs[0] == ":" and ours[1] > 0 < theirs[1] and abs(ours[1] - theirs[1]) <= seconds
    return near


def _clock(words, ours, theirs, grammar):
    """Reading the same time to live a moment apart; servers that were started one after the other."""
    tolerance = {b"ttl": 3, b"expiretime": 3, b"pttl": 3000, b"pexpiretime": 3000,
                 b"lastsave": 600}.get(words[0])
    if tolerance is None and words[0] == b"object" and len(words) > 1 and words[1].lower() == b"idletime":
        # Keys with small integers share one value in Redis, and with it the clock of whichever was used last: as old as
        # the run.
        return ours[0] == theirs[0] == ":" and abs(ours[1] - theirs[1]) <= 600
    return tolerance is not None and _near(tolerance)(words, ours, theirs, grammar)


def _order(words, ours, theirs, grammar):
    """KEYS promises no order."""
    return words[0] == b"keys" and ours[0] == theirs[0] == "*" and sorted(ours[1]) == sorted(theirs[1])


def _order_of_members(words, ours, theirs, grammar):
    """Sets have no order."""
    return (words[0] in (b"smembers", b"sinter", b"sunion", b"sdiff") and ours[0] == theirs[0] and ours[0] in "*~"
            and sorted(ours[1]) == sorted(theirs[1]))


def _order_of_fields(words, ours, theirs, grammar):
    """Large hashes have no order."""
    if words[0] not in (b"hgetall", b"hkeys", b"hvals") or ours[0] != theirs[0] or ours[0] not in "*%":
        return False
    step = 2 if words[0] == b"hgetall" else 1
    pairs = [sorted(tree[1][at:at + step] for at in range(0, len(tree[1]), step)) for tree in (ours, theirs)]
    return pairs[0] == pairs[1]


def _order_of_sort(words, ours, theirs, grammar):
    """What SORT compares as equal: elements by equal texts, those of a set that is not to be sorted, and texts with a
    zero byte, which end there for Redis."""
    lower = [word.lower() for word in words]
    if words[0] not in (b"sort", b"sort_ro") or b"store" in lower or ours[0] != "*" or theirs[0] != "*" or \
            len(ours[1]) != len(theirs[1]):
        return False
    by = [words[at + 1] for at, word in enumerate(lower[:-1]) if word == b"by"]
    unsorted = any(b"*" not in pattern for pattern in by)
    zero_bytes = any(b"\0" in (item[1] or b"") for item in ours[1])
    is_open = unsorted or b"alpha" in lower and (by or zero_bytes)
    return is_open and (b"limit" in lower or sorted(map(str, ours[1])) == sorted(map(str, theirs[1])))


def _left_over_errors(words, ours, theirs, grammar):
    """Whether a number is too large is told to Redis by errno, which an earlier command may have left behind."""
    return (words[0] in (b"sort", b"sort_ro") and ours[0] == "*"
            and theirs == ("-", "ERR One or more scores can't be converted into double"))


def _same_scores(ours, theirs, same):
    """Whether two replies differ in scores only, and there as `same` says."""
    if ours == theirs:
        return True
    if ours[0] != theirs[0] or not ours[1] or not theirs[1]:
        return False
    if ours[0] in "*~":
        return len(ours[1]) == len(theirs[1]) and all(map(_same_scores, ours[1], theirs[1], [same] * len(ours[1])))
    if ours[0] not in "$,":
        return False
    texts = [text.decode("latin-1") if isinstance(text, bytes) else text for text in (ours[1], theirs[1])]
    number = r"-?(\d+(\.\d+)?(e[+-]\d+)?|inf)"
    return all(re.fullmatch(number, text) for text in texts) and same(*texts)


def _digits(words, ours, theirs, grammar):
    """Redis 7.0 writes 17 digits of a score, later versions as few as name it, and the exponent elsewhere and shorter."""
    return (words[0].startswith((b"z", b"bz"))
            and _same_scores(ours, theirs, lambda a, b: float(a) == float(b) and b in ("%.17g" % float(b), "-0")))


def _order_of_places(words, ours, theirs, grammar):
    """Redis answers cell by cell around the centre, and with places that are equally far as its sorting leaves them."""
    return (words[0] in (b"geosearch", b"georadius", b"georadius_ro", b"georadiusbymember", b"georadiusbymember_ro")
            and ours[0] == theirs[0] == "*" and sorted(map(repr, ours[1])) == sorted(map(repr, theirs[1]))
            and (not any(word.lower() in (b"asc", b"desc", b"count") for word in words[3:]) or _same_distances(ours, theirs)))


def _same_distances(ours, theirs):
    """Whether the distances that are shown come in the same order: what is exchanged is equally far."""
    shown = [[part[1][1] for part in tree[1] if part[0] == "*" and part[1][1][0] == "$"] for tree in (ours, theirs)]
    return shown[0] == shown[1]


def _random(words, ours, theirs, grammar):
    """RANDOMKEY: some key there, none here would be a difference."""
    return words[0] == b"randomkey" and ours[0] == theirs[0] == "$" and None not in (ours[1], theirs[1])


def _help(words, ours, theirs, grammar):
    """HELP of a container: our own words."""
    return (len(words) == 2 and words[1].lower() == b"help" and ours[0] == theirs[0] == "*"
            and all(line[0] == "+" for line in ours[1]))


# Errors about the arguments themselves, found before anything is done.
ARGUMENT_ERRORS = (
    "ERR syntax error", "ERR value is not an integer or out of range", "ERR DB index is out of range",
    "ERR Unsupported option ", "ERR bit offset is not an integer or out of range",
    "ERR bit is not an integer or out of range", "ERR value is not a valid float", "ERR invalid expire time in ",
    "ERR offset is out of range", "ERR The bit argument must be 1 or 0.", "ERR NX and XX, GT or LT options",
    "ERR GT and LT options", "ERR value is out of range, must be positive", "ERR value is out of range, value must", "ERR RANK can't be zero",
    "ERR COUNT can't be negative", "ERR MAXLEN can't be negative", "ERR LIMIT can't be negative",
    "ERR numkeys should be greater than 0", "ERR count should be greater than 0", "ERR Number of keys can't be", "ERR invalid DB index", "ERR invalid first DB index", "ERR invalid second DB index",
    "ERR weight value is not a float", "ERR min or max ", "ERR at least 1 input key is needed for",
    "ERR XX and NX options", "ERR GT, LT, and/or NX options", "ERR INCR option supports a single",
    "ERR need numeric ", "ERR radius cannot be negative", "ERR height or width cannot be", "ERR unsupported unit provided.",
    "ERR invalid longitude,latitude pair", "ERR exactly one of ", "ERR COUNT must be > 0", "ERR the ANY argument requires",
    "ERR STORE option in GEORADIUS is not", "ERR GEOSEARCHSTORE is not compatible",
    "ERR Invalid bitfield type.", "ERR Invalid OVERFLOW type specified", "ERR Invalid stream ID", "ERR invalid start ID",
    "ERR invalid end ID", "ERR entries_added must be positive")


# Errors about what a key holds.
WRONG_TYPES = ("WRONGTYPE ", "ERR could not decode requested zset member", "ERR The specified keys must contain string values")


def _is_argument_error(tree):
    return tree[0] == "-" and tree[1].startswith(ARGUMENT_ERRORS)


def _error_order(words, ours, theirs, grammar):
    """A command with two faults: we look at its shape first, at the numbers then and at the keys last, each command
    the same way."""
    wrong_type = theirs[0] == "-" and theirs[1].startswith(WRONG_TYPES)
    if words[0] == b"xinfo":
        excess = ours[0] == "-" and ours[1].startswith("ERR unknown subcommand or wrong number of arguments")
        return (excess or _is_argument_error(ours)) and (wrong_type or theirs == ("-", "ERR no such key"))
    return _is_argument_error(ours) and (_is_argument_error(theirs) or wrong_type)


def _numbers_first(words, ours, theirs, grammar):
    """These do not look at their numbers in Redis 7.0 when the key is missing."""
    return (words[0] in (b"bitcount", b"bitpos", b"getex", b"lcs", b"georadiusbymember", b"georadiusbymember_ro")
            and _is_argument_error(ours) and theirs in ((":", 0), (":", -1), ("_", ""), ("$", None), ("*", [])))


def _refcount(words, ours, theirs, grammar):
    """How often a value is referred to says how the server is made."""
    return (words[0] == b"object" and len(words) == 3 and words[1].lower() == b"refcount"
            and ours[0] == theirs[0] == ":" and min(ours[1], theirs[1]) >= 1)


def _encoding(words, ours, theirs, grammar):
    """Small lists and sets are listpacks since Redis 7.2."""
    return (words[0] == b"object" and len(words) == 3 and words[1].lower() == b"encoding"
            and ours == ("$", b"listpack") and theirs in (("$", b"quicklist"), ("$", b"hashtable")))


def _bitfield_flags(words, ours, theirs, grammar):
    """The flags of BITFIELD's key when its operations are malformed: neither server would run it."""
    return ([word.lower() for word in words[:3]] == [b"command", b"getkeysandflags", b"bitfield"]
            and ours[0] == theirs[0] == "*" and [item[1][0] for item in ours[1]] == [item[1][0] for item in theirs[1]])


COUNTED_KEYS = (b"lmpop", b"sintercard", b"zmpop", b"zinter", b"zinterstore", b"zintercard", b"zunion", b"zunionstore",
                b"zdiff", b"zdiffstore")


def _keys_of_malformed_count(words, ours, theirs, grammar):
    """A number of keys that is no number, as the command itself would find: Redis reads its beginning."""
    words = [word.lower() for word in words[:5]]
    return (words[0] == b"command" and len(words) > 3 and words[1] in (b"getkeys", b"getkeysandflags")
            and words[2] in COUNTED_KEYS
            and not re.fullmatch(rb"[1-9]\d*", words[4 if words[2].endswith(b"store") and len(words) > 4 else 3])
            and ours == ("-", "ERR Invalid arguments specified for command"))



def _keys_of_lone_pfmerge(words, ours, theirs, grammar):
    """PFMERGE without sources is a whole command, whose only key is the destination."""
    return (words[0] == b"command" and len(words) == 4 and words[1].lower() in (b"getkeys", b"getkeysandflags")
            and words[2].lower() == b"pfmerge" and ours[0] == "*" and len(ours[1]) == 1
            and theirs == ("-", "ERR Invalid arguments specified for command"))


def _unbalanced(words, ours, theirs, grammar):
    """XREAD and XREADGROUP with fewer ids than keys, as later versions put it."""
    if words[0] not in (b"xread", b"xreadgroup") or ours[0] != "-" or theirs[0] != "-":
        return False
    as_before = ours[1].replace("'xreadgroup'", "XREAD").replace("'xread'", "XREAD").replace("'>'", "'$'")
    return as_before == theirs[1] and "list of streams" in ours[1]


def _stream_nodes(words, ours, theirs, grammar):
    """XINFO STREAM: nodes above those with entries say how the server is made."""
    if words[0] != b"xinfo" or ours[0] != theirs[0] or ours[0] not in "*%" or not ours[1] or len(ours[1]) != len(theirs[1]):
        return False
    names = ours[1][::2]
    differ = [name[1] for name, mine, other in zip(names, ours[1][1::2], theirs[1][1::2]) if mine != other]
    return names == theirs[1][::2] and differ == [b"radix-tree-nodes"]


def _least_rank(words, ours, theirs, grammar):
    """LPOS with the smallest of all integers as RANK, LREM with it as count: it has no positive counterpart."""
    return ((words[0] == b"lpos" and b"-9223372036854775808" in words[3:]
             or words[0] == b"lrem" and words[2] == b"-9223372036854775808")
            and ours[0] == "-" and ours[1].startswith("ERR value is out of range, value must between -9223372036854775807"))


def _no_end(words, ours, theirs, grammar):
    """BITCOUNT with a beginning and no end, since Valkey 8."""
    return (words[0] == b"bitcount" and len(words) == 3 and theirs == ("-", "ERR syntax error")
            and (ours[0] == ":" or _is_argument_error(ours) or ours[1].startswith(WRONG_TYPES)))


CLOCKED_MS = 60000  # how far apart the two servers may be asked


def _near_numbers(mine, other):
    return mine[0] == other[0] == ":" and abs(mine[1] - other[1]) <= CLOCKED_MS


def _same_pending(ours, theirs, clocked):
    """Rows of pending entries that differ in what the clock says, which stands at index `clocked`, only."""
    return ours[0] == theirs[0] == "*" and len(ours[1]) == len(theirs[1]) and all(
        len(mine[1]) == len(other[1]) and _near_numbers(mine[1][clocked], other[1][clocked])
        and mine[1][:clocked] + mine[1][clocked + 1:] == other[1][:clocked] + other[1][clocked + 1:]
        for mine, other in zip(ours[1], theirs[1]))


def _pending_times(words, ours, theirs, grammar):
    """XPENDING: how long ago an entry was delivered."""
    return words[0] == b"xpending" and len(words) > 3 and bool(ours[1]) and _same_pending(ours, theirs, 2)


def _named(tree):
    """A flat array or a map as a dictionary."""
    return {name[1]: value for name, value in zip(tree[1][::2], tree[1][1::2])}


def _same_fields(ours, theirs, special, newer=()):
    """Whether two maps have the same fields in the same order, but for those that are newer, and the same values, where
    `special` (a function by name) does not say what is as good."""
    if ours[0] != theirs[0] or ours[0] not in "*%" or not ours[1] or not theirs[1]:
        return False
    mine, other = _named(ours), _named(theirs)
    if [name for name in mine if name not in newer] != list(other):
        return False
    return all(mine[name] == other[name] or name in special and special[name](mine[name], other[name]) for name in other)


def _same_rows(special, newer=()):
    return lambda ours, theirs: (ours[0] == theirs[0] == "*" and len(ours[1]) == len(theirs[1]) and all(
        _same_fields(mine, other, special, newer) for mine, other in zip(ours[1], theirs[1])))


_same_consumers = _same_rows({b"idle": _near_numbers, b"seen-time": _near_numbers,
                              b"pending": lambda mine, other: _same_pending(mine, other, 1)}, (b"inactive", b"active-time"))


def _progress(mine, other):
    """How far a group has come; not known is null."""
    return {mine[0], other[0]} <= {":", "_", "$"} and (mine[0] != "$" or mine[1] is None) and (other[0] != "$" or other[1] is None)


_same_progress = {b"entries-read": _progress, b"lag": _progress}
_same_groups = _same_rows(_same_progress | {b"pending": lambda mine, other: _same_pending(mine, other, 2), b"consumers": _same_consumers})


def _consumers(words, ours, theirs, grammar):
    """XINFO: when consumers were seen, how long they have been inactive (since 7.2), when entries were delivered."""
    if words[0] != b"xinfo" or len(words) < 3 or ours[0] == "-" or theirs[0] == "-":
        return False
    if words[1].lower() == b"consumers":
        return bool(ours[1]) and _same_consumers(ours, theirs)
    return words[1].lower() == b"stream" and len(words) > 3 and _same_fields(
        ours, theirs, {b"groups": _same_groups, b"radix-tree-nodes": lambda mine, other: True})


def _groups(words, ours, theirs, grammar):
    """XINFO GROUPS: how far a group has come when entries ahead of it were cut off."""
    return (words[0] == b"xinfo" and len(words) == 3 and words[1].lower() == b"groups" and bool(ours[1])
            and _same_rows(_same_progress)(ours, theirs))


RULES = [
    Rule("clock", "The two servers are asked a moment apart.", _clock),
    Rule("times-of-consumers", "The clock; and fields since Redis 7.2.", _consumers),
    Rule("times-of-pending-entries", "The two servers are asked a moment apart.", _pending_times),
    Rule("order-of-keys", "KEYS promises no order.", _order),
    Rule("order-of-members", "Sets have no order.", _order_of_members),
    Rule("order-of-fields", "Large hashes have no order.", _order_of_fields),
    Rule("order-of-sort", "SORT leaves open what it compares as equal.", _order_of_sort),
    Rule("left-over-errors", "Numbers are numbers whatever came before.", _left_over_errors),
    Rule("order-of-places", "Places come in the order of their scores where none was asked for.", _order_of_places),
    Rule("digits-of-scores", "As few digits as name the score, as in later versions; zero has no sign.", _digits),
    Rule("randomness", "RANDOMKEY is random.", _random),
    Rule("order-of-errors", "Of two faults of a command, another is told.", _error_order),
    Rule("numbers-first", "Numbers are checked whether or not the key is there.", _numbers_first),
    Rule("reference-counts", "OBJECT REFCOUNT says how the server is made.", _refcount),
    Rule("small-encodings", "Small lists and sets are called listpacks, as in later versions.", _encoding),
    Rule("flags-of-malformed-bitfield", "Neither server would run it.", _bitfield_flags),
    Rule("keys-of-malformed-count", "The command itself would refuse the number, too.", _keys_of_malformed_count),
    Rule("keys-of-lone-pfmerge", "It runs, and has a key.", _keys_of_lone_pfmerge),
    Rule("unbalanced-streams", "The text of later versions.", _unbalanced),
    Rule("least-rank", "As in Redis 7.2; 7.0 computes with what does not exist.", _least_rank),
    Rule("bitcount-without-end", "The end may be left out, as in Valkey 8.", _no_end),
    Rule("progress-of-groups", "As in Redis 7.4: entries cut off ahead of a group count.", _groups),
    Rule("nodes-of-streams", "XINFO STREAM says how the server is made.", _stream_nodes),
    Rule("help-texts", "HELP answers with texts of our own.", _help),
]


def explain(words, ours, theirs, grammar):
    """The rule that explains the difference, or None."""
    words = [words[0].lower(), *words[1:]] if words else [b""]
    return next((rule for rule in RULES if rule.explains(words, ours, theirs, grammar)), None)
