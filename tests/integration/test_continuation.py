"""A stream that is cut behind its first content, and gone on with by another model where the operator wants that."""

import json
import re
import sqlite3
import threading
import unittest
from decimal import Decimal

from stage import TIMEOUTS, Stage, live, provider, wait_for  # first: it says where the others are
from admin import Admin
import client
from upstream import Upstream, chunk_of, error_body, usage_chunk

BREAKER = {"enabled": False}
CUT = "up/cut-between-events"  # says "Hello from" and is gone
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
REST = [" the", " upstream", "."]
USAGE = {"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24}


def chunk(delta, finish=None, **more):
    return {**chunk_of(delta, finish, model="other"), "id": "chatcmpl-other", "created": 7, **more}


def goes_on(exchange, words=REST, ends=True):
    """What a model says that is given the begin: its own role, name and usage, and the rest of the text."""
    exchange.start_stream()
    exchange.event(chunk({"role": "assistant", "content": ""}))
    for word in words:
        exchange.event(chunk({"content": word}))
    if not ends:
        return False
    exchange.event(chunk({}, "stop"))
    exchange.event({**usage_chunk(USAGE), "id": "chatcmpl-other"})
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


def claude_goes_on(exchange):
    exchange.start_stream()
    events = [{"type": "message_start", "message": {"id": "msg_2", "type": "message", "role": "assistant", "content": [],
                                                    "model": "c", "usage": {"input_tokens": 21, "output_tokens": 1}}},
              {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
              *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in REST),
              {"type": "content_block_stop", "index": 0},
              {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
              {"type": "message_stop"}]
    for event in events:
        exchange.chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")
    exchange.last_chunk()
    return True


class Continuation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.other = Upstream()
        cls.addClassCleanup(cls.other.close)
        cls.other.add("rest", goes_on)
        cls.other.add("cut-too", lambda exchange: goes_on(exchange, REST[:1], ends=False))
        cls.other.add("kimi-rest", goes_on)
        cls.other.add("claude-sonnet-4-5", claude_goes_on)
        quick = {**TIMEOUTS, "total": "30s"}
        own = lambda dialect: {**provider(cls.other.url), "dialect": dialect, "timeouts": quick, "breaker": BREAKER}
        claude = {**own("openai"), "plugin": "anthropic", "base_url": cls.other.url}
        del claude["dialect"]
        models = {name: {"candidates": candidates, "continue": True} for name, candidates in {
            "on": [CUT, "local/rest"], "stall": ["up/stall-mid-stream", "local/rest"],
            "garbage": ["up/garbage-mid-stream", "local/rest"], "error": ["up/error-mid-stream", "local/rest"],
            "deepseek": [CUT, "deep/rest"], "kimi": [CUT, "kimi/kimi-rest"], "qwen": [CUT, "ali/rest"],
            "claude": [CUT, "claude/claude-sonnet-4-5"], "claude-new": [CUT, "claude/claude-opus-5-5"],
            "incapable": [CUT, "up/good"], "skips": [CUT, "up/good", "local/rest"],
            "mistral": [CUT, "mistral/rest"],
            "refused": [CUT, "local/status-500", "deep/rest"], "both": [CUT, "local/cut-too", "deep/rest"],
            "finished": ["up/finished", "local/rest"], "thinks": ["up/thinks", "local/rest"],
            "calls": ["up/calls", "local/rest"], "spaced": ["up/spaced", "claude/claude-sonnet-4-5"],
            "long": ["up/long", "local/rest"], "escaped": ["up/escaped", "local/rest"],
            "hangs": [CUT, "local/hangs"], "late": ["up/preamble", CUT, "local/rest"], "own": ["claude/native-cut", "local/rest"],
        }.items()}
        models["hedged"] = {"candidates": ["up/slow", CUT, "local/rest"], "continue": True,
                            "hedge": {"percent": 100, "after_min": "50ms"}}
        models["hedged-late"] = {**models["hedged"], "candidates": ["up/slow", "up/hangs-late", "local/rest"]}
        models["alone"] = {"candidates": [CUT, "local/status-500"], "continue": True}
        models["no"] = {"candidates": [CUT, "local/rest"]}
        cls.stage = Stage(providers={"local": own("vllm"), "deep": own("deepseek"), "kimi": own("moonshot"),
                                     "ali": own("qwen"), "mistral": own("mistral"), "claude": claude},
                          up={"breaker": BREAKER, "timeouts": {**quick, "between_bytes": "1s"}}, models=models)
        cls.addClassCleanup(cls.stage.close)
        cls.admin = Admin(cls.stage.gateway)

    def setUp(self):
        self.stage.upstream.clear()
        self.other.clear()

    def ask(self, model="on", **members):
        answer = self.stage.chat(model, stream=True, **members)
        self.assertEqual((answer.status, answer.clean), (200, True), answer.text)
        return answer

    def is_whole(self, answer):
        """One stream, as if the first model had said it all."""
        events = answer.events()
        self.assertEqual(events[-1], "[DONE]")
        chunks = [json.loads(event) for event in events[:-1]]
        self.assertEqual(client.text_of(events), "Hello from the upstream.")
        self.assertEqual({(each["id"], each["created"], each["model"]) for each in chunks},
                         {("chatcmpl-1", 1795132800, "m")})
        self.assertEqual(sum("role" in choice["delta"] for each in chunks for choice in each["choices"]), 1)
        self.assertEqual([choice["finish_reason"] for each in chunks for choice in each["choices"]
                          if choice["finish_reason"]], ["stop"])
        return chunks

    def is_cut(self, answer, code="upstream_closed", text="Hello from"):
        events = answer.events()
        self.assertEqual(client.text_of(events[:-1]), text)
        self.assertNotIn("[DONE]", events)
        self.assertEqual(json.loads(events[-1])["error"]["code"], code)
        self.assertEqual(self.other.requests, [])

    def test_another_model_says_the_rest(self):
        answer = self.ask()
        self.is_whole(answer)
        sent = self.other.requests[0].json()
        self.assertEqual(sent["messages"], [*client.MESSAGES, {"role": "assistant", "content": "Hello from"}])
        self.assertEqual((sent["continue_final_message"], sent["add_generation_prompt"]), (True, False))
        record = self.stage.record(answer)
        self.assertEqual(record("status", "final_status", "fallback_path", "attempts", "provider", "model_used", "finish"),
                         (200, "ok", "up/cut-between-events:server > local/rest:ok", 2, "local", "rest", "stop"))
        self.assertEqual(record.line["switchyard.facts"], {"switchyard.continued_from": "up/cut-between-events",
                                                           "switchyard.continued_at": "10"})
        self.assertEqual(answer.header("x-switchyard-model"), CUT)
        kept = wait_for(lambda: self.admin.get("/records/" + answer.header("x-request-id")).json().get("facts"),
                        what="the kept record")
        self.assertEqual(kept["switchyard.continued_from"], "up/cut-between-events")

    def test_nothing_goes_on_where_nobody_asked_for_it(self):
        self.is_cut(self.ask("no"))

    def test_each_way_of_being_cut(self):
        for model in ("stall", "garbage", "error"):
            with self.subTest(model):
                self.is_whole(self.ask(model))

    def test_usage_is_that_of_both(self):
        chunks = self.is_whole(self.ask(stream_options={"include_usage": True}))
        usages = [each["usage"] for each in chunks if each.get("usage")]
        self.assertEqual(len(usages), 1)
        # Of the first one two pieces came, and its prompt is estimated.
        self.assertEqual(usages[0]["completion_tokens"], 2 + 3)
        self.assertGreater(usages[0]["prompt_tokens"], 21)
        self.assertTrue(all("usage" not in each or not each["usage"] for each in map(
            json.loads, self.ask().events()[:-1])))

    def test_each_dialect_says_it_in_its_own_way(self):
        self.is_whole(self.ask("deepseek", reasoning_effort="high"))
        request = self.other.requests[-1]
        sent = request.json()
        self.assertEqual((request.target, sent["messages"][-1], sent["thinking"]),
                         ("/v1/beta/chat/completions",
                          {"role": "assistant", "content": "Hello from", "prefix": True}, {"type": "disabled"}))
        self.assertNotIn("continue_final_message", sent)
        self.assertNotIn("reasoning_effort", sent)
        for model in ("kimi", "qwen"):
            self.is_whole(self.ask(model))
            sent = self.other.requests[-1].json()
            self.assertEqual(sent["messages"][-1], {"role": "assistant", "content": "Hello from", "partial": True})
            self.assertNotIn("continue_final_message", sent)
        self.is_whole(self.ask("claude"))
        sent = self.other.requests[-1].json()
        self.assertEqual(sent["messages"][-1], {"role": "assistant", "content": [{"type": "text", "text": "Hello from"}]})

    def test_who_can_not_go_on_is_not_asked(self):
        for model in ("incapable", "mistral", "claude-new"):
            with self.subTest(model):
                self.is_cut(self.ask(model))
        self.assertEqual([request.model for request in self.stage.upstream.requests], ["cut-between-events"] * 3)
        self.is_whole(self.ask("skips"))

    def test_an_answer_that_is_more_than_text_is_not_gone_on_with(self):
        def says(*deltas, finish=None):
            def script(exchange):
                exchange.start_stream()
                exchange.event(chunk_of({"role": "assistant", "content": ""}))
                for delta in deltas:
                    exchange.event(chunk_of(delta))
                if finish:
                    exchange.event(chunk_of({}, finish))
                    exchange.event("{broken")
                return False
            return script
        call = {"index": 0, "id": "c", "type": "function", "function": {"name": "w", "arguments": "{"}}
        up = self.stage.upstream
        up.add("finished", says({"content": "Hello from"}, finish="length"))
        up.add("thinks", says({"reasoning_content": "Hm."}, {"content": "Hello from"}))
        up.add("calls", says({"content": "Hello from"}, {"tool_calls": [call]}))
        up.add("long", says({"content": "Hello from"}, *({"content": "x" * 10_000} for _ in range(30))))
        for model in ("finished", "thinks", "calls", "long"):
            with self.subTest(model):
                answer = self.ask(model)
                self.assertNotIn("[DONE]", answer.events())
                self.assertEqual(self.other.requests, [])
        # Anthropic refuses a begin that ends in white space, and nobody may say another one than was said.
        up.add("spaced", says({"content": "Hello from "}))
        self.is_cut(self.ask("spaced"), text="Hello from ")

    def test_a_request_for_more_than_text_is_not_gone_on_with(self):
        schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
        for members in ({"tools": [TOOL]}, {"response_format": schema}, {"logprobs": True}, {"n": 2},
                        {"response_format": {"type": "json_object"}},
                        {"messages": [*client.MESSAGES, {"role": "assistant", "content": "So:"}]}):
            with self.subTest(members):
                events = self.ask(**members).events()
                self.assertNotIn("[DONE]", events)
                self.assertEqual(self.other.requests, [])
        self.is_whole(self.ask(response_format={"type": "text"}, tools=[], logprobs=False))

    def test_what_was_said_counts_to_the_limit(self):
        self.is_whole(self.ask(max_tokens=50))
        self.assertEqual(self.other.requests[-1].json()["max_tokens"], 48)
        self.is_whole(self.ask(max_tokens=2))
        self.assertEqual(self.other.requests[-1].json()["max_tokens"], 1)

    def test_text_arrives_as_it_was_said(self):
        text = 'A "quote", a \\, \n a pair \U0001f600 and \u00e9'

        def escaped(exchange):
            exchange.start_stream()
            for delta in ('"A \\"quote\\", a \\\\, \\n a pair \\ud83d"', '"\\ude00 and \u00e9"'):
                exchange.chunk('data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795132800,"model":"m",'
                               '"choices":[{"index":0,"delta":{"content":' + delta + '}}]}\n\n')
            return False
        self.stage.upstream.add("escaped", escaped)
        answer = self.ask("escaped")
        self.assertEqual(answer.events()[-1], "[DONE]", answer.text)
        self.assertEqual(self.other.requests[-1].json()["messages"][-1]["content"], text)
        self.assertEqual(self.stage.record(answer).line["switchyard.facts"]["switchyard.continued_at"], str(len(text.encode())))

    def test_one_that_refuses_leaves_it_to_the_next(self):
        answer = self.ask("refused")
        self.is_whole(answer)
        self.assertEqual(self.stage.record(answer)["fallback_path"],
                         "up/cut-between-events:server > local/status-500:server > deep/rest:ok")

    def test_what_failed_unseen_is_no_part_of_it(self):
        def preamble(exchange):
            exchange.start_stream()
            exchange.event({**chunk_of({"role": "assistant", "reasoning_content": ""}), "id": "never-seen", "model": "none"})
            exchange.event({**chunk_of({"tool_calls": []}), "id": "never-seen"})
            return False
        self.stage.upstream.add("preamble", preamble)
        answer = self.ask("late")
        self.is_whole(answer)
        self.assertEqual(self.stage.record(answer)["attempts"], 3)

    def test_a_hedge_that_won_and_is_cut_is_gone_on_with(self):
        slow = threading.Event()

        def first(exchange):
            exchange.start_stream()
            exchange.event({**chunk_of({"role": "assistant", "content": ""}), "id": "outrun"})
            if slow.is_set():
                exchange.wait()
            for event in (chunk_of({"content": "quick"}), chunk_of({}, "stop"), "[DONE]"):
                exchange.event(event)
            exchange.last_chunk()
            return True
        self.stage.upstream.add("slow", first)
        for _ in range(20):
            self.ask("hedged")
        slow.set()
        answer = self.ask("hedged")
        self.is_whole(answer)
        self.assertEqual(self.stage.record(answer)["fallback_path"],
                         "up/slow:outrun > up/cut-between-events:server > local/rest:ok")

    def test_a_second_cut_is_the_end(self):
        answer = self.ask("both")
        events = answer.events()
        self.assertEqual(client.text_of(events[:-1]), "Hello from the")
        self.assertEqual(json.loads(events[-1])["error"]["code"], "upstream_closed")
        record = self.stage.record(answer)
        self.assertEqual(record("final_status", "fallback_path", "error_code"),
                         ("upstream_error", "up/cut-between-events:server > local/cut-too:server", "upstream_closed"))
        self.assertEqual(record.line["switchyard.facts"]["switchyard.continued_from"], "up/cut-between-events")

    def test_a_client_that_leaves_ends_the_rest(self):
        gate = threading.Event()

        def hangs(exchange):
            exchange.start_stream()
            exchange.event(chunk({"content": " the"}))
            gate.set()
            exchange.wait()
        self.other.add("hangs", hangs)
        connection, _ = live(self.stage, "hangs")
        self.assertTrue(gate.wait(10))
        connection.close()
        self.assertTrue(self.other.requests[0].left.wait(10))

    def test_what_became_of_those_that_were_cut_is_counted(self):
        outcomes = ("completed", "cut", "client_left", "nobody")

        def counted():
            text = client.call(self.stage.gateway.admin_url, "GET", "/metrics", key=self.admin.owner).text
            found = dict(re.findall(r'switchyard_continuations_total\{outcome="(\w+)"\} (\d+)', text))
            return [int(found[each]) for each in outcomes]

        def has_left(exchange):
            exchange.start_stream()
            exchange.event(chunk({"content": " the"}))
            exchange.wait()
        before = counted()
        self.ask("on")
        self.ask("both")
        self.ask("alone")  # the only one that could go on refuses
        self.other.add("hangs", has_left)
        connection, answer = live(self.stage, "hangs")
        came = b""
        for part in answer.parts():
            came += part
            if b'" the"' in came:
                break
        connection.close()
        self.ask("incapable")  # nobody could be asked
        wait_for(lambda: [now - then for now, then in zip(counted(), before)] == [1, 1, 1, 2], what="the counts")

    def test_a_hedge_that_won_has_the_time_of_its_request(self):
        slow = threading.Event()

        def first(exchange):
            if slow.is_set():
                return exchange.wait()
            exchange.start_stream()
            for event in (chunk_of({"content": "quick"}), chunk_of({}, "stop"), "[DONE]"):
                exchange.event(event)
            exchange.last_chunk()
            return True

        def hangs(exchange):
            exchange.start_stream()
            exchange.event(chunk_of({"content": "Hello from"}))
            exchange.wait()
        self.stage.upstream.add("slow", first)
        self.stage.upstream.add("hangs-late", hangs)
        for _ in range(20):
            self.ask("hedged-late")
        slow.set()
        # The time is over for both attempts at once: nobody is asked to go on for what is left of a millisecond.
        for _ in range(8):
            answer = self.stage.chat("hedged-late", stream=True, headers={"x-switchyard-timeout": "400"})
            self.is_cut(answer, "upstream_timeout")
            self.assertEqual(self.stage.record(answer)["fallback_path"], "up/slow:outrun > up/hangs-late:timeout")

    # -- other dialects

    def test_messages(self):
        body = {"model": "on", "max_tokens": 50, "stream": True, "messages": client.MESSAGES}
        answer = self.stage.call("POST", "/v1/messages", body, headers={"anthropic-version": "2023-06-01"})
        events = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]
        kinds = [event["type"] for event in events]
        self.assertEqual((kinds.count("message_start"), kinds.count("content_block_start"), kinds.count("message_delta"),
                          kinds[-1]), (1, 1, 1, "message_stop"), answer.text)
        self.assertEqual("".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta"),
                         "Hello from the upstream.")
        self.assertEqual(events[-2]["usage"]["output_tokens"], 5)

    def test_responses(self):
        key = self.admin.post("/keys", {"name": "k", "stores_bodies": True}).json()["key"]
        answer = self.stage.call("POST", "/v1/responses", {"model": "on", "stream": True, "input": "Hello?"}, key)
        events = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]
        self.assertEqual(events[-1]["type"], "response.completed", answer.text)
        response = events[-1]["response"]
        self.assertEqual([part["text"] for item in response["output"] for part in item["content"]],
                         ["Hello from the upstream."])
        self.assertEqual(response["usage"]["output_tokens"], 5)
        # What is stored is the whole of it.
        kept = self.stage.call("GET", "/v1/responses/" + response["id"], None, key)
        self.assertEqual(kept.json()["output"], response["output"], kept.text)

    def test_gemini(self):
        body = {"contents": [{"role": "user", "parts": [{"text": "Hello?"}]}]}
        answer = self.stage.call("POST", "/v1beta/models/on:streamGenerateContent?alt=sse", body, None,
                                 {"x-goog-api-key": self.stage.key})
        events = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]
        self.assertEqual("".join(part.get("text", "") for event in events for candidate in event.get("candidates", [])
                                 for part in candidate.get("content", {}).get("parts", [])), "Hello from the upstream.")
        self.assertEqual(events[-1]["usageMetadata"]["candidatesTokenCount"], 5)

    def test_what_passes_natively_is_not_gone_on_with(self):
        def native_cut(exchange):
            exchange.start_stream()
            for event in ({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
                                                                "content": [], "model": "c", "usage": {"input_tokens": 1}}},
                          {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                          {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Half"}}):
                exchange.chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")
            return False
        self.other.add("native-cut", native_cut)
        body = {"model": "own", "max_tokens": 50, "stream": True, "messages": client.MESSAGES}
        answer = self.stage.call("POST", "/v1/messages", body, headers={"anthropic-version": "2023-06-01"})
        self.assertIn("event: error", answer.text)
        self.assertEqual([request.model for request in self.other.requests], ["native-cut"])

    # -- money

    def customer(self, amount):
        """An account with so much on it, and a key of its."""
        admin = self.admin
        account = admin.post("/accounts", {"name": "c", "mode": "prepaid", "currency": "USD"}).json()["id"]
        key = admin.post("/keys", {"name": "k", "account": account}).json()["key"]
        order = admin.post("/orders", {"account": account, "provider": "manual", "amount": amount,
                                       "currency": "USD"}).json()["id"]
        self.assertEqual(admin.post(f"/orders/{order}/pay", {"payment": "cash"}).status, 200)
        wait_for(lambda: amount in admin.get(f"/ledger/balances?account={account}").text, what="the money")
        return account, key

    def receipt(self, account, model):
        kept = lambda: self.admin.get(f"/ledger/receipts?account={account}").json()["data"]
        return wait_for(lambda: [each for each in kept() if each["model_asked"] == model], what="the receipt")[0]

    def test_both_parts_are_paid_to_the_cent(self):
        admin = self.admin
        price = {"input": "1000", "output": "2000"}  # 0.001 and 0.002 a token
        dear = {"input": "3000", "output": "5000"}
        self.assertEqual(admin.post("/prices", {"name": "list", "book": "purchase", "currency": "USD", "prices": [
            {"provider": "up", "model": "cut-between-events", "price": price},
            {"provider": "local", "model": "rest", "price": dear}]}).status, 201)
        self.assertEqual(admin.post("/prices", {"name": "retail", "book": "sale", "currency": "USD", "prices": [
            {"model": name, "price": price} for name in ("on", "no")]}).status, 201)
        wait_for(lambda: "prices_loaded version=2" in self.stage.gateway.log(), what="the prices")
        account, key = self.customer("100")

        def receipt(model):
            answer = self.stage.chat(model, stream=True, key=key, stream_options={"include_usage": True})
            return answer, self.receipt(account, model)

        _, of_cut = receipt("no")
        begin = Decimal(of_cut["charge"])
        answer, both = receipt("on")
        usage = [json.loads(event)["usage"] for event in answer.events()[:-1] if json.loads(event).get("usage")][0]
        # The begin as it costs where it stays one, the rest as it was reported; and the client is told of just that.
        self.assertEqual(Decimal(both["charge"]), begin + Decimal("0.021") + Decimal("0.006"))
        self.assertEqual(Decimal(both["charge"]), Decimal(usage["prompt_tokens"]) / 1000 + Decimal(usage["completion_tokens"]) / 500)
        self.assertEqual(admin.get("/ledger/verify").json(), {"proven": True, "violations": []})
        with sqlite3.connect(self.stage.gateway.state / "switchyard.db", timeout=10) as database:
            costs = database.execute("SELECT model, outcome, amount, estimated FROM costs ORDER BY seq").fetchall()
        nano = 1_000_000_000
        self.assertEqual(costs[-2:], [("cut-between-events", "server", int(begin * nano), 1),
                                      ("rest", "completed", int((Decimal("0.063") + Decimal("0.015")) * nano), 0)])

        # Who can't pay for the rest has the begin, and pays for that alone.
        account, key = self.customer("0.105")
        answer = self.stage.chat("on", stream=True, key=key, max_tokens=10)
        self.assertEqual(json.loads(answer.events()[-1])["error"]["code"], "upstream_closed")
        record = self.stage.record(answer)
        self.assertEqual(record("fallback_path", "tokens_out"),
                         ("up/cut-between-events:server > local/rest:insufficient_quota", 2))
        self.assertEqual(Decimal(self.receipt(account, "on")["charge"]), Decimal(record["tokens_in"] + 2 * 2) / 1000)
        self.assertEqual(admin.get("/ledger/verify").json(), {"proven": True, "violations": []})


if __name__ == "__main__":
    unittest.main(verbosity=2)
