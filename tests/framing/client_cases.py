"""What clients may send, and must not: RFC 9112 (HTTP/1.1), RFC 9110 (HTTP semantics), RFC 3986 (URIs).

Each case names the clause it stands on. A refused case runs twice: alone, when it has to be answered with one of
its statuses and the connection closed; and with a whole valid request right behind it, which must never be served.
"""

import json

from harness import EVIL, KEY, MARK, answer_text, check, read_response, values

CASES = []


def body_of(mark, **more):
    return json.dumps(
        dict({"model": "m", "messages": [{"role": "user", "content": mark}]}, **more), separators=(",", ":")
    ).encode()


BODY = body_of(MARK)
EVIL_BODY = body_of(EVIL)
LINE = b"POST /v1/chat/completions HTTP/1.1"
HOST = b"Host: gateway\r\n"
AUTH = b"Authorization: Bearer " + KEY.encode() + b"\r\n"
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def head(fields=b"", line=LINE, host=HOST):
    return line + b"\r\n" + host + AUTH + JSON + fields + b"\r\n"


def length(body=BODY):
    return b"Content-Length: %d\r\n" % len(body)


def chat(fields=b"", line=LINE, host=HOST, body=BODY):
    """A request that is right but for what is given."""
    return head(length(body) + fields, line, host) + body


def chunk(data, extension=b""):
    return b"%x" % len(data) + extension + b"\r\n" + data + b"\r\n"


LAST = b"0\r\n\r\n"


def byte_chunks(data):
    return b"".join(chunk(data[i : i + 1]) for i in range(len(data)))


def coded(raw, fields=b"", line=LINE):
    return head(CHUNKED + fields, line) + raw


def evil():
    return chat(body=EVIL_BODY)


def own_answer(context, response, mark=None):
    check(response is not None, "closed without an answer")
    check(response.status == 200, "status %d: %r" % (response.status, response.body[:300]))
    check(response.complete, "the answer is cut")
    content = json.loads(response.body)["choices"][0]["message"]["content"]
    check(content == answer_text(mark or context.mark), "somebody else's answer: %r" % content)


def no_evil(context):
    check(context.upstream.count(context.evil) == 0, "the request hidden behind was served")


def usable(context, reader):
    """The connection serves a next request, and that as its own."""
    context.send(reader, chat(body=body_of(context.next)))
    own_answer(context, read_response(reader), context.next)


def add(name, clause, run):
    CASES.append((name, clause, run))


def refused(name, clause, wire, statuses=(400,), shut=False):
    def run(context):
        for behind in (b"", evil()):
            reader = context.connect()
            context.send(reader, wire + (b"" if shut else behind))
            if shut:
                reader.sock.shutdown(1)
            response = read_response(reader)
            if not behind and not shut:  # to a cut request an answer is optional: RFC 9112 8
                check(response is not None, "closed without an answer")
            if response is not None:
                check(response.status in statuses, "status %d, not %r" % (response.status, statuses))
                check(response.complete, "the answer is cut")
            rest = reader.rest()
            check(not rest, "more came after the refusal: %r" % rest[:200])
        check(context.upstream.count(context.mark) == 0, "it reached the upstream")
        no_evil(context)

    add(name, clause, run)


def served(name, clause, wire, keep=True, body=BODY, pieces=None):
    """Answered by the upstream, which sees the body as it was sent; then the connection is open, or closed.

    pieces: the size of the writes in which it is sent.
    """

    def run(context):
        reader = context.connect()
        whole = context.own(wire)
        for start in range(0, len(whole), pieces or len(whole)):
            context.send(reader, whole[start : start + (pieces or len(whole))])
        response = read_response(reader)
        own_answer(context, response)
        seen = context.upstream.seen(context.mark)
        check(len(seen) == 1, "%d upstream requests for one" % len(seen))
        check(json.loads(seen[0].body)["messages"] == json.loads(context.own(body))["messages"], "another body")
        if keep:
            check(not response.says_close(), "the answer says close")
            usable(context, reader)
        else:
            check(response.says_close(), "the answer does not say close")
            check(not reader.rest(), "bytes behind the answer")
        no_evil(context)

    add(name, clause, run)


def answered(name, clause, wire, statuses, method="POST", keep=None):
    """Answered by the gateway itself. keep None: either is fine, but an open connection must be in step."""

    def run(context):
        reader = context.connect()
        context.send(reader, wire)
        response = read_response(reader, method)
        check(response is not None, "closed without an answer")
        check(response.status in statuses, "status %d, not %r" % (response.status, statuses))
        check(response.complete, "the answer is cut")
        check(context.upstream.count(context.mark) == 0, "it reached the upstream")
        if keep is True:
            check(not response.says_close(), "the answer says close")
        if keep is not False and not response.says_close():
            usable(context, reader)
        else:
            check(response.says_close(), "the answer does not say close")
            check(not reader.rest(), "bytes behind the answer")
        no_evil(context)

    add(name, clause, run)


# ---- request line ----

R3 = "RFC 9112 3"
refused("line: leading space", R3, chat(line=b" " + LINE))
refused("line: leading tab", R3, chat(line=b"\t" + LINE))
refused("line: two spaces after the method", R3, chat(line=b"POST  /v1/chat/completions HTTP/1.1"))
refused("line: two spaces after the target", R3, chat(line=b"POST /v1/chat/completions  HTTP/1.1"))
refused("line: tab between the parts", R3, chat(line=b"POST\t/v1/chat/completions\tHTTP/1.1"))
refused("line: trailing space", R3, chat(line=LINE + b" "))
refused("line: vertical tab between the parts", R3, chat(line=b"POST\x0b/v1/chat/completions HTTP/1.1"))
refused("line: a fourth word", R3, chat(line=LINE + b" HTTP/1.1"))
refused("line: method alone", R3, chat(line=b"POST"))
refused("line: no method", R3, chat(line=b"/v1/chat/completions HTTP/1.1"))
refused("line: no target", R3, chat(line=b"POST HTTP/1.1"))
refused("line: empty target", R3, chat(line=b"POST  HTTP/1.1"))
refused("line: HTTP/0.9 request", "RFC 9112 2.3, 3", b"GET /\r\n" + chat(body=EVIL_BODY))
refused("line: bare LF at its end", "RFC 9112 2.2", LINE + b"\n" + HOST + AUTH + JSON + length() + b"\r\n" + BODY)
refused("line: bare CR inside", "RFC 9112 2.2", chat(line=b"POST /v1/chat\r/completions HTTP/1.1"))
refused("line: NUL in the method", "RFC 9110 9.1", chat(line=b"PO\0ST /v1/chat/completions HTTP/1.1"))
refused("line: method that is no token", "RFC 9110 9.1", chat(line=b"PO(ST) /v1/chat/completions HTTP/1.1"))
refused("line: method with a colon", "RFC 9110 9.1", chat(line=b"POST: /v1/chat/completions HTTP/1.1"))
refused("line: bytes above ASCII in the method", "RFC 9110 9.1", chat(line=b"P\xc3\x96ST / HTTP/1.1"))
refused("line: method longer than any", R3, chat(line=b"P" * 100 + b" / HTTP/1.1"), (400, 501))
refused("line: a TLS hello", R3, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 64)
refused("line: two empty lines before it", "RFC 9112 2.2", b"\r\n\r\n" + chat())
refused("line: a bare LF before it", "RFC 9112 2.2", b"\n" + chat())
served("line: one empty line before it", "RFC 9112 2.2", b"\r\n" + chat())

# ---- version ----

R23 = "RFC 9112 2.3"
for version in (b"http/1.1", b"HTTP/1.", b"HTTP/1", b"HTTP/.1", b"HTTP/1.1.1", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1,1",
                b"HTTP /1.1", b"HTTPS/1.1", b"HTTP/1.1x", b"XTTP/1.1", b"HTTP/-1.1", b"HTTP/1.x"):
    refused("version: %s" % version.decode(), R23, chat(line=b"POST /v1/chat/completions " + version))
for version in (b"HTTP/2.0", b"HTTP/1.2", b"HTTP/0.9", b"HTTP/3.0"):
    refused("version: %s" % version.decode(), "RFC 9110 15.6.6", chat(line=b"POST /v1/chat/completions " + version), (505,))
refused("version: the HTTP/2 preface", "RFC 9113 3.4, RFC 9110 15.6.6", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (505,))

# ---- target ----

R32 = "RFC 9112 3.2"
for title, target in (("relative", b"v1/chat/completions"), ("fragment", b"/v1/chat/completions#x"),
                      ("half an escape", b"/v1/chat/completions%"), ("bad escape", b"/v1/chat/completions%4x"),
                      ("quote", b'/v1/chat/"completions'), ("angle brackets", b"/v1/<chat>/completions"),
                      ("backslash", b"/v1\\chat\\completions"), ("bytes above ASCII", b"/v1/ch\xc3\xa4t"),
                      ("DEL", b"/v1/chat\x7f"), ("NUL", b"/v1/chat\0"), ("asterisk with POST", b"*"),
                      ("authority with POST", b"gateway:80"), ("other scheme", b"ftp://gateway/v1/chat/completions"),
                      ("no authority", b"http:///v1/chat/completions"), ("user-info", b"http://u@gateway/v1/chat/completions"),
                      ("other authority than Host", b"http://elsewhere/v1/chat/completions")):
    refused("target: " + title, R32 + ", RFC 3986 3", chat(line=b"POST " + target + b" HTTP/1.1"))
refused("target: CONNECT", "RFC 9112 3.2.3, RFC 9110 9.3.6", chat(line=b"CONNECT gateway:443 HTTP/1.1"), (400, 405, 501))
served("target: absolute form", "RFC 9112 3.2.2", chat(line=b"POST http://gateway/v1/chat/completions HTTP/1.1"))
served("target: absolute form, host in other case", "RFC 9110 4.2.3",
       chat(line=b"POST http://GateWay/v1/chat/completions HTTP/1.1"))
served("target: with a query", "RFC 9112 3.2.1", chat(line=b"POST /v1/chat/completions?a=b HTTP/1.1"))
answered("target: OPTIONS *", "RFC 9112 3.2.4", head(b"Content-Length: 0\r\n", b"OPTIONS * HTTP/1.1"),
         (200, 204, 400, 403, 404, 405, 501))

# ---- Host ----

RHOST = "RFC 9112 3.2, RFC 9110 7.2"
refused("host: missing", RHOST, chat(host=b""))
refused("host: empty", RHOST, chat(host=b"Host:\r\n"))
refused("host: twice", RHOST, chat(host=b"Host: gateway\r\nHost: gateway\r\n"))
refused("host: twice in other case, other value", RHOST, chat(host=b"Host: gateway\r\nhOST: evil\r\n"))
refused("host: second one behind other fields", RHOST, chat(b"Host: evil\r\n"))
for host in (b"gateway, evil", b"gateway,evil", b"gateway evil", b"u@gateway", b"u:p@gateway", b"gateway/x", b"http://gateway",
             b"gateway?x", b"gateway#x", b"gateway\\x", b"gateway:", b":80", b"gateway:x", b"gateway:-1", b"gateway:65536",
             b"gateway:80:80", b"[::1", b"::1", b"[::1]x", b"[x]", b"g%61teway", b"g\xc3\xa4teway", b"gate\tway"):
    refused("host: %r" % host.decode("latin-1"), RHOST + ", RFC 3986 3.2.2", chat(host=b"Host: " + host + b"\r\n"))
refused("host: folded onto the next line", "RFC 9112 5.2", chat(host=b"Host:\r\n gateway\r\n"))
refused("host: white space before the colon", "RFC 9112 5.1", chat(host=b"Host : gateway\r\n"))
served("host: with a port", RHOST, chat(host=b"Host: gateway:8080\r\n"))
served("host: IPv6", RHOST, chat(host=b"Host: [::1]:8080\r\n"))
served("host: no space, odd case", "RFC 9110 5.1, 5.5", chat(host=b"hOsT:gateway\r\n"))
served("host: white space around", "RFC 9110 5.5", chat(host=b"Host: \t gateway \t\r\n"))

# ---- header fields ----

R5 = "RFC 9112 5"
for title, field in (("white space before the colon", b"X-A : b\r\n"), ("tab before the colon", b"X-A\t: b\r\n"),
                     ("no colon", b"X-A\r\n"), ("empty name", b": b\r\n"), ("space in the name", b"X A: b\r\n"),
                     ("folded with a space", b"X-A: b\r\n c\r\n"), ("folded with a tab", b"X-A: b\r\n\tc\r\n"),
                     ("NUL in the name", b"X\0A: b\r\n"), ("control byte in the name", b"X\x01A: b\r\n"),
                     ("bytes above ASCII in the name", b"X-\xc3\xa4: b\r\n"), ("bracket in the name", b"X[A]: b\r\n"),
                     ("quote in the name", b'"X": b\r\n'), ("slash in the name", b"X/A: b\r\n")):
    refused("field: " + title, R5 + ", RFC 9110 5.1", chat(field))
for title, field in (("NUL in the value", b"X-A: b\0c\r\n"), ("control byte in the value", b"X-A: b\x01c\r\n"),
                     ("DEL in the value", b"X-A: b\x7fc\r\n"), ("bare CR in the value", b"X-A: b\rc\r\n"),
                     ("bare LF in the value", b"X-A: b\nX-C: d\r\n"), ("CR CR LF", b"X-A: b\r\r\n"),
                     ("bare LF hides a coding", b"X-A: b\nTransfer-Encoding: chunked\r\n"),
                     ("bare CR hides a length", b"X-A: b\rContent-Length: 0\r\n")):
    refused("field: " + title, "RFC 9110 5.5, RFC 9112 2.2", chat(field))
refused("field: the first one is indented", "RFC 9112 2.2", LINE + b"\r\n Host: gateway\r\n" + AUTH + length() + b"\r\n" + BODY)
refused("field: the head ends with bare LFs", "RFC 9112 2.2", LINE + b"\r\n" + HOST + AUTH + JSON + length() + b"\n" + BODY)
refused("field: all lines end with bare LF", "RFC 9112 2.2", head(length()).replace(b"\r\n", b"\n") + BODY)
for name in (b"Content_Length: 0", b"content_length: 0", b"Transfer_Encoding: chunked", b"transfer_encoding: chunked",
             b"Host_: evil", b"_Host: evil"):
    refused("field: look-alike %s" % name.decode(), "RFC 9112 11.2", chat(name + b"\r\n"))
served("field: empty value", "RFC 9110 5.5", chat(b"X-Empty:\r\n"))
served("field: bytes above ASCII in the value", "RFC 9110 5.5", chat(b"X-A: caf\xc3\xa9\r\n"))
served("field: tab in the value", "RFC 9110 5.5", chat(b"X-A: b\tc\r\n"))
served("field: every token byte in a name", "RFC 9110 5.6.2", chat(b"!#$%&'*+-.^_`|~09azAZ: b\r\n"))

# ---- Content-Length ----

RCL = "RFC 9112 6.2, 6.3; RFC 9110 8.6"
N = len(BODY)
for title, value in (("empty", b""), ("signed", b"+%d" % N), ("negative", b"-1"), ("hexadecimal", b"0x%x" % N), ("a word", b"many"),
                     ("trailing letter", b"%da" % N), ("decimal point", b"%d.0" % N), ("exponent", b"1e2"), ("two numbers", b"%d %d" % (N, N)),
                     ("list of equal ones", b"%d, %d" % (N, N)), ("list of different ones", b"%d, 0" % N), ("trailing comma", b"%d," % N),
                     ("leading comma", b",%d" % N), ("quoted", b'"%d"' % N), ("above 64 bits", b"18446744073709551617"),
                     ("wraps to its own value", b"%d" % (2**64 + N)), ("underscore", b"1_0"), ("no-break space", b"\xc2\xa0%d" % N),
                     ("vertical tab", b"\x0b%d" % N), ("leading zeros", b"000%d" % N), ("semicolon", b"%d;" % N)):
    refused("length: " + title, RCL, head(b"Content-Length: " + value + b"\r\n") + BODY)
refused("length: above 63 bits", RCL, head(b"Content-Length: 9223372036854775808\r\n") + BODY, (400, 413))
refused("length: twice, equal", RCL, chat(length()))
refused("length: twice, different", RCL, chat(b"Content-Length: 0\r\n"))
refused("length: twice, in other case", RCL, chat(b"content-length: 0\r\n"))
refused("length: white space before the colon", "RFC 9112 5.1", head(b"Content-Length : %d\r\n" % N) + BODY)
refused("length: the body is cut short", "RFC 9112 8", head(b"Content-Length: %d\r\n" % (N + 10)) + BODY, (400,), shut=True)
refused("length: larger than the gateway takes", "RFC 9110 15.5.14", head(b"Content-Length: 99999999999\r\n"), (413,))
served("length: white space around", "RFC 9110 5.5", head(b"Content-Length: \t%d \t\r\n" % N) + BODY)
served("length: no space, odd case", "RFC 9110 5.1", head(b"cOnTeNt-LeNgTh:%d\r\n" % N) + BODY)
served("length: the body drips in", RCL, chat(), pieces=7)
answered("length: POST without any", "RFC 9112 6.3 (7)", head(), (400, 411))

# ---- Transfer-Encoding ----

RTE = "RFC 9112 6.1, 6.3"
WHOLE = chunk(BODY) + LAST
for title, value in (("empty", b""), ("identity", b"identity"), ("unknown", b"cow"), ("xchunked", b"xchunked"), ("chunkedx", b"chunkedx"),
                     ("gzip alone", b"gzip"), ("chunked twice in a list", b"chunked, chunked"), ("chunked before gzip", b"chunked, gzip"),
                     ("chunked before identity", b"chunked, identity"), ("trailing comma", b"chunked,"), ("leading comma", b",chunked"),
                     ("a parameter", b"chunked;q=1"), ("quoted", b'"chunked"'), ("split", b"chun ked"), ("vertical tab", b"\x0bchunked"),
                     ("form feed behind", b"chunked\x0c"), ("no-break space", b"\xc2\xa0chunked"), ("NUL behind", b"chunked\0"),
                     ("two words", b"gzip chunked"), ("bare CR before", b"\rchunked")):
    refused("coding: " + title, RTE, head(b"Transfer-Encoding: " + value + b"\r\n") + WHOLE)
    if title in ("identity", "xchunked", "chunked before gzip", "quoted", "vertical tab", "empty"):
        refused("coding with a length: " + title, "RFC 9112 6.3 (3), 11.2",
                head(length() + b"Transfer-Encoding: " + value + b"\r\n") + BODY)
refused("coding: gzip, chunked", "RFC 9112 6.1", head(b"Transfer-Encoding: gzip, chunked\r\n") + WHOLE, (400, 501))
refused("coding: twice", RTE, head(CHUNKED + CHUNKED) + WHOLE)
refused("coding: chunked, then identity in a second field", RTE, head(CHUNKED + b"Transfer-Encoding: identity\r\n") + WHOLE)
refused("coding: identity, then chunked in a second field", RTE, head(b"Transfer-Encoding: identity\r\n" + CHUNKED) + WHOLE)
refused("coding: in HTTP/1.0", RTE, coded(WHOLE, line=LINE[:-1] + b"0"))
refused("coding: white space before the colon", "RFC 9112 5.1", head(b"Transfer-Encoding : chunked\r\n" + length()) + BODY)
refused("coding: folded", "RFC 9112 5.2", head(b"Transfer-Encoding:\r\n chunked\r\n" + length()) + BODY)
refused("coding: name folded", "RFC 9112 5.2", head(b"Transfer-Encoding\r\n : chunked\r\n" + length()) + BODY)
refused("coding: behind a field that ends in bare LF", "RFC 9112 2.2", head(b"X: y\nTransfer-Encoding: chunked\r\n" + length()) + BODY)
served("coding: in capitals", "RFC 9112 7", head(b"Transfer-Encoding: CHUNKED\r\n") + WHOLE)
served("coding: white space around", "RFC 9110 5.5", head(b"Transfer-Encoding:\tchunked \r\n") + WHOLE)

# ---- smuggling by disagreement ----

R112 = "RFC 9112 6.3 (3), 11.2"
refused("smuggling: CL.TE", R112, head(b"Content-Length: %d\r\n" % (len(LAST) + len(evil())) + CHUNKED) + LAST + evil())
refused("smuggling: TE.CL", R112, head(CHUNKED + b"Content-Length: 4\r\n") + chunk(evil()) + LAST)
refused("smuggling: both, body right for the length", R112, chat(CHUNKED))
refused("smuggling: both, body right for the coding", R112, head(b"Content-Length: %d\r\n" % len(WHOLE) + CHUNKED) + WHOLE)
refused("smuggling: length 0 and chunked", R112, head(b"Content-Length: 0\r\n" + CHUNKED) + WHOLE)
refused("smuggling: TE.0", R112, head(CHUNKED + b"Content-Length: 0\r\n") + chunk(evil()) + LAST)


def body_is_no_request(name, line, auth, statuses, method):
    """CL.0: a route that does not want a body must not serve it as the next request either."""
    wire = line + b"\r\n" + HOST + auth + b"Content-Length: %d\r\n\r\n" % len(evil()) + evil()
    answered("smuggling: CL.0, " + name, "RFC 9112 6, 9.3", wire, statuses, method)


body_is_no_request("GET with a body", b"GET /v1/models HTTP/1.1", AUTH, (200, 400), "GET")
body_is_no_request("health route", b"GET /healthz HTTP/1.1", b"", (200, 400), "GET")
body_is_no_request("unknown route", b"POST /nowhere HTTP/1.1", AUTH, (404,), "POST")
body_is_no_request("wrong method", b"DELETE /v1/chat/completions HTTP/1.1", AUTH, (404, 405), "DELETE")
body_is_no_request("no key", LINE, b"", (401,), "POST")
body_is_no_request("bad key", LINE, b"Authorization: Bearer wrong\r\n", (401,), "POST")
body_is_no_request("HEAD", b"HEAD /v1/models HTTP/1.1", AUTH, (200, 400, 404, 405), "HEAD")
body_is_no_request("OPTIONS", b"OPTIONS /v1/chat/completions HTTP/1.1", AUTH, (200, 204, 400, 403, 404, 405), "OPTIONS")
body_is_no_request("body that is no JSON", LINE, AUTH, (400,), "POST")

# ---- chunked bodies ----

R71 = "RFC 9112 7.1"
S = b"%x" % N
for title, raw in (
    ("bare LF behind the size", S + b"\n" + BODY + b"\r\n" + LAST),
    ("bare CR behind the size", S + b"\r" + BODY + b"\r\n" + LAST),
    ("bare LF behind the data", S + b"\r\n" + BODY + b"\n" + LAST),
    ("another byte for the CR behind the data", S + b"\r\n" + BODY + b"x\n" + LAST),
    ("nothing behind the data", S + b"\r\n" + BODY + LAST),
    ("bare LFs in the last chunk", chunk(BODY) + b"0\n\n"),
    ("last line ends in bare LF", chunk(BODY) + b"0\r\n\n"),
    ("space before the size", b" " + WHOLE),
    ("space behind the size", S + b" \r\n" + BODY + b"\r\n" + LAST),
    ("tab behind the size", S + b"\t\r\n" + BODY + b"\r\n" + LAST),
    ("0x before the size", b"0x" + WHOLE),
    ("plus before the size", b"+" + WHOLE),
    ("minus before the size", b"-" + WHOLE),
    ("underscore in the size", S[:1] + b"_" + S[1:] + b"\r\n" + BODY + b"\r\n" + LAST),
    ("no size", b"\r\n" + BODY + b"\r\n" + LAST),
    ("a word for a size", b"size\r\n" + BODY + b"\r\n" + LAST),
    ("NUL behind the size", S + b"\0\r\n" + BODY + b"\r\n" + LAST),
    ("comma behind the size", S + b",\r\n" + BODY + b"\r\n" + LAST),
    ("size that wraps 64 bits", b"1" + b"0" * (16 - len(S)) + S + b"\r\n" + BODY + b"\r\n" + LAST),
    ("size that wraps 32 bits to its own", b"%x" % (2**64 * 2 + N) + b"\r\n" + BODY + b"\r\n" + LAST),
    ("data longer than its size", b"%x\r\n" % (N - 1) + BODY + b"\r\n" + LAST),
    ("data shorter than its size", b"%x\r\n" % (N + 1) + BODY + b"\r\n" + LAST),
    ("an empty line between chunks", chunk(BODY[:9]) + b"\r\n" + chunk(BODY[9:]) + LAST),
):
    refused("chunks: " + title, R71, coded(raw))
refused("chunks: a size of 63 bits", R71, coded(b"7fffffffffffffff\r\n" + BODY), (400, 413), shut=True)
refused("chunks: cut in the data", "RFC 9112 8", coded(b"%x\r\n" % (N + 9) + BODY), (400,), shut=True)
refused("chunks: no last chunk", "RFC 9112 8", coded(chunk(BODY)), (400,), shut=True)
refused("chunks: cut behind the last size", "RFC 9112 8", coded(chunk(BODY) + b"0\r\n"), (400,), shut=True)

R711 = "RFC 9112 7.1.1"
for title, extension in (("no name", b";"), ("no name before =", b";=b"), ("no value", b";a="), ("bare LF", b";a\nb"), ("bare CR", b";a\rb"),
                         ("NUL", b";a=\0"), ("open quote", b';a="b'), ("LF in quotes", b';a="b\nc"'), ("space in the name", b";a b"),
                         ("bare LF hides a chunk", b";a\n" + LAST)):
    refused("extension: " + title, R711, coded(chunk(BODY, extension) + LAST))
refused("extension: 20 KB of it", R711 + ", 11.1", coded(chunk(BODY, b";a=" + b"b" * 20000) + LAST), (400, 413, 431))
refused("extension: one to each of 3000 chunks", R711 + ", 11.1",
        coded(b"".join(chunk(b" ", b";abcdefgh=ijklmn") for _ in range(3000)) + WHOLE), (400, 413, 431))

R712 = "RFC 9112 7.1.2"
for title, trailer in (("no colon", b"X-A\r\n"), ("white space before the colon", b"X-A : b\r\n"), ("folded", b"X-A: b\r\n c\r\n"),
                       ("empty name", b": b\r\n"), ("bare LF", b"X-A: b\n"), ("bare CR", b"X-A: b\rc\r\n"), ("NUL", b"X-A: \0\r\n"),
                       ("a request line", b"GET /v1/models HTTP/1.1\r\n")):
    refused("trailer: " + title, R712, coded(chunk(BODY) + b"0\r\n" + trailer + b"\r\n"))
refused("trailer: 20 KB of them", R712, coded(chunk(BODY) + b"0\r\n" + b"X-A: 0123456789\r\n" * 1200 + b"\r\n"), (400, 413, 431))
served("trailer: framing and routing fields are dropped", "RFC 9110 6.5.1",
       coded(chunk(BODY) + b"0\r\nContent-Length: 3\r\nTransfer-Encoding: gzip\r\nHost: evil\r\nAuthorization: Bearer x\r\n\r\n"))
served("chunks: one byte each", R71, lambda own: coded(byte_chunks(own(BODY)) + LAST))
served("chunks: drip in byte by byte", R71, coded(WHOLE), pieces=1)
served("chunks: capitals and leading zeros", R71, coded(b"000" + S.upper() + b"\r\n" + BODY + b"\r\n000\r\n\r\n"))
served("chunks: extensions are passed over", R711, coded(chunk(BODY, b';a=b;c="d;\\"e" ; f') + b"0;z\r\n\r\n"))

# ---- persistence and pipelining ----

R93 = "RFC 9112 9.3"
served("connection: close", "RFC 9112 9.6", chat(b"Connection: close\r\n"), keep=False)
served("connection: close among others, in capitals", "RFC 9110 7.6.1", chat(b"Connection: X-Hop, CLOSE\r\nX-Hop: 1\r\n"), keep=False)
served("connection: nothing behind a close is served", "RFC 9112 9.6", chat(b"Connection: close\r\n") + evil(), keep=False)
served("connection: HTTP/1.0 closes", R93, chat(line=LINE[:-1] + b"0"), keep=False)
served("connection: HTTP/1.0 without Host", RHOST, chat(line=LINE[:-1] + b"0", host=b""), keep=False)
served("connection: keep-alive", R93, chat(b"Connection: keep-alive\r\n"))
served("connection: an upgrade is ignored", "RFC 9110 7.8", chat(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"))
served("connection: an upgrade to h2c is ignored", "RFC 9110 7.8",
       chat(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"))
served("connection: TE and Trailer are not for the upstream", "RFC 9110 7.6.1", chat(b"Connection: TE\r\nTE: trailers\r\nTrailer: X\r\n"))
# RFC 6455 4.2.1: what is no handshake is answered, and the connection stays in step.
SESSION = b"GET /v1/realtime?model=m HTTP/1.1"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
SOCKET = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
R6455 = "RFC 6455 4.2.1"
answered("handshake: no Upgrade", R6455, head(SOCKET, SESSION), (426,), keep=True)
answered("handshake: another protocol", R6455, head(b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + SOCKET, SESSION), (426,))
answered("handshake: another version", R6455, head(UPGRADE + SOCKET.replace(b"13", b"8"), SESSION), (426,))
answered("handshake: Connection says nothing of it", R6455, head(b"Upgrade: websocket\r\n" + SOCKET, SESSION), (400,))
answered("handshake: no key", R6455, head(UPGRADE + b"Sec-WebSocket-Version: 13\r\n", SESSION), (400,))
answered("handshake: two keys", R6455, head(UPGRADE + SOCKET + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", SESSION), (400,))
answered("handshake: HTTP/1.0", R6455, head(UPGRADE + SOCKET, SESSION[:-1] + b"0"), (400,), keep=False)
answered("handshake: with a body", R6455, head(UPGRADE + SOCKET + length(), SESSION) + BODY, (400,))
answered("handshake: with a chunked body", R6455, head(UPGRADE + SOCKET + CHUNKED, SESSION) + chunk(BODY) + LAST, (400,), keep=False)
answered("handshake: by POST", R6455, head(UPGRADE + SOCKET + length(b""), b"POST /v1/realtime?model=m HTTP/1.1"), (405,))
refused("connection: not a list of tokens", "RFC 9110 7.6.1", chat(b"Connection: clo se\r\n"))


def pipelined(context):
    reader = context.connect()
    wires = [chat(body=body_of(context.mark + " first")), coded(chunk(body_of(context.mark + " second")) + LAST),
             b"\r\n" + chat(body=body_of(context.mark + " third"))]
    context.send(reader, b"".join(wires))
    for _ in wires:
        own_answer(context, read_response(reader))
    seen = [json.loads(request.body)["messages"][0]["content"] for request in context.upstream.seen(context.mark)]
    check(seen == [context.mark + end for end in (" first", " second", " third")], "order upstream: %r" % seen)
    usable(context, reader)


def good_then_bad(context):
    reader = context.connect()
    context.send(reader, chat() + chat(CHUNKED, body=EVIL_BODY) + evil())
    own_answer(context, read_response(reader))
    response = read_response(reader)
    check(response is None or response.status == 400, "the bad second request was not refused")
    check(not reader.rest(), "more came after the refusal")
    check(context.upstream.count(context.mark) == 1, "not one upstream request")
    no_evil(context)


def many_in_one_write(context):
    reader = context.connect()
    context.send(reader, chat() * 20)
    for _ in range(20):
        own_answer(context, read_response(reader))
    check(context.upstream.count(context.mark) == 20, "%d upstream requests for 20" % context.upstream.count(context.mark))
    usable(context, reader)


def half_a_request(context):
    reader = context.connect()
    context.send(reader, chat()[:60])
    reader.sock.shutdown(1)
    response = read_response(reader)
    check(response is None or response.status in (400, 408), "half a head was served")
    check(context.upstream.count(context.mark) == 0, "it reached the upstream")


def cut_at_every_byte(context):
    wire = context.own(coded(chunk(BODY, b";a=b") + b"0\r\nX-A: b\r\n\r\n"))
    for cut in range(1, len(wire)):
        reader = context.connect()
        context.send(reader, wire[:cut])
        context.send(reader, wire[cut:])
        own_answer(context, read_response(reader))
        reader.sock.close()
    check(context.upstream.count(context.mark) == len(wire) - 1, "not one upstream request for each")


add("pipelining: three kinds in order", "RFC 9112 9.3.2", pipelined)
add("pipelining: a bad request behind a good one", "RFC 9112 9.3.2", good_then_bad)
add("pipelining: twenty in one write", "RFC 9112 9.3.2", many_in_one_write)
add("connection: the client leaves inside a head", "RFC 9112 8", half_a_request)
add("connection: a request cut at every byte", "RFC 9112 2.2", cut_at_every_byte)

# ---- Expect ----

R1011 = "RFC 9110 10.1.1"
served("expect: 100-continue with the body at once", R1011, chat(b"Expect: 100-continue\r\n"))
served("expect: 100-continue in capitals", R1011, chat(b"Expect: 100-CONTINUE\r\n"))
refused("expect: something else", R1011, chat(b"Expect: 200-ok\r\n"), (417,))
refused("expect: a list", R1011, chat(b"Expect: 100-continue, x\r\n"), (417,))


def waits_for_continue(context):
    reader = context.connect()
    context.send(reader, head(length() + b"Expect: 100-continue\r\n"))
    interim = reader.until(b"\r\n\r\n")
    check(interim is not None and interim.startswith(b"HTTP/1.1 100 "), "no 100 (Continue): %r" % interim)
    context.send(reader, BODY)
    own_answer(context, read_response(reader))
    check(context.upstream.count(context.mark) == 1, "not one upstream request")
    usable(context, reader)


def no_continue_without_key(context):
    reader = context.connect()
    context.send(reader, LINE + b"\r\n" + HOST + JSON + length() + b"Expect: 100-continue\r\n\r\n")
    response = read_response(reader)
    check(response is not None and response.status == 401, "not a 401")
    check(not response.interim, "the body of a refused request was asked for")


def no_continue_for_old(context):
    reader = context.connect()
    context.send(reader, head(length() + b"Expect: 100-continue\r\n", LINE[:-1] + b"0") + BODY)
    response = read_response(reader)
    own_answer(context, response)
    check(not response.interim, "100 (Continue) to an HTTP/1.0 client")


add("expect: the body waits for the 100", R1011, waits_for_continue)
add("expect: no 100 without a key", R1011, no_continue_without_key)
add("expect: no 100 to HTTP/1.0", R1011, no_continue_for_old)

# ---- methods and limits ----

answered("method: unknown", "RFC 9110 9.1, 15.6.2", chat(line=b"BREW /v1/chat/completions HTTP/1.1"), (404, 405, 501))
answered("method: in small letters", "RFC 9110 9.1", chat(line=b"post /v1/chat/completions HTTP/1.1"), (404, 405, 501))
answered("method: TRACE is not echoed", "RFC 9110 9.3.8", head(line=b"TRACE /v1/chat/completions HTTP/1.1"), (400, 404, 405, 501), "TRACE")
answered("method: PUT", "RFC 9110 15.5.6", chat(line=b"PUT /v1/chat/completions HTTP/1.1"), (404, 405))
answered("method: HEAD has no body", "RFC 9110 9.3.2", head(line=b"HEAD /v1/models HTTP/1.1"), (200, 404, 405), "HEAD")
refused("limit: target of 9 KB", "RFC 9112 3, RFC 9110 15.5.15", chat(line=b"POST /" + b"a" * 9000 + b" HTTP/1.1"), (414,))
refused("limit: query of 9 KB", "RFC 9112 3, RFC 9110 15.5.15", chat(line=b"POST /v1?" + b"a" * 9000 + b" HTTP/1.1"), (414,))
refused("limit: target without an end", "RFC 9112 3, RFC 9110 15.5.15", b"GET /" + b"a" * 20000, (414,))
refused("limit: one field of 40 KB", "RFC 6585 5", chat(b"X-A: " + b"a" * 40000 + b"\r\n"), (431,))
refused("limit: 150 fields", "RFC 6585 5", chat(b"".join(b"X-%d: a\r\n" % i for i in range(150))), (431,))
refused("limit: a field without an end", "RFC 6585 5", LINE + b"\r\nX-A: " + b"a" * 60000, (431,))
served("limit: a head of 20 KB", "RFC 9110 5.4", chat(b"X-A: " + b"a" * 20000 + b"\r\n"))
