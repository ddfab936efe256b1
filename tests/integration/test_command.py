"""COMMAND and HELP: what client libraries and people ask about commands."""
import pytest

from harness.errors import SYNTAX_ERROR, wrong_arity
from harness.resp import Error, Set

pytestmark = pytest.mark.once

INVALID = Error("ERR Invalid command specified")
KEYLESS = Error("ERR The command has no key arguments")
INVALID_COUNT = Error("ERR Invalid number of arguments specified for command")


def one_key(flags):
    return {b"flags": flags, b"begin_search": {b"type": b"index", b"spec": {b"index": 1}},
            b"find_keys": {b"type": b"range", b"spec": {b"lastkey": 0, b"keystep": 1, b"limit": 0}}}


def test_info_of_a_plain_command(r3):
    [info] = r3("COMMAND INFO get")
    assert info[:2] == [b"get", 2]
    assert sorted(info[2]) == ["fast", "readonly"]
    assert info[3:6] == [1, 1, 1]
    assert sorted(info[6]) == ["@fast", "@read", "@string"]
    assert info[7] == Set()
    assert info[8] == Set([one_key(Set(["RO", "access"]))])
    assert info[9] == Set()


def test_info_in_resp2_is_flat(r):
    [info] = r("COMMAND INFO strlen")
    assert info[8] == [[b"flags", ["RO"], b"begin_search", [b"type", b"index", b"spec", [b"index", 1]], b"find_keys",
                        [b"type", b"range", b"spec", [b"lastkey", 0, b"keystep", 1, b"limit", 0]]]]


def test_info_of_several_and_unknown_names(r):
    found = r("COMMAND INFO GET nothing object|ENCODING object|nothing get|x | object|")
    assert [item and item[0] for item in found] == [b"get", None, b"object|encoding", None, None, None, None]


def test_info_of_a_container_holds_its_subcommands(r):
    [info] = r("COMMAND INFO memory")
    names = sorted(row[0] for row in info[9])
    assert names == [b"memory|" + name for name in
                     [b"doctor", b"help", b"malloc-stats", b"purge", b"stats", b"usage"]]


def test_all_of_them(r):
    everything = r("COMMAND")
    assert len(everything) == r("COMMAND COUNT")
    assert sorted(row[0] for row in everything) == sorted(row[0] for row in r("COMMAND INFO"))
    assert not any(b"|" in row[0] for row in everything)


@pytest.mark.parametrize("words, names", [
    ("FILTERBY PATTERN getd*", [b"getdel"]),
    ("filterby pattern GETD*", [b"getdel"]),
    ("FILTERBY PATTERN config*", [b"config", b"config|get", b"config|help", b"config|resetstat", b"config|rewrite",
                                  b"config|set"]),
    ("FILTERBY ACLCAT transaction", [b"discard", b"exec", b"multi", b"unwatch", b"watch"]),
    ("FILTERBY ACLCAT nothing", []),
    ("FILTERBY MODULE nothing", []),
])
def test_list(r, words, names):
    assert sorted(r(f"COMMAND LIST {words}")) == names


def test_list_of_all_has_subcommands(r):
    names = r("COMMAND LIST")
    assert len(names) == len(set(names)) > r("COMMAND COUNT")
    assert b"client|list" in names


@pytest.mark.parametrize("words", ["x", "FILTERBY", "FILTERBY PATTERN", "FILTERBY x y", "FILTERBY PATTERN a b"])
def test_list_refuses(r, words):
    assert r(f"COMMAND LIST {words}") == SYNTAX_ERROR


@pytest.mark.parametrize("command, keys", [
    ("get a", [("a", ["RO", "access"])]),
    ("SET a b", [("a", ["OW", "update"])]),
    ("set a b ex 10 Get", [("a", ["RW", "access", "update"])]),
    ("set a get", [("a", ["OW", "update"])]),
    ("mset a 1 b 2", [("a", ["OW", "update"]), ("b", ["OW", "update"])]),
    ("rename a b", [("a", ["RW", "access", "delete"]), ("b", ["OW", "update"])]),
    ("bitop and d a b", [("d", ["OW", "update"]), ("a", ["RO", "access"]), ("b", ["RO", "access"])]),
    ("bitfield a get u8 0", [("a", ["RO", "access"])]),
    ("bitfield a set u8 0 1", [("a", ["RW", "access", "update"])]),
    ("object encoding a", [("a", ["RO"])]),
    ("memory usage a", [("a", ["RO"])]),
    ("lcs a b", [("a", ["RO", "access"]), ("b", ["RO", "access"])]),
])
def test_keys(r, command, keys):
    assert r(f"COMMAND GETKEYS {command}") == [name.encode() for name, _ in keys]
    assert r(f"COMMAND GETKEYSANDFLAGS {command}") == [[name.encode(), flags] for name, flags in keys]


@pytest.mark.parametrize("command, error", [
    ("nothing a", INVALID),
    ("object nothing a", INVALID),
    ("ping a", KEYLESS),
    ("client list", KEYLESS),
    ("spublish channel message", KEYLESS),
    ("get a b", INVALID_COUNT),
    ("object encoding", INVALID_COUNT),
])
def test_keys_refuses(r, command, error):
    assert r(f"COMMAND GETKEYS {command}") == error
    assert r(f"COMMAND GETKEYSANDFLAGS {command}") == error


def test_wrong_words(r):
    assert r("COMMAND nothing") == Error("ERR unknown subcommand 'nothing'. Try COMMAND HELP.")
    assert r("COMMAND COUNT x") == wrong_arity("command|count")


@pytest.mark.skua_only("its own words")
def test_docs(r3):
    docs = r3("COMMAND DOCS getset nothing client|list")
    assert sorted(docs) == [b"client|list", b"getset"]
    getset = docs[b"getset"]
    assert getset[b"group"] == b"string" and getset[b"since"] == b"1.0.0"
    assert getset[b"doc_flags"] == Set(["deprecated"]) and getset[b"deprecated_since"] == b"6.2.0"
    assert getset[b"arguments"] == [
        {b"name": b"key", b"type": b"key", b"display_text": b"key", b"key_spec_index": 0},
        {b"name": b"value", b"type": b"string", b"display_text": b"value"},
    ]


@pytest.mark.skua_only("its own words")
def test_docs_of_nested_arguments(r3):
    [doc] = r3("COMMAND DOCS bitcount").values()
    assert [b"7.0.0", b"The unit can be chosen: `BYTE` or `BIT`."] in doc[b"history"]
    part = doc[b"arguments"][1]
    assert (part[b"type"], part[b"flags"]) == (b"block", Set(["optional"]))
    behind_start = part[b"arguments"][1]
    assert (behind_start[b"type"], behind_start[b"flags"]) == (b"block", Set(["optional"]))
    unit = behind_start[b"arguments"][1]
    assert unit[b"type"] == b"oneof" and unit[b"since"] == b"7.0.0"
    assert unit[b"arguments"][1] == {b"name": b"bit", b"type": b"pure-token", b"display_text": b"bit",
                                     b"token": b"BIT"}


@pytest.mark.parametrize("command, specs", [
    ("georadius", [0, 1, 2]), ("geosearchstore", [0, 1]), ("sort", [0, 1, 1, 2]), ("zunionstore", [0, 1]), ("xreadgroup", [0])])
def test_docs_say_which_key_specification_a_key_belongs_to(r3, command, specs):
    def indexes(arguments):
        for argument in arguments:
            yield from [argument[b"key_spec_index"]] if b"key_spec_index" in argument else []
            yield from indexes(argument.get(b"arguments", []))
    [doc] = r3(f"COMMAND DOCS {command}").values()
    assert list(indexes(doc[b"arguments"])) == specs


@pytest.mark.parametrize("command, name", [("sort", b"GET"), ("sort_ro", b"GET"), ("bitfield_ro", b"GET")])
def test_docs_say_that_a_token_comes_again(r3, command, name):
    [doc] = r3(f"COMMAND DOCS {command}").values()
    [get] = [argument for argument in doc[b"arguments"] if argument.get(b"token") == name]
    assert get[b"flags"] == Set(["optional", "multiple", "multiple_token"])


@pytest.mark.parametrize("command", ["zadd", "geoadd", "geosearch", "georadius", "xclaim", "xautoclaim"])
def test_docs_tell_options_one_by_one(r3, command):
    """No block around all of them, however they are parsed: clients make hints from this."""
    [doc] = r3(f"COMMAND DOCS {command}").values()
    assert all(argument.get(b"token") or argument[b"type"] != b"block" or b"count" in argument[b"name"]
               or argument[b"flags"] == Set(["multiple"]) for argument in doc[b"arguments"])


def test_docs_of_all(r3):
    docs = r3("COMMAND DOCS")
    assert len(docs) == r3("COMMAND COUNT")
    assert b"client|list" in docs[b"client"][b"subcommands"]
    assert all(doc[b"summary"] for doc in docs.values())


@pytest.mark.parametrize("container",
                         ["CLIENT", "COMMAND", "CONFIG", "LATENCY", "MEMORY", "OBJECT", "PUBSUB", "SLOWLOG"])
def test_help(r, container):
    lines = r(f"{container} HELP")
    assert lines[0] == f"{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert lines[-2] == "HELP" and lines[-1].startswith("    ")
    assert r(f"{container} HELP x") == wrong_arity(f"{container.lower()}|help")
