"""The client-side cache of node-redis from npm, pinned in package-lock.json (node_redis_cache_test.js)."""
import os
import pathlib
import subprocess

from harness.node import install_modules

HERE = pathlib.Path(__file__).parent


def test_the_cache_of_node_redis(server):
    result = subprocess.run(["node", str(HERE / "node_redis_cache_test.js"), str(server.port)],
                            env={**os.environ, "NODE_PATH": str(install_modules())}, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("ok ") == 4, result.stdout
