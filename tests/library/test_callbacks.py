"""Callbacks: once each, in order, whatever they do inside."""
from library.hostile import accept_anything


def numbers(connection, number):
    """Answers requests with 0, 1, 2, …"""
    count = 0
    while True:
        connection.request()
        connection.send(b":%d\r\n" % count)
        count += 1


def test_callbacks_and_taken_replies_come_in_order(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    driver("submit a A")
    driver("append B")
    driver("submit c C")
    driver("append D")
    assert driver("get") == ["callback a OK :0", ":1"]
    assert driver("get") == ["callback c OK :2", ":3"]
    assert driver("get") == "USE"


def test_a_callback_waits_until_earlier_replies_were_taken(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    driver("append A")
    driver("submit b B")
    assert driver("wait 20000") == "OK"
    assert driver("item") == ["item 0 1 :0", "USE"]
    assert driver("wait 20000") == ["callback b OK :1", "OK"]


def test_a_callback_may_submit(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    driver("plan a \"submit b B\"")
    driver("plan b \"submit c C\"")
    driver("submit a A")
    assert driver("loop 3 READY") == ["callback a OK :0", "submit OK", "callback b OK :1", "submit OK",
                                      "callback c OK :2"]


def test_a_callback_may_close(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    driver("plan a close")
    driver("submit a A")
    driver("submit b B")
    driver("append C")
    assert driver("loop 9 READY") == ["callback a OK :0", "callback b CLOSED"]
    assert driver("state") == "no client"


def test_a_callback_may_close_during_a_blocking_call(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    driver("plan a close")
    driver("submit a A")
    assert driver("command B") == ["callback a OK :0", "closed"]


def test_a_callback_of_a_closed_client_may_do_anything(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    for plan in ("submit c C", "reconnect", "run", "about"):
        driver(f"plan a \"{plan}\"")
        driver("submit a A")
        answer = driver("close")
        assert answer[0] == "callback a CLOSED"
        assert answer[1].split()[-1] in ("USE", "OK") or plan == "about"
        driver(f"connect {hostile(numbers).url}")


def test_waiting_inside_a_callback_is_refused(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    for wait in ("get", "command X", "flush", "wait 10", "take 1"):
        driver(f"plan a \"{wait}\"")
        driver("submit a A")
        assert driver("loop 1 READY")[1] in ("USE", "OK")
    assert driver("command LAST") == ":5"


def test_skua_run_inside_a_callback_leaves_the_work_to_the_run_outside(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    driver("plan a run")
    driver("submit a A")
    driver("submit b B")
    assert driver("loop 2 READY") == ["callback a OK :0", "run OK", "callback b OK :1"]


def test_a_reply_may_be_kept(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    driver("keep")
    driver("submit a A")
    driver("loop 1 READY")
    driver("close")
    assert driver("kept") == ":0"


def test_closing_calls_every_callback_once(driver, hostile):
    driver(f"connect {hostile(lambda connection, number: connection.wait_closed()).url}")
    for tag in "abc":
        driver(f"submit {tag} X")
    driver("run")
    driver("submit d X")
    assert driver("close") == [f"callback {tag} CLOSED" for tag in "abcd"]


def test_closing_before_it_is_connected(driver, hostile):
    driver(f"open {hostile(accept_anything).url} db=1")
    driver("submit a X")
    assert driver("close") == "callback a CLOSED"


def test_states_are_told_and_a_callback_may_use_them(driver, hostile):
    driver(f"open {hostile(numbers).url}")
    driver("plan READY \"submit a A\"")
    assert driver("loop 1 READY") == ["state HANDSHAKE", "state READY", "submit OK", "callback a OK :0"]
    driver("plan FAILED close")


def test_a_state_callback_may_close(driver, hostile):
    server = hostile(accept_anything)
    server.stop_listening()
    driver(f"open {server.url}")
    driver("plan FAILED close")
    assert driver("loop 0 READY") == "state FAILED"


def test_watching_changes_only_when_something_has_changed(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    driver("watch")
    assert driver("submit a A") == ["watch some read now", "submit OK"]
    assert driver("submit b B") == "submit OK"
    assert driver("run") == ["watch some read never", "run OK"]
    assert driver("loop 2 READY") == ["callback a OK :0", "callback b OK :1"]
    assert driver("close") == "watch none never"


def test_the_descriptor_is_given_up_before_it_is_closed(driver, hostile):
    server = hostile(lambda connection, number: (connection.request(), connection.close()))
    driver(f"connect {server.url}")
    driver("watch")
    driver("submit a A")
    lines = driver("loop 1 FAILED")
    assert lines[0] == "watch some read never"
    assert [line for line in lines if line.startswith("watch")][1] in ("watch none now", "watch none never")
    assert lines[-2:] == ["state FAILED", "watch none never"]


def test_reconnecting_inside_the_watch_callback(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    driver("watch")
    driver("plan watch reconnect")
    lines = driver("submit a A")
    assert lines == ["watch some read now", "reconnect OK", "watch none now", "submit OK"]
    assert "callback a CLOSED" in driver("loop 1 READY")
    assert driver.last("command B") == ":0"


def test_items_inside_callbacks(driver, hostile):
    driver(f"connect {hostile(numbers).url}")
    driver("plan a item")
    driver("submit a A")
    driver("append B")
    answer = driver("loop 1 READY")
    assert answer[0] == "callback a OK :0" and answer[-1] in ("AGAIN", "USE")


def test_untaken_replies_stop_the_receiving(driver, hostile):
    size = 1_000_000

    def handler(connection, number):
        for _ in range(8):
            connection.request()
        for _ in range(8):
            connection.send(b"$%d\r\n" % size + b"x" * size + b"\r\n")
        connection.wait_closed()

    driver(f"connect {hostile(handler).url}")
    driver("watch")
    for _ in range(8):
        driver("append X")
    lines = []
    while "watch some never" not in lines:
        lines = driver("run")
        lines = [lines] if isinstance(lines, str) else lines
    assert driver("getall") == ["watch some read never", "8 USE"]
    assert driver("about").startswith("protocol 2 pending 0 ")


def test_taking_a_reply_tells_of_the_callback_behind_it(driver, hostile):
    def handler(connection, number):
        connection.request()
        connection.request()
        connection.send(b":0\r\n:1\r\n")
        connection.wait_closed()

    driver(f"connect {hostile(handler).url}")
    driver("watch")
    driver("append A")
    driver("submit b B")
    answer = driver("wait 20000")
    assert answer[-2:] == ["watch some read now", "OK"], "nothing more will be readable: the loop must be told"
    assert driver("get") == ":0"
    assert driver("run") == ["callback b OK :1", "watch some read never", "run OK"]


def test_taking_replies_tells_that_more_is_received(driver, hostile):
    size = 1_000_000

    def handler(connection, number):
        for _ in range(8):
            connection.request()
        for _ in range(8):
            connection.send(b"$%d\r\n" % size + b"x" * size + b"\r\n")
        connection.wait_closed()

    driver(f"connect {hostile(handler).url}")
    driver("watch")
    for _ in range(8):
        driver("append X")
    lines = []
    while "watch some never" not in lines:
        lines = driver("run")
        lines = [lines] if isinstance(lines, str) else lines
    told = []
    for _ in range(4):  # these are all there
        answer = driver("get")
        told += answer[:-1] if isinstance(answer, list) else []
    assert "watch some read never" in told


def test_a_push_callback_may_close_while_an_item_is_taken(driver, hostile):
    def handler(connection, number):
        connection.request()
        connection.send(b":1\r\n>1\r\n+a\r\n:2\r\n")
        connection.wait_closed()

    driver(f"connect {hostile(handler).url}")
    driver("plan push close")
    driver("append A")
    driver("append B")
    driver("wait 20000")
    assert driver("get") == ":1"
    assert driver("item 1") == ["push >[+\"a\"]", "CLOSED"]
