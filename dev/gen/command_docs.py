"""Writes what is told about commands: tables for COMMAND DOCS and HELP, the JSON dump, the fuzz dictionary.

Entry points: emit_docs (gen/command_docs.c), emit_json (gen/commands.json), emit_dictionary (gen/resp.dict).
"""

import json

from common import Output, c_string
from command_keys import key_specs, legacy_range
from command_model import all_commands, shown_args

# ---- Syntax ------------------------------------------------------------------------------------------------


REPEATED_MAX = 40  # a longer text is not written twice to say that it can be repeated


def syntax(arg):
    """One argument as people write it: [EX seconds | PX milliseconds]."""
    if arg.type == "token":
        text = arg.token
    elif arg.type == "oneof":
        text = " | ".join(syntax(inner) for inner in arg.args)
        if arg.token or not arg.optional:
            text = f"<{text}>"
    elif arg.type == "block":
        text = " ".join(syntax(inner) for inner in shown_args(arg.args))
    else:
        text = arg.display or arg.name
    if arg.multiple_token:
        text = f"{arg.token} {text}"
        return f"[{text} [{text} ...]]" if arg.optional else f"{text} [{text} ...]"
    if arg.multiple:
        text += f" [{text} ...]" if len(text) <= REPEATED_MAX else " [...]"
    if arg.token and arg.type != "token":
        text = f"{arg.token} {text}"
    return f"[{text}]" if arg.optional else text


def command_syntax(command, name=None):
    words = name or command.full_name.upper().replace("|", " ")
    return " ".join([words] + [syntax(arg) for arg in shown_args(command.args)])


def help_lines(command):
    """The answer of a container's HELP: one line of syntax and one of text for each subcommand."""
    lines = [f"{command.name.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    ordered = [sub for sub in command.subcommands if not sub.is_help] + \
        [sub for sub in command.subcommands if sub.is_help]
    for subcommand in ordered:
        lines.append(command_syntax(subcommand, subcommand.name.upper()))
        lines.append("    " + subcommand.summary)
    return lines


# ---- C -----------------------------------------------------------------------------------------------------


def _emit_arguments(out, name, args, numbers):
    """Inner arrays first, because C wants them defined before they are pointed at. Returns how many were told."""
    args = shown_args(args)
    for arg in args:
        if arg.args:
            _emit_arguments(out, f"{name}_{arg.field}", arg.args, numbers)
    with out.block(f"static const struct command_argument {name}[] =", "};"):
        for arg in args:
            with out.block("", "},"):
                out.line(f".name = {c_string(arg.name)},")
                out.line(f".type = {c_string(arg.shown_type)},")
                if arg.display or arg.type not in ("oneof", "block"):
                    out.line(f".display = {c_string(arg.display or arg.name)},")
                if arg.token:
                    out.line(f".token = {c_string(arg.token)},")
                if arg.since:
                    out.line(f".since = {c_string(arg.since)},")
                if arg.deprecated_since:
                    out.line(f".deprecated_since = {c_string(arg.deprecated_since)},")
                out.line(f".key_spec = {numbers.get(id(arg), -1)},")
                out.line(f".optional = {str(arg.optional).lower()},")
                out.line(f".multiple = {str(arg.multiple).lower()},")
                out.line(f".multiple_token = {str(arg.multiple_token).lower()},")
                if arg.args:
                    out.line(f".args = {name}_{arg.field},")
                    out.line(f".arg_count = {len(shown_args(arg.args))},")
    return len(args)


def _key_spec_numbers(command):
    """Which key specification each key belongs to, by id(argument): they count in the order in which keys are declared."""
    numbers, last = {}, -1
    for arg in _all_args(command.args):
        if arg.access:
            last += 0 if arg.joins else 1
            if arg.shown_type == arg.type:
                numbers[id(arg)] = last
    return numbers


def _all_args(args):
    for arg in args:
        yield arg
        yield from _all_args(arg.args)


def _emit_strings(out, name, values):
    with out.block(f"static const char *const {name}[] =", "};"):
        for value in values:
            out.line(f"{c_string(value)},")


def _emit_parts(out, command):
    """The arrays that a command's row points at. Returns the lines of the row."""
    name = command.c_name
    row = []

    def part(field, count_field, count):
        row.append(f".{field} = {field}_{name},")
        row.append(f".{count_field} = {count},")

    if shown_args(command.args):
        part("args", "arg_count", _emit_arguments(out, f"args_{name}", command.args, _key_spec_numbers(command)))
    if command.history:
        with out.block(f"static const struct command_history history_{name}[] =", "};"):
            for version, text in command.history:
                out.line(f"{{{c_string(version)}, {c_string(text)}}},")
        part("history", "history_count", len(command.history))
    if command.tips:
        _emit_strings(out, f"tips_{name}", command.tips)
        part("tips", "tip_count", len(command.tips))
    if any(subcommand.is_help for subcommand in command.subcommands):
        lines = help_lines(command)
        _emit_strings(out, f"help_{name}", lines)
        part("help", "help_count", len(lines))
    specs = key_specs(command)
    if specs:
        with out.block(f"static const struct command_key_spec key_specs_{name}[] =", "};"):
            for spec in specs:
                flags = " | ".join(f"KEY_SPEC_{flag}" for flag in spec.flags)
                keyword = c_string(None if spec.unknown else spec.keyword)
                out.line(f"{{{flags}, {spec.index}, {spec.last}, {spec.step}, {str(spec.counted).lower()}, "
                         f"{str(spec.unknown).lower()}, {spec.limit}, {keyword}}},")
        part("key_specs", "key_spec_count", len(specs))
    return row


def emit_docs(commands):
    out = Output()
    out.line("/* What COMMAND DOCS, COMMAND INFO and HELP tell of each command. Generated from commands/. */")
    out.line('#include "cmd/command_doc.h"')
    out.line('#include "gen/commands.h"')
    out.line()
    rows = [(command, _emit_parts(out, command)) for command in all_commands(commands)]
    out.line()
    with out.block("const struct command_doc command_docs[] =", "};"):
        for command, parts in rows:
            with out.block(f"[COMMAND_ID_{command.c_name.upper()}] =", "},"):
                out.line(f".summary = {c_string(command.summary)},")
                out.line(f".since = {c_string(command.since)},")
                out.line(f".group = {c_string(command.family)},")
                out.line(f".complexity = {c_string(command.complexity)},")
                if command.deprecated_since:
                    out.line(f".deprecated_since = {c_string(command.deprecated_since)},")
                    out.line(f".replaced_by = {c_string(command.replaced_by)},")
                for line in parts:
                    out.line(line)
    return out.text()


# ---- Other readers -----------------------------------------------------------------------------------------


def _argument_json(arg):
    result = {"name": arg.name, "type": arg.type}
    for key in ("token", "optional", "multiple", "multiple_token", "counted", "raw", "minimum", "maximum", "default", "display", "access",
                "variable", "since"):
        value = getattr(arg, key)
        if value not in (None, False, []):
            result[key] = value
    if arg.args:
        result["args"] = [_argument_json(inner) for inner in arg.args]
    return result


def _command_json(command):
    specs = key_specs(command)
    first, last, step = legacy_range(specs)
    return {
        "name": command.name, "full_name": command.full_name, "family": command.family, "syntax":
        command_syntax(command), "summary": command.summary, "since": command.since,
        "complexity": command.complexity, "cost": command.cost, "arity": command.arity, "flags": command.flags,
        "categories": ["@" + name for name in command.categories()], "tips": command.tips,
        "history": command.history, "doc": command.doc, "examples": command.examples, "reply2": command.reply2,
        "reply3": command.reply3 or command.reply2, "errors": command.errors, "container": command.is_container,
        "first_key": first, "last_key": last, "key_step": step,
        "key_specs": [{"flags": spec.flags, "index": spec.index, "last": spec.last, "step": spec.step,
                       "counted": spec.counted, "unknown": spec.unknown, "limit": spec.limit, "keyword": spec.keyword}
                      for spec in specs],
        "args": [_argument_json(arg) for arg in command.args],
        "subcommands": [_command_json(subcommand) for subcommand in command.subcommands],
    }


def emit_json(commands):
    return json.dumps([_command_json(command) for command in commands], indent=1, ensure_ascii=False) + "\n"


def _tokens(args):
    for arg in args:
        if arg.token:
            yield arg.token
        yield from _tokens(arg.args)


def emit_dictionary(commands):
    """Words for a fuzzer of requests, in libFuzzer's dictionary format."""
    words = set()
    for command in all_commands(commands):
        words.add(command.name.upper())
        words |= set(_tokens(command.args))
    lines = [f'"{word}"' for word in sorted(words)]
    lines += [f'"${len(word)}\\x0d\\x0a{word}\\x0d\\x0a"' for word in sorted(words)]
    return "\n".join(lines) + "\n"

