"""skua-check: what it says of sound and damaged files, what it prints of them, what it repairs; beside redis-check-rdb and
redis-check-aof, and with the servers that load what it has repaired."""
import json
import pathlib
import random
import re
import shutil
import subprocess

import pytest

from harness import corpus, rdb
from harness.contents import abridged, contents, normal, order
from harness.digest import digest
from harness.server import REDIS, ROOT, SKUA, Server
from harness.values import random_writes

CHECK = str(ROOT / "build" / "bin" / "skua-check")
SOUND, DAMAGED, UNREADABLE = 0, 1, 2
ALL = corpus.snapshots() + corpus.logs() + corpus.single_logs()
FAR_MS = 33177117420000


def run(*arguments, typed=b"", **more):
    result = subprocess.run([CHECK, *map(str, arguments)], input=typed, capture_output=True, timeout=120, **more)
    assert b"Sanitizer" not in result.stderr and b"BUG" not in result.stderr, result.stderr
    assert result.returncode in (SOUND, DAMAGED, UNREADABLE), result.stderr
    return result


def status_of(path):
    return run(path).returncode


def problem_of(path):
    """What it finds wrong: (status, line)."""
    result = run(path)
    assert result.stdout == b""
    return result.returncode, result.stderr.decode().splitlines()[0]


def keys_of(*arguments):
    result = run("--json", *arguments)
    assert result.returncode == SOUND, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def told(entries):
    """Keys in one order, without what depends on how they are stored."""
    plain = ({name: part for name, part in entry.items() if name not in ("encoding", "idle_seconds", "frequency")}
             for entry in entries)
    return sorted(order(abridged(normal(entry) if "value" in entry else entry)) for entry in plain)


@pytest.fixture
def log(tmp_path):
    """A copy of a log with a base and one further file: (folder, that file)."""
    folder = tmp_path / "appendonlydir"
    shutil.copytree(corpus.path_of("log"), folder)
    return folder, next(folder.glob("*.incr.aof"))


# ---- The corpus ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_what_others_wrote_is_sound(name):
    result = run(corpus.path_of(name))
    assert (result.returncode, result.stderr) == (SOUND, b"")
    assert b": sound\n" in result.stdout
    assert run("--quiet", corpus.path_of(name)).stdout == b""


@pytest.mark.parametrize("name", ALL)
def test_its_keys_are_printed_as_json(name):
    assert told(keys_of(corpus.path_of(name))) == told(corpus.expected(name)["keys"])


@pytest.mark.parametrize("name", [name for name in ALL if "digest" in corpus.expected(name)])
def test_its_digest_is_that_of_redis(name):
    figures = json.loads(run("--stats", "--json", corpus.path_of(name)).stdout)
    assert figures["digest"] == corpus.expected(name)["digest"]
    assert sum(kind["keys"] for kind in figures["types"].values()) == len(corpus.expected(name)["keys"])


def test_what_is_said_of_a_snapshot():
    text = run(corpus.path_of("functions")).stdout.decode()
    assert re.search(r"snapshot: +RDB version 10 by redis 7\.0\.\d+, checksum right", text)
    assert re.search(r"keys: +8 keys in 2 databases, 1 with a time to live", text)
    assert re.search(r"functions: +2 libraries", text)
    assert "without checksum" in run(corpus.path_of("no-checksum")).stdout.decode()
    assert "Valkey version 80" in run(corpus.path_of("version-80-valkey")).stdout.decode()
    foreign = run(corpus.path_of("foreign")).stdout.decode()
    assert re.search(r"passed by: +1 key of modules", foreign)


def test_what_is_said_of_a_log():
    text = run(corpus.path_of("log")).stdout.decode()
    assert re.search(r"log: +\d+ commands, 1 transaction", text)
    assert "keys:" in text


def test_idle_times_and_frequencies():
    idle = {key["key"]: key for key in keys_of(corpus.path_of("idle"))}
    often = {key["key"]: key for key in keys_of(corpus.path_of("frequencies"))}
    assert idle["s"]["idle_seconds"] < 60 and "frequency" not in idle["s"]
    assert often["s"]["frequency"] >= 5 and "idle_seconds" not in often["s"]


def test_encodings_are_named():
    found = {key["key"]: key["encoding"] for key in keys_of(corpus.path_of("version-12"))}
    assert found["zipmap"] == "hash-zipmap" and found["list-ziplist"] == "list-ziplist"
    assert found["set-listpack"] == "set-listpack" and found["hash-timed"] == "hash-timed"
    assert "encoding" not in keys_of(corpus.path_of("log"))[0], "a log has none"


def test_any_bytes_can_be_printed(tmp_path):
    path = tmp_path / "bytes.rdb"
    every = bytes(range(256))
    path.write_bytes(rdb.file(10, rdb.select(0), rdb.key(every, rdb.STRING, rdb.string(every)),
                              rdb.key("grüße\0\n\"".encode(), rdb.STRING, rdb.string(b"\xed\xa0\x80"))))
    binary, text = sorted(keys_of(path), key=lambda key: isinstance(key["key"], str))
    assert binary["key"] == binary["value"] and set(binary["key"]) == {"base64"}
    assert text["key"] == "grüße\0\n\"" and text["value"] == {"base64": "7aCA"}


def test_what_has_expired_is_there(tmp_path):
    """It is in the file, whatever the time is now."""
    path = tmp_path / "old.rdb"
    timed = rdb.moment(1000) + rdb.length(1) + rdb.length(1) + rdb.string(b"f") + rdb.string(b"v")
    path.write_bytes(rdb.file(12, rdb.select(0), rdb.key(b"k", rdb.STRING, rdb.string(b"v"), expire_ms=2000),
                              rdb.key(b"h", rdb.HASH_TIMED, timed)))
    found = {key["key"]: (key.get("expire_ms"), key["value"]) for key in keys_of(path)}
    assert found == {"k": (2000, "v"), "h": (None, [["f", "v", 1000]])}


# ---- Which files ---------------------------------------------------------------------------------------------


def test_a_folder_stands_for_its_log_or_its_snapshot(tmp_path):
    shutil.copy(corpus.path_of("idle"), tmp_path / "dump.rdb")
    assert len(keys_of(tmp_path)) == 8
    shutil.copytree(corpus.path_of("log"), tmp_path / "appendonlydir")
    wanted = told(corpus.expected("log")["keys"])
    assert told(keys_of(tmp_path)) == wanted
    assert told(keys_of(tmp_path / "appendonlydir")) == wanted
    assert told(keys_of(tmp_path / "appendonlydir" / "appendonly.aof.manifest")) == wanted


def test_a_folder_with_nothing(tmp_path):
    assert problem_of(tmp_path) == (UNREADABLE, f"{tmp_path}: cannot be read: has neither the manifest of a log nor a dump.rdb")
    missing = tmp_path / "missing"
    assert problem_of(missing) == (UNREADABLE, f"{missing}: cannot be read: No such file or directory")


def test_something_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"hello\n")
    status, line = problem_of(path)
    assert status == UNREADABLE and "begins neither as a snapshot" in line


@pytest.mark.parametrize("manifest, said", [
    ("file a.aof seq 1 type i\nfile b.rdb seq 1 type b\n", "base that is not the first"),
    ("file a.aof seq 1 type i\nfile a.aof seq 1 type i\n", "not greater"),
    ("file ../a.aof seq 1 type i\n", "elsewhere"),
    ("file a.aof seq x type i\n", "form"),
    ("file a.aof seq 1 type x\n", "other than"),
    ("file none.aof seq 1 type i\n", "is not there"),
    ("file \"a.aof seq 1 type i\n", "quote"),
    ("# nothing\n", "names no file"),
])
def test_manifests_that_are_not_sound(tmp_path, manifest, said):
    (tmp_path / "a.aof").write_bytes(b"")
    (tmp_path / "b.rdb").write_bytes(rdb.file(10))
    path = tmp_path / "x.manifest"
    path.write_text(manifest)
    status, line = problem_of(path)
    assert status == DAMAGED and said in line


def test_a_manifest_that_was_not_finished_counts_for_nothing(tmp_path):
    (tmp_path / "a.aof").write_bytes(b"*1\r\n$4\r\nPING\r\n")
    (tmp_path / "x.manifest").write_text("file a.aof seq 1 type i\n")
    (tmp_path / "temp-x.manifest").write_text("file a.a")
    assert status_of(tmp_path) == SOUND


# ---- Damage ----------------------------------------------------------------------------------------------


def redis_checks(tool, path):
    return subprocess.run([tool, str(path)], stdin=subprocess.DEVNULL, capture_output=True, timeout=60).returncode == 0


def test_a_snapshot_cut_anywhere_is_damaged(tmp_path):
    data = corpus.path_of("functions").read_bytes()
    path = tmp_path / "cut.rdb"
    for size in [*range(10, len(data), 7), len(data) - 1]:
        path.write_bytes(data[:size])
        status, line = problem_of(path)
        assert status == DAMAGED, (size, line)
        assert int(re.search(r"at offset (\d+)", line)[1]) <= size


@pytest.mark.parametrize("name", ["functions", "encodings"])
def test_a_changed_byte_is_found_where_there_is_a_checksum(tmp_path, name):
    data = bytearray(corpus.path_of(name).read_bytes())
    path = tmp_path / "changed.rdb"
    rng = random.Random(5)
    for _ in range(60):
        at = rng.randrange(9, len(data))
        before, data[at] = data[at], data[at] ^ 1 << rng.randrange(8)
        path.write_bytes(data)
        assert status_of(path) != SOUND, at
        data[at] = before


def test_the_key_that_is_damaged_is_named(tmp_path):
    sound = rdb.key(b"first", rdb.STRING, rdb.string(b"v"))
    bad = rdb.key(b"second", rdb.SET_INTSET, rdb.string(rdb.intset([2, 1])))
    path = tmp_path / "bad.rdb"
    path.write_bytes(rdb.file(10, rdb.select(3), sound, bad))
    status, line = problem_of(path)
    assert status == DAMAGED and "second" in line and "first" not in line
    result = run("--json", path)
    assert result.returncode == DAMAGED
    assert [json.loads(line)["key"] for line in result.stdout.splitlines()] == ["first"], "what stands before it"


def test_a_type_that_nobody_knows(tmp_path):
    path = tmp_path / "new.rdb"
    path.write_bytes(rdb.file(12, rdb.select(0), rdb.key(b"future", 77, rdb.string(b"v"))))
    status, line = problem_of(path)
    assert status == UNREADABLE and "future" in line and "77" in line


def test_redis_check_rdb_agrees(tmp_path):
    data = corpus.path_of("functions").read_bytes()
    path = tmp_path / "dump.rdb"
    rng = random.Random(11)
    for number in range(30):
        changed = bytearray(data)
        if number % 3 == 0:
            del changed[rng.randrange(10, len(data)):]
        elif number % 3 == 1:
            changed[rng.randrange(9, len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        assert (status_of(path) == SOUND) == redis_checks("redis-check-rdb", path), number


def test_a_log_cut_anywhere_is_torn_or_sound(log):
    folder, path = log
    data = path.read_bytes()
    ends = set()
    at = 0
    while at < len(data):  # where requests end
        count = int(data[at + 1:data.index(b"\r\n", at)])
        at = data.index(b"\r\n", at) + 2
        for _ in range(count):
            size = int(data[at + 1:data.index(b"\r\n", at)])
            at = data.index(b"\r\n", at) + 2 + size + 2
        ends.add(at)
    begin, end = data.index(b"*1\r\n$5\r\nMULTI"), data.index(b"EXEC\r\n") + 6
    for size in range(0, len(data), 11):
        path.write_bytes(data[:size])
        sound = size in ends | {0} and not begin < size < end
        result = run(folder)
        assert (result.returncode == SOUND) == sound, size
        if not sound:
            assert b"torn at the end at offset" in result.stderr and b"--repair cuts it off there" in result.stderr


def test_redis_check_aof_agrees(log):
    folder, path = log
    data = path.read_bytes()
    manifest = next(folder.glob("*.manifest"))
    rng = random.Random(3)
    for number in range(40):
        changed = bytearray(data)
        if number % 4 == 0:
            del changed[rng.randrange(len(data)):]
        elif number % 4 == 1:
            changed[rng.randrange(len(data))] = rng.randrange(256)
        elif number % 4 == 2:
            at = rng.choice([found.start() for found in re.finditer(rb"[*$]\d+\r\n", data)])
            changed[at + rng.randrange(4)] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        assert (status_of(folder) == SOUND) == redis_checks("redis-check-aof", manifest), (number, bytes(changed))


def test_only_the_last_file_may_be_torn(log):
    folder, path = log
    shutil.copy(path, folder / "appendonly.aof.3.incr.aof")
    manifest = next(folder.glob("*.manifest"))
    manifest.write_text(manifest.read_text() + "file appendonly.aof.3.incr.aof seq 3 type i\n")
    assert status_of(folder) == SOUND
    path.write_bytes(path.read_bytes()[:-3])
    result = run("--repair", "--yes", folder)
    assert result.returncode == DAMAGED
    assert b"cannot be repaired" in result.stderr


# ---- Repair ---------------------------------------------------------------------------------------------


def loaded(kind, folder):
    """What a server has that starts with this log."""
    server = Server(kind, "unix", config={"appendonly": "yes"})
    shutil.copytree(folder, server.folder / "appendonlydir")
    with server:
        return told(contents(server.connect()))


@pytest.mark.parametrize("tear", ["in-a-command", "in-a-transaction", "zeros", "garbage"])
def test_a_torn_log_is_repaired_and_then_loaded(log, tear):
    folder, path = log
    data = path.read_bytes()
    torn = {"in-a-command": data[:-9], "in-a-transaction": data[:data.index(b"EXEC") - 8],
            "zeros": data + bytes(4096), "garbage": data + b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\nno"}[tear]
    path.write_bytes(torn)
    assert status_of(folder) == DAMAGED
    assert path.read_bytes() == torn, "checking changes nothing"
    result = run("--repair", "--yes", folder)
    assert result.returncode == SOUND and b"repaired" in result.stdout
    kept, = folder.glob("*.cut-*")
    assert path.read_bytes() + kept.read_bytes() == torn, "it can be undone"
    assert torn.startswith(path.read_bytes()) and status_of(folder) == SOUND
    if tear in ("zeros", "garbage"):
        assert path.read_bytes() == data
    wanted = told(keys_of(folder))
    kept.unlink()
    assert loaded(REDIS, folder) == loaded(SKUA, folder) == wanted


def test_it_asks_before_it_repairs(log):
    folder, path = log
    torn = path.read_bytes()[:-2]
    path.write_bytes(torn)
    for answer in (b"n\n", b"", b"\n"):
        result = run("--repair", folder, typed=answer)
        assert result.returncode == DAMAGED and b"Cut off the last " in result.stderr
        assert path.read_bytes() == torn
    assert run("--repair", folder, typed=b"y\n").returncode == SOUND
    assert status_of(folder) == SOUND


def test_there_is_nothing_to_repair(log):
    folder, path = log
    before = path.read_bytes()
    assert run("--repair", folder).returncode == SOUND
    assert path.read_bytes() == before


def test_a_copy_is_never_written_over(log):
    folder, path = log
    data = path.read_bytes()
    cut = data.rindex(b"*3")
    path.write_bytes(data[:-2])
    (folder / f"{path.name}.cut-{cut}").write_bytes(b"of an earlier repair")
    result = run("--repair", "--yes", folder)
    assert result.returncode == UNREADABLE and b"File exists" in result.stderr
    assert path.read_bytes() == data[:-2]


def test_a_snapshot_cannot_be_repaired(tmp_path):
    path = tmp_path / "dump.rdb"
    path.write_bytes(corpus.path_of("idle").read_bytes()[:-3])
    result = run("--repair", "--yes", path)
    assert result.returncode == DAMAGED and b"cannot be repaired" in result.stderr


# ---- Compare --------------------------------------------------------------------------------------------


def compared(first, second):
    result = run("--compare", first, second)
    assert result.stderr == b""
    return result.returncode, result.stdout.decode().splitlines()


@pytest.mark.parametrize("name", ALL)
def test_everything_equals_itself(name):
    path = corpus.path_of(name)
    assert compared(path, path) == (SOUND, [f"0 of {len(corpus.expected(name)['keys'])} keys differ"])


@pytest.mark.parametrize("other", ["log-without-base", "log-plain-base", "log-timestamps", "single", "plain"])
def test_logs_of_the_same_commands_hold_the_same(other):
    """With a base or none, one of commands, one that is a snapshot. But when an entry was delivered is another moment in each,
    and SPOP has taken another member."""
    status, lines = compared(corpus.path_of("log"), corpus.path_of(other))
    assert {line for line in lines[:-1] if line[0] == "0"} <= {
        '0 "x" has another value (stream)', '0 "u" has another value (set)'}


def hash_file(path, fields, expire_ms=None, more=()):
    body = rdb.length(len(fields)) + b"".join(rdb.string(field) + rdb.string(value) for field, value in fields.items())
    path.write_bytes(rdb.file(10, rdb.select(2), rdb.key(b"user:1", rdb.HASH, body, expire_ms=expire_ms), *more))
    return path


def test_one_changed_field_is_found(tmp_path):
    fields = {b"f%d" % i: b"v%d" % i for i in range(5000)}
    first = hash_file(tmp_path / "first.rdb", fields)
    second = hash_file(tmp_path / "second.rdb", fields | {b"f777": b"other"})
    assert compared(first, second) == (DAMAGED, [
        '2 "user:1" has another value (hash)', '    - ["f777","v777"]', '    + ["f777","other"]', "1 of 1 keys differ"])


def test_order_and_encoding_make_no_difference(tmp_path):
    fields = {b"f%d" % i: b"%d" % i for i in range(50)}
    first = hash_file(tmp_path / "first.rdb", fields)
    packed = rdb.listpack([item for i in reversed(range(50)) for item in (b"f%d" % i, i)])
    second = tmp_path / "second.rdb"
    second.write_bytes(rdb.file(11, rdb.select(2), rdb.key(b"user:1", rdb.HASH_LISTPACK, rdb.string(packed))))
    assert compared(first, second) == (SOUND, ["0 of 1 keys differ"])


def test_times_types_and_keys_that_are_missing(tmp_path):
    first = hash_file(tmp_path / "first.rdb", {b"a": b"1"}, FAR_MS, [rdb.key(b"x", rdb.STRING, rdb.string(b"v")),
                                                                    rdb.key(b"old", rdb.STRING, rdb.string(b"v"))])
    second = hash_file(tmp_path / "second.rdb", {b"a": b"1"}, None, [
        rdb.key(b"x", rdb.LIST, rdb.length(1), rdb.string(b"v")), rdb.key(b"new", rdb.STRING, rdb.string(b"v"))])
    status, lines = compared(first, second)
    assert status == DAMAGED
    assert sorted(lines) == sorted([
        f'2 "user:1" expires at {FAR_MS} and none', '2 "x" is a string and a list', f'2 "old" only in {first}',
        f'2 "new" only in {second}', "4 of 4 keys differ"])


def test_pending_entries_count_though_the_digest_leaves_them_out(tmp_path):
    """And that a field expires at another moment."""
    def file_with(name, moment, delivered):
        stream = (rdb.length(1) + rdb.stream_node(5, 1, [b"f"], [(0, 0, [b"v"])]) + rdb.length(1) + rdb.stream_id(5, 1) +
                  rdb.length(1) + rdb.string(b"g") + rdb.stream_id(5, 1) + rdb.length(1) + rdb.stream_key(5, 1) +
                  rdb.moment(delivered) + rdb.length(1) + rdb.length(1) + rdb.string(b"c") + rdb.moment(7) + rdb.length(1) +
                  rdb.stream_key(5, 1))
        timed = rdb.moment(moment) + rdb.length(1) + rdb.length(1) + rdb.string(b"f") + rdb.string(b"v")
        path = tmp_path / name
        path.write_bytes(rdb.file(12, rdb.select(0), rdb.key(b"x", rdb.STREAM, stream), rdb.key(b"h", rdb.HASH_TIMED, timed)))
        return path

    first = file_with("first.rdb", FAR_MS, 1000)
    assert compared(first, file_with("same.rdb", FAR_MS, 1000))[0] == SOUND
    status, lines = compared(first, file_with("second.rdb", FAR_MS + 1, 2000))
    assert status == DAMAGED
    assert {line for line in lines if line.startswith("0 ")} == {'0 "x" has another value (stream)',
                                                                '0 "h" has another value (hash)'}
    assert f'    + ["f","v",{FAR_MS + 1}]' in lines


def test_many_differences_are_counted(tmp_path):
    keys = [rdb.key(b"k%d" % i, rdb.STRING, rdb.string(b"v")) for i in range(500)]
    first, second = tmp_path / "first.rdb", tmp_path / "second.rdb"
    first.write_bytes(rdb.file(10, rdb.select(0), *keys))
    second.write_bytes(rdb.file(10, rdb.select(0), *keys[:50]))
    status, lines = compared(first, second)
    assert status == DAMAGED and len(lines) == 102
    assert lines[-2:] == ["... and 350 more keys", "450 of 500 keys differ"]


def test_a_damaged_side_is_no_answer(tmp_path):
    path = tmp_path / "bad.rdb"
    path.write_bytes(corpus.path_of("idle").read_bytes()[:-9])
    result = run("--compare", corpus.path_of("idle"), path)
    assert result.returncode == DAMAGED and result.stdout == b"" and b"bad.rdb: damaged" in result.stderr


# ---- Stats ----------------------------------------------------------------------------------------------


def test_stats():
    text = run("--stats", corpus.path_of("types")).stdout.decode()
    figures = json.loads(run("--stats", "--json", corpus.path_of("types")).stdout)
    keys = corpus.expected("types")["keys"]
    for kind, figure in figures["types"].items():
        assert figure["keys"] == sum(key["type"] == kind for key in keys)
        assert re.search(rf"^{kind} +{figure['keys']} +{figure['elements']} +{figure['bytes']} ", text, re.MULTILINE)
    assert {db["db"]: (db["keys"], db["expires"]) for db in figures["databases"]} == {
        number: (sum(key["db"] == number for key in keys), sum(key["db"] == number and "expire_ms" in key for key in keys))
        for number in (0, 7, 15)}
    assert figures["largest"][0]["name"] == '"string-of-a-megabyte"' and figures["largest"][0]["bytes"] > 1 << 20
    sizes = [large["bytes"] for large in figures["largest"]]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 10
    assert figures["digest"] in text


# ---- Logs as they come ------------------------------------------------------------------------------------


def test_a_log_of_random_commands_holds_what_redis_has(tmp_path):
    with Server(REDIS, "unix", config={"appendonly": "yes", "appendfsync": "always"}) as server:
        client = server.connect()
        client.pipeline(*random_writes(3, 2000))
        wanted = told(contents(client))
        folder = server.folder / "appendonlydir"
        assert told(keys_of(folder)) == wanted
        assert json.loads(run("--stats", "--json", folder).stdout)["digest"] == digest(client)
        client("SAVE")
        assert compared(folder, server.folder / "dump.rdb")[0] == SOUND


def request(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def test_time_stands_still_for_fields_in_a_log(tmp_path):
    """What a log says of a field holds, though its time has come long ago: that it goes is said, too."""
    path = tmp_path / "x.aof"
    path.write_bytes(
        request(b"HSET", b"h", b"a", b"1", b"b", b"2", b"c", b"3", b"d", b"4") +
        request(b"HPEXPIREAT", b"h", b"1700000000000", b"FIELDS", b"3", b"a", b"b", b"c") +
        request(b"HDEL", b"h", b"a") + request(b"HINCRBY", b"h", b"b", b"5") +
        request(b"HSETNX", b"h", b"c", b"other"))
    key, = keys_of(path)
    assert sorted(key["value"]) == [["b", "7", 1700000000000], ["c", "3", 1700000000000], ["d", "4"]]


def test_commands_that_are_not_known_and_those_that_fail(tmp_path):
    path = tmp_path / "x.aof"
    path.write_bytes(request(b"SET", b"s", b"v") + request(b"NOSUCH", b"a") + request(b"LPUSH", b"s", b"x"))
    text = run(path).stdout.decode()
    assert re.search(r"unknown: +1 command .* NOSUCH at offset 27", text)
    assert [key["value"] for key in keys_of(path)] == ["v"]


def test_a_large_value_passes(tmp_path):
    path = tmp_path / "large.aof"
    with open(path, "wb") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$60000000\r\n" + bytes(60000000) + b"\r\n")
    assert status_of(path) == SOUND
    figures = json.loads(run("--stats", "--json", path).stdout)
    assert figures["types"]["string"]["largest"] > 60000000


def test_an_empty_log_is_sound(tmp_path):
    path = tmp_path / "empty.aof"
    path.write_bytes(b"")
    assert status_of(path) == SOUND and keys_of(path) == []


# ---- The command line -----------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, said", [
    ([], "needs one file or folder"), (["a", "b"], "needs one file or folder"), (["--compare", "a"], "needs two"),
    (["--compare", "--json", "a", "b"], "exclude each other"), (["--yes", "a"], "--repair only"), (["--nosuch"], "nosuch"),
])
def test_words_that_do_not_fit(arguments, said):
    result = run(*arguments)
    assert result.returncode == UNREADABLE and result.stdout == b"" and said in result.stderr.decode()


def test_help_and_version():
    assert run("--help").stdout.startswith(b"Usage: skua-check ")
    assert re.fullmatch(rb"skua-check \d+\.\d+\.\d+\n", run("--version").stdout)


def test_a_pipe_that_nobody_reads(tmp_path):
    process = subprocess.Popen([CHECK, "--json", str(corpus.path_of("many"))], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) in (SOUND, UNREADABLE)
    process.stderr.close()


@pytest.mark.parametrize("name", ["types", "log", "encodings", "version-12"])
def test_hostile_bytes_do_no_harm(tmp_path, name):
    """A smoke test: bytes change at random, and nothing worse than a word about it happens. tests/fuzz goes on."""
    source = corpus.path_of(name)
    target = tmp_path / source.name
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    path = pathlib.Path(next(target.glob("*.incr.aof")) if source.is_dir() else target)
    data = path.read_bytes()
    rng = random.Random(name)
    for number in range(40):
        changed = bytearray(data)
        for _ in range(rng.choice([1, 1, 3, 20])):
            changed[rng.randrange(9, len(changed))] = rng.choice([0, 1, 0x7f, 0x80, 0x81, 0xfc, 0xff, rng.randrange(256)])
        path.write_bytes(changed)
        run("--json" if number % 2 else "--stats", target)
