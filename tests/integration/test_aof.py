"""The append-only file: what is logged is there at the next start, whatever ended the server; files go both ways between ours and
redis-server's; a torn end is cut off and anything else stops the start; a disk that refuses stops writes, and no longer."""
import os
import pathlib
import resource
import shutil
import time

import pytest

from tests.harness.errors import Error
from tests.harness.server import REDIS, SKUA, Server, is_rewriting

pytestmark = [pytest.mark.once, pytest.mark.skua_only("files of both servers are looked at here by themselves")]

LIMIT_S = 30
BOTH = {"appendonly": "yes", "rdb-version": 10}


def wait_until(condition, what):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def servers():
    """Starts servers, also in the folder of one that has ended; all end with the test."""
    started = []

    def start(kind=SKUA, folder=None, **config):
        options = {name.replace("_", "-"): value for name, value in config.items()}
        server = Server(kind, config={"appendonly": "yes"} | ({} if kind == REDIS else {"rdb-version": 10}) | options)
        if folder is not None:
            shutil.rmtree(server.folder)
            shutil.copytree(folder, server.folder, ignore=shutil.ignore_patterns("*.sock", "log", "server.conf"))
        started.append(server)
        server.start()
        server.redis = server.connect()
        wait_until(lambda: server.redis.info("persistence").get("loading") == "0", "it loads for ever")
        return server

    yield start
    for server in started:
        server.kill()
        server.remove()


def figures(server):
    return server.redis.info("persistence")


def log_folder(server):
    return server.folder / "appendonlydir"


def manifest(server):
    return (log_folder(server) / "appendonly.aof.manifest").read_text()


def incr_file(server):
    name = [line.split()[1] for line in manifest(server).splitlines() if line.endswith("type i")][-1]
    return log_folder(server) / name


def fill(r):
    r("SET s text")
    r("SET n 12345")
    r("SET timed v PXAT 99999999999999")
    r("RPUSH l a b c")
    r("SADD set x y z")
    r("ZADD z 1 one 2.5 two")
    r("HSET h f v g w")
    r("XADD x 1-1 k v")
    r("SELECT 5")
    r("INCRBYFLOAT f 1.5")
    r("SELECT 0")
    r("MULTI")
    r("INCR n")
    r("LPOP l")
    r("EXEC")


def digest(r):
    return r("DEBUG DIGEST")


def everything_written(server):
    wait_until(lambda: figures(server)["aof_buffer_length"] == "0", "the log is not written")


def rewritten(server):
    wait_until(lambda: not is_rewriting(server.redis), "the rewrite does not end")


# ---- Files ------------------------------------------------------------------------------------------------------

def test_a_first_start_makes_the_files_that_redis_makes(servers):
    ours, theirs = servers(), servers(REDIS)
    assert manifest(ours) == manifest(theirs)
    assert sorted(os.listdir(log_folder(ours))) == sorted(os.listdir(log_folder(theirs)))


def test_what_was_logged_is_there_after_a_kill(servers):
    server = servers()
    fill(server.redis)
    before = digest(server.redis)
    everything_written(server)
    server.kill()
    again = servers(folder=server.folder)
    assert digest(again.redis) == before


@pytest.mark.parametrize("rewrite", [False, True], ids=["plain", "rewritten"])
@pytest.mark.parametrize("first, second", [(SKUA, REDIS), (REDIS, SKUA)], ids=["ours-by-redis", "redis-by-ours"])
def test_the_files_go_both_ways(servers, first, second, rewrite):
    server = servers(first)
    fill(server.redis)
    if rewrite:
        server.redis("BGREWRITEAOF")
        wait_until(lambda: "aof.2.base" in manifest(server) and "type h" not in manifest(server), "no new base")
        server.redis("APPEND s more")
    before = digest(server.redis)
    server.close_clients()
    server.process.terminate()
    server.wait_exit()
    other = servers(second, folder=server.folder)
    assert digest(other.redis) == before
    other.redis("INCR n")
    last = digest(other.redis)
    other.close_clients()
    other.process.terminate()
    other.wait_exit()
    assert digest(servers(first, folder=other.folder).redis) == last


def test_a_single_file_of_old_is_taken_over(servers):
    donor = servers()
    folder = pathlib.Path(donor.folder) / "old"
    folder.mkdir()
    (folder / "appendonly.aof").write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n")
    server = servers(folder=folder)
    assert server.redis("GET a") == b"2"
    assert manifest(server).splitlines() == ["file appendonly.aof seq 1 type b",
                                             "file appendonly.aof.1.incr.aof seq 1 type i"]
    assert not (server.folder / "appendonly.aof").exists()


def test_times_stand_between_units_only(servers):
    server = servers(aof_timestamp_enabled="yes")
    fill(server.redis)
    before = digest(server.redis)
    everything_written(server)
    text = incr_file(server).read_bytes()
    assert text.startswith(b"#TS:")
    server.kill()
    assert digest(servers(folder=server.folder).redis) == before
    assert digest(servers(REDIS, folder=server.folder).redis) == before


# ---- Turning it on and off --------------------------------------------------------------------------------------

def test_turned_on_at_run_time_it_has_everything(servers):
    server = servers(appendonly="no")
    fill(server.redis)
    assert server.redis("CONFIG SET appendonly yes") == "OK"
    server.redis("SET later 1")
    rewritten(server)
    before = digest(server.redis)
    everything_written(server)
    server.kill()
    assert digest(servers(folder=server.folder).redis) == before


@pytest.mark.core
def test_turned_on_where_there_is_no_file_that_could_go(servers):
    server = servers(appendonly="no")
    assert server.redis("CONFIG SET appendonly yes") == "OK"
    rewritten(server)
    server.stop()  # waits for what the rewrite leaves to be done, and looks at the log


@pytest.mark.core
def test_turned_on_where_no_file_can_be_made(servers):
    server = servers(appendonly="no")
    log_folder(server).write_text("in the way")
    server.redis("CONFIG SET appendonly yes")
    wait_until(lambda: b"could not be rewritten" in server.log(), "it does not say so")
    assert server.redis("CONFIG SET appendonly no") == "OK"
    rewritten(server)
    assert server.redis("SET a 1") == "OK"
    log_folder(server).unlink()
    assert server.redis("CONFIG SET appendonly yes") == "OK"
    rewritten(server)
    server.stop()


def test_turned_off_it_keeps_what_it_had(servers):
    server = servers()
    fill(server.redis)
    before = digest(server.redis)
    assert server.redis("CONFIG SET appendonly no") == "OK"
    wait_until(lambda: figures(server)["aof_enabled"] == "0", "it goes on")
    server.redis("SET lost 1")
    server.kill()
    assert digest(servers(folder=server.folder).redis) == before


def test_on_and_off_many_times(servers):
    server = servers(appendonly="no")
    for round_number in range(10):
        server.redis("CONFIG SET appendonly yes")
        server.redis("INCR n")
        if round_number % 3 == 0:
            rewritten(server)
        server.redis("CONFIG SET appendonly no")
    server.redis("CONFIG SET appendonly yes")
    wait_until(lambda: figures(server)["aof_enabled"] == "1", "it does not begin")
    rewritten(server)
    wait_until(lambda: server.redis("WAITAOF 1 0 100") == [1, 0], "nothing is on disk")
    server.kill()
    assert servers(folder=server.folder).redis("GET n") == b"10"


# ---- Rewriting --------------------------------------------------------------------------------------------------

def test_a_rewrite_while_clients_write_loses_nothing(servers):
    server = servers(appendfsync="no")
    r = server.redis
    for i in range(20000):
        r.send("SET", f"key:{i}", "v" * (i % 200))
    for _ in range(20000):
        r.read()
    assert r("BGREWRITEAOF") == "Background append only file rewriting started"
    for i in range(20000):
        r.send("APPEND", f"key:{i * 7919 % 20000}", "x")
    for _ in range(20000):
        r.read()
    rewritten(server)
    wait_until(lambda: "type h" not in manifest(server), "history stays")
    assert figures(server)["aof_last_bgrewrite_status"] == "ok"
    before = digest(r)
    everything_written(server)
    assert len(os.listdir(log_folder(server))) == 3
    server.kill()
    assert digest(servers(folder=server.folder).redis) == before


def test_a_base_in_the_format_of_valkey_9(servers):
    server = servers(rdb_version=80)
    server.redis("HSET h f v")
    server.redis("HEXPIRE h 1000000 FIELDS 1 f")
    server.redis("BGREWRITEAOF")
    rewritten(server)
    server.redis("SET behind 1")
    base, = log_folder(server).glob("*.base.rdb")
    assert base.read_bytes().startswith(b"VALKEY080")
    ended(server)
    again = servers(folder=server.folder)
    assert again.redis("GET behind") == b"1"
    assert again.redis("HTTL h FIELDS 1 f")[0] > 0


def test_growth_starts_a_rewrite(servers):
    server = servers(auto_aof_rewrite_min_size="100kb")
    for _ in range(300):
        server.redis("SET", "a", "x" * 1000)
    wait_until(lambda: int(figures(server)["aof_rewrites"]) >= 1, "no rewrite")
    rewritten(server)
    assert server.redis("STRLEN a") == 1000


@pytest.mark.parametrize("torn", [b"", b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhal"], ids=["whole", "torn"])
def test_a_rewrite_before_the_first_write_after_a_start(servers, torn):
    """Nothing has opened the file of before yet, nor cut off what is torn."""
    server = servers()
    server.redis("SET a 1")
    path = ended(server)
    path.write_bytes(path.read_bytes() + torn)
    again = servers(folder=server.folder)
    assert again.redis("BGREWRITEAOF") == "Background append only file rewriting started"
    rewritten(again)
    assert figures(again)["aof_last_bgrewrite_status"] == "ok"
    assert again.redis("SET b 2") == "OK"
    ended(again)
    third = servers(folder=again.folder)
    assert [third.redis("GET", key) for key in "ab"] == [b"1", b"2"]


def test_a_second_rewrite_is_refused_while_one_runs(servers):
    server = servers()
    r = server.redis
    r.send("BGREWRITEAOF")
    r.send("BGREWRITEAOF")
    assert r.read() == "Background append only file rewriting started"
    assert r.read() == Error("ERR Background append only file rewriting already in progress")
    rewritten(server)


def test_a_rewrite_that_is_over_does_not_keep_the_next_one_waiting(servers):
    """Its old files are still being deleted then, which is nothing that a client can know."""
    server = servers()
    for number in range(20):
        assert server.redis("SET", "k", number) == "OK"
        assert server.redis("BGREWRITEAOF") == "Background append only file rewriting started", number
        wait_until(lambda: int(figures(server)["aof_rewrites"]) == number + 1, "no rewrite")
    rewritten(server)
    assert server.redis("GET k") == b"19"


# ---- Damage -----------------------------------------------------------------------------------------------------

def ended(server):
    server.close_clients()
    server.process.terminate()
    server.wait_exit()
    return incr_file(server)


@pytest.mark.parametrize("tail, cut", [
    (b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$5\r\nhal", b"a part of a request"),
    (b"*", b"a part of a request"),
    (b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n", b"a transaction without its EXEC"),
    (b"\0" * 5000, b"zeros that a crash left"),
    (b"*1\r\n$5\r\nMU" + b"\0" * 5, b"zeros that a crash left"),
    (b"*3\r\n$3\r\nSE" + b"\0" * 100000, b"zeros that a crash left"),
], ids=["request", "byte", "transaction", "zeros", "zeros-in-name", "zeros-in-request"])
def test_a_torn_end_is_cut_off(servers, tail, cut):
    server = servers()
    fill(server.redis)
    before = digest(server.redis)
    path = ended(server)
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    again = servers(folder=server.folder)
    assert digest(again.redis) == before
    assert cut in again.log() and b"from offset %d on" % len(whole) in again.log()
    again.redis("SET after 1")
    after = digest(again.redis)
    assert ended(again).read_bytes().startswith(whole)
    assert digest(servers(folder=again.folder).redis) == after


def refuses_to_start(server, **config):
    other = Server(SKUA, config={"appendonly": "yes"} | {name.replace("_", "-"): value for name, value in config.items()})
    shutil.rmtree(other.folder)
    shutil.copytree(server.folder, other.folder, ignore=shutil.ignore_patterns("*.sock", "log", "server.conf"))
    with pytest.raises(AssertionError):
        other.start()
        other.wait_exit()
        raise AssertionError
    status, log = other.process.wait(timeout=LIMIT_S), other.log()
    other.kill()
    other.remove()
    assert status == 1
    return log


def test_a_torn_end_stops_the_start_where_that_is_asked_for(servers):
    server = servers()
    fill(server.redis)
    path = ended(server)
    path.write_bytes(path.read_bytes() + b"*3\r\n$3\r\nSET")
    assert b"aof-load-truncated is no" in refuses_to_start(server, aof_load_truncated="no")


@pytest.mark.parametrize("damage", [
    lambda text: text.replace(b"$3\r\nSET", b"$9\r\nSET", 1),
    lambda text: text[:40] + b"\0" * 100 + text[40:],
    lambda text: text + b"garbage\r\n",
    lambda text: text + b"*1\r\n$7\r\nNONESUC\r\n",
], ids=["size", "zeros", "garbage", "command"])
def test_damage_stops_the_start_and_changes_nothing(servers, damage):
    server = servers()
    fill(server.redis)
    path = ended(server)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    log = refuses_to_start(server)
    assert b"skua-check" in log and b"offset" in log
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("fault, what", [(b"*1\r\n$7\r\nNONESUC\r\n", b"NONESUC"), (b"*1\r\n:1\r\n", b"expected")],
                         ids=["command", "malformed"])
def test_damage_is_named_where_it_begins(servers, fault, what):
    """And not what had been refused before it, which is no damage."""
    server = servers()
    fill(server.redis)
    path = ended(server)
    sound = path.read_bytes() + b"*2\r\n$4\r\nLPOP\r\n$1\r\ns\r\n"
    path.write_bytes(sound + fault + b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * 20)
    log = refuses_to_start(server)
    last = next(line for line in log.splitlines() if b"cannot be loaded" in line)
    assert b"offset %d: " % len(sound) in last and what in last and b"WRONGTYPE" not in last


def test_a_missing_file_and_a_damaged_manifest_stop_the_start(servers):
    server = servers()
    path = ended(server)
    text = manifest(server)
    path.rename(str(path) + ".away")
    assert b"No such file" in refuses_to_start(server)
    pathlib.Path(str(path) + ".away").rename(path)
    (log_folder(server) / "appendonly.aof.manifest").write_text(text + "file x seq y type i\n")
    assert b"line 3" in refuses_to_start(server)


# ---- A disk that refuses ----------------------------------------------------------------------------------------

def forbid_growth(server, forbidden):
    """Writes beyond the size that the log has now fail, as on a full disk."""
    size = incr_file(server).stat().st_size + 10 if forbidden else resource.RLIM_INFINITY
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_stops_writes_until_it_has_room(servers):
    server = servers()
    r = server.redis
    r("SET a 1")
    everything_written(server)
    forbid_growth(server, True)
    wait_until(lambda: isinstance(r("INCR a"), Error), "writes go on")
    refused = r("SET b 1")
    assert isinstance(refused, Error) and str(refused).startswith("MISCONF Errors writing to the AOF file: ")
    assert figures(server)["aof_last_write_status"] == "err"
    value = r("GET a")
    forbid_growth(server, False)
    wait_until(lambda: r("SET b 1") == "OK", "it does not recover")
    assert figures(server)["aof_last_write_status"] == "ok"
    assert r("GET a") == value
    before = digest(r)
    everything_written(server)
    server.kill()
    assert digest(servers(folder=server.folder).redis) == before


def test_under_always_who_cannot_be_promised_anything_is_closed(servers):
    server = servers(appendfsync="always")
    r, writer = server.redis, server.connect()
    r("SET a 1")
    forbid_growth(server, True)
    with pytest.raises((EOFError, ConnectionError)):
        writer("SET", "b", "x" * 100)
    assert isinstance(r("SET c 1"), Error)
    assert r("GET a") == b"1"
    forbid_growth(server, False)
    wait_until(lambda: r("SET c 1") == "OK", "it does not recover")
    server.kill()
    again = servers(folder=server.folder)
    assert again.redis("MGET a b c") == [b"1", b"x" * 100, b"1"]


def test_a_rewrite_that_fails_leaves_the_files_in_use(servers):
    server = servers()
    r = server.redis
    for i in range(2000):
        r("SET", f"key:{i}", "v" * 100)
    everything_written(server)
    names = sorted(os.listdir(log_folder(server)))
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    r("BGREWRITEAOF")
    wait_until(lambda: figures(server)["aof_last_bgrewrite_status"] == "err", "it does not fail")
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    rewritten(server)
    wait_until(lambda: r("SET after 1") == "OK", "writes are refused")
    everything_written(server)
    before = digest(r)
    r("BGREWRITEAOF")
    wait_until(lambda: figures(server)["aof_rewrites"] == "1", "it does not succeed later")
    assert names[0] not in os.listdir(log_folder(server))
    server.kill()
    assert digest(servers(folder=server.folder).redis) == before


# ---- Waiting for the disk ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("io_threads", [0, 2])
@pytest.mark.parametrize("transport", ["tcp", "unix", "shm"])
def test_under_always_all_replies_come_in_order(servers, io_threads, transport):
    server = servers(appendfsync="always", io_threads=io_threads)
    server.transport = transport
    clients = [server.connect() for _ in range(8)]
    for i in range(200):
        for number, client in enumerate(clients):
            client.send("INCR", f"n{number}")
            client.send("GET", f"n{number}")
    for i in range(200):
        for client in clients:
            assert client.read() == i + 1
            assert client.read() == b"%d" % (i + 1)
    syncs = int(figures(server)["aof_fsyncs"])
    assert 0 < syncs < 8 * 200, "nobody shares a sync"
    server.kill()
    again = servers(folder=server.folder)
    assert [again.redis(f"GET n{number}") for number in range(8)] == [b"200"] * 8


def test_waitaof_waits_for_the_disk(servers):
    server = servers(appendfsync="everysec")
    server.redis("SET a 1")
    assert server.redis("WAITAOF 1 0 0") == [1, 0]
    server.redis("CONFIG SET appendfsync always")
    server.redis("SET a 2")
    assert server.redis("WAITAOF 1 0 0") == [1, 0]
    server.redis("CONFIG SET appendfsync no")
    assert server.redis("WAITAOF 1 1 50") == [1, 0]
