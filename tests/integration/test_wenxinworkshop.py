"""Version 1 of Baidu's API behind the gateway, before an upstream that takes nothing else."""

import json
import unittest

from stage import TIMEOUTS, UPSTREAM_KEY, Stage  # first: it says where the others are
from providers.wenxinworkshop import API_KEY, WenxinWorkshop
from test_dialects import CALLS, SCHEMA, TOOLS, asked, merged


def workshop(vendor, **more):
    return {"plugin": "wenxinworkshop", "base_url": vendor.url, "models": ["*"], "timeouts": TIMEOUTS,
            "credentials": [{"key": "${TEST_UPSTREAM_KEY}", "parts": {"api_key": API_KEY}}], **more}


class Workshop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vendor = WenxinWorkshop()
        cls.addClassCleanup(cls.vendor.close)
        failing = ("long", "rate", "spent", "unsafe", "down", "bad")
        cls.stage = Stage(
            providers={"baidu": workshop(cls.vendor, settings={"paths": {"mine": "own"}}),
                       "stranger": workshop(cls.vendor, credentials=[{"key": "${TEST_UPSTREAM_KEY}",
                                                                      "parts": {"api_key": "another"}}]),
                       **{name: workshop(cls.vendor) for name in failing}},
            models={f"once-{name}": {"candidates": [f"{name}/{name}"], "retry": {"attempts_max": 1}}
                    for name in failing})
        cls.addClassCleanup(cls.stage.close)

    def setUp(self):
        self.vendor.clear()

    def ask(self, stream, messages, model="ERNIE-4.0-8K", **members):
        options = {"stream_options": {"include_usage": True}} if stream else {}
        answer = self.stage.chat(f"baidu/{model}", stream, messages=messages, **options, **members)
        self.assertEqual((answer.status, answer.clean), (200, True), (answer.text, self.vendor.refused))
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
                    stream, asked("say"), temperature=1.5, max_completion_tokens=50, seed=3, stop="END", user="u")
                self.assertEqual((said["content"], finish), ("Hello from here", "stop"))
                self.assertEqual(answer.header("x-switchyard-dropped"), "/temperature, /seed")
                self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"]), (12, 9))
                self.assertEqual(self.stage.record(answer)("tokens_in", "tokens_out", "estimated", "finish"),
                                 (12, 9, False, "stop"))

    def test_a_call_and_the_results_of_two(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                _, said, finish, _ = self.ask(stream, asked("tools"), tools=TOOLS)
                self.assertEqual(finish, "tool_calls")
                (call,) = said["tool_calls"]
                self.assertEqual((call["function"]["name"], json.loads(call["function"]["arguments"])), CALLS[0])
                calls = [{**call, "id": f"call_{n}"} for n in range(2)]
                messages = [{"role": "user", "content": "Rain?"}, {"role": "user", "content": "Really?"},
                            {"role": "assistant", "content": "I look.", "tool_calls": calls},
                            *({"role": "tool", "tool_call_id": each["id"], "content": "5 °C"} for each in calls)]
                _, said, finish, _ = self.ask(stream, messages, tools=TOOLS)
                self.assertEqual((said["content"], finish), ("Hello after 2 results.", "stop"))

    def test_roles_are_made_to_alternate(self):
        answer, *_ = self.ask(False, [
            {"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Be kind."},
            {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "One"},
            {"role": "user", "content": [{"type": "text", "text": "Two"}]}])
        self.assertEqual(self.vendor.bodies[-1]["system"], "Be brief.\nBe kind.")
        self.assertEqual(self.vendor.bodies[-1]["messages"], [{"role": "user", "content": "One\nTwo"}])
        self.assertEqual(answer.header("x-switchyard-dropped"), "/messages")

    def test_a_token_is_got_once_kept_and_renewed(self):
        self.ask(False, asked("say"), "mine")
        before = len(self.vendor.tokens)
        for _ in range(3):
            self.ask(False, asked("say"), "mine")
        self.assertEqual(len(self.vendor.tokens), before)
        self.vendor.expire()
        for stream in (True, False):
            self.ask(stream, asked("say"), "mine")
        self.assertEqual(len(self.vendor.tokens), before + 1)

    def test_a_pair_of_keys_that_is_refused_is_the_gateways_fault(self):
        answer = self.stage.chat("stranger/mine")
        self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_auth"))
        for text in (answer.text, self.stage.gateway.log(), json.dumps(self.stage.gateway.records())):
            self.assertNotIn(UPSTREAM_KEY, text)
            self.assertNotIn("canary-token", text)

    def test_what_the_vendor_says_of_a_fault(self):
        for name, status, code in (("long", 400, "context_length_exceeded"), ("rate", 429, "rate_limit_exceeded"),
                                   ("spent", 429, "upstream_quota_exhausted"),
                                   ("unsafe", 400, "content_policy_violation"), ("down", 503, "upstream_overloaded"),
                                   ("bad", 400, "336003")):
            for stream in (False, True):
                with self.subTest(name, stream=stream):
                    answer = self.stage.chat(f"once-{name}", stream)
                    self.assertEqual((answer.status, answer.error["code"]), (status, code), answer.text)

    def test_a_stream_that_just_ends_is_no_answer(self):
        events = self.stage.chat("baidu/cut", True, messages=asked("say")).events()
        self.assertIn("error", json.loads(events[-1]))

    def test_a_schema_is_followed(self):
        _, said, _, _ = self.ask(False, asked("Where?"), response_format=SCHEMA)
        self.assertEqual(json.loads(said["content"]), {"city": "Oslo"})
        wrong = json.loads(json.dumps(SCHEMA))
        wrong["json_schema"]["schema"]["properties"]["city"] = {"type": "integer"}
        refused = self.stage.chat("baidu/ERNIE-4.0-8K", messages=asked("Where?"), response_format=wrong)
        self.assertEqual((refused.status, refused.error["code"]), (502, "upstream_bad_answer"))

    def test_why_an_answer_ended(self):
        for model, reason in (("cleared", "content_filter"), ("truncated", "length")):
            for stream in (False, True):
                with self.subTest(model, stream=stream):
                    _, _, finish, _ = self.ask(stream, asked("say"), model)
                    self.assertEqual(finish, reason)

    def test_what_is_not_offered_is_refused_before_anything_is_sent(self):
        for messages in ([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}],
                         [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b"}}]}]):
            answer = self.stage.chat("baidu/mine", messages=messages)
            self.assertEqual((answer.status, answer.error["code"]), (400, "not_offered"))
        self.assertEqual(self.vendor.bodies, [])

    def test_many_texts_are_embedded_in_order(self):
        answer = self.stage.call("POST", "/v1/embeddings", {"model": "baidu/bge-large-zh",
                                                            "input": [str(n) for n in range(40)]})
        self.assertEqual(answer.status, 200, (answer.text, self.vendor.refused))
        self.assertEqual([item["embedding"] for item in answer.json()["data"]], [[n, 0.5] for n in range(40)])
        self.assertEqual(self.stage.record(answer)["tokens_in"], 40)


if __name__ == "__main__":
    unittest.main()
