"""WebSocket (RFC 6455) by hand, strict on what comes in and able to be wrong in what goes out.

    answer, socket = connect(gateway.url, "/v1/realtime?model=m", key=gateway.key)    # as a client
    socket = accept(exchange)                                                        # in a script of upstream.py
    socket.send(TEXT, "hello"); socket.receive()    # (TEXT, b"hello"); pings are answered on the way
    socket.close(1000, "bye"); socket.receive()     # (CLOSE, b"\\x03\\xe8bye")
"""

import base64
import hashlib
import os
import select
import ssl
import struct
import threading
import time

import client

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_value(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


class Broken(AssertionError):
    """The peer did what the RFC forbids."""


class Ended(Exception):
    """The connection ended or was reset."""


class Frame:
    def __init__(self, fin, opcode, payload):
        self.fin, self.opcode, self.payload = fin, opcode, payload


def mask(payload, key):
    if not payload:
        return b""
    whole = key * (len(payload) // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(whole[:len(payload)], "big")
    return number.to_bytes(len(payload), "big")


def encode(opcode, payload=b"", fin=True, masked=False, rsv=0, length=None):
    """One frame. length: said instead of the true one (as a pair: its form's code and value)."""
    payload = payload.encode() if isinstance(payload, str) else payload
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    code, value = length or ((len(payload), None) if len(payload) < 126 else
                             (126, len(payload)) if len(payload) < 65536 else (127, len(payload)))
    head += bytes([bit | code])
    if code == 126:
        head += struct.pack("!H", value)
    elif code == 127:
        head += struct.pack("!Q", value)
    if masked:
        key = os.urandom(4)
        return head + key + mask(payload, key)
    return head + payload


def close_payload(code=None, reason=""):
    return b"" if code is None else struct.pack("!H", code) + reason.encode()


class OneAtATime:
    """A TLS connection that one thread reads while another writes: its library takes one call at a time, and a call
    that waited would keep the other one out."""

    def __init__(self, connection):
        self.connection, self.lock, self.timeout = connection, threading.Lock(), connection.gettimeout()
        connection.setblocking(False)

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def settimeout(self, seconds):
        self.timeout = seconds

    def recv(self, n):
        return self._call(lambda: self.connection.recv(n))

    def sendall(self, data):
        left = memoryview(data)
        while left:
            piece = left[:16384]
            left = left[self._call(lambda piece=piece: self.connection.send(piece)):]

    def _call(self, work):
        while True:
            try:
                with self.lock:
                    return work()
            except ssl.SSLWantReadError:
                ready = select.select([self.connection], [], [], self.timeout)
            except ssl.SSLWantWriteError:
                ready = select.select([], [self.connection], [], self.timeout)
            if not any(ready):
                raise TimeoutError("the other end said nothing")


class WebSocket:
    """masks: this end is the client's. received: frames that came, pings and pongs among them."""

    def __init__(self, connection, masks, rest=b""):
        self.connection = OneAtATime(connection) if isinstance(connection, ssl.SSLSocket) else connection
        self.masks = masks
        self.rest = rest
        self.pongs = []
        self.pings = 0
        self.answers_pings = True
        self.bytes_sent, self.bytes_received = 0, len(rest)

    # -- out

    def send_bytes(self, data):
        try:
            self.connection.sendall(data)
            self.bytes_sent += len(data)
        except (ConnectionError, ssl.SSLError, OSError) as error:
            raise Ended from error

    def send_frame(self, opcode, payload=b"", fin=True, **wrong):
        self.send_bytes(encode(opcode, payload, fin, **{"masked": self.masks, **wrong}))

    def send(self, opcode, payload, fragment=None):
        payload = payload.encode() if isinstance(payload, str) else payload
        if fragment is None:
            return self.send_frame(opcode, payload)
        for at in range(0, len(payload), fragment):
            part = payload[at:at + fragment]
            self.send_frame(opcode if at == 0 else CONTINUATION, part, at + fragment >= len(payload))

    def close(self, code=None, reason=""):
        self.send_frame(CLOSE, close_payload(code, reason))

    # -- in

    def _take(self, n):
        while len(self.rest) < n:
            try:
                more = self.connection.recv(1 << 20)
            except (ConnectionError, ssl.SSLError) as error:
                raise Ended from error
            if not more:
                raise Ended
            self.rest += more
            self.bytes_received += len(more)
        taken, self.rest = self.rest[:n], self.rest[n:]
        return taken

    def receive_frame(self):
        first, second = self._take(2)
        if first & 0x70:
            raise Broken("a reserved bit")
        if bool(second & 0x80) == self.masks:
            raise Broken("masked" if self.masks else "not masked")
        length = second & 0x7f
        if length == 126:
            length = struct.unpack("!H", self._take(2))[0]
            if length < 126:
                raise Broken("a length that is not in its shortest form")
        elif length == 127:
            length = struct.unpack("!Q", self._take(8))[0]
            if length < 65536:
                raise Broken("a length that is not in its shortest form")
        opcode = first & 15
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise Broken(f"opcode {opcode}")
        if opcode >= CLOSE and (length > 125 or not first & 0x80):
            raise Broken("a long or fragmented control frame")
        key = self._take(4) if second & 0x80 else None
        payload = self._take(length)
        return Frame(bool(first & 0x80), opcode, mask(payload, key) if key else payload)

    def receive(self):
        """The next message, or the Close: (opcode, payload)."""
        opcode, payload = None, bytearray()
        while True:
            frame = self.receive_frame()
            if frame.opcode == PING:
                self.pings += 1
                if self.answers_pings:
                    self.send_frame(PONG, frame.payload)
            elif frame.opcode == PONG:
                self.pongs.append(frame.payload)
            elif frame.opcode == CLOSE:
                if len(frame.payload) == 1:
                    raise Broken("half a close code")
                frame.payload[2:].decode()
                return CLOSE, frame.payload
            else:
                if (opcode is None) == (frame.opcode == CONTINUATION):
                    raise Broken("a fragment out of place")
                opcode = opcode if opcode is not None else frame.opcode
                payload += frame.payload
                if frame.fin:
                    if opcode == TEXT:
                        payload.decode()
                    return opcode, bytes(payload)

    def receive_text(self):
        opcode, payload = self.receive()
        if opcode != TEXT:
            raise Broken(f"opcode {opcode} {payload!r}, expected a text")
        return payload.decode()

    def receive_close(self):
        """Code and reason of the Close; messages before it are passed over."""
        while True:
            opcode, payload = self.receive()
            if opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else None
                return code, payload[2:].decode()

    def wait_end(self, seconds=10.0):
        """True once the connection has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if not self.connection.recv(65536):
                    return True
            except TimeoutError:
                return False
            except (ConnectionError, ssl.SSLError, OSError):
                return True
        return False


def handshake_headers(key="dGhlIHNhbXBsZSBub25jZQ==", **changed):
    """Those of a right handshake; changed: by name with _ for -, None leaves one out."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key,
               "Sec-WebSocket-Version": "13"}
    for name, value in changed.items():
        name = next((known for known in headers if known.lower() == name.lower().replace("_", "-")),
                    name.replace("_", "-"))
        if value is None:
            headers.pop(name, None)
        else:
            headers[name] = value
    return headers


def connect(url, path, key=None, headers=None, tls=None, timeout=20.0, receive_buffer=None):
    """The answer, and the WebSocket where it is a 101 (else the answer is read whole)."""
    connection = client.Connection(url, timeout, tls, receive_buffer)
    nonce = base64.b64encode(os.urandom(16)).decode()
    connection.send_request("GET", path, None, key, {**handshake_headers(nonce), **(headers or {})})
    answer = connection.receive_head()
    if answer.status != 101:
        answer.read("GET")
        connection.close()
        return answer, None
    if answer.header("sec-websocket-accept") != accept_value(nonce):
        raise Broken(f"accept {answer.header('sec-websocket-accept')!r}")
    if answer.header("upgrade").lower() != "websocket" or answer.header("connection").lower() != "upgrade":
        raise Broken("upgrade headers")
    if answer.header("sec-websocket-extensions"):
        raise Broken("an extension that was not offered")
    return answer, WebSocket(connection.socket, True, connection.rest)


def accept(exchange, headers=None):
    """Accepts the upgrade that a script of the upstream was called with."""
    request = exchange.request
    exchange.head(101, {"Upgrade": "websocket", "Connection": "Upgrade",
                        "Sec-WebSocket-Accept": accept_value(request.header("sec-websocket-key")),
                        **(headers or {})})
    return WebSocket(exchange.connection, False)
