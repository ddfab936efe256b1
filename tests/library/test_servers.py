"""libskua with real servers: redis-server 7.0 and ours, over TCP and Unix sockets, in RESP2 and RESP3."""
import pytest

from harness.resp import eventually
from library.drive import quote


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def client(request, driver, url):
    assert driver(f"connect {url} protocol={request.param}") == "OK READY"
    driver.protocol = request.param
    driver.url = url
    return driver


def test_commands(client):
    assert client("command SET k " + quote(bytes(range(256)))) == '+"OK"'
    assert client("command STRLEN k") == ":256"
    assert client("command GET nosuch") == "nil"
    assert client("command NOSUCH") .startswith('-"ERR unknown command')
    assert client("command ECHO \"\"") == '""'
    assert client("command MSET a 1 b 2") == '+"OK"'
    assert client("command MGET a b c") == '["1" "2" nil]'


def test_the_protocol_is_the_one_that_was_asked_for(client):
    assert client("about").startswith(f"protocol {client.protocol} ")
    hello = client("command HELLO")
    assert hello.startswith("[" if client.protocol == 2 else "%[")


def test_hello_changes_the_protocol(client):
    other = 5 - client.protocol
    assert client(f"command HELLO {other}").startswith("%[" if other == 3 else "[")
    assert client("about").startswith(f"protocol {other} ")
    assert client("command HELLO 7").startswith('-"NOPROTO')
    assert client("about").startswith(f"protocol {other} ")
    assert client("command RESET") == '+"RESET"'
    assert client("about").startswith("protocol 2 ")


def test_a_large_value(client):
    size = 100_000_000
    assert client(f"set big {size}") == '+"OK"'
    assert client("command STRLEN big") == f":{size}"
    assert client("command GET big").startswith(f"<{size} bytes ")
    client("append GET big")
    client("append PING")
    assert client("items 2") == "2 OK"


def test_a_deep_pipeline(client):
    assert client("raw 2 " + quote(b"PING\r\nECHO abc\r\n") + " 50000") == "OK"
    assert client("about").startswith(f"protocol {client.protocol} pending 100000 ")
    assert client("getall") == "100000 USE"
    client("raw 2 " + quote(b"PING\r\nECHO abc\r\n") + " 50000")
    assert client("flush") == "OK"
    assert client("items 100000") == "100000 OK"


def test_many_callbacks(client):
    for i in range(200):
        client(f"submit c{i} INCR n")
    assert client("loop 200 READY") == [f"callback c{i} OK :{i + 1}" for i in range(200)]


def test_transactions(client):
    assert client("command MULTI") == '+"OK"'
    assert client("command SET a 1") == '+"QUEUED"'
    assert client("command INCR a") == '+"QUEUED"'
    assert client("command EXEC") == '[+"OK" :2]'


def confirmation(client, word, channel, count):
    mark = ">" if client.protocol == 3 else ""
    return f'{mark}["{word}" {channel} :{count}]'


def test_a_subscription_is_confirmed_channel_by_channel(client):
    first, second = confirmation(client, "subscribe", '"a"', 1), confirmation(client, "subscribe", '"b"', 2)
    assert client("command SUBSCRIBE a b") == [f"push {first}", f"push {second}", second]
    third = confirmation(client, "psubscribe", '"p*"', 3)
    assert client("command PSUBSCRIBE p*") == [f"push {third}", third]
    answer = client("command UNSUBSCRIBE")
    assert len(answer) == 3 and answer[1].endswith(":1]") and answer[2] == answer[1].removeprefix("push ")
    last = confirmation(client, "punsubscribe", '"p*"', 0)
    assert client("command PUNSUBSCRIBE") == [f"push {last}", last]
    none = confirmation(client, "unsubscribe", "nil", 0)
    assert client("command UNSUBSCRIBE") == [f"push {none}", none]
    assert client("command GET x") == "nil"


def test_messages_are_pushes(client, real):
    client("command SUBSCRIBE a")
    client("command PSUBSCRIBE b*")
    mark = ">" if client.protocol == 3 else ""
    with real.connect() as publisher:
        assert publisher("PUBLISH", "a", "hello") == 1
        assert publisher("PUBLISH", "box", "there") == 1
    assert client("loop 2 READY") == [f'push {mark}["message" "a" "hello"]',
                                      f'push {mark}["pmessage" "b*" "box" "there"]']
    assert client("command PING") == ('["pong" ""]' if client.protocol == 2 else '+"PONG"')


def test_what_looks_like_a_message_is_a_reply_to_who_has_not_subscribed(client):
    client("command RPUSH l message a b")
    client("command UNSUBSCRIBE")
    assert client("command LRANGE l 0 -1") == '["message" "a" "b"]'
    client("submit u SUBSCRIBE c")
    client("submit v UNSUBSCRIBE c")
    client("submit w LRANGE l 0 -1")
    assert client("loop 5 READY")[-1] == 'callback w OK ["message" "a" "b"]'


def test_a_refused_subscription_ends_the_request(client):
    assert client("command SUBSCRIBE").startswith('-"ERR wrong number')
    assert client("command GET x") == "nil"


def test_messages_between_replies_taken_as_items(client, real):
    client("command SUBSCRIBE a")
    with real.connect() as publisher:
        publisher("PUBLISH", "a", "1")
    client("append PING")
    answer = client("items 1")
    assert answer[0].startswith("push ") and answer[1] == ("3 OK" if client.protocol == 2 else "1 OK")


def test_monitor(client, real):
    assert client("command MONITOR") == '+"OK"'
    with real.connect() as other:
        other("SET", "key", "+1700000000.123456 [0 x]")
    lines = client("loop 1 READY")
    while "SET" not in str(lines):  # a server that tells of HELLO or CLIENT has a line before it
        lines = client("loop 1 READY")
    assert 'push +"' in str(lines)
    client("submit p PING")
    lines = client("loop 1 READY")
    while "callback p" not in str(lines):
        lines = client("loop 1 READY")
    assert 'callback p OK +"PONG"' in str(lines)
    assert client.last("command RESET") == '+"RESET"'


def skip_without_blocking(client):
    if client("command COMMAND INFO BLPOP") == "[nil]":
        pytest.skip("this server has no blocking commands")


def test_a_blocking_command_is_not_ended_by_the_timeout_of_others(client, real):
    skip_without_blocking(client)
    client("timeout 10000")
    client("submit b BLPOP list 0")
    with real.connect() as other:
        eventually(lambda: client("run") and other.info("clients")["blocked_clients"] == "1", "it is blocked")
        other("RPUSH", "list", "x")
    assert client("loop 1 READY") == 'callback b OK ["list" "x"]'


def test_a_blocking_command_may_time_out(client):
    skip_without_blocking(client)
    client("timeout 100")
    assert client.last("command BLPOP nolist 0") == "TIMEOUT"


def test_name_and_database(client):
    assert client(f"connect {client.url}?db=3&name=from-url protocol={client.protocol}") == "OK READY"
    assert client("command CLIENT GETNAME") == '"from-url"'
    client("command SET k 3")
    assert client(f"connect {client.url} db=3 name=from-options protocol={client.protocol}") == "OK READY"
    assert client("command GET k") == '"3"'
    assert client("command CLIENT GETNAME") == '"from-options"'
    assert client(f"connect {client.url}?db=3 db=0") == "OK READY"
    assert client("command GET k") == "nil"
    assert client(f"connect {client.url} db=99 protocol={client.protocol}") == \
        "REFUSED FAILED ERR DB index is out of range"


def test_passwords(client, real):
    scheme, rest = client.url.split("://")
    options = f"protocol={client.protocol}"
    with real.connect() as admin:
        admin("CONFIG", "SET", "requirepass", "s:cret")
    try:
        assert client(f"connect {client.url} password=s:cret {options}") == "OK READY"
        assert client("command PING") == '+"PONG"'
        assert client(f"connect {scheme}://:s%3acret@{rest} {options}") == "OK READY"
        assert client("command PING") == '+"PONG"'
        assert client(f"connect {client.url} user=default password=s:cret {options}") == "OK READY"
        assert client("command PING") == '+"PONG"'
        wrong = client(f"connect {client.url} password=wrong {options}")
        assert wrong.startswith("REFUSED FAILED WRONGPASS ")
        assert "cret" not in client("about")
    finally:
        client(f"connect {client.url} password=s:cret")
        assert client("command CONFIG SET requirepass \"\"") == '+"OK"'


def test_bytes_behind_a_request_without_replies(client):
    client("raw 0 " + quote(b"*2\r\n$4\r\nECHO\r\n$5\r\nbytes\r\n"))
    answer = ""
    while len(answer) < len("$5\\x0d\\x0abytes\\x0d\\x0a"):
        answer += client("take 4").strip('"')
    assert answer == "$5\\x0d\\x0abytes\\x0d\\x0a"
    assert client("command GET x") == "nil"


def test_a_client_that_is_killed_connects_again(client, real):
    assert client(f"connect {client.url} reconnect_max=10 reconnect_delay_ms=1 protocol={client.protocol}") == "OK READY"
    number = client("command CLIENT ID")[1:]
    with real.connect() as admin:
        assert admin("CLIENT", "KILL", "ID", number) == 1
    client("loop 0 lost")
    assert int(client.last("command CLIENT ID")[1:]) > int(number)


def test_by_name(driver, real):
    assert driver(f"connect redis://localhost:{real.port}") == "OK READY"
    assert driver("about").endswith(f"address localhost:{real.port}")
    assert driver("command PING") == '+"PONG"'
