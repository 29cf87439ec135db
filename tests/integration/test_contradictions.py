"""Requests that no upstream could make sense of: where they are translated the gateway refuses them, by the field's name
and in the client's dialect; natively they are the upstream's own to judge."""

import unittest

from stage import TIMEOUTS, Stage  # first: it says where the others are
import vendors
import vendors_signed
from providers.cohere import Cohere
from providers.dashscope import DashScope
from providers.spark_socket import CREDENTIAL as SPARK_CREDENTIAL, SparkSocket
from providers.wenxinworkshop import WenxinWorkshop
from upstream import Upstream

HELLO = [{"role": "user", "content": "Hello?"}]
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
CALLED = [*HELLO, {"role": "assistant", "content": None, "tool_calls": [CALL]}]


def result(**members):
    return {"role": "tool", "content": "noon", **members}


class Contradictions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vendor, cls.bedrock = Upstream(), vendors_signed.Bedrock()
        cls.cohere, cls.ali, cls.baidu, cls.xinghuo = Cohere(), DashScope(), WenxinWorkshop(), SparkSocket()
        vendors.add(cls.vendor)
        for one in (cls.vendor, cls.bedrock, cls.cohere, cls.ali, cls.baidu, cls.xinghuo):
            cls.addClassCleanup(one.close)
        own = {"credentials": [{"key": "${TEST_UPSTREAM_KEY}"}], "timeouts": TIMEOUTS}
        cls.stage = Stage(providers={
            "claude": {"plugin": "anthropic", "base_url": cls.vendor.origin + "/v1", "models": ["claude-opus-5-5"], **own},
            "google": {"plugin": "gemini", "base_url": cls.vendor.origin + "/v1beta", "models": ["gemini-3.8-flash"], **own},
            "aws": {"plugin": "bedrock", "base_url": cls.bedrock.url, "models": ["m"], **own},
            "cohere": {"plugin": "cohere", "base_url": cls.cohere.url, "models": ["m"], **own},
            "ali": {"plugin": "dashscope", "base_url": cls.ali.url, "models": ["qwen3-max"], **own},
            "baidu": {"plugin": "wenxinworkshop", "base_url": cls.baidu.url, "models": ["ernie-4.0-8k"], **own},
            "xinghuo": {"plugin": "spark", "base_url": cls.xinghuo.url, "models": ["4.0Ultra"], **own,
                        "credentials": [SPARK_CREDENTIAL]}})
        cls.addClassCleanup(cls.stage.close)

    def asked_upstream(self):
        return [request for one in (self.vendor, self.bedrock, self.cohere, self.ali, self.baidu, self.xinghuo,
                                    self.stage.upstream) for request in one.requests]

    def refused(self, answer, field):
        self.assertEqual(answer.status, 400, answer.text)
        self.assertIn(field, answer.error["message"])
        self.assertEqual(self.asked_upstream(), [])

    def test_chat_that_is_translated(self):
        cases = {
            "messages[1].tool_call_id": {"messages": [*HELLO, result(tool_call_id="call_1")]},
            "messages[2].tool_call_id": {"messages": [*CALLED, result(tool_call_id="call_2")], "tools": [CLOCK]},
            "messages[3].tool_call_id": {"messages": [*CALLED, result(tool_call_id="call_1"), result()]},
            "tool_choice": {"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "tide"}}},
            "tool_choice: a call is required": {"tool_choice": "required"},
        }
        for model in ("claude/claude-opus-5-5", "google/gemini-3.8-flash", "aws/m", "cohere/m", "ali/qwen3-max",
                      "baidu/ernie-4.0-8k", "xinghuo/4.0Ultra"):
            for field, members in cases.items():
                with self.subTest(model, field=field):
                    answer = self.stage.chat(model, **{"messages": HELLO, **members})
                    self.refused(answer, field)
                    self.assertEqual(answer.error["type"], "invalid_request_error")

    def test_chat_that_is_passed_is_the_upstreams_to_judge(self):
        answer = self.stage.chat("up/m", messages=[*HELLO, result(tool_call_id="call_1")])
        self.assertEqual(answer.status, 200, answer.text)
        self.stage.upstream.requests.clear()

    def test_messages(self):
        def ask(model, **members):
            body = {"model": model, "max_tokens": 9, "messages": HELLO, **members}
            return self.stage.call("POST", "/v1/messages", body, None, {"x-api-key": self.stage.key})
        clock = {"name": "clock", "input_schema": {"type": "object"}}
        stray = [*HELLO, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "noon"}]}]
        self.refused(ask("up/m", messages=stray), "messages.2.content.0.tool_use_id")
        self.refused(ask("up/m", tools=[clock], tool_choice={"type": "tool", "name": "tide"}), "tool_choice.name")
        natively = ask("claude/claude-opus-5-5", messages=stray)
        self.assertIn("immediately after", natively.error["message"])  # Anthropic's own words
        self.vendor.requests.clear()

    def test_responses(self):
        def ask(**members):
            return self.stage.call("POST", "/v1/responses", {"model": "up/m", "input": "Hello?", **members})
        clock = {"type": "function", "name": "clock", "parameters": {"type": "object"}, "strict": False}
        self.refused(ask(input=[{"type": "function_call_output", "call_id": "call_1", "output": "noon"}]), "call_1")
        answer = ask(tools=[clock], tool_choice={"type": "function", "name": "tide"})
        self.refused(answer, "tide")
        self.assertEqual(answer.error["param"], "tool_choice.name")

    def test_gemini(self):
        def ask(contents, **members):
            return self.stage.call("POST", "/v1beta/models/up/m:generateContent", {"contents": contents, **members},
                                   None, {"x-goog-api-key": self.stage.key})
        hello = {"role": "user", "parts": [{"text": "Hello?"}]}

        def noon(**members):
            return {"role": "user", "parts": [{"functionResponse": {"response": {"output": "noon"}, **members}}]}
        call = {"role": "model", "parts": [{"functionCall": {"id": "fc_1", "name": "clock", "args": {}}}]}
        self.refused(ask([hello, call, noon(id="fc_2", name="clock")]), "contents[2].parts[0].functionResponse.id")
        self.refused(ask([hello, noon(name="clock")]), "contents[1].parts[0].functionResponse")
        self.refused(ask([hello], tools=[{"functionDeclarations": [{"name": "clock"}]}], toolConfig={
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["clock", "tide"]}}),
            "allowedFunctionNames[1]")
        said = ask([hello, call, noon(id="fc_1", name="clock"), call, noon(id="fc_1", name="clock")])
        self.assertEqual(said.status, 200, said.text)
        self.stage.upstream.requests.clear()


if __name__ == "__main__":
    unittest.main()
