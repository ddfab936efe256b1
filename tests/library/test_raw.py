"""Bytes that are not RESP: what is sent by skua_append_raw with no replies, and taken by skua_take_bytes."""
import threading

from library.drive import quote

ECHO = b"*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n"


def take(driver, size):
    """Takes exactly so many bytes, in as many pieces as that needs."""
    taken = ""
    while len(taken) < size:
        taken += driver.last(f"take {min(size - len(taken), 200)}").strip('"')
    return taken


def test_what_comes_before_all_is_sent_does_not_keep_the_rest_from_being_sent(driver, hostile):
    size = 20_000_000  # more than the sockets between the two hold

    def handler(connection, number):
        connection.send(b"x" * 1000)
        left = size
        while left > 0:
            left -= len(connection.sock.recv(1 << 20))
        connection.send(b"end")
        connection.wait_closed()

    driver(f"connect {hostile(handler).url}")
    assert driver(f"raw 0 {quote(b'y' * 1000)} {size // 1000}") == "OK"
    assert driver.last("flush") == "OK"
    assert take(driver, 1003) == "x" * 1000 + "end"


def test_bytes_that_are_not_taken_stop_the_receiving(driver, hostile):
    size = 30_000_000
    driver(f"connect {hostile(lambda connection, number: connection.send(b'x' * size)).url}")
    driver("watch")
    driver("raw 0 hello")
    lines = []
    while "watch some never" not in lines:
        lines = driver("run")
        lines = [lines] if isinstance(lines, str) else lines
    answer = "watch some never"
    while answer != "watch some read never":  # told as soon as enough was taken
        answer = driver("take 256")[0]


def test_bytes_of_a_value_that_has_begun_are_not_taken(driver, hostile):
    go = threading.Event()

    def handler(connection, number):
        assert connection.request() == [b"SELECT", b"1"]
        connection.send(b"+OK\r\n>2\r\n+a\r\n$8\r\nab")
        go.wait(60)
        connection.send(b"+b\r\n+c\r\nbytes")
        connection.wait_closed()

    driver(f"connect {hostile(handler).url} db=1")
    assert driver("wait 50") == "AGAIN"
    go.set()
    assert driver("take 9") == ['push >[+"a" "ab+b\\x0d\\x0a+c"]', '"bytes"']


def test_bytes_of_a_handshake_are_not_taken(driver, hostile):
    def handler(connection, number):
        assert connection.request() == [b"SELECT", b"1"]
        connection.dribble(b"+OK\r\n")
        connection.send(b"bytes")
        connection.wait_closed()

    driver(f"open {hostile(handler).url} db=1")
    assert driver.last("take 1") == '"b"'


def test_raw_bytes_stay_raw_when_the_first_attempt_fails(driver, hostile):
    def handler(connection, number):
        assert connection.request() == [b"ECHO", b"x"]
        connection.send(b"$1\r\nx\r\n")
        connection.wait_closed()

    server = hostile(handler)
    server.stop_listening()
    driver(f"open {server.url} reconnect_max=-1 reconnect_delay_ms=1 reconnect_delay_max_ms=5")
    driver(f"raw 0 {quote(ECHO)}")
    driver("loop 0 WAITING")
    server.listen_again()
    driver("loop 0 READY")
    assert driver("wait 50") == "AGAIN"
    assert take(driver, 19) == "$1\\x0d\\x0ax\\x0d\\x0a"


def test_raw_bytes_of_a_lost_connection_are_no_reply_to_the_next_request(driver, hostile):
    def handler(connection, number):
        connection.request()
        connection.send(b"bytes" if number == 0 else b":1\r\n")
        if number > 0:
            connection.wait_closed()
        connection.close()

    driver(f"connect {hostile(handler).url} reconnect_max=5 reconnect_delay_ms=1")
    driver(f"raw 0 {quote(ECHO)}")
    driver("loop 0 lost")
    driver("append GET x")
    assert driver("item") == "AGAIN"
    assert driver.last("get") == ":1"


def test_a_value_that_had_begun_before_raw_bytes_is_no_reply_to_them(driver, hostile):
    go = threading.Event()

    def handler(connection, number):
        connection.send(b"+O")
        go.wait(60)
        connection.send(b"K\r\n")
        connection.wait_closed()

    driver(f"connect {hostile(handler).url}")
    assert driver("wait 50") == "AGAIN"
    driver("raw 0 hello")
    go.set()
    assert driver("take 9")[-1] == "PROTOCOL"
    assert driver("about").startswith("protocol 2 pending 0 ")
