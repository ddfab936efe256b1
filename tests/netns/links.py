"""What specs about links ask servers. Entry: wait_equal, fill, Load."""
import os
import threading

from harness.resp import Client, eventually

WAIT_S = 180


def replication(server):
    with Client(server.socket_path) as client:
        return client.info("replication")


def stats(server):
    with Client(server.socket_path) as client:
        return {name: int(value) for name, value in client.info("stats").items() if value.isdigit()}


def is_up(replica):
    return replication(replica).get("master_link_status") == "up"


def wait_up(replica):
    eventually(lambda: is_up(replica), "the link is up", timeout_s=WAIT_S, every_s=0.02)


def offset(server):
    return int(replication(server)["master_repl_offset"])


def wait_equal(primary, *replicas):
    """All have applied what the primary has written, and hold the same; nobody writes meanwhile."""
    with Client(primary.socket_path, timeout_s=WAIT_S) as client:
        for replica in replicas:
            # A primary's PING moves its offset as well.
            eventually(lambda: is_up(replica) and offset(replica) == offset(primary), "the offsets are equal",
                       timeout_s=WAIT_S, every_s=0.02)
            with Client(replica.socket_path, timeout_s=WAIT_S) as other:
                assert client("DEBUG DIGEST") == other("DEBUG DIGEST")


def fill(client, keys=20_000, size=1000):
    """With what cannot be compressed."""
    for begin in range(0, keys, 500):
        client.pipeline(*(("SET", f"k:{i}", os.urandom(size)) for i in range(begin, begin + 500)))


class Load(threading.Thread):
    """Writes values over `keys` keys until stop(), some in a pipeline at a time, and rests after each. Counts its commands and the
    bytes of their values."""

    def __init__(self, server, keys=1000, size=1000, pipeline=50, rest_s=0.001):
        super().__init__(daemon=True)
        self.client = Client(server.socket_path, timeout_s=WAIT_S)
        self.keys, self.size, self.pipeline, self.rest_s = keys, size, pipeline, rest_s
        self.commands = self.bytes = 0
        self.ended = threading.Event()
        self.trouble = None

    def run(self):
        values = [os.urandom(self.size) for _ in range(16)]
        while not self.ended.wait(self.rest_s):
            replies = self.client.pipeline(*(("SET", f"k{(self.commands + i) % self.keys}", values[(self.commands + i) % 16])
                                             for i in range(self.pipeline)))
            if replies != ["OK"] * self.pipeline:
                self.trouble = replies
                return
            self.commands += self.pipeline
            self.bytes += self.pipeline * self.size

    def stop(self):
        self.ended.set()
        self.join(WAIT_S)
        assert not self.trouble, self.trouble
        self.client.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
