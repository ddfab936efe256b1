"""Consumer groups beside a dictionary of what is pending."""
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from harness.resp import Error

from .machine import KEYS, Machine

KEY = KEYS[0]

consumers = st.sampled_from([b"anna", b"ben", b"cleo"])
ids = st.tuples(st.integers(0, 40), st.integers(0, 2))
id_lists = st.lists(ids, min_size=1, max_size=6)
counts = st.none() | st.integers(1, 30)


def text(one):
    return b"%d-%d" % one


def count_words(count):
    return ["COUNT", count] if count else []


class Groups(Machine):
    """One group of one stream. The ages of pending entries are not modelled: whoever claims asks for none."""

    TINY = {"stream-node-max-entries": 3}
    USUAL = {"stream-node-max-entries": 100}

    def __init__(self, server):
        super().__init__(server)
        self.entries = {}
        self.last = (0, 0)
        self.group_last = None  # None: there is no group
        self.pending = {}  # id: [consumer, deliveries]
        self.consumers = set()

    def told(self, one):
        return [text(one), self.entries[one]]

    def refuses(self, *command):
        """Whether there is no group: then the server must say so."""
        if self.group_last is None:
            reply = self.ask(*command)
            assert isinstance(reply, Error) and str(reply).startswith("NOGROUP"), reply
        return self.group_last is None

    def forget(self, gone):
        self.pending = {one: held for one, held in self.pending.items() if one not in gone}

    # ---- The stream -----------------------------------------------------------------------------------------------

    @rule(number=st.integers(1, 60), step=st.integers(0, 1))
    def add(self, number, step):
        for _ in range(number):
            one = (self.last[0] + step, 0 if step else self.last[1] + 1)
            self.entries[one], self.last = [b"f", text(one)], one
            self.expect(text(one), "XADD", KEY, text(one), *self.entries[one])

    @rule(wanted=id_lists)
    def delete_entries(self, wanted):
        there = {one for one in wanted if one in self.entries}
        self.expect(len(there), "XDEL", KEY, *map(text, wanted))
        for one in there:
            del self.entries[one]

    @rule(size=st.integers(0, 80))
    def trim(self, size):
        gone = sorted(self.entries)[:max(len(self.entries) - size, 0)]
        self.expect(len(gone), "XTRIM", KEY, "MAXLEN", size)
        for one in gone:
            del self.entries[one]

    # ---- The group ------------------------------------------------------------------------------------------------

    @rule(start=ids)
    def create(self, start):
        if self.group_last is None:
            self.expect("OK", "XGROUP", "CREATE", KEY, "g", text(start), "MKSTREAM")
            self.group_last = start

    @rule(chance=st.integers(0, 9))
    def destroy(self, chance):
        if chance == 0 and self.group_last is not None:
            self.expect(1, "XGROUP", "DESTROY", KEY, "g")
            self.group_last, self.pending, self.consumers = None, {}, set()

    @rule(start=ids)
    def go_back(self, start):
        if self.group_last is not None:
            self.expect("OK", "XGROUP", "SETID", KEY, "g", text(start))
            self.group_last = start

    @rule(consumer=consumers)
    def delete_consumer(self, consumer):
        if self.group_last is not None:
            held = {one for one, (holder, _) in self.pending.items() if holder == consumer}
            self.expect(len(held), "XGROUP", "DELCONSUMER", KEY, "g", consumer)
            self.forget(held)
            self.consumers.discard(consumer)

    def read(self, consumer, words, after, entries):
        command = ["XREADGROUP", "GROUP", "g", consumer, *words, "STREAMS", KEY, after]
        if self.refuses(*command):
            return False
        reply = self.ask(*command)
        reply = list(map(list, reply.items())) if isinstance(reply, dict) else reply
        assert reply == entries, f"{command}: {reply!r} instead of {entries!r}"
        self.consumers.add(consumer)
        return True

    @rule(consumer=consumers, count=counts, no_ack=st.booleans())
    def read_new(self, consumer, count, no_ack):
        new = sorted(one for one in self.entries if self.group_last is None or one > self.group_last)[:count]
        words = count_words(count) + ["NOACK"] * no_ack
        if self.read(consumer, words, ">", [[KEY, [self.told(one) for one in new]]] if new else None) and new:
            self.group_last = new[-1]
            if not no_ack:
                self.pending.update({one: [consumer, 1] for one in new})

    @rule(consumer=consumers, count=counts, after=ids)
    def read_again(self, consumer, count, after):
        held = sorted(one for one, (holder, _) in self.pending.items() if holder == consumer and one > after)[:count]
        shown = [self.told(one) if one in self.entries else [text(one), None] for one in held]
        if self.read(consumer, count_words(count), text(after), [[KEY, shown]]):
            for one in held:
                self.pending[one][1] += one in self.entries

    @rule(wanted=id_lists)
    def acknowledge(self, wanted):
        self.expect(len(set(wanted) & set(self.pending)), "XACK", KEY, "g", *map(text, wanted))
        self.forget(wanted)

    def claim_one(self, consumer, one, only_ids):
        _, deliveries = self.pending.get(one, (None, 1))
        self.pending[one] = [consumer, deliveries + (not only_ids)]
        return text(one) if only_ids else self.told(one)

    @rule(consumer=consumers, wanted=id_lists, force=st.booleans(), only_ids=st.booleans())
    def claim(self, consumer, wanted, force, only_ids):
        command = ["XCLAIM", KEY, "g", consumer, 0, *map(text, wanted), *["FORCE"] * force, *["JUSTID"] * only_ids]
        if self.refuses(*command):
            return
        expected = []
        for one in wanted:
            if one not in self.entries:
                self.forget([one])
            elif force or one in self.pending:
                expected.append(self.claim_one(consumer, one, only_ids))
        self.expect(expected, *command)
        self.consumers.add(consumer)

    @rule(consumer=consumers, start=ids, count=st.integers(1, 30), only_ids=st.booleans())
    def claim_some(self, consumer, start, count, only_ids):
        command = ["XAUTOCLAIM", KEY, "g", consumer, 0, text(start), "COUNT", count, *["JUSTID"] * only_ids]
        if self.refuses(*command):
            return
        held = sorted(one for one in self.pending if one >= start)
        there = [one for one in held[:count] if one in self.entries]
        gone = [one for one in held[:count] if one not in self.entries]
        claimed = [self.claim_one(consumer, one, only_ids) for one in there]
        self.forget(gone)
        self.expect([text(held[count]) if len(held) > count else b"0-0", claimed, list(map(text, gone))], *command)
        self.consumers.add(consumer)

    @rule(low=ids, high=ids, count=st.integers(0, 40), consumer=st.none() | consumers)
    def look(self, low, high, count, consumer):
        command = ["XPENDING", KEY, "g", text(low), text(high), count, *([consumer] if consumer else [])]
        if self.refuses(*command):
            return
        wanted = sorted((one, held) for one, held in self.pending.items()
                        if low <= one <= high and consumer in (None, held[0]))[:count]
        found = [[row[0], row[1], row[3]] for row in self.ask(*command)]
        assert found == [[text(one), *held] for one, held in wanted]

    @invariant()
    def sums(self):
        if self.r is None or self.refuses("XPENDING", KEY, "g"):
            return
        holders = sorted({holder for holder, _ in self.pending.values()})
        numbers = [[holder, b"%d" % sum(held[0] == holder for held in self.pending.values())] for holder in holders]
        expected = [0, None, None, None]
        if self.pending:
            expected = [len(self.pending), text(min(self.pending)), text(max(self.pending)), numbers]
        self.expect(expected, "XPENDING", KEY, "g")

    def teardown(self):
        if self.r and self.group_last is not None and not self.is_redis:  # 7.0 makes consumers only who get something
            shown = self.ask("XINFO", "CONSUMERS", KEY, "g")
            names = [one[b"name"] if isinstance(one, dict) else one[1] for one in shown]
            assert names == sorted(self.consumers)
        super().teardown()


def test_groups(play):
    play(Groups)
