"""maxmemory: which keys go when memory is short, what clients see of it, and what the access clocks say."""
import time

import pytest

from harness.resp import Error, eventually

pytestmark = pytest.mark.core

OOM = Error("OOM command not allowed when used memory > 'maxmemory'.")
EVICTING = ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"]
LATER = Error("ERR An LFU maxmemory policy is {}selected, {} not tracked. Please note that when switching between policies "
              "at runtime LRU and LFU data will take some time to adjust.")
NO_FREQUENCY = Error(LATER.format("not ", "access frequency"))
NO_IDLE_TIME = Error(LATER.format("", "idle time"))


# A batch of requests is not yet counted, and what was just replaced may be kept for those who have seen it.
BEYOND = (256 << 10) + (512 << 10)


def used(r):
    return int(r.info("memory")["used_memory"])


def evicted(r):
    return int(r.info("stats")["evicted_keys"])


def kept_and_evicted(r, clients):
    """How many keys the clients' databases hold and how many have gone, of one moment: memory can fall short between requests."""
    while True:
        before, kept = evicted(r), [client("DBSIZE") for client in clients]
        if evicted(r) == before:
            return kept, before


def fill(r, count, size=1000, prefix="k", options=()):
    for first in range(0, count, 100):
        r.pipeline(*[("SET", f"{prefix}{i}", "x" * size, *options) for i in range(first, min(first + 100, count))])


def nothing_is_on_its_way(r):
    """What earlier tests have left is freed, and what is kept of it for those who have seen it is given back, by an upkeep that comes
    ten times a second."""
    def is_settled():
        before = used(r)
        time.sleep(0.15)
        return r.info("memory")["lazyfree_pending_objects"] == "0" and abs(used(r) - before) < 16384

    eventually(is_settled, "what was there before is gone")


@pytest.fixture
def limited(r, config):
    """limited(policy, room) lets memory grow by so many bytes from here on."""
    def begin(policy, room, **options):
        nothing_is_on_its_way(r)
        r("CONFIG RESETSTAT")
        config(maxmemory_policy=policy, maxmemory=used(r) + room, **options)

    return begin


def go_before_others(r, first, others):
    """However much had to go (buffers count as memory too): of the others only what the first could not give, but for the few that
    a sample without any of the first ones gives."""
    gone, of_others = evicted(r), len(others) - r("EXISTS", *others)
    assert of_others <= 20 + max(0, gone - len(first)), (gone, of_others)


# ---- Memory stays below the limit -----------------------------------------------------------------------


@pytest.mark.cells("tcp:0", "shm:4")
@pytest.mark.parametrize("policy", EVICTING)
def test_memory_stays_below_the_limit(r, limited, policy):
    limited(policy, 1 << 20)
    limit = int(r("CONFIG GET maxmemory")[1])
    for part in range(40):
        fill(r, 200, prefix=f"part{part}:", options=("EX", 100000))
        assert used(r) < limit + BEYOND
    [kept], gone = kept_and_evicted(r, [r])
    assert gone > 6000
    assert 100 < kept < 1200
    assert kept + gone == 40 * 200


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_all_databases_give(r, connect, limited, policy):
    clients = [connect() for _ in range(3)]
    for number, client in enumerate(clients):
        client("SELECT", number)
        fill(client, 300, options=("EX", 100000))
    limited(policy, 0)
    fill(clients[2], 600, prefix="more", options=("EX", 200000))
    left, gone = kept_and_evicted(r, clients)
    assert sum(left) + gone == 1500
    assert all(count < 300 for count in left[:2]), "each has lost some"


def test_large_values_make_room(r, limited):
    """Of every type, also those that are freed in steps."""
    words = [str(i) for i in range(20000)]
    r("SADD", "large:set", *words)
    r("RPUSH", "large:list", *words)
    r("ZADD", "large:zset", *[part for word in words for part in (word, word)])
    r("HSET", "large:hash", *words)
    r("SET", "large:string", "x" * 3000000)
    limited("allkeys-lru", 0)
    limit = int(r("CONFIG GET maxmemory")[1])
    fill(r, 5000)
    assert used(r) < limit + BEYOND
    assert r("EXISTS large:set large:list large:zset large:hash large:string") < 5


def test_a_lower_limit_is_reached_without_commands(r, config):
    nothing_is_on_its_way(r)
    fill(r, 3000)
    config(maxmemory_policy="allkeys-random")
    config(maxmemory=used(r) - 2000000)
    limit = int(r("CONFIG GET maxmemory")[1])
    eventually(lambda: used(r) < limit + (64 << 10), "there is room, but for what INFO itself takes")
    assert 0 < r("DBSIZE") < 1500


def test_nothing_goes_in_a_pause(r, connect, config):
    """Nor for who comes meanwhile: what a primary holds that hands its role over is what its replica is waiting for."""
    nothing_is_on_its_way(r)
    fill(r, 1000)
    r("CONFIG RESETSTAT")
    writer = connect()
    assert r("CLIENT PAUSE 100000 WRITE") == "OK"
    config(maxmemory_policy="allkeys-random", maxmemory=used(r) - 500000)
    writer.send("SET more text")
    eventually(lambda: r.info("clients")["blocked_clients"] == "1", "the writer is held")
    assert evicted(r) == 0
    assert r("DBSIZE") == 1000
    assert r("CLIENT UNPAUSE") == "OK"
    assert writer.reply() == "OK"
    assert evicted(r) > 0


@pytest.mark.skua_only("since Redis 7.2 XREADGROUP hears that its key is gone")
def test_who_waits_for_a_group_hears_that_upkeep_has_evicted_it(r, connect, config):
    """At once, not with the next command or with the next keys that expire."""
    waiting = connect()
    r("XADD k * f v")
    r("XGROUP CREATE k g $")
    r("DEBUG SET-ACTIVE-EXPIRE 0")
    waiting.send("XREADGROUP GROUP g c BLOCK 0 STREAMS k >")
    eventually(lambda: r.info("clients")["blocked_clients"] == "1", "it waits")
    config(maxmemory_policy="allkeys-random", maxmemory=1)
    assert waiting.reply() == Error("NOGROUP No such key 'k' or consumer group 'g' in XREADGROUP with GROUP option")
    r("DEBUG SET-ACTIVE-EXPIRE 1")


# ---- Which keys go --------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [policy for policy in EVICTING if policy.startswith("volatile")])
def test_keys_without_a_time_to_live_stay(r, limited, policy):
    fill(r, 500, prefix="kept")
    fill(r, 500, prefix="volatile", options=("EX", 100000))
    limited(policy, 0)
    fill(r, 300, prefix="more")
    assert evicted(r) >= 150
    assert r("EXISTS", *[f"kept{i}" for i in range(500)]) == 500
    assert r("EXISTS", *[f"more{i}" for i in range(300)]) == 300


@pytest.mark.parametrize("policy", EVICTING[3:])
def test_without_any_that_may_go_commands_are_refused(r, limited, policy):
    fill(r, 500)
    r("SET only x EX 100000")
    limited(policy, 0)
    for i in range(300):
        if (reply := r("SET", f"more{i}", "x" * 1000)) != "OK":
            break
    assert reply == OOM
    assert evicted(r) == 1
    assert r("GET k0") == b"x" * 1000
    assert r("DEL k0") == 1
    assert r("EXISTS", *[f"k{i}" for i in range(500)]) == 499


def test_noeviction_removes_nothing(r, limited):
    fill(r, 200)
    limited("noeviction", 0)
    replies = r.pipeline(*[("SET", f"more{i}", "x" * 1000) for i in range(300)])
    assert replies[-1] == OOM
    assert evicted(r) == 0
    assert r("EXISTS", *[f"k{i}" for i in range(200)]) == 200


def test_those_whose_time_is_over_first_go_first(r, limited):
    fill(r, 300, prefix="late", options=("EX", 1000000))
    fill(r, 300, prefix="soon", options=("EX", 1000))
    limited("volatile-ttl", 0, maxmemory_samples=10)
    fill(r, 150, prefix="more")
    assert evicted(r) >= 50
    go_before_others(r, [f"soon{i}" for i in range(300)], [f"late{i}" for i in range(300)])


@pytest.mark.parametrize("policy", ["allkeys-lfu", "volatile-lfu"])
def test_those_that_are_used_often_stay(r, limited, config, policy):
    config(maxmemory_policy=policy, lfu_log_factor=0)
    fill(r, 600, options=("EX", 100000))
    often = [f"k{i}" for i in range(0, 600, 2)]
    for _ in range(20):
        r("MGET", *often)
    limited(policy, 0, maxmemory_samples=10)
    fill(r, 250, prefix="more", options=("EX", 100000))
    assert evicted(r) >= 50
    go_before_others(r, [f"k{i}" for i in range(1, 600, 2)], often)


def test_those_that_were_used_last_stay(r, limited, config):
    """Idle times count seconds: RESTORE says how many, so nobody has to wait."""
    r("SET", "value", "x" * 1000)
    payload = r("DUMP value")
    r("DEL value")
    if not isinstance(payload, bytes):
        pytest.skip("there is no DUMP")
    for i in range(600):
        r("RESTORE", f"k{i}", 0, payload, "IDLETIME", 1000 + i * 1000)
    assert abs(r("OBJECT IDLETIME k5") - 6000) < 600
    limited("allkeys-lru", 0, maxmemory_samples=10)
    fill(r, 150, prefix="more")
    assert evicted(r) >= 50
    go_before_others(r, [f"k{i}" for i in range(300, 600)], [f"k{i}" for i in range(300)])
    assert r("EXISTS", *[f"more{i}" for i in range(150)]) == 150


# ---- What others see ------------------------------------------------------------------------------------


def test_events_and_watched_keys(r, connect, limited, config):
    config(notify_keyspace_events="Ee")
    listener, watching = connect(), connect()
    fill(r, 100)
    listener("PSUBSCRIBE *evicted")
    for i in range(100):
        watching("WATCH", f"k{i}")
    limited("allkeys-random", 0)
    fill(r, 300, prefix="more")
    count = evicted(r)
    assert count >= 100
    gone = {listener.read()[3] for _ in range(count)}
    assert len(gone) == count
    assert r("EXISTS", *gone) == 0
    assert any(name.startswith(b"k") for name in gone)
    watching("MULTI")
    assert watching("EXEC") is None


def test_a_transaction_makes_room_before_it_begins(r, limited):
    fill(r, 500)
    limited("allkeys-lru", 0)
    for i in range(200):
        replies = r.pipeline("MULTI", ("SET", f"more{i}", "x" * 1000), ("GET", f"more{i}"), "EXEC")
        assert replies[3] == ["OK", b"x" * 1000]
    assert evicted(r) >= 50


def test_a_transaction_that_finds_no_room_is_discarded(r, connect, config):
    r("MULTI")
    assert r("SET k 1") == "QUEUED"
    connect()("CONFIG SET maxmemory 1")
    try:
        assert r("EXEC") == Error(
            "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.")
        assert r("EXEC") == Error("ERR EXEC without MULTI")
    finally:
        connect()("CONFIG SET maxmemory 0")
    assert r("EXISTS k") == 0


def test_reading_and_deleting_go_on(r, limited):
    fill(r, 100)
    limited("volatile-lru", -100000)
    eventually(lambda: r("SET k x") == OOM, "what is kept for those who have seen it is given back")
    assert r("GET k1") == b"x" * 1000
    assert r("DEL k1") == 1
    info = r.info("stats")
    assert info["evicted_clients"] == "0"
    eventually(lambda: int(r.info("stats")["total_eviction_exceeded_time"]) > 0, "time has passed")
    assert r.info("memory")["maxmemory_policy"] == "volatile-lru"


# ---- Access clocks --------------------------------------------------------------------------------------


def test_frequency_grows_with_use(r, config):
    config(maxmemory_policy="allkeys-lfu", lfu_log_factor=0, lfu_decay_time=0)
    r("SET k text")
    r("RPUSH list 1")
    assert r("OBJECT FREQ k") == r("OBJECT FREQ list") == 5
    for _ in range(10):
        r("GET k")
        r("LPUSH list x")
    assert r("OBJECT FREQ k") == r("OBJECT FREQ list") == 15
    r("SET k other")  # as often used as before, and once more
    assert r("OBJECT FREQ k") == 16
    r("TOUCH k")
    assert r("OBJECT FREQ k") == 17
    for _ in range(300):
        r("GET k")
    assert r("OBJECT FREQ k") == 255
    assert r("RENAME k renamed") == "OK"
    assert r("OBJECT FREQ renamed") == 255
    assert r("COPY renamed copy") == 1
    assert r("OBJECT FREQ copy") == 5
    assert r("OBJECT FREQ nothing") is None


def test_frequency_grows_slower_the_greater_it_is(r, config):
    config(maxmemory_policy="volatile-lfu", lfu_log_factor=10, lfu_decay_time=0)
    r("SET k text")
    for _ in range(10):
        r.pipeline(*["GET k"] * 100)
    assert 8 <= r("OBJECT FREQ k") <= 40  # about 18


def test_frequencies_are_told_under_their_policies_only(r, config):
    r("SET k text")
    assert r("OBJECT FREQ k") == NO_FREQUENCY
    assert r("OBJECT IDLETIME k") >= 0
    config(maxmemory_policy="allkeys-lfu")
    assert r("OBJECT IDLETIME k") == NO_IDLE_TIME
    assert 0 <= r("OBJECT FREQ k") <= 255
    config(maxmemory_policy="allkeys-lru")
    assert r("OBJECT FREQ k") == NO_FREQUENCY


@pytest.mark.skua_only("CLIENT NO-TOUCH is of Redis 7.2")
def test_no_touch_counts_no_use(r, connect, config):
    config(maxmemory_policy="allkeys-lfu", lfu_log_factor=0, lfu_decay_time=0)
    quiet = connect()
    assert quiet("CLIENT NO-TOUCH ON") == "OK"
    r("SET k text")
    for _ in range(5):
        quiet("GET k")
    assert r("OBJECT FREQ k") == 5
    quiet("TOUCH k")
    assert r("OBJECT FREQ k") == 6


def test_options(r):
    for policy in [*EVICTING, "noeviction"]:
        assert r("CONFIG", "SET", "maxmemory-policy", policy) == "OK"
        assert r("CONFIG GET maxmemory-policy")[1] == policy.encode()
    assert isinstance(r("CONFIG SET maxmemory-policy oldest"), Error)
    assert isinstance(r("CONFIG SET maxmemory-samples 0"), Error)
    assert isinstance(r("CONFIG SET lfu-log-factor -1"), Error)
    assert isinstance(r("CONFIG SET lfu-decay-time -1"), Error)
    assert r("CONFIG GET lfu-*") in ([b"lfu-log-factor", b"10", b"lfu-decay-time", b"1"],
                                     [b"lfu-decay-time", b"1", b"lfu-log-factor", b"10"])
