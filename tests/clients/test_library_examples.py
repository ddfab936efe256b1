"""libskua as somebody meets it who installs it: headers, libraries, pkg-config, the examples, the adapters.

The library is installed into a folder of its own; every compiler call below sees only what was installed there.
"""
import os
import pathlib
import re
import shlex
import socket
import subprocess
import threading

import pytest

from harness.server import REDIS, ROOT, SKUA, Server

BUILD = pathlib.Path(os.environ.get("SKUA_BUILD", ROOT / "build"))
EXAMPLES = ROOT / "client" / "examples"
TIMEOUT_S = 60
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wno-unused-parameter", "-Werror"]


@pytest.fixture(scope="module", params=[SKUA, REDIS])
def server(request):
    with Server(request.param, "tcp", 0) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(request):
    """Takes the place of the one in conftest.py: half of the tests here have no server."""
    yield
    if "server" in request.fixturenames:
        running = request.getfixturevalue("server")
        running.check_alive()
        with running.connect() as client:
            assert client("FLUSHALL") == "OK"


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The prefix below which the library was installed; skua.pc says so."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(["meson", "install", "--no-rebuild", "--quiet", "-C", str(BUILD), "--destdir", str(folder)], check=True,
                   capture_output=True, timeout=TIMEOUT_S)
    package = next(folder.rglob("skua.pc"))
    original = re.search(r"^prefix=(.*)$", package.read_text(), re.MULTILINE)[1]
    prefix = folder / original.lstrip("/")
    package.write_text(package.read_text().replace(f"prefix={original}", f"prefix={prefix}"))
    return prefix


@pytest.fixture(scope="session")
def library_folder(installed):
    return next(installed.rglob("libskua.so")).parent


@pytest.fixture(scope="session")
def env(library_folder):
    return {**os.environ, "PKG_CONFIG_PATH": str(library_folder / "pkgconfig"), "LD_LIBRARY_PATH": str(library_folder),
            "ASAN_OPTIONS": "detect_leaks=1:exitcode=66"}


def run(command, env, status=0, **options):
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, **options)
    assert result.returncode == status, f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


def compile_line(example):
    """The line that the example's first comment gives to people who copy it, up to the compiler's output."""
    found = re.search(r"^ \*     (cc .*?) && \./", (EXAMPLES / f"{example}.c").read_text(), re.MULTILINE)
    assert found, f"{example}.c does not say how to compile it"
    return found[1]


def url(server):
    return f"redis://127.0.0.1:{server.port}"


# ---- Examples --------------------------------------------------------------------------------------------

OUTPUTS = {
    "blocking": "SET: OK\nGET: bonjour tout le monde, 21 bytes\nAPPEND: 24\nGET: nothing\n"
                "INCR: ERR value is not an integer or out of range\n",
    "pipeline": "10000 replies, sum 505000\n",
    "items": "an array of 100000\n2 strings of 21 bytes in all, 99998 nulls\n",
    "libevent": "begins\ntick 1\ntick 2\ntick 3\n",
    "libuv": "listening\nheard hello\n",
    # Killed before or after its next command is sent: the system tells the two apart.
    "reconnect": re.compile("connection 1 is ready\nlost: (connection closed|input or output failed)\n"
                            "connection 2 is ready\nanswered by a new connection\n"),
    "allocator": "100000 bytes: here\n8388608 bytes: out of memory\nwithin the budget: yes; given back: all\n",
}


@pytest.mark.parametrize("example", OUTPUTS)
def test_an_example_compiles_as_it_says_and_does_what_it_says(example, server, env, tmp_path):
    line = compile_line(example).replace(f"{example}.c", str(EXAMPLES / f"{example}.c"))
    run(["bash", "-c", line], env, cwd=tmp_path)
    output, wanted = run([tmp_path / example, url(server)], env), OUTPUTS[example]
    assert wanted.fullmatch(output) if isinstance(wanted, re.Pattern) else output == wanted


def test_no_example_is_forgotten():
    assert {path.stem for path in EXAMPLES.glob("*.c")} == OUTPUTS.keys() | {"subscribe", "poll_loop"}


def test_the_subscriber_hears_until_bye(server, env, tmp_path):
    run(["bash", "-c", compile_line("subscribe").replace("subscribe.c", str(EXAMPLES / "subscribe.c"))], env, cwd=tmp_path)
    listener = subprocess.Popen([tmp_path / "subscribe", url(server), "news"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert listener.stdout.readline() == "listening to news\n"
        with server.connect() as speaker:
            assert speaker("PUBLISH", "news", "rain in the evening") == 1
            assert speaker("PUBLISH", "news", "bye") == 1
        assert listener.communicate(timeout=TIMEOUT_S)[0] == "news: rain in the evening\nnews: bye\n"
        assert listener.returncode == 0
    finally:
        listener.kill()
        listener.wait()


def test_the_poll_loop_copies_between_servers(server, env, tmp_path):
    run(["bash", "-c", compile_line("poll_loop").replace("poll_loop.c", str(EXAMPLES / "poll_loop.c"))], env, cwd=tmp_path)
    with server.connect() as client, Server(REDIS, "unix") as other:
        client("MSET", "a", "1", "b", b"\r\n\0", "e", "x" * 100_000)
        target = f"unix://{other.socket_path}"
        assert run([tmp_path / "poll_loop", url(server), target], env) == "3 keys copied\n"
        with other.connect() as reader:
            assert reader("MGET a b c d e") == [b"1", b"\r\n\0", None, None, b"x" * 100_000]


@pytest.mark.parametrize("example", [*OUTPUTS, "poll_loop"])
def test_an_example_leaks_nothing_and_says_why_it_fails(example, installed, library_folder, env, tmp_path):
    """Without a server; with the static library, so that ASan sees both."""
    others = [word for word in shlex.split(compile_line(example)) if word.startswith("lib") and word != example]
    flags = ["-levent_core"] if "libevent_core)" in others else ["-luv"] if "libuv)" in others else []
    run(["cc", "-fsanitize=address,undefined", "-g", f"-I{installed}/include", str(EXAMPLES / f"{example}.c"),
         str(library_folder / "libskua.a"), "-pthread", *flags, "-o", "program"], env, cwd=tmp_path)
    nowhere = "unix:///nonexistent/socket"
    result = subprocess.run([tmp_path / "program", nowhere, nowhere], env=env, capture_output=True, text=True,
                            timeout=TIMEOUT_S)
    assert result.returncode == 1, result.stderr
    assert "/nonexistent/socket" in result.stderr or example == "reconnect"
    assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr


# ---- The page docs/client-library.md -----------------------------------------------------------------------


PAGE = (ROOT / "docs" / "client-library.md").read_text()
BLOCK = re.compile(r"(?:<!-- (\S+) -->\n)?```c\n(.*?)```", re.DOTALL)


def test_the_page_shows_what_the_examples_have():
    excerpts = [(name, body) for name, body in BLOCK.findall(PAGE) if name]
    assert len(excerpts) >= 5
    for name, body in excerpts:
        wanted = [line.strip() for line in body.splitlines()]
        lines = [line.strip() for line in (ROOT / name).read_text().splitlines()]
        assert any(lines[i:i + len(wanted)] == wanted for i in range(len(lines))), f"{name} does not have:\n{body}"


@pytest.mark.parametrize("compiler", ["cc", "g++ -std=c++11 -pedantic -Werror -x c++"])
def test_the_first_program_of_the_page_runs(compiler, server, env, tmp_path):
    [program] = [body for name, body in BLOCK.findall(PAGE) if not name]
    (tmp_path / "hello.c").write_text(program)
    line = re.search(r"^cc hello\.c .*$", PAGE, re.MULTILINE)[0].removeprefix("cc")
    run(["bash", "-c", compiler + line], env, cwd=tmp_path)
    assert run([tmp_path / "hello", url(server)], env) == "good morning\n"
    result = subprocess.run([tmp_path / "hello", "unix:///nonexistent"], env=env, capture_output=True, text=True,
                            timeout=TIMEOUT_S)
    assert result.stdout == "" and "/nonexistent" in result.stderr


def test_the_urls_that_are_shown_are_understood(installed, library_folder, env, tmp_path):
    manual = (ROOT / "client" / "man" / "skua_url_parse.3").read_text()
    table = PAGE[PAGE.index("## Where to connect to"):PAGE.index("`struct skua_options` has")]
    urls = re.findall(r"`(\w+://\S+?)`", table) + re.findall(r"^\w+://\S+$", manual, re.MULTILINE)
    assert len(urls) == 13, urls
    (tmp_path / "urls.c").write_text("""
        #include <skua/url.h>
        int main(int argc, char **argv)
        {
            static struct skua_url parsed;
            for (int i = 1; i < argc; i++)
                if (skua_url_parse(argv[i], &parsed, NULL, NULL) != SKUA_OK)
                    return i;
            return 0;
        }""")
    run(["cc", f"-I{installed}/include", "urls.c", str(library_folder / "libskua.a"), "-o", "urls"], env, cwd=tmp_path)
    run([tmp_path / "urls", *urls], env)
    run([tmp_path / "urls", urls[0], "http://localhost"], env, status=2)


# ---- What is installed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", ["cc -std=c99", "cc -std=c11", "cc -std=gnu17", "clang -std=c99",
                                      "g++ -std=c++11 -x c++", "g++ -std=c++20 -x c++"])
def test_each_header_stands_alone_in_c_and_cpp(compiler, installed, env, tmp_path):
    headers = sorted(path.relative_to(installed / "include") for path in (installed / "include" / "skua").rglob("*.h"))
    assert len(headers) >= 8
    for header in headers:
        source = tmp_path / "header.c"
        source.write_text(f"#include <{header}>\n#include <{header}>\nextern int not_empty;\n")
        # libuv's own header needs the types of POSIX, which a strict C standard hides.
        run([*compiler.split(), "-D_POSIX_C_SOURCE=200809L", *STRICT, f"-I{installed}/include", "-fsyntax-only",
             str(source)], env)


def test_the_shared_library_has_its_name_and_nothing_but_our_symbols(library_folder, env):
    links = sorted(path.name for path in library_folder.glob("libskua.so*"))
    assert links == ["libskua.so", "libskua.so.0", "libskua.so.0.1.0"]
    assert "SONAME               libskua.so.0\n" in run(["objdump", "-p", library_folder / "libskua.so"], env)
    symbols = run(["nm", "-D", "--defined-only", library_folder / "libskua.so"], env).split("\n")
    names = [line.split()[2] for line in symbols if line and " A " not in line]
    assert len(names) > 50
    assert all(re.fullmatch(r"skua_\w+@@SKUA_0\.\d+", name) for name in names), names


def test_pkg_config_looks_where_the_library_is_put(installed, library_folder, env):
    searched = run(["pkg-config", "--variable", "pc_path", "pkg-config"], env).strip().split(":")
    assert str("/usr/local" / library_folder.relative_to(installed) / "pkgconfig") in searched


def test_a_program_may_carry_the_library_in_itself(server, installed, library_folder, env, tmp_path):
    private = run(["pkg-config", "--static", "--libs-only-other", "skua"], env).split()
    run(["cc", f"-I{installed}/include", str(EXAMPLES / "blocking.c"), str(library_folder / "libskua.a"), *private,
         "-o", "program"], env, cwd=tmp_path)
    assert "libskua" not in run(["objdump", "-p", tmp_path / "program"], env)
    without = {key: value for key, value in env.items() if key != "LD_LIBRARY_PATH"}
    assert run([tmp_path / "program", url(server)], without) == OUTPUTS["blocking"]


def test_the_library_needs_libc_alone(library_folder, env):
    needed = re.findall(r"NEEDED\s+(\S+)", run(["objdump", "-p", library_folder / "libskua.so"], env))
    assert set(needed) <= {"libc.so.6"}, needed


def test_the_manual_is_found_by_each_name(installed, env):
    pages = installed / "share" / "man"
    for name in ["skua_connect", "skua_flush", "skua_append_argv", "skua_reader_tree", "skua_libuv_detach"]:
        page = pages / "man3" / f"{name}.3"
        assert page.exists(), name
        assert f".Nm {name}" in page.read_text()
    assert (pages / "man7" / "skua.7").exists()
    for tool in ["skua-cli", "skua-bench", "skua-top"]:
        assert (pages / "man1" / f"{tool}.1").exists() and (installed / "bin" / tool).exists()


# What the manual's examples take for granted: the reader's own program.
AROUND = """
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <skua/skua.h>
#include <skua/adapters/libevent.h>
#include <skua/adapters/libuv.h>
extern struct skua_client *client;
extern const char *key, *job;
extern const void *photo;
extern int id;
extern size_t size, job_size, count;
extern struct state { bool done; } state;
extern struct event_base *base;
extern uv_loop_t *loop;
extern struct skua_libuv adapter;
_Noreturn void die(const char *reason);
void use(const struct skua_reply *reply);
void handle(void *user, const char *channel, const char *text);
void on_message(struct skua_client *client, const struct skua_reply *push, void *user);
void on_reply(struct skua_client *client, enum skua_status status, const struct skua_reply *reply, void *user);
"""


def manual_examples():
    for page in sorted((ROOT / "client" / "man").glob("*.[37]")):
        shown = re.sub(r"^\.Sh SYNOPSIS.*?^\.Sh ", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for number, body in enumerate(re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed", shown, re.DOTALL | re.MULTILINE)):
            if ";" in body:
                yield pytest.param(body.replace("\\e", "\\"), id=f"{page.stem}-{number}")


@pytest.mark.parametrize("example", manual_examples())
def test_an_example_of_the_manual_compiles(example, installed, env, tmp_path):
    source = tmp_path / "example.c"
    whole = example if example.startswith("static ") else f"bool example(void)\n{{\n{example}\nreturn true;\n}}\n"
    source.write_text(AROUND + whole)
    run(["cc", "-Wall", "-Werror=implicit-function-declaration", "-Werror=incompatible-pointer-types", "-Werror=format",
         f"-I{installed}/include", "-fsyntax-only", str(source)], env)


# ---- Adapters --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["LIBEVENT", "LIBUV"])
def adapter_check(request, installed, library_folder, env, tmp_path_factory):
    program = tmp_path_factory.mktemp("adapter") / "check"
    library = {"LIBEVENT": "-levent_core", "LIBUV": "-luv"}[request.param]
    run(["cc", "-fsanitize=address,undefined", "-g", *STRICT, "-D_GNU_SOURCE", f"-DUSE_{request.param}",
         f"-I{installed}/include", str(ROOT / "tests" / "clients" / "adapter_check.c"),
         str(library_folder / "libskua.a"), "-pthread", library, "-o", str(program)], env)
    return program


@pytest.fixture
def mute_server():
    """Accepts connections, reads what comes and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def accept():
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return
        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in held:
            connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # a name is looked up with a descriptor of its own
@pytest.mark.parametrize("case", ["answers", "reconnects", "detaches_in_callback", "attaches_again"])
def test_the_adapter(case, host, server, adapter_check, env):
    assert run([adapter_check, case, f"redis://{host}:{server.port}"], env) == f"{case}: as it should be\n"


def test_the_adapter_looks_at_deadlines(adapter_check, mute_server, env):
    assert run([adapter_check, "times_out", f"redis://127.0.0.1:{mute_server}"], env) == "times_out: as it should be\n"


def test_the_adapter_goes_on_until_the_client_gives_up(adapter_check, env):
    assert run([adapter_check, "gives_up", "unix:///nonexistent/socket"], env) == "gives_up: as it should be\n"
