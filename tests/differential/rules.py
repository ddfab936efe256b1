"""Differences that are wanted. Each rule has a name, under which docs/differences.md explains it to users.

A rule looks at one command (lower-case words), our reply and theirs as trees (see session.tree) and says whether
this is the difference that it explains. Rules are narrow: they name commands and shapes, never "whatever".
"""
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
    """Reading the same time to live a moment apart."""
    tolerance = {b"ttl": 3, b"expiretime": 3, b"pttl": 3000, b"pexpiretime": 3000}.get(words[0])
    if tolerance is None and words[0] == b"object" and len(words) > 1 and words[1].lower() == b"idletime":
        return ours[0] == theirs[0] == ":" and abs(ours[1] - theirs[1]) <= 10
    return tolerance is not None and _near(tolerance)(words, ours, theirs, grammar)


def _order(words, ours, theirs, grammar):
    """KEYS promises no order."""
    return words[0] == b"keys" and ours[0] == theirs[0] == "*" and sorted(ours[1]) == sorted(theirs[1])


def _random(words, ours, theirs, grammar):
    """RANDOMKEY: some key there, none here would be a difference."""
    return words[0] == b"randomkey" and ours[0] == theirs[0] == "$" and None not in (ours[1], theirs[1])


def _help(words, ours, theirs, grammar):
    """HELP of a container: our own words."""
    return (len(words) == 2 and words[1].lower() == b"help" and ours[0] == theirs[0] == "*"
            and all(line[0] == "+" for line in ours[1]))


RULES = [
    Rule("clock", "The two servers are asked a moment apart.", _clock),
    Rule("order-of-keys", "KEYS promises no order.", _order),
    Rule("randomness", "RANDOMKEY is random.", _random),
    Rule("help-texts", "HELP answers with texts of our own.", _help),
]


def explain(words, ours, theirs, grammar):
    """The rule that explains the difference, or None."""
    words = [words[0].lower(), *words[1:]] if words else [b""]
    return next((rule for rule in RULES if rule.explains(words, ours, theirs, grammar)), None)
