#!/usr/bin/python3
"""CPU per request of single commands, Skua beside Debian's redis-server, on small collections and on large ones.

    bench/commands.py                    a table, about five minutes; writes nothing
    bench/commands.py --only ZADD,HSET   some commands
    bench/commands.py --sizes large --rounds 3 --requests 100000

Entry for others: measure_commands, table. Both servers share a core and take turns; what a command adds is taken out again
by another one with the same seed, so every round finds the collections as the one before did. Figures are the server's time for
each request, user and system together and user alone: what goes to the sockets is the kernel's and the same for both servers.
The ratios are medians over the rounds. Needs two cores.
"""
import argparse
import contextlib
import dataclasses
import math
import os
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import measure  # noqa: E402
from harness.server import REDIS, SKUA  # noqa: E402

GOAL = 0.5
PIPELINE = 16
SMALL_KEYS, SMALL_ELEMENTS = 10_000, 50
LARGE_ELEMENTS = 1_000_000
PARTS = range(SMALL_ELEMENTS)
SCATTER = 7919  # a prime: scores that are in another order than the members


@dataclasses.dataclass(frozen=True)
class Workload:
    """Commands that are run one after the other: each is measured, and together they leave everything as it was. `fill`
    is run once for each number of a key."""
    size: str
    keys: int
    fill: list
    commands: dict  # name: words, or a list of alternatives


def small(fill, commands):
    return Workload("small", SMALL_KEYS, fill, commands)


def large(fill, commands, keys=LARGE_ELEMENTS):
    return Workload("large", keys, fill, commands)


def words(*parts):
    """One list of words out of words and lists of them."""
    return [word for part in parts for word in (part if isinstance(part, list) else part.split())]


def each(form):
    """The words of a form for each element of a small collection; # stands for its number."""
    return [word.replace("#", str(part)) for part in PARTS for word in form.split()]


WORKLOADS = [
    small(words("RPUSH l:{key}", each("element:#")),
          {"LPUSH": words("LPUSH l:{key} element:{rand:1000000}"), "LPOP": words("LPOP l:{key}")}),
    small(words("SADD s:{key}", each("member:#")),
          {"SADD": words("SADD s:{key} new:{rand:1000000}"), "SREM": words("SREM s:{key} new:{rand:1000000}")}),
    small(words("HSET h:{key}", each("field:# value:#")),
          {"HSET (a field that is there)": words("HSET h:{key} field:{rand:50} value:{rand:50}"),
           "HSET (a new field)": words("HSET h:{key} new:{rand:1000000} value"),
           "HDEL": words("HDEL h:{key} new:{rand:1000000}"),
           "HGET": words("HGET h:{key} field:{rand:50}")}),
    small(words("ZADD z:{key}", each("# member:#")),
          {"ZADD (another score)": words("ZADD z:{key} {rand:50} member:{rand:50}"),
           "ZADD (a new member)": words("ZADD z:{key} 25 new:{rand:1000000}"),
           "ZREM": words("ZREM z:{key} new:{rand:1000000}"),
           "ZSCORE": words("ZSCORE z:{key} member:{rand:50}")}),
    small(words("ZADD hundred:{key}", each("# member:#"), each("1# other:#")),
          {"ZRANGE (100)": words("ZRANGE hundred:{key} 0 99")}),
    small(words("XADD x:{key} * field value"),
          {"XADD": words("XADD x:{key} * field value:{rand:1000}"), "XTRIM": words("XTRIM x:{key} MAXLEN 1")}),
    small(words("SET n:{key} 1000"), {"INCR": words("INCR n:{key}")}),
    small(words("SET m:{key} value"), {"MSET (10)": words("MSET", ["m:{key}", "value:{rand:1000}"] * 10)}),
    large(words("RPUSH l element:{key}"),
          {"LPUSH": words("LPUSH l element:{rand:1000000}"), "LPOP": words("LPOP l")}),
    large(words("SADD s member:{key}"),
          {"SADD": words("SADD s new:{key}"), "SREM": words("SREM s new:{key}")}),
    large(words("HSET h field:{key} value:{rand:1000}"),
          {"HSET (a field that is there)": words("HSET h field:{key} value:{rand:1000}"),
           "HSET (a new field)": words("HSET h new:{key} value"), "HDEL": words("HDEL h new:{key}"),
           "HGET": words("HGET h field:{key}")}),
    large(words("ZADD z {rand:1000000} member:{key}"),
          {"ZADD (another score)": words("ZADD z {rand:1000000} member:{key}"),
           "ZADD (a new member)": words("ZADD z {rand:1000000} new:{key}"), "ZREM": words("ZREM z new:{key}"),
           "ZSCORE": words("ZSCORE z member:{key}"),
           "ZRANGE (100)": [words(f"ZRANGE z {at} {at + 99}") for at in range(SCATTER, LARGE_ELEMENTS, 64 * SCATTER)]}),
    large(words("XADD x * field value:{rand:1000}"),
          {"XADD": words("XADD x * field value:{rand:1000}"), "XTRIM": words(f"XTRIM x MAXLEN {LARGE_ELEMENTS}")}),
    large(words("SET n:{key} 1000"), {"INCR": words("INCR n:{key}")}),
    large(words("SET m:{key} value"), {"MSET (10)": words("MSET", ["m:{key}", "value:{rand:1000}"] * 10)}),
]


@dataclasses.dataclass(frozen=True)
class Cpu:
    """What one turn of a server took, in microseconds for each request."""
    total_us: float
    user_us: float


@dataclasses.dataclass
class Row:
    """One command: what it took in each round, of both servers."""
    name: str
    size: str
    ours: list
    theirs: list

    @property
    def ratios(self):
        return [ours.total_us / theirs.total_us for ours, theirs in zip(self.ours, self.theirs)]

    @property
    def user_ratios(self):
        return [ours.user_us / theirs.user_us if theirs.user_us else math.nan
                for ours, theirs in zip(self.ours, self.theirs)]

    def medians(self):
        """Total of ours, of theirs, their ratio; then the same of the user part."""
        columns = [[cpu.total_us for cpu in self.ours], [cpu.total_us for cpu in self.theirs], self.ratios,
                   [cpu.user_us for cpu in self.ours], [cpu.user_us for cpu in self.theirs], self.user_ratios]
        return [statistics.median(column) for column in columns]


def knows(server, command):
    with server.connect() as client:
        return client("COMMAND", "INFO", command)[0] is not None


def fill(server, workload):
    measure.skua_bench("-h", "127.0.0.1", "-p", server.port, "-c", 10, "-P", 50, "-n", workload.keys, "-r", workload.keys,
                       "--distribution", "sequential", "--seed", 1, *workload.fill)


def run(servers, workload, command, seed, requests):
    """One turn of each server: name of the server -> Cpu."""
    targets = [word for name, server in servers
               for word in ("--server", f"{name}=redis://127.0.0.1:{server.port},pid={server.pid}")]
    if isinstance(command[0], list):
        command = [word for choice in command for word in ("--command", " ".join(choice))]
    document = measure.skua_bench(*targets, "-c", measure.CONNECTIONS, "-P", PIPELINE, "-n", requests, "-r", workload.keys,
                                  "--seed", seed, *command)
    return {result["server"]: Cpu(result["cpu_us"], result["cpu_user_us"]) for result in document["results"]}


def measure_workload(servers, workload, options, say):
    """Rows of all commands of a workload that both servers know. The servers begin in turns."""
    known = all(knows(server, workload.fill[0]) for server in servers.values())
    if not known:
        say(f"left out: {workload.fill[0]}, which one of the servers does not have")
        return []
    for server in servers.values():
        fill(server, workload)
    rows = [Row(name, workload.size, [], []) for name in workload.commands]
    for turn in range(options.rounds):
        order = list(servers.items())[::-1 if turn % 2 else 1]
        for row, command in zip(rows, workload.commands.values()):
            cpu = run(order, workload, command, 1000 + turn, options.requests)
            row.ours.append(cpu[SKUA])
            row.theirs.append(cpu[REDIS])
    for row in rows:
        say(line(row))
    return rows


def line(row):
    ours, theirs, ratio, user_ours, user_theirs, user_ratio = row.medians()
    mark = "" if ratio <= GOAL else "  over the goal"
    return (f"{row.size:5} {row.name:28} {ours:7.3f} {theirs:7.3f} us {ratio:6.2f}  "
            f"({min(row.ratios):.2f} to {max(row.ratios):.2f})  user {user_ours:7.3f} {user_theirs:7.3f} us {user_ratio:6.2f}"
            f"{mark}")


def table(rows):
    """The rows as text for a document."""
    lines = ["| command | collections | Skua | Redis | ratio | Skua, user | Redis, user | ratio |",
             "|---|---|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        ours, theirs, ratio, user_ours, user_theirs, user_ratio = row.medians()
        lines.append(f"| {row.name} | {row.size} | {ours:.2f} µs | {theirs:.2f} µs | **{ratio:.2f}** "
                     f"| {user_ours:.2f} µs | {user_theirs:.2f} µs | {user_ratio:.2f} |")
    return "\n".join(lines)


def measure_commands(options, say):
    """Rows of all chosen workloads, each on two fresh servers."""
    rows = []
    for workload in WORKLOADS:
        chosen = not options.only or any(name.split(" ")[0] in options.only for name in workload.commands)
        if not chosen or workload.size not in options.sizes:
            continue
        with contextlib.ExitStack() as stack:
            servers = {kind: stack.enter_context(measure.pinned_server(kind)) for kind in (SKUA, REDIS)}
            rows += measure_workload(servers, workload, options, say)
    return rows


def main():
    parser = argparse.ArgumentParser(description="CPU per request of single commands, beside redis-server")
    parser.add_argument("--only", type=lambda text: text.upper().split(","), help="commands, separated by commas")
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=["small", "large"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=500_000, help="of each server's turn in a round")
    parser.add_argument("--table", action="store_true", help="print the result once more, as Markdown")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench/commands.py: needs two cores, one for the servers and one for the load")
    os.sched_setaffinity(0, {int(measure.LOAD_CORE)})
    print("CPU per request at pipeline 16, user and system, then user alone: Skua, Redis, ratio", flush=True)
    rows = measure_commands(options, lambda text: print(text, flush=True))
    if options.table:
        print(table(rows))


if __name__ == "__main__":
    main()
