"""Fixtures of the specs beside real servers of Valkey, which are no part of this repository and of no Debian 12 package.

SKUA_VALKEY names their programs, separated by colons: SKUA_VALKEY=/path/8/src/valkey-server:/path/9/src/valkey-server. Without it
everything here is skipped.

    valkey     the path of a server's program; a spec runs with each of them
    version    its version: (9, 1)
    servers    servers(kind, option=value, …) starts one that answers over TCP; stopped and checked at the end
"""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness.server import SKUA, Server, end_servers

PROGRAMS = [path for path in os.environ.get("SKUA_VALKEY", "").split(":") if path]
OPTIONS = {"repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}


def version_of(program):
    said = subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    major, minor = re.search(r"v=(\d+)\.(\d+)", said).groups()
    return int(major), int(minor)


def pytest_generate_tests(metafunc):
    if "valkey" in metafunc.fixturenames:
        missing = pytest.param(None, marks=pytest.mark.skip(reason="SKUA_VALKEY names no server of Valkey"))
        metafunc.parametrize("valkey", PROGRAMS or [missing], scope="session",
                             ids=["{}.{}".format(*version_of(path)) for path in PROGRAMS] or ["none"])


@pytest.fixture
def version(valkey):
    return version_of(valkey)


@pytest.fixture
def tool(valkey):
    """tool("cli", …) runs valkey-cli, which lies beside the server, and returns what it has written and its status."""
    def run(name, *words, data=None, timeout_s=120):
        path = pathlib.Path(valkey).with_name(f"valkey-{name}")
        if not path.exists():
            pytest.skip(f"there is no {path}")
        done = subprocess.run([str(path), *map(str, words)], input=data, capture_output=True, timeout=timeout_s,
                              stdin=subprocess.DEVNULL if data is None else None)
        return (done.stdout + done.stderr).decode(errors="replace"), done.returncode

    return run


@pytest.fixture
def servers():
    started = []

    def begin(kind=SKUA, files=(), io_threads=1, **options):
        """`files`: files and folders that lie in the server's folder when it starts."""
        config = OPTIONS | {name.replace("_", "-"): value for name, value in options.items()}
        own = Server(kind, "tcp", io_threads if kind == SKUA else 0, config)
        started.append(own)
        for path in files:
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, own.folder / path.name)
        return own.start()

    yield begin
    end_servers(reversed(started))
