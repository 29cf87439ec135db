"""The openai package for Python against the gateway, as an application would use it."""

import asyncio
import json
import os
import unittest

import openai

BASE_URL = os.environ["GATEWAY_URL"] + "/v1"
KEY = os.environ["GATEWAY_KEY"]
HELLO = [{"role": "user", "content": "hello"}]
SCRIPTED = "Hello from the upstream."
MOCKED = "Hello! How can I help you today?"
BEDROCK = "strict-aws/anthropic.claude-opus-5-5"
MODELS = [("up/good", SCRIPTED), ("alias", SCRIPTED), (BEDROCK, SCRIPTED)]
TOOL_MODELS = [("up/good", "x"), (BEDROCK, "weather")]
if os.environ.get("WITH_AIMOCK"):
    for model in ("aimock/gpt-4o", "claude/claude-opus-5-5", "google/gemini-3.8-flash",
                  "aws/anthropic.claude-opus-5-5"):
        MODELS.append((model, MOCKED))
        TOOL_MODELS.append((model, "weather"))
TOOLS = [{"type": "function", "function": {
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]


class Sdk(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=BASE_URL, api_key=KEY)

    def tearDown(self):
        self.client.close()

    def chat(self, model, **more):
        return self.client.chat.completions.create(**{"model": model, "messages": HELLO, **more})

    def test_chat(self):
        for model, expected in MODELS:
            with self.subTest(model):
                answer = self.chat(model)
                self.assertEqual(answer.choices[0].message.content, expected)
                self.assertEqual(answer.choices[0].finish_reason, "stop")
                self.assertGreater(answer.usage.total_tokens, 0)
                self.assertTrue(answer._request_id)

    def test_streams(self):
        for model, expected in MODELS:
            with self.subTest(model):
                text = ""
                for chunk in self.chat(model, stream=True):
                    self.assertIsNone(chunk.usage)
                    text += chunk.choices[0].delta.content or ""
                self.assertEqual(text, expected)

    def test_streams_with_usage(self):
        for model, _ in MODELS:
            with self.subTest(model):
                chunks = list(self.chat(model, stream=True, stream_options={"include_usage": True}))
                self.assertEqual(chunks[-1].choices, [])
                self.assertGreater(chunks[-1].usage.total_tokens, 0)

    def test_tools(self):
        for model, content in TOOL_MODELS:
            with self.subTest(model):
                asked = [{"role": "user", "content": content}]
                answer = self.chat(model, messages=asked, tools=TOOLS)
                call = answer.choices[0].message.tool_calls[0]
                self.assertEqual((call.function.name, json.loads(call.function.arguments)),
                                 ("weather", {"city": "Oslo"}))
                with self.client.chat.completions.stream(model=model, messages=asked,
                                                         tools=TOOLS) as stream:
                    answer = stream.get_final_completion()
                call = answer.choices[0].message.tool_calls[0]
                self.assertEqual(json.loads(call.function.arguments), {"city": "Oslo"})

    def test_embeddings_in_the_form_that_the_sdk_asks_for_by_itself(self):
        answer = self.client.embeddings.create(model="up/e", input=["a", "b"])
        self.assertEqual([one.embedding for one in answer.data], [[0.5, -0.25, 1.0]] * 2)

    def test_legacy_completions_and_moderations(self):
        answer = self.client.completions.create(model="up/c", prompt="Once")
        self.assertEqual(answer.choices[0].text, SCRIPTED)
        self.assertFalse(self.client.moderations.create(model="up/m", input="x").results[0].flagged)

    def test_models(self):
        self.assertIn("alias", [model.id for model in self.client.models.list()])
        self.assertEqual(self.client.models.retrieve("alias").id, "alias")

    def test_errors_are_the_sdks_own_classes(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.chat("nonesuch")
        self.assertEqual(caught.exception.code, "model_not_found")
        self.assertTrue(caught.exception.request_id)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat("up/good", messages="no array")
        self.assertEqual((caught.exception.code, caught.exception.param),
                         ("invalid_type", "messages"))
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat("up/status-400")
        self.assertEqual((caught.exception.code, caught.exception.param),
                         ("invalid_value", "max_tokens"))
        with openai.OpenAI(base_url=BASE_URL, api_key="sy-nobody") as stranger:
            with self.assertRaises(openai.AuthenticationError):
                stranger.models.list()

    def test_the_sdk_does_not_multiply_the_gateways_attempts(self):
        with self.assertRaises(openai.RateLimitError):
            self.chat("up/quota")
        with self.assertRaises(openai.InternalServerError):
            self.chat("up/stall-before-head")

    def test_a_stream_that_breaks_raises_and_keeps_what_came(self):
        text = ""
        with self.assertRaises(openai.APIError):
            for chunk in self.chat("up/cut-between-events", stream=True):
                text += chunk.choices[0].delta.content or ""
        self.assertEqual(text, "Hello from")

    def test_leaving_in_the_middle_of_a_stream(self):
        with self.chat("up/paced", stream=True) as stream:
            for _, _ in zip(range(3), stream):
                pass
        with self.chat("up/paced", stream=True) as stream:
            next(iter(stream))

    def test_a_realtime_session(self):
        with self.client.realtime.connect(model="up/realtime") as session:
            self.assertEqual(session.recv().type, "session.created")
            session.session.update(session={"type": "realtime", "instructions": "Säg hej."})
            updated = session.recv()
            self.assertEqual((updated.type, updated.session.instructions), ("session.updated", "Säg hej."))
            session.response.create()
            self.assertEqual(session.recv().text, "x" * 1_000_000)
            self.assertEqual(session.recv().response.usage.total_tokens, 5)

        async def talk():
            async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY) as client:
                async with client.realtime.connect(model="up/realtime") as session:
                    await session.response.create()
                    async for event in session:
                        if event.type == "response.done":
                            return event.response.usage.output_tokens
        self.assertEqual(asyncio.run(talk()), 2)

    def test_a_realtime_session_that_is_refused(self):
        import websockets
        for client, model, status in ((self.client, "nonesuch", 404), (self.client, "up/status-400", 400),
                                      (openai.OpenAI(base_url=BASE_URL, api_key="sy-nobody"), "m", 401)):
            with self.assertRaises(websockets.exceptions.InvalidStatus) as caught:
                client.realtime.connect(model=model).enter()
            self.assertEqual(caught.exception.response.status_code, status)

    def test_200_at_a_time(self):
        async def one(client, number):
            if number % 2:
                answer = await client.chat.completions.create(model="up/good", messages=HELLO)
                return answer.choices[0].message.content
            text = ""
            stream = await client.chat.completions.create(model="up/good", messages=HELLO, stream=True)
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
            return text

        async def all_of_them():
            async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY) as client:
                return await asyncio.gather(*[one(client, number) for number in range(200)])
        self.assertEqual(set(asyncio.run(all_of_them())), {SCRIPTED})


if __name__ == "__main__":
    unittest.main()
