"""skua-cli --latency with several -u: transports side by side; and skua-cli over shared memory as such."""
import json
import re
import signal
import subprocess

import pytest
from harness.server import REDIS, SKUA, Server
from modes_support import CLI, ENV, LIMIT_S, read_until

HEAD = "microseconds transport samples min p50 p99 p99.9 max".split()


@pytest.fixture(scope="module", params=[SKUA, REDIS])
def server(request):
    with Server(request.param) as server:
        yield server


def run_at(urls, *args, data=b""):
    command = [CLI, *[word for url in urls for word in ("-u", url)], *args]
    return subprocess.run(command, input=data, capture_output=True, env=ENV, timeout=LIMIT_S)


def urls_of(server):
    return [f"redis://127.0.0.1:{server.port}", f"unix://{server.socket_path}", f"shm://{server.socket_path}"]


def carried_by(server):
    """What carries the bytes in the end: a server that knows no shared memory leaves the Unix socket."""
    return ["tcp", "unix", "shm" if server.kind == SKUA else "unix"]


def check(rows, server):
    assert [row[1] for row in rows] == carried_by(server)
    for _, _, samples, least, *rising in rows:
        figures = [float(least), *map(float, rising)]
        assert int(samples) >= 256 and int(samples) % 256 == 0
        assert 0 < figures[0] and figures == sorted(figures)
    assert len({row[2] for row in rows}) == 1  # each had as many turns


def test_servers_stand_in_one_table(server):
    result = run_at(urls_of(server), "--latency", "-i", "0.1")
    assert (result.returncode, result.stderr) == (0, b"")
    head, *lines = result.stdout.decode().splitlines()
    assert head.split() == HEAD
    check([line.split() for line in lines], server)


def test_programs_get_csv(server):
    result = run_at(urls_of(server), "--latency", "-i", "0.1", "--csv")
    head, *lines = result.stdout.decode().splitlines()
    assert head == "address,transport,samples,min,p50,p99,p99.9,max"
    assert [line.split(",")[0] for line in lines] == [f"127.0.0.1:{server.port}", *[server.socket_path] * 2]
    check([line.split(",") for line in lines], server)


def test_programs_get_json(server):
    result = run_at(urls_of(server), "--latency", "-i", "0.1", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert list(rows[0]) == ["address", *HEAD[1:]]
    check([list(row.values()) for row in rows], server)


def test_history_goes_on_until_ctrl_c(server):
    command = [CLI, "-u", urls_of(server)[0], "-u", urls_of(server)[2], "--latency-history", "-i", "0.05"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV)
    out = read_until(process.stdout, rb"microseconds", 3)
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (-signal.SIGINT, b"")
    assert len(re.findall(rb"^microseconds", out + rest, re.MULTILINE)) >= 3


def test_a_server_that_is_not_there_ends_it(server):
    result = run_at([urls_of(server)[0], "shm:///no/such/socket"], "--latency", "-i", "0.1")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr == b"Could not connect to Redis at /no/such/socket: No such file or directory\n"


def test_each_url_has_its_own_password():
    with Server(SKUA, config={"requirepass": "secret"}) as server:
        urls = [f"redis://:secret@127.0.0.1:{server.port}", f"shm://:secret@{server.socket_path}"]
        result = run_at(urls, "--latency", "-i", "0.1", "--no-auth-warning", "--csv")
        assert (result.returncode, result.stderr) == (0, b"")
        assert [line.split(",")[1] for line in result.stdout.decode().splitlines()[1:]] == ["tcp", "shm"]


# ---- Over shared memory -----------------------------------------------------------------------------------


def test_commands_and_pipes_go_through_shared_memory(server):
    url = urls_of(server)[2]
    assert run_at([url], "SET", "a", "b").stdout == b"OK\n"
    assert run_at([url], data=b"GET a\nPING\n").stdout == b"b\nPONG\n"
    many = b"".join(b"SET key:%d %s\r\n" % (i, b"x" * (1 + i % 3000)) for i in range(5000))
    result = run_at([url], "--pipe", data=many)
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == b"errors: 0, replies: 5000"
    value = b"v" * 1_000_000
    assert run_at([url], "-x", "SET", "large", data=value).stdout == b"OK\n"
    assert run_at([url], "GET", "large").stdout == value + b"\n"
    assert run_at([url], "FLUSHALL").stdout == b"OK\n"


def test_small_rings_are_enough_for_a_pipe(server):
    url = urls_of(server)[2] + "?request-ring=4096&reply-ring=4096"
    many = b"".join(b"SET key %s\r\nGET key\r\n" % (b"x" * 9000) for i in range(300))
    result = run_at([url], "--pipe", data=many)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, b"errors: 0, replies: 600")
    assert run_at([url], "FLUSHALL").stdout == b"OK\n"


@pytest.mark.parametrize("command, pattern", [(["SUBSCRIBE", "news"], rb"hello"), (["MONITOR"], rb'"PUBLISH" "news"')])
def test_messages_come_through_shared_memory(server, command, pattern):
    url = urls_of(server)[2]
    process = subprocess.Popen([CLI, "-u", url, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV)
    read_until(process.stdout, rb"subscribe" if command[0] == "SUBSCRIBE" else rb"OK")
    assert run_at([url], "PUBLISH", "news", "hello").returncode == 0
    read_until(process.stdout, pattern)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_S)


def test_more_than_sixteen_servers_are_too_many():
    result = run_at(["redis://localhost"] * 17, "PING")
    assert (result.returncode, result.stderr) == (1, b"-u: Invalid URI: too many\n")
