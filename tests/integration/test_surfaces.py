"""Dialects beside OpenAI's chat: what their clients see, whatever the upstream speaks."""

import base64
import json
import threading
import unittest

from stage import PATIENT, TIMEOUTS, Stage, client  # first: it says where the others are
import odd_json
import upstream
import vendors
from upstream import ANSWER, Upstream

MESSAGES = [{"role": "user", "content": "Hello?"}]
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def events(answer):
    """(name, data) of each event."""
    found = []
    for block in answer.text.split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((lines.get("event"), lines.get("data")))
    return found


def message_of(answer):
    """The message that a stream's events say, put together as Anthropic's SDKs do."""
    message = None
    for name, text in events(answer):
        data = json.loads(text)
        assert data["type"] == name, (name, data)
        if name == "message_start":
            message = data["message"]
        elif name == "content_block_start":
            assert data["index"] == len(message["content"])
            message["content"].append({**data["content_block"], "open": True, "json": ""})
        elif name == "content_block_delta":
            block, delta = message["content"][data["index"]], data["delta"]
            assert block["open"]
            if delta["type"] == "text_delta":
                block["text"] += delta["text"]
            elif delta["type"] == "thinking_delta":
                block["thinking"] += delta["thinking"]
            elif delta["type"] == "signature_delta":
                block["signature"] = delta["signature"]
            else:
                block["json"] += delta["partial_json"]
        elif name == "content_block_stop":
            block = message["content"][data["index"]]
            text = block.pop("json")
            if block["type"] == "tool_use":
                block["input"] = json.loads(text or "{}")
            assert block.pop("open")
        elif name == "message_delta":
            message.update(data["delta"])
            message["usage"].update(data["usage"])
    assert events(answer)[-1][0] == "message_stop", events(answer)
    return message


class Surfaces(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vendor = Upstream()
        cls.addClassCleanup(cls.vendor.close)
        vendors.add(cls.vendor)
        common = {"credentials": [{"key": "${TEST_UPSTREAM_KEY}"}], "timeouts": TIMEOUTS}
        cls.stage = Stage(
            providers={
                "claude": {"plugin": "anthropic", "base_url": cls.vendor.origin + "/v1",
                           "models": ["claude-opus-5-5", "native", "counting"], **common},
                "google": {"plugin": "gemini", "base_url": cls.vendor.origin + "/v1beta",
                           "models": ["gemini-3.8-flash", "native"], **common}},
            up={"models": ["good", "m", "e", "quota", "cut-between-events"]})
        cls.addClassCleanup(cls.stage.close)

    def post(self, path, body, headers=None, key="x-api-key"):
        return self.stage.call("POST", path, body, None, {key: self.stage.key, **(headers or {})})


class Messages(Surfaces):
    def ask(self, model="up/good", headers=None, status=200, **members):
        body = {"model": model, "max_tokens": 100, "messages": MESSAGES, **members}
        answer = self.post("/v1/messages", body, {"anthropic-version": "2023-06-01", **(headers or {})})
        self.assertEqual(answer.status, status, answer.text)
        return answer

    def test_a_whole_answer_of_an_openai_upstream(self):
        answer = self.ask(system="Be brief.")
        self.assertEqual(answer.header("request-id"), answer.header("x-request-id"))
        message = answer.json()
        self.assertEqual(message["type"], "message")
        self.assertTrue(message["id"].startswith("msg_"))
        self.assertEqual(message["content"], [{"type": "text", "text": ANSWER, "citations": None}])
        self.assertEqual(message["stop_reason"], "end_turn")
        self.assertEqual(message["usage"]["input_tokens"], 11)
        self.assertEqual(self.stage.upstream.requests[-1].json(), {
            "model": "good", "max_completion_tokens": 100,
            "messages": [{"role": "system", "content": "Be brief."}, *MESSAGES]})
        record = self.stage.record(answer)
        self.assertEqual((record["status"], record["tokens_in"]), (200, 11))

    def test_a_stream_of_an_openai_upstream(self):
        answer = self.ask(stream=True)
        self.assertTrue(answer.clean)
        self.assertEqual(answer.header("content-type"), "text/event-stream")
        message = message_of(answer)
        self.assertEqual(message["content"], [{"type": "text", "text": ANSWER, "citations": None}])
        self.assertEqual(message["usage"]["output_tokens"], 5)

    def test_a_conversation_with_tools_over_two_turns(self):
        # Natively, and through canonical: with the vendor's signatures, which have to come back.
        for model in ("claude/claude-opus-5-5", "google/gemini-3.8-flash"):
            for stream in (False, True):
                with self.subTest(model=model, stream=stream):
                    said = list(MESSAGES)
                    more = {"stream": stream, "tools": [WEATHER], "thinking": {"type": "adaptive"}}
                    answer = self.ask(model, messages=said, **more)
                    message = message_of(answer) if stream else answer.json()
                    calls = [block for block in message["content"] if block["type"] == "tool_use"]
                    self.assertEqual([call["input"] for call in calls],
                                     [{"city": "Oslo"}, {"city": "Rome"}])
                    self.assertEqual(message["stop_reason"], "tool_use")
                    kinds = {block["type"] for block in message["content"]}
                    self.assertIn("thinking", kinds)
                    for block in message["content"]:
                        for name in ("caller", "citations"):
                            block.pop(name, None)  # as clients leave out what is not input
                    said += [{"role": "assistant", "content": message["content"]},
                             {"role": "user", "content": [
                                 {"type": "tool_result", "tool_use_id": call["id"], "content": "rain"}
                                 for call in calls]}]
                    answer = self.ask(model, messages=said, **more)
                    message = message_of(answer) if stream else answer.json()
                    self.assertIn("after 2 results", message["content"][-1]["text"])

    def test_what_no_dialect_knows_passes_natively_byte_for_byte(self):
        whole = {"type": "message", "content": [], "stop_reason": "end_turn",
                 "usage": {"input_tokens": 5, "output_tokens": 6}}
        self.vendor.add("native", lambda exchange: exchange.answer(body=whole))
        known = ('"model":  "claude/native"', '"max_tokens" : 1', '"messages":[{"role":"user","content":"Hi", "x":1.0}]')
        for sent in odd_json.bodies(known):
            self.assertEqual(self.post("/v1/messages", sent).status, 200)
            self.assertEqual(self.vendor.requests[-1].body.decode(), sent.replace("claude/native", "native"))

    def test_native_passage_changes_the_models_name_alone(self):
        sent = {"type": "message", "content": [], "stop_reason": "end_turn", "odd": 1.50,
                "usage": {"input_tokens": 5, "output_tokens": 6}}
        self.vendor.add("native", lambda exchange: exchange.answer(body=sent))
        body = '{ "future":{"x":[1.0,1e3]},"model" : "claude\\/native", "max_tokens":1, ' \
               '"messages":[{"role":"user","content":[{"type":"new_block"}]}]}'
        answer = self.post("/v1/messages", body, {"anthropic-version": "2026-10-21",
                                                  "anthropic-beta": "a-1,b-2"})
        self.assertEqual((answer.status, answer.text), (200, json.dumps(sent)))
        request = self.vendor.requests[-1]
        self.assertEqual(request.body.decode(), body.replace("claude\\/native", "native"))
        self.assertEqual(request.header("anthropic-version"), "2026-10-21")
        self.assertEqual(request.header("anthropic-beta"), "a-1,b-2")
        record = self.stage.record(answer)
        self.assertEqual((record["tokens_in"], record["tokens_out"]), (5, 6))

    def test_errors_are_anthropics(self):
        cases = [
            ({"model": "up/good", "max_tokens": 1}, 400, "invalid_request_error", "messages"),
            ("{", 400, "invalid_request_error", "JSON"),
            ({"model": "up/good", "model ": 1, "messages": MESSAGES}, 400, "invalid_request_error",
             "max_tokens"),
            # A wrapping of the client's own making.
            ({"model": "up/good", "max_tokens": 1, "messages": [{"role": "assistant", "content": [
                {"type": "thinking", "thinking": "x", "signature":
                 base64.b64encode(b'{"swy":1,"is":{}}').decode()}]}]},
             400, "invalid_request_error", "broken"),
            ({"model": "nobody", "max_tokens": 1, "messages": MESSAGES}, 404, "not_found_error",
             "nobody"),
            ({"model": "up/quota", "max_tokens": 1, "messages": MESSAGES}, 429, "rate_limit_error",
             "quota"),
        ]
        for body, status, kind, part in cases:
            with self.subTest(body):
                answer = self.post("/v1/messages", body)
                self.assertEqual(answer.status, status, answer.text)
                self.assertEqual(answer.json()["type"], "error")
                self.assertEqual(answer.error["type"], kind)
                self.assertIn(part, answer.error["message"])
                self.assertEqual(answer.json()["request_id"], answer.header("x-request-id"))
        answer = self.stage.call("POST", "/v1/messages", {}, None)
        self.assertEqual((answer.status, answer.error["type"]), (401, "authentication_error"))
        self.assertIn("x-api-key", answer.error["message"])
        answer = self.stage.call("GET", "/v1/messages", None, None)
        self.assertEqual((answer.status, answer.header("allow")), (405, "POST"))
        self.assertEqual(self.stage.call("POST", "/v1/messages/x", {}).status, 404)

    def test_a_cut_stream_ends_with_an_error_event(self):
        answer = self.ask("up/cut-between-events", stream=True)
        name, data = events(answer)[-1]
        self.assertEqual(name, "error")
        self.assertEqual(json.loads(data)["error"]["type"], "api_error")
        self.assertNotIn("message_stop", answer.text)

    def test_a_loss_is_named_or_refused(self):
        answer = self.ask(container="c")
        self.assertEqual(answer.header("x-switchyard-dropped"), "/container")
        answer = self.ask(container="c", headers={"x-switchyard-on-loss": "refuse"}, status=400)
        self.assertIn("/container", answer.error["message"])
        self.assertEqual(answer.error["details"]["error_code"], "loss_refused")
        # Where nothing is lost it is answered.
        self.ask(headers={"x-switchyard-on-loss": "refuse"})
        # What the provider loses counts too, in OpenAI's dialect as well.
        answer = self.stage.chat("claude/claude-opus-5-5", seed=1,
                                 headers={"x-switchyard-on-loss": "refuse"})
        self.assertEqual((answer.status, answer.error["code"]), (400, "loss_refused"))
        self.assertIn("/seed", answer.error["message"])

    def test_tokens_are_counted_by_the_provider_or_estimated(self):
        body = {"model": "up/good", "messages": MESSAGES}
        answer = self.post("/v1/messages/count_tokens", body)
        self.assertEqual(answer.header("x-switchyard-estimated"), "tokens")
        self.assertGreater(answer.json()["input_tokens"], 5)
        self.vendor.add("counting", lambda exchange: exchange.answer(body={"input_tokens": 42}))
        answer = self.post("/v1/messages/count_tokens", {**body, "model": "claude/counting"})
        self.assertEqual((answer.json(), answer.header("x-switchyard-estimated")),
                         ({"input_tokens": 42}, None))
        self.assertEqual(self.vendor.requests[-1].target, "/v1/messages/count_tokens")

    def test_models_are_anthropics_where_the_version_is_sent(self):
        headers = {"anthropic-version": "2023-06-01", "x-api-key": self.stage.key}
        page = self.stage.call("GET", "/v1/models", None, None, headers).json()
        self.assertEqual((page["data"][0]["type"], page["data"][0]["id"]), ("model", "alias"))
        self.assertFalse(page["has_more"])
        one = self.stage.call("GET", "/v1/models/alias", None, None, headers).json()
        self.assertEqual(one["id"], "alias")
        self.assertEqual(self.stage.call("GET", "/v1/models/x", None, None, headers).status, 404)
        self.assertEqual(self.stage.call("GET", "/v1/models").json()["object"], "list")

    def test_a_large_body_is_translated_like_a_small_one(self):
        text = "y" * 600_000
        self.ask(messages=[{"role": "user", "content": [{"type": "text", "text": text}]}])
        self.assertEqual(self.stage.upstream.requests[-1].json()["messages"][0]["content"],
                         [{"type": "text", "text": text}])


class Responses(Surfaces):
    def ask(self, status=200, **members):
        body = {"model": "up/good", "input": "Hello?", **members}
        answer = self.stage.call("POST", "/v1/responses", body)
        self.assertEqual(answer.status, status, answer.text)
        return answer

    def test_whole_and_streamed_answers(self):
        whole = self.ask(instructions="Be brief.", metadata={"a": "b"}).json()
        self.assertEqual(self.stage.upstream.requests[-1].json(), {
            "model": "good", "messages": [{"role": "system", "content": "Be brief."}, *MESSAGES]})
        self.assertEqual((whole["status"], whole["metadata"], whole["store"]),
                         ("completed", {"a": "b"}, False))
        self.assertEqual(whole["output"][0]["content"][0]["text"], ANSWER)
        answer = self.ask(stream=True, instructions="Be brief.", metadata={"a": "b"})
        self.assertTrue(answer.clean)
        found = [(name, json.loads(data)) for name, data in events(answer)]
        self.assertEqual([data["sequence_number"] for _, data in found], list(range(len(found))))
        last = found[-1][1]["response"]
        self.assertEqual(last, whole)

    def test_what_would_have_to_be_stored_is_refused_with_advice(self):
        cases = [self.ask(400, previous_response_id="resp_1"),
                 self.stage.call("GET", "/v1/responses/resp_1"),
                 self.stage.call("DELETE", "/v1/responses/resp_1"),
                 self.stage.call("POST", "/v1/responses/resp_1/cancel", {})]
        for answer in cases:
            self.assertEqual((answer.status, answer.error["code"]), (400, "not_stored"))
            self.assertIn("'store': false", answer.error["message"])

    def test_errors_are_openais(self):
        answer = self.ask(400, input=[{"role": "user"}])
        self.assertEqual((answer.error["type"], answer.error["param"]),
                         ("invalid_request_error", "input[0].content"))
        self.assertEqual(self.stage.call("POST", "/v1/responses", {}, None).status, 401)
        found = events(self.ask(model="up/cut-between-events", stream=True))
        self.assertEqual([name for name, _ in found[-2:]], ["error", "response.failed"])
        self.assertEqual(self.ask(400, input=json.loads('[{"role":"user","content":[]}]'),
                                  tools=[{"type": "mcp"}]).error["param"], "tools[0].type")

    def test_tokens_are_estimated(self):
        answer = self.stage.call("POST", "/v1/responses/input_tokens",
                                 {"model": "up/good", "input": "Hello?"})
        self.assertGreater(answer.json()["input_tokens"], 5)


class Gemini(Surfaces):
    CONTENTS = [{"role": "user", "parts": [{"text": "Hello?"}]}]

    def ask(self, method="generateContent", model="up/good", status=200, key="x-goog-api-key", **members):
        body = {"contents": self.CONTENTS, **members}
        answer = self.post(f"/v1beta/models/{model}:{method}", body, key=key)
        self.assertEqual(answer.status, status, answer.text)
        return answer

    def test_whole_and_streamed_answers(self):
        whole = self.ask(systemInstruction={"parts": [{"text": "Be brief."}]}).json()
        self.assertEqual(self.stage.upstream.requests[-1].json()["messages"][0],
                         {"role": "system", "content": "Be brief."})
        self.assertEqual(whole["candidates"][0]["content"]["parts"], [{"text": ANSWER}])
        self.assertEqual(whole["usageMetadata"]["totalTokenCount"], 16)
        streamed = self.ask("streamGenerateContent?alt=sse")
        self.assertEqual(streamed.header("content-type"), "text/event-stream")
        array = self.ask("streamGenerateContent")
        self.assertEqual(array.header("content-type"), "application/json")
        for pieces in ([json.loads(text) for text in streamed.events()], array.json()):
            text = "".join(part.get("text", "") for piece in pieces
                           for part in piece["candidates"][0]["content"]["parts"])
            self.assertEqual(text, ANSWER)
            self.assertEqual(pieces[-1]["candidates"][0]["finishReason"], "STOP")
            self.assertEqual(pieces[-1]["usageMetadata"], whole["usageMetadata"])
            self.assertNotIn("usageMetadata", pieces[0])

    def test_what_no_dialect_knows_passes_natively_byte_for_byte(self):
        whole = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]}
        self.vendor.add("native:generateContent", lambda exchange: exchange.answer(body=whole))
        known = ('"store" : false', '"contents":[{"role":"user", "parts":[{"text":"Hi", "x":1.0}]}]')
        for sent in odd_json.bodies(known):
            answer = self.post("/v1beta/models/google/native:generateContent", sent, key="x-goog-api-key")
            self.assertEqual(answer.status, 200, answer.text)
            self.assertEqual(self.vendor.requests[-1].body.decode(), sent)

    def test_native_passage_changes_names_and_what_the_operator_set(self):
        sent = {"candidates": [{"content": {"parts": [{"odd": 1.50}]}, "finishReason": "NEW"}], "odd": [1e3],
                "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 6}}
        self.vendor.add("native:generateContent", lambda exchange: exchange.answer(body=sent))
        body = '{ "future":{"x":[1.0,1e3]},"contents":[{"role":"user","parts":[{"text":"x","new":1}]}]}'
        answer = self.post("/v1beta/models/google/native:generateContent", body, key="x-goog-api-key")
        self.assertEqual((answer.status, answer.text), (200, json.dumps(sent)))
        self.assertIsNone(answer.header("x-switchyard-dropped"))
        request = self.vendor.requests[-1]
        self.assertEqual(request.body.decode(), body[:-1] + ',"store":false}')
        self.assertEqual(self.stage.record(answer)("tokens_in", "tokens_out", "final_status"), (5, 6, "ok"))

        # A stream keeps its pieces; one that ends without a reason to is a fault.
        for reason, fault in (("STOP", False), (None, True)):
            pieces = [{"candidates": [{"content": {"parts": [{"text": "Hel"}]}, "odd": 1}]},
                      {"candidates": [{"content": {"parts": [{"text": "lo"}]}, "finishReason": reason}]}]

            def stream(exchange, pieces=pieces):
                exchange.start_stream()
                for piece in pieces:
                    exchange.event(piece)
                exchange.last_chunk()
                return True
            self.vendor.add("native:streamGenerateContent", stream)
            said = self.post("/v1beta/models/google/native:streamGenerateContent?alt=sse", body,
                             key="x-goog-api-key").events()
            self.assertEqual([json.loads(each) for each in said[:2]], pieces)
            self.assertEqual(["error" in json.loads(each) for each in said[2:]], [True] if fault else [])

    def test_tokens_and_embeddings_go_natively_too(self):
        asked = {"generateContentRequest": {"model": "models/google/native", "contents": self.CONTENTS}}
        answers = {"countTokens": (asked, {"totalTokens": 7, "odd": 1}),
                   "embedContent": ({"content": {"parts": [{"text": "a"}]}, "future": 1},
                                    {"embedding": {"values": [1.0]}, "odd": 1}),
                   "batchEmbedContents": ({"requests": [{"model": "models/google/native", "taskType": "x",
                                                         "content": {"parts": [{"text": "a"}]}}]},
                                          {"embeddings": [{"values": [1.0]}]})}
        for method, (body, sent) in answers.items():
            with self.subTest(method):
                self.vendor.add(f"native:{method}", lambda exchange, sent=sent: exchange.answer(body=sent))
                answer = self.post(f"/v1beta/models/google/native:{method}", body, key="x-goog-api-key")
                self.assertEqual((answer.status, answer.json()), (200, sent), answer.text)
                seen = self.vendor.requests[-1].body.decode()
                self.assertEqual(seen, json.dumps(body).replace("models/google/native", "models/native"))

    def test_the_key_in_the_query_is_taken_and_told_to_nobody(self):
        path = f"/v1beta/models/up/good:generateContent?key={self.stage.key}"
        answer = self.stage.call("POST", path, {"contents": self.CONTENTS}, None)
        self.assertEqual(answer.status, 200, answer.text)
        record = self.stage.record(answer)
        self.assertNotIn(self.stage.key, json.dumps(record.line))
        self.assertNotIn(self.stage.key, self.stage.gateway.log())
        sent = self.stage.upstream.requests[-1]
        self.assertNotIn(self.stage.key, sent.head + sent.body.decode())

    def test_errors_are_googles(self):
        for answer, code, status, part in (
                (self.ask(status=400, contents=[]), 400, "INVALID_ARGUMENT", "contents"),
                (self.ask(status=400, model="up/m", generationConfig={"topP": "x"}), 400,
                 "INVALID_ARGUMENT", "generationConfig.topP"),
                (self.ask(status=400, generationConfig={"maxOutputTokens": 1, "max_output_tokens": 9}),
                 400, "INVALID_ARGUMENT", "max_completion_tokens"),
                (self.ask(status=404, model="nobody"), 404, "NOT_FOUND", "nobody"),
                (self.ask(status=429, model="up/quota"), 429, "RESOURCE_EXHAUSTED", "quota"),
                (self.ask(status=401, key="x-other"), 401, "UNAUTHENTICATED", "x-goog-api-key")):
            self.assertEqual((answer.error["code"], answer.error["status"]), (code, status))
            self.assertIn(part, answer.error["message"])
        cut = self.ask("streamGenerateContent?alt=sse", "up/cut-between-events").events()
        self.assertEqual(json.loads(cut[-1])["error"]["status"], "UNAVAILABLE")
        cut = self.ask("streamGenerateContent", "up/cut-between-events").json()
        self.assertEqual(cut[-1]["error"]["code"], 502)

    def test_embeddings_tokens_and_models(self):
        content = {"parts": [{"text": "a"}]}
        one = self.post("/v1beta/models/up/e:embedContent", {"content": content}, key="x-goog-api-key")
        self.assertEqual(one.json(), {"embedding": {"values": [0.5, -0.25, 1.0]}})
        many = self.post("/v1beta/models/up/e:batchEmbedContents",
                         {"requests": [{"content": content}] * 2}, key="x-goog-api-key")
        self.assertEqual(many.json(), {"embeddings": [{"values": [0.5, -0.25, 1.0]}] * 2})
        self.assertGreater(self.ask("countTokens").json()["totalTokens"], 5)
        headers = {"x-goog-api-key": self.stage.key}
        page = self.stage.call("GET", "/v1beta/models?pageSize=1", None, None, headers).json()
        self.assertEqual((page["models"][0]["name"], page["nextPageToken"]), ("models/alias", "alias"))
        one = self.stage.call("GET", "/v1beta/models/alias", None, None, headers).json()
        self.assertEqual(one["name"], "models/alias")


class KeepAlives(unittest.TestCase):
    def test_each_dialect_has_its_own_while_the_upstream_thinks(self):
        contents = {"contents": Gemini.CONTENTS}
        asked = {
            "/v1/messages": ({"max_tokens": 9, "messages": MESSAGES}, 'event: ping\ndata: {"type": "ping"}\n\n'),
            "/v1/responses": ({"input": "Hello?"}, ": keep-alive\n\n"),
            "/v1beta/models/up/thinks:streamGenerateContent?alt=sse": (contents, ": keep-alive\n\n"),
            "/v1beta/models/up/thinks:streamGenerateContent": (contents, " ["),
        }
        seen = threading.Event()

        def thinks(exchange):
            return seen.wait(30) and upstream.good_chat(exchange)
        with Stage(up=PATIENT) as stage:
            stage.upstream.add("thinks", thinks)
            connections = []
            for path, (body, _) in asked.items():
                connection = client.Connection(stage.url, timeout=30)
                self.addCleanup(connection.close)
                named = {} if path.startswith("/v1beta") else {"model": "up/thinks", "stream": True}
                connection.send_request("POST", path, {**body, **named}, stage.key)
                connections.append(connection)
            answers = [connection.receive_head() for connection in connections]
            seen.set()
            for answer, (path, (_, alive)) in zip(answers, asked.items()):
                with self.subTest(path):
                    answer.read()
                    self.assertTrue(answer.clean)
                    self.assertTrue(answer.text.startswith(alive), answer.text)
                    self.assertIn("upstream", answer.text)
                    if answer.header("content-type") == "application/json":
                        self.assertTrue(answer.json())


if __name__ == "__main__":
    unittest.main()
