#!/usr/bin/python3
"""CPU per request of single commands, Skua beside Debian's redis-server, on small collections and on large ones.

    bench/commands.py                    a table, about five minutes; writes nothing
    bench/commands.py --only ZADD,HSET   some commands
    bench/commands.py --sizes large --rounds 3 --requests 100000

Entry for others: measure_commands, section. Both servers share a core and take turns; what a command adds is taken out again
by another one with the same seed, so every round finds the collections as the one before did. Figures are the server's time for
each request, user and system together and user alone: what goes to the sockets is the kernel's and the same for both servers.
The whole is the process' own clock, to the nanosecond, and its ratios are medians over the rounds. How much of it was user time
the kernel only samples, at each tick (4 ms as a rule): so that is told from all rounds together, and is good to some percent.
A turn takes half a second at least, with more requests where they are fast. Needs two cores.
"""
import argparse
import contextlib
import dataclasses
import os
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import measure  # noqa: E402
from harness.server import REDIS, SKUA  # noqa: E402

GOAL = 0.5
GOAL_COMMANDS = ("LPUSH", "LPOP", "SADD", "HSET", "ZADD", "ZRANGE", "XADD", "INCR", "MSET")  # the others take out again
PIPELINE = 16
ROUNDS, REQUESTS = 5, 500_000  # of each server's turn in a round
BRIEF_ROUNDS, BRIEF_REQUESTS = 3, 200_000
TURN_US, TURN_GROWTH_MAX, TURN_STEP = 500_000, 4, 100_000  # how long a turn is, and by how much requests may grow for it
TRIAL_PART = 8  # of a turn's requests: to see how fast they are
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


def words(*parts):
    """One list of words out of words and lists of them."""
    return [word for part in parts for word in (part if isinstance(part, list) else part.split())]


def each(form):
    """The words of a form for each element of a small collection; # stands for its number."""
    return [word.replace("#", str(part)) for part in PARTS for word in form.split()]


SMALL_WORKLOADS = [
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
]


def large_workloads(elements):
    """The same of one collection of so many elements, or among so many keys."""
    def large(fill, commands):
        return Workload("large", elements, fill, commands)

    return [
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
               "ZRANGE (100)": [words(f"ZRANGE z {at} {at + 99}") for at in range(SCATTER, elements, 64 * SCATTER)]}),
        large(words("XADD x * field value:{rand:1000}"),
              {"XADD": words("XADD x * field value:{rand:1000}"), "XTRIM": words(f"XTRIM x MAXLEN {elements}")}),
        large(words("SET n:{key} 1000"), {"INCR": words("INCR n:{key}")}),
        large(words("SET m:{key} value"), {"MSET (10)": words("MSET", ["m:{key}", "value:{rand:1000}"] * 10)}),
    ]


def workloads(elements=LARGE_ELEMENTS):
    return SMALL_WORKLOADS + large_workloads(elements)


@dataclasses.dataclass(frozen=True)
class Cpu:
    """What one turn of a server took, in microseconds for each request."""
    total_us: float
    user_us: float
    cores: float = 1.0  # part of its core that the server used meanwhile


@dataclasses.dataclass
class Row:
    """One command: what it took in each round, of both servers."""
    name: str
    size: str
    requests: int
    ours: list
    theirs: list

    @property
    def ratios(self):
        return [ours.total_us / theirs.total_us for ours, theirs in zip(self.ours, self.theirs)]

    @property
    def user(self):
        """User time over all rounds: ours, theirs."""
        return statistics.mean(cpu.user_us for cpu in self.ours), statistics.mean(cpu.user_us for cpu in self.theirs)

    @property
    def kernel_ratio(self):
        """What the ratio would be if our own part took no time at all."""
        whole, peer_whole = (statistics.mean(cpu.total_us for cpu in side) for side in (self.ours, self.theirs))
        return (whole - self.user[0]) / peer_whole

    @property
    def has_goal(self):
        return self.name.split(" ")[0] in GOAL_COMMANDS

    def figures(self):
        """What a document keeps: medians over the rounds, and means of what is only sampled."""
        user_us, peer_user_us = self.user
        return {"name": self.name, "size": self.size, "has_goal": self.has_goal, "requests": self.requests,
                "least": min(self.ratios), "most": max(self.ratios),
                "us": statistics.median(cpu.total_us for cpu in self.ours),
                "peer_us": statistics.median(cpu.total_us for cpu in self.theirs),
                "ratio": statistics.median(self.ratios), "user_us": user_us, "peer_user_us": peer_user_us,
                "user_ratio": user_us / peer_user_us if peer_user_us else 0, "kernel_ratio": self.kernel_ratio,
                "busy": statistics.median(cpu.cores for cpu in self.ours), "peer_busy": statistics.median(cpu.cores for cpu in self.theirs)}


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
    return {result["server"]: Cpu(result["cpu_us"], result["cpu_user_us"], result["rounds"][0]["server_cores"]) for result in document["results"]}


def turn_requests(servers, workload, requests):
    """How many requests make turns that are long enough, of the fastest command too: all of a workload are as many, as one takes
    out what another has put in."""
    trials = [run(list(servers.items()), workload, command, 999, max(1, requests // TRIAL_PART))
              for command in workload.commands.values()]
    fastest_us = min(cpu.total_us for trial in trials for cpu in trial.values())
    wanted = -(-TURN_US // max(fastest_us, 0.01) // TURN_STEP) * TURN_STEP
    return int(min(max(requests, wanted), TURN_GROWTH_MAX * requests))


def measure_workload(servers, workload, rounds, requests, say):
    """Rows of all commands of a workload that both servers know. The servers begin in turns."""
    known = all(knows(server, workload.fill[0]) for server in servers.values())
    if not known:
        say(f"left out: {workload.fill[0]}, which one of the servers does not have")
        return []
    for server in servers.values():
        fill(server, workload)
    requests = turn_requests(servers, workload, requests)
    rows = [Row(name, workload.size, requests, [], []) for name in workload.commands]
    for turn in range(rounds):
        order = list(servers.items())[::-1 if turn % 2 else 1]
        for row, command in zip(rows, workload.commands.values()):
            cpu = run(order, workload, command, 1000 + turn, requests)
            row.ours.append(cpu[SKUA])
            row.theirs.append(cpu[REDIS])
    for row in rows:
        say(line(row.figures()))
    return rows


def is_over(figures):
    return figures["has_goal"] and figures["ratio"] > GOAL


def line(figures):
    return (f"{figures['size']:5} {figures['name']:28} {figures['us']:7.3f} {figures['peer_us']:7.3f} us {figures['ratio']:6.2f}  "
            f"({figures['least']:.2f} to {figures['most']:.2f})  user {figures['user_us']:7.3f} {figures['peer_user_us']:7.3f} us "
            f"{figures['user_ratio']:6.2f}  kernel alone {figures['kernel_ratio']:5.2f}" + ("  over the goal" if is_over(figures) else ""))


def table(rows):
    """The lines of a table, of what Row.figures gives."""
    lines = ["| command | collections | Skua | Redis | ratio | Skua, user | Redis, user | ratio | kernel alone |",
             "|---|---|--:|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        lines.append(f"| {row['name']} | {row['size']} | {row['us']:.2f} µs | {row['peer_us']:.2f} µs | **{row['ratio']:.2f}** "
                     f"| {row['user_us']:.2f} µs | {row['peer_user_us']:.2f} µs | {row['user_ratio']:.2f} "
                     f"| {row['kernel_ratio']:.2f} |")
    return lines


def section(measured):
    """The lines of a document's section."""
    rows = measured["rows"]
    over = [f"{row['name']} ({row['size']})" for row in rows if is_over(row)]
    lines = ["## Single commands", "",
             f"CPU of the server for each request at pipeline {PIPELINE}, 50 connections, in turns: {SMALL_KEYS:,} collections of "
             f"{SMALL_ELEMENTS} elements each, and one collection of {measured['elements']:,} (`bench/commands.py`; medians of "
             f"{measured['rounds']} rounds of at least {measured['requests']:,} requests; user time is sampled by the kernel, and "
             "good to some percent). *Kernel alone* is our system time against all of Redis' time: what the ratio would be if our own part took no time at all.", "", *table(rows), "",
             f"The goal is {GOAL} in total for {', '.join(GOAL_COMMANDS)}: "
             + ("it is met by all." if not over else f"it is not met by {', '.join(over)}.")
             + f" Of its core Skua used {least_busy(rows, 'busy')}, Redis {least_busy(rows, 'peer_busy')}: what is missing the load took to send."]
    return lines


def least_busy(rows, field):
    """Where a server had least to do. One that waits for the load also pays for waking up."""
    row = min(rows, key=lambda row: row[field])
    return f"at least {row[field]:.0%} ({row['name']}, {row['size']})"


def measure_commands(say, *, rounds=BRIEF_ROUNDS, requests=BRIEF_REQUESTS, only=(), sizes=("small", "large"),
                     elements=LARGE_ELEMENTS):
    """What section shows, as a document. Each workload runs on two fresh servers."""
    rows = []
    for workload in workloads(elements):
        chosen = not only or any(name.split(" ")[0] in only for name in workload.commands)
        if not chosen or workload.size not in sizes:
            continue
        with contextlib.ExitStack() as stack:
            servers = {kind: stack.enter_context(measure.pinned_server(kind)) for kind in (SKUA, REDIS)}
            rows += measure_workload(servers, workload, rounds, requests, say)
    return {"rounds": rounds, "requests": requests, "elements": elements, "rows": [row.figures() for row in rows]}


def main():
    parser = argparse.ArgumentParser(description="CPU per request of single commands, beside redis-server")
    parser.add_argument("--only", type=lambda text: text.upper().split(","), default=(), help="commands, separated by commas")
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=["small", "large"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each server's turn in a round")
    parser.add_argument("--table", action="store_true", help="print the result once more, as Markdown")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench/commands.py: needs two cores, one for the servers and one for the load")
    os.sched_setaffinity(0, {int(measure.LOAD_CORE)})
    print("CPU per request at pipeline 16, user and system, then user alone: Skua, Redis, ratio", flush=True)
    measured = measure_commands(lambda text: print(text, flush=True), rounds=options.rounds, requests=options.requests,
                                only=options.only, sizes=options.sizes)
    if options.table:
        print("\n".join(section(measured)))


if __name__ == "__main__":
    main()
