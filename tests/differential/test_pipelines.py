"""Random pipelines on our server, with different numbers of I/O threads, and on redis-server 7.0: the same replies, the same contents.

What is executed in rows, in place or ahead of its turn must not be told from what is executed command by command.

SKUA_SEED=n repeats a run; SKUA_COMMANDS=n changes its length.
"""
import os
import random

import pytest

from harness.server import REDIS, SKUA, Server

from .pipelines import Pipelines
from .session import Difference, Duel, show_steps, shrink

SEED = int(os.environ.get("SKUA_SEED", "20261122"))
COMMANDS = int(os.environ.get("SKUA_COMMANDS", "200000")) // 4  # of each number of threads
STEPS = 400  # of one sequence
# Values become large after a few steps, so that they change their encodings.
CONFIG = {"list-max-listpack-size": 8, "hash-max-listpack-entries": 8, "zset-max-listpack-entries": 8, "set-max-intset-entries": 8}
OURS = {"set-max-listpack-entries": 8}  # newer than redis-server 7.0


@pytest.mark.parametrize("io_threads", [0, 1, 4])
def test_pipelines_get_the_same_replies(io_threads):
    kind = os.environ.get("SKUA_TEST_SERVER", SKUA)
    rng = random.Random(f"{SEED} {io_threads}")
    pipelines = Pipelines(rng)
    with Server(kind, "unix", io_threads, CONFIG | (OURS if kind == SKUA else {})) as ours, Server(REDIS, "unix", 0, CONFIG) as theirs:
        duel = Duel(ours, theirs, None)
        while duel.count < COMMANDS:
            steps, apart, events = pipelines.sequence(STEPS)
            try:
                duel.run_pipelined(steps, apart, events)
            except Difference as first:
                steps, smallest = shrink(lambda shorter: duel.run_pipelined(shorter, apart, events), steps)
                pytest.fail(f"SKUA_SEED={SEED}: an unexplained difference.\n{smallest or first}\n"
                            f"Shortest sequence ({'connections apart' if apart else 'in turns'}{', with events' if events else ''}):\n"
                            f"{show_steps(steps) if smallest else '(it does not show again by itself)'}", pytrace=False)
        if io_threads > 0 and kind == SKUA:
            assert int(ours.connect().info("direct")["direct_reads_foreseen"]) > 0, "no SET stood beside a read"
        ours.check_alive()
        print(f"{duel.count} commands, explained: {duel.explained}")
