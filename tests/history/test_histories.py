"""Proves that histories are linearizable while commands on whole collections run in slices: several clients at once on
few keys, the slices as short as they can be."""
import pytest

from harness.server import REDIS, Server, is_slow_build

from .checker import check
from .model import Model
from .recorder import prepare, record
from .stories import STORIES

FILLERS = 2_000 if is_slow_build() else 10_000
SEEDS = 4  # histories of each story and cell
CELLS = [("tcp", 0), ("tcp", 4), ("unix", 0), ("unix", 4)]


@pytest.fixture(scope="module", params=CELLS, ids=[f"{transport}-{threads}" for transport, threads in CELLS])
def server(request):
    transport, threads = request.param
    kind = request.config.getoption("--server")
    if kind == REDIS and threads:
        pytest.skip("its threads are none of our business")
    options = {} if kind == REDIS else {"slice-us": 5}
    with Server(kind, transport, threads, options) as running:
        yield running


@pytest.mark.parametrize("name", STORIES)
def test_a_history_can_be_put_into_one_order(server, name):
    story = STORIES[name]
    client = server.connect()
    if server.kind != REDIS:
        client("CONFIG RESETSTAT")
    for seed in range(SEEDS):
        assert client("FLUSHALL") == "OK"
        prepare(client, story.kind, FILLERS)
        for key in story.start():
            assert client("COPY", f"origin:{story.kind}", key) == 1
        history = record(server, story, FILLERS, seed)
        check(history, Model(FILLERS), tuple(sorted(story.start().items())))
    if server.kind != REDIS:
        # Otherwise this would say nothing of slices.
        stats = client.info("stats")
        assert int(stats["slices_run"]) > int(stats["sliced_commands"]) >= SEEDS
    server.close_clients()
