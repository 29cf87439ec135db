"""A raw HTTP/1.1 client for tests: shows exactly what came over the wire, and whether an answer ended cleanly.

    answer = call(gateway.url, "POST", "/v1/chat/completions", {"model": "m", ...}, key=gateway.key)
    answer.status, answer.header("retry-after"), answer.json(), answer.events(), answer.clean
"""

import json
import socket
import ssl
import struct
import urllib.parse

# A request that asks for no more than an answer.
MESSAGES = [{"role": "user", "content": "Hello?"}]


class Connection:
    """One connection; requests one after the other, or by hand with send() and receive_answer()."""

    def __init__(self, url, timeout=20.0, tls=None, receive_buffer=None):
        parts = urllib.parse.urlsplit(url)
        family = socket.AF_INET6 if ":" in (parts.hostname or "") else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.host = parts.netloc
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Leaves with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def send_request(self, method, path, body=None, key=None, headers=None):
        data = body if isinstance(body, bytes) else (
            b"" if body is None else body.encode() if isinstance(body, str)
            else json.dumps(body).encode())
        fields = {"Host": self.host}
        if key:
            fields["Authorization"] = f"Bearer {key}"
        if body is not None:
            fields["Content-Type"] = "application/json"
            fields["Content-Length"] = str(len(data))
        fields.update(headers or {})
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items())
        self.send(head.encode() + b"\r\n" + data)

    def receive(self):
        """More bytes; b"" at the end, whatever kind of end it is."""
        try:
            return self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return b""

    def receive_head(self):
        while b"\r\n\r\n" not in self.rest:
            more = self.receive()
            if not more:
                raise ConnectionError(f"closed in the head, after {self.rest!r}")
            self.rest += more
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return Answer(head.decode("latin-1"), self)

    def receive_answer(self, method="POST"):
        answer = self.receive_head()
        while 100 <= answer.status < 200:
            answer = self.receive_head()
        answer.read(method)
        return answer

    def request(self, method, path, body=None, key=None, headers=None):
        self.send_request(method, path, body, key, headers)
        return self.receive_answer(method)


class Answer:
    def __init__(self, head, connection):
        lines = head.split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.append((name.lower(), value.strip()))
        self._body = bytearray()
        self.clean = None  # after read(): whether the body ended as its framing says
        self._connection = connection
        self._chunk_left = None

    def header(self, name):
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None

    @property
    def body(self):
        """What has been read of it."""
        return bytes(self._body)

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The error object of the body."""
        return self.json()["error"]

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def read(self, method="POST"):
        """Reads the body to its end."""
        if method == "HEAD" or self.status in (204, 304):
            self.clean = True
            return self
        if self.header("transfer-encoding") == "chunked":
            for part in self.parts():
                self._body += part
            return self
        length = self.header("content-length")
        connection = self._connection
        while length is None or len(connection.rest) < int(length):
            more = connection.receive()
            if not more:
                break
            connection.rest += more
        end = len(connection.rest) if length is None else int(length)
        self._body, connection.rest = bytearray(connection.rest[:end]), connection.rest[end:]
        self.clean = length is not None and len(self._body) == end
        return self

    def parts(self):
        """The chunks of a chunked body as they come; sets `clean` at the end."""
        connection = self._connection
        self.clean = False
        while True:
            while b"\r\n" not in connection.rest:
                more = connection.receive()
                if not more:
                    return
                connection.rest += more
            size, _, connection.rest = connection.rest.partition(b"\r\n")
            length = int(size, 16)
            while len(connection.rest) < length + 2:
                more = connection.receive()
                if not more:
                    yield connection.rest
                    return
                connection.rest += more
            part, connection.rest = connection.rest[:length], connection.rest[length + 2:]
            if length == 0:
                self.clean = True
                return
            yield part

    def events(self):
        """The data of each whole server-sent event, as text."""
        return events_of(self.body)

    def live_events(self):
        """The data of each event, as it comes."""
        pending = b""
        for part in self.parts():
            self._body += part
            pending += part
            while b"\n\n" in pending:
                one, _, pending = pending.partition(b"\n\n")
                yield from events_of(one + b"\n\n")


def events_of(data):
    """Events end with an empty line, so what stands behind the last one is none."""
    found = []
    for block in data.decode(errors="replace").replace("\r\n", "\n").split("\n\n")[:-1]:
        lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        if lines:
            found.append("\n".join(lines))
    return found


def text_of(events):
    """The text that a chat stream's events say."""
    text = ""
    for event in events:
        if event == "[DONE]":
            continue
        for choice in json.loads(event).get("choices", []):
            text += choice["delta"].get("content") or ""
    return text


def call(url, method, path, body=None, key=None, headers=None, timeout=20.0, tls=None):
    """One request on a connection of its own."""
    with Connection(url, timeout, tls) as connection:
        return connection.request(method, path, body, key, headers)


def chat(url, model, key, stream=False, timeout=20.0, headers=None, tls=None, **members):
    body = {"model": model, "messages": MESSAGES, **members}
    if stream:
        body["stream"] = True
    return call(url, "POST", "/v1/chat/completions", body, key, headers, timeout, tls)
