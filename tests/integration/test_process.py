"""The server's process among others: in the background, under a supervisor, with a title, and its place in line when memory runs out."""
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from harness.resp import Client, Error, eventually
from harness.server import Server, free_port, program

pytestmark = [pytest.mark.once, pytest.mark.skua_only("the texts of the log are ours")]


# ---- Background -----------------------------------------------------------------------------------------


def test_a_server_in_the_background(tmp_path):
    port = free_port()
    pidfile, log = tmp_path / "pid", tmp_path / "log"
    result = subprocess.run([program("skua"), "--port", str(port), "--dir", str(tmp_path), "--daemonize", "yes", "--save", "",
                             "--pidfile", str(pidfile), "--logfile", str(log)], timeout=60, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    pid = int(pidfile.read_text())
    try:
        r = Client(("127.0.0.1", port))
        assert r("PING") == "PONG", "it serves when the command has ended"
        assert os.getsid(pid) == pid, "it has a session of its own"
        for fd in (0, 1, 2):
            assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"
        r.send("SHUTDOWN NOSAVE")
        eventually(lambda: "goodbye" in log.read_text() and not pidfile.exists(), "it has ended")
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise


def test_a_start_in_the_background_that_fails_says_so(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = subprocess.run([program("skua"), "--port", str(taken.getsockname()[1]), "--dir", str(tmp_path), "--daemonize", "yes"],
                                timeout=60, capture_output=True, text=True)
    assert result.returncode == 1
    assert "Address already in use" in result.stderr


def test_a_pidfile_that_cannot_be_written_is_no_end(start):
    server = start(pidfile="/nonexistent/skua.pid")
    assert server.connect()("PING") == "PONG"
    assert b"cannot write pidfile '/nonexistent/skua.pid': No such file or directory" in server.log()


# ---- Supervisor -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("supervised, shown", [("systemd", "systemd"), ("auto", "unknown")])
def test_systemd_is_told(start, tmp_path, supervised, shown):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(60)
        server = start(supervised=supervised, daemonize="yes", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert supervisor.recv(1000).startswith(b"READY=1\n")
        r = server.connect()
        assert r.info("server")["process_supervised"] == shown
        assert r.info("server")["process_id"] == str(server.process.pid), "it stays in the foreground"
        server.stop()
        assert supervisor.recv(1000).startswith(b"STOPPING=1\n")


def test_a_supervisor_that_cannot_be_told(start):
    server = start(supervised="systemd", env={"NOTIFY_SOCKET": ""})
    assert server.connect()("PING") == "PONG"
    assert b"the supervisor cannot be told that the server is ready: NOTIFY_SOCKET is not set, or leads nowhere" in server.log()


def state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_upstart_continues_the_server(tmp_path):
    port = free_port()
    with subprocess.Popen([program("skua"), "--port", str(port), "--dir", str(tmp_path), "--save", "", "--supervised", "upstart"],
                          env={**os.environ, "UPSTART_JOB": "skua"}, stdout=subprocess.PIPE, text=True) as process:
        try:
            eventually(lambda: state(process.pid) == "T", "it has stopped itself")
            process.send_signal(signal.SIGCONT)
            assert Client(("127.0.0.1", port))("PING") == "PONG"
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        assert process.wait(60) == 0


# ---- Title ----------------------------------------------------------------------------------------------


def title(server):
    return pathlib.Path(f"/proc/{server.process.pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def test_the_title_names_the_address(start):
    server = start()
    assert title(server) == f"{pathlib.Path(program('skua')).name} 127.0.0.1:{server.port}"


def test_the_title_follows_its_template(start):
    server = start(**{"proc-title-template": '"{title}|{port}|{tls-port}|{config-file}"'})
    r = server.connect()
    name = pathlib.Path(program("skua")).name
    assert title(server) == f"{name}|{server.port}|0|{server.config_path}"
    assert r("CONFIG", "SET", "proc-title-template", "short {port}") == "OK"
    assert title(server) == f"short {server.port}"
    for bad in ("{nosuch}", "{title", "title}", "{}"):
        assert r("CONFIG", "SET", "proc-title-template", bad) == Error(
            "ERR CONFIG SET failed (possibly related to argument 'proc-title-template') - "
            "template format is invalid or contains unknown variables")
    assert title(server) == f"short {server.port}"


def test_the_title_can_stay(start):
    server = start(**{"set-proc-title": "no"})
    assert title(server).split("\0")[1] == str(server.config_path)


def test_a_long_title_is_cut_off_and_the_environment_stays(start):
    server = start(env={"NOTIFY_SOCKET": "@skua"}, **{"supervised": "auto"})
    r = server.connect()
    assert r("CONFIG", "SET", "proc-title-template", "x" * 60000) == "OK"
    assert set(title(server)) == {"x"} and len(title(server)) < 60000
    assert r.info("server")["process_supervised"] == "unknown", "the variable is still known"


# ---- Memory running out ---------------------------------------------------------------------------------


def oom_score(server):
    return int(pathlib.Path(f"/proc/{server.process.pid}/oom_score_adj").read_text())


def test_oom_score_follows_the_options(start):
    base = int(pathlib.Path("/proc/self/oom_score_adj").read_text())
    server = start(**{"oom-score-adj": "relative", "oom-score-adj-values": "17 200 800"})
    r = server.connect()
    assert oom_score(server) == base + 17
    assert r("CONFIG", "SET", "oom-score-adj-values", f"{base + 30} 40 50", "oom-score-adj", "absolute") == "OK"
    assert oom_score(server) == base + 30
    assert r("CONFIG SET oom-score-adj yes") == "OK"
    assert oom_score(server) == min(1000, base + base + 30)
    assert r("CONFIG", "SET", "oom-score-adj-values", "1 2") == Error(
        "ERR CONFIG SET failed (possibly related to argument 'oom-score-adj-values') - wrong number of arguments")
    assert value_of(r) == f"{base + 30} 40 50"
    assert r("CONFIG", "SET", "oom-score-adj-values", "1 2 3000").startswith("ERR CONFIG SET failed")


def value_of(r):
    return r("CONFIG GET oom-score-adj-values")[1].decode()


def test_oom_score_of_a_replica(start):
    base = int(pathlib.Path("/proc/self/oom_score_adj").read_text())
    server = start(**{"oom-score-adj": "relative", "oom-score-adj-values": "5 21 800"})
    r = server.connect()
    assert oom_score(server) == base + 5
    assert r(f"REPLICAOF 127.0.0.1 {free_port()}") == "OK"
    eventually(lambda: oom_score(server) == base + 21, "a replica has its own")
    assert r("REPLICAOF NO ONE") == "OK"
    eventually(lambda: oom_score(server) == base + 5, "a primary again")


# ---- Threads --------------------------------------------------------------------------------------------


def threads_of(server, name):
    """Policy, nice value and start of those that have this name."""
    found = []
    for folder in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        text = (folder / "stat").read_text()
        fields = text.rsplit(")", 1)[1].split()
        if text.split("(", 1)[1].startswith(name + ")"):
            found.append((int(fields[38]), int(fields[16])))
    return found


def test_who_frees_memory_gives_way(start):
    server = start()
    r = server.connect()
    own = (os.SCHED_OTHER, os.getpriority(os.PRIO_PROCESS, server.process.pid))
    eventually(lambda: threads_of(server, "skua-bulk") == [(os.SCHED_BATCH, 19)] * 2, "it is so soon after the start")
    assert threads_of(server, "skua-worker") == [own] * 2, "somebody waits for these"
    if r.info("memory")["mem_allocator"].startswith("jemalloc"):
        eventually(lambda: threads_of(server, "jemalloc_bg_thd") == [(os.SCHED_BATCH, 19)],
                   "the executor does not give the allocator's memory back")


def test_another_scheduling_class_is_kept():
    with Server("skua", prefix=["chrt", "--idle", "0"]) as server:
        eventually(lambda: len(threads_of(server, "skua-bulk")) == 2, "they have their names")
        policies = {os.sched_getscheduler(int(thread)) for thread in os.listdir(f"/proc/{server.process.pid}/task")}
    assert policies == {os.SCHED_IDLE}
