"""The documentation tells the truth: examples run, and every command and option that the server has is described.

Examples are the `examples` of the declarations in commands/ and, in Markdown, fenced blocks marked `redis`:

    ```redis
    > SET colour blue
    OK
    > GET colour
    "blue"
    ```

What stands below a command is what redis-cli would show. `…` stands for anything.
"""
import json
import os
import pathlib
import re
import shlex
import subprocess

import pytest

from harness.resp import BigNumber, Double, Error, Push, Set, Verbatim
from harness.server import ROOT

pytestmark = pytest.mark.once

GENERATED = pathlib.Path(os.environ.get("SKUA_GENERATED", ROOT / "build" / "dev" / "gen"))


# ---- How redis-cli reads commands, and shows replies ------------------------------------------------------------------------


def typed(line):
    """The words of a line; \\xHH in them is a byte."""
    return [re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), word.encode())
            for word in shlex.split(line)]


def quoted(data):
    names = {0x07: "\\a", 0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}
    return '"' + "".join(names.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in data) + '"'


def shown(reply, indent=""):
    """A reply as redis-cli shows it to a person."""
    match reply:
        case None:
            return "(nil)"
        case bool():
            return "(true)" if reply else "(false)"
        case Error():
            return f"(error) {reply}"
        case str():
            return str(reply)
        case Verbatim():
            return reply.decode()
        case bytes():
            return quoted(reply)
        case Double():
            return f"(double) {reply.text}"
        case BigNumber() | int():
            return f"(integer) {reply}"
        case dict():
            return _shown_map(reply, indent)
        case list():
            return _shown_list(reply, indent)
    raise AssertionError(f"cannot show {reply!r}")


def _shown_map(reply, indent):
    if not reply:
        return "(empty hash)"
    lines = []
    for number, (key, value) in enumerate(reply.items(), 1):
        head = f"{number}# {shown(key)} => "
        lines.append(head + shown(value, indent + " " * len(head)))
    return f"\n{indent}".join(lines)


def _shown_list(reply, indent):
    if not reply:
        return "(empty set)" if isinstance(reply, Set) else "(empty push)" if isinstance(reply, Push) else "(empty array)"
    mark = "~" if isinstance(reply, Set) else ">" if isinstance(reply, Push) else ")"
    width = len(str(len(reply)))
    lines = []
    for number, item in enumerate(reply, 1):
        head = f"{number:{width}}{mark} "
        lines.append(head + shown(item, indent + " " * len(head)))
    return f"\n{indent}".join(lines)


def matches(expected, actual):
    pattern = ".*".join(re.escape(part) for part in expected.split("…"))
    return re.fullmatch(pattern, actual, re.DOTALL) is not None


# ---- Examples -------------------------------------------------------------------------------------------


def declared_commands():
    path = GENERATED / "commands.json"
    if not path.exists():
        return []

    def walk(command):
        yield command
        for subcommand in command["subcommands"]:
            yield from walk(subcommand)

    return [found for command in json.loads(path.read_text()) for found in walk(command)]


def marked_blocks():
    """(page, number of the block, its text) of all blocks that are to be run."""
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]):
        for number, block in enumerate(re.findall(r"^```redis\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)):
            yield pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.skua_only("some are of later versions")
@pytest.mark.parametrize("command", [pytest.param(c, id=c["full_name"]) for c in declared_commands() if c["examples"]])
def test_examples_of_the_declarations_run(connect, config, command):
    client = connect()
    if command["name"] == "auth":
        config(requirepass="secret")
    for line, expected in command["examples"]:
        reply = shown(client(*typed(line)))
        assert matches(expected, reply), f"> {line}\n{reply}\nexpected:\n{expected}"


@pytest.mark.parametrize("block", marked_blocks())
def test_examples_in_the_pages_run(connect, block):
    client = connect()
    for step in re.split(r"^> ", block, flags=re.MULTILINE)[1:]:
        line, _, expected = step.partition("\n")
        reply = shown(client(*typed(line)))
        assert matches(expected.rstrip("\n"), reply), f"> {line}\n{reply}\nexpected:\n{expected}"


def test_replies_are_shown_as_redis_cli_shows_them(server, r, r3):
    """Proves the helper above against the real redis-cli."""
    r("SET k v")
    for client, options in [(r, []), (r3, ["-3"])]:
        for line in ["GET k", "GET missing", "STRLEN k", "MGET k missing", "CONFIG GET maxclients", "NOSUCH", "PING",
                     "KEYS nothing", "COMMAND GETKEYS MSET a 1 b 2", "SCAN 0"]:
            result = subprocess.run(["redis-cli", "-s", server.socket_path, "--no-raw", *options, *line.split()],
                                    capture_output=True, text=True, timeout=30)
            assert shown(client(line)) == result.stdout.rstrip("\n"), line


# ---- Completeness ---------------------------------------------------------------------------------------


@pytest.mark.skua_only("the declarations are ours")
def test_every_command_is_declared_and_every_declaration_is_a_command(r):
    declared = {command["full_name"] for command in declared_commands()}
    assert declared, f"no declarations in {GENERATED}"
    assert {name.decode() for name in r("COMMAND LIST")} == declared
    documented = r("COMMAND DOCS")
    for name, doc in zip(documented[::2], documented[1::2]):
        fields = dict(zip(doc[::2], doc[1::2]))
        assert fields[b"summary"] and fields[b"since"] and fields[b"group"], name


@pytest.mark.skua_only("the options are ours")
def test_every_option_is_in_the_reference(r):
    reference = (GENERATED / "configuration-reference.md").read_text()
    options = r("CONFIG GET *")[::2]
    assert len(options) > 20
    for name in options:
        assert f"`{name.decode()}`" in reference, name
