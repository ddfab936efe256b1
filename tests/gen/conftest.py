"""Makes the generator's modules importable, and declarations easy to write in a test."""
import copy
import sys

import pytest

from .declarations import COMMAND, ROOT, toml

sys.path.insert(0, str(ROOT / "dev" / "gen"))


@pytest.fixture
def declare(tmp_path):
    """declare(args=[...], key=value...) writes one command `probe`, reads it and returns it; a value of None takes
    the key out. declare.text(text) reads a whole file."""
    from command_model import load_commands

    def load(text):
        path = tmp_path / "probe.toml"
        path.write_text(text)
        return load_commands([path])

    def declare_one(args=None, **changes):
        command = copy.deepcopy(COMMAND) | changes | ({"args": args} if args is not None else {})
        lines = [f"{key} = {toml(value)}" for key, value in command.items() if value is not None]
        return load('family = "string"\n[probe]\n' + "\n".join(lines))[0]

    declare_one.text = load
    return declare_one
