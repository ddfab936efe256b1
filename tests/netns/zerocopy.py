"""Sends with MSG_ZEROCOPY and counts what the kernel says of them. Entry: send_all, dissolve. It shares nothing with the server, and shows
what the rig does by itself."""
import ctypes
import dataclasses
import select
import socket
import struct
import threading

SO_ZEROCOPY = 60
MSG_ZEROCOPY = 0x4000000
ORIGIN_ZEROCOPY = 5
CODE_COPIED = 1
LEVELS = {(0, 11), (41, 25)}  # SOL_IP and IP_RECVERR, SOL_IPV6 and IPV6_RECVERR
WAIT_S = 60


@dataclasses.dataclass
class Count:
    copied: int = 0
    not_copied: int = 0

    def read(self, sender):
        """Counts the sends of a notification that waits in the error queue, if there is one."""
        try:
            _, notes, _, _ = sender.recvmsg(0, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        for level, kind, data in notes:
            assert (level, kind) in LEVELS, (level, kind)
            error, origin, _, code, _, first, last = struct.unpack_from("=IBBBBII", data)
            assert (error, origin) == (0, ORIGIN_ZEROCOPY)
            if code & CODE_COPIED:
                self.copied += last - first + 1
            else:
                self.not_copied += last - first + 1


def dissolve(connection):
    """connect() to no address: the peer gets a reset, and what was to be sent is dropped."""
    unspecified = ctypes.create_string_buffer(16)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.connect(connection.fileno(), unspecified, len(unspecified)) == 0, ctypes.get_errno()


def send_all(sender_node, receiver_node, ip, count=50, size=200_000):
    """Sends `count` pieces from node to node, where they are read. Returns the Count when all are completed."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with receiver_node.inside():
        listener = socket.create_server((ip, 0), family=family)
    with sender_node.inside():
        sender = socket.create_connection((ip, listener.getsockname()[1]), timeout=WAIT_S)
    receiver, _ = listener.accept()
    receiver.settimeout(WAIT_S)
    received = bytearray()

    def receive():
        while piece := receiver.recv(1 << 20):
            received.extend(piece)

    reader = threading.Thread(target=receive, daemon=True)
    reader.start()
    pieces = [bytes([number % 251]) * size for number in range(count)]
    with listener, sender, receiver:
        sender.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        counted, calls = Count(), 0
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[sender.send(rest, MSG_ZEROCOPY):]
                calls += 1
        poll = select.poll()
        poll.register(sender, 0)  # errors are always told
        while counted.copied + counted.not_copied < calls:
            assert poll.poll(WAIT_S * 1000), f"only {counted} of {calls} sends are completed"
            counted.read(sender)
        sender.shutdown(socket.SHUT_WR)
        reader.join(WAIT_S)
        assert received == b"".join(pieces)
    assert counted.copied + counted.not_copied == calls
    return counted
