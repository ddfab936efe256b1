"""Builds payloads in Redis's format by hand: sound ones of every age, and unsound ones.

Entry: payload. Its body is made of length, string, listpack, ziplist, zipmap, intset and double.
"""
import struct

STRING, LIST, SET, ZSET, HASH, ZSET_2, MODULE_OLD, MODULE = range(8)
HASH_ZIPMAP, LIST_ZIPLIST, SET_INTSET, ZSET_ZIPLIST, HASH_ZIPLIST, QUICKLIST, STREAM = range(9, 16)
HASH_LISTPACK, ZSET_LISTPACK, QUICKLIST_2, STREAM_2, SET_LISTPACK, STREAM_3 = range(16, 22)
HASH_TIMED_EARLY = HASH_VALKEY = 22
HASH_LISTPACK_TIMED_EARLY, HASH_TIMED, HASH_LISTPACK_TIMED = 23, 24, 25


def _table():
    divisor = int(f"{0xAD93D23594C935A9:064b}"[::-1], 2)
    rows = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (divisor if byte & 1 else 0)
        rows.append(byte)
    return rows


_TABLE = _table()


def crc64(data):
    crc = 0
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc


def sealed(data, version=10):
    """A type and a value with their footer."""
    data += struct.pack("<H", version)
    return data + struct.pack("<Q", crc64(data))


def payload(kind, *body, version=10):
    return sealed(bytes([kind]) + b"".join(body), version)


def length(count):
    if count < 1 << 6:
        return bytes([count])
    if count < 1 << 14:
        return struct.pack(">H", 0x4000 | count)
    return struct.pack(">BI", 0x80, count) if count < 1 << 32 else struct.pack(">BQ", 0x81, count)


def string(text):
    """A string as it is."""
    return length(len(text)) + text


def compressed(packed, size):
    """A string that says that it has so many bytes when `packed` is expanded."""
    return b"\xc3" + length(len(packed)) + length(size) + packed


def double(value):
    return struct.pack("<d", value)


def moment(value):
    return struct.pack("<q", value)


# ---- Packed collections ---------------------------------------------------------------------------------


def _listpack_entry(item):
    if isinstance(item, bytes):
        size = len(item)
        if size < 64:
            return bytes([0x80 | size]) + item
        if size < 4096:
            return struct.pack(">H", 0xE000 | size) + item
        return b"\xf0" + struct.pack("<I", size) + item
    if 0 <= item < 128:
        return bytes([item])
    if -4096 <= item < 4096:
        return struct.pack(">H", 0xC000 | item & 0x1FFF)
    for first, width in ((0xF1, 2), (0xF2, 3), (0xF3, 4), (0xF4, 8)):
        if -(1 << 8 * width - 1) <= item < 1 << 8 * width - 1:
            return bytes([first]) + item.to_bytes(width, "little", signed=True)
    raise ValueError(item)


def _listpack_back(size):
    groups = []
    while True:
        groups.append(size & 127)
        size >>= 7
        if not size:
            return bytes([groups[-1]] + [group | 128 for group in reversed(groups[:-1])])


def listpack(items, count=None):
    """Items are bytes or integers."""
    entries = b"".join(entry + _listpack_back(len(entry)) for entry in map(_listpack_entry, items))
    count = min(len(items), 0xFFFF) if count is None else count
    return struct.pack("<IH", 7 + len(entries), count) + entries + b"\xff"


def _ziplist_value(item):
    if isinstance(item, bytes):
        size = len(item)
        if size < 1 << 6:
            return bytes([size]) + item
        if size < 1 << 14:
            return struct.pack(">H", 0x4000 | size) + item
        return b"\x80" + struct.pack(">I", size) + item
    if 0 <= item <= 12:
        return bytes([0xF1 + item])
    for first, width in ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4), (0xE0, 8)):
        if -(1 << 8 * width - 1) <= item < 1 << 8 * width - 1:
            return bytes([first]) + item.to_bytes(width, "little", signed=True)
    raise ValueError(item)


def ziplist(items, count=None):
    entries, last, before = b"", 10, 0
    for item in items:
        last = 10 + len(entries)
        entry = (bytes([before]) if before < 254 else b"\xfe" + struct.pack("<I", before)) + _ziplist_value(item)
        entries += entry
        before = len(entry)
    count = min(len(items), 0xFFFF) if count is None else count
    return struct.pack("<IIH", 11 + len(entries), last, count) + entries + b"\xff"


def zipmap(pairs, unused=0):
    def size(text):
        return bytes([len(text)]) if len(text) < 254 else b"\xfe" + struct.pack("<I", len(text))

    body = b"".join(size(field) + field + size(value) + bytes([unused]) + value + b"?" * unused
                    for field, value in pairs)
    return bytes([min(len(pairs), 254)]) + body + b"\xff"


def intset(numbers, width=None):
    numbers = list(numbers)
    if width is None:
        width = next(width for width in (2, 4, 8)
                     if all(-(1 << 8 * width - 1) <= number < 1 << 8 * width - 1 for number in numbers))
    return struct.pack("<II", width, len(numbers)) + b"".join(
        number.to_bytes(width, "little", signed=True) for number in numbers)


# ---- Streams --------------------------------------------------------------------------------------------


def stream_key(ms, seq):
    return struct.pack(">QQ", ms, seq)


def stream_id(ms, seq):
    return length(ms) + length(seq)


def stream_node(ms, seq, names, entries, deleted=0, alive=None):
    """Entries are (step of ms, step of seq, values) with the node's names, or (step, step, None, pairs) with their own;
    a further True marks a deleted one."""
    alive = len(entries) - deleted if alive is None else alive
    items = [alive, deleted, len(names), *names, 0]
    for entry in entries:
        gone = 1 if entry[-1] is True else 0
        if entry[2] is not None:
            items += [2 | gone, entry[0], entry[1], *entry[2], 3 + len(entry[2])]
        else:
            pairs = entry[3]
            items += [gone, entry[0], entry[1], len(pairs) // 2, *pairs, 4 + len(pairs)]
    return string(stream_key(ms, seq)) + string(listpack(items))


# ---- Files ----------------------------------------------------------------------------------------------

OP_FUNCTION, OP_FUNCTION_OLD, OP_MODULE_AUX = 0xF5, 0xF6, 0xF7
OP_IDLE, OP_FREQUENCY, OP_AUX, OP_SIZES, OP_EXPIRE_MS, OP_EXPIRE_S, OP_DB, OP_END = range(0xF8, 0x100)


def file(version, *records, valkey=False, seal=True):
    """A file: records are made by the functions below. Versions before 5 have no checksum; `seal` False: a zero one."""
    data = (b"VALKEY%03d" if valkey else b"REDIS%04d") % version + b"".join(records) + bytes([OP_END])
    if version < 5:
        return data
    return data + (struct.pack("<Q", crc64(data)) if seal else bytes(8))


def key(name, kind, *body, expire_ms=None, expire_s=None, idle=None, frequency=None):
    """A key with its value, whose body is made as that of a payload."""
    data = b""
    if expire_ms is not None:
        data += struct.pack("<Bq", OP_EXPIRE_MS, expire_ms)
    if expire_s is not None:
        data += struct.pack("<Bi", OP_EXPIRE_S, expire_s)
    if idle is not None:
        data += bytes([OP_IDLE]) + length(idle)
    if frequency is not None:
        data += bytes([OP_FREQUENCY, frequency])
    return data + bytes([kind]) + string(name) + b"".join(body)


def select(db):
    return bytes([OP_DB]) + length(db)


def sizes(keys, expires):
    return bytes([OP_SIZES]) + length(keys) + length(expires)


def aux(name, value):
    return bytes([OP_AUX]) + string(name) + string(value)


def function(code):
    return bytes([OP_FUNCTION]) + string(code)


def module_id(name, version):
    """The number that stands for a module's type: nine letters of six bits and ten bits of version."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for letter in name:
        number = number << 6 | letters.index(letter)
    return number << 10 | version


def module_value(name, version, *parts):
    """What stands behind type 7: the module's number, values that say what they are (integers, floats, bytes), an end."""
    data = length(module_id(name, version))
    for part in parts:
        if isinstance(part, bytes):
            data += length(5) + string(part)
        elif isinstance(part, float):
            data += length(4) + double(part)
        else:
            data += length(2) + length(part)
    return data + length(0)


def module_aux(name, version, *parts):
    return (bytes([OP_MODULE_AUX]) + length(module_id(name, version)) + length(2) + length(1) +
            module_value(name, version, *parts)[len(length(module_id(name, version))):])
