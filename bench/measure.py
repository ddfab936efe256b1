"""What the benchmark measures: speed and CPU under redis-benchmark, memory per key, the executor's longest pause.

Entry: load, run_load, bytes_per_key, growth_pause.
Servers run on one core, whatever loads them on another; every figure is read from outside (/proc, redis-benchmark),
except the pause, which only the executor itself can see.
"""
import csv
import io
import subprocess
import threading
import time
from dataclasses import dataclass

from harness.resp import Client, encode
from harness.server import Server

SERVER_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = 50
KEY = "key:%012d"  # the same 16 bytes that redis-benchmark makes of key:__rand_int__


@dataclass
class Load:
    """One run of redis-benchmark."""
    requests_per_s: float
    user_us: float  # CPU of the server, microseconds per request
    system_us: float
    p50_ms: float
    p99_ms: float

    @property
    def cpu_us(self):
        return self.user_us + self.system_us


def pinned_server(kind, io_threads=0):
    """A server on its core with nothing on that would write files."""
    return Server(kind, "tcp", io_threads, {"maxmemory": 0}, prefix=["taskset", "-c", SERVER_CORE])


def load(server, first, last, value_bytes, ttl=False):
    """Stores the keys [first, last), pipelined."""
    value = b"v" * value_bytes
    suffix = (b"EX", b"1000000") if ttl else ()
    # A request of fixed size with the key's number put in is far cheaper to make than to encode each.
    head, tail = encode("SET", KEY % 0, value, *suffix).split((KEY % 0).encode())
    with Client(server.address) as client:
        batch = 2000
        window = threading.Semaphore(50)  # batches under way
        expected = b"+OK\r\n"

        def read():
            for start in range(first, last, batch):
                left = len(expected) * (min(start + batch, last) - start)
                while left:
                    data = client.socket.recv(min(left, 1 << 20))
                    if not data or not data.startswith((b"+", b"O", b"K", b"\r", b"\n")):
                        raise AssertionError(f"loading failed: {data[:100]!r}")
                    left -= len(data)
                window.release()

        reader = threading.Thread(target=read)
        reader.start()
        for start in range(first, last, batch):
            window.acquire()
            client.send_raw(b"".join(b"%s%s%s" % (head, (KEY % i).encode(), tail)
                                     for i in range(start, min(start + batch, last))))
        reader.join()


def run_load(server, command, keys, value_bytes, pipeline, requests):
    """redis-benchmark with random keys among `keys`; the CPU is that of the server meanwhile."""
    before = server.cpu_seconds()
    output = subprocess.run(
        ["taskset", "-c", LOAD_CORE, "redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-c",
         str(CONNECTIONS), "-n", str(requests), "-P", str(pipeline), "-r", str(keys), "-d", str(value_bytes),
         "-t", command.lower(), "--csv"],
        check=True, capture_output=True, text=True).stdout
    after = server.cpu_seconds()
    row = next(row for row in csv.DictReader(io.StringIO(output)) if row["test"].upper().startswith(command.upper()))
    user_s, system_s = (now - then for now, then in zip(after, before))
    return Load(float(row["rps"]), user_s * 1e6 / requests, system_s * 1e6 / requests,
                float(row["p50_latency_ms"]), float(row["p99_latency_ms"]))


def settled_rss(server, timeout_s=30):
    """RSS once it has stopped changing (incremental rehashing goes on for a while)."""
    deadline = time.monotonic() + timeout_s
    last, since = server.rss_bytes(), time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < 1.5:
        time.sleep(0.1)
        now = server.rss_bytes()
        if abs(now - last) > 64 << 10:
            last, since = now, time.monotonic()
    return last


def bytes_per_key(kind, keys, value_bytes, ttl=False):
    """RSS growth of a fresh server by loading `keys` keys of 16 bytes."""
    with pinned_server(kind) as server:
        before = settled_rss(server)
        load(server, 0, keys, value_bytes, ttl)
        with server.connect() as client:
            assert client("DBSIZE") == keys
        return (settled_rss(server) - before) / keys


def growth_pause(first, last):
    """The longest pause of our executor (ms of its time, and what it was) while the table grows."""
    with pinned_server("skua") as server:
        load(server, 0, first, 8)
        with server.connect() as client:
            assert client("CONFIG RESETSTAT") == "OK"
            load(server, first, last, 8)
            info = client.info("everything")
            assert client("DBSIZE") == last
    return float(info["executor_pause_max_usec"]) / 1000, info.get("executor_pause_max_by", "")
