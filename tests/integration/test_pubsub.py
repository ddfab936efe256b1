"""Publish and subscribe: channels, patterns, shard channels, PUBSUB, keyspace events."""
import pytest

from harness.errors import wrong_arity
from harness.resp import Error, Push, eventually

pytestmark = pytest.mark.core


def messages(client, count):
    """What a subscriber of either protocol receives."""
    return [list(client.read()) for _ in range(count)]


# ---- Subscribing ----------------------------------------------------------------------------------------


def test_each_channel_is_answered_on_its_own(r):
    r.send("SUBSCRIBE a b a")
    assert messages(r, 3) == [[b"subscribe", b"a", 1], [b"subscribe", b"b", 2], [b"subscribe", b"a", 2]]


def test_answers_are_pushes_in_resp3(r3):
    r3.send("SUBSCRIBE a")
    reply = r3.read()
    assert isinstance(reply, Push) and reply == [b"subscribe", b"a", 1]


def test_channels_and_patterns_are_counted_together_shard_channels_apart(r):
    r.send("SUBSCRIBE a")
    r.send("PSUBSCRIBE p* q*")
    r.send("SSUBSCRIBE s t")
    r.send("PUNSUBSCRIBE p*")
    r.send("SUNSUBSCRIBE s")
    assert messages(r, 7) == [
        [b"subscribe", b"a", 1], [b"psubscribe", b"p*", 2], [b"psubscribe", b"q*", 3], [b"ssubscribe", b"s", 1],
        [b"ssubscribe", b"t", 2], [b"punsubscribe", b"p*", 2], [b"sunsubscribe", b"s", 1]]


def test_unsubscribing_from_everything(r):
    r.send("SUBSCRIBE a b c")
    messages(r, 3)
    r.send("UNSUBSCRIBE")
    replies = messages(r, 3)
    assert {reply[1] for reply in replies} == {b"a", b"b", b"c"}
    assert [reply[2] for reply in replies] == [2, 1, 0]


@pytest.mark.parametrize("command", ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"])
def test_unsubscribing_from_nothing(r, command):
    r.send(command)
    assert messages(r, 1) == [[command.lower().encode(), None, 0]]
    assert r.raw.endswith(b"$-1\r\n:0\r\n")
    r.send(command, "never")
    assert messages(r, 1) == [[command.lower().encode(), b"never", 0]]


def test_unsubscribing_from_nothing_in_resp3(r3):
    r3.send("UNSUBSCRIBE")
    assert r3.read() == [b"unsubscribe", None, 0]
    assert r3.raw == b">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n"


@pytest.mark.parametrize("command", ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "PUBLISH", "SPUBLISH", "PUBSUB"])
def test_names_are_needed(r, command):
    assert r(command) == wrong_arity(command.lower())


def test_a_resp2_subscriber_may_do_little_else(r):
    r("SUBSCRIBE a")
    for command in ["GET", "get"]:
        assert r(command, "k") == Error(
            "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
            "context")
    assert r("CLIENT ID").startswith("ERR Can't execute 'client|id': only")
    r("UNSUBSCRIBE a")
    assert r("GET k") is None


def test_a_resp3_subscriber_may_do_everything(r3):
    r3.send("SUBSCRIBE a")
    r3.push()
    assert r3("SET k v") == "OK"
    assert r3("GET k") == b"v"


# ---- Messages -------------------------------------------------------------------------------------------


def test_publish_says_how_many_messages_it_made(r, connect):
    one, two = connect(), connect(resp=3)
    one("SUBSCRIBE a")
    two.send("SUBSCRIBE a")
    two.send("PSUBSCRIBE a* ? b")
    for _ in range(4):
        two.push()
    assert r("PUBLISH a hello") == 4
    assert r("PUBLISH b x") == 2
    assert r("PUBLISH nobody x") == 0
    assert one.read() == [b"message", b"a", b"hello"]
    got = [two.push() for _ in range(5)]
    assert got[0] == [b"message", b"a", b"hello"]
    assert sorted(map(tuple, got[1:3])) == [(b"pmessage", b"?", b"a", b"hello"), (b"pmessage", b"a*", b"a", b"hello")]
    assert sorted(map(tuple, got[3:])) == [(b"pmessage", b"?", b"b", b"x"), (b"pmessage", b"b", b"b", b"x")]


def test_names_and_messages_may_hold_any_bytes(r, connect):
    name, message = b"a\r\n\0b", bytes(range(256))
    listener = connect()
    listener("SUBSCRIBE", name)
    assert r("PUBLISH", name, message) == 1
    assert listener.read() == [b"message", name, message]
    assert r("PUBLISH", "", "") == 0
    listener("SUBSCRIBE", "")
    assert r("PUBLISH", "", "") == 1
    assert listener.read() == [b"message", b"", b""]


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 1 << 20])
def test_messages_of_any_size_reach_every_listener(r, connect, size):
    listeners = [connect(), connect(), connect(resp=3)]
    for listener in listeners:
        listener.send("SUBSCRIBE a")
        listener.read()
    message = bytes(i * 7 & 255 for i in range(size % 4096)) + b"x" * (size - size % 4096)
    assert r("PUBLISH", "a", message) == 3
    assert r("PUBLISH a end") == 3
    for listener in listeners:
        assert messages(listener, 2) == [[b"message", b"a", message], [b"message", b"a", b"end"]]


def test_messages_arrive_in_the_order_of_publishing(r, connect):
    listener = connect()
    listener("SUBSCRIBE a")
    r.pipeline(*[("PUBLISH", "a", i) for i in range(500)])
    assert [message[2] for message in messages(listener, 500)] == [b"%d" % i for i in range(500)]


def test_patterns_are_globs(r, connect):
    listener = connect()
    listener("PSUBSCRIBE", "h[ae]llo.*")
    assert r("PUBLISH hello.x 1") == 1
    assert r("PUBLISH hallo. 2") == 1
    assert r("PUBLISH hillo.x 3") == 0
    assert r("PUBLISH hello 4") == 0
    assert [message[2:] for message in messages(listener, 2)] == [[b"hello.x", b"1"], [b"hallo.", b"2"]]


def test_who_has_left_gets_nothing(r, connect):
    listener = connect()
    listener("SUBSCRIBE a")
    listener("SUBSCRIBE b")
    listener("UNSUBSCRIBE a")
    assert r("PUBLISH a x") == 0
    assert r("PUBLISH b y") == 1
    assert listener.read() == [b"message", b"b", b"y"]


def test_a_closed_connection_is_no_listener(r, connect):
    listener = connect()
    listener("SUBSCRIBE a")
    assert r("PUBLISH a x") == 1
    listener.close()
    eventually(lambda: r("PUBSUB NUMSUB a") == [b"a", 0])
    assert r("PUBLISH a x") == 0
    assert r("PUBSUB CHANNELS") == []


def test_shard_channels_are_a_world_of_their_own(r, connect):
    shard, channel, pattern = connect(), connect(), connect()
    shard("SSUBSCRIBE a")
    channel("SUBSCRIBE a")
    pattern("PSUBSCRIBE *")
    assert r("SPUBLISH a from-shard") == 1
    assert r("PUBLISH a from-channel") == 2
    assert shard.read() == [b"smessage", b"a", b"from-shard"]
    assert channel.read() == [b"message", b"a", b"from-channel"]
    assert pattern.read() == [b"pmessage", b"*", b"a", b"from-channel"]


def test_a_listener_may_publish_to_itself_in_resp3(r3):
    r3.send("SUBSCRIBE a")
    r3.push()
    assert r3("PUBLISH a x") == 1
    assert r3.push() == [b"message", b"a", b"x"]
    assert r3("PING") == "PONG"


# ---- Transactions and replies off -----------------------------------------------------------------------


def test_messages_published_in_a_transaction_arrive(r, connect):
    listener = connect()
    listener("SUBSCRIBE a")
    r("MULTI")
    r("PUBLISH a 1")
    r("PUBLISH a 2")
    assert r("EXEC") == [1, 1]
    assert [message[2] for message in messages(listener, 2)] == [b"1", b"2"]


@pytest.mark.skua_only("redis-server 7.0 puts the message between the elements of EXEC's array; later versions do not")
def test_a_push_never_stands_inside_a_reply(r3, config):
    config(notify_keyspace_events="KEA")
    r3.send("SUBSCRIBE a")
    r3.send("PSUBSCRIBE *set")
    r3.push(), r3.push()
    r3("MULTI")
    r3("SET k v")
    r3("PUBLISH a x")
    r3("GET k")
    assert r3("EXEC") == ["OK", 1, b"v"]
    assert r3.pushes == []
    assert r3.push() == [b"pmessage", b"*set", b"__keyevent@0__:set", b"k"]
    assert r3.push() == [b"message", b"a", b"x"]


def test_subscribing_in_a_transaction(r):
    r("MULTI")
    assert r("SUBSCRIBE a") == "QUEUED"
    assert r("PING") == "QUEUED"
    assert r("EXEC") == [[b"subscribe", b"a", 1], [b"pong", b""]]


def test_messages_come_through_while_replies_are_off(r3, r):
    r3.send("SUBSCRIBE a")
    r3.push()
    r3.send("CLIENT REPLY OFF")
    r3.send("PING")
    r3.send("PUBLISH a mine")
    assert r3.push() == [b"message", b"a", b"mine"]
    assert r("PUBLISH a theirs") == 1
    assert r3.push() == [b"message", b"a", b"theirs"]


def test_what_subscribing_says_comes_while_replies_are_off(r):
    r.send("CLIENT REPLY OFF")
    r.send("SUBSCRIBE a")
    r.send("PSUBSCRIBE b*")
    r.send("SUBSCRIBE")
    r.send("UNSUBSCRIBE a")
    r.send("PUNSUBSCRIBE")
    r.send("PING")
    r.send("CLIENT REPLY ON")
    assert [r.reply() for _ in range(5)] == [[b"subscribe", b"a", 1], [b"psubscribe", b"b*", 2], [b"unsubscribe", b"a", 1],
                                             [b"punsubscribe", b"b*", 0], "OK"]


# ---- PUBSUB ---------------------------------------------------------------------------------------------


def test_pubsub_channels_and_numsub(r, connect):
    one, two = connect(), connect()
    one.send("SUBSCRIBE news.a news.b other")
    two.send("SUBSCRIBE news.a")
    messages(one, 3), messages(two, 1)
    assert sorted(r("PUBSUB CHANNELS")) == [b"news.a", b"news.b", b"other"]
    assert sorted(r("PUBSUB CHANNELS news.*")) == [b"news.a", b"news.b"]
    assert r("PUBSUB CHANNELS nothing*") == []
    assert r("PUBSUB NUMSUB news.a nobody other") == [b"news.a", 2, b"nobody", 0, b"other", 1]
    assert r("PUBSUB NUMSUB") == []


def test_pubsub_numpat_counts_patterns_once(r, connect):
    one, two = connect(), connect()
    one.send("PSUBSCRIBE a* b*")
    two.send("PSUBSCRIBE a*")
    messages(one, 2), messages(two, 1)
    assert r("PUBSUB NUMPAT") == 2
    assert r("PUBSUB CHANNELS") == []


def test_pubsub_tells_of_shard_channels(r, connect):
    listener = connect()
    listener("SSUBSCRIBE s1")
    listener("SSUBSCRIBE s2")
    assert sorted(r("PUBSUB SHARDCHANNELS")) == [b"s1", b"s2"]
    assert r("PUBSUB SHARDCHANNELS *1") == [b"s1"]
    assert r("PUBSUB SHARDNUMSUB s1 s3") == [b"s1", 1, b"s3", 0]
    assert r("PUBSUB CHANNELS") == []


def test_pubsub_errors(r):
    assert r("PUBSUB NOSUCH") == Error("ERR unknown subcommand 'NOSUCH'. Try PUBSUB HELP.")
    assert r("PUBSUB NUMPAT x") == wrong_arity("pubsub|numpat")


def test_many_subscriptions_of_many_clients(r, connect):
    clients = [connect() for _ in range(10)]
    for number, client in enumerate(clients):
        client.send("SUBSCRIBE", *[f"c{i}" for i in range(number * 20, number * 20 + 200)])
        messages(client, 200)
    assert len(r("PUBSUB CHANNELS")) == 380
    assert r("PUBLISH c0 x") == 1
    assert r("PUBLISH c190 x") == 10
    for client in clients:
        client.send("UNSUBSCRIBE")
    for client in clients:
        while client.read()[-1] != 0:
            pass
    assert r("PUBSUB CHANNELS") == []


# ---- Keyspace events ------------------------------------------------------------------------------------


def test_events_are_published_where_they_were_asked_for(r, connect, config):
    listener = connect()
    listener("PSUBSCRIBE __key*")
    r("SET k 0")
    config(notify_keyspace_events="K$")
    r("SET k 1")
    config(notify_keyspace_events="E$")
    r("SET k 2")
    r("DEL k")
    config(notify_keyspace_events="KEg")
    r("SET k 3")
    r("DEL k")
    assert messages(listener, 4) == [
        [b"pmessage", b"__key*", b"__keyspace@0__:k", b"set"],
        [b"pmessage", b"__key*", b"__keyevent@0__:set", b"k"],
        [b"pmessage", b"__key*", b"__keyspace@0__:k", b"del"],
        [b"pmessage", b"__key*", b"__keyevent@0__:del", b"k"]]


def test_events_name_their_database(r, connect, config):
    config(notify_keyspace_events="EA")
    listener = connect()
    listener("SUBSCRIBE __keyevent@7__:set")
    r("SET k 1")
    r("SELECT 7")
    r("SET other 1")
    assert listener.read() == [b"message", b"__keyevent@7__:set", b"other"]


@pytest.mark.parametrize("letters, shown", [
    ("KEA", b"AKE"), ("", b""), ("Kx", b"xK"), ("mEeKEg", b"geKEm"), ("g$lshzxetdK", b"AK"), ("gn", b"gn")])
def test_letters_are_shown_in_one_order(r, config, letters, shown):
    config(notify_keyspace_events=letters)
    assert r("CONFIG GET notify-keyspace-events")[1] == shown


def test_expired_keys_are_told(r, connect, config):
    config(notify_keyspace_events="Ex")
    listener = connect()
    listener("SUBSCRIBE __keyevent@0__:expired")
    r("SET k v PX 1")
    assert listener.read() == [b"message", b"__keyevent@0__:expired", b"k"]
    assert r("EXISTS k") == 0
