"""Writes the command table: rows, ids, lookup by name.

Entry points: emit_commands_header (gen/commands.h), emit_table (gen/commands.c).

Lookup is a perfect hash: the generator tries multipliers until no two names share a slot, so finding a command is
one hash and one comparison. src/exec/command.c computes the same hash (command_name_words, command_name_slot).
"""

from common import DeclarationError, Output, c_name, c_string
from command_keys import access_bits, emit_key_functions, key_specs, legacy_range, needs_key_function
from command_model import CATEGORIES, all_commands
from command_parser import emit_parsers, has_function

WORD = (1 << 64) - 1
MIX = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio
TRIES = 4000


# ---- Lookup ------------------------------------------------------------------------------------------------


def name_words(name):
    """The two words that stand for a name of at most 16 bytes; see command_name_words in src/exec/command.c."""
    data = name.encode()
    size = len(data)
    if size >= 8:
        return int.from_bytes(data[:8], "little"), int.from_bytes(data[-8:], "little")
    if size >= 4:
        return int.from_bytes(data[:4], "little"), int.from_bytes(data[-4:], "little")
    return data[0] | data[size // 2] << 8 | data[-1] << 16, 0


def name_slot(head, tail, size, multiplier, bits):
    mixed = ((head ^ size) * MIX + tail) & WORD
    return (mixed * multiplier & WORD) >> (64 - bits)


def find_hash(names):
    """Returns (multiplier, bits, {slot: name}) without a collision."""
    bits = max(4, (2 * len(names)).bit_length())
    while bits <= 14:
        multiplier = MIX
        for _ in range(TRIES):
            multiplier = (multiplier * 6364136223846793005 + 1442695040888963407) & WORD | 1
            slots = {}
            for name in names:
                slot = name_slot(*name_words(name), len(name), multiplier, bits)
                if slot in slots:
                    break
                slots[slot] = name
            else:
                return multiplier, bits, slots
        bits += 1
    raise DeclarationError("no perfect hash for the command names was found")


def emit_commands_header(commands):
    multiplier, bits, _ = find_hash([command.name for command in commands])
    out = Output()
    out.line("/* Ids of commands and the shape of the lookup table. Generated from commands/. */")
    out.line("#ifndef SKUA_GEN_COMMANDS_H")
    out.line("#define SKUA_GEN_COMMANDS_H")
    out.line()
    out.line("#include <stdint.h>")
    out.line()
    out.line("struct command;")
    out.line()
    with out.block("enum command_id", "};"):
        for command in all_commands(commands):
            out.line(f"COMMAND_ID_{command.c_name.upper()},")
        out.line("COMMAND_ID_COUNT")
    out.line()
    out.line(f"#define COMMAND_HASH_MIX UINT64_C({MIX:#x})")
    out.line(f"#define COMMAND_HASH_MULTIPLIER UINT64_C({multiplier:#x})")
    out.line(f"#define COMMAND_SLOT_BITS {bits}")
    out.line()
    out.line("/* One name: its first and last bytes as words, lower case. `command` is NULL in an empty slot. */")
    with out.block("struct command_slot", "};"):
        out.line("uint64_t head;")
        out.line("uint64_t tail;")
        out.line("uint64_t size;")
        out.line("const struct command *command;")
    out.line("extern const struct command_slot command_slots[1 << COMMAND_SLOT_BITS];")
    out.line()
    out.line("#endif")
    return out.text()


def _emit_slots(out, commands):
    _, _, slots = find_hash([command.name for command in commands])
    position = {command.name: index for index, command in enumerate(commands)}
    out.line()
    with out.block("const struct command_slot command_slots[1 << COMMAND_SLOT_BITS] =", "};"):
        for slot in sorted(slots):
            name = slots[slot]
            head, tail = name_words(name)
            out.line(f"[{slot}] = {{{head:#x}, {tail:#x}, {len(name)}, &commands[{position[name]}]}}, /* {name} */")


# ---- Rows --------------------------------------------------------------------------------------------------


def _row_flags(command):
    flags = ["CMD_" + c_name(flag).upper() for flag in command.flags]
    if command.is_container:
        flags.append("CMD_CONTAINER")
    return " | ".join(flags) or "0"


def _row_categories(command):
    bits = 0
    for category in command.categories():
        bits |= 1 << CATEGORIES.index(category)
    return f"{bits:#x}"


def _run_function(command):
    if command.is_help:
        return "command_run_help"
    return f"run_{command.c_name}" if has_function(command) else "NULL"


def _argument_named(command, names):
    """Index of the first word that is such an argument when no option stands before it; 0 if none."""
    index = command.words
    for arg in _without_blocks(command.args):
        if arg.name in names and not arg.token and not arg.optional:
            return index
        index += arg.least()
    return 0


def _takes_one_step(command, specs):
    """Whether other threads see its change in one step (docs/decisions/009, D5)."""
    if command.steps:
        return command.steps == "one"
    first, last, _ = legacy_range(specs)
    return first > 0 and first == last and all(spec.is_plain for spec in specs) and command.cost != "sliceable"


def _needs_entry_only(command):
    """Whether nothing of its key is worth asking for ahead but the entry (src/exec/fetch.h). What a command stores may go to where the old
    value lies, all of it."""
    return "string" in command.categories() and "write" in command.flags and not command.stores


def _without_blocks(args):
    for arg in args:
        if arg.type == "block" and not arg.optional and not arg.token:
            yield from _without_blocks(arg.args)
        else:
            yield arg


def _emit_row(out, command, parent):
    specs = key_specs(command)
    first, last, step = legacy_range(specs)
    bound = command.args_max
    with out.block("", "},"):
        out.line(f".name = {c_string(command.name)},")
        out.line(f".full_name = {c_string(command.full_name)},")
        out.line(f".id = COMMAND_ID_{command.c_name.upper()},")
        out.line(f".arity = {command.arity},")
        out.line(f".args_min = {command.args_min},")
        out.line(f".args_max = {'UINT32_MAX' if bound is None else bound},")
        out.line(f".flags = {_row_flags(command)},")
        out.line(f".categories = {_row_categories(command)},")
        out.line(f".cost = COST_{command.cost.upper()},")
        if command.sliced_from:
            out.line(f".sliced_from = {command.sliced_from},")
        if specs:
            out.line(f".first_key = {first},")
            out.line(f".last_key = {last},")
            out.line(f".key_step = {step},")
            out.line(f".key_access = {access_bits(specs[0].access) if first else 0},")
        out.line(f".member_arg = {_argument_named(command, ('member', 'field'))},")
        if command.stores:
            out.line(f".value_arg = {_argument_named(command, ('value',))},")
        if _needs_entry_only(command):
            out.line(".needs_entry_only = true,")
        if command.end:
            out.line(f".list_end = LIST_END_{command.end.upper()},")
        if command.overwrites:
            out.line(".overwrites = true,")
        if needs_key_function(specs):
            out.line(f".keys = keys_{command.c_name},")
        out.line(f".is_one_step = {str(_takes_one_step(command, specs)).lower()},")
        if command.direct:
            out.line(f".direct = direct_{command.c_name},")
        if command.foreseeable:
            out.line(".is_foreseeable = true,")
        out.line(f".run = {_run_function(command)},")
        if command.brief:
            out.line(f".brief = brief_{command.c_name},")
        if command.is_container:
            out.line(f".subcommands = subcommands_{command.c_name},")
            out.line(f".subcommand_count = {len(command.subcommands)},")
        if parent:
            out.line(f".parent = {parent},")
        out.line(f".doc = &command_docs[COMMAND_ID_{command.c_name.upper()}],")


def _emit_rows(out, commands):
    out.line()
    out.line(f"static const struct command commands[{len(commands)}];")
    for index, command in enumerate(commands):
        if command.is_container:
            out.line()
            with out.block(f"static const struct command subcommands_{command.c_name}[] =", "};"):
                for subcommand in command.subcommands:
                    _emit_row(out, subcommand, f"&commands[{index}]")
    out.line()
    with out.block(f"static const struct command commands[{len(commands)}] =", "};"):
        for command in commands:
            _emit_row(out, command, None)


def _emit_ids(out, commands):
    out.line()
    with out.block("const struct command *const command_by_id[] =", "};"):
        for index, command in enumerate(commands):
            out.line(f"&commands[{index}],")
            for number in range(len(command.subcommands)):
                out.line(f"&subcommands_{command.c_name}[{number}],")
    out.line("const uint32_t command_count = COMMAND_ID_COUNT;")
    out.line()
    with out.block("const char *const command_category_names[] =", "};"):
        for category in CATEGORIES:
            out.line(f"{c_string('@' + category)},")
    out.line(f"const uint32_t command_category_count = {len(CATEGORIES)};")


def emit_table(commands):
    out = Output()
    out.line("/* Command table, argument parsers and key extraction. Generated from commands/. */")
    for header in ["base/num.h", "cmd/command_doc.h", "exec/args.h", "exec/call.h", "exec/command.h", "gen/args.h",
                   "gen/commands.h"]:
        out.line(f'#include "{header}"')
    emit_parsers(out, commands)
    emit_key_functions(out, commands)
    _emit_rows(out, commands)
    _emit_ids(out, commands)
    _emit_slots(out, commands)
    return out.text()
