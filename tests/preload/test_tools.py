"""redis-cli and redis-benchmark, unchanged, over shared memory."""
import os
import re
import subprocess

import pytest

from harness.preload import LIMIT_S, PROGRAMS, Program, environment, run
from harness.resp import eventually
from harness.server import REDIS, Server


def cli(server, *words, **options):
    return run(server, ["redis-cli", "-s", server.socket_path, *words], **options)


def test_redis_cli_asks(server):
    output, count = cli(server, "PING")
    assert output == b"PONG\n" and count["sessions"] == 1 and count["refused"] == 0
    assert b"transport=shm" in cli(server, "CLIENT", "LIST")[0]
    assert cli(server, "SET", "key", "value")[0] == b"OK\n"
    assert cli(server, "GET", "key")[0] == b"value\n"


def test_redis_cli_moves_a_megabyte(server):
    value = os.urandom(500_000).hex().encode()
    assert cli(server, "-x", "SET", "megabyte", input=value)[0] == b"OK\n"
    output, count = cli(server, "GET", "megabyte")
    assert output == value + b"\n"
    assert count["bytes-read"] > 1_000_000


def test_redis_cli_pipes_a_file(server):
    commands = b"".join(b"SET piped:%d %d\r\n" % (number, number) for number in range(20_000))
    output, _ = cli(server, "--pipe", input=commands)
    assert b"errors: 0, replies: 20000" in output


@pytest.mark.parametrize("watch", ["kernel", "thread"])
@pytest.mark.parametrize("command,told", [(["SUBSCRIBE", "news"], "news"), (["MONITOR"], "OK")])
def test_redis_cli_listens_until_the_server_dies(server, command, told, watch):
    with Program(["redis-cli", "-s", server.socket_path, *command],
                 environment(server, SKUA_PRELOAD_WATCH=watch)) as program:
        program.wait_for(told)
        with server.connect() as client:
            for number in range(50):
                client("PUBLISH", "news", f"message {number}")
                program.wait_for(f"message {number}")
        server.kill()
        count = program.end(status=1)
    server.start()
    assert count["sessions"] == 1 and count["sleeps"] > 0


@pytest.mark.parametrize("options", [["-c", "1", "-n", "3000"], ["-c", "50", "-n", "20000"],
                                     ["-c", "50", "-P", "16", "-n", "100000"], ["-c", "8", "--threads", "2", "-n", "5000"]],
                         ids=["one", "fifty", "pipelined", "threads"])
def test_redis_benchmark(server, options):
    output, count = run(server, ["redis-benchmark", "-s", server.socket_path, "-t", "set,get,lpush,lrange_600", "--csv",
                                 *options])
    rows = re.findall(rb'^"([A-Z][^"]*)","([0-9.]+)"', output, re.MULTILINE)
    assert len(rows) >= 4 and all(float(rate) > 0 for _, rate in rows)
    assert count["sessions"] > int(options[1]) and count["refused"] == 0


@pytest.mark.parametrize("options", [["-c", "1"], ["-c", "50"], ["-c", "8", "--threads", "2"]], ids=["one", "fifty", "threads"])
def test_redis_benchmark_is_told_when_the_server_dies(server, options):
    """While it waits for answers: redis-benchmark 7.0 never ends when a write fails, over sockets neither."""
    load = ["redis-benchmark", "-s", server.socket_path, "-n", "1000000", "-q", *options, "BLPOP", "nothing", "0"]
    with server.connect() as client, Program(load, environment(server)) as program:
        eventually(lambda: client.info("clients")["blocked_clients"] == options[1], "all of them wait")
        server.kill()
        count = program.end(status=1)
    server.start()
    assert count["sessions"] > int(options[1]) and count["refused"] == 0


# ---- Which connections, and which not ---------------------------------------------------------------------


def test_a_port_of_the_own_host_stands_for_the_socket(server):
    env = {"SKUA_PRELOAD_SOCKET": "", "SKUA_PRELOAD_PORT": f"1:/nowhere,{server.port}:{server.socket_path}"}
    output, count = run(server, ["redis-cli", "-p", server.port, "CLIENT", "LIST"], env=env)
    assert b"transport=shm" in output and count["sessions"] == 1


def test_a_port_whose_socket_is_gone_stays_a_port(server):
    env = {**environment(server), "SKUA_PRELOAD_PORT": f"{server.port}:/nowhere/at.all"}
    with Program(["redis-cli", "-p", server.port, "PING"], env) as program:
        program.wait_for("PONG")
        assert program.process.wait() == 0


def test_another_name_of_the_socket_will_do(server, tmp_path):
    name = tmp_path / "link"
    name.symlink_to(server.socket_path)
    output, count = run(server, ["redis-cli", "-s", name, "PING"])
    assert output == b"PONG\n" and count["sessions"] == 1


@pytest.mark.parametrize("env", [{"SKUA_PRELOAD": "0"}, {"SKUA_PRELOAD_SOCKET": "/another/socket"}],
                         ids=["switched-off", "another-socket"])
def test_connections_that_are_not_meant_stay_sockets(server, env):
    with Program(["redis-cli", "-s", server.socket_path, "CLIENT", "LIST"], {**environment(server), **env}) as program:
        assert "transport=shm" not in program.wait_for("cmd=client|list")
        assert program.process.wait() == 0
        program.readers[1].join()
        assert not program.errors


@pytest.mark.parametrize("options", [["-static"], []], ids=["static", "own-calls"])
def test_programs_that_the_library_cannot_reach_stay_on_the_socket(server, tmp_path, options):
    program = tmp_path / "by-itself"
    source = PROGRAMS / "by_itself.c"
    subprocess.run([*os.environ.get("CC", "cc").split(), *options, "-o", program, source], check=True)
    result = subprocess.run([program, server.socket_path], env=environment(server), capture_output=True, timeout=LIMIT_S)
    assert (result.returncode, result.stderr) == (0, b"")  # no session, no counters
    assert b"transport=unix" in result.stdout


def test_a_server_that_knows_no_sessions_is_spoken_to_over_the_socket():
    with Server(REDIS) as redis:
        output, count = run(redis, ["redis-cli", "-s", redis.socket_path, "PING"])
        assert output == b"PONG\n"
        assert count["sessions"] == 0 and count["refused"] == 1
        output, count = run(redis, ["redis-benchmark", "-s", redis.socket_path, "-n", "1000", "-t", "get", "--csv"])
        assert b'"GET"' in output
        assert count["sessions"] == 0 and count["refused"] == 1, "a server that said no is not asked each time"


def test_a_server_that_has_no_sessions_left_gives_sockets():
    with Server(config={"shm-max-sessions": 2}) as small:
        output, count = run(small, ["redis-benchmark", "-s", small.socket_path, "-c", "5", "-n", "1000", "-t", "get",
                                    "--csv"])
        assert b'"GET"' in output
        assert count["sessions"] >= 2 and count["refused"] >= 1


def test_passwords_hold():
    with Server(config={"requirepass": "secret"}) as locked:
        output, count = run(locked, ["redis-cli", "-s", locked.socket_path, "--no-auth-warning", "-a", "secret", "PING"])
        assert output == b"PONG\n"
        output, count = run(locked, ["redis-cli", "-s", locked.socket_path, "PING"])
        assert b"NOAUTH" in output
