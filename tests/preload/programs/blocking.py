"""redis-py as a blocking program: by itself, with a time limit, from threads, over a fork, with stdio."""
import os
import socket
import sys
import threading
import time

import redis

MODE, PATH = sys.argv[1], sys.argv[2]


def exchange(db):
    assert db.ping()
    for number in range(300):
        assert db.set(f"key:{number}", number) and db.get(f"key:{number}") == str(number).encode()
    large = os.urandom(3_000_000)  # more than both rings hold
    assert db.set("large", large) and db.get("large") == large
    pipe = db.pipeline(transaction=False)
    for number in range(20_000):
        pipe.incr("count")
    assert pipe.execute()[-1] - db.incrby("count", 0) == 0
    db.delete("count")
    with db.pubsub() as channel:
        channel.subscribe("news")
        assert channel.get_message(timeout=60)["type"] == "subscribe"
        assert channel.get_message(timeout=0.01) is None
        db.publish("news", "hello")
        assert channel.get_message(timeout=60)["data"] == b"hello"


def threads(db):
    """Connections of their own, and one that reads while another thread writes."""
    faults = []

    def work(number):
        try:
            for turn in range(200):
                db.set(f"t{number}", turn)
                assert int(db.get(f"t{number}")) == turn
        except BaseException as fault:
            faults.append(fault)

    workers = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not faults, faults

    line = socket.socket(socket.AF_UNIX)
    line.connect(PATH)
    wanted, got = 2000 * len(b"+PONG\r\n"), []

    def read():
        while sum(map(len, got)) < wanted:
            got.append(line.recv(4096))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(2000):
        line.sendall(b"PING\r\n")
    reader.join()
    assert b"".join(got) == b"+PONG\r\n" * 2000


def fork(db):
    """A child finds its parent's connections ended and makes its own; the parent's go on."""
    line = socket.socket(socket.AF_UNIX)
    line.connect(PATH)
    line.sendall(b"PING\r\n")
    assert line.recv(100) == b"+PONG\r\n"
    for _ in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                line.send(b"PING\r\n")
            except ConnectionResetError:
                try:
                    line.recv(10)
                except ConnectionResetError:
                    line.close()
                    status = 0 if db.get("key:7") == b"7" and db.set("child", 1) else 2
            os._exit(status)
        for number in range(200):
            assert db.get(f"key:{number}") == str(number).encode()
            line.sendall(b"PING\r\n")
            assert line.recv(100) == b"+PONG\r\n"
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    # What is left open by a child that is not of this program any more keeps nothing open.
    os.system("true")
    assert db.ping()


def stdio():
    """C streams over the descriptor."""
    import ctypes
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    line = socket.socket(socket.AF_UNIX)
    line.connect(PATH)
    stream = ctypes.c_void_p(libc.fdopen(line.fileno(), b"r"))
    assert stream and libc.fileno(stream) == line.fileno()
    libc.dprintf(line.fileno(), b"PING\r\nECHO %s\r\n", b"streams")
    text = ctypes.create_string_buffer(100)
    for wanted in (b"+PONG\r\n", b"$7\r\n", b"streams\r\n"):
        libc.fgets(text, 100, stream)
        assert text.value == wanted, text.value
    libc.dprintf(line.fileno(), b"ECHO %s\r\n", b"x" * 10_000)
    libc.fgets(text, 100, stream)
    assert text.value == b"$10000\r\n", text.value
    libc.fclose(stream)
    line.detach()


def survive(db):
    assert db.ping()
    print("ready", flush=True)
    try:
        db.blpop("nothing", 0)
    except redis.ConnectionError:
        print("told", flush=True)
    sys.stdin.readline()
    assert db.set("again", 1)
    print("back", flush=True)


if __name__ == "__main__":
    client = redis.Redis(unix_socket_path=PATH)
    if MODE == "survive":
        survive(client)
        sys.exit()
    exchange(client)
    exchange(redis.Redis(unix_socket_path=PATH, socket_timeout=60))
    try:
        redis.Redis(unix_socket_path=PATH, socket_timeout=0.2).blpop("nothing", 0)
        sys.exit("a time limit did not hold")
    except redis.TimeoutError:
        pass
    threads(client)
    fork(client)
    stdio()
    assert time.process_time() < 60
    print("done")
