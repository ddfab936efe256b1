"""INFO: sections and fields as tools for Redis know them, with figures that are true."""
import os

import pytest

from harness.resp import Verbatim, eventually

pytestmark = pytest.mark.core

USUAL = ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Modules", "Errorstats", "Cluster",
         "Keyspace"]
EXTRA = ["Commandstats", "Latencystats"]


def titles(reply):
    """The headings of an answer, without those that only Skua has."""
    found = [line[2:] for line in reply.decode().split("\r\n") if line.startswith("# ")]
    return [title for title in found if title not in ("Threads", "Shm", "Blame", "Direct")]


def test_default_sections(r):
    assert titles(r("INFO")) == USUAL
    assert titles(r("INFO default")) == USUAL


@pytest.mark.parametrize("word", ["all", "everything", "EVERYTHING"])
def test_all_sections(r, word):
    assert sorted(titles(r("INFO", word))) == sorted(USUAL + EXTRA)


def test_chosen_sections_come_once_and_in_their_order(r):
    assert titles(r("INFO cpu SERVER cpu nothing")) == ["Server", "CPU"]
    assert titles(r("INFO commandstats default")) == [*USUAL[:8], "Commandstats", *USUAL[8:]]
    assert r("INFO nothing") == b""


def test_lines_end_with_crlf_and_sections_are_apart(r):
    text = r("INFO server cpu").decode()
    assert text.startswith("# Server\r\nredis_version:")
    assert text.endswith("\r\n") and "\r\n\r\n# CPU\r\n" in text
    assert "\n" not in text.replace("\r\n", "")


def test_info_is_a_verbatim_text_in_resp3(r3):
    assert isinstance(r3("INFO server"), Verbatim)


def test_server_section(r, server):
    info = r.info("server")
    assert info["process_id"] == str(server.pid)
    assert info["tcp_port"] == str(server.port)
    assert info["redis_mode"] == "standalone"
    assert info["arch_bits"] == "64"
    assert len(info["run_id"]) == 40
    assert info["config_file"] == str(server.config_path)
    assert os.path.isabs(info["executable"])
    assert int(info["uptime_in_seconds"]) >= 0


def test_clients_section(r, connect):
    others = [connect() for _ in range(3)]
    assert all(client("PING") == "PONG" for client in others)
    eventually(lambda: r.info("clients")["connected_clients"] == "4")
    assert r.info("clients")["maxclients"] == "10000"
    others.pop().close()
    eventually(lambda: r.info("clients")["connected_clients"] == "3")


def test_memory_follows_the_data(r):
    before = int(r.info("memory")["used_memory"])
    r("SET", "k", b"x" * (8 << 20))
    info = r.info("memory")
    assert int(info["used_memory"]) - before >= 8 << 20
    assert int(info["used_memory_peak"]) >= int(info["used_memory"])
    assert int(info["used_memory_rss"]) > 8 << 20
    assert info["used_memory_human"][-1] in "MG"
    assert int(info["used_memory_dataset"]) + int(info["used_memory_overhead"]) == int(info["used_memory"])


def test_counters_count(r):
    r("SET k v")
    before = r.info("stats")
    r("GET k")
    r("GET missing")
    r("GET missing")
    after = r.info("stats")

    def grown(name):
        return int(after[name]) - int(before[name])

    assert grown("keyspace_hits") == 1
    assert grown("keyspace_misses") == 2
    assert grown("total_commands_processed") == 4
    assert grown("total_net_input_bytes") > 60
    assert grown("total_net_output_bytes") > 500


def test_keyspace_section(r):
    r("SELECT 3")
    r("MSET a 1 b 2 c 3")
    r("EXPIRE a 1000")
    assert r.info("keyspace")["db3"].startswith("keys=3,expires=1,avg_ttl=")
    r("FLUSHDB")
    assert "db3" not in r.info("keyspace")


def test_command_and_error_rows(r):
    r("CONFIG RESETSTAT")
    r("SET k v")
    r("SET k v")
    r("SETRANGE k -1 x")
    r("GET")
    r("NOSUCH")
    info = r.info("everything")
    stats = dict(field.split("=") for field in info["cmdstat_set"].split(","))
    assert stats["calls"] == "2" and stats["rejected_calls"] == "0" and stats["failed_calls"] == "0"
    assert info["cmdstat_setrange"].endswith("rejected_calls=0,failed_calls=1")
    assert info["cmdstat_get"] == "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"
    assert info["errorstat_ERR"] == "count=3"
    assert info["latency_percentiles_usec_set"].startswith("p50=")


def test_percentiles_can_be_chosen_and_switched_off(r, config):
    r("SET k v")
    config(latency_tracking_info_percentiles="0 50.5 100")
    names = [field.split("=")[0] for field in r.info("latencystats")["latency_percentiles_usec_set"].split(",")]
    assert names == ["p0", "p50.5", "p100"]
    config(latency_tracking="no")
    assert "latency_percentiles_usec_set" not in r.info("latencystats")


@pytest.mark.skua_only("redis-server has no such section")
def test_threads_section(r, server):
    info = r.info("threads")
    assert info["io_threads"] == str(server.io_threads)
    rows = [name for name in info if name.startswith("io_thread_")]
    assert len(rows) == server.io_threads
    assert int(info["executor_batches"]) > 0
    if server.io_threads:
        assert sum(int(info[row].split("connections=")[1].split(",")[0]) for row in rows) >= 1


def fields_of(row):
    return {name: int(value) for name, value in (field.split("=") for field in row.split(","))}


STAGES = [f"{name}_usec" for name in "receive direct take execute publish send upkeep poll".split()]


@pytest.mark.skua_only("redis-server has no such section")
def test_every_thread_tells_where_its_time_goes(r, server):
    """Commands cost time somewhere; a thread's stages are its busy time, and idle time is spinning and sleep."""
    names = ["executor", *(f"io_thread_{i}" for i in range(1, server.io_threads + 1))]

    def rows():
        info = r.info("threads")
        return [fields_of(info[name]) for name in names]

    r("CONFIG RESETSTAT")
    for _ in range(50):
        r.pipeline(*["INCR k"] * 50)
    eventually(lambda: rows()[0]["execute_usec"] > 0 and sum(row["busy_usec"] for row in rows()) > 0, "busy time")
    for row in rows():
        # Each figure is cut to microseconds by itself.
        assert abs(row["busy_usec"] - sum(row[stage] for stage in STAGES)) <= len(STAGES)
        assert abs(row["idle_usec"] - row["spin_usec"] - row["sleep_usec"]) <= 2
        assert row["preempted_usec"] >= 0
    executor = rows()[0]
    assert executor["requests"] >= 2500 and 0 <= executor["load_percent"] <= 100


@pytest.mark.skua_only("redis-server has no such section")
def test_counters_of_threads_begin_anew(r, server):
    for _ in range(20):
        r.pipeline(*["INCR k"] * 50)
    r("CONFIG RESETSTAT")
    info = r.info("threads")
    assert fields_of(info["executor"])["requests"] < 1000
    for i in range(1, server.io_threads + 1):
        assert fields_of(info[f"io_thread_{i}"])["requests"] < 1000


@pytest.mark.skua_only("redis-server has no such section")
def test_an_executor_with_nothing_to_do_is_not_said_to_be_busy(r):
    for _ in range(20):
        r.pipeline(*["INCR k"] * 500)
    eventually(lambda: fields_of(r.info("threads")["executor"])["load_percent"] <= 50, "the load to fall")


def test_fields_that_tools_read(r):
    info = r.info("everything")
    expected = """redis_version redis_mode os arch_bits multiplexing_api gcc_version process_id run_id tcp_port
        uptime_in_seconds uptime_in_days hz configured_hz lru_clock executable config_file io_threads_active
        connected_clients maxclients client_recent_max_input_buffer client_recent_max_output_buffer blocked_clients
        tracking_clients clients_in_timeout_table used_memory used_memory_human used_memory_rss used_memory_peak
        used_memory_overhead used_memory_startup used_memory_dataset allocator_allocated allocator_active
        allocator_resident total_system_memory used_memory_lua maxmemory maxmemory_policy mem_fragmentation_ratio
        mem_allocator active_defrag_running lazyfree_pending_objects lazyfreed_objects loading
        rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status aof_enabled
        aof_rewrite_in_progress aof_last_write_status total_connections_received total_commands_processed
        instantaneous_ops_per_sec total_net_input_bytes total_net_output_bytes instantaneous_input_kbps
        instantaneous_output_kbps rejected_connections sync_full expired_keys evicted_keys keyspace_hits
        keyspace_misses pubsub_channels pubsub_patterns latest_fork_usec total_error_replies role connected_slaves
        master_replid master_repl_offset repl_backlog_active used_cpu_sys used_cpu_user used_cpu_sys_children
        used_cpu_sys_main_thread cluster_enabled redis_git_sha1 mem_total_replication_buffers rss_overhead_ratio used_memory_vm_total
        active_defrag_hits module_fork_in_progress mem_cluster_links""".split()
    assert [name for name in expected if name not in info] == []


@pytest.mark.skua_only("since Redis 7.4 and Valkey 8")
def test_clients_that_subscribe(r, connect):
    first, second = connect(), connect()
    for names in (["SUBSCRIBE", "a"], ["PSUBSCRIBE", "b*"], ["SSUBSCRIBE", "a"]):
        first.send(*names)
        first.reply()
    second.send("SUBSCRIBE", "a")
    second.reply()
    assert r.info("clients")["pubsub_clients"] == "2"
    for names in (["UNSUBSCRIBE"], ["PUNSUBSCRIBE"], ["SUNSUBSCRIBE"]):
        assert r.info("clients")["pubsub_clients"] == "2"
        first.send(*names)
        first.reply()
    assert r.info("clients")["pubsub_clients"] == "1"
    second.close()
    eventually(lambda: r.info("clients")["pubsub_clients"] == "0", "who has gone has no subscription")


@pytest.mark.skua_only("since Redis 7.4 and Valkey 8")
def test_clients_that_watch_and_clients_that_are_held(r, connect):
    watcher = connect()
    assert watcher("WATCH a b") == "OK" and r("WATCH b") == "OK"
    assert watcher("WATCH c") == "OK"
    assert r.info("clients")["total_watched_keys"] == "3"
    assert r.info("clients")["watching_clients"] == "2"
    assert r("UNWATCH") == "OK"
    assert r.info("clients")["watching_clients"] == "1"
    watcher.close()
    eventually(lambda: r.info("clients")["watching_clients"] == "0", "who has gone watches nothing")
    assert r.info("clients")["total_watched_keys"] == "0"
    held = ("paused_reason", "paused_actions")
    assert [r.info("clients")[name] for name in held] == ["none", "none"]
    assert r("CLIENT PAUSE 100000 WRITE") == "OK"
    info = r.info("clients")
    assert [info[name] for name in held] == ["client_pause", "write"]
    assert 0 < int(info["paused_timeout_milliseconds"]) <= 100000
    assert r("CLIENT UNPAUSE") == "OK"
    assert r.info("clients")["paused_timeout_milliseconds"] == "0"
