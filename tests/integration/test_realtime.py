"""Realtime sessions: WebSocket on both sides, and what becomes of a session when something goes wrong."""

import json
import signal
import socket as sockets
import threading
import unittest
import urllib.parse
import uuid

from stage import GATEWAY_KEY, PATIENT, Stage, UPSTREAM_KEY, certificates, provider, wait_for
import client
import websocket
from admin import Admin
from websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, Ended, WebSocket, accept, connect

SESSION = {"type": "session.created", "session": {"id": "sess_1"}}


def done(tokens_in, tokens_out, cached=0):
    return json.dumps({"type": "response.done", "response": {"id": "resp_1", "usage": {
        "total_tokens": tokens_in + tokens_out, "input_tokens": tokens_in,
        "output_tokens": tokens_out, "input_token_details": {"cached_tokens": cached}}}})


def serve(exchange, talk):
    """Accepts and talks until the peer says Close, which is answered."""
    socket = accept(exchange)
    exchange.upstream.sockets.append(socket)
    try:
        talk(socket)
    except Ended:
        exchange.request.left.set()
    return False


def echo(socket):
    while True:
        opcode, payload = socket.receive()
        if opcode == CLOSE:
            socket.closed_with = payload
            socket.send_frame(CLOSE, payload)
            return
        socket.send(opcode, payload)


def session(stage, model="up/echo", path=None, key=GATEWAY_KEY, headers=None, **more):
    """Opens one; the answer has the id by which the record is found."""
    named = {"X-Request-Id": f"test-{uuid.uuid4().hex}", **(headers or {})}
    path = path or "/v1/realtime?model=" + urllib.parse.quote(model, safe="")
    answer, socket = connect(more.pop("url", stage.url), path, key, named, **more)
    return answer, socket


def add_scripts(upstream):
    upstream.sockets = []

    def add(name):
        def register(talk):
            upstream.add(name, lambda exchange: serve(exchange, talk))
            return talk
        return register

    add("echo")(echo)

    @add("usage")
    def _(socket):
        socket.send(TEXT, done(10, 3, 4))
        socket.send(TEXT, done(20, 5))
        echo(socket)

    @add("bye")
    def _(socket):
        socket.send(TEXT, json.dumps(SESSION))
        socket.close(4001, "enough")
        socket.receive_close()

    @add("bye-without-code")
    def _(socket):
        socket.close()
        socket.receive_close()

    @add("cut")
    def _(socket):
        socket.send(TEXT, json.dumps(SESSION))

    @add("cut-in-message")
    def _(socket):
        socket.send(TEXT, done(10, 3))
        socket.send_bytes(websocket.encode(TEXT, "x" * 1000)[:500])

    @add("masks")
    def _(socket):
        socket.send_frame(TEXT, "hello", masked=True)
        echo(socket)

    @add("flood")
    def _(socket):
        part = "x" * 100_000
        for number in range(400):
            socket.sent = number
            socket.send(TEXT, f"{number}:{part}")
        socket.close(1000)
        socket.receive_close()

    @add("one-packet")
    def _(socket):
        pass

    def with_head(exchange):
        """The first messages in the packet of the 101."""
        request = exchange.request
        key = websocket.accept_value(request.header("sec-websocket-key"))
        head = ("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
                f"Sec-WebSocket-Accept: {key}\r\n\r\n").encode()
        socket = WebSocket(exchange.connection, False)
        socket.send_bytes(head + websocket.encode(TEXT, "one") + websocket.encode(TEXT, "two"))
        echo(socket)
    upstream.add("one-packet", with_head)

    def wrong_accept(exchange):
        exchange.head(101, {"Upgrade": "websocket", "Connection": "Upgrade",
                            "Sec-WebSocket-Accept": "c2hvdWxkIG5vdCBtYXRjaCBhbnk="})
        exchange.wait(5)
    upstream.add("wrong-accept", wrong_accept)

    def with_extension(exchange):
        accept(exchange, {"Sec-WebSocket-Extensions": "permessage-deflate"})
        exchange.wait(5)
    upstream.add("extension", with_extension)
    upstream.add("plain-200", lambda exchange: exchange.answer(200, {"object": "nothing"}))


class Money(unittest.TestCase):
    """A session is held for what it came to and a slice ahead, and ends where nobody pays for that."""

    PRICE = {"input": "1000", "output": "1000", "audio_in": "0", "audio_out": "0"}  # 0.001 USD a token

    def buyer(self, stage, money):
        admin = Admin(stage.gateway)
        listed = {"name": "live", "book": "sale", "currency": "USD",
                  "prices": [{"model": "up/turns", "price": self.PRICE}]}
        self.assertIn(admin.post("/prices", listed).status, (200, 201))
        account = admin.post("/accounts", {"name": "c", "mode": "prepaid", "currency": "USD"}).json()["id"]
        order = admin.post("/orders", {"account": account, "amount": money, "currency": "USD"}).json()["id"]
        self.assertEqual(admin.post(f"/orders/{order}/pay").status, 200)
        return admin, account, admin.post("/keys", {"name": "k", "account": account}).json()["key"]

    def test_a_session_ends_where_the_money_does(self):
        with Stage(up=PATIENT) as stage:
            def turns(socket):
                while True:  # a turn for each message
                    opcode, payload = socket.receive()
                    if opcode == CLOSE:
                        socket.send_frame(CLOSE, payload)
                        return
                    socket.send(TEXT, done(600, 400))
            stage.upstream.sockets = []
            stage.upstream.add("turns", lambda exchange: serve(exchange, turns))
            admin, account, key = self.buyer(stage, "10")
            answer, socket = session(stage, "up/turns", key=key)
            self.assertEqual(answer.status, 101)
            turned = 0
            for _ in range(12):  # a turn is 1 USD, and the slice ahead 5.12
                socket.send(TEXT, b"{}")
                said = json.loads(socket.receive_text())
                if said["type"] == "error":
                    break
                turned += 1
            self.assertEqual((turned, said["error"]["code"]), (5, "balance_exhausted"))
            self.assertEqual(socket.receive_close()[0], 1011)
            left = wait_for(lambda: [row["balance"] for row in
                                     admin.get(f"/ledger/balances?account={account}").json()["data"]
                                     if row["balance"] != "10"], what="the books")
            self.assertEqual(left, ["5"])
            # What is left does not cover a slice.
            refused, _ = session(stage, "up/turns", key=key)
            self.assertEqual((refused.status, refused.error["code"]), (402, "insufficient_quota"))

    def test_a_session_that_only_transcribes_is_paid_for(self):
        def heard(usage):
            return json.dumps({"type": "conversation.item.input_audio_transcription.completed",
                               "transcript": "Hi.", "usage": usage})
        tokens = {"type": "tokens", "input_tokens": 100, "output_tokens": 20,
                  "input_token_details": {"audio_tokens": 90, "text_tokens": 10}}
        kinds = {"now": {"type": "session.updated", "session": {"type": "transcription"}},
                 "before": {"type": "transcription_session.created", "session": {}},
                 "beside": {"type": "session.created", "session": {"type": "realtime"}}}
        with Stage(up=PATIENT) as stage:
            stage.upstream.sockets = []
            for name, kind in kinds.items():
                def talk(socket, kind=kind):
                    socket.send(TEXT, json.dumps(kind))
                    socket.send(TEXT, heard(tokens))
                    socket.send(TEXT, heard({"type": "duration", "seconds": 1.5}))
                    socket.send(TEXT, heard({"type": "duration", "seconds": 1.2}))
                    socket.send(TEXT, done(0, 10))
                    echo(socket)
                stage.upstream.add(name, lambda exchange, talk=talk: serve(exchange, talk))
            admin = Admin(stage.gateway)
            price = {**self.PRICE, "audio_in": "2000", "second": "0.5"}
            self.assertEqual(admin.post("/prices", {"name": "live", "book": "sale", "currency": "USD", "prices": [
                {"model": f"up/{name}", "price": price} for name in kinds]}).status, 201)
            for name, charge in (("now", "1.72"), ("before", "1.72"), ("beside", "0.01")):
                account = admin.post("/accounts", {"name": "c", "mode": "prepaid", "currency": "USD"}).json()["id"]
                order = admin.post("/orders", {"account": account, "amount": "100", "currency": "USD"}).json()["id"]
                self.assertEqual(admin.post(f"/orders/{order}/pay").status, 200)
                key = admin.post("/keys", {"name": "k", "account": account}).json()["key"]
                answer, socket = session(stage, f"up/{name}", key=key)
                self.assertEqual(answer.status, 101)
                for _ in range(5):
                    socket.receive_text()
                socket.close(1000)
                socket.receive_close()
                receipt, = wait_for(lambda account=account: admin.get(
                    f"/ledger/receipts?account={account}").json()["data"], what="the receipt")
                # Of the response 10 tokens; 10 of text, 90 of sound, 20 written, and 2.7 seconds.
                self.assertEqual((name, receipt["charge"]), (name, charge))


class Realtime(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(
            up=PATIENT,
            providers={"other": provider("http://127.0.0.1:1/v1"),
                       "deep": {**provider("http://127.0.0.1:1/v1"), "dialect": "deepseek"}},
            models={"refused-then-echo": ["up/status-503", "up/echo"]},
            keys=[{"name": "test", "key": "${TEST_GATEWAY_KEY}"},
                  {"name": "one", "key": "${TEST_ONE_KEY}", "models": ["up/usage"]}],
            env={"TEST_ONE_KEY": "sy-one-0123456789abcdefghijklmnopqrstuvwxyz0123"},
            limits={"write_timeout": "2s"})
        add_scripts(cls.stage.upstream)

    @classmethod
    def tearDownClass(cls):
        cls.stage.close()

    def setUp(self):
        self.stage.upstream.clear()
        self.stage.upstream.sockets.clear()

    def test_messages_pass_both_ways_byte_for_byte(self):
        answer, socket = session(self.stage)
        self.assertEqual(answer.status, 101)
        for opcode, payload in ((TEXT, '{ "type":"x",\n "n":1.0 }'.encode()), (TEXT, b""), (BINARY, bytes(range(256))),
                                (TEXT, "häß€😀".encode()), (BINARY, b"\0" * 126), (BINARY, b"z" * 65536)):
            socket.send(opcode, payload)
            self.assertEqual(socket.receive(), (opcode, payload))
        socket.close(1000, "bye")
        self.assertEqual(socket.receive_close(), (1000, ""))
        self.assertTrue(socket.wait_end())
        record = self.stage.record(answer)
        self.assertEqual(record("status", "final_status", "task", "provider", "model_used", "attempts"),
                         (101, "ok", "realtime", "up", "echo", 1))
        facts = record.line["switchyard.facts"]
        self.assertEqual((facts["bytes_from_client"], facts["bytes_to_client"]),
                         (str(socket.bytes_sent), str(socket.bytes_received)))
        self.assertEqual(self.stage.upstream.sockets[0].closed_with, b"\x03\xe8bye")

    def test_the_upstream_sees_its_own_model_and_credential_and_nothing_of_the_client(self):
        headers = {"OpenAI-Beta": "realtime=v1", "Cookie": "a=b", "Origin": "https://page.example",
                   "Sec-WebSocket-Protocol": "realtime",
                   "Sec-WebSocket-Extensions": "permessage-deflate"}
        answer, socket = session(self.stage, path="/v1/realtime?intent=a%26b+c&model=up%2Fecho",
                                 headers=headers)
        self.assertEqual(answer.header("sec-websocket-protocol"), "realtime")
        request = self.stage.upstream.wait_requests(1)[0]
        self.assertEqual(request.line, "GET /v1/realtime?model=echo&intent=a%26b%20c HTTP/1.1")
        self.assertEqual(request.header("authorization"), f"Bearer {UPSTREAM_KEY}")
        self.assertEqual(request.header("openai-beta"), "realtime=v1")
        self.assertEqual(request.header("sec-websocket-version"), "13")
        for name in ("cookie", "origin", "sec-websocket-protocol", "sec-websocket-extensions"):
            self.assertIsNone(request.header(name), name)
        self.assertNotIn(GATEWAY_KEY, request.head)
        socket.close(1000)
        socket.receive_close()

    def test_a_browser_sends_its_key_as_a_subprotocol(self):
        offered = f"realtime, openai-insecure-api-key.{GATEWAY_KEY}, openai-beta.realtime-v1"
        answer, socket = session(self.stage, key=None, headers={"Sec-WebSocket-Protocol": offered})
        self.assertEqual(answer.status, 101)
        self.assertEqual(answer.header("sec-websocket-protocol"), "realtime")
        request = self.stage.upstream.wait_requests(1)[0]
        self.assertNotIn(GATEWAY_KEY, request.head)
        self.assertEqual(request.header("openai-beta"), "realtime=v1")
        socket.close(1000)
        socket.receive_close()
        self.stage.record(answer)
        self.assertNotIn(GATEWAY_KEY, self.stage.gateway.log())
        self.assertNotIn(GATEWAY_KEY, self.stage.gateway.records_file.read_text())
        wrong = f"realtime, openai-insecure-api-key.{GATEWAY_KEY}x"
        answer, _ = session(self.stage, key=None, headers={"Sec-WebSocket-Protocol": wrong})
        self.assertEqual((answer.status, answer.error["code"]), (401, "invalid_api_key"))

    def test_what_is_no_handshake_is_told_so(self):
        cases = [
            (426, "upgrade_required", {"upgrade": None}),
            (426, "upgrade_required", {"upgrade": "h2c"}),
            (426, "upgrade_required", {"sec_websocket_version": "8"}),
            (426, "upgrade_required", {"sec_websocket_version": None}),
            (400, "invalid_upgrade", {"connection": "keep-alive"}),
            (400, "invalid_upgrade", {"sec_websocket_key": None}),
            (400, "invalid_upgrade", {"sec_websocket_key": "c2hvcnQ="}),
            (400, "invalid_upgrade", {"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZR=="}),
            (400, "invalid_upgrade", {"sec_websocket_protocol": "a b"}),
        ]
        for status, code, changed in cases:
            with self.subTest(changed):
                answer = client.call(self.stage.url, "GET", "/v1/realtime?model=up/echo", None, GATEWAY_KEY,
                                     websocket.handshake_headers(**changed))
                self.assertEqual((answer.status, answer.error["code"]), (status, code))
                if status == 426:
                    self.assertEqual(answer.header("upgrade"), "websocket")
                    self.assertEqual(answer.header("sec-websocket-version"), "13")
        answer = client.call(self.stage.url, "POST", "/v1/realtime?model=up/echo", {}, GATEWAY_KEY)
        self.assertEqual((answer.status, answer.header("allow")), (405, "GET"))
        self.assertEqual(self.stage.upstream.requests, [])

    def test_who_may_not_and_what_is_not_there_is_refused_before_the_upgrade(self):
        one = "sy-one-0123456789abcdefghijklmnopqrstuvwxyz0123"
        cases = [
            ("/v1/realtime?model=up/echo", None, 401, "invalid_api_key"),
            ("/v1/realtime?model=up/echo", "sy-wrong", 401, "invalid_api_key"),
            ("/v1/realtime?model=up/echo", one, 403, "model_not_allowed"),
            ("/v1/realtime", GATEWAY_KEY, 400, "missing_required_parameter"),
            ("/v1/realtime?model=", GATEWAY_KEY, 400, "missing_required_parameter"),
            ("/v1/realtime?model=up/echo&model=up/usage", GATEWAY_KEY, 400, "duplicate_member"),
            ("/v1/realtime?model=%ff", GATEWAY_KEY, 400, "invalid_value"),
            ("/v1/realtime?model=deep/x", GATEWAY_KEY, 400, "not_offered"),
        ]
        for path, key, status, code in cases:
            with self.subTest(path, key=key):
                answer, _ = session(self.stage, path=path, key=key)
                self.assertEqual((answer.status, answer.error["code"]), (status, code))
                self.assertEqual(self.stage.record(answer)("status", "task"), (status, "realtime"))
        answer, socket = session(self.stage, "up/usage", key=one)
        self.assertEqual(answer.status, 101)
        socket.close()
        socket.receive_close()

    def test_a_refusal_of_the_upstream_is_an_ordinary_answer(self):
        for model, status, code in (("up/status-401", 502, "upstream_auth"),
                                    ("up/status-429", 429, "rate_limit_exceeded"),
                                    ("up/status-400", 400, "invalid_value"),
                                    ("up/plain-200", 502, "upstream_bad_answer"),
                                    ("up/wrong-accept", 502, "upstream_bad_answer"),
                                    ("up/extension", 502, "upstream_bad_answer"),
                                    ("other/x", 502, "upstream_unreachable")):
            with self.subTest(model):
                answer, _ = session(self.stage, model)
                self.assertEqual((answer.status, answer.error["code"]), (status, code))
                self.assertEqual(self.stage.record(answer)["status"], status)

    def test_the_next_target_takes_over_before_the_upgrade(self):
        answer, socket = session(self.stage, "refused-then-echo")
        self.assertEqual(answer.status, 101)
        socket.send(TEXT, "hello")
        self.assertEqual(socket.receive(), (TEXT, b"hello"))
        socket.close(1000)
        socket.receive_close()
        record = self.stage.record(answer)
        self.assertEqual(record("status", "attempts", "model_used"), (101, 2, "echo"))
        self.assertEqual(record["fallback_path"], "up/status-503:overloaded > up/echo:ok")

    def test_messages_that_came_with_the_upgrade_are_not_lost(self):
        answer, socket = session(self.stage, "up/one-packet")
        self.assertEqual((socket.receive_text(), socket.receive_text()), ("one", "two"))
        socket.close(1000)
        socket.receive_close()

    def test_usage_of_all_responses_is_summed(self):
        answer, socket = session(self.stage, "up/usage")
        self.assertEqual([socket.receive_text() for _ in range(2)], [done(10, 3, 4), done(20, 5)])
        socket.close(1000)
        socket.receive_close()
        record = self.stage.record(answer)
        self.assertEqual(record("tokens_in", "tokens_out", "estimated"), (30, 8, False))

    def test_a_fragmented_message_arrives_whole(self):
        _, socket = session(self.stage)
        payload = ("aé" * 350_000).encode()
        socket.send(TEXT, payload, fragment=4097)  # characters are cut
        self.assertEqual(socket.receive(), (TEXT, payload))
        socket.send_frame(TEXT, "one ", fin=False)
        socket.send_frame(PING, "between")
        socket.send_frame(CONTINUATION, "two")
        self.assertEqual(socket.receive(), (TEXT, b"one two"))
        self.assertEqual(socket.pongs, [b"between"])
        socket.close(1000)
        socket.receive_close()

    def test_frames_that_are_wrong_are_answered_with_their_code(self):
        cases = [
            (1002, lambda s: s.send_frame(TEXT, "x", masked=False)),
            (1002, lambda s: s.send_frame(TEXT, "x", rsv=4)),
            (1002, lambda s: s.send_frame(3, "x")),
            (1002, lambda s: s.send_frame(11, "x")),
            (1002, lambda s: s.send_frame(PING, "x", fin=False)),
            (1002, lambda s: s.send_frame(PING, "x" * 126)),
            (1002, lambda s: s.send_frame(CONTINUATION, "x")),
            (1002, lambda s: (s.send_frame(TEXT, "x", fin=False), s.send_frame(TEXT, "y"))),
            (1002, lambda s: s.send_frame(TEXT, "x", length=(126, 1))),
            (1002, lambda s: s.send_frame(TEXT, "x", length=(127, 1 << 63))),
            (1007, lambda s: s.send_frame(TEXT, b"\xff")),
            (1007, lambda s: s.send_frame(TEXT, b"\xe2\x82")),
            (1009, lambda s: s.send_frame(TEXT, b"", length=(127, (16 << 20) + 1))),
            (1002, lambda s: s.send_frame(CLOSE, b"\x03")),
            (1002, lambda s: s.send_frame(CLOSE, b"\x03\xed")),
            (1007, lambda s: s.send_frame(CLOSE, b"\x03\xe8\xff")),
        ]
        for number, (code, wrong) in enumerate(cases):
            with self.subTest(number, code=code):
                answer, socket = session(self.stage)
                wrong(socket)
                self.assertEqual(socket.receive_close()[0], code)
                self.assertTrue(socket.wait_end())
                self.assertEqual(self.stage.record(answer)["final_status"], "client_left")
                wait_for(lambda n=number: len(self.stage.upstream.sockets) > n
                         and hasattr(self.stage.upstream.sockets[n], "closed_with"))
                self.assertEqual(self.stage.upstream.sockets[number].closed_with, b"\x03\xe9")

    def test_a_close_of_the_upstream_reaches_the_client(self):
        answer, socket = session(self.stage, "up/bye")
        self.assertEqual(json.loads(socket.receive_text()), SESSION)
        self.assertEqual(socket.receive_close(), (4001, "enough"))
        socket.close(4001)
        self.assertTrue(socket.wait_end())
        self.assertEqual(self.stage.record(answer)("status", "final_status"), (101, "ok"))
        answer, socket = session(self.stage, "up/bye-without-code")
        self.assertEqual(socket.receive_close(), (None, ""))
        socket.close()
        self.assertTrue(socket.wait_end())

    def test_an_upstream_that_dies_is_an_error_event(self):
        for model, tokens in (("up/cut", 0), ("up/cut-in-message", 10)):
            with self.subTest(model):
                answer, socket = session(self.stage, model)
                socket.receive_text()
                event = json.loads(socket.receive_text())
                self.assertEqual((event["type"], event["error"]["type"], event["error"]["code"]),
                                 ("error", "upstream_error", "upstream_error"))
                self.assertIn("without a Close", event["error"]["message"])
                self.assertEqual(socket.receive_close(), (1011, "upstream_error"))
                socket.close(1011)
                self.assertTrue(socket.wait_end())
                record = self.stage.record(answer)
                self.assertEqual(record("status", "final_status", "error_code", "tokens_in"),
                                 (101, "upstream_error", "upstream_error", tokens))

    def test_an_upstream_that_masks_its_frames_is_refused(self):
        answer, socket = session(self.stage, "up/masks")
        self.assertEqual(json.loads(socket.receive_text())["type"], "error")
        self.assertEqual(socket.receive_close()[0], 1011)
        socket.close(1011)

    def test_a_client_that_vanishes_ends_the_session_upstream(self):
        for leave in ("close", "reset"):
            with self.subTest(leave):
                self.stage.upstream.sockets.clear()
                answer, socket = session(self.stage)
                socket.send(TEXT, "hello")
                socket.receive()
                if leave == "reset":
                    socket.connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER,
                                                 b"\x01\0\0\0\0\0\0\0")
                socket.connection.close()
                wait_for(lambda: hasattr(self.stage.upstream.sockets[0], "closed_with"))
                self.assertEqual(self.stage.upstream.sockets[0].closed_with, b"\x03\xe9")
                self.assertEqual(self.stage.record(answer)("status", "final_status"), (101, "client_left"))

    def test_a_client_that_leaves_before_the_upgrade(self):
        connection = client.Connection(self.stage.url)
        request_id = f"test-{uuid.uuid4().hex}"
        connection.send_request("GET", "/v1/realtime?model=up/stall-before-head", None, GATEWAY_KEY,
                                {**websocket.handshake_headers(), "X-Request-Id": request_id})
        request = self.stage.upstream.wait_requests(1)[0]
        connection.close()
        self.assertTrue(request.left.wait(10))
        self.assertEqual(self.stage.record(request_id)("status", "final_status"), (499, "client_left"))

    def test_a_slow_client_holds_the_upstream_back(self):
        answer, socket = session(self.stage, "up/flood", receive_buffer=4096)
        first = socket.receive_text()
        wait_for(lambda: self.stage.upstream.sockets)
        upstream = self.stage.upstream.sockets[0]
        seen = -1

        def stands():
            nonlocal seen
            before, seen = seen, upstream.sent
            return before == seen and before > 0 and not threading.Event().wait(0.3) and upstream.sent == before
        wait_for(stands, what="the upstream's writing to stand still")
        self.assertLess(upstream.sent, 150)  # of 400: sockets and queue hold some megabytes at most
        # Meanwhile the other direction goes on.
        socket.send(TEXT, "hello")
        numbers = [int(first.partition(":")[0])]
        while True:
            opcode, payload = socket.receive()
            if opcode == CLOSE:
                break
            numbers.append(int(payload.partition(b":")[0]))
        self.assertEqual(numbers, list(range(400)))
        socket.close(1000)
        self.assertTrue(socket.wait_end())

    def test_a_client_that_does_not_read_is_left_in_time(self):
        answer, socket = session(self.stage, "up/flood", receive_buffer=4096)
        record = self.stage.record(answer)  # write_timeout is 2 s
        self.assertEqual(record("status", "final_status"), (101, "client_left"))
        socket.connection.close()

    def test_an_open_session_counts_as_an_open_stream(self):
        def streams():
            answer = client.call(self.stage.gateway.admin_url, "GET", "/metrics", key=self.stage.gateway.admin_token)
            line = next(line for line in answer.text.splitlines()
                        if line.startswith("switchyard_open_streams"))
            return float(line.rsplit(" ", 1)[1])
        self.assertEqual(streams(), 0)
        _, socket = session(self.stage)
        self.assertEqual(streams(), 1)
        socket.close(1000)
        socket.receive_close()
        wait_for(lambda: streams() == 0)


class Limits(unittest.TestCase):
    def test_a_session_ends_when_it_idles_or_lasts_too_long(self):
        for limits, code in (({"session_idle": "1s"}, "session_idle"),
                             ({"stream_max": "1s"}, "session_expired")):
            with self.subTest(code), Stage(up=PATIENT, limits=limits) as stage:
                add_scripts(stage.upstream)
                answer, socket = session(stage)
                event = json.loads(socket.receive_text())
                self.assertEqual((event["type"], event["error"]["code"]), ("error", code))
                self.assertEqual(socket.receive_close(), (1011, code))
                socket.close(1011)
                self.assertTrue(socket.wait_end())
                self.assertEqual(stage.record(answer)("status", "error_code"), (101, code))

    def test_a_model_that_is_not_there(self):
        with Stage(up={**PATIENT, "models": ["echo"]}) as stage:
            answer, _ = session(stage, "ecko")
            self.assertEqual((answer.status, answer.error["code"]), (404, "model_not_found"))
            self.assertIn("Did you mean 'echo'", answer.error["message"])

    def test_without_keys_a_page_of_another_origin_is_refused(self):
        with Stage(up=PATIENT, keys=[], cors={"origins": ["https://good.example"]}) as stage:
            add_scripts(stage.upstream)
            for origin, status in (("https://evil.example", 403), ("null", 403), (stage.url, 101),
                                   ("https://good.example", 101)):
                with self.subTest(origin):
                    answer, socket = session(stage, key=None, headers={"Origin": origin})
                    self.assertEqual(answer.status, status)
                    if socket:
                        socket.close(1000)
                        socket.receive_close()


class Tls(unittest.TestCase):
    def test_both_sides_over_tls(self):
        from upstream import Upstream
        import ssl
        made = certificates()
        with Upstream(pair=made.good) as secure:
            add_scripts(secure)
            with Stage(providers={"secure": {**provider(secure.url, tls={"ca_file": made.ca}), **PATIENT}},
                       listen=[{"address": "127.0.0.1:0", "tls": {"certificate": made.good.certificate,
                                                                "key": made.good.key}}]) as stage:
                context = ssl.create_default_context(cafile=made.ca)
                answer, socket = session(stage, "secure/echo", tls=context)
                self.assertEqual(answer.status, 101)
                payload = "x" * 1_000_000
                # Another thread writes: the echo comes back before all of it went.
                writer = threading.Thread(target=socket.send, args=(TEXT, payload), daemon=True)
                writer.start()
                self.assertEqual(socket.receive_text(), payload)
                writer.join(10)
                socket.close(1000, "bye")
                self.assertEqual(socket.receive_close(), (1000, ""))
                self.assertEqual(stage.record(answer)("status", "final_status"), (101, "ok"))


class Ends(unittest.TestCase):
    def test_a_session_goes_on_over_a_hot_restart(self):
        with Stage(up=PATIENT, limits={"drain_timeout": "20s"}) as stage:
            add_scripts(stage.upstream)
            _, socket = session(stage)
            before = stage.gateway.workers()
            stage.gateway.signal(signal.SIGUSR2)
            wait_for(lambda: len(set(stage.gateway.workers()) - set(before)) == 1, 20)
            socket.send(TEXT, "still here")
            self.assertEqual(socket.receive(), (TEXT, b"still here"))
            _, second = session(stage)
            second.send(TEXT, "new")
            self.assertEqual(second.receive(), (TEXT, b"new"))
            for one in (second, socket):
                one.close(1000)
                self.assertEqual(one.receive_close(), (1000, ""))
            wait_for(lambda: not set(stage.gateway.workers()) & set(before), 20)

    def test_at_the_end_of_a_drain_a_session_is_told(self):
        with Stage(up=PATIENT, limits={"drain_timeout": "1s"}) as stage:
            add_scripts(stage.upstream)
            answer, socket = session(stage)
            stage.gateway.signal(signal.SIGTERM)
            self.assertEqual(socket.receive_close(), (1001, ""))
            socket.close(1001)
            self.assertTrue(socket.wait_end())
            self.assertEqual(stage.gateway.wait(), 0)
            self.assertEqual(stage.record(answer)("status", "final_status"), (101, "ok"))
            self.assertEqual(stage.upstream.sockets[0].closed_with[:2], b"\x03\xe9")


if __name__ == "__main__":
    unittest.main()
