"""Loading a snapshot at the start: what the file holds is there, what is damaged is refused with a reason, and clients are told
that data is being loaded meanwhile."""
import os
import random
import signal
import time

import pytest

from harness import corpus, rdb
from harness.contents import abridged, contents, order
from harness.digest import digest
from harness.resp import Error, eventually
from harness.server import REDIS, Server, is_slow_build
from harness.values import random_writes

pytestmark = pytest.mark.core

LOADING = Error("LOADING Redis is loading the dataset in memory")
FAR_MS = 33177117420000


@pytest.fixture
def place(request):
    """place(data, option=value, …): a server that finds these bytes as its dump.rdb; not started yet."""
    servers = []

    def make(data, **options):
        server = Server(config={name.replace("_", "-"): value for name, value in options.items()}, transport="unix")
        (server.folder / "dump.rdb").write_bytes(data)
        servers.append(server)
        return server
    yield make
    for server in servers:
        server.kill()
        server.remove()


@pytest.fixture
def loaded(place):
    """loaded(data, option=value, …): a connection to a server that has loaded these bytes."""
    def make(data, **options):
        return place(data, **options).start().connect()
    return make


def told(entries):
    return sorted(map(order, map(abridged, entries)))


def string(name, value=b"v", **more):
    return rdb.key(name, rdb.STRING, rdb.string(value), **more)


def refusal(server):
    """What the log says when the server does not start."""
    assert server.start_to_end() == 1
    return server.log().decode(errors="replace")


# ---- What is in a file is there -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", corpus.snapshots())
def test_every_type_encoding_and_version_is_loaded(place, name):
    server = place(b"", rdb_skip_unknown="yes")
    server.config |= corpus.place(name, server.folder)
    client, wanted = server.start().connect(), corpus.expected(name)
    assert told(contents(client, fields_expire=True)) == told(wanted["keys"])
    if "digest" in wanted:
        assert digest(client) == wanted["digest"]


def test_a_server_without_a_file_begins_empty(place):
    server = place(b"")
    (server.folder / "dump.rdb").unlink()
    client = server.start().connect()
    assert client("DBSIZE") == 0
    assert client.info("persistence")["loading"] == "0"


def test_the_name_of_the_file_is_an_option(place):
    server = place(b"no snapshot", dbfilename="other.rdb")
    (server.folder / "other.rdb").write_bytes(rdb.file(11, rdb.select(0), string(b"k")))
    assert server.start().connect()("GET k") == b"v"


def test_values_larger_than_the_blocks_that_are_read(place):
    """What redis-server writes of large collections and strings, compressed or not."""
    rows = 2000 if is_slow_build() else 60000
    rng = random.Random(5)
    for options in {"rdbcompression": "yes"}, {"rdbcompression": "no"}:
        with Server(REDIS, "unix", config=options) as redis:
            fill = redis.connect()
            for base in range(0, rows, 2000):
                numbers = range(base, base + 2000)
                fill("RPUSH", "list", *[b"element:%d" % i for i in numbers])
                fill("SADD", "set", *[b"member:%d" % i for i in numbers])
                fill("HSET", "hash", *[word for i in numbers for word in (b"field:%d" % i, b"value" * (i % 13))])
                fill("ZADD", "zset", *[word for i in numbers for word in (i / 7, b"member:%d" % i)])
            fill("SET", "random", rng.randbytes(rows * 50))
            fill("SET", "even", b"0123456789abcdef" * (rows * 4))
            fill("RPUSH", "few", rng.randbytes(rows * 20), b"x" * (rows * 20), b"y")
            fill("SAVE")
            data, wanted = (redis.folder / "dump.rdb").read_bytes(), digest(fill)
        with place(data) as server:
            assert digest(server.connect()) == wanted


def test_many_keys_of_all_types_by_redis(place):
    with Server(REDIS, "unix") as redis:
        fill = redis.connect()
        fill.pipeline(*random_writes(3, 400, keys=60))
        fill("SAVE")
        data, wanted = (redis.folder / "dump.rdb").read_bytes(), digest(fill)
    with place(data) as server:
        assert digest(server.connect()) == wanted


# ---- What goes with a key -------------------------------------------------------------------------------------


def test_times_to_live_are_kept_and_what_has_expired_is_dropped(loaded, place):
    server = place(rdb.file(11, rdb.select(0), string(b"far", expire_ms=FAR_MS), string(b"gone", expire_ms=1),
                            rdb.key(b"gone-list", rdb.LIST, rdb.length(1), rdb.string(b"a"), expire_s=100), string(b"ever"),
                            string(b"none", expire_ms=-1)))
    client = server.start().connect()
    assert sorted(client("KEYS *")) == [b"ever", b"far", b"none"]
    assert client("PEXPIRETIME far") == FAR_MS
    assert client("PEXPIRETIME ever") == client("PEXPIRETIME none") == -1
    assert b"keys loaded: 3, keys expired: 2" in server.log()


def test_idle_times_are_kept(loaded):
    client = loaded(rdb.file(11, rdb.select(0), string(b"idle", idle=5000), string(b"fresh")))
    assert 5000 <= client("OBJECT IDLETIME idle") < 6000
    assert client("OBJECT IDLETIME fresh") < 1000


def test_frequencies_are_kept(loaded):
    client = loaded(rdb.file(11, rdb.select(0), string(b"often", frequency=200), string(b"new")),
                    maxmemory_policy="allkeys-lfu")
    assert client("OBJECT FREQ often") == 200
    assert client("OBJECT FREQ new") < 10


def test_maxmemory_does_not_stop_a_file_from_being_loaded(loaded):
    data = rdb.file(11, rdb.select(0), *[string(b"k%d" % i, b"x" * 1000) for i in range(3000)])
    client = loaded(data, maxmemory="1mb")
    assert client("DBSIZE") == 3000


def test_nothing_is_evicted_while_data_is_loaded(slow):
    """Though a command comes that would have to make room, if it was not refused."""
    server, client, file, data = slow
    client("CONFIG SET maxmemory-policy allkeys-lru")
    client("CONFIG SET maxmemory 1mb")
    assert client("SET k v") == LOADING
    client("CONFIG SET maxmemory 0")
    file.write(data[1200000:])
    file.close()
    eventually(lambda: client("PING") == "PONG", "the data is loaded")
    assert client("DBSIZE") == 2500


def test_collections_without_elements_are_skipped(place):
    server = place(rdb.file(10, rdb.select(0), string(b"a"), rdb.key(b"nothing", rdb.SET, rdb.length(0)),
                            rdb.key(b"empty", rdb.HASH_LISTPACK, rdb.string(rdb.listpack([]))), string(b"b")))
    client = server.start().connect()
    assert sorted(client("KEYS *")) == [b"a", b"b"]
    assert b'key "nothing" (database 0, type 2: set)' in server.log()


# ---- What is refused ------------------------------------------------------------------------------------------


def sample():
    return corpus.path_of("encodings").read_bytes()


@pytest.mark.parametrize("share", range(0, 100, 9))
def test_a_truncated_file_is_refused(place, share):
    data = sample()
    said = refusal(place(data[:len(data) * share // 100]))
    assert "unexpected end of file" in said and "at offset" in said and "dump.rdb" in said


def test_a_damaged_file_is_refused_wherever_it_is_damaged(place):
    data, rng = sample(), random.Random(11)
    for _ in range(6 if is_slow_build() else 20):
        damaged = bytearray(data)
        at = rng.randrange(9, len(data))
        damaged[at] ^= 1 << rng.randrange(8)
        assert "at offset" in refusal(place(bytes(damaged)))


def test_the_key_is_named_whose_value_is_damaged(place):
    data = rdb.file(11, rdb.select(3), string(b"sound"), rdb.key(b"bad \n one", rdb.HASH_LISTPACK, rdb.string(b"rubbish")))
    said = refusal(place(data))
    assert r'damaged value, key "bad \n one" (database 3, type 16: hash in a listpack), at offset' in said


def test_a_wrong_checksum_is_refused_unless_nobody_looks_at_it(place, loaded):
    data = rdb.file(11, rdb.select(0), string(b"k"))
    data = data[:-1] + bytes([data[-1] ^ 1])
    assert "Wrong RDB checksum" in refusal(place(data))
    assert loaded(data, rdbchecksum="no")("GET k") == b"v"


@pytest.mark.parametrize("header, text", [(b"REDIS0013", "Can't handle RDB format version 13"), (b"VALKEY099", "Valkey 99"),
                                          (b"RADIS0011", "Wrong signature"), (b"", "unexpected end of file")])
def test_files_of_other_kinds_are_refused(place, header, text):
    assert text in refusal(place(header))


def test_a_key_that_comes_twice_is_refused(place):
    data = rdb.file(11, rdb.select(0), string(b"a"), string(b"twice"), string(b"b"), string(b"twice", b"w"))
    assert 'RDB has duplicated key "twice" in DB 0' in refusal(place(data))


def test_a_database_that_there_is_not_is_refused(place):
    data = rdb.file(11, rdb.select(20), string(b"a"))
    assert "handle more than 16 databases" in refusal(place(data))
    client = place(data, databases=21).start().connect()
    client("SELECT 20")
    assert client("GET a") == b"v"


# ---- What is not known ----------------------------------------------------------------------------------------

MODULE = rdb.key(b"tree", rdb.MODULE, rdb.module_value("ourmodule", 3, 1, b"text", 2.5))
FOREIGN = {
    "module": (MODULE, 'value of a module\'s type (ourmodule, encoding 3), key "tree" (database 0, type 7: module), in a file of'
               " version 11"),
    "module-aux": (rdb.module_aux("ourmodule", 3, 7, b"aux"), "data of a module (ourmodule, encoding 3)"),
    "function": (rdb.function(b"#!lua name=f\n"), "library of functions"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_known_is_named_and_can_be_skipped(place, name):
    record, text = FOREIGN[name]
    data = rdb.file(11, rdb.select(0), string(b"before"), record, string(b"behind"))
    assert text in refusal(place(data))
    server = place(data, rdb_skip_unknown="yes")
    assert sorted(server.start().connect()("KEYS *")) == [b"before", b"behind"]
    assert ("skipped: " + text).encode() in server.log()
    assert b"unknown things skipped: 1" in server.log()


def test_a_type_whose_end_nobody_knows_cannot_be_skipped(place):
    data = rdb.file(12, rdb.select(2), string(b"before"), rdb.key(b"new", 99, rdb.string(b"what")))
    for skip in "no", "yes":
        said = refusal(place(data, rdb_skip_unknown=skip))
        assert 'unknown type of value, key "new" (database 2, type 99: unknown), in a file of version 12' in said
        assert "cannot be skipped" in said


# ---- While it is loaded ---------------------------------------------------------------------------------------


class SlowFile:
    """A file whose bytes come when the test wants: a pipe."""

    def __init__(self, server):
        path = server.folder / "dump.rdb"
        path.unlink()
        os.mkfifo(path)
        self.pipe = open(path, "r+b", buffering=0)  # as a reader, too: so nobody waits for the other side to open it
        server.start(until_loaded=False)

    def write(self, data):
        self.pipe.write(data)

    def close(self):
        self.pipe.close()


@pytest.mark.once
def test_it_says_so_before_the_first_byte_has_been_read(place):
    server = place(b"")
    file = SlowFile(server)
    client = server.connect()
    assert client("GET k") == LOADING
    info = client.info("persistence")
    assert (info["loading"], info["async_loading"], info["loading_loaded_bytes"]) == ("1", "0", "0")
    assert abs(int(info["loading_start_time"]) - time.time()) < 600
    server.kill()
    file.close()


@pytest.fixture
def slow(place):
    """A server that has the first of several blocks of its file, the rest of which the test writes."""
    server = place(b"")
    data = rdb.file(11, rdb.aux(b"used-mem", b"123456"), rdb.select(0), *[string(b"k%d" % i, b"x" * 1000) for i in range(2500)])
    file = SlowFile(server)
    file.write(data[:1200000])
    client = server.connect()
    eventually(lambda: int(client.info("persistence").get("loading_loaded_bytes", 0)) > 0, "a block has been loaded")
    yield server, client, file, data
    file.close()


def test_clients_are_told_that_data_is_being_loaded(slow):
    server, client, file, data = slow
    assert client("GET k1") == client("PING") == client("DBSIZE") == client("FLUSHALL") == LOADING
    info = client.info("persistence")
    assert info["loading"] == "1" and info["async_loading"] == "0"
    assert 0 < int(info["loading_loaded_bytes"]) <= 1200000
    assert info["loading_rdb_used_mem"] == "123456"
    assert abs(int(info["loading_start_time"]) - time.time()) < 600
    assert {"loading_total_bytes", "loading_loaded_perc", "loading_eta_seconds"} <= info.keys()
    assert client("CONFIG GET dbfilename") == [b"dbfilename", b"dump.rdb"]
    file.write(data[1200000:])
    file.close()
    eventually(lambda: client("PING") == "PONG", "the data is loaded")
    assert client("DBSIZE") == 2500
    info = client.info("persistence")
    assert info["loading"] == "0" and "loading_loaded_bytes" not in info
    server.stop()


def test_a_signal_ends_the_server_before_it_has_loaded(slow):
    server, client, file, data = slow
    client("CONFIG", "SET", "save", "3600 1")
    os.kill(server.pid, signal.SIGTERM)
    assert client.is_closed()
    file.close()  # a worker may be waiting for it
    assert server.wait_exit() == 0
    server.check_exit()
    assert (server.folder / "dump.rdb").is_fifo(), "what was loaded until then is not saved in its place"


def test_a_file_that_turns_out_to_be_damaged_late(slow):
    server, client, file, data = slow
    file.write(data[1200000:-3])
    file.close()
    assert server.wait_exit() == 1
    assert b"unexpected end of file" in server.log()


def test_a_terminal_shows_a_bar(place):
    """In the foreground, while the data comes."""
    server = place(rdb.file(11, rdb.select(0), *[string(b"k%d" % i, b"x" * 1000) for i in range(2500)]))
    data = (server.folder / "dump.rdb").read_bytes()
    ours, theirs = os.openpty()
    server.prefix = ["sh", "-c", f'exec "$@" > {os.ttyname(theirs)}', "sh"]
    file = SlowFile(server)
    client = server.connect()
    file.write(data[:1200000])
    eventually(lambda: int(client.info("persistence").get("loading_loaded_bytes", 0)) > 0, "a block has been loaded")
    time.sleep(0.3)  # the bar is drawn five times a second, when a block is there
    file.write(data[1200000:])
    file.close()
    eventually(lambda: client("PING") == "PONG", "the data is loaded")
    shown = b""
    while b"is ready" not in shown:
        shown += os.read(ours, 65536)
    assert b"\rdump.rdb [......" in shown
    assert shown.count(b"\r\033[K") >= 1, "the bar is taken away"
    server.stop()
    os.close(ours)
    os.close(theirs)
