"""Speaks with tests/library/driver.c: a line in, lines out.

Entry: Driver. d("command GET x") returns the lines of the answer; a single one comes as a string.
d.last(…) returns the last one only.
"""
import os
import pathlib
import select
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ANSWER_TIMEOUT_S = 60


def quote(data):
    """Bytes as a word of the driver's lines."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


class Driver:
    def __init__(self):
        program = os.environ.get("SKUA_LIBRARY_DRIVER", str(ROOT / "build/tests/library/library-driver"))
        resolver = {"RES_OPTIONS": "timeout:1 attempts:1"}  # a machine without a name server says so soon
        self.process = subprocess.Popen([program], env={**os.environ, **resolver}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, bufsize=0)
        self.buffer = b""

    def send(self, line):
        """Without waiting for the answer: for calls that wait for what the test does next."""
        self.process.stdin.write(line.encode() + b"\n")

    def answer(self):
        """The lines up to the next "."."""
        lines = []
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                assert line != b"loop: too long", lines
                if line == b".":
                    return lines[0] if len(lines) == 1 else lines
                lines.append(line.decode(errors="replace").rstrip())
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self.process.stdout], [], [], left_s)[0]:
                self.process.kill()
                raise AssertionError(f"the driver hangs; so far: {lines}")
            data = self.process.stdout.read(65536)
            if not data:
                raise AssertionError(f"the driver is gone: {lines} {self.buffer!r}")
            self.buffer += data

    def __call__(self, line):
        self.send(line)
        return self.answer()

    def last(self, line):
        """The last line of the answer: the call's own, behind what callbacks said meanwhile."""
        answer = self(line)
        return answer if isinstance(answer, str) else answer[-1]

    def finish(self):
        """Ends it, and checks that nothing is left of what it took."""
        self.process.stdin.close()
        output = self.buffer + self.process.stdout.read()
        status = self.process.wait(timeout=ANSWER_TIMEOUT_S)
        self.process.stdout.close()
        assert status == 0, f"the driver left with status {status}:\n{output.decode(errors='replace')}"
