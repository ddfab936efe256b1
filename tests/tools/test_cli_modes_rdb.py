"""skua-cli --rdb and --functions-rdb: a snapshot is there whole, or not at all."""
import os
import re
import shutil
import signal
import subprocess

import pytest
from harness.resp import eventually
from harness.server import REDIS, SKUA, Server
from modes_support import CLOSE, FakeServer, Terminal, fill, finish, run, start

MARK = b"0123456789abcdefghijklmnopqrstuvwxyzABCD"
assert len(MARK) == 40
PAYLOAD = b"REDIS0010" + bytes(range(256)) * 40 + MARK[:39] + b"\r\n" + MARK[1:]


@pytest.fixture(scope="module")
def redis():
    with Server(REDIS, config={"repl-diskless-sync-delay": 0}) as server:
        fill(server.connect())
        server.connect()("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
        yield server


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "target"
    path.mkdir()
    return path


def is_there(folder):
    return sorted(path.name for path in folder.iterdir())


def primary(header, payload, end=CLOSE, pieces=None):
    """A server that answers SYNC with these bytes, in pieces of that many."""
    def answer(arguments, connection):
        if arguments[0] != b"SYNC":
            return b"+OK\r\n"
        data = header + payload
        size = pieces or len(data) or 1
        for i in range(0, len(data), size):
            connection.sendall(data[i:i + size])
        return end
    return answer


# ---- From redis-server ----------------------------------------------------------------------------------


def loaded(rdb):
    """A server that has begun with this snapshot."""
    server = Server(REDIS, config={"dbfilename": "dump.rdb"})
    shutil.copy(rdb, server.folder / "dump.rdb")
    return server


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_snapshot_can_be_loaded(redis, folder, diskless):
    client = redis.connect()
    client("CONFIG", "SET", "repl-diskless-sync", diskless)
    result = run(redis, "--rdb", str(folder / "dump.rdb"))
    assert (result.status, result.out) == (0, b"")
    assert is_there(folder) == ["dump.rdb"]
    assert (folder / "dump.rdb").stat().st_mode & 0o777 == 0o644 & ~current_umask()
    with loaded(folder / "dump.rdb") as copy:
        other = copy.connect()
        assert sorted(other("KEYS *")) == sorted(client("KEYS *"))
        assert other("DEBUG DIGEST") == client("DEBUG DIGEST")
        assert len(other("FUNCTION LIST")) == 1


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_standard_output_gets_the_snapshot_and_nothing_else(redis, folder):
    result = run(redis, "--rdb", "-")
    assert result.status == 0
    (folder / "dump.rdb").write_bytes(result.out)
    with loaded(folder / "dump.rdb") as copy:
        assert copy.connect()("DEBUG DIGEST") == redis.connect()("DEBUG DIGEST")


def test_functions_alone(redis, folder):
    result = run(redis, "--functions-rdb", str(folder / "f.rdb"))
    assert result.status == 0
    with loaded(folder / "f.rdb") as copy:
        client = copy.connect()
        assert client("DBSIZE") == 0
        assert len(client("FUNCTION LIST")) == 1


# ---- Forms of the stream --------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [None, 1, 7, 39, 41, 4096])
@pytest.mark.parametrize("form", ["length", "mark"])
def test_a_snapshot_in_pieces(tmp_path, folder, form, pieces):
    header, end = {"length": (b"$%d\r\n" % len(PAYLOAD), b""), "mark": (b"$EOF:" + MARK + b"\r\n", MARK)}[form]
    with FakeServer(tmp_path, primary(b"\n\n" + header, PAYLOAD + end, pieces=pieces)) as fake:
        result = run(fake, "--rdb", str(folder / "x"))
    assert result.status == 0, result
    assert (folder / "x").read_bytes() == PAYLOAD


def test_what_follows_is_not_in_it(tmp_path, folder):
    more = b"*1\r\n$4\r\nPING\r\n"
    for header, end in ((b"$%d\r\n" % len(PAYLOAD), b""), (b"$EOF:" + MARK + b"\r\n", MARK)):
        with FakeServer(tmp_path, primary(header, PAYLOAD + end + more, end=None)) as fake:
            assert run(fake, "--rdb", str(folder / "x")).status == 0
        assert (folder / "x").read_bytes() == PAYLOAD


def test_an_empty_snapshot(tmp_path, folder):
    for header, end in ((b"$0\r\n", b""), (b"$EOF:" + MARK + b"\r\n", MARK)):
        with FakeServer(tmp_path, primary(header, end, end=None)) as fake:
            assert run(fake, "--rdb", str(folder / "x")).status == 0
        assert (folder / "x").read_bytes() == b""


def test_a_server_without_replconf_is_asked_all_the_same(tmp_path, folder):
    usual = primary(b"$3\r\n", b"abc")
    with FakeServer(tmp_path, lambda arguments, connection: b"-ERR unknown command\r\n" if
                    arguments[0] == b"REPLCONF" else usual(arguments, connection)) as fake:
        result = run(fake, "--rdb", str(folder / "x"))
        assert (result.status, (folder / "x").read_bytes()) == (0, b"abc")
        assert b"REPLCONF capa error: ERR unknown command\n" in result.err
        assert [b"SYNC"] in fake.received
        fake.received.clear()
        result = run(fake, "--functions-rdb", str(folder / "y"))
        assert result.status == 1  # it would be a snapshot of everything
        assert b"Failed requesting functions only RDB from server, aborting\n" in result.err
        assert [b"SYNC"] not in fake.received
    assert is_there(folder) == ["x"]


# ---- What goes wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("header, payload", [
    (b"$100000\r\n", PAYLOAD), (b"$EOF:" + MARK + b"\r\n", PAYLOAD), (b"$EOF:" + MARK + b"\r\n", PAYLOAD + MARK[:39]),
    (b"", b""), (b"\n\n\n", b""), (b"$12", b""), (b"$EOF:" + MARK, b""), (b"$EOF:short\r\n", PAYLOAD),
    (b"$-1\r\n", b""), (b"$1x\r\n", b""), (b"$99999999999999999999\r\n", b""), (b"+FULLRESYNC\r\n", b""),
    (b"x" * 100000, b""), (b"-ERR not now\r\n", b""), (b"-NOAUTH Authentication required.\r\n", b""),
], ids=lambda data: repr(data)[:24])
def test_a_failure_leaves_no_file_and_keeps_the_old_one(tmp_path, folder, header, payload):
    (folder / "old").write_bytes(b"old")
    with FakeServer(tmp_path, primary(header, payload)) as fake:
        for name in ("new", "old"):
            result = run(fake, "--rdb", str(folder / name))
            assert (result.status, result.out) == (1, b"")
            assert b"rror" in result.err or b"SYNC with master failed: -" in result.err
    assert is_there(folder) == ["old"]
    assert (folder / "old").read_bytes() == b"old"


@pytest.mark.parametrize("mode", ["--rdb", "--functions-rdb"])
def test_our_server_says_clearly_that_it_cannot(folder, mode):
    with Server(SKUA) as server:
        if server.connect()("COMMAND", "INFO", "SYNC")[0] is not None:
            pytest.skip("this server has replication")
        result = run(server, mode, str(folder / "x"))
    assert (result.status, result.out, is_there(folder)) == (1, b"", [])
    assert re.search(rb"ERR unknown command '(SYNC|REPLCONF)'", result.err)


def test_a_folder_that_does_not_exist(redis, tmp_path):
    result = run(redis, "--rdb", str(tmp_path / "nowhere" / "x"))
    assert result.status == 1
    assert b"nowhere/x': No such file or directory" in result.err


def test_a_full_disk(tmp_path):
    with FakeServer(tmp_path, primary(b"$%d\r\n" % len(PAYLOAD), PAYLOAD)) as fake:
        result = run(fake, "--rdb", "/dev/full")
        assert result.status == 1
        assert b"Error writing '/dev/full': No space left on device" in result.err
        assert os.path.exists("/dev/full")
        process = start(fake, "--rdb", "-", stdout=os.open("/dev/full", os.O_WRONLY))
        assert finish(process).status == 1


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    with FakeServer(tmp_path, primary(b"$%d\r\n" % len(PAYLOAD), PAYLOAD)) as fake:
        assert run(fake, "--rdb", "/dev/null").status == 0
    assert not os.path.isfile("/dev/null")


def test_what_a_link_leads_to_is_replaced(tmp_path, folder):
    (tmp_path / "real").write_bytes(b"old")
    (folder / "link").symlink_to(tmp_path / "real")
    with FakeServer(tmp_path, primary(b"$3\r\n", b"new")) as fake:
        assert run(fake, "--rdb", str(folder / "link")).status == 0
    assert (folder / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def slow(fake_holder, header, payload, half):
    """Half of it; the rest when the test says so."""
    def answer(arguments, connection):
        if arguments[0] != b"SYNC":
            return b"+OK\r\n"
        connection.sendall(header + payload[:half])
        fake_holder[0].wait_released()
        return payload[half:]
    return answer


def test_until_it_is_whole_it_is_not_there(tmp_path, folder):
    holder = []
    with FakeServer(tmp_path, slow(holder, b"$%d\r\n" % len(PAYLOAD), PAYLOAD, 5000)) as fake:
        holder.append(fake)
        process = start(fake, "--rdb", str(folder / "x"))
        eventually(lambda: any(path.stat().st_size == 5000 for path in folder.iterdir()), "the first half")
        assert "x" not in is_there(folder)
        fake.release()
        assert finish(process).status == 0
    assert is_there(folder) == ["x"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(tmp_path, folder, number):
    holder = []
    with FakeServer(tmp_path, slow(holder, b"$%d\r\n" % len(PAYLOAD), PAYLOAD, 5000)) as fake:
        holder.append(fake)
        process = start(fake, "--rdb", str(folder / "x"))
        eventually(lambda: any(path.stat().st_size == 5000 for path in folder.iterdir()), "the first half")
        process.send_signal(number)
        assert finish(process).status == 1
    assert is_there(folder) == []


# ---- On a terminal --------------------------------------------------------------------------------------


@pytest.mark.parametrize("header, shown", [
    (b"$2097152\r\n", r"^rdb   25%  \[=+> +\]  512\.0 KB / 2\.0 MB  .*/s  .* left$"),
    (b"$EOF:" + MARK + b"\r\n", r"^rdb  512\.0 KB  .*/s  \d+:\d\d$"),
], ids=["length", "mark"])
def test_a_terminal_shows_how_far_it_has_come(tmp_path, folder, header, shown):
    holder = []
    payload = b"x" * 2097152 + (MARK if MARK in header else b"")
    # with a mark the last 39 bytes wait for what follows, so a little more comes
    with FakeServer(tmp_path, slow(holder, header, payload, 512 * 1024 + 39 * (MARK in header))) as fake:
        holder.append(fake)
        terminal = Terminal(fake, "--rdb", str(folder / "x"))
        terminal.wait(shown)
        fake.release()
        assert terminal.end() == 0
    assert len(terminal.lines) <= 2, "the line is still there: " + "\n".join(terminal.lines)
    assert terminal.lines[0].startswith("Transfer finished with success: 2097152 bytes")
    assert (folder / "x").stat().st_size == 2097152


def test_a_pipe_gets_no_line(tmp_path):
    holder = []
    with FakeServer(tmp_path, slow(holder, b"$%d\r\n" % len(PAYLOAD), PAYLOAD, 5000)) as fake:
        holder.append(fake)
        process = start(fake, "--rdb", "-", stderr=subprocess.PIPE)
        assert len(process.stdout.read(5000)) == 5000
        fake.release()
        result = finish(process)
    assert result.status == 0
    assert b"\r" not in result.err and b"\x1b" not in result.err
