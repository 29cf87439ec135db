"""What a peer does whose machine is gone: packets to it are dropped, none is acknowledged, and nobody is told.

The kernel runs a socket's filter on a packet before TCP sees it. What the filter drops was never there, for either side: no
privilege is needed, and no time is waited for.
"""

import ctypes
import socket
import struct

SO_ATTACH_FILTER = 26  # asm-generic/socket.h

# Classic BPF: (code, jump if true, jump if false, operand).
NOTHING = [(0x06, 0, 0, 0)]  # ret 0: the packet is dropped
# By the header that a filter of TCP sees first: what carries data is dropped, so that connects are answered.
NO_DATA = [
    (0x30, 0, 0, 12),  # ldb [12]: the header's length in words, in the upper four bits
    (0x74, 0, 0, 4),  # rsh #4
    (0x64, 0, 0, 2),  # lsh #2: in bytes
    (0x07, 0, 0, 0),  # tax
    (0x80, 0, 0, 0),  # ld len
    (0x1c, 0, 0, 0),  # sub x: the data's length
    (0x15, 0, 1, 0),  # jeq #0
    (0x06, 0, 0, 0xffffffff),  # ret: the whole packet passes
    (0x06, 0, 0, 0),
]


def attach(connection, program):
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                          struct.pack("HP", len(program), ctypes.addressof(code)))


def swallow(connection):
    """From now on nothing that the peer sends arrives: no data, no acknowledgement, no end."""
    attach(connection, NOTHING)


def unacknowledged(connection):
    """How many segments the peer has not said to have: tcpi_unacked of linux/tcp.h."""
    return struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0]


class BlackHole:
    """A server to which one can connect, and nothing more: the request is never acknowledged."""

    def __init__(self):
        self.listener = socket.socket()
        attach(self.listener, NO_DATA)  # what it accepts inherits it
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]

    def close(self):
        self.listener.close()
