"""Connection commands: PING, ECHO, SELECT, HELLO, AUTH, RESET, QUIT."""
import pytest

from harness.errors import NOT_AN_INTEGER, wrong_arity
from harness.resp import Error, Push, encode

pytestmark = pytest.mark.core

WRONGPASS = Error("WRONGPASS invalid username-password pair or user is disabled.")
NOAUTH = Error("NOAUTH Authentication required.")
BAD_NAME = Error("ERR Client names cannot contain spaces, newlines or special characters.")


# ---- PING, ECHO -----------------------------------------------------------------------------------------


def test_ping_answers_with_pong_or_its_argument(r):
    assert r("PING") == "PONG"
    assert r("PING", b"a\r\nb\0") == b"a\r\nb\0"
    assert r("PING", "") == b""
    assert r("PING a b") == wrong_arity("ping")


def test_ping_of_a_subscriber_looks_like_a_message_in_resp2(r):
    r("SUBSCRIBE news")
    assert r("PING") == [b"pong", b""]
    assert r("PING hello") == [b"pong", b"hello"]
    r("UNSUBSCRIBE news")
    assert r("PING") == "PONG"


def test_ping_of_a_subscriber_is_an_ordinary_reply_in_resp3(r3):
    r3.send("SUBSCRIBE news")
    assert r3.push() == [b"subscribe", b"news", 1]
    assert r3("PING") == "PONG"
    assert r3("PING hello") == b"hello"


def test_echo_answers_with_its_argument(r):
    assert r("ECHO", b"\x00\xff") == b"\x00\xff"
    assert r("ECHO") == wrong_arity("echo")
    assert r("ECHO a b") == wrong_arity("echo")


def test_a_large_argument_comes_back_whole(r):
    large = bytes(range(256)) * 4096
    assert r("ECHO", large) == large


# ---- SELECT ---------------------------------------------------------------------------------------------


def test_select_chooses_a_database_for_this_connection_only(r, connect):
    other = connect()
    r("SET k zero")
    assert r("SELECT 9") == "OK"
    assert r("GET k") is None
    assert other("GET k") == b"zero"
    assert r("SELECT 0") == "OK"
    assert r("GET k") == b"zero"


@pytest.mark.parametrize("index, error", [
    ("16", Error("ERR DB index is out of range")),
    ("-1", Error("ERR DB index is out of range")),
    ("one", NOT_AN_INTEGER),
    ("1.0", NOT_AN_INTEGER),
    ("", NOT_AN_INTEGER),
    ("99999999999999999999", NOT_AN_INTEGER),
    ("2147483648", Error("ERR value is out of range, value must between -2147483648 and 2147483647"))])
def test_select_refuses_what_is_no_database(r, index, error):
    r("SELECT 3")
    r("SET here 1")
    assert r("SELECT", index) == error
    assert r("EXISTS here") == 1


def test_select_works_inside_a_transaction(r):
    r("MULTI")
    r("SELECT 2")
    r("SET k two")
    assert r("EXEC") == ["OK", "OK"]
    assert r("GET k") == b"two"
    r("SELECT 0")
    assert r("EXISTS k") == 0


# ---- HELLO ----------------------------------------------------------------------------------------------

HELLO_FIELDS = [b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"]


def test_hello_describes_the_server(r):
    flat = r("HELLO")
    assert flat[::2] == HELLO_FIELDS
    values = dict(zip(flat[::2], map(repr, flat[1::2])))
    assert values[b"server"] == "b'redis'"
    assert values[b"proto"] == "2"
    assert values[b"id"] == repr(r.id)
    assert values[b"mode"] == "b'standalone'"
    assert values[b"role"] == "b'master'"
    assert values[b"modules"] == "[]"


def test_hello_3_answers_with_a_map_and_stays_so(r):
    r.send("HELLO 3")
    reply = r.reply()
    assert list(reply) == HELLO_FIELDS
    assert reply[b"proto"] == 3
    assert r("HELLO")[b"proto"] == 3
    assert r("GET nothing") is None
    assert r.raw == b"_\r\n"


def test_hello_2_goes_back(r3):
    assert r3("HELLO 2")[::2] == HELLO_FIELDS
    assert r3("GET nothing") is None
    assert r3.raw == b"$-1\r\n"


@pytest.mark.parametrize("command, error", [
    ("HELLO 1", Error("NOPROTO unsupported protocol version")),
    ("HELLO 4", Error("NOPROTO unsupported protocol version")),
    ("HELLO -3", Error("NOPROTO unsupported protocol version")),
    ("HELLO three", Error("ERR Protocol version is not an integer or out of range")),
    ("HELLO AUTH default x", Error("ERR Protocol version is not an integer or out of range")),
    ("HELLO 3 NOSUCH", Error("ERR Syntax error in HELLO option 'NOSUCH'")),
    ("HELLO 3 AUTH default", Error("ERR Syntax error in HELLO option 'AUTH'")),
    ("HELLO 3 SETNAME", Error("ERR Syntax error in HELLO option 'SETNAME'")),
    ("HELLO 3 SETNAME 'a b'", BAD_NAME),
    ("HELLO 3 AUTH someone x", WRONGPASS)])
def test_a_refused_hello_changes_nothing(r, command, error):
    assert r(command) == error
    assert r("GET nothing") is None
    assert r.raw == b"$-1\r\n"
    assert r("CLIENT GETNAME") is None


def test_hello_names_the_connection(r):
    assert r("HELLO 3 SETNAME worker AUTH default anything")[b"proto"] == 3
    assert r("CLIENT GETNAME") == b"worker"


# ---- AUTH -----------------------------------------------------------------------------------------------


def test_auth_without_a_password_set(r):
    assert r("AUTH x") == Error(
        "ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?")
    assert r("AUTH default whatever") == "OK"
    assert r("AUTH someone whatever") == WRONGPASS
    assert r("AUTH") == wrong_arity("auth")


def test_auth_compares_the_whole_password(connect, config):
    config(requirepass="sesame")
    stranger = connect()
    for wrong in ["", "s", "sesam", "sesame1", "sesamesesame", "SESAME", "sesame\0"]:
        assert stranger("AUTH", wrong) == WRONGPASS
        assert stranger("AUTH", "default", wrong) == WRONGPASS
    assert stranger("AUTH someone sesame") == WRONGPASS
    assert stranger("PING") == NOAUTH
    assert stranger("AUTH sesame") == "OK"
    assert stranger("PING") == "PONG"


def test_a_failed_auth_leaves_an_authenticated_client_alone(connect, config):
    config(requirepass="sesame")
    client = connect()
    assert client("AUTH default sesame") == "OK"
    assert client("AUTH wrong") == WRONGPASS
    assert client("PING") == "PONG"


def test_hello_can_authenticate(connect, config):
    config(requirepass="sesame")
    stranger = connect()
    assert stranger("HELLO 3").startswith("NOAUTH HELLO must be called with the client already authenticated")
    assert stranger("HELLO 3 AUTH default wrong") == WRONGPASS
    assert stranger("PING") == NOAUTH
    assert stranger("HELLO 3 AUTH default sesame SETNAME n")[b"proto"] == 3
    assert stranger("CLIENT GETNAME") == b"n"


def test_clients_stay_authenticated_when_a_password_is_set(r, config):
    config(requirepass="sesame")
    assert r("PING") == "PONG"


# ---- RESET ----------------------------------------------------------------------------------------------


def test_reset_makes_the_connection_like_a_new_one(r, connect):
    r("HELLO 3 SETNAME worker")
    r("SELECT 5")
    r.send("SUBSCRIBE news")
    r.send("PSUBSCRIBE n*")
    r.send("SSUBSCRIBE s")
    assert [r.push()[2] for _ in range(3)] == [1, 2, 1]
    assert r("RESET") == "RESET"
    assert r("GET k") is None
    assert r.raw == b"$-1\r\n"
    assert r("CLIENT GETNAME") is None
    fields = next(line for line in r.client_list() if line["id"] == str(r.id))
    assert (fields["db"], fields["sub"], fields["psub"], fields["ssub"]) == ("0", "0", "0", "0")
    assert fields["flags"] == ("U" if r.socket.family == 1 else "N")
    other = connect()
    assert other("PUBLISH news x") == 0
    assert other("SPUBLISH s x") == 0


def test_reset_discards_a_transaction_and_what_is_watched(r, connect):
    r("WATCH k")
    r("MULTI")
    assert r("SET k mine") == "QUEUED"
    assert r("RESET") == "RESET"
    assert r("EXEC") == Error("ERR EXEC without MULTI")
    connect()("SET k theirs")
    r("MULTI")
    r("GET k")
    assert r("EXEC") == [b"theirs"]


def test_reset_takes_authentication_back(connect, config):
    config(requirepass="sesame")
    client = connect()
    client("AUTH sesame")
    assert client("RESET") == "RESET"
    assert client("PING") == NOAUTH
    assert client("AUTH sesame") == "OK"


def test_reset_turns_replies_on(r):
    r.send("CLIENT REPLY OFF")
    r.send("PING")
    assert r("RESET") == "RESET"
    assert r("PING") == "PONG"


@pytest.mark.skua_only("redis-server 7.0 forgets this one; later versions do not")
def test_reset_ends_no_evict(r):
    r("CLIENT NO-EVICT on")
    r("RESET")
    assert b"flags=e" not in r("CLIENT INFO") and b"flags=Ue" not in r("CLIENT INFO")


def test_reset_takes_no_argument(r):
    assert r("RESET now") == wrong_arity("reset")


# ---- QUIT -----------------------------------------------------------------------------------------------


def test_quit_says_ok_and_closes(r):
    assert r("QUIT") == "OK"
    assert r.is_closed()


def test_quit_takes_any_argument(r):
    assert r("QUIT now please") == "OK"
    assert r.is_closed()


def test_what_follows_quit_in_a_pipeline_is_not_executed(r, connect):
    r.send_raw(encode("SET", "before", "1") + encode("QUIT") + encode("SET", "after", "1"))
    assert r.replies(2) == ["OK", "OK"]
    assert r.is_closed()
    assert connect()("EXISTS before after") == 1


def test_quit_works_inside_a_transaction(r, connect):
    r("MULTI")
    r("SET k 1")
    assert r("QUIT") == "OK"
    assert r.is_closed()
    assert connect()("EXISTS k") == 0


def test_quit_works_for_a_subscriber(r3):
    r3.send("SUBSCRIBE news")
    assert isinstance(r3.read(), Push)
    assert r3("QUIT") == "OK"
    assert r3.is_closed()
