"""Real programs and libraries, unchanged, over shared memory: what they ask for, and what they do when the server dies."""
import pytest

from harness.preload import Program, command_of, environment, run

LIBRARIES = ["redis-py", "asyncio", "ioredis", "phpredis", "ruby", "java"]


@pytest.fixture
def more(request, node_modules):
    return {"NODE_PATH": str(node_modules)}


@pytest.mark.parametrize("library,watch", [
    *((library, "kernel") for library in LIBRARIES),
    # One of each way to wait.
    *((library, "thread") for library in ("redis-py", "asyncio", "ioredis"))])
def test_exchange(server, library, watch, more):
    output, count = run(server, command_of(library, "exchange", server.socket_path),
                        env={**more, "SKUA_PRELOAD_WATCH": watch})
    assert output.endswith(b"done\n")
    assert count["sessions"] >= 1 and count["refused"] == 0
    assert count["bytes-read"] > 3_000_000 and count["bytes-written"] > 3_000_000


@pytest.mark.parametrize("library", LIBRARIES)
def test_server_dies_and_comes_back(server, library, more):
    with Program(command_of(library, "survive", server.socket_path), environment(server, **more)) as program:
        program.wait_for("ready")
        server.process.kill()
        server.process.wait()
        program.wait_for("told")
        server.start()
        program.process.stdin.write("go on\n")
        program.process.stdin.flush()
        program.wait_for("back")
        count = program.end()
    # A connection may still be taken by a server that is dying, and get no session.
    assert count["sessions"] == 2
