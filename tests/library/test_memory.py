"""Memory: every allocation of a connection and its commands refused once, and all from each one on. The driver's
allocator counts: at the end nothing may be left, whatever was refused (see conftest.py)."""
import pytest

OUTCOMES = ("OK READY", "NULL", "MEMORY FAILED")


def server_of_everything(connection, number):
    """Answers the handshake of RESP3, and each request with a nested reply."""
    while True:
        request = connection.request()
        if request[0] == b"HELLO":
            connection.send(b"%1\r\n$5\r\nproto\r\n:3\r\n")
        elif request[0] in (b"SELECT", b"SET"):
            connection.send(b"+OK\r\n")
        elif request[0] == b"SUBSCRIBE":
            connection.send(b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
        else:
            connection.send(b">2\r\n+a\r\n+push\r\n", b"*2\r\n$3\r\nabc\r\n%1\r\n+k\r\n*1\r\n:1\r\n")


STEPS = ["command GET x", "set k 100000", "append GET x", "append SUBSCRIBE a", "submit a GET x", "get", "wait 1000",
         "item", "flush", "reconnect", "command GET x", "close"]


def go_through(driver, server, refusal):
    """Connects and does everything; returns how many allocations that took."""
    driver(f"memory {refusal}")
    answer = driver(f"connect {server.url} protocol=3 db=1 name=me")
    for step in STEPS:
        driver(step)
    driver("close")
    return answer, int(driver("blocks").split()[1])


@pytest.mark.parametrize("on", ["", " on"])
def test_each_allocation_may_fail(driver, hostile, on):
    server = hostile(server_of_everything)
    answer, count = go_through(driver, server, "0")
    assert answer == "OK READY" and count > 20
    for at in range(1, count + 1):
        answer, _ = go_through(driver, server, f"{at}{on}")
        assert answer.startswith(OUTCOMES), (at, answer)
        assert driver("blocks").endswith("blocks 0"), f"a leak when allocation {at} fails"


def test_a_connection_without_memory_says_so(driver, hostile):
    server = hostile(server_of_everything)
    assert driver(f"connect {server.url}") == "OK READY"
    driver("memory 1 on")
    assert driver.last("command GET x") == "MEMORY"
    driver("memory 0")
    assert driver.last("command GET x").startswith("["), "the connection is as it was"


def test_a_reply_without_memory_ends_the_connection(driver, hostile):
    server = hostile(lambda connection, number: (connection.request(), connection.send(b"*1\r\n:1\r\n" * 2),
                                                 connection.wait_closed()))
    driver(f"connect {server.url}")
    driver("append A")
    driver("append B")
    assert driver("get") == "[:1]"
    driver("memory 1 on")
    assert driver.last("get") == "MEMORY"
    driver("memory 0")
    assert driver("state").startswith("MEMORY FAILED ")


def test_a_waiting_name_needs_no_memory_of_the_callers(driver):
    driver("memory 0")
    driver("open redis://localhost:1")
    driver("close")
    assert driver("blocks").endswith("blocks 0")
