"""Responses that are stored: asked for again, gone on with and removed, by the account whose they are and nobody else."""

import json
import pathlib
import unittest

from stage import PATIENT, TIMEOUTS, Stage  # first: it says where the others are
import client
import vendors
from upstream import ANSWER, Upstream

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
        self.assertIn("close its connection", self.call("POST", f"/{said}/cancel", status=400).error["message"])
        self.assertEqual(self.call("GET", f"/{said}?stream=true", status=400).error["param"], "stream")
        for members in ({"background": True}, {"conversation": "conv_1"},
                        {"input": [{"type": "item_reference", "id": "msg_1"}]}):
            body = {"model": "up/good", "input": "x", **members}
            self.assertEqual(self.call("POST", "", body, 400).error["code"], "unsupported_parameter")
        self.assertEqual(self.call("PUT", f"/{said}", {}, 405).header("allow"), "GET, DELETE")
        self.call("GET", f"/{said}/nonsense", status=404)

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


if __name__ == "__main__":
    unittest.main()
