"""The scenario book with the openai package for Python over chat completions."""

import json
import os
import unittest

import openai

BOOK = json.loads(os.environ["BOOK"])  # book.table()
ANSWER = "Hello from the upstream."
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
          "additionalProperties": False}
HELLO = [{"role": "user", "content": "hello"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]


def sent_back(message):
    """What the package made of a stream has an index with each call, and joins the role that MiniMax repeats."""
    message = {**message.to_dict(), "role": "assistant"}
    for call in message["tool_calls"]:
        call.pop("index", None)
    return message


class Chat(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=os.environ["GATEWAY_URL"] + "/v1", api_key=os.environ["GATEWAY_KEY"],
                                    max_retries=0)
        self.addCleanup(self.client.close)

    def each(self, check):
        for model in BOOK["models"]:
            for streamed in (False, True):
                with self.subTest(model["name"], streamed=streamed):
                    check(model, streamed)

    def ask(self, model, streamed, messages, **more):
        body = {"model": model["name"], "messages": messages, **more}
        if not streamed:
            return self.client.chat.completions.create(**body)
        with self.client.chat.completions.stream(**body, stream_options={"include_usage": True}) as stream:
            return stream.get_final_completion()

    def test_plain_with_usage(self):
        def check(model, streamed):
            answer = self.ask(model, streamed, HELLO)
            choice, usage = answer.choices[0], answer.usage
            self.assertEqual((choice.message.content, choice.finish_reason), (ANSWER, "stop"))
            # Their details are said where the vendor says them.
            self.assertEqual([usage.prompt_tokens, usage.completion_tokens], model["counted"][:2])
        self.each(check)

    def test_two_calls_and_reasoning_over_two_turns(self):
        def check(model, streamed):
            messages = [{"role": "user", "content": "The weather?"}]
            thinking = {"tools": TOOLS, "reasoning_effort": "low"}
            first = self.ask(model, streamed, messages, **thinking).choices[0]
            calls = first.message.tool_calls
            self.assertEqual([json.loads(call.function.arguments)["city"] for call in calls], ["Oslo", "Rome"])
            self.assertEqual((first.message.reasoning_content, first.finish_reason), ("Two calls.", "tool_calls"))
            messages += [sent_back(first.message), *({"role": "tool", "tool_call_id": call.id, "content": "rain"}
                                          for call in calls)]
            second = self.ask(model, streamed, messages, **thinking).choices[0].message.content
            self.assertIn("after 2 results", second)
            self.assertEqual("Two calls" in second, model["thoughts"])
        self.each(check)

    def test_a_picture_and_a_structured_answer(self):
        def check(model, streamed):
            shown = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]}]
            if model["pictures"]:
                seen = self.ask(model, streamed, shown).choices[0].message.content
                self.assertEqual(seen, "I see 1: data:image/png;")
            else:
                self.assertRaises(openai.BadRequestError, self.ask, model, streamed, shown)
            form = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
            place = self.ask(model, streamed, HELLO, response_format=form).choices[0].message.content
            self.assertEqual(json.loads(place), {"city": "Oslo"})
        self.each(check)

    def test_errors_before_and_within_a_stream(self):
        for name in BOOK["refusing"]:
            for streamed in (False, True):
                with self.subTest(name, streamed=streamed), self.assertRaises(openai.BadRequestError):
                    self.ask({"name": name}, streamed, HELLO)
        for name in BOOK["breaking"]:
            with self.subTest(name), self.assertRaises(openai.APIError):
                self.ask({"name": name}, True, HELLO)

    def test_a_stream_that_is_left_ends_upstream(self):
        for name in BOOK["paced"]:
            with self.subTest(name):
                body = {"model": name, "messages": HELLO, "stream": True}
                with self.client.chat.completions.create(**body) as stream:
                    text = (chunk.choices[0].delta.content for chunk in stream)
                    self.assertTrue(next(filter(None, text)))  # run.py looks at what the upstream saw


if __name__ == "__main__":
    unittest.main()
