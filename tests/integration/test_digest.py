"""DEBUG DIGEST and DIGEST-VALUE: the same data have the same digest, here and on redis-server 7.0."""
import hashlib

import pytest

from harness.digest import NOTHING, digest, digest_of_key
from harness.resp import Error, eventually
from harness.server import REDIS, Server
from harness.values import VALUES, build, random_writes, with_groups

pytestmark = [pytest.mark.core, pytest.mark.cells("tcp:0", "shm:4")]
CONFIG = {"databases": 16}
FAR_S = 33177117420


@pytest.fixture(scope="module")
def oracle_server():
    with Server(REDIS, "unix") as server:
        yield server


@pytest.fixture
def oracle(oracle_server):
    with oracle_server.connect() as client:
        client("FLUSHALL")
        yield client


def test_of_nothing(r):
    assert digest(r) == NOTHING
    assert r("DEBUG DIGEST-VALUE none") == [NOTHING]
    assert r("DEBUG DIGEST-VALUE") == []


def test_of_a_string_from_its_rules(r):
    """A value: its type's number and its text are chained; a keyspace: the database's number, and a sum over its keys."""
    def sha1(data):
        return hashlib.sha1(data).digest()

    def xor(one, other):
        return bytes(a ^ b for a, b in zip(one, other))

    def chain(before, data):
        return sha1(xor(before, sha1(data)))

    r("SET k hello")
    value = chain(chain(bytes(20), bytes(4)), b"hello")
    assert digest_of_key(r, "k") == value.hex()
    in_database = chain(chain(chain(bytes(20), b"k"), bytes(4)), b"hello")
    assert digest(r) == xor(chain(bytes(20), bytes(4)), sha1(in_database)).hex()


@pytest.mark.once
@pytest.mark.parametrize("name", VALUES)
def test_of_each_value_is_that_of_redis(r, oracle, name):
    build(r, VALUES[name])
    build(oracle, VALUES[name])
    assert digest_of_key(r, "k") == digest_of_key(oracle, "k")
    assert digest(r) == digest(oracle)


@pytest.mark.once
def test_groups_make_no_difference(r, oracle):
    """As in Redis."""
    build(r, with_groups())
    build(oracle, with_groups())
    assert digest(r) == digest(oracle)
    before = digest(r)
    r("XGROUP DESTROY k first")
    assert digest(r) == before


@pytest.mark.once
@pytest.mark.parametrize("seed", range(4))
def test_of_random_data_in_several_databases(r, oracle, seed):
    commands = list(random_writes(seed, 3000))
    for client in (r, oracle):
        client.pipeline(*commands)
    assert digest(r) == digest(oracle)
    for client in (r, oracle):
        client("SELECT 3")
    for key in r("KEYS *"):
        assert digest_of_key(r, key) == digest_of_key(oracle, key), key


def test_order_of_what_has_none_makes_no_difference(r):
    words = [word for i in range(1000) for word in (b"%d" % i, b"%d" % (i * i))]
    backwards = [word for i in reversed(range(1000)) for word in (b"%d" % i, b"%d" % (i * i))]
    for command in ("HSET", "ZADD", "SADD"):
        r(command, "one", *(words if command != "ZADD" else backwards))
        r(command, "other", *(backwards if command != "ZADD" else words))
        same = digest_of_key(r, "one") == digest_of_key(r, "other")
        assert same
        r("DEL one other")
    r("RPUSH", "one", *words)
    r("RPUSH", "other", *backwards)
    assert digest_of_key(r, "one") != digest_of_key(r, "other")


def test_each_change_shows(r):
    build(r, [("SET", "s", 1), ("RPUSH", "l", "a", "b"), ("SADD", "u", "a", 1), ("ZADD", "z", 1, "a"), ("HSET", "h", "f", "v"),
              ("XADD", "x", "1-1", "f", "v")])
    seen = {digest(r)}
    for change in ["SET s 2", "RPUSH l c", "LSET l 0 b", "SADD u b", "ZADD z 1.5 a", "HSET h f w", "HSET h v f", "XADD x 1-2 f v",
                   "EXPIRE s 10000", "RENAME s t", "DEL u", "SWAPDB 0 1"]:
        r(change)
        seen.add(digest(r))
    assert len(seen) == 13


def test_that_there_is_a_time_to_live_shows_and_not_which(r):
    r("SET k v")
    without = digest_of_key(r, "k")
    r("EXPIRE k 10000")
    timed = digest_of_key(r, "k")
    r("EXPIRE k 20000")
    assert digest_of_key(r, "k") == timed != without
    r("PERSIST k")
    assert digest_of_key(r, "k") == without


@pytest.mark.skua_only("redis-server 7.0 has no times of fields")
def test_the_same_of_fields(r):
    r("HSET k a 1 b 2")
    without = digest_of_key(r, "k")
    r("HEXPIREAT", "k", FAR_S, "FIELDS", 1, "a")
    timed = digest_of_key(r, "k")
    r("HEXPIREAT", "k", FAR_S + 1, "FIELDS", 1, "a")
    assert digest_of_key(r, "k") == timed != without
    r("HEXPIREAT", "k", FAR_S, "FIELDS", 1, "b")
    assert digest_of_key(r, "k") not in (timed, without)
    r("HPERSIST k FIELDS 2 a b")
    assert digest_of_key(r, "k") == without, "also where there is still room for times"


def test_expired_keys_count_until_they_are_removed(r):
    """As in Redis."""
    def now_ms():
        seconds, microseconds = map(int, r("TIME"))
        return seconds * 1000 + microseconds // 1000

    r("DEBUG SET-ACTIVE-EXPIRE 0")
    try:
        r("SET", "k", "v", "PX", 20)
        due_ms = now_ms() + 20
        before = digest(r)
        eventually(lambda: now_ms() > due_ms + 1, "its time has come")
        assert digest(r) == before != NOTHING
        assert r("GET k") is None
        assert digest(r) == NOTHING
    finally:
        r("DEBUG SET-ACTIVE-EXPIRE 1")


def test_several_keys(r):
    r("MSET a 1 b 2")
    first, second = r("DEBUG DIGEST-VALUE a b")
    assert first != second
    assert r("DEBUG DIGEST-VALUE b none a b") == [second, NOTHING, first, second]


def test_digest_takes_no_argument(r):
    assert r("DEBUG DIGEST x") == Error("ERR unknown subcommand or wrong number of arguments for 'DIGEST'. Try DEBUG HELP.")
