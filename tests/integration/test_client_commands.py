"""CLIENT and its subcommands."""
import re

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Error, Verbatim, encode, eventually

pytestmark = pytest.mark.core

BAD_NAME = Error("ERR Client names cannot contain spaces, newlines or special characters.")
SPECIAL = ["a b", "a\nb", "a\tb", b"a\0b", b"\x7f", "é"]


def address_of(client):
    """As CLIENT LIST shows it."""
    line = client("CLIENT INFO").decode()
    return re.search(r" addr=(\S+) ", line)[1]


def line_of(observer, client_id):
    return next((line for line in observer.client_list() if line["id"] == str(client_id)), None)


# ---- Identity -------------------------------------------------------------------------------------------


def test_ids_grow_and_stay(r, connect):
    first = r("CLIENT ID")
    second = connect()
    assert second("CLIENT ID") > first
    assert r("CLIENT ID") == first


def test_a_name_is_given_and_taken_away(r):
    assert r("CLIENT GETNAME") is None
    assert r("CLIENT SETNAME worker-1") == "OK"
    assert r("CLIENT GETNAME") == b"worker-1"
    assert line_of(r, r.id)["name"] == "worker-1"
    assert r("CLIENT", "SETNAME", "") == "OK"
    assert r("CLIENT GETNAME") is None


@pytest.mark.parametrize("name", SPECIAL)
def test_a_name_is_one_word(r, name):
    r("CLIENT SETNAME before")
    assert r("CLIENT", "SETNAME", name) == BAD_NAME
    assert r("CLIENT GETNAME") == b"before"


@pytest.mark.skua_only("redis-server has no limit")
def test_a_name_has_a_limit(r):
    assert r("CLIENT", "SETNAME", "x" * 1024) == "OK"
    assert r("CLIENT", "SETNAME", "x" * 1025) == Error("ERR Client names cannot be longer than 1024 bytes.")


@pytest.mark.skua_only("new in Redis 7.2")
def test_setinfo_tells_the_library(r):
    assert r("CLIENT SETINFO lib-name example(1.0)") == "OK"
    assert r("CLIENT SETINFO LIB-VER 2.3.4") == "OK"
    line = line_of(r, r.id)
    assert (line["lib-name"], line["lib-ver"]) == ("example(1.0)", "2.3.4")
    assert r("CLIENT", "SETINFO", "lib-name", "") == "OK"
    assert line_of(r, r.id)["lib-name"] == ""


@pytest.mark.skua_only("new in Redis 7.2")
@pytest.mark.parametrize("value", SPECIAL)
def test_setinfo_refuses_more_than_a_word(r, value):
    for field in ["lib-name", "lib-ver"]:
        assert r("CLIENT", "SETINFO", field, value) == Error(
            f"ERR {field} cannot contain spaces, newlines or special characters.")


@pytest.mark.skua_only("new in Redis 7.2")
def test_setinfo_refuses_unknown_fields(r):
    assert r("CLIENT SETINFO nosuch x") == Error("ERR Unrecognized option 'nosuch'")
    assert r("CLIENT SETINFO lib-name") == wrong_arity("client|setinfo")


# ---- LIST and INFO --------------------------------------------------------------------------------------

FIELDS = """id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll
omem tot-mem events cmd user redir resp""".split()


def test_a_line_has_the_fields_of_redis_in_their_order(r):
    fields = [field.split("=")[0] for field in r("CLIENT INFO").decode().rstrip("\n").split(" ")]
    assert [field for field in fields if field in FIELDS] == FIELDS


def test_a_line_tells_the_state_of_its_client(r, connect):
    other = connect(resp=3)
    other("SELECT 3")
    other("CLIENT SETNAME other")
    other("MULTI")
    other("GET k")
    line = line_of(r, r.id)
    assert (line["db"], line["resp"], line["cmd"], line["user"], line["multi"]) == ("0", "2", "client|list", "default", "-1")
    assert (line["events"], line["redir"]) == ("r", "-1")
    other_line = next(line for line in r.client_list() if line["name"] == "other")
    assert (other_line["db"], other_line["resp"], other_line["multi"]) == ("3", "3", "1")
    assert other_line["flags"].lstrip("U") == "x" or other_line["flags"] == "xU"
    assert int(other_line["multi-mem"]) > 0 and int(other_line["tot-mem"]) > 0


def test_a_line_counts_subscriptions(r, connect):
    other = connect()
    other_id = other.id
    other.send("SUBSCRIBE a b")
    other.send("PSUBSCRIBE c")
    other.send("SSUBSCRIBE d e f")
    for _ in range(6):
        other.read()
    line = line_of(r, other_id)
    assert (line["sub"], line["psub"], line["ssub"]) == ("2", "1", "3")
    assert line["flags"] in ("P", "PU")


def test_list_is_verbatim_text_in_resp3(r3):
    reply = r3("CLIENT LIST")
    assert isinstance(reply, Verbatim) and reply.format == "txt" and reply.endswith(b"\n")
    reply = r3("CLIENT INFO")
    assert isinstance(reply, Verbatim) and reply.count(b"\n") == 1


def test_list_by_type(r, connect):
    listener = connect()
    listener_id = listener.id
    listener("SUBSCRIBE a")
    ids = [line.split()[0] for line in r("CLIENT LIST TYPE pubsub").decode().splitlines()]
    assert ids == [f"id={listener_id}"]
    assert f"id={r.id} " in r("CLIENT LIST TYPE NORMAL").decode()
    assert r("CLIENT LIST TYPE replica") == r("CLIENT LIST TYPE slave") == r("CLIENT LIST TYPE master") == b""
    assert r("CLIENT LIST TYPE nosuch") == Error("ERR Unknown client type 'nosuch'")


def test_list_by_id(r, connect):
    other = connect()
    mine, theirs = r.id, other.id
    lines = r("CLIENT", "LIST", "ID", theirs, mine, 999999999).decode().splitlines()
    assert [line.split()[0] for line in lines] == [f"id={theirs}", f"id={mine}"]
    assert r("CLIENT LIST ID 999999999") == b""
    assert r("CLIENT LIST ID x") == Error("ERR Invalid client ID")
    assert r("CLIENT LIST ID") == SYNTAX_ERROR
    assert r("CLIENT LIST TYPE") == SYNTAX_ERROR
    assert r("CLIENT LIST nosuch x") == SYNTAX_ERROR


def ids_of(r, *filters):
    return sorted(int(line.split()[0][3:]) for line in r("CLIENT", "LIST", *filters).decode().splitlines())


@pytest.mark.skua_only("since Valkey 8.1")
def test_list_by_several_filters(r, connect):
    named, other, listener = connect(), connect(), connect()
    named("CLIENT SETNAME worker")
    named("CLIENT SETINFO lib-name library")
    named("CLIENT SETINFO lib-ver 1.2")
    named("SELECT 3")
    listener_id, mine = listener.id, r.id
    listener("SUBSCRIBE a")
    both = ["ID", named.id, other.id]
    assert ids_of(r, "NAME", "worker") == ids_of(r, "LIB-NAME", "library") == ids_of(r, "LIB-VER", "1.2") == [named.id]
    assert ids_of(r, *both, "DB", 3) == ids_of(r, "db", 3) == [named.id]
    assert ids_of(r, *both, "NOT-DB", 3) == ids_of(r, *both, "NOT-NAME", "worker") == [other.id]
    assert ids_of(r, *both, "NOT-LIB-NAME", "library", "NOT-LIB-VER", "1.3") == [other.id]
    assert ids_of(r, *both, "DB", 3, "NAME", "someone") == []
    assert ids_of(r, "FLAGS", "P") == ids_of(r, "TYPE", "pubsub") == [listener_id]
    everybody = [named.id, other.id, listener_id, mine]
    assert ids_of(r, "ID", *everybody, "NOT-FLAGS", "P") == ids_of(r, "ID", *everybody, "NOT-TYPE", "pubsub") == \
        ids_of(r, "ID", *everybody, "NOT-ID", listener_id) == sorted([named.id, other.id, mine])
    assert ids_of(r, "ID", *everybody, "SKIPME", "yes") == sorted([named.id, other.id, listener_id])
    assert ids_of(r, "ID", *everybody, "SKIPME", "no") == sorted(everybody)
    assert ids_of(r, "ID", mine, "USER", "default") == [mine] and ids_of(r, "NOT-USER", "default") == []
    assert ids_of(r, "CAPA", "r") == [] and ids_of(r, "ID", mine, "NOT-CAPA", "r") == [mine]
    assert ids_of(r, "MAXAGE", 100000) == ids_of(r, "IDLE", 100000) == []


@pytest.mark.skua_only("since Valkey 8.1")
def test_list_by_address(r, connect):
    other = connect()
    line = line_of(r, other.id)
    assert ids_of(r, "ADDR", line["addr"], "LADDR", line["laddr"], "ID", r.id, other.id) in ([other.id], [r.id, other.id])
    assert other.id not in ids_of(r, "NOT-ADDR", line["addr"])
    assert other.id not in ids_of(r, "NOT-LADDR", line["laddr"])
    assert other.id in ids_of(r, "IP", line["addr"].rpartition(":")[0].strip("[]"))
    assert ids_of(r, "IP", "192.0.2.1") == []
    assert other.id in ids_of(r, "NOT-IP", "192.0.2.1")


@pytest.mark.skua_only("since Valkey 8.1")
@pytest.mark.parametrize("command", ["LIST", "KILL"])
@pytest.mark.parametrize("filters, error", [
    ("ID 0 TYPE normal", "ERR client-id should be greater than 0"), ("NOT-ID 0", "ERR client-id should be greater than 0"),
    ("TYPE normal USER nosuch", "ERR No such user 'nosuch'"), ("MAXAGE 0", "ERR maxage should be greater than 0"),
    ("MAXAGE x", "ERR maxage is not an integer or out of range"), ("IDLE 0", "ERR idle should be greater than 0"),
    ("IDLE x", "ERR idle is not an integer or out of range"), ("DB x", "ERR DB is not an integer or out of range"),
    ("DB -1", "ERR DB number should be between 0 and 15"), ("NOT-DB 16", "ERR DB number should be between 0 and 15"),
    ("FLAGS N!", "ERR Unknown flags found in the provided filter: N!"), ("CAPA q", "ERR Unknown capa found in the provided filter: q"),
    ("NOT-TYPE nosuch", "ERR Unknown client type 'nosuch'"), ("SKIPME perhaps", "ERR syntax error"), ("NOT-MAXAGE 3", "ERR syntax error"),
    ("NOT-SKIPME yes", "ERR syntax error"), ("TYPE normal FLAGS", "ERR syntax error"), ("NOT- 3", "ERR syntax error"),
])
def test_filters_that_are_refused(r, command, filters, error):
    assert r(f"CLIENT {command} {filters}") == Error(error)


@pytest.mark.skua_only("since Valkey 9")
def test_kill_by_filters(r, connect):
    named, other = connect(), connect()
    ids = [named.id, other.id]
    named("CLIENT SETNAME doomed")
    assert r("CLIENT KILL NAME doomed DB 1") == 0
    assert r("CLIENT", "KILL", "ID", *ids, "NOT-NAME", "doomed") == 1
    assert other.is_closed() and ids_of(r, "ID", *ids) == [named.id]


# ---- KILL -----------------------------------------------------------------------------------------------


def test_kill_by_address_alone(r, connect):
    other = connect(resp=3)
    if other.socket.family == 1:
        pytest.skip("clients of the Unix socket share one address")
    assert r("CLIENT", "KILL", address_of(other)) == "OK"
    assert other.is_closed()
    assert r("CLIENT KILL 127.0.0.1:1") == Error("ERR No such client")


def test_kill_by_id(r, connect):
    other = connect()
    assert r("CLIENT", "KILL", "ID", other.id) == 1
    assert other.is_closed()
    assert r("CLIENT KILL ID 999999999") == 0


@pytest.mark.skua_only("new in Valkey 8.1")
def test_kill_by_several_ids(r, connect):
    others = [connect() for _ in range(3)]
    ids = [other.id for other in others]
    assert r("CLIENT", "KILL", "ID", ids[0], ids[1], 999999999) == 2
    assert others[0].is_closed() and others[1].is_closed()
    assert r("CLIENT", "KILL", "ID", ids[2], "SKIPME", "yes") == 1
    assert others[2].is_closed()


def test_kill_by_type_spares_the_caller(r, connect):
    other, listener = connect(), connect()
    listener("SUBSCRIBE a")
    assert r("CLIENT KILL TYPE pubsub") == 1
    assert listener.is_closed()
    assert other("PING") == "PONG"
    assert r("CLIENT KILL TYPE normal") >= 1
    assert other.is_closed()
    assert r("PING") == "PONG"


def test_all_filters_must_hold(r, connect):
    listener = connect()
    listener_id = listener.id
    listener("SUBSCRIBE a")
    assert r("CLIENT", "KILL", "ID", listener_id, "TYPE", "normal") == 0
    assert r("CLIENT", "KILL", "ID", listener_id, "LADDR", "nowhere:1") == 0
    assert r("CLIENT", "KILL", "ID", listener_id, "TYPE", "pubsub", "USER", "default") == 1
    assert listener.is_closed()


def test_kill_by_both_addresses(r, connect):
    other = connect()
    line = line_of(r, other.id)
    assert r("CLIENT", "KILL", "LADDR", line["laddr"], "ADDR", line["addr"], "ID", line["id"]) == 1
    assert other.is_closed()


def test_the_caller_gets_its_answer_before_it_goes(r):
    assert r("CLIENT", "KILL", "ID", r.id, "SKIPME", "no") == 1
    assert r.is_closed()


def test_what_follows_the_own_end_is_not_executed(r, connect):
    own = r.id
    r.send_raw(encode("CLIENT", "KILL", "ID", own, "SKIPME", "no") + encode("SET", "after", "1"))
    assert r.reply() == 1
    assert r.is_closed()
    assert connect()("EXISTS after") == 0


@pytest.mark.skua_only("new in Redis 7.4")
def test_kill_by_age(r, connect):
    other = connect()
    assert r("CLIENT KILL MAXAGE 100000") == 0
    assert other("PING") == "PONG"
    assert r("CLIENT KILL MAXAGE 0") == Error("ERR maxage should be greater than 0")
    assert r("CLIENT KILL MAXAGE x") == Error("ERR maxage is not an integer or out of range")


@pytest.mark.parametrize("arguments, error", [
    ("ID x", Error("ERR client-id should be greater than 0")),
    ("ID 0", Error("ERR client-id should be greater than 0")),
    ("ID -1", Error("ERR client-id should be greater than 0")),
    ("TYPE nosuch", Error("ERR Unknown client type 'nosuch'")),
    ("USER nobody", Error("ERR No such user 'nobody'")),
    ("SKIPME maybe", SYNTAX_ERROR),
    ("NOSUCH x", SYNTAX_ERROR),
    ("ID 1 TYPE", SYNTAX_ERROR),
    ("TYPE normal SKIPME", SYNTAX_ERROR)])
def test_kill_errors(r, arguments, error):
    assert r("CLIENT KILL " + arguments) == error


def test_killed_clients_are_gone_from_the_list(r, connect):
    other = connect()
    other_id = other.id
    assert r("CLIENT", "KILL", "ID", other_id) == 1
    assert line_of(r, other_id) is None
    assert r("CLIENT", "KILL", "ID", other_id) == 0


# ---- PAUSE ----------------------------------------------------------------------------------------------


def test_pause_holds_every_command_until_unpause(r, connect):
    """UNPAUSE itself must come through from the client that is not held: CLIENT commands are held too, so the pause
    ends by its time here."""
    assert r("CLIENT PAUSE 200") == "OK"
    other = connect()
    assert other.pipeline("SET k 1", "GET k", "PING") == ["OK", b"1", "PONG"]


def test_pause_write_lets_reads_through(r, connect):
    assert r("CLIENT PAUSE 100000 WRITE") == "OK"
    writer, reader = connect(), connect()
    writer_id = writer.id
    assert reader("GET k") is None
    writer.send("SET k 1")
    eventually(lambda: "b" in line_of(reader, writer_id)["flags"], "the writer is held")
    assert line_of(reader, writer_id)["cmd"] == "set"
    assert reader("GET k") is None
    assert reader("CLIENT UNPAUSE") == "OK"
    assert writer.reply() == "OK"
    assert reader("GET k") == b"1"


def test_a_held_pipeline_goes_on_in_order(r, connect):
    r("CLIENT PAUSE 100000 WRITE")
    writer = connect()
    writer_id = writer.id
    writer.send_raw(encode("GET", "k") + b"".join(encode("APPEND", "k", str(i)) for i in range(10)) + encode("GET", "k"))
    assert writer.reply() is None
    eventually(lambda: "b" in line_of(r, writer_id)["flags"], "the writer is held")
    r("CLIENT UNPAUSE")
    assert writer.replies(11) == list(range(1, 11)) + [b"0123456789"]


def test_transactions_with_writes_are_held(r, connect):
    r("CLIENT PAUSE 100000 WRITE")
    writer, reader = connect(), connect()
    writer_id = writer.id
    writer.send_raw(encode("MULTI") + encode("SET", "k", "1") + encode("EXEC"))
    assert reader.pipeline("MULTI", "GET k", "EXEC") == ["OK", "QUEUED", [None]]
    eventually(lambda: "b" in line_of(r, writer_id)["flags"], "the writer is held")
    assert reader("GET k") is None
    r("CLIENT UNPAUSE")
    assert writer.replies(3) == ["OK", "QUEUED", ["OK"]]


def test_a_second_pause_makes_the_first_no_shorter(r, connect):
    r("CLIENT PAUSE 100000 WRITE")
    r("CLIENT PAUSE 1 WRITE")
    writer = connect()
    writer_id = writer.id
    writer.send("SET k 1")
    eventually(lambda: "b" in line_of(r, writer_id)["flags"], "the writer is held")
    assert r("GET k") is None
    r("CLIENT UNPAUSE")
    assert writer.reply() == "OK"


def test_a_held_client_can_be_killed(r, connect):
    r("CLIENT PAUSE 100000 WRITE")
    writer = connect()
    writer_id = writer.id
    writer.send("SET k 1")
    eventually(lambda: "b" in line_of(r, writer_id)["flags"], "the writer is held")
    assert r("CLIENT", "KILL", "ID", writer_id) == 1
    assert writer.is_closed()
    r("CLIENT UNPAUSE")
    assert r("EXISTS k") == 0


@pytest.mark.threads
@pytest.mark.skua_only("the number of threads is fixed there")
def test_waiting_requests_go_on_while_their_connections_move(r, connect):
    """A run that is given back to the thread that has just lost the connection would be counted there."""
    before = r("CONFIG GET io-threads")[1]
    clients = [connect() for _ in range(20)]
    for client in clients:
        client.send_raw(b"".join(encode("WAIT", 1, 1) + encode("ECHO", i) for i in range(300)))
    for i in range(150):
        r("CONFIG", "SET", "io-threads", i % 4 + 1)  # refused while a thread is just ending: the next one moves
    for client in clients:
        assert client.replies(600) == [reply for i in range(300) for reply in (0, b"%d" % i)]
    eventually(lambda: r("CONFIG", "SET", "io-threads", before) == "OK", "the threads are as before")


@pytest.mark.parametrize("arguments, error", [
    ("x", Error("ERR timeout is not an integer or out of range")),
    ("99999999999999999999", Error("ERR timeout is not an integer or out of range")),
    ("-1", Error("ERR timeout is negative")),
    ("1 SOME", Error("ERR CLIENT PAUSE mode must be WRITE or ALL"))])
def test_pause_errors(r, arguments, error):
    assert r("CLIENT PAUSE " + arguments) == error
    assert r("SET k 1") == "OK"


# ---- UNBLOCK --------------------------------------------------------------------------------------------


def blocked(r, connect):
    """A client that waits for a replica that never comes, and its id."""
    client = connect()
    client_id = client.id
    client.send("WAIT 1 0")
    eventually(lambda: line_of(r, client_id)["flags"].startswith("b"), "the client waits")
    return client, client_id


def test_unblock_as_if_the_time_were_over(r, connect):
    for words in [(), ("TIMEOUT",)]:
        client, client_id = blocked(r, connect)
        assert r("CLIENT", "UNBLOCK", client_id, *words) == 1
        assert client.reply() == 0
        assert client("PING") == "PONG"


def test_unblock_with_an_error(r, connect):
    client, client_id = blocked(r, connect)
    assert r("CLIENT", "UNBLOCK", client_id, "error") == 1
    assert client.reply() == Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
    assert client("PING") == "PONG"


def test_unblock_of_a_client_that_does_not_wait(r, connect):
    other = connect()
    assert r("CLIENT", "UNBLOCK", other.id) == 0
    assert r("CLIENT UNBLOCK 999999999") == 0
    assert r("CLIENT UNBLOCK -1") == 0
    assert r("CLIENT UNBLOCK x") == NOT_AN_INTEGER
    assert r("CLIENT UNBLOCK 1 NOSUCH") == Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")


def test_a_blocked_client_can_be_killed(r, connect):
    client, client_id = blocked(r, connect)
    assert r("CLIENT", "KILL", "ID", client_id) == 1
    assert client.is_closed()


def test_who_waits_is_not_idle(r, connect):
    """`timeout` closes those who could talk and do not."""
    waiting, waiting_id = blocked(r, connect)
    listening, monitoring = connect(resp=3), connect()
    listening.send("SUBSCRIBE a")
    listening.push()
    assert monitoring("MONITOR") == "OK"
    idle = connect()
    idle_id = idle.id
    r("CONFIG SET timeout 1")
    eventually(lambda: line_of(r, idle_id) is None, "the idle client is closed")
    r("CONFIG SET timeout 0")
    assert idle.is_closed()
    assert r("PUBLISH a x") == 1
    assert listening.push() == [b"message", b"a", b"x"]
    assert r("CLIENT", "UNBLOCK", waiting_id) == 1
    assert waiting.reply() == 0
    assert monitoring("PING") is not None


# ---- Modes ----------------------------------------------------------------------------------------------


def test_reply_off_until_on(r):
    r.send("CLIENT REPLY OFF")
    r.send("SET k 1")
    r.send("NOSUCH")
    r.send("CLIENT REPLY SKIP")
    assert r("CLIENT REPLY ON") == "OK"
    assert r("GET k") == b"1"


def test_reply_skip_leaves_out_the_next(r):
    r.send("CLIENT REPLY SKIP")
    r.send("SET k 1")
    assert r("GET k") == b"1"
    assert r("CLIENT REPLY ON") == "OK"


def test_reply_skip_in_a_pipeline(r):
    r.send_raw(encode("PING") + encode("CLIENT", "REPLY", "SKIP") + encode("GET", "k") + encode("ECHO", "end"))
    assert r.replies(2) == ["PONG", b"end"]


def test_reply_errors(r):
    assert r("CLIENT REPLY MAYBE") == SYNTAX_ERROR
    assert r("CLIENT REPLY") == wrong_arity("client|reply")


def test_no_evict(r):
    assert r("CLIENT NO-EVICT on") == "OK"
    assert line_of(r, r.id)["flags"] in ("e", "Ue")
    assert r("CLIENT NO-EVICT OFF") == "OK"
    assert line_of(r, r.id)["flags"] in ("N", "U")
    assert r("CLIENT NO-EVICT maybe") == SYNTAX_ERROR


@pytest.mark.skua_only("new in Redis 7.2")
def test_no_touch(r):
    assert r("CLIENT NO-TOUCH on") == "OK"
    assert line_of(r, r.id)["flags"] in ("T", "UT")
    assert r("CLIENT NO-TOUCH off") == "OK"
    assert r("CLIENT NO-TOUCH maybe") == SYNTAX_ERROR


def test_unknown_subcommands(r):
    assert r("CLIENT NOSUCH") == Error("ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.")
    assert r("CLIENT") == wrong_arity("client")
    assert r("CLIENT ID x") == wrong_arity("client|id")
    lines = r("CLIENT HELP")
    assert lines[0].startswith("CLIENT <subcommand>") and "HELP" in lines


def test_what_a_client_does_not_read_is_shown(r, connect):
    lazy = connect()
    name = str(lazy("CLIENT ID"))
    r("SET", "big", b"x" * 4_000_000)
    for _ in range(8):
        lazy.send("GET big")

    def queue():
        line = next(client for client in r.client_list() if client["id"] == name)
        return int(line["oll"]) > 0 and int(line["omem"]) > 4_000_000

    eventually(queue, "the queue of the lazy client")
