"""Responses that are stored: asked for again, gone on with, run in the background and removed, by the account whose
they are and nobody else."""

import json
import os
import pathlib
import signal
import threading
import unittest
from decimal import Decimal

from stage import PATIENT, TIMEOUTS, Stage, provider, wait_for  # first: it says where the others are
import client
import odd_json
import vendors
from upstream import ANSWER, USAGE, Upstream, good

SECRET = "the cellar is full of quicksilver"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}


class Stored(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vendor = Upstream()
        cls.addClassCleanup(cls.vendor.close)
        vendors.add(cls.vendor)
        cls.stage = Stage(workers=2, up=PATIENT, providers={
            "claude": {"plugin": "anthropic", "base_url": cls.vendor.origin + "/v1", "models": ["claude-opus-5-5"],
                       "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}], "timeouts": TIMEOUTS}})
        cls.addClassCleanup(cls.stage.close)
        cls.token = (pathlib.Path(cls.stage.gateway.state) / "admin.token").read_text().strip()
        cls.account = cls.admin("POST", "/accounts", {"name": "one"})["id"]
        cls.key = cls.mint(account=cls.account)

    @classmethod
    def admin(cls, method, path, body=None):
        answer = client.call(cls.stage.gateway.admin_url, method, "/admin/v1" + path, body, cls.token)
        if answer.status >= 300:
            raise AssertionError(answer.text)
        return answer.json()

    @classmethod
    def mint(cls, **fields):
        return cls.admin("POST", "/keys", {"name": "app", "stores_bodies": True, **fields})["key"]

    def call(self, method, path, body=None, status=200, key=None):
        answer = self.stage.call(method, "/v1/responses" + path, body, key or self.key)
        self.assertEqual(answer.status, status, answer.text)
        return answer

    def ask(self, said="Hello?", status=200, key=None, model="up/good", **members):
        """A response; of a stream the one that its last event tells of."""
        answer = self.call("POST", "", {"model": model, "input": said, **members}, status, key)
        if not members.get("stream"):
            return answer.json()
        last = [line for line in answer.text.split("\n") if line.startswith("data: ")][-1]
        return json.loads(last.removeprefix("data: "))["response"]

    def sent(self):
        return self.stage.upstream.requests[-1].json()["messages"]

    def test_a_response_can_be_asked_for_as_soon_as_it_is_there(self):
        for stream in (False, True):
            said = self.ask(stream=stream)
            self.assertTrue(said["store"])
            self.assertEqual(self.call("GET", f"/{said['id']}").json(), said)
        self.assertNotEqual(said["id"], self.ask()["id"])

    def test_a_response_goes_on_from_another_with_all_that_came_before(self):
        first = self.ask("One", instructions="Be brief.")
        second = self.ask([{"role": "user", "content": "Two"}], previous_response_id=first["id"], stream=True)
        self.assertEqual(second["previous_response_id"], first["id"])
        third = self.ask("Three", previous_response_id=second["id"], store=False)
        said = {"role": "assistant", "content": ANSWER}
        self.assertEqual(self.sent(), [
            {"role": "user", "content": "One"}, said, {"role": "user", "content": "Two"}, said,
            {"role": "user", "content": "Three"}])
        self.assertEqual((third["previous_response_id"], third["store"]), (second["id"], False))
        self.call("GET", f"/{third['id']}", status=404)

    def test_calls_and_signed_thinking_come_back_to_their_vendor(self):
        body = {"model": "claude/claude-opus-5-5", "tools": [WEATHER], "reasoning": {"effort": "low"}}
        for stream in (False, True):
            first = self.ask("The weather?", stream=stream, **body)
            calls = [item for item in first["output"] if item["type"] == "function_call"]
            self.assertEqual(len(calls), 2)
            results = [{"type": "function_call_output", "call_id": call["call_id"], "output": "rain"} for call in calls]
            # The vendor's stand-in refuses thinking that comes back without its signature.
            second = self.ask(results, previous_response_id=first["id"], stream=stream, **body)
            self.assertIn("after 2 results", second["output"][-1]["content"][0]["text"])

    def test_input_items_are_listed_in_pages(self):
        first = self.ask("One")
        second = self.ask([{"role": "user", "content": [{"type": "input_text", "text": "Two"}]}],
                          previous_response_id=first["id"])
        path = f"/{second['id']}/input_items"
        page = self.call("GET", path + "?order=asc&limit=2").json()
        self.assertEqual((page["object"], page["has_more"]), ("list", True))
        self.assertEqual(page["data"][0]["content"], [{"type": "input_text", "text": "One"}])
        self.assertEqual(page["data"][1], first["output"][0])
        self.assertEqual((page["first_id"], page["last_id"]), (page["data"][0]["id"], first["output"][0]["id"]))
        rest = self.call("GET", f"{path}?order=asc&after={page['last_id']}").json()
        self.assertEqual([item["content"][0]["text"] for item in rest["data"]], ["Two"])
        self.assertFalse(rest["has_more"])
        newest = self.call("GET", path).json()["data"]
        self.assertEqual([item["role"] for item in newest], ["user", "assistant", "user"])
        self.assertEqual(newest[0]["content"][0]["text"], "Two")
        self.assertEqual(self.call("GET", path + "?limit=0", status=400).error["param"], "limit")
        self.assertEqual(self.call("GET", path + "?after=none", status=400).error["param"], "after")

    def test_a_message_that_was_sent_as_a_string_is_listed_as_the_part_it_stands_for(self):
        said = self.ask([{"role": "user", "content": "One"}, {"role": "assistant", "content": "Eins"}])
        user, assistant = self.call("GET", f"/{said['id']}/input_items?order=asc").json()["data"]
        self.assertEqual((user["status"], user["content"]), ("completed", [{"type": "input_text", "text": "One"}]))
        self.assertEqual((assistant["status"], assistant["content"]),
                         ("completed", [{"type": "output_text", "text": "Eins", "annotations": []}]))

    def test_what_is_removed_is_gone_and_what_went_on_from_it_stays(self):
        first = self.ask("One")
        second = self.ask("Two", previous_response_id=first["id"])
        gone = self.call("DELETE", f"/{first['id']}").json()
        self.assertEqual(gone, {"id": first["id"], "object": "response", "deleted": True})
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
            self.assertEqual(self.call(method, f"/{first['id']}{path}", status=404).error["code"],
                             "response_not_found")
        refused = self.call("POST", "", {"model": "up/good", "input": "x", "previous_response_id": first["id"]}, 400)
        self.assertEqual((refused.error["code"], refused.error["param"]),
                         ("previous_response_not_found", "previous_response_id"))
        self.ask("Three", previous_response_id=second["id"])
        self.assertEqual(len(self.sent()), 5)

    def test_only_the_account_reads_it(self):
        said = self.ask()["id"]
        sibling, stranger = self.mint(account=self.account), self.mint()
        self.call("GET", f"/{said}", key=sibling)
        self.ask(previous_response_id=said, key=sibling)
        for method, path in (("GET", ""), ("GET", "/input_items"), ("DELETE", ""), ("POST", "/cancel")):
            self.call(method, f"/{said}{path}", status=404, key=stranger)
        self.ask(previous_response_id=said, key=stranger, status=400)
        self.call("GET", f"/{said}")

    def test_nothing_is_stored_that_should_not_be(self):
        self.call("GET", f"/{self.ask(store=False)['id']}", status=404)
        plain = self.mint(account=self.account, stores_bodies=False)
        said = self.ask(key=plain)
        self.assertFalse(said["store"])
        self.call("GET", f"/{said['id']}", status=404)
        for answer in (self.call("GET", f"/{said['id']}", status=400, key=plain),
                       self.call("POST", "", {"model": "up/good", "input": "x", "previous_response_id": "resp_1"}, 400,
                                 plain)):
            self.assertEqual(answer.error["code"], "not_stored")
            self.assertIn("--stores-bodies yes", answer.error["message"])
        failed = self.stage.call("POST", "/v1/responses", {"model": "up/cut-between-events", "input": "x",
                                                           "stream": True}, self.key)
        ids = {json.loads(line[6:])["response"]["id"] for line in failed.text.split("\n")
               if line.startswith("data: ") and '"response":' in line}
        self.assertEqual(len(ids), 1)
        self.call("GET", f"/{ids.pop()}", status=404)

    def test_what_is_not_offered_is_refused_with_advice(self):
        said = self.ask()["id"]
        refused = self.call("POST", f"/{said}/cancel", status=400).error
        self.assertEqual(refused["code"], "not_in_background")
        self.assertIn("close its connection", refused["message"])
        self.assertEqual(self.call("GET", f"/{said}?stream=true", status=400).error["param"], "stream")
        body = {"model": "up/good", "input": "x", "conversation": "conv_1"}
        self.assertEqual(self.call("POST", "", body, 400).error["code"], "unsupported_parameter")
        self.assertEqual(self.call("PUT", f"/{said}", {}, 405).header("allow"), "GET, DELETE")
        self.call("GET", f"/{said}/nonsense", status=404)

    def test_an_item_is_named_instead_of_sent_again(self):
        first = self.ask([{"id": "msg_mine", "role": "user", "content": "One"}, {"role": "user", "content": "Two"}])
        listed = self.call("GET", f"/{first['id']}/input_items?order=asc").json()["data"]
        answer = first["output"][0]["id"]
        named = [{"type": "item_reference", "id": item} for item in ("msg_mine", listed[1]["id"], answer)]
        for stream in (False, True):
            self.ask([*named, {"role": "user", "content": "Three"}], stream=stream)
            self.assertEqual([(message["role"], message["content"]) for message in self.sent()],
                             [("user", "One"), ("user", "Two"), ("assistant", ANSWER), ("user", "Three")])
        # What is stored holds the items themselves.
        third = self.ask([{"id": answer}, {"role": "user", "content": "And?"}])
        self.call("DELETE", f"/{first['id']}")
        self.ask("Last", previous_response_id=third["id"])
        self.assertEqual([message["content"] for message in self.sent()], [ANSWER, "And?", ANSWER, "Last"])

    def test_an_item_of_nobody_or_somebody_else_is_refused(self):
        item = self.ask()["output"][0]["id"]
        body = {"model": "up/good", "input": [{"role": "user", "content": "x"}, {"type": "item_reference", "id": item}]}
        self.call("POST", "", body)
        for key, body in ((self.mint(), body), (self.key, {**body, "input": [
                body["input"][0], {"type": "item_reference", "id": "msg_none"}]})):
            refused = self.call("POST", "", body, 400, key).error
            self.assertEqual((refused["code"], refused["param"]), ("item_not_found", "input[1].id"))
        plain = self.mint(account=self.account, stores_bodies=False)
        self.assertEqual(self.call("POST", "", body, 400, plain).error["code"], "not_stored")

    def test_a_conversation_that_grew_beyond_the_keys_limit_is_refused(self):
        small = self.mint(account=self.account, body_bytes_max=2000)
        first = self.ask("x" * 1500, key=small)
        refused = self.call("POST", "", {"model": "up/good", "input": "y" * 1000,
                                         "previous_response_id": first["id"]}, 413, small)
        self.assertEqual(refused.error["param"], "previous_response_id")

    def test_tokens_are_counted_of_all_that_came_before(self):
        first = self.ask("word " * 400)
        body = {"model": "up/good", "input": "x"}
        alone = self.call("POST", "/input_tokens", body).json()["input_tokens"]
        both = self.call("POST", "/input_tokens", {**body, "previous_response_id": first["id"]}).json()["input_tokens"]
        self.assertGreater(both, alone + 300)

    def test_nothing_can_be_read_on_the_disk(self):
        said = self.ask(SECRET)["id"]
        self.call("GET", f"/{said}/input_items")
        for file in pathlib.Path(self.stage.gateway.state).rglob("*"):
            if file.is_file() and "listen" not in file.name:
                self.assertNotIn(SECRET.encode(), file.read_bytes(), file)

    def test_it_is_there_after_a_restart(self):
        with Stage(up=PATIENT) as stage:
            token = (pathlib.Path(stage.gateway.state) / "admin.token").read_text().strip()
            key = client.call(stage.gateway.admin_url, "POST", "/admin/v1/keys",
                              {"name": "app", "stores_bodies": True}, token).json()["key"]
            said = stage.call("POST", "/v1/responses", {"model": "up/good", "input": "x"}, key).json()
            stage.gateway.stop()
            stage.gateway.start()
            again = client.call(stage.gateway.url, "GET", f"/v1/responses/{said['id']}", None, key)
            self.assertEqual(again.json(), said)


class Background(unittest.TestCase):
    """Responses that run while their client is away."""

    def setUp(self):
        self.stage = Stage(workers=2, up={**PATIENT, "models": ["gated", "good", "status-400"]},
                           models={"alias": "up/good"}, limits={"drain_timeout": "10s", "queue_timeout": "0s"})
        self.addCleanup(self.stage.close)
        self.opened = threading.Event()
        self.stage.upstream.add("gated", self.gated)
        price = {"input": "0", "output": "0", "call": "0.25"}
        self.admin("POST", "/prices", {"name": "retail", "book": "sale", "currency": "USD",
                                       "prices": [{"model": f"up/{name}", "price": price} for name in ("gated", "good")]})
        self.account = self.admin("POST", "/accounts", {"name": "c", "mode": "prepaid", "currency": "USD"})["id"]
        order = self.admin("POST", "/orders", {"account": self.account, "provider": "manual", "amount": "5",
                                               "currency": "USD"})["id"]
        self.admin("POST", f"/orders/{order}/pay", {"payment": "cash"})
        wait_for(lambda: self.balance() == Decimal(5), what="the money")
        self.key = self.mint()

    def gated(self, exchange):
        while not self.opened.is_set():
            exchange.wait(0.02)
        return good(exchange)

    def admin(self, method, path, body=None):
        token = (pathlib.Path(self.stage.gateway.state) / "admin.token").read_text().strip()
        answer = client.call(self.stage.gateway.admin_url, method, "/admin/v1" + path, body, token)
        self.assertLess(answer.status, 300, answer.text)
        return answer.json()

    def mint(self, **fields):
        return self.admin("POST", "/keys", {"name": "k", "account": self.account, "stores_bodies": True, **fields})["key"]

    def call(self, method, path="", body=None, status=200, key=None, **more):
        answer = client.call(self.stage.gateway.url, method, "/v1/responses" + path, body, key or self.key, **more)
        self.assertEqual(answer.status, status, answer.text)
        return answer

    def begin(self, model="up/gated", status=200, **members):
        key = members.pop("key", None)
        return self.call("POST", "", {"model": model, "input": "Hello?", "background": True, **members}, status, key)

    def state(self, said):
        return self.call("GET", f"/{said['id']}").json()

    def over(self, said):
        """The response once it runs no more."""
        wait_for(lambda: self.state(said)["status"] != "in_progress", what="the end of the response")
        return self.state(said)

    def upstream_asked(self, count=1):
        wait_for(lambda: len(self.stage.upstream.requests) == count, what="the upstream's request")
        return self.stage.upstream.requests[-1]

    def balance(self):
        rows = self.admin("GET", f"/ledger/balances?account={self.account}")["data"]
        return sum((Decimal(row["balance"]) for row in rows), Decimal(0))

    def test_it_is_answered_at_once_and_complete_later(self):
        begun = self.begin(instructions="Be brief.", metadata={"mine": "1"})
        said = begun.json()
        self.assertEqual((said["object"], said["status"], said["background"], said["store"], said["output"],
                          said["usage"], said["error"]), ("response", "in_progress", True, True, [], None, None))
        self.upstream_asked()
        self.assertEqual(self.state(said), said)
        self.assertEqual(self.call("GET", f"/{said['id']}/input_items").json()["data"][0]["role"], "user")
        refused = self.call("POST", "", {"model": "up/good", "input": "x", "previous_response_id": said["id"]}, 400)
        self.assertEqual(refused.error["code"], "previous_response_not_complete")
        self.opened.set()
        done = self.over(said)
        self.assertEqual((done["id"], done["created_at"], done["status"], done["background"], done["metadata"]),
                         (said["id"], said["created_at"], "completed", True, {"mine": "1"}))
        self.assertEqual(done["output"][0]["content"][0]["text"], ANSWER)
        self.assertEqual(done["usage"]["output_tokens"], USAGE["completion_tokens"])
        self.assertNotIn("background", self.stage.upstream.requests[0].json())
        record = self.stage.record(begun)
        self.assertEqual(record("status", "tokens_out", "client_left"), (200, USAGE["completion_tokens"], False))
        wait_for(lambda: self.balance() == Decimal("4.75"), what="the charge")
        self.begin("up/good", previous_response_id=said["id"])
        self.assertEqual(len(self.upstream_asked(2).json()["messages"]), 3)

    def test_it_is_cancelled_at_both_ends(self):
        begun = self.begin()
        said = begun.json()
        request = self.upstream_asked()
        for _ in range(2):
            cancelled = self.call("POST", f"/{said['id']}/cancel").json()
            self.assertEqual(cancelled, {**said, "status": "cancelled"})
        self.assertTrue(request.left.wait(10))
        self.assertTrue(self.stage.record(begun)["client_left"])
        self.assertEqual(self.state(said), cancelled)
        finished = self.over(self.begin("up/good").json())
        self.assertEqual(self.call("POST", f"/{finished['id']}/cancel").json(), finished)
        wait_for(lambda: "switchyard_ledger_holds_open 0" in
                 client.call(self.stage.gateway.admin_url, "GET", "/metrics").text, what="the holds' end")

    def test_one_that_is_removed_ends(self):
        said = self.begin().json()
        request = self.upstream_asked()
        self.call("DELETE", f"/{said['id']}")
        self.assertTrue(request.left.wait(10))
        self.call("GET", f"/{said['id']}", status=404)

    def test_what_fails_is_told_where_it_is_asked_for(self):
        failed = self.over(self.begin("up/status-400").json())
        self.assertEqual((failed["status"], failed["error"]["code"]), ("failed", "invalid_prompt"))
        self.assertTrue(failed["error"]["message"])
        self.assertEqual(self.begin("up/none", 404).error["code"], "model_not_found")
        self.assertEqual(self.begin(tool_choice="required", status=400).error["param"], "tool_choice")

    def test_what_can_not_be_done_in_the_background_is_refused(self):
        self.assertEqual(self.begin(stream=True, status=400).error["param"], "stream")
        self.assertEqual(self.begin(store=False, status=400).error["param"], "store")
        plain = self.begin(status=400, key=self.mint(stores_bodies=False)).error
        self.assertEqual((plain["code"], plain["param"]), ("not_stored", "background"))
        self.assertIn("--stores-bodies yes", plain["message"])
        counted = self.call("POST", "/input_tokens", {"model": "up/good", "input": "x", "background": True}, 400)
        self.assertEqual(counted.error["param"], "background")
        self.assertEqual(self.stage.upstream.requests, [])

    def test_it_has_its_part_of_the_keys_limits(self):
        key = self.mint(limits={"concurrency": 1})
        said = self.begin(key=key).json()
        self.assertEqual(self.begin(key=key, status=429).error["code"], "rate_limit_exceeded")
        self.opened.set()
        self.over(said)
        wait_for(lambda: client.call(self.stage.gateway.url, "POST", "/v1/responses", {
            "model": "up/good", "input": "x"}, key).status == 200, what="the place")

    def test_a_name_makes_it_run_once(self):
        named = {"Idempotency-Key": "one"}
        body = {"model": "up/gated", "input": "Hello?", "background": True}
        first, again = (self.call("POST", "", body, headers=named) for _ in range(2))
        self.assertEqual(first.json(), again.json())
        self.opened.set()
        self.over(first.json())
        self.assertEqual(len(self.stage.upstream.requests), 1)

    def test_a_gateway_that_is_stopped_lets_it_finish(self):
        said = self.begin().json()
        self.upstream_asked()
        self.stage.gateway.signal(signal.SIGTERM)
        wait_for(lambda: "draining deadline_ms" in self.stage.gateway.log(), what="the drain")
        self.opened.set()
        self.stage.gateway.wait()
        self.stage.gateway.stop()
        self.stage.gateway.start()
        self.assertEqual(self.state(said)["status"], "completed")

    def cut(self, end):
        said = self.begin().json()
        request = self.upstream_asked()
        end()
        failed = self.over(said)
        self.assertEqual((failed["status"], failed["error"]["code"]), ("failed", "server_error"))
        self.assertIn("stopped", failed["error"]["message"])
        self.assertTrue(request.left.wait(10))

    def test_one_that_a_drain_cuts_off_has_failed(self):
        self.stage.config["limits"]["drain_timeout"] = "100ms"
        self.stage.gateway.write_config(self.stage.config)

        def restart():
            self.stage.gateway.stop()
            self.stage.gateway.start()
        self.stage.gateway.signal(signal.SIGHUP)
        self.cut(restart)

    def test_one_whose_worker_is_killed_has_failed(self):
        def kill():
            before = self.stage.gateway.workers()
            os.kill(before[0], signal.SIGKILL)
            wait_for(lambda: self.stage.gateway.workers() not in ([], before), what="the next worker")
        self.cut(kill)


RESPONSE_USAGE = {"input_tokens": 11, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
         "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 16}


def response(status="completed", **more):
    return {"id": "resp_up", "object": "response", "created_at": 1795132800, "status": status, "model": "native-2026",
            "error": None, "output": [{"id": "msg_up", "type": "message", "role": "assistant", "status": status,
                                       "content": [{"type": "output_text", "text": ANSWER, "annotations": []}]}],
            "usage": RESPONSE_USAGE, "own_to_the_vendor": {"a": [1.0, 1e3]}, **more}


def native_events(last="response.completed"):
    status = last.removeprefix("response.")
    yield {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_up", "model": "n", "created_at": 1}}
    yield {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_up", "output_index": 0,
           "content_index": 0, "delta": ANSWER, "obfuscation": "x1"}
    if last:
        yield {"type": last, "sequence_number": 2, "response": response(status)}


def native(exchange):
    """A script of an upstream that speaks Responses and nothing else."""
    request = exchange.request
    if request.target == "/v1/responses/input_tokens":
        return exchange.answer(body={"object": "response.input_tokens", "input_tokens": 77})
    if request.target != "/v1/responses":
        return exchange.answer(404, {"error": {"message": f"no {request.target}", "type": "invalid_request_error"}})
    fault = request.json().get("user")
    if fault == "refused":
        return exchange.answer(400, {"error": {"message": "Bad 'input'.", "type": "invalid_request_error",
                                               "param": "input", "code": "invalid_value"}})
    if not request.streams:
        return exchange.answer(body=json.dumps(response("failed" if fault == "failed" else "completed", error=(
            {"code": "server_error", "message": "down"} if fault == "failed" else None)), indent=1))
    exchange.start_stream()
    events = list(native_events("" if fault == "cut" else "response.incomplete" if fault == "long"
                                else "response.completed"))
    if fault == "failed":
        events = [events[0], {"type": "response.failed", "sequence_number": 1, "response": response(
            "failed", error={"code": "server_error", "message": "down"})}]
    for event in events:
        exchange.chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")
    exchange.last_chunk()
    return True


class Native(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vendor = Upstream()
        cls.addClassCleanup(cls.vendor.close)
        for name in ("native", "other"):
            cls.vendor.add(name, native)
        speaks = {**provider(cls.vendor.url), "settings": {"responses": True}, "timeouts": PATIENT["timeouts"]}
        cls.stage = Stage(up=PATIENT, providers={"vendor": speaks},
                          models={"both": ["up/good", "vendor/native"],
                                  "once": {"candidates": ["vendor/native"], "retry": {"attempts_max": 1}}})
        cls.addClassCleanup(cls.stage.close)
        token = (pathlib.Path(cls.stage.gateway.state) / "admin.token").read_text().strip()
        cls.key = client.call(cls.stage.gateway.admin_url, "POST", "/admin/v1/keys",
                              {"name": "app", "stores_bodies": True}, token).json()["key"]

    def ask(self, body, status=200, key=None, **more):
        body = body if isinstance(body, str) else json.dumps({"model": "vendor/native", "input": "Hi", **body})
        answer = self.stage.call("POST", "/v1/responses", body, key or self.stage.key, **more)
        self.assertEqual(answer.status, status, answer.text)
        return answer

    def test_a_request_passes_byte_for_byte_but_for_the_models_name(self):
        known = ('"input" : [{"role":"user","content":"Hi", "x":1.0}]', '"model":  "vendor/native"')
        for sent in odd_json.bodies(known):
            self.ask(sent)
            self.assertEqual(self.vendor.requests[-1].body.decode(), sent.replace("vendor/native", "native"))

    def test_a_whole_answer_comes_as_it_was_and_its_usage_is_known(self):
        answer = self.ask({})
        self.assertEqual(answer.text, json.dumps(response(), indent=1))
        self.assertIsNone(answer.header("x-switchyard-dropped"))
        self.assertEqual(self.stage.record(answer)("tokens_in", "tokens_out", "estimated", "finish"),
                         (11, 5, False, "stop"))

    def test_a_stream_comes_as_it_was(self):
        answer = self.ask({"stream": True})
        self.assertEqual(answer.text, "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                                              for event in native_events()))
        self.assertEqual(self.stage.record(answer)("tokens_in", "tokens_out", "estimated"), (11, 5, False))
        long = self.ask({"stream": True, "user": "long"})
        self.assertIn("response.incomplete", long.text)

    def test_what_only_the_vendor_knows_passes_to_it_and_to_nobody_else(self):
        for more in ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, {"prompt": {"id": "pmpt_1"}}):
            self.ask(more)
            self.ask({"model": "both", **more})  # the other candidate is left out
            refused = self.ask({"model": "up/good", **more}, 400)
            self.assertEqual(refused.error["code"], "unsupported_parameter")

    def test_faults_are_told_in_the_dialect(self):
        refused = self.ask({"user": "refused"}, 400).error
        self.assertEqual((refused["message"], refused["param"]), ("Bad 'input'.", "input"))
        self.assertEqual(self.ask({"model": "once", "user": "failed"}, 502).error["code"], "upstream_error")
        cut = self.ask({"model": "once", "user": "cut", "stream": True})
        events = [json.loads(line[6:]) for line in cut.text.split("\n") if line.startswith("data: ")]
        self.assertEqual([event["type"] for event in events[-2:]], ["error", "response.failed"])
        self.assertEqual([event["sequence_number"] for event in events], [0, 1, 2, 3])
        self.assertEqual(events[-1]["response"]["id"], "resp_up")

    def test_tokens_are_counted_there(self):
        answer = self.stage.call("POST", "/v1/responses/input_tokens", {"model": "vendor/native", "input": "x"})
        self.assertEqual(answer.json()["input_tokens"], 77)
        self.assertIsNone(answer.header("x-switchyard-estimated"))

    def test_what_is_stored_goes_on_anywhere(self):
        for stream in (False, True):
            first = self.ask({"stream": stream}, key=self.key)
            sent = self.vendor.requests[-1].json()
            self.assertEqual(sent["include"], ["reasoning.encrypted_content"])
            self.ask({"include": ["message.output_text.logprobs"]}, key=self.key)
            self.assertEqual(self.vendor.requests[-1].json()["include"],
                             ["message.output_text.logprobs", "reasoning.encrypted_content"])
            stored = self.stage.call("GET", "/v1/responses/resp_up", None, self.key)
            self.assertEqual(stored.json(), response())
            self.ask({"model": "up/good", "input": "And?", "previous_response_id": "resp_up"}, key=self.key)
            self.assertEqual([message["role"] for message in self.stage.upstream.requests[-1].json()["messages"]],
                             ["user", "assistant", "user"])
            self.ask({"input": "And?", "previous_response_id": "resp_up"}, key=self.key)
            sent = self.vendor.requests[-1].json()
            self.assertNotIn("previous_response_id", sent)
            self.assertEqual([item["role"] for item in sent["input"]], ["user", "assistant", "user"])

    def test_another_server_of_the_dialect_is_spoken_to_in_chat(self):
        self.stage.call("POST", "/v1/responses", {"model": "up/good", "input": "x"})
        self.assertEqual(self.stage.upstream.requests[-1].target, "/v1/chat/completions")


if __name__ == "__main__":
    unittest.main()
