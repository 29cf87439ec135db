"""Each fault of an upstream, for a plain answer and a stream, with a fallback and without: exactly what the client
gets, how often the upstreams are called, what the record says and what the gateway makes of the upstream.

Each cell has an upstream model of its own, and with it a breaker of its own.
"""

import concurrent.futures
import json
import pathlib
import socket
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from stage import Stage, certificates, closed_port, provider  # noqa: E402
from admin import Admin  # noqa: E402
from black_hole import BlackHole, swallow, unacknowledged  # noqa: E402
import client  # noqa: E402
from full_backlog import FullBacklog  # noqa: E402
from upstream import Upstream, chat, chunk_of, good_whole, start_with_content  # noqa: E402

TEXT = "Hello from the upstream."

# What is answered where nobody else could serve: status, type, code.
UNREACHABLE = (502, "upstream_error", "upstream_unreachable")
TIMEOUT = (504, "upstream_error", "upstream_timeout")
CLOSED = (502, "upstream_error", "upstream_closed")
BAD_ANSWER = (502, "upstream_error", "upstream_bad_answer")
AUTH = (502, "upstream_error", "upstream_auth")
ERROR = (502, "upstream_error", "upstream_error")
OVERLOADED = (503, "upstream_error", "upstream_overloaded")
RATE_LIMIT = (429, "rate_limit_error", "rate_limit_exceeded")
QUOTA = (429, "insufficient_quota", "upstream_quota_exhausted")
INVALID = (400, "invalid_request_error", "invalid_value")
TOO_LONG = (400, "invalid_request_error", "context_length_exceeded")
NO_MODEL = (404, "invalid_request_error", "model_not_found")

PLAIN, STREAM = "plain", "stream"


class Fault:
    """said: what the client gets without a fallback. cls: its class in the path and the breaker. alone: how many
    attempts are made without a fallback. elsewhere: whether a fallback is asked. standing: what the gateway makes of
    the credential at this model, in the time right after."""

    def __init__(self, said, cls, alone=1, kinds=(PLAIN, STREAM), elsewhere=True, standing=("ready",),
                 calls_more=0, calls=None):
        self.said, self.cls, self.alone, self.kinds = said, cls, alone, kinds
        self.elsewhere, self.standing = elsewhere, standing
        self.calls_more = calls_more  # a kept connection that closes is tried once more, beside the attempts
        self.calls = calls  # None: one for each attempt


# After a 429 that names no pause, in the second that is kept then, and behind it.
SOON = ("resting", "at_limit", "ready")

FAULTS = {
    # the head
    "stall-before-head": Fault(TIMEOUT, "timeout"),
    "vanish-before-head": Fault(TIMEOUT, "timeout"),
    "half-close": Fault(CLOSED, "server", 3, calls_more=1),
    "stall-mid-head": Fault(TIMEOUT, "timeout"),
    "drip-head": Fault(TIMEOUT, "timeout"),
    "cut-before-head": Fault(CLOSED, "server", 3, calls_more=1),
    "cut-mid-head": Fault(CLOSED, "server", 3, calls_more=1),
    "reset-before-head": Fault(CLOSED, "server", 3, calls_more=1),
    "reset-mid-head": Fault(CLOSED, "server", 3, calls_more=1),
    "garbage": Fault(BAD_ANSWER, "bad_answer"),
    "no-http": Fault(BAD_ANSWER, "bad_answer"),
    "huge-head": Fault(BAD_ANSWER, "bad_answer"),
    "informational-flood": Fault(BAD_ANSWER, "bad_answer"),
    "two-lengths": Fault(BAD_ANSWER, "bad_answer"),
    "bad-length": Fault(BAD_ANSWER, "bad_answer"),
    "length-and-chunked": Fault(BAD_ANSWER, "bad_answer"),
    # the body
    "bad-chunk-size": Fault(BAD_ANSWER, "bad_answer"),
    "stall-mid-body": Fault(TIMEOUT, "timeout", kinds=(PLAIN,)),
    "vanish-mid-body": Fault(TIMEOUT, "timeout", kinds=(PLAIN,)),
    "cut-mid-body": Fault(CLOSED, "server", 3, kinds=(PLAIN,)),
    "reset-mid-body": Fault(CLOSED, "server", 3, kinds=(PLAIN,)),
    "no-last-chunk": Fault(CLOSED, "server", 3, kinds=(PLAIN,)),
    "brotli": Fault(BAD_ANSWER, "bad_answer"),
    "gzip-broken": Fault(BAD_ANSWER, "bad_answer"),
    "gzip-bomb": Fault(BAD_ANSWER, "bad_answer"),
    # the status
    "redirect": Fault(BAD_ANSWER, "bad_answer"),
    "no-content": Fault(BAD_ANSWER, "bad_answer"),
    "status-400": Fault(INVALID, None, elsewhere=False),
    "context-length": Fault(TOO_LONG, None, elsewhere=False),
    "status-401": Fault(AUTH, "auth", standing=("credential_refused",)),
    "status-403": Fault(AUTH, "auth", standing=("resting",)),
    "status-404": Fault(NO_MODEL, "no_model"),
    "status-408": Fault(TIMEOUT, "timeout"),
    "status-409": Fault(ERROR, "server", 3),
    "quota": Fault(QUOTA, "quota", standing=("credential_refused",)),
    "status-429-seconds": Fault(RATE_LIMIT, "rate_limit", standing=("resting",)),
    "status-429-date": Fault(RATE_LIMIT, "rate_limit", standing=("resting",)),
    "status-429-huge": Fault(RATE_LIMIT, "rate_limit", standing=("resting",)),
    "status-429-ms": Fault(RATE_LIMIT, "rate_limit", 3, standing=SOON),
    "status-429-absent": Fault(RATE_LIMIT, "rate_limit", 3, standing=SOON),
    "status-429-past": Fault(RATE_LIMIT, "rate_limit", 3, standing=SOON),
    "status-429-negative": Fault(RATE_LIMIT, "rate_limit", 3, standing=SOON),
    "status-429-text": Fault(RATE_LIMIT, "rate_limit", 3, standing=SOON),
    "status-500": Fault(ERROR, "server", 3),
    "status-502": Fault(ERROR, "server", 3),
    "html-502": Fault(ERROR, "server", 3),
    "status-503": Fault(OVERLOADED, "overloaded", 3),
    "status-504": Fault(TIMEOUT, "timeout"),
    "status-529": Fault(OVERLOADED, "overloaded", 3),
    # what a status of 200 brings
    "error-in-200": Fault(ERROR, "server", 3),
    "html-200": Fault(BAD_ANSWER, "bad_answer"),
    "empty-200": Fault(BAD_ANSWER, "bad_answer"),
    "truncated-json": Fault(BAD_ANSWER, "bad_answer", kinds=(PLAIN,)),
    "not-an-object": Fault(BAD_ANSWER, "bad_answer", kinds=(PLAIN,)),
    # streams that have brought no content
    "huge-event": Fault(BAD_ANSWER, "bad_answer", kinds=(STREAM,)),
    "stream-as-json": Fault(BAD_ANSWER, "bad_answer", kinds=(STREAM,)),
    "cut-before-content": Fault(CLOSED, "server", 3, kinds=(STREAM,)),
    "stall-before-content": Fault(TIMEOUT, "timeout", kinds=(STREAM,)),
    "vanish-before-content": Fault(TIMEOUT, "timeout", kinds=(STREAM,)),
    "error-before-content": Fault(ERROR, "server", 3, kinds=(STREAM,)),
    "comments-for-ever": Fault(TIMEOUT, "timeout", kinds=(STREAM,)),
    "preamble-for-ever": Fault(TIMEOUT, "timeout", kinds=(STREAM,)),
}

# Streams that have: the code of the error that ends them, and its class. Nothing is tried after them.
AFTER_CONTENT = {
    "cut-between-events": ("upstream_closed", "server"),
    "cut-mid-event": ("upstream_closed", "server"),
    "reset-mid-stream": ("upstream_closed", "server"),
    "stall-mid-stream": ("upstream_timeout", "timeout"),
    "vanish-mid-stream": ("upstream_timeout", "timeout"),
    "no-done": ("upstream_bad_answer", "bad_answer"),
    "error-mid-stream": ("upstream_error", "server"),
    "garbage-mid-stream": ("upstream_bad_answer", "bad_answer"),
    "bad-chunk-mid-stream": ("upstream_bad_answer", "bad_answer"),
    "comments-after-content": ("upstream_timeout", "timeout"),
    "huge-event-after-content": ("upstream_bad_answer", "bad_answer"),
}

# Before anything is sent: the provider's name, what is said, its class, attempts without a fallback.
CONNECT = {
    "refused": Fault(UNREACHABLE, "server", 3, calls=0),
    "nowhere": Fault(UNREACHABLE, "server", 3, calls=0),
    "forbidden": Fault(UNREACHABLE, "server", 3, calls=0),
    "tls-expired": Fault(UNREACHABLE, "server", 3, calls=0),
    "tls-wrong-name": Fault(UNREACHABLE, "server", 3, calls=0),
    "tls-unknown-ca": Fault(UNREACHABLE, "server", 3, calls=0),
    "tls-none": Fault(UNREACHABLE, "server", 3, calls=0),
    "tls-stalled": Fault(TIMEOUT, "timeout", calls=0),
    "tls-cut": Fault(UNREACHABLE, "server", 3, calls=0),
    "black-hole": Fault(TIMEOUT, "timeout", calls=0),
    "black-hole-after-connect": Fault(TIMEOUT, "timeout", calls=1),  # sent, as far as anybody can tell
}

# A refused credential is left alone at all its models: those that bring that about have one of their own.
OWN_PROVIDER = {"status-401": "refused-key", "quota": "spent-key"}

TIMEOUTS = {"connect": "1s", "first_byte": "1s", "between_bytes": "1s", "total": "3s", "first_token": "1s",
            "between_tokens": "1s"}


def for_ever(exchange, text):
    while not exchange.upstream.finish.is_set():
        exchange.chunk(text)
        exchange.wait(0.05)


def comments_for_ever(exchange):
    exchange.start_stream()
    for_ever(exchange, ": still thinking\n\n")


def preamble_for_ever(exchange):
    exchange.start_stream()
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
             "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
    for_ever(exchange, f"data: {json.dumps(event)}\n\n")


def comments_after_content(exchange):
    exchange.start_stream()
    for word in ("Hello", " from"):
        exchange.event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                        "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
    for_ever(exchange, ": still thinking\n\n")


def huge_event(exchange, words=()):
    """A line of 17 MB, longer than any event may be."""
    exchange.start_stream()
    for word in words:
        exchange.event(chunk_of({"content": word}))
    exchange.chunk("data: ")
    for _ in range(17):
        exchange.chunk("x" * (1 << 20))


def vanish(exchange, begin=lambda exchange: None):
    """The machine is gone behind `begin`: what is sent to it is not even acknowledged."""
    begin(exchange)
    swallow(exchange.connection)
    exchange.wait()


def half_close(exchange):
    """Will say nothing more, but listens."""
    exchange.connection.shutdown(socket.SHUT_WR)
    exchange.wait(5)


def add_scripts(up):
    up.add("comments-for-ever", comments_for_ever)
    up.add("preamble-for-ever", preamble_for_ever)
    up.add("comments-after-content", comments_after_content)
    up.add("half-close", half_close)
    up.add("vanish-before-head", vanish)
    up.add("vanish-mid-body", lambda exchange: vanish(exchange, lambda it: it.send(good_whole()[:-40])))
    up.add("vanish-before-content", lambda exchange: vanish(exchange, lambda it: start_with_content(it, 0)))
    up.add("vanish-mid-stream", lambda exchange: vanish(exchange, start_with_content))
    up.add("huge-event", huge_event)
    up.add("huge-event-after-content", lambda exchange: huge_event(exchange, ("Hello", " from")))


class Silent:
    """Accepts connections and says nothing on them, or only `says` before they end."""

    def __init__(self, says=None):
        self.says = says
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.held = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.held.append(connection)
            if self.says is not None:
                connection.sendall(self.says)
                connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for each in self.held:
            each.close()


class Cells:
    """One gateway, and one request for each fault: so that each breaker saw exactly that."""

    def __init__(self, kind, fallback):
        self.kind, self.fallback = kind, fallback
        self.closing = []
        self.second = self._keep(Upstream())
        providers = {"second": provider(self.second.url, timeouts=TIMEOUTS)}
        providers.update(self._unconnected())
        self.faults = {name: fault for name, fault in FAULTS.items() if kind in fault.kinds}
        names = {name: f"{OWN_PROVIDER.get(name, 'up')}/{name}" for name in self.faults}
        names.update({name: f"{name}/m" for name in CONNECT})
        if kind == STREAM:
            names.update({name: f"up/{name}" for name in AFTER_CONTENT})
        self.targets = names
        models = {f"x-{name}": [target, "second/m"] if fallback else [target]
                  for name, target in names.items()}
        up = Upstream()
        own = {each: provider(up.url, timeouts=TIMEOUTS) for each in OWN_PROVIDER.values()}
        self.up = self._keep(up)
        add_scripts(up)
        self.stage = Stage(providers={"up": provider(up.url, timeouts=TIMEOUTS), **own, **providers},
                           models=models)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.answers = dict(pool.map(self._ask, names))
        self.lanes = {}
        for lane in Admin(self.stage.gateway).get("/breakers?all=true").json()["data"]:
            self.lanes[f"{lane['provider']}/{lane['model']}"] = lane

    def _ask(self, name):
        return name, self.stage.chat(f"x-{name}", self.kind == STREAM, timeout=20)

    def _keep(self, what):
        self.closing.append(what)
        return what

    def _unconnected(self):
        held, port = closed_port()
        self._keep(held)
        keys = certificates()
        tls = {"tls": {"ca_file": keys.ca}}
        found = {
            "refused": provider(f"http://127.0.0.1:{port}/v1"),
            "nowhere": provider("http://nowhere.invalid/v1"),
            "forbidden": provider("http://127.0.0.1:9/v1", allow_private=False),
        }
        for name, pair in (("expired", keys.expired), ("wrong-name", keys.wrong_name),
                           ("unknown-ca", keys.unknown_ca)):
            server = self._keep(Upstream(pair))
            found[f"tls-{name}"] = provider(f"https://localhost:{server.port}/v1", **tls)
        plain = self._keep(Upstream())
        found["tls-none"] = provider(f"https://localhost:{plain.port}/v1", **tls)
        silent = self._keep(Silent())
        found["tls-stalled"] = provider(f"https://localhost:{silent.port}/v1", **tls)
        cut = self._keep(Silent(b"\x16\x03\x03\x00\x7a\x02\x00\x00"))  # a handshake record, and not all of it
        found["tls-cut"] = provider(f"https://localhost:{cut.port}/v1", **tls)
        hole = self._keep(FullBacklog())
        found["black-hole"] = provider(f"http://127.0.0.1:{hole.port}/v1")
        hole = self._keep(BlackHole())
        found["black-hole-after-connect"] = provider(f"http://127.0.0.1:{hole.port}/v1")
        return {name: {**each, "timeouts": TIMEOUTS} for name, each in found.items()}

    def calls(self, name):
        return sum(request.model == name for request in self.up.requests)

    def close(self):
        self.stage.close()
        for each in self.closing:
            each.close()


class Matrix(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.cells = {}
        for kind in (PLAIN, STREAM):
            for fallback in (False, True):
                cells = Cells(kind, fallback)
                cls.addClassCleanup(cells.close)
                cls.cells[kind, fallback] = cells

    def each(self, table):
        """Checks each cell, as a test of its own."""
        for (kind, fallback), cells in self.cells.items():
            for name, fault in table.items():
                if kind in fault.kinds:
                    with self.subTest(name, kind=kind, fallback=fallback):
                        self.check(cells, name, fault)

    def check_refused(self, cells, name, fault):
        answer = cells.answers[name]
        status, kind, code = fault.said
        self.assertEqual((answer.status, answer.error.get("type"), answer.error.get("code"), answer.clean),
                         (status, kind, code, True), answer.text)
        self.assertEqual(answer.header("x-should-retry"), "false")
        record = cells.stage.record(answer)
        client_error = status < 500 and status != 429
        path = " > ".join([f"{cells.targets[name]}:{fault.cls or self.own_class(name)}"] * fault.alone)
        self.assertEqual(record("status", "final_status", "error_code", "fallback_path"),
                         (status, "client_error" if client_error else "upstream_error", code, path))
        return record

    @staticmethod
    def own_class(name):
        return {"status-400": "bad_request", "context-length": "too_long"}[name]

    def check_served(self, cells, name, fault):
        answer = cells.answers[name]
        self.assertEqual((answer.status, answer.clean), (200, True), answer.text)
        text = client.text_of(answer.events()) if cells.kind == STREAM \
            else answer.json()["choices"][0]["message"]["content"]
        self.assertEqual(text, TEXT)
        record = cells.stage.record(answer)
        self.assertEqual(
            record("status", "final_status", "error_code", "fallback_path", "provider"),
            (200, "ok", None, f"{cells.targets[name]}:{fault.cls} > second/m:ok", "second"))
        return record

    def check_breaker(self, cells, name, fault, failed):
        lane = cells.lanes[cells.targets[name]]
        self.assertEqual((lane["state"], lane["opened"], lane["inflight"], lane["failed"]),
                         ("closed", 0, 0, {fault.cls: failed} if fault.cls else {}))
        self.assertIn(lane["standing"], fault.standing)

    def check(self, cells, name, fault):
        if cells.fallback and fault.elsewhere:
            record, attempts = self.check_served(cells, name, fault), 1
            calls_elsewhere = 1
        else:
            record, attempts = self.check_refused(cells, name, fault), fault.alone
            calls_elsewhere = 0
        calls = attempts if fault.calls is None else fault.calls
        # A kept connection may have been closed unanswered, once for each attempt.
        may = range(calls, calls + attempts * fault.calls_more + 1)
        if fault.calls is None:
            self.assertIn(cells.calls(name), may)
        self.assertIn(record["attempts"] - calls_elsewhere, may)
        self.check_breaker(cells, name, fault, attempts)

    def test_before_any_content(self):
        self.each(FAULTS)

    def test_before_anything_is_sent(self):
        self.each(CONNECT)

    def test_after_content_nothing_is_tried_and_nothing_said_twice(self):
        for fallback in (False, True):
            cells = self.cells[STREAM, fallback]
            for name, (code, cls) in AFTER_CONTENT.items():
                with self.subTest(name, fallback=fallback):
                    answer = cells.answers[name]
                    self.assertEqual((answer.status, answer.clean), (200, True))
                    events = answer.events()
                    self.assertEqual(client.text_of(events[:-1]), "Hello from")
                    self.assertNotIn("[DONE]", events)
                    self.assertEqual(json.loads(events[-1])["error"]["code"], code)
                    self.assertEqual(
                        cells.stage.record(answer)("status", "final_status", "error_code", "fallback_path",
                                                   "attempts"),
                        (200, "upstream_error", code, f"up/{name}:{cls}", 1))
                    self.assertEqual(cells.calls(name), 1)
                    self.check_breaker(cells, name, Fault(None, cls), 1)

    def test_every_call_to_the_fallback_is_accounted_for(self):
        for (kind, fallback), cells in self.cells.items():
            with self.subTest(kind=kind, fallback=fallback):
                served = [name for name, fault in {**cells.faults, **CONNECT}.items()
                          if fallback and fault.elsewhere]
                self.assertEqual(len(cells.second.requests), len(served))


def says_the_rest(exchange):
    """What a model does that was given the begin."""
    exchange.start_stream()
    for event in (chunk_of({"role": "assistant", "content": ""}), chunk_of({"content": " the upstream."}),
                  chunk_of({}, "stop"), "[DONE]"):
        exchange.event(event)
    exchange.last_chunk()
    return True


class Continued(unittest.TestCase):
    """Each fault behind content once more, where another model is to go on with what was cut."""

    def test_after_content_another_model_says_the_rest(self):
        with Upstream() as up, Upstream() as other:
            add_scripts(up)
            other.add("rest", says_the_rest)
            stage = Stage(providers={"up": provider(up.url, timeouts=TIMEOUTS),
                                     "rest": provider(other.url, dialect="vllm")},
                          models={f"x-{name}": {"candidates": [f"up/{name}", "rest/rest"], "continue": True}
                                  for name in AFTER_CONTENT})
            with stage:
                with concurrent.futures.ThreadPoolExecutor(16) as pool:
                    answers = dict(pool.map(lambda name: (name, stage.chat(f"x-{name}", True)), AFTER_CONTENT))
                for name, (_, cls) in AFTER_CONTENT.items():
                    with self.subTest(name):
                        answer = answers[name]
                        self.assertEqual((answer.status, answer.clean, answer.events()[-1]), (200, True, "[DONE]"))
                        self.assertEqual(client.text_of(answer.events()), TEXT)
                        self.assertEqual(
                            stage.record(answer)("status", "final_status", "error_code", "fallback_path", "attempts"),
                            (200, "ok", None, f"up/{name}:{cls} > rest/rest:ok", 2))
                        self.assertEqual(sum(request.model == name for request in up.requests), 1)
                for request in other.requests:
                    self.assertEqual(request.json()["messages"][-1], {"role": "assistant", "content": "Hello from"})
                self.assertEqual(len(other.requests), len(AFTER_CONTENT))


class Vanished(unittest.TestCase):
    """A machine that goes while a connection to it is kept, or takes a request that is longer than what is sent ahead."""

    def setUp(self):
        self.hole = BlackHole()
        self.addCleanup(self.hole.close)
        self.stage = Stage(up={"timeouts": TIMEOUTS}, models={"deep": "hole/m"},
                           providers={"hole": provider(f"http://127.0.0.1:{self.hole.port}/v1", timeouts=TIMEOUTS)})
        self.addCleanup(self.stage.close)

    def test_nothing_is_acknowledged(self):
        with socket.create_connection(("127.0.0.1", self.hole.port)) as connection:
            connection.sendall(b"lost")
            self.assertEqual(unacknowledged(connection), 1)
        with socket.create_server(("127.0.0.1", 0)) as listener, \
                socket.create_connection(listener.getsockname()) as connection, listener.accept()[0] as peer:
            swallow(peer)
            connection.sendall(b"lost")
            self.assertEqual(unacknowledged(connection), 1)
            peer.setblocking(False)
            with self.assertRaises(BlockingIOError):
                peer.recv(4)

    def chat(self, model, code=None, **members):
        answer = self.stage.chat(model, **members)
        self.assertEqual((answer.status, answer.error.get("code") if code else None), (504 if code else 200, code))
        return self.stage.record(answer)("fallback_path", "attempts")

    def test_a_kept_connection_is_given_up_and_not_used_again(self):
        def once(exchange):
            exchange.answer(body=chat())
            swallow(exchange.connection)
            exchange.wait()
        self.stage.upstream.add("kept", once)
        self.assertEqual(self.chat("up/kept"), (None, 1))
        # Sent on the connection that was kept: whether it arrived nobody knows, so nobody is asked again.
        self.assertEqual(self.chat("up/kept", "upstream_timeout"), ("up/kept:timeout", 1))
        self.assertEqual(self.chat("up/kept"), (None, 1))
        self.assertEqual([request.connection for request in self.stage.upstream.requests], [1, 2])

    def test_a_request_that_is_never_taken(self):
        self.assertEqual(self.chat("deep", "upstream_timeout", user="x" * (8 << 20)), ("hole/m:timeout", 1))


if __name__ == "__main__":
    unittest.main()
