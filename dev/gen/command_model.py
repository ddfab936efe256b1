"""The model of commands and their arguments: what a declaration says, checked.

Entry points: load_commands, Command, Argument. See commands/README.md for the language.
"""

import dataclasses
import re

from common import C_KEYWORDS, Checker, DeclarationError, c_name, load_declarations

# In the order of Redis's bits, which is the order in which COMMAND INFO shows them.
FLAGS = ["write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading", "stale",
         "skip_monitor", "skip_slowlog", "fast", "no_auth", "may_replicate", "movablekeys", "allow_busy", "no_multi",
         "no_mandatory_keys", "touches_arbitrary_keys", "protected", "no_async_loading"]
CATEGORIES = ["keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog",
              "geo", "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection",
              "transaction", "scripting"]
IMPLIED_CATEGORIES = {"read", "write", "pubsub", "fast", "slow", "blocking"}
FAMILIES = ["string", "bitmap", "generic", "connection", "transactions", "pubsub", "server", "list", "hash", "set",
            "sorted-set", "stream", "geo", "hyperloglog", "scripting", "cluster", "module"]
COSTS = ["constant", "arguments", "sliceable", "atomic"]
# RO RW OW RM and the rest are Redis's key specification flags; NOT_KEY marks a shard channel.
ACCESS = ["RO", "RW", "OW", "RM", "ACCESS", "UPDATE", "INSERT", "DELETE", "NOT_KEY"]
SLICE_TYPES = ["key", "string", "pattern"]
NUMBER_TYPES = ["integer", "unsigned", "double", "long-double", "unix-time"]
TYPES = SLICE_TYPES + NUMBER_TYPES + ["token", "oneof", "block"]
# What COMMAND DOCS calls a type.
SHOWN_TYPES = ["key", "string", "pattern", "integer", "double", "unix-time", "pure-token", "oneof", "block"]
VERSION = re.compile(r"^\d+\.\d+\.\d+$")
NAME = re.compile(r"^[a-z][a-z0-9_-]*$")
TOKEN = re.compile(r"^([A-Z][A-Z0-9_-]*|[=~*])$")


@dataclasses.dataclass
class Argument:
    name: str
    type: str
    token: str | None = None
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False  # the token stands before each of them
    raw: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    default: int | float | None = None
    error: str | None = None
    range_error: str | None = None
    incomplete: str = "arity"
    display: str | None = None
    shown_type: str = ""
    access: list = dataclasses.field(default_factory=list)
    joins: bool = False
    counted: bool = False  # keys: how many there are is the integer before them; an option: as many words as those keys
    counts: bool = False   # it is that integer
    variable: dict | None = None
    since: str | None = None
    deprecated_since: str | None = None
    hidden: bool = False
    once: bool = False
    args: list = dataclasses.field(default_factory=list)

    @property
    def field(self):
        return c_name(self.name)

    @property
    def is_option(self):
        """Optional and told apart by its token, so that it can stand in any order with its like."""
        own_error = self.type == "oneof" and self.error
        return self.optional and not self.raw and not own_error and None not in self.tokens()

    @property
    def is_value(self):
        return self.type in SLICE_TYPES or self.type in NUMBER_TYPES

    def least(self):
        """The smallest number of argument words that this argument takes."""
        return 0 if self.optional else self.least_when_present()

    def least_when_present(self):
        words = 1 if self.token else 0
        if self.type == "block":
            return words + sum(arg.least() for arg in self.args)
        if self.type == "oneof":
            return words + min(arg.least_when_present() for arg in self.args)
        return words + (0 if self.type == "token" else 1)

    def is_fixed(self):
        """True when it takes exactly one word at a known place."""
        return self.is_value and not (self.optional or self.multiple or self.token or self.raw)

    def is_bounded(self):
        """True when the number of words is always the same."""
        if self.optional or self.multiple or self.raw:
            return False
        if self.type == "block":
            return all(arg.is_bounded() for arg in self.args)
        if self.type == "oneof":
            return len({arg.least_when_present() for arg in self.args}) == 1 and \
                all(arg.is_bounded() for arg in self.args)
        return True

    def tokens(self):
        """The tokens with which this argument can begin; None among them when it can begin with any word."""
        if self.token:
            return [self.token]
        if self.type == "oneof":
            return [token for arg in self.args for token in arg.tokens()]
        if self.type == "block":
            return self.args[0].tokens()
        return [None]


@dataclasses.dataclass
class Command:
    name: str
    family: str
    parent: "Command | None"
    summary: str
    since: str
    complexity: str
    cost: str
    sliced_from: int  # words from which on a sliceable command runs in slices
    steps: "str | None"  # "one" or "several": what its change is made of; None: as its keys say
    direct: bool  # I/O threads may answer it: there is a function direct_<name>
    foreseeable: bool  # of those: its answer follows from the string in its one key, and from nothing else
    stores: bool  # its argument "value" becomes the string in its key, as it stands
    brief: bool  # there is a function brief_<name> for its plain case
    overwrites: bool  # with key and value only, it does so whatever the key holds, and answers OK
    end: "str | None"  # of the list in its key, where it puts something or takes something
    flags: list
    own_categories: list
    tips: list
    history: list
    doc: str
    examples: list
    reply2: str
    reply3: str | None
    errors: list
    numbers: str
    excess: str
    alone: bool
    raw: bool  # its function gets all words unparsed; the arguments only describe them
    deprecated_since: str | None
    replaced_by: str | None
    args: list
    where: str
    subcommands: list = dataclasses.field(default_factory=list)

    @property
    def full_name(self):
        return f"{self.parent.name}|{self.name}" if self.parent else self.name

    @property
    def c_name(self):
        return c_name(self.full_name)

    @property
    def is_container(self):
        return bool(self.subcommands)

    @property
    def is_help(self):
        """HELP of a container: all of them are answered by one function, from the declarations."""
        return self.parent is not None and self.name == "help"

    @property
    def words(self):
        """Number of words before the arguments."""
        return 2 if self.parent else 1

    @property
    def args_min(self):
        if self.is_container:
            return 1 if self.alone else 2
        return self.words + sum(arg.least() for arg in self.args)

    @property
    def is_exact(self):
        return not self.is_container and all(arg.is_bounded() for arg in self.args)

    @property
    def arity(self):
        if self.is_container:
            return -1 if self.alone else -2
        return self.args_min if self.is_exact else -self.args_min

    @property
    def args_max(self):
        """The bound that is checked before parsing; None where leaving it to the parser gives the right error."""
        if self.is_exact:
            return self.args_min
        if self.is_container:
            return None
        return self.words_max if self.excess == "arity" else None

    @property
    def words_max(self):
        """The number of words with every option given. Only of a bounded argument list."""
        return self.words + sum(_most(arg) for arg in self.args)

    def categories(self):
        result = set(self.own_categories)
        flags = set(self.flags)
        if "write" in flags:
            result.add("write")
        if "readonly" in flags and "scripting" not in result:
            result.add("read")
        if "admin" in flags:
            result |= {"admin", "dangerous"}
        if "pubsub" in flags:
            result.add("pubsub")
        if "blocking" in flags:
            result.add("blocking")
        result.add("fast" if "fast" in flags else "slow")
        return [name for name in CATEGORIES if name in result]


def _most(arg):
    if arg.multiple or arg.raw:
        raise DeclarationError(f"argument '{arg.name}': excess = \"arity\" needs a bounded argument list")
    words = 1 if arg.token else 0
    if arg.type == "block":
        return words + sum(_most(inner) for inner in arg.args)
    if arg.type == "oneof":
        return words + max(_most(inner) for inner in arg.args)
    return words + (0 if arg.type == "token" else 1)


def shown_args(args):
    """The arguments as they are told to people and clients: without hidden ones, and without blocks that only say
    which words a function gets unparsed."""
    shown = []
    for arg in args:
        only_groups = arg.type == "block" and arg.raw and not (arg.token or arg.multiple or arg.display)
        if only_groups and (not arg.optional or all(inner.optional for inner in arg.args)):
            shown += shown_args(arg.args)
        elif not arg.hidden:
            shown.append(arg)
    return shown


# ---- Arguments ---------------------------------------------------------------------------------------------


def _load_argument(where, table, in_oneof=False, in_raw=False):
    check = Checker(where, table)
    name = check.text("name", required=True)
    check.where = where = f"{where}: argument '{name}'"
    if not NAME.match(name) or c_name(name) in C_KEYWORDS:
        check.fail("this name cannot be used")
    kind = check.choice("type", TYPES, required=True)
    arg = Argument(name=name, type=kind, token=check.text("token"),
                   optional=check.take("optional", bool, False), multiple=check.take("multiple", bool, False),
                   multiple_token=check.take("multiple_token", bool, False),
                   raw=check.take("raw", bool, False), error=check.text("error"),
                   range_error=check.text("range_error"), display=check.text("display"),
                   incomplete=check.choice("incomplete", ["arity", "syntax"], "arity"),
                   access=check.texts("access", ACCESS), joins=check.take("joins", bool, False),
                   counted=check.take("counted", bool, False),
                   variable=check.take("variable_access", dict), since=check.text("since"),
                   deprecated_since=check.text("deprecated_since"), hidden=check.take("hidden", bool, False),
                   once=check.take("once", bool, False),
                   minimum=check.take("min", (int, float)), maximum=check.take("max", (int, float)),
                   default=check.take("default", (int, float)))
    shown = {"token": "pure-token", "unsigned": "integer", "long-double": "double"}.get(kind, kind)
    arg.shown_type = check.choice("shown_type", SHOWN_TYPES, shown)
    inner = check.take("args", list, [])
    check.done()
    arg.args = [_load_argument(where, item, kind == "oneof", in_raw or arg.raw) for item in inner]
    _check_argument(check, arg, in_oneof)
    if not in_raw:
        _check_shape(check, arg, in_oneof)
    return arg


def _check_argument(check, arg, in_oneof):
    numeric = arg.type in NUMBER_TYPES
    if arg.token and not TOKEN.match(arg.token):
        check.fail("a token is written in upper case")
    if arg.type == "token" and not arg.token:
        check.fail("a token needs a 'token'")
    if arg.multiple_token and not (arg.multiple and arg.token):
        check.fail("'multiple_token' belongs to multiple arguments behind a token")
    if arg.type == "token" and not (arg.optional or in_oneof):
        check.fail("a token that is not optional says nothing")
    if (arg.type in ("oneof", "block")) != bool(arg.args):
        check.fail("'args' belongs to oneof and block, and only to them")
    if arg.type == "key" and not arg.access or arg.access and arg.type not in ("key", "pattern"):
        check.fail("'access' belongs to keys, and only to them and to patterns of keys")
    if arg.type == "pattern" and arg.access and not (arg.token and arg.optional):
        check.fail("a pattern of keys is an option")
    if arg.access and len({"RO", "RW", "OW", "RM", "NOT_KEY"} & set(arg.access)) != 1:
        check.fail("'access' needs exactly one of RO, RW, OW, RM and NOT_KEY")
    if not numeric and (arg.minimum is not None or arg.maximum is not None or arg.default is not None):
        check.fail("min, max and default belong to numbers")
    if not numeric and arg.error and arg.type != "oneof" and not arg.counted:
        check.fail("'error' belongs to numbers, oneofs and counted keys")
    counted_keys = arg.type == "key" and not arg.optional and not arg.token
    counted_option = arg.type == "string" and arg.optional and arg.token
    if arg.counted and not (arg.multiple and (counted_keys or counted_option)):
        check.fail("only mandatory keys without a token, or strings behind one, several of them, can be counted")
    if arg.default is not None and not arg.optional:
        check.fail("a default belongs to an optional argument")
    if arg.minimum is not None and arg.maximum is not None and arg.minimum > arg.maximum:
        check.fail("min is above max")
    if arg.error and not arg.error.startswith("ERR ") or arg.range_error and not arg.range_error.startswith("ERR "):
        check.fail("an error text begins with 'ERR '")
    if "%" in (arg.error or "").replace("%s", "", 1 if arg.type == "oneof" else 0):
        check.fail("'%' in an error: only one '%s', and only in that of a oneof")
    if arg.range_error and arg.minimum is None and arg.maximum is None:
        check.fail("'range_error' needs a range")
    if in_oneof and (arg.optional or arg.multiple or arg.raw):
        check.fail("an alternative of a oneof is neither optional nor multiple nor raw")
    if arg.hidden and not (arg.optional and arg.multiple):
        check.fail("'hidden' is for words that are accepted and ignored: optional and multiple")
    if arg.once and not (arg.is_option and arg.token and not arg.multiple and (arg.is_value or arg.type == "token")):
        check.fail("'once' is for tokens and options with one value")
    if arg.variable is not None:
        _check_variable_access(check, arg)


def _check_shape(check, arg, in_oneof):
    """Rules for what is parsed by generated code: not inside of a raw argument, which only describes."""
    if arg.multiple_token and not arg.raw:
        check.fail("a token that comes again is for raw arguments")
    if arg.multiple and not arg.raw:
        plain_block = arg.type == "block" and all(item.is_fixed() and item.type in SLICE_TYPES for item in arg.args)
        if arg.type not in SLICE_TYPES and not plain_block:
            check.fail("only strings, keys and blocks of them can be multiple (or the argument is raw)")
    if arg.type == "oneof" and not arg.raw:
        if None in [token for inner in arg.args[:-1] for token in inner.tokens()]:
            check.fail("an alternative without a token hides those after it")
    if arg.args and not arg.raw:
        _check_sequence(check, arg.args, arg.type == "oneof")


def _check_variable_access(check, arg):
    inner = Checker(check.where + ": variable_access", arg.variable)
    if arg.type != "key":
        check.fail("'variable_access' belongs to keys")
    tokens = inner.texts("tokens", required=True)
    inner.texts("present", ACCESS, required=True)
    inner.texts("absent", ACCESS, required=True)
    inner.done()
    if not tokens:
        inner.fail("no tokens")


def _check_sequence(check, args, alternatives=False):
    """Rules for arguments that stand beside each other: names, tokens, and no doubt about what a word means."""
    fields = set()
    for arg in args:
        names = {arg.field}
        if arg.optional or arg.multiple:
            names |= {f"has_{arg.field}", f"{arg.field}_count", f"{arg.field}_value"}
        if names & fields:
            check.fail(f"two arguments are called '{arg.name}', or collide with a field of that name")
        fields |= names
    seen = set()
    for arg in args:
        if not alternatives and not arg.optional:
            seen = set()  # one that must be here is told by its place
        for token in arg.tokens():
            if token is not None and token in seen:
                check.fail(f"token '{token}' is there twice")
            seen.add(token)
    if alternatives:
        return
    for position, arg in enumerate(args):
        rest = args[position + 1:]
        if arg.counted and arg.token:
            if not any(item.counted and item.type == "key" for item in args[:position]):
                check.fail(f"'{arg.name}' is counted: counted keys must stand before it")
        elif arg.counted:
            before = args[position - 1] if position else None
            if before is None or before.type != "integer" or not before.is_fixed() or (before.minimum or 0) < 1:
                check.fail(f"'{arg.name}' is counted: a plain integer of at least 1 must stand before it")
            before.counts = True
        if arg.raw and rest:
            check.fail(f"'{arg.name}' is raw: nothing can follow it")
        if arg.multiple and not arg.counted and not all(item.is_fixed() for item in rest):
            check.fail(f"'{arg.name}' is multiple: only mandatory plain arguments can follow it")
        if arg.optional and not arg.raw:
            _check_optional(check, arg, rest)


def _check_optional(check, arg, rest):
    """An optional argument must be told apart from what follows it: by its token, or by counting words."""
    if arg.error and arg.type == "oneof" and rest:
        check.fail(f"'{arg.name}' is optional and has its own error: nothing can follow it")
    if None not in arg.tokens():
        if any(not item.optional for item in rest):
            check.fail(f"'{arg.name}' is optional and stands before a mandatory argument")
        return
    if not rest:
        return
    if all(item.is_fixed() for item in rest) and arg.is_value and not arg.multiple:
        return
    check.fail(f"'{arg.name}' is optional without a token: it cannot be told from what follows")


# ---- Commands ----------------------------------------------------------------------------------------------


def _load_history(check):
    history = check.take("history", list, [])
    for entry in history:
        if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(text, str) for text in entry)):
            check.fail("an entry of 'history' is a version and a text")
        if not VERSION.match(entry[0]):
            check.fail(f"'{entry[0]}' is not a version")
    return history


def _load_examples(check):
    examples = check.take("examples", list, [])
    for entry in examples:
        if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(text, str) for text in entry)):
            check.fail("an example is a command line and what it shows")
    return examples


def _load_command(where, name, family, table, parent):
    """One table. Tables inside that are not known keys are subcommands."""
    nested = {key: value for key, value in table.items() if isinstance(value, dict)}
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    full = f"{parent.name}|{name}" if parent else name
    check = Checker(f"{where}: {full}", plain)
    if not NAME.match(name):
        check.fail("a name is written in lower case")
    container = bool(nested)
    needed = not container
    since = check.text("since", required=True)
    if not VERSION.match(since):
        check.fail(f"'{since}' is not a version")
    command = Command(
        name=name, family=family, parent=parent, where=check.where, since=since,
        summary=check.text("summary", required=True), doc=check.text("doc", required=True),
        complexity=check.text("complexity", required=True), cost=check.choice("cost", COSTS, required=True),
        sliced_from=check.take("sliced_from", int, 0),
        steps=check.choice("steps", ["one", "several"]), direct=check.take("direct", bool, False),
        foreseeable=check.take("foreseeable", bool, False),
        stores=check.take("stores", bool, False),
        brief=check.take("brief", bool, False),
        overwrites=check.take("overwrites", bool, False), end=check.choice("end", ["head", "tail"]),
        flags=check.texts("flags", FLAGS), own_categories=check.texts("categories", CATEGORIES),
        tips=check.texts("tips"), history=_load_history(check), examples=_load_examples(check),
        reply2=check.text("reply2", required=needed), reply3=check.text("reply3"), errors=check.texts("errors"),
        numbers=check.choice("numbers", ["after", "in-order"], "after"),
        excess=check.choice("excess", ["syntax", "arity", "late-arity", "subcommand"], "syntax"),
        alone=check.take("alone", bool, False), raw=check.take("raw", bool, False), deprecated_since=check.text("deprecated_since"),
        replaced_by=check.text("replaced_by"),
        args=[_load_argument(check.where, item, in_raw=bool(plain.get("raw"))) for item in check.take("args", list, [])])
    check.done()
    _check_command(check, command, container)
    for key, value in nested.items():
        if parent:
            check.fail(f"'{key}': a subcommand has no subcommands")
        command.subcommands.append(_load_command(where, key, family, value, command))
    return command


def _check_command(check, command, container):
    for category in command.own_categories:
        if category in IMPLIED_CATEGORIES or category == "admin" and "admin" in command.flags:
            check.fail(f"category '{category}' follows from the flags")
    if "\n" in command.summary:
        check.fail("'summary' is one line")
    if "write" in command.flags and "readonly" in command.flags:
        check.fail("flags write and readonly contradict each other")
    if container and command.args:
        check.fail("a container has no arguments of its own")
    if command.sliced_from and command.cost != "sliceable":
        check.fail("'sliced_from' belongs to sliceable commands")
    if command.steps and "write" not in command.flags:
        check.fail("'steps' belongs to commands that write")
    if command.direct and "readonly" not in command.flags:
        check.fail("'direct' belongs to commands that only read")
    if command.foreseeable and not command.direct:
        check.fail("'foreseeable' belongs to commands that declare 'direct'")
    if command.stores and not ("write" in command.flags and any(arg.name == "value" for arg in command.args)):
        check.fail("'stores' belongs to commands that write an argument 'value'")
    if command.brief and not any(arg.access for arg in command.args):
        check.fail("'brief' belongs to commands with a key")
    if command.overwrites and not command.stores:
        check.fail("'overwrites' belongs to commands that declare 'stores'")
    if command.end and not ("write" in command.flags and "list" in command.own_categories):
        check.fail("'end' belongs to commands that write to lists")
    if command.alone and not container:
        check.fail("'alone' belongs to containers")
    if command.excess == "subcommand" and not command.parent:
        check.fail("excess = \"subcommand\" belongs to subcommands")
    if bool(command.deprecated_since) != bool(command.replaced_by):
        check.fail("'deprecated_since' and 'replaced_by' go together")
    if command.numbers != "after" and not _has_number(command.args):
        check.fail("'numbers' without a number")
    keys = [arg for arg in command.args if arg.access]
    for position, arg in enumerate(keys):
        if arg.joins and not _can_join(command, arg, keys[position - 1] if position else None):
            check.fail(f"'{arg.name}' joins a key that is not before it")
    if command.raw and (container or not command.args):
        check.fail("'raw' belongs to commands with arguments")
    if not command.raw:
        _check_sequence(check, command.args)
    command.args_max  # raises when `excess` does not fit the arguments


def _can_join(command, arg, before):
    """Keys join the key beside them, patterns of keys any one before them."""
    if before is None or before.type != arg.type:
        return False
    return arg.type == "pattern" or command.args[command.args.index(arg) - 1] is before


def _has_number(args):
    return any(arg.type in NUMBER_TYPES or _has_number(arg.args) for arg in args)


def all_commands(commands):
    """Commands and subcommands in the order of their ids: a container before its subcommands."""
    for command in commands:
        yield command
        yield from command.subcommands


def load_commands(paths):
    """Reads and checks all declarations; returns the top-level commands by name."""
    commands = {}
    for path, table in load_declarations(paths):
        family = table.pop("family", None)
        if family not in FAMILIES:
            raise DeclarationError(f"{path}: 'family' is missing or unknown")
        for name, value in table.items():
            if name in commands:
                raise DeclarationError(f"{path}: command '{name}' is in {commands[name].where} already")
            if not isinstance(value, dict):
                raise DeclarationError(f"{path}: unknown key '{name}'")
            commands[name] = _load_command(path, name, family, value, None)
    return [commands[name] for name in sorted(commands)]
