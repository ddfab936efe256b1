"""History beyond memory: a replica that was away for longer than repl-backlog-size goes on from a file, and never gets a wrong byte."""
import os
import pathlib
import resource
import signal

import pytest

from harness.replica import FakeReplica
from harness.resp import eventually
from harness.server import SKUA
from test_replication_replica import WAIT_S, follow, servers, wait_equal, wait_up  # noqa: F401

pytestmark = [pytest.mark.skua_only("an option of ours"), pytest.mark.cells("tcp:4")]

MEGABYTE = 1 << 20
SLOT = 256 << 10
GIVEN_UP = b"the file of history (repl-backlog-file-size) is given up"


def begin_primary(servers, **options):
    return servers(SKUA, **({"repl_diskless_sync_delay": "0", "repl_ping_replica_period": "3600", "repl_backlog_size": "1mb",
                             "repl_backlog_file_size": "64mb"} | options))


def write(client, megabytes, name="k"):
    """So much new history."""
    for i in range(megabytes * 10):
        client("SET", f"{name}{i % 7}", os.urandom(MEGABYTE // 10))


def info(server, section="replication"):
    return server.connect().info(section)


def number(server, name, section="replication"):
    return int(info(server, section)[name])


def wait_written(server):
    """All but the last page is in the file."""
    def is_written():
        rows = info(server)
        end = int(rows["repl_backlog_file_first_byte_offset"]) - 1 + int(rows["repl_backlog_file_histlen"])
        return int(rows["master_repl_offset"]) - end < SLOT
    eventually(is_written, "the file has what there is", timeout_s=WAIT_S)


def files_of(server):
    """Descriptors of the server that are files of history, as paths by which they can be opened."""
    folder = pathlib.Path(f"/proc/{server.pid}/fd")
    return [link for link in folder.iterdir() if "temp-backlog" in link_to(link)]


def link_to(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


@pytest.fixture
def away(servers):
    """away(server): a replica that had everything and has gone. It knows where it was."""
    def begin(server):
        replica = FakeReplica(server.address)
        replica.follow()
        replica.acknowledge()
        replica.close()
        eventually(lambda: info(server)["connected_slaves"] == "0", "nothing is kept for it")
        return replica

    return begin


def back(server, gone):
    """It is there again. None: it would have to get everything, or was cut off at once."""
    replica = FakeReplica(server.address)
    try:
        needs_all = replica.follow(gone.history, gone.offset + 1)
    except EOFError:
        return None
    return None if needs_all else replica


# ---- Going on ----------------------------------------------------------------------------------------------


def test_a_replica_that_was_away_for_ten_times_the_backlog_goes_on(servers):
    primary = begin_primary(servers)
    replica = servers()
    wait_up(follow(replica, primary.port))
    writer = primary.connect()
    write(writer, 1)
    wait_equal(primary, replica)
    fulls = number(primary, "sync_full", "stats")
    os.kill(replica.pid, signal.SIGSTOP)
    writer("CLIENT", "KILL", "TYPE", "replica")
    write(writer, 10)
    assert number(primary, "repl_backlog_histlen") < 4 * MEGABYTE
    os.kill(replica.pid, signal.SIGCONT)
    wait_equal(primary, replica)
    stats = info(primary, "stats")
    assert int(stats["sync_full"]) == fulls
    assert int(stats["sync_partial_from_file"]) >= 1
    eventually(lambda: number(primary, "repl_backlog_file_readers") == 0)


def test_what_comes_from_the_file_is_what_others_were_sent(servers, away):
    primary = begin_primary(servers)
    gone = away(primary)
    watcher = FakeReplica(primary.address)
    assert back(primary, gone)
    watcher.follow(gone.history, gone.offset + 1)
    begin = gone.offset
    write(primary.connect(), 8)
    size = number(primary, "master_repl_offset") - begin
    expected = watcher._take(size)
    for step in (0, 1, SLOT - 25, SLOT - 24, SLOT - 23, 3 * SLOT, size - 2 * MEGABYTE, size - 1, size):
        replica = FakeReplica(primary.address)
        assert replica.follow(gone.history, begin + step + 1) is False, step
        assert replica._take(size - step) == expected[step:], step
        replica.close()
    assert number(primary, "sync_full", "stats") == 1


def test_it_goes_on_while_more_is_written(servers, away):
    primary = begin_primary(servers)
    gone = away(primary)
    writer = primary.connect()
    write(writer, 8)
    replica = back(primary, gone)
    for i in range(50):
        writer("SET", f"later{i}", os.urandom(MEGABYTE // 10))
        if i % 3 == 0:
            replica.request()
    writer("SET", "the", "end")
    assert replica.requests("SET the end")
    assert replica.offset == number(primary, "master_repl_offset")


def test_a_replica_has_a_file_of_its_own(servers, away):
    primary = begin_primary(servers, repl_backlog_file_size="0")
    middle = begin_primary(servers)
    wait_up(follow(middle, primary.port))
    gone = away(middle)
    write(primary.connect(), 6)
    wait_equal(primary, middle)
    assert back(middle, gone)
    client = middle.connect()
    assert client("REPLICAOF", "NO", "ONE") == "OK"  # the old name of the history is good as far as it goes
    assert back(middle, gone)
    assert number(middle, "sync_partial_from_file", "stats") == 2


# ---- How much ----------------------------------------------------------------------------------------------


def test_the_oldest_goes_when_the_file_is_full(servers, away):
    primary = begin_primary(servers, repl_backlog_file_size="6mb")
    gone = away(primary)
    write(primary.connect(), 20)
    wait_written(primary)
    rows = info(primary)
    assert 4 * MEGABYTE < int(rows["repl_backlog_file_histlen"]) <= 6 * MEGABYTE
    assert [os.stat(path).st_size for path in files_of(primary)] == [6 * MEGABYTE]
    first = int(rows["repl_backlog_file_first_byte_offset"])
    replica = FakeReplica(primary.address)
    assert replica.follow(gone.history, first) is False
    assert replica._take(int(rows["master_repl_offset"]) - first + 1)
    assert FakeReplica(primary.address).follow(gone.history, first - 1) is True


def test_one_that_is_slower_than_the_changes_is_dropped(servers, away):
    primary = begin_primary(servers, repl_backlog_file_size="32mb", client_output_buffer_limit="replica 0 0 0")
    gone = away(primary)
    writer = primary.connect()
    write(writer, 30)  # more than its sockets' buffers and what may be on its way
    replica = back(primary, gone)
    assert number(primary, "repl_backlog_file_readers") == 1
    write(writer, 32)
    eventually(lambda: b"it is slower than the changes, and repl-backlog-file-size is not enough" in primary.log())
    assert replica and number(primary, "repl_backlog_file_active") == 1


def test_there_is_no_file_unless_it_is_asked_for(servers, away):
    primary = begin_primary(servers, repl_backlog_file_size="0")
    gone = away(primary)
    write(primary.connect(), 8)
    assert files_of(primary) == [] and back(primary, gone) is None
    rows = info(primary)
    assert rows["repl_backlog_file_active"] == "0" and rows["repl_backlog_file_first_byte_offset"] == "0"


def test_the_option_begins_and_ends_the_file(servers, away):
    primary = begin_primary(servers, repl_backlog_file_size="0")
    gone = away(primary)
    client = primary.connect()
    assert client("CONFIG", "SET", "repl-backlog-file-size", "32mb") == "OK"
    eventually(lambda: number(primary, "repl_backlog_file_active") == 1)
    write(client, 6)
    wait_written(primary)
    assert back(primary, gone)
    assert client("CONFIG", "SET", "repl-backlog-file-size", "0") == "OK"
    eventually(lambda: not files_of(primary))
    assert back(primary, gone) is None


# ---- What goes wrong ---------------------------------------------------------------------------------------


def cut(path):
    os.truncate(path, SLOT // 2)


def overwrite(path):
    with open(path, "r+b", buffering=0) as file:
        file.seek(SLOT // 2)
        file.write(b"?")


def exchange(path):
    """Each page is whole, and lies where another one belongs."""
    with open(path, "r+b", buffering=0) as file:
        pages = file.read(2 * SLOT)
        file.seek(0)
        file.write(pages[SLOT:] + pages[:SLOT])


@pytest.mark.parametrize("harm", [cut, overwrite, exchange])
def test_history_ends_where_the_file_is_damaged(servers, away, harm):
    primary = begin_primary(servers)
    gone = away(primary)
    writer = primary.connect()
    write(writer, 6)
    wait_written(primary)
    [path] = files_of(primary)
    harm(path)
    replica = back(primary, gone)
    assert replica is None or replica.is_closed()
    eventually(lambda: GIVEN_UP + b", as far as memory goes there is history: what is read is not what was written" in primary.log())
    assert info(primary)["repl_backlog_file_last_error"] == "what is read is not what was written"
    assert back(primary, gone) is None
    assert writer("PING") == "PONG"


def test_a_disk_that_refuses_costs_history_and_nothing_else(servers, away):
    primary = begin_primary(servers)
    gone = away(primary)
    writer = primary.connect()
    resource.prlimit(primary.pid, resource.RLIMIT_FSIZE, (2 * MEGABYTE, resource.RLIM_INFINITY))
    write(writer, 8)
    eventually(lambda: GIVEN_UP in primary.log() and b"File too large" in primary.log())
    assert info(primary)["repl_backlog_file_last_error"] == "File too large"
    assert files_of(primary) == [] and back(primary, gone) is None
    last = FakeReplica(primary.address)
    assert last.follow(gone.history, number(primary, "repl_backlog_first_byte_offset")) is False
    resource.prlimit(primary.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    eventually(lambda: number(primary, "repl_backlog_file_active") == 1, "it is tried again", timeout_s=WAIT_S)


def test_nothing_is_left_by_a_kill(servers, away):
    primary = begin_primary(servers)
    away(primary)
    write(primary.connect(), 6)
    wait_written(primary)
    assert files_of(primary)
    folder = pathlib.Path(primary.connect()("CONFIG", "GET", "dir")[1].decode())
    assert not [name for name in os.listdir(folder) if "backlog" in name]
    os.kill(primary.pid, signal.SIGKILL)
    primary.process.wait()
    assert not [name for name in os.listdir(folder) if "backlog" in name]
    primary.start()
    assert info(primary)["repl_backlog_file_active"] == "0"
