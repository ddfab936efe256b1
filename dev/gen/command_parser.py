"""Writes the typed arguments of commands and the functions that parse them.

Entry points: emit_args_header (gen/args.h), emit_parsers (gen/parsers.c).

A parser walks the arguments once. While every argument so far took one word, words are addressed by literal
indices (`argv[1]`), so a plain command costs a few moves; from the first optional argument on, a cursor `i` is
used. Numbers are parsed after the structure, unless the declaration says numbers = "in-order".
"""

from common import Output, c_string
from command_model import NUMBER_TYPES, SLICE_TYPES, all_commands

C_TYPES = {"integer": "int64_t", "unix-time": "int64_t", "unsigned": "uint64_t", "double": "double",
           "long-double": "long double"}
C_TYPES.update({kind: "struct slice" for kind in SLICE_TYPES})
PARSE_FUNCTIONS = {"integer": "num_parse_i64", "unix-time": "num_parse_i64", "unsigned": "num_parse_u64",
                   "double": "num_parse_double", "long-double": "num_parse_long_double"}
FAILURES = {"integer": "call_not_integer", "unix-time": "call_not_integer", "unsigned": "call_not_integer",
            "double": "call_not_float", "long-double": "call_not_float"}


# ---- Types -------------------------------------------------------------------------------------------------


def enum_name(prefix, arg):
    return f"{prefix}_{arg.field}"


def enum_value(prefix, arg, alternative=None):
    suffix = alternative.field if alternative else "none"
    return f"{prefix}_{arg.field}_{suffix}".upper()


def _is_enum(arg):
    return arg.type == "oneof" and not arg.raw


def _emit_enums(out, prefix, args):
    for arg in args:
        if arg.raw or arg.multiple:
            continue
        if arg.type == "oneof":
            with out.block(f"enum {enum_name(prefix, arg)}", "};"):
                for alternative in [None] + arg.args:
                    out.line(enum_value(prefix, arg, alternative) + ",")
        _emit_enums(out, f"{prefix}_{arg.field}", arg.args)


def _emit_fields(out, prefix, args):
    for arg in args:
        field = arg.field
        if arg.raw or arg.multiple:
            out.line(f"const struct slice *{field};")
            comment = f" /* blocks of {len(arg.args)} */" if arg.type == "block" and not arg.raw else ""
            out.line(f"uint32_t {field}_count;{comment}")
            continue
        if arg.optional and arg.type not in ("token", "oneof"):
            out.line(f"bool has_{field};")
        if arg.type == "token":
            out.line(f"bool {field};")
        elif arg.type == "oneof":
            out.line(f"enum {enum_name(prefix, arg)} {field};")
            with_value = [inner for inner in arg.args if inner.type != "token"]
            if with_value:
                with out.block("union", f"}} {field}_value;"):
                    _emit_fields(out, f"{prefix}_{field}", with_value)
        elif arg.type == "block":
            with out.block("struct", f"}} {field};"):
                _emit_fields(out, f"{prefix}_{field}", arg.args)
        else:
            out.line(f"{C_TYPES[arg.type]} {field};")


def has_function(command):
    """Whether somebody writes `cmd_<name>` for it."""
    return not command.is_help and (not command.is_container or command.alone)


def emit_args_header(commands):
    out = Output()
    out.line("/* Typed arguments of every command, and the functions that src/cmd/ defines. Generated from commands/. */")
    out.line("#ifndef SKUA_GEN_ARGS_H")
    out.line("#define SKUA_GEN_ARGS_H")
    out.line()
    out.line("#include <stdbool.h>")
    out.line("#include <stdint.h>")
    out.line()
    out.line('#include "base/slice.h"')
    out.line()
    out.line("struct call;")
    for command in all_commands(commands):
        if not has_function(command):
            continue
        name = command.c_name
        out.line()
        out.line(f"/* {command.full_name.upper().replace('|', ' ')}: {command.summary} */")
        if not command.raw:
            _emit_enums(out, f"args_{name}", command.args)
        with out.block(f"struct args_{name}", "};"):
            if command.raw:
                out.line("const struct slice *words; /* all behind the name, unparsed */")
                out.line("uint32_t words_count;")
            else:
                _emit_fields(out, f"args_{name}", command.args)
        out.line(f"void cmd_{name}(struct call *call, const struct args_{name} *args);")
        if command.brief:
            out.line(f"bool brief_{name}(struct call *call);")
        if command.direct:
            out.line(f"enum direct_outcome direct_{name}(struct direct *direct, const struct request *request);")
    out.line()
    out.line("#endif")
    return out.text()


# ---- Parsers -----------------------------------------------------------------------------------------------


class Parser:
    """Writes the parser of one command."""

    def __init__(self, out, command):
        self.out = out
        self.command = command
        self.at = command.words      # index of the next word while it is known, None once the cursor is in use
        self.assured = 0             # words that are known to be left at the cursor
        self.closed = False          # all words have been taken: no check for left-over words is needed
        self.numbers = []            # (condition, raw expression, target, argument), to be parsed at the end
        self.locals = []
        self.counted_keys = None     # the field of the keys whose number was among the arguments

    # Words.

    def word(self):
        return f"argv[{self.at}]" if self.at is not None else "argv[i]"

    def advance(self):
        if self.at is not None:
            self.at += 1
        else:
            self.out.line("i++;")
        self.assured = max(0, self.assured - 1)

    def use_cursor(self):
        if self.at is not None:
            self.out.line(f"uint32_t i = {self.at};")
            self.at = None

    def fail(self, call="call_syntax_error(call)"):
        self.out.line(f"{call};")
        self.out.line("return;")

    def need(self, words):
        """Fails unless that many words are left; silent where the arity has seen to that."""
        if words <= self.assured or self.at is not None and self.at + words <= self.command.args_min:
            return
        left = f"argc - {self.at}" if self.at is not None else "argc - i"
        with self.out.block(f"if ({left} < {words})" if words > 1 else
                            f"if ({'i' if self.at is None else self.at} >= argc)"):
            self.fail()

    # Values.

    def value(self, arg, target, condition):
        """Takes one word as the value of `arg`; the caller has made sure that it is there."""
        if arg.type in SLICE_TYPES:
            self.out.line(f"{target} = {self.word()};")
        elif self.command.numbers == "in-order" or arg.counts:
            self.number(None, self.word(), target, arg)
        elif self.at is not None:
            self.numbers.append((condition, self.word(), target, arg))
        else:
            raw = self.raw_name(target)
            if raw not in self.locals:
                self.locals.append(raw)
            self.out.line(f"{raw} = argv[i];")
            self.numbers.append((condition, raw, target, arg))
        self.advance()

    def raw_name(self, target):
        """The local variable for a number's text. The alternatives of a oneof share one, as they share a union."""
        path = target.removeprefix("args.").split(".")
        if len(path) > 1 and path[-2].endswith("_value"):
            path.pop()
        return "raw_" + "_".join(path)

    def number(self, condition, raw, target, arg):
        test = f"!{PARSE_FUNCTIONS[arg.type]}({raw}, &{target})"
        failure = f"{FAILURES[arg.type]}(call)"
        if arg.error:
            failure = f'reply_error(call->out, "%s", {c_string(arg.error)})'
        ranges = []
        if arg.minimum is not None:
            ranges.append(f"{target} < {arg.minimum}")
        if arg.maximum is not None:
            ranges.append(f"{target} > {arg.maximum}")
        if ranges and not arg.range_error:
            test = f"({' || '.join([test] + ranges)})" if condition else " || ".join([test] + ranges)
        with self.out.block(f"if ({condition} && {test})" if condition else f"if ({test})"):
            self.fail(failure)
        if arg.range_error:
            test = " || ".join(ranges)
            with self.out.block(f"if ({condition} && ({test}))" if condition else f"if ({test})"):
                self.fail(f'reply_error(call->out, "%s", {c_string(arg.range_error)})')

    # Arguments.

    def is_token(self, token):
        return f'args_is({self.word()}, "{token.lower()}", {len(token)})'

    def after_token(self, arg, prefix, scope, condition):
        """What follows the token of `arg`, or stands in its place when it has none."""
        target = f"{scope}{arg.field}"
        if arg.type == "token":
            self.out.line(f"{target} = true;")
        elif arg.counted:
            self.counted_words(arg, target, f"{scope}{self.counted_keys}_count")
        elif arg.raw or arg.multiple:
            if arg.token and not arg.raw:
                self.need(1)
            self.rest(arg, target, 0)
        elif arg.type == "oneof":
            self.oneof(arg, prefix, scope)
        elif arg.type == "block":
            self.sequence(arg.args, f"{prefix}_{arg.field}", f"{target}.", condition)
        else:
            self.need(1)
            self.value(arg, target, condition)

    def oneof(self, arg, prefix, scope):
        """A oneof that must be here."""
        self.need(1)
        start = self.at
        head = "if"
        for alternative in arg.args:
            token = alternative.tokens()[0]
            self.at = start
            with self.out.block(f"{head} ({self.is_token(token)})" if token else head.removesuffix(" if")):
                self.alternative(arg, alternative, prefix, scope, exclusive=False)
            head = "else if"
        if arg.args[-1].tokens()[0] is not None:
            end, self.at = self.at, start
            with self.out.block("else"):
                self.fail(self.oneof_failure(arg))
            self.at = end
        if start is not None and not arg.is_bounded():
            raise AssertionError("a oneof of several lengths needs the cursor")

    def oneof_failure(self, arg):
        if not arg.error:
            return "call_syntax_error(call)"
        if "%s" in arg.error:
            word = self.word()
            return f'reply_error(call->out, {c_string(arg.error.replace("%s", "%.*s"))}, ARGS_SHOWN({word}))'
        return f'reply_error(call->out, "%s", {c_string(arg.error)})'

    def alternative(self, arg, alternative, prefix, scope, exclusive):
        """The body of one alternative, its token not yet taken."""
        field = f"{scope}{arg.field}"
        chosen = enum_value(prefix, arg, alternative)
        if exclusive:
            none = enum_value(prefix, arg)
            with self.out.block(f"if ({field} != {none} && {field} != {chosen})"):
                self.fail()
        self.out.line(f"{field} = {chosen};")
        if alternative.token:
            self.advance()
        if alternative.type != "token":
            self.after_token(alternative, f"{prefix}_{arg.field}", f"{field}_value.", f"{field} == {chosen}")

    def rest(self, arg, target, trailing):
        """All words but the last `trailing` ones, for a raw or multiple argument."""
        if self.at is None:
            some = arg.multiple and (arg.token or not arg.optional)
            self.need(trailing + 1 if some else trailing)
        first = self.at if self.at is not None else "i"
        count = f"argc - {first}" + (f" - {trailing}" if trailing else "")
        self.out.line(f"{target} = &argv[{first}];")
        if arg.type == "block" and not arg.raw:
            size = len(arg.args)
            with self.out.block(f"if (({count}) % {size} != 0)"):
                self.fail("args_wrong_count(call)" if arg.incomplete == "arity" else "call_syntax_error(call)")
            self.out.line(f"{target}_count = ({count}) / {size};")
        else:
            self.out.line(f"{target}_count = {count};")
        if trailing:
            self.use_cursor()
            self.out.line(f"i = argc - {trailing};")
        else:
            if self.at is None:
                self.out.line("i = argc;")
            self.closed = self.at is not None

    def counted(self, arg, target, counter):
        """As many words as the number before them says."""
        left = f"argc - {self.at}" if self.at is not None else "argc - i"
        with self.out.block(f"if ({counter} > {left})"):
            self.fail(f'reply_error(call->out, "%s", {c_string(arg.error)})' if arg.error else "call_syntax_error(call)")
        self.use_cursor()
        self.out.line(f"{target} = &argv[i];")
        self.out.line(f"{target}_count = (uint32_t){counter};")
        self.out.line(f"i += {target}_count;")
        self.assured = 0
        self.counted_keys = arg.field

    def counted_words(self, arg, target, count):
        """Behind the token of an option: a word for each of the counted keys."""
        with self.out.block(f"if ({count} > argc - i)"):
            self.fail()
        self.out.line(f"{target} = &argv[i];")
        self.out.line(f"{target}_count = {count};")
        self.out.line(f"i += {target}_count;")
        self.assured = 0

    def options(self, args, prefix, scope):
        """Optional arguments with tokens, in any order."""
        self.use_cursor()
        with self.out.block("while (i < argc)"):
            head = "if"
            for arg in args:
                cases = arg.args if arg.type == "oneof" and not arg.token else [arg]
                for case in cases:
                    for token in case.tokens():
                        with self.out.block(f"{head} ({self.is_token(token)})"):
                            self.option(arg, case, prefix, scope)
                        head = "else if"
            with self.out.block("else"):
                self.out.line("break;")

    def option(self, arg, case, prefix, scope):
        if case is not arg:
            self.alternative(arg, case, prefix, scope, exclusive=True)
            return
        if arg.token:
            self.advance()
        condition = f"{scope}has_{arg.field}"
        if arg.once:
            with self.out.block(f"if ({scope}{arg.field})" if arg.type == "token" else f"if ({condition})"):
                self.fail()
        if arg.type not in ("token", "oneof") and not arg.multiple and not arg.raw:
            self.out.line(f"{condition} = true;")
        self.after_token(arg, prefix, scope, condition)

    def optional_word(self, arg, prefix, scope, trailing):
        """An optional argument without a token."""
        self.use_cursor()
        if arg.multiple or arg.raw:
            self.rest(arg, f"{scope}{arg.field}", trailing)
            return
        test = f"argc - i > {trailing}" if trailing else "i < argc"
        with self.out.block(f"if ({test})"):
            self.assured = trailing + 1
            if arg.type != "oneof":
                self.out.line(f"{scope}has_{arg.field} = true;")
            self.after_token(arg, prefix, scope, f"{scope}has_{arg.field}")
        self.assured = 0

    def sequence(self, args, prefix, scope, condition=None):
        position = 0
        while position < len(args):
            arg = args[position]
            rest = args[position + 1:]
            if arg.is_option:
                group = [arg]
                while rest and rest[0].is_option:
                    group.append(rest.pop(0))
                self.options(group, prefix, scope)
                position += len(group)
                continue
            if arg.optional and not (arg.raw and arg.multiple):
                self.optional_word(arg, prefix, scope, len(rest))
            elif arg.counted:
                self.counted(arg, f"{scope}{arg.field}", f"{scope}{args[position - 1].field}")
            elif arg.raw or arg.multiple:
                if arg.token and not arg.raw:
                    raise AssertionError("a mandatory token before a multiple argument")
                self.rest(arg, f"{scope}{arg.field}", len(rest))
            else:
                self.mandatory(arg, prefix, scope, condition)
            position += 1

    def mandatory(self, arg, prefix, scope, condition):
        if arg.token or not (arg.is_fixed() or arg.is_bounded()):
            self.use_cursor()
        if arg.token:
            self.need(1)
            with self.out.block(f"if (!{self.is_token(arg.token)})"):
                self.fail()
            self.advance()
        self.after_token(arg, prefix, scope, condition)

    def defaults(self, args, scope):
        for arg in args:
            if arg.raw or arg.multiple:
                continue
            if arg.default is not None:
                self.out.line(f"{scope}{arg.field} = {arg.default};")
            inner = f"{scope}{arg.field}_value." if arg.type == "oneof" else f"{scope}{arg.field}."
            self.defaults(arg.args, inner)

    def finish(self):
        if not self.command.is_exact and not self.closed:
            failure = "call_syntax_error(call)"
            if self.command.excess == "subcommand":
                failure = "args_wrong_subcommand(call)"
            first = self.at if self.at is not None else "i"
            if self.command.excess == "late-arity":
                with self.out.block(f"if (argc > {self.command.words_max})"):
                    self.fail("args_wrong_count(call)")
            with self.out.block(f"if ({first} < argc)"):
                self.fail(failure)
        for condition, raw, target, arg in self.numbers:
            self.number(condition, raw, target, arg)


def _emit_parser(out, command):
    name = command.c_name
    body = Output()
    body.depth = 1
    parser = Parser(body, command)
    if command.raw:
        body.line(f"args.words = &argv[{command.words}];")
        body.line(f"args.words_count = argc - {command.words};")
    else:
        parser.defaults(command.args, "args.")
        parser.sequence(command.args, f"args_{name}", "args.")
        parser.finish()
    text = "\n".join(body.lines)
    out.line()
    with out.block(f"static void run_{name}(struct call *call)\n"):
        if "argv[" in text:
            out.line("const struct slice *argv = call->argv;")
        if "argc" in text:
            out.line("const uint32_t argc = call->argc;")
        out.line(f"struct args_{name} args = {{}};")
        for raw in parser.locals:
            out.line(f"struct slice {raw} = {{}};")
        out.lines += body.lines
        out.line(f"cmd_{name}(call, &args);")


def emit_parsers(out, commands):
    """One function `run_<command>` for each command that has a function."""
    for command in all_commands(commands):
        if has_function(command):
            _emit_parser(out, command)
