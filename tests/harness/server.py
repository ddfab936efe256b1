"""Starts and stops a server for tests: ours, Debian's redis-server 7.0 as the oracle, or a program given by its path.

Entry: Server. Each has its own folder, a Unix socket and a free TCP port, and never more than one owner. Stopping
checks that it left with status 0 and wrote no report of a crash, a sanitizer or an assertion.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .resp import Client
from .shm import ShmAddress

ROOT = pathlib.Path(__file__).resolve().parents[2]
REDIS = "redis"
SKUA = "skua"
# A sanitizer build is some ten times slower.
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60

TROUBLE = re.compile(
    rb"BUG REPORT|crash report|Crash report|assertion failed|ASSERTION FAILED|AddressSanitizer|LeakSanitizer"
    rb"|ThreadSanitizer|runtime error:|Segmentation fault|stack smashing|double free", re.IGNORECASE)


def is_slow_build():
    """Whether the server under test is a sanitizer build: tests then move less data."""
    return bool(os.environ.get("SKUA_SLOW_BUILD"))


def oracle_program():
    """Debian's redis-server. The package redis-tools has the same program as redis-check-rdb; it looks at the name
    under which it was started."""
    found = shutil.which("redis-server")
    if found:
        return found
    checker = shutil.which("redis-check-rdb")
    if not checker:
        raise RuntimeError("neither redis-server nor redis-check-rdb: run dev/setup test")
    link = ROOT / "build" / "oracle" / "redis-server"
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        temporary = link.with_name(f"redis-server.{os.getpid()}")
        temporary.symlink_to(checker)
        temporary.rename(link)  # several test processes may come here at once
    return str(link)


def program(kind):
    if kind == REDIS:
        return oracle_program()
    if "/" in kind:
        return kind
    return os.environ.get("SKUA_SERVER", str(ROOT / "build" / "bin" / "skua-server"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_rewriting(client):
    """Whether the append-only file is being rewritten, or is about to be. Asked once: of two answers, one may be from before the rewrite
    began and say that none is under way, the other from behind that and say that none is to come."""
    info = client.info("persistence")
    return info["aof_rewrite_in_progress"] == "1" or info["aof_rewrite_scheduled"] == "1"


class Server:
    """One running server process.

    kind: SKUA, REDIS or the path of another server's program. transport: "tcp", "unix" or "shm", what connect() uses. io_threads: as the option (ours only).
    config: further options by name; a value that is a list gives one line per element.
    """

    def __init__(self, kind=SKUA, transport="tcp", io_threads=0, config=None, arguments=(), env=None, prefix=()):
        self.kind = kind
        self.transport = transport
        self.io_threads = io_threads
        self.config = dict(config or {})
        self.arguments = list(arguments)
        self.env = dict(env or {})
        self.prefix = list(prefix)  # a command that starts the server: taskset, …
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="skua-test-"))
        self.socket_path = str(self.folder / "s.sock")
        self.config_path = self.folder / "server.conf"
        self.log_path = self.folder / "log"
        self.process = None
        self.port = 0
        self.clients = []

    # ---- Life -----------------------------------------------------------------------------------------

    def start(self, attempts=5, until_loaded=True):
        """Starts the process and waits until it answers, and has loaded its data. A port that was taken meanwhile is tried
        again."""
        for attempt in range(attempts):
            self.port = free_port()
            self._write_config()
            self._launch()
            if self._wait_ready(until_loaded):
                return self
            if b"in use" not in self.log() or attempt == attempts - 1:
                break
            self.log_path.unlink()
        raise AssertionError(f"the server did not start (status {self.process.poll()}):\n{self.log_tail()}")

    def _launch(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, program(self.kind), str(self.config_path), *self.arguments], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C", **self.env})  # SORT in Redis follows the locale

    def start_to_end(self):
        """Starts a server that is expected to leave by itself; returns its exit status."""
        self._write_config()
        self._launch()
        status = self.wait_exit()
        self.check_log()
        return status

    def _write_config(self):
        options = {"port": self.port, "bind": "127.0.0.1 -::1", "unixsocket": self.socket_path,
                   "dir": str(self.folder), "loglevel": "notice", "save": '""', "appendonly": "no",
                   "enable-debug-command": "yes"}
        if self.kind == SKUA:
            options |= {"io-threads": self.io_threads, "io-threads-always-active": "yes"}
            if "SKUA_SLICE_US" in os.environ:  # 1: whatever may pause does, all the time
                options |= {"slice-us": os.environ["SKUA_SLICE_US"]}
        options |= self.config
        lines = []
        for name, value in options.items():
            for element in value if isinstance(value, list) else [value]:
                lines.append(f"{name} {element}\n")
        self.config_path.write_text("".join(lines))

    def _wait_ready(self, until_loaded):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            try:
                with Client(self.socket_path) as client:
                    is_loading = str(client("PING")).startswith("LOADING")
                    if not until_loaded or not is_loading:
                        return True
            except (FileNotFoundError, ConnectionRefusedError, EOFError):
                pass
            time.sleep(0.01)
        self.process.kill()
        self.process.wait()
        return False

    def stop(self, with_signal=signal.SIGTERM):
        """Asks it to leave and checks that it did so cleanly. Removes its folder when all is well."""
        self.close_clients()
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        self.wait_exit()
        self.check_exit()
        self.remove()

    def kill(self):
        """Without ceremony, for tests that have already failed or that made it crash on purpose."""
        self.close_clients()
        if not self.process:
            return
        status = self.process.poll()
        if status not in (None, 0, -signal.SIGKILL, -signal.SIGTERM) or TROUBLE.search(self.log()):
            print(f"the server died ({status}):\n{self.log_tail(120)}")  # pytest shows it if the test has failed
        if status is None:
            self.process.kill()
            self.process.wait()

    def wait_exit(self, timeout_s=STOP_TIMEOUT_S):
        """Waits for the end; returns the exit status."""
        try:
            return self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not leave within {timeout_s} s:\n{self.log_tail()}") from None

    def check_exit(self):
        """Fails unless it left with status 0 and its log is free of trouble."""
        self.check_log()
        status = self.process.returncode
        assert status == 0, f"the server left with status {status}:\n{self.log_tail()}"

    def check_alive(self):
        assert self.process.poll() is None, f"the server died ({self.process.returncode}):\n{self.log_tail()}"

    def check_log(self):
        found = TROUBLE.search(self.log())
        assert not found, f"trouble in the server's log ({found[0]!r}):\n{self.log_tail(120)}"

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- Looking at it --------------------------------------------------------------------------------

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        if self.transport == "tcp":
            return "127.0.0.1", self.port
        return ShmAddress(self.socket_path) if self.transport == "shm" else self.socket_path

    @property
    def first_address(self):
        """Where a connection begins: a session of shared memory on the Unix socket."""
        return self.socket_path if self.transport == "shm" else self.address

    def log(self):
        return self.log_path.read_bytes() if self.log_path.exists() else b""

    def log_tail(self, lines=60):
        return "\n".join(self.log().decode(errors="replace").splitlines()[-lines:])

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def cpu_seconds(self):
        """(user, system) CPU time of all its threads so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        tick = os.sysconf("SC_CLK_TCK")
        return int(fields[11]) / tick, int(fields[12]) / tick

    # ---- Talking to it --------------------------------------------------------------------------------

    def connect(self, resp=2, address=None):
        """A new connection, closed at the latest when the server stops."""
        client = Client(address or self.address, resp=resp)
        self.clients.append(client)
        return client

    def close_clients(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    def __enter__(self):
        return self.start()

    def __exit__(self, exception, *_):
        if exception:
            self.kill()
        else:
            self.stop()


def end_servers(servers):
    """Stops those that run, looks at how they ended, and removes what is left of all."""
    for server in servers:
        try:
            if server.process and server.process.poll() is None:
                server.stop()
        finally:
            server.kill()
            server.remove()
