#!/usr/bin/python3
"""What sending to a replica costs the primary: copying beside MSG_ZEROCOPY, io_uring, and what the server chooses by itself.

    bench/zero_copy.py               about three minutes
    bench/zero_copy.py --scale 0.2   a fifth of the bytes: shows only that it works
    bench/zero_copy.py --ways copying,automatic

Entry for others: measure_sending (for bench/run.py), section. A veth pair between two network namespaces, whose receiving end has an XDP
program that passes everything on: the "driver" copies what arrives into memory of its own, on the other processor, as a card would, so what is sent without
a copy stays without one. The replica is played: it says PSYNC and throws away what comes.

*Catching up*: hundreds of megabytes of history, sent in one go, so that each send is as large as the socket takes. *Writes*: SETs of one size, each of which is
sent as soon as it can be. Time is CPU time of all the server's threads; for catching up that is nothing but sending. The ways take turns, round by round.

The congestion control is reno, which any namespace may choose and which, where nothing is lost, sends as the kernel's default does. BBR, which some hosts have
as their default, paces: the kernel then starts a timer for each packet, on the sender's processor and whichever way the packet was filled. In a virtual machine that
costs more than all the rest together. It has a line of its own where the kernel has it.
"""
import argparse
import contextlib
import os
import pathlib
import socket
import statistics
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import measure  # noqa: E402
from harness import netns  # noqa: E402
from harness.replica import FakeReplica  # noqa: E402

WAYS = {
    "copying": {"tcp-tx-zerocopy": "no"},
    "MSG_ZEROCOPY": {"tcp-tx-zerocopy": "yes", "io-uring": "no", "tcp-zerocopy-min-write-size": 1},
    "io_uring": {"tcp-tx-zerocopy": "yes", "io-uring": "yes", "tcp-zerocopy-min-write-size": 1},
    "automatic": {"tcp-tx-zerocopy": "yes", "io-uring": "yes", "tcp-zerocopy-min-write-size": 0},
}
SIZES = (64, 1024, 16 << 10, 64 << 10, 256 << 10, 1 << 20)
UNPACED, PACED = "reno", "bbr"
HISTORY_BYTES, ROUND_BYTES, SETS_MAX = 512 << 20, 96 << 20, 40_000
ROUNDS = 5
LIMIT_S = 120
GB = 1e9


class Sink:
    """Throws away what a replica is sent, and counts it. The kernel does not even copy it to us."""

    def __init__(self, replica):
        self.replica = replica
        self.count = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        memory = bytearray(4 << 20)
        with contextlib.suppress(OSError):
            while got := self.replica.socket.recv_into(memory, len(memory), socket.MSG_TRUNC):
                self.count += got

    def wait(self, count):
        deadline = time.monotonic() + LIMIT_S
        while self.count < count:
            if not self.thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"the replica got {self.count} of {count} bytes")
            time.sleep(0.002)

    def close(self):
        with contextlib.suppress(OSError):
            self.replica.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.replica.close()


class Primary:
    """A server on its core in one namespace, for replicas in the other."""

    def __init__(self, stack):
        world = stack.enter_context(netns.World())
        self.node, self.other = world.pair("primary", "replica")
        self.other.receive_as_a_card()
        self.other.receive_on_another_processor()
        for node in (self.node, self.other):  # as on a host that is tuned for a fast network
            node.write("/proc/sys/net/ipv4/tcp_wmem", "4096 4194304 8388608")
            node.write("/proc/sys/net/ipv4/tcp_rmem", "4096 4194304 16777216")
        self.control(UNPACED)
        self.server = netns.NodeServer(self.node, repl_backlog_size=2 * HISTORY_BYTES, repl_ping_replica_period=3600,
                                       repl_timeout=86400, client_output_buffer_limit="replica 0 0 0")
        self.server.prefix = ["taskset", "-c", measure.SERVER_CORE]
        stack.enter_context(self.server)
        self.client = self.server.connect()

    def control(self, name):
        """Connections from now on have this congestion control. False: not permitted."""
        with contextlib.suppress(OSError):
            return all([node.write("/proc/sys/net/ipv4/tcp_congestion_control", name) for node in (self.node, self.other)])
        return False

    def follow(self, history=None, offset=None):
        with self.other.inside():
            replica = FakeReplica(self.server.tcp_address)
        replica.follow(history, offset)
        return replica

    def go(self, way):
        for name, value in WAYS[way].items():
            assert self.client("CONFIG", "SET", name, value) == "OK"

    def cpu_seconds(self):
        """Of all threads, to the nanosecond; the process's own figure has ticks."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.server.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def offset(self):
        return int(self.client.info("replication")["master_repl_offset"])

    def told(self):
        stats = self.client.info("stats")
        return {name: int(stats[f"zero_copy_{name}"]) for name in ("bytes_sent", "writes_processed", "writes_copied")}

    def write(self, size, count):
        # All into one key: what the data costs is the same at each size.
        measure.skua_bench("-s", self.server.socket_path, "-c", 1, "-P", 16 if size <= 1024 else 1, "-n", count, "-d", size,
                           "--timeout", LIMIT_S, "SET", "key", "{value}")


def catch_up(primary, history, start, end):
    """CPU seconds of sending a replica all from `start` to `end`, and what the server says of it."""
    before, told = primary.cpu_seconds(), primary.told()
    replica = primary.follow(history, start)
    sink = Sink(replica)
    sink.wait(end - start - len(replica.reader.buffer) + 1)
    seconds = primary.cpu_seconds() - before
    after = primary.told()
    sink.close()
    return seconds, {name: after[name] - told[name] for name in told}


def fill_history(primary, scale):
    """Writes what replicas are to catch up with; returns the history's name, its first position and its end."""
    replica = primary.follow()
    history, start = replica.history, replica.offset + 1
    replica.close()
    size = 256 << 10
    primary.write(size, int(HISTORY_BYTES * scale / size))
    return history, start, primary.offset()


def measure_catching_up(primary, past, title, ways, rounds, say):
    """way -> GB's CPU seconds of each round, the share that went without a copy, bytes of a send."""
    history, start, end = past
    found = {way: {"rounds": []} for way in ways}
    for _ in range(rounds):
        for way in ways:
            primary.go(way)
            seconds, told = catch_up(primary, history, start, end)
            found[way]["rounds"].append(seconds / (end - start) * GB)
            found[way]["pinned"] = told["bytes_sent"] / (end - start)
            found[way]["copied"] = told["writes_copied"] / (told["writes_processed"] or 1)
            found[way]["send_bytes"] = told["bytes_sent"] / (told["writes_processed"] or 1)
    for way, figures in found.items():
        say(f"{title}, {way}: {statistics.median(figures['rounds']):.3f} s of CPU a GB, {figures['pinned']:.0%} pinned in sends of "
            f"{figures['send_bytes'] / 1024:.0f} KB, {figures['copied']:.0%} of them copied all the same")
    return found


def measure_writes(primary, ways, sizes, scale, rounds, say):
    """size -> way -> CPU seconds of each round, for a GB of the stream."""
    replica = primary.follow()
    replica.acknowledge()  # it is online from here on
    sink, expected = Sink(replica), 0
    found = {}
    for size in sizes:
        count = max(20, min(SETS_MAX, ROUND_BYTES // size)) * scale
        found[size] = {way: [] for way in ways}
        for turn in range(-1, rounds):  # the first is to find out what pays
            for way in ways:
                primary.go(way)
                begin, before = primary.offset(), primary.cpu_seconds()
                primary.write(size, max(1, int(count)))
                expected += primary.offset() - begin
                sink.wait(expected)
                if turn >= 0:
                    found[size][way].append((primary.cpu_seconds() - before) / (primary.offset() - begin) * GB)
        say(f"writes of {size} bytes: " + ", ".join(f"{way} {statistics.median(figures):.3f}" for way, figures in found[size].items()))
    sink.close()
    return found


def measure_sending(scale, say, ways=tuple(WAYS), rounds=ROUNDS, sizes=SIZES):
    """None where namespaces are not permitted: `say` tells why."""
    if reason := netns.why_not():
        say(f"left out, sending without copying: {reason}")
        return None
    with contextlib.ExitStack() as stack:
        primary = Primary(stack)
        past = fill_history(primary, scale)
        found = {"catching_up": measure_catching_up(primary, past, "catching up", ways, rounds, say)}
        if primary.control(PACED):
            found["paced"] = measure_catching_up(primary, past, "catching up, paced", ways, rounds, say)
        primary.control(UNPACED)
        found["writes"] = {str(size): values for size, values in measure_writes(primary, ways, sizes, scale, rounds, say).items()}
    return found


def ratio(values, way):
    """Of the medians: others' work on the machine makes single rounds differ by more than the ways do."""
    return statistics.median(values[way]) / statistics.median(values["copying"])


def size_name(size):
    return f"{size} bytes" if size < 1024 else f"{size >> 10} KB" if size < 1 << 20 else f"{size >> 20} MB"


def section(found):
    """The section of the benchmark's page."""
    ways = list(found["catching_up"])
    titles = {"catching_up": "catching up", "paced": f"catching up, paced ({PACED})"}
    rows = [(title, {way: figures["rounds"] for way, figures in found[kind].items()}) for kind, title in titles.items() if kind in found]
    rows += [(f"writes of {size_name(int(size))}", values) for size, values in found["writes"].items()]
    lines = ["## Sending to replicas", "",
             "CPU seconds of the primary for a GB of the stream, and (against copying in the same run). Over a link that copies nothing on the "
             "way: two network namespaces, the receiving end with a pass-through XDP program. Catching up is sending alone, in sends of "
             "256 KB and more; writes are whole SETs, from request to replica. Congestion control: reno; BBR paces, which takes a timer of the "
             "kernel for each packet, whichever way it is filled.", "",
             "| | " + " | ".join(ways) + " |", "|---|" + "---:|" * len(ways)]
    for title, values in rows:
        lines.append(f"| {title} | " + " | ".join(f"{statistics.median(values[way]):.3f} ({ratio(values, way):.2f})" for way in ways) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description="what sending to a replica costs")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="bytes of the writes")
    options = parser.parse_args()
    if reason := netns.why_not():
        sys.exit(f"bench/zero_copy.py: {reason}")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench/zero_copy.py: needs two cores, one for the primary and one for the replica")
    os.sched_setaffinity(0, {int(measure.LOAD_CORE)})
    found = measure_sending(options.scale, lambda text: print(text, flush=True), options.ways.split(","), options.rounds,
                            [int(size) for size in options.sizes.split(",")])
    print("\n".join(section(found)))


if __name__ == "__main__":
    main()
