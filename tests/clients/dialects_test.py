"""The scenario book with the Python SDKs of other dialects than OpenAI's chat."""

import json
import os
import unittest

import anthropic
import openai

URL = os.environ["GATEWAY_URL"]
KEY = os.environ["GATEWAY_KEY"]
STORING_KEY = os.environ["STORING_KEY"]
ANSWER = "Hello from the upstream."
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
          "additionalProperties": False}
BOOK = json.loads(os.environ["BOOK"])  # book.table()
BOOKS = {model["name"]: model for model in BOOK["models"]}
MODELS = [*BOOKS, "strict-claude/claude-opus-5-5", "strict-google/gemini-3.8-flash"]


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


class Anthropic(unittest.TestCase):
    def setUp(self):
        self.client = anthropic.Anthropic(base_url=URL, api_key=KEY)
        self.addCleanup(self.client.close)

    def body(self, content="hello", **more):
        return {"model": "up/book", "max_tokens": 1000,
                "messages": [{"role": "user", "content": content}], **more}

    def run_once(self, streamed, body):
        if not streamed:
            return self.client.messages.create(**body)
        with self.client.messages.stream(**body) as stream:
            return stream.get_final_message()

    def test_plain_and_streamed_with_usage(self):
        for model in BOOKS:
            with self.subTest(model):
                for streamed in (False, True):
                    message = self.run_once(streamed, self.body(model=model))
                    self.assertEqual(text_of(message), ANSWER)
                    self.assertEqual(message.stop_reason, "end_turn")
                    read, said, cached, _ = BOOKS[model]["counted"]
                    usage = message.usage
                    kept = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
                    self.assertEqual((usage.input_tokens + kept, usage.output_tokens), (read, said))
                    if streamed:  # Moonshot's whole answers have cached tokens elsewhere, and pass as they are
                        self.assertEqual(usage.cache_read_input_tokens or 0, cached)
                with self.client.messages.stream(**self.body(model=model)) as stream:
                    self.assertEqual("".join(stream.text_stream), ANSWER)

    def test_two_calls_and_thinking_over_two_turns(self):
        for model in MODELS:
            for streamed in (False, True):
                with self.subTest(model=model, streamed=streamed):
                    body = self.body("The weather?", model=model, thinking={"type": "adaptive"},
                                     tools=[{"name": "weather", "input_schema": SCHEMA}])
                    first = self.run_once(streamed, body)
                    calls = [block for block in first.content if block.type == "tool_use"]
                    self.assertEqual([call.input for call in calls],
                                     [{"city": "Oslo"}, {"city": "Rome"}])
                    said = [block.to_dict() for block in first.content]
                    for block in said:
                        block.pop("caller", None)
                        block.pop("citations", None)
                    body["messages"] += [
                        {"role": "assistant", "content": said},
                        {"role": "user", "content": [
                            {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
                            for call in calls]}]
                    second = self.run_once(streamed, body)
                    self.assertIn("after 2 results", second.content[-1].text)

    def test_a_picture_and_a_structured_answer(self):
        source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
        for model in BOOKS:
            with self.subTest(model):
                shown = self.body([{"type": "image", "source": source}], model=model)
                if BOOKS[model]["pictures"]:
                    seen = self.client.messages.create(**shown)
                    self.assertEqual(text_of(seen), "I see 1: data:image/png;")
                else:
                    self.assertRaises(anthropic.BadRequestError, self.client.messages.create, **shown)
                answer = self.client.messages.create(**self.body(
                    model=model, output_config={"format": {"type": "json_schema", "schema": SCHEMA}}))
                self.assertEqual(json.loads(text_of(answer)), {"city": "Oslo"})

    def test_errors(self):
        with self.assertRaises(anthropic.NotFoundError):
            self.client.messages.create(**self.body(model="nonesuch"))
        with self.assertRaises(anthropic.BadRequestError) as caught:
            self.client.messages.create(**self.body([{"type": "image"}]))
        self.assertIn("messages.0.content.0.source", str(caught.exception))
        with self.assertRaises(anthropic.AuthenticationError):
            anthropic.Anthropic(base_url=URL, api_key="sy-unknown").messages.create(**self.body())
        for model in BOOK["refusing"]:
            with self.subTest(model), self.assertRaises(anthropic.BadRequestError):
                self.client.messages.create(**self.body(model=model))
        for model in BOOK["breaking"]:
            with self.subTest(model), self.assertRaises(anthropic.APIError):
                self.run_once(True, self.body(model=model))

    def test_abort_tokens_and_models(self):
        for model in BOOK["paced"]:
            with self.client.messages.stream(**self.body(model=model)) as stream:
                next(iter(stream.text_stream))
        body = self.body()
        del body["max_tokens"]
        self.assertGreater(self.client.messages.count_tokens(**body).input_tokens, 0)
        names = [model.id for model in self.client.models.list(limit=2)]
        self.assertIn("alias", names)
        self.assertGreater(len(names), 2)


class Responses(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=URL + "/v1", api_key=KEY)
        self.addCleanup(self.client.close)

    def run_once(self, streamed, body):
        if not streamed:
            return self.client.responses.create(**body)
        with self.client.responses.stream(**body) as stream:
            for _ in stream:
                pass
            return stream.get_final_response()

    def test_plain_and_streamed_with_usage(self):
        for model in BOOKS:
            for streamed in (False, True):
                with self.subTest(model=model, streamed=streamed):
                    answer = self.run_once(streamed, {"model": model, "input": "hello"})
                    self.assertEqual((answer.output_text, answer.status), (ANSWER, "completed"))
                    usage = answer.usage
                    read, said, cached, thought = BOOKS[model]["counted"]
                    self.assertEqual((usage.input_tokens, usage.output_tokens, usage.total_tokens),
                                     (read, said, read + said))
                    self.assertEqual(usage.output_tokens_details.reasoning_tokens, thought)
                    if streamed:
                        self.assertEqual(usage.input_tokens_details.cached_tokens, cached)

    def test_two_calls_and_reasoning_over_two_turns(self):
        for model in MODELS:
            for streamed in (False, True):
                with self.subTest(model=model, streamed=streamed):
                    body = {"model": model, "input": [{"role": "user", "content": "The weather?"}],
                            "store": False, "reasoning": {"effort": "low", "summary": "auto"},
                            "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA,
                                       "strict": False}]}
                    first = self.run_once(streamed, body)
                    calls = [item for item in first.output if item.type == "function_call"]
                    self.assertEqual([json.loads(call.arguments)["city"] for call in calls],
                                     ["Oslo", "Rome"])
                    said = [item.to_dict() for item in first.output]
                    for item in said:
                        item.pop("parsed_arguments", None)
                    body["input"] += said + [
                        {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
                        for call in calls]
                    self.assertIn("after 2 results", self.run_once(streamed, body).output_text)

    def test_errors_and_what_would_have_to_be_stored(self):
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.create(model="nonesuch", input="hello")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.responses.create(model="up/book", input="a", previous_response_id="resp_1")
        self.assertEqual(caught.exception.param, "previous_response_id")
        for model in BOOK["refusing"]:
            with self.subTest(model), self.assertRaises(openai.BadRequestError):
                self.client.responses.create(model=model, input="hello")
        with self.assertRaises(openai.BadRequestError):
            self.client.responses.retrieve("resp_1")

    def test_stored_responses_over_two_turns_of_calls(self):
        for model in MODELS:
            with self.subTest(model=model), openai.OpenAI(base_url=URL + "/v1", api_key=STORING_KEY) as storing:
                body = {"model": model, "reasoning": {"effort": "low", "summary": "auto"},
                        "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]}
                first = storing.responses.create(input="The weather?", **body)
                self.assertEqual(storing.responses.retrieve(first.id), first)
                results = [{"type": "function_call_output", "call_id": item.call_id, "output": "rain"}
                           for item in first.output if item.type == "function_call"]
                with storing.responses.stream(input=results, previous_response_id=first.id, **body) as stream:
                    second = stream.get_final_response()
                self.assertIn("after 2 results", second.output_text)
                items = list(storing.responses.input_items.list(second.id, order="asc", limit=2))
                self.assertEqual(items[0].content[0].text, "The weather?")
                self.assertEqual([item.call_id for item in items[-2:]], [result["call_id"] for result in results])
                self.assertEqual(len({item.id for item in items}), len(items))
                storing.responses.delete(first.id)
                with self.assertRaises(openai.NotFoundError):
                    storing.responses.retrieve(first.id)
                with self.assertRaises(openai.BadRequestError):
                    storing.responses.cancel(second.id)

    def test_a_response_in_the_background_is_polled_and_cancelled(self):
        with openai.OpenAI(base_url=URL + "/v1", api_key=STORING_KEY) as storing:
            said = storing.responses.create(model="up/book", input="hello", background=True)
            while said.status in ("queued", "in_progress"):
                said = storing.responses.retrieve(said.id)
            self.assertEqual((said.status, said.background), ("completed", True))
            self.assertEqual(said.output_text, storing.responses.create(model="up/book", input="hello").output_text)
            slow = storing.responses.create(model="up/stall-mid-head", input="hello", background=True)
            for _ in range(2):
                self.assertEqual(storing.responses.cancel(slow.id).status, "cancelled")
            self.assertEqual(storing.responses.retrieve(slow.id).status, "cancelled")

    def test_an_item_is_named_instead_of_sent_again(self):
        with openai.OpenAI(base_url=URL + "/v1", api_key=STORING_KEY) as storing:
            first = storing.responses.create(model="up/book", input="hello")
            again = storing.responses.create(model="up/book", input=[
                {"type": "item_reference", "id": first.output[0].id}, {"role": "user", "content": "hello"}])
            self.assertEqual(again.output_text, first.output_text)


if __name__ == "__main__":
    unittest.main()
