"""skua-cli without a terminal, where it does more than redis-cli or speaks of itself, with our server and redis-server.

What both programs do alike is in test_cli_against_redis_cli.py.
"""
import json
import subprocess

import pytest

from harness.server import REDIS, SKUA, Server
from modes_support import CLI, CLOSE, ENV, FakeServer, bulk, run


@pytest.fixture(scope="module", params=[SKUA, REDIS])
def server(request):
    with Server(request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(request):
    yield
    if "server" in request.fixturenames:
        running = request.getfixturevalue("server")
        running.check_alive()
        running.connect()("FLUSHALL")


@pytest.fixture
def password(server):
    with server.connect() as admin:
        admin("CONFIG", "SET", "requirepass", "secret")
        yield "secret"
        admin("CONFIG", "SET", "requirepass", "")


def alone(*args, env=None):
    """A run that needs no server."""
    return subprocess.run([CLI, *args], capture_output=True, stdin=subprocess.DEVNULL, env={**ENV, **(env or {})})


def test_each_way_to_a_server(server):
    port = str(server.port)
    for options in (["-h", "127.0.0.1", "-p", port], ["-s", server.socket_path], ["-u", f"redis://127.0.0.1:{port}"],
                    ["-u", f"unix://{server.socket_path}"], ["-u", f"redis://nowhere.invalid:{port}", "-h", "127.0.0.1"],
                    ["-p", "1", "-u", f"redis://localhost:{port}/0"]):
        result = alone(*options, "PING")
        assert (result.returncode, result.stdout, result.stderr) == (0, b"PONG\n", b""), options


def test_a_relative_socket_path(server):
    result = subprocess.run([CLI, "-s", "s.sock", "PING"], cwd=server.folder, capture_output=True, env=ENV)
    assert result.stdout == b"PONG\n"


def test_passwords_from_the_environment(server, password):
    for env in ({"SKUA_AUTH": password}, {"REDISCLI_AUTH": password},
                {"SKUA_AUTH": password, "REDISCLI_AUTH": "wrong"}, {"SKUA_AUTH": "", "REDISCLI_AUTH": password}):
        result = run(server, "PING", env=env)
        assert (result.out, result.err) == (b"PONG\n", b""), env
    assert b"WRONGPASS" in run(server, "--no-auth-warning", "-a", "wrong", "PING", env={"SKUA_AUTH": password}).err


def test_a_password_needs_a_terminal_to_be_asked_for(server):
    result = run(server, "--askpass", "PING")
    assert (result.status, result.err) == (1, b"--askpass: standard input is not a terminal\n")


def test_help_needs_no_server():
    result = alone("-p", "1", "HELP", "SET")
    assert result.returncode == 0 and result.stderr == b""
    assert result.stdout.startswith(b"\n  SET key value [NX | XX")
    assert b"\n  examples:\n    > SET colour blue\n    OK\n" in result.stdout
    assert b"\033" not in result.stdout
    assert b"  CLIENT LIST " in alone("-p", "1", "HELP", "client").stdout
    assert b"  GETBIT key offset\n" in alone("-p", "1", "HELP", "@bitmap").stdout
    assert b"No command of this name" in alone("-p", "1", "HELP", "nonsense").stdout
    assert b"No group of this name" in alone("-p", "1", "HELP", "@nonsense").stdout
    assert b"HELP @group" in alone("-p", "1", "HELP").stdout


def test_help_asks_the_server_for_what_it_does_not_know(server):
    if server.kind == REDIS:
        assert b"  PFCOUNT key [key ...]\n" in run(server, "HELP", "PFCOUNT").out
    assert b"No command of this name" in run(server, "HELP", "NONSENSE").out


def test_it_speaks_of_itself():
    version = alone("--version")
    assert version.returncode == 0 and version.stdout.startswith(b"skua-cli ") and version.stdout == alone("-v").stdout
    text = alone("--help")
    assert text.returncode == 0 and text.stderr == b""
    for option in ("-h", "-p", "-s", "-u", "-a", "--user", "--pass", "--askpass", "-r", "-i", "-n", "-2", "-3", "-x", "-X",
                   "-d", "-D", "-e", "--raw", "--no-raw", "--quoted-input", "--csv", "--json", "--quoted-json",
                   "--show-pushes", "--eval", "--verbose", "--no-auth-warning", "--help", "--version"):
        assert f" {option}".encode() in text.stdout, option
    assert all(len(line) <= 80 for line in text.stdout.decode().splitlines())


def test_verbose_tells_where_it_is(server):
    result = run(server, "--verbose", "-3", "PING")
    assert (result.out, result.err.decode()) == (b"PONG\n", f"Connected to {server.socket_path}, RESP3\n")


def test_later_output_options_win(server):
    assert run(server, "--raw", "--json", "-2", "ECHO", "a").out == b'"a"\n'
    assert run(server, "--json", "-2", "--no-raw", "ECHO", "a").out == b'"a"\n'
    assert run(server, "--csv", "--raw", "ECHO", "a").out == b"a\n"


def test_json_without_resp3(tmp_path):
    """The wish for RESP3 that --json has is silent when the server does not know HELLO; that of -3 is not."""
    def old(arguments, _):
        return b"-ERR unknown command\r\n" if arguments[0] == b"HELLO" else bulk("x")

    with FakeServer(tmp_path, old) as fake:
        result = run(fake, "--json", "GET", "k")
        assert (json.loads(result.out), result.err) == ("x", b"")
    with FakeServer(tmp_path, old) as fake:
        result = run(fake, "-3", "GET", "k")
        assert (result.out, result.err) == (b"x\n", b"HELLO 3 failed: ERR unknown command\n")


def test_a_command_is_never_sent_twice(tmp_path):
    """A server that hangs up after a command may have run it."""
    with FakeServer(tmp_path, lambda arguments, _: CLOSE if arguments[0] == b"INCR" else b"+OK\r\n") as fake:
        result = run(fake, data=b"PING\nINCR a\nPING\n")
        assert result.out == b"OK\nOK\n"
        assert result.err == b"Error: Server closed the connection\n"
        assert [words[0] for words in fake.received] == [b"PING", b"INCR", b"PING"]


def test_lies_of_a_server(tmp_path):
    """Neither a length beyond reason nor bytes that are no protocol do more than end the connection."""
    for reply in (b"$99999999999999\r\n", b"*2147483647\r\n$-5\r\n", b"nonsense\r\n", b":12x\r\n", b"*1\r\n" * 200 + b":1\r\n"):
        with FakeServer(tmp_path, lambda arguments, _: reply) as fake:
            result = run(fake, "GET", "k")
            assert result.status == 1 and result.out == b"" and result.err.startswith(b"Error: "), reply


def test_replies_of_any_size(server):
    big = b"\x00x\n" * 1_000_000
    assert run(server, "-x", "SET", "big", data=big).out == b"OK\n"
    assert run(server, "GET", "big").out == big + b"\n"
    assert run(server, data=b"SET a %s\nSTRLEN a\n" % (b"y" * 1_000_000)).out == b"OK\n1000000\n"


def test_many_lines(server):
    result = run(server, data=b"".join(b"INCR n\n" for _ in range(2000)))
    assert result.out.split() == [b"%d" % number for number in range(1, 2001)]


def test_sync_is_no_command_here(server):
    result = run(server, "SYNC")
    assert result.status == 0 and b"skua-cli --replica" in result.err


def test_a_full_disk_is_an_error(server):
    with open("/dev/full", "wb") as full:
        assert run(server, "ECHO", "a" * 100_000, stdout=full).status == 1
