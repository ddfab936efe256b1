"""Lets several clients loose on a server and writes down what they did, with the times.

Entry: record. A story says which commands: `single(rng, name)` is one of a client that reads and writes single elements,
`long(rng)` one that touches a whole collection; both give (name, *arguments) in the words of the model (model.py), and
perform() puts them into the server's.
"""
import random
import threading
import time

from harness import errors
from harness.resp import Error

from .checker import Operation
from .model import BASE, NO_SUCH_KEY, reduced

SINGLES, LONGS = 3, 2     # clients
SINGLE_COMMANDS = 250     # of each of them
LONG_COMMANDS = 12        # at least: they go on as long as the others do
LONG_COMMANDS_MAX = 150
LATE_SCORE = 10**9        # members that are added later come behind the base

WHOLE = {  # commands that answer with a whole collection: what stands behind the key
    "SMEMBERS": (), "ZRANGE": (0, -1), "LRANGE": (0, -1), "SORT": ("ALPHA",), "SUNION": (), "KEYS": ()}


def filler(kind, number):
    return b"f:" if kind == "l" else b"f:%d" % number


def prepare(client, kind, fillers):
    """Makes the collection that COPY copies: the first letter of a key is the kind of what it holds."""
    if kind == "k":
        return
    every = [filler(kind, number) for number in range(fillers)]
    if kind == "z":
        every = [word for number, member in enumerate(every) for word in (number, member)]
    command = {"s": "SADD", "z": "ZADD", "l": "RPUSH"}[kind]
    assert client(command, f"origin:{kind}", *every) == fillers


def words(name, arguments, fillers):
    """A command of the model as one of the server."""
    key = arguments[0] if arguments else ""
    match name:
        case "ZADD":
            return ["ZADD", key, LATE_SCORE + int(arguments[1].partition(":")[2]), arguments[1]]
        case "ZUNIONSTORE":
            return [name, key, len(arguments) - 1, *arguments[1:], "AGGREGATE", "MAX"]
        case "ZREMRANGEBYRANK":
            return [name, key, 0, -1]
        case "ZREMRANGEBYSCORE":
            return [name, key, "-inf", LATE_SCORE - 1]
        case "LREM":
            return [name, key, 0, "f:" if arguments[1] == BASE else arguments[1]]
        case "COPY":
            return [name, f"origin:{key[0]}", key, "REPLACE"]
        case "SET":
            return [name, key, "value"]
        case "MSET":
            return [name, *(word for number in range(fillers) for word in (filler("k", number), "value"))]
        case "RENAME NAME":
            return ["RENAME", *arguments]
        case "KEYS":
            return [name, "*"]
    return [name, *arguments, *WHOLE.get(name, ())]


def told(name, reply, fillers):
    """A reply of the server as one of the model."""
    if isinstance(reply, Error):
        return NO_SUCH_KEY if reply == errors.NO_SUCH_KEY else str(reply)
    if name in WHOLE:
        return reduced(reply, fillers, in_order=name == "LRANGE")
    return int(reply is not None) if name == "ZSCORE" else reply


def receive(client):
    """The next reply, and when its last byte came: a long array must not be taken apart first."""
    data = client.socket.recv(1 << 20)
    while data[:1] == b"*":
        head, _, rest = data.partition(b"\r\n")
        count = int(head[1:]) if rest or data.endswith(b"\r\n") else -1
        if count >= 0 and rest.count(b"\r\n") >= 2 * count:
            return rest.split(b"\r\n")[1:2 * count:2], time.monotonic()
        data += client.socket.recv(1 << 20)
    client.reader.feed(data)
    return client.reply(), time.monotonic()


def perform(client, number, operation, fillers):
    """Does one operation of a story and returns what is to be written down."""
    name, *arguments = operation
    if name == "EXEC":
        client.pipeline("MULTI")
        for inner, *rest in arguments:
            assert client(*words(inner, rest, fillers)) == "QUEUED"
        call = time.monotonic()
        replies = client("EXEC")
        back = time.monotonic()
        result = [told(inner[0], reply, fillers) for inner, reply in zip(arguments, replies)]
    else:
        command = words(name, arguments, fillers)
        call = time.monotonic()
        client.send(*command)
        reply, back = receive(client)
        result = told(name, reply, fillers)
    return Operation(number, name, tuple(arguments), result, call, back)


def record(server, story, fillers, seed):
    """The history of all clients together. Whatever goes wrong in a client is raised here."""
    history, problems = [], []
    barrier = threading.Barrier(SINGLES + LONGS)
    singles_left = [SINGLES]

    def run(number, is_long):
        rng, mine = random.Random(f"{seed} {number}"), []
        try:
            client = server.connect()
            barrier.wait(60)
            if is_long:
                while len(mine) < LONG_COMMANDS or singles_left[0] and len(mine) < LONG_COMMANDS_MAX:
                    mine.append(perform(client, number, story.long(rng), fillers))
            else:
                for step in range(SINGLE_COMMANDS):
                    mine.append(perform(client, number, story.single(rng, f"{number}:{step + 1000 * number}"), fillers))
        except BaseException as problem:
            problems.append(problem)
            barrier.abort()
        if not is_long:
            singles_left[0] -= 1
        history.extend(mine)

    threads = [threading.Thread(target=run, args=(number, number >= SINGLES)) for number in range(SINGLES + LONGS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return history
