"""Writes what the command line client knows of commands without a server: for HELP, hints and completion.

Entry point: emit_cli (gen/cli_commands.c), an array of struct catalogue_command (tools/cli/catalogue.h).
"""

from command_model import NUMBER_TYPES, all_commands, shown_args
from common import Output, c_string

KINDS = {"token": "CATALOGUE_TOKEN", "oneof": "CATALOGUE_ONEOF", "block": "CATALOGUE_BLOCK"}


def _kind(arg):
    if arg.type in NUMBER_TYPES:
        return "CATALOGUE_DOUBLE" if "double" in arg.type else "CATALOGUE_INTEGER"
    return KINDS.get(arg.type, "CATALOGUE_WORD")


def _emit_arguments(out, name, args):
    """Inner arrays first, because C wants them defined before they are pointed at."""
    shown = shown_args(args)
    for arg in shown:
        if arg.args:
            _emit_arguments(out, f"{name}_{arg.field}", arg.args)
    with out.block(f"static const struct catalogue_argument {name}[] =", "};"):
        for arg in shown:
            fields = [f".kind = {_kind(arg)}", f".name = {c_string(arg.display or arg.name)}"]
            if arg.token:
                fields.append(f".token = {c_string(arg.token)}")
            fields += [f".{flag} = true" for flag in ("optional", "multiple", "multiple_token") if getattr(arg, flag)]
            if arg.args:
                fields += [f".args = {name}_{arg.field}", f".arg_count = {len(shown_args(arg.args))}"]
            out.line("{" + ", ".join(fields) + "},")
    return len(shown)


def _emit_parts(out, command):
    """The arrays that a command's row points at. Returns the lines of the row."""
    row = []
    if shown_args(command.args):
        count = _emit_arguments(out, f"args_{command.c_name}", command.args)
        row += [f".args = args_{command.c_name},", f".arg_count = {count},"]
    if command.examples:
        with out.block(f"static const struct catalogue_example examples_{command.c_name}[] =", "};"):
            for typed, shown in command.examples:
                out.line(f"{{{c_string(typed)}, {c_string(shown)}}},")
        row += [f".examples = examples_{command.c_name},", f".example_count = {len(command.examples)},"]
    return row


def emit_cli(commands):
    out = Output()
    out.line("/* What skua-cli knows of each command without a server, by name. Generated from commands/. */")
    out.line('#include "cli/catalogue.h"')
    out.line()
    ordered = sorted(all_commands(commands), key=lambda command: command.full_name.upper().replace("|", " "))
    rows = [(command, _emit_parts(out, command)) for command in ordered]
    out.line()
    with out.block("const struct catalogue_command catalogue_builtin[] =", "};"):
        for command, parts in rows:
            with out.block("", "},"):
                out.line(f".name = {c_string(command.full_name.upper().replace('|', ' '))},")
                out.line(f".summary = {c_string(command.summary)},")
                out.line(f".since = {c_string(command.since)},")
                out.line(f".group = {c_string(command.family)},")
                out.line(f".complexity = {c_string(command.complexity)},")
                if command.replaced_by:
                    out.line(f".replaced_by = {c_string(command.replaced_by)},")
                if command.is_container:
                    out.line(".container = true,")
                for line in parts:
                    out.line(line)
    out.line(f"const size_t catalogue_builtin_count = {len(rows)};")
    return out.text()
