"""Bedrock behind the gateway: signed requests, answers in AWS's event stream, and what goes wrong with them."""

import json
import unittest

from stage import GATEWAY_KEY, Stage  # first: it says where the others are
import client
import vendors_signed
from vendors_signed import Bedrock

TOOLS = [{"type": "function", "function": {
    "name": "clock", "description": "The time", "parameters": {"type": "object"}}}]
SECRETS = {"AWS_SECRET": vendors_signed.SECRET_ACCESS_KEY, "AWS_API_KEY": vendors_signed.BEDROCK_API_KEY}
SIGNED = {"access_key_id": vendors_signed.ACCESS_KEY_ID, "region": Bedrock.REGION}


def bedrock_provider(url, parts=None, key="${AWS_SECRET}"):
    return {"plugin": "bedrock", "base_url": url, "models": ["*"],
            "credentials": [{"key": key, "parts": SIGNED if parts is None else parts}],
            "timeouts": {"connect": "1s", "first_byte": "2s", "between_bytes": "2s", "total": "5s"}}


class BedrockBehindTheGateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bedrock = Bedrock()
        cls.addClassCleanup(cls.bedrock.close)
        url = cls.bedrock.url
        cls.stage = Stage(
            providers={
                "aws": bedrock_provider(url),
                "session": bedrock_provider(
                    url, {**SIGNED, "session_token": vendors_signed.SESSION_TOKEN}),
                "expired": bedrock_provider(url, {**SIGNED, "session_token": "old"}),
                "elsewhere": bedrock_provider(url, {**SIGNED, "region": "eu-west-1"}),
                "nobody": bedrock_provider(url, {"region": Bedrock.REGION}),
                "apikey": bedrock_provider(url, {"auth": "bearer"}, "${AWS_API_KEY}"),
            },
            models={"fall-over": ["aws/throttled-at-once", "up/m"],
                    "fall-over-unsigned": ["nobody/m", "up/m"],
                    "stay": ["aws/throttled-inside", "up/m"]},
            env=SECRETS)
        cls.addClassCleanup(cls.stage.close)

    def setUp(self):
        self.bedrock.clear()

    def test_a_signed_request_is_answered(self):
        for provider in ("aws", "session", "apikey"):
            for model in ("m", "us.anthropic.claude-haiku-4-5-20251001-v1:0",
                          "arn:aws:bedrock:us-east-1:123456789012:inference-profile/x y"):
                with self.subTest(provider, model=model):
                    answer = self.stage.chat(f"{provider}/{model}", max_tokens=5)
                    self.assertEqual(answer.status, 200, (answer.text, self.bedrock.refused))
                    said = json.loads(answer.body)
                    self.assertEqual(said["choices"][0]["message"]["content"], "".join(vendors_signed.TEXT))
                    self.assertEqual(said["choices"][0]["finish_reason"], "stop")
                    self.assertEqual(said["usage"]["prompt_tokens"], 40)
                    self.assertEqual(said["usage"]["prompt_tokens_details"]["cached_tokens"], 20)
                    record = self.stage.record(answer)
                    self.assertEqual(record("tokens_in", "tokens_out", "estimated", "finish"),
                                     (40, 5, False, "stop"))

    def test_a_stream_is_answered_however_it_is_cut(self):
        for model in ("m", "drip"):
            with self.subTest(model):
                answer = self.stage.chat(f"aws/{model}", True, stream_options={"include_usage": True})
                self.assertEqual((answer.status, answer.clean), (200, True), self.bedrock.refused)
                events = answer.events()
                self.assertEqual(client.text_of(events), "".join(vendors_signed.TEXT))
                self.assertEqual(events[-1], "[DONE]")
                self.assertEqual(json.loads(events[-2])["usage"]["total_tokens"], 45)
                self.assertEqual(self.bedrock.requests[-1].path, f"/model/{model}/converse-stream")

    def test_a_tool_is_called_and_answered(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                answer = self.stage.chat("aws/m", stream, tools=TOOLS)
                self.assertEqual(answer.status, 200, (answer.text, self.bedrock.refused))
                if stream:
                    chunks = [json.loads(event)["choices"][0] for event in answer.events()[:-1]]
                    calls = [chunk["delta"]["tool_calls"][0] for chunk in chunks
                             if "tool_calls" in chunk["delta"]]
                    self.assertEqual(calls[0]["function"]["name"], "clock")
                    arguments = "".join(call["function"]["arguments"] for call in calls)
                else:
                    call = json.loads(answer.body)["choices"][0]["message"]["tool_calls"][0]
                    arguments = call["function"]["arguments"]
                self.assertEqual(json.loads(arguments), {"city": "Oslo"})

        history = client.MESSAGES + [
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "tooluse_1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "tooluse_1", "content": ""}]
        answer = self.stage.chat("aws/m", messages=history)  # without its tools, with an empty result
        self.assertEqual(answer.status, 200, (answer.text, self.bedrock.refused))

    def test_pictures_arrive_as_they_were_sent(self):
        picture = "iVBORw0KGgo" + "A" * 300_001  # beyond what is sent from the loop itself
        picture += "=" * (-len(picture) % 4)
        answer = self.stage.chat("aws/m", messages=[{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + picture}},
            {"type": "text", "text": "What is it?"}]}])
        self.assertEqual(answer.status, 200, (answer.text[:300], self.bedrock.refused))
        block = self.bedrock.requests[-1].json()["messages"][0]["content"][0]
        self.assertEqual(block["image"]["source"]["bytes"], picture)

    def test_refused_credentials_are_the_gateways_fault(self):
        for provider in ("expired", "elsewhere", "nobody"):
            with self.subTest(provider):
                answer = self.stage.chat(f"{provider}/m")
                self.assertEqual(answer.error["code"], "upstream_auth", answer.text)
                self.assertNotIn("eu-west-1", answer.text)
                self.assertEqual(self.stage.record(answer)["final_status"], "upstream_error")
        answer = self.stage.chat("fall-over-unsigned")
        self.assertEqual(answer.status, 200, answer.text)

    def test_refusals_have_their_class(self):
        answer = self.stage.chat("aws/refuse")
        self.assertEqual((answer.status, answer.error["code"]), (400, "ValidationException"))
        answer = self.stage.chat("aws/throttle")
        self.assertEqual(answer.status, 429, answer.text)

    def test_an_exception_before_content_falls_over_unseen(self):
        answer = self.stage.chat("fall-over", True)
        self.assertEqual((answer.status, answer.clean), (200, True), answer.text)
        self.assertEqual(client.text_of(answer.events()), "Hello from the upstream.")
        self.assertIn("aws/throttled-at-once:rate_limit", self.stage.record(answer)["fallback_path"])

    def test_an_exception_after_content_ends_the_stream_with_an_error(self):
        answer = self.stage.chat("stay", True)
        events = answer.events()
        self.assertEqual(client.text_of(events[:-1]), "".join(vendors_signed.TEXT))
        self.assertIn("error", json.loads(events[-1]))
        self.assertNotEqual(events[-1], "[DONE]")

    def test_a_stream_that_breaks_is_no_good_end(self):
        for model in ("no-stop", "cut-message", "bad-checksum"):
            with self.subTest(model):
                answer = self.stage.chat(f"aws/{model}", True)
                events = answer.events()
                self.assertIn("error", json.loads(events[-1]), events[-1])
                self.assertEqual(self.stage.record(answer)["final_status"], "upstream_error")

    def test_no_secret_goes_anywhere(self):
        self.stage.chat("aws/m")
        self.stage.chat("elsewhere/m")
        for secret in SECRETS.values():
            for request in self.bedrock.requests:
                self.assertNotIn(secret, str(request.headers))
                self.assertNotIn(secret.encode(), request.body)
            self.assertNotIn(secret, self.stage.gateway.log())
            self.assertNotIn(secret, json.dumps(self.stage.gateway.records()))
        for request in self.bedrock.requests:
            self.assertNotIn(GATEWAY_KEY, str(request.headers))


if __name__ == "__main__":
    unittest.main()
