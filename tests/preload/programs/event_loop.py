"""redis-py on asyncio: epoll, with many connections and many requests at once."""
import asyncio
import os
import sys

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
    print("done")


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


asyncio.run(survive() if MODE == "survive" else exchange())
