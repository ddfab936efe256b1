"""redis-cli and redis-benchmark: what everybody tries first."""
import csv
import io
import subprocess

import pytest


def cli(server, *arguments, text=None, status=0):
    result = subprocess.run(["redis-cli", "-p", str(server.port), *arguments], input=text, capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == status, result.stderr
    return result.stdout


def test_redis_cli_runs_single_commands(server):
    assert cli(server, "SET", "k", "v") == "OK\n"
    assert cli(server, "GET", "k") == "v\n"
    assert cli(server, "--no-raw", "MGET", "k", "x") == '1) "v"\n2) (nil)\n'
    assert "ERR wrong number of arguments for 'get' command" in cli(server, "GET")


def test_redis_cli_runs_a_script_of_commands(server):
    assert cli(server, text="MULTI\nINCR n\nINCR n\nEXEC\nGET n\n") == "OK\nQUEUED\nQUEUED\n1\n2\n2\n"


def test_redis_cli_speaks_resp3_and_the_unix_socket(server):
    assert cli(server, "-3", "--no-raw", "CONFIG", "GET", "maxclients") == '1# "maxclients" => "10000"\n'
    result = subprocess.run(["redis-cli", "-s", server.socket_path, "PING"], capture_output=True, text=True, timeout=60)
    assert result.stdout == "PONG\n"


def test_redis_cli_pipes_and_scans(server):
    requests = "".join(f"*3\r\n$3\r\nSET\r\n$5\r\nk{i:04}\r\n$1\r\nv\r\n" for i in range(3000))
    assert "errors: 0, replies: 3000" in cli(server, "--pipe", text=requests)
    assert len(cli(server, "--scan", "--pattern", "k*").split()) == 3000
    assert "summary" in cli(server, "--bigkeys").lower()


@pytest.mark.parametrize("options", [[], ["-P", "16"], ["-c", "200", "-P", "4"]], ids=" ".join)
def test_redis_benchmark_runs(server, options):
    tests = "ping_inline,ping_mbulk,set,get,incr,mset"
    result = subprocess.run(["redis-benchmark", "-p", str(server.port), "-n", "20000", "-r", "1000", "-t", tests, "--csv",
                             *options], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "error" not in (result.stdout + result.stderr).lower()
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 6
    assert all(float(row["rps"]) > 0 for row in rows)
    with server.connect() as client:
        assert 0 < client("DBSIZE") <= 2003  # key:…, counter:…
