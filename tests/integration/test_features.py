"""Features: the six of config/examples/features.json, each in front of scripted vendors. Who is asked, who takes over
after which fault, what a key may reach, and how a request names one."""

import json
import os
import re
import subprocess
import unittest
import uuid

from stage import Stage, client  # first: it says where the others are
from admin import Admin
from gateway import ROOT, Gateway, find_binary, wait_for
from upstream import ANSWER, Upstream, chat, error_body, good

EXAMPLE = ROOT / "config" / "examples" / "features.json"
TOOLS = [{"type": "function", "function": {"name": "run", "parameters": {"type": "object"}}}]
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
KEYS = {name: f"sy-{name.lower().replace('_', '-')}-0123456789abcdefghijklmnopqrst"
        for name in ("WEBSITE_KEY", "DEVELOPERS_KEY", "APP_CN_KEY", "NIGHTLY_KEY")}


def read_example():
    text = re.sub(r"^\s*//.*$", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    return json.loads(re.sub(r",(\s*[\]}])", r"\1", text))


def environment():
    names = re.findall(r"\$\{(\w+)\}", EXAMPLE.read_text())
    return {name: KEYS.get(name, "sk-of-a-vendor") for name in names}


def says(text):
    """A vendor of OpenAI's kind, or Anthropic, that answers with a text of its own."""
    def script(exchange):
        if exchange.request.target.endswith("/messages"):
            return exchange.answer(body={
                "id": "msg_1", "type": "message", "role": "assistant",
                "model": exchange.request.model, "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 2}})
        if exchange.request.target.endswith("/rerank"):
            return exchange.answer(body={"model": exchange.request.model, "results": [
                {"index": 0, "relevance_score": 0.9}], "usage": {"total_tokens": 5}})
        if exchange.request.target.endswith("/images/generations"):
            return exchange.answer(body={"created": 1, "data": [{"b64_json": "AAAA"}]})
        if exchange.request.target.endswith("/embeddings"):
            return good(exchange)
        return exchange.answer(body=chat(content=text))
    return script


def fails(status, code, kind="server_error"):
    return lambda exchange: exchange.answer(status, error_body("No.", kind, code))


TOO_LONG = fails(400, "context_length_exceeded", "invalid_request_error")
FILTERED = fails(400, "content_policy_violation", "invalid_request_error")
OVERLOADED = fails(503, "server_is_overloaded", "service_unavailable_error")
SLOW_DOWN = fails(429, "rate_limit_exceeded", "rate_limit_error")
BROKEN = fails(500, None)


def anthropic_overloaded(exchange):
    return exchange.answer(529, {"type": "error", "error": {"type": "overloaded_error",
                                                            "message": "Overloaded"}})


class Features(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        config = read_example()
        cls.vendors = {name: Upstream() for name in config["providers"]}
        for name, vendor in cls.vendors.items():
            cls.addClassCleanup(vendor.close)
            config["providers"][name]["base_url"] = vendor.url
        config["providers"]["anthropic"]["plugin"] = "anthropic"
        cls.gateway = Gateway(config, env=environment())
        cls.addClassCleanup(cls.gateway.__exit__, None, None, None)

    def setUp(self):
        for name, vendor in self.vendors.items():
            vendor._scripts.clear()
            vendor.clear()
            for each in self.models_of(name):
                vendor.add(each, says(ANSWER))

    def models_of(self, vendor):
        return set(re.findall(rf'"{vendor}/([\w.-]+)"', EXAMPLE.read_text()))

    def script(self, target, how):
        vendor, _, model = target.partition("/")
        self.vendors[vendor].add(model, how)

    def call(self, path, body, key="DEVELOPERS_KEY", headers=None):
        named = {"X-Request-Id": f"test-{uuid.uuid4().hex}", **(headers or {})}
        return client.call(self.gateway.url, "POST", path, body, KEYS[key], named)

    def chat(self, model="feature/support", key="DEVELOPERS_KEY", headers=None, **members):
        body = {"messages": client.MESSAGES, **members}
        if model is not None:
            body["model"] = model
        return self.call("/v1/chat/completions", body, key, headers)

    def record(self, answer):
        wanted = answer.header("x-request-id")
        def find():
            found = [each for each in self.gateway.records()
                     if each["switchyard.request_id"] == wanted]
            return found[0] if found else None
        return wait_for(find, what=f"the record of {wanted}")

    def check(self, answer, feature, served, path=None):
        """Answered, by `served` or one of these, for the feature."""
        self.assertEqual(answer.status, 200, answer.body)
        served = [served] if isinstance(served, str) else served
        self.assertIn(answer.header("x-switchyard-model"), served)
        self.assertEqual(answer.header("x-switchyard-feature"), feature)
        record = self.record(answer)
        self.assertEqual(record["switchyard.feature"], feature)
        self.assertIn(f"{record['switchyard.provider']}/{record['gen_ai.response.model']}", served)
        if path is not None:
            self.assertEqual(record["switchyard.fallback_path"], path)
        return record

    def asked(self):
        """The targets that were asked, in no order."""
        return sorted(f"{name}/{request.model}" for name, vendor in self.vendors.items()
                      for request in vendor.requests)

    # -- support

    def test_support_is_served_by_one_of_its_candidates(self):
        served = ["openai/gpt-6-luna", "anthropic/claude-haiku-4-5"]
        self.check(self.chat(), "support", served)
        self.assertEqual(len(self.asked()), 1)

    def test_support_goes_over_to_chinese_models_when_its_vendors_are_full(self):
        self.script("openai/gpt-6-luna", OVERLOADED)
        self.script("anthropic/claude-haiku-4-5", anthropic_overloaded)
        record = self.check(self.chat(), "support", "qwen/qwen3.7-plus")
        self.assertRegex(record["switchyard.fallback_path"],
                         r"^(\S+:overloaded > ){2}qwen/qwen3.7-plus:ok$")

    def test_support_gives_what_is_too_long_to_a_model_with_a_longer_context(self):
        self.script("openai/gpt-6-luna", TOO_LONG)
        self.script("anthropic/claude-haiku-4-5", lambda exchange: exchange.answer(400, {
            "type": "error", "error": {"type": "invalid_request_error",
                                       "message": "prompt is too long: 210000 tokens > 200000 maximum"}}))
        record = self.check(self.chat(), "support", "openai/gpt-6.1-terra")
        self.assertRegex(record["switchyard.fallback_path"],
                         r"^\S+:too_long > openai/gpt-6.1-terra:ok$")

    # -- coding

    def test_coding_asks_the_best_first(self):
        self.check(self.chat("feature/coding", tools=TOOLS), "coding",
                   "anthropic/claude-opus-4-5")

    def test_coding_leaves_out_what_is_too_small_before_anybody_is_asked(self):
        long = [{"role": "user", "content": "word " * 220_000}]
        answer = self.chat("feature/coding", messages=long)
        record = self.check(answer, "coding", "openai/gpt-6.1-sol")
        self.assertEqual(self.asked(), ["openai/gpt-6.1-sol"])

    def test_a_picture_is_long_in_bytes_and_not_in_tokens(self):
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_200_000}}
        answer = self.chat("feature/coding", messages=[{"role": "user", "content": [picture]}])
        self.check(answer, "coding", "anthropic/claude-opus-4-5")

    def test_coding_falls_back_by_fault(self):
        self.script("anthropic/claude-opus-4-5", anthropic_overloaded)
        best = "anthropic/claude-opus-4-5:overloaded > openai/gpt-6.1-sol:"
        for how, fault, served in ((TOO_LONG, "too_long", "openai/gpt-6.1-terra"),
                                   (FILTERED, "filtered", "deepseek/deepseek-v4-pro"),
                                   (OVERLOADED, "overloaded", "glm/glm-5.3"),
                                   (BROKEN, "server", "glm/glm-5.3")):
            with self.subTest(fault):
                self.script("openai/gpt-6.1-sol", how)
                self.check(self.chat("feature/coding"), "coding", served,
                           f"{best}{fault} > {served}:ok")

    def test_a_request_that_is_wrong_is_wrong_everywhere(self):
        self.script("anthropic/claude-opus-4-5", lambda exchange: exchange.answer(400, {
            "type": "error", "error": {"type": "invalid_request_error", "message": "No such role."}}))
        answer = self.chat("feature/coding")
        self.assertEqual(answer.status, 400)
        self.assertEqual(self.asked(), ["anthropic/claude-opus-4-5"])

    # -- search

    def test_search_is_embeddings_and_rerank(self):
        answer = self.call("/v1/embeddings", {"model": "feature/search", "input": "cats"})
        self.check(answer, "search", "jina/jina-embeddings-v5-text-small")
        answer = self.call("/v1/rerank", {"model": "feature/search", "query": "cats",
                                          "documents": ["a cat", "a dog"]})
        self.check(answer, "search", "jina/jina-reranker-v3.5")

    # -- images

    def test_images_are_made_and_understood(self):
        make = {"model": "feature/images", "prompt": "A cat."}
        answer = self.call("/v1/images/generations", make)
        self.check(answer, "images", "openai/gpt-image-2")
        looked = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, PICTURE]}]
        self.check(self.chat("feature/images", messages=looked), "images", "openai/gpt-6-luna")

    def test_a_prompt_that_one_filter_refuses_is_tried_elsewhere(self):
        self.script("openai/gpt-image-2", FILTERED)
        self.script("openai/gpt-6-luna", FILTERED)
        answer = self.call("/v1/images/generations", {"model": "feature/images", "prompt": "A cat."})
        self.check(answer, "images", "doubao/doubao-seedream-5-0-260128",
                   "openai/gpt-image-2:filtered > doubao/doubao-seedream-5-0-260128:ok")
        looked = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, PICTURE]}]
        self.check(self.chat("feature/images", messages=looked), "images", "qwen/qwen3.7-plus",
                   "openai/gpt-6-luna:filtered > qwen/qwen3.7-plus:ok")

    # -- china

    def test_users_in_china_have_models_in_china(self):
        prompt = [{"role": "user", "content": "请用中文回答：今天天气怎么样？"}]
        self.check(self.chat(None, "APP_CN_KEY", messages=prompt), "china", "qwen/qwen3.7-plus")
        self.script("qwen/qwen3.7-plus", FILTERED)
        self.check(self.chat("auto", "APP_CN_KEY", messages=prompt), "china", "qwen/qwen3.7-max",
                   "qwen/qwen3.7-plus:filtered > qwen/qwen3.7-max:ok")
        self.script("qwen/qwen3.7-plus", SLOW_DOWN)
        self.check(self.chat("auto", "APP_CN_KEY", messages=prompt), "china", "glm/glm-5.3-flash")

    def test_a_model_that_lacks_something_is_left_out(self):
        looked = [{"role": "user", "content": [{"type": "text", "text": "这是什么？"}, PICTURE]}]
        self.script("qwen/qwen3.7-plus", BROKEN)
        self.script("glm/glm-5.3-flash", BROKEN)
        answer = self.chat("feature/china", messages=looked)
        self.assertEqual(answer.status, 502)
        self.assertNotIn("deepseek/deepseek-flash", self.asked())

    def test_data_of_a_bound_key_stays_in_its_region(self):
        for model in ("feature/support", "openai/gpt-6-luna"):
            with self.subTest(model):
                answer = self.chat(model, "APP_CN_KEY")
                self.assertEqual((answer.status, answer.error["code"]), (400, "no_candidate_left"))
                self.assertIn("openai/gpt-6-luna is in us, where the key may not go",
                              answer.error["message"])
        self.assertEqual(self.asked(), [])
        # What is meant for other faults is open to it, where that fault comes.
        self.check(self.chat("feature/background", "APP_CN_KEY"), "background", "glm/glm-5.3-flash")

    # -- background

    def test_background_is_cheapest(self):
        self.check(self.chat("feature/background"), "background", "glm/glm-5.3-flash")
        self.script("glm/glm-5.3-flash", OVERLOADED)
        self.check(self.chat("feature/background"), "background", "openai/gpt-5.4-nano")

    def test_a_denied_provider_is_never_asked(self):
        self.script("glm/glm-5.3-flash", BROKEN)
        answer = self.chat("auto", "NIGHTLY_KEY")
        self.assertEqual(answer.status, 502)
        self.assertEqual(set(self.asked()), {"glm/glm-5.3-flash"})
        answer = self.chat("openai/gpt-5.4-mini", "NIGHTLY_KEY")
        self.assertEqual((answer.status, answer.error["code"]), (400, "no_candidate_left"))
        self.assertIn("openai/gpt-5.4-mini is a provider that the key may not use",
                      answer.error["message"])

    # -- how a feature is named

    def test_the_header_goes_before_the_body_and_the_body_before_the_key(self):
        coding = {"X-Switchyard-Feature": "coding"}
        for model in ("auto", "gpt-4o", "feature/search", None):
            with self.subTest(model):
                self.check(self.chat(model, headers=coding), "coding", "anthropic/claude-opus-4-5")
        served = ["openai/gpt-6-luna", "anthropic/claude-haiku-4-5"]
        self.check(self.chat("auto", "WEBSITE_KEY"), "support", served)
        self.check(self.chat(None, "WEBSITE_KEY"), "support", served)
        self.check(self.chat("feature/china", "DEVELOPERS_KEY"), "china", "qwen/qwen3.7-plus")

    def test_without_any_name_the_model_is_missing(self):
        answer = self.chat(None)
        self.assertEqual((answer.status, answer.error["param"]), (400, "model"))

    def test_every_dialect_names_features_alike(self):
        says_hello = [{"role": "user", "content": "Hello?"}]
        gemini = {"contents": [{"role": "user", "parts": [{"text": "Hello?"}]}]}
        for path, body, name in (
                ("/v1/messages", {"max_tokens": 9, "messages": says_hello}, "body"),
                ("/v1/responses", {"input": "Hello?", "store": False}, "body"),
                ("/v1beta/models/feature%2Fcoding:generateContent", gemini, "path"),
                ("/v1/messages", {"max_tokens": 9, "messages": says_hello}, "header"),
                ("/v1/responses", {"input": "Hello?", "store": False}, "header")):
            with self.subTest(path, name=name):
                if name != "path":
                    body = {**body, "model": "feature/coding" if name == "body" else "auto"}
                header = {"X-Switchyard-Feature": "coding"} if name == "header" else {}
                self.check(self.call(path, body, headers=header), "coding",
                           "anthropic/claude-opus-4-5")

    def test_a_slip_finds_the_near_names(self):
        answer = self.chat("feature/codng")
        self.assertEqual((answer.status, answer.error["code"]), (404, "model_not_found"))
        self.assertIn("feature 'codng'", answer.error["message"])
        self.assertIn("Did you mean 'feature/coding'", answer.error["message"])
        answer = self.chat("gpt-4o", headers={"X-Switchyard-Feature": "nothing-like-it"})
        self.assertEqual(answer.status, 404)
        self.assertEqual(self.asked(), [])

    def test_a_key_uses_its_features_alone(self):
        for headers, model in (({}, "feature/coding"), ({"X-Switchyard-Feature": "coding"}, "auto")):
            answer = self.chat(model, "WEBSITE_KEY", headers)
            self.assertEqual((answer.status, answer.error["code"]), (403, "feature_not_allowed"))
        self.assertEqual(self.asked(), [])

    def test_the_list_of_models_has_the_features_that_the_key_may_use(self):
        def features(key):
            answer = client.call(self.gateway.url, "GET", "/v1/models", key=KEYS[key])
            names = [each["id"] for each in answer.json()["data"]]
            return [name for name in names if name.startswith("feature/")]
        self.assertEqual(features("WEBSITE_KEY"),
                         ["feature/images", "feature/search", "feature/support"])
        self.assertEqual(len(features("DEVELOPERS_KEY")), 6)

    def test_a_dry_run_leaves_out_the_same(self):
        request = {"messages": [{"role": "user", "content": [PICTURE]}]}
        told = Admin(self.gateway).post("/routes/explain", {"model": "feature/china",
                                                            "request": request}).json()
        self.assertEqual([f"{each['provider']}/{each['model']}" for each in told["targets"]],
                         ["qwen/qwen3.7-plus", "glm/glm-5.3-flash"])
        self.assertEqual(told["plan"]["left_out"], [
            {"provider": "deepseek", "model": "deepseek-flash", "reason": "lacks vision"},
            {"provider": "qwen", "model": "qwen3.7-max", "reason": "lacks vision"}])
        told = Admin(self.gateway).post("/routes/explain", {"model": "feature/images",
                                                            "task": "images.generations"}).json()
        self.assertEqual(told["targets"][-1], {"provider": "doubao", "on": "rate_limit, overloaded, filtered",
                                               "model": "doubao-seedream-5-0-260128"})

    def test_what_could_not_serve_is_said_in_the_callers_dialect(self):
        body = {"model": "deepseek/deepseek-flash", "max_tokens": 9, "messages": [
            {"role": "user", "content": [{"type": "image", "source": {
                "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}]}]}
        answer = self.call("/v1/messages", body)
        self.assertEqual(answer.status, 400)
        said = answer.json()
        self.assertEqual((said["type"], said["error"]["type"]), ("error", "invalid_request_error"))
        self.assertIn("deepseek/deepseek-flash lacks vision", said["error"]["message"])
        self.assertEqual(self.asked(), [])


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(
            models={"moved": {"candidates": ["up/cut-before-content"],
                              "fallback": [{"on": ["server"], "to": "up/m"}]}},
            features={"plain": {"candidates": ["up/m"]}})
        cls.addClassCleanup(cls.stage.close)

    def test_an_answer_says_which_model_it_is_of(self):
        for stream in (False, True):
            answer = self.stage.chat("feature/plain", stream)
            self.assertEqual(answer.header("x-switchyard-model"), "up/m")
            self.assertEqual(answer.header("x-switchyard-feature"), "plain")
        answer = self.stage.chat("alias")
        self.assertEqual(answer.header("x-switchyard-model"), "up/m")
        self.assertIsNone(answer.header("x-switchyard-feature"))

    def test_it_is_the_model_that_answered_in_the_end(self):
        answer = self.stage.chat("moved", True)
        self.assertEqual(client.text_of(answer.events()), ANSWER)
        self.assertEqual(answer.header("x-switchyard-model"), "up/m")

    def test_nobody_answered_an_error(self):
        answer = self.stage.chat("up/status-400")
        self.assertEqual(answer.status, 400)
        self.assertIsNone(answer.header("x-switchyard-model"))

    def test_a_made_up_name_is_no_header_of_its_own(self):
        answer = self.stage.chat("up/a\r\nset-cookie: b\u00e4")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertIsNone(answer.header("set-cookie"))
        self.assertEqual(answer.header("x-switchyard-model"), "up/a??set-cookie:?b??")


class Check(unittest.TestCase):
    def test_the_example_is_checked_and_described(self):
        done = subprocess.run([find_binary(), "check", "--config", str(EXAMPLE)], text=True,
                              capture_output=True, env={**os.environ, **environment()})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for line in (r"feature/coding\s+-> anthropic/claude-opus-4-5 .*by priority",
                     r"on\s+filtered -> deepseek/deepseek-v4-pro",
                     r"limits\s+600 requests a minute, 100 at a time",
                     r"app-cn\s+any model, else feature china, in cn"):
            self.assertRegex(done.stdout, line)


if __name__ == "__main__":
    unittest.main()
