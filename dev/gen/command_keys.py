"""Where the keys of a command stand: key specifications, the first/last/step of old clients, extraction functions.

Entry points: key_specs, legacy_range, needs_key_function, emit_key_functions.
"""

import dataclasses

from common import DeclarationError
from command_model import all_commands

ACCESS_BITS = {"RO": "KEY_READ", "RW": "KEY_READ_WRITE", "OW": "KEY_OVERWRITE", "RM": "KEY_REMOVE",
               "ACCESS": "KEY_ACCESS", "UPDATE": "KEY_UPDATE", "INSERT": "KEY_INSERT", "DELETE": "KEY_DELETE"}


@dataclasses.dataclass
class KeySpec:
    """Keys at index, index + step, … up to index + last (from the end of the arguments when last is negative). Of
    counted ones the index is that of their number, which they follow. Those behind a keyword begin with the first such
    word from index on; `limit` says that they are only so much of the words there (2: the first half; 0: it is one key
    of an option that may be left out). Unknown ones
    cannot be told from their place: `keyword` is the token of the option that names them, None when they are patterns."""
    index: int
    last: int
    step: int
    access: list
    variable: dict | None
    counted: bool = False
    keyword: str | None = None
    limit: int = 0
    unknown: bool = False

    @property
    def is_plain(self):
        return not (self.counted or self.keyword or self.unknown)

    @property
    def flags(self):
        return self.access + (["VARIABLE_FLAGS"] if self.variable else [])


def access_bits(access):
    """The C expression for a list of access words; a channel (NOT_KEY) has none."""
    return " | ".join(ACCESS_BITS[word] for word in access if word in ACCESS_BITS) or "0"


def _holds_key(arg):
    return bool(arg.access) or any(_holds_key(inner) for inner in arg.args)


def key_specs(command):
    """The key specifications in order. Keys have to stand at a known distance from the beginning, or behind a token."""
    specs = []
    index = command.words
    known = True
    for position, arg in enumerate(command.args):
        if _holds_key(arg):
            if arg.raw and not arg.token and known:
                specs += _specs_of_raw_options(command, arg, index)
                continue
            if arg.token:
                _add_spec_behind_token(command, arg, specs)
                known = False
                continue
            if not known:
                raise DeclarationError(f"{command.where}: key '{arg.name}' has no fixed place")
            _add_spec(command, arg, specs, index, len(command.args) - position - 1)
        if arg.is_bounded():
            index += arg.least()
        else:
            known = False
    return specs


def _specs_of_raw_options(command, arg, begin):
    """Keys behind tokens in a raw argument, which begins at word `begin`: keywords."""
    if arg.type == "key":
        if not arg.token:
            raise DeclarationError(f"{command.where}: key '{arg.name}' of a raw argument stands behind no token")
        return [KeySpec(begin, 0, 1, arg.access, None, keyword=arg.token)]
    return [spec for inner in arg.args if _holds_key(inner) for spec in _specs_of_raw_options(command, inner, begin)]


def _add_spec_behind_token(command, arg, specs):
    """Keys of an option, and lists of which the first ones are keys (STREAMS key [key ...] id [id ...])."""
    if arg.type == "block":
        if not (arg.args[0].type == "key" and all(inner.multiple and inner.is_value for inner in arg.args)) or \
                arg is not command.args[-1]:
            raise DeclarationError(f"{command.where}: key extraction does not know the shape of '{arg.name}'")
        before = command.words + sum(item.least() for item in command.args[:-1])
        specs.append(KeySpec(before, -1, 1, arg.args[0].access, None, keyword=arg.token, limit=len(arg.args)))
        return
    if not arg.optional:
        raise DeclarationError(f"{command.where}: '{arg.name}' is a key behind a token that is not optional")
    if not arg.joins:
        specs.append(KeySpec(0, 0, 0, arg.access, None, unknown=True, keyword=arg.token if arg.type == "key" else None))


def _add_spec(command, arg, specs, index, trailing):
    if arg.type == "key":
        key, step = arg, 1
    elif arg.type == "block" and arg.multiple and arg.args[0].type == "key" and \
            not any(_holds_key(inner) for inner in arg.args[1:]):
        key, step = arg.args[0], len(arg.args)
    else:
        raise DeclarationError(f"{command.where}: key extraction does not know the shape of '{arg.name}'")
    if arg.optional and not arg.multiple:
        raise DeclarationError(f"{command.where}: '{arg.name}' is an optional single key")
    if key.counted:
        specs.append(KeySpec(index - 1, 0, 1, key.access, key.variable, counted=True))
        return
    if key.joins:
        specs[-1].last += 1
        return
    specs.append(KeySpec(index, -1 - trailing if arg.multiple else 0, step, key.access, key.variable))


def legacy_range(specs):
    """(first, last, step) as COMMAND INFO shows them; zeros when there are no keys."""
    specs = [spec for spec in specs if spec.is_plain]
    if not specs:
        return 0, 0, 0
    first, last, step = specs[0].index, _absolute_last(specs[0]), specs[0].step
    for spec in specs[1:]:
        if last < 0 or spec.index != last + 1 or spec.step != 1 or step != 1:
            raise DeclarationError("keys of one command do not stand side by side")
        last = _absolute_last(spec)
    return first, last, step


def _absolute_last(spec):
    return spec.last if spec.last < 0 else spec.index + spec.last


def needs_key_function(specs):
    """True when the keys are not all used in the same way, or in a way that depends on other arguments."""
    return any(spec.variable or not spec.is_plain or spec.access != specs[0].access for spec in specs)


def options_begin(command):
    """Index of the first word behind the plain mandatory arguments: no token stands before."""
    index = command.words
    for arg in command.args:
        if not arg.is_fixed():
            break
        index += 1
    return index


def _emit_option_key(out, command, spec):
    """The key behind the last token like this one; words that belong to other options are stepped over."""
    out.line("uint32_t place = 0;")
    with out.block(f"for (uint32_t i = {options_begin(command)}; i < argc; i++)"):
        head = "if"
        for arg in command.args:
            words = arg.least_when_present() - 1 if arg.token and arg.optional else 0
            if words == 0:
                continue
            with out.block(f'{head} (args_is(argv[i], "{arg.token.lower()}", {len(arg.token)}))'):
                out.line(f"i += {words};")
                if arg.token == spec.keyword:
                    out.line("place = i < argc ? i : place;")
            head = "else if"
    with out.block("if (place > 0)"):
        out.line(f"count = args_add_keys(ret_keys, capacity, count, place, place, 1, {access_bits(spec.access)});")


def _emit_key_function(out, command, specs):
    out.line()
    head = f"static int keys_{command.c_name}(const struct slice *argv, uint32_t argc,"
    pad = " " * (head.index("(") + 1)
    with out.block(f"{head}\n{pad}struct key_reference *ret_keys, int capacity)\n"):
        out.line("int count = 0;")
        for spec in specs:
            access = access_bits(spec.access)
            if spec.variable:
                first = options_begin(command)
                tests = " ||\n        ".join(f'args_has_token(argv, argc, {first}, '
                                             f'"{token.lower()}", {len(token)})' for token in spec.variable["tokens"])
                out.line(f"const bool more = {tests};")
                access = f"more ? {access_bits(spec.variable['present'])} : {access_bits(spec.variable['absent'])}"
            if spec.counted:
                out.line(f"count = args_add_counted_keys(ret_keys, capacity, count, argv, argc, {spec.index}, "
                         f"{access});")
                continue
            if spec.unknown:
                if spec.keyword:
                    _emit_option_key(out, command, spec)
                continue
            if spec.keyword and spec.limit == 0:
                out.line(f'count = args_add_option_key(ret_keys, capacity, count, argv, argc, {spec.index}, '
                         f'"{spec.keyword.lower()}", {len(spec.keyword)}, {access});')
                continue
            if spec.keyword:
                out.line(f'count = args_add_keyword_keys(ret_keys, capacity, count, argv, argc, {spec.index}, '
                         f'"{spec.keyword.lower()}", {len(spec.keyword)}, {spec.limit}, {access});')
                continue
            last = _absolute_last(spec)
            last = f"(int64_t)argc - {-last}" if last < 0 else last
            out.line(f"count = args_add_keys(ret_keys, capacity, count, {spec.index}, {last}, {spec.step}, {access});")
        out.line("return count;")


def emit_key_functions(out, commands):
    """One function `keys_<command>` for each command whose keys the fast path does not describe."""
    for command in all_commands(commands):
        specs = key_specs(command)
        if needs_key_function(specs):
            _emit_key_function(out, command, specs)
