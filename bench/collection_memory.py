#!/usr/bin/python3
"""Bytes per element of collections of each type and size, Skua beside redis-server 7.0. Writes the table in docs/memory.md.

    bench/collection_memory.py              the whole, about a minute; `make bench` runs it
    bench/collection_memory.py --quick      a tenth of the elements: shows only that it works
    bench/collection_memory.py --only WORD  the rows whose name holds WORD; writes no page
    bench/collection_memory.py --page FILE  another page

Entry: measure, table, write_page. Every row is a pair of fresh servers that get the same commands. Three figures of each:
the growth of the resident set (what the machine must have), that of used_memory, and what MEMORY USAGE says of the keys.
"""
import argparse
import collections
import contextlib
import pathlib
import random
import socket
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

from harness.server import REDIS, SKUA, Server, program  # noqa: E402

BEGIN, END = "<!-- bench/collection_memory.py writes from here -->", "<!-- to here -->"
PAGE = ROOT / "docs" / "memory.md"
BATCH = 10  # elements a command
WARM_UP = 300  # elements in a key that is deleted before the measurement begins
CHUNK = 250  # commands between two looks at the replies
SAMPLE = 1_000  # keys that are asked for their MEMORY USAGE
SETTLED_S, SETTLE_MAX_S, SETTLED_BYTES = 0.4, 20, 64 << 10

# size: elements a key; goal: of the ratio of resident memory, None where there is none.
Row = collections.namedtuple("Row", "name size keys goal elements command")


# ---- What is stored ----------------------------------------------------------------------------------------------


def twelve(numbers):
    """Members, fields and items of 12 bytes that begin alike, as names do."""
    return [b"member%06d" % number for number in numbers]


def eight(number):
    return b"v%07d" % (number * 7919 % 10_000_000)


def shuffled(count, seed=1):
    numbers = list(range(count))
    random.Random(seed).shuffle(numbers)
    return numbers


def members(count):
    return [(member,) for member in twelve(shuffled(count))]


def integers(count):
    return [(b"%d" % number,) for number in shuffled(count)]


def fields(count):
    return [(member, eight(number)) for number, member in enumerate(twelve(shuffled(count)))]


def integer_scores(count):
    return [(b"%d" % score, member) for score, member in zip(shuffled(count, 2), twelve(shuffled(count)))]


def fractions(count):
    draw = random.Random(3)
    return [(b"%.6f" % draw.uniform(0, 1000), member) for member in twelve(shuffled(count))]


def items(count):
    return [(member,) for member in twelve(range(count))]


def timed(key, elements):
    """A hash all of whose fields expire within the same day."""
    parts = [part for element in elements for part in element]
    return [command(b"HSET", key, *parts),
            command(b"HPEXPIRE", key, b"%d" % (80_000_000 + len(parts) * 1_000), b"FIELDS", b"%d" % len(elements),
                    *(element[0] for element in elements))]


def plain(name):
    return lambda key, elements: [command(name, key, *(part for element in elements for part in element))]


def command(*arguments):
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments)


TYPES = (
    # name, elements, how they are stored, then the goals: large, of 10
    ("set, 12-byte members", members, plain(b"SADD"), 0.40, None),
    ("set, integers", integers, plain(b"SADD"), 0.16, None),
    ("hash, 12-byte fields, 8-byte values", fields, plain(b"HSET"), 0.42, 0.85),
    ("sorted set, 12-byte members, integer scores", integer_scores, plain(b"ZADD"), 0.45, 0.85),
    ("sorted set, 12-byte members, fractions", fractions, plain(b"ZADD"), 0.45, 0.85),
    ("list, 12-byte items", items, plain(b"RPUSH"), 1.0, None),
)
TIMED = "hash whose fields have times to live"


def rows(large, total):
    """One key of `large` elements of each type, and as many in keys of 10; then keys of 100 and 1,000, `total` in all."""
    for name, elements, store, goal, small_goal in TYPES:
        yield Row(name, large, 1, goal, elements, store)
        for size in (10, 100, 1_000):
            keys = (large if size == 10 else total) // size
            yield Row(name, size, keys, small_goal if size == 10 else None, elements, store)
    yield Row(TIMED, large, 1, None, fields, timed)
    yield Row(TIMED, 10, large // 10, None, fields, timed)


# ---- Measuring ---------------------------------------------------------------------------------------------------


def commands(row):
    """The elements of a key of 10 come with one command, as programs write small objects; others in tens."""
    elements = row.elements(row.size)
    batches = [elements[at:at + BATCH] for at in range(0, row.size, BATCH)]
    for number in range(row.keys):
        key = b"key:%07d" % number
        for batch in batches:
            yield from row.command(key, batch)


def send(server, requests):
    """Sends all and takes one line or one array of integers for each."""
    with socket.create_connection(("127.0.0.1", server.port)) as link:
        replies = link.makefile("rb")
        for at in range(0, len(requests), CHUNK):
            chunk = requests[at:at + CHUNK]
            link.sendall(b"".join(chunk))
            for _ in chunk:
                line = replies.readline()
                if line[:1] == b"*":
                    for _ in range(int(line[1:])):
                        replies.readline()
                elif line[:1] != b":":
                    raise RuntimeError(f"{server.kind}: {line!r}")


def settle(servers):
    """Waits until no resident set changes any more (Redis moves keys to larger tables for a while)."""
    deadline, since = time.monotonic() + SETTLE_MAX_S, time.monotonic()
    last = [server.rss_bytes() for server in servers]
    while time.monotonic() < deadline and time.monotonic() - since < SETTLED_S:
        time.sleep(0.05)
        now = [server.rss_bytes() for server in servers]
        if any(abs(a - b) > SETTLED_BYTES for a, b in zip(now, last)):
            last, since = now, time.monotonic()


def figures(server, row=None):
    """Resident set, used_memory and, with a row, the MEMORY USAGE of all keys as its sample has it."""
    with server.connect() as client:
        result = [server.rss_bytes(), int(client.info("memory")["used_memory"])]
        if row:
            sample = range(0, row.keys, max(1, row.keys // SAMPLE))
            usage = [client("MEMORY", "USAGE", f"key:{number:07d}", "SAMPLES", 0) for number in sample]
            result.append(sum(usage) / len(usage) * row.keys)
    return result


def warm_up(server, row):
    """The code, the buffers and the first block of each size that the commands need are no part of what elements take."""
    warm = row._replace(size=WARM_UP, keys=1)
    send(server, [*commands(warm), command(b"DEL", b"key:0000000")])


def measure(row, kinds):
    """Bytes an element: kind -> (resident, used, usage)."""
    requests = list(commands(row))
    if row.command is timed:
        kinds = [kind for kind in kinds if kind == SKUA]  # redis-server 7.0 has no such times
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(kind, "tcp", config={"maxmemory": 0})) for kind in kinds]
        for server in servers:
            warm_up(server, row)
        settle(servers)
        before = [figures(server) for server in servers]
        for server in servers:
            send(server, requests)
        settle(servers)
        after = [figures(server, row) for server in servers]
    count = row.size * row.keys
    return {kind: ((resident - old_resident) / count, (used - old_used) / count, usage / count)
            for kind, (resident, used, usage), (old_resident, old_used) in zip(kinds, after, before)}


# ---- The page ----------------------------------------------------------------------------------------------------


def ratio(row, found):
    """Of the resident memory, with a cross where it misses its goal; empty when there is no Redis."""
    if REDIS not in found:
        return ""
    value = found[SKUA][0] / found[REDIS][0]
    return f"**{value:.2f}**" + (f" (goal {row.goal:.2f})" if row.goal else "")


def shape(row):
    return f"{row.size:,}" if row.keys == 1 else f"{row.keys:,} of {row.size:,}"


def table(results):
    lines = ["| bytes per element | elements | Skua | Redis | ratio | Skua: used_memory | Skua: MEMORY USAGE |",
             "|---|---|--:|--:|--:|--:|--:|"]
    last = None
    for row, found in results:
        redis = f"{found[REDIS][0]:.1f}" if REDIS in found else "–"
        skua = found[SKUA]
        cells = [row.name if row.name != last else "", shape(row), f"{skua[0]:.1f}", redis, ratio(row, found),
                 f"{skua[1]:.1f}", f"{skua[2]:.1f}"]
        last = row.name
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def write_page(path, lines):
    """Puts the lines between the marks of the page."""
    text = path.read_text()
    head, rest = text.split(BEGIN + "\n")
    _, tail = rest.split(END + "\n")
    path.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + "\n" + tail)


def run(kinds, quick, say, only=""):
    results = []
    for row in rows(100_000, 20_000) if quick else rows(1_000_000, 200_000):
        if only and only not in f"{row.name} {shape(row)}":
            continue
        found = measure(row, kinds)
        results.append((row, found))
        say(f"{row.name}, {shape(row)}: " + ", ".join(
            f"{kind} {resident:.1f} (used {used:.1f}, usage {usage:.1f})" for kind, (resident, used, usage) in found.items())
            + " bytes an element " + ratio(row, found))
    return results


def main():
    parser = argparse.ArgumentParser(description="bytes per element of collections")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--page", type=pathlib.Path, default=PAGE)
    options = parser.parse_args()
    kinds = [SKUA]
    try:
        program(REDIS)
        kinds.append(REDIS)
    except RuntimeError as problem:
        print(f"left out: {problem}")
    results = run(kinds, options.quick, lambda text: print(text, flush=True), options.only)
    if not options.only and not options.quick:
        write_page(options.page, table(results))
        print(f"written: {options.page}")


if __name__ == "__main__":
    main()
