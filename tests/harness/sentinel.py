"""A stock sentinel for tests, and how to ask the servers that it watches. Entry: Sentinel, ask."""
import subprocess

from .resp import Client, eventually
from .server import free_port, oracle_program

WAIT_S = 120


class Sentinel:
    """One sentinel process that watches `primary` as "it"; its quorum is itself. `program`: of another server than Debian's."""

    def __init__(self, primary, folder, program=None):
        self.port = free_port()
        path = folder / "sentinel.conf"
        path.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
                        f"sentinel monitor it 127.0.0.1 {primary.port} 1\n"
                        "sentinel down-after-milliseconds it 1500\n"
                        "sentinel failover-timeout it 10000\n")
        self.log_path = folder / "sentinel.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([program or oracle_program(), str(path), "--sentinel"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        self.client = eventually(self._connect, "sentinel answers", timeout_s=WAIT_S)

    def _connect(self):
        try:
            return Client(("127.0.0.1", self.port))
        except OSError:
            return None

    def primary_port(self):
        return int(self.client("SENTINEL GET-MASTER-ADDR-BY-NAME it")[1])

    def replicas(self):
        """port -> what is known, of those that it can talk to."""
        rows = [dict(zip(row[::2], row[1::2])) for row in self.client("SENTINEL REPLICAS it")]
        return {int(row[b"port"]): row for row in rows}

    def stop(self):
        self.client.close()
        self.process.kill()
        self.process.wait()


def ask(server, *command):
    """On a connection of its own, and again when that is ended: Sentinel ends those that are there when a role changes."""
    while True:
        with Client(("127.0.0.1", server.port)) as client:
            try:
                return client(*command)
            except (EOFError, ConnectionResetError, BrokenPipeError):
                pass
