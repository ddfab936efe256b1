"""Files in both directions: what redis-server 7.0 and other servers wrote is loaded here, and what we write is loaded there,
with the same data."""
import pytest

from harness import corpus
from harness.contents import abridged, contents, order
from harness.digest import digest
from harness.server import REDIS, Server


def told(entries):
    return sorted(map(order, map(abridged, entries)))


def assert_holds(client, name, fields_expire):
    wanted = corpus.expected(name)
    assert told(contents(client, fields_expire=fields_expire)) == told(wanted["keys"])
    if "digest" in wanted:
        assert digest(client) == wanted["digest"]


@pytest.mark.parametrize("name", [name for name in corpus.snapshots() if corpus.redis_can_load(name)] +
                         corpus.logs() + corpus.single_logs())
def test_the_corpus_is_what_it_says(name):
    """On redis-server, as far as it can read it."""
    server = Server(REDIS, "unix")
    server.config |= corpus.place(name, server.folder)
    with server:
        assert_holds(server.connect(), name, fields_expire=False)
