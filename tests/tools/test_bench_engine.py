"""skua-bench's engine against real servers: what is sent, how often, to whom and in which order, and each option."""
import os
import pathlib
import re
import resource
import signal
import subprocess

import pytest

from bench_support import LIMIT_S, Run, Store, bench, measure, start, wait_until
from harness.server import REDIS, SKUA, Server

READY = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET", "SPOP",
         "ZADD", "ZPOPMIN", "LRANGE_100 (first 100 elements)", "LRANGE_300 (first 300 elements)",
         "LRANGE_500 (first 500 elements)", "LRANGE_600 (first 600 elements)", "MSET (10 keys)"]


@pytest.fixture(scope="module", params=[REDIS, SKUA])
def server(request):
    with Server(request.param, transport="unix") as running:
        yield running


@pytest.fixture(scope="module")
def redis():
    with Server(REDIS, transport="unix") as running:
        yield running


@pytest.fixture(autouse=True)
def empty(request):
    for name in ("server", "redis"):
        if name in request.fixturenames:
            request.getfixturevalue(name).connect()("FLUSHALL")


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as running:
        yield running


# ---- How much is sent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("clients, threads, pipeline", [(1, 1, 1), (7, 3, 5), (50, 2, 16), (3, 8, 1)])
def test_exactly_as_many_requests_as_were_asked_for(store, clients, threads, pipeline):
    run = measure(store, "-t", "set", "-n", 1003, "-c", clients, "--threads", threads, "-P", pipeline)
    assert run.only["requests"] == 1003 and run.only["complete"]
    assert len(store.log) == 1003


def test_a_duration_ends_the_run(server):
    run = measure(server, "-t", "get", "--duration", 0.3, "-c", 4)
    assert run.only["requests"] > 0
    assert run.only["seconds"] >= 0.3


def test_a_count_that_is_reached_before_the_duration_ends_the_run_with_its_own_length(store):
    run = measure(store, "-t", "get", "-n", 50, "--duration", 60, "-c", 4)
    assert run.only["requests"] == 50 and run.only["seconds"] < 60
    assert run.only["rps"] == pytest.approx(50 / run.only["seconds"], rel=0.01)


def test_the_sum_of_the_seconds_is_the_run(server):
    run = measure(server, "-t", "get", "--duration", 1.5, "-c", 4, "--threads", 2)
    (result,) = run.json["results"]
    assert sum(second["requests"] for second in result["series"]) == result["requests"]
    assert [second["second"] for second in result["series"]][:2] == [0, 1]


def test_windows_part_a_run_more_finely(server):
    run = measure(server, "-t", "get", "--rate", 2000, "--duration", 0.5, "-c", 4, "--window", 0.1)
    (result,) = run.json["results"]
    assert run.json["settings"]["window_s"] == 0.1
    assert sum(window["requests"] for window in result["series"]) == result["requests"]
    first = result["series"][:5]
    assert [window["second"] for window in first] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [window["seconds"] for window in first] == pytest.approx([0.1] * 5, abs=0.01)
    assert all(window["p50_us"] <= window["p99_us"] <= window["p999_us"] <= window["max_us"] * 1.01 for window in first)


def test_a_load_that_does_not_sleep_is_always_busy_and_sends_the_same(store):
    """Twenty requests in half a second are no work to speak of: what else it uses, it uses to look."""
    load = ("-t", "get", "--rate", 40, "--duration", 0.5, "-c", 2)
    sleeping, awake = measure(store, *load), measure(store, *load, "--no-sleep")
    assert awake.json["settings"]["no_sleep"] and not sleeping.json["settings"]["no_sleep"]
    assert awake.only["requests"] == sleeping.only["requests"] == 20
    assert awake.only["own_cores"] > 2 * sleeping.only["own_cores"]


def test_a_load_that_does_not_sleep_stops_when_its_time_is_over(store):
    run = measure(store, "-t", "get", "--duration", 0.3, "-c", 4, "--no-sleep")
    assert run.only["complete"] and run.only["requests"] == len(store.log) > 0


def test_warm_up_is_sent_and_not_counted(store):
    run = measure(store, "-t", "get", "-n", 500, "-c", 2, "--warm-up", 0.2)
    assert run.only["requests"] == 500
    assert len(store.log) > 500


def test_a_pipeline_is_sent_before_its_first_reply(tmp_path):
    """The server answers nothing until it has eight requests: who waited for each reply would wait forever."""
    waiting = []

    def eight_at_once(arguments, reply, connection):
        if arguments[0] != b"GET":
            return reply
        waiting.append(reply)
        if len(waiting) < 8:
            return None
        together = b"".join(waiting)
        waiting.clear()
        return together

    with Store(tmp_path, eight_at_once) as store:
        assert measure(store, "-t", "get", "-n", 80, "-c", 1, "-P", 8).only["requests"] == 80


def test_without_keep_alive_each_request_has_a_connection(store):
    run = measure(store, "-t", "get", "-n", 60, "-c", 3, "-k", 0)
    assert run.only["requests"] == 60 and run.only["disconnects"] == 0
    used = [requests for requests in store.per_connection.values() if requests]
    assert len(used) == 60


def test_idle_holds_connections_and_sends_nothing(store):
    process = start(store, "-I", "-c", 12)
    wait_until(lambda: store.connections == 13)  # one was for INFO
    process.send_signal(signal.SIGINT)
    assert Run(process).status == 0
    assert store.log == []


def test_more_connections_than_the_soft_limit_of_descriptors(redis):
    process = start(redis, "--json", "-", "-t", "get", "-n", 600, "-c", 300,
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                          (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    assert Run(process).only["requests"] == 600


# ---- What is sent ---------------------------------------------------------------------------------------------


def test_every_ready_workload_runs_on_redis(redis):
    run = measure(redis, "-n", 200, "-c", 5, "-r", 100)
    assert [test["name"] for test in run.json["tests"]] == READY
    for test, _, measured in run.rounds:
        assert (test, measured["requests"], measured["failures"]) == (test, 200, 0)


def test_ready_workloads_have_the_names_of_redis_benchmark(redis):
    theirs = subprocess.run(["redis-benchmark", "-s", redis.socket_path, "-n", "10", "--csv"], capture_output=True,
                            text=True, check=True, timeout=LIMIT_S).stdout
    names = re.findall(r'^"([^"]+)"', theirs, re.MULTILINE)
    assert [name for name in names if name not in ("test", "LPUSH (needed to benchmark LRANGE)")] == READY


def test_names_select_as_in_redis_benchmark(store):
    run = measure(store, "-t", "ping_mbulk,GET,set", "-n", 10)
    assert [test["name"] for test in run.json["tests"]] == ["PING_MBULK", "GET", "SET"]


def test_lists_are_filled_before_lrange(redis):
    measure(redis, "-t", "lrange_600", "-n", 10)
    assert redis.connect()("LLEN mylist") == 1000


def test_a_command_of_ones_own(redis):
    run = measure(redis, "-n", 100, "-r", 10, "-c", 1, "SETEX", "own:__rand_int__", "100", "{value}")
    assert run.only["failures"] == 0
    keys = redis.connect()("KEYS *")
    assert len(keys) == 10 and all(re.fullmatch(rb"own:00000000000\d", key) for key in keys)


def test_the_last_argument_from_standard_input(store):
    run = bench(store, "-n", 5, "-x", "SET", "k", data=b"with\r\n{key} \x00")
    assert run.status == 0, run
    assert store.data[b"k"].startswith(b"with\r\n") and store.data[b"k"].endswith(b" \x00")


def test_commands_are_mixed_by_weight(store):
    measure(store, "-n", 10000, "-c", 4, "-r", 100, "--seed", 1, "--command", "GET key:{key} @9",
            "--command", "SET key:{key} {value} @1")
    writes = sum(request[0] == b"SET" for request in store.log)
    assert 900 < writes < 1100  # three standard deviations, and the seed is fixed


def test_a_ratio_of_sets_to_gets(store):
    run = measure(store, "-n", 8000, "-r", 100, "--seed", 1, "--ratio", "1:3")
    writes = sum(request[0] == b"SET" for request in store.log)
    assert 1880 < writes < 2120
    by_command = {command["name"]: command["requests"] for command in run.json["results"][0]["commands"]}
    assert by_command == {"SET key:{key} {value}": writes, "GET key:{key}": 8000 - writes}


def test_a_seed_repeats_the_requests(tmp_path):
    logs = []
    for number, seed in enumerate((5, 5, 6)):
        with Store(tmp_path, name=f"s{number}") as store:
            measure(store, "-n", 300, "-c", 1, "-r", 1000, "-d", "1-40", "--seed", seed, "--distribution", "zipf",
                    "--ratio", "1:1")
            logs.append(store.log)
    assert logs[0] == logs[1]
    assert logs[0] != logs[2]


def test_sequential_keys_come_in_order_and_all(store):
    measure(store, "-t", "get", "-n", 25, "-c", 1, "-r", 10, "--distribution", "sequential")
    assert [int(request[1].removeprefix(b"key:")) for request in store.log] == [i % 10 for i in range(25)]


def test_popular_keys_of_zipf(store):
    measure(store, "-t", "get", "-n", 5000, "-r", 1000, "--distribution", "zipf:1.2", "--seed", 1)
    first = sum(request[1] == b"key:000000000000" for request in store.log)
    assert 1000 < first < 1300  # a share of 0.232


def test_loading_stores_every_key_once(store):
    measure(store, "-t", "get,set", "-n", 10, "-c", 5, "--threads", 2, "-r", 997, "--load", "-d", 7)
    loaded = [request[1] for request in store.log[:997]]
    assert sorted(loaded) == [b"key:%012d" % i for i in range(997)]
    assert all(request[0] == b"SET" for request in store.log[:997])
    assert len(store.log) == 997 + 20  # both need the same keys: stored once
    assert {len(value) for value in store.data.values()} == {7}


def test_nothing_is_missed_after_loading(server):
    run = measure(server, "-t", "get", "-n", 1000, "-r", 500, "--load")
    assert run.only["misses"] == 0 and run.only["failures"] == 0
    assert server.connect()("DBSIZE") == 500


def test_misses_are_told_and_are_no_failures(server):
    run = measure(server, "-t", "get", "-n", 100)
    assert run.only["misses"] == 100 and run.only["failures"] == 0


def test_sizes_of_keys_and_values(store):
    measure(store, "-t", "set", "-n", 400, "-r", 100, "--key-prefix", "p/", "--key-size", 9, "-d", "5:50,10-12:50",
            "--seed", 3)
    assert all(re.fullmatch(rb"p/\d{7}", request[1]) for request in store.log)
    assert {len(request[2]) for request in store.log} == {5, 10, 11, 12}


# ---- YCSB -----------------------------------------------------------------------------------------------------


def test_all_of_ycsb_runs_and_checks(server):
    run = measure(server, "-t", "ycsb", "-n", 400, "-c", 4, "-r", 50, "--load", "--verify")
    assert [test["id"] for test in run.json["tests"]] == [f"ycsb-{letter}" for letter in "abcdef"]
    assert all(measured["requests"] == 400 and measured["failures"] == 0 for _, _, measured in run.rounds)
    assert server.connect()("STRLEN user000000000000") == 1000


def test_ycsb_with_hashes(redis):
    run = measure(redis, "-t", "ycsb-a,ycsb-b,ycsb-c,ycsb-d,ycsb-f", "-n", 200, "-r", 20, "--load", "--records",
                  "hashes")
    assert all(measured["failures"] == 0 for _, _, measured in run.rounds)
    record = redis.connect()("HGETALL user000000000003")
    assert len(record) == 20 and {len(value) for value in record[1::2]} == {100}


def test_ycsb_f_writes_the_record_that_it_has_read(store):
    measure(store, "-t", "ycsb-f", "-n", 600, "-c", 1, "-r", 50, "-d", 10)
    writes = [i for i, request in enumerate(store.log) if request[0] == b"SET"]
    assert len(writes) > 100
    for i in writes:
        assert store.log[i - 1][0] == b"GET" and store.log[i - 1][1] == store.log[i][1]


def test_ycsb_d_reads_what_is_new(store):
    measure(store, "-t", "ycsb-d", "-n", 1000, "-c", 1, "-r", 50, "-d", 10, "--load")
    run = store.log[50:]
    new = [int(request[1].removeprefix(b"user")) for request in run if request[0] == b"SET"]
    assert new == list(range(50, 50 + len(new))) and 20 < len(new) < 90
    assert any(int(request[1].removeprefix(b"user")) >= 50 for request in run if request[0] == b"GET")


def test_ycsb_e_scans_neighbours(store):
    measure(store, "-t", "ycsb-e", "-n", 500, "-c", 1, "-r", 50, "-d", 10)
    lengths = set()
    for request in store.log:
        if request[0] == b"MGET":
            keys = [int(key.removeprefix(b"user")) for key in request[1:]]
            assert keys == list(range(keys[0], keys[0] + len(keys)))
            lengths.add(len(keys))
    assert min(lengths) >= 1 and max(lengths) <= 100 and len(lengths) > 50


# ---- Servers and rounds ---------------------------------------------------------------------------------------


def test_servers_take_turns(tmp_path):
    order = []

    def note(name):
        def twist(arguments, reply, connection):
            if arguments[0] != b"INFO" and (not order or order[-1] != (name, arguments[0])):
                order.append((name, arguments[0]))
            return reply
        return twist

    with Store(tmp_path, note("a"), "a") as a, Store(tmp_path, note("b"), "b") as b:
        run = measure(None, "--server", f"first=unix://{a.socket_path}", "--server", f"second=unix://{b.socket_path}",
                      "-t", "set,get", "-n", 20, "-c", 2, "--rounds", 2)
    once = [("a", b"SET"), ("b", b"SET"), ("a", b"GET"), ("b", b"GET")]
    assert order == once + once
    assert [entry["name"] for entry in run.json["servers"]] == ["first", "second"]
    assert len(run.rounds) == 8 and all(measured["requests"] == 20 for _, _, measured in run.rounds)


def test_servers_get_the_same_requests_and_rounds_get_others(tmp_path):
    with Store(tmp_path, name="a") as a, Store(tmp_path, name="b") as b:
        measure(None, "--server", f"x=unix://{a.socket_path}", "--server", f"y=unix://{b.socket_path}", "-t", "get",
                "-n", 50, "-c", 1, "-r", 1000, "--rounds", 2)
        assert a.log == b.log and a.log[:50] != a.log[50:]


def test_two_real_servers_are_known_by_name_version_and_process():
    with Server(SKUA) as ours, Server(REDIS) as theirs:
        run = measure(None, "--server", f"ours=redis://127.0.0.1:{ours.port},pid=auto", "--server",
                      f"theirs=redis://127.0.0.1:{theirs.port},pid={theirs.pid}", "-t", "get", "-n", 2000)
        mine, other = run.json["servers"]
        assert (mine["software"], mine["pid"]) == ("skua", ours.pid)
        assert (other["software"], other["version"][:4], other["pid"]) == ("redis", "7.0.", theirs.pid)
    for _, _, measured in run.rounds:
        assert measured["cpu_user_us"] is not None and measured["cpu_sys_us"] is not None


def test_process_behind_a_unix_socket(server):
    assert measure(server, "-t", "get", "-n", 10).json["servers"][0]["pid"] == server.pid


def test_cpu_of_the_server_is_near_what_the_system_counted(redis):
    before = sum(redis.cpu_seconds())
    run = measure(redis, "-t", "lrange_600", "-n", 20000, "-r", 10)
    spent = sum(redis.cpu_seconds()) - before  # of filling the list, too
    counted = (run.only["cpu_user_us"] + run.only["cpu_sys_us"]) * 20000 / 1e6
    assert 0.5 * spent < counted <= spent + 0.05


def test_loop_runs_until_it_is_ended(store):
    process = start(store, "-t", "get", "-n", 20, "-l", "-q", stderr=subprocess.DEVNULL)
    wait_until(lambda: len(store.log) >= 60)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=LIMIT_S)
    assert out.count(b"GET: ") >= 3 and process.returncode == 0


# ---- Connections ----------------------------------------------------------------------------------------------


def test_protocol_and_database(redis):
    run = measure(redis, "-t", "set", "-n", 10, "-3", "--dbnum", 5)
    assert run.json["settings"]["protocol"] == 3 and run.json["settings"]["db"] == 5
    r = redis.connect()
    assert r("DBSIZE") == 0
    r("SELECT 5")
    assert r("DBSIZE") == 1
    r("SELECT 0")


@pytest.mark.parametrize("how", ["option", "environment", "url", "server"])
def test_passwords_are_sent_and_not_shown(tmp_path, how):
    with Server(REDIS, config={"requirepass": "s3cret"}) as server:
        url = f"redis://:s3cret@127.0.0.1:{server.port}"
        args = {"option": ["-p", server.port, "-a", "s3cret"], "environment": ["-p", server.port], "url": ["-u", url],
                "server": ["--server", f"it={url}"]}[how]
        env = {"SKUA_AUTH": "s3cret"} if how == "environment" else None
        process = start(None, *args, "-t", "get", "--duration", 60, "--json", "-", env=env)
        with server.connect() as r:
            r("AUTH s3cret")
            wait_until(lambda: b"calls" in r("INFO commandstats").partition(b"cmdstat_get:")[2])
            assert b"s3cret" not in pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.send_signal(signal.SIGINT)
        run = Run(process)
        assert run.status == 0 and "s3cret" not in run.out + run.err
        assert run.only["requests"] > 0 and run.only["failures"] == 0


def test_over_tcp(redis):
    run = measure(None, "-h", "localhost", "-p", redis.port, "-t", "get", "-n", 100)
    assert run.only["requests"] == 100


# ---- On the terminal ------------------------------------------------------------------------------------------


def test_ctrl_c_prints_what_was_measured(store):
    process = start(store, "-t", "get", "--duration", 600, "--json", "-")
    wait_until(lambda: len(store.log) > 200)
    process.send_signal(signal.SIGINT)
    run = Run(process)
    assert run.status == 0
    assert run.json["interrupted"] and not run.only["complete"] and run.only["requests"] > 0


def test_a_line_on_the_terminal_shows_the_rate(store):
    master, slave = os.openpty()
    process = start(store, "-t", "get", "--duration", 600, "-q", stderr=slave, env={"TERM": "xterm"})
    os.close(slave)
    shown = b""
    while not re.search(rb"GET: [1-9]\d* requests per second", shown):
        shown += os.read(master, 4096)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=LIMIT_S)
    try:
        while more := os.read(master, 4096):
            shown += more
    except OSError:
        pass  # the other end is closed
    os.close(master)
    assert shown.endswith(b"\r\x1b[K") and out.startswith(b"GET: ")


def test_no_such_line_in_a_pipe(store):
    run = bench(store, "-t", "get", "-n", 100, "-q")
    assert run.err == ""


# ---- Options --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args, words", [
    (["-c", "0"], "whole number from 1"),
    (["-t", "nonsense"], "there is no workload 'nonsense'; --workloads lists them"),
    (["--distribution", "normal"], "needs uniform, zipf[:THETA], sequential or latest[:THETA], not 'normal'"),
    (["-d", "x"], "needs bytes or a range such as 10-200, not 'x'"),
    (["--ratio", "3"], "needs SETS:GETS, such as 1:10"),
    (["--ratio", "0:0"], "needs SETS:GETS, such as 1:10"),
    (["--arrivals", "odd"], "needs uniform or poisson"),
    (["--on-error", "weep"], "needs reconnect or stop"),
    (["--records", "rows"], "needs strings or hashes"),
    (["--server", "redis://127.0.0.1"], "needs NAME=URL"),
    (["--server", "a=nonsense://x"], "not a URL of a server"),
    (["--server", "a=redis://127.0.0.1,pid=x"], "a process id is a whole number, or auto"),
    (["--pid", "zero"], "--pid: a process id is a whole number, or auto"),
    (["--key-size", "4"], "leaves 1 to 19 digits behind the prefix"),
    (["--key-size", "5", "-r", "11"], "do not fit into a key"),
    (["-t", "ycsb-e", "--records", "hashes"], "needs records that are strings"),
    (["--records", "hashes", "--verify"], "checks strings, not hashes"),
    (["--command", "GET k @no"], "the weight behind '@' needs a number above 0"),
    (["--command", "GET 'k"], "quotes do not match"),
    (["-x"], "needs a command behind the options"),
    (["--rounds", "1000", "-t", "get,set,incr,lpush,rpush"], "at most 4096"),
    (["-d", "500000000", "-P", "2"], "more than 600 MB at once"),
    (["-d", "500000000", "MSET", "a", "{value}", "b", "{value}"], "a request of more than 600 MB"),
    (["--nonsense"], "Unrecognized option"),
])
def test_options_that_are_refused(args, words):
    run = bench(None, *args)
    assert run.status == 1 and run.out == ""
    assert words in run.err and run.err.count("\n") == 1


def test_options_of_redis_benchmark_mean_the_same(redis):
    options = ["-h", "127.0.0.1", "-p", str(redis.port), "-c", "5", "-n", "60", "-d", "10", "-P", "2", "-r", "10", "-k", "1",
               "--threads", "2", "--dbnum", "1", "-3", "-t", "set", "--precision", "3", "-q"]
    ours = bench(None, *options, "-e")
    theirs = subprocess.run(["redis-benchmark", *options], capture_output=True, text=True, timeout=LIMIT_S).stdout
    form = r"SET: [\d.]+ requests per second, p50=[\d.]+ msec"
    assert ours.status == 0 and re.fullmatch(form + r"\s*", ours.out), ours
    assert re.search(form, theirs)
    r = redis.connect()
    r("SELECT 1")
    keys = r("KEYS *")
    assert 0 < len(keys) <= 10 and all(re.fullmatch(rb"key:\d{12}", key) for key in keys)
    assert {len(r("GET", key)) for key in keys} == {10}


def test_help_version_and_list():
    assert "--distribution" in bench(None, "--help").out
    assert re.fullmatch(r"skua-bench \d+\.\d+\.\d+\n", bench(None, "--version").out)
    listed = bench(None, "--workloads").out
    assert "ycsb-f" in listed and "MSET" in listed


def test_a_server_that_is_not_there():
    run = bench(None, "-p", 1, "-n", 10)
    assert run.status == 1 and "127.0.0.1:1: " in run.err and "refused" in run.err
