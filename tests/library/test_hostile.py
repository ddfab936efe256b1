"""What a server can do to a client: each ends in a status and a text, never in a crash, a leak or a wait for ever.

A connection that waits is bounded by the timeouts that the test sets. The driver checks that all memory was given back.
"""
import contextlib
import socket
import threading

import pytest

from library.drive import quote
from library.hostile import Connection, accept_anything, say

REPLY = b"*3\r\n$5\r\nhello\r\n:42\r\n*1\r\n$-1\r\n"
SHOWN = '["hello" :42 [nil]]'


def lost(driver):
    """(status, text) of a client that is lost for good."""
    status, state, text = driver("state").split(" ", 2)
    assert state == "FAILED"
    return status, text


# ---- Slow and cut ------------------------------------------------------------------------------------------------


def test_a_reply_may_come_byte_by_byte(driver, hostile):
    def handler(connection, number):
        while True:
            connection.request()
            connection.dribble(REPLY)

    driver(f"connect {hostile(handler).url}")
    assert driver.last("command GET x") == SHOWN
    assert driver.last("command GET x") == SHOWN


def test_items_may_come_byte_by_byte(driver, hostile):
    server = hostile(lambda connection, number: (connection.request(), connection.dribble(REPLY),
                                                 connection.wait_closed()))
    driver(f"connect {server.url}")
    driver("append GET x")
    assert driver.last("items 1") == "5 OK"


def test_a_handshake_may_come_byte_by_byte(driver, hostile):
    def handler(connection, number):
        assert connection.request() == [b"HELLO", b"3", b"AUTH", b"ann", b"pw", b"SETNAME", b"n"]
        assert connection.request() == [b"SELECT", b"4"]
        connection.dribble(b"%2\r\n$6\r\nserver\r\n$1\r\nx\r\n$5\r\nproto\r\n:3\r\n+OK\r\n")
        connection.wait_closed()

    server = hostile(handler)
    assert driver(f"connect {server.url} protocol=3 user=ann password=pw name=n db=4") == "OK READY"
    assert driver("about").startswith("protocol 3 ")


@pytest.mark.parametrize("end", [Connection.close, Connection.reset])
def test_a_reply_may_be_cut_at_each_byte(driver, hostile, end):
    def handler(connection, number):
        connection.request()
        connection.send(REPLY[:number])
        end(connection)

    server = hostile(handler)
    for size in range(len(REPLY)):
        assert driver(f"connect {server.url}") == "OK READY"
        status = driver.last("command GET x")
        assert status in (["CLOSED"] if end is Connection.close else ["CLOSED", "IO"]), size
        assert lost(driver)[0] == status
        driver("close")


def test_a_reply_that_is_whole_counts_even_if_the_server_then_hangs_up(driver, hostile):
    server = hostile(say(REPLY, then=Connection.close))
    driver(f"connect {server.url}")
    driver("append GET x")
    driver("append GET y")
    assert driver.last("get") == SHOWN
    assert driver.last("get") == "CLOSED"
    assert driver.last("get") == "USE"
    assert lost(driver) == ("CLOSED", f"{server.address} closed the connection")


def test_replies_that_came_are_delivered_before_the_rest_fails(driver, hostile):
    def handler(connection, number):
        for _ in range(4):
            connection.request()
        connection.send(b":1\r\n:2\r\n:3\r\n")
        connection.close()

    driver(f"connect {hostile(handler).url}")
    driver("append A")
    driver("submit b B")
    driver("append C")
    driver("submit d D")
    assert driver("loop 2 FAILED") == ["callback b OK :2", "callback d CLOSED", "state FAILED"]
    assert driver("item") == ["item 0 1 :1", "item 0 1 :3", "USE"]


# ---- Lies --------------------------------------------------------------------------------------------------------

NOT_RESP = [b"hello\r\n", b"\0\0\0\0", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x01\x02\x00", b"$abc\r\n",
            b"*x\r\n", b":12a\r\n", b"$-2\r\n", b"*-7\r\n", b"$5\r\nhelloXX", b"$3\r\nhello\r\n", b"#x\r\n", b",1.2.3\r\n",
            b"+OK\n\n\r:\r\n" b"\xff" * 3, b"%-1\r\n", b"$99999999999999999999999\r\n", b"*18446744073709551615\r\n"]


@pytest.mark.parametrize("answer", NOT_RESP)
@pytest.mark.parametrize("ask", ["command GET x", "items 1"])
def test_what_is_not_resp_ends_the_connection(driver, hostile, answer, ask):
    server = hostile(say(answer + b"\r\n"))
    driver(f"connect {server.url} command_timeout_ms=20000")
    if ask == "items 1":
        driver("append GET x")
    assert driver.last(ask).split()[-1] in ("PROTOCOL", "LIMIT")
    status, text = lost(driver)
    assert status in ("PROTOCOL", "LIMIT") and text.startswith(server.address) and "byte" in text


TOO_MUCH = {
    "a long string": (b"$1001\r\n", "string_max=1000"),
    "many elements": (b"*1001\r\n", "element_max=1000"),
    "many pairs": (b"%501\r\n", "element_max=1000"),
    "a long reply": (b"*9\r\n" + 9 * (b"$200\r\n" + b"x" * 200 + b"\r\n"), "reply_max=1000"),
    "deep nesting": (b"*1\r\n" * 10000, "db=0"),
    "a huge string": (b"$2147483648\r\n", "db=0"),
    "a huge array": (b"*9223372036854775807\r\n", "db=0"),
    "a line without an end": (b"+" + b"x" * 2_000_000, "reply_max=1000000"),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_reply_beyond_a_limit_ends_the_connection(driver, hostile, name):
    answer, option = TOO_MUCH[name]
    server = hostile(say(answer))
    driver(f"connect {server.url} {option}")
    assert driver.last("command GET x") in ("LIMIT", "PROTOCOL")
    assert lost(driver)[0] in ("LIMIT", "PROTOCOL")


def test_an_announced_size_costs_no_memory(driver, hostile):
    server = hostile(say(b"*200000000\r\n*200000000\r\n$500000000\r\nabc"))
    driver(f"connect {server.url} command_timeout_ms=200")
    driver("memory 0")
    assert driver.last("command GET x") == "TIMEOUT"
    calls = int(driver("blocks").split()[1])
    assert calls < 10


def test_a_string_shorter_than_announced_is_waited_for(driver, hostile):
    server = hostile(say(b"$10\r\nabc"))
    driver(f"connect {server.url} command_timeout_ms=100")
    assert driver.last("command GET x") == "TIMEOUT"
    assert lost(driver)[0] == "TIMEOUT"


def test_endless_data_is_bounded_by_the_limit_of_a_reply(driver, hostile):
    def handler(connection, number):
        connection.request()
        connection.send(b"*100000000\r\n")
        while True:
            connection.send(b":1\r\n" * 10000)

    driver(f"connect {hostile(handler).url} reply_max=3000000")
    assert driver.last("command GET x") == "LIMIT"


# ---- Too many replies, and too few -------------------------------------------------------------------------------


def test_a_reply_that_nobody_asked_for(driver, hostile):
    server = hostile(say(b"+OK\r\n+OK\r\n"))
    driver(f"connect {server.url}")
    assert driver.last("command GET x") == '+"OK"'
    assert driver.last("wait 20000") == "PROTOCOL"
    assert lost(driver) == ("PROTOCOL", f"{server.address}: a reply that nobody asked for")


def test_an_error_that_nobody_asked_for_becomes_the_reason(driver, hostile):
    def handler(connection, number):
        connection.send(b"-ERR max number of clients reached\r\n")
        connection.close()

    driver(f"connect {hostile(handler).url}")
    assert driver.last("wait 20000") == "CLOSED"
    assert lost(driver) == ("CLOSED", "ERR max number of clients reached")


def test_an_error_instead_of_a_handshake_is_a_refusal(driver, hostile):
    def handler(connection, number):
        connection.send(b"-ERR max number of clients reached\r\n")
        connection.close()

    assert driver(f"connect {hostile(handler).url} db=1") == "REFUSED FAILED ERR max number of clients reached"


def test_a_server_that_never_answers(driver, hostile):
    server = hostile(lambda connection, number: connection.wait_closed())
    driver(f"connect {server.url} command_timeout_ms=100")
    assert driver.last("command GET x") == "TIMEOUT"
    assert lost(driver) == ("TIMEOUT", f"{server.address}: no reply in time")


def test_callbacks_of_all_requests_are_called_after_a_timeout(driver, hostile):
    driver(f"connect {hostile(lambda connection, number: connection.wait_closed()).url}")
    driver("submit a GET a")
    driver("timeout 100")
    driver("submit b GET b")
    assert driver("loop 2 FAILED") == ["callback a TIMEOUT", "callback b TIMEOUT", "state FAILED"]


def test_a_timeout_counts_for_requests_submitted_from_then_on(driver, hostile):
    def handler(connection, number):
        connection.request()
        connection.send(b":1\r\n")
        connection.wait_closed()

    driver(f"connect {hostile(handler).url} command_timeout_ms=1")
    driver("timeout -1")
    assert driver.last("command BLPOP") == ":1"
    driver("timeout 50")
    assert driver.last("command GET") == "TIMEOUT"


# ---- Connecting --------------------------------------------------------------------------------------------------


def test_nobody_listens(driver, hostile):
    server = hostile(accept_anything)
    server.stop_listening()
    assert driver(f"connect {server.url}") == f"IO FAILED connect to {server.address}: Connection refused"
    assert driver.last("command PING") == "IO"
    assert driver("append PING") == "USE"
    assert driver.last("get") == "USE"


def test_no_such_socket(driver, tmp_path):
    path = tmp_path / "none"
    assert driver(f"connect unix://{path}") == f"IO FAILED connect to {path}: No such file or directory"


def test_a_path_that_is_too_long(driver):
    assert "longer than 107 bytes" in driver(f"connect unix:///{'x' * 200}")


def test_no_such_host(driver):
    answer = driver("connect redis://host.invalid")
    assert answer.startswith("RESOLVE FAILED look up host.invalid: ")


def test_a_client_may_be_closed_while_its_host_is_looked_up(driver):
    for _ in range(20):
        assert driver("open redis://host.invalid") == "OK"
        driver("close")


def test_schemes_that_are_not_there(driver):
    assert driver("connect rdma://host") == "UNSUPPORTED FAILED rdma:// is not in this version of libskua"
    assert driver("connect rediss://host") == "UNSUPPORTED FAILED rediss:// (TLS) is not in this version of libskua"
    assert driver("open rdma://x") == "UNSUPPORTED"


def test_a_unix_socket_with_a_full_queue_is_waited_for_without_a_descriptor(driver, tmp_path):
    path = str(tmp_path / "full")
    listener, others = socket.socket(socket.AF_UNIX), []
    listener.bind(path)
    listener.listen(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            others.append(socket.socket(socket.AF_UNIX))
            others[-1].setblocking(False)
            others[-1].connect(path)
    driver(f"open unix://{path}")
    driver("watch")
    assert driver.last("run") == "run OK"
    assert driver.last("watching") in ("none later", "none now"), "poll() would find a socket that is not connected ready again and again"
    listener.accept()
    assert "state READY" in driver("loop 0 READY")
    for sock in [listener, *others]:
        sock.close()


def test_a_url_that_cannot_be_understood(driver):
    assert driver("connect nonsense").startswith("URL FAILED URL: ")
    assert driver("open nonsense") == "URL"
    assert "secret" not in driver("connect redis://:secret@host:99999")
    assert driver.last("command PING") == "URL"
    assert driver.last("reconnect") == "reconnect URL"


def test_a_server_that_accepts_and_hangs(driver, hostile):
    server = hostile(lambda connection, number: connection.wait_closed())
    answer = driver(f"connect {server.url} db=1 connect_timeout_ms=100")
    assert answer == f"TIMEOUT FAILED handshake with {server.address}: no answer within 100 ms"


def test_a_server_that_closes_within_the_handshake(driver, hostile):
    answers = b"%1\r\n$5\r\nproto\r\n:3\r\n+OK\r\n"

    def handler(connection, number):
        connection.request()
        connection.request()
        connection.send(answers[:number])
        connection.close()

    server = hostile(handler)
    for _ in answers:
        assert driver(f"connect {server.url} protocol=3 db=1") == \
            f"CLOSED FAILED {server.address} closed the connection"
        driver("close")


def test_a_refused_password(driver, hostile):
    server = hostile(say(b"-WRONGPASS invalid username-password pair\r\n"))
    assert driver(f"connect {server.url} password=x reconnect_max=-1") == \
        "REFUSED FAILED WRONGPASS invalid username-password pair"


@pytest.mark.parametrize("url, options, expected", [
    ("ann:url@", "", [b"AUTH", b"ann", b"url"]),
    ("ann:url@", "password=mine", [b"AUTH", b"ann", b"mine"]),
    ("ann:url@", "user=bob", [b"AUTH", b"bob", b"url"]),
    (":url@", "", [b"AUTH", b"url"]),
    (":url@", "protocol=3", [b"HELLO", b"3", b"AUTH", b"default", b"url"]),
])
def test_options_win_over_the_url(driver, hostile, url, options, expected):
    def handler(connection, number):
        assert connection.request() == expected
        connection.send(b"*0\r\n" if expected[0] == b"HELLO" else b"+OK\r\n")
        connection.wait_closed()

    server = hostile(handler)
    assert driver(f"connect redis://{url}{server.address} {options}") == "OK READY"


def test_a_user_without_a_password_is_refused(driver):
    assert driver("connect redis://localhost:1 user=ann") == "USE FAILED user ann: without a password"


def test_each_address_of_a_name_is_tried(driver, hostile):
    server = hostile(accept_anything)  # on 127.0.0.1 only; the name may stand for ::1 as well
    assert driver(f"connect redis://localhost:{server.port}") == "OK READY"
    assert driver("command PING") == '+"OK"'


def test_a_refused_database_and_protocol(driver, hostile):
    server = hostile(say(b"-ERR DB index is out of range\r\n"))
    assert driver(f"connect {server.url} db=99") == "REFUSED FAILED ERR DB index is out of range"
    server = hostile(say(b"-ERR unknown command 'HELLO'\r\n"))
    assert driver(f"connect {server.url} protocol=3") == "REFUSED FAILED ERR unknown command 'HELLO'"


@pytest.mark.parametrize("answer", [b"+OK\r\n", b":3\r\n", b"$-1\r\n", b"garbage\r\n"])
def test_an_answer_to_hello_that_is_none(driver, hostile, answer):
    assert driver(f"connect {hostile(say(answer)).url} protocol=3").startswith("PROTOCOL FAILED ")


def test_a_server_that_accepts_a_lower_protocol(driver, hostile):
    server = hostile(say(b"*2\r\n$5\r\nproto\r\n:2\r\n"))
    driver(f"connect {server.url} protocol=3")
    assert driver("about").startswith("protocol 2 ")


def test_commands_wait_until_the_handshake_is_over(driver, hostile):
    asked, looked_at = threading.Event(), threading.Event()

    def handler(connection, number):
        assert connection.request() == [b"AUTH", b"pw"]
        asked.set()
        looked_at.wait(60)
        connection.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.sock.recv(1)  # a command that was sent would be here by now
        connection.sock.setblocking(True)
        connection.send(b"+OK\r\n")
        assert connection.request() == [b"GET", b"x"]
        connection.send(b":7\r\n")
        connection.wait_closed()

    driver(f"open {hostile(handler).url} password=pw")
    driver("submit x GET x")
    assert driver("loop 0 HANDSHAKE") == "state HANDSHAKE"
    driver("run")
    assert asked.wait(60)
    driver("run")
    looked_at.set()
    assert driver("loop 1 READY") == ["state READY", "callback x OK :7"]


def test_a_local_address(driver, hostile):
    server = hostile(accept_anything)
    assert driver(f"connect {server.url} source_address=127.0.0.2") == "OK READY"
    assert driver("command PING") == '+"OK"'
    assert server.connections[0].sock.getpeername()[0] == "127.0.0.2"
    assert driver(f"connect {server.url} source_address=nonsense") == \
        "USE FAILED source_address nonsense is not numeric"
    assert driver(f"connect {server.url} source_address=192.0.2.1") == \
        f"IO FAILED connect to {server.address}: Cannot assign requested address"


# ---- Sending -----------------------------------------------------------------------------------------------------


def hold(connection, number):
    """Neither receives nor closes."""
    connection.ended.wait()


def test_a_server_that_stops_reading_fills_the_output(driver, hostile):
    driver(f"connect {hostile(hold).url} output_max=1000000")
    assert driver(f"raw 1 {quote(b'x' * 1000)} 2000") == "FULL"
    assert driver("about").startswith("protocol 2 pending 1000 ")


def test_a_server_that_stops_reading_is_noticed_by_the_timeout(driver, hostile):
    driver(f"connect {hostile(hold).url} command_timeout_ms=300")
    assert driver(f"raw 1 {quote(b'x' * 10000)} 3000") == "OK"
    assert driver.last("flush") == "TIMEOUT"


def test_too_many_requests(driver, hostile):
    driver(f"connect {hostile(lambda connection, number: connection.wait_closed()).url} pending_max=3")
    assert driver("raw 2 PING") == "OK"
    assert driver("raw 2 PING") == "FULL"
    assert driver("submit a PING") == "submit OK"
    assert driver("submit b PING") == "submit FULL"
    assert driver("append PING") == "FULL"
    assert driver.last("command PING") == "FULL"
    assert driver("about").startswith("protocol 2 pending 3 ")
    assert driver("close") == "callback a CLOSED"


def test_a_server_that_resets(driver, hostile):
    def handler(connection, number):
        connection.request()
        connection.reset()

    driver(f"connect {hostile(handler).url}")
    assert driver.last("command GET x") in ("IO", "CLOSED")


def test_sending_to_a_server_that_is_gone_raises_no_signal(driver, hostile):
    def handler(connection, number):
        connection.sock.recv(10)
        connection.reset()

    driver(f"connect {hostile(handler).url}")
    driver(f"raw 1 {quote(b'x' * 10000)} 2000")
    assert driver.last("flush") in ("IO", "CLOSED")
    assert driver.last("getall").startswith("0 ")
