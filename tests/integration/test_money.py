"""What requests cost, from the hold to the books: nobody overdraws, nothing is charged twice or lost, whatever dies."""

import collections
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
import unittest
from decimal import Decimal

from stage import PATIENT, Stage, provider, wait_for  # first: it says where the others are
import client
import websocket
from admin import Admin
from upstream import Upstream, chat, chunk_of, error_body, usage_chunk

BY_CALL = {"input": "0", "output": "0", "call": "0.01"}
OUTPUT = 4  # which of a receipt's quantities counts tokens generated
BY_TOKEN = {"input": "1000", "output": "2000"}  # 0.001 and 0.002 a token
DEARER = {"input": "1800", "output": "4000"}


def random_usage(exchange):
    """A good answer that cost something else each time, and fails now and then."""
    seed = random.Random(time.monotonic_ns())
    if seed.random() < 0.2:
        return exchange.answer(500, error_body("down", "server_error", "down"))
    usage = {"prompt_tokens": seed.randint(1, 30), "completion_tokens": seed.randint(1, 60)}
    usage["total_tokens"] = sum(usage.values())
    if not exchange.request.streams:
        return exchange.answer(body=chat(usage=usage))
    exchange.start_stream()
    for _ in range(seed.randint(1, 8)):
        exchange.event(chunk_of({"content": "word "}))
    exchange.event(chunk_of({}, "stop"))
    exchange.event(usage_chunk(usage))
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


def whole_or_stream(exchange, usage):
    if not exchange.request.streams:
        return exchange.answer(body=chat(usage=usage))
    exchange.start_stream()
    for piece in (chunk_of({"content": "word "}), chunk_of({}, "stop"), usage_chunk(usage), "[DONE]"):
        exchange.event(piece)
    exchange.last_chunk()
    return True


def greedy(exchange):
    """Reports more than anybody could have foreseen."""
    usage = {"prompt_tokens": 100_000, "completion_tokens": 100_000, "total_tokens": 200_000}
    return exchange.answer(body=chat(usage=usage))


def endless(exchange):
    exchange.start_stream()
    for _ in range(6000):
        exchange.event(chunk_of({"content": "w "}))
    exchange.event(chunk_of({}, "stop"))
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


def endless_message(exchange):
    """The same from Anthropic."""
    exchange.start_stream()
    exchange.event({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "usage": {"input_tokens": 3, "output_tokens": 1}}})
    exchange.event({"type": "content_block_start", "index": 0,
                    "content_block": {"type": "text", "text": ""}})
    for _ in range(6000):
        exchange.event({"type": "content_block_delta", "index": 0,
                        "delta": {"type": "text_delta", "text": "w "}})
    exchange.last_chunk()
    return True


class Shop:
    """A gateway with prices, and accounts with money."""

    def __init__(self, **config):
        self.dear = Upstream()
        claude = {**provider(self.dear.url), "plugin": "anthropic"}
        del claude["dialect"]
        native = {**provider(self.dear.url), "settings": {"responses": True}}
        self.stage = Stage(providers={"dear": provider(self.dear.url), "claude": {**claude, **PATIENT},
                                      "native": native},
                           models={"either": ["up/random", "dear/random"]}, up=PATIENT, **config)
        for upstream in (self.stage.upstream, self.dear):
            for name, function in (("random", random_usage), ("greedy", greedy), ("endless", endless),
                                   ("message", endless_message)):
                upstream.add(name, function)
        self.admin = Admin(self.stage.gateway)
        prices = [{"model": "up/good", "price": BY_CALL}]
        prices += [{"model": f"up/{name}", "price": BY_TOKEN} for name in ("random", "greedy", "endless")]
        prices += [{"model": "claude/message", "price": BY_TOKEN}]
        # Either of them by its own price: what falls over goes to the dearer one.
        prices += [{"model": "random", "provider": "up", "price": BY_TOKEN},
                   {"model": "random", "provider": "dear", "price": DEARER}]
        self.must(201, self.admin.post("/prices", {"name": "retail", "book": "sale", "currency": "USD",
                                                   "prices": prices}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stage.close()
        self.dear.close()

    @staticmethod
    def must(status, answer):
        assert answer.status == status, answer.text
        return answer.json()

    def customer(self, money, **members):
        """(account, key) of a prepaid account with so much."""
        account = self.must(201, self.admin.post("/accounts", {"name": "c", "mode": "prepaid",
                                                               "currency": "USD", **members}))["id"]
        key = self.must(201, self.admin.post("/keys", {"name": "k", "account": account}))["key"]
        if money:
            order = self.must(201, self.admin.post("/orders", {"account": account, "provider": "manual",
                                                               "amount": money, "currency": "USD"}))["id"]
            self.must(200, self.admin.post(f"/orders/{order}/pay", {"payment": "cash"}))
            wait_for(lambda: self.balance(account) == Decimal(money), what="the money")
        return account, key

    def balance(self, account):
        found = self.must(200, self.admin.get(f"/ledger/balances?account={account}"))["data"]
        return sum((Decimal(row["balance"]) for row in found), Decimal(0))

    def available(self, key):
        answer = client.call(self.stage.url, "GET", "/v1/balance", None, key)
        return Decimal(str(self.must(200, answer)["available"]))

    def receipts(self, account):
        found, after = [], ""
        while True:
            page = self.must(200, self.admin.get(f"/ledger/receipts?account={account}&limit=1000{after}"))
            found += page["data"]
            if page["next"] is None:
                return found
            after = f"&after={page['next']}"

    def settled(self):
        """Once no hold is open and the books are up to the journal."""
        def still():
            try:
                text = client.call(self.stage.gateway.admin_url, "GET", "/metrics").text
            except OSError:
                return False  # the next worker's admin API is not there yet
            values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
            return float(values["switchyard_ledger_holds_open"]) == 0 and \
                float(values["switchyard_ledger_lag_entries"]) == 0
        wait_for(still, 20, "the books to be up to date")

    def proven(self, case):
        proof = self.must(200, self.admin.get("/ledger/verify"))
        case.assertEqual(proof, {"proven": True, "violations": []})


def ask(url, key, model, stream=False, **members):
    body = {"model": model, "messages": client.MESSAGES, "stream": stream, **members}
    return client.call(url, "POST", "/v1/chat/completions", body, key, timeout=30)


class Money(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shop = Shop()
        cls.addClassCleanup(cls.shop.__exit__)
        cls.url = cls.shop.stage.url

    def test_money_for_so_many_calls_serves_exactly_so_many(self):
        account, key = self.shop.customer("1")
        before = len(self.shop.stage.upstream.requests)
        connections = [client.Connection(self.url, timeout=120) for _ in range(2000)]
        body = {"model": "up/good", "messages": client.MESSAGES}
        statuses = []
        for connection in connections:
            connection.send_request("POST", "/v1/chat/completions", body, key)
        for connection in connections:
            answer = connection.receive_answer()
            statuses.append(answer.status)
            if answer.status != 200:
                error = json.loads(answer.text)["error"]
                self.assertEqual((answer.status, error["type"], error["code"]),
                                 (402, "insufficient_quota", "insufficient_quota"))
        for connection in connections:
            connection.close()
        self.assertEqual(statuses.count(200), 100, (collections.Counter(statuses), self.shop.balance(account)))
        self.assertEqual(len(self.shop.stage.upstream.requests) - before, 100)
        self.shop.settled()
        self.assertEqual(self.shop.balance(account), 0)
        self.assertEqual(len([r for r in self.shop.receipts(account) if r["charge"] == "0.01"]), 100)
        self.shop.proven(self)

    def test_nobody_overdraws_with_streams_faults_and_clients_that_leave(self):
        account, key = self.shop.customer("5")
        stopped, below = threading.Event(), []

        def watch():
            while not stopped.is_set():
                if self.shop.available(key) < 0 or self.shop.balance(account) < 0:
                    below.append(True)

        def spend(number):
            seed = random.Random(number)
            for _ in range(400):
                if stopped.is_set():
                    return
                model = seed.choice(["up/random", "either"])
                stream = seed.random() < 0.5
                if seed.random() < 0.1:
                    with client.Connection(self.url) as connection:
                        connection.send_request("POST", "/v1/chat/completions", {
                            "model": model, "messages": client.MESSAGES, "stream": True,
                            "max_tokens": 60}, key)
                    continue
                answer = ask(self.url, key, model, stream, max_tokens=60)
                if answer.status == 402:
                    return

        watcher = threading.Thread(target=watch)
        spenders = [threading.Thread(target=spend, args=(number,)) for number in range(16)]
        watcher.start()
        for thread in spenders:
            thread.start()
        for thread in spenders:
            thread.join()
        stopped.set()
        watcher.join()
        self.assertEqual(below, [])
        self.shop.settled()
        receipts = self.shop.receipts(account)
        spent = sum(Decimal(receipt["charge"] or "0") for receipt in receipts)
        self.assertEqual(self.shop.balance(account), Decimal("5") - spent)
        self.assertIn("dear", {receipt["provider"] for receipt in receipts})
        # The prompt's bound and 60 tokens of answer: what one hold takes.
        self.assertLess(self.shop.balance(account), Decimal("0.5"))
        self.shop.proven(self)

    def test_usage_above_the_hold_is_a_shortfall(self):
        account, key = self.shop.customer("10")
        answer = ask(self.url, key, "up/greedy")
        self.assertEqual(answer.status, 200, answer.text)
        self.shop.settled()
        self.assertEqual(self.shop.balance(account), 0)
        (receipt,) = self.shop.receipts(account)
        self.assertEqual((Decimal(receipt["charge"]), Decimal(receipt["shortfall"])), (10, 290))
        self.shop.proven(self)

    def test_a_stream_ends_where_the_money_does(self):
        account, key = self.shop.customer("3")
        answer = ask(self.url, key, "up/endless", True)
        self.assertEqual((answer.status, answer.clean), (200, True))
        events = answer.events()
        self.assertEqual(events[-1], "[DONE]")
        last = json.loads(events[-2])
        self.assertEqual(last["choices"][0]["finish_reason"], "length")
        self.assertEqual(last["switchyard"]["code"], "balance_exhausted")
        words = sum(json.loads(event)["choices"][0]["delta"].get("content") == "w "
                    for event in events[:-1])
        self.shop.settled()
        (receipt,) = self.shop.receipts(account)
        self.assertEqual(receipt["ended"], "balance_exhausted")
        self.assertEqual(receipt["quantities"][OUTPUT], words)
        self.assertGreaterEqual(self.shop.balance(account), 0)
        self.shop.proven(self)

    def test_a_limit_that_the_upstream_does_not_keep_bounds_nothing(self):
        account, key = self.shop.customer("3")
        answer = ask(self.url, key, "up/endless", True, max_tokens=100)
        self.assertEqual((answer.status, answer.clean), (200, True))
        self.assertEqual(json.loads(answer.events()[-2])["switchyard"]["code"], "balance_exhausted")
        self.shop.settled()
        (receipt,) = self.shop.receipts(account)
        self.assertEqual(Decimal(receipt["shortfall"]), 0)
        self.shop.proven(self)

    def test_what_is_held_for_is_the_most_that_a_request_may_mean(self):
        _, key = self.shop.customer("3")
        asked = len(self.shop.stage.upstream.requests)
        for limits in ({"max_tokens": 2**63, "n": 2}, {"max_tokens": 3000, "max_completion_tokens": 1},
                       {"max_tokens": 1, "max_completion_tokens": 3000}):
            answer = ask(self.url, key, "up/endless", True, **limits)
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (402, "insufficient_quota"), limits)
        for many in ({"max_tokens": 2**40, "best_of": 2**24}, {"n": 20}, {"best_of": 20}, {"prompt": ["a,b", "[\"", {}, [1]] * 5}, {"prompt": [[1, 2], [3]] * 10}):
            body = {"model": "up/endless", "prompt": "a", "max_tokens": 100, **many}
            answer = client.call(self.url, "POST", "/v1/completions", body, key)
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (402, "insufficient_quota"), many)
        self.assertEqual(len(self.shop.stage.upstream.requests), asked)

    def test_a_native_stream_ends_there_with_an_error_of_its_dialect(self):
        account, key = self.shop.customer("3")
        body = {"model": "claude/message", "messages": client.MESSAGES, "stream": True}
        answer = client.call(self.url, "POST", "/v1/messages", {**body, "max_tokens": 0}, None,
                             {"x-api-key": key}, timeout=30)
        del body
        self.assertEqual((answer.status, answer.clean), (200, True), answer.text)
        last = json.loads(answer.events()[-1])
        self.assertEqual(last["type"], "error")
        self.assertIn("used up", last["error"]["message"])
        self.shop.settled()
        self.assertGreaterEqual(self.shop.balance(account), 0)
        self.assertLess(self.shop.balance(account), 3)
        self.shop.proven(self)

    def test_what_is_told_and_has_no_price_makes_nothing_free(self):
        usage = {"prompt_tokens": 300, "completion_tokens": 10, "total_tokens": 310}
        told = {"tiered": {**chat(usage=usage), "service_tier": "priority"},
                "sounding": chat(usage={**usage, "prompt_tokens_details": {"audio_tokens": 280}})}
        for name, body in told.items():
            with self.subTest(name):
                self.shop.stage.upstream.add(name, lambda exchange, body=body: exchange.answer(body=body))
                self.shop.must(201, self.shop.admin.post("/prices", {
                    "name": name, "book": "sale", "currency": "USD",
                    "prices": [{"model": f"up/{name}", "price": {"input": "1", "output": "1"}}]}))
                account, key = self.shop.customer("1")
                answer = ask(self.url, key, f"up/{name}")
                self.assertEqual(answer.status, 200, answer.text)
                self.shop.settled()
                self.assertEqual([receipt["charge"] for receipt in self.shop.receipts(account)], ["0.00031"])

    def test_what_fails_is_not_charged_and_what_has_no_price_not_begun(self):
        account, key = self.shop.customer("1")
        self.assertEqual(ask(self.url, key, "up/status-400").json()["error"]["code"], "model_unpriced")
        self.shop.must(201, self.shop.admin.post("/prices", {
            "name": "faulty", "book": "sale", "currency": "USD",
            "prices": [{"model": "up/status-400", "price": BY_CALL}]}))
        self.assertEqual(ask(self.url, key, "up/status-400").status, 400)
        self.shop.settled()
        self.assertEqual(self.shop.balance(account), 1)
        self.shop.proven(self)

    def test_an_account_pays_what_it_costs_times_its_markup(self):
        usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
        self.shop.stage.upstream.add("resold", lambda exchange: exchange.answer(body=chat(usage=usage)))
        self.shop.must(201, self.shop.admin.post("/prices", {
            "name": "bought", "book": "purchase", "currency": "USD",
            "prices": [{"model": "resold", "provider": "up", "price": {"input": "10", "output": "40"}}]}))
        # 100 * 10 = 1,000;  50 * 40 = 2,000;  together 3,000 millionths.
        for markup, charge in ((0, "0.003"), (250_000, "0.00375"), (-100_000, "0.0027")):
            account, key = self.shop.customer("1", markup_ppm=markup)
            self.assertEqual(ask(self.url, key, "up/resold", max_tokens=50).status, 200)
            self.shop.settled()
            (receipt,) = self.shop.receipts(account)
            self.assertEqual(receipt["charge"], charge, receipt)
            self.assertEqual(self.shop.balance(account), 1 - Decimal(charge))
        self.shop.proven(self)

    def test_a_hard_budget_refuses_and_a_soft_one_does_not(self):
        account, key = self.shop.customer("1")
        for name, hard in (("soft", False), ("hard", True)):
            self.shop.must(201, self.shop.admin.post("/budgets", {
                "name": f"{name} {account}", "account": account, "period": "day", "currency": "USD",
                "amount": "0.01" if not hard else "0.05", "hard": hard}))
        answers = [ask(self.url, key, "up/good") for _ in range(7)]
        served = [answer.status for answer in answers]
        self.assertEqual(served, [200] * 5 + [402] * 2)
        self.assertEqual(answers[-1].json()["error"]["code"], "budget_exceeded")
        self.shop.settled()
        self.assertEqual(self.shop.balance(account), 1 - Decimal("0.01") * served.count(200))


class ByApi(unittest.TestCase):
    def test_from_a_price_to_an_invoice(self):
        """The README's path by command is run by its own test."""
        with Stage() as stage:
            admin, must = Admin(stage.gateway), Shop.must
            stage.upstream.add("priced", lambda exchange: exchange.answer(body=chat(usage={
                "prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30})))
            for book, price in (("purchase", {"input": "500", "output": "1000"}), ("sale", BY_TOKEN)):
                model = "priced" if book == "purchase" else "up/priced"
                must(201, admin.post("/prices", {"name": book, "book": book, "currency": "USD",
                                                 "prices": [{"model": model, "price": price}]}))
            account = must(201, admin.post("/accounts", {"name": "Buyer", "mode": "prepaid", "currency": "USD"}))["id"]
            key = must(201, admin.post("/keys", {"name": "buyer", "account": account}))["key"]
            order = must(201, admin.post("/orders", {"account": account, "amount": "25", "currency": "USD"}))["id"]
            must(200, admin.post(f"/orders/{order}/pay"))
            answer = ask(stage.url, key, "up/priced", max_tokens=10)
            self.assertEqual(answer.status, 200, answer.text)
            (record,) = wait_for(lambda: must(200, admin.get(f"/records?account={account}"))["data"], what="the record")
            self.assertEqual((record["charge"], record["cost"]), ({"amount": "0.04", "currency": "USD"},
                                                                  {"amount": "0.02", "currency": "USD"}))
            balances = f"/ledger/balances?account={account}"
            wait_for(lambda: must(200, admin.get(balances))["data"][0]["balance"] == "24.96", what="the books")
            month = time.strftime("%Y-%m", time.gmtime())
            invoice = must(200, admin.get(f"/invoices/preview?account={account}&month={month}"))
            self.assertEqual([(line["kind"], line["amount"]) for line in invoice["lines"]],
                             [("charge", "-0.04"), ("top_up", "25")])
            self.assertEqual(invoice["closing_balance"], "24.96")
            self.assertEqual(must(200, admin.get("/ledger/verify")), {"proven": True, "violations": []})


class Pictures(unittest.TestCase):
    """Pictures are paid for by the piece or by their tokens, as the price list says; never for nothing."""

    @classmethod
    def setUpClass(cls):
        cls.shop = Shop()
        cls.addClassCleanup(cls.shop.__exit__)
        tokens = {"input_tokens": 10, "output_tokens": 400, "total_tokens": 410}
        two = [{"b64_json": "QQ=="}, {"b64_json": "QUE="}]
        drawn = {"prompt_tokens": 10, "completion_tokens": 100, "total_tokens": 110,
                 "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 90}}
        answers = {"pieces": {"created": 1, "data": two, "usage": tokens},
                   "tokens": {"created": 1, "data": two, "usage": tokens},
                   "silent": {"created": 1, "data": two},
                   "drawing-chat": chat(usage=drawn)}
        for name, body in answers.items():
            cls.shop.stage.upstream.add(name, lambda exchange, body=body: exchange.answer(body=body))
        cls.shop.must(201, cls.shop.admin.post("/prices", {
            "name": "pictures", "book": "sale", "currency": "USD", "prices": [
                {"model": "up/pieces", "price": {"image": "0.04"}},
                {"model": "up/tokens", "price": {"input": "1000", "output": "2000"}},
                {"model": "up/drawing-chat", "price": {"input": "1000", "output": "2000", "image_out": "9000"}},
                {"model": "up/silent", "price": {"input": "1", "image_out": "10"}},
                {"model": "up/mute", "price": {"input": "1000", "output": "2000", "character": "5"}}]}))

    def charge(self, path, body):
        account, key = self.shop.customer("100")
        answer = client.call(self.shop.stage.url, "POST", path, body, key)
        self.assertEqual(answer.status, 200, answer.text)
        self.shop.settled()
        (receipt,) = self.shop.receipts(account)
        self.shop.proven(self)
        return Decimal(receipt["charge"]), receipt["quantities"]

    def test_by_the_piece_whatever_tokens_are_told(self):
        charge, quantities = self.charge("/v1/images/generations", {"model": "up/pieces", "prompt": "A cat.", "n": 2})
        self.assertEqual(charge, Decimal("0.08"))
        self.assertEqual((quantities[10], quantities[15]), (2, 400))  # both are known

    def test_by_their_tokens(self):
        charge, _ = self.charge("/v1/images/generations", {"model": "up/tokens", "prompt": "A cat.", "n": 2})
        self.assertEqual(charge, 10 * Decimal("0.001") + 400 * Decimal("0.002"))

    def test_by_their_tokens_where_none_are_told(self):
        charge, _ = self.charge("/v1/images/generations", {"model": "up/silent", "prompt": "A cat.", "n": 2})
        self.assertEqual(charge, 2 * 1120 * Decimal("0.00001"))

    def test_of_a_chat_at_a_price_of_their_own(self):
        charge, quantities = self.charge("/v1/chat/completions", {
            "model": "up/drawing-chat", "messages": client.MESSAGES, "max_tokens": 200})
        self.assertEqual(charge, 10 * Decimal("0.001") + 10 * Decimal("0.002") + 90 * Decimal("0.009"))
        self.assertEqual((quantities[OUTPUT], quantities[15]), (10, 90))

    def test_those_that_failed_in_their_place_are_not_paid_for(self):
        refused = {"error": {"code": "OutputImageSensitiveContentDetected", "message": "No."}}
        whole = {"created": 1, "data": [refused, refused], "usage": {
            "generated_images": 0, "input_tokens": 10, "output_tokens": 0, "total_tokens": 10}}

        def fails(exchange):
            if not exchange.request.streams:
                return exchange.answer(body=whole)
            exchange.start_stream()
            for number in range(2):
                exchange.event({"type": "image_generation.partial_failed", "image_index": number, **refused})
            exchange.event({"type": "image_generation.completed", "usage": whole["usage"]})
            exchange.last_chunk()
            return True
        self.shop.stage.upstream.add("fails", fails)
        for price in ({"image": "0.04"}, {"input": "10", "output": "20", "image_out": "90"},
                      {"image": "0", "call": "0.05"}):
            self.shop.must(201, self.shop.admin.post("/prices", {
                "name": "failing", "book": "sale", "currency": "USD", "prices": [{"model": "up/fails", "price": price}]}))
            for stream in (False, True):
                with self.subTest(price=price, stream=stream):
                    charge, _ = self.charge("/v1/images/generations", {
                        "model": "up/fails", "prompt": "A cat.", "n": 2, "stream": stream})
                    self.assertEqual(charge, 0)
        answer = client.call(self.shop.stage.url, "POST", "/v1/images/generations",
                             {"model": "up/fails", "prompt": "A cat."}, self.shop.customer("1")[1])
        self.assertEqual(answer.json()["data"], [refused, refused])

    def test_those_that_a_tool_of_the_responses_made(self):
        response = {"id": "resp_up", "object": "response", "created_at": 1, "status": "completed", "model": "draws",
                    "error": None, "output": [{"id": "ig_1", "type": "image_generation_call", "status": "completed",
                                               "result": "QQ=="}],
                    "usage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
                              "input_tokens_details": {"cached_tokens": 0},
                              "output_tokens_details": {"reasoning_tokens": 5}},
                    "tool_usage": {"image_gen": {
                        "input_tokens": 60, "input_tokens_details": {"image_tokens": 50, "text_tokens": 10},
                        "output_tokens": 200, "output_tokens_details": {"image_tokens": 200, "text_tokens": 0},
                        "total_tokens": 260}}}

        def draws(exchange):
            if not exchange.request.streams:
                return exchange.answer(body=response)
            exchange.start_stream()
            event = {"type": "response.completed", "sequence_number": 1, "response": response}
            exchange.chunk(f"event: response.completed\ndata: {json.dumps(event)}\n\n")
            exchange.last_chunk()
            return True
        self.shop.dear.add("draws", draws)
        self.shop.must(201, self.shop.admin.post("/prices", {
            "name": "drawing", "book": "sale", "currency": "USD", "prices": [
                {"model": "native/draws", "price": {"input": "10", "output": "20", "image_in": "80",
                                                    "image_out": "300"}}]}))
        for stream in (False, True):
            charge, quantities = self.charge("/v1/responses", {
                "model": "native/draws", "input": "A cat.", "tools": [{"type": "image_generation"}], "stream": stream})
            self.assertEqual((quantities[OUTPUT], quantities[15]), (15, 200))
            self.assertEqual(charge, Decimal("0.0011") + Decimal("0.0004") + Decimal("0.004") + Decimal("0.06"))

    def test_what_a_list_lacks_does_not_make_the_rest_free(self):
        usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20, "searches": 3}
        self.shop.stage.upstream.add("finder", lambda exchange: exchange.answer(body=chat(usage=usage)))
        self.shop.must(201, self.shop.admin.post("/prices", {
            "name": "found", "book": "sale", "currency": "USD", "prices": [{"model": "up/finder", "price": BY_TOKEN}]}))
        charge, _ = self.charge("/v1/chat/completions", {
            "model": "up/finder", "messages": client.MESSAGES, "max_tokens": 20})
        self.assertEqual(charge, Decimal("0.03"))
        self.assertRegex(self.shop.stage.gateway.log(), r"usage_unpriced .*model=\S*finder meter=search quantity=3")

    def test_one_that_is_sent_is_not_paid_for_as_text(self):
        def endless_pause(exchange):
            exchange.start_stream()
            exchange.event(chunk_of({"content": "w "}))
            exchange.wait(20)
            return False
        self.shop.stage.upstream.add("shown", endless_pause)
        self.shop.must(201, self.shop.admin.post("/prices", {
            "name": "shown", "book": "sale", "currency": "USD",
            "prices": [{"model": "up/shown", "price": {"input": "1", "output": "1"}}]}))
        account, key = self.shop.customer("0.1")  # as text it would be 0.75
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_500_000}}
        with client.Connection(self.shop.stage.url, timeout=30) as connection:
            connection.send_request("POST", "/v1/chat/completions", {
                "model": "up/shown", "messages": [{"role": "user", "content": [picture]}], "max_tokens": 10,
                "stream": True}, key)
            self.assertIn("w ", next(connection.receive_head().live_events()))
        self.shop.settled()
        (receipt,) = self.shop.receipts(account)
        self.assertEqual((receipt["ended"], receipt["estimated"]), ("client_left", True))
        self.assertLess(Decimal(receipt["charge"]), Decimal("0.002"))
        self.assertGreater(Decimal(receipt["charge"]), Decimal("0.001"))

    def test_one_whose_address_is_escaped_is_one_too(self):
        self.shop.stage.upstream.add("escaped", lambda exchange: exchange.answer(body=chat()))
        self.shop.must(201, self.shop.admin.post("/prices", {
            "name": "escaped", "book": "sale", "currency": "USD",
            "prices": [{"model": "up/escaped", "price": {"input": "1", "output": "1"}}]}))
        _, key = self.shop.customer("0.1")  # as text it would be 0.75
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_500_000}}
        body = json.dumps({"model": "up/escaped", "max_tokens": 10, "messages": [{"role": "user", "content": [picture]}]})
        answer = client.call(self.shop.stage.url, "POST", "/v1/chat/completions",
                             body.replace("image/png", "image\\/png").encode(), key)
        self.assertEqual(answer.status, 200, answer.text)

    def test_one_that_the_upstream_fetches_is_held_for(self):
        self.shop.stage.upstream.add("fetches", lambda exchange: exchange.answer(body=chat(
            usage={"prompt_tokens": 3000, "completion_tokens": 1, "total_tokens": 3001})))
        self.shop.must(201, self.shop.admin.post("/prices", {
            "name": "fetched", "book": "sale", "currency": "USD",
            "prices": [{"model": "up/fetches", "price": {"input": "1", "output": "1"}}]}))
        account, key = self.shop.customer("0.1")
        picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
        statuses = {}
        for pictures in (3, 20):
            answer = client.call(self.shop.stage.url, "POST", "/v1/chat/completions", {
                "model": "up/fetches", "messages": [{"role": "user", "content": [picture] * pictures}],
                "max_tokens": 10}, key)
            statuses[pictures] = answer.status
        self.assertEqual(statuses, {3: 200, 20: 402})
        self.shop.settled()
        self.assertEqual([receipt["charge"] for receipt in self.shop.receipts(account)], ["0.003001"])

    def test_a_document_is_not_held_for_as_text_in_any_dialect(self):
        usage = {"prompt_tokens": 3000, "completion_tokens": 10, "total_tokens": 3010}
        self.shop.stage.upstream.add("reader", lambda exchange: exchange.answer(body=chat(usage=usage)))
        self.shop.must(201, self.shop.admin.post("/prices", {
            "name": "read", "book": "sale", "currency": "USD",
            "prices": [{"model": "up/reader", "price": {"input": "1", "output": "1"}}]}))
        data = "A" * 1_500_000
        url = "data:application/pdf;base64," + data
        asked = {
            "/v1/chat/completions": {"model": "up/reader", "max_tokens": 10, "messages": [{"role": "user", "content": [
                {"type": "file", "file": {"filename": "a.pdf", "file_data": url}}]}]},
            "/v1/responses": {"model": "up/reader", "max_output_tokens": 16, "input": [{"role": "user", "content": [
                {"type": "input_file", "filename": "a.pdf", "file_data": url}]}]},
            "/v1/messages": {"model": "up/reader", "max_tokens": 10, "messages": [{"role": "user", "content": [
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}]}]},
            "/v1beta/models/up%2Freader:generateContent": {
                "generationConfig": {"maxOutputTokens": 10}, "contents": [{"role": "user", "parts": [
                    {"inlineData": {"mimeType": "application/pdf", "data": data}}]}]}}
        for path, body in asked.items():
            with self.subTest(path):
                account, key = self.shop.customer("0.3")  # as text it would be 0.75
                answer = client.call(self.shop.stage.url, "POST", path, body, key)
                self.assertEqual(answer.status, 200, answer.text)
                self.shop.settled()
                (receipt,) = self.shop.receipts(account)
                self.assertEqual((receipt["charge"], receipt["estimated"]), ("0.00301", False))
                self.assertEqual(self.shop.balance(account), Decimal("0.29699"))

    def test_sound_in_a_prompt_is_not_for_nothing(self):
        usage = {"prompt_tokens": 300, "completion_tokens": 10, "total_tokens": 310,
                 "prompt_tokens_details": {"audio_tokens": 280}}
        self.shop.stage.upstream.add("ear", lambda exchange: exchange.answer(body=chat(usage=usage)))
        body = {"model": "up/ear", "max_tokens": 10, "messages": [{"role": "user", "content": [
            {"type": "input_audio", "input_audio": {"data": "A" * 300_000, "format": "mp3"}}]}]}
        for price, status, charge in (({"input": "1", "output": "1"}, 402, None),
                                      ({"input": "1", "output": "1", "audio_in": "40"}, 200, "0.01123")):
            self.shop.must(201, self.shop.admin.post("/prices", {
                "name": "heard", "book": "sale", "currency": "USD",
                "prices": [{"model": "up/ear", "price": price}]}))
            account, key = self.shop.customer("0.15")  # as text at the price of sound it would be 6
            answer = client.call(self.shop.stage.url, "POST", "/v1/chat/completions", body, key)
            self.assertEqual(answer.status, status, answer.text)
            if status == 402:
                self.assertEqual(answer.error["code"], "model_unpriced")
                self.assertIn("no price for audio_in", answer.error["message"])
                continue
            self.shop.settled()
            (receipt,) = self.shop.receipts(account)
            self.assertEqual(receipt["charge"], charge)

    def test_what_a_list_lacks_is_named(self):
        _, key = self.shop.customer("100")
        answer, _ = websocket.connect(self.shop.stage.url, "/v1/realtime?model=up%2Fmute", key)
        self.assertEqual((answer.status, answer.error["code"]), (402, "model_unpriced"), answer.text)
        self.assertIn("has no price for audio_in, audio_out,", answer.error["message"])


class Durable(unittest.TestCase):
    def test_what_was_answered_is_booked_whenever_the_worker_is_killed(self):
        """With durability disk no last byte leaves before its settlement is on the disk."""
        with Shop(ledger={"durability": "disk"}) as shop:
            account, key = shop.customer("1")
            for stream in (False, True):
                usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
                shop.stage.upstream.add("random", lambda exchange: whole_or_stream(exchange, usage))
                answer = ask(shop.stage.url, key, "up/random", stream, max_tokens=20)
                for pid in shop.stage.gateway.workers():
                    os.kill(pid, signal.SIGKILL)
                self.assertEqual((answer.status, answer.clean), (200, True), answer.text)
                # The listening socket outlives workers: this is answered by the next one.
                self.assertEqual(client.call(shop.stage.url, "GET", "/v1/models", None, key).status, 200)

            def booked():
                try:
                    return len(shop.receipts(account)) == 2
                except OSError:
                    return False  # the next worker's admin API is not there yet
            wait_for(booked, 20, "both receipts")
            shop.settled()
            self.assertEqual(shop.balance(account), 1 - 2 * (20 * Decimal("0.001") + 10 * Decimal("0.002")))
            shop.proven(self)


class Reconciliation(unittest.TestCase):
    def test_reported_estimated_and_billed_stand_side_by_side_by_api_and_command(self):
        with Shop() as shop:
            account, key = shop.customer("100")
            usage = {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50}
            shop.stage.upstream.add("random", lambda exchange: exchange.answer(body=chat(usage=usage)))
            # Of the other one nobody reports what was used.
            shop.stage.upstream.add("greedy", lambda exchange: exchange.answer(body=chat(usage=None)))
            for model, count in (("up/random", 3), ("up/greedy", 2)):
                for _ in range(count):
                    self.assertEqual(ask(shop.stage.url, key, model).status, 200)
            shop.settled()
            charged = {model: sum((Decimal(row["charge"]) for row in rows), Decimal(0)) for model, rows in (
                (name, [row for row in shop.receipts(account) if row["model_used"] == name])
                for name in ("random", "greedy"))}
            self.assertEqual(charged["random"], 3 * (30 * Decimal("0.001") + 20 * Decimal("0.002")))
            self.assertGreater(charged["greedy"], 0)

            lines = {row["model"]: row for row in shop.must(200, shop.admin.get("/reconciliation"))["data"]}
            self.assertEqual(sorted(lines), ["greedy", "random"])
            reported, estimated = lines["random"]["reported"], lines["greedy"]["estimated"]
            self.assertEqual((reported["requests"], estimated["requests"]), (3, 2))
            self.assertEqual((lines["random"]["estimated"]["requests"], lines["greedy"]["reported"]["requests"]),
                             (0, 0))
            for model, line in lines.items():
                self.assertEqual(Decimal(line["billed"]["USD"]["charge"]), charged[model])
            only = shop.must(200, shop.admin.get("/reconciliation?model=greedy"))["data"]
            self.assertEqual([row["model"] for row in only], ["greedy"])
            yesterday = shop.must(200, shop.admin.get("/reconciliation?from=2026-01-01&to=2026-01-02"))["data"]
            self.assertEqual(yesterday, [])

            def command(*more):
                gateway = shop.stage.gateway
                done = subprocess.run([gateway.binary, "ledger", "reconcile", "--state", str(gateway.state), *more],
                                      env=gateway.env, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                return done.stdout
            day = lines["random"]["day"]
            told = json.loads(command("--from", day, "--to", day, "--json"))
            self.assertEqual({row["model"]: row for row in told}, lines)
            rows = [line.split() for line in command("--from", day).splitlines()[1:]]
            self.assertEqual(sorted((row[2], row[3], row[4]) for row in rows),
                             [("greedy", "estimated", "2"), ("random", "reported", "3")])


class Crashes(unittest.TestCase):
    def test_a_killed_worker_loses_nothing_and_doubles_nothing(self):
        with Shop() as shop:
            account, key = shop.customer("1000")
            got, lock, stopped = [], threading.Lock(), threading.Event()

            def spend(number):
                while not stopped.is_set():
                    name = f"crash-{number}-{time.monotonic_ns()}"
                    stream = number % 2 == 0
                    body = {"model": "up/random", "messages": client.MESSAGES, "stream": stream,
                            "max_tokens": 60, "user": name}
                    try:
                        answer = client.call(shop.stage.url, "POST", "/v1/chat/completions", body, key,
                                             {"X-Request-Id": name}, timeout=10)
                    except OSError:
                        continue
                    whole = answer.status == 200 and answer.clean and (
                        not stream or answer.events()[-1:] == ["[DONE]"])
                    if whole:
                        with lock:
                            got.append(name)

            threads = [threading.Thread(target=spend, args=(number,)) for number in range(6)]
            for thread in threads:
                thread.start()
            seed = random.Random(20)
            for _ in range(20):
                count = len(got)
                wait_for(lambda: len(got) >= count + seed.randint(1, 12), 20, "answers")
                for pid in shop.stage.gateway.workers():
                    os.kill(pid, signal.SIGKILL)
            count = len(got)
            wait_for(lambda: len(got) > count, 20, "answers after the last crash")
            stopped.set()
            for thread in threads:
                thread.join()
            shop.settled()
            receipts = [receipt for receipt in shop.receipts(account) if receipt["ended"] != "failed"]
            names = [receipt["request_id"] for receipt in receipts]
            self.assertEqual(len(names), len(set(names)), "a request was charged twice")
            self.assertEqual(set(got) - set(names), set(), "an answer was not charged")
            seen = {request.json()["user"] for request in shop.stage.upstream.requests}
            self.assertEqual(set(names) - seen, set(), "the upstream does not know of what was charged")
            with sqlite3.connect(f"file:{shop.stage.gateway.state}/switchyard.db?mode=ro", uri=True) as books:
                interrupted = {row[0] for row in books.execute("SELECT request_id FROM interrupted")}
            self.assertEqual(interrupted & set(names), set(), "what was released was charged")
            spent = sum(Decimal(receipt["charge"] or "0") for receipt in receipts)
            self.assertEqual(shop.balance(account), 1000 - spent)
            self.assertEqual(shop.available(key), shop.balance(account))
            shop.proven(self)


if __name__ == "__main__":
    unittest.main()
