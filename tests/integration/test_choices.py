"""Several answers where a provider gives one to a call: as many calls at once, and one answer, one hold and one receipt."""

import json
import threading
import unittest

from stage import PATIENT, Stage, live, provider, wait_for  # first: it says where the others are
from admin import Admin
from upstream import USAGE, Upstream, chat, chunk_of, error_body

PRICE = {"input": "1000", "output": "2000"}  # 0.001 and 0.002 a token


class Turns:
    """A script that answers each call in its own way."""

    def __init__(self, *answers):
        self.answers, self.lock, self.number = answers, threading.Lock(), 0

    def __call__(self, exchange):
        with self.lock:
            answer = self.answers[self.number % len(self.answers)]
            self.number += 1
        return answer(exchange)


def say(*words):
    def whole_or_stream(exchange):
        if not exchange.request.streams:
            return exchange.answer(body=chat(content="".join(words)))
        exchange.start_stream()
        for word in words:
            exchange.event(chunk_of({"content": word}))
        exchange.event(chunk_of({}, "stop", usage=USAGE))
        exchange.event("[DONE]")
        exchange.last_chunk()
        return True
    return whole_or_stream


def fail(exchange):
    return exchange.answer(500, error_body("down", "server_error", "down"))


def break_off(exchange):
    exchange.start_stream()
    exchange.event(chunk_of({"content": "Half"}))
    return False


def hang(exchange):
    exchange.start_stream()
    exchange.event(chunk_of({"content": "Half"}))
    exchange.wait(20)
    return False


def data_of(answer):
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


class Choices(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = Upstream()
        cls.addClassCleanup(cls.upstream.close)
        # Groq gives one answer to a call.
        one = {**provider(cls.upstream.url), "dialect": "groq", "timeouts": PATIENT["timeouts"]}
        cls.stage = Stage(
            providers={"one": one, "narrow": {**one, "limits": {"concurrency": 2}}},
            models={"either": {"candidates": ["one/turns", "up/good"]},
                    "only": {"candidates": ["one/turns"], "retry": {"attempts_max": 1}}})
        cls.addClassCleanup(cls.stage.close)
        cls.admin = Admin(cls.stage.gateway)
        answer = cls.admin.post("/prices", {"name": "retail", "book": "sale", "currency": "USD",
                                            "prices": [{"model": "one/turns", "price": PRICE},
                                                       {"model": "only", "price": PRICE}]})
        assert answer.status == 201, answer.text
        wait_for(lambda: "prices_loaded" in cls.stage.gateway.log(), what="the prices")

    def setUp(self):
        self.upstream.clear()
        self.stage.upstream.clear()

    def turns(self, *answers):
        self.upstream.add("turns", Turns(*answers))

    def ask(self, model="one/turns", status=200, **members):
        answer = self.stage.chat(model, **members)
        self.assertEqual(answer.status, status, answer.text)
        return answer

    def test_the_answers_of_several_calls_are_the_choices_of_one(self):
        self.turns(say("One"), say("Two"), say("Three"))
        answer = self.ask(n=3, temperature=0.5)
        body = answer.json()
        self.assertEqual([choice["index"] for choice in body["choices"]], [0, 1, 2])
        self.assertEqual(sorted(choice["message"]["content"] for choice in body["choices"]), ["One", "Three", "Two"])
        self.assertEqual((body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]), (33, 15))
        self.assertEqual((body["object"], body["id"]), ("chat.completion", "chatcmpl-1"))
        sent = [request.json() for request in self.upstream.requests]
        self.assertEqual(len(sent), 3)
        for each in sent:
            self.assertNotIn("n", each)
            self.assertEqual(each["temperature"], 0.5)
        record = self.stage.record(answer)
        self.assertEqual(record("status", "attempts", "tokens_in", "tokens_out", "finish"), (200, 3, 33, 15, "stop"))

    def test_streams_are_one_stream_with_the_right_indices(self):
        self.turns(say("A", "B", "C"), say("x", "y", "z"))
        events = data_of(self.ask(n=2, stream=True, stream_options={"include_usage": True}))
        self.assertEqual(events.pop(), "[DONE]")
        usage = events.pop()
        self.assertEqual((usage["choices"], usage["usage"]["total_tokens"]), ([], 32))
        self.assertEqual({(event["id"], event["created"], event["model"]) for event in [*events, usage]},
                         {(usage["id"], usage["created"], usage["model"])})
        texts, ends = ["", ""], [None, None]
        for event in events:
            self.assertNotIn("usage", {name for name, value in event.items() if value})
            for choice in event["choices"]:
                self.assertIsNone(ends[choice["index"]], "a delta behind the end of its choice")
                texts[choice["index"]] += choice["delta"].get("content") or ""
                ends[choice["index"]] = choice["finish_reason"]
        self.assertEqual((sorted(texts), ends), (["ABC", "xyz"], ["stop", "stop"]))
        plain = data_of(self.ask(n=2, stream=True))
        self.assertTrue(all(event == "[DONE]" or not event.get("usage") for event in plain))

    def test_one_that_fails_fails_all_and_another_target_may_serve(self):
        self.turns(say("One"), fail)
        self.assertEqual(self.ask("only", 502, n=2).error["code"], "upstream_error")
        self.turns(say("One"), fail)
        answer = self.ask("either", n=2)
        self.assertEqual(self.stage.upstream.requests[-1].json()["n"], 2)
        self.assertIn("one/turns", self.stage.record(answer)["fallback_path"])

    def test_a_stream_that_lost_one_of_its_answers_ends_with_an_error(self):
        self.turns(say("A", "B"), break_off)
        events = data_of(self.ask(n=2, stream=True))
        self.assertIn("error", events[-1])
        self.assertNotIn("[DONE]", events)

    def test_there_is_a_limit(self):
        error = self.ask(status=400, n=9).error
        self.assertEqual(error["code"], "not_offered")
        self.assertIn("at most 8", error["message"])
        self.assertEqual(self.upstream.requests, [])
        self.turns(say("One"))
        self.assertEqual(len(self.ask(n=8).json()["choices"]), 8)

    def test_each_call_counts_against_the_upstreams_limits(self):
        self.turns(say("One"))
        self.assertEqual(len(self.ask("narrow/turns", n=2).json()["choices"]), 2)
        self.ask("narrow/turns", 503, n=3)
        self.assertEqual(len(self.ask("narrow/turns", n=2).json()["choices"]), 2)  # places were given back

    def test_a_client_that_leaves_ends_every_call(self):
        self.upstream.add("hang", hang)
        connection, head = live(self.stage, "one/hang", n=3)
        self.assertEqual(head.status, 200)
        connection.close()
        for request in self.upstream.requests:
            self.assertTrue(request.left.wait(10))
        self.assertEqual(len(self.upstream.requests), 3)

    def must(self, status, answer):
        self.assertEqual(answer.status, status, answer.text)
        return answer.json()

    def receipts(self, account):
        return self.must(200, self.admin.get(f"/ledger/receipts?account={account}&limit=10"))["data"]

    def test_it_is_held_once_and_paid_for_in_full(self):
        account = self.must(201, self.admin.post("/accounts", {"name": "c", "mode": "prepaid", "currency": "USD"}))["id"]
        key = self.must(201, self.admin.post("/keys", {"name": "k", "account": account}))["key"]
        order = self.must(201, self.admin.post("/orders", {"account": account, "provider": "manual", "amount": "1",
                                                           "currency": "USD"}))["id"]
        self.must(200, self.admin.post(f"/orders/{order}/pay", {"payment": "cash"}))
        self.turns(say("One"), say("Two"))
        wait_for(lambda: self.stage.chat("one/turns", n=2, max_tokens=50, key=key).status == 200, what="the money")
        self.assertEqual(self.stage.chat("one/turns", n=2, max_tokens=50, key=key, stream=True).status, 200)
        receipts = wait_for(lambda: (self.receipts(account) or [None, None])[1:] and self.receipts(account),
                            what="the receipts")
        # 22 tokens read and 10 generated, each time.
        self.assertEqual([float(receipt["charge"]) for receipt in receipts], [0.042, 0.042])
        # Eight answers of 70 tokens would be more than is left.
        refused = self.stage.chat("one/turns", n=8, max_tokens=70, key=key)
        self.assertEqual((refused.status, refused.error["code"]), (402, "insufficient_quota"))

    def test_other_dialects_ask_for_several_answers_too(self):
        self.turns(say("One"), say("Two"))
        body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": {"candidateCount": 2}}
        answer = self.stage.call("POST", "/v1beta/models/one/turns:generateContent", body)
        self.assertEqual(answer.status, 200, answer.text)
        self.assertEqual(sorted(each["content"]["parts"][0]["text"] for each in answer.json()["candidates"]),
                         ["One", "Two"])

    def test_who_gives_several_is_asked_once(self):
        self.ask("up/good", n=2)
        self.assertEqual([request.json()["n"] for request in self.stage.upstream.requests], [2])


if __name__ == "__main__":
    unittest.main()
