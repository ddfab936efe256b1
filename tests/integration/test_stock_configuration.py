"""Configuration files written for Redis and Valkey start the server; what they ask for in vain is said, and never shown as if it held."""
import subprocess

import pytest

from harness.resp import Error
from harness.server import free_port, program

pytestmark = [pytest.mark.once, pytest.mark.skua_only("what has one value here has others there")]

# What the files of Redis 7.0 and 7.2 and of Valkey 8.1 and 9.1 set, as names and values. What a test's server sets by itself is left out.
COMMON = {
    "protected-mode": "yes", "tcp-backlog": "511", "timeout": "0", "tcp-keepalive": "300", "daemonize": "no", "loglevel": "notice",
    "logfile": '""', "databases": "16", "always-show-logo": "no", "set-proc-title": "yes",
    "proc-title-template": '"{title} {listen-addr} {server-mode}"', "stop-writes-on-bgsave-error": "yes", "rdbcompression": "yes",
    "rdbchecksum": "yes", "dbfilename": "dump.rdb", "rdb-del-sync-files": "no", "replica-serve-stale-data": "yes",
    "replica-read-only": "yes", "repl-diskless-sync": "yes", "repl-diskless-sync-delay": "5", "repl-diskless-sync-max-replicas": "0",
    "repl-diskless-load": "disabled", "repl-disable-tcp-nodelay": "no", "replica-priority": "100", "acllog-max-len": "128",
    "oom-score-adj": "no", "oom-score-adj-values": "0 200 800", "disable-thp": "yes", "appendfilename": '"appendonly.aof"',
    "appenddirname": '"appendonlydir"', "appendfsync": "everysec", "no-appendfsync-on-rewrite": "no",
    "auto-aof-rewrite-percentage": "100", "auto-aof-rewrite-min-size": "64mb", "aof-load-truncated": "yes",
    "aof-use-rdb-preamble": "yes", "aof-timestamp-enabled": "no", "latency-monitor-threshold": "0", "notify-keyspace-events": '""',
    "hash-max-listpack-entries": "512", "hash-max-listpack-value": "64", "list-max-listpack-size": "-2", "list-compress-depth": "0",
    "set-max-intset-entries": "512", "zset-max-listpack-entries": "128", "zset-max-listpack-value": "64", "hll-sparse-max-bytes": "3000",
    "stream-node-max-bytes": "4096", "stream-node-max-entries": "100", "activerehashing": "yes", "hz": "10",
    "client-output-buffer-limit": ["normal 0 0 0", "replica 256mb 64mb 60", "pubsub 32mb 8mb 60"],
    "aof-rewrite-incremental-fsync": "yes", "rdb-save-incremental-fsync": "yes", "jemalloc-bg-thread": "yes",
}
LAZY = ["lazyfree-lazy-eviction", "lazyfree-lazy-expire", "lazyfree-lazy-server-del", "lazyfree-lazy-user-del", "lazyfree-lazy-user-flush",
        "replica-lazy-flush"]
REDIS_7_0 = COMMON | dict.fromkeys(LAZY, "no") | {"slowlog-log-slower-than": "10000", "slowlog-max-len": "128", "dynamic-hz": "yes"}
REDIS_7_2 = REDIS_7_0 | {"set-max-listpack-entries": "128", "set-max-listpack-value": "64"}
VALKEY = COMMON | dict.fromkeys(LAZY, "yes") | {
    "hide-user-data-from-log": "yes", "locale-collate": '""', "rdb-version-check": "strict", "dual-channel-replication-enabled": "no",
    "commandlog-execution-slower-than": "10000", "commandlog-slow-execution-max-len": "128", "commandlog-request-larger-than": "1048576",
    "commandlog-large-request-max-len": "128", "commandlog-reply-larger-than": "1048576", "commandlog-large-reply-max-len": "128",
    "set-max-listpack-entries": "128", "set-max-listpack-value": "64"}


def value_of(r, name):
    return r("CONFIG", "GET", name)[1].decode()


@pytest.mark.parametrize("options", [REDIS_7_0, REDIS_7_2, VALKEY], ids=["redis-7.0", "redis-7.2", "valkey"])
def test_a_stock_file_starts_the_server(start, options):
    server = start(**options)
    r = server.connect()
    assert r("SET k v") == "OK" and r("GET k") == b"v"
    for name in ("databases", "tcp-backlog", "hash-max-listpack-entries", "appendfsync", "oom-score-adj-values"):
        assert value_of(r, name) == options[name]
    assert b"without effect (the server sees to it by itself): " in server.log()


@pytest.mark.parametrize("name", LAZY)
def test_what_holds_is_shown_whatever_the_file_asks_for(start, name):
    server = start(**{name: "no"})
    r = server.connect()
    assert value_of(r, name) == "yes"
    assert f"only yes is accepted): {name} no\n".encode() in server.log()
    reason = "memory is always freed beside the commands here: only yes is accepted"
    assert r("CONFIG", "SET", name, "no") == Error(
        f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
    assert r("CONFIG", "SET", name, "yes") == "OK"


def test_skipped_options_are_no_options(start):
    server = start(**{"lua-time-limit": "5000", "busy-reply-threshold": "5000", "active-expire-effort": "1"})
    r = server.connect()
    assert b"without effect (there are no scripts, functions and modules): " in server.log()
    assert r("CONFIG GET lua-time-limit") == []
    assert r("CONFIG SET lua-time-limit 1") == Error("ERR Unknown option or number of arguments for CONFIG SET - 'lua-time-limit'")


def test_rewriting_keeps_skipped_lines_and_corrects_those_in_vain(start):
    server = start(**{"lua-time-limit": "5000", "lazyfree-lazy-user-del": "no"})
    assert server.connect()("CONFIG REWRITE") == "OK"
    text = server.config_path.read_text()
    assert "lua-time-limit 5000\n" in text and "lazyfree-lazy-user-del yes\n" in text and "user-del no" not in text


@pytest.mark.parametrize("line, reason", [
    ("activedefrag yes", "option 'activedefrag': memory is not defragmented in this version of Skua: only no is accepted"),
    ("cluster-enabled yes", "there is no cluster mode in this version of Skua: only no is accepted"),
    ("tls-port 6380", "TLS is not in this version of Skua: only 0 is accepted"),
    ("tls-replication yes", "TLS is not in this version of Skua: only no is accepted"),
    ("import-mode yes", "there is no import mode in this version of Skua"),
    ("maxmemory-clients 5%", "clients are not evicted in this version of Skua: only 0 is accepted"),
    ('rename-command CONFIG ""', "option 'rename-command': commands cannot be renamed in this version of Skua"),
    ("loadmodule /x.so", "option 'loadmodule': there are no modules in this version of Skua"),
    ('proc-title-template "{nosuch}"', "template format is invalid or contains unknown variables"),
    ("oom-score-adj-values 0 1", "wrong number of arguments"),
])
def test_what_would_be_missed_ends_the_start(line, reason, tmp_path):
    text = f"port {free_port()}\ndir {tmp_path}\n{line}\n"
    result = subprocess.run([program("skua"), "-"], input=text, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert reason in result.stderr


def test_other_names_of_valkey(start):
    r = start(**{"primaryauth": "secret"}).connect()
    assert r("CONFIG SET commandlog-execution-slower-than 77 primaryuser someone") == "OK"
    assert value_of(r, "slowlog-log-slower-than") == "77"
    assert value_of(r, "masteruser") == "someone" and value_of(r, "masterauth") == "secret"
