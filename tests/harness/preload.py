"""Programs that know nothing of shared memory, run with libskua_preload.so before a server of ours.

Each program in programs/ takes a mode and a socket's path:
  exchange  commands, large values, many at once; says "done" when every answer was right
  survive   says "ready" before it waits for something that never comes, "told" when the connection ended, and "back"
            when, connected anew, it has an answer
That a connection was shared memory is shown by the library's counters, which it prints when the program ends.
"""
import os
import pathlib
import queue
import re
import shutil
import subprocess
import threading

from .server import ROOT

LIBRARY = os.environ.get("SKUA_PRELOAD_LIBRARY", str(ROOT / "build" / "preload" / "libskua_preload.so"))
PROGRAMS = pathlib.Path(__file__).resolve().parents[1] / "preload" / "programs"
PYTHON = "/usr/bin/python3"
LIMIT_S = 100  # for what takes some tenths of a second when nothing else is running

COUNTERS = re.compile(r"^skua-preload: (.*)$", re.MULTILINE)


def environment(server, **more):
    return {**os.environ, "LD_PRELOAD": LIBRARY, "SKUA_PRELOAD_SOCKET": server.socket_path, "SKUA_PRELOAD_DEBUG": "1",
            **more}


def command_of(kind, mode, path):
    """The command line of a program in programs/."""
    line = {"redis-py": [PYTHON, PROGRAMS / "blocking.py"], "asyncio": [PYTHON, PROGRAMS / "event_loop.py"],
            "ioredis": ["node", PROGRAMS / "ioredis.js"], "phpredis": ["php", PROGRAMS / "phpredis.php"],
            "ruby": ["ruby", PROGRAMS / "ruby_redis.rb"],
            "java": ["java", "-XX:TieredStopAtLevel=1", PROGRAMS / "Channels.java"]}[kind]
    assert shutil.which(line[0]), f"{line[0]} is missing: run dev/setup test"
    return [*map(str, line), mode, path]


def counters(text):
    """What the library printed last, as numbers."""
    found = COUNTERS.findall(text)
    assert found, f"no session was asked for:\n{text}"
    return {name: int(number) for name, number in (pair.split("=") for pair in found[-1].split())}


def run(server, command, status=0, **options):
    """Runs a program to its end. Returns what it printed, and the counters."""
    env = environment(server, **options.pop("env", {}))
    result = subprocess.run([str(word) for word in command], env=env, capture_output=True, timeout=LIMIT_S, **options)
    errors = result.stderr.decode(errors="replace")
    assert result.returncode == status, f"status {result.returncode}:\n{result.stdout[-2000:]!r}\n{errors[-4000:]}"
    return result.stdout, counters(errors)


class Program:
    """One that is running; its lines of output are waited for."""

    def __init__(self, command, env):
        self.process = subprocess.Popen([str(word) for word in command], env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.seen, self.errors = [], []
        self.readers = [threading.Thread(target=self._read_output, daemon=True),
                        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)]
        for reader in self.readers:
            reader.start()

    def _read_output(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def wait_for(self, wanted):
        while True:
            try:
                line = self.lines.get(timeout=LIMIT_S)
            except queue.Empty:
                raise AssertionError(f"waiting for {wanted!r}; so far {self.seen} {self.errors}") from None
            assert line is not None, f"it ended before {wanted!r}: {self.seen} {''.join(self.errors)[-3000:]}"
            self.seen.append(line)
            if wanted in line:
                return line

    def end(self, status=0):
        assert self.process.wait(timeout=LIMIT_S) == status, f"{self.seen} {''.join(self.errors)[-3000:]}"
        for reader in self.readers:
            reader.join(LIMIT_S)
        return counters("".join(self.errors))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
