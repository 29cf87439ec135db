"""Bad input of clients: a clear error, nothing sent upstream, and the server lives."""

import json
import re
import time
import unittest

from stage import Stage  # first: it says where the others are
import client

CHAT = "/v1/chat/completions"
INVALID = "invalid_request_error"


def chat_body(**members):
    return {"model": "up/good", "messages": client.MESSAGES, **members}


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(
            up={"models": ["good", "other", "l", "s", "e"]},
            models={"gpt-large": "up/l", "gpt-small": "up/s"},
            keys=[{"name": "test", "key": "${TEST_GATEWAY_KEY}"},
                  {"name": "narrow", "key": "${NARROW_KEY}", "models": ["gpt-small"],
                   "body_bytes_max": 2000}],
            env={"NARROW_KEY": "sy-narrow-0123456789abcdefghijklmnopqrstuvwx"})
        cls.addClassCleanup(cls.stage.close)

    def setUp(self):
        self.before = len(self.stage.upstream.requests)

    def tearDown(self):
        self.assertEqual(self.stage.chat("up/good").status, 200)  # it lives

    def refused(self, answer, status, code, param=None, kind=INVALID):
        self.assertEqual((answer.status, answer.error["type"], answer.error["code"],
                          answer.error["param"]), (status, kind, code, param), answer.text)
        self.assertEqual(set(answer.error), {"message", "type", "param", "code"})
        self.assertTrue(answer.header("x-request-id"))
        self.assertNotEqual(answer.header("x-should-retry"), "true")
        self.assertEqual(len(self.stage.upstream.requests), self.before)
        return answer

    def post(self, body, path=CHAT, **more):
        return self.stage.call("POST", path, body, **more)

    # -- keys

    def test_keys(self):
        for key in (None, "sy-wrong", "x" * 5000, "sk-canary-upstream-0123456789abcdefghijklmnop"):
            with self.subTest(key):
                answer = self.refused(self.post(chat_body(), key=key), 401, "invalid_api_key")
                self.assertNotIn(key or "Bearer sk", answer.text)
        answer = self.post(chat_body(), key=None, headers={"Authorization": "Basic dXNlcjpwYXNz"})
        self.refused(answer, 401, "invalid_api_key")

    def test_the_key_comes_before_the_body(self):
        with client.Connection(self.stage.url) as connection:
            connection.send(f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                            "Expect: 100-continue\r\n\r\n")
            answer = connection.receive_head()
            self.assertEqual(answer.status, 401)  # and not 100
            answer.read()
            self.assertEqual(answer.error["code"], "invalid_api_key")

    def test_a_key_for_few_models(self):
        narrow = "sy-narrow-0123456789abcdefghijklmnopqrstuvwx"
        self.refused(self.post({**chat_body(), "model": "gpt-large"}, key=narrow), 403,
                     "model_not_allowed", "model")
        listed = self.stage.call("GET", "/v1/models", key=narrow).json()["data"]
        self.assertEqual([model["id"] for model in listed], ["gpt-small"])
        self.refused(self.stage.call("GET", "/v1/models/gpt-large", key=narrow), 404,
                     "model_not_found", "model")
        self.refused(self.post(chat_body(pad="x" * 3000), key=narrow), 413, "request_too_large")
        self.assertEqual(self.post({**chat_body(), "model": "gpt-small"}, key=narrow).status, 200)

    # -- where to

    def test_unknown_models_name_their_neighbours(self):
        answer = self.refused(self.post({**chat_body(), "model": "gpt-lage"}), 404,
                              "model_not_found", "model")
        self.assertIn("gpt-large", answer.error["message"])
        answer = self.refused(self.post({**chat_body(), "model": "zzzzzzzzzzzzzzz"}), 404,
                              "model_not_found", "model")
        self.assertNotIn("gpt-", answer.error["message"])
        self.refused(self.stage.call("GET", "/v1/models/gpt-lage"), 404, "model_not_found", "model")

    def test_unknown_routes_and_methods(self):
        for method, path in (("GET", "/"), ("POST", "/v1/chat/completion"), ("POST", "/v2/x"),
                             ("POST", "/v1/chat/completions/"), ("POST", "//v1/chat/completions"),
                             ("GET", "/V1/models"), ("POST", "/v1/chat%2fcompletions")):
            with self.subTest(path):
                self.refused(self.stage.call(method, path, chat_body() if method == "POST" else None),
                             404, "unknown_url")
        for method, path, allowed in (("GET", CHAT, "POST"), ("DELETE", CHAT, "POST"),
                                      ("PUT", "/v1/embeddings", "POST"),
                                      ("DELETE", "/v1/models", "GET")):
            with self.subTest(method, path=path):
                answer = self.refused(self.stage.call(method, path), 405, "method_not_allowed")
                self.assertIn(allowed, answer.header("allow"))

    def test_a_query_string_is_no_secret_to_keep_in_a_log(self):
        self.stage.call("POST", CHAT + "?token=canary-in-query", chat_body())
        self.stage.call("GET", "/v1/none?token=canary-in-query")
        self.assertNotIn("canary-in-query", self.stage.gateway.log())
        self.assertNotIn("canary-in-query", json.dumps(self.stage.gateway.records()))

    # -- what is no JSON object

    def test_bad_json(self):
        whole = json.dumps(chat_body())
        for name, body in {
            "empty": "", "truncated": whole[:-1], "half": whole[: len(whole) // 2],
            "trailing": whole + "x", "two": whole + whole, "array": "[]", "text": '"model"',
            "number": "1", "null": "null", "comment": "/* */" + whole, "bare": "model",
            "single quotes": "{'model': 'm'}", "NaN": '{"model": NaN}',
            "trailing comma": whole[:-1] + ",}", "NUL in text": '{"model": "a\0b"}',
            "NUL behind": whole + "\0", "control byte": '{"model": "a\nb"}',
            "lone escape": '{"model": "\\"}', "bad escape": '{"model": "\\x41"}',
            "leading zero": '{"n": 01, "model": "m"}', "plus": '{"n": +1}', "hex": '{"n": 0x1}',
            "byte order mark": "\ufeff" + whole,
        }.items():
            with self.subTest(name):
                answer = self.post(body.encode())
                self.refused(answer, 400, "invalid_json")
                self.assertRegex(answer.error["message"], r"byte \d+")

    def test_bytes_that_are_no_utf8(self):
        answer = self.post(b'{"model": "up/good", "messages": [], "user": "\xff\xfe"}')
        self.refused(answer, 400, "invalid_json")

    def test_deep_json(self):
        for depth in (100, 10_000, 1_000_000):
            for opening, closing in (("[", "]"), ('{"a":', "}")):
                with self.subTest(depth, opening=opening):
                    body = (b'{"model":"up/good","messages":' + opening.encode() * depth + b"1"
                            + closing.encode() * depth + b"}")
                    began = time.monotonic()
                    self.refused(self.post(body), 400, "invalid_json")
                    self.assertLess(time.monotonic() - began, 2)
        shallow = chat_body(tools=[{"a": [[[[[[[[1]]]]]]]]}])
        self.assertEqual(self.post(shallow).status, 200)

    # -- what an object must hold

    def test_missing_members(self):
        for body, param in (({"messages": []}, "model"), ({"model": "up/good"}, "messages"),
                            ({}, "model"), ({"model": "", "messages": []}, "model")):
            with self.subTest(param, body=body):
                self.refused(self.post(body), 400, "missing_required_parameter", param)
        self.refused(self.post({"model": "up/e"}, "/v1/embeddings"), 400,
                     "missing_required_parameter", "input")

    def test_wrong_types(self):
        for name, value in (("model", 7), ("model", None), ("model", ["up/good"]), ("model", {}),
                            ("stream", "true"), ("stream", 1), ("messages", "Hello"),
                            ("messages", {}), ("stream_options", []), ("tools", "x"),
                            ("max_tokens", "10"), ("n", True)):
            with self.subTest(name, value=value):
                answer = self.refused(self.post(chat_body(**{name: value})), 400, "invalid_type", name)
                self.assertIn(name, answer.error["message"])

    def refused_twice(self, body, name):
        """The parameter is named as the client wrote it."""
        answer = self.post(body)
        written = answer.json().get("error", {}).get("param") or ""
        self.assertEqual(written.lower(), name)
        self.refused(answer, 400, "duplicate_member", written)

    def test_members_that_occur_twice(self):
        rest = '"messages": [{"role": "user", "content": "x"}]'
        for first, second in (("model", "model"), ("model", "Model"), ("model", "MODEL"),
                              ("model", "mod\\u0065l"), ("model", "\\u004dodel")):
            body = f'{{"{first}": "up/good", "{second}": "up/other", {rest}}}'
            with self.subTest(second):
                self.refused_twice(body, "model")
        for name, value in (("stream", "true"), ("n", "1"), ("max_tokens", "5"),
                            ("messages", "[]"), ("tools", "[]"), ("service_tier", '"flex"')):
            body = f'{{"model": "up/good", "{name}": {value}, "{name.title()}": {value}, ' + \
                ("" if name == "messages" else rest + ", ") + '"x": 1}'
            with self.subTest(name):
                self.refused_twice(body, name)

    def test_a_member_that_only_looks_like_the_model(self):
        """Case-folded look-alikes alone: what is routed must be what is sent."""
        self.refused(self.post({"Model": "up/good", "messages": []}), 400,
                     "missing_required_parameter", "model")

    # -- size

    def test_a_large_body(self):
        with client.Connection(self.stage.url) as connection:
            connection.send_request("POST", CHAT, key=self.stage.key, headers={
                "Content-Length": str(100_000_000), "Content-Type": "application/json"})
            answer = connection.receive_answer()  # before a byte of the body was sent
        self.refused(answer, 413, "request_too_large")

    def test_a_large_chunked_body(self):
        with client.Connection(self.stage.url) as connection:
            connection.send_request("POST", CHAT, key=self.stage.key,
                                    headers={"Transfer-Encoding": "chunked"})
            sent = 0
            try:
                for _ in range(1600):
                    connection.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
                    sent += 65536
            except OSError:
                pass  # closed on us, as it may
            self.assertLess(sent, 60_000_000)
        self.assertEqual(len(self.stage.upstream.requests), self.before)

    def test_a_body_within_the_limit_passes_whole(self):
        text = "é" * 2_000_000
        answer = self.post(chat_body(messages=[{"role": "user", "content": text}]))
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.stage.upstream.requests[-1].json()["messages"][0]["content"], text)
        self.before = len(self.stage.upstream.requests)

    # -- framing; the rest of it is in tests/framing

    def raw(self, head, body=b""):
        with client.Connection(self.stage.url) as connection:
            connection.send(head.replace("\n", "\r\n").encode("latin-1") + body)
            try:
                answer = connection.receive_answer()
            except ConnectionError:
                return None
            self.assertEqual(connection.receive(), b"", "it stays open")
            return answer

    def test_floods_of_headers(self):
        many = "".join(f"X-{i}: 1\n" for i in range(2000))
        large = "X-Large: " + "x" * 200_000 + "\n"
        for name, fields, status in (("many", many, 431), ("large", large, 431)):
            with self.subTest(name):
                answer = self.raw(f"POST {CHAT} HTTP/1.1\nHost: x\n{fields}\n")
                self.assertEqual(answer.status, status)
        answer = self.raw(f"GET /{'x' * 50_000} HTTP/1.1\nHost: x\n\n")
        self.assertEqual(answer.status, 414)

    def test_conflicting_lengths(self):
        for name, fields in {
            "both": "Content-Length: 5\nTransfer-Encoding: chunked\n",
            "two": "Content-Length: 5\nContent-Length: 6\n",
            "list": "Content-Length: 5, 5\n",
            "coding": "Transfer-Encoding: gzip, chunked\n",
            "unknown": "Transfer-Encoding: xchunked\n",
            "sign": "Content-Length: +5\n",
            "space before colon": "Content-Length : 5\n",
        }.items():
            with self.subTest(name):
                answer = self.raw(f"POST {CHAT} HTTP/1.1\nHost: x\n"
                                  f"Authorization: Bearer {self.stage.key}\n{fields}\n",
                                  b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertIn(answer.status, (400, 501))
                self.assertEqual(len(self.stage.upstream.requests), self.before)

    def test_nul_bytes(self):
        self.assertEqual(self.raw(f"POST {CHAT}\0 HTTP/1.1\nHost: x\n\n").status, 400)
        self.assertEqual(self.raw(f"POST {CHAT} HTTP/1.1\nHost: x\nX-A: b\0c\n\n").status, 400)

    def test_errors_of_framing_are_errors_of_the_api_too(self):
        answer = self.raw("POST /x HTTP/1.1\nHost: x\nContent-Length: x\n\n")
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.error["type"], INVALID)
        self.assertTrue(re.match(r"^[a-z_]+$", answer.error["code"]))


class Times(unittest.TestCase):
    """Clients that are slow on purpose: each is ended by its deadline, with the answer that is due."""

    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(limits={"head_timeout": "500ms", "body_timeout": "500ms",
                                  "keep_alive_timeout": "500ms"})
        cls.addClassCleanup(cls.stage.close)

    def test_a_slow_head(self):
        with client.Connection(self.stage.url) as connection:
            connection.send("GET /healthz HT")
            answer = connection.receive_answer()
            self.assertEqual(answer.status, 408)

    def test_a_head_that_drips_is_no_way_around_the_deadline(self):
        with client.Connection(self.stage.url) as connection:
            began = time.monotonic()
            with self.assertRaises((ConnectionError, AssertionError)):
                connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                while time.monotonic() - began < 5:
                    connection.send("y")
                    time.sleep(0.05)
                self.fail("it never ended")
            self.assertLess(time.monotonic() - began, 3)

    def test_a_slow_body(self):
        with client.Connection(self.stage.url) as connection:
            connection.send_request("POST", CHAT, key=self.stage.key,
                                    headers={"Content-Length": "100"})
            connection.send('{"model"')
            answer = connection.receive_answer()
            self.assertEqual((answer.status, answer.error["code"]), (408, "request_timeout"))

    def test_an_idle_connection(self):
        with client.Connection(self.stage.url) as connection:
            self.assertEqual(connection.request("GET", "/healthz").status, 200)
            began = time.monotonic()
            self.assertEqual(connection.receive(), b"")
            self.assertLess(time.monotonic() - began, 3)


if __name__ == "__main__":
    unittest.main()
