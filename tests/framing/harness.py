"""The two ends around the gateway under test: a raw client, and a raw upstream that counts what reaches it."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading

KEY = "sy-test-key"
UPSTREAM_KEY = "sk-upstream"
TIMEOUT_S = 10.0

# What the cases write for the request that they are about, and for one that is hidden behind it. At run time each
# case gets marks of its own, of the same length.
MARK = "case-0000"
EVIL = "evil-0000"


class Failure(Exception):
    """A case did not go as it must."""


def check(holds, what):
    if not holds:
        raise Failure(what)


# ---- HTTP, read strictly ----


class Reader:
    """Takes bytes off a socket; what is too short, because the peer closed or reset, shows as `ended`."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.ended = False

    def fill(self):
        if self.ended:
            return False
        try:
            piece = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            piece = b""
        except socket.timeout:
            raise Failure("no answer and no close within %d s; so far: %r" % (TIMEOUT_S, self.buffer[:200]))
        if not piece:
            self.ended = True
            return False
        self.buffer += piece
        return True

    def until(self, mark, limit=1 << 20):
        """Bytes up to and with `mark`, or None where the peer ended before it."""
        start = 0
        while True:
            at = self.buffer.find(mark, start)
            if at >= 0:
                at += len(mark)
                out, self.buffer = self.buffer[:at], self.buffer[at:]
                return out
            check(len(self.buffer) <= limit, "too much without %r" % mark)
            start = max(0, len(self.buffer) - len(mark) + 1)
            if not self.fill():
                return None

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.fill():
                return None
        out, self.buffer = self.buffer[:size], self.buffer[size:]
        return out

    def rest(self):
        while self.fill():
            pass
        out, self.buffer = self.buffer, b""
        return out


def parse_fields(lines):
    fields = []
    for line in lines:
        match = re.fullmatch(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*", line)
        check(match, "bad header line on the wire: %r" % line)
        fields.append((match[1].decode().lower(), match[2].decode("latin-1")))
    return fields


def values(fields, name):
    return [value for key, value in fields if key == name]


def read_chunked(reader):
    """The body and whether it came to its end."""
    body = b""
    while True:
        line = reader.until(b"\r\n")
        if line is None:
            return body, False
        check(re.fullmatch(rb"[0-9A-Fa-f]+\r\n", line), "bad chunk size on the wire: %r" % line)
        size = int(line, 16)
        if size == 0:
            line = reader.until(b"\r\n")
            check(line in (None, b"\r\n"), "trailers on the wire: %r" % line)
            return body, line is not None
        piece = reader.exactly(size)
        if piece is None:
            return body + reader.buffer, False
        body += piece
        end = reader.exactly(2)
        if end is None:
            return body, False
        check(end == b"\r\n", "chunk longer than its size on the wire")


class Response:
    def __init__(self, status, fields):
        self.status = status
        self.fields = fields
        self.body = b""
        self.complete = False
        self.interim = []

    def says_close(self):
        return "close" in [value.lower() for value in values(self.fields, "connection")]


def read_response(reader, method="POST"):
    """The next response, or None where the connection ended without a byte of it."""
    interim = []
    while True:
        head = reader.until(b"\r\n\r\n")
        if head is None:
            check(not reader.buffer, "the answer ends inside its head: %r" % reader.buffer[:200])
            return None
        lines = head[:-4].split(b"\r\n")
        match = re.fullmatch(rb"HTTP/1\.[01] ([1-5][0-9][0-9])( [^\x00-\x1f\x7f]*)?", lines[0])
        check(match, "bad status line: %r" % lines[0])
        response = Response(int(match[1]), parse_fields(lines[1:]))
        if response.status >= 200:
            break
        interim.append(response.status)
        check(len(interim) < 10, "too many interim answers")
    response.interim = interim
    lengths = values(response.fields, "content-length")
    codings = values(response.fields, "transfer-encoding")
    check(len(lengths) + len(codings) <= 1, "more than one framing in an answer")
    if method == "HEAD" or response.status in (204, 304):
        response.complete = True
    elif codings:
        check(codings[0] == "chunked", "coding %r in an answer" % codings[0])
        response.body, response.complete = read_chunked(reader)
    elif lengths:
        check(lengths[0].isdigit(), "length %r in an answer" % lengths[0])
        body = reader.exactly(int(lengths[0]))
        response.complete = body is not None
        response.body = body if body is not None else reader.rest()
    else:
        response.body = reader.rest()
        response.complete = True
    return response


# ---- the upstream ----


def completion(content):
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1700000000,
            "model": "m",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }
    ).encode()


def event(content, finish=None):
    delta = {"content": content} if content is not None else {}
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def events(content):
    return event(content) + event(None, "stop") + b"data: [DONE]\n\n"


def answer_text(mark):
    return "answer to " + mark


class Request:
    def __init__(self, line, fields, body):
        self.line = line
        self.fields = fields
        self.body = body

    def mark(self):
        match = re.search(rb"(case|evil|next)-[0-9]{4}", self.body)
        return match[0].decode() if match else ""


class Upstream:
    """Answers chat completions; a request whose mark is in `scripts` gets what its script does instead."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = []
        self.violations = []
        self.scripts = {}
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def violation(self, what):
        with self.lock:
            self.violations.append(what)

    def take_violations(self):
        with self.lock:
            out, self.violations = self.violations, []
        return out

    def count(self, mark):
        with self.lock:
            return sum(1 for request in self.requests if request.mark() == mark)

    def seen(self, mark):
        with self.lock:
            return [request for request in self.requests if request.mark() == mark]

    def total(self):
        with self.lock:
            return len(self.requests)

    def serve(self, sock):
        """One connection: reads requests strictly, since the gateway has no excuse."""
        reader = Reader(sock)
        spoilt = None  # the mark of the case after which nothing may come here any more
        try:
            while True:
                request = self.read_request(reader)
                if request is None:
                    return
                with self.lock:
                    self.requests.append(request)
                    script = self.scripts.get(request.mark())
                if spoilt:
                    self.violation("connection spoilt by %s was used again" % spoilt)
                if script is None:
                    self.answer(sock, request)
                    continue
                if script(sock, request) == "spoilt":
                    spoilt = request.mark()
        except Failure as failure:
            self.violation("request to the upstream: %s" % failure)
        except OSError:
            pass
        finally:
            sock.close()

    def read_request(self, reader):
        reader.sock.settimeout(None)
        head = reader.until(b"\r\n\r\n")
        if head is None:
            check(not reader.buffer, "ends inside its head: %r" % reader.buffer[:200])
            return None
        lines = head[:-4].split(b"\r\n")
        check(re.fullmatch(rb"[A-Z]+ /[!-~]* HTTP/1\.1", lines[0]), "bad request line: %r" % lines[0])
        fields = parse_fields(lines[1:])
        check(len(values(fields, "host")) == 1, "not one Host")
        check(values(fields, "host") == ["127.0.0.1:%d" % self.port], "Host is not the upstream's")
        lengths = values(fields, "content-length")
        codings = values(fields, "transfer-encoding")
        check(len(lengths) + len(codings) <= 1, "more than one framing: %r" % fields)
        check(values(fields, "authorization") == ["Bearer " + UPSTREAM_KEY], "not the upstream's key")
        for name in ("expect", "trailer", "upgrade", "te", "proxy-connection", "x-hop"):
            check(not values(fields, name), "hop-by-hop header %s went through" % name)
        if codings:
            check(codings[0] == "chunked", "coding %r" % codings[0])
            body, whole = read_chunked(reader)
        else:
            check(not lengths or re.fullmatch("0|[1-9][0-9]*", lengths[0]), "length %r" % lengths)
            body = reader.exactly(int(lengths[0])) if lengths else b""
            whole = body is not None
        if not whole:
            return None  # the gateway gave up in the middle, which it may
        return Request(lines[0], fields, body)

    def answer(self, sock, request):
        text = answer_text(request.mark())
        if b'"stream":true' in request.body.replace(b" ", b""):
            body = events(text)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        else:
            body = completion(text)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


# ---- the gateway ----


class Gateway:
    def __init__(self, binary, upstream_port):
        self.directory = tempfile.TemporaryDirectory(prefix="switchyard-framing-")
        state = os.path.join(self.directory.name, "state")
        os.mkdir(state, 0o700)
        config = os.path.join(self.directory.name, "switchyard.json")
        with open(config, "w") as file:
            json.dump(self.config(state, upstream_port), file)
        os.chmod(config, 0o600)
        self.log_path = os.path.join(self.directory.name, "stderr.log")
        environment = {
            name: value
            for name, value in os.environ.items()
            if not re.search("(?i)_api_key$|_token$|_proxy$", name)
        }
        environment["HOME"] = self.directory.name
        environment["FRAMING_KEY"] = KEY
        environment["FRAMING_UPSTREAM_KEY"] = UPSTREAM_KEY
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [binary, "serve", "--config", config],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        self.port = self.read_port()
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    @staticmethod
    def config(state, upstream_port):
        provider = {
            "plugin": "openai",
            "dialect": "openai",
            "base_url": "http://127.0.0.1:%d/v1" % upstream_port,
            "models": ["m"],
            "credentials": [{"key": "${FRAMING_UPSTREAM_KEY}"}],
        }
        return {
            "listen": ["127.0.0.1:0"],
            "admin": {"listen": "127.0.0.1:0"},
            "state": state,
            "providers": {"up": provider},
            "keys": [{"name": "t", "key": "${FRAMING_KEY}"}],
        }

    def read_port(self):
        timer = threading.Timer(30, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                text = line.decode(errors="replace")
                match = re.search(r"listening on http://127\.0\.0\.1:([0-9]+)", text)
                if match and "admin" not in text:
                    return int(match[1])
        finally:
            timer.cancel()
        raise SystemExit("the gateway did not start:\n" + self.log())

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()[-4000:]

    def crash(self):
        """What the log tells of a worker's death or of a sanitizer's report; the supervisor itself carries on."""
        with open(self.log_path, errors="replace") as file:
            log = file.read()
        found = re.search(r"^.*(worker_died |\w+Sanitizer: |: runtime error: )", log, re.MULTILINE)
        return log[found.start() :][:20000] if found else None

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """Its exit code after a SIGTERM."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed, for it did not end in 20 s"


# ---- one case ----


class Context:
    """What a case works with; its marks are its own."""

    def __init__(self, gateway, upstream, number):
        self.gateway = gateway
        self.upstream = upstream
        self.mark = "case-%04d" % number
        self.evil = "evil-%04d" % number
        self.next = "next-%04d" % number
        self.socks = []

    def own(self, wire):
        """The bytes with this case's marks; a callable makes them itself, for marks that are cut into pieces."""
        if callable(wire):
            return wire(self.own)
        return wire.replace(MARK.encode(), self.mark.encode()).replace(EVIL.encode(), self.evil.encode())

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.gateway.port), timeout=TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socks.append(sock)
        return Reader(sock)

    def send(self, reader, wire):
        try:
            reader.sock.sendall(self.own(wire))
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all was read; what was answered is read next

    def close(self):
        for sock in self.socks:
            sock.close()
