"""What the generator refuses, each with a message that says what is wrong."""
import pytest

from .declarations import COMMAND, KEY, toml

STRING = {"name": "value", "type": "string"}
NUMBER = {"name": "count", "type": "integer"}


def token(word, **more):
    return {"name": word.lower(), "type": "token", "token": word, "optional": True} | more


def alternatives(*names):
    return [{"name": name.lower(), "type": "token", "token": name} for name in names]


def refused(declare, message, *args, **changes):
    from common import DeclarationError
    with pytest.raises(DeclarationError) as caught:
        declare(*args, **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["summary", "doc", "complexity", "cost", "since", "reply2"])
def test_texts_are_required(declare, key):
    refused(declare, f"'{key}' is missing", **{key: None})


@pytest.mark.parametrize("key", ["summary", "doc", "reply2"])
def test_texts_are_not_empty(declare, key):
    refused(declare, f"'{key}' is empty", **{key: "  "})


@pytest.mark.parametrize("changes, message", [
    ({"arity": 2}, "unknown key 'arity'"),
    ({"flags": ["fast", "quick"]}, "unknown value 'quick'"),
    ({"flags": ["fast", "fast"]}, "a value twice"),
    ({"flags": "fast"}, "wrong type"),
    ({"flags": ["write", "readonly"]}, "contradict"),
    ({"categories": ["strings"]}, "unknown value 'strings'"),
    ({"categories": ["fast"]}, "follows from the flags"),
    ({"summary": "Two\nlines."}, "is one line"),
    ({"cost": "cheap"}, "'cheap' is none of"),
    ({"since": "yesterday"}, "is not a version"),
    ({"history": [["7.0", "Something."]]}, "is not a version"),
    ({"history": ["7.0.0"]}, "a version and a text"),
    ({"examples": [["PROBE"]]}, "a command line and what it shows"),
    ({"deprecated_since": "6.0.0"}, "go together"),
    ({"numbers": "in-order"}, "'numbers' without a number"),
    ({"excess": "subcommand"}, "belongs to subcommands"),
    ({"alone": True}, "belongs to containers"),
])
def test_keys_of_commands(declare, changes, message):
    refused(declare, message, **changes)


@pytest.mark.parametrize("arg, message", [
    (STRING | {"kind": "x"}, "unknown key 'kind'"),
    ({"name": "value"}, "'type' is missing"),
    ({"type": "string"}, "'name' is missing"),
    (STRING | {"type": "text"}, "'text' is none of"),
    (STRING | {"name": "Value"}, "cannot be used"),
    (STRING | {"name": "default"}, "cannot be used"),
    (STRING | {"token": "ex", "optional": True}, "upper case"),
    ({"name": "nx", "type": "token", "optional": True}, "needs a 'token'"),
    (token("NX", optional=False), "says nothing"),
    ({"name": "key", "type": "key"}, "'access' belongs to keys"),
    (STRING | {"access": ["RO"]}, "'access' belongs to keys"),
    (KEY | {"access": ["ACCESS"]}, "exactly one of"),
    (KEY | {"access": ["RO", "RW"]}, "exactly one of"),
    (KEY | {"access": ["RO", "LOOK"]}, "unknown value 'LOOK'"),
    (KEY | {"joins": True}, "joins a key that is not before it"),
    (KEY | {"variable_access": {"tokens": [], "present": ["RW"], "absent": ["RO"]}}, "no tokens"),
    (KEY | {"variable_access": {"tokens": ["GET"], "present": ["RW"]}}, "'absent' is missing"),
    (KEY | {"optional": True}, "optional single key"),
    (STRING | {"min": 1}, "belong to numbers"),
    (STRING | {"error": "ERR no"}, "'error' belongs to"),
    (NUMBER | {"error": "no"}, "begins with 'ERR '"),
    (NUMBER | {"error": "ERR no %s"}, "'%' in an error"),
    ({"name": "mode", "type": "oneof", "error": "ERR 5% of '%s'", "args": alternatives("A")}, "'%' in an error"),
    (NUMBER | {"min": 2, "max": 1}, "min is above max"),
    (NUMBER | {"range_error": "ERR no"}, "needs a range"),
    (NUMBER | {"default": 1}, "belongs to an optional argument"),
    (NUMBER | {"multiple": True}, "only strings, keys and blocks"),
    (STRING | {"args": [NUMBER]}, "belongs to oneof and block"),
    ({"name": "choice", "type": "oneof"}, "belongs to oneof and block"),
    (STRING | {"hidden": True}, "accepted and ignored"),
    (STRING | {"once": True}, "for tokens and options with one value"),
    (STRING | {"once": True, "token": "S", "optional": True, "multiple": True}, "for tokens and options with one value"),
    ({"name": "choice", "type": "oneof", "args": [STRING, token("NX", optional=False)]}, "hides those after it"),
    ({"name": "choice", "type": "oneof", "args": [token("NX")]}, "neither optional"),
    ({"name": "choice", "type": "oneof", "args": alternatives("NX", "NX")}, "two arguments are called"),
    ({"name": "choice", "type": "oneof", "args": [{"name": "a", "type": "token", "token": "NX"},
                                                  {"name": "b", "type": "token", "token": "NX"}]}, "is there twice"),
])
def test_keys_of_arguments(declare, arg, message):
    from command_keys import key_specs
    refused(lambda: key_specs(declare([arg])), message)


@pytest.mark.parametrize("args, message", [
    ([STRING, STRING], "two arguments are called"),
    ([NUMBER | {"optional": True, "token": "N"}, {"name": "has-count", "type": "string"}], "two arguments are called"),
    ([token("NX"), token("NX", name="other")], "is there twice"),
    ([token("NX"), {"name": "condition", "type": "oneof", "optional": True, "args": alternatives("XX", "NX")}],
     "is there twice"),
    ([token("NX"), STRING], "stands before a mandatory argument"),
    ([STRING | {"optional": True}, token("NX")], "cannot be told from what follows"),
    ([STRING | {"optional": True}, NUMBER | {"optional": True}], "cannot be told from what follows"),
    ([STRING | {"multiple": True}, token("NX")], "only mandatory plain arguments can follow"),
    ([STRING | {"raw": True}, NUMBER], "nothing can follow"),
    ([{"name": "mode", "type": "oneof", "optional": True, "error": "ERR mode", "args": alternatives("A", "B")},
      token("NX")], "has its own error"),
    ([STRING | {"optional": True}, KEY], "has no fixed place"),
    ([STRING | {"token": "WEIGHTS", "optional": True, "multiple": True, "counted": True}], "counted keys must stand before"),
    ([STRING | {"multiple": True, "counted": True}], "can be counted"),
])
def test_arguments_beside_each_other(declare, args, message):
    from command_keys import key_specs
    refused(lambda: key_specs(declare(args)), message)


def lines(**changes):
    return "\n".join(f"{key} = {toml(value)}" for key, value in (COMMAND | changes).items())


@pytest.mark.parametrize("text, message", [
    ("", "'family' is missing"),
    ('family = "strings"\n', "'family' is missing or unknown"),
    ('family = "string"\nnumber = 1\n', "unknown key 'number'"),
    ('family = "string"\n[Probe]\n' + lines(), "lower case"),
    ('family = "string"\n[probe]\n' + lines() + "\n[probe]\n" + lines(), "probe.toml"),
    ('family = "string"\n[box]\n' + lines() + "\n[box.one]\n" + lines() + "\n[box.one.two]\n" + lines(),
     "a subcommand has no subcommands"),
    ('family = "string"\n[box]\n' + lines(args=[STRING]) + "\n[box.one]\n" + lines(), "no arguments of its own"),
])
def test_files(declare, text, message):
    refused(declare.text, message, text)


def test_a_command_is_declared_once(tmp_path):
    from command_model import load_commands
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text('family = "string"\n[probe]\n' + lines())
    second.write_text('family = "bitmap"\n[probe]\n' + lines())
    refused(lambda: load_commands([first, second]), "command 'probe' is in")
