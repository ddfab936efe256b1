"""skua-cli --stat, --latency and its relatives, --replica: what they print to programs and what they show to people."""
import re
import signal
import subprocess
import time

import pytest
from harness.resp import encode, eventually
from harness.server import REDIS, SKUA, Server
from modes_support import CLOSE, ORACLE, FakeServer, Terminal, bulk, finish, read_until, run, start


@pytest.fixture(scope="module", params=[SKUA, REDIS])
def server(request):
    with Server(request.param) as server:
        yield server


@pytest.fixture(scope="module")
def redis():
    with Server(REDIS, config={"repl-diskless-sync-delay": 0}) as server:
        yield server


def watch(server, pattern, *args, times=1):
    """What it has printed when the pattern has come; then Ctrl-C ends it as if nobody had caught that."""
    process = start(server, *args)
    out = read_until(process.stdout, pattern, times)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.status, result.err) == (-signal.SIGINT, b"")
    return out + result.out


# ---- --stat ---------------------------------------------------------------------------------------------

STAT_ROW = rb"\d+ {1,10}[\d.]+[BKMG] +\d+ +\d+ +\d+ \(\+\d+\) +\d+ *"


def test_stat_prints_a_line_each_interval_and_its_head_each_20_lines(server):
    out = watch(server, rb"child", "--stat", "-i", "0.001", times=3)
    lines = out.split(b"\n")
    assert lines[0] == b"------- data ------ --------------------- load -------------------- - child -"
    assert lines[1].split() == b"keys mem clients blocked requests connections".split()
    assert lines[22:24] == lines[44:46] == lines[0:2]
    for line in lines[2:22] + lines[24:44]:
        assert re.fullmatch(STAT_ROW, line), line


def test_stat_stands_in_redis_clis_columns(redis):
    client = redis.connect()
    client("SET a 1")
    client("SET b 2")
    other = redis.connect()
    other("SELECT 5")
    other("SET c 3")
    first = watch(redis, rb"\(\+0\) .*\n", "--stat", "-i", "0.01").split(b"\n")
    row = first[2]
    head = first[1]
    assert row.split()[0] == b"3"
    for name in (b"mem", b"clients", b"blocked", b"requests", b"connections"):
        column = head.index(name)
        assert row[column - 1:column] == b" " and row[column:column + 1] not in (b" ", b"")
    client("FLUSHALL")


def test_stat_counts_requests_since_the_line_before(redis):
    process = start(redis, "--stat", "-i", "0.3")
    read_until(process.stdout, rb"\(\+0\)")
    redis.connect().pipeline("MULTI", *["PING"] * 5000, "EXEC")  # at once, so that no line comes between
    read_until(process.stdout, rb"\(\+[5-9]\d{3}\)")
    process.send_signal(signal.SIGINT)
    finish(process)


def test_stat_tells_who_is_blocked_and_who_works(tmp_path):
    info = ("# Memory\r\nused_memory:1023\r\nused_memory_rss:5\r\n# Clients\r\nconnected_clients:7\r\nblocked_clients:2"
            "\r\nrdb_bgsave_in_progress:1\r\naof_rewrite_in_progress:1\r\nloading:0\r\ntotal_commands_processed:10\r\n"
            "total_connections_received:9\r\n# Keyspace\r\ndb0:keys=5,expires=0,avg_ttl=0\r\ndb11:keys=6,expires=0\r\n")
    with FakeServer(tmp_path, lambda arguments, _: bulk(info)) as fake:
        out = watch(fake, rb"SAVE.*\n", "--stat", "-i", "0.01")
    assert out.split(b"\n")[2].split() == b"11 1023B 7 2 10 (+0) 9 SAVE+AOF".split()
    with FakeServer(tmp_path, lambda arguments, _: bulk("used_memory:%d\r\nloading:1" % (3 << 30))) as fake:
        out = watch(fake, rb"LOAD.*\n", "--stat", "-i", "0.01")
    assert out.split(b"\n")[2].split() == b"0 3.00G 0 0 0 (+0) 0 LOAD".split()


def test_stat_ends_with_the_server(tmp_path):
    for reply, said in ((CLOSE, b"Error: "), (b"-NOAUTH Authentication required.\r\n", b"ERROR: NOAUTH")):
        with FakeServer(tmp_path, lambda arguments, _, reply=reply: reply) as fake:
            result = run(fake, "--stat")
        assert result.status == 1
        assert result.err.startswith(said)


# ---- --latency ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options, form", [
    ([], rb"\d+ \d+ \d+\.\d\d \d+\n"),
    (["--raw"], rb"\d+ \d+ \d+\.\d\d \d+\n"),
    (["--csv"], rb"\d+,\d+,\d+\.\d\d,\d+\n"),
    (["--json"], rb'\{"min": \d+, "max": \d+, "avg": \d+\.\d\d, "count": \d+\}\n'),
])
def test_latency_without_a_terminal_is_one_line_of_figures(server, options, form):
    result = run(server, "--latency", "-i", "0.1", *options)
    assert (result.status, result.err) == (0, b"")
    assert re.fullmatch(form, result.out)
    theirs = run(server, "--latency", "-i", "0.1", *options, program=ORACLE)
    assert re.fullmatch(form, theirs.out)
    low, high, mean, count = map(float, re.findall(rb"[\d.]+", result.out))
    assert low <= mean <= high and count >= 1


def test_latency_measures_the_server_and_not_itself(tmp_path):
    def answer(arguments, _):
        time.sleep(0.02)
        return b"+PONG\r\n"
    with FakeServer(tmp_path, answer) as fake:
        low, high, mean, count = map(float, run(fake, "--latency", "-i", "0.3").out.split())
    assert low >= 20 and mean >= 20 and count <= 0.3 / 0.02 + 1


def test_latency_for_people(server):
    result = run(server, "--latency", "-i", "0.1", "--no-raw")
    assert re.fullmatch(rb"min: [\d.]+, max: [\d.]+, avg: [\d.]+, p99: [\d.]+ ms \(\d+ samples\)\n", result.out)


def test_latency_history_is_one_result_for_each_interval(redis):
    for options, form in (([], rb"\d+ \d+ \d+\.\d\d \d+\n"), (["--csv"], rb"\d+,\d+,\d+\.\d\d,\d+\n")):
        out = watch(redis, rb"range\n", "--latency-history", "-i", "0.05", *options, times=3)
        assert re.match(rb"(%s -- \d+\.\d\d seconds range\n){3}" % form, out)


def test_latency_on_a_terminal_is_one_line_that_changes(redis):
    terminal = Terminal(redis, "--latency")
    form = r"^min: [\d.]+, max: [\d.]+, avg: [\d.]+, p99: [\d.]+ ms \((\d+) samples\)$"
    first = int(terminal.wait(form)[1])
    while int(terminal.wait(form)[1]) < first + 30:
        terminal._receive(0.1)
    assert len(terminal.lines) == 1
    terminal.interrupt()
    assert terminal.end() == -signal.SIGINT
    assert re.match(form, terminal.lines[0])
    assert terminal.screen.cursor.y == 1, "the shell's prompt would stand behind the figures"


def test_latency_on_a_narrow_terminal_stays_on_one_line(redis):
    terminal = Terminal(redis, "--latency", columns=30)
    terminal.wait(r"^min: [\d.]+, max: ")
    drawn = terminal.raw.count(b"\r")
    while terminal.raw.count(b"\r") < drawn + 3:
        terminal._receive(0.1)
    assert len(terminal.lines) == 1
    terminal.interrupt()
    terminal.end()


def test_latency_history_on_a_terminal(redis):
    terminal = Terminal(redis, "--latency-history", "-i", "0.3")
    form = r"^min: .* samples\) in \d+\.\d\d s$"
    while sum(bool(re.match(form, line)) for line in terminal.lines) < 3:
        terminal._receive(0.1)
    terminal.interrupt()
    terminal.end()
    assert all(re.match(form, line) for line in terminal.lines[:3]), terminal.lines


def test_latency_dist_in_words(redis):
    out = watch(redis, rb"samples: .*\n", "--latency-dist", "-i", "0.05", times=3)
    for line in out.splitlines():
        assert re.fullmatch(rb"\d+ samples:( <=[\d.]+ms [\d.]+%)+( >60000ms [\d.]+%)?", line)
        shares = [float(x) for x in re.findall(rb"([\d.]+)%", line)]
        assert 99 < sum(shares) < 101


def test_latency_dist_on_a_terminal_is_a_spectrum_of_colours(redis):
    terminal = Terminal(redis, "--latency-dist", "-i", "0.1")
    line = terminal.wait(r"^\.-\*#123456789ABCDEFGHIJKLMNOPQ\?$")[0]
    assert len(line) == 31
    row = next(i for i, text in enumerate(terminal.lines) if text == line)
    colours = {terminal.screen.buffer[row][column].bg for column in range(31)}
    assert len(colours) >= 2, "what holds something differs from what holds nothing"
    terminal.interrupt()
    assert terminal.end() == -signal.SIGINT
    plain = Terminal(redis, "--latency-dist", "-i", "0.1", env={"NO_COLOR": "1"})
    plain.wait(r"^\d+ samples: ")
    plain.interrupt()
    plain.end()
    assert b"\x1b[48" not in plain.raw


@pytest.mark.parametrize("mode", ["--latency", "--latency-history", "--latency-dist", "--bigkeys", "--hotkeys", "--rdb=-",
                                  "--pipe"])
def test_ctrl_c_ends_the_wait_for_a_server_that_is_silent(tmp_path, mode):
    with FakeServer(tmp_path, lambda arguments, _: b":1\r\n" if arguments[0] == b"DBSIZE" else None) as fake:
        process = start(fake, mode, stdin=subprocess.DEVNULL)
        eventually(lambda: fake.received and fake.received[-1] != [b"DBSIZE"], "the question that has no answer")
        process.send_signal(signal.SIGINT)
        finish(process, None)


@pytest.mark.parametrize("mode", ["--latency", "--latency-history", "--latency-dist"])
def test_latency_ends_with_the_server(tmp_path, mode):
    with FakeServer(tmp_path, lambda arguments, _: CLOSE) as fake:
        result = run(fake, mode)
    assert (result.status, result.out) == (1, b"")
    assert result.err.startswith(b"Error: ")


# ---- --intrinsic-latency --------------------------------------------------------------------------------


def test_intrinsic_latency_needs_no_server():
    result = run(1, "--intrinsic-latency", "1")
    assert (result.status, result.err) == (0, b"")
    assert re.fullmatch(rb"(Max latency so far: \d+ microseconds\.\n)+\n"
                        rb"\d+ total runs \(avg latency: \d+\.\d{4} microseconds / \d+\.\d\d nanoseconds per run\)\.\n"
                        rb"Worst run took \d+x longer than the average latency\.\n", result.out)
    told = [int(x) for x in re.findall(rb"so far: (\d+)", result.out)]
    assert told == sorted(set(told))


def test_intrinsic_latency_tells_what_it_has_at_ctrl_c():
    process = start(1, "--intrinsic-latency", "1000")
    read_until(process.stdout, rb"so far")
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.status == 0
    assert b"total runs" in result.out


# ---- --replica ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_replica_shows_the_commands(redis, diskless):
    client = redis.connect()
    client("CONFIG", "SET", "repl-diskless-sync", diskless)
    process = start(redis, "--replica")
    read_until(process.stderr, rb"Commands follow")
    client("SET", "k", 'a"b\r\n\x01')
    client("SELECT 3")
    client("SET", "big", "x" * 1000000)
    client("SET", "last", "one")
    out = read_until(process.stdout, rb'"one"\n')
    lines = [line for line in out.splitlines() if line != b'"PING"' and line != b'"ping"']
    assert lines == [b'"SELECT","0"', b'"SET","k","a\\"b\\r\\n\\x01"', b'"SELECT","3"',
                     b'"SET","big","' + b"x" * 1000000 + b'"', b'"SET","last","one"']
    redis.connect()("CLIENT KILL TYPE replica")
    result = finish(process)
    assert result.status == 1
    assert result.err.startswith(b"Error: ")


def test_a_stream_that_comes_byte_by_byte(tmp_path):
    mark = b"m" * 40

    def answer(arguments, connection):
        if arguments[0] != b"SYNC":
            return b"+OK\r\n" if arguments[1] != b"ACK" else CLOSE
        connection.sendall(b"$EOF:" + mark + b"\r\nsnapshot" + mark)
        stream = encode("SET", "a", "b") + b"*0\r\n" + encode("PING")
        for i in range(len(stream)):
            connection.sendall(stream[i:i + 1])
        return None
    with FakeServer(tmp_path, answer) as fake:
        result = run(fake, "--replica")
        assert [b"REPLCONF", b"ACK", b"0"] in fake.received
    assert result.status == 1
    assert b"SYNC done after 8 bytes" in result.err


def test_our_server_says_clearly_that_it_cannot():
    with Server(SKUA) as server:
        if server.connect()("COMMAND", "INFO", "SYNC")[0] is not None:
            pytest.skip("this server has replication")
        result = run(server, "--replica")
    assert (result.status, result.out) == (1, b"")
    assert re.search(rb"ERR unknown command 'SYNC'", result.err)
