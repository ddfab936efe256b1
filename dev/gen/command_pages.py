"""Writes the reference of all commands as one Markdown page.

Entry point: emit_pages (gen/command-reference.md).
"""

from command_docs import command_syntax
from command_model import FAMILIES, all_commands

FAMILY_TITLES = {"string": "Strings", "bitmap": "Bitmaps", "generic": "Keys of any type", "connection": "Connection",
                 "transactions": "Transactions", "pubsub": "Publish and subscribe", "server": "Server"}
COST_TEXTS = {"constant": "does not grow with data", "arguments": "grows with the arguments",
              "sliceable": "grows with stored data, can run in steps",
              "atomic": "grows with stored data, runs in one go"}


def title(family):
    return FAMILY_TITLES.get(family, family.replace("-", " ").capitalize())


def shown_name(command):
    return command.full_name.upper().replace("|", " ")


def anchor(command):
    return command.full_name.replace("|", "-")


def _examples(command):
    lines = ["", "```"]
    for words, shown in command.examples:
        lines += [f"> {words}", shown]
    return lines + ["```"]


def _facts(command):
    yield f"Since {command.since}."
    if command.deprecated_since:
        yield f"Deprecated since {command.deprecated_since}, replaced by {command.replaced_by}."
    yield f"Complexity: {command.complexity}. Work {COST_TEXTS[command.cost]}."
    if command.flags:
        yield "Flags: " + ", ".join(command.flags) + "."
    yield "ACL categories: " + ", ".join("@" + name for name in command.categories()) + "."
    if command.reply3:
        yield f"Reply in RESP2: {command.reply2}"
        yield f"Reply in RESP3: {command.reply3}"
    elif command.reply2:
        yield f"Reply: {command.reply2}"
    if command.errors:
        yield "Errors: " + ", ".join(f"`{error}`" for error in command.errors) + "."
    for version, change in command.history:
        yield f"{version}: {change}"


def _command_lines(command):
    lines = ["", f"### {shown_name(command)}", "", command.summary, "", "```", command_syntax(command), "```", "",
             command.doc]
    if command.examples:
        lines += _examples(command)
    return lines + [""] + [f"- {fact}" for fact in _facts(command)]


def _contents(commands, family):
    links = [f"[{shown_name(command)}](#{anchor(command)})" for command in all_commands(commands)
             if command.family == family]
    return f"- {title(family)}: " + ", ".join(links)


def emit_pages(commands):
    families = [family for family in FAMILIES if any(command.family == family for command in commands)]
    lines = ["# Commands", "", "Generated from the declarations in `commands/`.", ""]
    lines += [_contents(commands, family) for family in families]
    for family in families:
        lines += ["", f"## {title(family)}"]
        for command in all_commands(commands):
            if command.family == family:
                lines += _command_lines(command)
    return "\n".join(lines) + "\n"
