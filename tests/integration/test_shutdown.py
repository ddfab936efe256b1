"""Leaving: SIGTERM, SIGINT, SHUTDOWN with its options, and the report that a crash leaves behind."""
import os
import signal

import pytest

from harness.errors import SYNTAX_ERROR, wrong_arity
from harness.resp import Error, encode, eventually
from harness.server import is_slow_build

pytestmark = pytest.mark.core


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_with_status_0(start, which):
    server = start()
    clients = [server.connect() for _ in range(5)]
    assert all(client("PING") == "PONG" for client in clients)
    os.kill(server.pid, which)
    assert all(client.is_closed() for client in clients)
    assert server.wait_exit() == 0
    server.check_exit()


def test_the_unix_socket_is_removed(start):
    server = start()
    assert os.path.exists(server.socket_path)
    os.kill(server.pid, signal.SIGTERM)
    server.wait_exit()
    assert not os.path.exists(server.socket_path)


@pytest.mark.cells("tcp:0", "shm:4")
@pytest.mark.parametrize("command", ["SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN NOW", "SHUTDOWN nosave Now Force"])
def test_shutdown_ends_the_server_without_a_reply(start, command):
    server = start()
    client, other = server.connect(), server.connect()
    client.send(command)
    with pytest.raises(EOFError):
        client.reply()
    assert other.is_closed()
    assert server.wait_exit() == 0
    server.check_exit()


def test_shutdown_answers_errors(r):
    assert r("SHUTDOWN FOO") == SYNTAX_ERROR
    assert r("SHUTDOWN SAVE NOSAVE") == SYNTAX_ERROR
    assert r("SHUTDOWN ABORT") == Error("ERR No shutdown in progress.")
    assert r("SHUTDOWN ABORT NOW") == SYNTAX_ERROR
    assert r("PING") == "PONG"


def test_shutdown_is_refused_inside_a_transaction(r):
    r("MULTI")
    assert r("SHUTDOWN") == Error("ERR Command not allowed inside a transaction")
    assert r("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")


@pytest.mark.skua_only("it exits without sending what is still in its output buffers")
def test_replies_of_requests_before_shutdown_are_sent(start):
    server = start()
    client = server.connect()
    client.send_raw(encode("SET", "k", "v") + encode("GET", "k") + encode("SHUTDOWN", "NOSAVE"))
    assert client.replies(2) == ["OK", b"v"]
    assert client.is_closed()
    assert server.wait_exit() == 0


def test_leaving_under_load_is_clean(start):
    server = start()
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.send_raw(encode("INCR", "n") * 2000 + b"*2\r\n$4\r\nECHO\r\n$100\r\nhalf")
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait_exit() == 0
    server.check_exit()


def test_leaving_with_many_keys_and_a_full_output_buffer_is_clean(start):
    server = start(client_output_buffer_limit="normal 0 0 0", shutdown_timeout=1)
    client, lazy = server.connect(), server.connect()
    client.pipeline(*[("SET", f"key:{i}", b"v" * 100) for i in range(5000)])
    client("SET", "big", b"v" * 1_000_000)
    lazy.send_raw(encode("GET", "big") * 20)
    assert client("PING") == "PONG"
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait_exit() == 0
    server.check_exit()


@pytest.mark.parametrize("which, option", [(signal.SIGTERM, "shutdown_on_sigterm"), (signal.SIGINT, "shutdown_on_sigint")])
def test_a_signal_that_means_now_does_not_wait_for_clients(start, which, option):
    server = start(client_output_buffer_limit="normal 0 0 0", shutdown_timeout=1000, **{option: "now"})
    lazy = server.connect()
    lazy("SET", "big", b"v" * 1_000_000)
    lazy.send_raw(encode("GET", "big") * 20)
    assert server.connect()("PING") == "PONG"
    os.kill(server.pid, which)
    assert server.wait_exit() == 0


@pytest.mark.skua_only("it does not wait for clients")
def test_a_second_sigint_ends_the_wait_for_clients(start):
    server = start(client_output_buffer_limit="normal 0 0 0", shutdown_timeout=1000)
    lazy = server.connect()
    lazy("SET", "big", b"v" * 1_000_000)
    lazy.send_raw(encode("GET", "big") * 20)
    observer = server.connect()
    eventually(lambda: any(int(line["omem"]) > 500_000 for line in observer.client_list()),
               "replies nobody takes")
    os.kill(server.pid, signal.SIGINT)
    eventually(lambda: b" clients have not taken their replies" in server.log())
    os.kill(server.pid, signal.SIGINT)
    assert server.wait_exit() == 0


@pytest.mark.once
@pytest.mark.skua_only("its log does not say it")
def test_the_log_tells_how_to_connect(start):
    server = start(arguments=["--bind", "-127.0.0.1", "--requirepass", "secret"])
    assert f"connect with: skua-cli -h 127.0.0.1 -p {server.port} -a PASSWORD".encode() in server.log()


@pytest.mark.once
def test_an_address_that_is_none_is_reported(start):
    with pytest.raises(AssertionError, match="300.0.0.1"):
        start(arguments=["--bind", "300.0.0.1"])


def test_arguments_that_are_no_options_are_refused_at_start(start):
    with pytest.raises(AssertionError, match="did not start"):
        start(arguments=["--no-such-option", "1"])


def test_a_port_in_use_is_reported(start):
    first = start()
    with pytest.raises(AssertionError, match="(?i)in use"):
        start(arguments=["--port", str(first.port)])
    assert first.connect()("PING") == "PONG"


@pytest.mark.skipif(is_slow_build(), reason="the sanitizers take SIGSEGV for themselves")
@pytest.mark.parametrize("which", [signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT])
def test_a_crash_leaves_a_report_with_a_stack(start, which):
    server = start()
    client = server.connect()
    client("SET k v")
    os.kill(server.pid, which)
    status = server.wait_exit()
    assert status == -which  # the signal itself, so that a core file can be written
    log = server.log().decode(errors="replace")
    assert "BUG REPORT" in log or "crash" in log.lower()
    assert str(which.value) in log
    assert "stack" in log.lower()
    # Addresses or names of frames.
    assert log.count("0x") + log.count("+0x") >= 3


def test_wrong_use_of_shutdown_is_refused(r):
    assert r("SHUTDOWN", "a", "b", "c", "d", "e", "f") in (SYNTAX_ERROR, wrong_arity("shutdown"))
