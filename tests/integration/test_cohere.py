"""Cohere behind the gateway, before an upstream that takes nothing else."""

import base64
import json
import struct
import unittest

from stage import TIMEOUTS, Stage  # first: it says where the others are
from providers.cohere import Cohere
from test_dialects import CALLS, SCHEMA, TOOLS, asked, merged


class CohereBehindTheGateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cohere = Cohere()
        cls.addClassCleanup(cls.cohere.close)
        cls.stage = Stage(providers={"cohere": {
            "plugin": "cohere", "base_url": cls.cohere.url, "models": ["*"], "timeouts": TIMEOUTS,
            "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}]}})
        cls.addClassCleanup(cls.stage.close)

    def setUp(self):
        self.cohere.clear()
        self.cohere.bodies.clear()

    def ask(self, stream, messages, **members):
        options = {"stream_options": {"include_usage": True}} if stream else {}
        answer = self.stage.chat("cohere/command-a", stream, messages=messages, **options, **members)
        self.assertEqual((answer.status, answer.clean), (200, True), (answer.text, self.cohere.refused))
        if not stream:
            choice = answer.json()["choices"][0]
            return answer, choice["message"], choice["finish_reason"], answer.json()["usage"]
        events = answer.events()
        self.assertEqual(events[-1], "[DONE]")
        return answer, *merged([json.loads(event) for event in events[:-1]])

    def test_text_with_all_that_a_client_may_say(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                answer, said, finish, usage = self.ask(
                    stream, asked("say"), temperature=1.5, top_p=1, max_completion_tokens=50, seed=3, stop="END",
                    reasoning_effort="low", user="u", store=False)
                self.assertEqual((said["content"], said["reasoning_content"], finish),
                                 ("Hello from here", "A greeting.", "stop"))
                self.assertEqual(answer.header("x-switchyard-dropped"), "/temperature, /user")
                self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"],
                                  usage["prompt_tokens_details"]["cached_tokens"]), (12, 9, 8))
                self.assertEqual(self.stage.record(answer)("tokens_in", "tokens_out", "estimated", "finish"),
                                 (12, 9, False, "stop"))

    def test_two_calls_at_once_and_their_results(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                messages = asked("tools")
                _, said, finish, _ = self.ask(stream, messages, tools=TOOLS, tool_choice="required")
                self.assertEqual(finish, "tool_calls")
                calls = said["tool_calls"]
                self.assertEqual([(call["function"]["name"], json.loads(call["function"]["arguments"]))
                                  for call in calls], CALLS)
                messages += [said, *({"role": "tool", "tool_call_id": call["id"], "content": "5 °C"}
                                     for call in calls)]
                _, said, finish, _ = self.ask(stream, messages, tools=TOOLS)
                self.assertEqual((said["content"], finish), ("Hello after 2 results.", "stop"))

    def test_a_schema_is_followed(self):
        _, said, _, _ = self.ask(False, asked("Where?"), response_format=SCHEMA)
        self.assertEqual(json.loads(said["content"]), {"city": "Oslo"})

    def test_what_is_not_offered_is_refused_before_anything_is_sent(self):
        answer = self.stage.chat("cohere/command-a", messages=[{"role": "user", "content": [
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]}])
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, "not_offered"))
        self.assertEqual(self.cohere.requests, [])

    def test_many_texts_are_embedded_in_order(self):
        for form in ("float", "base64"):
            with self.subTest(form):
                answer = self.stage.call("POST", "/v1/embeddings", {
                    "model": "cohere/embed", "input": [str(n) for n in range(200)], "encoding_format": form})
                self.assertEqual(answer.status, 200, (answer.text, self.cohere.refused))
                vectors = [item["embedding"] for item in answer.json()["data"]]
                if form == "base64":
                    vectors = [list(struct.unpack("<2f", base64.b64decode(vector))) for vector in vectors]
                self.assertEqual(vectors, [[n, 0.5] for n in range(200)])
                self.assertEqual(answer.json()["usage"]["prompt_tokens"], 200)
                self.assertEqual(self.stage.record(answer)["tokens_in"], 200)

    def test_documents_are_ranked(self):
        answer = self.stage.call("POST", "/v1/rerank", {
            "model": "cohere/rerank", "query": "tram", "top_n": 1, "return_documents": True,
            "documents": ["bus", {"text": "tram line"}]})
        self.assertEqual(answer.status, 200, (answer.text, self.cohere.refused))
        self.assertEqual(answer.json()["results"],
                         [{"index": 1, "relevance_score": 0.5, "document": {"text": "tram line"}}])
        self.assertEqual(self.stage.record(answer)["tokens_in"], 14)


if __name__ == "__main__":
    unittest.main()
