"""A stock sentinel of Redis 7.0 on each of several nodes. Entry: Sentinel, asked over the network of its own node."""
import subprocess

from harness.netns import PORT
from harness.resp import Client, eventually
from harness.server import oracle_program

SENTINEL_PORT = 26379
WAIT_S = 180


class Sentinel:
    """Watches what follows the server on `primary` as "it"; a majority of `count` decides."""

    def __init__(self, node, primary, count, folder):
        self.node = node
        path = folder / f"{node.name}.conf"
        path.write_text(f"port {SENTINEL_PORT}\nbind 0.0.0.0\nprotected-mode no\ndir {folder}\n"
                        f"sentinel monitor it {primary.ip} {PORT} {count // 2 + 1}\n"
                        "sentinel down-after-milliseconds it 1500\n"
                        "sentinel failover-timeout it 5000\n")
        with open(folder / f"{node.name}.log", "wb") as log, node.inside():
            self.process = subprocess.Popen([oracle_program(), str(path), "--sentinel"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        self.client = eventually(self._connect, "sentinel answers", timeout_s=WAIT_S)

    def _connect(self):
        try:
            with self.node.inside():
                return Client((self.node.ip, SENTINEL_PORT))
        except OSError:
            return None

    def primary_ip(self):
        return self.client("SENTINEL GET-MASTER-ADDR-BY-NAME it")[0].decode()

    def is_ready(self, replicas, sentinels):
        """Whether it knows all of them, and could fail over now."""
        rows = [dict(zip(row[::2], row[1::2])) for row in self.client("SENTINEL REPLICAS it")]
        others = [dict(zip(row[::2], row[1::2])) for row in self.client("SENTINEL SENTINELS it")]
        return (len(rows) == replicas and all(row[b"flags"] == b"slave" and row[b"master-link-status"] == b"ok" for row in rows)
                and len(others) == sentinels - 1 and all(row[b"flags"] == b"sentinel" for row in others)
                and str(self.client("SENTINEL CKQUORUM it")).startswith("OK"))

    def stop(self):
        self.client.close()
        self.process.kill()
        self.process.wait()
