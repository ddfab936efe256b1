"""Programs of a few instructions that see each packet which arrives at an interface (XDP in generic mode), written here and loaded by
the bpf() system call, so that no compiler is needed. Entry: Receiver.

Why: on one machine the kernel copies what was sent without a copy when it hands it to the receiver, and says so. With such a program
on the receiving end the copy belongs to the "driver" there, the sender's pages go back when the bytes are acknowledged, and completions
say "not copied", as with a network card. And where the kernel has no netem, a program can lose packets.
"""
import ctypes
import os
import platform
import socket
import struct

SYSTEM_CALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
PROG_LOAD, LINK_CREATE, LINK_UPDATE = 5, 28, 29  # commands of bpf()
TYPE_XDP, ATTACH_XDP = 6, 37
WITH_FRAGMENTS = 1 << 5
GENERIC_MODE = 1 << 1
DROP, PASS = 1, 2

MOVE, AND, CALL, EXIT, JUMP_IF_LESS = 0xb7, 0x57, 0x85, 0x95, 0xa5
RANDOM_U32 = 7  # a helper of the kernel
SHARES = 1 << 16


def _instruction(code, value=0, jump=0):
    """On register 0, which also holds what a helper returns and what the program does."""
    return struct.pack("=BBhi", code, 0, jump, value)


def dropping(share):
    """The program that loses this share of the packets, 0 to 1."""
    verdict = {0: PASS, 1: DROP}.get(share)
    if verdict:
        return _instruction(MOVE, verdict) + _instruction(EXIT)
    return (_instruction(CALL, RANDOM_U32) + _instruction(AND, SHARES - 1)
            + _instruction(JUMP_IF_LESS, int(share * SHARES), jump=2)
            + _instruction(MOVE, PASS) + _instruction(EXIT)
            + _instruction(MOVE, DROP) + _instruction(EXIT))


def _bpf(command, attributes):
    libc = ctypes.CDLL(None, use_errno=True)
    memory = ctypes.create_string_buffer(attributes, len(attributes))
    result = libc.syscall(ctypes.c_long(SYSTEM_CALL[platform.machine()]), ctypes.c_int(command), memory,
                          ctypes.c_uint(len(attributes)))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return result


def load(instructions):
    """Returns a file descriptor of the program."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"GPL")
    return _bpf(PROG_LOAD, struct.pack(
        "=IIQQIIQII16sII", TYPE_XDP, len(instructions) // 8, ctypes.addressof(code), ctypes.addressof(licence),
        0, 0, 0, 0, WITH_FRAGMENTS, b"skua_test", 0, ATTACH_XDP))


class Receiver:
    """Attached to an interface of the calling thread's network namespace until close(), or until the process ends."""

    def __init__(self, interface, share_lost=0):
        program = load(dropping(share_lost))
        try:
            self.link = _bpf(LINK_CREATE, struct.pack("=IIII", program, socket.if_nametoindex(interface), ATTACH_XDP,
                                                      GENERIC_MODE))
        finally:
            os.close(program)

    def lose(self, share):
        """From now on this share of what arrives is lost."""
        program = load(dropping(share))
        try:
            _bpf(LINK_UPDATE, struct.pack("=IIII", self.link, program, 0, 0))
        finally:
            os.close(program)

    def close(self):
        if self.link is not None:
            os.close(self.link)
            self.link = None
