"""Reconnecting: which requests fail, which wait, when another attempt is made, and when no more."""
import re
import threading

from library.hostile import accept_anything


def echo_numbers(connection, number):
    """Answers each request with the number of its connection."""
    while True:
        connection.request()
        connection.send(b":%d\r\n" % number)


def lose_first(connection, number):
    """The first connection ends when it has been asked; the others echo their numbers."""
    if number == 0:
        connection.request()
        connection.close()
    else:
        echo_numbers(connection, number)


def test_a_request_that_was_sent_fails_and_the_next_one_finds_a_new_connection(driver, hostile):
    driver(f"connect {hostile(lose_first).url} reconnect_max=5")
    assert driver("command A") == ["state WAITING", "CLOSED"]
    assert driver("command B") == ["state CONNECTING", "state HANDSHAKE", "state READY", ":1"]
    assert driver("state") == "OK READY"


def test_what_was_not_sent_waits(driver, hostile):
    driver(f"connect {hostile(lose_first).url} reconnect_max=5")
    driver("plan a \"submit b B\"")   # inside the callback that fails: certainly not sent
    driver("submit a A")
    assert driver("loop 2 READY") == ["callback a CLOSED", "submit OK", "state WAITING", "state CONNECTING",
                                      "state HANDSHAKE", "state READY", "callback b OK :1"]


def test_requests_wait_for_a_server_that_is_not_there_yet(driver, hostile):
    server = hostile(echo_numbers)
    server.stop_listening()
    driver(f"open {server.url} reconnect_max=-1 reconnect_delay_ms=5 reconnect_delay_max_ms=20")
    driver("submit a A")
    driver("loop 0 WAITING")
    assert driver("state") == f"IO WAITING connect to {server.address}: Connection refused"
    server.listen_again()
    assert driver("loop 1 READY")[-1] == "callback a OK :0"


def test_a_waiting_request_may_time_out(driver, hostile):
    server = hostile(echo_numbers)
    server.stop_listening()
    driver(f"open {server.url} reconnect_max=-1 reconnect_delay_ms=1 reconnect_delay_max_ms=5 command_timeout_ms=50")
    driver("submit a A")
    driver("timeout -1")
    driver("submit b B")
    assert "callback a TIMEOUT" in driver("loop 1 -")
    server.listen_again()
    assert driver("loop 1 READY")[-1] == "callback b OK :0"


def test_a_request_out_of_turn_may_time_out(driver, hostile):
    def handler(connection, number):
        assert connection.request() == [b"A"]
        assert connection.request() == [b"C"]
        connection.send(b":1\r\n:2\r\n")
        connection.wait_closed()

    server = hostile(handler)
    server.stop_listening()
    driver(f"open {server.url} reconnect_max=-1 reconnect_delay_ms=1 reconnect_delay_max_ms=5")
    driver("submit a A")
    driver("timeout 20")
    driver("submit b B")
    driver("timeout -1")
    driver("submit c C")
    assert "callback b TIMEOUT" in driver("loop 1 -")
    server.listen_again()
    assert driver("loop 2 READY")[-2:] == ["callback a OK :1", "callback c OK :2"]


def test_several_requests_out_of_turn_may_time_out_the_last_one_included(driver, hostile):
    server = hostile(echo_numbers)
    server.stop_listening()
    driver(f"open {server.url} reconnect_max=-1 reconnect_delay_ms=1 reconnect_delay_max_ms=5")
    driver("submit a A")
    driver("timeout 20")
    for tag in "bcd":
        driver(f"submit {tag} " + tag * 100)
    answer = driver("loop 3 -")
    assert [line for line in answer if "callback" in line] == [f"callback {tag} TIMEOUT" for tag in "bcd"]
    server.listen_again()
    assert driver("loop 1 READY")[-1] == "callback a OK :0"


def test_attempts_end_after_reconnect_max(driver, hostile):
    server = hostile(accept_anything)
    driver(f"connect {server.url} reconnect_max=3 reconnect_delay_ms=1 reconnect_delay_max_ms=2")
    assert driver("command PING") == '+"OK"'
    server.stop_listening()
    server.connections[0].sock.shutdown(2)
    states = driver("loop 0 FAILED")
    assert states == ["state WAITING", "state CONNECTING"] * 3 + ["state FAILED"]
    assert driver("state") == f"IO FAILED connect to {server.address}: Connection refused"


def test_every_pending_request_fails_when_attempts_end(driver, hostile):
    server = hostile(accept_anything)
    server.stop_listening()
    driver(f"open {server.url} reconnect_max=2 reconnect_delay_ms=1 reconnect_delay_max_ms=2")
    driver("append A")
    driver("submit b B")
    answer = driver("loop 1 FAILED")
    assert [line for line in answer if "callback" in line] == ["callback b IO"]
    assert driver("get") == "IO"
    assert driver("get") == "USE"
    assert driver("submit c C") == "submit USE"


def test_a_server_that_accepts_and_closes_is_not_tried_without_a_delay(driver, hostile):
    server = hostile(lambda connection, number: connection.close())
    driver(f"open {server.url} reconnect_max=4 reconnect_delay_ms=1 reconnect_delay_max_ms=60000")
    states = driver("loop 0 FAILED")
    assert states.count("state WAITING") == 4, "each counts as a failed attempt, although it was READY for a moment"


def test_a_refused_handshake_is_not_tried_again(driver, hostile):
    def handler(connection, number):
        connection.request()
        connection.send(b"-WRONGPASS no\r\n")
        connection.wait_closed()

    server = hostile(handler)
    driver(f"open {server.url} password=x reconnect_max=-1")
    assert driver("loop 0 FAILED") == ["state HANDSHAKE", "state FAILED"]
    assert len(server.connections) == 1


def test_a_new_connection_shakes_hands_again(driver, hostile):
    def handler(connection, number):
        assert connection.request() == [b"AUTH", b"pw"]
        assert connection.request() == [b"SELECT", b"2"]
        assert connection.request() == [b"CLIENT", b"SETNAME", b"me"]
        connection.send(b"+OK\r\n" * 3)
        lose_first(connection, number)

    driver(f"connect {hostile(handler).url} password=pw db=2 name=me reconnect_max=5")
    driver("command A")
    assert driver("command B")[-1] == ":1"


def test_a_partly_sent_request_counts_as_sent(driver, hostile):
    go = threading.Event()

    def handler(connection, number):
        if number == 0:
            connection.sock.recv(1000)
            go.wait(60)
            connection.reset()
        else:
            echo_numbers(connection, number)

    driver(f"connect {hostile(handler).url} reconnect_max=5")
    assert driver("submit big " + "x" * 60) == "submit OK"
    for i in range(400):  # more than the sockets between the two can hold
        driver(f"submit r{i} SET x " + "y" * 60000)
    driver("run")
    go.set()
    lines = driver("loop 401 READY")
    failed = [line for line in lines if re.match(r"callback .* (CLOSED|IO)", line)]
    answered = [line for line in lines if re.match(r"callback .* OK :1", line)]
    assert failed and answered, "some were sent, others not"
    callbacks = [line.split()[1] for line in lines if line.startswith("callback")]
    assert callbacks[:401] == ["big"] + [f"r{i}" for i in range(400)], "in order"


def test_skua_reconnect_fails_all_and_begins_again(driver, hostile):
    server = hostile(lambda connection, number: echo_numbers(connection, number) if number else
                     connection.wait_closed())
    driver(f"connect {server.url}")
    driver("submit a A")
    driver("append B")
    driver("run")
    driver("submit c C")
    assert driver("reconnect") == ["callback a CLOSED", "callback c CLOSED", "state CONNECTING", "reconnect OK"]
    assert driver("about").startswith("protocol 2 pending 0 ")
    assert driver("command D") == ["state HANDSHAKE", "state READY", ":1"]


def test_skua_reconnect_leads_out_of_failed(driver, hostile):
    server = hostile(lose_first)
    driver(f"connect {server.url}")
    assert driver("command A") == ["state FAILED", "CLOSED"]
    assert driver("reconnect") == ["state CONNECTING", "reconnect OK"]
    assert driver("command B")[-1] == ":1"


def test_skua_reconnect_inside_callbacks(driver, hostile):
    driver(f"connect {hostile(echo_numbers).url}")
    driver("plan a reconnect")
    driver("submit a A")
    driver("submit b B")
    assert driver("loop 2 READY") == ["callback a OK :0", "reconnect OK", "callback b CLOSED", "state CONNECTING",
                                      "state HANDSHAKE", "state READY"]
    assert driver("command C") == ":1"


def test_the_caller_takes_what_came_before_a_loss_first(driver, hostile):
    def handler(connection, number):
        if number == 0:
            connection.request()
            connection.request()
            connection.send(b"*2\r\n$1\r\na\r\n%1\r\n+k\r\n#t\r\n")
            connection.close()
        else:
            echo_numbers(connection, number)

    driver(f"connect {hostile(handler).url} reconnect_max=5")
    driver("append A")
    driver("append B")
    driver("loop 0 lost")
    driver("append C")
    assert driver("about").startswith("protocol 2 pending 3 ")
    assert driver("item") == ['item 0 0 6[2]', 'item 1 0 "a"', 'item 1 0 11[2]', 'item 2 0 "k"', 'item 2 1 #t',
                              "CLOSED"]
    assert driver.last("get") == ":1"


def test_subscriptions_end_with_their_connection(driver, hostile):
    def handler(connection, number):
        connection.request()
        if number == 0:
            connection.send(b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
            connection.close()
        else:
            connection.send(b"*2\r\n$7\r\nmessage\r\n:1\r\n")
            connection.wait_closed()

    driver(f"connect {hostile(handler).url} reconnect_max=5")
    driver("command SUBSCRIBE a")
    driver("loop 0 lost")
    driver("loop 0 READY")
    assert driver("command LRANGE l 0 -1") == '["message" :1]'
