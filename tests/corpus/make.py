#!/usr/bin/python3
"""Makes the files of this folder anew: run by hand, with redis-server 7.0, when something is to be added. README.md tells
what they are.

    tests/corpus/make.py
"""
import json
import pathlib
import random
import shutil
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from harness import rdb  # noqa: E402
from harness.contents import abridged, contents, normal  # noqa: E402
from harness.digest import digest  # noqa: E402
from harness.resp import eventually  # noqa: E402
from harness.server import REDIS, Server, is_rewriting  # noqa: E402
from harness.values import VALUES, build, filled, numbered, random_writes, with_groups  # noqa: E402

FAR_MS = 33177117420000
DUMP_MAX = 6000  # bytes of a value that is taken from the tests' values: the corpus stays small
OPTIONS = {"databases": 16, "stop-writes-on-bgsave-error": "no"}


def say(name, expected):
    path = FOLDER / f"{name}.json"
    lines = ",\n  ".join(json.dumps(abridged(normal(entry)), ensure_ascii=False) for entry in expected["keys"])
    head = json.dumps({key: value for key, value in expected.items() if key != "keys"}, ensure_ascii=False)[1:-1]
    path.write_text("{" + head + (", " if head else "") + '"keys": [\n  ' + lines + "\n]}\n")


def expected_of(client):
    return {"digest": digest(client), "keys": contents(client)}


# ---- Snapshots by redis-server ----------------------------------------------------------------------------


def all_types(client):
    for name, commands in VALUES.items():
        if name == "string-random":
            continue
        build(client, commands)
        if len(client("DUMP k")) <= DUMP_MAX:
            client("RENAME", "k", name)
        client("DEL k")
    build(client, with_groups())
    client("RENAME k stream-with-groups")
    client("PEXPIREAT", "hash-of-one", FAR_MS)
    client("PEXPIREAT", "stream-of-one", FAR_MS + 1)
    client("SET", "string-of-a-megabyte", b"0123456789abcdef" * 65536)  # a value that is large here and small in the file
    client("RPUSH", "list-of-large", b"x" * 100000, b"y" * 10000, b"", b"z")
    client("SET", b"\xff\x00 key \r\n", "binary")
    client("SET", "", "of the empty key")
    client("SELECT 7")
    client("SET", "elsewhere", "v", "PXAT", FAR_MS + 2)
    client("SELECT 15")
    client("ZADD", "last", 1, "a")
    client("SELECT 0")


def small_things(client):
    build(client, [("SET", "s", "v"), ("RPUSH", "l", "a", 1), ("SADD", "i", 1, 2, 3), ("SADD", "u", "a", "b"),
                   ("ZADD", "z", 1.5, "a", 2, "b"), ("HSET", "h", "f", "v", "g", 7), ("XADD", "x", "1-1", "f", "v"),
                   ("PEXPIREAT", "l", FAR_MS), ("SELECT", 3), ("SET", "t", 12345), ("SELECT", 0)])


def large_encodings(client):
    """Tables, skiplists and long listpacks, by limits that are not the usual ones."""
    for option in ("hash-max-listpack-entries", "zset-max-listpack-entries", "set-max-intset-entries"):
        client("CONFIG", "SET", option, 1)
    build(client, [("HSET", "hash-table", *range(20)), ("ZADD", "skiplist", *range(20)), ("SADD", "set-table", *range(20))])
    for option in ("hash-max-listpack-entries", "zset-max-listpack-entries", "set-max-intset-entries"):
        client("CONFIG", "SET", option, 10000)
    build(client, [("HSET", "long-listpack-hash", *range(1200)), ("ZADD", "long-listpack-zset", *range(1200)),
                   ("SADD", "long-intset", *range(-300, 300))])
    client("CONFIG SET list-max-listpack-size 2")
    build(client, filled("RPUSH", numbered(30)))
    client("RENAME k quicklist-of-small-nodes")
    client("CONFIG SET list-compress-depth 1")
    build(client, filled("RPUSH", [b"compressible " * 20] * 12))
    client("RENAME k quicklist-compressed-inside")
    client("DEBUG QUICKLIST-PACKED-THRESHOLD 100")
    build(client, filled("RPUSH", [b"a", b"p" * 200, b"b", b"q" * 300]))
    client("RENAME k quicklist-with-plain-nodes")


def functions(client):
    small_things(client)
    client("FUNCTION", "LOAD", "#!lua name=counting\nredis.register_function('count', function(keys) "
           "return redis.call('INCR', keys[1]) end)\n")
    client("FUNCTION", "LOAD", "#!lua name=other\nredis.register_function{function_name='noop', callback=function() "
           "return 1 end, flags={'no-writes'}}\n")


def many(client):
    """Some keys of all types at random, and more than one kind of length for their number."""
    client.pipeline(*random_writes(7, 30, keys=2))
    client("SELECT 1")
    client.pipeline(*[("SET", f"key:{i}", i) for i in range(300)])
    client("SELECT 0")


SNAPSHOTS = {
    "empty": ({}, lambda client: None),
    "types": ({}, all_types),
    "encodings": ({}, large_encodings),
    "idle": ({"maxmemory-policy": "allkeys-lru"}, small_things),
    "frequencies": ({"maxmemory-policy": "volatile-lfu"}, small_things),
    "functions": ({}, functions),
    "uncompressed": ({"rdbcompression": "no"}, small_things),
    "no-checksum": ({"rdbchecksum": "no"}, small_things),
    "many": ({}, many),
}


def snapshot(name, options, fill):
    with Server(REDIS, "unix", config=OPTIONS | options) as server:
        client = server.connect()
        fill(client)
        assert client("SAVE") == "OK"
        shutil.copy(server.folder / "dump.rdb", FOLDER / f"{name}.rdb")
        say(name, expected_of(client))


# ---- Logs by redis-server -----------------------------------------------------------------------------------


def log_commands(client):
    """Commands of many kinds behind the base: they are replayed."""
    build(client, [("SET", "s", "new"), ("APPEND", "s", "er"), ("INCR", "n"), ("LPOP", "l"), ("SREM", "i", 2),
                   ("HDEL", "h", "g"), ("HINCRBYFLOAT", "h", "f2", "0.5"), ("ZINCRBY", "z", "0.25", "a"),
                   ("XADD", "x", "5-5", "f", "w"), ("XGROUP", "CREATE", "x", "g", "0"),
                   ("XREADGROUP", "GROUP", "g", "alice", "COUNT", 1, "STREAMS", "x", ">"), ("SPOP", "u"),
                   ("SET", "e", "v", "PXAT", FAR_MS), ("PEXPIREAT", "h", FAR_MS + 7), ("SELECT", 3), ("RENAME", "t", "t2"),
                   ("SELECT", 5), ("MULTI",), ("SET", "in", "a transaction"), ("RPUSH", "list", *range(50)), ("EXEC",),
                   ("SELECT", 0), ("COPY", "s", "copy", "DB", 5), ("SETRANGE", "s", 10, b"\xff\x00"), ("DEL", "n")])


def rewritten(client):
    client("BGREWRITEAOF")
    eventually(lambda: not is_rewriting(client), "the log has been rewritten")


def log_folder(name, options, steps):
    """What is expected of a log is what a server has that has replayed it: it does not know all that groups have read."""
    config = OPTIONS | {"appendonly": "yes", "auto-aof-rewrite-percentage": 0} | options
    target = FOLDER / name
    with Server(REDIS, "unix", config=config) as server:
        client = server.connect()
        for step in steps:
            step(client)
        client("CONFIG SET appendfsync always")
        client("SET last change")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(server.folder / "appendonlydir", target)
        before = digest(client)
    again = Server(REDIS, "unix", config=config)
    shutil.copytree(target, again.folder / "appendonlydir")
    with again:
        assert digest(again) == before
        say(name, expected_of(again.connect()))


LOGS = {
    "log": ({}, [small_things, rewritten, log_commands]),
    "log-without-base": ({}, [small_things, log_commands]),
    "log-plain-base": ({"aof-use-rdb-preamble": "no"}, [small_things, rewritten, log_commands]),
    "log-timestamps": ({"aof-timestamp-enabled": "yes"}, [small_things, log_commands]),
    "log-rewritten-twice": ({}, [small_things, log_commands, rewritten, lambda client: client("SET after first"),
                                 rewritten]),
}


def single_logs():
    """Logs as servers before 7.0 wrote them: one file, begun by a snapshot or not."""
    base, = (FOLDER / "log").glob("*.base.rdb")
    commands, = (FOLDER / "log").glob("*.incr.aof")
    (FOLDER / "single.aof").write_bytes(base.read_bytes() + commands.read_bytes())
    shutil.copy(FOLDER / "log.json", FOLDER / "single.json")
    commands, = (FOLDER / "log-without-base").glob("*.incr.aof")
    (FOLDER / "plain.aof").write_bytes(commands.read_bytes())
    shutil.copy(FOLDER / "log-without-base.json", FOLDER / "plain.json")


# ---- By hand: what older and newer servers wrote --------------------------------------------------------------


def strings(*words):
    return b"".join(rdb.string(word) for word in words)


def simple(version):
    """The types that there have been from the beginning."""
    return [
        rdb.select(0), rdb.key(b"string", rdb.STRING, rdb.string(b"v")), rdb.key(b"int", rdb.STRING, b"\xc1\x39\x30"),
        rdb.key(b"list", rdb.LIST, rdb.length(3), strings(b"a", b"b"), b"\xc0\x05"),
        rdb.key(b"set", rdb.SET, rdb.length(2), strings(b"a", b"b")),
        rdb.key(b"zset", rdb.ZSET, rdb.length(3), rdb.string(b"a"), b"\x031.5", rdb.string(b"b"), b"\xfe",
                rdb.string(b"c"), b"\xff"),
        rdb.key(b"hash", rdb.HASH, rdb.length(1), strings(b"f", b"v")),
        *([rdb.key(b"expires", rdb.STRING, rdb.string(b"v"), expire_s=2**31 - 1)] if version < 3 else
          [rdb.key(b"expires", rdb.STRING, rdb.string(b"v"), expire_ms=FAR_MS)]),
        rdb.select(9), rdb.key(b"other", rdb.STRING, rdb.compressed(b"\x00x\xe0\x3f\x00", 73)),
    ]


SIMPLE = [
    {"db": 0, "key": "expires", "type": "string", "expire_ms": FAR_MS, "value": "v"},
    {"db": 0, "key": "hash", "type": "hash", "value": [["f", "v"]]},
    {"db": 0, "key": "int", "type": "string", "value": "12345"},
    {"db": 0, "key": "list", "type": "list", "value": ["a", "b", "5"]},
    {"db": 0, "key": "set", "type": "set", "value": ["a", "b"]},
    {"db": 0, "key": "string", "type": "string", "value": "v"},
    {"db": 0, "key": "zset", "type": "zset", "value": [["c", "-inf"], ["a", 1.5], ["b", "inf"]]},
    {"db": 9, "key": "other", "type": "string", "value": "x" * 73},
]
SIMPLE_OLD = [entry | ({"expire_ms": (2**31 - 1) * 1000} if "expire_ms" in entry else {}) for entry in SIMPLE]


def entry(key, kind, value, **more):
    return {"db": 0, "key": key, "type": kind, **more, "value": value}


ZIPPED = {  # name: (version that brought it, type, body, what it is)
    "zipmap": (2, rdb.HASH_ZIPMAP, rdb.string(rdb.zipmap([(b"a", b"1"), (b"b", b"x" * 300)], unused=2)),
               ("hash", [["a", "1"], ["b", "x" * 300]])),
    "list-ziplist": (2, rdb.LIST_ZIPLIST, rdb.string(rdb.ziplist([b"a", 7, 13, -200, 70000, b"y" * 300, b"z"])),
                     ("list", ["a", "7", "13", "-200", "70000", "y" * 300, "z"])),
    "intset": (2, rdb.SET_INTSET, rdb.string(rdb.intset([-5, 1, 100000])), ("set", ["-5", "1", "100000"])),
    "zset-ziplist": (2, rdb.ZSET_ZIPLIST, rdb.string(rdb.ziplist([b"a", 1, b"b", b"2.5"])),
                     ("zset", [["a", 1.0], ["b", 2.5]])),
    "hash-ziplist": (4, rdb.HASH_ZIPLIST, rdb.string(rdb.ziplist([b"f", 1, b"g", b"text"])),
                     ("hash", [["f", "1"], ["g", "text"]])),
    "quicklist": (7, rdb.QUICKLIST, rdb.length(2) + rdb.string(rdb.ziplist([b"a", 1])) +
                  rdb.string(rdb.ziplist([b"b"])), ("list", ["a", "1", "b"])),
    "zset-2": (8, rdb.ZSET_2, rdb.length(1) + rdb.string(b"a") + rdb.double(0.1), ("zset", [["a", 0.1]])),
    "stream": (9, rdb.STREAM, rdb.length(1) + rdb.stream_node(5, 1, [b"f"], [(0, 0, [b"v"]), (2, 0, [7])]) +
               rdb.length(2) + rdb.stream_id(7, 1) + rdb.length(0),
               ("stream", {"length": 2, "last_id": "7-1", "max_deleted_id": "0-0", "entries_added": 2,
                           "entries": [["5-1", [["f", "v"]]], ["7-1", [["f", "7"]]]], "groups": []})),
    "set-listpack": (11, rdb.SET_LISTPACK, rdb.string(rdb.listpack([b"a", 1])), ("set", ["1", "a"])),
    "hash-timed": (12, rdb.HASH_TIMED, rdb.moment(FAR_MS) + rdb.length(2) + rdb.length(1) + strings(b"a", b"1") +
                   rdb.length(0) + strings(b"b", b"2"), ("hash", [["a", "1", FAR_MS], ["b", "2"]])),
    "hash-timed-listpack": (12, rdb.HASH_LISTPACK_TIMED, rdb.moment(FAR_MS) + rdb.string(
        rdb.listpack([b"a", 1, FAR_MS + 5, b"b", 2, 0])), ("hash", [["a", "1", FAR_MS + 5], ["b", "2"]])),
}


def by_hand():
    for version in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12):
        records, expected = simple(version), list(SIMPLE_OLD if version < 3 else SIMPLE)
        if version >= 7:
            records = [rdb.aux(b"redis-ver", b"x.%d" % version), records[0], rdb.sizes(8, 1), *records[1:]]
        if version >= 9:
            records += [rdb.key(b"idle", rdb.STRING, rdb.string(b"v"), idle=1000),
                        rdb.key(b"often", rdb.STRING, rdb.string(b"v"), frequency=200)]
            expected += [entry(key, "string", "v") | {"db": 9} for key in ("idle", "often")]
        records.append(rdb.select(0))
        for name, (since, kind, body, (type_name, value)) in ZIPPED.items():
            if since <= version:
                records.append(rdb.key(name.encode(), kind, body))
                expected.append(entry(name, type_name, value))
        write(f"version-{version}", rdb.file(version, *records), expected)
    write("version-80-valkey", rdb.file(80, *simple(80), rdb.select(0), rdb.key(
        b"hash-valkey", rdb.HASH_VALKEY, rdb.length(2), strings(b"a", b"1"), rdb.moment(FAR_MS), strings(b"b", b"2"),
        rdb.moment(-1)), valkey=True), [*SIMPLE, entry("hash-valkey", "hash", [["a", "1", FAR_MS], ["b", "2"]])])
    write("foreign", rdb.file(
        10, rdb.module_aux("ourmodule", 3, 7, b"aux"), rdb.function(b"#!lua name=f\n"), rdb.select(0),
        rdb.key(b"before", rdb.STRING, rdb.string(b"v")),
        rdb.key(b"tree", rdb.MODULE, rdb.module_value("ourmodule", 3, 1, b"text", 2.5)),
        rdb.key(b"behind", rdb.STRING, rdb.string(b"v"))), [entry("before", "string", "v"), entry("behind", "string", "v")])


def write(name, data, expected):
    (FOLDER / f"{name}.rdb").write_bytes(data)
    expected.sort(key=lambda each: (each["db"], each["key"]))
    say(name, {"keys": expected})


def main():
    random.seed(1)
    for name, (options, fill) in SNAPSHOTS.items():
        snapshot(name, options, fill)
    for name, (options, steps) in LOGS.items():
        log_folder(name, options, steps)
    single_logs()
    by_hand()


if __name__ == "__main__":
    main()
