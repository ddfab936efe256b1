"""Caches that are kept by invalidations never serve what is older than a write whose reply they could have heard of.

Writers count keys up, each its own, and tell everybody of each write that was acknowledged. A caching client looks at what was told,
then asks for any reply, then looks at its cache: every value there must be at least as new as what it had been told of before it
asked. That needs no clock, and holds however the threads are scheduled (C1 of decision 018)."""
import random
import threading

import pytest

from harness.resp import Push, encode
from harness.server import REDIS, Server, is_slow_build

KEYS = 12
WRITERS = 3
ROUNDS = 100 if is_slow_build() else 250
CELLS = [("tcp", 0), ("tcp", 4), ("shm", 4)]
MODES = ["", "NOLOOP", "OPTIN", "OPTOUT", "BCAST", "BCAST PREFIX k1 PREFIX k2", "REDIRECT"]


@pytest.fixture(scope="module", params=CELLS, ids=[f"{transport}-{threads}" for transport, threads in CELLS])
def server(request):
    transport, threads = request.param
    kind = request.config.getoption("--server")
    if kind == REDIS and (threads or transport == "shm"):
        pytest.skip("its threads are none of our business")
    with Server(kind, transport, threads) as running:
        yield running


def name_of(number):
    return b"k%d" % number


class Shared:
    """What has been acknowledged, by key: the last number that a writer has had a reply about."""

    def __init__(self):
        self.acknowledged = [0] * KEYS
        self.is_over = threading.Event()
        self.faults = []

    def guarded(self, work):
        def run():
            try:
                work()
            except BaseException as fault:
                self.faults.append(fault)
                self.is_over.set()
        return threading.Thread(target=run)


def write(shared, client, own, seed):
    """Counts the keys of this writer up, by commands of several kinds and in transactions."""
    chance = random.Random(seed)
    while not shared.is_over.is_set():
        changes = {}
        for key in chance.sample(own, chance.randint(1, len(own))):
            changes[key] = shared.acknowledged[key] + 1
        commands = [encode(b"SET", name_of(key), b"%d" % number) for key, number in changes.items()]
        kind = chance.randrange(4)
        if kind == 0:
            commands = [encode(b"MSET", *(word for key, number in changes.items() for word in (name_of(key), b"%d" % number)))]
        elif kind == 1:
            commands = [encode(b"MULTI"), *commands, encode(b"EXEC")]
        elif kind == 2:
            commands = [encode(b"INCR", name_of(key)) for key in changes]
        client.send_raw(b"".join(commands))
        client.replies(len(commands))
        for key, number in changes.items():
            shared.acknowledged[key] = number


class Cache:
    """A client that keeps what it reads until it is told that it has changed."""

    def __init__(self, server, mode):
        self.client = server.connect(resp=3)
        self.messages = self.client
        self.opt_in = mode == "OPTIN"
        self.covers = (lambda key: True) if "PREFIX" not in mode else (lambda key: name_of(key)[:2] in (b"k1", b"k2"))
        if mode == "REDIRECT":
            self.messages = server.connect(resp=3)
            mode = f"REDIRECT {self.messages.id}"
        assert self.client(f"CLIENT TRACKING on {mode}") == "OK"
        self.values = {}
        self.told = 0

    def take(self, value):
        """Whether it was a message."""
        if not isinstance(value, Push):
            return False
        assert value[0] == b"invalidate", value
        for name in value[1] if value[1] is not None else list(map(name_of, self.values)):
            self.values.pop(int(name[1:]), None)
            self.told += 1
        return True

    def reply(self, client):
        while self.take(value := client.read()):
            pass
        return value

    def read(self, key):
        self.client.send_raw((encode(b"CLIENT", b"CACHING", b"yes") if self.opt_in else b"") + encode(b"GET", name_of(key)))
        if self.opt_in:
            assert self.reply(self.client) == "OK"
        value = self.reply(self.client)
        if self.covers(key):
            self.values[key] = int(value)

    def hear(self, chance):
        """Everything that was queued for this client before now has been taken in: any reply says so, also that to a read."""
        if self.messages is not self.client or chance.random() < 0.5:
            self.messages.send("PING")
            assert self.reply(self.messages) == "PONG"
        else:
            self.client.send("STRLEN missing")
            assert self.reply(self.client) == 0


def cache_and_check(shared, cache, seed):
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        if shared.is_over.is_set():
            return
        for _ in range(chance.randint(1, 6)):
            cache.read(chance.randrange(KEYS))
        before = list(shared.acknowledged)
        cache.hear(chance)
        stale = {key: (value, before[key]) for key, value in cache.values.items() if value < before[key]}
        assert not stale, f"kept, acknowledged: {stale}"


@pytest.mark.parametrize("mode", MODES)
def test_no_cache_serves_what_was_overwritten_before_it_asked(server, mode):
    shared = Shared()
    with server.connect() as setup:
        setup("FLUSHALL")
        setup("MSET", *(word for key in range(KEYS) for word in (name_of(key), 0)))
    writers = [shared.guarded(lambda w=w, client=server.connect(): write(shared, client, list(range(w, KEYS, WRITERS)), w))
               for w in range(WRITERS)]
    caches = [Cache(server, mode) for _ in range(2)]
    readers = [shared.guarded(lambda i=i, cache=cache: cache_and_check(shared, cache, 100 + i))
               for i, cache in enumerate(caches)]
    for thread in writers + readers:
        thread.start()
    for thread in readers:
        thread.join()
    shared.is_over.set()
    for thread in writers:
        thread.join()
    assert not shared.faults, shared.faults
    assert sum(cache.told for cache in caches) > ROUNDS / 10, "nothing happened that they could have missed"
    server.close_clients()
    server.check_alive()
