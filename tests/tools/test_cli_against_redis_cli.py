"""skua-cli beside redis-cli 7.0: the same arguments, the same server, the same bytes and the same exit status.

Each run is made by both programs on one redis-server, which is brought into the same state before each of them. Only
the name of the program differs, where it names itself. What differs on purpose stands at the end, with its reason.
"""
import json
import re
import subprocess

import pytest

from harness.server import REDIS, Server
from modes_support import CLI, CLOSE, ENV, ORACLE, FakeServer, run

FORMATS = {"auto": [], "pretty": ["--no-raw"], "raw": ["--raw"], "csv": ["--csv"], "json": ["--json"],
           "quoted-json": ["--quoted-json"], "resp3": ["-3"], "resp3-pretty": ["-3", "--no-raw"],
           "resp3-csv": ["-3", "--csv"], "resp2-json": ["-2", "--json"]}


BYTES = b"\x00\x01\xff\r\n\t\"quoted\\ \x7f\xc3\xa9\a\b\f"


@pytest.fixture(scope="module")
def server():
    with Server(REDIS) as running:
        yield running


def fill(server):
    """The same keys each time: one of each type, an empty value, bytes that are no text."""
    with server.connect() as client:
        client("FLUSHALL")
        client("SET", "text", "plain words")
        client("SET", "empty", "")
        client("SET", "bytes", BYTES)
        client("SET", "number", "41")
        client("RPUSH", "list", "one", "two", "", b"\x00", "five", "6", "7", "8", "9", "10", "11")
        client("HSET", "hash", "field", "value", "a\nb", "c d")
        client("SADD", "set", "member")
        client("ZADD", "zset", "1.5", "one", "inf", "two")
        client("XADD", "stream", "1-1", "field", "value", "other", "x")
        client("XADD", "stream", "2-1", "field", "")
        client("CONFIG", "RESETSTAT")


def own_name(data):
    return data.replace(b"redis-cli", b"skua-cli")


def expect_same(server, *args, data=b"", env=None):
    """Both give the same output, errors and status. Returns ours."""
    fill(server)
    theirs = run(server, *args, data=data, env=env, program=ORACLE)
    fill(server)
    ours = run(server, *args, data=data, env=env)
    assert (ours.status, ours.out, ours.err) == (theirs.status, own_name(theirs.out), own_name(theirs.err))
    return ours


REPLIES = [
    ["PING"], ["SET", "k", "v"], ["GET", "text"], ["GET", "empty"], ["GET", "bytes"], ["GET", "nothing"], ["INCR", "number"],
    ["LRANGE", "list", "0", "-1"], ["LRANGE", "nothing", "0", "-1"], ["HGETALL", "hash"], ["HGETALL", "nothing"],
    ["SMEMBERS", "set"], ["SMEMBERS", "nothing"], ["ZRANGE", "zset", "0", "-1", "WITHSCORES"], ["ZSCORE", "zset", "one"],
    ["ZSCORE", "zset", "nothing"], ["XRANGE", "stream", "-", "+"], ["XREAD", "STREAMS", "stream", "0"],
    ["XREAD", "STREAMS", "stream", "$"], ["MGET", "text", "nothing", "bytes"], ["COMMAND", "INFO", "get", "nonsense"],
    ["CONFIG", "GET", "maxmemory*"], ["COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"], ["ECHO", "é ü"],
    ["DEBUG", "PROTOCOL", "string"], ["DEBUG", "PROTOCOL", "integer"], ["DEBUG", "PROTOCOL", "double"],
    ["DEBUG", "PROTOCOL", "null"], ["DEBUG", "PROTOCOL", "array"], ["DEBUG", "PROTOCOL", "set"],
    ["DEBUG", "PROTOCOL", "map"], ["DEBUG", "PROTOCOL", "verbatim"], ["DEBUG", "PROTOCOL", "true"],
    ["DEBUG", "PROTOCOL", "false"], ["DEBUG", "PROTOCOL", "push"],
]


# What redis-cli does not write as JSON: inf, its own errors in RESP2, quotes within --quoted-json.
NO_JSON = [["ZRANGE", "zset", "0", "-1", "WITHSCORES"], ["DEBUG", "PROTOCOL", "push"], ["GET", "bytes"],
           ["MGET", "text", "nothing", "bytes"]]


@pytest.mark.parametrize("form", FORMATS)
def test_every_type_in_every_form(server, form):
    for command in REPLIES:
        if "json" in form and command in NO_JSON:
            continue  # see the end
        expect_same(server, *FORMATS[form], *command)


@pytest.mark.parametrize("form", [form for form in FORMATS if "json" not in form])
@pytest.mark.parametrize("more", [[], ["-e"]], ids=["", "-e"])
def test_errors(server, form, more):
    for command in (["GET"], ["NONSENSE", "a\tb"], ["INCR", "text"], ["LPUSH", "text", "1"],
                    ["EVAL", "return {1, {err='ERR inside'}, {{}}}", "0"]):
        expect_same(server, *FORMATS[form], *more, *command)


def test_errors_as_json_with_a_status(server):
    expect_same(server, "--json", "-e", "NONSENSE")


def test_reports_for_people_are_never_quoted(server):
    for form in ("pretty", "csv", "json", "resp3-pretty"):
        for command in (["LATENCY", "DOCTOR"], ["MEMORY", "DOCTOR"], ["CLUSTER", "INFO"], ["CLUSTER", "NODES"], ["LOLWUT"],
                        ["DEBUG", "HTSTATS", "9"], ["LATENCY", "GRAPH", "x"], ["INFO", "keyspace"]):
            expect_same(server, *FORMATS[form], *command)


def test_delimiters(server):
    for options in (["-d", ","], ["-D", ";"], ["-d", ", ", "-D", ""], ["-d", "|", "--no-raw"], ["-D", "|", "--csv"],
                    ["-D", "|", "--json"], ["-3", "-d", "|", "-D", "\n\n"]):
        for command in (["LRANGE", "list", "0", "2"], ["HGETALL", "hash"], ["NONSENSE"], ["GET", "nothing"]):
            if not ("--json" in options and command == ["NONSENSE"]):
                expect_same(server, *options, *command)


def test_repetition(server):
    expect_same(server, "-r", "3", "INCR", "number")
    expect_same(server, "-r", "2", "-i", "0.01", "PING")
    expect_same(server, "-r", "2", "NONSENSE")
    expect_same(server, "-e", "-r", "2", "NONSENSE")
    expect_same(server, "-r", "0", "PING")


def test_arguments_from_standard_input(server):
    for data in (b"", b"text", b"a line\n", b"\x00\xff\n\n"):
        expect_same(server, "-x", "SET", "k", data=data)
        expect_same(server, "-x", "ECHO", data=data)
        expect_same(server, "-X", "TAG", "ECHO", "TAG", data=data)
    expect_same(server, "-X", "TAG", "SET", "TAG", "value", data=b"key")
    expect_same(server, "-X", "TAG", "SET", "k", "other", data=b"x")
    expect_same(server, "-x", "-X", "TAG", "SET", "k", "TAG", data=b"x")


def test_quoted_input(server):
    for word in (r'"a\x00b"', r'"\n\t\"\\"', r"'it\'s'", "plain", '""', '"not closed', "two words", '"a"b'):
        expect_same(server, "--quoted-input", "ECHO", word)
        expect_same(server, "--quoted-input", "--no-raw", "ECHO", word)


def test_scripts(server, tmp_path):
    script = tmp_path / "script.lua"
    script.write_text("return {KEYS, ARGV, #KEYS}")
    for arguments in (["a", "b", ",", "c"], [], [",", "c"], ["a", ","], ["a,", "b"]):
        expect_same(server, "--no-raw", "--eval", str(script), *arguments)
    expect_same(server, "--eval", str(tmp_path / "missing.lua"), "a")


PIPED = {
    "commands": b"PING\nSET a 1\n\nGET a\nGET nothing\n",
    "without a line end": b"PING\nPING",
    "windows": b"PING\r\nSET a 1\r\nGET a\r\n",
    "quotes": b"SET a \"x y\"\nGET a\nSET b 'it\\'s \\n'\nGET b\nECHO \"\\x00\\n\"\nECHO ab\"c d\"\n",
    "unbalanced": b"SET a \"x\nPING\nECHO \"a\"b\nPING\n",
    "errors": b"GET\nNONSENSE\nPING\n",
    "quit": b"PING\nQUIT\nPING\n",
    "exit": b"PING\nexit\nPING\n",
    "repeat": b"3 INCR number\n0 PING\n-1 PING\n2 NONSENSE\n5\n",
    "transaction": b"MULTI\nPING\nINCR number\nNONSENSE\nEXEC\nMULTI\nDISCARD\nEXEC\n",
    "aborted": b"MULTI\nINCR text\nEXEC\n",
    "select": b"SELECT 1\nSET a 1\nSELECT 0\nGET a\nSELECT 99\n",
    "clear": b"CLEAR\nPING\n",
    "settings": b":set hints\n:set nohints\n:nonsense\nPING\n",
    "blanks": b"   PING   \n\t\nGET   text\n",
    "protocol": b"HELLO 3\nHGETALL hash\nHELLO 2\nHGETALL hash\n",
}


@pytest.mark.parametrize("lines", PIPED)
@pytest.mark.parametrize("form", ["auto", "pretty", "csv", "resp3-pretty"])
def test_lines_from_a_pipe(server, lines, form):
    data = PIPED[lines]
    if lines == "protocol":  # the answer of HELLO has the client's id in it
        data = re.sub(rb"HELLO (\d)", rb"HELLO \1", data)
        fill(server)
        outputs = [re.sub(rb"\d+", b"N", run(server, *FORMATS[form], data=data, program=program).out)
                   for program in (ORACLE, CLI)]
        assert outputs[0] == outputs[1]
    else:
        expect_same(server, *FORMATS[form], data=data)
        if form == "auto":
            expect_same(server, "-e", data=data)


def test_a_connect_in_a_pipe_goes_elsewhere(server):
    expect_same(server, data=b"CONNECT 127.0.0.1 %d\nPING\n" % server.port)


def test_slow_commands_tell_their_time(server):
    """Both show hundredths of seconds, which are not the same twice."""
    outputs = [run(server, "--no-raw", data=b"DEBUG SLEEP 0.6\n", program=program).out for program in (ORACLE, CLI)]
    assert [re.sub(rb"\d+\.\d\d", b"T", output) for output in outputs] == [b"OK\n(Ts)\n"] * 2


def test_nobody_listens(tmp_path):
    for address in (["-p", "1"], ["-h", "localhost", "-p", "1"], ["-s", str(tmp_path / "none.sock")],
                    ["-h", "nonsense.invalid"], ["-u", "redis://127.0.0.1:1"], ["-u", "redis://:secret@127.0.0.1:1/2"],
                    ["-a", "secret", "-p", "1"], ["-a", "secret", "--no-auth-warning", "-p", "1"]):
        for command, data in ((["PING"], b""), ([], b"PING\nPING\n"), (["--scan"], b"")):
            results = [subprocess.run([program, *address, *command], input=data, capture_output=True, env=ENV)
                       for program in (ORACLE, CLI)]
            assert (results[1].returncode, results[1].stdout, results[1].stderr) == \
                (results[0].returncode, results[0].stdout, results[0].stderr), (address, command)


def test_wrong_options(server):
    for options in (["--nonsense"], ["-y"], ["-r"], ["--show-pushes"], ["--eval"], ["-"]):
        expect_same(server, *options)
    expect_same(server, "PING", "--nonsense")  # behind the command it is an argument


def test_databases(server):
    expect_same(server, "-n", "3", "SET", "a", "1")
    expect_same(server, "-n", "99", "GET", "text")
    expect_same(server, "-n", "2", "CONFIG", "GET", "nothing")


def test_passwords(server):
    with server.connect() as admin:
        admin("CONFIG", "SET", "requirepass", "secret")
        admin("ACL", "SETUSER", "anna", "on", ">pass", "~*", "+@all")
        compare = [["PING"], ["-a", "secret", "PING"], ["-a", "wrong", "PING"], ["--pass", "secret", "PING"],
                   ["--no-auth-warning", "-a", "secret", "GET", "text"], ["--user", "anna", "--pass", "pass", "PING"],
                   ["--user", "anna", "-a", "wrong", "ACL", "WHOAMI"], ["--user", "anna", "PING"],
                   ["-a", "wrong", "-n", "1", "PING"], ["-a", "wrong", "-3", "PING"], ["-a", "secret", "-3", "PING"],
                   ["-u", f"redis://anna:pass@127.0.0.1:{server.port}", "ACL", "WHOAMI"],
                   ["-u", f"redis://default:secret@127.0.0.1:{server.port}/3", "PING"]]
        try:
            for args in compare:
                for data in (b"", b"AUTH secret\nPING\n"):
                    results = [run(server, *(args if not data else args[:-1] if args[-1] == "PING" else args), data=data,
                                   program=program) for program in (ORACLE, CLI)]
                    assert (results[1].status, results[1].out, results[1].err) == \
                        (results[0].status, results[0].out, results[0].err), args
            for args in (["PING"], ["-a", "wrong", "PING"]):
                results = [run(server, *args, env={"REDISCLI_AUTH": "secret"}, program=program)
                           for program in (ORACLE, CLI)]
                assert (results[1].status, results[1].out, results[1].err) == \
                    (results[0].status, results[0].out, results[0].err), args
        finally:
            admin("CONFIG", "SET", "requirepass", "")
            admin("ACL", "DELUSER", "anna")


def test_pushes(server):
    tracked = b"HELLO 3\nCLIENT TRACKING ON\nMGET text number\nSET text x\nGET text\nFLUSHALL\nPING\n"
    for form in ("auto", "pretty", "csv"):
        for shown in ("yes", "no"):
            outputs = []
            for program in (ORACLE, CLI):
                fill(server)
                result = run(server, *FORMATS[form], "--show-pushes", shown, data=tracked, program=program)
                outputs.append((result.status, result.out.split(b"OK", 1)[-1], result.err))
            assert outputs[0] == outputs[1]
    expect_same(server, "-3", "--show-pushes", "y", "DEBUG", "PROTOCOL", "push")


def answer_with(reply):
    """A server that answers everything with these bytes, except for what clients ask by themselves."""
    return lambda arguments, _: b"*0\r\n" if arguments[0].upper() in (b"HELLO", b"COMMAND") else reply


SHAPES = [
    b"%2\r\n+k\r\n*2\r\n:1\r\n:2\r\n+z\r\n*0\r\n", b"%1\r\n+k\r\n%1\r\n+k\r\n~2\r\n:1\r\n:2\r\n", b"*1\r\n*1\r\n*2\r\n:1\r\n:2\r\n",
    b"%2\r\n*2\r\n+a\r\n+b\r\n:2\r\n%1\r\n+a\r\n+b\r\n:3\r\n", b"*3\r\n*0\r\n%0\r\n~0\r\n", b"*-1\r\n", b"$-1\r\n", b"_\r\n",
    b"*2\r\n*-1\r\n$-1\r\n", b",3.140\r\n", b",1e5\r\n", b"=7\r\nmkd:a\nb\r\n", b"$0\r\n\r\n", b"$5\r\nabc\n\n\r\n",
    b"*12\r\n" + b"*1\r\n:7\r\n" * 11 + b"%1\r\n+a\r\n%2\r\n+b\r\n+c\r\n+d\r\n#t\r\n", b"+\r\n", b"*2\r\n-ERR a\r\n-ERR b\r\n",
    b"%2\r\n:1\r\n+x\r\n_\r\n#f\r\n", b"+with \"quotes\"\r\n", b"-WRONG \"quotes\"\r\n",
]


@pytest.mark.parametrize("form", ["pretty", "raw", "csv", "json", "quoted-json"])
def test_shapes_that_no_command_has(tmp_path, form):
    for shape in SHAPES:
        if "json" in form and (b"-" in shape.replace(b"-1\r\n", b"") or b"%2\r\n*2" in shape):
            continue  # errors, and keys that are no strings: see the end
        if form == "quoted-json" and b'"' in shape:
            continue
        results = []
        for program in (ORACLE, CLI):
            with FakeServer(tmp_path, answer_with(shape)) as fake:
                results.append(run(fake, "-3", *FORMATS[form], "GET", "x", program=program))
        assert (results[1].status, results[1].out, results[1].err) == \
            (results[0].status, results[0].out, results[0].err), shape


def test_the_server_hangs_up(tmp_path):
    for command, data in ((["GET", "x"], b""), (["SHUTDOWN"], b""), ([], b"GET x\n")):
        results = []
        for program in (ORACLE, CLI):
            with FakeServer(tmp_path, lambda arguments, _: CLOSE) as fake:
                results.append(run(fake, *command, data=data, program=program))
        assert (results[1].status, results[1].out, results[1].err) == \
            (results[0].status, results[0].out, results[0].err), command


# ---- Different on purpose --------------------------------------------------------------------------------------------


def test_json_is_always_json(server, tmp_path):
    """redis-cli writes error:"…", inf, and keys like {"["a"]":1}, which no program can read as JSON."""
    assert json.loads(run(server, "--json", "NONSENSE").out)["error"].startswith("ERR unknown command")
    fill(server)
    assert json.loads(run(server, "--json", "ZSCORE", "zset", "two").out) == "inf"
    assert json.loads(run(server, "--json", "GET", "bytes").out.decode(errors="surrogateescape")) == \
        BYTES.decode(errors="surrogateescape")
    assert json.loads(run(server, "--quoted-json", "GET", "bytes").out) == \
        r"\x00\x01\xff\r\n\t\"quoted\\ \x7f\xc3\xa9\a\b\x0c"
    for shape, value in ((b"%1\r\n*1\r\n+a\r\n:2\r\n", {'["a"]': 2}), (b"*2\r\n-ERR no\r\n:1\r\n", [{"error": "ERR no"}, 1]),
                         (b",nan\r\n", "nan"), (b"%2\r\n_\r\n:1\r\n,inf\r\n:2\r\n", {"null": 1, "inf": 2})):
        with FakeServer(tmp_path, answer_with(shape)) as fake:
            assert json.loads(run(fake, "--json", "GET", "x").out) == value


def test_types_that_redis_cli_cannot_read(server):
    """It ends with "Unknown reply type: 13" and "Protocol error"; here big numbers and attributes are shown."""
    number = b"1234567999999999999999999999999999999"
    assert run(server, "-3", "DEBUG", "PROTOCOL", "bignum").out == number + b"\n"
    assert run(server, "-3", "--no-raw", "DEBUG", "PROTOCOL", "bignum").out == b"(big number) " + number + b"\n"
    assert json.loads(run(server, "--json", "DEBUG", "PROTOCOL", "bignum").out) == int(number)
    assert run(server, "-3", "--no-raw", "DEBUG", "PROTOCOL", "attrib").lines == [
        '1| "key-popularity" => ', '   1) "key:123"', "   2) (integer) 90", '"Some real reply following the attribute"']
    assert run(server, "-3", "DEBUG", "PROTOCOL", "attrib").out == b"Some real reply following the attribute\n"


def test_options_are_checked(server):
    """redis-cli takes "-p abc" as port 0, and waits for ever with "-i -1"."""
    for options, text in ((["-p", "abc"], "-p: needs a whole number from 1 to 65535"),
                          (["-i", "-1"], "-i: needs a number from 0 to 1e+15"),
                          (["-n", "x"], "-n: needs a whole number from 0 to 2147483647"),
                          (["--show-pushes", "x"], "--show-pushes: unknown value 'x' (valid: yes, no)"),
                          (["-u", "nonsense"], None)):
        result = run(server, *options, "PING")
        assert result.status == 1 and result.out == b""
        assert text is None or result.err.decode() == text + "\n"


def test_a_url_with_a_password_alone_is_for_the_default_user(server):
    """redis-cli 7.0 logs in as the user "", who does not exist."""
    with server.connect() as admin:
        admin("CONFIG", "SET", "requirepass", "secret")
        try:
            result = run(server, "-u", f"redis://:secret@127.0.0.1:{server.port}/3", "PING")
            assert (result.status, result.out) == (0, b"PONG\n")
        finally:
            admin("CONFIG", "SET", "requirepass", "")


def test_unsubscribing_in_resp3_comes_to_an_end(server):
    """redis-cli waits for a reply that RESP3 does not have."""
    assert run(server, "-3", "--no-raw", "UNSUBSCRIBE").lines == ['1) "unsubscribe"', "2) (nil)", "3) (integer) 0"]
