"""Each fault of an upstream's WebSocket, before the upgrade and in a session: what the client gets, whether a
fallback takes over, what the record says and what the gateway makes of the upstream.
"""

import concurrent.futures
import json
import pathlib
import socket as sockets
import struct
import sys
import unittest
import urllib.parse
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from stage import Stage, closed_port, provider  # noqa: E402
from admin import Admin  # noqa: E402
from full_backlog import FullBacklog  # noqa: E402
from upstream import Upstream  # noqa: E402
from websocket import CLOSE, CONTINUATION, PING, TEXT, Ended, accept, connect, encode  # noqa: E402

TIMEOUTS = {"connect": "1s", "first_byte": "1s", "between_bytes": "1s", "total": "5s"}


class Before:
    """The client's status and code, the class of the fault, and how many attempts are made without a fallback."""

    def __init__(self, status, code, cls, alone=1, calls=None):
        self.status, self.code, self.cls, self.alone = status, code, cls, alone
        self.calls = alone if calls is None else calls


BEFORE = {
    "refused": Before(502, "upstream_unreachable", "server", 3, calls=0),
    "black-hole": Before(504, "upstream_timeout", "timeout", calls=0),
    "stall-before-head": Before(504, "upstream_timeout", "timeout"),
    "stall-mid-head": Before(504, "upstream_timeout", "timeout"),
    "cut-before-head": Before(502, "upstream_closed", "server", 3),
    "cut-mid-head": Before(502, "upstream_closed", "server", 3),
    "reset-before-head": Before(502, "upstream_closed", "server", 3),
    "garbage": Before(502, "upstream_bad_answer", "bad_answer"),
    "huge-head": Before(502, "upstream_bad_answer", "bad_answer"),
    "status-401": Before(502, "upstream_auth", "auth"),
    "status-404": Before(404, "model_not_found", "no_model"),
    "status-429-seconds": Before(429, "rate_limit_exceeded", "rate_limit"),
    "status-503": Before(503, "upstream_overloaded", "overloaded", 3),
    "plain-200": Before(502, "upstream_bad_answer", "bad_answer"),
    "wrong-accept": Before(502, "upstream_bad_answer", "bad_answer"),
    "extension": Before(502, "upstream_bad_answer", "bad_answer"),
}

# In a session: the code of the error event, and the class that the breaker counts. Nothing is tried after them.
WITHIN = {
    "cut": ("upstream_error", "server"),
    "reset": ("upstream_error", "server"),
    "cut-mid-frame": ("upstream_error", "server"),
    "silence": ("session_idle", None),
    "silence-mid-frame": ("session_idle", None),
    "pings-alone": ("session_idle", None),
    "masked": ("upstream_error", "server"),
    "bad-utf8": ("upstream_error", "server"),
    "reserved-bit": ("upstream_error", "server"),
    "continuation-of-nothing": ("upstream_error", "server"),
    "oversize": ("upstream_error", "server"),
    "long-control": ("upstream_error", "server"),
}


def echo(socket):
    while True:
        opcode, payload = socket.receive()
        if opcode == CLOSE:
            socket.send_frame(CLOSE, payload)
            return
        socket.send(opcode, payload)


def until_left(socket):
    try:
        while True:
            socket.receive()
    except (Ended, TimeoutError):
        return


def reset(socket):
    socket.connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    socket.connection.close()


def pings(socket):
    while not socket.left.wait(0.2):
        socket.send_frame(PING, b"x")


FAULTS = {
    "cut": lambda socket: None,
    "reset": reset,
    "cut-mid-frame": lambda socket: socket.send_bytes(encode(TEXT, "x" * 1000)[:500]),
    "silence": until_left,
    "silence-mid-frame": lambda socket: (socket.send_bytes(encode(TEXT, "x" * 1000)[:500]), until_left(socket)),
    "pings-alone": pings,
    "masked": lambda socket: (socket.send_frame(TEXT, "hello", masked=True), until_left(socket)),
    "bad-utf8": lambda socket: (socket.send_frame(TEXT, b"\xff"), until_left(socket)),
    "reserved-bit": lambda socket: (socket.send_frame(TEXT, "x", rsv=4), until_left(socket)),
    "continuation-of-nothing": lambda socket: (socket.send_frame(CONTINUATION, "x"), until_left(socket)),
    "oversize": lambda socket: (socket.send_frame(TEXT, b"", length=(127, (16 << 20) + 1)), until_left(socket)),
    "long-control": lambda socket: (socket.send_frame(PING, "x" * 126), until_left(socket)),
}


def talk(exchange, say):
    """A session that says one message, and then goes wrong."""
    socket = accept(exchange)
    socket.left = exchange.request.left
    try:
        if say is echo:
            echo(socket)
        else:
            socket.send(TEXT, json.dumps({"type": "session.created", "session": {"id": "sess_1"}}))
            say(socket)
    except Ended:
        pass
    return False


def refusals(upstream):
    upstream.add("plain-200", lambda exchange: exchange.answer(200, {"object": "nothing"}))

    def wrong(headers):
        def script(exchange):
            exchange.head(101, {"Upgrade": "websocket", "Connection": "Upgrade", **headers})
            exchange.wait(5)
        return script
    upstream.add("wrong-accept", wrong({"Sec-WebSocket-Accept": "c2hvdWxkIG5vdCBtYXRjaCBhbnk="}))
    upstream.add("extension", lambda exchange: (accept(exchange, {"Sec-WebSocket-Extensions": "permessage-deflate"}),
                                                exchange.wait(5)))


class Sessions:
    """One gateway and a session for each fault, so that each breaker saw exactly that."""

    def __init__(self, fallback):
        self.closing = []
        self.second = self._keep(Upstream())
        self.up = self._keep(Upstream())
        refusals(self.up)
        self.second.add("echo", lambda exchange: talk(exchange, echo))
        for name, say in FAULTS.items():
            self.up.add(f"s-{name}", lambda exchange, say=say: talk(exchange, say))
        held, port = closed_port()
        hole = self._keep(FullBacklog())
        self._keep(held)
        self.targets = {name: f"up/{name}" for name in BEFORE}
        self.targets.update({f"s-{name}": f"up/s-{name}" for name in WITHIN})
        self.targets.update({"refused": "refused/m", "black-hole": "black-hole/m", "status-401": "own/status-401"})
        self.stage = Stage(
            providers={"up": provider(self.up.url, timeouts=TIMEOUTS), "own": provider(self.up.url, timeouts=TIMEOUTS),
                       "second": provider(self.second.url, timeouts=TIMEOUTS),
                       "refused": provider(f"http://127.0.0.1:{port}/v1", timeouts=TIMEOUTS),
                       "black-hole": provider(f"http://127.0.0.1:{hole.port}/v1", timeouts=TIMEOUTS)},
            models={f"x-{name}": [target, "second/echo"] if fallback else [target]
                    for name, target in self.targets.items()},
            limits={"session_idle": "1s"})
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.sessions = dict(zip(self.targets, pool.map(self._open, self.targets)))

    def _keep(self, what):
        self.closing.append(what)
        return what

    def _open(self, name):
        """The answer, and what the session brought until its Close."""
        path = "/v1/realtime?model=" + urllib.parse.quote(f"x-{name}")
        answer, socket = connect(self.stage.url, path, self.stage.key,
                                 {"X-Request-Id": f"test-{uuid.uuid4().hex}"})
        if socket is None:
            return answer, [], None
        said = []
        if not name.startswith("s-"):
            socket.send(TEXT, "hello")
            said.append(socket.receive_text())
            socket.close(1000)
        while True:
            opcode, payload = socket.receive()
            if opcode == CLOSE:
                break
            said.append(payload.decode())
        code = struct.unpack("!H", payload[:2])[0]
        if name.startswith("s-"):
            socket.close(code)
        assert socket.wait_end(), f"{name}: the connection was left open"
        return answer, said, code

    def lane(self, name):
        provider_id, _, model = self.targets[name].partition("/")
        lanes = Admin(self.stage.gateway).get("/breakers?all=true").json()["data"]
        return next(lane for lane in lanes if (lane["provider"], lane["model"]) == (provider_id, model))

    def calls(self, name):
        return sum(request.target.partition("model=")[2].partition("&")[0] == self.targets[name].partition("/")[2]
                   for request in self.up.requests)

    def close(self):
        self.stage.close()
        for each in self.closing:
            each.close()


class Matrix(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.cells = {}
        for fallback in (False, True):
            cls.cells[fallback] = Sessions(fallback)
            cls.addClassCleanup(cls.cells[fallback].close)

    def check_lane(self, cells, name, cls, failed):
        lane = cells.lane(name)
        self.assertEqual((lane["state"], lane["opened"], lane["inflight"], lane["failed"]),
                         ("closed", 0, 0, {cls: failed} if cls else {}))

    def test_before_the_upgrade_a_fallback_takes_over(self):
        cells = self.cells[True]
        for name, fault in BEFORE.items():
            with self.subTest(name):
                answer, said, code = cells.sessions[name]
                self.assertEqual((answer.status, said, code), (101, ["hello"], 1000))
                self.assertEqual(
                    cells.stage.record(answer)("status", "final_status", "fallback_path", "provider"),
                    (101, "ok", f"{cells.targets[name]}:{fault.cls} > second/echo:ok", "second"))
                self.check_lane(cells, name, fault.cls, 1)

    def test_without_one_the_client_gets_an_ordinary_error(self):
        cells = self.cells[False]
        for name, fault in BEFORE.items():
            with self.subTest(name):
                answer, _, _ = cells.sessions[name]
                self.assertEqual((answer.status, answer.error["code"]), (fault.status, fault.code), answer.text)
                path = " > ".join([f"{cells.targets[name]}:{fault.cls}"] * fault.alone)
                self.assertEqual(cells.stage.record(answer)("status", "error_code", "fallback_path"),
                                 (fault.status, fault.code, path))
                if fault.calls:
                    self.assertEqual(cells.calls(name), fault.calls)
                self.check_lane(cells, name, fault.cls, fault.alone)

    def test_in_a_session_nothing_is_tried_again(self):
        for fallback, cells in self.cells.items():
            for name, (code, cls) in WITHIN.items():
                with self.subTest(name, fallback=fallback):
                    answer, said, closed = cells.sessions[f"s-{name}"]
                    self.assertEqual((answer.status, closed, len(said)), (101, 1011, 2), said)
                    event = json.loads(said[-1])
                    self.assertEqual((event["type"], event["error"]["code"]), ("error", code))
                    record = cells.stage.record(answer)
                    self.assertEqual(record("status", "final_status", "error_code", "attempts"),
                                     (101, "upstream_error", code, 1))
                    self.assertEqual(cells.calls(f"s-{name}"), 1)
                    self.check_lane(cells, f"s-{name}", cls, 1)


if __name__ == "__main__":
    unittest.main()
