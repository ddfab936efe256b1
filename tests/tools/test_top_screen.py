"""skua-top's screen: what it shows of our server and of redis-server under a known load, keys, sizes, and what happens
when the server is not well or not friendly."""
import os
import re
import signal

import pytest

from harness.resp import eventually
from harness.server import REDIS, SKUA, Server
from top_terminal import FakeServer, Terminal, address_of, bulk

SIZES = [(80, 24), (120, 40)]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m"


@pytest.fixture(scope="module", params=[SKUA, REDIS])
def server(request):
    """A server with a load that is known: 200 keys, 150 lookups of which 100 hit, two errors, a slow log."""
    config = {"maxmemory": "100mb", "slowlog-log-slower-than": 0}
    with Server(request.param, io_threads=2 if request.param == SKUA else 0, config=config) as running:
        client = running.connect()
        for number in range(200):
            client("SET", f"key{number}", "value")
        for number in range(150):
            client("GET", f"key{number + 100}")
        client("INCR key1")
        client("NOSUCH")
        client("SET key1 v EX 10000")
        client("CONFIG SET slowlog-log-slower-than 1000000")  # what skua-top asks is not in it
        client("CLIENT SETNAME loader")
        running.loader = client
        yield running
        running.loader.close()


def rows_below(text, heading):
    """The lines below the one that begins with `heading`."""
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith(heading))
    return lines[start + 1:]


# ---- Overview -------------------------------------------------------------------------------------------


def lines(*patterns):
    """Patterns that begin at the start of a line."""
    return [re.compile("^" + pattern, re.MULTILINE) for pattern in patterns]


@pytest.mark.parametrize("columns, rows", SIZES)
def test_overview(server, columns, rows):
    with Terminal(*address_of(server), columns=columns, rows=rows) as top:
        text = top.wait(
            f"127.0.0.1:{server.port}", "answered in", "67% since the start",
            *lines(r"(Skua \d+\.\d+\.\d+|Redis 7\.0\.\d+)  master standalone  up ", r"requests/s +\d",
                   r"network +in \d\S*/s  out \d\S*/s", r"memory +used \d.*peak \d.*rss \d.*fragmentation \d",
                   r" +\[.*\] .* of maxmemory 100M  noeviction", r"clients +connected \d+ of \d+  blocked 0 .*new \d",
                   r"keys +expired 0/s  evicted 0/s", r"  db0 +keys 200  with expiry 1", r"command +calls/s  time ",
                   r"info +\d", r" *ago +took client ", r"1-5 views"))
        assert max(map(len, text.split("\n"))) <= columns


def test_overview_has_what_our_server_alone_reports(server):
    with Terminal(*address_of(server)) as top:
        if server.kind == SKUA:
            top.wait(*lines(r"executor +busy \d.*cpu \d.*process \d.*max pause \d", r"  io 1 +busy \d",
                            r"  io 2 +busy \S+  clients \d+  requests/s \d"))
        else:
            text = top.wait(*lines(r"main thread cpu \d\S*  process \d", "1-5 views"))
            assert "executor" not in text and "io 1" not in text


def test_graph_shows_the_last_readings(server):
    with Terminal(*address_of(server), "-i", "0.1") as top:
        top.wait(condition=lambda text: len(re.findall("[▁▂▃▄▅▆▇█]", text.split("\n")[2])) > 5)


# ---- Lists ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns, rows", SIZES)
def test_commands(server, columns, rows):
    with Terminal(*address_of(server), "--view", "commands", columns=columns, rows=rows) as top:
        top.wait("calls/s  time per call p99 now     p50     p99   p99.9",
                 *lines(r"set .* 201 +0 +0$" if columns >= 120 else "set ", r"get .*us", r"\d+ rows  s sort"))


def sort_by(top, title):
    """Presses s until the heading `title` is the one that is sorted by."""
    for _ in range(20):
        if title in top.underlined:
            return
        before = top.underlined
        top.send("s")
        top.wait(condition=lambda _: len(top.underlined) == 2 and top.underlined != before)  # the tab, the heading
    raise AssertionError(f"no {title} in the headings")


def test_commands_are_sorted(server):
    def calls(text):
        return [int(found) for found in re.findall(r"^[a-z|]+(?: +\S+){7,10} +(\d+) +\d+ +\d+$", text, re.MULTILINE)]

    with Terminal(*address_of(server), "--view", "commands", columns=120) as top:
        top.wait("incr", "set", "p99 now")
        assert "time" in top.underlined
        sort_by(top, "calls")
        top.wait(condition=lambda text: calls(text)[:1] >= [200] and calls(text) == sorted(calls(text), reverse=True))
        top.send("r")
        top.wait(condition=lambda text: calls(text)[-1:] >= [200] and calls(text) == sorted(calls(text)))
        sort_by(top, "command")
        top.wait(condition=lambda text: re.search(r"^get .*^incr .*^set ", text, re.MULTILINE | re.DOTALL))


def test_rows_are_filtered(server):
    with Terminal(*address_of(server), "--view", "commands", columns=120) as top:
        top.wait("calls", "incr")
        top.send("/")
        top.wait("/▁")
        top.send("et")
        top.wait("/et▁", "get", "set", without=["incr"])
        top.send("\r")
        top.wait("filter et (")
        top.send("\x1b")
        top.wait("incr", without=["filter et"])


def test_slow_log(server):
    with Terminal(*address_of(server), "-i", "0.2") as top:
        top.wait("ago    took client")  # the overview has the newest
        top.send("3")
        top.wait("SET key1 v EX 10000", "INCR key1", *lines(r" *\d+[smh]\S* +[\d.]+(us|ms|s) 127\.0\.0\.1:\d+"))
        server.loader("CONFIG SET slowlog-log-slower-than 0")
        server.loader("SET", "key2", HOSTILE.encode())
        server.loader("CONFIG SET slowlog-log-slower-than 1000000")
        top.wait("SET key2 \\x1b]0;owned\\x07")
        assert b"owned\x07" not in top.raw and b"\x1b]0;" not in top.raw


def test_clients(server):
    with Terminal(*address_of(server), columns=120) as top:
        top.wait("requests/s")
        top.send("4")
        top.wait("memory", "subs", *lines(r"127\.0\.0\.1:\d+ +loader ", r"127\.0\.0\.1:\d+ +skua-top ", r"\d+ rows"),
                 without=["cmd/s"] if server.kind == REDIS else [])  # Redis 7.0 does not report it
        if server.kind == SKUA:
            top.wait("cmd/s")
        top.send("/loa")
        top.wait("loader", without=["skua-top  "])


def test_errors(server):
    with Terminal(*address_of(server), "--view", "errors") as top:
        top.wait("answered", *lines(r"error +per second", r"ERR +\S+ +\d+$"))


# ---- Keys and sizes -------------------------------------------------------------------------------------


def test_views_help_and_pause(server):
    with Terminal(*address_of(server)) as top:
        top.wait("requests/s", "every 1s")
        top.send("+")
        top.wait("every 2s")
        top.send("--")
        top.wait("every 0.5s")
        top.send("?")
        top.wait("sort by the next column", without=["requests/s"])
        top.send("?")
        top.wait("requests/s")
        top.send("\t")
        top.wait("calls/s")
        top.send("p")
        top.wait("PAUSED")
        top.send("p")
        top.wait("answered in")
        top.send("q")
        assert top.wait_exit() == 0
        assert b"\x1b[?25h" in top.raw  # the cursor is visible again


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_in_order(server, number):
    with Terminal(*address_of(server)) as top:
        top.wait("requests/s")
        if number == signal.SIGINT:
            top.send("\x03")
        else:
            top.process.send_signal(number)
        assert top.wait_exit() == 0


def test_resize(server):
    with Terminal(*address_of(server)) as top:
        top.wait("1-5 views")
        for columns, rows in [(120, 40), (40, 10), (20, 5), (80, 24)]:
            top.resize(columns, rows)
            top.wait("Skua" if server.kind == SKUA else "Redis",
                     condition=lambda text, rows=rows: text.split("\n")[rows - 1].startswith("1-5 views"))


def test_colours_and_plain_characters(server):
    colour = re.compile(rb"\x1b\[[0-9;]*3[0-7]m")
    with Terminal(*address_of(server)) as top:
        top.wait("requests/s", "·", condition=lambda _: colour.search(top.raw))
    with Terminal(*address_of(server), env={"NO_COLOR": "1"}) as top:
        top.wait("requests/s", "·", "1-5 views")
        assert not colour.search(top.raw)
    for arguments, env in [(["--ascii"], {}), ([], {"LC_ALL": "C"})]:
        with Terminal(*address_of(server), *arguments, env=env) as top:
            top.wait("requests/s", "[", "...")
            assert max(top.raw) < 0x80


# ---- A server that is not well --------------------------------------------------------------------------


def test_a_lost_connection_is_shown_and_made_again():
    server = Server(SKUA).start()
    with Terminal(*address_of(server), "-i", "0.2") as top:
        top.wait("answered in")
        server.kill()
        top.wait("NOT CONNECTED", "requests/s", re.compile("refused|closed|reset"))  # the last reading stays
        again = Server(SKUA, config={"port": server.port}).start()
        try:
            top.wait("answered in", without=["NOT CONNECTED"])
        finally:
            again.stop()
            server.remove()


def test_no_server_at_all():
    with FakeServer({}) as fake:
        port = fake.port
    with Terminal("-h", "127.0.0.1", "-p", port) as top:
        top.wait(f"skua-top  127.0.0.1:{port}", "NOT CONNECTED", "refused")


def test_passwords():
    with Server(SKUA, config={"requirepass": "right"}) as server:
        with Terminal(*address_of(server)) as top:
            top.wait("NOAUTH")
        with Terminal(*address_of(server), env={"SKUA_AUTH": "wrong"}) as top:
            top.wait("REFUSED", "WRONGPASS")
            top.send(" ")
            top.wait("REFUSED", "WRONGPASS")
        with Terminal(*address_of(server), env={"SKUA_AUTH": "right"}) as top:
            top.wait("answered in", "requests/s")


INFO = "redis_version:7.0.15\r\nrole:master\r\nuptime_in_seconds:5\r\nconnected_clients:3\r\n"
EMPTY = b"*0\r\n"


def test_a_server_that_loads():
    info = INFO + "loading:1\r\nloading_loaded_perc:45.20\r\nloading_eta_seconds:3\r\n"
    with FakeServer({"INFO": bulk(info), "SLOWLOG": EMPTY}) as fake, Terminal(*address_of(fake)) as top:
        top.wait("loading its data: 45%, 3s left")
    refusal = b"-LOADING still loading the dataset in memory\r\n"
    with FakeServer({"INFO": refusal, "SLOWLOG": refusal}) as fake, Terminal(*address_of(fake), "-i", "0.1") as top:
        top.wait("INFO: LOADING still loading")
        fake.answers["INFO"] = bulk(INFO)
        top.wait("connected 3", without=["LOADING"])


def test_a_server_that_does_not_answer_is_not_asked_again():
    with FakeServer({"INFO": None, "SLOWLOG": None}) as fake, Terminal(*address_of(fake), "-i", "0.1") as top:
        top.wait("no answer for 2s")
        assert fake.count("INFO") == 1


def test_only_what_a_view_needs_is_asked_for():
    answers = {"INFO": bulk(INFO), "SLOWLOG": EMPTY, "CLIENT LIST": bulk("id=1 addr=a:1 name=x\n")}
    with FakeServer(answers) as fake, Terminal(*address_of(fake), "-i", "0.1") as top:
        top.wait("connected 3")
        assert fake.count("CLIENT LIST") == 0
        assert fake.count("LATENCY") == 0
        top.send("2")
        top.wait("The server reports no statistics")
        eventually(lambda: fake.count("LATENCY") > 0)
        asked = fake.count("SLOWLOG")
        infos = fake.count("INFO")
        eventually(lambda: fake.count("INFO") > infos + 2)
        assert fake.count("SLOWLOG") <= asked + 1  # one may have been on its way
        top.send("4")
        eventually(lambda: fake.count("CLIENT LIST") > 0)


def test_permissions_that_are_missing():
    refusal = b"-NOPERM this user has no permissions to run the command\r\n"
    answers = {"INFO": bulk(INFO), "SLOWLOG": refusal, "CLIENT LIST": refusal, "CLIENT SETNAME": refusal}
    with FakeServer(answers) as fake, Terminal(*address_of(fake)) as top:
        top.wait("connected 3", without=["NOPERM"])
        top.send("3")
        top.wait("NOPERM")
        top.send("4")
        top.wait("NOPERM")


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_terminal_that_cannot_be_drawn_on_is_refused(kind):
    top = Terminal("-p", "1", env={"TERM": kind})
    top.wait("this is no terminal that can be drawn on")
    assert top.wait_exit() == 1
    os.close(top.master)


# ---- A server that is not friendly ----------------------------------------------------------------------


def hostile_answers():
    entry = b"*6\r\n:1\r\n:1\r\n:5\r\n*1\r\n%s%s%s" % (bulk(f"SET{HOSTILE}"), bulk(HOSTILE), bulk(HOSTILE))
    info = "".join(f"{name}:{HOSTILE}\r\n" for name in ["redis_version", "role", "redis_mode", "executor_pause_max_by",
                                                        "maxmemory_policy", "master_host", "master_link_status"])
    info += ("uptime_in_seconds:5\r\nmaxmemory:5\r\nused_memory:99999999999999999999999\r\nexecutor_busy_usec:1\r\n"
             f"executor_pause_max_usec:-1\r\ncmdstat_{HOSTILE}:calls=1,usec=1\r\nerrorstat_{HOSTILE}:count=1\r\n"
             f"latency_percentiles_usec_{HOSTILE}:{HOSTILE}=1\r\n")
    return {"INFO": bulk(info), "SLOWLOG": b"*1\r\n" + entry,
            "CLIENT LIST": bulk(f"id=1 addr={HOSTILE} name={HOSTILE} cmd={HOSTILE} tot-mem=1\n")}


def test_hostile_texts_never_reach_the_terminal_raw():
    with FakeServer(hostile_answers()) as fake, Terminal(*address_of(fake), columns=120, rows=40) as top:
        for view in "12345":
            top.send(view)
            top.wait("\\x1b]0;owned\\x07\\x1b[2J" if view != "1" else "Redis \\x1b]0;owned\\x07")
        assert b"owned\x07" not in top.raw
        assert b"\x1b]0;" not in top.raw
        assert "\x9b".encode() not in top.raw and b"\x9b" not in top.raw


def test_a_hostile_error():
    with FakeServer({"INFO": f"-ERR {HOSTILE}\r\n".encode()}) as fake, Terminal(*address_of(fake)) as top:
        top.wait("INFO: ERR \\x1b]0;owned\\x07")
        assert b"owned\x07" not in top.raw


def test_ten_thousand_clients():
    clients = "".join(f"id={i} addr=10.1.2.3:{i} name=c{i} age=5 idle=0 flags=N db=0 qbuf=0 omem=0 tot-mem={i} "
                      f"cmd=get user=default\n" for i in range(1, 10001))
    answers = {"INFO": bulk(INFO), "SLOWLOG": EMPTY, "CLIENT LIST": bulk(clients)}
    with FakeServer(answers) as fake, Terminal(*address_of(fake), "--view", "clients", columns=120) as top:
        text = top.wait("10.1.2.3:10000", "10000 rows")
        assert rows_below(text, "client ")[0].startswith("10.1.2.3:10000 ")
        top.send("r")
        top.wait(condition=lambda text: rows_below(text, "client ")[0].startswith("10.1.2.3:1 "))
        top.send("\x1b[4~")  # End
        top.wait("10.1.2.3:10000 ")
        top.send("/c777\r")
        top.wait("filter c777 (11)")


def test_what_is_no_redis():
    with FakeServer({"INFO": b"HTTP/1.1 400 Bad Request\r\n\r\n"}) as fake, Terminal(*address_of(fake), "-i", "0.1") as top:
        top.wait(f"skua-top  127.0.0.1:{fake.port}", re.compile("protocol|not RESP|reply", re.IGNORECASE))
