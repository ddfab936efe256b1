"""MEMORY USAGE says what a key takes: the sum over keys is what used_memory has grown by, for each type and size."""
import pytest

from harness.resp import eventually
from harness.server import is_slow_build

# Not under ASan: its allocator's memory says nothing of ours.
pytestmark = [pytest.mark.once, pytest.mark.skua_only("redis-server leaves its dictionary out")]

TOTAL_BYTES = 700_000 if is_slow_build() else 1_500_000  # about; used_memory moves in steps of 64 KB
NOISE_BYTES = 150_000  # buffers of connections and the like
TOLERANCE = 0.10

SHORT, LONG = 12, 2000


def text(number, size):
    return f"{number:x}".rjust(8, "m").ljust(size, "x")


def strings(size):
    return lambda key, count: [["SET", key, text(0, size)]]


def numbers(key, count):
    return [["SET", key, "123456"]]


def elements(name, *parts):
    """A command that stores `count` elements, each of the parts that the functions make of its number."""
    return lambda key, count: [[name, key, *(str(part(number)) for number in range(at, min(at + 100, count))
                                            for part in parts)] for at in range(0, count, 100)]


def one_by_one(name, *parts):
    return lambda key, count: [[name, key, *(str(part(number)) for part in parts)] for number in range(count)]


def short(number):
    return text(number, SHORT)


def long(number):
    return text(number, LONG)


def integer(number):
    return number * 7919 % 100_003


def fraction(number):
    return number / 7


def timed_hash(key, count):
    stored = elements("HSET", short, short)(key, count)
    return [*stored, *(["HPEXPIRE", key, 10_000_000, "FIELDS", len(words) // 2 - 1, *words[2::2]] for words in stored)]


def stream(key, count):
    return [["XADD", key, f"1700000000000-{number + 1}", "name", text(number, SHORT), "value", number]
            for number in range(count)]


KINDS = {
    # name: (how it is stored, about how many bytes an element takes)
    "strings": (strings(30), 60), "integers": (numbers, 40), "strings-of-20-KB": (strings(20_000), 20_000),
    "lists": (elements("RPUSH", short), 16), "lists-of-long-items": (elements("RPUSH", long), LONG),
    "lists-pushed-one-by-one": (one_by_one("LPUSH", short), 16),
    "sets": (elements("SADD", short), 18), "sets-of-integers": (elements("SADD", integer), 8),
    "hashes": (elements("HSET", short, short), 30), "hashes-of-long-values": (elements("HSET", short, long), LONG),
    "hashes-set-one-by-one": (one_by_one("HSET", short, integer), 24), "hashes-with-times": (timed_hash, 36),
    "sorted-sets": (elements("ZADD", integer, short), 40), "sorted-sets-of-fractions": (elements("ZADD", fraction, short), 50),
    "sorted-sets-of-long-members": (elements("ZADD", integer, long), LONG), "streams": (stream, 30),
}
SIZES = (1, 10, 100, 1_000, 20_000)
ONE_SIZE = ("strings", "integers", "strings-of-20-KB")


def cases():
    for kind, (_, element_bytes) in KINDS.items():
        for size in (1,) if kind in ONE_SIZE else SIZES:
            if element_bytes * size <= TOTAL_BYTES:
                yield pytest.param(kind, size, id=f"{kind}-{size}")


def used_memory(r):
    return int(r.info("memory")["used_memory"])


@pytest.mark.parametrize("kind, size", cases())
def test_the_sum_over_keys_is_what_used_memory_grows_by(start, kind, size):
    r = start().connect()
    store, element_bytes = KINDS[kind]
    count = max(1, TOTAL_BYTES // (element_bytes * size + 60))
    keys = [f"key:{number:07}" for number in range(count)]
    before = used_memory(r)
    # In short pipelines: the buffers of replies that pile up are kept, and would count.
    commands = [words for key in keys for words in store(key, size)]
    for at in range(0, len(commands), 200):
        for reply in r.pipeline(*commands[at:at + 200]):
            assert not isinstance(reply, Exception), reply
    told = sum(sum(r.pipeline(*(["MEMORY", "USAGE", key] for key in keys[at:at + 1000]))) for at in range(0, count, 1000))

    def is_true():
        grown = used_memory(r) - before
        return abs(told - grown) <= TOLERANCE * grown + NOISE_BYTES

    # What a command has replaced is given back in the background.
    eventually(is_true, f"used_memory has grown by {told:,.0f} bytes (it had been {before:,})")
