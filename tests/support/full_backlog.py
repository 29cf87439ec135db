"""A server whose machine answers no further connect: a packet that asks for one is dropped, and nobody is told."""

import socket


class FullBacklog:
    """Linux drops what asks to connect once the queue of those that nobody has accepted is full."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.waiting = []
        for _ in range(8):
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", self.port))
            self.waiting.append(each)

    def close(self):
        for each in (*self.waiting, self.listener):
            each.close()
