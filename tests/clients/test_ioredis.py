"""ioredis from npm, pinned in package-lock.json, used as an application would (ioredis_test.js)."""
import hashlib
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def modules():
    """`npm ci` into a cache folder named for the lock file, so that it runs once per lock file and machine."""
    lock = (HERE / "package-lock.json").read_bytes()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    folder = cache / "skua-tests" / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "complete").exists():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, fresh)
        result = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=fresh,
                                capture_output=True, text=True, timeout=240)
        assert result.returncode == 0, f"npm ci failed (is there a network?):\n{result.stdout}{result.stderr}"
        (fresh / "complete").touch()
        try:
            fresh.rename(folder)
        except OSError:  # another worker was faster
            assert (folder / "complete").exists(), f"remove {folder}: it is not complete"
            shutil.rmtree(fresh)
    return folder / "node_modules"


def test_ioredis(server, modules):
    result = subprocess.run(["node", str(HERE / "ioredis_test.js"), str(server.port), server.socket_path],
                            env={**os.environ, "NODE_PATH": str(modules)}, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("ok ") >= 13, result.stdout
