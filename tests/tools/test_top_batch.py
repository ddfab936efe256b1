"""skua-top without a screen: plain text, JSON, options and exit statuses."""
import json
import os
import re
import subprocess
import time

import pytest

from harness.resp import eventually
from harness.server import REDIS, SKUA, Server
from top_terminal import TOP, FakeServer, address_of, bulk, environment, run_top


@pytest.fixture(scope="module", params=[SKUA, REDIS])
def server(request):
    config = {"slowlog-log-slower-than": 0}
    with Server(request.param, io_threads=1 if request.param == SKUA else 0, config=config) as running:
        client = running.connect()
        for number in range(50):
            client("SET", f"key{number}", "value")
        client("GET key1")
        client("NOSUCH")
        running.loader = client
        yield running


def lines_of(result):
    assert result.returncode == 0, result.stderr
    assert result.stderr == b""
    return result.stdout.decode().splitlines()


def readings_of(*arguments):
    return [json.loads(line) for line in lines_of(run_top(*arguments))]


def test_once_prints_one_reading_as_plain_text(server):
    lines = lines_of(run_top(*address_of(server), "--once", "-i", "0.2"))
    text = "\n".join(lines)
    assert re.match(r"(Skua|Redis) .*  master standalone  up ", lines[0])
    assert sum(line.startswith("requests/s") for line in lines) == 1
    assert re.search(r"^network +in \d", text, re.MULTILINE)  # there are rates: two readings were taken
    assert "keys 50" in text
    assert re.search(r"^set ", text, re.MULTILINE)
    assert "\x1b" not in text and "1-5 views" not in text
    assert max(map(len, lines)) <= 120


def test_count(server):
    text = "\n".join(lines_of(run_top(*address_of(server), "-b", "--count", 3, "-i", "0.1", "--width", 80)))
    assert len(re.findall("^requests/s", text, re.MULTILINE)) == 3
    assert max(map(len, text.split("\n"))) <= 80


@pytest.mark.parametrize("view, part", [("commands", r"^info +\d\S* +\d\S*% +\d\S*s +\d\S*s +\d"),
                                        ("commands", r"^set +\S+ +\S+ +\S+ .* 50 "),
                                        ("slowlog", r"SET key\d+ value +\d+$"), ("clients", r"^127\.0\.0\.1:\d+ +skua-top "),
                                        ("errors", r"^ERR +0 +1$")])
def test_each_view(server, view, part):
    assert re.search(part, "\n".join(lines_of(run_top(*address_of(server), "--once", "-i", "0.1", "--view", view))),
                     re.MULTILINE)


def test_json(server):
    first, second = readings_of(*address_of(server), "--json", "--count", 2, "-i", "0.2")
    assert second["time"] > first["time"]
    assert 0 < first["interval_s"] < 60
    assert first["server"]["role"] == "master"
    assert first["address"] == f"127.0.0.1:{server.port}"
    assert first["requests_per_s"] > 0
    assert first["per_s"]["total_commands_processed"] == first["requests_per_s"]
    assert first["figures"]["total_commands_processed"] > 50
    assert [db["keys"] for db in first["dbs"]] == [50]
    commands = {command["name"]: command for command in first["commands"]}
    assert commands["set"]["calls"] == 50 and commands["set"]["calls_per_s"] == 0
    assert commands["info"]["calls_per_s"] > 0
    assert list(commands["set"]["percentiles_us"]) == ["p50", "p99", "p99.9"]
    parts = commands["set"].get("p99_us", {})
    assert list(parts) == (["queue", "execute", "reply"] if server.kind == SKUA else [])
    assert {error["code"]: error["count"] for error in first["errors"]} == {"ERR": 1}
    assert any(entry["command"] == "NOSUCH" or entry["command"].startswith("SET") for entry in first["slow_log"])
    assert "clients" not in first
    # what a server does not report is not there
    assert ("executor_busy_usec" in first["figures"]) == (server.kind == SKUA)
    assert len(first["io_threads"]) == (1 if server.kind == SKUA else 0)


def test_json_of_clients(server):
    (reading,) = readings_of(*address_of(server), "--json", "--once", "--view", "clients", "-i", "0.1")
    assert "skua-top" in {client["name"] for client in reading["clients"]}


def test_statistics_that_were_reset_have_no_rates(server):
    arguments = [TOP, *address_of(server), "--json", "-i", "0.1"]
    with subprocess.Popen(arguments, env=environment(), stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        server.loader("CONFIG RESETSTAT")
        try:
            reading = next(found for found in map(json.loads, process.stdout) if found["statistics_reset"])
        finally:
            process.terminate()
        assert "total_commands_processed" not in reading["per_s"]
        assert "used_cpu_user" in reading["per_s"]
        process.stdout.read()
        assert process.wait() == 0
    # the statistics of this module's other tests
    for number in range(50):
        server.loader("SET", f"key{number}", "value")
    server.loader("NOSUCH")


# ---- Statuses and refusals ------------------------------------------------------------------------------


def test_nobody_listens():
    with FakeServer({}) as fake:
        port = fake.port
    result = run_top("-h", "127.0.0.1", "-p", port, "--once")
    assert result.returncode == 1 and result.stdout == b""
    assert re.match(rb"skua-top: .*refused", result.stderr)
    result = run_top("-s", "/nonexistent/socket", "--once")
    assert result.returncode == 1 and b"No such file" in result.stderr


def test_wrong_password_and_none():
    with Server(SKUA, config={"requirepass": "right"}) as server:
        for env, word in [({"SKUA_AUTH": "wrong"}, b"WRONGPASS"), ({}, b"NOAUTH")]:
            result = run_top(*address_of(server), "--once", env=env)
            assert result.returncode == 1
            assert word in result.stderr
        lines_of(run_top(*address_of(server), "--once", "-i", "0.1", env={"SKUA_AUTH": "right"}))


def test_a_unix_socket_and_a_url(server):
    lines_of(run_top("-s", server.socket_path, "--once", "-i", "0.1"))
    lines_of(run_top("-u", f"redis://127.0.0.1:{server.port}/3", "--once", "-i", "0.1"))


@pytest.mark.parametrize("arguments, words", [
    (["--nonsense"], "Unrecognized option or bad number of args for: '--nonsense'"),
    (["-i", "0"], "needs a number from 0.1 to 3600"),
    (["--view", "kitchen"], "needs overview, commands, slowlog, clients or errors"),
    (["--count", "0"], "needs a whole number"),
    (["PING"], "unexpected argument 'PING'"),
])
def test_options_that_are_refused(arguments, words):
    result = run_top(*arguments)
    assert result.returncode == 1 and result.stdout == b""
    assert words in result.stderr.decode()


def test_help_and_version():
    text = "\n".join(lines_of(run_top("--help")))
    for word in ["-h HOST", "-i, --interval SECONDS", "-b, --batch", "--once", "--count N", "--json", "--view NAME"]:
        assert word in text
    assert re.fullmatch(r"skua-top \d+\.\d+\.\d+", lines_of(run_top("--version"))[0])


def test_a_screen_needs_a_terminal(server):
    result = run_top(*address_of(server))
    assert result.returncode == 1
    assert b"--batch" in result.stderr


def test_a_pipe_that_nobody_reads(server):
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen([TOP, *address_of(server), "-b", "-i", "0.1"], env=environment(), stdout=writer,
                          stderr=subprocess.PIPE) as process:
        os.close(writer)
        assert process.wait(timeout=30) == 1
        assert process.stderr.read() == b""


def test_a_server_that_stood_still_makes_no_peak():
    """What was due meanwhile is not asked for at once when it answers: rates over a moment would say nothing."""
    interval_s = 0.5
    info, slow_log = bulk("redis_version:7.0.15\r\n"), b"*0\r\n"
    with FakeServer({"INFO": None, "SLOWLOG": None}) as fake:
        with subprocess.Popen([TOP, *address_of(fake), "--json", "--once", "-i", str(interval_s)], env=environment(),
                              stdout=subprocess.PIPE) as process:
            asked = eventually(lambda: fake.count("SLOWLOG") and time.monotonic(), "the first question")
            eventually(lambda: time.monotonic() > asked + 2 * interval_s, "the next one to be overdue")
            fake.answers |= {"INFO": info, "SLOWLOG": slow_log}
            fake.connections[0].sendall(info + slow_log)
            reading = json.loads(process.stdout.read())
            assert process.wait() == 0
    assert reading["interval_s"] > interval_s * 0.9


def test_a_connection_that_is_lost_is_told_once_and_made_again():
    with FakeServer({"INFO": bulk("redis_version:7.0.15\r\n"), "SLOWLOG": b"*0\r\n"}) as fake:
        with subprocess.Popen([TOP, *address_of(fake), "--json", "-i", "0.1"], env=environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.readline()
            fake.connections[0].shutdown(2)
            assert re.match(rb"skua-top: .*(closed|reset)", process.stderr.readline())
            while len(fake.connections) < 2:
                assert json.loads(process.stdout.readline())["server"]["redis_version"] == "7.0.15"
            process.stdout.readline()
            process.terminate()
            process.stdout.read()
            assert process.wait() == 0


def test_hostile_texts_are_escaped():
    name = "\x1b]0;owned\x07\xff"
    info = f"redis_version:{name}\r\ncmdstat_{name}:calls=1,usec=1\r\n".encode("latin-1")
    with FakeServer({"INFO": bulk(info), "SLOWLOG": f"-ERR {name}\r\n".encode("latin-1")}) as fake:
        result = run_top(*address_of(fake), "--once", "-i", "0.1")
        assert b"Redis \\x1b]0;owned\\x07\\xff" in result.stdout and b"\x1b" not in result.stdout
        result = run_top(*address_of(fake), "--once", "-i", "0.1", "--json")
        assert json.loads(result.stdout)["server"]["redis_version"] == "\x1b]0;owned\x07\ufffd"
        assert b"\x1b" not in result.stdout
    with FakeServer({"INFO": f"-ERR {name}\r\n".encode("latin-1")}) as fake:
        result = run_top(*address_of(fake), "--once")
        assert result.returncode == 1 and b"\x1b" not in result.stderr and b"ERR \\x1b]0;owned" in result.stderr
