"""Random conversations: whatever a server sends and whenever it hangs up, each callback is called exactly once and in
order, each request without one is told of exactly once, and no memory is left. A failure prints its seed;
SKUA_SEED=N runs that one."""
import os
import random

import pytest

SEEDS = [int(os.environ["SKUA_SEED"])] if "SKUA_SEED" in os.environ else range(60)
PIECES = [b"+OK\r\n", b":1\r\n", b"$3\r\nabc\r\n", b"$-1\r\n", b"-ERR no\r\n", b"*2\r\n:1\r\n*1\r\n+x\r\n", b"%1\r\n+k\r\n#t\r\n",
          b">2\r\n+a\r\n+b\r\n", b"|1\r\n+a\r\n:1\r\n:2\r\n", b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n",
          b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n",
          b"+1700000000.123456 [0 x] \"GET\"\r\n", b"$70000\r\n" + b"x" * 70000 + b"\r\n"]
REQUESTS = ["GET x", "SUBSCRIBE a", "UNSUBSCRIBE a", "UNSUBSCRIBE", "MONITOR", "HELLO 3", "RESET", "PING"]
INSIDE = ["submit {} GET y", "reconnect", "run", "item 1", "state", "about"]


def misbehaving(chance):
    """A handler that answers requests with pieces: mostly whole ones, mostly one for each."""
    def handler(connection, number):
        while True:
            connection.request()
            data = b"".join(chance.choice(PIECES) for _ in range(chance.choice([0, 1, 1, 1, 1, 1, 1, 1, 2])))
            if chance.random() < 0.05:
                position = chance.randrange(len(data) + 1)
                data = data[:position] + bytes([chance.randrange(256)]) + data[position + 1:]
            cut = chance.randrange(len(data) + 1)
            connection.send(data[:cut], data[cut:])
            if chance.random() < 0.05:
                chance.choice([connection.close, connection.reset])()
                return
    return handler


class Conversation:
    """Random steps, and what was asked for and told in their course."""

    def __init__(self, driver, chance):
        self.driver = driver
        self.chance = chance
        self.tags = 0
        self.planned = []  # tag of the submit that is planned inside a callback
        self.submitted = []
        self.called = []

    def say(self, line, tag=None):
        """`tag`: of the submit that this line is."""
        answer = self.driver(line)
        for told in [answer] if isinstance(answer, str) else answer:
            if told.startswith("callback "):
                self.called.append(told.split()[1])
            elif told == "submit OK":
                self.submitted.append(tag or self.planned.pop())
            elif told == "state FAILED":
                self.failed = True

    failed = False

    def new_tag(self):
        self.tags += 1
        return f"t{self.tags}"

    def submit(self):
        tag = self.new_tag()
        self.say(f"submit {tag} {self.chance.choice(REQUESTS)}", tag)

    def append(self):
        self.say(f"append {self.chance.choice(REQUESTS)}")

    def plan(self):
        """Something that the callback of the latest request will do."""
        if self.planned or not self.submitted or self.submitted[-1] in self.called:
            return
        tag = self.new_tag()
        line = self.chance.choice(INSIDE).format(tag)
        if line.startswith("submit"):
            self.planned.append(tag)
        self.say(f"plan {self.submitted[-1]} \"{line}\"")

    def step(self):
        if self.failed:
            self.failed = False
            self.say("reconnect")
        self.chance.choice([self.submit] * 4 + [self.append, self.plan] + [
            lambda: self.say("run"), lambda: self.say("wait 5"), lambda: self.say("item"), lambda: self.say("get")])()


@pytest.mark.parametrize("seed", SEEDS)
def test_each_callback_is_called_once_and_in_order(driver, hostile, seed):
    chance = random.Random(seed)
    server = hostile(misbehaving(random.Random(seed + 1)))
    driver(f"connect {server.url} reconnect_max={chance.choice([0, 3])} reconnect_delay_ms=1 "
           f"command_timeout_ms={chance.choice([20, 2000])} protocol=2 output_max=3000000")
    talk = Conversation(driver, chance)
    for _ in range(80):
        talk.step()
    talk.say("close")
    assert talk.called == talk.submitted, "all of them, once, in order"
