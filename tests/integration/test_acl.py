"""Access control: users, passwords and rules; what a request may do, and what happens to connections when that changes.

docs/access-control.md is the page for users. Valkey's words are those of Redis 7.2; where redis-server 7.0 has others, SAYS has both.
"""
import hashlib

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Error, eventually
from harness.server import Server

pytestmark = pytest.mark.core

WRONGPASS = Error("WRONGPASS invalid username-password pair or user is disabled.")
NOAUTH = Error("NOAUTH Authentication required.")
CHANGED = ("NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no "
           "longer allowed for the following reason: ")


def tell(client, *parts):
    """Sends a command; each part that is a text stands for its words."""
    return client(*[word for part in parts for word in (part.split() if isinstance(part, str) else [part])])


def modifier(rule, reason):
    return Error(f"ERR Error in ACL SETUSER modifier '{rule}': {reason}")


@pytest.fixture
def says(is_redis):
    """says(what, …) is a refusal in the words of the server."""
    class Words:
        def command(self, user, command):
            who = "this user" if is_redis else f"User {user}"
            return Error(f"NOPERM {who} has no permissions to run the '{command}' command")

        key = Error("NOPERM this user has no permissions to access one of the keys used as arguments" if is_redis else
                    "NOPERM No permissions to access a key")
        channel = Error("NOPERM this user has no permissions to access one of the channels used as arguments" if is_redis else
                        "NOPERM No permissions to access a channel")

        def dry(self, user, kind, name):
            who = "This user" if is_redis else f"User {user}"
            return f"{who} has no permissions to access the '{name}' {kind}".encode()
    return Words()


@pytest.fixture(autouse=True)
def no_users_stay(request):
    """After each test on the shared server there is nobody but `default`, who may do everything."""
    yield
    if "server" in request.fixturenames:
        with request.getfixturevalue("server").connect() as client:
            client("ACL SETUSER default reset on nopass ~* &* +@all")
            others = [name for name in client("ACL USERS") if name != b"default"]
            if others:
                tell(client, "ACL DELUSER", *others)
            client("ACL LOG RESET")


@pytest.fixture
def login(r, connect):
    """login(name, *rules) makes the user and returns a connection of it."""
    def begin(name, *rules, resp=2):
        assert tell(r, "ACL SETUSER", name, "on", "nopass", *rules) == "OK"
        client = connect(resp)
        assert client("AUTH", name, "any") == "OK"
        return client
    return begin


def details(client, name):
    flat = tell(client, "ACL GETUSER", name)
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}


def closed(client):
    """Whether the server has closed the connection."""
    try:
        client("PING")
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return True
    return False


# ---- Logging in ------------------------------------------------------------------------------------------


def test_a_new_user_is_off_and_may_do_nothing(r, connect, says):
    assert r("ACL SETUSER alice") == "OK"
    client = connect()
    assert client("AUTH alice any") == WRONGPASS
    r("ACL SETUSER alice on nopass")
    assert client("AUTH alice any") == "OK"
    assert client("GET k") == says.command("alice", "get")
    assert client("ACL WHOAMI") == says.command("alice", "acl|whoami")
    assert client("RESET") == "RESET"
    assert client("ACL WHOAMI") == b"default"


def test_each_of_several_passwords_opens_and_none_other(r, connect):
    digest = hashlib.sha256(b"third").hexdigest()
    tell(r, "ACL SETUSER alice on >first >second", f"#{digest}", "+@all")
    client = connect()
    for password in ("first", "second", "third"):
        assert client("AUTH", "alice", password) == "OK"
    assert client("AUTH alice fourth") == WRONGPASS
    assert client("ACL WHOAMI") == b"alice"  # a failure changes nothing
    tell(r, "ACL SETUSER alice <first", f"!{digest}")
    assert client("AUTH alice first") == WRONGPASS
    assert client("AUTH alice third") == WRONGPASS
    assert client("AUTH alice second") == "OK"
    assert details(r, "alice")["passwords"] == [hashlib.sha256(b"second").hexdigest().encode()]
    r("ACL SETUSER alice resetpass")
    assert client("AUTH alice second") == WRONGPASS


@pytest.mark.skua_only("redis-server 7.0 looks at the first AUTH, too")
def test_hello_logs_in_and_does_nothing_else_when_that_fails(r, connect):
    r("ACL SETUSER alice on >secret +@all")
    client = connect()
    assert client("HELLO 3 AUTH alice wrong SETNAME x") == WRONGPASS
    assert client("CLIENT GETNAME") is None
    assert client("HELLO 2 AUTH alice wrong AUTH alice secret SETNAME x")[0] == b"server"  # the last one counts
    assert client("CLIENT GETNAME") == b"x"
    assert client("ACL WHOAMI") == b"alice"


def test_an_error_for_a_password_that_nobody_wants(r):
    assert r("AUTH any") == Error("ERR AUTH <password> called without any password configured for the default user. "
                                  "Are you sure your configuration is correct?")
    assert r("AUTH default any") == "OK"
    assert r("AUTH a b c") == SYNTAX_ERROR


def test_requirepass_is_the_password_of_default(r, connect, config):
    config(requirepass="secret")
    assert details(r, "default")["passwords"] == [hashlib.sha256(b"secret").hexdigest().encode()]
    stranger = connect()
    assert stranger("PING") == NOAUTH
    assert stranger("AUTH secret") == "OK"
    assert r("PING") == "PONG"  # was here before
    config(requirepass="")
    assert b"nopass" in details(r, "default")["flags"]
    assert connect()("PING") == "PONG"


def test_strangers_are_let_in_as_soon_as_default_needs_no_password(start):
    own = start()
    r = own.connect()
    r("ACL SETUSER default resetpass >secret")
    stranger = own.connect()
    assert stranger("PING") == NOAUTH
    r("ACL SETUSER default nopass")
    assert stranger("PING") == "PONG"
    r("ACL SETUSER default off")
    assert stranger("PING") == NOAUTH
    assert r("PING") == "PONG"
    r("ACL SETUSER default on")


# ---- Rules -----------------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.skua_only("redis-server 7.0 makes rules out of the commands that are allowed")
@pytest.mark.parametrize("rules, commands", [
    ("+@all -@hash -@slow +hget", "+@all -@hash -@slow +hget"),
    ("-@all +client|list +client|list +config|get +config +acl|list -acl", "-@all +client|list +config -acl"),
    ("+@HASH +@hash", "-@all +@hash"),
    ("+select|0 +select|0", "-@all +select|0"),
    ("+hget -hset +hset -hget", "-@all +hset -hget"),
    ("-@dangerous", "-@all -@dangerous"),
    ("+get allcommands", "+@all"),
    ("+@all nocommands", "-@all"),
])
def test_rules_for_commands_are_told_as_they_were_given(r, rules, commands):
    assert tell(r, "ACL SETUSER alice", *rules.split()) == "OK"
    assert details(r, "alice")["commands"] == commands.encode()


@pytest.mark.once
def test_rules_for_keys_channels_and_selectors_are_told(r):
    r("ACL SETUSER alice %R~a %W~a %R~b ~c &x &y* ( +get ~d ) (%RW~e allchannels)")
    alice = details(r, "alice")
    assert (alice["keys"], alice["channels"]) == (b"~a %R~b ~c", b"&x &y*")
    assert alice["selectors"] == [[b"commands", b"-@all +get", b"keys", b"~d", b"channels", b""],
                                  [b"commands", b"-@all", b"keys", b"~e", b"channels", b"&*"]]
    r("ACL SETUSER alice clearselectors resetkeys resetchannels")
    alice = details(r, "alice")
    assert (alice["keys"], alice["channels"], alice["selectors"]) == (b"", b"", [])


@pytest.mark.once
def test_a_list_line_makes_the_same_user_again(r):
    r("ACL SETUSER alice on >x ~a %R~b &c +@all -@dangerous +keys (~d +get) (+set ~e)")
    before = r("ACL LIST")
    line = next(line for line in before if line.startswith(b"user alice"))
    assert r("ACL DELUSER alice nobody") == 1
    assert tell(r, "ACL SETUSER", *line.split()[1:]) == "OK"
    assert r("ACL LIST") == before


@pytest.mark.once
@pytest.mark.parametrize("rules, error", [
    ("bogus", modifier("bogus", "Syntax error")),
    ("+nope", modifier("+nope", "Unknown command or category name in ACL")),
    ("-@nope", modifier("-@nope", "Unknown command or category name in ACL")),
    ("+config|nope", modifier("+config|nope", "Unknown command or category name in ACL")),
    ("+config|get|x", modifier("+config|get|x", "Allowing first-arg of a subcommand is not supported")),
    ("+get|", modifier("+get|", "Syntax error")),
    ("%RX~a", modifier("%RX~a", "Syntax error")),
    ("%~a", modifier("%~a", "Syntax error")),
    ("#12", modifier("#12", "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters")),
    ("<x", modifier("<x", "The password you are trying to remove from the user does not exist")),
    ("allkeys ~a", modifier("~a", "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any "
                                  "effect. Try 'resetkeys' to start with an empty list of patterns")),
    ("&* &a", modifier("&a", "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any "
                             "effect. Try 'resetchannels' to start with an empty list of channels")),
    ("(+get (+set) )", modifier("(+get (+set)", "Syntax error")),
    ("on (+get", Error("ERR Unmatched parenthesis in acl selector starting at '(+get'.")),
])
def test_one_wrong_rule_means_that_none_is_applied(r, rules, error):
    assert tell(r, "ACL SETUSER alice on +get", *rules.split()) == error
    assert r("ACL GETUSER alice") is None


@pytest.mark.once
def test_names_have_no_blanks(r):
    error = Error("ERR Usernames can't contain spaces or null characters")
    assert r("ACL", "SETUSER", "a b") == error
    assert r("ACL", "SETUSER", b"a\0b") == error


@pytest.mark.once
def test_new_users_have_the_channels_of_the_option(r, config):
    config(acl_pubsub_default="allchannels")
    r("ACL SETUSER alice (+get)")
    assert details(r, "alice")["channels"] == b"&*"
    config(acl_pubsub_default="resetchannels")
    r("ACL SETUSER bob")
    assert (details(r, "alice")["channels"], details(r, "bob")["channels"]) == (b"&*", b"")


# ---- What is allowed ---------------------------------------------------------------------------------------


def test_commands_subcommands_and_first_arguments(login, says):
    client = login("alice", "+client|id", "+select|0", "+@string", "-append", "~*")
    assert isinstance(client("CLIENT ID"), int)
    assert client("CLIENT INFO") == says.command("alice", "client|info")
    assert client("SELECT 0") == "OK"
    assert client("SELECT 1") == says.command("alice", "select")
    assert client("SET k v") == "OK"
    assert client("APPEND k v") == says.command("alice", "append")
    assert client("LPUSH l v") == says.command("alice", "lpush")


def test_keys_to_read_and_keys_to_write(r, login, says):
    client = login("alice", "+@all", "%R~r*", "%W~w*", "~x*")
    for command in ("GET r", "SET w v", "SET x v GET", "COPY r w", "EXISTS r w x", "APPEND w v", "MSET w1 a w2 b", "LPUSH wl a",
                    "BITFIELD r1 GET u8 0", "SORT r2 STORE w2", "ZUNIONSTORE w3 2 r1 r2", "TYPE w"):
        assert not isinstance(client(command), Error), command
    for command in ("GET w", "SET r v", "SET w v GET", "COPY w r", "EXISTS other", "MSET w1 a r1 b", "LPOP wl", "GETDEL r",
                    "SORT w2 STORE w2", "BITFIELD w9 SET u8 0 1", "ZUNIONSTORE w3 2 r1 w2", "INCR r", "RENAME r w", "XREAD STREAMS r1 w1 0 0",
                    "GEOSEARCHSTORE w w FROMLONLAT 1 1 BYRADIUS 1 m"):
        assert client(command) == says.key, command


@pytest.mark.skua_only("redis-server looks at the first of them, and stores into the last")
def test_a_key_behind_an_option_that_stands_twice(login, says):
    client = login("alice", "+@all", "%R~r*", "%W~w*")
    assert client("GEORADIUS r 1 1 1 m STORE r STORE w") == 0
    assert client("GEORADIUS r 1 1 1 m STORE w STORE r") == says.key
    assert client("SORT r STORE w STORE r") == says.key


def test_one_selector_has_to_allow_the_whole_request(login, says):
    client = login("alice", "(+mget ~a)", "(+mget ~b)", "(+set ~a)")
    assert client("MGET a") == [None]
    assert client("MGET b") == [None]
    assert client("MGET a b") == says.key
    assert client("SET b v") == says.key
    assert client("DEL a") == says.command("alice", "del")


def test_many_keys_of_one_request_are_all_looked_at(login, says):
    client = login("alice", "+mget", "~a*")
    names = [f"a{i}" for i in range(300)]
    assert client("MGET", *names) == [None] * 300
    assert client("MGET", *names, "b") == says.key


def test_sort_by_other_keys_needs_to_read_all(r, login):
    r("RPUSH l 1")
    client = login("alice", "(+sort ~l)", "(+sort_ro ~l %R~*)")
    for option in ("BY", "GET"):
        refusal = tell(client, "SORT l", option, "w*")
        assert isinstance(refusal, Error) and f"ERR {option} option of SORT denied due to insufficient ACL" in str(refusal)
    assert client("SORT l BY nosort") == [b"1"]
    assert client("SORT_RO l BY w* GET #") == [b"1"]


def test_channels_to_send_to_and_to_listen_to(r, login, says):
    client = login("alice", "+@all", "&news*", "&mail", resp=3)
    assert client("PUBLISH news1 x") == 0
    assert client("PUBLISH other x") == says.channel
    assert client("SPUBLISH other x") == says.channel
    assert client("SUBSCRIBE news1 other") == says.channel
    assert client("PSUBSCRIBE news1*") == says.channel  # the very pattern only
    client.send("PSUBSCRIBE news*")
    assert client.push()[:2] == [b"psubscribe", b"news*"]
    client.send("SSUBSCRIBE mail")
    assert client.push()[:2] == [b"ssubscribe", b"mail"]
    assert client("PUBSUB CHANNELS other") == []


def test_reads_of_a_restricted_user_are_checked_with_threads_too(r, login, says):
    r("SET a 1")
    r("SET b 2")
    client = login("alice", "+get", "~a")
    for _ in range(50):
        assert client("GET a") == b"1"
        assert client("GET b") == says.key
    for _ in range(20):
        r("ACL SETUSER alice allkeys")
        client.send("GET b")
        assert client.reply() == b"2"
        r("ACL SETUSER alice resetkeys ~a")
        assert client("GET b") == says.key


def test_rights_that_are_taken_hold_from_the_answer_on(r, login, says):
    client = login("alice", "+@all", "~*")
    for turn in range(100):
        old, new = f"old{turn}".encode(), f"new{turn}".encode()
        r("SET", "secret", old)
        r("ACL SETUSER alice allkeys")
        assert client("GET secret") == old
        client.send("GET secret")  # on its way when the right is taken
        r("ACL SETUSER alice resetkeys")
        r("SET", "secret", new)
        assert client.reply() in (old, says.key)
        assert client("GET secret") == says.key


# ---- Transactions --------------------------------------------------------------------------------------------


def test_a_refusal_spoils_the_transaction(login, says):
    client = login("alice", "+@all", "-del", "~*")
    client("MULTI")
    assert client("DEL k") == says.command("alice", "del")
    assert client("SET k v") == "QUEUED"
    assert client("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")


def test_queued_commands_are_looked_at_again(r, login):
    client = login("alice", "+@all", "~*", "&*")
    client("MULTI")
    for command in ("SET k v", "INCR n", "PUBLISH c m", "PING"):
        assert client(command) == "QUEUED"
    r("ACL SETUSER alice -set resetkeys ~k resetchannels")
    assert client("EXEC") == [Error(CHANGED + "no permission to execute the command or subcommand"),
                              Error(CHANGED + "no permission to touch the specified keys"),
                              Error(CHANGED + "no permission to access one of the channels used as arguments"),
                              "PONG"]
    assert r("EXISTS k n") == 0


def test_a_transaction_that_takes_its_own_rights(login):
    client = login("alice", "+@all", "~*")
    client("MULTI")
    client("SET k v")
    client("ACL SETUSER alice -set")
    client("SET k w")
    assert client("EXEC") == ["OK", "OK", Error(CHANGED + "no permission to execute the command or subcommand")]
    assert client("GET k") == b"v"


@pytest.mark.skua_only("redis-server 7.0 does not ask again")
def test_what_waited_is_looked_at_again_before_it_is_served(r, login, waiting, says):
    client = waiting("BLPOP l 0", client=login("alice", "+blpop", "~l"))
    r("ACL SETUSER alice resetkeys")
    assert r("RPUSH l v") == 1
    assert client.reply() == says.key
    assert r("LLEN l") == 1


# ---- Connections when users change -----------------------------------------------------------------------------


def test_deleting_a_user_closes_its_connections(r, login):
    mine, other = login("alice", "+@all"), login("bob", "+@all")
    assert r("ACL DELUSER alice bob nobody") == 2
    eventually(lambda: closed(mine) and closed(other), "they are closed")
    assert r("ACL DELUSER default") == Error("ERR The 'default' user cannot be removed")


def test_who_deletes_itself_gets_the_answer_first(r, login):
    client = login("alice", "+@all")
    assert client("ACL DELUSER alice") == 1
    assert closed(client)


def test_listeners_are_closed_when_their_channels_are_taken(r, login):
    listener = login("alice", "+@all", "&a", "&b*")
    listener("SUBSCRIBE a")
    listener("PSUBSCRIBE b*")
    r("ACL SETUSER alice resetchannels &a &b* &c")
    assert listener("PING") == [b"pong", b""]
    r("ACL SETUSER alice resetchannels &a &b1")
    eventually(lambda: closed(listener), "it is closed")


def test_listeners_stay_when_other_rights_go(r, login, says):
    listener = login("alice", "+@all", "~*", "allchannels", resp=3)
    listener.send("SUBSCRIBE a")
    listener.push()
    r("ACL SETUSER alice -@all +ping resetkeys off")
    assert listener("PING") == "PONG"
    assert listener("GET k") == says.command("alice", "get")


def test_clients_are_told_and_killed_by_user(r, login):
    client = login("alice", "+@all")
    assert b" user=alice " in r("CLIENT LIST") and b" user=alice " in client("CLIENT INFO")
    assert r("CLIENT KILL USER alice") == 1
    eventually(lambda: closed(client), "it is closed")
    assert r("CLIENT KILL USER nobody") == Error("ERR No such user 'nobody'")


# ---- Looking ---------------------------------------------------------------------------------------------------


def test_cat_lists_categories_and_their_commands(r):
    assert {b"keyspace", b"read", b"connection", b"dangerous"} <= set(r("ACL CAT"))
    assert set(r("ACL CAT transaction")) == {b"multi", b"exec", b"discard", b"watch", b"unwatch"}
    assert {b"client|kill", b"keys"} <= set(r("ACL CAT dangerous"))
    assert r("ACL CAT nope") == Error("ERR Unknown category 'nope'")
    assert r("ACL CAT a b") == Error("ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.")


def test_dryrun_tells_without_doing(r, says):
    r("ACL SETUSER alice +set +publish +client|id ~a &c")
    assert r("ACL DRYRUN alice SET a v") == "OK"
    assert r("ACL DRYRUN alice SET b v") == says.dry("alice", "key", "b")
    assert r("ACL DRYRUN alice PUBLISH d m") == says.dry("alice", "channel", "d")
    assert r("ACL DRYRUN alice CLIENT ID") == "OK"
    assert r("ACL DRYRUN alice CLIENT INFO").endswith(b"has no permissions to run the 'client|info' command")
    assert r("ACL DRYRUN nobody GET a") == Error("ERR User 'nobody' not found")
    assert r("ACL DRYRUN alice NOPE a") == Error("ERR Command 'NOPE' not found")
    assert r("ACL DRYRUN alice SET a") == wrong_arity("set")
    assert (r("EXISTS a"), r("ACL LOG")) == (0, [])


def test_genpass_makes_what_nobody_can_guess(r):
    first, second = r("ACL GENPASS"), r("ACL GENPASS")
    assert len(first) == len(second) == 64 and first != second and int(first, 16)
    assert len(r("ACL GENPASS 5")) == 2
    assert len(r("ACL GENPASS 4096")) == 1024
    for bits in ("0", "-5", "4097"):
        assert tell(r, "ACL GENPASS", bits) == Error("ERR ACL GENPASS argument must be the number of bits for the output password, a "
                                               "positive number up to 4096")
    assert r("ACL GENPASS x") == NOT_AN_INTEGER


def entries(client, *count):
    return [{entry[i].decode(): entry[i + 1] for i in range(0, len(entry), 2)} for entry in tell(client, "ACL LOG", *count)]


def test_log_tells_what_was_denied(r, login, connect):
    client = login("alice", "+@all", "-del", "~a", "&c")
    client("CLIENT SETNAME worker")
    client("DEL a")
    client("GET b")
    client("PUBLISH d m")
    client("MULTI")
    client("GET b")
    client("DISCARD")
    stranger = connect()
    stranger("AUTH alice2 wrong")
    stranger("HELLO 3 AUTH alice2 wrong")
    told = entries(r)
    assert [(entry["reason"], entry["context"], entry["object"], entry["username"]) for entry in told] == [
        (b"auth", b"toplevel", b"HELLO", b"alice2"), (b"auth", b"toplevel", b"AUTH", b"alice2"),
        (b"key", b"multi", b"b", b"alice"), (b"channel", b"toplevel", b"d", b"alice"), (b"key", b"toplevel", b"b", b"alice"),
        (b"command", b"toplevel", b"del", b"alice")]
    assert b" name=worker " in told[5]["client-info"] and b" cmd=del " in told[5]["client-info"]
    client("DEL a")
    assert (entries(r, 1)[0]["count"], entries(r, 1)[0]["object"], len(entries(r))) == (2, b"del", 6)
    assert (len(entries(r, 2)), entries(r, -1)) == (2, [])
    assert r("ACL LOG RESET") == "OK" and entries(r) == []
    assert r("ACL LOG x") == NOT_AN_INTEGER


@pytest.mark.skua_only("redis-server 7.0 has no entry ids and counters")
def test_log_entries_have_ids_and_times_and_denials_are_counted(r, login, connect):
    r("CONFIG RESETSTAT")
    client = login("alice", "+get", "~a", "&c", "+publish")
    for command in ("GET b", "GET b", "GET c", "SET a v", "PUBLISH d m"):
        client(command)
    connect()("AUTH alice2 wrong")
    channel, command, last, first = entries(r)[1:]
    assert first["entry-id"] < last["entry-id"] < command["entry-id"] < channel["entry-id"]
    assert first["timestamp-created"] <= first["timestamp-last-updated"]
    assert float(first["age-seconds"]) >= 0
    stats = r.info("stats")
    assert [stats[f"acl_access_denied_{reason}"] for reason in ("auth", "cmd", "key", "channel")] == ["1", "1", "3", "1"]


def test_log_keeps_as_many_entries_as_the_option_says(r, login, config):
    config(acllog_max_len="2")
    client = login("alice", "+get", "~a")
    for name in "bcdef":
        client("GET", name)
    assert [entry["object"] for entry in entries(r)] == [b"f", b"e"]


@pytest.mark.skua_only("redis-server 7.0 shows the second password of a HELLO")
def test_passwords_are_shown_to_nobody(r, connect, config):
    config(slowlog_log_slower_than="0")
    r("SLOWLOG RESET")
    r("ACL SETUSER alice on >sesame +@all")
    connect()("AUTH alice sesame")
    connect()("HELLO 2 AUTH alice wrong AUTH alice sesame")
    r("ACL DELUSER sesame")
    config(slowlog_log_slower_than="10000")
    assert b"sesame" not in repr(r("SLOWLOG GET 100")).encode()
    assert b"sesame" not in repr(r("ACL LIST")).encode()


# ---- Files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def with_file(start, tmp_path):
    """with_file(text) is a server whose aclfile has this text, and the file's path."""
    def begin(text):
        path = tmp_path / "users.acl"
        path.write_text(text)
        return start(aclfile=str(path)), path
    return begin


@pytest.mark.once
def test_save_and_load(with_file):
    own, path = with_file("user alice on >x ~a* +@all\n")
    client = own.connect()
    assert client("ACL USERS") == [b"alice", b"default"]
    client("ACL SETUSER bob on nopass %R~b &c -@all +@read (+set ~d)")
    before = client("ACL LIST")
    assert client("ACL SAVE") == "OK"
    assert path.read_text() == "".join(line.decode() + "\n" for line in before)
    client("ACL SETUSER bob -@all")
    client("ACL DELUSER alice")
    assert client("ACL LOAD") == "OK"
    assert client("ACL LIST") == before
    assert [name.name for name in path.parent.iterdir()] == ["users.acl"]


@pytest.mark.once
def test_a_mistake_in_the_file_changes_nothing_and_is_told_with_its_line(with_file):
    own, path = with_file("user alice on\n")
    client = own.connect()
    before = client("ACL LIST")
    path.write_text("user bob on +nope\nfoo\nuser bob\nuser carl (x\nuser dan bogus\n")
    assert client("ACL LOAD") == Error(
        f"ERR {path}:1: Error in applying operation '+nope': Unknown command or category name in ACL. {path}:2 should start with "
        f"user keyword followed by the username. WARNING: Duplicate user 'bob' found on line 3. {path}:4: Unmatched parenthesis in "
        f"selector definition.{path}:5: Syntax error. WARNING: ACL errors detected, no change to the previously active ACL rules "
        "was performed")
    path.unlink()
    assert client("ACL LOAD") == Error(f"ERR Error loading ACLs, opening file '{path}': No such file or directory")
    assert client("ACL LIST") == before


@pytest.mark.once
@pytest.mark.skua_only("redis-server 7.0 closes everybody but who is `default`")
def test_load_closes_whom_it_concerns(with_file):
    own, path = with_file("user default on nopass ~* &* +@all\nuser alice on nopass &a +@all\n")
    admin, alice, bob, self = own.connect(), own.connect(), own.connect(), own.connect()
    for name in ("bob", "carl"):
        tell(admin, "ACL SETUSER", name, "on", "nopass", "&a", "+@all")
    assert [client("AUTH", name, "x") for client, name in ((alice, "alice"), (bob, "bob"), (self, "carl"))] == ["OK"] * 3
    alice("SUBSCRIBE a")
    assert self("ACL LOAD") == "OK"  # its own user goes with that
    assert closed(self)
    eventually(lambda: closed(bob), "who is gone is closed")
    assert alice("PING") == [b"pong", b""]
    path.write_text("user alice on nopass &b +@all\n")
    assert admin("ACL LOAD") == "OK"
    eventually(lambda: closed(alice), "who may not listen any more is closed")
    assert b"user default on nopass" in admin("ACL LIST")[1]


@pytest.mark.once
def test_without_an_aclfile_there_is_nothing_to_load(r):
    for command in ("LOAD", "SAVE"):
        assert str(tell(r, "ACL", command)).startswith("ERR This Redis instance is not configured to use an ACL file.")


@pytest.mark.once
def test_users_of_the_configuration_file(start):
    own = start(user=["default on >main ~* &* +@all -flushdb", 'alice on nopass ~x* +get "(+set ~y)"'])
    client = own.connect()
    assert client("PING") == NOAUTH
    assert client("AUTH main") == "OK"
    assert str(client("FLUSHDB")).startswith("NOPERM")
    assert client("ACL DRYRUN alice SET y v") == "OK"
    client("ACL SETUSER bob on >b +@all ~*")
    before = client("ACL LIST")
    assert client("CONFIG REWRITE") == "OK"
    own.close_clients()
    text = own.config_path.read_text()
    assert text.count("\nuser ") + text.startswith("user ") == 3
    again = start(user=[line[5:] for line in text.splitlines() if line.startswith("user ")])
    client = again.connect()
    assert client("AUTH main") == "OK"
    assert client("ACL LIST") == before


@pytest.mark.skua_only("redis-server says it in other words")
@pytest.mark.once
@pytest.mark.parametrize("config, reason", [
    ({"user": ["alice on", "alice off"]}, "Error in user declaration 'alice': Duplicate user found. A user can only be defined once in "
                                          "config files"),
    ({"user": "alice +nope"}, "Error in user declaration '+nope': Unknown command or category name in ACL"),
    ({"user": "alice (x"}, "Unmatched parenthesis in selector definition."),
    ({"user": "alice on", "aclfile": "users.acl"}, "users stand in the configuration and in an aclfile"),
    ({"aclfile": "missing.acl"}, "Error loading ACLs, opening file 'missing.acl': No such file or directory"),
])
def test_a_server_does_not_start_with_a_mistake_in_its_users(config, reason):
    own = Server(config=config)
    try:
        assert own.start_to_end() == 1
        assert reason in own.log().decode()
    finally:
        own.kill()
        own.remove()
