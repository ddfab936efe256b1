"""skua-cli --scan: lists keys as redis-cli does, one a line."""
import subprocess

import pytest
from harness.server import REDIS, SKUA, Server
from modes_support import CLI, CLOSE, FakeServer, array, both, bulk, fill, finish, run, start, where

AWKWARD = b'quo"te\n\x01\xff'


@pytest.fixture(scope="module", params=[SKUA, REDIS])
def server(request):
    with Server(request.param) as server:
        fill(server.connect(), types=request.param == REDIS)
        yield server


@pytest.fixture(scope="module")
def redis():
    with Server(REDIS) as server:
        fill(server.connect())
        yield server


def scan_calls(client):
    stats = client.info("commandstats").get("cmdstat_scan", "calls=0,")
    return int(stats.split("calls=")[1].split(",")[0])


def test_it_lists_every_key_once(server):
    ours, theirs = both(server, "--scan")
    assert ours.status == theirs.status == 0
    assert sorted(ours.out.split(b"\n")) == sorted(theirs.out.split(b"\n"))
    assert AWKWARD + b"\n" in ours.out
    assert ours.err == b""


@pytest.mark.parametrize("options", [
    ["--pattern", "s:1*"], ["--pattern", "nothing"], ["--quoted-pattern", r'"quo\x22*"'],
    ["--pattern", "quo*", "--no-raw"], ["--pattern", "quo*", "--csv"], ["--pattern", "quo*", "--json"],
])
def test_it_writes_what_redis_cli_writes(server, options):
    ours, theirs = both(server, "--scan", *options)
    assert (ours.status, sorted(ours.out.split(b"\n"))) == (theirs.status, sorted(theirs.out.split(b"\n")))


def test_keys_of_one_type(redis):
    result = run(redis, "--scan", "--type", "zset")
    assert sorted(result.lines) == sorted(f"z:{i}" for i in range(20))


def test_count_is_passed_on(server):
    client = server.connect()
    before = scan_calls(client)
    assert run(server, "--scan", "--count", "100000").status == 0
    assert scan_calls(client) == before + 1


def test_with_an_interval_it_asks_for_few_keys_at_a_time(redis):
    client = redis.connect()
    before = scan_calls(client)
    assert run(redis, "--scan", "-i", "0.001").status == 0
    assert scan_calls(client) - before >= client("DBSIZE") // 11


def test_a_pattern_with_wrong_quotes_is_refused(server):
    result = run(server, "--scan", "--quoted-pattern", '"open')
    assert (result.status, result.out) == (1, b"")
    assert b"--quoted-pattern" in result.err


def test_the_servers_refusal_is_told(redis):
    redis.connect()("CONFIG SET requirepass secret")
    try:
        ours, theirs = both(redis, "--scan")
    finally:
        client = redis.connect()
        client("AUTH secret")
        client("CONFIG", "SET", "requirepass", "")
    assert (ours.status, ours.out) == (1, b"")
    assert ours.err == theirs.err == b"SCAN error: NOAUTH Authentication required.\n"


def test_what_is_no_list_of_keys_is_refused(tmp_path):
    for reply in (b"+OK\r\n", b"*0\r\n", array(bulk(0)), array(b":0\r\n", b"*0\r\n"), array(bulk(0), b":1\r\n"),
                  array(bulk("1" * 30), b"*0\r\n"), array(bulk(0), array(b":1\r\n"))):
        with FakeServer(tmp_path, lambda arguments, _, reply=reply: reply) as fake:
            result = run(fake, "--scan")
        assert (result.status, result.out) == (1, b""), reply
        assert b"SCAN error: the reply is no list of keys" in result.err, reply


def test_a_lost_connection_is_an_error(tmp_path):
    def answer(arguments, connection):
        return array(bulk(7), array(bulk("a"))) if arguments[1] == b"0" else CLOSE
    with FakeServer(tmp_path, answer) as fake:
        result = run(fake, "--scan")
    assert (result.status, result.out) == (1, b"a\n")
    assert result.err.startswith(b"Error: ")


def test_a_reader_that_leaves_ends_it(redis):
    process = start(redis, "--scan", stdin=subprocess.DEVNULL)
    process.stdout.close()
    process.stdout = None
    assert finish(process, None).status != 0


def test_without_a_server_it_fails():
    result = finish(subprocess.Popen([CLI, *where(1), "--scan"], stdout=subprocess.PIPE, stderr=subprocess.PIPE), None)
    assert (result.status, result.out) == (1, b"")
    assert b"Could not connect" in result.err
