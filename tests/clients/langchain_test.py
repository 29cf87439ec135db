"""The scenario book with LangChain's ChatOpenAI, over chat completions and over Responses."""

import json
import os
import unittest

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

URL = os.environ["GATEWAY_URL"]
KEY = os.environ["GATEWAY_KEY"]
ANSWER = "Hello from the upstream."
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
SCHEMA = {"title": "place", "type": "object", "properties": {"city": {"type": "string"}},
          "required": ["city"], "additionalProperties": False}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "Looks outside.",
                                            "parameters": SCHEMA}}
BOOK = json.loads(os.environ["BOOK"])  # book.table()
BOOKS = {model["name"]: model for model in BOOK["models"]}
MODELS = [*BOOKS, "strict-claude/claude-opus-5-5", "strict-google/gemini-3.8-flash"]


def chat(model="up/book", **more):
    return ChatOpenAI(model=model, base_url=URL + "/v1", api_key=KEY, max_retries=0,
                      stream_usage=True, **more)


def ask(model, streamed, messages):
    if not streamed:
        return model.invoke(messages)
    whole = None
    for chunk in model.stream(messages):
        whole = chunk if whole is None else whole + chunk
    return whole


def text_of(message):
    return message.text if isinstance(message.text, str) else message.text()


class LangChain(unittest.TestCase):
    def each(self, check, models=("up/book",)):
        for model in models:
            for responses in (False, True):
                for streamed in (False, True):
                    with self.subTest(model=model, responses=responses, streamed=streamed):
                        check({"model": model, "use_responses_api": responses}, streamed)

    def test_plain_with_usage(self):
        def check(more, streamed):
            said = ask(chat(**more), streamed, [HumanMessage("hello")])
            self.assertEqual(text_of(said), ANSWER)
            usage = said.usage_metadata
            counted = BOOKS[more["model"]]["counted"][:2]
            self.assertEqual([usage["input_tokens"], usage["output_tokens"]], counted)
        self.each(check, BOOKS)

    def test_two_calls_and_reasoning_over_two_turns(self):
        def check(more, streamed):
            thinking = {"reasoning": {"effort": "low", "summary": "auto"}} \
                if more["use_responses_api"] else {"reasoning_effort": "low"}
            model = chat(**more, **thinking).bind_tools([WEATHER])
            messages = [HumanMessage("The weather?")]
            said = ask(model, streamed, messages)
            self.assertEqual([call["args"] for call in said.tool_calls],
                             [{"city": "Oslo"}, {"city": "Rome"}])
            messages += [said, *(ToolMessage("rain", tool_call_id=call["id"])
                                 for call in said.tool_calls)]
            self.assertIn("after 2 results", text_of(ask(model, streamed, messages)))
        self.each(check, MODELS)

    def test_a_picture_and_a_structured_answer(self):
        def check(more, streamed):
            message = HumanMessage([{"type": "text", "text": "What is it?"},
                                    {"type": "image_url", "image_url": {"url": PICTURE}}])
            if BOOKS[more["model"]]["pictures"]:
                seen = ask(chat(**more), streamed, [message])
                self.assertEqual(text_of(seen), "I see 1: data:image/png;")
            else:
                self.assertRaises(openai.BadRequestError, ask, chat(**more), streamed, [message])
            structured = chat(**more).with_structured_output(SCHEMA, method="json_schema")
            self.assertEqual(structured.invoke("city?"), {"city": "Oslo"})
        self.each(check, BOOKS)

    def test_errors(self):
        def check(more, streamed):
            def fails(name, error, streamed=streamed):
                with self.subTest(name), self.assertRaises(error):
                    ask(chat(**{**more, "model": name}), streamed, "hello")
            fails("nonesuch", openai.NotFoundError)
            for name in BOOK["refusing"]:
                fails(name, openai.BadRequestError)
            for name in BOOK["breaking"]:
                fails(name, (openai.APIError, ValueError), True)
        self.each(check)

    def test_a_stream_that_is_left_ends_upstream(self):
        def check(more, _):
            stream = chat(**more).stream("hello")
            next(stream)
            stream.close()  # run.py looks at what the upstream saw
        self.each(check, BOOK["paced"])

    def test_embeddings(self):
        model = OpenAIEmbeddings(model="up/e", base_url=URL + "/v1", api_key=KEY, max_retries=0,
                                 check_embedding_ctx_length=False)
        self.assertEqual(model.embed_documents(["a", "b"]), [[0.5, -0.25, 1], [0.5, -0.25, 1]])


if __name__ == "__main__":
    unittest.main()
