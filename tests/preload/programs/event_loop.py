"""redis-py on asyncio: epoll, with many connections and many requests at once, one loop in each of several threads, and loops
of children beside their parent's."""
import asyncio
import os
import sys
import threading

import redis.asyncio as redis

MODE, PATH = sys.argv[1], sys.argv[2]


async def exchange():
    db = redis.Redis(unix_socket_path=PATH)
    for number in range(200):
        assert await db.set("key", number) and int(await db.get("key")) == number
    large = os.urandom(3_000_000)
    assert await db.set("large", large) and await db.get("large") == large
    for _ in range(3):
        answers = await asyncio.gather(*[db.echo(f"{number}") for number in range(300)])
        assert answers == [str(number).encode() for number in range(300)]
    channel = db.pubsub()
    await channel.subscribe("events")
    await db.publish("events", "hello")
    while (message := await channel.get_message(timeout=60))["type"] != "message":
        pass
    assert message["data"] == b"hello"
    await channel.close()
    await db.close()


async def talk(number, turns):
    """Five connections, each answer to the one who asked."""
    db = redis.Redis(unix_socket_path=PATH)
    for turn in range(turns):
        words = [f"{number}:{turn}:{line}" for line in range(5)]
        assert await asyncio.gather(*[db.echo(word) for word in words]) == [word.encode() for word in words]
    await db.close()


def threads():
    faults = []

    def work(number):
        try:
            asyncio.run(talk(number, 100))
        except BaseException as fault:
            faults.append(fault)

    workers = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not faults, faults


async def fork():
    """Children have loops and connections of their own; the parent's go on."""
    db = redis.Redis(unix_socket_path=PATH)
    assert await db.ping()
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio._set_running_loop(None)  # it is the parent's
                asyncio.new_event_loop().run_until_complete(talk(number, 50))
                status = 0
            finally:
                os._exit(status)
        children.append(child)
        await talk("parent", 50)
        assert await db.ping()
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert await db.ping()
    await db.close()


async def survive():
    db = redis.Redis(unix_socket_path=PATH)
    assert await db.ping()
    print("ready", flush=True)
    try:
        await db.blpop("nothing", 0)
    # redis-py 4.3 stumbles over its own message when a Unix socket is reset, as it is when a request is left unread.
    except (redis.ConnectionError, AttributeError):
        print("told", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    assert await db.set("again", 1)
    print("back", flush=True)
    await db.close()


if MODE == "survive":
    asyncio.run(survive())
else:
    asyncio.run(exchange())
    threads()
    asyncio.run(fork())
    print("done")
