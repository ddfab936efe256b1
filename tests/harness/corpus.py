"""The files of tests/corpus: redis-server's, and such as older and newer servers wrote. Entry: snapshots, logs, expected.

A snapshot is an .rdb file, a log a folder with a manifest; single_logs are files as servers before 7.0 had them.
"""
import json
import re
import shutil

from .server import ROOT

FOLDER = ROOT / "tests" / "corpus"
ORACLE_VERSION_MAX = 10  # of the format: redis-server 7.0 reads no later one


def snapshots():
    return sorted(path.stem for path in FOLDER.glob("*.rdb"))


def logs():
    return sorted(path.name for path in FOLDER.iterdir() if any(path.glob("*.manifest")))


def single_logs():
    return sorted(path.stem for path in FOLDER.glob("*.aof"))


def path_of(name):
    return next(path for path in (FOLDER / f"{name}.rdb", FOLDER / f"{name}.aof", FOLDER / name) if path.exists())


def version_of(name):
    """Of a snapshot's format."""
    return int(re.match(rb"(?:REDIS|VALKEY)(\d+)", path_of(name).read_bytes()[:9])[1])


def redis_can_load(name):
    return version_of(name) <= ORACLE_VERSION_MAX and name != "foreign"


def expected(name):
    """{"keys": [...], "digest": ...}: see contents.py."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def place(name, folder):
    """Puts a file or log where a server that is started in `folder` finds it. Returns the options that it needs."""
    path = path_of(name)
    if path.is_dir():
        shutil.copytree(path, folder / "appendonlydir")
        return {"appendonly": "yes"}
    if path.suffix == ".aof":
        shutil.copy(path, folder / "appendonly.aof")
        return {"appendonly": "yes"}
    shutil.copy(path, folder / "dump.rdb")
    return {}
