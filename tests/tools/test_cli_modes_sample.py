"""skua-cli --bigkeys, --memkeys, --memkeys-samples, --hotkeys: what they find, and redis-cli's words for it."""
import re
import signal
import time

import pytest
from harness.resp import eventually
from harness.server import REDIS, SKUA, Server
from modes_support import CLOSE, FakeServer, Terminal, array, both, bulk, fill, finish, run, start, without_notes


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


@pytest.fixture(scope="module")
def lfu():
    with Server(REDIS, config={"maxmemory-policy": "allkeys-lfu", "lfu-log-factor": 0}) as server:
        client = server.connect()
        for i in range(40):
            client("SET", f"key:{i}", i)
            client.pipeline(*[f"GET key:{i}"] * (3 * (i % 20)))
        yield server


def summary(result):
    lines = without_notes(result.lines)
    return sorted(lines[lines.index("-------- summary -------"):])


# ---- What is found --------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [["--bigkeys"], ["--bigkeys", "--pattern", "s*"], ["--bigkeys", "-i", "0.001"]])
def test_bigkeys_finds_what_redis_cli_finds(server, options):
    ours, theirs = both(server, *options)
    assert (ours.status, ours.err) == (0, b"")
    assert summary(ours) == summary(theirs)
    assert sorted(without_notes(ours.lines)) == sorted(without_notes(theirs.lines))


@pytest.mark.parametrize("options", [["--memkeys"], ["--memkeys-samples", "0"], ["--memkeys", "--pattern", "l:*"]])
def test_memkeys_finds_what_redis_cli_finds(redis, options):
    ours, theirs = both(redis, *options)
    assert (ours.status, ours.err) == (0, b"")
    assert summary(ours) == summary(theirs)


def test_hotkeys_finds_what_redis_cli_finds(lfu):
    ours, theirs = both(lfu, "--hotkeys")
    assert (ours.status, ours.err) == (0, b"")
    found = [line for line in ours.lines if line.startswith("hot key found")]
    assert len(found) == 16
    assert found == [line for line in theirs.lines if line.startswith("hot key found")]
    assert summary(ours) == summary(theirs)


def test_memkeys_on_our_server(tmp_path):
    with Server(SKUA) as server:
        client = server.connect()
        fill(client, types=False)
        result = run(server, "--memkeys")
        if result.status == 0:
            biggest = next(line for line in result.lines if line.startswith("Biggest string found '"))
            largest = max((client("MEMORY", "USAGE", key), key) for key in client("KEYS *"))
            assert biggest.endswith(f"has {largest[0]} bytes")
        else:  # a server without MEMORY USAGE: told once, and it is a failure
            assert result.err.count(b"MEMORY USAGE: ERR") == 1


def test_an_empty_database(redis):
    ours, theirs = both(redis, "-n", "9", "--bigkeys")
    assert summary(ours) == summary(theirs)
    assert "Sampled 0 keys in the keyspace!" in ours.lines


def test_hotkeys_needs_a_policy_that_counts(redis):
    ours, theirs = both(redis, "--hotkeys")
    assert ours.status == theirs.status == 1
    assert ours.err == theirs.err
    assert b"LFU maxmemory policy is not selected" in ours.err


def test_the_servers_refusal_is_told(redis):
    redis.connect()("CONFIG SET requirepass secret")
    try:
        results = [both(redis, mode) for mode in ("--bigkeys", "--memkeys", "--hotkeys")]
    finally:
        client = redis.connect()
        client("AUTH secret")
        client("CONFIG", "SET", "requirepass", "")
    for ours, theirs in results:
        assert (ours.status, ours.err) == (theirs.status, theirs.err)
        assert ours.err == b"Couldn't determine DBSIZE: NOAUTH Authentication required.\n"


# ---- Servers that are different -------------------------------------------------------------------------


def keyspace(keys, sizes):
    """Answers as a server with these keys ({name: type}); `sizes` are replies to what asks for a size."""
    def answer(arguments, _):
        command = arguments[0].upper()
        if command == b"DBSIZE":
            return b":%d\r\n" % len(keys)
        if command == b"SCAN":
            return array(bulk(0), array(*map(bulk, keys)))
        if command == b"TYPE":
            return b"+%s\r\n" % keys[arguments[1].decode()].encode()
        return sizes.get(command.decode(), b"-ERR unknown command '%s'\r\n" % command)
    return answer


def test_a_type_that_the_server_cannot_measure_is_skipped(tmp_path):
    keys = {"a": "string", "b": "stream", "c": "stream"}
    with FakeServer(tmp_path, keyspace(keys, {"STRLEN": b":5\r\n"})) as fake:
        result = run(fake, "--bigkeys")
    assert result.status == 0
    assert result.err.count(b"sizes of type stream are not known: ERR unknown command 'XLEN'") == 1
    assert "2 streams with 0 entries (66.67% of keys, avg size 0.00)" in result.lines
    assert "Biggest string found '\"a\"' has 5 bytes" in result.lines


def test_types_of_modules_are_counted_under_their_names(tmp_path):
    keys = {"a": "graphdata", **{f"k{i}": f"type{i}" for i in range(100)}}
    with FakeServer(tmp_path, keyspace(keys, {})) as fake:
        result = run(fake, "--bigkeys")
    assert (result.status, result.err) == (0, b"")
    assert "1 graphdatas with 0 ? (00.99% of keys, avg size 0.00)" in result.lines


def test_keys_that_are_gone_when_they_are_looked_at_are_no_trouble(tmp_path):
    with FakeServer(tmp_path, keyspace({"a": "none", "b": "string"}, {"STRLEN": b":0\r\n"})) as fake:
        result = run(fake, "--bigkeys")
    assert (result.status, result.err) == (0, b"")
    assert "Sampled 2 keys in the keyspace!" in result.lines
    assert "1 strings with 0 bytes (50.00% of keys, avg size 0.00)" in result.lines
    with FakeServer(tmp_path, keyspace({"a": "string"}, {"MEMORY": b"$-1\r\n", "OBJECT": b"$-1\r\n"})) as fake:
        assert "1 strings with 0 bytes (100.00% of keys, avg size 0.00)" in run(fake, "--memkeys").lines
        assert "Sampled 1 keys in the keyspace!" in run(fake, "--hotkeys").lines


def test_a_key_that_has_changed_its_type_is_no_trouble(tmp_path):
    sizes = {"LLEN": b"-WRONGTYPE Operation against a key\r\n", "STRLEN": b":3\r\n"}
    with FakeServer(tmp_path, keyspace({"a": "list", "b": "string"}, sizes)) as fake:
        result = run(fake, "--bigkeys")
    assert (result.status, result.err) == (0, b"")
    assert "1 lists with 0 items (50.00% of keys, avg size 0.00)" in result.lines


def test_a_lost_connection_is_an_error(tmp_path):
    for mode in ("--bigkeys", "--memkeys", "--hotkeys"):
        for lost in ("DBSIZE", "SCAN", "TYPE", "STRLEN", "MEMORY", "OBJECT"):
            usual = keyspace({"a": "string"}, {"STRLEN": b":1\r\n", "MEMORY": b":1\r\n", "OBJECT": b":1\r\n"})
            with FakeServer(tmp_path, lambda arguments, connection, lost=lost, usual=usual:
                            CLOSE if arguments[0].decode() == lost else usual(arguments, connection)) as fake:
                result = run(fake, mode)
                asked = any(arguments[0].decode() == lost for arguments in fake.received)
            assert asked == (result.status == 1), (mode, lost, result)
            assert asked == result.err.startswith(b"Error: "), (mode, lost, result)
            assert asked == ("-------- summary -------" not in result.lines), (mode, lost, result)


# ---- Ctrl-C and the terminal ----------------------------------------------------------------------------


def endless(arguments, connection):
    """A database that never ends, and is in no hurry."""
    command = arguments[0].upper()
    if command == b"SCAN":
        time.sleep(0.02)
        return array(bulk(1), array(bulk("key")))
    return {b"DBSIZE": b":100000\r\n", b"TYPE": b"+string\r\n"}.get(command, b":7\r\n")


@pytest.mark.parametrize("mode", ["--bigkeys", "--memkeys", "--hotkeys"])
def test_ctrl_c_prints_what_was_found_so_far(tmp_path, mode):
    with FakeServer(tmp_path, endless) as fake:
        process = start(fake, mode)
        eventually(lambda: len(fake.received) > 10, "some batches")
        process.send_signal(signal.SIGINT)
        result = finish(process)
    assert (result.status, result.err) == (0, b"")
    assert re.search(rb"\n-------- summary -------\n\n\[\d\d\.\d\d%\] Sampled \d+ keys in the keyspace!\n", result.out)


@pytest.mark.parametrize("mode", ["--bigkeys", "--memkeys", "--hotkeys"])
def test_a_terminal_shows_how_far_it_has_come(tmp_path, mode):
    with FakeServer(tmp_path, endless) as fake:
        terminal = Terminal(fake, mode)
        terminal.wait(rf"^{mode[2:]} +0%  \[>? +\]  \d+ / 100,000 keys  \d+/s  [\d:-]+ left$")
        terminal.interrupt()
        assert terminal.end() == 0
    assert not any(" left" in line for line in terminal.lines), "the line is still there"
    assert any("Sampled" in line for line in terminal.lines)


def test_a_narrow_terminal_gets_a_short_line(tmp_path):
    with FakeServer(tmp_path, endless) as fake:
        terminal = Terminal(fake, "--hotkeys", columns=40)
        terminal.wait(r"^hotkeys    0%  \d+ keys  [\d:-]+ left$|^hotkeys    0%  \d+ keys  \d+/s  [\d:-]+ left$")
        terminal.resize(16)
        terminal.wait(r"^  0%  [\d:-]+ left$|^  0%$")
        terminal.interrupt()
        assert terminal.end() == 0


def test_a_pipe_and_a_dumb_terminal_get_no_line(tmp_path):
    with FakeServer(tmp_path, endless) as fake:
        process = start(fake, "--bigkeys")
        eventually(lambda: len(fake.received) > 60, "far more than a tenth of a second")
        process.send_signal(signal.SIGINT)
        assert finish(process).err == b""
        terminal = Terminal(fake, "--bigkeys", env={"TERM": "dumb"})
        before = len(fake.received)
        terminal.wait("so far")
        eventually(lambda: len(fake.received) > before + 60, "the same")
        terminal.interrupt()
        terminal.end()
        assert b"left" not in terminal.raw and b"\x1b" not in terminal.raw
