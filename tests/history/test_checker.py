"""Proves that the checker refuses: for each thing that a slice could break, a history in which it is broken, and one as
near to it as can be that is fine."""
import random

import pytest

from .checker import NotLinearizable, Operation, check
from .model import BASE, Model, reduced

FILLERS = 100
FULL = (("sa", frozenset({BASE})),)
TWO_FULL = (("sa", frozenset({BASE})), ("sb", frozenset({BASE})))
A_LIST = (("la", (BASE,)),)


def members(*tokens):
    return frozenset(tokens)


def is_explained(start, *rows):
    """Rows: (client, call, back, result, name, *arguments)."""
    history = [Operation(client, name, tuple(arguments), result, call, back)
               for client, call, back, result, name, *arguments in rows]
    try:
        order = check(history, Model(FILLERS), start)
    except NotLinearizable:
        return False
    assert len(order) == len(history)
    return True


# name, the state at the start, a history that is wrong, one that is right.
RULES = {
    "a read sees what was written before": (
        (),
        [(0, 1, 2, 1, "SADD", "s", "x"), (1, 3, 4, 0, "SISMEMBER", "s", "x")],
        [(0, 1, 4, 1, "SADD", "s", "x"), (1, 2, 3, 0, "SISMEMBER", "s", "x")]),
    "a read does not see what comes later": (
        (),
        [(1, 1, 2, 1, "SISMEMBER", "s", "x"), (0, 3, 4, 1, "SADD", "s", "x")],
        [(1, 1, 4, 1, "SISMEMBER", "s", "x"), (0, 2, 3, 1, "SADD", "s", "x")]),
    "only one of two is the first": (
        (),
        [(0, 1, 4, 1, "SADD", "s", "x"), (1, 2, 3, 1, "SADD", "s", "x")],
        [(0, 1, 4, 0, "SADD", "s", "x"), (1, 2, 3, 1, "SADD", "s", "x")]),
    "a snapshot has all that was there before its call": (
        FULL,
        [(0, 1, 2, 1, "SADD", "sa", "x"), (1, 3, 9, members(BASE), "SMEMBERS", "sa")],
        [(0, 4, 5, 1, "SADD", "sa", "x"), (1, 3, 9, members(BASE), "SMEMBERS", "sa")]),
    "a snapshot is of one moment: no later member without an earlier one": (
        FULL,
        [(0, 2, 3, 1, "SADD", "sa", "x"), (0, 4, 5, 1, "SADD", "sa", "y"), (1, 1, 9, members(BASE, "y"), "SMEMBERS", "sa")],
        [(0, 2, 3, 1, "SADD", "sa", "x"), (0, 4, 5, 1, "SADD", "sa", "y"), (1, 1, 9, members(BASE, "x"), "SMEMBERS", "sa")]),
    "the same between clients": (
        FULL,
        [(0, 2, 3, 1, "SADD", "sa", "x"), (2, 4, 5, 1, "SADD", "sa", "y"), (1, 1, 9, members(BASE, "y"), "SMEMBERS", "sa")],
        [(0, 2, 5, 1, "SADD", "sa", "x"), (2, 4, 5, 1, "SADD", "sa", "y"), (1, 1, 9, members(BASE, "y"), "SMEMBERS", "sa")]),
    "a snapshot has all of the base": (
        FULL,
        [(1, 1, 9, reduced([b"f:%d" % number for number in range(99)], FILLERS), "SMEMBERS", "sa")],
        [(1, 1, 9, reduced([b"f:%d" % number for number in range(100)], FILLERS), "SMEMBERS", "sa")]),
    "a snapshot has nothing twice": (
        FULL,
        [(1, 1, 2, 1, "SADD", "sa", "x"),
         (1, 3, 4, reduced([b"f:%d" % number for number in range(100)] + [b"x", b"x"], FILLERS), "SMEMBERS", "sa")],
        [(1, 1, 2, 1, "SADD", "sa", "x"),
         (1, 3, 4, reduced([b"f:%d" % number for number in range(100)] + [b"x"], FILLERS), "SMEMBERS", "sa")]),
    "two snapshots agree on the order of two writes": (
        FULL,
        [(0, 1, 9, 1, "SADD", "sa", "x"), (1, 1, 9, 1, "SADD", "sa", "y"),
         (2, 2, 8, members(BASE, "x"), "SMEMBERS", "sa"), (3, 2, 8, members(BASE, "y"), "SMEMBERS", "sa")],
        [(0, 1, 9, 1, "SADD", "sa", "x"), (1, 1, 9, 1, "SADD", "sa", "y"),
         (2, 2, 8, members(BASE, "x"), "SMEMBERS", "sa"), (3, 2, 8, members(BASE, "x", "y"), "SMEMBERS", "sa")]),
    "a later snapshot has no less": (
        FULL,
        [(0, 1, 9, 1, "SADD", "sa", "x"), (2, 2, 3, members(BASE, "x"), "SMEMBERS", "sa"),
         (3, 4, 5, members(BASE), "SMEMBERS", "sa")],
        [(0, 1, 9, 1, "SADD", "sa", "x"), (2, 2, 3, members(BASE), "SMEMBERS", "sa"),
         (3, 4, 5, members(BASE, "x"), "SMEMBERS", "sa")]),
    "a count is that of a moment": (
        FULL,
        [(0, 1, 2, 1, "SADD", "sa", "x"), (1, 3, 4, 100, "SCARD", "sa")],
        [(0, 1, 2, 1, "SADD", "sa", "x"), (1, 3, 4, 101, "SCARD", "sa")]),
    "what is stored is of one moment of all sources": (
        TWO_FULL,
        [(0, 2, 3, 1, "SADD", "sa", "x"), (0, 4, 5, 1, "SADD", "sb", "y"), (1, 1, 9, 101, "SUNIONSTORE", "sd", "sa", "sb"),
         (1, 10, 11, members(BASE, "y"), "SMEMBERS", "sd")],
        [(0, 2, 3, 1, "SADD", "sa", "x"), (0, 4, 5, 1, "SADD", "sb", "y"), (1, 1, 9, 101, "SUNIONSTORE", "sd", "sa", "sb"),
         (1, 10, 11, members(BASE, "x"), "SMEMBERS", "sd")]),
    "a source that changes after the return is not in what was stored": (
        TWO_FULL,
        [(1, 1, 2, 100, "SUNIONSTORE", "sd", "sa", "sb"), (0, 3, 4, 1, "SADD", "sa", "x"),
         (1, 5, 6, members(BASE, "x"), "SMEMBERS", "sd")],
        [(1, 1, 2, 100, "SUNIONSTORE", "sd", "sa", "sb"), (0, 3, 4, 1, "SADD", "sd", "x"),
         (1, 5, 6, members(BASE, "x"), "SMEMBERS", "sd")]),
    "a write between is not lost when something is stored over it": (
        TWO_FULL,
        [(0, 3, 4, 1, "SADD", "sa", "x"), (1, 1, 9, 100, "SUNIONSTORE", "sa", "sa", "sb"),
         (0, 5, 6, 1, "SISMEMBER", "sa", "x"), (0, 10, 11, 0, "SISMEMBER", "sa", "x")],
        [(0, 3, 4, 1, "SADD", "sa", "x"), (1, 1, 9, 101, "SUNIONSTORE", "sa", "sa", "sb"),
         (0, 5, 6, 1, "SISMEMBER", "sa", "x"), (0, 10, 11, 1, "SISMEMBER", "sa", "x")]),
    "what is stored is seen at once": (
        FULL,
        [(1, 1, 9, 100, "SUNIONSTORE", "sd", "sa"), (2, 2, 3, 100, "SCARD", "sd"), (3, 4, 5, 0, "SCARD", "sd")],
        [(1, 1, 9, 100, "SUNIONSTORE", "sd", "sa"), (2, 2, 3, 0, "SCARD", "sd"), (3, 4, 5, 100, "SCARD", "sd")]),
    "a key that is renamed is always in one place": (
        FULL,
        [(1, 1, 9, "OK", "RENAME", "sa", "sb"), (2, 2, 3, 100, "SCARD", "sb"), (2, 4, 5, 100, "SCARD", "sa")],
        [(1, 1, 9, "OK", "RENAME", "sa", "sb"), (2, 2, 3, 100, "SCARD", "sa"), (2, 4, 5, 100, "SCARD", "sb")]),
    "what is deleted is gone at once": (
        FULL,
        [(1, 1, 9, 1, "DEL", "sa"), (2, 2, 3, 99, "SCARD", "sa")],
        [(1, 1, 9, 1, "DEL", "sa"), (2, 2, 3, 0, "SCARD", "sa")]),
    "a transaction is seen whole": (
        (),
        [(0, 1, 9, [1, 1], "EXEC", ("SADD", "sa", "x"), ("SADD", "sb", "x")),
         (1, 2, 3, 1, "SISMEMBER", "sa", "x"), (1, 4, 5, 0, "SISMEMBER", "sb", "x")],
        [(0, 1, 9, [1, 1], "EXEC", ("SADD", "sa", "x"), ("SADD", "sb", "x")),
         (1, 2, 3, 0, "SISMEMBER", "sa", "x"), (1, 4, 5, 1, "SISMEMBER", "sb", "x")]),
    "elements that are removed from a list go at once": (
        A_LIST,
        [(0, 1, 9, 100, "LREM", "la", BASE), (1, 2, 3, 100, "LLEN", "la"), (1, 4, 5, 50, "LLEN", "la")],
        [(0, 1, 9, 100, "LREM", "la", BASE), (1, 2, 3, 100, "LLEN", "la"), (1, 4, 5, 0, "LLEN", "la")]),
    "what is pushed while elements are removed is not lost": (
        A_LIST,
        [(0, 1, 9, 100, "LREM", "la", BASE), (1, 2, 3, 101, "RPUSH", "la", "x"), (1, 10, 11, (), "LRANGE", "la")],
        [(0, 1, 9, 100, "LREM", "la", BASE), (1, 2, 3, 101, "RPUSH", "la", "x"), (1, 10, 11, ("x",), "LRANGE", "la")]),
    "a list keeps its order": (
        A_LIST,
        [(0, 1, 2, 101, "RPUSH", "la", "x"), (1, 3, 4, ("x", BASE), "LRANGE", "la")],
        [(0, 1, 2, 101, "LPUSH", "la", "x"), (1, 3, 4, ("x", BASE), "LRANGE", "la")]),
    "a list's base is in one piece": (
        A_LIST,
        [(1, 3, 4, reduced([b"f:"] * 50 + [b"x"] + [b"f:"] * 50, FILLERS, in_order=True), "LRANGE", "la"),
         (0, 1, 9, 101, "RPUSH", "la", "x")],
        [(1, 3, 4, reduced([b"f:"] * 100 + [b"x"], FILLERS, in_order=True), "LRANGE", "la"),
         (0, 1, 9, 101, "RPUSH", "la", "x")]),
    "a range of a sorted set is removed at once": (
        (("za", members(BASE, "x")),),
        [(0, 1, 9, 100, "ZREMRANGEBYSCORE", "za"), (1, 2, 3, 1, "ZCARD", "za"), (1, 4, 5, 101, "ZCARD", "za")],
        [(0, 1, 9, 100, "ZREMRANGEBYSCORE", "za"), (1, 2, 3, 101, "ZCARD", "za"), (1, 4, 5, 1, "ZCARD", "za")]),
    "KEYS tells of one moment": (
        (),
        [(0, 2, 3, "OK", "SET", "x"), (0, 4, 5, "OK", "SET", "y"), (1, 1, 9, members("y"), "KEYS")],
        [(0, 2, 3, "OK", "SET", "x"), (0, 4, 5, "OK", "SET", "y"), (1, 1, 9, members("x"), "KEYS")]),
    "KEYS tells of a renamed key once": (
        (("", members("x")),),
        [(0, 2, 3, "OK", "RENAME NAME", "x", "y"), (1, 1, 9, members("x", "y"), "KEYS")],
        [(0, 2, 3, "OK", "RENAME NAME", "x", "y"), (1, 1, 9, members("y"), "KEYS")]),
    "FLUSHDB takes all at once": (
        (("", members(BASE, "x")),),
        [(0, 1, 9, "OK", "FLUSHDB"), (1, 2, 3, 0, "EXISTS", "x"), (1, 4, 5, 100, "DBSIZE")],
        [(0, 1, 9, "OK", "FLUSHDB"), (1, 2, 3, 1, "EXISTS", "x"), (1, 4, 5, 0, "DBSIZE")]),
    "an error is an answer too": (
        FULL,
        [(0, 1, 2, "no such key", "RENAME", "sa", "sb")],
        [(0, 1, 2, "no such key", "RENAME", "sb", "sa")]),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules(rule):
    start, wrong, right = RULES[rule]
    assert is_explained(start, *right)
    assert not is_explained(start, *wrong)


def history_of(rng, commands):
    """A history that is right: clients take their turns, and the times around them are stretched until they overlap."""
    model, world, rows, free = Model(FILLERS), {"sa": frozenset({BASE})}, [], [0.0] * 4
    for moment in range(1, commands + 1):
        client = rng.randrange(4)
        name, *arguments = rng.choice([("SADD", "sa", str(moment)), ("SADD", "sa", "x"), ("SREM", "sa", "x"),
                                       ("SISMEMBER", "sa", "x"), ("SMEMBERS", "sa"), ("SCARD", "sa"),
                                       ("SUNIONSTORE", "sb", "sa", "sb"), ("SMEMBERS", "sb"), ("RENAME", "sb", "sd")])
        result = model.run(world, name, *arguments)
        call = max(free[client], moment - 6 * rng.random())
        back = moment + 0.9 * rng.random()
        free[client] = back
        rows.append(Operation(client, name, tuple(arguments), result, call, back))
    return rows


@pytest.mark.parametrize("seed", range(10))
def test_what_is_right_passes_and_a_lost_write_does_not(seed):
    rng = random.Random(seed)
    history = history_of(rng, 300)
    check(history, Model(FILLERS), FULL)
    lost = rng.choice([one for one in history[:200] if one.name == "SADD" and one.result == 1 and one.arguments[1] != "x"])
    history.remove(lost)
    with pytest.raises(NotLinearizable):
        check(history, Model(FILLERS), FULL)
