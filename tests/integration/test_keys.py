"""Accounts and gateway keys: what a key may do holds at once and on every loop, and its secret is seen once."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest
import urllib.parse

from stage import GATEWAY_KEY, PATIENT, Stage, live, wait_for  # first: it says where the others are
import client

FAR = "2035-01-01T00:00:00Z"
PAST = "2020-01-01T00:00:00Z"
INJECTIONS = ["' OR '1'='1", "'; DROP TABLE keys; --", "\" UNION SELECT mac FROM keys --", "%27%20OR%201=1",
              "../../admin.token", "${HOME}", "a\tb", "\u202e", "{{7*7}}", "x" * 5000]


class Case(unittest.TestCase):
    config = {}

    def setUp(self):
        self.stage = Stage(workers=2, up=PATIENT, **self.config)
        self.addCleanup(self.stage.close)
        self.token = (pathlib.Path(self.stage.gateway.state) / "admin.token").read_text().strip()

    def api(self, method, path, body=None, status=None):
        answer = client.call(self.stage.gateway.admin_url, method, "/admin/v1" + path, body, self.token)
        wanted = status or (201 if method == "POST" and path in ("/keys", "/accounts") else 200)
        self.assertEqual(answer.status, wanted, answer.text)
        return answer.json()

    def mint(self, **fields):
        return self.api("POST", "/keys", {"name": "app", **fields})

    def cli(self, *args, code=0):
        done = subprocess.run([self.stage.gateway.binary, *args, "--state", str(self.stage.gateway.state)],
                              env=self.stage.gateway.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def ask(self, key, model="up/good", **more):
        return self.stage.chat(model, key=key, **more)

    def refused(self, key, status, code, **more):
        answer = self.ask(key, **more)
        self.assertEqual((answer.status, answer.error["code"]), (status, code), answer.text)
        self.assertEqual(answer.error["type"], "invalid_request_error")
        return answer


class Keys(Case):
    def test_a_minted_key_works_at_once(self):
        account = self.api("POST", "/accounts", {"name": "Acme", "currency": "EUR"})
        minted = self.mint(account=account["id"])
        self.assertRegex(minted["key"], r"^sy-[\w-]{49}$")
        answer = self.ask(minted["key"])
        self.assertEqual(answer.status, 200, answer.text)
        record = self.stage.record(answer)
        self.assertEqual(record["key"], minted["id"])
        self.assertEqual(record.line["switchyard.account"], account["id"])

    def test_every_scope_refuses_with_a_code_of_its_own(self):
        cases = [({"models": ["up/other*"]}, 403, "model_not_allowed"),
                 ({"endpoints": ["embeddings", "images"]}, 403, "endpoint_not_allowed"),
                 ({"ip_ranges": ["10.0.0.0/8", "2001:db8::/32"]}, 403, "ip_not_allowed"),
                 ({"expires": PAST}, 401, "key_expired")]
        for fields, status, code in cases:
            with self.subTest(code):
                minted = self.mint(**fields)
                answer = self.refused(minted["key"], status, code)
                self.assertEqual(answer.header("www-authenticate"), "Bearer" if status == 401 else None)
                self.assertEqual(self.stage.record(answer)("key", "error_code"), (minted["id"], code))
                # The same key without the restriction.
                [name] = fields
                lifted = None if name == "expires" else []
                self.api("PATCH", f"/keys/{minted['id']}", {name: lifted})
                self.assertEqual(self.ask(minted["key"]).status, 200)

    def test_scopes_let_through_what_they_name(self):
        minted = self.mint(models=["up/g*"], endpoints=["chat"], ip_ranges=["127.0.0.0/8"], expires=FAR,
                           features=["coding"])
        self.assertEqual(self.ask(minted["key"]).status, 200)
        self.assertEqual(self.ask(minted["key"], headers={"X-Switchyard-Feature": "coding"}).status, 200)
        self.refused(minted["key"], 403, "feature_not_allowed", headers={"X-Switchyard-Feature": "search"})
        self.refused(minted["key"], 403, "model_not_allowed", model="up/other")
        models = self.stage.call("GET", "/v1/models", key=minted["key"]).json()["data"]
        self.assertNotIn("alias", [model["id"] for model in models])
        embeddings = self.stage.call("POST", "/v1/embeddings", {"model": "up/good", "input": "x"}, key=minted["key"])
        self.assertEqual((embeddings.status, embeddings.error["code"]), (403, "endpoint_not_allowed"))

    def test_disabled_and_enabled_and_gone(self):
        minted = self.mint()
        self.api("POST", f"/keys/{minted['id']}/disable")
        self.refused(minted["key"], 401, "key_disabled")
        self.api("POST", f"/keys/{minted['id']}/enable")
        self.assertEqual(self.ask(minted["key"]).status, 200)
        self.assertEqual(self.api("DELETE", f"/keys/{minted['id']}")["state"], "deleted")
        self.refused(minted["key"], 401, "key_disabled")
        error = self.api("POST", f"/keys/{minted['id']}/enable", status=409)["error"]
        self.assertEqual(error["code"], "key_deleted")
        self.api("POST", f"/keys/{minted['id']}/rotate", status=409)

    def test_a_disabled_account_takes_all_below_it_along(self):
        top = self.api("POST", "/accounts", {"name": "Top"})
        team = self.api("POST", "/accounts", {"name": "Team", "parent": top["id"], "payer": "parent"})
        minted, other = self.mint(account=team["id"]), self.mint()
        self.api("POST", f"/accounts/{top['id']}/disable")
        self.refused(minted["key"], 403, "account_disabled")
        self.assertEqual(self.ask(other["key"]).status, 200)
        self.api("POST", f"/accounts/{top['id']}/enable")
        self.assertEqual(self.ask(minted["key"]).status, 200)

    def test_rotation(self):
        first = self.mint(models=["up/good"])
        second = self.api("POST", f"/keys/{first['id']}/rotate", {"grace": "1h"})
        self.assertEqual(second["id"], first["id"])
        self.assertIsNotNone(second["grace_until"])
        self.assertEqual(self.ask(first["key"]).status, 200)
        self.assertEqual(self.ask(second["key"]).status, 200)
        # At once, and of every secret before.
        third = self.api("POST", f"/keys/{first['id']}/rotate")
        self.assertIsNone(third["grace_until"])
        self.refused(first["key"], 401, "key_expired")
        self.refused(second["key"], 401, "key_expired")
        self.assertEqual(self.ask(third["key"]).status, 200)
        self.refused(third["key"], 403, "model_not_allowed", model="up/other")
        self.stage.gateway.stop()
        self.stage.gateway.start()
        self.stage.url = self.stage.gateway.url
        self.refused(second["key"], 401, "key_expired")
        self.assertEqual(self.ask(third["key"]).status, 200)

    def test_a_stream_goes_on_when_its_key_is_disabled(self):
        minted = self.mint()
        self.stage.key = minted["key"]
        connection, answer = live(self.stage, "up/paced")
        events = answer.live_events()
        next(events)
        self.api("POST", f"/keys/{minted['id']}/disable")
        self.refused(minted["key"], 401, "key_disabled")
        next(events)
        self.stage.upstream.finish.set()
        self.assertEqual(list(events)[-1], "[DONE]")
        self.assertTrue(answer.clean)
        # The same connection, the next request.
        connection.send_request("POST", "/v1/chat/completions", {"model": "up/good", "messages": client.MESSAGES},
                                minted["key"])
        self.assertEqual(connection.receive_answer().status, 401)
        connection.close()

    def test_a_command_returns_when_every_loop_of_the_running_gateway_has_its_change(self):
        made = json.loads(self.cli("key", "create", "--name", "cli", "--models", "up/*", "--json"))
        connections = [client.Connection(self.stage.url) for _ in range(4)]  # dealt to the loop with the fewest
        for connection in connections:
            self.addCleanup(connection.close)

        def statuses():
            return {connection.request("GET", "/v1/models", key=made["key"]).status for connection in connections}
        self.assertEqual(statuses(), {200})
        for _ in range(5):
            self.cli("key", "disable", made["id"])
            self.assertEqual(statuses(), {401})
            self.cli("key", "enable", made["id"])
            self.assertEqual(statuses(), {200})
        self.cli("account", "disable", "default")
        self.assertEqual(statuses(), {403})

    def test_a_command_waits_for_no_gateway_that_is_gone(self):
        self.stage.gateway.stop(graceful=False)
        self.assertTrue((pathlib.Path(self.stage.gateway.state) / "refresh.sock").exists())
        begun = time.monotonic()
        self.cli("key", "create", "--name", "later")
        self.assertLess(time.monotonic() - begun, 10)

    def test_a_command_waits_for_the_worker_that_came_last(self):
        made = json.loads(self.cli("key", "create", "--name", "cli", "--json"))
        [worker] = self.stage.gateway.workers()
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: self.ask(made["key"]).status == 200, what="the next worker")
        self.cli("key", "disable", made["id"])
        self.refused(made["key"], 401, "key_disabled")

    def test_secrets_are_seen_once(self):
        minted = self.mint()
        rotated = self.api("POST", f"/keys/{minted['id']}/rotate", {"grace": "1h"})
        for key in (minted["key"], rotated["key"]):
            self.ask(key)
        self.ask(minted["key"] + "x")
        seen = [json.dumps(self.api("GET", "/keys")), json.dumps(self.api("GET", f"/keys/{minted['id']}")),
                json.dumps(self.api("PATCH", f"/keys/{minted['id']}", {"name": "other"})),
                json.dumps(self.api("POST", f"/keys/{minted['id']}/disable")),
                self.cli("key", "list"), self.cli("key", "list", "--json"), self.cli("key", "show", minted["id"]),
                self.cli("key", "set", minted["id"], "--models", "a")]
        self.stage.gateway.records(3)
        self.stage.gateway.stop()
        seen += [self.stage.gateway.log(), self.stage.gateway.records_file.read_text()]
        for secret in (minted["key"], rotated["key"]):
            for text in seen:
                self.assertNotIn(secret, text)
            for file in pathlib.Path(self.stage.gateway.state).rglob("*"):
                self.assertNotIn(secret.encode(), file.read_bytes() if file.is_file() else b"", file)
        for text in seen:
            self.assertNotIn(minted["mac"], text)
            self.assertNotIn(rotated["mac"], text)

    def test_lists_are_paged(self):
        made = [self.mint(name=f"k{i}")["id"] for i in range(5)]
        found, after = [], ""
        while after is not None:
            page = self.api("GET", f"/keys?limit=2&after={after}")
            self.assertLessEqual(len(page["data"]), 2)
            found += [key["id"] for key in page["data"]]
            after = page["next"]
        self.assertEqual(sorted(found), sorted(made))
        self.assertEqual([account["id"] for account in self.api("GET", "/accounts")["data"]], ["default"])
        for query in ("limit=0", "limit=1001", "limit=x", "limit=-1"):
            self.api("GET", "/keys?" + query, status=400)
        self.api("GET", "/keys?account=acc_none", status=404)

    def test_what_can_not_be_meant_is_refused(self):
        minted = self.mint()
        for fields in ({}, {"name": ""}, {"name": "two words"}, {"name": 7}, {"name": "a", "nmae": "b"},
                       {"name": "a", "models": "gpt"}, {"name": "a", "models": [""]}, {"name": "a", "models": [1]},
                       {"name": "a", "ip_ranges": ["10.0.0.1/8"]}, {"name": "a", "ip_ranges": ["example.com"]},
                       {"name": "a", "expires": "tomorrow"}, {"name": "a", "expires": 5},
                       {"name": "a", "may_explain": "yes"}, {"name": "a", "body_bytes_max": -1},
                       {"name": "a", "metadata": []}, {"name": "a", "metadata": {"x": "y" * 5000}},
                       {"name": "a", "id": "key_mine"}, {"name": "a", "mac": "0" * 64}, {"name": "a", "key": "sy-x"}):
            with self.subTest(str(fields)[:80]):
                self.assertIn("error", self.api("POST", "/keys", fields, status=400))
        for body in ("", "[]", "{", '{"name":"a","name":"b"}', "[" * 60000, '{"metadata":' + '{"a":' * 9000):
            with self.subTest(body[:40]):
                self.api("POST", "/keys", body, status=400)
        self.api("POST", "/keys", {"name": "a", "account": "acc_none"}, status=404)
        self.api("PATCH", f"/keys/{minted['id']}", {"account": "default"}, status=400)
        self.api("PATCH", f"/keys/{minted['id']}", {"ip_ranges": ["x"]}, status=400)
        self.api("POST", f"/keys/{minted['id']}/rotate", {"grace": "721h"}, status=400)
        self.api("POST", f"/keys/{minted['id']}/rotate", {"grace": 5}, status=400)
        for fields in ({"name": ""}, {"name": "a", "mode": "free"}, {"name": "a", "currency": "euro"},
                       {"name": "a", "credit_limit": 5}, {"name": "a", "mode": "postpaid", "credit_limit": "-1"},
                       {"name": "a", "mode": "prepaid", "credit_limit": "1"}, {"name": "a", "payer": "parent"},
                       {"name": "a", "markup_ppm": 1.5}, {"name": "a", "markup_ppm": -1000001},
                       {"name": "a", "zone": "../etc"}):
            with self.subTest(str(fields)):
                self.api("POST", "/accounts", fields, status=400)
        self.api("PATCH", "/accounts/default", {"parent": "acc_1"}, status=400)
        self.api("PATCH", "/accounts/acc_none", {"name": "x"}, status=404)
        self.assertEqual(self.ask(minted["key"]).status, 200)
        self.assertEqual(len(self.api("GET", "/keys")["data"]), 1)

    def test_what_is_meant_to_break_in_is_text(self):
        minted = self.mint()
        for text in INJECTIONS:
            with self.subTest(text[:40]):
                if text.isascii() and "\t" not in text:
                    self.assertIn(self.ask(text).status, (401, 431))
                self.api("POST", "/keys", {"name": text}, status=400)
                quoted = urllib.parse.quote(text, safe="")
                for path in (f"/keys/{quoted}", f"/accounts/{quoted}"):
                    if len(quoted) < 1000:
                        self.api("GET", path, status=404)
                self.api("GET", f"/keys?after={quoted[:1000]}")
        named = self.api("POST", "/accounts", {"name": "'; DROP TABLE accounts; --", "metadata": {"a": "' OR 1=1"}})
        self.assertEqual(self.api("GET", f"/accounts/{named['id']}")["name"], "'; DROP TABLE accounts; --")
        self.assertEqual(self.ask(minted["key"]).status, 200)
        self.assertEqual(self.stage.chat("up/good", key=GATEWAY_KEY).status, 200)


class Proxied(Case):
    config = {"trusted_proxies": ["127.0.0.0/8", "10.9.0.0/16"]}

    def test_a_trusted_proxy_says_who_the_client_is(self):
        key = self.mint(ip_ranges=["192.0.2.0/24"])["key"]
        for said, allowed in [(None, False), ("192.0.2.7", True), ("198.51.100.1", False),
                              ("192.0.2.7, 198.51.100.1", False), ("198.51.100.1, 192.0.2.7", True),
                              ("192.0.2.7, 10.9.3.4", True), ("192.0.2.7, nonsense", False), ("nonsense", False),
                              ("192.0.2.7, 10.9.3.4, 127.0.0.2", True), ("", False)]:
            with self.subTest(said):
                headers = {} if said is None else {"X-Forwarded-For": said}
                answer = self.ask(key, headers=headers)
                self.assertEqual(answer.status, 200 if allowed else 403, answer.text)


class Direct(Case):
    def test_without_trusted_proxies_the_header_is_anybodys_word(self):
        key = self.mint(ip_ranges=["192.0.2.0/24"])["key"]
        self.refused(key, 403, "ip_not_allowed", headers={"X-Forwarded-For": "192.0.2.7"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
