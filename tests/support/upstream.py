"""A scripted upstream: raw sockets, so that it can be wrong in every way. Each request follows the script that its
model names (for requests without a body: the last part of the path), and is kept in a journal.

    with Upstream() as upstream:
        upstream.url                      # "http://127.0.0.1:PORT/v1"
        ...                               # a request with {"model": "cut-mid-body"} is cut in the middle of the body
        upstream.requests[0].header("authorization")

Scripts are the functions below marked with @script; `upstream.add(name, function)` adds one. A script gets an
Exchange and returns True where the connection goes on. An unknown model is answered as a good upstream does.
"""

import gzip
import json
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
import zlib

SCRIPTS = {}
ANSWER = "Hello from the upstream."  # what a good chat answer says
WORDS = ["Hello", " from", " the", " upstream", "."]
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
CREATED = 1795132800


def script(name):
    def register(function):
        SCRIPTS[name] = function
        return function
    return register


class Gone(Exception):
    """The peer closed or reset the connection."""


class Request:
    """One request as it came in."""

    def __init__(self, line, headers, body, connection):
        self.line = line
        self.method, self.target, self.version = (line.split(" ") + ["", ""])[:3]
        self.headers = headers  # list of (lower-case name, value)
        self.body = body
        self.connection = connection  # number of the connection it came on
        self.head = ""  # the head's text, as received
        self.left = threading.Event()  # the peer went away while the script waited or wrote
        self.done = threading.Event()  # the script ended
        self.sent = 0  # bytes of the answer handed to the kernel

    def header(self, name):
        found = [value for key, value in self.headers if key == name]
        return ", ".join(found) if found else None

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return {}

    @property
    def model(self):
        body = self.json()
        if isinstance(body, dict) and isinstance(body.get("model"), str):
            return body["model"]
        path, _, query = self.target.partition("?")
        named = urllib.parse.parse_qs(query).get("model")
        return named[0] if named else path.rpartition("/")[2]

    @property
    def streams(self):
        body = self.json()
        return isinstance(body, dict) and body.get("stream") is True

    @property
    def wants_usage(self):
        options = self.json().get("stream_options") or {}
        return options.get("include_usage") is True


class Exchange:
    """A request and the connection on which to answer it."""

    def __init__(self, upstream, connection, request):
        self.upstream = upstream
        self.connection = connection
        self.request = request

    def send(self, data):
        if isinstance(data, str):
            data = data.encode()
        view = memoryview(data)
        while view:
            try:
                sent = self.connection.send(view)
            except (BrokenPipeError, ConnectionError, ssl.SSLError, OSError) as error:
                self.request.left.set()
                raise Gone from error
            self.request.sent += sent
            view = view[sent:]

    def head(self, status=200, headers=None, reason="Said"):
        lines = [f"HTTP/1.1 {status} {reason}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.send("\r\n".join(lines) + "\r\n\r\n")

    def answer(self, status=200, body=b"", headers=None, content_type="application/json"):
        """A whole, rightly framed answer."""
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        data = body.encode() if isinstance(body, str) else body
        self.send(self.whole(status, data, headers, content_type))
        return True

    @staticmethod
    def whole(status, data, headers=None, content_type="application/json"):
        fields = {"Content-Type": content_type, "Content-Length": len(data), **(headers or {})}
        head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items())
        return (head + "\r\n").encode() + data

    def start_stream(self, headers=None):
        self.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked",
                        **(headers or {})})

    def chunk(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def last_chunk(self):
        self.send("0\r\n\r\n")

    def event(self, value):
        self.chunk(f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n")

    def wait(self, seconds=None):
        """Waits until the peer leaves (raises Gone), the upstream closes, or the time is over."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self.upstream.closing.is_set():
            left = 0.2 if end is None else min(0.2, end - time.monotonic())
            if left <= 0:
                return
            try:
                self.connection.settimeout(left)
                if self.connection.recv(65536) == b"":
                    self.request.left.set()
                    raise Gone
            except (TimeoutError, ssl.SSLWantReadError):
                continue
            except (ConnectionError, ssl.SSLError, OSError) as error:
                self.request.left.set()
                raise Gone from error
            finally:
                self.connection.settimeout(None)

    def reset(self):
        """Ends the connection with RST."""
        raw = self.connection
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        return False


# -- good answers

def chat(model="m", content=ANSWER, finish="stop", usage=USAGE):
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": CREATED, "model": model,
            "choices": [{"index": 0, "logprobs": None, "finish_reason": finish,
                         "message": {"role": "assistant", "content": content, "refusal": None}}],
            "usage": usage}


def chunk_of(delta, finish=None, model="m", **more):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def usage_chunk(usage=USAGE, model="m"):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": model,
            "choices": [], "usage": usage}


def tool_call(model="m"):
    answer = chat(model, None, "tool_calls")
    answer["choices"][0]["message"]["tool_calls"] = [
        {"id": "call_1", "type": "function",
         "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}]
    return answer


def error_body(message="The upstream says no.", kind="server_error", code=None, param=None):
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def chat_chunks(request):
    """The events of a good stream, without [DONE]."""
    usage = {"usage": None} if request.wants_usage else {}
    yield chunk_of({"role": "assistant", "content": ""}, **usage)
    if request.json().get("tools"):
        call = {"index": 0, "id": "call_1", "type": "function",
                "function": {"name": "weather", "arguments": ""}}
        yield chunk_of({"tool_calls": [call]}, **usage)
        for part in ('{"city":', ' "Oslo"}'):
            yield chunk_of({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}, **usage)
        yield chunk_of({}, "tool_calls", **usage)
    else:
        for word in WORDS:
            yield chunk_of({"content": word}, **usage)
        yield chunk_of({}, "stop", **usage)
    if request.wants_usage:
        yield usage_chunk()


def good(exchange):
    """What an upstream without faults does."""
    request = exchange.request
    path = request.target.partition("?")[0]
    if path.endswith("/chat/completions"):
        return good_chat(exchange)
    if path.endswith("/completions"):
        return exchange.answer(body={
            "id": "cmpl-1", "object": "text_completion", "created": CREATED, "model": request.model,
            "choices": [{"text": ANSWER, "index": 0, "logprobs": None, "finish_reason": "stop"}],
            "usage": USAGE})
    if path.endswith("/embeddings"):
        return exchange.answer(body=embeddings(request))
    if path.endswith("/moderations"):
        return exchange.answer(body={"id": "modr-1", "model": request.model, "results": [
            {"flagged": False, "categories": {"violence": False},
             "category_scores": {"violence": 0.001}}]})
    if path.endswith("/models"):
        return exchange.answer(body={"object": "list", "data": [
            {"id": "m", "object": "model", "created": CREATED, "owned_by": "upstream"}]})
    return exchange.answer(404, error_body("no such path", "invalid_request_error", "unknown_url"))


def good_chat(exchange):
    request = exchange.request
    if not request.streams:
        return exchange.answer(body=tool_call() if request.json().get("tools") else chat())
    exchange.start_stream()
    for event in chat_chunks(request):
        exchange.event(event)
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


def embeddings(request):
    given = request.json().get("input")
    count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    numbers = [0.5, -0.25, 1.0]
    if request.json().get("encoding_format") == "base64":
        import base64
        value = base64.b64encode(struct.pack("<3f", *numbers)).decode()
    else:
        value = numbers
    return {"object": "list", "model": request.model,
            "data": [{"object": "embedding", "index": i, "embedding": value} for i in range(count)],
            "usage": {"prompt_tokens": 4 * count, "total_tokens": 4 * count}}


def good_whole():
    return Exchange.whole(200, json.dumps(chat()).encode())


# -- before the head, and in it

@script("stall-before-head")
def _(exchange):
    exchange.wait()


@script("stall-mid-head")
def _(exchange):
    exchange.send("HTTP/1.1 200 OK\r\nContent-Ty")
    exchange.wait()


@script("drip-head")
def _(exchange):
    """One byte each 20 ms for ever: never silent for long, never done."""
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: " + b"y" * 100_000:
        exchange.send(bytes([byte]))
        exchange.wait(0.02)


@script("cut-before-head")
def _(exchange):
    return False


@script("cut-mid-head")
def _(exchange):
    exchange.send(good_whole()[:25])


@script("reset-before-head")
def _(exchange):
    return exchange.reset()


@script("reset-mid-head")
def _(exchange):
    exchange.send(good_whole()[:25])
    exchange.wait(0.05)
    return exchange.reset()


@script("garbage")
def _(exchange):
    exchange.send(bytes(range(256)) * 8 + b"\r\n\r\n")


@script("no-http")
def _(exchange):
    exchange.send("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")


@script("huge-head")
def _(exchange):
    exchange.send("HTTP/1.1 200 OK\r\n")
    for number in range(2000):
        exchange.send(f"X-Filler-{number}: {'x' * 500}\r\n")
    exchange.send("\r\n")


@script("informational-flood")
def _(exchange):
    for _ in range(10_000):
        exchange.send("HTTP/1.1 102 Processing\r\n\r\n")
    return exchange.answer(body=chat())


@script("informational")
def _(exchange):
    exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    return exchange.answer(body=chat())


# -- framing of the body

@script("cut-mid-body")
def _(exchange):
    exchange.send(good_whole()[:-40])


@script("reset-mid-body")
def _(exchange):
    exchange.send(good_whole()[:-40])
    exchange.wait(0.05)
    return exchange.reset()


@script("stall-mid-body")
def _(exchange):
    exchange.send(good_whole()[:-40])
    exchange.wait()


@script("drip-body")
def _(exchange):
    """Slow, but never silent for long: a good answer in the end."""
    answer = good_whole()
    for start in range(0, len(answer), 40):
        exchange.send(answer[start:start + 40])
        exchange.wait(0.02)
    return True


@script("beyond-length")
def _(exchange):
    """A good answer, and the start of one that nobody asked for."""
    exchange.send(good_whole() + Exchange.whole(200, b'{"stolen": true}'))
    exchange.wait(0.5)


@script("two-lengths")
def _(exchange):
    body = json.dumps(chat())
    exchange.head(200, {"Content-Type": "application/json",
                        "Content-Length": f"{len(body)}\r\nContent-Length: {len(body) - 5}"})
    exchange.send(body)
    exchange.wait(0.5)


@script("bad-length")
def _(exchange):
    body = json.dumps(chat())
    exchange.head(200, {"Content-Type": "application/json", "Content-Length": f"+{len(body)}"})
    exchange.send(body)
    exchange.wait(0.5)


@script("length-and-chunked")
def _(exchange):
    body = json.dumps(chat())
    exchange.head(200, {"Content-Type": "application/json", "Content-Length": len(body),
                        "Transfer-Encoding": "chunked"})
    exchange.chunk(body)
    exchange.last_chunk()
    exchange.wait(0.5)


@script("chunked")
def _(exchange):
    body = json.dumps(chat()).encode()
    exchange.head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
    for start in range(0, len(body), 50):
        exchange.chunk(body[start:start + 50])
    exchange.last_chunk()
    return True


@script("bad-chunk-size")
def _(exchange):
    exchange.head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
    exchange.send("zz\r\n" + json.dumps(chat()) + "\r\n0\r\n\r\n")
    exchange.wait(0.5)


@script("no-last-chunk")
def _(exchange):
    exchange.head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
    exchange.chunk(json.dumps(chat()))


@script("until-close")
def _(exchange):
    """Neither length nor chunked: the body ends with the connection, as HTTP/1.0 servers do."""
    exchange.head(200, {"Content-Type": "application/json", "Connection": "close"})
    exchange.send(json.dumps(chat()))


# -- statuses: "status-500", "status-429-date", ...

RETRY_AFTER = {
    "seconds": "7",
    "ms": None,  # retry-after-ms alone
    "absent": None,
    "date": None,  # computed
    "past": "Wed, 21 Oct 2015 07:28:00 GMT",
    "huge": "99999999",
    "negative": "-5",
    "text": "soon",
}


def http_date(seconds_from_now):
    import email.utils
    return email.utils.formatdate(time.time() + seconds_from_now, usegmt=True)


def status(exchange, code, retry_after):
    headers = {}
    if retry_after == "ms":
        headers["retry-after-ms"] = "1500"
    elif retry_after == "date":
        headers["Date"] = http_date(0)
        headers["Retry-After"] = http_date(20)
    elif retry_after and RETRY_AFTER.get(retry_after):
        headers["Retry-After"] = RETRY_AFTER[retry_after]
    bodies = {
        529: error_body("Overloaded", "overloaded_error"),
        400: error_body("max_tokens is too large: 999999.", "invalid_request_error",
                        "invalid_value", "max_tokens"),
        401: error_body("Incorrect API key provided: sk-canary-upstream.", "invalid_request_error",
                        "invalid_api_key"),
        403: error_body("Project has no access.", "invalid_request_error", "permission_denied"),
        404: error_body("The model does not exist.", "invalid_request_error", "model_not_found"),
        429: error_body("Rate limit reached for requests.", "rate_limit_error",
                        "rate_limit_exceeded"),
        503: error_body("That model is currently overloaded.", "service_unavailable_error",
                        "server_is_overloaded"),
    }
    headers["x-ratelimit-remaining-requests"] = "0" if code == 429 else "7"
    headers["Set-Cookie"] = "upstream=1"
    return exchange.answer(code, bodies.get(code, error_body("The server had an error.")), headers)


@script("quota")
def _(exchange):
    return exchange.answer(429, error_body("You exceeded your current quota.", "insufficient_quota",
                                           "insufficient_quota"))


@script("context-length")
def _(exchange):
    return exchange.answer(400, error_body(
        "This model's maximum context length is 8192 tokens.", "invalid_request_error",
        "context_length_exceeded", "messages"))


@script("html-502")
def _(exchange):
    return exchange.answer(502, "<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")


@script("redirect")
def _(exchange):
    return exchange.answer(307, "", {"Location": "http://127.0.0.1:9/stolen"})


@script("no-content")
def _(exchange):
    exchange.send("HTTP/1.1 204 No Content\r\n\r\n")
    return True


# -- a status of 200 with something else

@script("error-in-200")
def _(exchange):
    return exchange.answer(200, error_body("The engine is on fire.", "server_error", "engine"))


@script("html-200")
def _(exchange):
    return exchange.answer(200, "<html><h1>Welcome to nginx!</h1></html>", content_type="text/html")


@script("empty-200")
def _(exchange):
    return exchange.answer(200, "")


@script("truncated-json")
def _(exchange):
    return exchange.answer(200, json.dumps(chat())[:-30])


@script("not-an-object")
def _(exchange):
    return exchange.answer(200, "[1, 2, 3]")


@script("gzip")
def _(exchange):
    return exchange.answer(200, gzip.compress(json.dumps(chat()).encode()),
                           {"Content-Encoding": "gzip"})


@script("gzip-broken")
def _(exchange):
    data = bytearray(gzip.compress(json.dumps(chat()).encode()))
    data[len(data) // 2] ^= 0xff
    return exchange.answer(200, bytes(data), {"Content-Encoding": "gzip"})


@script("gzip-bomb")
def _(exchange):
    """200 MB of spaces in 200 KB: one block of a megabyte over and over. The checksum behind it is never reached."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return exchange.answer(200, head + block * 199 + packer.flush(), {"Content-Encoding": "gzip"})


@script("brotli")
def _(exchange):
    return exchange.answer(200, b"\x8b\x02\x80abc\x03", {"Content-Encoding": "br"})


# -- streams: "content" means that the client has seen text before the fault

def start_with_content(exchange, words=2):
    exchange.start_stream()
    exchange.event(chunk_of({"role": "assistant", "content": ""}))
    for word in WORDS[:words]:
        exchange.event(chunk_of({"content": word}))


@script("cut-before-content")
def _(exchange):
    """The preamble, then the end."""
    start_with_content(exchange, 0)


@script("stall-before-content")
def _(exchange):
    start_with_content(exchange, 0)
    exchange.wait()


@script("error-before-content")
def _(exchange):
    start_with_content(exchange, 0)
    exchange.event(error_body("The engine is overloaded.", "server_error", "overloaded"))
    exchange.last_chunk()
    return True


@script("cut-between-events")
def _(exchange):
    start_with_content(exchange)


@script("cut-mid-event")
def _(exchange):
    start_with_content(exchange)
    exchange.chunk('data: {"id":"chatcmpl-1","object":"chat.comple')


@script("reset-mid-stream")
def _(exchange):
    start_with_content(exchange)
    exchange.wait(0.2)  # a reset discards what the peer has not read yet
    return exchange.reset()


@script("stall-mid-stream")
def _(exchange):
    start_with_content(exchange)
    exchange.wait()


@script("no-done")
def _(exchange):
    """Ends the body rightly, but never said that the answer is complete."""
    start_with_content(exchange)
    exchange.last_chunk()
    return True


@script("no-done-after-finish")
def _(exchange):
    """A finish reason, but no [DONE]: some upstreams end this way."""
    exchange.start_stream()
    for event in chat_chunks(exchange.request):
        exchange.event(event)
    exchange.last_chunk()
    return True


@script("error-mid-stream")
def _(exchange):
    start_with_content(exchange)
    exchange.event(error_body("The engine is overloaded.", "server_error", "overloaded"))
    exchange.last_chunk()
    return True


@script("garbage-mid-stream")
def _(exchange):
    start_with_content(exchange)
    exchange.event("{not json")
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


@script("bad-chunk-mid-stream")
def _(exchange):
    start_with_content(exchange)
    exchange.send("zz\r\ndata: x\n\n\r\n")
    exchange.wait(0.5)


@script("comments")
def _(exchange):
    exchange.start_stream()
    exchange.chunk(": hello\n\n: OPENROUTER PROCESSING\n\n")
    for event in chat_chunks(exchange.request):
        exchange.chunk(f": keep-alive\nevent: message\nid: 7\nretry: 100\ndata: {json.dumps(event)}\n\n")
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


def with_line_ends(exchange, end, first=""):
    exchange.start_stream()
    if first:
        exchange.chunk(first)
    for event in [*map(json.dumps, chat_chunks(exchange.request)), "[DONE]"]:
        exchange.chunk(f"data: {event}{end}{end}")
    exchange.last_chunk()
    return True


@script("cr-only")
def _(exchange):
    return with_line_ends(exchange, "\r")


@script("crlf")
def _(exchange):
    return with_line_ends(exchange, "\r\n")


@script("byte-order-mark")
def _(exchange):
    return with_line_ends(exchange, "\n", "\ufeff")


@script("drip-stream")
def _(exchange):
    """Every byte in a packet and a chunk of its own."""
    exchange.start_stream()
    for event in [*map(json.dumps, chat_chunks(exchange.request)), "[DONE]"]:
        for byte in f"data: {event}\n\n".encode():
            exchange.chunk(bytes([byte]))
    exchange.last_chunk()
    return True


@script("one-packet")
def _(exchange):
    """Head, all events and the end in one write."""
    events = "".join(f"data: {event}\n\n" for event in
                     [*map(json.dumps, chat_chunks(exchange.request)), "[DONE]"]).encode()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events))
    return True


@script("slow-first-token")
def _(exchange):
    exchange.start_stream()
    exchange.wait(0.6)
    for event in chat_chunks(exchange.request):
        exchange.event(event)
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


@script("after-done")
def _(exchange):
    exchange.start_stream()
    for event in chat_chunks(exchange.request):
        exchange.event(event)
    exchange.event("[DONE]")
    exchange.event(chunk_of({"content": "a ghost"}))
    exchange.last_chunk()
    return True


@script("usage-unasked")
def _(exchange):
    """Reports usage whether it was asked to or not."""
    if not exchange.request.streams:
        return exchange.answer(body=chat())
    exchange.start_stream()
    for event in chat_chunks(exchange.request):
        exchange.event(event)
    if not exchange.request.wants_usage:
        exchange.event(usage_chunk())
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


@script("usage-never")
def _(exchange):
    if not exchange.request.streams:
        answer = chat()
        del answer["usage"]
        return exchange.answer(body=answer)
    start_with_content(exchange, len(WORDS))
    exchange.event(chunk_of({}, "stop"))
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


@script("stream-as-json")
def _(exchange):
    """A stream was asked for; the answer is one document."""
    return exchange.answer(body=chat())


@script("gzip-stream")
def _(exchange):
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    exchange.start_stream({"Content-Encoding": "gzip"})
    for event in [*map(json.dumps, chat_chunks(exchange.request)), "[DONE]"]:
        exchange.chunk(packer.compress(f"data: {event}\n\n".encode())
                       + packer.flush(zlib.Z_SYNC_FLUSH))
    exchange.chunk(packer.flush())
    exchange.last_chunk()
    return True


@script("paced")
def _(exchange):
    """An event each 200 ms until the peer leaves; upstream.finish ends all of these streams well."""
    start_with_content(exchange, 1)
    count = 0
    while not exchange.upstream.finish.is_set():
        exchange.event(chunk_of({"content": f" {count}"}))
        count += 1
        if exchange.upstream.finish.wait(0.2):
            break
    exchange.event(chunk_of({}, "stop"))
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


@script("flood")
def _(exchange):
    """32 MB of events as fast as they are taken."""
    exchange.start_stream()
    event = chunk_of({"content": "x" * 4000})
    data = f"data: {json.dumps(event)}\n\n".encode()
    framed = b"%x\r\n%b\r\n" % (len(data), data)
    for _ in range(32 * 1024 * 1024 // len(framed)):
        exchange.send(framed)
    exchange.event(chunk_of({}, "stop"))
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


# -- the server

class Upstream:
    """Listens from the constructor on. pair: a certificates.Pair for TLS. family: AF_INET or AF_INET6."""

    def __init__(self, pair=None, family=socket.AF_INET, port=0):
        self.requests = []
        self.connections = 0
        self.closing = threading.Event()
        self.finish = threading.Event()
        self._scripts = dict(SCRIPTS)
        self._lock = threading.Condition()
        self._open = set()
        self._tls = None
        if pair:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(pair.certificate, pair.key)
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        self._listener = socket.create_server((host, port), family=family, backlog=1024)
        self.port = self._listener.getsockname()[1]
        name = host if family == socket.AF_INET else f"[{host}]"
        self.origin = f"{'https' if pair else 'http'}://{name}:{self.port}"
        self.url = self.origin + "/v1"
        threading.stack_size(256 * 1024)
        threading.Thread(target=self._accept, daemon=True).start()

    def add(self, name, function):
        self._scripts[name] = function

    def clear(self):
        with self._lock:
            self.requests.clear()

    def wait_requests(self, count, seconds=10.0):
        """Waits until `count` requests came in; they."""
        with self._lock:
            if not self._lock.wait_for(lambda: len(self.requests) >= count, seconds):
                raise AssertionError(f"{len(self.requests)} of {count} requests reached the upstream")
            return list(self.requests)

    def close(self):
        self.closing.set()
        self.finish.set()
        # Not close() alone: a thread blocked in accept() would keep the port.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.add(connection)
            self._run(connection, number)
        except (Gone, OSError, ssl.SSLError):
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            try:
                connection.close()
            except OSError:
                pass

    def _run(self, connection, number):
        rest = b""
        while True:
            request, rest = self._read(connection, rest, number)
            if request is None:
                return
            with self._lock:
                self.requests.append(request)
                self._lock.notify_all()
            try:
                if not self._follow(Exchange(self, connection, request)):
                    return
            finally:
                request.done.set()

    def _follow(self, exchange):
        name = exchange.request.model
        if match := re.fullmatch(r"status-(\d{3})(?:-(\w+))?", name):
            return status(exchange, int(match.group(1)), match.group(2))
        return self._scripts.get(name, good)(exchange)

    @staticmethod
    def _read(connection, rest, number):
        """One request with a length or chunked body, and the bytes behind it."""
        data = rest
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None, b""
            data += more
            if data[:1] == b"\x16":  # a TLS handshake: answer as servers without TLS do
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                return None, b""
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.append((name.lower(), value.strip()))
        fields = dict(headers)
        if "chunked" in fields.get("transfer-encoding", ""):
            body, data = Upstream._read_chunks(connection, data)
        else:
            length = int(fields.get("content-length", 0))
            while len(data) < length:
                more = connection.recv(1 << 20)
                if not more:
                    return None, b""
                data += more
            body, data = data[:length], data[length:]
        request = Request(lines[0], headers, body, number)
        request.head = head.decode("latin-1")
        return request, data

    @staticmethod
    def _read_chunks(connection, data):
        def more():
            nonlocal data
            received = connection.recv(1 << 20)
            if not received:
                raise Gone
            data += received
        body = b""
        while True:
            while b"\r\n" not in data:
                more()
            size, _, data = data.partition(b"\r\n")
            length = int(size.split(b";")[0], 16)
            while len(data) < length + 2:
                more()
            body += data[:length]
            data = data[length + 2:]
            if length == 0:
                return body, data
