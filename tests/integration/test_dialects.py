"""Vendors that follow OpenAI with an accent, each before an upstream that takes nothing else (tests/support/providers)."""

import json
import unittest

from stage import TIMEOUTS, Stage  # first: it says where the others are
from providers.azure import Azure, AzureClassic
from providers.deepseek import DeepSeek
from providers.doubao import Doubao
from providers.family import CALLS, TEXT, THOUGHT
from providers.glm import Glm
from providers.grok import Grok
from providers.groq import Groq
from providers.hunyuan import Hunyuan
from providers.local import LlamaCpp, Ollama, Vllm
from providers.minimax import MiniMax
from providers.mistral import Mistral
from providers.moonshot import Moonshot
from providers.openai import OpenAI
from providers.openrouter import OpenRouter
from providers.qwen import Qwen
from providers.ranking import Jina, Voyage
from providers.spark import Spark
from providers.stepfun import StepFun
from providers.together import Together
from providers.wenxin import Wenxin

FAMILIES = {"azure": Azure, "azure-classic": AzureClassic, "deepseek": DeepSeek, "doubao": Doubao, "glm": Glm,
            "grok": Grok, "groq": Groq, "hunyuan": Hunyuan, "llamacpp": LlamaCpp, "minimax": MiniMax,
            "mistral": Mistral, "moonshot": Moonshot, "ollama": Ollama, "openai": OpenAI, "openrouter": OpenRouter, "qwen": Qwen,
            "spark": Spark, "stepfun": StepFun, "together": Together, "vllm": Vllm, "wenxin": Wenxin}
# What a client of OpenAI's may well send to anybody.
MANY = {"temperature": 0, "max_completion_tokens": 50, "seed": 3, "user": "u-1", "stop": "END",
        "reasoning_effort": "low", "metadata": {"a": "b"}, "store": False, "n": 1}
TOOLS = [{"type": "function", "function": {
    "name": "weather", "description": "Looks outside.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
PICTURE = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {"type": "json_schema", "json_schema": {"name": "place", "schema": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}
FINAL = ("upstream_refused", "context_length_exceeded", "content_policy_violation")  # no other target is tried


def asked(text):
    return [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": text}]


def merged(events):
    """The message, finish reason and usage that a stream's chunks say, put together as clients do."""
    message, finish, usage = {"role": "assistant", "content": ""}, None, None
    for event in events:
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            delta = choice["delta"]
            finish = choice.get("finish_reason") or finish
            message["content"] += delta.get("content") or ""
            if isinstance(delta.get("reasoning_content"), str):
                message["reasoning_content"] = message.get("reasoning_content", "") + delta["reasoning_content"]
            for call in delta.get("tool_calls", []):
                calls = message.setdefault("tool_calls", [])
                if call["index"] == len(calls):
                    calls.append({"id": call["id"], "type": call["type"], "function": dict(call["function"])})
                else:
                    calls[call["index"]]["function"]["arguments"] += call["function"].get("arguments", "")
    return message, finish, usage


class Dialects(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.families = {}
        for name, family in FAMILIES.items():
            cls.families[name] = family()
            cls.addClassCleanup(cls.families[name].close)
        common = {"plugin": "openai", "models": ["*"], "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}],
                  "timeouts": TIMEOUTS, "breaker": {"enabled": False}}
        cls.stage = Stage(
            providers={name: {"dialect": name, "base_url": family.url, **common}
                       for name, family in cls.families.items()},
            models={f"{name}-else": [f"{name}/{family.model}", "up/m"] for name, family in cls.families.items()})
        cls.addClassCleanup(cls.stage.close)

    def each(self, check, streams=(False, True)):
        for name, family in self.families.items():
            for stream in streams:
                with self.subTest(name, stream=stream):
                    family.clear()
                    check(name, family, stream)

    def ask(self, name, stream, messages, **members):
        family = self.families[name]
        options = {"stream_options": {"include_usage": True}} if stream else {}
        answer = self.stage.chat(f"{name}/{family.model}", stream, messages=messages, **options, **members)
        self.assertEqual(answer.status, 200, (answer.text, family.refused))
        self.assertTrue(answer.clean, (answer.text, family.refused))
        if not stream:
            body = answer.json()
            choice = body["choices"][0]
            self.assertTrue(body["id"] and body["model"] and body["object"] == "chat.completion", body)
            return answer, choice["message"], choice["finish_reason"], body["usage"]
        events = answer.events()
        self.assertEqual(events[-1], "[DONE]", (events, family.refused))
        chunks = [json.loads(event) for event in events[:-1]]
        self.assertEqual({chunk["id"] for chunk in chunks}, {chunks[0]["id"]})
        return answer, *merged(chunks)

    def test_text_after_thinking_with_all_that_a_client_may_say(self):
        def check(name, family, stream):
            answer, said, finish, usage = self.ask(name, stream, asked("say"), **MANY)
            self.assertEqual((said["content"], finish), ("".join(TEXT), "stop"))
            self.assertEqual(said.get("reasoning_content"), "".join(THOUGHT) if family.reasoning else None)
            self.assertEqual(answer.header("x-switchyard-dropped"), ", ".join(family.lost) or None)
            self.assertGreater(usage["prompt_tokens"], 0)
            record = self.stage.record(answer)
            line = record.line
            self.assertEqual((record["tokens_in"], record["tokens_out"],
                              line.get("gen_ai.usage.cache_read.input_tokens"),
                              line.get("gen_ai.usage.reasoning.output_tokens"), record["estimated"]),
                             (*family.counted, False))
            roles = [message["role"] for message in family.bodies[-1]["messages"]]
            self.assertIn(roles, (["system", "user"], ["developer", "user"]))
        self.each(check)

    def test_two_calls_at_once_and_their_results(self):
        def check(name, family, stream):
            messages = asked("tools")
            answer, said, finish, _ = self.ask(name, stream, messages, tools=TOOLS, tool_choice="required")
            self.assertEqual(finish, "tool_calls")
            calls = said["tool_calls"]
            self.assertEqual([(call["type"], call["function"]["name"], json.loads(call["function"]["arguments"]))
                              for call in calls], [("function", *call) for call in CALLS])
            self.assertEqual(len({call["id"] for call in calls}), 2)
            self.assertEqual(answer.header("x-switchyard-dropped"),
                             "/tool_choice" if family.lost_choice else None)
            # Back with its results, and a further question at once.
            messages += [said, *({"role": "tool", "tool_call_id": call["id"], "content": "5 °C"} for call in calls),
                         {"role": "user", "content": "And now?"}]
            _, said, finish, _ = self.ask(name, stream, messages, tools=TOOLS)
            self.assertEqual((said["content"], finish), ("Hello after 2 results.", "stop"))
        self.each(check)

    def test_a_history_of_another_vendor_is_taken(self):
        """Calls with ids of OpenAI's, and no thinking."""
        calls = [{"id": f"call_0123456789abcdef{n}", "type": "function",
                  "function": {"name": "weather", "arguments": "{}"}} for n in range(2)]
        messages = [*asked("tools"), {"role": "assistant", "content": None, "tool_calls": calls},
                    *({"role": "tool", "tool_call_id": call["id"], "content": "5 °C"} for call in calls)]
        def check(name, family, _):
            if name == "minimax":  # it wants its own thinking back, which nobody has
                return
            _, said, _, _ = self.ask(name, False, messages, tools=TOOLS)
            self.assertEqual(said["content"], "Hello after 2 results.")
        self.each(check, (False,))

    def test_an_answer_comes_back_as_sdks_of_openai_keep_it(self):
        """With members that they add, empty, and these vendors don't know."""
        calls = [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
        added = {"annotations": None, "audio": None, "function_call": None, "parsed": None, "refusal": None}
        messages = [*asked("tools"),
                    {"role": "assistant", "content": None, "reasoning_content": "A greeting.", "tool_calls": calls, **added},
                    {"role": "tool", "tool_call_id": "call_1", "content": "5 °C"}]
        for name in ("deepseek", "doubao", "glm", "hunyuan", "minimax", "mistral", "moonshot", "qwen", "spark", "stepfun",
                     "wenxin"):
            with self.subTest(name):
                _, said, _, _ = self.ask(name, False, messages, tools=TOOLS)
                self.assertEqual(said["content"], "Hello after 1 results.")

    def test_a_picture_arrives_or_is_refused(self):
        def check(name, family, _):
            content = [{"type": "text", "text": "say"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
            if family.vision:
                self.ask(name, False, asked(content))
                self.assertEqual(family.bodies[-1]["messages"][-1]["content"], content)
            else:
                answer = self.stage.chat(f"{name}/{family.model}", messages=asked(content))
                self.assertEqual(answer.status, 400, answer.text)
        self.each(check, (False,))

    def test_a_schema_is_followed(self):
        def check(name, family, stream):
            answer, said, _, _ = self.ask(name, stream, asked("Where?"), response_format=SCHEMA)
            self.assertEqual(json.loads(said["content"]), {"city": "Oslo"})
            self.assertEqual(answer.header("x-switchyard-dropped"),
                             "/response_format" if family.lost_schema else None)
            told = json.dumps(family.bodies[-1])
            self.assertIn("city", told)
        self.each(check)

    def test_an_answer_that_misses_a_schema_is_a_fault_where_it_was_said_in_words(self):
        def check(name, family, stream):
            answer = self.stage.chat(f"{name}/{family.model}", stream, messages=asked("misfit"), response_format=SCHEMA)
            if not family.lost_schema:
                return self.assertIn("7}", answer.text)
            self.assertEqual(self.stage.record(answer)["error_code"], "upstream_bad_answer", answer.text)
            if not stream:
                self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_bad_answer"), answer.text)
                return self.assertIn("/city: another type", answer.error["message"])
            last = json.loads(answer.events()[-1])
            self.assertEqual(last["error"]["code"], "upstream_bad_answer")
            self.assertIn("does not fit the JSON schema", last["error"]["message"])
        self.each(check)

    def test_how_answers_end(self):
        def check(name, family, stream):
            for theirs, ours in family.finishes.items():
                with self.subTest(theirs):
                    answer, _, finish, _ = self.ask(name, stream, asked(f"finish:{theirs}"))
                    self.assertEqual((finish, self.stage.record(answer)["finish"]), (ours, ours))
        self.each(check)

    def test_faults_mean_what_the_vendor_says(self):
        def check(name, family, stream):
            for failure, (_, _, code) in family.failures.items():
                with self.subTest(failure):
                    answer = self.stage.chat(f"{name}/{family.model}", stream, messages=asked(f"fail:{failure}"))
                    self.assertNotEqual(answer.status, 200, answer.text)
                    record = self.stage.record(answer)
                    if code in FINAL:  # the client sees the vendor's own words
                        self.assertIn(answer.status, (400, 413, 422), answer.text)
                        self.assertEqual(record["final_status"], "client_error")
                    elif code == "model_not_found":
                        self.assertEqual(answer.status, 404, answer.text)
                    else:
                        self.assertEqual(record["error_code"], code, answer.text)
                    self.ask(name, stream, asked("Hello?"))  # a credential that was refused is taken again
                    again = self.stage.chat(f"{name}-else", stream, messages=asked(f"fail:{failure}"))
                    self.assertEqual(again.status == 200, code not in FINAL, again.text)
        self.each(check)

    def test_several_answers_are_several_calls_where_there_is_one(self):
        for name in ("deepseek", "doubao", "glm", "groq", "hunyuan", "minimax", "moonshot", "ollama", "spark",
                     "stepfun", "wenxin"):
            with self.subTest(name):
                family = self.families[name]
                family.clear()
                answer = self.stage.chat(f"{name}/{family.model}", n=2, messages=asked("Hello?"))
                self.assertEqual(answer.status, 200, (answer.text, family.refused))
                self.assertEqual([choice["index"] for choice in answer.json()["choices"]], [0, 1])
                self.assertEqual([body.get("n") for body in family.bodies], [None, None])


class RankingBehindTheGateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.jina, cls.voyage = Jina(), Voyage()
        cls.addClassCleanup(cls.jina.close)
        cls.addClassCleanup(cls.voyage.close)
        common = {"plugin": "openai", "models": ["*"], "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}],
                  "timeouts": TIMEOUTS}
        cls.stage = Stage(providers={"jina": {"dialect": "jina", "base_url": cls.jina.url, **common},
                                     "voyage": {"dialect": "voyage", "base_url": cls.voyage.url, **common}})
        cls.addClassCleanup(cls.stage.close)

    def test_documents_are_ranked(self):
        for name in ("jina", "voyage"):
            for returned in (False, True):
                with self.subTest(name, returned=returned):
                    answer = self.stage.call("POST", "/v1/rerank", {
                        "model": f"{name}/r", "query": "tram", "top_n": 1, "return_documents": returned,
                        "documents": ["bus", {"text": "tram line"}]})
                    self.assertEqual(answer.status, 200, answer.text)
                    body = answer.json()
                    item = {"index": 1, "relevance_score": 1.0}
                    self.assertEqual(body["results"],
                                     [{**item, "document": {"text": "tram line"}} if returned else item])
                    self.assertEqual(body["usage"], {"prompt_tokens": 14, "total_tokens": 14})
                    record = self.stage.record(answer)
                    self.assertEqual(record("tokens_in", "estimated", "final_status"), (14, False, "ok"))

    def test_documents_are_left_out_unasked(self):
        for name in ("jina", "voyage"):
            answer = self.stage.call("POST", "/v1/rerank", {"model": f"{name}/r", "query": "q", "documents": ["a"]})
            self.assertEqual(answer.json()["results"], [{"index": 0, "relevance_score": 1.0}])

    def test_texts_are_embedded(self):
        for name in ("jina", "voyage"):
            with self.subTest(name):
                answer = self.stage.call("POST", "/v1/embeddings", {
                    "model": f"{name}/e", "input": ["a"], "dimensions": 2, "encoding_format": "float",
                    "input_type": "query", "user": "u"})
                self.assertEqual(answer.status, 200, answer.text)
                self.assertEqual(answer.json()["data"][0]["embedding"], [0.5, 0.25])
                self.assertEqual(answer.json()["usage"]["prompt_tokens"], 3)
                self.assertEqual(answer.header("x-switchyard-dropped"), "/user")
                self.assertEqual(self.stage.record(answer)["tokens_in"], 3)

    def test_what_is_missing_is_said(self):
        answer = self.stage.call("POST", "/v1/rerank", {"model": "jina/r", "query": "q"})
        self.assertEqual((answer.status, answer.json()["error"]["param"]), (400, "documents"))
        answer = self.stage.call("POST", "/v1/rerank", {"model": "up/r", "query": "q", "documents": []})
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, "not_offered"))


if __name__ == "__main__":
    unittest.main()
