"""Bitmaps: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, BITFIELD and BITFIELD_RO."""
import random

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Error

pytestmark = pytest.mark.core

BAD_OFFSET = Error("ERR bit offset is not an integer or out of range")
BAD_BIT = Error("ERR bit is not an integer or out of range")
BAD_TYPE = Error("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")


def bits_of(data):
    return "".join(f"{byte:08b}" for byte in data)


# ---- Single bits ----------------------------------------------------------------------------------------


def test_setbit_returns_the_old_bit_and_grows_with_zeros(r):
    assert r("SETBIT k 7 1") == 0
    assert r("GET k") == b"\x01"
    assert r("SETBIT k 7 0") == 1
    assert r("SETBIT k 20 1") == 0
    assert r("GET k") == b"\0\0\x08"
    assert r("GETBIT k 20") == 1
    assert r("GETBIT k 21") == 0
    assert r("GETBIT k 100000") == 0
    assert r("GETBIT missing 0") == 0


def test_setbit_creates_the_key_even_for_a_zero(r):
    assert r("SETBIT k 9 0") == 0
    assert r("GET k") == b"\0\0"


def test_bits_of_an_integer_are_those_of_its_digits(r):
    r("SET k 12345")
    assert bits_of(b"12345") == "".join(str(r("GETBIT", "k", i)) for i in range(40))
    assert r("SETBIT k 7 0") == 1
    assert r("GET k") == b"02345"


@pytest.mark.parametrize("offset", ["-1", "x", "", "4294967296", "9223372036854775808", "1.5"])
def test_bad_offsets_are_refused(r, offset):
    assert r("SETBIT", "k", offset, "1") == BAD_OFFSET
    assert r("GETBIT", "k", offset) == BAD_OFFSET
    assert r("EXISTS k") == 0


@pytest.mark.parametrize("bit", ["2", "-1", "x", ""])
def test_bad_bits_are_refused(r, bit):
    assert r("SETBIT", "k", "0", bit) == BAD_BIT
    assert r("BITPOS", "k", bit) in (NOT_AN_INTEGER, Error("ERR The bit argument must be 1 or 0."))


def test_setbit_agrees_with_a_model(r):
    rng = random.Random(7)
    model = [0] * 3000
    for _ in range(600):
        offset, bit = rng.randrange(3000), rng.randrange(2)
        assert r("SETBIT", "k", offset, bit) == model[offset]
        model[offset] = bit
    stored = bits_of(r("GET k"))
    assert stored == "".join(map(str, model))[:len(stored)]


# ---- BITCOUNT -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff", b"foobar", bytes(range(256)), b"\xaa" * 1001, b"12345"])
def test_bitcount_counts_whole_ranges_of_bytes_and_bits(r, data):
    r("SET", "k", data)
    assert r("BITCOUNT k") == bits_of(data).count("1")
    rng = random.Random(len(data))
    for unit, size in [("BYTE", len(data)), ("BIT", len(data) * 8)]:
        for _ in range(30):
            first, last = rng.randint(-size - 3, size + 3), rng.randint(-size - 3, size + 3)
            expected = 0
            if size:
                # A range that lies wholly before the string and is the wrong way round is empty.
                low, high = (max(n + size if n < 0 else n, 0) for n in (first, last))
                if not (first < 0 and last < 0 and first > last):
                    text = bits_of(data)
                    scale = 8 if unit == "BYTE" else 1
                    expected = text[low * scale:(min(high, size - 1) + 1) * scale].count("1") if low <= high else 0
            assert r("BITCOUNT", "k", first, last, unit) == expected, (first, last, unit)


def test_bitcount_defaults_to_bytes(r):
    r("SET k foobar")
    assert r("BITCOUNT k 0 0") == 4
    assert r("BITCOUNT k 1 1 byte") == 6
    assert r("BITCOUNT k 5 30 bit") == 17
    assert r("BITCOUNT missing") == 0
    assert r("BITCOUNT missing 0 -1") == 0


def test_bitcount_refuses_malformed_ranges(r):
    r("SET k foobar")
    assert r("BITCOUNT k 0 1 FOO") == SYNTAX_ERROR
    assert r("BITCOUNT k 0 1 BIT BYTE") == SYNTAX_ERROR
    assert r("BITCOUNT k x 1") == NOT_AN_INTEGER


# ---- BITPOS ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [
    pytest.param("DEL s", marks=pytest.mark.skua_only("Redis 7.0 does not look when the key is missing")), "SET s 1"])
def test_bitpos_looks_at_the_shape_of_its_range_first(r, fill):
    r(fill)
    assert r("BITPOS s 0 1 hello hello2") == SYNTAX_ERROR
    assert r("BITPOS s 0 0 1 hello") == SYNTAX_ERROR


def test_bitpos_finds_the_first_bit(r):
    r("SET", "k", b"\xff\xf0\x00")
    assert r("BITPOS k 0") == 12
    assert r("BITPOS k 1") == 0
    assert r("BITPOS k 1 2") == -1
    assert r("BITPOS k 0 2") == 16
    assert r("BITPOS k 1 -2") == 8
    r("SET", "k", b"\0\xff\xf0")
    assert r("BITPOS k 1") == 8
    assert r("BITPOS k 1 0") == 8
    assert r("BITPOS k 1 2") == 16
    assert r("BITPOS k 1 7 15 BIT") == 8
    assert r("BITPOS k 1 7 -3 BIT") == 8
    assert r("BITPOS k 0 8 15 BIT") == -1


def test_bitpos_sees_zeros_behind_the_end_only_without_an_end(r):
    r("SET", "k", b"\xff\xff\xff")
    assert r("BITPOS k 0") == 24
    assert r("BITPOS k 0 0") == 24
    assert r("BITPOS k 0 0 -1") == -1
    assert r("BITPOS k 0 0 -1 BIT") == -1


def test_bitpos_of_missing_and_empty(r):
    assert r("BITPOS missing 0") == 0
    assert r("BITPOS missing 1") == -1
    r("SET", "k", "")
    assert r("BITPOS k 0") == -1
    assert r("BITPOS k 1") == -1


def test_bitpos_refuses_bad_arguments(r):
    r("SET k v")
    assert r("BITPOS k 0 0 1 FOO") == SYNTAX_ERROR
    assert r("BITPOS k 0 x") == NOT_AN_INTEGER
    assert r("BITPOS k 2") == Error("ERR The bit argument must be 1 or 0.")
    assert r("BITPOS k 0 0 1 BIT x") == SYNTAX_ERROR


@pytest.mark.parametrize("size", [1, 7, 8, 9, 31, 64, 1000])
def test_bitpos_agrees_with_a_model(r, size):
    rng = random.Random(size)
    for fill in (0x00, 0xFF):
        data = bytearray([fill] * size)
        data[rng.randrange(size)] ^= 1 << rng.randrange(8)
        r("SET", "k", data)
        text = bits_of(data)
        for bit in (0, 1):
            for _ in range(10):
                first, last = sorted((rng.randrange(size * 8), rng.randrange(size * 8)))
                assert r("BITPOS", "k", bit, first, last, "BIT") == text.find(str(bit), first, last + 1)


# ---- BITOP ----------------------------------------------------------------------------------------------


def model_bitop(operation, values):
    size = max(map(len, values))
    padded = [value.ljust(size, b"\0") for value in values]
    result = bytearray(padded[0])
    for value in padded[1:]:
        for i, byte in enumerate(value):
            result[i] = {"AND": result[i] & byte, "OR": result[i] | byte, "XOR": result[i] ^ byte}[operation]
    if operation == "NOT":
        result = bytearray(byte ^ 0xFF for byte in result)
    return bytes(result)


@pytest.mark.parametrize("operation", ["AND", "OR", "XOR", "NOT"])
@pytest.mark.parametrize("sizes", [[1], [8, 8], [3, 9], [100, 7, 33], [4096, 4095], [16, 16, 16, 16], [20000, 1]])
def test_bitop_agrees_with_a_model(r, operation, sizes):
    rng = random.Random(str((operation, sizes)))
    sizes = sizes[:1] if operation == "NOT" else sizes
    values = [rng.randbytes(size) for size in sizes]
    for i, value in enumerate(values):
        r("SET", f"s{i}", value)
    expected = model_bitop(operation, values)
    assert r("BITOP", operation.lower(), "d", *[f"s{i}" for i in range(len(values))]) == len(expected)
    assert r("GET d") == expected


def test_bitop_takes_missing_keys_as_zeros(r):
    r("SET", "k", b"\x0f\xf0")
    assert r("BITOP AND d k missing") == 2
    assert r("GET d") == b"\0\0"
    assert r("BITOP OR d missing k") == 2
    assert r("GET d") == b"\x0f\xf0"


def test_bitop_of_nothing_removes_the_destination(r):
    r("SET d v")
    assert r("BITOP OR d missing other") == 0
    assert r("EXISTS d") == 0


def test_bitop_may_write_to_a_source_and_drops_its_time_to_live(r):
    r("SET", "k", b"\x01")
    r("EXPIRE k 100")
    assert r("BITOP NOT k k") == 1
    assert r("GET k") == b"\xfe"
    assert r("TTL k") == -1


def test_bitop_refuses_bad_arguments(r):
    assert r("BITOP FOO d k") == SYNTAX_ERROR
    assert r("BITOP NOT d a b") == Error("ERR BITOP NOT must be called with a single source key.")
    assert r("BITOP AND d") == wrong_arity("bitop")


# ---- BITFIELD -------------------------------------------------------------------------------------------


@pytest.mark.skua_only("since Valkey 8")
def test_bitcount_without_an_end_counts_to_the_end(r):
    r("SET k foobar")
    assert [r(f"BITCOUNT k {start}") for start in (0, 4, 5, 6, -1, -100)] == [26, 7, 4, 0, 4, 26]
    assert r("BITCOUNT nothing 3") == 0
    assert r("BITCOUNT k x") == NOT_AN_INTEGER


def test_bitfield_sets_gets_and_increments(r):
    assert r("BITFIELD k SET u8 0 255 GET u8 0") == [0, 255]
    assert r("BITFIELD k SET i8 0 -1 GET i8 0 GET u4 0 GET u4 #1") == [-1, -1, 15, 15]
    assert r("BITFIELD k INCRBY u8 #2 10 INCRBY u8 #2 10") == [10, 20]
    assert r("GET k") == b"\xff\0\x14"
    assert r("BITFIELD k") == []


def test_bitfield_offsets_may_lie_across_bytes(r):
    assert r("BITFIELD k SET u7 3 127 SET i5 11 -16 GET u16 0") == [0, 0, 0b0001111111010000]


@pytest.mark.parametrize("mode, results", [("WRAP", [0, 2]), ("SAT", [3, 3]), ("FAIL", [None, None])])
def test_bitfield_overflow_of_unsigned(r, mode, results):
    r("BITFIELD k SET u2 0 3")
    assert r("BITFIELD", "k", "OVERFLOW", mode, "INCRBY", "u2", "0", "1", "INCRBY", "u2", "0", "2") == results


@pytest.mark.parametrize("mode, result", [("WRAP", -128), ("SAT", 127), ("FAIL", None)])
def test_bitfield_overflow_of_signed(r, mode, result):
    r("BITFIELD k SET i8 0 127")
    assert r("BITFIELD", "k", "OVERFLOW", mode, "INCRBY", "i8", "0", "1") == [result]


@pytest.mark.skua_only("Redis 7.0 leaves 127")
def test_bitfield_saturates_far_below_the_range(r):
    r("BITFIELD", "k", "OVERFLOW", "SAT", "SET", "i8", "0", -(2**63))
    assert r("BITFIELD k GET i8 0") == [-128]


def test_a_bitfield_that_writes_nothing_changes_nothing_for_those_who_watch(r, connect):
    other = connect()
    r("WATCH k")
    assert other("BITFIELD k OVERFLOW FAIL SET u2 8 9") == [None]
    assert other("STRLEN k") == 2
    assert r.pipeline("MULTI", "GET k", "EXEC")[-1] == [b"\0\0"]
    r("WATCH k")
    assert other("BITFIELD k OVERFLOW FAIL SET u2 8 9 SET u2 8 1") == [None, 0]
    assert r.pipeline("MULTI", "GET k", "EXEC")[-1] is None


def test_bitfield_overflow_holds_for_what_follows(r):
    assert r("BITFIELD k SET u2 0 3 INCRBY u2 0 1 OVERFLOW SAT SET u2 0 9 INCRBY u2 0 1 OVERFLOW FAIL INCRBY u2 0 1") \
        == [0, 0, 0, 3, None]


def test_bitfield_of_64_bits(r):
    assert r("BITFIELD", "k", "SET", "i64", "0", 2**63 - 1, "INCRBY", "i64", "0", "1") == [0, -(2**63)]
    assert r("BITFIELD", "k", "SET", "u63", "0", 2**63 - 1, "GET", "u63", "0") == [2**62, 2**63 - 1]


@pytest.mark.parametrize("kind", ["u64", "i65", "u0", "i0", "x8", "u", "i", "8", "u-1", "i8x", ""])
def test_bitfield_refuses_bad_types(r, kind):
    assert r("BITFIELD", "k", "GET", kind, "0") == BAD_TYPE
    assert r("BITFIELD", "k", "SET", kind, "0", "1") == BAD_TYPE


def test_bitfield_refuses_bad_arguments(r):
    assert r("BITFIELD k GET u8 -1") == BAD_OFFSET
    assert r("BITFIELD k GET u8 #x") == BAD_OFFSET
    assert r("BITFIELD k GET u8 4294967296") == BAD_OFFSET
    assert r("BITFIELD k GET u8 #536870912") == BAD_OFFSET
    assert r("BITFIELD k SET u8 0 x") == NOT_AN_INTEGER
    assert r("BITFIELD k GET u8") == SYNTAX_ERROR
    assert r("BITFIELD k FOO u8 0") == SYNTAX_ERROR
    assert r("BITFIELD k OVERFLOW BAD") == Error("ERR Invalid OVERFLOW type specified")
    assert r("EXISTS k") == 0


def test_a_bad_operation_in_bitfield_leaves_nothing_done(r):
    assert r("BITFIELD k SET u8 0 255 SET u99 0 1") == BAD_TYPE
    assert r("EXISTS k") == 0


def test_bitfield_get_creates_no_key(r):
    assert r("BITFIELD k GET u8 0 GET i8 100") == [0, 0]
    assert r("EXISTS k") == 0


def test_bitfield_ro_only_reads(r):
    r("SET", "k", b"\x01\x02")
    assert r("BITFIELD_RO k GET u8 0 GET u8 #1 GET u16 0") == [1, 2, 0x0102]
    assert r("BITFIELD_RO k") == []
    assert r("BITFIELD_RO k SET u8 0 1") == Error("ERR BITFIELD_RO only supports the GET subcommand")
    assert r("BITFIELD_RO k INCRBY u8 0 1") == Error("ERR BITFIELD_RO only supports the GET subcommand")
    assert r("GET k") == b"\x01\x02"


def test_bitfield_agrees_with_a_model(r):
    rng = random.Random(11)
    model = 0  # 512 bits, most significant first
    for _ in range(400):
        width = rng.randint(1, 63)
        offset = rng.randint(0, 512 - width)
        value = rng.randrange(1 << width)
        shift = 512 - offset - width
        mask = ((1 << width) - 1) << shift
        assert r("BITFIELD", "k", "SET", f"u{width}", offset, value) == [(model & mask) >> shift]
        model = (model & ~mask) | (value << shift)
    stored = r("GET k")
    assert stored == model.to_bytes(64, "big")[:len(stored)]


# ---- Arity ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command, lowest, highest", [
    ("setbit", 3, 3), ("getbit", 2, 2), ("bitcount", 1, None), ("bitpos", 2, None), ("bitop", 3, None),
    ("bitfield", 1, None), ("bitfield_ro", 1, None)])
def test_wrong_numbers_of_arguments_are_refused(r, command, lowest, highest):
    for count in range(lowest):
        assert r(command, *["1"] * count) == wrong_arity(command)
    if highest is not None:
        assert r(command, *["1"] * (highest + 1)) == wrong_arity(command)
