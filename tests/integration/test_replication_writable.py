"""replica-read-only no: what clients write to a replica is this server's alone. On redis-server 7.0 the same."""
import pytest

from harness.resp import Error, eventually
from harness.server import REDIS, SKUA
from test_replication_replica import WAIT_S, follow, servers, wait_up  # noqa: F401

pytestmark = [pytest.mark.cells("tcp:4")]
READONLY = Error("READONLY You can't write against a read only replica.")


@pytest.fixture
def chain(servers, is_redis):
    """A primary, a replica that accepts writes, and a replica of that, as clients."""
    kind = REDIS if is_redis else SKUA
    primary = servers(kind, repl_diskless_sync_delay="0")
    middle = servers(kind, replica_read_only="no", repl_diskless_sync_delay="0")
    last = servers(kind)
    clients = [primary.connect(), follow(middle, primary.port)]
    wait_up(clients[1])
    clients.append(follow(last, middle.port))
    wait_up(clients[2])
    return clients


def wait_for(client, key, value):
    eventually(lambda: client("GET", key) == value, timeout_s=WAIT_S)


def test_writes_stay_here(chain):
    primary, middle, last = chain
    assert middle("SET", "mine", "1") == "OK"
    assert middle("LPUSH", "list", "a", "b") == 2
    assert middle.pipeline("MULTI", "INCR n", "INCR n", "EXEC")[3] == [1, 2]
    assert middle.info("replication")["slave_read_only"] == "0"
    primary("SET", "theirs", "2")
    wait_for(middle, "theirs", b"2")
    wait_for(last, "theirs", b"2")
    assert primary("EXISTS mine list n") == last("EXISTS mine list n") == 0
    assert middle("EXISTS mine list n") == 3
    assert last("SET a b") == READONLY


def test_the_stream_goes_on_over_what_was_written(chain):
    primary, middle, last = chain
    primary("SET", "k", "theirs")
    wait_for(last, "k", b"theirs")
    assert middle("SET", "k", "mine") == "OK" and middle("DEL", "other") == 0
    primary("APPEND", "k", "+")
    wait_for(middle, "k", b"mine+")
    wait_for(last, "k", b"theirs+")
    primary("SET", "k", "new")
    wait_for(middle, "k", b"new")


def test_keys_with_a_time_go_here(chain):
    primary, middle, last = chain
    primary("SET", "theirs", "1", "PX", "100")
    middle("SET", "mine", "1", "PX", "100")
    middle("RPUSH", "list", "a")
    middle("PEXPIRE", "list", "100")
    middle("SET", "stays", "1")
    # Without anybody looking at them: what is past its time is not seen, but it is counted.
    eventually(lambda: middle("DBSIZE") == 1, timeout_s=WAIT_S)
    assert middle("GET stays") == b"1"
    eventually(lambda: primary("DBSIZE") == last("DBSIZE") == 0, timeout_s=WAIT_S)


def test_a_key_that_is_past_its_time_can_be_written(chain):
    primary, middle, _ = chain
    primary("DEBUG", "SET-ACTIVE-EXPIRE", "0")  # so that the primary does not say when
    primary("SET", "n", "41")
    wait_for(middle, "n", b"41")
    primary("PEXPIRE", "n", "1")
    eventually(lambda: middle("GET n") is None, timeout_s=WAIT_S)
    assert middle("INCR n") == 1
    assert middle("TTL n") == -1 and middle("DBSIZE") == 1


def test_the_option_can_be_changed(chain):
    _, middle, _ = chain
    assert middle("CONFIG SET replica-read-only yes") == "OK"
    assert middle("SET a 1") == READONLY
    assert middle("CONFIG SET replica-read-only no") == "OK"
    assert middle("SET a 1") == "OK"
    assert middle("REPLICAOF NO ONE") == "OK"
    assert middle("SET b 1 PX 50") == "OK"
    eventually(lambda: middle("DBSIZE") == 1, timeout_s=WAIT_S)


def test_a_copy_of_everything_takes_it_away(chain):
    primary, middle, _ = chain
    middle("SET", "mine", "1", "EX", "1000")
    assert middle("REPLICAOF NO ONE") == "OK"
    middle("SET", "more", "1")  # another history now
    primary("SET", "theirs", "1")
    port = primary("CONFIG GET port")[1].decode()
    middle("REPLICAOF", "127.0.0.1", port)
    wait_for(middle, "theirs", b"1")
    assert middle("EXISTS mine more") == 0
