"""redis-py (Debian's python3-redis) used as an application would."""
import threading
import time

import pytest
import redis

from harness.resp import eventually


@pytest.fixture(params=["tcp", "unix"])
def db(server, request):
    if request.param == "tcp":
        client = redis.Redis(port=server.port)
    else:
        client = redis.Redis(unix_socket_path=server.socket_path)
    with client:
        yield client


def test_strings_and_expiry(db):
    assert db.set("k", "v", ex=100) is True
    assert db.get("k") == b"v"
    assert 90 < db.ttl("k") <= 100
    assert db.set("k", "w", nx=True) is None
    assert db.set("k", "w", get=True) == b"v"
    assert db.getdel("k") == b"w"
    assert db.mset({"a": 1, "b": 2}) is True
    assert db.mget("a", "b", "c") == [b"1", b"2", None]
    assert db.incr("a", 10) == 11
    assert db.incrbyfloat("a", 0.5) == 11.5
    assert db.append("k", b"\x00\xff") == 2
    assert db.setrange("k", 1, "abc") == 4
    assert db.getrange("k", 0, -1) == b"\x00abc"
    assert db.strlen("k") == 4


def test_bitmaps(db):
    assert db.setbit("bits", 7, 1) == 0
    assert db.getbit("bits", 7) == 1
    assert db.bitcount("bits") == 1
    assert db.bitpos("bits", 1) == 7
    assert db.bitop("NOT", "inverse", "bits") == 1
    assert db.bitfield("bits").set("u8", "#0", 255).get("u8", "#0").execute() == [1, 255]


def test_generic_commands(db):
    db.mset({f"key:{i}": i for i in range(500)})
    assert db.dbsize() == 500
    assert set(db.scan_iter(match="key:*", count=50)) == {f"key:{i}".encode() for i in range(500)}
    assert sorted(db.keys("key:1?")) == [f"key:{i}".encode() for i in range(10, 20)]
    assert db.exists("key:1", "key:2", "nothing") == 2
    assert db.type("key:1") == b"string"
    assert db.rename("key:1", "renamed") is True
    assert db.copy("renamed", "copied") is True
    assert db.delete("renamed", "copied") == 2
    assert db.expire("key:2", 100) is True
    assert db.persist("key:2") is True
    assert db.touch("key:2", "key:3") == 2
    assert db.unlink("key:2") == 1
    assert db.randomkey().startswith(b"key:")


def test_pipelines(db):
    with db.pipeline(transaction=False) as pipe:
        for i in range(2000):
            pipe.set(f"k{i}", i).get(f"k{i}")
        results = pipe.execute()
    assert results[1::2] == [str(i).encode() for i in range(2000)]


def test_errors_in_a_pipeline_are_raised_or_returned(db):
    db.set("word", "abc")
    with db.pipeline() as pipe:
        pipe.set("k", 1).incr("word").get("k")
        results = pipe.execute(raise_on_error=False)
        assert isinstance(results[1], redis.ResponseError)
        assert results[0] is True and results[2] == b"1"


def test_transactions_with_watch(db):
    """Four threads count together by optimistic locking."""
    def count():
        for _ in range(30):
            def add(pipe):
                value = int(pipe.get("n") or 0)
                pipe.multi()
                pipe.set("n", value + 1)
            db.transaction(add, "n")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db.get("n") == b"120"


def test_a_watch_error_is_raised(db):
    with db.pipeline() as pipe:
        pipe.watch("k")
        db.set("k", 1)
        pipe.multi()
        pipe.get("k")
        with pytest.raises(redis.WatchError):
            pipe.execute()


def test_publish_and_subscribe(db):
    listener = db.pubsub()
    listener.subscribe("news")
    listener.psubscribe("n*")
    kinds = [listener.get_message(timeout=10)["type"] for _ in range(2)]
    assert kinds == ["subscribe", "psubscribe"]
    assert db.publish("news", "hello") == 2
    messages = [listener.get_message(timeout=10) for _ in range(2)]
    assert {(m["type"], m["channel"], m["data"]) for m in messages} == {
        ("message", b"news", b"hello"), ("pmessage", b"news", b"hello")}
    assert db.pubsub_channels() == [b"news"]
    assert db.pubsub_numsub("news") == [(b"news", 1)]
    assert db.pubsub_numpat() == 1
    listener.unsubscribe()
    listener.punsubscribe()
    kinds = [listener.get_message(timeout=10)["type"] for _ in range(2)]
    assert kinds == ["unsubscribe", "punsubscribe"]
    listener.close()


def test_messages_are_handled_in_a_thread(db):
    received = []
    done = threading.Event()

    def handle(message):
        received.append(message["data"])
        if message["data"] == b"99":
            done.set()

    listener = db.pubsub()
    listener.subscribe(news=handle)
    thread = listener.run_in_thread(sleep_time=0.01)
    try:
        while db.pubsub_numsub("news") != [(b"news", 1)]:
            time.sleep(0.005)
        for i in range(100):
            db.publish("news", i)
        assert done.wait(30)
    finally:
        thread.stop()
        thread.join()
    assert received == [str(i).encode() for i in range(100)]


def test_locks(db):
    """redis-py's lock uses SET NX PX, and a script to release; the lock without scripts is shown here."""
    assert db.set("lock", "mine", nx=True, px=10_000)
    assert not db.set("lock", "yours", nx=True, px=10_000)
    with db.pipeline() as pipe:
        pipe.watch("lock")
        assert pipe.get("lock") == b"mine"
        pipe.multi()
        pipe.delete("lock")
        assert pipe.execute() == [1]


def test_server_commands(db):
    info = db.info()
    assert info["redis_version"].count(".") == 2
    assert info["tcp_port"] >= 0
    assert db.info("keyspace") == {}
    assert db.client_setname("tester") is True
    assert db.client_getname() in ("tester", b"tester")
    assert any(c["name"] == "tester" for c in db.client_list())
    assert db.client_id() > 0
    assert db.config_get("maxclients") == {"maxclients": "10000"}
    assert db.config_set("slowlog-log-slower-than", 10_000) is True
    assert isinstance(db.slowlog_get(), list)
    assert db.time()[0] > 1_700_000_000
    assert db.ping() is True
    assert db.echo("hello") == b"hello"
    assert db.command_count() > 50
    assert "get" in db.command()
    assert db.lolwut().strip()


def test_databases(server):
    first, second = redis.Redis(port=server.port, db=0), redis.Redis(port=server.port, db=1)
    first.set("k", 0)
    second.set("k", 1)
    assert (first.get("k"), second.get("k")) == (b"0", b"1")
    assert first.swapdb(0, 1) is True
    assert (first.get("k"), second.get("k")) == (b"1", b"0")
    assert first.move("k", 2) == 1
    first.close()
    second.close()


def test_a_connection_pool_of_many_threads(server):
    pool = redis.ConnectionPool(port=server.port, max_connections=16)
    failures = []

    def work(number):
        client = redis.Redis(connection_pool=pool)
        for i in range(100):
            client.set(f"k:{number}", i)
            if client.get(f"k:{number}") != str(i).encode():
                failures.append((number, i))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.disconnect()
    assert not failures


def test_decoded_responses_and_large_values(server):
    with redis.Redis(port=server.port, decode_responses=True) as client:
        text = "Grüße ☃ " * 100_000
        client.set("k", text)
        assert client.get("k") == text


def test_a_cache_kept_by_messages_to_a_second_connection(server):
    """redis-py of Debian speaks RESP2: what changes is told to a subscriber."""
    client = redis.Redis(port=server.port, single_connection_client=True)
    other = redis.Redis(port=server.port)
    messages = other.pubsub(ignore_subscribe_messages=True)
    messages.connection_pool = other.connection_pool
    messages.execute_command("CLIENT", "ID")
    number = messages.connection.read_response()
    messages.subscribe("__redis__:invalidate")
    assert client.execute_command("CLIENT", "TRACKING", "on", "REDIRECT", number) == b"OK"
    client.set("k", 1)
    assert client.get("k") == b"1"
    other.set("k", 2)
    told = eventually(lambda: messages.get_message(timeout=1), "it is told")
    assert (told["channel"], told["data"]) == (b"__redis__:invalidate", [b"k"])
    messages.close()
    client.close()
    other.close()
