"""200,000 random commands on our server and on redis-server 7.0: same replies to the byte, same messages,
same contents. Every other outcome needs a rule in rules.py and a paragraph in docs/differences.md.

SKUA_SEED=n repeats a run; SKUA_COMMANDS=n changes its length. A failure prints the seed and the shortest sequence of
commands that still shows the difference.
"""
import os
import pathlib
import random
import re

import pytest

from harness.server import REDIS, ROOT, SKUA, Server

from .grammar import KEYS, PATTERNS, VALUES, Grammar
from .rules import RULES
from .session import Difference, Duel, contents, scan_all, show_steps, shrink

SEED = int(os.environ.get("SKUA_SEED", "20261121"))
COMMANDS = int(os.environ.get("SKUA_COMMANDS", "200000"))
STEPS = 250  # of one sequence
PARTS = 4  # run by as many workers
GRAMMAR = pathlib.Path(os.environ.get("SKUA_GRAMMAR", ROOT / "build" / "dev" / "gen" / "commands.json"))
# A range of bytes in a sorted set whose scores differ means nothing: Redis answers by chance where it is a skiplist, and
# with the first run of members that fit, as we do, where it is a listpack.
# Few entries in a node of a stream let trimming meet whole nodes.
CONFIG = {"databases": 16, "maxmemory": 0, "zset-max-listpack-value": 1000000, "stream-node-max-entries": 5}


@pytest.fixture(scope="module")
def servers():
    kind = os.environ.get("SKUA_TEST_SERVER", SKUA)  # redis: the oracle beside itself, to test this test
    with Server(kind, "unix", 0, CONFIG) as ours, Server(REDIS, "unix", 0, CONFIG) as theirs:
        yield ours, theirs


def sequence(grammar, rng):
    """Random steps: most from the declarations, the rest from what the declarations cannot say."""
    steps = []
    of_streams = rng.random() < 0.1  # so that some grow to several nodes
    for _ in range(STEPS):
        connection = rng.randrange(2)
        chance = rng.random()
        if of_streams and rng.random() < 0.7:
            *before, words = grammar.groups() if rng.random() < 0.5 else [grammar.streams()]
            steps += [(connection, step) for step in before]
        elif chance < 0.07:
            words = grammar.places()
        elif chance < 0.1:
            *before, words = grammar.groups() if rng.random() < 0.3 else [grammar.streams()]
            steps += [(connection, step) for step in before]
        elif chance < 0.62:
            words = grammar.command()
            if words[0].lower() == b"ping":
                words = words[:2]  # see "numbers of arguments" in docs/differences.md
        elif chance < 0.66:
            words = grammar.bitfield()
        elif chance < 0.72:
            words = grammar.sorted_set()
        elif chance < 0.74:
            words = grammar.sorting()
        elif chance < 0.78:
            words = [rng.choice([b"SET", b"set", b"MSET"]), grammar.key(), grammar.value()]
        elif chance < 0.80:
            words = grammar.unknown()
        elif chance < 0.82:
            words = grammar.getkeys()
        elif chance < 0.84:
            steps += [(connection, words) for words in ([b"MULTI"], grammar.blocking(), grammar.blocking())]
            words = [b"EXEC"]
        elif chance < 0.88:
            words = rng.choice([[b"MULTI"], [b"EXEC"], [b"EXEC"], [b"exec"], [b"DISCARD"], [b"multi"], [b"EXEC", b"x"]])
        elif chance < 0.92:
            words = rng.choice([[b"WATCH", grammar.key()], [b"WATCH", grammar.key(), grammar.key()], [b"UNWATCH"],
                                [b"watch"], [b"UNWATCH", b"x"]])
        elif chance < 0.95:
            words = [b"SELECT", rng.choice([b"0", b"0", b"0", b"1", b"2", b"15", b"16", b"-1", b"x", b""])]
        elif chance < 0.98:
            words = [rng.choice([b"PUBLISH", b"publish"]), rng.choice(KEYS[:3]), grammar.value()]
        else:
            words = rng.choice([[b"PUBSUB", b"CHANNELS"], [b"PUBSUB", b"NUMSUB", b"k0", b"k1"], [b"PUBSUB", b"NUMPAT"],
                                [b"pubsub", b"channels", rng.choice(PATTERNS)], [b"PUBSUB", b"SHARDNUMSUB", b"k0"],
                                [b"PUBLISH", b"k0"], [b"DBSIZE"], [b"DBSIZE", b"x"], [b"FLUSHDB"], [b"FLUSHALL", b"SYNC"]])
        steps.append((connection, words))
    return steps


@pytest.mark.parametrize("part", range(PARTS))
def test_random_commands_get_the_same_replies(servers, part):
    rng = random.Random(SEED * PARTS + part)
    grammar = Grammar(GRAMMAR, rng)
    duel = Duel(*servers, grammar)
    while duel.count < COMMANDS / PARTS:
        steps, events = sequence(grammar, rng), rng.random() < 0.3
        try:
            duel.run(steps, events)
        except Difference as first:
            steps, smallest = shrink(lambda shorter: duel.run(shorter, events), steps)
            pytest.fail(f"SKUA_SEED={SEED} part {part}: an unexplained difference.\n{smallest or first}\n"
                        f"Shortest sequence ({'with' if events else 'without'} keyspace events):\n"
                        f"{show_steps(steps) if smallest else '(it does not show again by itself)'}", pytrace=False)
    for server in servers:
        server.check_alive()
    print(f"part {part}: {duel.count} commands, explained: {duel.explained}")


def test_scan_finds_the_same_keys(servers):
    rng = random.Random(SEED)
    for _ in range(10):
        pairs = [(b"%s:%d" % (rng.choice(KEYS), i), rng.choice(VALUES)) for i in range(rng.choice([0, 1, 50, 700]))]
        options = [word for option, chance in [((b"MATCH", rng.choice(PATTERNS)), 0.6), ((b"COUNT", b"7"), 0.4),
                                               ((b"TYPE", rng.choice([b"string", b"hash"])), 0.4)]
                   if rng.random() < chance for word in option]
        found = []
        for server in servers:
            client = server.connect()
            client("FLUSHALL")
            if pairs:
                client.pipeline(*[("SET", *pair) for pair in pairs])
            found.append(scan_all(client, *options))
            client.close()
        assert found[0] == found[1], options
    assert contents(servers[0].address) == contents(servers[1].address)


def test_every_rule_is_explained_to_users():
    text = (ROOT / "docs" / "differences.md").read_text()
    documented = set(re.findall(r"^### `([a-z0-9-]+)`", text, re.MULTILINE))
    assert documented == {rule.name for rule in RULES}
