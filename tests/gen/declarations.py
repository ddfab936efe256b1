"""Pieces of declarations that tests put together."""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def toml(value):
    """A value as TOML; tables are written inline."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return "{ " + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + " }"


COMMAND = {
    "summary": "Does something.", "since": "1.0.0", "complexity": "O(1)", "cost": "constant", "flags": ["fast"],
    "doc": "At length.", "reply2": "OK.",
}
KEY = {"name": "key", "type": "key", "access": ["RO"]}
