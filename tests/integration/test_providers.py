"""Plugins that speak a vendor's own API, against upstreams that take nothing else."""

import json
import unittest

from stage import TIMEOUTS, UPSTREAM_KEY, Stage  # first: it says where the others are
import vendors
from upstream import Upstream

TOOLS = [{"type": "function", "function": {
    "name": "weather", "description": "Looks outside.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
IMAGE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
MODELS = {"anthropic": "claude/claude-opus-5-5", "gemini": "google/gemini-3.8-flash"}


def merged(events):
    """The message that a stream's chunks say, put together as clients do."""
    message, finish, usage = {"role": None, "content": "", "calls": []}, None, None
    for event in events:
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            delta = choice["delta"]
            finish = choice["finish_reason"] or finish
            message["role"] = delta.get("role", message["role"])
            message["content"] += delta.get("content") or ""
            if "reasoning_content" in delta:
                message["reasoning_content"] = \
                    message.get("reasoning_content", "") + delta["reasoning_content"]
            for block in delta.get("reasoning_details", []):
                blocks = message.setdefault("reasoning_details", [])
                if block["index"] == len(blocks):
                    blocks.append(dict(block))
                else:
                    for name, text in block.items():
                        if name != "index":
                            blocks[-1][name] = blocks[-1].get(name, "") + text
            for call in delta.get("tool_calls", []):
                if call["index"] == len(message["calls"]):
                    message["calls"].append(json.loads(json.dumps(call)))
                else:
                    message["calls"][call["index"]]["function"]["arguments"] += \
                        call["function"]["arguments"]
    calls = message.pop("calls")
    if calls:
        message["tool_calls"] = [{name: value for name, value in call.items() if name != "index"}
                                 for call in calls]
    return message, finish, usage


class Providers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vendor = Upstream()
        cls.addClassCleanup(cls.vendor.close)
        vendors.add(cls.vendor)
        common = {"models": ["*"], "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}],
                  "timeouts": TIMEOUTS}
        cls.stage = Stage(providers={
            "claude": {"plugin": "anthropic", "base_url": cls.vendor.origin + "/v1", **common},
            "google": {"plugin": "gemini", "base_url": cls.vendor.origin + "/v1beta", **common}})
        cls.addClassCleanup(cls.stage.close)

    def ask(self, model, stream, messages, **members):
        options = {"stream_options": {"include_usage": True}} if stream else {}
        answer = self.stage.chat(model, stream, messages=messages, **options, **members)
        self.assertEqual(answer.status, 200, answer.text)
        self.assertTrue(answer.clean)
        if not stream:
            body = answer.json()
            choice = body["choices"][0]
            return answer, choice["message"], choice["finish_reason"], body["usage"]
        events = answer.events()
        self.assertEqual(events[-1], "[DONE]")
        return answer, *merged([json.loads(event) for event in events[:-1]])

    def test_a_conversation_with_tools_over_two_turns(self):
        for vendor, model in MODELS.items():
            for stream in (False, True):
                with self.subTest(vendor=vendor, stream=stream):
                    self.converse(model, stream)

    def converse(self, model, stream):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [
            {"type": "text", "text": "The weather in Oslo and Rome?"},
            {"type": "image_url", "image_url": {"url": IMAGE}}]}]
        settings = {"tools": TOOLS, "reasoning_effort": "low", "max_completion_tokens": 500}
        answer, said, finish, usage = self.ask(model, stream, messages, **settings)
        self.assertEqual(finish, "tool_calls")
        self.assertEqual(said["content"], "Looking.")
        self.assertEqual(said["reasoning_content"], "Two calls.")
        calls = said["tool_calls"]
        self.assertEqual([json.loads(call["function"]["arguments"]) for call in calls],
                         [{"city": "Oslo"}, {"city": "Rome"}])
        self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"]), (912, 31))
        self.assertEqual(usage["prompt_tokens_details"]["cached_tokens"], 900)
        self.assertEqual(usage["completion_tokens_details"]["reasoning_tokens"], 7)
        record = self.stage.record(answer)
        self.assertEqual((record["status"], record["final_status"], record["finish"],
                          record["tokens_in"], record["tokens_out"], record["estimated"]),
                         (200, "ok", "tool_calls", 912, 31, False))

        # What was said goes back as it came.
        messages += [said] + [{"role": "tool", "tool_call_id": call["id"], "content": "5 °C"}
                              for call in calls]
        _, said, finish, _ = self.ask(model, stream, messages, **settings)
        self.assertEqual((said["content"], finish), ("Hello after 2 results.", "stop"))

    def test_losses_are_named_to_the_client_and_in_the_record(self):
        for vendor, model in MODELS.items():
            for stream in (False, True):
                with self.subTest(vendor=vendor, stream=stream):
                    answer, *_ = self.ask(model, stream, [{"role": "user", "content": "x"}],
                                          temperature=0.5, logit_bias={"1": 2}, **{"odd, näme": 1})
                    self.assertEqual(answer.header("x-switchyard-dropped"),
                                     "/temperature, /logit_bias, /odd%2C%20n%C3%A4me")
                    self.assertEqual(
                        self.stage.record(answer).line["switchyard.facts"]["switchyard.dropped"],
                        "/temperature, /logit_bias, /odd%2C%20n%C3%A4me")
                    plain, *_ = self.ask(model, stream, [{"role": "user", "content": "x"}])
                    self.assertIsNone(plain.header("x-switchyard-dropped"))

    def test_a_refusal_of_the_upstream_reaches_the_client(self):
        for vendor, model in MODELS.items():
            with self.subTest(vendor):
                bad = [{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c",
                                                          "content": "an answer to nothing"}]
                answer = self.stage.chat(model, messages=bad)
                self.assertEqual(answer.status, 400, answer.text)
                self.assertIn(answer.json()["error"]["type"],
                              ("invalid_request_error", "INVALID_ARGUMENT"))
                self.assertEqual(self.stage.record(answer)["final_status"], "client_error")

    def test_what_is_not_offered_is_refused_before_anything_is_sent(self):
        before = len(self.vendor.requests)
        answer = self.stage.chat(MODELS["anthropic"], modalities=["text", "audio"])
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, "not_offered"))
        self.assertEqual(len(self.vendor.requests), before)

    def test_a_stream_that_is_cut_is_a_fault(self):
        def cut(exchange):
            exchange.start_stream()
            message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c",
                       "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn",
                       "usage": {"input_tokens": 1, "output_tokens": 1,
                                 "output_tokens_details": None}}
            for event in list(vendors.anthropic_events(message))[:-1]:
                exchange.chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")
            exchange.last_chunk()
            return True
        self.vendor.add("claude-cut", cut)
        answer = self.stage.chat("claude/claude-cut", True)
        events = answer.events()
        self.assertNotIn("[DONE]", events)
        self.assertEqual(json.loads(events[-1])["error"]["code"], "upstream_bad_answer")
        self.assertFalse([event for event in events if '"finish_reason":"' in event])

    def test_the_key_goes_where_the_vendor_wants_it_and_nowhere_else(self):
        for vendor, header in (("anthropic", "x-api-key"), ("gemini", "x-goog-api-key")):
            answer = self.stage.chat(MODELS[vendor])
            self.assertEqual(answer.status, 200, answer.text)
            request = self.vendor.requests[-1]
            self.assertEqual(request.header(header), UPSTREAM_KEY)
            self.assertIsNone(request.header("authorization"))
            self.assertNotIn(UPSTREAM_KEY, request.target)


class Settings(unittest.TestCase):
    def test_settings_are_held_against_the_plugins_schema(self):
        cases = (({"max_tokens": "many"}, "max_tokens: found a string, expected an integer"),
                 ({"beta": []}, "beta: unknown key; did you mean"))
        for settings, fault in cases:
            with self.subTest(fault):
                with self.assertRaises(RuntimeError) as raised:
                    Stage(providers={"claude": {"plugin": "anthropic", "settings": settings,
                                                "base_url": "http://127.0.0.1:1",
                                                "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}]}})
                self.assertIn(f'at=/providers/claude reason="provider \\"claude\\": config/settings/{fault}',
                              str(raised.exception))


if __name__ == "__main__":
    unittest.main()
