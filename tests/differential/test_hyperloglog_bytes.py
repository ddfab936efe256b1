"""HyperLogLogs hold the same bytes as in redis-server 7.0 after the same commands: tens of thousands of random PFADD,
PFCOUNT and PFMERGE in pipelines, on sparse and dense values and over the limits between them.

SKUA_SEED=n repeats a run. Each round compares all replies first and the values of all keys then.
"""
import os
import random

import pytest

from harness.server import REDIS, SKUA, Server

SEED = int(os.environ.get("SKUA_SEED", "20261121"))
ROUNDS = 60
COMMANDS = 500  # of a round
KEYS = [b"h%d" % i for i in range(6)]
# 0 makes the first element dense; 18 is the size of an empty one; 16000 is never reached by small sets.
SPARSE_LIMITS = [0, 18, 21, 40, 100, 300, 3000, 3000, 3000, 16000]


@pytest.fixture(scope="module")
def clients():
    kind = os.environ.get("SKUA_TEST_SERVER", SKUA)
    with Server(kind, "unix", 0) as ours, Server(REDIS, "unix", 0) as theirs:
        yield ours.connect(), theirs.connect()
        ours.check_alive()


def element(rng, range_of_numbers):
    """A number, or bytes of any length: the hash reads eight at a time and the rest apart."""
    if rng.random() < 0.8:
        return b"%d" % rng.randrange(range_of_numbers)
    return rng.randbytes(rng.randrange(40))


def command(rng, range_of_numbers, elements_max):
    chance = rng.random()
    if chance < 0.80:
        count = rng.choice([0, 1, 1, 1, 2, 5, elements_max])
        return [b"PFADD", rng.choice(KEYS), *(element(rng, range_of_numbers) for _ in range(count))]
    if chance < 0.88:
        return [b"PFCOUNT", rng.choice(KEYS)]
    if chance < 0.92:
        return [b"PFCOUNT", *rng.choices(KEYS, k=rng.randint(2, 4))]
    if chance < 0.97:
        return [b"PFMERGE", *rng.choices(KEYS, k=rng.randint(1, 3))]
    if chance < 0.99:
        return [b"DEL", rng.choice(KEYS)]
    return [b"COPY", *rng.sample(KEYS, 2), b"REPLACE"]


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_random_commands_leave_the_same_bytes(clients, round_number):
    rng = random.Random(SEED * ROUNDS + round_number)
    limit = rng.choice(SPARSE_LIMITS)
    range_of_numbers, elements_max = rng.choice([20, 1000, 100000]), rng.choice([3, 30, 200])
    commands = [command(rng, range_of_numbers, elements_max) for _ in range(COMMANDS)]
    replies, values = [], []
    for client in clients:
        client("FLUSHALL")
        client("CONFIG", "SET", "hll-sparse-max-bytes", limit)
        replies.append(client.pipeline(*commands))
        values.append([client("GET", key) for key in KEYS])
    for words, ours, theirs in zip(commands, *replies):
        assert ours == theirs, words
    assert values[0] == values[1], (limit, range_of_numbers, elements_max)


def test_values_move_both_ways(clients):
    """A value that one server has made goes on in the other as it would have gone on at home."""
    ours, theirs = clients
    rng = random.Random(SEED)
    for client in clients:
        client("FLUSHALL")
        client("CONFIG", "SET", "hll-sparse-max-bytes", 3000)
    for size in (0, 1, 10, 100, 500, 900, 1100, 2000, 20000):
        first, second = ([b"%d" % rng.randrange(1 << 40) for _ in range(size)] for _ in range(2))
        for home, abroad in ((ours, theirs), (theirs, ours)):
            home("DEL", "k")
            home("PFADD", "k", *first)
            home("PFCOUNT", "k")
            abroad("SET", "k", home("GET", "k"))
            for client in clients:
                client("PFADD", "k", *second)
            assert ours("PFCOUNT", "k") == theirs("PFCOUNT", "k")
            assert ours("GET", "k") == theirs("GET", "k")
            assert ours("OBJECT", "ENCODING", "k") == theirs("OBJECT", "ENCODING", "k")


def corrupted(rng, value):
    """A sparse value with some of its operations changed, left out or doubled."""
    body = bytearray(value[16:])
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(body) + 1)
        match rng.randrange(3):
            case 0:
                del body[at:at + rng.randint(1, 3)]
            case 1:
                body[at:at] = bytes([rng.choice([0x00, 0x3f, 0x7f, 0x80, 0xff, rng.randrange(256)])])
            case _:
                if at < len(body):
                    body[at] = rng.randrange(256)
    if not body or body[-1] & 0xc0 == 0x40:
        body.append(0x80)  # not cut in the middle of an operation: see the test of ours alone
    return value[:8] + bytes(7) + b"\x80" + bytes(body)


def test_corrupted_values_are_treated_alike(clients):
    """Each command finds the fault or does not reach it; one element a command, since only Redis changes half."""
    ours, theirs = clients
    rng = random.Random(SEED)
    refused = 0
    for i in range(300):
        theirs("DEL", "base", "k")
        theirs("PFADD", "base", *(b"%d" % rng.randrange(10000) for _ in range(rng.choice([0, 1, 5, 50, 300]))))
        value = corrupted(rng, theirs("GET", "base"))
        commands = [(b"PFADD", b"k", element(rng, 1000)) for _ in range(5)]
        commands += [(b"PFADD", b"k"), (b"PFCOUNT", b"k"), (b"PFCOUNT", b"k", b"k"), (b"PFMERGE", b"other", b"k"),
                     (b"PFMERGE", b"k"), (b"PFDEBUG", b"ENCODING", b"k"), (b"PFDEBUG", b"TODENSE", b"k")]
        rng.shuffle(commands)
        for words in commands:
            for client in clients:
                client("SET", "k", value)
            replies = [client(*words) for client in clients]
            assert replies[0] == replies[1], (i, words, value)
            assert ours("GET", "k") == theirs("GET", "k"), (i, words, value)
            refused += "INVALIDOBJ" in str(replies[0])
    assert refused > 100, "hardly any value was corrupt"
