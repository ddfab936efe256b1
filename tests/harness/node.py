"""Packages from npm for tests, pinned in tests/clients/package-lock.json. Entry: install_modules."""
import hashlib
import os
import pathlib
import shutil
import subprocess

CLIENTS = pathlib.Path(__file__).resolve().parents[1] / "clients"


def install_modules():
    """`npm ci` into a cache folder named for the lock file, so that it runs once per lock file and machine. Returns the
    folder for NODE_PATH."""
    lock = (CLIENTS / "package-lock.json").read_bytes()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    folder = cache / "skua-tests" / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "complete").exists():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CLIENTS / name, fresh)
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
