"""Several targets of one name: which is tried when, and how the record tells."""

import json
import unittest

from stage import Stage, closed_port, provider  # first: it says where the others are
import client
from upstream import Upstream, chat


class Fallback(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        held, port = closed_port()
        cls.addClassCleanup(held.close)
        cls.second = Upstream()
        cls.addClassCleanup(cls.second.close)
        cls.faulty = Upstream()
        cls.addClassCleanup(cls.faulty.close)
        cls.stage = Stage(
            # A refused credential is left alone for long, so those cases have a provider of their own.
            providers={"refuse": provider(f"http://127.0.0.1:{port}/v1"),
                       "second": provider(cls.second.url),
                       "claude": {**{name: value for name, value in provider(cls.faulty.url).items()
                                     if name != "dialect"}, "plugin": "anthropic"},
                       **{name: provider(cls.faulty.url) for name in ("spent", "unknown")}},
            models={
                "after-refusal": ["refuse/m", "second/m"],
                "after-timeout": ["up/stall-before-head", "second/m"],
                "after-error": ["up/status-500", "second/m"],
                "after-quota": ["spent/quota", "second/m"],
                "after-auth": ["unknown/status-401", "second/m"],
                "after-garbage": ["up/garbage", "second/m"],
                "after-preamble": ["up/cut-before-content", "second/m"],
                "after-content": ["up/cut-between-events", "second/m"],
                "native-first": ["claude/begins", "second/m"],
                "after-bad-request": ["up/status-400", "second/m"],
                "all-dead": ["refuse/m", "up/status-503", "second/status-500"],
                "four": ["up/status-500", "up/status-503", "up/garbage", "second/m"],
            })
        cls.addClassCleanup(cls.stage.close)
        cls.addClassCleanup(cls.stage.close)

    def check_served(self, model, path, stream, attempts):
        answer = self.stage.chat(model, stream)
        self.assertEqual((answer.status, answer.clean), (200, True), answer.text)
        if stream:
            self.assertEqual(client.text_of(answer.events()), "Hello from the upstream.")
        record = self.stage.record(answer)
        self.assertEqual((record["status"], record["final_status"], record["provider"],
                          record["model_used"], record["fallback_path"],
                          record["attempts"], record["error_code"]),
                         (200, "ok", "second", "m", path, attempts, None))
        self.assertTrue(record["route_reason"])

    def test_the_second_target_serves(self):
        for model, path, attempts in (
                ("after-refusal", "refuse/m:server > second/m:ok", 1),
                ("after-timeout", "up/stall-before-head:timeout > second/m:ok", 2),
                ("after-error", "up/status-500:server > second/m:ok", 2),
                ("after-garbage", "up/garbage:bad_answer > second/m:ok", 2)):
            for stream in (False, True):
                with self.subTest(model, stream=stream):
                    self.check_served(model, path, stream, attempts)

    def test_a_refused_credential_is_not_tried_again_while_another_target_serves(self):
        for model, target, why in (("after-quota", "spent/quota", "quota"),
                                   ("after-auth", "unknown/status-401", "auth")):
            with self.subTest(model):
                self.check_served(model, f"{target}:{why} > second/m:ok", False, 2)
                self.check_served(model, f"{target}:credential_refused > second/m:ok", True, 1)

    def test_a_preamble_does_not_bind_a_stream_to_its_target(self):
        self.check_served("after-preamble", "up/cut-before-content:server > second/m:ok", True, 2)

    def test_a_native_preamble_does_not_make_the_next_answer_native(self):
        def begins(exchange):
            exchange.start_stream()
            exchange.event({"type": "message_start", "message": {
                "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                "stop_reason": None, "usage": {"input_tokens": 3, "output_tokens": 1}}})
            return False
        self.faulty.add("begins", begins)
        answer = self.stage.call("POST", "/v1/messages", {
            "model": "native-first", "max_tokens": 50, "messages": client.MESSAGES, "stream": True})
        self.assertEqual((answer.status, answer.clean), (200, True), answer.text)
        events = [json.loads(event) for event in answer.events()]
        self.assertEqual((events[0]["type"], events[-1]["type"]), ("message_start", "message_stop"), answer.text)
        text = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
        self.assertEqual(text, "Hello from the upstream.")
        self.assertEqual(self.stage.record(answer)["fallback_path"], "claude/begins:server > second/m:ok")

    def test_text_is_never_sent_twice(self):
        self.second.clear()
        answer = self.stage.chat("after-content", True)
        events = answer.events()
        self.assertEqual(client.text_of(events[:-1]), "Hello from")
        self.assertEqual(json.loads(events[-1])["error"]["code"], "upstream_closed")
        self.assertEqual(self.second.requests, [])

    def test_a_fault_of_the_request_is_not_tried_elsewhere(self):
        self.second.clear()
        answer = self.stage.chat("after-bad-request")
        self.assertEqual((answer.status, answer.error["code"]), (400, "invalid_value"))
        self.assertEqual(self.second.requests, [])

    def test_all_targets_dead(self):
        answer = self.stage.chat("all-dead")
        self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_error"))
        self.assertEqual(answer.header("x-should-retry"), "false")
        record = self.stage.record(answer)
        self.assertEqual(record["fallback_path"],
                         "refuse/m:server > up/status-503:overloaded > second/status-500:server")

    def test_no_more_than_three_attempts(self):
        self.second.clear()
        answer = self.stage.chat("four")
        self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_bad_answer"))
        self.assertEqual(self.second.requests, [])

    def test_the_same_target_is_tried_again_where_it_may_recover(self):
        failed = []

        def at_first(exchange):
            if len(failed) < 2:
                failed.append(1)
                return exchange.answer(503, {"error": {"message": "busy", "type": "overloaded_error"}})
            return exchange.answer(body=chat())
        self.stage.upstream.add("at-first", at_first)
        answer = self.stage.chat("up/at-first")
        self.assertEqual(answer.status, 200, answer.text)
        record = self.stage.record(answer)
        self.assertEqual((record["attempts"], record["fallback_path"]),
                         (3, "up/at-first:overloaded > up/at-first:overloaded > up/at-first:ok"))


if __name__ == "__main__":
    unittest.main()
