"""Client-side caching: CLIENT TRACKING, CACHING, TRACKINGINFO, GETREDIR, and the messages that keep a cache true."""
import shlex

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Error, Push, Set, eventually

pytestmark = [pytest.mark.core, pytest.mark.threads]

CHANNEL = b"__redis__:invalidate"


def told(client):
    """What the client has been sent before the reply to a PING of its own: the names of each message, None for all keys."""
    client.send("PING")
    names = [message[1] for message in client.pushes]
    client.pushes.clear()
    while (value := client.read()) not in ("PONG", [b"pong", b""]):
        assert isinstance(value, list), value
        if isinstance(value, Push) and len(value) == 2:
            assert value[0] == b"invalidate", value
        else:
            assert list(value[:2]) == [b"message", CHANNEL], value
        names.append(value[-1])
    return names


def line_of(r, client_id):
    return next(line for line in r.client_list() if line["id"] == str(client_id))


@pytest.fixture
def tracker(connect):
    """tracker("OPTIN …", resp=3) is a connection that tracks."""
    def begin(options="", resp=3):
        client = connect(resp)
        assert client(f"CLIENT TRACKING on {options}") == "OK"
        return client

    return begin


@pytest.fixture
def listener(connect):
    """A RESP2 connection that has subscribed to the messages, with its id as `number`."""
    client = connect()
    client.number = client.id
    client("SUBSCRIBE", CHANNEL)
    return client


# ---- Messages -------------------------------------------------------------------------------------------


def test_a_message_names_the_key_that_has_changed(r, tracker):
    t = tracker()
    r("SET k 1")
    assert t("GET k") == b"1"
    r("SET k 2")
    assert t.push() == [b"invalidate", [b"k"]]
    assert t.raw == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"


def test_it_is_sent_once_until_the_key_is_read_again(r, tracker):
    t = tracker()
    t("GET k")
    r("SET k 1")
    r("SET k 2")
    assert told(t) == [[b"k"]]
    t("GET k")
    r("SET k 3")
    assert told(t) == [[b"k"]]


def test_what_was_not_read_is_not_told(r, tracker):
    t = tracker()
    t("GET k")
    r("SET other 1")
    assert told(t) == []


def test_a_key_that_was_not_there_counts_as_read(r, tracker):
    t = tracker()
    assert t("GET k") is None
    r("SET k 1")
    assert told(t) == [[b"k"]]


def test_every_key_of_a_command_counts(r, tracker):
    t = tracker()
    t("MGET", *(f"k{i}" for i in range(100)))
    for i in (0, 50, 99):
        r(f"SET k{i} 1")
    assert told(t) == [[b"k0"], [b"k50"], [b"k99"]]


def test_the_same_name_in_another_database_is_the_same_key(r, tracker):
    t = tracker()
    t("GET k")
    r("SELECT 1")
    r("SET k 1")
    assert told(t) == [[b"k"]]
    r("DEL k")


def test_what_a_write_reads_does_not_count(r, tracker):
    t = tracker()
    r("SET k 1")
    for command in ["INCR k", "GETSET k 3", "GETEX k"]:
        t(command)
    r("SET k 2")
    assert told(t) == []


@pytest.mark.parametrize("build, read, change", [
    ("SET k v", "GET k", "APPEND k w"),
    ("SET k v", "STRLEN k", "SETRANGE k 3 w"),
    ("SET k v", "EXISTS k", "DEL k"),
    ("SET k v", "TYPE k", "UNLINK k"),
    ("SET k v", "TTL k", "EXPIRE k 100"),
    ("SET k v EX 100", "PTTL k", "PERSIST k"),
    ("SET k 1", "GETBIT k 0", "SETBIT k 0 1"),
    ("SET k v", "GET k", "RENAME k other"),
    ("SET other v", "GET k", "RENAME other k"),
    ("SET other v", "GET k", "COPY other k"),
    ("SET k v", "DUMP k", "GETDEL k"),
    ("SET k v", "GET k", "MOVE k 1"),
    ("SET k v", "GET k", "MSET a 1 k 2"),
    ("SADD other v", "SMEMBERS k", "SINTERSTORE k other"),
    ("HSET k f v", "HGET k f", "HDEL k f"),
    ("HSET k f v", "HGETALL k", "HINCRBY k n 1"),
    ("RPUSH k a b", "LRANGE k 0 -1", "LPOP k"),
    ("RPUSH k a b", "LLEN k", "LMOVE k other LEFT LEFT"),
    ("SADD k a", "SISMEMBER k a", "SPOP k"),
    ("ZADD k 1 a", "ZSCORE k a", "ZINCRBY k 1 a"),
    ("XADD k 1 f v", "XRANGE k - +", "XADD k 2 f v"),
    ("XADD k 1 f v", "XLEN k", "XTRIM k MAXLEN 0"),
    ("PFADD k a", "PFCOUNT k", "PFADD k b"),
    ("GEOADD k 1 1 a", "GEOPOS k a", "GEOADD k 2 2 a"),
    ("RPUSH k 2 1", "LINDEX k 0", "SORT k STORE k"),
])
def test_changes_of_every_kind_are_told(r, tracker, build, read, change):
    t = tracker()
    r(build)
    t(read)
    assert not isinstance(r(change), Error)
    assert told(t) == [[b"k"]]
    r("SELECT 1")
    r("DEL k")


def test_a_command_that_changes_nothing_is_not_told(r, tracker):
    t = tracker()
    r("SADD k a")
    t("SCARD k")
    r("SADD k a")
    r("DEL other")
    r("SETRANGE other 0 ''")
    assert told(t) == []


def test_a_restored_value_is_told(r, tracker):
    r("SET k v")
    value = r("DUMP k")
    t = tracker()
    t("GET k")
    r("RESTORE", "k", 0, value, "REPLACE")
    assert told(t) == [[b"k"]]


def test_the_end_of_a_time_to_live_is_told(r, tracker):
    t = tracker()
    t.pipeline("MULTI", "SET k v PX 30", "EXISTS k", "EXEC")  # it cannot be over in between
    assert t.push() == [b"invalidate", [b"k"]]


def test_a_key_that_is_found_over_is_told_behind_the_reply(r, tracker):
    t = tracker()
    r("DEBUG SET-ACTIVE-EXPIRE 0")
    try:
        t.pipeline("MULTI", "SET k v PX 20", "GET k", "EXEC")
        while t.send("GET k") or (value := t.read()) is not None:
            assert value == b"v"
        assert t.read() == [b"invalidate", [b"k"]]
        t("GET k")
        assert told(t) == []
    finally:
        r("DEBUG SET-ACTIVE-EXPIRE 1")


@pytest.mark.skua_only("fields have times to live since Redis 7.4")
def test_a_field_whose_time_is_over_is_told(r, tracker):
    t = tracker()
    t.pipeline("MULTI", "HSET k f v g v", "HPEXPIRE k 30 FIELDS 1 f", "HGET k f", "EXEC")
    assert t.push() == [b"invalidate", [b"k"]]


def test_eviction_is_told_before_the_reply(r, tracker, config):
    t = tracker()
    r("SET k v EX 10000")
    t("GET k")
    used = int(r.info("memory")["used_memory"])
    r("SETBIT big 8000000 0")
    config(maxmemory_policy="volatile-random", maxmemory=used + 100_000)
    t.send("SETBIT small 10 0")
    assert t.read() == [b"invalidate", [b"k"]]
    t.reply()
    config(maxmemory=0)


@pytest.mark.once
def test_a_replica_tells_of_what_its_primary_changes(start):
    primary, replica = start(transport="tcp", repl_diskless_sync_delay=0), start(transport="tcp")
    writer, reader = primary.connect(), replica.connect(resp=3)
    assert writer("SET k old") == "OK"
    assert reader("CLIENT TRACKING on") == "OK"
    reader("GET k")
    assert reader("REPLICAOF", "127.0.0.1", primary.port) == "OK"
    assert reader.push() == [b"invalidate", None]  # the full synchronization
    eventually(lambda: reader("GET k") == b"old", "the data are there")
    writer("MSET other 1 k new")
    assert reader.push() == [b"invalidate", [b"k"]]
    assert reader("GET k") == b"new"
    writer("DEBUG SET-ACTIVE-EXPIRE 0")
    writer("PEXPIRE k 1")
    assert reader.push() == [b"invalidate", [b"k"]]
    reader("EXISTS k")
    eventually(lambda: writer("EXISTS k") == 0, "the primary finds it over")
    assert reader.push() == [b"invalidate", [b"k"]]


# ---- Everything at once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC"])
def test_a_flush_is_one_message_without_names(r, tracker, command):
    t, noloop, broadcast = tracker(), tracker("NOLOOP"), tracker("BCAST PREFIX x")
    t("GET k")
    assert r(command) == "OK"
    assert t.read() == [b"invalidate", None]
    assert t.raw == b">2\r\n$10\r\ninvalidate\r\n_\r\n"
    assert told(t) == [] and told(noloop) == [None] and told(broadcast) == [None]
    assert r.info("stats")["tracking_total_keys"] == "0"


def test_a_flush_of_its_own_follows_the_reply(tracker):
    t = tracker()
    t.send("FLUSHALL")
    assert t.read() == "OK"
    assert t.read() == [b"invalidate", None]


@pytest.mark.skua_only("redis-server says nothing: caches keep what another database has now")
def test_databases_that_are_swapped_are_told_like_a_flush(r, tracker):
    t = tracker()
    t("GET k")
    r("SWAPDB 0 1")
    assert told(t) == [None]
    r("SWAPDB 1 1")
    assert told(t) == []
    r("SWAPDB 0 1")


# ---- The client's own changes ---------------------------------------------------------------------------


def test_the_message_about_a_change_of_its_own_follows_the_reply(tracker):
    t = tracker()
    t("GET k")
    t.send("SET k 1")
    assert t.read() == "OK"
    assert t.read() == [b"invalidate", [b"k"]]


def test_and_never_stands_within_the_reply_to_a_transaction(tracker):
    t = tracker()
    t("MGET a b")
    t("MULTI")
    t("INCR a")
    t("GET b")
    t("FLUSHDB")
    t.send("EXEC")
    assert t.read() == [1, None, "OK"]
    assert t.read() == [b"invalidate", [b"a"]]
    assert t.read() == [b"invalidate", None]


def test_what_a_transaction_reads_counts(r, tracker):
    t = tracker()
    t.pipeline("MULTI", "GET k", "EXEC")
    r("SET k 1")
    assert told(t) == [[b"k"]]


def test_what_is_queued_has_not_been_read(r, tracker):
    t = tracker()
    t.pipeline("MULTI", "GET k")
    r("SET k 1")
    assert told_in_transaction(t) == []
    t("DISCARD")


def told_in_transaction(client):
    client.send("ECHO x")
    messages = []
    while (value := client.read()) != "QUEUED":
        messages.append(value)
    return messages


def test_noloop_leaves_out_its_own_changes(r, tracker):
    t = tracker("NOLOOP")
    t("MGET a b c")
    r("SET a 1")
    t("SET b 1")
    r("SET c 1")
    assert told(t) == [[b"a"], [b"c"]]


def test_a_served_client_is_told_behind_its_answer(r, tracker):
    t = tracker()
    r("RPUSH l2 a")
    t("LRANGE l2 0 -1")
    t.send("BLMOVE l1 l2 LEFT LEFT 0")
    eventually(lambda: r.info("clients")["blocked_clients"] == "1", "it waits")
    r("RPUSH l1 x")
    assert t.read() == b"x"
    assert t.read() == [b"invalidate", [b"l2"]]


def test_a_stream_that_is_waited_for_is_read_when_it_comes(r, tracker, is_redis):
    t = tracker()
    t.send("XREAD BLOCK 0 STREAMS k $")
    eventually(lambda: r.info("clients")["blocked_clients"] == "1", "it waits")
    r("XADD k 1 f v")
    assert t.read() == [b"invalidate", [b"k"]]
    assert t.read() == {b"k": [[b"1-0", [b"f", b"v"]]]}
    r("XADD k 2 f v")
    if not is_redis:  # 7.0 does not count it as read; later versions do
        assert told(t) == [[b"k"]]


# ---- Protocols and redirection --------------------------------------------------------------------------


def test_resp2_has_no_messages_on_the_connection_itself(r, tracker):
    t = tracker(resp=2)
    t("GET k")
    r("SET k 1")
    assert t("PING") == "PONG"


def test_resp2_gets_them_where_it_redirects_to(r, tracker, listener):
    t = tracker(f"REDIRECT {listener.number}", resp=2)
    t("GET k")
    r("SET k 1")
    assert listener.read() == [b"message", CHANNEL, [b"k"]]
    assert listener.raw == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n"
    r("FLUSHALL")
    assert listener.read() == [b"message", CHANNEL, None]


def test_a_resp2_connection_without_subscriptions_gets_nothing(r, connect, tracker):
    other = connect()
    t = tracker(f"REDIRECT {other.id}", resp=2)
    t("GET k")
    r("SET k 1")
    assert other("PING") == "PONG"


def test_a_resp3_connection_needs_no_subscription(r, connect, tracker):
    other = connect(3)
    t = tracker(f"REDIRECT {other.id}", resp=2)
    t("GET k")
    r("SET k 1")
    assert told(other) == [[b"k"]]
    assert t("PING") == "PONG"


def test_many_may_redirect_to_one(r, tracker, listener):
    first, second = (tracker(f"REDIRECT {listener.number}") for _ in range(2))
    first("GET a")
    second("GET b")
    r("MSET a 1 b 1")
    assert sorted(told(listener)) == [[b"a"], [b"b"]]


def test_a_protocol_that_changes_meanwhile(r, tracker):
    t = tracker(resp=2)
    t("GET k")
    t("HELLO 3")
    r("SET k 1")
    assert told(t) == [[b"k"]]


def test_a_redirection_to_nobody_is_told(r, connect, tracker):
    other = connect(3)
    number = other.id
    t = tracker(f"REDIRECT {number}")
    t("GET k")
    assert other("QUIT") == "OK"
    other.close()
    eventually(lambda: not any(line["id"] == str(number) for line in r.client_list()), "it is gone")
    r("SET k 1")
    assert t.push() == [b"tracking-redir-broken", number]
    assert "R" in line_of(r, t.id)["flags"]
    assert t("CLIENT TRACKINGINFO") == {
        b"flags": Set([b"on", b"broken_redirect"]), b"redirect": number, b"prefixes": []}
    assert t("CLIENT TRACKING on") == "OK"
    assert "R" not in line_of(r, t.id)["flags"]


@pytest.mark.parametrize("mode", ["OFF", "SKIP"])
def test_messages_are_no_replies(r, tracker, mode):
    t = tracker()
    t("GET k")
    t.send(f"CLIENT REPLY {mode}")
    if mode == "SKIP":
        t.send("GET k")
    else:
        eventually(lambda: line_of(r, t_id(r))["cmd"] == "client|reply", "it is off")
    r("SET k 1")
    assert t.read() == [b"invalidate", [b"k"]]
    assert t("CLIENT REPLY ON") == "OK"


def t_id(r):
    return next(line["id"] for line in r.client_list() if "t" in line["flags"])


# ---- OPTIN and OPTOUT -----------------------------------------------------------------------------------


def test_optin_counts_what_follows_caching_yes(r, tracker):
    t = tracker("OPTIN")
    t("GET a")
    assert t("CLIENT CACHING yes") == "OK"
    t("GET b")
    t("GET c")
    r("MSET a 1 b 1 c 1")
    assert told(t) == [[b"b"]]


def test_optout_counts_all_but_what_follows_caching_no(r, tracker):
    t = tracker("OPTOUT")
    t("GET a")
    assert t("CLIENT CACHING no") == "OK"
    t("GET b")
    t("GET c")
    r("MSET a 1 b 1 c 1")
    assert told(t) == [[b"a"], [b"c"]]


def test_caching_holds_for_the_whole_of_a_transaction(r, tracker):
    t = tracker("OPTIN")
    t.pipeline("CLIENT CACHING yes", "MULTI", "GET a", "GET b", "EXEC", "GET c")
    r("MSET a 1 b 1 c 1")
    assert told(t) == [[b"a"], [b"b"]]


def test_other_subcommands_of_client_do_not_end_it(r, tracker):
    t = tracker("OPTIN")
    t.pipeline("CLIENT CACHING yes", "CLIENT ID", "GET a")
    t.pipeline("CLIENT CACHING yes", "PING", "GET b")
    r("MSET a 1 b 1")
    assert told(t) == [[b"a"]]


def test_caching_needs_the_mode_for_it(r, tracker):
    needs_tracking = Error("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
                           "OPTOUT mode enabled")
    assert r("CLIENT CACHING yes") == needs_tracking
    assert r("CLIENT CACHING no") == needs_tracking
    t = tracker()
    assert t("CLIENT CACHING yes") == Error("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
    assert t("CLIENT CACHING no") == Error("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
    assert t("CLIENT CACHING maybe") == SYNTAX_ERROR
    assert t("CLIENT CACHING") == wrong_arity("client|caching")


# ---- BCAST ----------------------------------------------------------------------------------------------


def test_bcast_tells_of_every_key(r, tracker):
    t = tracker("BCAST")
    r("MSET a 1 b 1")
    assert [sorted(names) for names in told(t)] == [[b"a", b"b"]]
    r("DEL a")
    r("SET c 1")
    assert told(t) == [[b"a"], [b"c"]]


def test_bcast_with_prefixes_tells_of_what_begins_with_one(r, tracker):
    t = tracker("BCAST PREFIX user: PREFIX order:")
    r.pipeline("MULTI", "SET user:1 1", "SET user:2 1", "SET order:1 1", "SET use 1", "SET user 1", "EXEC")
    assert sorted(map(sorted, told(t))) == [[b"order:1"], [b"user:1", b"user:2"]]


def test_a_key_that_changes_several_times_in_a_turn_is_told_once(r, tracker):
    t = tracker("BCAST")
    r.pipeline("MULTI", "SET a 1", "INCR a", "DEL a", "EXEC")
    assert told(t) == [[b"a"]]


def test_the_message_about_an_own_change_follows_the_replies(tracker):
    t = tracker("BCAST")
    t.send("SET a 1")
    assert t.read() == "OK"
    assert t.read() == [b"invalidate", [b"a"]]


def test_bcast_with_noloop_leaves_out_its_own_changes(r, tracker):
    t = tracker("BCAST NOLOOP")
    r("SET a 1")
    t("SET b 1")
    r("SET c 1")
    assert told(t) == [[b"a"], [b"c"]]


def test_more_prefixes_may_follow(r, tracker):
    t = tracker("BCAST PREFIX a")
    assert t("CLIENT TRACKING on BCAST PREFIX b") == "OK"
    r("MSET a 1 b 1 c 1")
    assert sorted(told(t)) == [[b"a"], [b"b"]]
    assert sorted(t("CLIENT TRACKINGINFO")[b"prefixes"]) == [b"a", b"b"]


def test_keys_that_were_read_before_are_not_told_by_name_any_more(r, tracker):
    t = tracker()
    t("GET k")
    t("CLIENT TRACKING off")
    t("CLIENT TRACKING on BCAST PREFIX other")
    r("SET k 1")
    assert told(t) == []


def test_bcast_remembers_nothing(r, tracker):
    t = tracker("BCAST PREFIX x")
    t("GET k")
    stats = r.info("stats")
    assert (stats["tracking_total_keys"], stats["tracking_total_prefixes"]) == ("0", "1")
    assert "B" in line_of(r, t.id)["flags"]


@pytest.mark.parametrize("given, overlapping", [
    ("other FOOBAR FOO", "FOOBAR FOO"), ("FOO other FOOBAR", "FOO FOOBAR"), ("x x", "x x"), ("b c '' a", "b "),
    ("bc a abc b ab", "bc b"), ("z ab a abc", "ab a")])
def test_prefixes_of_one_command_must_not_overlap(r, is_redis, given, overlapping):
    prefixes = shlex.split(given)
    words = [word for prefix in prefixes for word in ("PREFIX", prefix)]
    first, second = overlapping.split(" ")
    assert r("CLIENT", "TRACKING", "on", "BCAST", *words) == Error(
        f"ERR Prefix '{first}' overlaps with another provided prefix '{second}'. Prefixes for a single client must not overlap.")
    if is_redis and prefixes.index(first) > 0:
        assert r.read() == "OK"  # 7.0 goes on after the error unless it is about the first one
    else:
        assert r("CLIENT GETREDIR") == -1


@pytest.mark.parametrize("prefix", ["FO", "FOO", "FOOL", ""])
def test_nor_with_one_that_is_there(tracker, prefix):
    t = tracker("BCAST PREFIX FOO PREFIX BAR" if prefix else "BCAST PREFIX FOO")
    assert t("CLIENT", "TRACKING", "on", "BCAST", "PREFIX", "new", "PREFIX", prefix) == (Error(
        f"ERR Prefix '{prefix}' overlaps with an existing prefix 'FOO'. Prefixes for a single client must not overlap.")
        if prefix else Error("ERR Prefix 'new' overlaps with another provided prefix ''. Prefixes for a single client must "
                             "not overlap."))
    assert sorted(t("CLIENT TRACKINGINFO")[b"prefixes"]) == ([b"BAR", b"FOO"] if prefix else [b"FOO"])


# ---- What goes together ---------------------------------------------------------------------------------


@pytest.mark.parametrize("options, error", [
    ("on PREFIX a", "PREFIX option requires BCAST mode to be enabled"),
    ("on BCAST OPTIN", "OPTIN and OPTOUT are not compatible with BCAST"),
    ("on BCAST OPTOUT", "OPTIN and OPTOUT are not compatible with BCAST"),
    ("on OPTIN OPTOUT", "You can't specify both OPTIN mode and OPTOUT mode"),
    ("on REDIRECT 123456789", "The client ID you want redirect to does not exist"),
    ("off REDIRECT 123456789", "The client ID you want redirect to does not exist"),
    ("on REDIRECT 0", "The client ID you want redirect to does not exist"),
    ("on REDIRECT x", "value is not an integer or out of range"),
    ("on REDIRECT", "syntax error"),
    ("on BCAST PREFIX", "syntax error"),
    ("on NOSUCH", "syntax error"),
    ("maybe", "syntax error"),
])
def test_refusals(r, options, error):
    assert r(f"CLIENT TRACKING {options}") == Error(f"ERR {error}")
    assert r("CLIENT GETREDIR") == -1


def test_one_redirection_is_enough(r):
    assert r(f"CLIENT TRACKING on REDIRECT {r.id} REDIRECT {r.id}") == Error(
        "ERR A client can only redirect to a single other client")
    assert r("CLIENT TRACKING") == wrong_arity("client|tracking")


def test_modes_do_not_change_while_tracking_is_on(tracker):
    switch_bcast = Error("ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
                         "re-enabling it with a different mode.")
    switch_opt = Error("ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
                       "re-enabling it with a different mode.")
    assert tracker()("CLIENT TRACKING on BCAST") == switch_bcast
    assert tracker("BCAST")("CLIENT TRACKING on") == switch_bcast
    assert tracker("OPTIN")("CLIENT TRACKING on OPTOUT") == switch_opt
    assert tracker("OPTOUT")("CLIENT TRACKING on OPTIN") == switch_opt
    assert tracker()("CLIENT TRACKING on OPTIN") == "OK"


def test_trackinginfo_and_getredir(r, tracker, listener):
    t = tracker(f"REDIRECT {listener.number} NOLOOP OPTOUT")
    t("CLIENT CACHING no")
    assert t("CLIENT TRACKINGINFO") == {
        b"flags": Set([b"on", b"optout", b"caching-no", b"noloop"]), b"redirect": listener.number, b"prefixes": []}
    assert t("CLIENT GETREDIR") == listener.number
    assert tracker()("CLIENT GETREDIR") == 0
    bcast = tracker("BCAST")
    assert bcast("CLIENT TRACKINGINFO") == {b"flags": Set([b"on", b"bcast"]), b"redirect": 0, b"prefixes": [b""]}
    optin = tracker("OPTIN", resp=2)
    optin("CLIENT CACHING yes")
    assert optin("CLIENT TRACKINGINFO") == [
        b"flags", [b"on", b"optin", b"caching-yes"], b"redirect", 0, b"prefixes", []]


def test_client_list_shows_it(r, tracker, listener):
    t = tracker(f"REDIRECT {listener.number}")
    line = line_of(r, t.id)
    assert "t" in line["flags"] and "B" not in line["flags"] and line["redir"] == str(listener.number)
    assert line_of(r, r.id)["redir"] == "-1"


# ---- The end of it --------------------------------------------------------------------------------------


def test_off_ends_it(r, tracker):
    t = tracker()
    t("GET k")
    assert t("CLIENT TRACKING off") == "OK"
    r("SET k 1")
    assert told(t) == []
    assert t("CLIENT TRACKING off") == "OK"
    assert t("CLIENT TRACKINGINFO") == {b"flags": Set([b"off"]), b"redirect": -1, b"prefixes": []}


@pytest.mark.parametrize("options", ["", "BCAST PREFIX a"])
def test_reset_ends_it(r, tracker, options):
    t = tracker(options)
    t("GET a")
    assert t("RESET") == "RESET"
    t("HELLO 3")
    r("SET a 1")
    assert told(t) == []
    assert r.info("clients")["tracking_clients"] == "0"
    assert r.info("stats")["tracking_total_prefixes"] == "0"


def test_a_client_that_goes_is_forgotten(r, tracker):
    t, other = tracker(), tracker("BCAST PREFIX a")
    t("GET k")
    assert r.info("clients")["tracking_clients"] == "2"
    stats = r.info("stats")
    assert [stats[f"tracking_total_{what}"] for what in ("keys", "items", "prefixes")] == ["1", "1", "1"]
    t.close()
    other.close()
    eventually(lambda: r.info("clients")["tracking_clients"] == "0", "they are gone")
    r("SET k 1")
    r("SET a 1")


@pytest.mark.skua_only("redis-server keeps the table until its keys change")
def test_with_the_last_client_the_table_goes(r, tracker):
    t = tracker()
    t("MGET", *(f"k{i}" for i in range(1000)))
    assert int(r.info("memory")["used_memory_tracking_table"]) > 1000 * 16
    t("CLIENT TRACKING off")
    assert r.info("stats")["tracking_total_keys"] == "0"
    assert r.info("memory")["used_memory_tracking_table"] == "0"


def test_each_reader_of_a_key_counts_and_is_told(r, tracker):
    readers = [tracker() for _ in range(20)]
    for reader in readers:
        reader("GET k")
        reader("GET k")
    stats = r.info("stats")
    assert (stats["tracking_total_keys"], stats["tracking_total_items"]) == ("1", "20")
    readers.pop(7).close()
    r("SET k 1")
    assert all(told(reader) == [[b"k"]] for reader in readers)
    assert r.info("stats")["tracking_total_items"] == "0"


@pytest.mark.skua_only("redis-server keeps the ids of clients that are gone")
def test_readers_that_are_gone_make_room_for_others(r, tracker):
    keeps = tracker()
    keeps("GET k")
    for i in range(30):
        t = tracker()
        t("GET k")
        t("CLIENT TRACKING off")
    assert int(r.info("stats")["tracking_total_items"]) <= 2
    r("SET k 1")
    assert told(keeps) == [[b"k"]]


# ---- The limit of the table -----------------------------------------------------------------------------


def test_a_lower_limit_makes_keys_go(r, tracker, config):
    t = tracker()
    t("MGET", *(f"k{i}" for i in range(250)))
    config(tracking_table_max_keys=10)
    t("PING")
    eventually(lambda: r.info("stats")["tracking_total_keys"] == "10", "the table is small")
    names = [name for message in told(t) for name in message]
    assert len(names) == len(set(names)) == 240
    left = {b"k%d" % i for i in range(250)} - set(names)
    for i in range(250):
        r(f"SET k{i} 1")
    assert {names[0] for names in told(t)} == left


def test_the_table_never_grows_beyond_its_limit(r, tracker, config):
    config(tracking_table_max_keys=20)
    t = tracker()
    for i in range(100):
        t(f"GET k{i}")
    eventually(lambda: int(r.info("stats")["tracking_total_keys"]) <= 20, "the table is small")
    assert len({name for message in told(t) for name in message}) >= 80


def test_zero_means_no_limit(r, tracker, config):
    config(tracking_table_max_keys=0)
    t = tracker()
    t("MGET", *(f"k{i}" for i in range(500)))
    assert r.info("stats")["tracking_total_keys"] == "500"
    assert t.pushes == []


# ---- Order ----------------------------------------------------------------------------------------------


def test_a_message_precedes_every_later_reply(r, tracker):
    """What a client is answered after a write was acknowledged comes behind the message, whichever thread answers."""
    t = tracker()
    for mode in ("", "BCAST"):
        t("CLIENT TRACKING off")
        t(f"CLIENT TRACKING on {mode}")
        for i in range(200):
            t("GET k")
            r(f"SET k {i}")
            t.send("GET other")
            assert t.read() == [b"invalidate", [b"k"]]
            assert t.read() is None


@pytest.mark.skua_only("redis-server runs each command in one go")
def test_a_change_during_a_long_read_is_told_behind_its_reply(r, tracker, config):
    config(slice_us=1)
    r("DEBUG SET-LONG-COMMANDS 0")
    try:
        r("SADD", "s", *(f"m{i}" for i in range(3000)))
        t = tracker()
        t("GET other")
        t.send("SMEMBERS s")
        eventually(lambda: any("progress" in line for line in r.client_list()), "it is long")
        r("SADD s new")
        r("SET other 1")
        r("DEBUG SET-LONG-COMMANDS 1")
        assert len(t.read()) == 3000
        assert t.read() == [b"invalidate", [b"s"]]
        assert t.read() == [b"invalidate", [b"other"]]
    finally:
        r("DEBUG SET-LONG-COMMANDS 1")


@pytest.mark.skua_only("redis-server has no direct reads")
@pytest.mark.parametrize("options", ["", "BCAST", "OPTIN"])
def test_a_tracking_client_is_answered_by_the_executor(r, tracker, options):
    t = tracker(options)
    r("SET k v")
    before = int(r.info("direct")["direct_reads"])
    t.pipeline(*["GET k"] * 50)
    assert int(r.info("direct")["direct_reads"]) == before
