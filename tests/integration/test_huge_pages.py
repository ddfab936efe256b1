"""huge-pages: large data lies in memory that workers have touched before, and INFO says so; nothing else changes."""
import pytest

from harness.resp import eventually
from harness.server import SKUA, Server, is_slow_build

# Not under ASan, which has an allocator of its own.
pytestmark = [pytest.mark.once, pytest.mark.skua_only("an option of ours")]

VALUE_BYTES = 4000  # one block of the slabs
ENOUGH = (160 << 20) // VALUE_BYTES
FEW = (16 << 20) // VALUE_BYTES
BATCH = 500


def store(client, keys):
    keys = list(keys)
    for at in range(0, len(keys), BATCH):
        client("MSET", *(word for key in keys[at:at + BATCH] for word in (f"key:{key}", f"{key:08}".ljust(VALUE_BYTES, "v"))))


def ahead(client):
    return {name: int(value) for name, value in client.info("memory").items() if name.startswith("memory_ahead_")}


@pytest.mark.parametrize("io_threads", [0, 2])
def test_a_worker_touches_memory_once_there_is_much_data(io_threads):
    with Server(SKUA, "tcp", io_threads, {"maxmemory": 0}) as server, server.connect() as client:
        assert client("CONFIG", "GET", "huge-pages") == [b"huge-pages", b"yes"]
        store(client, range(FEW))
        assert ahead(client) == {"memory_ahead_bytes": 0, "memory_ahead_huge_bytes": 0, "memory_ahead_waiting_bytes": 0, "memory_ahead_usec": 0}
        store(client, range(FEW, ENOUGH))
        eventually(lambda: ahead(client)["memory_ahead_bytes"] > 0, "memory touched ahead")
        figures = ahead(client)
        assert figures["memory_ahead_huge_bytes"] <= figures["memory_ahead_bytes"]
        assert client("DBSIZE") == ENOUGH
        assert all(client("GET", f"key:{key}").startswith(b"%08dv" % key) for key in range(0, ENOUGH, 997))
        resident = int(client.info("memory")["used_memory_rss"])
        assert is_slow_build() or resident < 1.1 * int(client.info("memory")["used_memory"]) + (64 << 20)
        assert client("FLUSHALL") == "OK"
        store(client, range(FEW))
        assert client("GET", "key:0").startswith(b"00000000v")


def test_switched_off_nothing_is_touched():
    with Server(SKUA, "tcp", 0, {"maxmemory": 0, "huge-pages": "no"}) as server, server.connect() as client:
        store(client, range(ENOUGH))
        assert ahead(client)["memory_ahead_bytes"] == 0
        assert client("CONFIG", "SET", "huge-pages", "yes") == "OK"
        store(client, range(ENOUGH, ENOUGH + FEW))
        eventually(lambda: ahead(client)["memory_ahead_bytes"] > 0, "memory touched ahead")
        assert client("DBSIZE") == ENOUGH + FEW
