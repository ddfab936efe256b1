"""Runs the recorder (tests/stress): a program that loads a server from many connections, writes down what they saw, and
checks it. Entry: check_text, brute_force, record.
"""
import os
import subprocess

from harness.server import ROOT

RECORDER = os.environ.get("SKUA_RECORDER", str(ROOT / "build" / "tests" / "stress" / "recorder"))


def check_text(*histories):
    """What the recorder's checker found in each history: a list of numbers."""
    result = subprocess.run([RECORDER, "--check", "-"], input="=\n".join(histories), capture_output=True, text=True, timeout=100)
    assert result.returncode in (0, 1), result.stderr
    found = [int(line.rpartition(": ")[2].split()[0]) for line in result.stdout.splitlines() if "operations: " in line]
    assert len(found) == len(histories)
    assert result.returncode == any(found)
    return found


def url_of(server, transport=None):
    match transport or server.transport:
        case "tcp":
            return f"redis://127.0.0.1:{server.port}"
        case "unix" | "shm" as scheme:
            return f"{scheme}://{server.socket_path}"


def record(server, *options, transport=None, timeout_s=120):
    """Records a history on the server and checks it. Returns (status, output): 0 when all of it can be explained, 1 when not,
    2 when the run itself failed."""
    result = subprocess.run([RECORDER, "--url", url_of(server, transport), *map(str, options)], capture_output=True,
                            text=True, timeout=timeout_s)
    return result.returncode, result.stdout + result.stderr
