"""A second attempt beside a stream that is slow to begin: who is first answers, the other is given up and paid for."""

import sqlite3
import threading
import unittest
from decimal import Decimal

from stage import Stage, live, wait_for  # first: it says where the others are
from admin import Admin
import client
from upstream import chunk_of, error_body, usage_chunk

# Nothing but the hedge makes a request go on before its test says so.
PATIENT = {"connect": "5s", "first_byte": "60s", "first_token": "60s", "between_bytes": "60s", "total": "60s"}
BREAKER = {"enabled": False}


def well(exchange, word, *more):
    exchange.start_stream()
    exchange.event(chunk_of({"role": "assistant", "content": ""}))
    exchange.event(chunk_of({"content": word}))
    for event in (chunk_of({}, "stop"), *more, "[DONE]"):
        exchange.event(event)
    exchange.last_chunk()
    return True


class Hedged(Stage):
    """Of two models the first is quick until `slow` is set; then it says nothing, or what `says` makes it."""

    def __init__(self, percent=100, timeouts=None, warm=20, **more):
        super().__init__(up={"timeouts": {**PATIENT, **(timeouts or {})}, "breaker": BREAKER},
                         models={"hedged": {"candidates": ["up/first", "up/second"],
                                            "hedge": {"percent": percent, "after_min": "50ms"}, **more}})
        self.slow = threading.Event()
        self.says = lambda exchange: exchange.wait()
        self.second_says = lambda exchange: well(exchange, "second")
        self.upstream.add("first", lambda exchange: self.says(exchange) if self.slow.is_set()
                          else well(exchange, "first"))
        self.upstream.add("second", lambda exchange: self.second_says(exchange))
        for _ in range(warm):
            assert self.ask() == ["up/first", "first", ""]
        self.slow.set()
        self.upstream.clear()

    def ask(self, model="hedged", **more):
        """Who answered, with which text, and the path that the record tells."""
        answer = self.chat(model, stream=True, **more)
        assert answer.status == 200, answer.text
        return [answer.header("x-switchyard-model"), client.text_of(answer.events()),
                self.record(answer)["fallback_path"] or ""]

    def asked(self, model):
        return [request for request in self.upstream.requests if request.model == model]


class Hedging(unittest.TestCase):
    def stage(self, **more):
        stage = Hedged(**more)
        self.addCleanup(stage.close)
        return stage

    def test_a_stream_that_is_slow_to_begin_is_answered_by_the_next_candidate(self):
        stage = self.stage()

        def preamble(exchange):
            exchange.start_stream()
            exchange.event(chunk_of({"role": "assistant", "content": ""}))
            exchange.wait()
        stage.says = preamble
        answer = stage.chat("hedged", stream=True)
        record = stage.record(answer)
        self.assertEqual(record["fallback_path"], "up/first:outrun > up/second:ok")
        self.assertEqual(record("model_used", "attempts", "final_status"), ("second", 2, "ok"))
        # One well-formed stream: nothing of the first one's preamble is in it.
        self.assertEqual(answer.text.count('"role"'), 1, answer.text)
        self.assertTrue(answer.text.rstrip().endswith("[DONE]"))
        self.assertTrue(stage.asked("first")[0].left.wait(10), "the first attempt was not cancelled")

    def test_a_first_one_that_is_first_after_all_answers(self):
        stage = self.stage()
        gate = threading.Event()

        def late(exchange):
            gate.wait(20)
            return well(exchange, "late")

        def never(exchange):
            gate.set()
            exchange.wait()
        stage.says, stage.second_says = late, never
        self.assertEqual(stage.ask(), ["up/first", "late", "up/second:outrun > up/first:ok"])
        self.assertTrue(stage.asked("second")[0].left.wait(10), "the second attempt was not cancelled")

    def test_one_that_fails_leaves_it_to_the_other(self):
        stage = self.stage()
        failed, gate = (500, error_body("Ill.")), threading.Event()

        def fails_late(exchange):
            gate.wait(20)
            return exchange.answer(*failed)

        def answers_late(exchange):
            gate.set()
            stage.asked("first")[0].done.wait(20)
            return well(exchange, "second")
        stage.says, stage.second_says = fails_late, answers_late
        self.assertEqual(stage.ask(), ["up/second", "second", "up/first:server > up/second:ok"])

        gate.clear()
        stage.upstream.clear()

        def first_late(exchange):
            stage.upstream.wait_requests(2)
            stage.asked("second")[0].done.wait(20)
            return well(exchange, "first")
        stage.says, stage.second_says = first_late, lambda exchange: exchange.answer(*failed)
        self.assertEqual(stage.ask(), ["up/first", "first", "up/second:server > up/first:ok"])

    def test_where_both_fail_the_client_gets_one_error(self):
        stage = self.stage()

        def fails_late(exchange):
            stage.upstream.wait_requests(2)
            return exchange.answer(500, error_body("Ill."))
        stage.says = stage.second_says = fails_late
        answer = stage.chat("hedged", stream=True, headers={"x-switchyard-timeout": "30000"})
        self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_error"), answer.text)
        path = stage.record(answer)["fallback_path"]
        self.assertEqual({step.partition(":")[0] for step in path.split(" > ")}, {"up/first", "up/second"})

    def test_hedges_stay_within_their_share(self):
        # Five percent of twenty calls is one; the second slow one has to wait for its timeout.
        stage = self.stage(percent=5, timeouts={"first_token": "1s"})
        self.assertEqual(stage.ask()[2], "up/first:outrun > up/second:ok")
        self.assertEqual(stage.ask()[2], "up/first:timeout > up/second:ok")

    def test_none_is_made_before_enough_is_known(self):
        stage = self.stage(warm=19, timeouts={"first_token": "1s"})
        self.assertEqual(stage.ask()[2], "up/first:timeout > up/second:ok")

    def test_none_goes_to_a_candidate_that_is_closed_off(self):
        stage = self.stage(timeouts={"first_token": "1s"})
        self.assertEqual(stage.ask()[2], "up/first:outrun > up/second:ok")
        admin = Admin(stage.gateway)
        lanes = {lane["model"]: lane["id"] for lane in admin.get("/breakers?all=true").json()["data"]}
        self.assertEqual(admin.post(f"/breakers/{lanes['second']}", {"state": "open"}).status, 200)
        stage.upstream.clear()
        answer = stage.chat("hedged", stream=True)
        self.assertEqual(answer.status, 504, answer.text)
        self.assertEqual(stage.asked("second"), [])

    def test_a_client_that_leaves_ends_both(self):
        stage = self.stage()
        stage.second_says = lambda exchange: exchange.wait()
        connection = client.Connection(stage.url)
        connection.send_request("POST", "/v1/chat/completions",
                                {"model": "hedged", "messages": client.MESSAGES, "stream": True}, stage.key)
        requests = stage.upstream.wait_requests(2)
        connection.close()
        for request in requests:
            self.assertTrue(request.left.wait(10), request.model)

    def test_other_dialects_get_one_stream_too(self):
        stage = self.stage()
        body = {"model": "hedged", "max_tokens": 50, "stream": True, "messages": client.MESSAGES}
        answer = stage.call("POST", "/v1/messages", body, headers={"anthropic-version": "2023-06-01"})
        self.assertEqual(answer.text.count("event: message_start"), 1, answer.text)
        self.assertIn('"second"', answer.text)
        self.assertEqual(answer.text.count("event: message_stop"), 1, answer.text)

    def test_the_client_pays_for_one_and_the_operator_for_both(self):
        stage = self.stage()
        admin = Admin(stage.gateway)
        price = {"input": "1000", "output": "2000"}
        self.assertEqual(admin.post("/prices", {
            "name": "list", "book": "purchase", "currency": "USD",
            "prices": [{"provider": "up", "model": model, "price": price} for model in ("first", "second")]}).status, 201)
        self.assertEqual(admin.post("/prices", {
            "name": "retail", "book": "sale", "currency": "USD",
            "prices": [{"model": "hedged", "price": price}]}).status, 201)
        wait_for(lambda: "prices_loaded version=2" in stage.gateway.log(), what="the prices")
        account = admin.post("/accounts", {"name": "c", "mode": "prepaid", "currency": "USD"}).json()["id"]
        key = admin.post("/keys", {"name": "k", "account": account}).json()["key"]
        order = admin.post("/orders", {"account": account, "provider": "manual", "amount": "100",
                                       "currency": "USD"}).json()["id"]
        self.assertEqual(admin.post(f"/orders/{order}/pay", {"payment": "cash"}).status, 200)
        wait_for(lambda: "100" in admin.get(f"/ledger/balances?account={account}").text, what="the money")
        stage.second_says = lambda exchange: well(exchange, "second", usage_chunk())
        answer = stage.chat("hedged", stream=True, key=key)
        self.assertEqual(answer.status, 200, answer.text)
        self.assertEqual(stage.record(answer)["fallback_path"], "up/first:outrun > up/second:ok")
        receipts = wait_for(lambda: admin.get(f"/ledger/receipts?account={account}").json()["data"], what="the receipt")
        self.assertEqual(len(receipts), 1)
        self.assertEqual((receipts[0]["model_used"], Decimal(receipts[0]["charge"])), ("second", Decimal("0.021")))
        self.assertEqual(admin.get("/ledger/verify").json(), {"proven": True, "violations": []})
        with sqlite3.connect(stage.gateway.state / "switchyard.db", timeout=10) as database:
            costs = database.execute("SELECT model, outcome, amount, estimated FROM costs ORDER BY seq").fetchall()
        self.assertEqual([cost[:2] for cost in costs], [("first", "outrun"), ("second", "completed")], costs)
        # The loser read the prompt and brought nothing: about a token for each four bytes of the body.
        self.assertEqual((costs[0][2] % 1_000_000, costs[0][3]), (0, 1))
        self.assertGreater(costs[0][2], 5 * 1_000_000)
        self.assertEqual(costs[1][2:], (21_000_000, 0))


if __name__ == "__main__":
    unittest.main(verbosity=2)
