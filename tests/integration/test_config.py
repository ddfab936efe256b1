"""CONFIG: options are shown by pattern, changed all together or not at all, and written back into the file."""
import grp
import json
import os
import pathlib
import socket
import subprocess

import pytest

from harness.errors import SYNTAX_ERROR, wrong_arity
from harness.resp import Error, eventually
from harness.server import ROOT, Server, free_port, program

pytestmark = pytest.mark.core

GENERATED = pathlib.Path(os.environ.get("SKUA_GENERATED", ROOT / "build" / "dev" / "gen"))


def failed(name, reason):
    return Error(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")


def pairs(reply):
    return dict(zip(reply[::2], reply[1::2]))


def lines(path):
    return path.read_text().splitlines()


# ---- GET ------------------------------------------------------------------------------------------------


def test_get_by_name(r):
    assert r("CONFIG GET maxclients") == [b"maxclients", b"10000"]
    assert r("CONFIG GET nosuch") == []


def test_get_by_patterns_answers_each_option_once(r):
    found = r("CONFIG GET maxcl* *clients tim?out [t]imeout nosuch*")
    assert len(found) == len(set(found[::2])) * 2
    assert {b"maxclients", b"timeout"} <= set(found[::2])


def test_get_does_not_mind_case(r):
    assert list(pairs(r("CONFIG GET MAXCLIENT*"))) == [b"maxclients"]


def test_get_is_a_map_in_resp3(r3):
    assert r3("CONFIG GET timeout hz") == {b"timeout": b"0", b"hz": b"10"}


def test_forms_of_values(r):
    found = pairs(r("CONFIG GET *"))
    assert found[b"proto-max-bulk-len"] == b"536870912"
    assert found[b"client-output-buffer-limit"] == b"normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
    assert found[b"latency-tracking-info-percentiles"] == b"50 99 99.9"
    assert found[b"save"] == b"" and found[b"appendonly"] == b"no"
    assert found[b"bind"] == b"127.0.0.1 -::1"


# ---- SET ------------------------------------------------------------------------------------------------


def test_set_answers_ok_and_the_value_is_there(r, config):
    config(timeout=0, maxmemory=0)
    assert r("CONFIG SET timeout 30 MAXMEMORY 1gb") == "OK"
    assert pairs(r("CONFIG GET timeout maxmemory")) == {b"timeout": b"30", b"maxmemory": b"1073741824"}


@pytest.mark.parametrize("name, value, reason", [
    ("maxclients", "abc", "argument couldn't be parsed into an integer"),
    ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
    ("timeout", "", "argument couldn't be parsed into an integer"),
    ("timeout", "0x10", "argument couldn't be parsed into an integer"),
    ("timeout", "99999999999999999999", "argument couldn't be parsed into an integer"),
    ("slowlog-log-slower-than", "-5", "argument must be between -1 and 9223372036854775807 inclusive"),
    ("protected-mode", "maybe", "argument must be 'yes' or 'no'"),
    ("proto-max-bulk-len", "1.5gb", "argument must be a memory value"),
    ("proto-max-bulk-len", "5", "argument must be between 1048576 and 9223372036854775807 inclusive"),
    ("maxmemory", "-1", "argument must be a memory value"),
    ("client-output-buffer-limit", "normal 0 0", "Wrong number of arguments in buffer limit configuration."),
    ("client-output-buffer-limit", "bogus 1 2 3", "Invalid client class specified in buffer limit configuration."),
    ("client-output-buffer-limit", "normal 1 2mb -3",
     "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
    ("notify-keyspace-events", "KEq", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
    ("latency-tracking-info-percentiles", "101",
     "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"),
    ("latency-tracking-info-percentiles", "abc", "Invalid latency-tracking-info-percentiles parameters"),
])
def test_set_says_what_is_wrong(r, name, value, reason):
    before = r("CONFIG", "GET", name)
    assert r("CONFIG", "SET", name, value) == failed(name, reason)
    assert r("CONFIG", "GET", name) == before


@pytest.mark.once
def test_the_name_of_a_snapshot_is_no_path(start):
    """Else whoever may change it could have the server overwrite any file that it may write to."""
    r = start(enable_protected_configs="yes").connect()
    for path in ("a/b.rdb", "../dump.rdb", "/etc/passwd"):
        assert r("CONFIG", "SET", "dbfilename", path) == failed("dbfilename", "dbfilename can't be a path, just a filename")
    assert r("CONFIG GET dbfilename") == [b"dbfilename", b"dump.rdb"]
    assert r("CONFIG SET dbfilename other.rdb") == "OK"


# ---- dir --------------------------------------------------------------------------------------------------------

@pytest.mark.once
def test_dir_is_a_whole_path(start):
    server = start()
    assert server.connect()("CONFIG GET dir") == [b"dir", os.path.realpath(server.folder).encode()]


@pytest.mark.once
@pytest.mark.parametrize("option", ["dir", "dbfilename"])
def test_protected_options_need_permission(start, option):
    server = start()
    value = str(server.folder) if option == "dir" else "other.rdb"
    assert server.connect()("CONFIG", "SET", option, value) == failed(option, "can't set protected config")
    r = start(enable_protected_configs="local").connect()
    assert r("CONFIG", "SET", option, value) == "OK"
    assert r("CONFIG SET enable-protected-configs yes") == failed("enable-protected-configs", "can't set immutable config")


@pytest.mark.once
def test_dir_changes_while_the_server_runs(start, tmp_path):
    server = start(enable_protected_configs="yes")
    r = server.connect()
    r("SET k v")
    (tmp_path / "inner").mkdir()
    assert r("CONFIG", "SET", "dir", str(tmp_path)) == "OK"
    assert r("CONFIG SET dir inner dbfilename x.rdb") == "OK"
    assert r("CONFIG GET dir") == [b"dir", os.path.realpath(tmp_path / "inner").encode()]
    assert r("SAVE") == "OK"
    assert (tmp_path / "inner" / "x.rdb").exists() and not (server.folder / "dump.rdb").exists()


@pytest.mark.once
def test_a_dir_that_is_none_changes_nothing(start, tmp_path):
    server = start(enable_protected_configs="yes")
    r = server.connect()
    (tmp_path / "file").write_text("")
    for path, reason in (("none", "No such file or directory"), ("file", "Not a directory")):
        assert r("CONFIG", "SET", "dir", str(tmp_path / path)) == failed("dir", reason)
    assert r("SAVE") == "OK"
    assert (server.folder / "dump.rdb").exists()


@pytest.mark.once
@pytest.mark.skua_only("Redis stays in the new one when the old one is gone")
def test_with_another_option_that_fails_dir_stays(start, tmp_path):
    """Also where the path leads nowhere by then."""
    server = start(enable_protected_configs="yes")
    r = server.connect()
    assert r("CONFIG", "SET", "dir", str(tmp_path)) == "OK"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        tmp_path.rmdir()
        assert isinstance(r("CONFIG", "SET", "dir", "/tmp", "port", port), Error)
    assert r("CONFIG", "GET", "dir") == [b"dir", os.fsencode(tmp_path)]
    assert r("CONFIG", "SET", "dir", str(server.folder)) == "OK"
    assert r("SAVE") == "OK"
    assert (server.folder / "dump.rdb").exists()


@pytest.mark.once
@pytest.mark.skua_only("Redis changes it, and the next rewrite fails")
def test_dir_stays_while_files_are_being_written(start, tmp_path):
    r = start(enable_protected_configs="yes", appendonly="yes").connect()
    assert r("CONFIG", "SET", "dir", str(tmp_path)) == failed("dir", "the append-only file is on")
    r("CONFIG SET appendonly no")
    eventually(lambda: r("CONFIG", "SET", "dir", str(tmp_path)) == "OK", "the append-only file is closed")
    r.pipeline(*(("SET", f"k{i}", "x" * 10000) for i in range(3000)))
    assert r.pipeline("BGSAVE", ("CONFIG", "SET", "dir", "/")) == [
        "Background saving started", failed("dir", "a snapshot is being written")]
    eventually(lambda: r.info("persistence")["rdb_bgsave_in_progress"] == "0", "it is written")
    assert (tmp_path / "dump.rdb").exists()


def test_names_in_errors(r):
    assert r("CONFIG SET foo bar") == Error("ERR Unknown option or number of arguments for CONFIG SET - 'foo'")
    assert r("CONFIG SET timeout 1 foo 2") == Error("ERR Unknown option or number of arguments for CONFIG SET - 'foo'")
    assert r("CONFIG SET MAXCLIENTS abc") == failed("maxclients", "argument couldn't be parsed into an integer")
    assert r("CONFIG SET TIMEOUT 3 Timeout 4") == failed("Timeout", "duplicate parameter")
    assert r("CONFIG SET DATABASES 3") == failed("DATABASES", "can't set immutable config")
    assert r("CONFIG SET enable-debug-command no") == failed("enable-debug-command", "can't set immutable config")


def test_wrong_numbers_of_arguments(r):
    assert r("CONFIG") == wrong_arity("config")
    assert r("CONFIG GET") == wrong_arity("config|get")
    assert r("CONFIG SET timeout") == wrong_arity("config|set")
    assert r("CONFIG SET timeout 5 hz") == SYNTAX_ERROR
    assert r("CONFIG NOSUCH") == Error("ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP.")


def test_set_is_all_or_nothing(r):
    assert r("CONFIG SET timeout 9 requirepass x hz none") == failed(
        "hz", "argument couldn't be parsed into an integer")
    assert pairs(r("CONFIG GET timeout requirepass")) == {b"timeout": b"0", b"requirepass": b""}
    assert r("CONFIG SET timeout 9 databases 5") == failed("databases", "can't set immutable config")
    assert r("CONFIG GET timeout") == [b"timeout", b"0"]


def test_output_limits_keep_the_classes_that_are_not_named(r, config):
    config(client_output_buffer_limit="normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60")
    assert r("CONFIG", "SET", "client-output-buffer-limit", "replica 1mb 2mb 3") == "OK"
    assert r("CONFIG GET client-output-buffer-limit")[1] == (
        b"normal 0 0 0 slave 1048576 2097152 3 pubsub 33554432 8388608 60")
    assert r("CONFIG", "SET", "client-output-buffer-limit", "slave 256mb 64mb 60") == "OK"


@pytest.mark.parametrize("written, shown", [(b"mnKxg", b"gxnKm"), (b"KEA", b"AKE"), (b"g$lshzxetdKE", b"AKE"),
                                            (b"KKgg", b"gK"), (b"", b"")])
def test_notification_classes_have_one_form(r, config, written, shown):
    config(notify_keyspace_events=written)
    assert r("CONFIG GET notify-keyspace-events")[1] == shown


@pytest.mark.skua_only("redis-server has persistence")
def test_what_this_version_cannot_do_is_refused(r):
    assert r("CONFIG SET aof-use-rdb-preamble no") == failed(
        "aof-use-rdb-preamble", "the base of a log is always a snapshot here: only yes is accepted")
    assert r("CONFIG", "SET", "save", "60") == failed("save", "Invalid save parameters")
    assert r("CONFIG", "SET", "save", "") == "OK"


@pytest.mark.skua_only("fixed at the start in redis-server")
def test_io_threads_change_while_clients_are_connected(start):
    server = start()
    clients = [server.connect() for _ in range(8)]
    for count in (3, 0, 2):
        assert clients[0]("CONFIG", "SET", "io-threads", count) == "OK"
        assert all(client("PING") == "PONG" for client in clients)
        eventually(lambda: clients[0].info("threads")["io_threads"] == str(count))


@pytest.mark.once
def test_bind_and_port_change_where_the_server_listens(start):
    server = start(transport="unix")
    port = free_port()
    client = server.connect()
    assert client("CONFIG", "SET", "port", port) == "OK"
    assert server.connect(address=("127.0.0.1", port))("PING") == "PONG"
    with pytest.raises(ConnectionRefusedError):
        server.connect(address=("127.0.0.1", server.port))


@pytest.mark.once
def test_maxclients_beyond_what_the_system_permits(request):
    server = Server(request.config.getoption("--server"), "unix", prefix=["setpriv", "--bounding-set=-sys_resource",
                    "--inh-caps=-sys_resource", "prlimit", "--nofile=200:200"]).start()
    try:
        client = server.connect()
        assert int(client("CONFIG GET maxclients")[1]) < 200
        possible = client("CONFIG GET maxclients")[1].decode()
        assert client("CONFIG SET maxclients 20000") == failed(
            "maxclients", "The operating system is not able to handle the specified number of clients, try with " + possible)
        assert client("CONFIG GET maxclients")[1].decode() == possible
    finally:
        server.kill()
        server.remove()


# ---- RESETSTAT ------------------------------------------------------------------------------------------


def test_resetstat_sets_counters_back(r):
    r("GET missing")
    r("NOSUCH")
    assert int(r.info("stats")["keyspace_misses"]) > 0
    assert r("CONFIG RESETSTAT") == "OK"
    stats = r.info("everything")
    assert stats["keyspace_misses"] == "0"
    assert stats["total_error_replies"] == "0"
    assert "errorstat_ERR" not in stats
    assert "cmdstat_get" not in stats and "cmdstat_config|resetstat" in stats


# ---- REWRITE --------------------------------------------------------------------------------------------


def test_rewrite_keeps_what_has_not_changed(start, is_redis):
    server = start(timeout=7)
    before = lines(server.config_path)
    client = server.connect()
    assert client("CONFIG SET timeout 8 hz 20") == "OK"
    assert client("CONFIG REWRITE") == "OK"
    after = lines(server.config_path)
    assert "timeout 8" in after and "hz 20" in after and "timeout 7" not in after
    if not is_redis:  # redis-server writes quotes and defaults into lines that were right
        kept = [line for line in before if not line.startswith("timeout")]
        assert [line for line in after if line in kept] == kept


@pytest.mark.once
def test_rewritten_file_starts_a_server_with_the_same_options(start):
    server = start()
    client = server.connect()
    assert client("CONFIG", "SET", "requirepass", 'a "quoted" # word', "maxmemory", "123456789",
                  "client-output-buffer-limit", "pubsub 1mb 1mb 1") == "OK"
    assert client("CONFIG REWRITE") == "OK"
    again = Server(server.kind, "unix")
    port = free_port()
    text = server.config_path.read_text().replace(str(server.folder), str(again.folder))
    again._write_config = lambda: again.config_path.write_text(text.replace(f"port {server.port}", f"port {port}"))
    started = again.start()
    try:
        other = started.connect()
        assert other("PING") == Error("NOAUTH Authentication required.")
        assert other("AUTH", 'a "quoted" # word') == "OK"
        for name in ("maxmemory", "client-output-buffer-limit", "requirepass"):
            assert other("CONFIG", "GET", name) == client("CONFIG", "GET", name)
    finally:
        started.kill()
        started.remove()


@pytest.mark.once
def test_rewrite_needs_a_file_that_can_be_written(start):
    server = start()
    client = server.connect()
    moved = server.folder.with_name(server.folder.name + "-away")
    server.folder.rename(moved)
    reply = client("CONFIG REWRITE")
    moved.rename(server.folder)
    assert reply == Error("ERR Rewriting config file: No such file or directory")
    assert client("CONFIG REWRITE") == "OK"


def test_requests_behind_a_rewrite_wait_for_it(start):
    server = start(timeout=7)
    client = server.connect()
    replies = client.pipeline("CONFIG SET timeout 9", "CONFIG REWRITE", "PING", "CONFIG REWRITE", "CONFIG GET timeout")
    assert replies == ["OK", "OK", "PONG", "OK", [b"timeout", b"9"]]
    assert "timeout 9" in lines(server.config_path)


def test_rewrite_inside_a_transaction(start):
    server = start(timeout=7)
    client = server.connect()
    client.pipeline("MULTI", "CONFIG SET timeout 9", "CONFIG REWRITE", "PING")
    assert client("EXEC") == ["OK", "OK", "PONG"]
    eventually(lambda: "timeout 9" in lines(server.config_path), "it is written")


# ---- Start ----------------------------------------------------------------------------------------------


def run_server(*arguments, text=None):
    return subprocess.run([program("skua"), *arguments], input=text, capture_output=True, text=True, timeout=30)


@pytest.mark.once
@pytest.mark.skua_only("the words are ours")
@pytest.mark.parametrize("text, message", [
    ("port 1\nmaxclient 5\n", "standard input:2: unknown option \"maxclient\"; did you mean 'maxclients'?"),
    ("requirepass \"x\n", "standard input:1: unbalanced quotes"),
    ("\n# comment\nport abc\n", "standard input:3: option 'port': argument couldn't be parsed into an integer"),
    ("dbfilename a/b.rdb\n", "standard input:1: option 'dbfilename': dbfilename can't be a path, just a filename"),
    ("appenddirname /b\n", "standard input:1: option 'appenddirname': appenddirname can't be a path, just a dirname"),
    ("aof-use-rdb-preamble no\n", "standard input:1: option 'aof-use-rdb-preamble': the base of a log is always a"),
])
def test_a_mistake_stops_the_start_and_says_where(text, message):
    result = run_server("-", text=text)
    assert result.returncode == 1
    assert message in result.stderr


@pytest.mark.once
@pytest.mark.skua_only("the words are ours")
def test_a_mistake_on_the_command_line():
    result = run_server("--prot", "7000")
    assert result.returncode == 1
    assert "command line: unknown option \"prot\"; did you mean 'port'?" in result.stderr
    result = run_server("/nonexistent/skua.conf")
    assert result.returncode == 1
    assert "No such file or directory" in result.stderr


@pytest.mark.once
@pytest.mark.skua_only("since Valkey 8")
def test_the_group_of_the_unix_socket(start):
    others = [group for group in grp.getgrall() if group.gr_gid != os.getegid() and (os.geteuid() == 0 or group.gr_gid in os.getgroups())]
    if not others:
        pytest.skip("this user is in one group only")
    server = start(unixsocketgroup=others[-1].gr_name, unixsocketperm=770)
    found = os.stat(server.socket_path)
    assert (found.st_gid, found.st_mode & 0o777) == (others[-1].gr_gid, 0o770)
    assert server.connect()("CONFIG GET unixsocketgroup") == [b"unixsocketgroup", others[-1].gr_name.encode()]


@pytest.mark.once
@pytest.mark.skua_only("since Valkey 8")
def test_a_group_that_there_is_not(tmp_path):
    result = run_server("--port", "0", "--unixsocket", str(tmp_path / "socket"), "--unixsocketgroup", "no-such-group")
    assert result.returncode == 1
    assert "unixsocketgroup: there is no group 'no-such-group'" in result.stdout + result.stderr


@pytest.mark.once
@pytest.mark.skua_only("the sample is ours")
def test_the_sample_says_the_defaults(start):
    defaults = {row["name"]: row for row in json.loads((GENERATED / "config_grammar.json").read_text())["options"]}
    lines_of_options = [line[2:] for line in (GENERATED / "skua.conf").read_text().splitlines()
                        if line[2:].split(" ")[0] in defaults and line.startswith("# ")]
    server = start()
    before = pairs(server.connect()("CONFIG GET *"))
    assert len(lines_of_options) >= len(defaults)
    wanted = [line for line in lines_of_options
              if line.split(" ")[0] not in ("port", "unixsocket", "dir", "save", "io-threads",
                                           "io-threads-always-active", "slice-us", "enable-debug-command")]
    sample = server.folder / "sample.conf"
    sample.write_text("\n".join(wanted) + "\n")
    again = start(include=str(sample))
    assert {name: value for name, value in pairs(again.connect()("CONFIG GET *")).items()
            if name not in (b"port", b"unixsocket", b"dir")} == {
        name: value for name, value in before.items() if name not in (b"port", b"unixsocket", b"dir")}


@pytest.mark.once
def test_command_line_overrides_the_file(start):
    server = start(arguments=["--timeout", "77", "--save", ""], timeout=5)
    assert server.connect()("CONFIG GET timeout") == [b"timeout", b"77"]
