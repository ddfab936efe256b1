"""The examples of the tools in the documentation: fenced blocks marked `console`. Behind `$ ` stands a command line for a
shell, below it what it writes; `…` stands for anything, also for any lines. Port 6379 means a server of ours, 6380 Debian's."""
import os
import re
import subprocess

import pytest

from harness.server import REDIS, ROOT, SKUA, Server


def examples():
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for number, block in enumerate(re.findall(r"^```console\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL), 1):
            yield pytest.param(block, id=f"{page.stem} {number}")


@pytest.fixture
def servers():
    with Server(SKUA) as ours, Server(REDIS) as theirs:
        yield {"6379": str(ours.port), "6380": str(theirs.port)}


def test_there_are_examples():
    assert len(list(examples())) >= 10


@pytest.mark.parametrize("block", examples())
def test_example(block, servers, tmp_path):
    env = {**os.environ, "PATH": f"{ROOT / 'build' / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = step.partition("\n")
        command = re.sub(r"\b(6379|6380)\b", lambda port: servers[port[1]], command)
        result = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, cwd=tmp_path, env=env, timeout=60)
        shown = result.stdout
        pattern = ".*".join(map(re.escape, expected.rstrip().split("…")))
        assert re.fullmatch(pattern, shown.rstrip(), re.DOTALL), f"{command}\n{shown}\nexpected:\n{expected}"


def readme_commands():
    """Those that the README shows for a server on the usual port."""
    text = (ROOT / "README.md").read_text()
    return [line.partition("#")[0].split() for line in text.splitlines() if line.startswith("build/bin/skua-")]


def test_the_commands_of_the_readme(servers):
    commands = readme_commands()
    assert {command[0] for command in commands} == {f"build/bin/skua-{name}" for name in ("cli", "bench", "top")}
    for program, *arguments in commands:
        screen = ["--once"] if program.endswith("top") else []
        result = subprocess.run([program, "-p", servers["6379"], *screen, *arguments], cwd=ROOT, capture_output=True,
                                text=True, timeout=60)
        assert result.returncode == 0 and result.stdout, result.stderr
