"""Fixtures of specs in network namespaces; they are skipped where those are not permitted, and -rs says why.

    world       an empty world (harness.netns.World), removed after the test
    servers     servers(node, kind, option=value, …) starts one on a node; all are stopped and checked at the end

Specs marked `long` run with SKUA_LONG=1 only (dev/test netns-long). SKUA_SEED: of chance.
"""
import os
import signal

import pytest

from harness.netns import NodeServer, World, why_not
from harness.server import SKUA


def pytest_collection_modifyitems(config, items):
    reason = why_not()
    for item in items:
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        elif item.get_closest_marker("long") and not os.environ.get("SKUA_LONG"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: SKUA_LONG=1"))


@pytest.fixture
def world():
    with World() as made:
        yield made


@pytest.fixture
def servers(world):
    started = []

    def begin(node, kind=SKUA, **options):
        started.append(NodeServer(node, kind, **options))
        return started[-1].start()

    yield begin
    for own in reversed(started):
        try:
            if own.process and own.process.poll() is None:
                own.process.send_signal(signal.SIGCONT)
                own.stop()
        finally:
            own.kill()
            own.remove()
