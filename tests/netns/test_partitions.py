"""Three servers and three sentinels, of which the primary is cut off again and again while clients write on both sides: a write that
`WAIT 1` has acknowledged is never lost by a fail-over to a replica that had acknowledged it.

Which replicas those were is in the rows of INFO that clients read with the reply, and after later writes: those whose offset has passed
the write. Sentinel may elect another (it asks for the offsets now and then), so writes that only another had are not promised;
their number is shown with -s.

SKUA_ROUNDS: partitions per mixture of servers (4). SKUA_SEED: of chance."""
import collections
import dataclasses
import itertools
import os
import random
import re
import threading

import pytest

from harness.digest import digest
from harness.netns import PORT
from harness.resp import Client, eventually
from harness.server import REDIS, SKUA
from netns.sentinels import WAIT_S, Sentinel

ROUNDS = int(os.environ.get("SKUA_ROUNDS", 4))
SEED = int(os.environ.get("SKUA_SEED", 1))
MIXTURES = [(SKUA, SKUA, SKUA), (SKUA, REDIS, SKUA), (REDIS, SKUA, REDIS)]
OPTIONS = {"min_replicas_to_write": 1, "min_replicas_max_lag": 3, "repl_backlog_size": "16mb"}
PAUSE_S = 0.002  # between writes: what is looked for does not take many
ROW = re.compile(r"^slave\d+:ip=([\d.]+),port=\d+,state=online,offset=(\d+),", re.MULTILINE)
POSITION = re.compile(r"^master_repl_offset:(\d+)", re.MULTILINE)
HISTORY = re.compile(r"^master_replid:(\w+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Promise:
    """A write that was acknowledged: where it is in which primary's history."""
    key: str
    primary: str
    history: str
    position: int


class Writer(threading.Thread):
    """Writes to whichever server it reaches calls itself a primary, each time a new key."""

    def __init__(self, node, servers):
        super().__init__(daemon=True)
        self.node = node
        self.ips = [server.node.ip for server in servers]
        self.promises = []
        self.acknowledged = collections.Counter()  # (history, replica) -> how far it has told to be
        self.refused_by = set()  # primaries that had too few replicas
        self.keys = (f"{node.name}:{number}" for number in itertools.count())
        self.turn = threading.Lock()  # held while a write is under way
        self.ended = threading.Event()

    def run(self):
        with self.node.inside():
            while not self.ended.is_set():
                for ip in list(self.ips):
                    try:
                        self._write_to(ip)
                    except (OSError, EOFError):
                        pass

    def _write_to(self, ip):
        with Client((ip, PORT), timeout_s=2) as client:
            while client("ROLE")[0] == b"master" and not self.ended.is_set():
                with self.turn:
                    if not self._write(client, ip):
                        return

    def _write(self, client, ip):
        key = next(self.keys)
        written, before, holders, after = client.pipeline(("SET", key, key), "INFO replication", "WAIT 1 300",
                                                          "INFO replication")
        if str(written).startswith("NOREPLICAS"):
            self.refused_by.add(ip)
        if written != "OK" or not isinstance(holders, int):
            return False
        if holders >= 1:
            before, after = before.decode(), after.decode()
            history = HISTORY.search(before)[1]
            self.promises.append(Promise(key, ip, history, int(POSITION.search(before)[1])))
            for replica, position in ROW.findall(after):
                self.acknowledged[history, replica] = max(self.acknowledged[history, replica], int(position))
        self.ended.wait(PAUSE_S)
        return True

    def taken(self):
        """The promises since the last call."""
        with self.turn:
            taken, self.promises = self.promises, []
        return taken


@pytest.fixture
def stage(world, servers, tmp_path):
    """stage(kinds) is (servers, sentinels, writers): a writer on a node of its own, and one that may be cut off with the primary."""
    sentinels, writers = [], []

    def begin(kinds):
        names = [f"s{number + 1}" for number in range(len(kinds))]
        *nodes, near, far = world.hub(*names, "near", "far")
        first = servers(nodes[0], kinds[0], **OPTIONS)
        started = [first, *(servers(node, kind, replicaof=f"{nodes[0].ip} {PORT}", **OPTIONS)
                            for node, kind in zip(nodes[1:], kinds[1:]))]
        sentinels.extend(Sentinel(node, nodes[0], len(nodes), tmp_path) for node in nodes)
        writers.extend(Writer(node, started) for node in (near, far))
        for writer in writers:
            writer.start()
        return started, sentinels, writers

    yield begin
    for writer in writers:
        writer.ended.set()
    for writer in writers:
        writer.join(WAIT_S)
    for sentinel in sentinels:
        sentinel.stop()


def ask(server, *command):
    """A question, on a connection of its own: Sentinel ends those that are there when a role changes, this one too perhaps."""
    def answer():
        try:
            with Client(server.socket_path) as client:
                return client(*command)
        except (EOFError, BrokenPipeError):
            return None

    return eventually(answer, f"an answer to {command}", timeout_s=WAIT_S)


def role(server):
    return ask(server, "ROLE")[0]


def offset(server):
    info = ask(server, "INFO replication").decode()
    return int(POSITION.search(info)[1])


class Books:
    """Which promises hold now. Each is entered at the first check after it was made."""

    def __init__(self):
        self.held = []
        self.not_promised = 0

    def check(self, writers, primary):
        """A promise holds on the server that made it, and on those that had acknowledged it. Returns how many are new."""
        ip = primary.node.ip
        new = [promise for writer in writers for promise in writer.taken()]
        kept = [promise for promise in new if ip == promise.primary or any(
            writer.acknowledged[promise.history, ip] >= promise.position for writer in writers)]
        self.not_promised += len(new) - len(kept)
        self.held += kept
        self.look(primary)
        return len(kept)

    def look(self, server):
        for i in range(0, len(self.held), 1000):
            some = self.held[i:i + 1000]
            values = ask(server, "MGET", *(promise.key for promise in some))
            lost = [promise for promise, value in zip(some, values) if value != promise.key.encode()]
            assert not lost, f"{len(lost)} acknowledged writes are lost on {server.node.name}, such as {lost[:3]}"


def wait_until_whole(servers, sentinels):
    """All follow one primary, the sentinels know all of them. Returns the primary."""
    def is_whole():
        ips = {sentinel.primary_ip() for sentinel in sentinels}
        return (len(ips) == 1 and sum(role(server) == b"master" for server in servers) == 1
                and all(sentinel.is_ready(len(servers) - 1, len(sentinels)) for sentinel in sentinels)
                and ips == {server.node.ip for server in servers if role(server) == b"master"})

    eventually(is_whole, "one primary is followed by all", timeout_s=WAIT_S, every_s=0.2)
    primary, = (server for server in servers if role(server) == b"master")
    return primary


def wait_until_equal(servers):
    """While nobody writes."""
    # A primary's PING moves its offset as well.
    eventually(lambda: len({offset(server) for server in servers}) == 1, "all have the same", timeout_s=WAIT_S)
    eventually(lambda: len({digest(server) for server in servers}) == 1, "the data are equal", timeout_s=WAIT_S)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kinds", MIXTURES, ids="-".join)
def test_what_the_elected_replica_has_acknowledged_is_never_lost(world, stage, kinds):
    servers, sentinels, writers = stage(kinds)
    near, far = writers
    chance, books = random.Random(SEED), Books()
    for number in range(ROUNDS):
        primary = wait_until_whole(servers, sentinels)
        replicas = [server for server in servers if server is not primary]
        enough = chance.randrange(20, 60)
        eventually(lambda: all(len(writer.promises) >= enough for writer in writers), "writes are acknowledged", timeout_s=WAIT_S)
        late = chance.choice([None, *replicas])
        if late:  # only one replica has the last writes
            world.cut(late.node)
            more = len(far.promises) + chance.randrange(2, 8)
            eventually(lambda: len(far.promises) >= more, "one replica acknowledges", timeout_s=WAIT_S)
        near.refused_by.clear()
        goes_along = number % 2 == 0
        # The late one is let back when the primary has gone.
        world.cut(primary.node, *([near.node] if goes_along else []))
        if late:
            world.heal(late.node)
        elected = eventually(lambda: next((server for server in replicas if role(server) == b"master"), None),
                             "a replica is elected", timeout_s=WAIT_S, every_s=0.02)
        checked = books.check(writers, elected)
        assert checked > 0
        if goes_along:
            eventually(lambda: primary.node.ip in near.refused_by, "a primary without replicas refuses", timeout_s=WAIT_S)
        eventually(lambda: len(far.promises) >= 5, "it goes on with the elected one", timeout_s=WAIT_S)
        books.check(writers, elected)
        world.heal()
        assert wait_until_whole(servers, sentinels) is elected
        with near.turn, far.turn:
            wait_until_equal(servers)
        books.check(writers, elected)
        with near.turn, far.turn:
            wait_until_equal(servers)
            for server in servers:
                books.look(server)
        print(f"round {number + 1}: {primary.node.name} -> {elected.node.name}, {checked} promises held; "
              f"{books.not_promised} so far were only promised by another")
