"""The examples of skua-top in the documentation: fenced blocks marked `skua-top`. Behind `> ` stands a command, below it lines
of which each matches one of the output, in that order; `…` stands for anything."""
import re
import shlex

import pytest

from harness.server import ROOT, SKUA, Server
from top_terminal import address_of, run_top


def examples():
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for block in re.findall(r"^```skua-top\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for step in re.split(r"^> ", block, flags=re.MULTILINE)[1:]:
                command, _, expected = step.partition("\n")
                yield pytest.param(command, expected.splitlines(), id=f"{page.stem}: {command}")


@pytest.fixture(scope="module")
def server():
    with Server(SKUA) as running:
        running.connect()("SET k v")
        yield running


def test_there_are_examples():
    assert len(list(examples())) >= 4


@pytest.mark.parametrize("command, expected", examples())
def test_example(server, command, expected):
    program, *arguments = shlex.split(command)
    assert program == "skua-top"
    result = run_top(*arguments, *address_of(server))
    assert result.returncode == 0, result.stderr
    shown = iter(result.stdout.decode().splitlines())
    for line in expected:
        pattern = ".*".join(map(re.escape, line.split("…"))) + (".*" if line.endswith("…") else "")
        assert any(re.fullmatch(pattern, found.rstrip()) for found in shown), f"{line}\nnot in\n{result.stdout.decode()}"
