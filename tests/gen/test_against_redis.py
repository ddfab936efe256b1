"""The declarations say the same as redis-server 7.0 about every command that both know.

Compared: arity, flags, places of keys, ACL categories, key specifications, tips. What differs on purpose stands in
EXPLAINED with its reason; an entry that no longer differs fails, so that the list stays true.
"""
import json
import os
import pathlib

import pytest

from harness.server import REDIS, ROOT, Server

DECLARED = pathlib.Path(os.environ.get("SKUA_GRAMMAR", ROOT / "build" / "dev" / "gen" / "commands.json"))

NEWER = {
    "client|no-touch", "client|setinfo", "waitaof",  # since 7.2
    "hexpire", "hpexpire", "hexpireat", "hpexpireat", "httl", "hpttl", "hexpiretime", "hpexpiretime", "hpersist",  # 7.4
    "hgetex", "hsetex", "hgetdel",  # 8.0
}

OURS = {"latency|blame", "slowlog|blame", "shm", "shm|help", "shm|open"}

# Flags that COMMAND does not show.
HIDDEN = {"may_replicate", "touches_arbitrary_keys", "protected"}

VALKEY_8_TIPS = "tips as in Valkey 8"
VALKEY_8_WAITS = "as in Valkey 8: it blocks like other commands that wait, and scripts may use it"
VALKEY_8_ARITY = "as in Valkey 8: a command without arguments is complete, too"
SINCE_7_2 = "as in Redis 7.2: it takes an option"
EXPLAINED = {
    ("client|setname", "tips"): VALKEY_8_TIPS,
    ("config|resetstat", "tips"): VALKEY_8_TIPS,
    ("latency|reset", "tips"): VALKEY_8_TIPS,
    ("msetnx", "tips"): VALKEY_8_TIPS,
    ("randomkey", "tips"): VALKEY_8_TIPS,
    ("scan", "tips"): VALKEY_8_TIPS,
    **{(name, "flags"): VALKEY_8_WAITS for name in ("blpop", "brpop", "blmove", "brpoplpush")},
    ("wait", "flags"): VALKEY_8_WAITS,
    ("wait", "categories"): VALKEY_8_WAITS,
    ("config|rewrite", "tips"): VALKEY_8_TIPS,
    ("zrank", "arity"): SINCE_7_2,
    ("zrevrank", "arity"): SINCE_7_2,
    ("command|getkeys", "arity"): VALKEY_8_ARITY,
    ("command|getkeysandflags", "arity"): VALKEY_8_ARITY,
}


def flatten(commands, subcommands):
    for command in commands:
        yield command
        yield from subcommands(command)


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def spec_of(reply):
    """One key specification of COMMAND INFO: flags and the range, or that keys follow their number; notes are prose."""
    where, what = reply["begin_search"], reply["find_keys"]
    return {"flags": sorted(text(flag).lower() for flag in reply["flags"]),
            "index": where["spec"].get("index", where["spec"].get("startfrom")), "last": what["spec"].get("lastkey"),
            "step": what["spec"].get("keystep"), "limit": what["spec"].get("limit"),
            "counted": text(what["type"]) == "keynum", "unknown": text(what["type"]) == "unknown",
            "keyword": text(where["spec"]["keyword"]) if "keyword" in where["spec"] else None}


def keyed(value):
    """Maps with text keys, all the way down."""
    if isinstance(value, dict):
        return {text(key): keyed(item) for key, item in value.items()}
    return [keyed(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def redis_facts():
    server = Server(REDIS, "unix").start()
    try:
        replies = server.connect(resp=3)("COMMAND")
        found = {}
        for row in flatten(replies, lambda row: row[9] or []):
            found[text(row[0])] = {
                "arity": row[1], "flags": sorted(map(text, row[2])), "keys": list(row[3:6]),
                "categories": sorted(map(text, row[6])), "tips": sorted(map(text, row[7])),
                "key_specs": [spec_of(keyed(spec)) for spec in row[8]],
            }
        return found
    finally:
        server.stop()
        server.remove()


def declared_facts():
    found = {}
    for command in flatten(json.loads(DECLARED.read_text()), lambda command: command["subcommands"]):
        found[command["full_name"]] = {
            "arity": command["arity"], "flags": sorted(set(command["flags"]) - HIDDEN),
            "keys": [command["first_key"], command["last_key"], command["key_step"]],
            "categories": sorted(command["categories"]), "tips": sorted(command["tips"]),
            "key_specs": [shown_spec(spec) for spec in command["key_specs"]],
        }
    return found


def shown_spec(spec):
    """A declared key specification as clients see it."""
    shown = spec | {"flags": sorted(flag.lower() for flag in spec["flags"])}
    if spec["counted"]:
        shown |= {"last": None, "limit": None}
    if spec["unknown"]:
        shown |= {"index": None, "last": None, "step": None, "limit": None, "keyword": None}
    return shown


def test_facts_are_the_same(redis_facts):
    declared = declared_facts()
    assert len(declared) > 100
    differences = {}
    for name, facts in declared.items():
        for what, value in facts.items():
            if name in redis_facts and redis_facts[name][what] != value:
                differences[name, what] = (value, redis_facts[name][what])
    unexplained = {place: values for place, values in differences.items() if place not in EXPLAINED}
    assert unexplained == {}
    assert set(EXPLAINED) <= set(differences), "explained, but not different"


def test_unknown_to_redis_are_only_newer_ones_and_ours(redis_facts):
    assert set(declared_facts()) - set(redis_facts) == NEWER | OURS
