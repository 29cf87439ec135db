"""Good answers in every form an upstream may give them, and what passes in both directions."""

import json
import socket
import unittest

from stage import UPSTREAM_KEY, Stage, provider  # first: it says where the others are
import client
import upstream

WHOLE_TEXT = upstream.ANSWER


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)

    def stream(self, script, **members):
        answer = self.stage.chat(f"up/{script}", True, **members)
        self.assertEqual((answer.status, answer.clean), (200, True), answer.text)
        self.assertTrue(answer.header("content-type").startswith("text/event-stream"))
        events = answer.events()
        self.assertEqual(events[-1], "[DONE]", answer.text)
        self.assertEqual(events.count("[DONE]"), 1)
        return answer, [json.loads(event) for event in events[:-1]]

    def seen(self, answer):
        """The last request that the upstream saw. Tests of a class run one after the other."""
        del answer
        return self.stage.upstream.requests[-1]

    def test_whole_answers(self):
        for script in ("good", "chunked", "until-close", "informational", "gzip", "drip-body",
                       "usage-unasked"):
            with self.subTest(script):
                answer = self.stage.chat(f"up/{script}")
                self.assertEqual((answer.status, answer.clean), (200, True), answer.text)
                self.assertEqual(answer.json(), upstream.chat())
                record = self.stage.record(answer)
                self.assertEqual((record["status"], record["final_status"], record["attempts"],
                                  record["tokens_in"],
                                  record["tokens_out"],
                                  record["finish"], record["error_code"]),
                                 (200, "ok", 1, 11, 5, "stop", None))

    def test_streams(self):
        for script in ("good", "comments", "cr-only", "crlf", "byte-order-mark", "drip-stream",
                       "one-packet", "slow-first-token", "gzip-stream", "no-done-after-finish",
                       "after-done", "usage-unasked"):
            with self.subTest(script):
                answer, chunks = self.stream(script)
                self.assertEqual(client.text_of(map(json.dumps, chunks)), WHOLE_TEXT)
                self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "stop")
                record = self.stage.record(answer)
                self.assertEqual((record["status"], record["final_status"], record["stream"],
                                  record["tokens_in"],
                                  record["tokens_out"], record["finish"]),
                                 (200, "ok", True, 11, 5, "stop"))

    def test_usage_is_asked_for_and_hidden_from_a_client_that_did_not_ask(self):
        _, chunks = self.stream("good")
        self.assertTrue(self.seen(None).wants_usage)
        for chunk in chunks:
            self.assertNotIn("usage", chunk)
            self.assertTrue(chunk["choices"])

    def test_usage_is_shown_to_a_client_that_asked(self):
        for script in ("good", "usage-unasked"):
            with self.subTest(script):
                _, chunks = self.stream(script, stream_options={"include_usage": True})
                self.assertEqual((chunks[-1]["choices"], chunks[-1]["usage"]), ([], upstream.USAGE))
                self.assertFalse([chunk for chunk in chunks[:-1] if chunk.get("usage")])

    def test_an_upstream_that_counts_nothing(self):
        answer, chunks = self.stream("usage-never", stream_options={"include_usage": True})
        self.assertEqual(chunks[-1]["choices"], [])
        self.assertGreater(chunks[-1]["usage"]["completion_tokens"], 0)
        record = self.stage.record(answer)
        self.assertTrue(record["estimated"])
        self.assertGreater(record["tokens_out"], 0)

    def test_members_that_nobody_here_knows_pass_both_ways(self):
        def odd(exchange):
            body = upstream.chat()
            body["x_new_member"] = {"a": [1, 2.50, 12345678901234567890]}
            body["choices"][0]["message"]["reasoning_content"] = "Hm."
            return exchange.answer(body=body)
        self.stage.upstream.add("odd", odd)
        answer = self.stage.chat("up/odd", brand_new={"deep": [None, True, "é\u2028"]},
                                 temperature=0.30000000000000004)
        self.assertEqual(answer.json()["x_new_member"], {"a": [1, 2.5, 12345678901234567890]})
        self.assertEqual(answer.json()["choices"][0]["message"]["reasoning_content"], "Hm.")
        sent = self.seen(answer).json()
        self.assertEqual(sent["brand_new"], {"deep": [None, True, "é\u2028"]})
        self.assertEqual(sent["model"], "odd")
        self.assertIn(b"0.30000000000000004", self.seen(answer).body)

    def test_an_alias_is_replaced_by_the_upstreams_name(self):
        answer = self.stage.chat("alias")
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.seen(answer).model, "m")
        record = self.stage.record(answer)
        self.assertEqual((record["model_asked"], record["model_used"],
                          record["provider"]), ("alias", "m", "up"))

    def test_only_the_upstreams_own_credential_goes_upstream(self):
        answer = self.stage.chat("up/good", headers={
            "Cookie": "session=1", "X-Api-Key": "sy-other", "X-Forwarded-For": "10.0.0.1",
            "OpenAI-Beta": "x=1", "Accept-Encoding": "br, gzip"})
        self.assertEqual(answer.status, 200)
        request = self.seen(answer)
        self.assertEqual(request.header("authorization"), f"Bearer {UPSTREAM_KEY}")
        self.assertEqual(request.header("openai-beta"), "x=1")
        self.assertEqual(request.header("host"), f"127.0.0.1:{self.stage.upstream.port}")
        for name in ("cookie", "x-api-key", "x-forwarded-for"):
            self.assertIsNone(request.header(name), name)
        self.assertIn(request.header("accept-encoding"), (None, "identity"))

    def test_tools(self):
        tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
        answer = self.stage.chat("up/good", tools=tools)
        self.assertEqual(answer.json(), upstream.tool_call())
        _, chunks = self.stream("good", tools=tools)
        calls = [call for chunk in chunks for choice in chunk["choices"]
                 for call in choice["delta"].get("tool_calls", [])]
        self.assertEqual("".join(call["function"]["arguments"] for call in calls),
                         '{"city": "Oslo"}')
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "tool_calls")

    def test_the_other_endpoints(self):
        answer = self.stage.call("POST", "/v1/embeddings", {"model": "up/e", "input": ["a", "b"]})
        self.assertEqual([one["embedding"] for one in answer.json()["data"]], [[0.5, -0.25, 1.0]] * 2)
        self.assertEqual(self.stage.record(answer)["tokens_in"], 8)
        answer = self.stage.call("POST", "/v1/completions", {"model": "up/c", "prompt": "Once"})
        self.assertEqual(answer.json()["choices"][0]["text"], WHOLE_TEXT)
        answer = self.stage.call("POST", "/v1/moderations", {"model": "up/mod", "input": "x"})
        self.assertFalse(answer.json()["results"][0]["flagged"])

    def test_models(self):
        answer = self.stage.call("GET", "/v1/models")
        names = [model["id"] for model in answer.json()["data"]]
        self.assertIn("alias", names)
        self.assertEqual(names, sorted(names))
        one = self.stage.call("GET", "/v1/models/alias").json()
        self.assertEqual((one["id"], one["object"]), ("alias", "model"))

    def test_request_ids(self):
        answer = self.stage.chat("up/good", headers={"X-Request-Id": "my-own.id_1"})
        self.assertEqual(answer.header("x-request-id"), "my-own.id_1")
        for bad in ("", "a b", "x" * 129, "a;b", 'q"uote'):
            with self.subTest(bad):
                answer = self.stage.chat("up/good", headers={"X-Request-Id": bad})
                self.assertRegex(answer.header("x-request-id"), r"^req_[0-9a-f]{24,32}$")
        ids = {self.stage.call("GET", "/v1/models", headers={"X-Request-Id": ""})
               .header("x-request-id") for _ in range(20)}
        self.assertEqual(len(ids), 20)
        refused = self.stage.call("GET", "/v1/nothing", headers={"X-Request-Id": "seen"})
        self.assertEqual(refused.header("x-request-id"), "seen")

    def test_trace_context_passes(self):
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        answer = self.stage.chat("up/good", headers={"traceparent": trace})
        self.assertEqual(self.seen(answer).header("traceparent"), trace)
        self.assertEqual(self.stage.record(answer)["trace_id"], trace[3:35])

    def test_no_page_of_another_origin_may_read(self):
        answer = self.stage.chat("up/good", headers={"Origin": "https://app.example"})
        self.assertIsNone(answer.header("access-control-allow-origin"))
        answer = self.stage.call("OPTIONS", "/v1/chat/completions", key=None,
                                 headers={"Origin": "https://app.example",
                                          "Access-Control-Request-Method": "POST"})
        self.assertIsNone(answer.header("access-control-allow-origin"))

    def test_connections_to_the_upstream_are_used_again(self):
        before = self.stage.upstream.connections
        with client.Connection(self.stage.url) as connection:
            for _ in range(10):
                answer = connection.request("POST", "/v1/chat/completions",
                                            {"model": "up/good", "messages": client.MESSAGES},
                                            self.stage.key)
                self.assertEqual(answer.status, 200)
        self.assertLessEqual(self.stage.upstream.connections, before + 1)


class Elsewhere(unittest.TestCase):
    def test_cors(self):
        with Stage(cors={"origins": ["https://app.example"]}) as stage:
            preflight = stage.call("OPTIONS", "/v1/chat/completions", key=None, headers={
                "Origin": "https://app.example", "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, content-type"})
            self.assertEqual(preflight.status, 204)
            self.assertEqual(preflight.header("access-control-allow-origin"), "https://app.example")
            self.assertIn("authorization", preflight.header("access-control-allow-headers"))
            answer = stage.chat("up/good", headers={"Origin": "https://app.example"})
            self.assertEqual(answer.header("access-control-allow-origin"), "https://app.example")
            self.assertIn("origin", answer.header("vary").lower())
            refused = stage.chat("up/good", key="sy-wrong", headers={"Origin": "https://app.example"})
            self.assertEqual((refused.status, refused.header("access-control-allow-origin")),
                             (401, "https://app.example"))
            other = stage.chat("up/good", headers={"Origin": "https://evil.example"})
            self.assertIsNone(other.header("access-control-allow-origin"))

    @unittest.skipUnless(socket.has_ipv6, "no IPv6 here")
    def test_ipv6_on_both_sides(self):
        try:
            six = upstream.Upstream(family=socket.AF_INET6)
        except OSError as error:
            self.skipTest(f"no IPv6 loopback: {error}")
        with six, Stage(listen=["[::1]:0", "127.0.0.1:0"],
                        providers={"six": provider(six.url)}) as stage:
            self.assertEqual(len(stage.gateway.urls), 2)
            for url in stage.gateway.urls:
                answer = client.chat(url, "six/good", stage.key)
                self.assertEqual(answer.status, 200, answer.text)
            self.assertEqual(len(six.requests), 2)

    def test_a_name_that_has_both_addresses_is_reached_by_the_one_that_listens(self):
        with Stage() as stage:
            config = stage.config
            config["providers"]["named"] = provider(f"http://localhost:{stage.upstream.port}/v1")
            with Stage(providers={"named": config["providers"]["named"]}) as second:
                self.assertEqual(second.chat("named/good").status, 200)


if __name__ == "__main__":
    unittest.main()
