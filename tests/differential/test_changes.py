"""What is written into the log of changes is what redis-server 7.0 writes: byte for byte, but for moments and for chance.

SKUA_SEED=n and SKUA_CHANGES=n repeat or lengthen the random part.
"""
import contextlib
import json
import operator
import os
import random
import shutil

import pytest

from harness.resp import Client, encode, eventually
from harness.server import REDIS, SKUA, Server

from .change_scripts import SCRIPTS, STREAMS
from .changes import MARK, File, Link, as_7_0, difference, request_line, stream_of
from .grammar import Grammar
from .session import DATABASES, Difference, Duel, contents, scan_all
from .test_differential import CONFIG, GRAMMAR, SEED, sequence

COMMANDS = int(os.environ.get("SKUA_CHANGES", "20000"))
TTL_TOLERANCE_MS = 5000
IS_SLICED = "SKUA_SLICE_US" in os.environ
OPTIONS = {**CONFIG, "repl-diskless-sync-delay": 0}
FILE_OPTIONS = {**OPTIONS, "appendonly": "yes"}


@contextlib.contextmanager
def pair(options):
    """Ours and redis-server, where keys expire only when somebody asks for them: else it is chance when they do."""
    with Server(SKUA, "unix", 0, options) as ours, Server(REDIS, "unix", 0, options) as theirs:
        for server in (ours, theirs):
            with Client(server.socket_path) as client:
                assert client("DEBUG SET-ACTIVE-EXPIRE 0") == "OK"
        yield ours, theirs


@pytest.fixture(scope="module")
def servers():
    with pair(OPTIONS) as both:
        yield both


@pytest.fixture(scope="module")
def links(servers):
    opened = [Link(server) for server in servers]
    yield opened
    for link in opened:
        link.close()


# ---- The table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name, servers, links):
    ours = stream_of(servers[0], links[0], SCRIPTS[name])
    if name in STREAMS:
        assert [request_line(request) for request in ours] == STREAMS[name]
        return
    theirs = stream_of(servers[1], links[1], SCRIPTS[name])
    if IS_SLICED:  # what a first slice finds expired is a unit of its own
        ours, theirs = as_7_0(ours), as_7_0(theirs)
    assert (found := difference(ours, theirs)) is None, found


def test_every_command_that_writes_is_in_the_table():
    used = set()
    for steps in SCRIPTS.values():
        for line in steps:
            words = line.split(": ")[-1].split("> ")[-1].lower().split()
            used |= {words[0], " ".join(words[:2])}
    declared = [command for family in json.loads(GRAMMAR.read_text()) for command in [family, *family["subcommands"]]]
    names = {command["full_name"].replace("|", " ") for command in declared
             if {"write", "may_replicate"} & set(command["flags"])}
    assert len(names) > 100
    assert not names - used


# ---- By chance ------------------------------------------------------------------------------------------------------


def mark(server):
    with Client(server.socket_path) as client:
        client("SET", MARK, "")
        client("DEL", MARK)


def sequences(count, rng):
    """Random sequences of commands, until there have been so many commands."""
    grammar = Grammar(GRAMMAR, rng)
    while count > 0:
        yield grammar, (steps := sequence(grammar, rng))
        count -= len(steps)


def test_random_commands_write_the_same(servers, links):
    duel = None
    for grammar, steps in sequences(COMMANDS, random.Random(SEED)):
        duel = duel or Duel(*servers, grammar)
        try:
            duel.run(steps, False)
        except Difference as found:  # of replies: test_differential.py's
            pytest.fail(str(found), pytrace=False)
        for server in servers:
            mark(server)
        ours, theirs = (as_7_0(link.read_to_mark()) for link in links)
        assert (found := difference(ours, theirs)) is None, f"SKUA_SEED={SEED}: {found}"


def shape_of_stream(client, key):
    """All of a stream and its groups but for moments, and for how often entries were delivered: that is in no log."""
    full = client("XINFO", "STREAM", key, "FULL", "COUNT", 0)
    full = dict(zip(full[::2], full[1::2]))
    groups = []
    for group in full.pop(b"groups"):
        group = dict(zip(group[::2], group[1::2]))
        group[b"pel"] = [entry[:2] for entry in group.pop(b"pending")]
        group[b"consumers"] = sorted(consumer[1] for consumer in group[b"consumers"])
        groups.append(group)
    for node in (b"radix-tree-keys", b"radix-tree-nodes"):
        full.pop(node)
    return full, groups


def dumps(address):
    """What DUMP says of every key, of streams their shape."""
    found = {}
    with Client(address) as client:
        for database in DATABASES:
            client("SELECT", database)
            for key in scan_all(client):
                is_stream = client("TYPE", key) == "stream"
                found[database, key] = shape_of_stream(client, key) if is_stream else client("DUMP", key)
    return found


def first_difference(ours, theirs, is_same):
    return next(((key, ours.get(key), theirs.get(key)) for key in ours.keys() | theirs.keys()
                 if key not in ours or key not in theirs or not is_same(ours[key], theirs[key])), None)


def difference_of_data(ours, theirs):
    """None, or the first key that is not the same in both."""
    return first_difference(contents(ours.socket_path), contents(theirs.socket_path),
                            lambda a, b: a[:3] == b[:3] and abs(a[3] - b[3]) <= TTL_TOLERANCE_MS)


@contextlib.contextmanager
def follower(kind, primary):
    """A server that follows, and has what there is."""
    with Server(kind, "unix", 0, {**OPTIONS, "replicaof": f"127.0.0.1 {primary.port}"}) as running:
        with Client(running.socket_path) as client:
            eventually(lambda: client.info("replication")["master_link_status"] == "up", "the link is up")
        yield running


@pytest.fixture(scope="module", params=[REDIS, SKUA])
def replica(request, servers):
    with follower(request.param, servers[0]) as running:
        yield running


def test_who_reads_it_has_the_same_data(servers, replica):
    with Client(servers[0].socket_path) as client, Client(replica.socket_path) as reader:
        number = 0
        for _, steps in sequences(COMMANDS // 4, random.Random(SEED + 1)):
            client("FLUSHALL")
            for _, words in steps:
                client(*words)
            client("DISCARD")
            client("SELECT", "0")
            number += 1
            client("SET", MARK, number)
            eventually(lambda: reader("GET", MARK) == b"%d" % number, "the replica has read it all")
            found = difference_of_data(servers[0], replica)
            if replica.kind == SKUA and found is None:
                found = first_difference(dumps(servers[0].socket_path), dumps(replica.socket_path), operator.eq)
            assert found is None, f"SKUA_SEED={SEED}: {found}"


# ---- Files ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files():
    with pair(FILE_OPTIONS) as (ours, theirs):
        yield (ours, File(ours)), (theirs, File(theirs))


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in STREAMS])
def test_file(name, files):
    """The same as for replicas but for messages, of which redis-server 7.0 leaves an empty transaction in the file."""
    ours, theirs = (as_7_0(stream_of(server, file, SCRIPTS[name])) for server, file in files)
    assert not any(request[0].upper() in (b"PUBLISH", b"SPUBLISH") for request in ours)
    assert (found := difference(ours, theirs)) is None, found


@pytest.mark.parametrize("kind", [REDIS, SKUA])
def test_who_loads_the_file_has_the_same_data(kind):
    with Server(SKUA, "unix", 0, {**FILE_OPTIONS, "rdb-version": 10}) as ours:
        with Client(ours.socket_path) as client:
            for _, steps in sequences(COMMANDS // 4, random.Random(SEED + 2)):
                for _, words in steps:
                    if words[0].lower() not in (b"flushall", b"flushdb"):
                        client(*words)
            client("DISCARD")
            client("SELECT 0")
            client("SET", MARK, "")
        File(ours).read_to_mark()
        theirs = Server(kind, "unix", 0, FILE_OPTIONS)
        shutil.copytree(ours.folder / "appendonlydir", theirs.folder / "appendonlydir")
        with theirs:
            with Client(theirs.socket_path) as client:
                eventually(lambda: client.info("persistence")["loading"] == "0", "it is loaded")
            assert (found := difference_of_data(ours, theirs)) is None, f"SKUA_SEED={SEED}: {found}"


# ---- Many clients, little memory ------------------------------------------------------------------------------------


def wait_for_the_same_digest(ours, theirs):
    """Nobody writes any more."""
    with Client(ours.socket_path) as client, Client(theirs.socket_path) as reader:
        eventually(lambda: client("DEBUG DIGEST") == reader("DEBUG DIGEST"), "both have the same data")
        assert client("DBSIZE") == reader("DBSIZE")


def write_values(server, rng, count):
    """Four clients write at the same time, whose values are read by different threads."""
    clients = [Client(server.address) for _ in range(4)]
    for _ in range(count):
        for client in clients:
            client.send_raw(b"".join(
                encode(b"SET", b"key:%d" % rng.randrange(2000), rng.randbytes(rng.choice([0, 3, 100, 600, 5000, 20000])),
                       *rng.choice([(), (b"EX", 1000)]))
                for _ in range(20)))
    for client in clients:
        client.replies(20 * count)
        client.close()


@pytest.mark.parametrize("threads", [0, 4])
def test_values_that_threads_have_read(threads):
    with Server(SKUA, "tcp", threads, OPTIONS) as ours, follower(REDIS, ours) as theirs:
        write_values(ours, random.Random(SEED), 20)
        wait_for_the_same_digest(ours, theirs)
        ours.close_clients()


def test_what_is_evicted():
    with Server(SKUA, "tcp", 0, OPTIONS) as ours, follower(REDIS, ours) as theirs, Client(ours.address) as client:
        assert client("CONFIG SET maxmemory-policy allkeys-random") == "OK"
        assert client("CONFIG", "SET", "maxmemory", int(client.info("memory")["used_memory"]) + (2 << 20)) == "OK"
        write_values(ours, random.Random(SEED), 20)
        assert int(client.info("stats")["evicted_keys"]) > 0
        wait_for_the_same_digest(ours, theirs)
