"""ioredis from npm, pinned in package-lock.json, used as an application would (ioredis_test.js)."""
import os
import pathlib
import subprocess

import pytest

from harness.node import install_modules

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def modules():
    return install_modules()


def test_ioredis(server, modules):
    result = subprocess.run(["node", str(HERE / "ioredis_test.js"), str(server.port), server.socket_path],
                            env={**os.environ, "NODE_PATH": str(modules)}, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("ok ") >= 13, result.stdout
