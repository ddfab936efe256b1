"""Generates everything that follows from the declarations of commands.

Input: commands/*.toml (see commands/README.md). Use: commands.py OUTPUT_DIRECTORY DECLARATION.toml...
Writes args.h, commands.h, commands.c, command_docs.c, commands.json, resp.dict, command-reference.md,
cli_commands.c.
"""

import pathlib
import sys

from command_cli import emit_cli
from command_docs import emit_dictionary, emit_docs, emit_json
from command_model import load_commands
from command_pages import emit_pages
from command_parser import emit_args_header
from command_table import emit_commands_header, emit_table
from common import run, write_if_changed

OUTPUTS = {
    "args.h": emit_args_header,
    "commands.h": emit_commands_header,
    "commands.c": emit_table,
    "command_docs.c": emit_docs,
    "commands.json": emit_json,
    "resp.dict": emit_dictionary,
    "command-reference.md": emit_pages,
    "cli_commands.c": emit_cli,
}


def main():
    if len(sys.argv) < 3:
        sys.exit("use: commands.py OUTPUT_DIRECTORY DECLARATION.toml...")
    folder = pathlib.Path(sys.argv[1])
    commands = load_commands(sys.argv[2:])
    for name, emit in OUTPUTS.items():
        write_if_changed(folder / name, emit(commands))


if __name__ == "__main__":
    run(main)
