"""DashScope's own API behind the gateway, before an upstream that takes nothing else."""

import base64
import json
import struct
import unittest

from stage import TIMEOUTS, Stage  # first: it says where the others are
from providers.dashscope import FAILURES, DashScope
from test_dialects import CALLS, SCHEMA, TOOLS, asked, merged

PICTURE = "data:image/png;base64,iVBORw0KGgo="
TEXT_MODEL, SEEING_MODEL = "qwen3-max", "qwen3.6-plus"


class DashScopeBehindTheGateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vendor = DashScope()
        cls.addClassCleanup(cls.vendor.close)
        ali = {"plugin": "dashscope", "base_url": cls.vendor.url, "models": ["*"], "timeouts": TIMEOUTS,
               "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}]}
        cls.stage = Stage(
            providers={"ali": {**ali, "settings": {"multimodal": ["own-plus"]}}, **{name: ali for name in FAILURES}},
            models={f"once-{name}": {"candidates": [f"{name}/{name}"], "retry": {"attempts_max": 1}}
                    for name in FAILURES})
        cls.addClassCleanup(cls.stage.close)

    def setUp(self):
        self.vendor.clear()

    def ask(self, stream, messages, model=TEXT_MODEL, **members):
        options = {"stream_options": {"include_usage": True}} if stream else {}
        answer = self.stage.chat(f"ali/{model}", stream, messages=messages, **options, **members)
        self.assertEqual((answer.status, answer.clean), (200, True), (answer.text, self.vendor.refused))
        if not stream:
            choice = answer.json()["choices"][0]
            return answer, choice["message"], choice["finish_reason"], answer.json()["usage"]
        events = answer.events()
        self.assertEqual(events[-1], "[DONE]")
        return answer, *merged([json.loads(event) for event in events[:-1]])

    def test_text_with_all_that_a_client_may_say(self):
        for stream in (False, True):
            for model in (TEXT_MODEL, SEEING_MODEL):
                with self.subTest(stream=stream, model=model):
                    answer, said, finish, usage = self.ask(
                        stream, asked("say"), model, temperature=1.5, max_completion_tokens=50, seed=3, stop="END",
                        reasoning_effort="low", user="u", store=False, frequency_penalty=0.5)
                    self.assertEqual((said["content"], said["reasoning_content"], finish),
                                     ("Hello from here", "A greeting.", "stop"))
                    self.assertEqual(answer.header("x-switchyard-dropped"), "/user, /frequency_penalty")
                    self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"],
                                      usage["prompt_tokens_details"]["cached_tokens"],
                                      usage["completion_tokens_details"]["reasoning_tokens"]), (12, 9, 8, 4))
                    details = usage["prompt_tokens_details"]
                    self.assertEqual((details["cache_write_tokens"], details["image_tokens"], details["audio_tokens"]),
                                     (1, 2, 3))
                    self.assertEqual(self.stage.record(answer)("tokens_in", "tokens_out", "estimated", "finish"),
                                     (12, 9, False, "stop"))

    def test_two_calls_at_once_and_their_results(self):
        for stream in (False, True):
            for model in (TEXT_MODEL, SEEING_MODEL):
                with self.subTest(stream=stream, model=model):
                    messages = asked("tools")
                    _, said, finish, _ = self.ask(stream, messages, model, tools=TOOLS, tool_choice="auto")
                    self.assertEqual(finish, "tool_calls")
                    calls = said["tool_calls"]
                    self.assertEqual([(call["function"]["name"], json.loads(call["function"]["arguments"]))
                                      for call in calls], CALLS)
                    messages += [said, *({"role": "tool", "tool_call_id": call["id"], "content": "5 °C"}
                                         for call in calls)]
                    _, said, finish, _ = self.ask(stream, messages, model, tools=TOOLS)
                    self.assertEqual((said["content"], finish), ("Hello after 2 results.", "stop"))

    def test_pictures_and_sound_go_where_the_model_takes_them(self):
        parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PICTURE}},
                 {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]
        for model in (SEEING_MODEL, "own-plus"):
            self.ask(False, [{"role": "user", "content": parts}], model)
            self.assertEqual(self.vendor.bodies[-1]["input"]["messages"][0]["content"],
                             [{"text": "What?"}, {"image": PICTURE}, {"audio": "data:audio/wav;base64,UklGRg=="}])
        self.vendor.clear()
        refused = self.stage.chat(f"ali/{TEXT_MODEL}", messages=[{"role": "user", "content": parts}])
        self.assertEqual((refused.status, refused.error["code"]), (400, "not_offered"))
        self.assertIn("settings.multimodal", refused.error["message"])
        self.assertEqual(self.vendor.bodies, [])

    def test_a_schema_is_followed_and_checked(self):
        for stream in (False, True):
            _, said, _, _ = self.ask(stream, asked("Where?"), response_format=SCHEMA)
            self.assertEqual(json.loads(said["content"]), {"city": "Oslo"})
        wrong = json.loads(json.dumps(SCHEMA))
        wrong["json_schema"]["schema"]["properties"]["city"] = {"type": "integer"}
        refused = self.stage.chat(f"ali/{TEXT_MODEL}", messages=asked("Where?"), response_format=wrong)
        self.assertEqual((refused.status, refused.error["code"]), (502, "upstream_bad_answer"))

    def test_sources_of_a_search_are_citations(self):
        _, said, _, _ = self.ask(False, asked("say"), web_search_options={})
        self.assertEqual(said["annotations"][0]["url_citation"]["url"], "https://a.example/")
        answer, *_ = self.ask(True, asked("say"), web_search_options={})
        self.assertIn('"annotations":[{"type":"url_citation"', answer.text)

    def test_several_answers(self):
        answer, *_ = self.ask(False, asked("say"), n=3)
        self.assertEqual([choice["index"] for choice in answer.json()["choices"]], [0, 1, 2])
        self.assertEqual(len(self.vendor.bodies), 1)
        answer, *_ = self.ask(False, asked("say"), n=6)  # more than one call gives
        self.assertEqual(len(answer.json()["choices"]), 6)
        self.assertEqual(len(self.vendor.bodies), 7)

    def test_what_the_vendor_says_of_a_fault(self):
        for name, status, code in (("key", 502, "upstream_auth"), ("arrears", 429, "upstream_quota_exhausted"),
                                   ("inspected", 400, "content_policy_violation"),
                                   ("long", 400, "context_length_exceeded"), ("rate", 429, "rate_limit_exceeded"),
                                   ("none", 404, "ModelNotFound"), ("serving", 503, "upstream_overloaded")):
            with self.subTest(name):
                answer = self.stage.chat(f"once-{name}")
                self.assertEqual((answer.status, answer.error["code"]), (status, code), answer.text)

    def test_tokens_of_a_minute_are_there_again_after_a_minute(self):
        answer = self.stage.chat("once-minute")
        self.assertEqual((answer.status, answer.header("retry-after")), (429, "60"), answer.text)

    def test_why_an_answer_ended(self):
        for stream in (False, True):
            _, _, finish, _ = self.ask(stream, asked("say"), "sensitive")
            self.assertEqual(finish, "content_filter")
            _, _, finish, _ = self.ask(stream, asked("say"), "stop", tools=TOOLS)
            self.assertEqual(finish, "tool_calls")  # whatever word the vendor has for it

    def test_a_stream_that_fails_or_just_ends_is_no_answer(self):
        for model in ("fails", "broken"):
            with self.subTest(model):
                events = self.stage.chat(f"ali/{model}", True, messages=asked("say")).events()
                self.assertIn("error", json.loads(events[-1]))
                whole = self.stage.chat(f"ali/{model}", messages=asked("say"))
                self.assertEqual(whole.status, 502)

    def test_many_texts_are_embedded_in_order(self):
        for form in ("float", "base64"):
            with self.subTest(form):
                answer = self.stage.call("POST", "/v1/embeddings", {
                    "model": "ali/text-embedding-v4", "input": [str(n) for n in range(25)], "dimensions": 2,
                    "encoding_format": form})
                self.assertEqual(answer.status, 200, (answer.text, self.vendor.refused))
                vectors = [item["embedding"] for item in answer.json()["data"]]
                if form == "base64":
                    vectors = [list(struct.unpack("<2f", base64.b64decode(vector))) for vector in vectors]
                self.assertEqual(vectors, [[n, 0.5] for n in range(25)])
                self.assertEqual(self.vendor.bodies[-1]["parameters"], {"dimension": 2})
                self.assertEqual(self.stage.record(answer)["tokens_in"], 25)

    def test_documents_are_ranked(self):
        answer = self.stage.call("POST", "/v1/rerank", {
            "model": "ali/qwen3-rerank", "query": "tram", "top_n": 1, "return_documents": True,
            "documents": ["bus", {"text": "tram line"}]})
        self.assertEqual(answer.status, 200, (answer.text, self.vendor.refused))
        self.assertEqual(answer.json()["results"],
                         [{"index": 1, "relevance_score": 0.5, "document": {"text": "tram line"}}])
        self.assertEqual(self.stage.record(answer)["tokens_in"], 14)


if __name__ == "__main__":
    unittest.main()
