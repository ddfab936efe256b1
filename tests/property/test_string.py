"""Strings beside Python's bytes, with their times to live; and the bits in them."""
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from harness.errors import NOT_AN_INTEGER
from harness.resp import Error

from .machine import INTEGERS, KEYS, SHORT, Machine, decimal, keys, sliced, values

OVERFLOW = Error("ERR increment or decrement would overflow")
FAR_MS = 4_000_000_000_000  # a moment in the year 2096

# At the edges of the three encodings: integers, up to 16 KB inline, larger ones outside.
sizes = st.sampled_from([1, 44, 45, 255, 256, 640, 4096, 16_000, 16_384, 16_385, 40_000])
texts = values | st.builds(lambda size, byte: bytes([byte]) * size, sizes, st.integers(0, 255))
offsets = st.integers(0, 20) | sizes
bits = st.integers(0, 70) | sizes.map(lambda size: 8 * size)


def as_integer(text):
    try:
        number = int(text.decode())
    except ValueError:
        return None
    return number if str(number).encode() == text and -2**63 <= number < 2**63 else None


def is_set(text, bit):
    return bit // 8 < len(text) and text[bit // 8] >> (7 - bit % 8) & 1


class Strings(Machine):
    def __init__(self, server):
        super().__init__(server)
        self.strings = {}
        self.times = {}

    def put(self, key, text, keep_time=True):
        """An empty text that is put by editing leaves no key behind."""
        self.strings[key] = text
        if not keep_time:
            self.times.pop(key, None)

    def take(self, key):
        self.times.pop(key, None)
        return self.strings.pop(key, None)

    # ---- Whole values -----------------------------------------------------------------------------------------------

    @rule(key=keys, text=texts, condition=st.sampled_from([None, "NX", "XX"]), get=st.booleans(),
          time=st.sampled_from([None, "KEEPTTL", "PXAT"]))
    def set(self, key, text, condition, get, time):
        old = self.strings.get(key)
        done = condition is None or (condition == "XX") == (old is not None)
        if done:
            self.put(key, text, keep_time=time == "KEEPTTL")
            if time == "PXAT":
                self.times[key] = FAR_MS
        words = {None: [], "KEEPTTL": ["KEEPTTL"], "PXAT": ["PXAT", FAR_MS]}[time]
        self.expect(old if get else "OK" if done else None, "SET", key, text, *[condition] * bool(condition),
                    *["GET"] * get, *words)

    @rule(key=keys, text=texts)
    def set_and_get(self, key, text):
        old = self.strings.get(key)
        self.put(key, text, keep_time=False)
        self.expect(old, "GETSET", key, text)

    @rule(key=keys)
    def get_and_delete(self, key):
        self.expect(self.take(key), "GETDEL", key)

    @rule(key=keys, persist=st.booleans())
    def get_and_expire(self, key, persist):
        if key in self.strings:
            self.times.pop(key, None)
            if not persist:
                self.times[key] = FAR_MS
        self.expect(self.strings.get(key), "GETEX", key, *(["PERSIST"] if persist else ["PXAT", FAR_MS]))

    @rule(pairs=st.dictionaries(keys, texts, min_size=1), if_none=st.booleans())
    def set_several(self, pairs, if_none):
        done = not if_none or not self.strings.keys() & pairs.keys()
        for key, text in pairs.items() if done else ():
            self.put(key, text, keep_time=False)
        self.expect(int(done) if if_none else "OK", "MSETNX" if if_none else "MSET",
                    *[word for pair in pairs.items() for word in pair])

    @rule(source=keys, into=keys)
    def copy(self, source, into):
        if source == into:
            return
        there = source in self.strings
        if there:
            self.strings[into] = self.strings[source]
            self.times.pop(into, None)
            if source in self.times:
                self.times[into] = self.times[source]
        self.expect(int(there), "COPY", source, into, "REPLACE")

    @rule(key=keys)
    def delete(self, key):
        self.expect(int(self.take(key) is not None), "DEL", key)

    # ---- Editing ----------------------------------------------------------------------------------------------------

    @rule(key=keys, text=texts)
    def append(self, key, text):
        new = self.strings.get(key, b"") + text
        self.put(key, new)
        self.expect(len(new), "APPEND", key, text)

    @rule(key=keys, offset=offsets, text=texts)
    def set_range(self, key, offset, text):
        old = self.strings.get(key, b"")
        if text:
            old = old.ljust(offset, b"\0")
            self.put(key, old[:offset] + text + old[offset + len(text):])
        self.expect(len(self.strings.get(key, b"")), "SETRANGE", key, offset, text)

    @rule(key=keys, start=st.integers(-50, 50) | sizes, stop=st.integers(-50, 50) | sizes)
    def get_range(self, key, start, stop):
        text = self.strings.get(key, b"")
        if start < 0 and stop < 0 and start > stop:
            expected = b""
        else:
            expected = sliced(text, start, max(stop, -len(text)))  # an end before the beginning is the beginning
        self.expect(expected, "GETRANGE", key, start, stop)

    @rule(key=keys, number=st.sampled_from([1, -1, 1000, 2**63 - 1, -2**63]))
    def increment(self, key, number):
        old = as_integer(self.strings.get(key, b"0"))
        if old is None:
            expected = NOT_AN_INTEGER
        elif not -2**63 <= old + number < 2**63:
            expected = OVERFLOW
        else:
            expected = old + number
            self.put(key, b"%d" % expected)
        self.expect(expected, "INCRBY", key, number)

    @rule(key=keys, quarters=st.integers(-9, 9), base=st.integers(-9, 9))
    def increment_by_a_float(self, key, quarters, base):
        self.put(key, decimal(base / 4), keep_time=False)
        self.expect("OK", "SET", key, decimal(base / 4))
        self.put(key, decimal((base + quarters) / 4))
        self.expect(decimal((base + quarters) / 4), "INCRBYFLOAT", key, decimal(quarters / 4))

    @rule(key=keys, text=st.sampled_from(INTEGERS + SHORT))
    def make_it_an_integer(self, key, text):
        self.put(key, text, keep_time=False)
        self.expect("OK", "SET", key, text)

    # ---- Bits -------------------------------------------------------------------------------------------------------

    @rule(key=keys, bit=bits, value=st.integers(0, 1))
    def set_bit(self, key, bit, value):
        text = bytearray(self.strings.get(key, b"").ljust(bit // 8 + 1, b"\0"))
        old = is_set(text, bit)
        text[bit // 8] = text[bit // 8] & ~(0x80 >> bit % 8) | value << (7 - bit % 8)
        self.put(key, bytes(text))
        self.expect(old, "SETBIT", key, bit, value)

    @rule(key=keys, bit=bits)
    def get_bit(self, key, bit):
        self.expect(int(is_set(self.strings.get(key, b""), bit)), "GETBIT", key, bit)

    @rule(key=keys, start=st.integers(-50, 50), stop=st.integers(-50, 50), value=st.integers(0, 1))
    def count_and_find(self, key, start, stop, value):
        text = self.strings.get(key, b"")
        self.expect(sum(byte.bit_count() for byte in text), "BITCOUNT", key)
        begin = max(start + len(text), 0) if start < 0 else start
        end = max(stop + len(text), 0) if stop < 0 else min(stop, len(text) - 1)
        part = text[begin:end + 1] if end >= begin else b""
        if not (start < 0 and stop < 0 and start > stop):
            self.expect(sum(byte.bit_count() for byte in part), "BITCOUNT", key, start, stop)
        places = [8 * begin + bit for bit in range(8 * len(part)) if is_set(part, bit) == value]
        missing = 0 if key not in self.strings and value == 0 else -1
        self.expect(places[0] if places else missing, "BITPOS", key, value, start, stop)

    @rule(operation=st.sampled_from(["AND", "OR", "XOR"]), into=keys, sources=st.lists(keys, min_size=1, max_size=3))
    def combine(self, operation, into, sources):
        parts = [self.strings.get(key, b"") for key in sources]
        size = max(map(len, parts))
        numbers = [int.from_bytes(part.ljust(size, b"\0"), "big") for part in parts]
        result = numbers[0]
        for number in numbers[1:]:
            result = {"AND": result & number, "OR": result | number, "XOR": result ^ number}[operation]
        self.take(into)
        if size:
            self.put(into, result.to_bytes(size, "big"))
        self.expect(size, "BITOP", operation, into, *sources)

    @rule(key=keys, bit=st.integers(0, 100), width=st.integers(1, 63), number=st.integers(-2**40, 2**40),
          overflow=st.sampled_from(["WRAP", "SAT", "FAIL"]))
    def add_to_a_field(self, key, bit, width, number, overflow):
        size = max(len(self.strings.get(key, b"")), (bit + width - 1) // 8 + 1)
        text = self.strings.get(key, b"").ljust(size, b"\0")
        whole, shift = int.from_bytes(text, "big"), 8 * size - bit - width
        old, limit = whole >> shift & ((1 << width) - 1), 1 << width
        new = old + number
        if not 0 <= new < limit:
            new = {"WRAP": new % limit, "SAT": limit - 1 if number > 0 else 0, "FAIL": None}[overflow]
        written = old if new is None else new
        # The string is made as long as the field needs, whatever happens to that.
        self.put(key, (whole & ~((limit - 1) << shift) | written << shift).to_bytes(size, "big"))
        self.expect([new], "BITFIELD", key, "OVERFLOW", overflow, "INCRBY", f"u{width}", bit, number)

    # ---- Always -----------------------------------------------------------------------------------------------------

    @invariant()
    def values_and_times(self):
        if self.r:
            self.expect([self.strings.get(key) for key in KEYS], "MGET", *KEYS)
            for key in KEYS:
                self.expect(len(self.strings.get(key, b"")), "STRLEN", key)
                expected = self.times.get(key, -1) if key in self.strings else -2
                self.expect(expected, "PEXPIRETIME", key)


def test_strings(play):
    play(Strings)
