"""skua-cli on a terminal: what a person sees while typing, completing, looking for help, waiting and resizing.

The screen is kept by pyte, so that a test says what stands there and not which bytes were sent.
"""
import re
import signal
import subprocess
import time

import pytest

from harness.server import REDIS, SKUA, Server
from modes_support import CLI, ENV, LIMIT_S, FakeServer, Terminal

HINT = "black"  # bright black, as pyte calls it


@pytest.fixture(scope="module", params=[SKUA, REDIS])
def server(request):
    with Server(request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(request):
    yield
    if "server" in request.fixturenames:
        running = request.getfixturevalue("server")
        running.check_alive()
        running.connect()("FLUSHALL")


def until(holds, what, step, shown=lambda: ""):
    """Takes steps until it holds."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline and step() is not False, f"{what} did not come:\n{shown()}"


class Session(Terminal):
    """A terminal with the history in a folder of its own, and the prompt's name."""

    def __init__(self, server, folder, *args, env=None, **kwargs):
        self.history = folder / "history"
        super().__init__(server, *args, env={"HOME": str(folder), "SKUACLI_HISTFILE": str(self.history), **(env or {})},
                         **kwargs)

    def type(self, keys):
        self.process.send(keys)

    def ask(self, line):
        """Types a line and waits until the next prompt stands below it."""
        before = self.prompts()
        self.type(line + "\r")
        self.until(lambda: self.prompts() > before and self.at_prompt(), f"the prompt after {line}")

    def prompts(self):
        return len(re.findall(rb"> ", self.raw))

    def current(self):
        """The line with the cursor."""
        return self.screen.display[self.screen.cursor.y].rstrip()

    def at_prompt(self):
        return self.screen.display[self.screen.cursor.y][:self.screen.cursor.x].endswith("> ")

    def until(self, holds, what):
        until(holds, what, lambda: self._receive(0.2), lambda: "\n".join(self.lines))

    def until_typed(self, line):
        """The line up to the cursor, behind the prompt."""
        typed = lambda: self.screen.display[self.screen.cursor.y][:self.screen.cursor.x].partition("> ")[2]
        self.until(lambda: typed() == line, f"{line!r} before the cursor")

    def hint(self):
        """What stands behind the cursor in the hint's colour."""
        row = self.screen.buffer[self.screen.cursor.y]
        cells = [row[x] for x in range(self.screen.cursor.x, self.screen.columns)]
        return "".join(cell.data for cell in cells if cell.fg == HINT).rstrip()

    def until_hint(self, hint):
        self.until(lambda: self.hint() == hint, f"the hint {hint!r}, not {self.hint()!r}")


@pytest.fixture
def session(server, tmp_path):
    opened = []

    def start(*args, **kwargs):
        opened.append(Session(server, tmp_path, *args, **kwargs))
        opened[-1].until(opened[-1].at_prompt, "the first prompt")
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.process.close(force=True)


def test_the_prompt_says_where_one_is(server, session):
    s = session()
    assert s.lines == [f"redis {server.socket_path}>"]
    s.ask("SELECT 3")
    s.ask("MULTI")
    assert s.lines[-1] == f"redis {server.socket_path}[3](TX)>"
    s.ask("SELECT 5")
    s.ask("EXEC")
    assert s.lines[-1] == f"redis {server.socket_path}[5]>"
    s.ask(f"CONNECT 127.0.0.1 {server.port}")
    assert s.lines[-1] == f"127.0.0.1:{server.port}[5]>"


def test_replies_are_readable(session):
    s = session("-3")
    s.ask("CONFIG GET maxmemory-policy")
    s.ask("INCR n")
    s.ask("NONSENSE")
    assert '1# "maxmemory-policy" => "noeviction"' in s.lines
    assert "(integer) 1" in s.lines
    error = next(y for y, line in enumerate(s.screen.display) if line.startswith("(error) ERR unknown command 'NONSENSE'"))
    assert s.screen.buffer[error][0].fg == "red"


def test_without_colours(session):
    s = session(env={"NO_COLOR": "1"})
    s.ask("NONSENSE")
    s.type("GET ")
    s.until(lambda: s.current().endswith("GET key"), "the hint, faint")
    assert {cell.fg for row in s.screen.buffer.values() for cell in row.values()} == {"default"}


def test_hints_follow_what_is_typed(session):
    s = session(columns=150)
    s.type("GETEX")
    syntax = " key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]"
    s.until(lambda: len(s.hint()) > 20 and syntax.startswith(s.hint()), "as much of the syntax as there is room for")
    s.type(" k EX")
    s.until_hint(" seconds")
    s.type(" 5")
    s.until_hint("")
    s.type("\x7f")
    s.type("\x7f")
    s.until_hint(" seconds")
    s.type("\x01")  # to the beginning: no hint in the middle of a line
    s.until_hint("")
    assert s.current().endswith("> GETEX k EX")
    s.type("\x05")
    s.until_hint(" seconds")
    s.type("\r")
    s.until(s.at_prompt, "the prompt")
    assert any(line.endswith("> GETEX k EX") for line in s.lines), "the hint is gone from the line that was entered"


def test_hints_can_be_switched_off(session):
    s = session()
    s.ask(":set nohints")
    s.type("GET ")
    s.until(lambda: s.current().endswith("> GET"), "the line")
    s.type("\x15")
    s.ask(":set hints")
    s.type("GET ")
    s.until_hint("key")


def test_hints_stop_at_the_edge(session):
    s = session(columns=60)
    s.type("MGET")
    for size in range(12, 90):
        s.type("k" if size > 12 else " k")
    s.until(lambda: s.screen.display[s.screen.cursor.y].count("k") > 1, "the long line")
    s.until(lambda: s.raw.count(b"k") >= 78, "all of it")
    assert len(s.lines) <= 3
    s.type("\x15GET ")
    s.until_hint("key")


def test_completion_of_a_command(session):
    s = session()
    s.type("getr\t")
    s.until(lambda: "getrange " in s.current(), "the completed word")
    s.until_hint("key start end")


def test_completion_lists_what_is_possible(session):
    s = session()
    s.type("CLIENT GET\t")
    s.until(lambda: any("GETNAME" in line and "GETREDIR" in line for line in s.lines), "the list")
    s.until(lambda: s.current().endswith("> CLIENT GET"), "the line again")
    s.type("N\t")
    s.until(lambda: "CLIENT GETNAME " in s.screen.display[s.screen.cursor.y], "the completed word")


def test_completion_of_an_option(session):
    s = session()
    s.type("set k v pxa\t")
    s.until(lambda: "set k v pxat " in s.current(), "the completed option")


def test_completion_of_help(session):
    s = session(rows=60)
    s.type("HELP @bitm\t\r")
    s.until(lambda: any("BITCOUNT key" in line for line in s.lines), "the group's help")


def test_help_of_a_command(session):
    s = session(rows=40)
    s.ask("HELP PING")
    assert "  PING [message]" in s.lines
    assert any(line.startswith("  summary: ") for line in s.lines)
    assert "  group: connection" in s.lines


def test_commands_that_only_the_server_knows(server, session):
    if server.kind != REDIS:
        pytest.skip("its commands are those of the declarations")
    s = session(columns=100)
    s.type("ZADD ")
    s.until(lambda: s.hint().startswith("key [NX | XX] [GT | LT] [CH] [INCR] score member"), "the server's syntax")
    s.type("\x15")
    s.ask("HELP PFCOUNT")
    assert any("PFCOUNT key [key ...]" in line for line in s.lines)


def test_history_lasts_and_keeps_no_secrets(session):
    s = session()
    for line in ("SET a 1", "AUTH secret", "GET a", "GET a", "CONFIG SET requirepass \"\"", "HELLO 2 AUTH default secret",
                 "ACL SETUSER x >secret", "2 AUTH secret"):
        s.ask(line)
    s.type("exit\r")
    assert s.end() == 0
    assert s.history.read_text().splitlines() == ["SET a 1", "GET a", "exit"]
    assert s.history.stat().st_mode & 0o777 == 0o600
    again = session()
    again.type("\x1b[A")
    again.until_typed("exit")
    again.type("\x1b[A")
    again.until_typed("GET a")
    again.type("\x1b[A\x1b[A\x1b[A")
    again.until_typed("SET a 1")
    again.type("\x1b[B\r")
    again.until(lambda: '"1"' in again.lines, "the command from the history has been run")


def test_a_long_history_is_shortened(server, tmp_path, session):
    (tmp_path / "history").write_text("".join(f"GET {number}\n" for number in range(2100)))
    session()
    lines = (tmp_path / "history").read_text().splitlines()
    assert lines == [f"GET {number}" for number in range(1100, 2100)]


def test_editing_a_line_of_text(session):
    s = session()
    s.type("ECHO wörld".encode())
    s.type("\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D")
    s.type("hello ".encode() + b"\x1b[D\x7f!\x01\x1b[3~\x1b[3~\x1b[3~\x1b[3~echo\x05 ")
    s.type("\x7f\r")
    s.until(lambda: any("wrong number of arguments" in line for line in s.lines), "the reply")
    assert any(line.endswith("> echo hell! wörld") for line in s.lines)


def test_open_quotes_are_no_command(session):
    s = session()
    s.ask('SET a "b')
    assert "Invalid argument(s)" in s.lines


def test_ctrl_c_drops_a_line_and_ends_an_empty_one(session):
    s = session()
    s.type("FLUSHALL")
    s.until(lambda: "FLUSHALL" in s.current(), "the line")
    s.interrupt()
    s.until(lambda: len(s.lines) == 2 and s.at_prompt(), "a new prompt")
    s.ask("PING")
    assert s.lines[-2] == "PONG"
    s.interrupt()
    assert s.end() == 0


def test_ctrl_d_is_the_end(session):
    s = session()
    s.type("\x04")
    assert s.end() == 0


def test_messages_until_ctrl_c(server, session):
    for resp in ("-2", "-3"):
        s = session(resp)
        s.type("SUBSCRIBE news\r")
        s.wait(r"^3\) \(integer\) 1$")
        assert "Reading messages... (press Ctrl-C to quit)" in s.lines
        with server.connect() as client:
            client("PUBLISH", "news", "hello")
        s.wait(r'^3\) "hello"$')
        s.interrupt()
        s.until(s.at_prompt, "the prompt")
        s.ask("PING")
        assert "PONG" in s.lines


def test_monitor_until_ctrl_c(server, session):
    s = session()
    s.type("MONITOR\r")
    s.wait("^OK$")
    with server.connect() as client:
        client("ECHO", "seen")
    s.wait(r'^\d+\.\d+ \[0 (unix|127).*\] "ECHO" "seen"$')
    s.interrupt()
    s.until(s.at_prompt, "the prompt")
    s.ask("PING")
    assert "PONG" in s.lines


def test_ctrl_c_leaves_a_command_that_does_not_answer(tmp_path):
    """The connection is made anew: a reply that comes too late would be taken for that of the next command."""
    def answer(arguments, _):
        return None if arguments[0] == b"BLOCK" else b"+PONG\r\n"

    with FakeServer(tmp_path, answer) as fake:
        s = Session(fake, tmp_path)
        s.until(s.at_prompt, "the prompt")
        s.type("BLOCK\r")
        s.until(lambda: [b"BLOCK"] in fake.received, "the command at the server")
        s.interrupt()
        s.wait("^Interrupted")
        s.until(s.at_prompt, "the prompt")
        s.ask("PING")
        assert "PONG" in s.lines
        s.process.close(force=True)


@pytest.mark.parametrize("silent, options", [(b"SELECT", ["-n", "3"]), (b"HELLO", ["-3"]), (b"COMMAND", [])])
def test_ctrl_c_ends_the_wait_for_a_server_that_is_silent_from_the_beginning(tmp_path, silent, options):
    with FakeServer(tmp_path, lambda arguments, _: None if arguments[0] == silent else b"+PONG\r\n") as fake:
        s = Session(fake, tmp_path, *options)
        s.until(lambda: any(arguments[0] == silent for arguments in fake.received), "the question without an answer")
        s.interrupt()
        s.wait("^not connected>$")
        s.type("QUIT\r")
        assert s.end() == 0


def test_ctrl_c_ends_the_wait_for_the_connection_that_ctrl_c_has_made_anew(tmp_path):
    """A server that is busy with a long command does not answer the handshake of the next connection either."""
    busy = []

    def answer(arguments, _):
        busy.append(arguments[0] == b"BLOCK")
        return None if any(busy) else b"+PONG\r\n"

    with FakeServer(tmp_path, answer) as fake:
        s = Session(fake, tmp_path, "-n", "3")
        s.until(s.at_prompt, "the prompt")
        s.type("BLOCK\r")
        s.until(lambda: fake.received[-1] == [b"BLOCK"], "the command at the server")
        s.interrupt()
        s.until(lambda: fake.received[-1] == [b"SELECT", b"3"], "the next connection")
        s.interrupt()
        s.wait("^not connected>$")
        s.process.close(force=True)


def test_a_lost_server_comes_back(server, session):
    s = session()
    with server.connect() as client:
        client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    s.ask("PING")
    assert "PONG" in s.lines


def test_nobody_is_there(tmp_path):
    terminal = Session(1, tmp_path)
    terminal.wait("^Could not connect to Redis at 127.0.0.1:1: Connection refused$")
    terminal.wait("^not connected>$")
    terminal.ask("HELP GET")
    assert "  GET key" in terminal.lines
    terminal.ask("PING")
    assert terminal.lines[-1] == "not connected>"
    terminal.type("QUIT\r")
    assert terminal.end() == 0


def test_a_resized_window(session):
    s = session(columns=100)
    s.type("GET ")
    s.until_hint("key")
    before = len(s.raw)
    s.resize(60)
    s.until(lambda: b"GET " in s.raw[before:], "the line is drawn again")
    s.until_hint("key")
    assert len(s.lines) == 1
    s.resize(120)
    s.type("abc")
    s.until(lambda: s.current().endswith("> GET abc"), "the line goes on")
    assert len(s.lines) == 1


def test_a_stopped_program_goes_on(session):
    s = session()
    s.type("GET a")
    s.until_typed("GET a")
    before = len(s.raw)
    s.process.kill(signal.SIGSTOP)
    s.process.kill(signal.SIGCONT)
    s.until(lambda: b"GET a" in s.raw[before:], "the line is drawn again")
    s.type("b\r")
    s.wait(r"^\(nil\)$")
    s.until(s.at_prompt, "the prompt")
    assert len(s.lines) == 3


def test_clear(session):
    s = session()
    s.ask("PING")
    s.type("CLEAR\r")
    s.until(lambda: len(s.lines) == 1 and s.at_prompt(), "an empty screen")


def test_many_lines_of_a_reply(session):
    s = session(rows=40)
    s.ask("MULTI")
    for number in range(11):
        s.ask(f"ECHO {number}")
    s.ask("EXEC")
    assert s.lines[-12:-1] == [f'{number:2d}) "{number - 1}"' for number in range(1, 12)]


def test_the_end_by_a_signal_leaves_the_terminal_in_order(session):
    s = session()
    s.process.kill(signal.SIGTERM)
    assert s.end() in (0, -signal.SIGTERM)


def test_a_password_that_is_asked_for(server, tmp_path):
    with server.connect() as admin:
        admin("CONFIG", "SET", "requirepass", "secret")
        try:
            s = Session(server, tmp_path, "--askpass", "PING")
            s.wait("^Please input password:$")
            s.type("secrex\x7ft\r")
            s.wait("^PONG$")
            assert any(line.endswith("password: ******") for line in s.lines), s.lines
            assert s.end() == 0
            assert b"secret" not in s.raw
        finally:
            admin("CONFIG", "SET", "requirepass", "")


def test_a_password_on_the_command_line_is_blanked_there(tmp_path):
    """While it waits, the list of processes has stars for it."""
    with FakeServer(tmp_path, lambda arguments, _: None if arguments[0] == b"BLOCK" else b"+OK\r\n") as fake:
        for options in (["-a", "secret"], ["--pass", "secret"], ["-asecret"], ["--pass=secret"],
                        ["-u", f"unix://anna:secret@{fake.socket_path}"]):
            count = len(fake.received)
            process = subprocess.Popen([CLI, "-s", fake.socket_path, *options, "BLOCK"], env=ENV,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            until(lambda: [b"BLOCK"] in fake.received[count:], "the command", lambda: time.sleep(0.01))
            with open(f"/proc/{process.pid}/cmdline", "rb") as file:
                shown = file.read()
            process.kill()
            process.communicate()
            assert b"secret" not in shown and b"******" in shown
            assert any(arguments[0] == b"AUTH" and arguments[-1] == b"secret" for arguments in fake.received[count:])
