"""What a broken or hostile upstream may answer (RFC 9112 6.3, 7.1, 8, 11.1): one client gets it, and whoever comes
next gets his own answer, never a byte of the first one's."""

import json
import threading

from client_cases import LAST, body_of, byte_chunks, chat, chunk
from harness import EVIL, MARK, answer_text, check, completion, event, events, read_response

CASES = []

OK = completion(answer_text(MARK))
POISON = completion(answer_text(EVIL))
EVENTS = events(answer_text(MARK))


def response(body=OK, fields=b"", line=b"HTTP/1.1 200 OK", framing=None, kind=b"application/json"):
    if framing is None:
        framing = b"Content-Length: %d\r\n" % len(body)
    return line + b"\r\nContent-Type: " + kind + b"\r\n" + framing + fields + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
# A whole response that waits behind another for its victim.
BEHIND = response(POISON)


def coded(raw, **more):
    return response(raw, framing=CHUNKED, **more)


def sse(raw, framing=CHUNKED, **more):
    return response(raw, framing=framing, kind=b"text/event-stream", **more)


def whole(answer, context, stream):
    """True where the client can take the answer for a whole one."""
    if answer is None or answer.status != 200 or not answer.complete:
        return False
    if not stream:
        return b'"error"' not in answer.body
    return b"data: [DONE]" in answer.body and b'"error"' not in answer.body


def add(name, clause, wire, expect, close=True, stream=False, late=None):
    """expect: "right" (the answer is whole and the client's own), "broken" (an error, or visibly cut), "either".

    close: the upstream closes behind the bytes, else it leaves the connection open, which then must not be used again
    unless the case is named right and clean. late: bytes sent once the client has its answer.
    """

    def run(context):
        answered = threading.Event()
        sent = threading.Event()

        def script(sock, _request):
            try:
                sock.sendall(context.own(wire))
                if late is not None:
                    answered.wait(10)
                    sock.sendall(context.own(late))
                if close:
                    sock.shutdown(2)
            finally:
                sent.set()
            return "spoilt"

        context.upstream.scripts[context.mark] = script
        reader = context.connect()
        context.send(reader, chat(body=body_of(MARK, stream=True) if stream else body_of(MARK)))
        first = read_response(reader)
        check(first is not None, "the connection ended without an answer")
        answered.set()
        sent.wait(10)
        check(poison(context) not in first.body, "bytes from behind the answer reached the client")
        ok = whole(first, context, stream)
        check(expect != "right" or ok, "status %d, complete %s: %r" % (first.status, first.complete, first.body[:200]))
        check(expect != "broken" or not ok, "a broken answer passed for a whole one: %r" % first.body[:200])
        check(ok or first.status == 200 or first.status >= 500, "status %d for a fault upstream" % first.status)
        if ok:
            check(answer_text(context.mark).encode() in first.body, "not the client's own answer")
        elif first.status >= 500 and first.complete:
            check("error" in json.loads(first.body), "no error object: %r" % first.body[:200])
        reader.sock.close()

        # Those behind, on connections of their own and one after the other.
        victim = context.connect()
        for number in range(2):
            context.send(victim, chat(body=body_of(context.next)))
            second = read_response(victim)
            check(second is not None and second.status == 200 and second.complete, "the next client is not served")
            content = json.loads(second.body)["choices"][0]["message"]["content"]
            check(content == answer_text(context.next), "the next client got %r" % content)

    CASES.append((name, clause, run))


def poison(context):
    return answer_text(context.evil).encode()


# ---- lengths and codings ----

R63 = "RFC 9112 6.3"
N = len(OK)
BOTH = b"Content-Length: %d\r\n" % N
add("two different lengths", R63 + " (5)", response(fields=b"Content-Length: 5\r\n"), "broken")
add("two different lengths, the shorter first", R63 + " (5)", response(framing=b"Content-Length: 5\r\n" + BOTH), "broken")
add("two equal lengths", R63 + " (5)", response(fields=BOTH), "either")
add("a list of equal lengths", R63 + " (5)", response(framing=b"Content-Length: %d, %d\r\n" % (N, N)), "either")
add("a list of different lengths", R63 + " (5)", response(framing=b"Content-Length: %d, 5\r\n" % N), "broken")
for title, value in (("negative", b"-1"), ("signed", b"+%d" % N), ("a word", b"all"), ("hexadecimal", b"0x%x" % N), ("empty", b""),
                     ("above 64 bits", b"18446744073709551617"), ("trailing letter", b"%dx" % N)):
    add("length: " + title, R63 + " (5)", response(framing=b"Content-Length: " + value + b"\r\n"), "broken")
add("length and chunked", R63 + " (3), 11.2", coded(chunk(OK) + LAST, fields=b"Content-Length: 5\r\n"), "broken")
add("chunked and length 0", R63 + " (3)", response(chunk(OK) + LAST, framing=b"Content-Length: 0\r\n" + CHUNKED), "broken")
add("chunked twice", "RFC 9112 6.1", coded(chunk(OK) + LAST, fields=CHUNKED), "broken")
for value in (b"identity", b"xchunked", b"chunked, identity", b"chunked, chunked", b"gzip", b"cow", b"\x0bchunked"):
    add("coding %r" % value.decode(), "RFC 9112 6.1, 6.3 (4)",
        response(chunk(OK) + LAST, framing=b"Transfer-Encoding: " + value + b"\r\n"), "broken")
add("chunked in HTTP/1.0", "RFC 9112 6.1", coded(chunk(OK) + LAST, line=b"HTTP/1.0 200 OK"), "broken")
add("white space before a colon", "RFC 9112 5.1", response(framing=b"Content-Length : %d\r\n" % N), "broken")
add("a folded length", "RFC 9112 5.2", response(framing=b"Content-Length:\r\n %d\r\n" % N), "broken")

# ---- bodies ----

add("body shorter than its length", "RFC 9112 8", response(OK[:-9], framing=BOTH), "broken")
add("no body where a length was given", "RFC 9112 8", response(b"", framing=BOTH), "broken")
add("bytes behind the body", "RFC 9112 6.3, 11.1", response() + b"more", "right", close=False)
add("a whole response behind the body", "RFC 9112 9.3.2, 11.1", response() + BEHIND, "right", close=False)
add("a whole response behind the body, then a close", "RFC 9112 11.1", response() + BEHIND, "right")
add("a whole response sent later", "RFC 9112 11.1", response(), "right", close=False, late=BEHIND)
add("one byte sent later", "RFC 9112 11.1", response(), "right", close=False, late=b"\n")
add("an error sent later, as for a time-out", "RFC 9110 15.5.9", response(), "right", close=False,
    late=b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
add("a response behind chunks", "RFC 9112 11.1", coded(chunk(OK) + LAST) + BEHIND, "right", close=False)
add("a response behind a 204", "RFC 9112 6.3 (1)", b"HTTP/1.1 204 No Content\r\n\r\n" + BEHIND, "broken", close=False)
add("a 204 with a length and a body", "RFC 9112 6.3 (1)", response(BEHIND, line=b"HTTP/1.1 204 No Content"), "broken", close=False)
add("a 304 with a body", "RFC 9112 6.3 (1)", response(BEHIND, line=b"HTTP/1.1 304 Not Modified"), "broken", close=False)
add("a body up to the close", R63 + " (8)", response(framing=b""), "right")
add("Connection: close, then more", "RFC 9112 9.6", response(fields=b"Connection: close\r\n") + BEHIND, "right")

# ---- chunks ----

R71 = "RFC 9112 7.1"
S = b"%x" % N
for title, raw in (
    ("bare LF behind the size", S + b"\n" + OK + b"\r\n" + LAST),
    ("bare LF behind the data", S + b"\r\n" + OK + b"\n" + LAST),
    ("0x before the size", b"0x" + chunk(OK) + LAST),
    ("minus before the size", b"-" + chunk(OK) + LAST),
    ("space before the size", b" " + chunk(OK) + LAST),
    ("no size", b"\r\n" + OK + b"\r\n" + LAST),
    ("a word for a size", b"size\r\n" + OK + b"\r\n" + LAST),
    ("size that wraps 64 bits", b"1" + b"0" * (16 - len(S)) + S + b"\r\n" + OK + b"\r\n" + LAST),
    ("data longer than its size", b"%x\r\n" % (N - 1) + OK + b"\r\n" + LAST),
    ("data shorter than its size", b"%x\r\n" % (N + 1) + OK + b"\r\n" + LAST),
    ("no last chunk", chunk(OK)),
    ("cut in the data", b"%x\r\n" % (N + 50) + OK),
    ("cut in a size", chunk(OK[:9]) + b"1"),
    ("extensions without an end", S + b";" + b"a" * 40000),
    ("trailers without an end", chunk(OK) + b"0\r\n" + b"X-A: b\r\n" * 9000),
    ("a response for a trailer", chunk(OK) + b"0\r\n" + BEHIND),
):
    add("chunks: " + title, R71, coded(raw), "broken")
add("chunks: trailers that frame", "RFC 9110 6.5.1", coded(chunk(OK) + b"0\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\n\r\n"), "right")
add("chunks: one byte each", R71, lambda own: coded(byte_chunks(own(OK)) + LAST), "right")

# ---- heads ----

R4 = "RFC 9112 4"
for title, line in (("garbage", b"garbage"), ("HTML", b"<html><body>Bad gateway</body></html>"), ("HTTP/2", b"HTTP/2 200 OK"),
                    ("version 1.2", b"HTTP/1.2 200 OK"), ("two digits", b"HTTP/1.1 20 OK"), ("four digits", b"HTTP/1.1 2000 OK"),
                    ("status 000", b"HTTP/1.1 000 OK"), ("status 999", b"HTTP/1.1 999 No"), ("control byte", b"HTTP/1.1 200 O\x01K"),
                    ("ICY", b"ICY 200 OK"), ("a leading space", b" HTTP/1.1 200 OK")):
    add("status line: " + title, R4, response(line=line), "broken")
add("status line: without a reason", R4, response(line=b"HTTP/1.1 200"), "right")
add("head: NUL in a value", "RFC 9110 5.5", response(fields=b"X-A: b\0c\r\n"), "broken")
add("head: bare LF lines", "RFC 9112 2.2", response().replace(b"\r\n", b"\n"), "broken")
add("head: folded", "RFC 9112 5.2", response(fields=b"X-A: b\r\n c\r\n"), "broken")
add("head: no colon", "RFC 9112 5", response(fields=b"X-A\r\n"), "broken")
add("head: a megabyte", "RFC 9110 5.4", response(fields=b"X-A: " + b"a" * (1 << 20) + b"\r\n"), "broken")
add("head: 5000 fields", "RFC 9110 5.4", response(fields=b"X-A: b\r\n" * 5000), "broken")
add("head: splits for the client", "RFC 9112 11.1", response(fields=b"X-Request-Id: a\rSet-Cookie: b\r\n"), "broken")
add("early close: not one byte", "RFC 9112 8", b"", "broken")
add("early close: in the status line", "RFC 9112 8", b"HTTP/1.1 2", "broken")
add("early close: in a field", "RFC 9112 8", response()[:40], "broken")
add("early close: before the empty line", "RFC 9112 8", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "broken")

# ---- interim responses ----

R152 = "RFC 9110 15.2"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
add("interim: some before the answer", R152, CONTINUE + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(), "right")
add("interim: ten thousand", R152 + ", RFC 9112 11.1", CONTINUE * 10000 + response(), "either")
add("interim: then a close", R152, CONTINUE, "broken")
add("interim: with a body", "RFC 9112 6.3 (1)", response(BEHIND, line=b"HTTP/1.1 100 Continue") + response(), "broken")
add("interim: 101 unasked", "RFC 9110 15.2.2", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + response(), "broken")

# ---- streams ----

HALF = event(answer_text(MARK))
add("stream: as it should be", R71, sse(chunk(EVENTS) + LAST), "right", stream=True)
add("stream: cut between events", "RFC 9112 8", sse(chunk(HALF)), "broken", stream=True)
add("stream: cut in an event", "RFC 9112 8", sse(chunk(HALF) + b"40\r\ndata: {"), "broken", stream=True)
add("stream: bad chunk behind an event", R71, sse(chunk(HALF) + b"xyz\r\n" + EVENTS), "broken", stream=True)
add("stream: chunk longer than its size", R71, sse(b"%x\r\n" % (len(HALF) - 3) + HALF + b"\r\n" + LAST), "broken", stream=True)
add("stream: shorter than its length", "RFC 9112 8", sse(HALF, framing=b"Content-Length: 9999\r\n"), "broken", stream=True)
add("stream: a response behind it", "RFC 9112 11.1", sse(chunk(EVENTS) + LAST) + BEHIND, "right", stream=True, close=False)
add("stream: a response sent later", "RFC 9112 11.1", sse(chunk(EVENTS) + LAST), "right", stream=True, close=False, late=BEHIND)
add("stream: length and chunked", R63 + " (3)", sse(chunk(EVENTS) + LAST, fields=b"Content-Length: 7\r\n"), "broken", stream=True)
