"""The protocol itself: well-formed and malformed requests, inline commands, pipelines, large requests and replies."""
import random
import socket
import threading

import pytest

from harness.errors import wrong_arity
from harness.resp import Error, encode
from harness.server import is_slow_build

pytestmark = pytest.mark.core


def protocol_error(text):
    return Error(f"ERR Protocol error: {text}")


# ---- Well-formed ----------------------------------------------------------------------------------------


def test_empty_requests_are_skipped(r):
    r.send_raw(b"*0\r\n*-1\r\n*-10\r\n\r\n\r\n  \r\n")
    assert r("PING") == "PONG"


def test_empty_arguments_are_arguments(r):
    r.send_raw(b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$0\r\n\r\n")
    assert r.reply() == "OK"
    assert r("GET", "") == b""


def test_the_command_name_is_taken_in_any_case(r):
    assert r("pInG") == "PONG"


def test_unknown_commands_are_named_with_their_arguments(r):
    assert r("FOO") == Error("ERR unknown command 'FOO', with args beginning with: ")
    assert r("foo bar 'b az'") == Error("ERR unknown command 'foo', with args beginning with: 'bar' 'b az' ")
    assert r("f" * 200, "a" * 200, "b") == Error(
        f"ERR unknown command '{'f' * 128}', with args beginning with: '{'a' * 128}' ")
    assert r("x\r\ny", "1\r\n2") == Error("ERR unknown command 'x  y', with args beginning with: '1  2' ")


def test_an_empty_name_is_an_unknown_command(r):
    assert r("", "a") == Error("ERR unknown command '', with args beginning with: 'a' ")


def test_a_name_may_hold_any_byte(r):
    assert isinstance(r(b"\xff\0\x01", b"\0"), Error)
    assert r("PING") == "PONG"


def test_lengths_with_leading_zeros_are_refused(r):
    r.send_raw(b"*01\r\n$4\r\nPING\r\n")
    assert r.reply() == protocol_error("invalid multibulk length")
    assert r.is_closed()


# ---- Split and joined -----------------------------------------------------------------------------------

SESSION = (encode("SET", "k", "value") + b"GET k\r\n" + encode("APPEND", "k", b"\r\n$5\r\n") + b"\r\n*0\r\n"
           + encode("STRLEN", "k") + b'SET "a b" \'c d\'\r\n' + encode("GET", "a b") + encode("MGET", "k", "x") + b"PING\n")
ANSWER = b"+OK\r\n$5\r\nvalue\r\n:11\r\n:11\r\n+OK\r\n$3\r\nc d\r\n*2\r\n$11\r\nvalue\r\n$5\r\n\r\n$-1\r\n+PONG\r\n"


def receive(client, size):
    data = b""
    while len(data) < size:
        more = client.socket.recv(size - len(data))
        assert more, data
        data += more
    return data


def test_a_session_in_one_piece(r):
    r.send_raw(SESSION)
    assert receive(r, len(ANSWER)) == ANSWER


def test_a_session_split_at_every_byte(r, connect):
    other = connect()
    for cut in range(1, len(SESSION)):
        r.send_raw(SESSION[:cut])
        other("PING")  # answered: with one thread, the server has seen the first part by now
        r.send_raw(SESSION[cut:])
        assert receive(r, len(ANSWER)) == ANSWER, cut
        r("FLUSHALL")


def test_a_session_byte_by_byte(r):
    for byte in SESSION:
        r.send_raw(bytes([byte]))
    assert receive(r, len(ANSWER)) == ANSWER


def test_a_session_in_random_pieces(r):
    rng = random.Random(3)
    stream = SESSION * 200
    position = 0
    sender = threading.Thread(target=lambda: [r.send_raw(piece) for piece in pieces])
    pieces = []
    while position < len(stream):
        size = rng.choice([1, 2, 3, 7, 50, 500, 5000])
        pieces.append(stream[position:position + size])
        position += size
    sender.start()
    assert receive(r, len(ANSWER)) == ANSWER  # the first one finds an empty server
    rest = receive(r, len(ANSWER) * 199)
    assert rest == ANSWER * 199
    sender.join()


def test_a_pipeline_of_ten_thousand(r):
    count = 10_000
    r.send_raw(b"".join(encode("INCR", "n") for _ in range(count)))
    assert r.replies(count) == list(range(1, count + 1))


def test_a_pipeline_with_errors_keeps_its_order(r):
    commands = []
    expected = []
    for i in range(3000):
        match i % 4:
            case 0:
                commands.append(encode("SET", f"k{i}", i))
                expected.append("OK")
            case 1:
                commands.append(encode("GET"))
                expected.append(wrong_arity("get"))
            case 2:
                commands.append(encode("GET", f"k{i - 2}"))
                expected.append(str(i - 2).encode())
            case 3:
                commands.append(b"ECHO %d\r\n" % i)
                expected.append(str(i).encode())
    r.send_raw(b"".join(commands))
    assert r.replies(len(expected)) == expected


def test_a_pipeline_whose_sender_reads_only_at_the_end(r, config):
    """More replies than the socket buffers hold: the server must keep them, and go on reading the rest."""
    config(client_output_buffer_limit="normal 0 0 0")
    r("SET", "k", b"v" * 10_000)
    count = 300 if is_slow_build() else 3000
    sender = threading.Thread(target=r.send_raw, args=(encode("GET", "k") * count,))
    sender.start()
    sender.join()
    assert all(reply == b"v" * 10_000 for reply in r.replies(count))


def test_requests_with_many_arguments(r):
    for count in [100, 127, 128, 129, 1000, 50_000]:
        assert r("EXISTS", *["k"] * count) == 0
        r("SET k 1")
        assert r("EXISTS", *["k"] * count) == count
        r("DEL k")


@pytest.mark.parametrize("size", [1, 1000, 16_383, 16_384, 16_385, 32_768, 65_535, 65_536, 65_537, 1_000_000, 20_000_000])
def test_large_arguments_and_replies(r, size):
    value = random.Random(size).randbytes(size)
    assert r("SET", "k", value) == "OK"
    assert r("GET k") == value
    assert r("ECHO", value) == value
    assert r("STRLEN k") == size


def test_large_arguments_behind_each_other(r):
    sizes = [100_000, 5, 300_000, 0, 70_000, 40_000, 1, 999_999]
    values = [random.Random(size).randbytes(size) for size in sizes]
    r.send_raw(b"".join(encode("SET", f"k{i}", value) for i, value in enumerate(values)))
    assert r.replies(len(values)) == ["OK"] * len(values)
    assert r("MGET", *[f"k{i}" for i in range(len(values))]) == values


@pytest.mark.once
@pytest.mark.skipif(is_slow_build(), reason="half a gigabyte is too much for a sanitizer build")
def test_an_argument_of_512_megabytes(server, r):
    size = 512 << 20
    block = bytes(range(256)) * 4096
    r.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % size)
    for _ in range(size // len(block)):
        r.send_raw(block)
    r.send_raw(b"\r\n")
    assert r.reply() == "OK"
    assert r("STRLEN k") == size
    assert r("GETRANGE k -5 -1") == block[-5:]
    r.send("GET k")
    head = b"$%d\r\n" % size
    assert receive(r, len(head)) == head
    left = size
    while left:
        want = min(left, len(block))
        assert receive(r, want) == block[:want]
        left -= want
    assert receive(r, 2) == b"\r\n"


# ---- Inline commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize("line, words", [
    (b"ECHO hello", [b"hello"]),
    (b"  ECHO \t hello  ", [b"hello"]),
    (b'ECHO "hello world"', [b"hello world"]),
    (b"ECHO 'hello world'", [b"hello world"]),
    (rb'ECHO "a\x00\x7fb\n\r\t\b\a\"\\\q"', [b'a\0\x7fb\n\r\t\b\a"\\q']),
    (rb"ECHO 'it\'s \n'", [b"it's \\n"]),
    (b'ECHO ""', [b""]),
    (b"ECHO a\"b", None),
    (rb'ECHO "\xZZ"', [b"xZZ"]),
    (b"ECHO \x01\xff", [b"\x01\xff"]),
])
def test_inline_words(r, line, words):
    r.send_raw(line + b"\r\n")
    reply = r.reply()
    if words is None:
        assert reply == protocol_error("unbalanced quotes in request")
    else:
        assert reply == words[0]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_inline_lines_end_with_or_without_carriage_return(r, end):
    r.send_raw(b"PING" + end + b"ECHO x" + end)
    assert r.replies(2) == ["PONG", b"x"]


@pytest.mark.parametrize("line", [b'GET "abc', b"GET 'abc", b'GET "abc"def', b"GET 'abc'def", b'"', b"'"])
def test_unbalanced_quotes_close_the_connection(r, line):
    r.send_raw(line + b"\r\n")
    assert r.reply() == protocol_error("unbalanced quotes in request")
    assert r.is_closed()


def test_an_inline_command_may_be_64_kilobytes_and_no_more(r, connect):
    value = b"v" * 60_000
    r.send_raw(b"SET k " + value + b"\r\n")
    assert r.reply() == "OK"
    assert r("GET k") == value
    other = connect()
    other.send_raw(b"x" * 70_000)
    assert other.reply() == protocol_error("too big inline request")
    assert other.is_closed()


# ---- Malformed ------------------------------------------------------------------------------------------

MALFORMED = {
    b"*a\r\n": "invalid multibulk length",
    b"*\r\n": "invalid multibulk length",
    b"*1x\r\n": "invalid multibulk length",
    b"* 1\r\n": "invalid multibulk length",
    b"*+1\r\n": "invalid multibulk length",
    b"*1.5\r\n": "invalid multibulk length",
    b"*2147483648\r\n": "invalid multibulk length",
    b"*9223372036854775807\r\n": "invalid multibulk length",
    b"*9223372036854775808\r\n": "invalid multibulk length",
    b"*99999999999999999999999999\r\n": "invalid multibulk length",
    b"*1\r\nPING\r\n": "expected '$', got 'P'",
    b"*1\r\n:1\r\n": "expected '$', got ':'",
    b"*1\r\n*1\r\n": "expected '$', got '*'",
    b"*2\r\n$3\r\nGET\r\nk\r\n": "expected '$', got 'k'",
    b"*1\r\n$a\r\n": "invalid bulk length",
    b"*1\r\n$\r\n": "invalid bulk length",
    b"*1\r\n$-1\r\n": "invalid bulk length",
    b"*1\r\n$-2\r\n": "invalid bulk length",
    b"*1\r\n$4x\r\n": "invalid bulk length",
    b"*1\r\n$+4\r\n": "invalid bulk length",
    b"*1\r\n$536870913\r\n": "invalid bulk length",
    b"*1\r\n$9223372036854775807\r\n": "invalid bulk length",
    b"*1\r\n$9223372036854775808\r\n": "invalid bulk length",
    b"*1\r\n$-9223372036854775808\r\n": "invalid bulk length",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$600000000\r\n": "invalid bulk length",
    b"*" + b"1" * 70_000: "too big mbulk count string",
    b"*1\r\n$" + b"1" * 70_000: "too big bulk count string",
}


@pytest.mark.parametrize("data", MALFORMED, ids=lambda d: repr(d[:32]))
def test_malformed_requests_close_the_connection_with_an_error(r, connect, data):
    bad = connect()
    bad.send_raw(data)
    assert bad.reply() == protocol_error(MALFORMED[data])
    assert bad.is_closed()
    assert r("PING") == "PONG"


@pytest.mark.parametrize("data", list(MALFORMED)[:20:3], ids=lambda d: repr(d[:32]))
def test_requests_before_the_malformed_one_are_answered(r, connect, data):
    bad = connect()
    bad.send_raw(encode("SET", "k", "1") + encode("INCR", "k") + data + encode("SET", "k", "never"))
    assert bad.replies(3) == ["OK", 2, protocol_error(MALFORMED[data])]
    assert bad.is_closed()
    assert r("GET k") == b"2"


def test_other_connections_are_not_disturbed(r, connect):
    r.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\n")
    for data in list(MALFORMED)[:12]:
        bad = connect()
        bad.send_raw(data)
        assert isinstance(bad.reply(), Error)
        bad.close()
    r.send_raw(b"k\r\n$1\r\nv\r\n")
    assert r.reply() == "OK"


@pytest.mark.parametrize("data", [b"POST / HTTP/1.1\r\nHost: example.com\r\n\r\n", b"Host: example.com\r\n",
                                  b"post x\r\n", b"host: x\r\n"])
def test_http_is_cut_off_so_that_browsers_cannot_be_used_against_us(r, connect, data):
    web = connect()
    web.send_raw(data + b"SET k attacked\r\n")
    try:
        while True:
            assert isinstance(web.reply(), Error)
    except EOFError:
        pass
    assert r("EXISTS k") == 0


def test_random_bytes_do_not_disturb_anybody(r, connect):
    rng = random.Random(99)
    alphabet = [b"*", b"$", b"\r\n", b"\n", b"1", b"3", b"-1", b"0", b"GET", b"SET", b"k", b"\"", b"'", b"\\", b"\0",
                b" ", b"99999999", b"*3\r\n$3\r\nSET\r\n", b"\xff"]
    for _ in range(60 if is_slow_build() else 300):
        bad = connect()
        bad.send_raw(b"".join(rng.choices(alphabet, k=rng.randint(1, 60))))
        bad.socket.shutdown(socket.SHUT_WR)
        while bad.socket.recv(1 << 16):
            pass
        bad.close()
    assert r("PING") == "PONG"


def test_connections_that_end_in_the_middle_of_a_request_leave_nothing(r, connect):
    for data in [b"*", b"*3\r\n", b"*3\r\n$3\r\nSE", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nabc", b"SET k"]:
        bad = connect()
        bad.send_raw(data)
        bad.close()
    assert r("DBSIZE") == 0


@pytest.mark.not_over_shm("the end of the socket, in either direction, is the end of the session")
def test_requests_sent_before_the_sender_shut_its_side_are_answered(connect):
    client = connect()
    client.send_raw(encode("SET", "k", "v") + encode("GET", "k"))
    client.socket.shutdown(socket.SHUT_WR)
    assert client.replies(2) == ["OK", b"v"]
    assert client.is_closed()


def test_a_connection_reset_with_replies_under_way_disturbs_nobody(r, connect):
    r("SET", "k", b"v" * 1_000_000)
    for _ in range(20):
        client = connect()
        client.send_raw(encode("GET", "k") * 10)
        client.close()
    assert r("PING") == "PONG"


# ---- RESP3 ----------------------------------------------------------------------------------------------


def test_hello_switches_the_protocol_back_and_forth(r):
    assert isinstance(r("HELLO 3"), dict)
    assert isinstance(r("CONFIG GET port"), dict)
    assert isinstance(r("HELLO 2"), list)
    assert isinstance(r("CONFIG GET port"), list)


def test_hello_in_a_pipeline_counts_for_what_follows(r):
    r.send_raw(encode("GET", "x") + encode("HELLO", "3") + encode("GET", "x") + encode("HELLO", "2") + encode("GET", "x"))
    r.reply()
    assert r.raw == b"$-1\r\n"
    r.reply()
    r.reply()
    assert r.raw == b"_\r\n"
    r.reply()
    r.reply()
    assert r.raw == b"$-1\r\n"
